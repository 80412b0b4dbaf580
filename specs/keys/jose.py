"""JOSE: JSON Web Keys and signatures (RFC 7515, 7517, 7518, 7638, 8037), compact and asymmetric only."""

import binascii
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.refusal import ReasonCode, Refusal

if TYPE_CHECKING:
    from specs.keys.signer import Signer

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

MAX_HEADER_BYTES = 96 * 1024  # four certificates of 16 KiB in base64, twice encoded
MAX_CERTIFICATES = 4
MAX_CERTIFICATE_BYTES = 16 * 1024


class JoseError(Refusal):
    """A key, token or signature does not hold."""


@dataclass(frozen=True, slots=True)
class Curve:
    """An elliptic curve with the one ECDSA algorithm that JOSE pairs with it (RFC 7518 §3.4)."""

    name: str
    alg: str
    curve: ec.EllipticCurve
    coordinate_size: int  # bytes
    digest: Callable[[bytes], "hashlib._Hash"]
    ecdsa: ec.ECDSA  # over a digest
    openssl_name: str = field(init=False)
    der_head: bytes = field(init=False)  # of a SubjectPublicKeyInfo, up to the coordinates

    def __post_init__(self) -> None:
        object.__setattr__(self, "openssl_name", self.curve.name)
        any_key = ec.derive_private_key(1, self.curve).public_key()
        der = any_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        object.__setattr__(self, "der_head", der[: -2 * self.coordinate_size])


_CURVES = (
    Curve("P-256", "ES256", ec.SECP256R1(), 32, hashlib.sha256, ec.ECDSA(Prehashed(hashes.SHA256()))),
    Curve("P-384", "ES384", ec.SECP384R1(), 48, hashlib.sha384, ec.ECDSA(Prehashed(hashes.SHA384()))),
    Curve("P-521", "ES512", ec.SECP521R1(), 66, hashlib.sha512, ec.ECDSA(Prehashed(hashes.SHA512()))),
)
CURVE_OF_ALG: Mapping[str, Curve] = {curve.alg: curve for curve in _CURVES}
CURVE_OF_NAME: Mapping[str, Curve] = {curve.name: curve for curve in _CURVES}
_CURVE_OF_OPENSSL_NAME = {curve.openssl_name: curve for curve in _CURVES}

SIGNATURE_ALGS = frozenset({"ES256", "ES384", "ES512", "EdDSA", "Ed25519"})
_ED25519 = ("EdDSA", "Ed25519")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class ProtectedHeader:
    """A protected header, read once for all tokens that begin with it. Shared: never change `members`."""

    __slots__ = ("_chain", "alg", "members", "typ")

    def __init__(self, members: JsonObject) -> None:
        self.members = members
        self.alg = members.get("alg")
        self.typ = members.get("typ")
        self._chain: tuple[bytes, ...] | None = None

    def chain(self) -> tuple[bytes, ...]:
        """The certificates in `x5c`: DER, leaf first.

        Raises:
            JoseError: as `parse_x5c`.
        """
        if self._chain is None:
            self._chain = parse_x5c(self.members)
        return self._chain


class Jws(NamedTuple):
    """A compact JWS taken apart; nothing is believed before `verify_jws`.

    body: the payload in base64url, which was found to be that. content: what it says, where that was read already; it
    is shared, never change it.
    """

    protected: ProtectedHeader
    body: bytes
    signing_input: bytes
    signature: bytes
    alg: str
    content: JsonValue

    @property
    def header(self) -> JsonObject:
        """The members of the protected header; shared, never change it."""
        return self.protected.members

    @property
    def payload(self) -> bytes:
        """The bytes that were signed, of whatever kind."""
        return base64url.decode(self.body)

    def claims(self, *, max_depth: int = strict_json.MAX_DEPTH) -> JsonObject:
        """The payload as a JSON object (RFC 7519 §7.2). max_depth: of one that was not read already.

        Raises:
            JoseError: it is none.
        """
        if type(self.content) is dict:
            return self.content
        try:
            return strict_json.parse_object(self.payload, max_depth=max_depth)
        except Malformed as error:
            raise JoseError(ReasonCode.JWT_MALFORMED, f"payload: {error}") from error


def curve_of(key: ec.EllipticCurvePublicKey) -> Curve:
    """The curve of a key.

    Raises:
        JoseError: a curve that we don't use.
    """
    curve = _CURVE_OF_OPENSSL_NAME.get(key.curve.name)
    if curve is None:
        raise JoseError(ReasonCode.KEY_INVALID, "curve")
    return curve


def alg_of_key(key: PublicKey) -> str:
    """The JOSE algorithm that a key signs with."""
    return "EdDSA" if isinstance(key, ed25519.Ed25519PublicKey) else curve_of(key).alg


def alg_fits_key(alg: str, key: PublicKey) -> bool:
    """Whether a signature algorithm is the one of this key's kind and curve (RFC 7518 §3.4, RFC 8037, RFC 9864)."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return alg in ("EdDSA", "Ed25519")
    curve = _CURVE_OF_OPENSSL_NAME.get(key.curve.name)
    return curve is not None and curve.alg == alg


def parse_jwk(jwk: object, *, for_encryption: bool = False) -> PublicKey:
    """Read a public JWK: P-256, P-384, P-521 or Ed25519 (RFC 7518 §6.2, RFC 8037 §2).

    for_encryption: the key agrees on keys; else it verifies signatures. What `use` and `key_ops` say must not
    contradict (RFC 7517 §4.2, §4.3).

    Raises:
        JoseError: no object, a private or symmetric key, another kind, coordinates of another length, no point of the
        curve.
    """
    if not isinstance(jwk, dict):
        raise JoseError(ReasonCode.KEY_INVALID, "a JWK is an object")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise JoseError(ReasonCode.KEY_INVALID, "a private or symmetric key where a public one belongs")
    if "use" in jwk or "key_ops" in jwk:
        _check_use(jwk, for_encryption=for_encryption)
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if kty == "EC" and isinstance(crv, str) and crv in CURVE_OF_NAME:
        curve = CURVE_OF_NAME[crv]
        alg = jwk.get("alg")
        if alg is not None and (not isinstance(alg, str) or (alg in CURVE_OF_ALG and alg != curve.alg)):
            raise JoseError(ReasonCode.KEY_INVALID, "alg is no text, or another curve's")
        point = _coordinate(jwk, "x", curve.coordinate_size) + _coordinate(jwk, "y", curve.coordinate_size)
        try:
            return ec_public_key(curve, point)
        except ValueError as error:
            raise JoseError(ReasonCode.KEY_INVALID, "not a point of the curve") from error
    if kty == "OKP" and crv == "Ed25519":
        try:
            return ed25519.Ed25519PublicKey.from_public_bytes(_coordinate(jwk, "x", 32))
        except ValueError as error:  # OpenSSL takes whatever has its length, other libraries below pyca may not
            raise JoseError(ReasonCode.KEY_INVALID, "not an Ed25519 key") from error
    raise JoseError(ReasonCode.KEY_INVALID, "key type or curve")


def ec_public_key(curve: Curve, point: bytes) -> ec.EllipticCurvePublicKey:
    """A public key from x ‖ y, each as long as the curve's coordinates are.

    Raises:
        ValueError: not a point of the curve.
    """
    # as DER (RFC 5480), which the library reads without a look at classes
    return load_der_public_key(curve.der_head + point)  # type: ignore[return-value]  # as the head says


def _check_use(jwk: Mapping[str, object], *, for_encryption: bool) -> None:
    use, operations = jwk.get("use"), jwk.get("key_ops")
    if use is not None and use != ("enc" if for_encryption else "sig"):
        raise JoseError(ReasonCode.KEY_INVALID, "use")
    if (
        operations is not None
        and not for_encryption
        and (not isinstance(operations, list) or "verify" not in operations)
    ):
        raise JoseError(ReasonCode.KEY_INVALID, "key_ops")


def _coordinate(jwk: Mapping[str, object], name: str, size: int) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str):
        raise JoseError(ReasonCode.KEY_INVALID, f"member {name}")
    try:
        raw = base64url.decode(text)
    except Malformed as error:
        raise JoseError(ReasonCode.KEY_INVALID, f"member {name}: {error}") from error
    if len(raw) != size:
        raise JoseError(ReasonCode.KEY_INVALID, f"member {name} has another length than the curve's")
    return raw


def jwk_from_public_key(key: PublicKey) -> dict[str, str]:
    """Write a public key as a JWK with its required members only."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(key.public_bytes_raw())}
    curve = curve_of(key)
    numbers = key.public_numbers()
    return {
        "kty": "EC",
        "crv": curve.name,
        "x": base64url.encode(numbers.x.to_bytes(curve.coordinate_size, "big")),
        "y": base64url.encode(numbers.y.to_bytes(curve.coordinate_size, "big")),
    }


def thumbprint_bytes(jwk: Mapping[str, object]) -> bytes:
    """SHA-256 over the required members of a JWK in their one order: 32 bytes (RFC 7638 §3).

    Raises:
        JoseError: a required member is missing or no string.
    """
    names = ("crv", "kty", "x", "y") if jwk.get("kty") == "EC" else ("crv", "kty", "x")
    required: dict[str, str] = {}
    for name in names:
        value = jwk.get(name)
        if not isinstance(value, str):
            raise JoseError(ReasonCode.KEY_INVALID, f"member {name}")
        required[name] = value
    return hashlib.sha256(strict_json.dumps(required)).digest()


def thumbprint(jwk: Mapping[str, object]) -> str:
    """The RFC 7638 thumbprint as base64url text."""
    return base64url.encode(thumbprint_bytes(jwk))


def key_thumbprint(key: PublicKey) -> bytes:
    """The RFC 7638 thumbprint of a loaded key: 32 bytes."""
    return thumbprint_bytes(jwk_from_public_key(key))


def verify_signature(alg: str, key: PublicKey, message: bytes, signature: bytes) -> None:
    """Check a raw signature (RFC 7518 §3.4, RFC 8037 §3.1).

    Raises:
        JoseError: the algorithm is not this key's, or the signature does not hold.
    """
    curve = CURVE_OF_ALG.get(alg)
    on = getattr(key, "curve", None)  # asking for the class would be slow: it is a registered one
    if (alg not in _ED25519 or on is not None) if curve is None else (on is None or on.name != curve.openssl_name):
        raise JoseError(ReasonCode.ALGORITHM_NOT_ALLOWED, "not the algorithm of this key")
    try:
        if curve is None:
            key.verify(signature, message)  # type: ignore[call-arg]  # a key without a curve is an Ed25519 key
        elif len(signature) != 2 * curve.coordinate_size:
            raise JoseError(ReasonCode.SIGNATURE_INVALID, "length")
        else:
            digest = curve.digest(message).digest()  # the library's own hashing takes longer than ours
            key.verify(ecdsa_signature(signature), digest, curve.ecdsa)  # type: ignore[call-arg]  # and this has one
    except InvalidSignature as error:
        raise JoseError(ReasonCode.SIGNATURE_INVALID) from error


def ecdsa_signature(raw: bytes) -> bytes:
    """The DER of a raw r ‖ s, as X.509 and OpenSSL write it (RFC 3279 §2.2.3)."""
    size = len(raw) >> 1
    r, s = raw[:size], raw[size:]
    if not (r[0] and s[0]):
        r, s = r.lstrip(b"\0") or b"\0", s.lstrip(b"\0") or b"\0"
    # an integer that begins with a set bit would be negative
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    body = b"".join((b"\x02", _ONE_BYTE[len(r)], r, b"\x02", _ONE_BYTE[len(s)], s))
    return (b"\x30" if len(body) < 0x80 else b"\x30\x81") + _ONE_BYTE[len(body)] + body


_ONE_BYTE = tuple(bytes((number,)) for number in range(256))


@lru_cache(maxsize=256)
def _parse_header(segment: bytes) -> ProtectedHeader:
    # the same issuer sends the same header with each of its credentials: read it once
    try:
        return ProtectedHeader(strict_json.parse_object(base64url.decode(segment)))
    except Malformed as error:
        raise JoseError(ReasonCode.JWT_MALFORMED, f"header: {error}") from error


def parse_jws(
    token: str | bytes,
    *,
    expected_typ: str | Collection[str | None],
    allowed_algs: Collection[str] = SIGNATURE_ALGS,
    understood: Collection[str] = (),
    content: JsonValue = None,
) -> Jws:
    """Take a compact JWS apart and check its header (RFC 7515 §5.2, RFC 8725 §3.1, §3.11); the signature comes later.

    expected_typ: the one value of `typ`, or those allowed, compared exactly; None among them is no `typ` at all.
    understood: extensions that the caller knows and looks at, so that `crit` may name them. content: what the payload
    says, if it was read together with others.

    Raises:
        JoseError: not three base64url parts, header no JSON object, `alg` or `typ` not allowed, any other `crit`.
    """
    try:
        raw = token.encode("ascii") if isinstance(token, str) else token
        head, body, tail = raw.split(b".", 3)
    except ValueError:
        raise JoseError(ReasonCode.JWT_MALFORMED, "not three parts") from None
    if len(head) > MAX_HEADER_BYTES * 4 // 3:
        raise JoseError(ReasonCode.LIMIT_EXCEEDED, "header")
    protected = _parse_header(head)
    if "crit" in protected.members and not _names_only(protected.members, understood):
        raise JoseError(ReasonCode.CRITICAL_HEADER_UNKNOWN)
    alg, typ = protected.alg, protected.typ
    if type(alg) is not str or alg not in allowed_algs:
        raise JoseError(ReasonCode.ALGORITHM_NOT_ALLOWED)
    if typ != expected_typ if type(expected_typ) is str else type(typ) in _COMPOUND or typ not in expected_typ:
        raise JoseError(ReasonCode.TYP_MISMATCH)
    try:
        if content is None:
            base64url.decode(body)
        return Jws(protected, body, b"%b.%b" % (head, body), base64url.decode(tail), alg, content)
    except Malformed as error:
        raise JoseError(ReasonCode.JWT_MALFORMED, str(error)) from error


_COMPOUND = (dict, list)


def _names_only(header: JsonObject, understood: Collection[str]) -> bool:
    """Whether `crit` is as RFC 7515 §4.1.11 wants it, and names what the caller understands alone."""
    crit = header["crit"]
    if not isinstance(crit, list) or not crit:
        return False
    names = [name for name in crit if isinstance(name, str) and name in understood and name in header]
    return len(names) == len(crit) == len(set(names))


def verify_jws(jws: Jws, key: PublicKey) -> None:
    """Check the signature of a parsed JWS (RFC 7515 §5.2).

    Raises:
        JoseError: it does not hold, or `alg` is not the key's.
    """
    verify_signature(jws.alg, key, jws.signing_input, jws.signature)


def build_jws(
    payload: bytes, *, signer: "Signer", typ: str, header: Mapping[str, JsonValue | Sequence[str]] | None = None
) -> str:
    """Sign bytes as a compact JWS; `alg` and `typ` are added to `header` (RFC 7515 §5.1)."""
    full_header = {"alg": signer.alg, "typ": typ, **(header or {})}
    signing_input = f"{base64url.encode(strict_json.dumps(full_header))}.{base64url.encode(payload)}"
    return f"{signing_input}.{base64url.encode(signer.sign(signing_input.encode()))}"


def parse_x5c(header: Mapping[str, object]) -> tuple[bytes, ...]:
    """The certificate chain of a header: DER, leaf first (RFC 7515 §4.1.6).

    Raises:
        JoseError: absent, not an array of one to four standard base64 texts, or a certificate above 16 KiB.
    """
    chain = header.get("x5c")
    if chain is None:
        raise JoseError(ReasonCode.ISSUER_KEY_MISSING, "no x5c")
    if not isinstance(chain, list) or not chain:
        raise JoseError(ReasonCode.CERTIFICATE_MALFORMED, "x5c is a non-empty array")
    if len(chain) > MAX_CERTIFICATES:
        raise JoseError(ReasonCode.LIMIT_EXCEEDED, "x5c is too long")
    certificates: list[bytes] = []
    for text in chain:
        if not isinstance(text, str):
            raise JoseError(ReasonCode.CERTIFICATE_MALFORMED, "x5c holds text only")
        try:
            certificate = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise JoseError(ReasonCode.CERTIFICATE_MALFORMED, "not standard base64") from error
        if len(certificate) > MAX_CERTIFICATE_BYTES:
            raise JoseError(ReasonCode.LIMIT_EXCEEDED, "certificate")
        certificates.append(certificate)
    return tuple(certificates)


def x5c_header(chain: Sequence[bytes]) -> list[str]:
    """A certificate chain as the value of `x5c`."""
    return [binascii.b2a_base64(certificate, newline=False).decode("ascii") for certificate in chain]
