"""Each reason that a verdict can have is met by a test of the verifier."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from specs.refusal import ReasonCode

HERE = Path(__file__).resolve().parent

BEFORE_A_VERDICT = frozenset(
    {
        ReasonCode.RESPONSE_MALFORMED,
        ReasonCode.RESPONSE_NOT_ENCRYPTED,
        ReasonCode.RESPONSE_TOO_LARGE,
        ReasonCode.ENCRYPTION_NOT_ALLOWED,
        ReasonCode.ENCRYPTION_KEY_UNKNOWN,
        ReasonCode.DECRYPTION_FAILED,
        ReasonCode.STATE_MISMATCH,
        ReasonCode.TRANSACTION_UNKNOWN,
        ReasonCode.WALLET_ERROR,
    }
)
"""Reasons of an answer that is refused before its vp_token is known: opening it and finding its question."""

OF_REGISTRATIONS = frozenset(
    {
        ReasonCode.REGISTRATION_MALFORMED,
        ReasonCode.REGISTRATION_UNTRUSTED,
        ReasonCode.REGISTRATION_EXPIRED,
        ReasonCode.REGISTRATION_MISMATCH,
        ReasonCode.REQUEST_NOT_REGISTERED,
    }
)
"""Reasons that speak of who asks, not of an answer."""


def named_in(folder: Path) -> Iterator[str]:
    """The reasons that the tests in a folder speak of, as attributes of ReasonCode."""
    for path in folder.rglob("*.py"):
        if path.name == Path(__file__).name:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ReasonCode":
                yield node.attr


NAMED = frozenset(named_in(HERE))


@pytest.mark.parametrize(
    "reason", [reason for reason in ReasonCode if reason not in BEFORE_A_VERDICT | OF_REGISTRATIONS]
)
def test_a_reason_of_a_verdict_is_met_by_a_test_of_the_verifier(reason: ReasonCode) -> None:
    assert reason.name in NAMED
