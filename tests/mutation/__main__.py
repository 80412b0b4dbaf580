"""`make mutants`: bend the checks one by one; a survivor that `explained.yaml` does not explain fails the run.

make mutants                                        the whole scope: what no earlier run tried, or found no test for
make mutants ARGS="verifier/check specs/keys/jose.py"
make mutants ARGS=--again                           also what a test noticed before (hours; `make nightly` does it)
make mutants ARGS="--changed-since main --seconds 300"   what `.ci/run` does: only lines that changed
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from tests.mutation import report
from tests.mutation.explained import Key, read_explanations, stale
from tests.mutation.mutants import Mutant, mutants_of, refusals_in
from tests.mutation.reach import Memory
from tests.mutation.running import Plugin, Result, Runner, refusing_lines
from tests.mutation.scope import MARKERS, PACKAGES, ROOT, TESTS, modules

REACHED = ROOT / "build" / "reached.json.gz"
_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if each mutant that was tried is noticed or explained, and no explanation is stale."""
    parser = argparse.ArgumentParser(prog="make mutants", description="mutation testing of the checks")
    parser.add_argument("paths", nargs="*", type=Path, help="modules or folders of the scope (default: all)")
    parser.add_argument("--changed-since", metavar="COMMIT", help="only lines that changed since then")
    parser.add_argument("--again", action="store_true", help="also those that a test noticed or a reason explains")
    parser.add_argument("--seconds", type=float, default=None, help="begin no mutant later than that after the first")
    parser.add_argument(
        "--test-seconds",
        type=float,
        default=60.0,
        help="of tests for one mutant, as long as they took under coverage (default %(default)s)",
    )
    parser.add_argument(
        "--gate", choices=("all", "refusals"), default="all", help="which survivors fail the run (default %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="mutants at once")
    options = parser.parse_args(arguments)
    chosen = [path for path in modules() if not options.paths or _is_under(path, options.paths)]
    if not chosen:
        parser.error("no such module in the scope (tests/mutation/scope.py)")
    everything = [mutant for path in modules() for mutant in mutants_of(path, root=ROOT)]
    names = {path.relative_to(ROOT).as_posix() for path in chosen}
    wanted = [mutant for mutant in everything if mutant.path in names and mutant.in_body]
    if options.changed_since:
        changed = changed_lines(options.changed_since)
        wanted = [m for m in wanted if changed.get(m.path, set()).intersection(range(m.line, m.last_line + 1))]
    explanations = read_explanations()
    tried = report.Tried(everything)
    if not options.changed_since and not options.again:
        wanted = [m for m in wanted if not _is_settled(m, tried, explanations)]
    wanted.sort(key=lambda mutant: (not report.is_refusal_gone(mutant), tried[mutant] == report.SURVIVED))
    results: list[Result] = []

    def note(result: Result) -> None:
        results.append(result)
        if not result.noticed_by and result.mutant.key not in explanations:
            print(f"survived: {result.mutant}", flush=True)
        if not options.changed_since:
            tried.note([result])

    if wanted:
        _try(wanted, note, jobs=options.jobs, seconds=options.seconds, test_seconds=options.test_seconds)
    survivors = [each.mutant for each in results if not each.noticed_by]
    unexplained = [mutant for mutant in survivors if mutant.key not in explanations]
    old = stale(explanations, all_mutants=everything, noticed=[each.mutant for each in results if each.noticed_by])
    for key in old:
        print(f"stale explanation: {key}")
    told = {
        "mutants": len(wanted),
        "tried": len(results),
        "noticed": len(results) - len(survivors),
        "explained": len(survivors) - len(unexplained),
        "survived": len(unexplained),
        "not tried for want of time": len(wanted) - len(results),
    }
    print(", ".join(f"{number} {what}" for what, number in told.items()))
    if not options.changed_since:
        report.write(everything, tried, explanations)
    failing = [mutant for mutant in unexplained if options.gate == "all" or report.is_refusal_gone(mutant)]
    return 1 if failing or old else 0


def _is_under(path: Path, places: Sequence[Path]) -> bool:
    return any((ROOT / place).resolve() in (path, *path.parents) for place in places)


def _is_settled(mutant: Mutant, tried: report.Tried, explanations: Mapping[Key, str]) -> bool:
    """Whether an earlier run ended well for it, in the function as it is now."""
    return tried[mutant] == report.NOTICED or (tried[mutant] == report.SURVIVED and mutant.key in explanations)


def _try(
    wanted: Sequence[Mutant], note: Callable[[Result], None], *, jobs: int, seconds: float | None, test_seconds: float
) -> None:
    """Collect the tests, note what each reaches, and try the mutants. seconds: for trying alone; None: no end.

    Raises:
        SystemExit: the tests can't be collected, or fail without any mutant.
    """

    refusing = refusing_lines({path.relative_to(ROOT).as_posix(): refusals_in(path) for path in modules()})

    def work(runner: Runner) -> None:
        print("noting which test reaches which line …", flush=True)
        reached = runner.reach(PACKAGES, Memory(REACHED, root=ROOT), jobs=jobs)
        print(f"bending, {len(wanted)} times …", flush=True)
        until = float("inf") if seconds is None else time.monotonic() + seconds
        found = runner.judge(wanted, reached, refusing=refusing, jobs=jobs, until=until, test_seconds=test_seconds)
        for result in found:
            note(result)

    # the same examples each time, and no search for smaller ones: the first failure is enough
    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")
    options = ["-q", "-s", "--tb=native", "--assert=plain", "-p", "no:cacheprovider", "-m", MARKERS, *TESTS]
    status = pytest.main(options, plugins=[Plugin(ROOT, work)])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SystemExit(f"the tests themselves fail (status {int(status)})")


def changed_lines(commit: str) -> dict[str, set[int]]:
    """Lines of the present tree, by file, that differ from where this branch left a commit's history."""
    base = _git("merge-base", commit, "HEAD").strip()
    found: dict[str, set[int]] = {}
    for name in _git("diff", "--name-only", "--diff-filter=d", base, "--", "*.py").splitlines():
        for first, count in _HUNK.findall(_git("diff", "--unified=0", base, "--", name)):
            lines = range(int(first), int(first) + int(count or "1"))
            found.setdefault(name, set()).update(lines)
    return found


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
