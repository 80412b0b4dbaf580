"""What was tried and how it ended: remembered in build/, written for people as docs/mutation.md."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from tests.mutation.explained import Key
from tests.mutation.mutants import Mutant
from tests.mutation.running import Result
from tests.mutation.scope import ROOT

MEMORY = ROOT / "build" / "mutants.json"
PAGE = ROOT / "docs" / "mutation.md"
_HEAD = """# Mutation testing of the checks

Each check is bent once (`tests/mutation/mutants.py` says how), and a test must notice. This page is written by
`make mutants` without arguments; it counts only what was really tried. “survived” needs a test, or a reason in
`tests/mutation/explained.yaml`. What a module does when it is imported (its constants) is not bent. A row marked * was
tried before the module changed.

| module | mutants | tried | noticed | explained | survived | of refusals that are gone: tried, noticed |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried of a module. digest: of its text then. noticed: what gave each mutant away; "" if nothing."""

    digest: str
    noticed: dict[str, str]


def _digest(path: str) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()[:16]


def _name(key: Key) -> str:
    return json.dumps(key, ensure_ascii=False)


def remember(results: Sequence[Result]) -> None:
    """Add results to those of earlier runs; what was found in another text of the same module is dropped."""
    memory = _memory()
    for result in results:
        path = result.mutant.path
        if path not in memory or memory[path].digest != _digest(path):
            memory[path] = Tried(_digest(path), {})
        memory[path].noticed[_name(result.mutant.key)] = result.noticed_by
    MEMORY.parent.mkdir(exist_ok=True)
    kept = {path: asdict(tried) for path, tried in memory.items()}
    MEMORY.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")


def _memory() -> dict[str, Tried]:
    if not MEMORY.is_file():
        return {}
    return {path: Tried(**tried) for path, tried in json.loads(MEMORY.read_text(encoding="utf-8")).items()}


def write(everything: Sequence[Mutant], explanations: Collection[Key]) -> None:
    """Write the page."""
    memory = _memory()
    rows = []
    totals = [0] * 7
    for path, of_path in groupby(everything, key=lambda mutant: mutant.path):
        mutants = [mutant for mutant in of_path if mutant.in_body]
        remembered = memory.get(path)
        numbers = _numbers(mutants, remembered.noticed if remembered else {}, explanations)
        totals = [total + number for total, number in zip(totals, numbers, strict=True)]
        mark = " *" if remembered and remembered.digest != _digest(path) else ""
        rows.append(_row(path + mark, numbers))
    PAGE.write_text(_HEAD + "\n".join([*rows, _row("**all**", totals)]) + "\n", encoding="utf-8")


def _row(name: str, numbers: Sequence[int]) -> str:
    *most, gone, gone_noticed = numbers
    return f"| {name} | {' | '.join(str(number) for number in most)} | {gone}, {gone_noticed} |"


def _numbers(mutants: Sequence[Mutant], noticed: Mapping[str, str], explained: Collection[Key]) -> list[int]:
    tried = [mutant for mutant in mutants if _name(mutant.key) in noticed]
    survivors = [mutant for mutant in tried if not noticed[_name(mutant.key)]]
    reasons = sum(mutant.key in explained for mutant in survivors)
    gone = [mutant for mutant in tried if is_refusal_gone(mutant)]
    return [
        *(len(mutants), len(tried), len(tried) - len(survivors), reasons, len(survivors) - reasons),
        *(len(gone), sum(bool(noticed[_name(mutant.key)]) for mutant in gone)),
    ]


def is_refusal_gone(mutant: Mutant) -> bool:
    """Whether the mutant is a check taken out."""
    return "raise" in mutant.before.partition(":")[2].split()[:1] or mutant.before.startswith("raise ")
