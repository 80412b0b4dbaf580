"""Drives flows against a server, several at a time, and weighs what they cost it: CPU per flow, throughput, latency."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.bench.load.processes import cpu_ms

Flow = Callable[[], Awaitable[int]]
"""One whole flow; returns how many results of it held (credentials whose signature verifies, accepted verdicts)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: flows a round, rounds, flows at one time, flows before anything is counted."""

    flows: int
    rounds: int
    at_once: int
    warm_up: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a flow cost, in milliseconds: medians over the rounds for CPU and throughput, over all flows for latency."""

    server_ms: float
    database_ms: float
    flows_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    results: int

    @property
    def cpu_ms(self) -> float:
        """Server and database together."""
        return self.server_ms + self.database_ms


async def weigh(flow: Flow, *, plan: Plan, server: int, database: int | None) -> Weighed:
    """Run a flow as often as planned. server, database: ids of the processes whose families are weighed."""
    await _run(flow, plan.warm_up, plan.at_once)
    server_ms, database_ms, speeds = [], [], []
    latencies: list[float] = []
    results = 0
    for _ in range(plan.rounds):
        before = cpu_ms(server), 0.0 if database is None else cpu_ms(database)
        begin = time.monotonic()
        taken, held = await _run(flow, plan.flows, plan.at_once)
        speeds.append(plan.flows / (time.monotonic() - begin))
        server_ms.append((cpu_ms(server) - before[0]) / plan.flows)
        database_ms.append(0.0 if database is None else (cpu_ms(database) - before[1]) / plan.flows)
        latencies += taken
        results += held
    return Weighed(
        server_ms=statistics.median(server_ms),
        database_ms=statistics.median(database_ms),
        flows_per_second=statistics.median(speeds),
        p50_ms=_percentile(latencies, 50),
        p95_ms=_percentile(latencies, 95),
        p99_ms=_percentile(latencies, 99),
        results=results,
    )


async def _run(flow: Flow, count: int, at_once: int) -> tuple[list[float], int]:
    left, results = count, 0
    taken: list[float] = []

    async def worker() -> None:
        nonlocal left, results
        while left > 0:
            left -= 1
            begin = time.monotonic()
            held = await flow()
            results += held  # not in one expression: others add while this one waits
            taken.append((time.monotonic() - begin) * 1000)

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return taken, results


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
