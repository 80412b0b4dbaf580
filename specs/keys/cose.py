"""COSE: keys, Sign1 and Mac0 (RFC 9052, RFC 9053, RFC 9864), as ISO mdoc and status lists use them."""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

import cbor2
from cryptography.hazmat.primitives.asymmetric import ed25519

from specs.encoding import Malformed, cbor
from specs.encoding.cbor import CborMap, CborValue
from specs.keys.jose import (
    CURVE_OF_NAME,
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    JoseError,
    PublicKey,
    curve_of,
    ec_public_key,
    verify_signature,
)
from specs.keys.signer import Signer
from specs.refusal import ReasonCode, Refusal

# COSE number → the JOSE name of the same algorithm; the second of each pair is fully specified (RFC 9864)
JOSE_NAME_OF_ALG: Mapping[int, str] = {
    -7: "ES256",
    -9: "ES256",
    -35: "ES384",
    -51: "ES384",
    -36: "ES512",
    -52: "ES512",
    -8: "EdDSA",
    -19: "EdDSA",
}
ALG_OF_JOSE_NAME: Mapping[str, int] = {"ES256": -7, "ES384": -35, "ES512": -36, "EdDSA": -8, "Ed25519": -8}
HMAC_256 = 5

ALG, CRIT, CONTENT_TYPE, TYP, X5CHAIN = 1, 2, 3, 16, 33  # header labels (RFC 9052 §3.1, RFC 9596, RFC 9360)
SIGN1_TAG, MAC0_TAG = 18, 17

_KTY, _CRV, _X, _Y, _D = 1, -1, -2, -3, -4
_OKP, _EC2 = 1, 2
_EC2_CURVES: Mapping[int, str] = {1: "P-256", 2: "P-384", 3: "P-521"}
_EC2_CURVE_NUMBER = {name: number for number, name in _EC2_CURVES.items()}
_ED25519 = 6


class CoseError(Refusal):
    """A COSE key or structure does not hold."""


class CoseSign1(NamedTuple):
    """A COSE_Sign1 taken apart; nothing is believed before `verify_sign1`. `alg` is a JOSE name."""

    protected: bytes
    protected_header: CborMap
    unprotected: CborMap
    payload: bytes | None
    signature: bytes
    alg: str


@dataclass(frozen=True, slots=True)
class CoseMac0:
    """A COSE_Mac0 taken apart; nothing is believed before `verify_mac0`."""

    protected: bytes
    protected_header: CborMap
    unprotected: CborMap
    payload: bytes | None
    tag: bytes


def parse_cose_key(value: object) -> PublicKey:
    """Read a public COSE_Key: EC2 on P-256, P-384, P-521 with both coordinates, or OKP Ed25519 (RFC 9053 §7).

    Raises:
        CoseError: another kind, a private key, coordinates of another length, no point of the curve.
    """
    if not isinstance(value, dict):
        raise CoseError(ReasonCode.KEY_INVALID, "a COSE_Key is a map")
    if _D in value:
        raise CoseError(ReasonCode.KEY_INVALID, "a private key where a public one belongs")
    kty, crv, x, y = value.get(_KTY), value.get(_CRV), value.get(_X), value.get(_Y)
    if type(kty) is not int or type(crv) is not int:  # True and 1.0 are equal to 1
        raise CoseError(ReasonCode.KEY_INVALID, "key type or curve")
    try:
        if kty == _EC2 and crv in _EC2_CURVES:
            curve = CURVE_OF_NAME[_EC2_CURVES[crv]]
            if not (type(x) is bytes and type(y) is bytes and len(x) == len(y) == curve.coordinate_size):
                raise CoseError(ReasonCode.KEY_INVALID, "coordinates")
            return ec_public_key(curve, x + y)
        if kty == _OKP and crv == _ED25519 and type(x) is bytes and len(x) == 32:
            return ed25519.Ed25519PublicKey.from_public_bytes(x)
    except ValueError as error:
        raise CoseError(ReasonCode.KEY_INVALID, "not a point of the curve") from error
    raise CoseError(ReasonCode.KEY_INVALID, "key type or curve")


def cose_key_from_public_key(key: PublicKey) -> dict[int, int | bytes]:
    """Write a public key as a COSE_Key with its required members only."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {_KTY: _OKP, _CRV: _ED25519, _X: key.public_bytes_raw()}
    curve = curve_of(key)
    numbers = key.public_numbers()
    return {
        _KTY: _EC2,
        _CRV: _EC2_CURVE_NUMBER[curve.name],
        _X: numbers.x.to_bytes(curve.coordinate_size, "big"),
        _Y: numbers.y.to_bytes(curve.coordinate_size, "big"),
    }


@lru_cache(maxsize=256)
def parse_protected(protected: bytes) -> CborMap:
    """Read a serialized protected header (RFC 9052 §3); the result is shared: never change it.

    Raises:
        CoseError: not a map, or it has `crit` (we understand no critical label).
    """
    try:
        header = cbor.decode_map(protected) if protected else {}
    except Malformed as error:
        raise CoseError(ReasonCode.COSE_MALFORMED, f"protected header: {error}") from error
    if CRIT in header:
        raise CoseError(ReasonCode.CRITICAL_HEADER_UNKNOWN)
    return header


def parse_sign1(value: CborValue, *, allowed_algs: Collection[str] | None = None, tagged: bool = False) -> CoseSign1:
    """Take a COSE_Sign1 apart (RFC 9052 §4.2).

    allowed_algs: JOSE names, None for all we know. tagged: whether tag 18 must be there; else it may not.

    Raises:
        CoseError: not that structure, no protected `alg`, an algorithm that is not allowed, any `crit`.
    """
    protected, header, unprotected, payload, signature = _parse_four(value, SIGN1_TAG if tagged else None)
    number = header.get(ALG)
    alg = JOSE_NAME_OF_ALG.get(number) if type(number) is int else None
    if alg is None or (allowed_algs is not None and alg not in allowed_algs):
        raise CoseError(ReasonCode.ALGORITHM_NOT_ALLOWED)
    return CoseSign1(protected, header, unprotected, payload, signature, alg)


def parse_mac0(value: CborValue) -> CoseMac0:
    """Take an untagged COSE_Mac0 apart (RFC 9052 §6.2); HMAC 256/256 only.

    Raises:
        CoseError: not that structure, another algorithm, any `crit`.
    """
    protected, header, unprotected, payload, tag = _parse_four(value, None)
    number = header.get(ALG)
    if type(number) is not int or number != HMAC_256:
        raise CoseError(ReasonCode.ALGORITHM_NOT_ALLOWED)
    return CoseMac0(protected, header, unprotected, payload, tag)


def _parse_four(value: CborValue, tag: int | None) -> tuple[bytes, CborMap, CborMap, bytes | None, bytes]:
    if tag is not None:
        if not isinstance(value, cbor2.CBORTag) or value.tag != tag:
            raise CoseError(ReasonCode.COSE_MALFORMED, "tag")
        value = value.value
    if type(value) is not list or len(value) != 4:
        raise CoseError(ReasonCode.COSE_MALFORMED, "not an array of four")
    protected, unprotected, payload, last = value
    if type(protected) is not bytes or type(unprotected) is not dict or type(last) is not bytes:
        raise CoseError(ReasonCode.COSE_MALFORMED, "types")
    if payload is not None and type(payload) is not bytes:
        raise CoseError(ReasonCode.COSE_MALFORMED, "payload")
    header = parse_protected(protected)
    if CRIT in unprotected or not header.keys().isdisjoint(unprotected):
        raise CoseError(ReasonCode.COSE_MALFORMED, "a label in both headers")
    return protected, header, unprotected, payload, last


def signature_input(context: str, protected: bytes, external_aad: bytes, payload: bytes) -> bytes:
    """Sig_structure or MAC_structure as bytes (RFC 9052 §4.4, §6.3). context: Signature1 or MAC0."""
    name = context.encode("ascii")
    return b"".join(
        (
            b"\x84",
            cbor.head(3, len(name)),
            name,
            cbor.byte_string(protected),
            cbor.byte_string(external_aad),
            cbor.head(2, len(payload)),
            payload,
        )
    )


def verify_sign1(
    sign1: CoseSign1, *, key: PublicKey, detached_payload: bytes | None = None, external_aad: bytes = b""
) -> None:
    """Check the signature of a COSE_Sign1 (RFC 9052 §4.4).

    detached_payload: what was signed where the structure carries none; exactly one of both must be there.

    Raises:
        CoseError: the signature does not hold, the algorithm is not the key's, payload given twice or not at all.
    """
    payload = _one_payload(sign1.payload, detached_payload)
    try:
        verify_signature(
            sign1.alg, key, signature_input("Signature1", sign1.protected, external_aad, payload), sign1.signature
        )
    except JoseError as error:
        raise CoseError(error.reason, error.detail) from error


def verify_mac0(
    mac0: CoseMac0, *, key: bytes, detached_payload: bytes | None = None, external_aad: bytes = b""
) -> None:
    """Check the full 32-byte tag of a COSE_Mac0 in constant time (RFC 9052 §6.3).

    Raises:
        CoseError: the tag does not hold, payload given twice or not at all.
    """
    payload = _one_payload(mac0.payload, detached_payload)
    expected = hmac.digest(key, signature_input("MAC0", mac0.protected, external_aad, payload), sha256)
    if not hmac.compare_digest(expected, mac0.tag):
        raise CoseError(ReasonCode.SIGNATURE_INVALID, "MAC")


def _one_payload(attached: bytes | None, detached: bytes | None) -> bytes:
    payload = attached if detached is None else detached
    if payload is None or (attached is not None and detached is not None):
        raise CoseError(ReasonCode.COSE_MALFORMED, "payload attached or detached, exactly one")
    return payload


def build_sign1(
    payload: bytes,
    *,
    signer: Signer,
    protected: Mapping[int, object] | None = None,
    unprotected: Mapping[int, object] | None = None,
    detached: bool = False,
    external_aad: bytes = b"",
) -> list[object]:
    """Sign bytes as an untagged COSE_Sign1 array; `alg` is added to the protected header (RFC 9052 §4.4)."""
    header = cbor.encode({ALG: ALG_OF_JOSE_NAME[signer.alg], **(protected or {})})
    signature = signer.sign(signature_input("Signature1", header, external_aad, payload))
    return [header, dict(unprotected or {}), None if detached else payload, signature]


def build_mac0(payload: bytes, *, key: bytes, detached: bool = False) -> list[object]:
    """Authenticate bytes as an untagged COSE_Mac0 array with HMAC 256/256 (RFC 9052 §6.3)."""
    header = cbor.encode({ALG: HMAC_256})
    tag = hmac.digest(key, signature_input("MAC0", header, b"", payload), sha256)
    return [header, {}, None if detached else payload, tag]


def parse_x5chain(header: Mapping[int | str | bytes, CborValue]) -> tuple[bytes, ...]:
    """The certificate chain of a COSE header: DER, leaf first, one byte string or an array of them (RFC 9360 §2).

    Raises:
        CoseError: absent, not that, more than four, or a certificate above 16 KiB.
    """
    chain = header.get(X5CHAIN)
    if chain is None:
        raise CoseError(ReasonCode.ISSUER_KEY_MISSING, "no x5chain")
    certificates = [chain] if type(chain) is bytes else chain
    if not isinstance(certificates, list) or not certificates:
        raise CoseError(ReasonCode.CERTIFICATE_MALFORMED, "x5chain")
    if len(certificates) > MAX_CERTIFICATES:
        raise CoseError(ReasonCode.LIMIT_EXCEEDED, "x5chain is too long")
    found: list[bytes] = []
    for certificate in certificates:
        if type(certificate) is not bytes:
            raise CoseError(ReasonCode.CERTIFICATE_MALFORMED, "x5chain")
        if len(certificate) > MAX_CERTIFICATE_BYTES:
            raise CoseError(ReasonCode.LIMIT_EXCEEDED, "certificate")
        found.append(certificate)
    return tuple(found)


def x5chain_value(chain: tuple[bytes, ...]) -> bytes | list[bytes]:
    """A certificate chain as the value of label 33: a single certificate stands alone (RFC 9360 §2)."""
    return chain[0] if len(chain) == 1 else list(chain)
