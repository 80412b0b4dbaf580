"""Run the long suites in full and write docs/nightly.md: what ran, on which commit, how it ended.

The status is that of the worst suite.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "nightly.md"
NOTHING_COLLECTED = 5
FULL = {"STADTNACHWEIS_RACE_ROUNDS": "1000", "STADTNACHWEIS_FUZZ_SECONDS": "600"}


@dataclass(frozen=True, slots=True)
class Suite:
    """A part of the night's work: a pytest marker expression, or a program of the tests."""

    name: str
    markers: str | None
    module: str = "pytest"
    arguments: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """How it is started."""
        options = [] if self.markers is None else ["-q", "-m", self.markers, "tests"]
        return [sys.executable, "-m", self.module, *self.arguments, *options]


SUITES = (
    Suite("races", "race"),
    Suite("fuzzing", "fuzz"),
    Suite("other long tests", "long and not race and not fuzz and not browser"),
    Suite("browser matrix", "browser"),
    Suite("mutants of the checks", None, "tests.mutation", ("--again",)),
)


def run(suite: Suite) -> tuple[int, str, float]:
    """Run one suite; returns its status (no test is no failure, but is named), a word for it, and seconds."""
    started = time.monotonic()
    status = subprocess.run(suite.command(), cwd=ROOT, env=os.environ | FULL, check=False).returncode
    word = {0: "held", NOTHING_COLLECTED: "no such test"}.get(status, f"failed (status {status})")
    return (0 if status == NOTHING_COLLECTED else status), word, time.monotonic() - started


def main() -> int:
    """Run all suites, whatever the earlier ones said, and write the page."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    dirty = ", with uncommitted changes" if changed else ""
    lines = [
        "# The last nightly run",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit.strip()}{dirty}.",
        "",
        "| suite | result | seconds |",
        "|---|---|---|",
    ]
    worst = 0
    for suite in SUITES:
        status, word, seconds = run(suite)
        worst = max(worst, status)
        lines.append(f"| {suite.name} | {word} | {seconds:.0f} |")
    REPORT.write_text("\n".join(lines) + "\n")
    return worst


if __name__ == "__main__":
    sys.exit(main())
