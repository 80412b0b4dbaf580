"""Published mdocs: ISO/IEC 18013-5 Annex D, a stored mDL, and one real OpenID4VP answer of somebody else's wallet."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding

from specs.credentials import mdoc
from specs.credentials.mdoc_device import all_elements, verify_device_auth
from specs.credentials.session_transcript import (
    dc_api_transcript,
    iso_mdoc_dc_api_transcript,
    openid4vp_transcript,
    proximity_transcript,
)
from specs.encoding import cbor
from specs.encoding.cbor import CborValue
from specs.keys.cose import CoseError, parse_cose_key, parse_mac0, verify_mac0
from specs.keys.jose import PublicKey
from specs.refusal import ReasonCode, Refusal
from tests.vectors import vectors_path

Elements = dict[str, dict[str, CborValue]]


def hex_file(*parts: str) -> bytes:
    return bytes.fromhex(vectors_path("mdoc", *parts).read_text().strip())


def leaf_key(chain: tuple[bytes, ...]) -> PublicKey:
    key = x509.load_der_x509_certificate(chain[0]).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def member(value: CborValue, *path: str | int) -> CborValue:
    for step in path:
        assert isinstance(value, dict | list)
        value = value[step]  # type: ignore[index]
    return value


# the real answer


@dataclass(frozen=True)
class RealAnswer:
    """What the verifier of that answer knew, and what came."""

    response: bytes
    client_id: str
    nonce: str
    response_uri: str
    thumbprint: bytes | None
    root: x509.Certificate
    now: int

    def verify(self) -> Elements:
        """All steps in the verifier's order; the path is one certificate under the root."""
        document = mdoc.sole_document(mdoc.parse_device_response(self.response))
        mso = mdoc.parse_mso(document.issuer_signed)
        transcript = openid4vp_transcript(
            client_id=self.client_id,
            nonce=self.nonce,
            jwk_thumbprint=self.thumbprint,
            response_uri=self.response_uri,
        )
        device = verify_device_auth(document, mso, session_transcript=transcript)
        leaf = x509.load_der_x509_certificate(mdoc.issuer_chain(document.issuer_signed)[0])
        leaf.verify_directly_issued_by(self.root)
        mdoc.verify_issuer_signature(document.issuer_signed, key=leaf_key((leaf.public_bytes(Encoding.DER),)))
        mdoc.check_mso(
            mso,
            expected_doc_type="eu.europa.ec.eudi.pid.1",
            signer_not_before=int(leaf.not_valid_before_utc.timestamp()),
            signer_not_after=int(leaf.not_valid_after_utc.timestamp()),
            now=self.now,
        )
        return all_elements(mdoc.verify_elements(document.issuer_signed, mso), device)


@pytest.fixture
def real() -> RealAnswer:
    vector = json.loads(vectors_path("mdoc", "real", "paradym_wallet_openid4vp_1_0.json").read_text())
    return RealAnswer(
        response=bytes.fromhex(vector["device_response_hex"]),
        client_id=vector["client_id"],
        nonce=vector["nonce"],
        response_uri=vector["response_uri"],
        thumbprint=bytes.fromhex(vector["jwk_thumbprint_hex"]),
        root=x509.load_pem_x509_certificate(vector["issuer_and_root_pem"][1].encode()),
        now=int(datetime.fromisoformat(vector["now"]).timestamp()),
    )


def test_the_real_answer_of_another_wallet_holds(real: RealAnswer) -> None:
    assert real.verify() == {"eu.europa.ec.eudi.pid.1": {"given_name": "Erika", "family_name": "Mustermann"}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: replace(a, client_id=a.client_id + "x"), ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        (lambda a: replace(a, nonce=a.nonce[:-1] + "5"), ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        (lambda a: replace(a, response_uri=a.response_uri + "&x=1"), ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        (lambda a: replace(a, thumbprint=None), ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        (lambda a: replace(a, thumbprint=sha256(b"another").digest()), ReasonCode.DEVICE_AUTHENTICATION_INVALID),
        (lambda a: replace(a, now=a.now + 400 * 86400), ReasonCode.CREDENTIAL_EXPIRED),
        (lambda a: replace(a, now=a.now - 400 * 86400), ReasonCode.CREDENTIAL_NOT_YET_VALID),
        (lambda a: replace(a, response=a.response.replace(b"Erika", b"Erica")), ReasonCode.DIGEST_MISMATCH),
        (lambda a: replace(a, response=a.response + b"\x00"), ReasonCode.CBOR_MALFORMED),
    ],
    ids=["client-id", "nonce", "response-uri", "not-encrypted", "key", "later", "earlier", "value", "trailing"],
)
def test_the_real_answer_fails_when_anything_changes(
    real: RealAnswer, change: Callable[[RealAnswer], RealAnswer], reason: ReasonCode
) -> None:
    real.verify()
    with pytest.raises(Refusal) as refusal:
        change(real).verify()
    assert refusal.value.reason is reason


# Annex D


def test_the_items_of_annex_d_have_the_digests_of_its_mso() -> None:
    issuer_signed = mdoc.parse_issuer_signed(hex_file("annex_d", "issuer_signed.cbor"))
    chain = mdoc.issuer_chain(issuer_signed)
    mso = mdoc.parse_mso(issuer_signed)

    mdoc.verify_issuer_signature(issuer_signed, key=leaf_key(chain))
    elements = mdoc.verify_elements(issuer_signed, mso).claims["org.iso.18013.5.1"]

    assert mso.doc_type == "org.iso.18013.5.1.mDL"
    assert list(elements) == [
        "family_name",
        "issue_date",
        "expiry_date",
        "document_number",
        "portrait",
        "driving_privileges",
    ]
    assert elements["family_name"] == "Doe"


def test_the_values_of_annex_d_are_those_of_its_list_of_claims() -> None:
    issuer_signed = mdoc.parse_issuer_signed(hex_file("annex_d", "issuer_signed.cbor"))
    elements = mdoc.verify_elements(issuer_signed, mdoc.parse_mso(issuer_signed)).claims["org.iso.18013.5.1"]
    listed = member(cbor.decode(hex_file("annex_d", "namespaced_data.cbor")), "namespaces", "org.iso.18013.5.1")
    assert isinstance(listed, list)
    assert {member(entry, "name"): member(entry, "value") for entry in listed} == elements


def test_items_of_annex_d_whose_values_were_taken_out_have_no_digest() -> None:
    dehydrated = mdoc.parse_issuer_signed(hex_file("annex_d", "issuer_signed_dehydrated.cbor"))
    with pytest.raises(mdoc.MdocError) as refusal:
        mdoc.verify_elements(dehydrated, mdoc.parse_mso(dehydrated))
    assert refusal.value.reason is ReasonCode.DIGEST_MISMATCH


def test_a_response_with_tagged_cose_structures_is_refused() -> None:
    """The published response is one of structure only: its issuerAuth carries tag 18, which ISO/IEC 18013-5 has not."""
    with pytest.raises(CoseError) as refusal:
        mdoc.parse_device_response(hex_file("annex_d", "device_response.cbor"))
    assert refusal.value.reason is ReasonCode.COSE_MALFORMED


def test_the_mac_of_the_vectors_holds_with_its_key_only() -> None:
    mac0 = parse_mac0(cbor.decode(hex_file("annex_d", "cose", "mac0", "serialized.cbor")))
    verify_mac0(mac0, key=hex_file("annex_d", "cose", "mac0", "secret_key"))  # the whole file is the key
    with pytest.raises(CoseError):
        verify_mac0(mac0, key=b"that is the key")


def test_the_proximity_transcript_of_annex_d_is_built_byte_for_byte() -> None:
    published = hex_file("annex_d", "session", "session_transcript.cbor")
    inner = getattr(cbor.decode(published), "value", b"")
    engagement, reader_key, handover = _three(cbor.decode(inner))
    select, request = _two(handover)

    ours = proximity_transcript(
        device_engagement=mdoc.encoded_cbor(engagement),
        reader_key=mdoc.encoded_cbor(reader_key),
        nfc_handover=(select, request),
    )

    assert cbor.tag24(ours) == published


def test_the_session_key_of_annex_d_follows_from_its_transcript() -> None:
    published = hex_file("annex_d", "session", "session_transcript.cbor")
    secret = hex_file("annex_d", "session", "shared_secret.cbor")
    salt = sha256(published).digest()
    key = HKDF(SHA256(), 32, salt, b"SKReader").derive(secret)
    assert key == hex_file("annex_d", "session", "reader_session_key.cbor")


def _three(value: CborValue) -> tuple[CborValue, CborValue, CborValue]:
    assert isinstance(value, list)
    first, second, third = value
    return first, second, third


def _two(value: CborValue) -> tuple[bytes, bytes]:
    assert isinstance(value, list)
    first, second = value
    assert isinstance(first, bytes)
    assert isinstance(second, bytes)
    return first, second


# a stored mDL, as a wallet library writes it


def test_a_stored_mdl_with_large_digest_ids_holds_but_for_its_dates() -> None:
    """Signature and all digests hold; validUntil equals validFrom, which §9.1.2.4 does not allow."""
    text = vectors_path("mdoc", "isomdl", "stringified-mdl.txt").read_text().strip()
    stored = cbor.decode(base64.b64decode(text))
    items = {
        name_space: list(elements.values())
        for name_space, elements in as_map(member(stored, "namespaces")).items()
        if isinstance(elements, dict)
    }
    auth = member(stored, "issuer_auth")
    issuer_signed = mdoc.parse_issuer_signed(cbor.encode({"nameSpaces": items, "issuerAuth": auth}))
    digests = cast("dict[str, dict[int, bytes]]", member(stored, "mso", "valueDigests"))
    mso = mdoc.Mso(
        doc_type="org.iso.18013.5.1.mDL",
        digest_algorithm="SHA-256",
        value_digests=digests,
        device_key=parse_cose_key(member(stored, "mso", "deviceKeyInfo", "deviceKey")),
        key_authorizations=mdoc.NO_AUTHORIZATIONS,
        validity=mdoc.Validity(0, 0, 1),
        status=None,
    )

    mdoc.verify_issuer_signature(issuer_signed, key=leaf_key(mdoc.issuer_chain(issuer_signed)))
    elements = mdoc.verify_elements(issuer_signed, mso)

    assert len(elements.disclosed) == 49
    assert sum(map(len, digests.values())) == 65  # the others are decoys
    assert max(digests["org.iso.18013.5.1"]) > 2**30
    with pytest.raises(mdoc.MdocError) as refusal:
        mdoc.parse_mso(issuer_signed)
    assert refusal.value.reason is ReasonCode.MSO_MALFORMED


def as_map(value: CborValue) -> cbor.CborMap:
    assert isinstance(value, dict)
    return value


# the handovers printed in OpenID4VP 1.0 §B.2.6

THUMBPRINT = bytes.fromhex("4283ec927ae0f208daaa2d026a814f2b22dca52cf85ffa8f3f8626c6bd669047")
NONCE = "exc7gBkxjx1rdc9udRrveKvSsJIq80avlXeLHhGwqtA"


def test_the_redirect_handover_is_the_printed_one() -> None:
    transcript = openid4vp_transcript(
        client_id="x509_san_dns:example.com",
        nonce=NONCE,
        jwk_thumbprint=THUMBPRINT,
        response_uri="https://example.com/response",
    )
    printed = "048bc053c00442af9b8eed494cefdd9d95240d254b046b11b68013722aad38ac"
    assert cbor.decode(transcript) == [None, None, ["OpenID4VPHandover", bytes.fromhex(printed)]]


def test_the_dc_api_handover_is_the_printed_one() -> None:
    transcript = dc_api_transcript(origin="https://example.com", nonce=NONCE, jwk_thumbprint=THUMBPRINT)
    printed = "fbece366f4212f9762c74cfdbf83b8c69e371d5d68cea09cb4c48ca6daab761a"
    assert cbor.decode(transcript) == [None, None, ["OpenID4VPDCAPIHandover", bytes.fromhex(printed)]]


def test_the_handovers_hash_what_an_independent_encoder_writes() -> None:
    unencrypted = openid4vp_transcript(client_id="c" * 300, nonce="ñ", jwk_thumbprint=None, response_uri="u")
    browser = iso_mdoc_dc_api_transcript(encryption_info="gmVkY2FwaQ", origin="https://example.com")

    assert cbor.decode(unencrypted) == [
        None,
        None,
        ["OpenID4VPHandover", sha256(cbor.encode(["c" * 300, "ñ", None, "u"])).digest()],
    ]
    assert cbor.decode(browser) == [
        None,
        None,
        ["dcapi", sha256(cbor.encode(["gmVkY2FwaQ", "https://example.com"])).digest()],
    ]


def test_a_thumbprint_as_text_is_no_thumbprint() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        dc_api_transcript(origin="https://example.com", nonce=NONCE, jwk_thumbprint=b"QoPsknrg8gjaqi0C")
