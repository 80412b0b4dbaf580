"""A check: one requirement on a target, with the clause it comes from, and what was found when it was tried."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from conformance.exchange import Exchange, NoAnswer, Recorder
from specs.encoding import Malformed
from specs.protocols.dcql import DcqlError
from specs.protocols.oauth import InvalidAnswer, OAuthError
from specs.protocols.openid4vp import RequestError
from specs.refusal import Refusal
from wallet_sim.terminal import plain

HAIP, GERMAN, PLAIN = "haip-1.0", "de-2026-11", "plain-1.0"
PROFILES = (HAIP, GERMAN, PLAIN)
EVERYWHERE = frozenset(PROFILES)
HIGH_ASSURANCE = frozenset((HAIP, GERMAN))


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    WARNED = "warned"  # what a standard recommends, or what the Foundation's suite only warns about, is not so
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


class Recorded(Protocol):
    """What every kind of target has: a record of what went to and fro."""

    @property
    def recorder(self) -> Recorder:
        """Where exchanges are kept."""
        ...


Target = TypeVar("Target", bound=Recorded)


@dataclass(frozen=True, slots=True)
class Check(Generic[Target]):
    """One requirement. run: tries it on a target and says what was seen, or raises `Failed` or `NotApplicable`.

    is_advice: the clause says SHOULD: what is not so is a warning. is_slow: waits for something to expire, so it is
    tried only when asked for.
    """

    id: str
    clause: str
    title: str
    run: Callable[[Target], str]
    profiles: frozenset[str] = EVERYWHERE
    is_advice: bool = False
    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check. expected: empty unless it failed or warned. came: what was seen, or why it was skipped.

    exchanges: what was sent and what came back, without personal data and secrets.
    """

    id: str
    clause: str
    title: str
    outcome: Outcome
    expected: str
    came: str
    exchanges: tuple[Exchange, ...] = field(default=(), compare=False)


class Registry(Generic[Target]):
    """The checks for one kind of target, in the order in which they run."""

    def __init__(self) -> None:
        self.checks: list[Check[Target]] = []

    def check(
        self,
        name: str,
        clause: str,
        *,
        profiles: frozenset[str] = EVERYWHERE,
        is_advice: bool = False,
        is_slow: bool = False,
    ) -> Callable[[Callable[[Target], str]], Callable[[Target], str]]:
        """Enter a function as a check; the first line of its docstring is the title, the requirement in words.

        Raises:
            ValueError: the id is taken.
        """

        def enter(run: Callable[[Target], str]) -> Callable[[Target], str]:
            title = (run.__doc__ or name).partition("\n")[0].rstrip(".")
            self.enter(Check(name, clause, title, run, profiles, is_advice, is_slow))
            return run

        return enter

    def enter(self, check: Check[Target]) -> None:
        """Enter a check that is made of a line in a table.

        Raises:
            ValueError: the id is taken.
        """
        if any(each.id == check.id for each in self.checks):
            raise ValueError(f"two checks are called {check.id}")
        self.checks.append(check)


def tried(check: Check[Target], target: Target, *, profile: str, with_slow: bool = False) -> Result:
    """Try one check on a target under the rules of a profile."""

    def result(outcome: Outcome, expected: str, came: str) -> Result:
        seen = target.recorder.since(mark)
        return Result(check.id, check.clause, check.title, outcome, plain(expected), plain(came), seen)

    failure = Outcome.WARNED if check.is_advice else Outcome.FAILED
    mark = target.recorder.mark()
    if profile not in check.profiles:
        return result(Outcome.SKIPPED, "", f"no rule of {profile}")
    if check.is_slow and not with_slow:
        return result(Outcome.SKIPPED, "", "waits for something to expire; tried only with --slow")
    try:
        return result(Outcome.PASSED, "", check.run(target))
    except Failed as failed:
        return result(failure, failed.expected, failed.came)
    except NoAnswer as silence:
        return result(failure, "an answer", str(silence))
    except (Malformed, Refusal, InvalidAnswer, OAuthError, RequestError, DcqlError) as refusal:
        # what came breaks a rule of its form, which the reader of that form names
        return result(failure, check.title, f"{type(refusal).__name__}: {refusal}")
    except NotApplicable as reason:
        return result(Outcome.SKIPPED, "", str(reason))
    except Exception as oddity:  # noqa: BLE001 the outermost handler of a check
        # a foreign target's answer may have any shape; it must neither end the run nor drop out of it
        return result(failure, check.title, f"an answer of another shape ({type(oddity).__name__})")


def chosen(checks: Iterable[Check[Target]], only: Sequence[str]) -> tuple[Check[Target], ...]:
    """The checks whose ids are named, or all if none are; `part-*` names all that begin so."""

    def is_named(name: str) -> bool:
        return any(name == each or (each.endswith("*") and name.startswith(each[:-1])) for each in only)

    return tuple(check for check in checks if not only or is_named(check.id))
