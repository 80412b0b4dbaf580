"""DeviceEngagement: what a holder's device shows as a QR code, so that a reader can reach it (ISO/IEC 18013-5 §8.2).

It carries the device's key of this one session and the ways by which it can be reached.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.mdoc import MdocError, encoded_cbor
from specs.encoding import Malformed, base64url, cbor
from specs.encoding.cbor import CborValue
from specs.keys.cose import parse_cose_key
from specs.refusal import ReasonCode, Refusal

CIPHER_SUITE = 1  # ECDH, HKDF-SHA-256, AES-256-GCM (§9.1.5.2)
MAX_ENGAGEMENT_BYTES = 4096  # a QR code holds less than 3 KB
_SCHEME = "mdoc:"
_VERSION = re.compile(r"1\.[0-9]{1,2}")
_TAG24 = 24


@dataclass(frozen=True, slots=True)
class RetrievalMethod:
    """One way to reach the device (§8.2.1.1). type: 1 NFC, 2 Bluetooth Low Energy, 3 Wi-Fi Aware."""

    type: int
    version: int
    options: Mapping[int | str | bytes, CborValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceEngagement:
    """An engagement, taken apart. encoded: its bytes as transmitted, which both sides hash into the session."""

    encoded: bytes
    key: ec.EllipticCurvePublicKey
    methods: tuple[RetrievalMethod, ...]


def parse_engagement_link(text: str) -> DeviceEngagement:
    """Read what the QR code says: `mdoc:` and the engagement in base64url (§8.2.2.3).

    Raises:
        Refusal: another text, or an engagement that `parse_device_engagement` refuses.
    """
    if text[: len(_SCHEME)].lower() != _SCHEME:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "not an mdoc: link")
    try:
        return parse_device_engagement(base64url.decode(text[len(_SCHEME) :]))
    except Malformed as error:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, f"device engagement: {error}") from error


def parse_device_engagement(data: bytes) -> DeviceEngagement:
    """Read an engagement (§8.2.1.1): version 1.x, cipher suite 1; unknown members are ignored.

    Raises:
        Refusal: above the limit, not that structure, another version or cipher suite, a key that is none.
    """
    if len(data) > MAX_ENGAGEMENT_BYTES:
        raise Refusal(ReasonCode.LIMIT_EXCEEDED, "device engagement")
    try:
        members = cbor.decode_map(data)
    except Malformed as error:
        raise Refusal(ReasonCode.CBOR_MALFORMED, "device engagement") from error
    version = members.get(0)
    if type(version) is not str or not _VERSION.fullmatch(version):
        raise Refusal(ReasonCode.VERSION_NOT_SUPPORTED, "device engagement")
    security = members.get(1)
    if type(security) is not list or len(security) < 2:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "device engagement: security")
    if type(security[0]) is not int or security[0] != CIPHER_SUITE:
        raise Refusal(ReasonCode.ENCRYPTION_NOT_ALLOWED, "cipher suite")
    return DeviceEngagement(data, session_key(security[1]), _methods(members.get(2, [])))


def build_device_engagement(encoded_device_key: bytes, *, methods: Sequence[RetrievalMethod] = ()) -> bytes:
    """Write an engagement (§8.2.1.1). encoded_device_key: the COSE_Key of this session, as `encoded_key` writes it."""
    members: dict[int, object] = {0: "1.0", 1: [CIPHER_SUITE, cbor_tag24(encoded_device_key)]}
    if methods:
        members[2] = [[method.type, method.version, dict(method.options)] for method in methods]
    return cbor.encode(members)


def engagement_link(encoded: bytes) -> str:
    """What the QR code of an engagement says (§8.2.2.3)."""
    return _SCHEME + base64url.encode(encoded)


def session_key(value: CborValue) -> ec.EllipticCurvePublicKey:
    """The public key inside a tag 24, for one session (§9.1.1.4).

    Raises:
        Refusal: no tag 24 with a COSE_Key on a curve for key agreement.
    """
    try:
        key = parse_cose_key(cbor.decode(encoded_cbor(value)))
    except (Malformed, MdocError) as error:
        raise Refusal(ReasonCode.KEY_INVALID, "the key of the session") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Refusal(ReasonCode.KEY_INVALID, "not a key for key agreement")
    return key


def cbor_tag24(encoded: bytes) -> cbor2.CBORTag:
    """An encoding as the value that is written as #6.24(bstr)."""
    return cbor2.CBORTag(_TAG24, encoded)


def _methods(value: CborValue) -> tuple[RetrievalMethod, ...]:
    if type(value) is not list:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "device engagement: retrieval methods")
    found: list[RetrievalMethod] = []
    for entry in value:
        if type(entry) is not list or len(entry) < 3:
            raise Refusal(ReasonCode.RESPONSE_MALFORMED, "device engagement: retrieval method")
        kind, version, options = entry[:3]
        if type(kind) is not int or type(version) is not int or type(options) is not dict:
            raise Refusal(ReasonCode.RESPONSE_MALFORMED, "device engagement: retrieval method")
        found.append(RetrievalMethod(kind, version, options))
    return tuple(found)
