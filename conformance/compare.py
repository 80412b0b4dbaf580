"""Two runs side by side: what got worse, what got better, what is new and what is gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from specs.encoding import Malformed, strict_json

_RANK = {"passed": 3, "warned": 2, "skipped": 1, "failed": 0}


class NoReport(Exception):
    """A file is no report of a run; the message says which."""


@dataclass(frozen=True, slots=True)
class Change:
    """How one check changed. before, after: outcomes; None where the run had no such check."""

    id: str
    before: str | None
    after: str | None

    @property
    def is_worse(self) -> bool:
        """Whether it failed or warned and did not before, or was tried before and is not any more."""
        if self.after is None:
            return self.before == "passed"
        if self.before is None:
            return self.after == "failed"
        return _RANK[self.after] < _RANK[self.before]

    @property
    def described(self) -> str:
        """One line."""
        sign = "✗" if self.is_worse else "✓" if self.after in ("passed", "warned") else "–"
        return f"{sign} {self.id:<30} {self.before or 'not there'} → {self.after or 'gone'}"


@dataclass(frozen=True, slots=True)
class Run:
    """What a report says of its run. kind: issuer, verifier or wallet. outcomes: by check."""

    kind: str
    target: str
    profile: str
    outcomes: Mapping[str, str]


def read_run(file: Path) -> Run:
    """Read a report.

    Raises:
        NoReport: the file can't be read, or holds something else.
    """
    try:
        members = strict_json.parse_object(file.read_bytes())
    except OSError as error:
        raise NoReport(f"{file}: {error.strerror}") from None
    except Malformed as error:
        raise NoReport(f"{file}: {error}") from None
    results = members.get("results")
    outcomes: dict[str, str] = {}
    for each in results if isinstance(results, list) else ():
        outcome = each.get("outcome") if isinstance(each, dict) else None
        if not isinstance(each, dict) or outcome not in _RANK:
            raise NoReport(f"{file}: no report of a run")
        outcomes[str(each.get("id"))] = str(outcome)
    if not outcomes:
        raise NoReport(f"{file}: no report of a run")
    kind, target, profile = (str(members.get(name)) for name in ("kind", "target", "profile"))
    return Run(kind, target, profile, outcomes)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[Change]:
    """What differs, the worse first."""
    names = dict.fromkeys((*before, *after))
    found = [Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]
    return sorted(found, key=lambda change: not change.is_worse)
