"""`org-iso-mdoc`: what a page sends and gets back, for one key and one origin (ISO/IEC TS 18013-7 Annex C)."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from specs.credentials.session_transcript import iso_mdoc_dc_api_transcript
from specs.encoding import base64url, cbor
from specs.keys.cose import cose_key_from_public_key
from specs.protocols.iso_mdoc_dc_api import (
    build_encryption_info,
    build_request_data,
    open_response,
    parse_encryption_info,
    parse_request_data,
    seal_response,
)
from specs.protocols.proximity.session import MAX_MESSAGE_BYTES
from specs.refusal import ReasonCode, Refusal

KEY = ec.derive_private_key(5, ec.SECP256R1())
NONCE = bytes(range(16))
INFO = build_encryption_info(KEY.public_key(), nonce=NONCE)
ORIGIN = "https://city.example"
TRANSCRIPT = iso_mdoc_dc_api_transcript(encryption_info=INFO, origin=ORIGIN)
Data = dict[str, object]


def reason_of(call: Callable[[], object]) -> ReasonCode:
    with pytest.raises(Refusal) as refusal:
        call()
    return refusal.value.reason


def encoded(value: object) -> str:
    return base64url.encode(cbor.encode(value))


def test_a_page_is_understood_by_a_wallet_and_back() -> None:
    request, info = parse_request_data(build_request_data(b"request", encryption_info=INFO))
    assert (request, info.text, info.nonce, info.key) == (b"request", INFO, NONCE, KEY.public_key())
    answer = seal_response(b"response", key=info.key, session_transcript=TRANSCRIPT)
    assert open_response(answer, key=KEY, session_transcript=TRANSCRIPT) == b"response"


def test_each_answer_is_sealed_anew() -> None:
    first, second = (seal_response(b"response", key=KEY.public_key(), session_transcript=TRANSCRIPT) for _ in "12")
    assert first != second


@pytest.mark.parametrize(
    ("key", "info", "origin"),
    [
        (ec.derive_private_key(6, ec.SECP256R1()), INFO, ORIGIN),
        (KEY, build_encryption_info(KEY.public_key(), nonce=bytes(16)), ORIGIN),
        (KEY, INFO, "https://other.example"),
    ],
    ids=["another key", "another nonce", "another origin"],
)
def test_an_answer_opens_for_its_own_question_only(key: ec.EllipticCurvePrivateKey, info: str, origin: str) -> None:
    answer = seal_response(b"response", key=KEY.public_key(), session_transcript=TRANSCRIPT)
    transcript = iso_mdoc_dc_api_transcript(encryption_info=info, origin=origin)
    assert (
        reason_of(lambda: open_response(answer, key=key, session_transcript=transcript)) is ReasonCode.DECRYPTION_FAILED
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": b"bytes"}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": "not base64url!"}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(["dcapi"])}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded("dcapi")}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(5)}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(["dcapi", []])}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(["dcapi", {"enc": "A" * 65, "cipherText": b""}])}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(["dcapi", {"cipherText": b""}])}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(["other", {"enc": bytes(65), "cipherText": b""}])}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(["dcapi", {"enc": bytes(64), "cipherText": b""}])}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(["dcapi", {"enc": bytes(65)}])}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": encoded(["dcapi", {"enc": bytes(65), "cipherText": b""}])}, ReasonCode.DECRYPTION_FAILED),
        ({"response": base64url.encode(bytes(MAX_MESSAGE_BYTES))}, ReasonCode.RESPONSE_MALFORMED),
        ({"response": base64url.encode(bytes(MAX_MESSAGE_BYTES + 1))}, ReasonCode.RESPONSE_TOO_LARGE),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_answer_with_one_defect_is_refused(data: Data, reason: ReasonCode) -> None:
    assert reason_of(lambda: open_response(data, key=KEY, session_transcript=TRANSCRIPT)) is reason


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"recipientPublicKey": cose_key_from_public_key(KEY.public_key())}, ReasonCode.RESPONSE_MALFORMED),
        (
            {"nonce": bytes(15), "recipientPublicKey": cose_key_from_public_key(KEY.public_key())},
            ReasonCode.RESPONSE_MALFORMED,
        ),
        ({"nonce": NONCE}, ReasonCode.KEY_INVALID),
        (
            {
                "nonce": NONCE,
                "recipientPublicKey": cose_key_from_public_key(ed25519.Ed25519PrivateKey.generate().public_key()),
            },
            ReasonCode.KEY_INVALID,
        ),
        (
            {
                "nonce": NONCE,
                "recipientPublicKey": cose_key_from_public_key(ec.generate_private_key(ec.SECP384R1()).public_key()),
            },
            ReasonCode.KEY_INVALID,
        ),
    ],
)
def test_encryption_info_with_one_defect_is_refused(members: Data, reason: ReasonCode) -> None:
    assert reason_of(lambda: parse_encryption_info(encoded(["dcapi", members]))) is reason


def test_a_question_without_its_parts_is_refused() -> None:
    assert reason_of(lambda: parse_request_data({"deviceRequest": "AQ"})) is ReasonCode.RESPONSE_MALFORMED
    assert reason_of(lambda: parse_request_data({"encryptionInfo": INFO})) is ReasonCode.RESPONSE_MALFORMED
    broken = {"deviceRequest": "!", "encryptionInfo": INFO}
    assert reason_of(lambda: parse_request_data(broken)) is ReasonCode.RESPONSE_MALFORMED


def test_a_page_uses_fresh_and_long_enough_values() -> None:
    assert parse_encryption_info(build_encryption_info(KEY.public_key(), nonce=NONCE)).nonce == NONCE
    with pytest.raises(ValueError, match="P-256"):
        build_encryption_info(ec.derive_private_key(5, ec.SECP384R1()).public_key(), nonce=NONCE)
    with pytest.raises(ValueError, match="16 bytes"):
        build_encryption_info(KEY.public_key(), nonce=bytes(15))
