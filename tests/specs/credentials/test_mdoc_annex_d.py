"""The keys and sessions of ISO/IEC 18013-5 Annex D fit each other, our COSE and our transcript."""

import hmac
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from specs.credentials import mdoc
from specs.credentials.mdoc_device import device_mac_key
from specs.credentials.session_transcript import proximity_transcript
from specs.encoding import cbor
from specs.keys.cose import CoseError, cose_key_from_public_key, parse_cose_key, parse_sign1, verify_sign1
from specs.keys.jose import PublicKey
from specs.refusal import ReasonCode
from tests.vectors import vectors_path

FIRST_OF_READER = bytes(8) + b"\x00\x00\x00\x01"  # §9.1.1.5: identifier of the reader, first message


def annex_d(*parts: str) -> bytes:
    return bytes.fromhex(vectors_path("mdoc", "annex_d", *parts).read_text().strip())


def map_of(data: bytes) -> dict[Any, Any]:
    return cbor.decode_map(data)


def private_key(data: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256R1())


def reader_key() -> ec.EllipticCurvePublicKey:
    inside = map_of(annex_d("session", "session_establishment.cbor"))["eReaderKey"]
    key: PublicKey = parse_cose_key(cbor.decode(mdoc.encoded_cbor(inside)))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_the_published_key_is_read_and_written() -> None:
    published = map_of(annex_d("cose_key", "ec_p256.cbor"))
    key = parse_cose_key(published)
    assert cbor.encode(cose_key_from_public_key(key)) == annex_d("cose_key", "ec_p256.cbor")


def test_the_published_signature_holds_with_its_key_only() -> None:
    published = cbor.decode(annex_d("cose", "sign1", "serialized.cbor"))
    key = private_key(annex_d("cose", "sign1", "secret_key")).public_key()
    sign1 = parse_sign1(published)

    verify_sign1(sign1, key=key)
    assert sign1.payload == b"This is the content."
    with pytest.raises(CoseError) as refusal:
        verify_sign1(sign1, key=private_key(bytes(31) + b"\x07").public_key())
    assert refusal.value.reason is ReasonCode.SIGNATURE_INVALID


def test_both_sides_of_the_published_session_share_their_secret() -> None:
    device = private_key(annex_d("session", "e_device_key.cbor"))
    assert device.exchange(ec.ECDH(), reader_key()) == annex_d("session", "shared_secret.cbor")


def test_the_key_of_a_devices_mac_comes_from_secret_and_transcript() -> None:
    """§9.1.3.5: HKDF (RFC 5869 §2) over what both sides of the published session share."""
    transcript = annex_d("session", "session_transcript.cbor")
    extracted = hmac.digest(sha256(transcript).digest(), annex_d("session", "shared_secret.cbor"), "sha256")
    key = device_mac_key(
        private_key(annex_d("session", "e_device_key.cbor")),
        reader_key(),
        session_transcript=mdoc.encoded_cbor(cbor.decode(transcript)),
    )
    assert key == hmac.digest(extracted, b"EMacKey\x01", "sha256")


def test_the_published_engagement_names_the_devices_key() -> None:
    engagement, _, _ = _transcript()
    security = map_of(mdoc.encoded_cbor(engagement))[1]
    device = private_key(annex_d("session", "e_device_key.cbor")).public_key()
    assert parse_cose_key(cbor.decode(mdoc.encoded_cbor(security[1]))) == device


def test_the_published_transcript_holds_the_readers_key_as_it_was_sent() -> None:
    _, key, _ = _transcript()
    assert key == map_of(annex_d("session", "session_establishment.cbor"))["eReaderKey"]


def test_the_first_published_message_opens_and_asks_for_a_licence() -> None:
    sealed = map_of(annex_d("session", "session_establishment.cbor"))["data"]
    gcm = AESGCM(annex_d("session", "reader_session_key.cbor"))
    request = map_of(gcm.decrypt(FIRST_OF_READER, sealed, None))
    asked = map_of(mdoc.encoded_cbor(request["docRequests"][0]["itemsRequest"]))
    assert (request["version"], asked["docType"]) == ("1.0", "org.iso.18013.5.1.mDL")
    with pytest.raises(InvalidTag):
        gcm.decrypt(bytes(7) + b"\x01" + FIRST_OF_READER[8:], sealed, None)  # the device's side of the exchange


def test_the_transcript_changes_with_each_of_its_parts() -> None:
    """A QR code instead of NFC, no request message, other engagement or reader bytes: another session each."""
    engagement, key, handover = _transcript()
    parts = (mdoc.encoded_cbor(engagement), mdoc.encoded_cbor(key))
    select, request = handover
    made = {
        proximity_transcript(device_engagement=first, reader_key=second, nfc_handover=nfc)
        for first, second in (parts, (parts[0] + b"\x00", parts[1]), (parts[0], parts[1] + b"\x00"))
        for nfc in (None, (select, None), (select, request), (request, select))
    }
    assert len(made) == 12
    by_qr = cbor2.loads(proximity_transcript(device_engagement=parts[0], reader_key=parts[1]))
    assert list(by_qr) == [engagement, key, None]


def _transcript() -> tuple[Any, Any, Any]:
    first, second, third = cbor2.loads(mdoc.encoded_cbor(cbor.decode(annex_d("session", "session_transcript.cbor"))))
    return first, second, third
