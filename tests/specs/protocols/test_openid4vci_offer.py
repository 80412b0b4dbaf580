"""Credential offers: links and pictures that anybody can make."""

import pytest

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.credential_offer import (
    CredentialOffer,
    OfferedAuthorizationCode,
    OfferedPreAuthorizedCode,
    OfferReference,
    TxCode,
    build_credential_offer,
    chosen_authorization_server,
    offer_link,
    offer_reference_link,
    parse_credential_offer,
    parse_offer_link,
)
from specs.protocols.oauth import InvalidAnswer

ISSUER = "https://issuer.example/t/leipzig"
OFFER = CredentialOffer(
    ISSUER,
    ("leipzig_pass-sd-jwt", "leipzig_pass-mdoc"),
    OfferedAuthorizationCode("state"),
    OfferedPreAuthorizedCode("code", TxCode("numeric", 6, "Kommt per Brief: ü & ?")),
)
PRE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"


@pytest.mark.parametrize("endpoint", ["openid-credential-offer://", "haip-vci://", "https://wallet.example/offer?a=b"])
def test_offer_in_a_link_is_read_as_written(endpoint: str) -> None:
    assert parse_offer_link(offer_link(OFFER, endpoint=endpoint)) == OFFER


def test_reference_in_a_link_is_read_as_written() -> None:
    link = offer_reference_link(ISSUER + "/offers/1?a=b")

    assert link.startswith("openid-credential-offer://?credential_offer_uri=https%3A%2F%2F")
    assert parse_offer_link(link) == OfferReference(ISSUER + "/offers/1?a=b")


def test_offer_has_no_member_that_the_standard_does_not_know() -> None:
    assert build_credential_offer(CredentialOffer(ISSUER, ("a",))) == {
        "credential_issuer": ISSUER,
        "credential_configuration_ids": ["a"],
    }


def test_loopback_offer_needs_permission() -> None:
    local = CredentialOffer("http://127.0.0.1:8701/t/x", ("a",))

    assert parse_offer_link(offer_link(local), allow_loopback_http=True) == local
    with pytest.raises(InvalidAnswer):
        parse_offer_link(offer_link(local))


@pytest.mark.parametrize(
    "link",
    [
        "",
        "openid-credential-offer://",
        "openid-credential-offer://?credential_offer=%7B%7D",
        "openid-credential-offer://?credential_offer=x",
        "openid4vp://?credential_offer_uri=https%3A%2F%2Fh",
        "http://wallet.example/?credential_offer_uri=https%3A%2F%2Fh",
        "openid-credential-offer://?credential_offer_uri=http%3A%2F%2Fh",
        "openid-credential-offer://?credential_offer_uri=file%3A%2F%2F%2Fetc",
        "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fh&credential_offer=%7B%7D",
        "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fh&credential_offer_uri=https%3A%2F%2Fi",
        "openid-credential-offer://?credential_offer=" + "a" * 100_000,
        "openid-credential-offer://[?credential_offer_uri=https%3A%2F%2Fh",
    ],
)
def test_other_link_is_refused(link: str) -> None:
    with pytest.raises(InvalidAnswer):
        parse_offer_link(link)


@pytest.mark.parametrize(
    "changes",
    [
        {"credential_issuer": None},
        {"credential_issuer": "http://issuer.example"},
        {"credential_issuer": ISSUER + "?q"},
        {"credential_configuration_ids": []},
        {"credential_configuration_ids": ["a", "a"]},
        {"credential_configuration_ids": [1]},
        {"credential_configuration_ids": "a"},
        {"grants": []},
        {"grants": {PRE: {}}},
        {"grants": {PRE: {"pre-authorized_code": 1}}},
        {"grants": {PRE: {"pre-authorized_code": "c", "tx_code": True}}},
        {"grants": {PRE: {"pre-authorized_code": "c", "tx_code": {"input_mode": "voice"}}}},
        {"grants": {PRE: {"pre-authorized_code": "c", "tx_code": {"length": "6"}}}},
        {"grants": {PRE: {"pre-authorized_code": "c", "tx_code": {"description": "a" * 301}}}},
        {"grants": {"authorization_code": 1}},
        {"grants": {"authorization_code": {"issuer_state": 1}}},
    ],
)
def test_offer_with_one_defect_is_not_used(changes: JsonObject) -> None:
    valid = build_credential_offer(OFFER)
    assert parse_credential_offer(strict_json.dumps(valid | {"unknown": 1})) == OFFER

    with pytest.raises(InvalidAnswer):
        parse_credential_offer(strict_json.dumps(valid | changes))


def test_unknown_grants_are_passed_over_and_an_empty_tx_code_counts() -> None:
    grants: JsonObject = {"urn:x": 1, PRE: {"pre-authorized_code": "c", "tx_code": {}, "interval": 5}}

    offer = parse_credential_offer(strict_json.dumps(build_credential_offer(OFFER) | {"grants": grants}))

    assert offer.pre_authorized_code == OfferedPreAuthorizedCode("c", TxCode())
    assert offer.authorization_code is None


def test_authorization_server_is_one_that_the_issuer_names() -> None:
    named = OfferedAuthorizationCode(authorization_server="https://b")

    assert chosen_authorization_server(None, credential_issuer=ISSUER, authorization_servers=()) == ISSUER
    assert (
        chosen_authorization_server(named, credential_issuer=ISSUER, authorization_servers=("https://a", "https://b"))
        == "https://b"
    )
    with pytest.raises(InvalidAnswer):
        chosen_authorization_server(named, credential_issuer=ISSUER, authorization_servers=())
