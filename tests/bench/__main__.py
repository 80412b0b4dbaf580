"""`make bench`: measure, print a table, write build/bench.json. A missed target is printed; it fails no build."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import cryptography
from cryptography.hazmat.backends.openssl.backend import backend

from tests.bench.rounds import ROUNDS, medians
from tests.bench.subjects import Subject, subjects

OUTPUT = Path("build") / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all rows on one core."""
    parser = argparse.ArgumentParser(prog="make bench", description="our speed as a ratio of the bare cryptography")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="alternating rounds for each row (default %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the numbers go (default %(default)s)")
    options = parser.parse_args(arguments)
    _pin_to_one_core()
    rows = [_measured(subject, rounds=options.rounds) for subject in subjects()]
    print(_table(rows))
    missed = [row for row in rows if _number(row, "ratio") < _number(row, "target")]
    for row in missed:
        print(f"below its target: {row['id']} {row['ratio']} < {row['target']}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n", encoding="utf-8")
    return 0


Row = dict[str, object]


def _measured(subject: Subject, *, rounds: int) -> Row:
    peers = {f"peer {name}": call for name, call in subject.peers.items()}
    times = medians({"floor": subject.floor, "ours": subject.ours, **peers}, rounds=rounds)
    floor = times["floor"]
    return {
        "id": subject.id,
        "floor_us": round(floor, 1),
        "ours_us": round(times["ours"], 1),
        "ratio": round(floor / times["ours"], 3),
        "target": subject.target,
        "peers": {name: round(floor / times[f"peer {name}"], 3) for name in subject.peers},
    }


def _table(rows: Sequence[Row]) -> str:
    lines = [f"{'':<16}{'floor µs':>10}{'ours µs':>10}{'ratio':>8}{'target':>8}  peers"]
    for row in rows:
        peers = row["peers"]
        assert isinstance(peers, dict)
        others = ", ".join(f"{name} {ratio:.2f}" for name, ratio in peers.items())
        lines.append(
            f"{row['id']:<16}{row['floor_us']:>10}{row['ours_us']:>10}{row['ratio']:>8}{row['target']:>8}  {others}"
        )
    return "\n".join(lines)


def _number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, (int, float))
    return value


def _pin_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    return {
        "processor": _processor(),
        "python": platform.python_version(),
        "cryptography": cryptography.__version__,
        "openssl": backend.openssl_version_text(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
