"""Verdicts: what one may say, what is read of one at rest, and what the wallet and the page are told."""

from dataclasses import replace

import pytest

from specs.trust.x509 import AnchorKind
from verifier import AcceptedCredential, Check, Discarded, ReasonCode, Receipt, Verdict
from verifier.outcome import Outcome, outcome_from_bytes, outcome_to_bytes
from verifier.question import refusal_receipt, with_code
from verifier.verdict import Refused, refused

ACCEPTED = AcceptedCredential(
    query_id="pid",
    format="dc+sd-jwt",
    type="urn:eudi:pid:de:1",
    issuer="CN=Issuer",
    trust_domain="pid",
    anchor="PID Root",
    anchor_kind=AnchorKind.CA,
    checks=(Check.SIGNATURE, Check.STATUS),
    claims={"family_name": "LÜTTGENAU", "ages": [1, None, True], "address": {"locality": "HALLE"}},
    issuer_id="VATDE-1",
)
DISCARDED = (Discarded("pid", 1, ReasonCode.STATUS_REVOKED), Discarded("other", 0, ReasonCode.NONCE_MISMATCH))
YES = Verdict(
    True,
    credentials=(
        ACCEPTED,
        replace(ACCEPTED, query_id="other", claims={}, anchor_kind=AnchorKind.LISTED, issuer_id=None),
    ),
    discarded=DISCARDED,
    over_disclosed=("birthdate",),
    unneeded=("third", "fourth"),
)
NO = refused(ReasonCode.STATUS_REVOKED, "pid[0]", discarded=DISCARDED, over_disclosed=("birthdate",))


@pytest.mark.parametrize(
    "outcome", [Outcome(YES), Outcome(NO), Outcome(refused(ReasonCode.WALLET_ERROR, "response"), "access_denied")]
)
def test_an_outcome_is_read_as_it_was_written(outcome: Outcome) -> None:
    read = outcome_from_bytes(outcome_to_bytes(outcome))
    assert read == outcome
    assert (type(read.verdict.reason), read.wallet_error) == (type(outcome.verdict.reason), outcome.wallet_error)
    for credential in read.verdict.credentials:
        assert isinstance(credential.anchor_kind, AnchorKind)
        assert all(isinstance(check, Check) for check in credential.checks)
    assert all(isinstance(entry.reason, ReasonCode) for entry in read.verdict.discarded)


@pytest.mark.parametrize(
    ("accepted", "reason", "credentials", "fits"),
    [
        (True, None, (ACCEPTED,), True),
        (True, None, (), True),
        (False, ReasonCode.NONCE_MISMATCH, (), True),
        (False, None, (), False),
        (True, ReasonCode.NONCE_MISMATCH, (), False),
        (True, ReasonCode.NONCE_MISMATCH, (ACCEPTED,), False),
        (False, ReasonCode.NONCE_MISMATCH, (ACCEPTED,), False),
        (False, None, (ACCEPTED,), False),
    ],
)
def test_a_verdict_is_yes_without_a_reason_or_no_with_one_and_without_claims(
    accepted: bool, reason: ReasonCode | None, credentials: tuple[AcceptedCredential, ...], fits: bool
) -> None:
    if fits:
        assert Verdict(accepted, credentials, reason).accepted is accepted
    else:
        with pytest.raises(ValueError, match="a verdict is accepted without a reason"):
            Verdict(accepted, credentials, reason)


def test_claims_are_had_of_the_one_credential_that_answered() -> None:
    assert (YES.claims("pid"), YES.claims("other")) == (ACCEPTED.claims, {})
    for verdict, query_id in ((YES, "third"), (NO, "pid"), (replace(YES, credentials=(ACCEPTED, ACCEPTED)), "pid")):
        with pytest.raises(LookupError):
            verdict.claims(query_id)


def test_a_refusal_says_no_where_it_arose_and_nothing_about_anybody() -> None:
    assert (NO.accepted, NO.reason, NO.where) == (False, ReasonCode.STATUS_REVOKED, "pid[0]")
    assert (NO.discarded, NO.over_disclosed, NO.credentials) == (DISCARDED, ("birthdate",), ())
    assert Refused(ReasonCode.NONCE_MISMATCH).where == "response"
    assert Refused(ReasonCode.NONCE_MISMATCH).detail == ""
    assert Refused(ReasonCode.NONCE_MISMATCH, where="pid").where == "pid"


def test_the_wallet_is_told_the_reason_as_an_error_of_oauth() -> None:
    """OpenID4VP §8.2, RFC 6749 §5.2."""
    assert refusal_receipt(ReasonCode.NONCE_MISMATCH) == Receipt(
        400, {"error": "invalid_request", "error_description": "nonce_mismatch"}
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://city.example/back", "https://city.example/back?response_code=c0de"),
        ("https://city.example/back?a=b", "https://city.example/back?a=b&response_code=c0de"),
    ],
)
def test_the_code_stands_beside_what_the_way_back_already_says(url: str, expected: str) -> None:
    assert with_code(url, "c0de") == expected
