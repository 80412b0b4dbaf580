"""`org-iso-mdoc`: an mdoc through a browser's Digital Credentials API (ISO/IEC TS 18013-7 Annex C).

The page hands the browser a DeviceRequest and a fresh key; the DeviceResponse comes back under HPKE, sealed to that key
and to the transcript, which names the page's origin.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from specs.encoding import Malformed, base64url, cbor
from specs.encoding.cbor import CborValue
from specs.encoding.strict_json import JsonObject
from specs.keys.cose import cose_key_from_public_key, parse_cose_key
from specs.protocols.proximity.session import MAX_MESSAGE_BYTES
from specs.refusal import ReasonCode, Refusal

PROTOCOL = "org-iso-mdoc"  # the name a page asks for, and the browser answers with
MIN_NONCE_BYTES = 16
_NAME = "dcapi"
_ENC_SIZE = 65  # an uncompressed point of P-256 (RFC 9180 §7.1.1)
_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


@dataclass(frozen=True, slots=True)
class EncryptionInfo:
    """To whom an answer is sealed. text: base64url as sent, which both sides hash into the transcript."""

    text: str
    nonce: bytes
    key: ec.EllipticCurvePublicKey


def build_encryption_info(key: ec.EllipticCurvePublicKey, *, nonce: bytes) -> str:
    """EncryptionInfo as base64url text (C.2). nonce: fresh, at least 16 bytes.

    Raises:
        ValueError: the nonce is shorter, or the key not on P-256.
    """
    if len(nonce) < MIN_NONCE_BYTES or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("a nonce of 16 bytes or more and a key on P-256")
    return base64url.encode(cbor.encode([_NAME, {"nonce": nonce, "recipientPublicKey": cose_key_from_public_key(key)}]))


def parse_encryption_info(text: str) -> EncryptionInfo:
    """Read EncryptionInfo (C.2); unknown members are ignored.

    Raises:
        Refusal: not that structure, a nonce that is too short, a key that is not on P-256.
    """
    members = _named(text)
    nonce = members.get("nonce")
    if type(nonce) is not bytes or len(nonce) < MIN_NONCE_BYTES:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "encryptionInfo: nonce")
    key = parse_cose_key(members.get("recipientPublicKey"))
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refusal(ReasonCode.KEY_INVALID, "recipientPublicKey")
    return EncryptionInfo(text, nonce, key)


def build_request_data(device_request: bytes, *, encryption_info: str) -> JsonObject:
    """What a page gives the browser as `data` (C.2)."""
    return {"deviceRequest": base64url.encode(device_request), "encryptionInfo": encryption_info}


def parse_request_data(data: Mapping[str, object]) -> tuple[bytes, EncryptionInfo]:
    """The DeviceRequest and to whom the answer is sealed (C.2).

    Raises:
        Refusal: a member is missing or misshapen.
    """
    request, info = data.get("deviceRequest"), data.get("encryptionInfo")
    if not isinstance(request, str) or not isinstance(info, str):
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "deviceRequest, encryptionInfo")
    try:
        return base64url.decode(request), parse_encryption_info(info)
    except Malformed as error:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "deviceRequest") from error


def seal_response(device_response: bytes, *, key: ec.EllipticCurvePublicKey, session_transcript: bytes) -> JsonObject:
    """A DeviceResponse as the `data` that the browser hands back (C.3, C.4). session_transcript: encoded."""
    sealed = _SUITE.encrypt(device_response, key, session_transcript)
    return {
        "response": base64url.encode(
            cbor.encode([_NAME, {"enc": sealed[:_ENC_SIZE], "cipherText": sealed[_ENC_SIZE:]}])
        )
    }


def open_response(data: Mapping[str, object], *, key: ec.EllipticCurvePrivateKey, session_transcript: bytes) -> bytes:
    """The DeviceResponse of an answer (C.3, C.4).

    Raises:
        Refusal: a member is missing or misshapen, above the limit, sealed to another key, nonce or origin.
    """
    text = data.get("response")
    if not isinstance(text, str):
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "response")
    if len(text) * 3 // 4 > MAX_MESSAGE_BYTES:
        raise Refusal(ReasonCode.RESPONSE_TOO_LARGE, "response")
    members = _named(text)
    enc, sealed = members.get("enc"), members.get("cipherText")
    if type(enc) is not bytes or len(enc) != _ENC_SIZE or type(sealed) is not bytes:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "enc, cipherText")
    try:
        return _SUITE.decrypt(enc + sealed, key, session_transcript)
    except InvalidTag as error:
        raise Refusal(ReasonCode.DECRYPTION_FAILED, "response") from error


def _named(text: str) -> Mapping[int | str | bytes, CborValue]:
    """The map beside the name `dcapi` in an array of two, in base64url."""
    try:
        value = cbor.decode(base64url.decode(text))
    except Malformed as error:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, str(error)) from error
    if type(value) is not list or len(value) != 2 or value[0] != _NAME or type(value[1]) is not dict:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "not the structure of Annex C")
    return value[1]
