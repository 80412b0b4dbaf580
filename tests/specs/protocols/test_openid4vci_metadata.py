"""Issuer metadata, plain and signed: nothing is published or used that breaks the standard."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jwe import new_decryption_key
from specs.protocols.issuer_metadata import (
    CredentialConfiguration,
    IssuerMetadata,
    RequestEncryption,
    ResponseEncryptionSupport,
    build_issuer_metadata,
    build_signed_metadata,
    parse_issuer_metadata,
    verify_signed_metadata,
)
from specs.protocols.key_attestation import KeyAttestationRequirements
from specs.protocols.key_proof import ProofTypeSupport
from specs.protocols.oauth import InvalidAnswer
from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import CertificateProfile
from tests.specs.protocols.tokens import NOW, Token, wallet_provider

ISSUER = "https://issuer.example/t/leipzig"
SIGNER = wallet_provider("Issuer")
STRANGER = wallet_provider("Stranger")
PROOFS = {
    "jwt": ProofTypeSupport(("ES256",), KeyAttestationRequirements(("iso_18045_high",))),
    "attestation": ProofTypeSupport(("ES256",), KeyAttestationRequirements()),
}
METADATA = IssuerMetadata(
    credential_issuer=ISSUER,
    credential_endpoint=ISSUER + "/credential",
    configurations={
        "pass-sd-jwt": CredentialConfiguration(
            format="dc+sd-jwt",
            scope="pass-sd-jwt",
            vct="urn:example:leipzig:pass:1",
            signing_algs=("ES256",),
            binding_methods=("jwk",),
            proof_types=PROOFS,
            display=({"name": "Leipzig-Pass", "locale": "de", "logo": {"uri": "data:image/png;base64,AA"}},),
            claims=({"path": ["given_name"], "mandatory": True, "display": [{"name": "Vorname", "locale": "de"}]},),
            extra={"credential_reuse_policy": {"id": "limited_time"}},
        ),
        "pass-mdoc": CredentialConfiguration(
            format="mso_mdoc",
            scope="pass-mdoc",
            doctype="de.leipzig.pass.1",
            signing_algs=(-7, -9),
            binding_methods=("cose_key",),
            proof_types=PROOFS,
        ),
        "leaflet": CredentialConfiguration(format="dc+sd-jwt", vct="urn:example:leaflet"),
    },
    authorization_servers=(ISSUER,),
    nonce_endpoint=ISSUER + "/nonce",
    deferred_credential_endpoint=ISSUER + "/deferred",
    notification_endpoint=ISSUER + "/notification",
    request_encryption=RequestEncryption((dict(new_decryption_key("k").public_jwk()),), ("A128GCM",), ("DEF",), True),
    response_encryption=ResponseEncryptionSupport(("ECDH-ES",), ("A128GCM", "A256GCM")),
    batch_size=10,
    display=({"name": "Stadt Leipzig", "locale": "de"}, {"name": "City of Leipzig", "locale": "en"}),
    extra={"issuer_info": []},
)


def test_metadata_is_read_as_written() -> None:
    data = strict_json.dumps(build_issuer_metadata(METADATA))

    assert parse_issuer_metadata(data, expected_issuer=ISSUER) == METADATA


def test_short_metadata_has_no_empty_members() -> None:
    short = IssuerMetadata(ISSUER, ISSUER + "/credential", {})

    assert build_issuer_metadata(short) == {
        "credential_issuer": ISSUER,
        "credential_endpoint": ISSUER + "/credential",
        "credential_configurations_supported": {},
    }


def _configuration(document: JsonObject) -> JsonObject:
    entries = document["credential_configurations_supported"]
    assert isinstance(entries, dict)
    entry = entries["pass-sd-jwt"]
    assert isinstance(entry, dict)
    return entry


def _set(name: str, value: JsonValue) -> Callable[[JsonObject], None]:
    return lambda document: document.update({name: value})


def _configure(name: str, value: JsonValue) -> Callable[[JsonObject], None]:
    return lambda document: _configuration(document).update({name: value})


def _remove(name: str) -> Callable[[JsonObject], None]:
    def remove(document: JsonObject) -> None:
        del _configuration(document)[name]

    return remove


PRIVATE: JsonObject = {"kty": "oct", "k": "AA", "kid": "k", "alg": "dir"}
BROKEN: dict[str, Callable[[JsonObject], None]] = {
    "another issuer": _set("credential_issuer", ISSUER + "/"),
    "endpoint over http": _set("credential_endpoint", "http://issuer.example/c"),
    "endpoint of another form": _set("nonce_endpoint", 1),
    "no servers": _set("authorization_servers", []),
    "server with a query": _set("authorization_servers", ["https://a?b"]),
    "configurations as an array": _set("credential_configurations_supported", []),
    "batch of one": _set("batch_credential_issuance", {"batch_size": 1}),
    "batch without size": _set("batch_credential_issuance", {}),
    "one locale twice": _set("display", [{"name": "a", "locale": "de"}, {"name": "b", "locale": "de"}]),
    "no display": _set("display", []),
    "request keys missing": _set("credential_request_encryption", {"jwks": {"keys": []}}),
    "request key without kid": _set(
        "credential_request_encryption",
        {
            "jwks": {"keys": [{"kty": "EC", "alg": "ECDH-ES"}]},
            "enc_values_supported": ["A"],
            "encryption_required": True,
        },
    ),
    "request key private": _set(
        "credential_request_encryption",
        {"jwks": {"keys": [PRIVATE]}, "enc_values_supported": ["A"], "encryption_required": True},
    ),
    "response encryption without algs": _set(
        "credential_response_encryption", {"enc_values_supported": ["A"], "encryption_required": False}
    ),
    "response encryption without required": _set(
        "credential_response_encryption", {"alg_values_supported": ["A"], "enc_values_supported": ["A"]}
    ),
    "no format": _remove("format"),
    "no vct": _remove("vct"),
    "proofs without binding": _remove("cryptographic_binding_methods_supported"),
    "no proof types": _configure("proof_types_supported", {}),
    "proof type without algs": _configure("proof_types_supported", {"jwt": {}}),
    "key attestation of another form": _configure(
        "proof_types_supported",
        {"jwt": {"proof_signing_alg_values_supported": ["A"], "key_attestations_required": True}},
    ),
    "no key storage": _configure(
        "proof_types_supported",
        {"jwt": {"proof_signing_alg_values_supported": ["A"], "key_attestations_required": {"key_storage": []}}},
    ),
    "display without name": _configure("credential_metadata", {"display": [{"locale": "de"}]}),
    "logo without address": _configure("credential_metadata", {"display": [{"name": "a", "logo": {}}]}),
    "one claim twice": _configure("credential_metadata", {"claims": [{"path": ["a"]}, {"path": ["a"]}]}),
    "algorithms of another form": _configure("credential_signing_alg_values_supported", [True]),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_metadata_with_one_defect_is_not_used(defect: str) -> None:
    document = build_issuer_metadata(METADATA)
    BROKEN[defect](document)

    with pytest.raises(InvalidAnswer):
        parse_issuer_metadata(strict_json.dumps(document), expected_issuer=ISSUER)


def test_broken_metadata_is_not_published() -> None:
    with pytest.raises(InvalidAnswer):
        build_issuer_metadata(replace(METADATA, credential_endpoint="http://issuer.example/credential"))


def _verify(token: str) -> IssuerMetadata:
    return verify_signed_metadata(
        token,
        expected_issuer=ISSUER,
        anchors=SIGNER.anchors,
        now=NOW,
        profile=CertificateProfile.ATTESTER,
    )


def test_signed_metadata_is_read_as_written() -> None:
    token = build_signed_metadata(
        build_issuer_metadata(METADATA), signer=SIGNER.identity, now=NOW, lifetime=60, iss=ISSUER
    )

    assert _verify(token) == METADATA


def _signed(**claims: JsonValue) -> Token:
    document = build_issuer_metadata(METADATA)
    header: JsonObject = {"alg": "ES256", "typ": "openidvci-issuer-metadata+jwt", "x5c": SIGNER.x5c()}
    return Token(header, document | {"sub": ISSUER, "iat": NOW} | claims, SIGNER.identity.signer)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (_signed().with_header(typ="openid4vci-issuer-metadata+jwt"), ReasonCode.TYP_MISMATCH),
        (_signed().with_flipped_bit(), ReasonCode.SIGNATURE_INVALID),
        (_signed().unsigned(), ReasonCode.ALGORITHM_NOT_ALLOWED),
        (_signed().without_header("x5c"), ReasonCode.ISSUER_KEY_MISSING),
        (
            _signed().with_header(x5c=STRANGER.x5c()).signed_by(STRANGER.identity.signer),
            ReasonCode.CERTIFICATE_UNTRUSTED,
        ),
        (_signed(sub=ISSUER + "/"), ReasonCode.AUDIENCE_MISMATCH),
        (_signed().without_claim("sub"), ReasonCode.CLAIM_INVALID),
        (_signed().without_claim("iat"), ReasonCode.CLAIM_INVALID),
        (_signed(exp=NOW - 61), ReasonCode.CREDENTIAL_EXPIRED),
    ],
)
def test_signed_metadata_with_one_defect_is_refused(token: Token, reason: ReasonCode) -> None:
    assert _verify(_signed().text()) == METADATA

    with pytest.raises(Refusal) as refused:
        _verify(token.text())

    assert refused.value.reason is reason
