"""What a registration certificate says: how it is written, what may be absent, which member is wrong (TS 119 475)."""

from typing import Any

import pytest

from specs.credentials.status_list import StatusReference
from specs.refusal import ReasonCode
from specs.trust.registration_claims import (
    MAX_CREDENTIALS,
    RegisteredClaim,
    RegisteredCredential,
    Registration,
    RegistrationError,
    read_registration,
    write_registration,
)

LEAST = Registration(subject="VATDE-1", name="Stadt", entitlements=frozenset({"a"}), issued_at=1_790_000_000)
LEAST_WRITTEN: dict[str, Any] = {
    "sub": "VATDE-1",
    "name": "Stadt",
    "entitlements": ["a"],
    "iat": 1_790_000_000,
    "public_body": False,
}
MOST = Registration(
    subject="VATDE-1",
    name="Stadt",
    entitlements=frozenset({"a", "b"}),
    issued_at=1_790_000_000,
    expires_at=1_790_000_009,
    credentials=(
        RegisteredCredential(
            "dc+sd-jwt",
            ("urn:a", "urn:b"),
            (RegisteredClaim(("family_name",)), RegisteredClaim(("sizes", None, 0), ("c", "a", 1, True))),
        ),
        RegisteredCredential("mso_mdoc", ("org.example.a",)),
    ),
    provides=(RegisteredCredential("dc+sd-jwt", ("urn:pass",)),),
    purpose={"de": "Bewohnerparken"},
    privacy_policy="https://city.example/privacy",
    support_uri="https://city.example/erase",
    intermediary="VATDE-2",
    public_body=True,
    status=StatusReference("https://registrar.example/1", 4),
)
MOST_WRITTEN: dict[str, Any] = {
    "sub": "VATDE-1",
    "name": "Stadt",
    "entitlements": ["a", "b"],
    "iat": 1_790_000_000,
    "exp": 1_790_000_009,
    "credentials": [
        {
            "format": "dc+sd-jwt",
            "meta": {"vct_values": ["urn:a", "urn:b"]},
            "claim": [{"path": ["family_name"]}, {"path": ["sizes", None, 0], "values": ["c", "a", 1, True]}],
        },
        {"format": "mso_mdoc", "meta": {"doctype_value": "org.example.a"}},
    ],
    "provides_attestations": [{"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:pass"]}}],
    "purpose": [{"lang": "de", "value": "Bewohnerparken"}],
    "privacy_policy": "https://city.example/privacy",
    "support_uri": "https://city.example/erase",
    "intermediary": {"sub": "VATDE-2"},
    "public_body": True,
    "status": {"status_list": {"idx": 4, "uri": "https://registrar.example/1"}},
}
CREDENTIAL: dict[str, Any] = {"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:a"]}}


@pytest.mark.parametrize(
    ("registration", "written"), [(LEAST, LEAST_WRITTEN), (MOST, MOST_WRITTEN)], ids=["least", "most"]
)
def test_a_registration_is_written_as_the_standard_has_it_and_read_again(
    registration: Registration, written: dict[str, Any]
) -> None:
    assert write_registration(registration) == written
    assert read_registration(written) == registration


@pytest.mark.parametrize("name", sorted(MOST_WRITTEN.keys() - LEAST_WRITTEN.keys()))
def test_what_may_be_absent_may_be_null(name: str) -> None:
    assert read_registration({**LEAST_WRITTEN, name: None}) == LEAST


def test_what_else_stands_with_a_list_of_attributes_or_an_attestation_is_ignored() -> None:
    """Only for what may be asked could a list by an unknown name be one of attributes, and only where we see none."""
    asked = {**CREDENTIAL, "claim": [{"path": ["a"]}], "id": "x"}
    read = read_registration(
        {**LEAST_WRITTEN, "credentials": [asked], "provides_attestations": [{**CREDENTIAL, "id": "x"}]}
    )
    assert read.credentials == (RegisteredCredential("dc+sd-jwt", ("urn:a",), (RegisteredClaim(("a",)),)),)
    assert read.provides == (RegisteredCredential("dc+sd-jwt", ("urn:a",)),)


def test_a_certificate_names_a_hundred_credentials_and_no_more() -> None:
    assert len(read_registration({**LEAST_WRITTEN, "credentials": [CREDENTIAL] * MAX_CREDENTIALS}).credentials) == 100
    with pytest.raises(RegistrationError):
        read_registration({**LEAST_WRITTEN, "credentials": [CREDENTIAL] * (MAX_CREDENTIALS + 1)})


def credential(**members: object) -> dict[str, Any]:
    """One registered credential, written so."""
    return {"credentials": [{**CREDENTIAL, **members}]}


def claim(**members: object) -> dict[str, Any]:
    """One registered attribute, written so."""
    return credential(claim=[{"path": ["a"], **members}])


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"sub": None}, "sub"),
        ({"sub": {"id": ""}}, "sub"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"entitlements": []}, "entitlements"),
        ({"entitlements": "a"}, "entitlements"),
        ({"entitlements": [1]}, "entitlements"),
        ({"credentials": {}}, "credentials"),
        ({"credentials": ["a"]}, "credentials"),
        ({"provided_attestations": ["a"]}, "provides_attestations"),
        ({"provides_attestations": [], "provided_attestations": []}, "provides_attestations in both spellings"),
        (credential(meta=None), "meta"),
        (credential(meta={"vct_values": "urn:a"}), "vct_values"),
        (credential(meta={"vct_values": [""]}), "vct_values"),
        (credential(meta={"vct_values": []}), "a credential without a type"),
        (credential(meta={"doctype_value": 5}), "a credential without a type"),
        (credential(format=5), "format"),
        (credential(claim={}), "claim"),
        (credential(claims=["a"]), "claim"),
        (claim(path="a"), "path"),
        (claim(path=[]), "path"),
        (claim(path=[1.0]), "path"),
        (claim(path=[["a"]]), "path"),
        (claim(values={}), "values"),
        (claim(values=[None]), "values"),
        (claim(values=[1.0]), "values"),
        ({"purpose": "x"}, "purpose"),
        ({"purpose": ["x"]}, "purpose"),
        ({"purpose": [{"value": "x"}]}, "lang"),
        ({"purpose": [{"lang": "de"}]}, "content"),
        ({"privacy_policy": []}, "privacy_policy"),
        ({"privacy_policy": {}}, "privacy_policy"),
        ({"support_uri": [5]}, "support_uri"),
        ({"intermediary": "VATDE-2"}, "intermediary"),
        ({"intermediary": {"name": "x"}}, "sub"),
    ],
)
def test_a_certificate_that_cannot_be_read_is_refused_and_the_member_named(members: dict[str, Any], named: str) -> None:
    with pytest.raises(RegistrationError) as refusal:
        read_registration({**LEAST_WRITTEN, **members})
    assert (refusal.value.reason, refusal.value.detail) == (ReasonCode.REGISTRATION_MALFORMED, named)
