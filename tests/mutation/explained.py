"""Why some mutants may survive: `explained.yaml`, each with its place, its change and the reason; none may be stale."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from tests.mutation.mutants import Mutant

FILE = Path(__file__).parent / "explained.yaml"
Key = tuple[str, str, str, str, int]
_MEMBERS = {"place", "before", "after", "nth", "why"}


def read_explanations(file: Path = FILE) -> Mapping[Key, str]:
    """The reasons by what names a mutant.

    Raises:
        ValueError: an entry is misshapen, gives no reason, or stands twice.
    """
    found: dict[Key, str] = {}
    for entry in yaml.safe_load(file.read_text(encoding="utf-8")) or []:
        if not isinstance(entry, dict) or not {"place", "before", "after", "why"} <= entry.keys() <= _MEMBERS:
            raise ValueError(f"{file.name}: not an explanation: {entry}")
        path, _, function = str(entry["place"]).partition("::")
        key = (path, function, str(entry["before"]), str(entry["after"]), int(entry.get("nth", 1)))
        if key in found or not str(entry["why"]).strip():
            raise ValueError(f"{file.name}: twice, or without a reason: {entry}")
        found[key] = str(entry["why"])
    return found


def stale(explanations: Mapping[Key, str], *, all_mutants: Iterable[Mutant], noticed: Iterable[Mutant]) -> list[Key]:
    """Explanations of mutants that are no more, or that a test notices by now."""
    there = {mutant.key for mutant in all_mutants}
    seen = {mutant.key for mutant in noticed}
    return [key for key in explanations if key not in there or key in seen]
