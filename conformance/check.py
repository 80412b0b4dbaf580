"""A check: one requirement on a target, with the clause it comes from, and what was found when it was tried."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

HAIP, GERMAN, PLAIN = "haip-1.0", "de-2026-11", "plain-1.0"
PROFILES = (HAIP, GERMAN, PLAIN)
EVERYWHERE = frozenset(PROFILES)
HIGH_ASSURANCE = frozenset((HAIP, GERMAN))

Target = TypeVar("Target")


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # does not apply to this target, or what it needs failed in a check of its own


class Failed(Exception):
    """The target does not do what the clause says. came: what it did instead, without secrets."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}, came {came}")
        self.expected = expected
        self.came = came


class NotApplicable(Exception):
    """The check can't be tried on this target; the message says why."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Target]):
    """One requirement. run: tries it on a target and says what was seen, or raises `Failed` or `NotApplicable`."""

    id: str
    clause: str
    title: str
    run: Callable[[Target], str]
    profiles: frozenset[str] = EVERYWHERE


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check. expected: empty unless it failed. came: what was seen, or why it was skipped."""

    id: str
    clause: str
    title: str
    outcome: Outcome
    expected: str
    came: str


class Registry(Generic[Target]):
    """The checks for one kind of target, in the order in which they run."""

    def __init__(self) -> None:
        self.checks: list[Check[Target]] = []

    def check(
        self, name: str, clause: str, *, profiles: frozenset[str] = EVERYWHERE
    ) -> Callable[[Callable[[Target], str]], Callable[[Target], str]]:
        """Enter a function as a check; the first line of its docstring is the title, the requirement in words.

        Raises:
            ValueError: the id is taken.
        """

        def enter(run: Callable[[Target], str]) -> Callable[[Target], str]:
            if any(each.id == name for each in self.checks):
                raise ValueError(f"two checks are called {name}")
            title = (run.__doc__ or name).partition("\n")[0].rstrip(".")
            self.checks.append(Check(name, clause, title, run, profiles))
            return run

        return enter


def tried(check: Check[Target], target: Target, *, profile: str) -> Result:
    """Try one check on a target under the rules of a profile."""
    if profile not in check.profiles:
        return Result(check.id, check.clause, check.title, Outcome.SKIPPED, "", f"no rule of {profile}")
    try:
        outcome, expected, came = Outcome.PASSED, "", check.run(target)
    except Failed as failed:
        outcome, expected, came = Outcome.FAILED, failed.expected, failed.came
    except NotApplicable as reason:
        outcome, expected, came = Outcome.SKIPPED, "", str(reason)
    return Result(check.id, check.clause, check.title, outcome, expected, came)
