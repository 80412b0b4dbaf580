"""Alternating rounds of CPU time: whatever disturbs the machine disturbs each candidate alike."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping

ROUNDS = 40
ROUND_SECONDS = 0.02


def medians(candidates: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS) -> dict[str, float]:
    """Microseconds of each candidate: the median of rounds that alternate between all of them."""
    counts = {name: _calls_per_round(call) for name, call in candidates.items()}
    measured: dict[str, list[float]] = {name: [] for name in candidates}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in candidates.items():
                count = counts[name]
                begin = time.process_time()
                for _ in range(count):
                    call()
                measured[name].append((time.process_time() - begin) / count * 1e6)
    finally:
        gc.enable()
    return {name: statistics.median(times) for name, times in measured.items()}


def _calls_per_round(call: Callable[[], object]) -> int:
    call()  # what is cached is cached now
    begin = time.process_time()
    call()
    return max(1, int(ROUND_SECONDS / max(time.process_time() - begin, 1e-7)))
