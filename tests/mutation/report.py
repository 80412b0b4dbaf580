"""What was tried and how it ended: remembered in `tried.txt`, written for people as docs/mutation.md.

A line of `tried.txt` is a function, the digest of its source and of its mutants, and a letter for each mutant. Results
add up over several runs; once the function changes, its line says nothing any more and goes.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from tests.mutation.explained import Key
from tests.mutation.mutants import Mutant
from tests.mutation.running import Result
from tests.mutation.scope import ROOT

FILE = Path(__file__).parent / "tried.txt"
PAGE = ROOT / "docs" / "mutation.md"
NOTICED, SURVIVED, UNTRIED = "ns."
_HEAD = """# Mutation testing of the checks

Each check is bent once (`tests/mutation/mutants.py` says how), and a test must notice. This page is written by
`make mutants`, from what it and earlier runs tried (`tests/mutation/tried.txt`): a mutant counts as tried only as long
as the function around it has not changed since. “survived” needs a test, or a reason in
`tests/mutation/explained.yaml`; the tests likeliest to notice are asked first, as many as fit into `--test-seconds`, so
that one that survived a short run may be noticed by a longer one. What a module does when it is imported (its
constants) is not bent. The last column is of refusals that are gone.

| module | mutants | tried | noticed | explained | survived | refusals: all, tried, noticed, explained |
|---|---|---|---|---|---|---|
"""


class Tried:
    """How each mutant ended when it was last tried; those of functions as they are now."""

    def __init__(self, everything: Iterable[Mutant], *, file: Path = FILE) -> None:
        self._file = file
        self._letters: dict[str, list[str]] = {}
        self._places: dict[Key, tuple[str, int]] = {}
        kept = dict(line.rsplit(" ", 1) for line in file.read_text("utf-8").splitlines()) if file.is_file() else {}
        functions: dict[tuple[str, str], list[Mutant]] = {}
        for mutant in everything:
            if mutant.in_body:
                functions.setdefault((mutant.path, mutant.function), []).append(mutant)
        for (path, function), mutants in functions.items():
            name = f"{path}::{function} {_digest(mutants)}"
            self._letters[name] = list(kept.get(name, UNTRIED * len(mutants)))
            self._places |= {mutant.key: (name, place) for place, mutant in enumerate(mutants)}

    def __getitem__(self, mutant: Mutant) -> str:
        """NOTICED, SURVIVED or UNTRIED."""
        name, place = self._places[mutant.key]
        return self._letters[name][place]

    def note(self, results: Iterable[Result]) -> None:
        """Remember, also for later runs."""
        for result in results:
            name, place = self._places[result.mutant.key]
            self._letters[name][place] = NOTICED if result.noticed_by else SURVIVED
        known = {name: "".join(letters) for name, letters in self._letters.items()}
        lines = [f"{name} {letters}\n" for name, letters in known.items() if letters.strip(UNTRIED)]
        self._file.write_text("".join(lines), encoding="utf-8")


def _digest(mutants: Sequence[Mutant]) -> str:
    text = "\n".join((mutants[0].source, *(f"{mutant.before} → {mutant.after}" for mutant in mutants)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write(everything: Sequence[Mutant], tried: Tried, explanations: Collection[Key]) -> None:
    """Write the page."""
    rows = []
    totals = [0] * 9
    for path, of_path in groupby(everything, key=lambda mutant: mutant.path):
        numbers = _numbers([mutant for mutant in of_path if mutant.in_body], tried, explanations)
        totals = [total + number for total, number in zip(totals, numbers, strict=True)]
        rows.append(_row(path, numbers))
    PAGE.write_text(_HEAD + "\n".join([*rows, _row("**all**", totals)]) + "\n", encoding="utf-8")


def _row(name: str, numbers: Sequence[int]) -> str:
    cells = " | ".join(str(number) for number in numbers[:5])
    return f"| {name} | {cells} | {', '.join(str(number) for number in numbers[5:])} |"


def _numbers(mutants: Sequence[Mutant], tried: Tried, explained: Collection[Key]) -> list[int]:
    gone = [mutant for mutant in mutants if is_refusal_gone(mutant)]
    counted = []
    for each in (mutants, gone):
        survivors = [mutant for mutant in each if tried[mutant] == SURVIVED]
        noticed = sum(tried[mutant] == NOTICED for mutant in each)
        reasons = sum(mutant.key in explained for mutant in survivors)
        counted.append([len(each), noticed + len(survivors), noticed, reasons, len(survivors) - reasons])
    return [*counted[0], *counted[1][:4]]


def is_refusal_gone(mutant: Mutant) -> bool:
    """Whether the mutant is a check taken out."""
    return "raise" in mutant.before.partition(":")[2].split()[:1] or mutant.before.startswith("raise ")
