"""What a holder agreed to in the key binding: these entries, in this order, by an offered algorithm (§B.3.3)."""

from dataclasses import replace

import pytest

from specs.protocols.openid4vp.transaction_data import build_transaction_data, hash_transaction_data
from tests.verifier.sd_presentation import Prepare, SdPresentation, bound_to, dcql, valid_presentation
from tests.verifier.world import VCT, World
from verifier import Check, ReasonCode

MISMATCH = ReasonCode.TRANSACTION_DATA_MISMATCH
FEE = build_transaction_data("urn:stadt:fee", credential_ids=["pid"], members={"amount": "12.00 EUR"})
CONSENT = build_transaction_data("urn:stadt:consent", credential_ids=["pid"], members={"text": "yes"})
SHARED = build_transaction_data("urn:stadt:fee", credential_ids=["pid", "other"], members={"amount": "3.00 EUR"})
SHARED_TOO = build_transaction_data("urn:stadt:fee", credential_ids=["pid", "other"], members={"amount": "4.00 EUR"})
OFFERED = build_transaction_data(
    "urn:stadt:fee", credential_ids=["pid"], members={"transaction_data_hashes_alg": ["sha-384", "sha-256"]}
)
IDS = ("pid", "other")
HASHES, ALG = "transaction_data_hashes", "transaction_data_hashes_alg"


@pytest.fixture(scope="module")
def shown() -> SdPresentation:
    return valid_presentation(World())


def of_two(shown: SdPresentation) -> SdPresentation:
    """The question asks for one of two credentials, of which one is shown."""
    asked = [
        {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [{"path": ["family_name"]}]}
        for name in IDS
    ]
    return replace(shown, query=dcql({"credentials": asked, "credential_sets": [{"options": [["pid"], ["other"]]}]}))


@pytest.mark.parametrize(
    ("entries", "alg"),
    [((FEE,), None), ((FEE, CONSENT), None), ((FEE,), "sha-256"), ((OFFERED,), "sha-384"), ((OFFERED,), "sha-256")],
)
def test_what_was_agreed_to_is_confirmed(entries: tuple[str, ...], alg: str | None, shown: SdPresentation) -> None:
    verdict = bound_to(shown, *entries, alg=alg).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert Check.TRANSACTION_DATA in verdict.credentials[0].checks


def test_without_transaction_data_nothing_is_said_to_be_confirmed(shown: SdPresentation) -> None:
    assert Check.TRANSACTION_DATA not in shown.judged().credentials[0].checks


@pytest.mark.parametrize(
    ("entries", "alg", "change"),
    [
        ((FEE,), None, lambda bound: bound.holder_lacking(HASHES)),
        ((FEE,), None, lambda bound: bound.holder_saying(**{HASHES: []})),
        ((FEE,), None, lambda bound: bound.holder_saying(**{HASHES: {hash_transaction_data(FEE): 1}})),
        ((FEE,), None, lambda bound: bound.holder_saying(**{HASHES: [hash_transaction_data(CONSENT)]})),
        ((FEE, CONSENT), None, lambda bound: bound.holder_saying(**{HASHES: [hash_transaction_data(FEE)]})),
        (
            (FEE, CONSENT),
            None,
            lambda bound: bound.holder_saying(**{HASHES: [hash_transaction_data(CONSENT), hash_transaction_data(FEE)]}),
        ),
        ((FEE,), None, lambda bound: bound.holder_saying(**{HASHES: [hash_transaction_data(FEE)] * 2})),
        ((FEE,), None, lambda bound: bound.holder_saying(**{HASHES: [hash_transaction_data(FEE), "another"]})),
        ((FEE,), None, lambda bound: bound.holder_saying(**{ALG: 256})),
        ((FEE,), None, lambda bound: bound.holder_saying(**{ALG: ["sha-256"]})),
        ((FEE,), None, lambda bound: bound.holder_saying(**{ALG: "sha-1"})),
        ((FEE,), None, lambda bound: bound.holder_saying(**{ALG: "SHA-256"})),
        ((OFFERED,), "sha-384", lambda bound: bound.holder_lacking(ALG)),
        ((OFFERED,), "sha-256", lambda bound: bound.holder_lacking(ALG)),
    ],
    ids=[
        *("none", "empty", "an object", "another's", "one of two", "another order", "twice", "one more"),
        *("number as algorithm", "list as algorithm", "unknown algorithm", "algorithm in capitals"),
        *("algorithm not said", "default algorithm not said where some were offered"),
    ],
)
def test_what_was_not_agreed_to_in_this_way_is_refused(
    entries: tuple[str, ...], alg: str | None, change: Prepare, shown: SdPresentation
) -> None:
    bound = bound_to(shown, *entries, alg=alg)
    assert bound.judged().accepted
    verdict = change(bound).judged()
    assert (verdict.reason, verdict.where) == (MISMATCH, "pid[0]")  # the presentation itself does not hold


def test_an_algorithm_that_was_not_offered_is_refused(shown: SdPresentation) -> None:
    assert bound_to(shown, OFFERED, alg="sha-384").judged().accepted
    assert bound_to(shown, OFFERED, alg="sha-512").judged().reason is MISMATCH
    assert bound_to(shown, FEE, alg="sha-384").judged().reason is MISMATCH  # nothing offered: SHA-256 alone


def test_an_entry_that_names_several_credentials_is_confirmed_by_one_that_is_shown(shown: SdPresentation) -> None:
    asked = of_two(shown)
    verdict = bound_to(asked, SHARED).judged()
    assert (verdict.accepted, Check.TRANSACTION_DATA in verdict.credentials[0].checks) == (True, True)
    assert replace(asked, transaction_data=(SHARED,)).judged().reason is MISMATCH
    one_of_two = replace(bound_to(asked, FEE), transaction_data=(FEE, SHARED))
    assert one_of_two.judged().reason is MISMATCH
    assert bound_to(asked, FEE, SHARED).judged().accepted


def test_each_of_two_that_are_shown_may_confirm_an_entry_of_its_own(shown: SdPresentation) -> None:
    """OpenID4VP §5.1: an entry that names several credentials is confirmed by one of them."""
    both = {"credentials": [{"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}} for name in IDS]}
    asked = replace(shown, query=dcql(both), transaction_data=(SHARED, SHARED_TOO))
    first, second = (bound_to(shown, entry).text() for entry in asked.transaction_data)
    verdict = replace(asked, entries=lambda _: {"pid": [first], "other": [second]}).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert all(Check.TRANSACTION_DATA in each.checks for each in verdict.credentials)
    assert replace(asked, entries=lambda _: {"pid": [first], "other": [first]}).judged().reason is MISMATCH
