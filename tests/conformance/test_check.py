"""How a check ends, whatever happens in it: a run goes on, and says what came."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from conformance.check import Check, Failed, NotApplicable, Outcome, Registry, chosen, tried
from conformance.exchange import NoAnswer, Recorder
from conformance.under_pytest import run_under_pytest
from specs.encoding import Malformed


@dataclass
class Nobody:
    """A target without anything."""

    recorder: Recorder = field(default_factory=Recorder)


def raising(error: BaseException) -> Callable[[Nobody], str]:
    """A check's work that ends so."""

    def run(_target: Nobody) -> str:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Failed("this", "that"), Outcome.FAILED),
        (NotApplicable("no such thing"), Outcome.SKIPPED),
        (NoAnswer("none"), Outcome.FAILED),
        (Malformed("no JSON"), Outcome.FAILED),
        (KeyError("request_uri"), Outcome.FAILED),
        (TypeError("no list"), Outcome.FAILED),
        (OverflowError("a date beyond the calendar"), Outcome.FAILED),
        (OSError("no such file"), Outcome.FAILED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_end_is_an_outcome(error: Exception, outcome: Outcome) -> None:
    result = tried(Check("a", "§1", "It holds", raising(error)), Nobody(), profile="plain-1.0")
    assert result.outcome is outcome
    assert result.came
    assert bool(result.expected) is (outcome is Outcome.FAILED)


def test_what_a_target_says_is_fit_for_a_terminal() -> None:
    check = Check("a", "§1", "It holds", raising(Failed("an error", "400 \x1b[2Jno error")))
    assert tried(check, Nobody(), profile="plain-1.0").came == "400 �[2Jno error"


def test_no_check_drops_out_of_a_run() -> None:
    """An error that nobody foresaw ended the item alone: the report lacked the check and called the target good."""
    checks = [
        Check("a", "§1", "It holds", lambda _target: "it does"),
        Check("b", "§2", "It holds, too", raising(ArithmeticError("nobody foresaw this"))),
    ]
    report = run_under_pytest("issuer", "https://issuer.example", Nobody(), checks, profile="plain-1.0")
    assert [each.outcome for each in report.results] == [Outcome.PASSED, Outcome.FAILED]
    assert not report.is_good


def test_a_run_that_somebody_ends_is_no_report() -> None:
    """Ctrl-C left a report of the checks so far, with status 0 where none of these had failed."""
    checks = [
        Check("a", "§1", "It holds", lambda _target: "it does"),
        Check("b", "§2", "It takes long", raising(KeyboardInterrupt())),
    ]
    with pytest.raises(KeyboardInterrupt):
        run_under_pytest("issuer", "https://issuer.example", Nobody(), checks, profile="plain-1.0")


def test_advice_warns_and_what_is_slow_waits_to_be_asked_for() -> None:
    advice = Check("a", "§1", "It should", raising(Failed("this", "that")), is_advice=True)
    assert tried(advice, Nobody(), profile="plain-1.0").outcome is Outcome.WARNED
    slow: Check[Nobody] = Check("b", "§1", "It ends", lambda _target: "ended", is_slow=True)
    assert tried(slow, Nobody(), profile="plain-1.0").outcome is Outcome.SKIPPED
    assert tried(slow, Nobody(), profile="plain-1.0", with_slow=True).outcome is Outcome.PASSED


def test_checks_are_chosen_by_id_or_by_how_it_begins() -> None:
    registry: Registry[Nobody] = Registry()
    for name in ("dpop-a", "dpop-b", "par"):
        registry.enter(Check(name, "§1", name, lambda _target: ""))
    assert [check.id for check in chosen(registry.checks, ["dpop-*"])] == ["dpop-a", "dpop-b"]
    assert [check.id for check in chosen(registry.checks, ["par", "dpop-b"])] == ["dpop-b", "par"]
    assert len(chosen(registry.checks, [])) == 3
    with pytest.raises(ValueError, match="par"):
        registry.enter(Check("par", "§1", "again", lambda _target: ""))
