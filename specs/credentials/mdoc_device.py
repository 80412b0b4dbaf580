"""The holder's side of an mdoc: proof that its device answers, in this exchange, and for this document.

ISO/IEC 18013-5 §9.1.3: DeviceAuthentication by signature or MAC; §8.3.2.1.2.2: the DeviceResponse that carries it.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from specs.credentials import mdoc_raw
from specs.credentials.mdoc import (
    DEFAULT_LIMITS,
    Document,
    IssuedElements,
    IssuerSigned,
    MdocError,
    MdocLimits,
    Mso,
    encoded_cbor,
    parse_item,
)
from specs.encoding import Malformed, cbor
from specs.encoding.cbor import CborMap, CborValue
from specs.keys.cose import ALG, CoseError, build_mac0, build_sign1, parse_mac0, parse_sign1, verify_mac0, verify_sign1
from specs.keys.jose import PublicKey
from specs.keys.signer import Signer
from specs.refusal import ReasonCode

_CONTEXT = b"\x84\x74DeviceAuthentication"  # an array of four that begins with this text
_NO_NAME_SPACES = b"\xa0"
_AS_MEMBER = b"jnameSpaces"  # the member's name, before its value
_MAC_KEY_SIZE = 32


class DeviceAuthMethod(StrEnum):
    """How the device authenticated itself (§9.1.3.2)."""

    SIGNATURE = "signature"
    MAC = "mac"


class DeviceAuthenticated(NamedTuple):
    """The device answered in this session; `claims` are what it signed itself and was authorized to.

    alg: COSE number of the signature's algorithm as it was sent; None after a MAC, which knows only one.
    """

    method: DeviceAuthMethod
    claims: dict[str, dict[str, CborValue]]
    alg: int | None = None


def verify_device_auth(
    document: Document,
    mso: Mso,
    *,
    session_transcript: bytes,
    mac_key: ec.EllipticCurvePrivateKey | None = None,
    limits: MdocLimits = DEFAULT_LIMITS,
) -> DeviceAuthenticated:
    """Check that the device whose key the MSO names made this answer in this session (§9.1.3).

    session_transcript: the encoded array that this verifier built itself (`session_transcript`). mac_key: our private
    key that a MAC was made for; None if we offered none.

    Raises:
        MdocError: no or misshapen device authentication, both kinds at once, another key, session or document, a MAC
            that we can't have asked for, or elements that this key may not sign.
        CoseError: the COSE structure is misshapen or its algorithm is not the key's.
    """
    signed = document.device_signed
    if type(signed) is not dict:
        raise MdocError(ReasonCode.DEVICE_AUTHENTICATION_MISSING, "deviceSigned")
    name_spaces = encoded_cbor(signed.get("nameSpaces"))
    auth = signed.get("deviceAuth")
    if type(auth) is not dict:
        raise MdocError(ReasonCode.DEVICE_AUTHENTICATION_MISSING, "deviceAuth")
    encoded, source = cbor.tag24(name_spaces), document.issuer_signed.source
    if _AS_MEMBER + encoded not in source:  # longer heads than needed were sent: sign what was sent
        encoded = mdoc_raw.part(source, "documents", document.position, "deviceSigned", "nameSpaces") or encoded
    payload = device_authentication_bytes(session_transcript, document.doc_type, encoded)
    method, alg = _verify(auth, payload, mso.device_key, session_transcript, mac_key)
    if name_spaces == _NO_NAME_SPACES:
        return DeviceAuthenticated(method, {}, alg)
    return DeviceAuthenticated(method, _device_elements(name_spaces, mso, limits), alg)


def all_elements(issued: IssuedElements, device: DeviceAuthenticated) -> dict[str, dict[str, CborValue]]:
    """The claims of both signers; what the device signed never replaces what the issuer signed.

    Raises:
        MdocError: both signed the same element.
    """
    if not device.claims:
        return issued.claims
    merged = {name_space: dict(elements) for name_space, elements in issued.claims.items()}
    for name_space, elements in device.claims.items():
        into = merged.setdefault(name_space, {})
        if not into.keys().isdisjoint(elements):
            raise MdocError(ReasonCode.ELEMENT_REPEATED, "signed by issuer and device")
        into.update(elements)
    return merged


def device_authentication_bytes(session_transcript: bytes, doc_type: str, name_spaces: bytes) -> bytes:
    """DeviceAuthenticationBytes, the detached payload of signature and MAC (§9.1.3.4).

    session_transcript, name_spaces: encoded; the latter with its tag 24, as sent.
    """
    text = doc_type.encode("utf-8")
    return cbor.tag24(b"".join((_CONTEXT, session_transcript, cbor.head(3, len(text)), text, name_spaces)))


def device_mac_key(
    private_key: ec.EllipticCurvePrivateKey, public_key: PublicKey, *, session_transcript: bytes
) -> bytes:
    """EMacKey: 32 bytes that only this device and this reader can compute (§9.1.3.5).

    Raises:
        MdocError: the two keys are not of one curve.
    """
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or public_key.curve.name != private_key.curve.name:
        raise MdocError(ReasonCode.DEVICE_AUTHENTICATION_INVALID, "keys of different curves")
    salt = sha256(cbor.tag24(session_transcript)).digest()
    return HKDF(SHA256(), _MAC_KEY_SIZE, salt, b"EMacKey").derive(private_key.exchange(ec.ECDH(), public_key))


def build_device_response(documents: Collection[bytes]) -> bytes:
    """A DeviceResponse of documents that `build_document` made (§8.3.2.1.2.2); OpenID4VP with HAIP: one in each."""
    return b"".join((b"\xa3gversionc1.0idocuments", cbor.head(4, len(documents)), *documents, b"fstatus\x00"))


def build_document(
    issuer_signed: IssuerSigned,
    *,
    doc_type: str,
    disclose: Collection[tuple[str, str]],
    session_transcript: bytes,
    device_key: Signer | ec.EllipticCurvePrivateKey,
    reader_key: ec.EllipticCurvePublicKey | None = None,
    device_claims: Mapping[str, Mapping[str, object]] | None = None,
) -> bytes:
    """One document of a response: the chosen elements, byte for byte as the issuer made them, and the device's proof.

    disclose: name space and element of each that is shown. device_key: a signer for a signature; a private key, with
    reader_key, for a MAC (§9.1.3.5). device_claims: what the device states itself, by name space and element.

    Raises:
        MdocError: an element that the credential does not have; a MAC without the reader's key.
    """
    name_spaces = cbor.tag24(cbor.encode(device_claims or {}))
    payload = device_authentication_bytes(session_transcript, doc_type, name_spaces)
    if isinstance(device_key, ec.EllipticCurvePrivateKey):
        if reader_key is None:
            raise MdocError(ReasonCode.DEVICE_MAC_NOT_ALLOWED, "no key of the reader")
        key = device_mac_key(device_key, reader_key, session_transcript=session_transcript)
        auth: dict[str, object] = {"deviceMac": build_mac0(payload, key=key, detached=True)}
    else:
        auth = {"deviceSignature": build_sign1(payload, signer=device_key, detached=True)}
    doc = doc_type.encode("utf-8")
    return b"".join(
        (
            b"\xa3gdocType",
            cbor.head(3, len(doc)),
            doc,
            b"lissuerSigned",
            _select(issuer_signed, frozenset(disclose)),
            b"ldeviceSigned\xa2jnameSpaces",
            name_spaces,
            b"jdeviceAuth",
            cbor.encode(auth),
        )
    )


def _verify(
    auth: CborMap,
    payload: bytes,
    key: PublicKey,
    session_transcript: bytes,
    mac_key: ec.EllipticCurvePrivateKey | None,
) -> tuple[DeviceAuthMethod, int | None]:
    signature, mac = auth.get("deviceSignature"), auth.get("deviceMac")
    if signature is None and mac is None:
        raise MdocError(ReasonCode.DEVICE_AUTHENTICATION_MISSING, "deviceAuth")
    if "deviceSignature" in auth and "deviceMac" in auth:
        raise MdocError(ReasonCode.DEVICE_AUTHENTICATION_INVALID, "signature and MAC at once")
    try:
        if mac is None:
            sign1 = parse_sign1(signature)
            _demand_detached(sign1.payload)
            verify_sign1(sign1, key=key, detached_payload=payload)
            number = sign1.protected_header[ALG]
            assert type(number) is int  # `parse_sign1` knows it
            return DeviceAuthMethod.SIGNATURE, number
        if mac_key is None:
            raise MdocError(ReasonCode.DEVICE_MAC_NOT_ALLOWED)
        mac0 = parse_mac0(mac)
        _demand_detached(mac0.payload)
        shared = device_mac_key(mac_key, key, session_transcript=session_transcript)
        verify_mac0(mac0, key=shared, detached_payload=payload)
    except CoseError as error:
        if error.reason is ReasonCode.SIGNATURE_INVALID:
            raise MdocError(ReasonCode.DEVICE_AUTHENTICATION_INVALID, error.detail) from error
        raise
    return DeviceAuthMethod.MAC, None


def _demand_detached(payload: bytes | None) -> None:
    if payload is not None:
        raise MdocError(ReasonCode.DEVICE_AUTHENTICATION_INVALID, "the payload is not detached")


def _device_elements(name_spaces: bytes, mso: Mso, limits: MdocLimits) -> dict[str, dict[str, CborValue]]:
    try:
        found = cbor.decode_map(name_spaces, max_depth=limits.max_depth)
    except Malformed as error:
        raise MdocError(ReasonCode.CBOR_MALFORMED, "DeviceNameSpaces") from error
    claims: dict[str, dict[str, CborValue]] = {}
    for name_space, elements in found.items():
        if type(name_space) is not str or type(elements) is not dict or not elements:
            raise MdocError(ReasonCode.MDOC_MALFORMED, "DeviceNameSpaces")
        signed: dict[str, CborValue] = {}
        for element, value in elements.items():
            if type(element) is not str:
                raise MdocError(ReasonCode.MDOC_MALFORMED, "DeviceNameSpaces")
            if not mso.key_authorizations.allows(name_space, element):
                raise MdocError(ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED)
            signed[element] = value
        claims[name_space] = signed
    return claims


def _select(issuer_signed: IssuerSigned, disclose: frozenset[tuple[str, str]]) -> bytes:
    """The encoding of an IssuerSigned with the chosen items only."""
    as_received = issuer_signed.items_as_received()
    chosen: list[bytes] = []
    found: set[tuple[str, str]] = set()
    for name_space, items in issuer_signed.name_spaces.items():
        selected: list[bytes] = []
        for inner, encoded in zip(items, as_received[name_space], strict=True):
            place = (name_space, parse_item(inner)[0])
            if place in disclose:
                selected.append(encoded)
                found.add(place)
        if selected:
            chosen += [cbor.encode(name_space), cbor.head(4, len(selected)), *selected]
    if found != disclose:
        raise MdocError(ReasonCode.CLAIMS_MISSING, "an element that this credential does not have")
    count = sum(1 for name_space in issuer_signed.name_spaces if any(place[0] == name_space for place in found))
    sign1 = issuer_signed.issuer_auth
    auth = cbor.encode([sign1.protected, sign1.unprotected, sign1.payload, sign1.signature])
    if not count:
        return b"\xa1jissuerAuth" + auth
    return b"".join((b"\xa2jnameSpaces", cbor.head(5, count), *chosen, b"jissuerAuth", auth))
