"""JWE with ECDH-ES in compact form (RFC 7516, RFC 7518 §4.6): direct key agreement on P-256 and AES-GCM only.

jwcrypto encrypts. What others encrypted is opened by cryptography's primitives behind a strict door: each answer of a
wallet is, and nothing costly or weak can be asked for.
"""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import JoseError, jwk_from_public_key, parse_jwk, thumbprint_bytes
from specs.refusal import ReasonCode

ECDH_ES = "ECDH-ES"
GCM_ENCS = frozenset({"A128GCM", "A256GCM"})
DEFAULT_MAX_TOKEN = 12 * 1024 * 1024  # bytes
DEFAULT_MAX_PLAINTEXT = 8 * 1024 * 1024  # bytes

_MAX_HEADER = 8 * 1024
_IV_BYTES, _TAG_BYTES = 12, 16
_KEY_BYTES = {"A128GCM": 16, "A256GCM": 32}


@dataclass(frozen=True)
class DecryptionKey:
    """A private key that one question or one service decrypts with; `kid` is what the other side names it by."""

    kid: str
    private: ec.EllipticCurvePrivateKey
    alg: str = ECDH_ES

    @cached_property
    def thumbprint(self) -> bytes:
        """RFC 7638 SHA-256 thumbprint of the public key: 32 bytes."""
        return thumbprint_bytes(jwk_from_public_key(self.private.public_key()))

    def public_jwk(self) -> dict[str, str]:
        """The JWK to publish: with `kid`, `alg` and `use: enc`."""
        return {**jwk_from_public_key(self.private.public_key()), "kid": self.kid, "alg": self.alg, "use": "enc"}


@dataclass(frozen=True, slots=True)
class Decrypted:
    """What was inside a JWE, and the key that opened it."""

    payload: bytes
    header: JsonObject
    key: DecryptionKey


def new_decryption_key(kid: str) -> DecryptionKey:
    """A fresh P-256 key for ECDH-ES."""
    return DecryptionKey(kid, ec.generate_private_key(ec.SECP256R1()))


def encrypt(
    payload: bytes,
    *,
    jwk: Mapping[str, object],
    enc: str,
    apu: bytes | None = None,
    apv: bytes | None = None,
    zip: str | None = None,
    header: Mapping[str, object] | None = None,
) -> str:
    """Encrypt bytes to a public JWK; `alg` is the JWK's own, `kid` is copied (OpenID4VP §8.3, OpenID4VCI §10).

    enc: A128GCM or A256GCM. apu, apv: raw bytes that enter the key derivation. zip: None or DEF.

    Raises:
        JoseError: the JWK is no public P-256 key for ECDH-ES, or `enc` or `zip` is another.
    """
    public_key = parse_jwk(dict(jwk), for_encryption=True)
    if jwk.get("alg") != ECDH_ES or jwk.get("crv") != "P-256" or enc not in GCM_ENCS or zip not in (None, "DEF"):
        raise JoseError(ReasonCode.ENCRYPTION_NOT_ALLOWED)
    protected: dict[str, object] = {"alg": ECDH_ES, "enc": enc, **(header or {})}
    for name, value in (("apu", apu), ("apv", apv)):
        if value is not None:
            protected[name] = base64url.encode(value)
    if "kid" in jwk:
        protected["kid"] = jwk["kid"]
    if zip is not None:
        protected["zip"] = zip
    token = JWE(payload, strict_json.dumps(protected).decode())
    token.add_recipient(JWK.from_pyca(public_key))
    return str(token.serialize(compact=True))


def decrypt(
    token: str,
    *,
    keys: Mapping[str, DecryptionKey],
    allowed_encs: Collection[str] = GCM_ENCS,
    allowed_zip: Collection[str] = (),
    max_token: int = DEFAULT_MAX_TOKEN,
    max_plaintext: int = DEFAULT_MAX_PLAINTEXT,
) -> Decrypted:
    """Open a compact JWE with the key its `kid` names (RFC 7516 §5.2).

    max_token, max_plaintext: bytes; the plaintext is never inflated beyond.

    Raises:
        JoseError: malformed, to no key of ours, an algorithm or compression that was not offered, or it does not open.
    """
    if len(token) > max_token:
        raise JoseError(ReasonCode.RESPONSE_TOO_LARGE)
    if token.count(".") != 4:
        raise JoseError(ReasonCode.RESPONSE_MALFORMED, "not five parts")
    head, encrypted_key, iv, ciphertext, tag = token.split(".")
    header = _parse_header(head)
    if "crit" in header:
        raise JoseError(ReasonCode.CRITICAL_HEADER_UNKNOWN)
    kid = header.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise JoseError(ReasonCode.ENCRYPTION_KEY_UNKNOWN)
    enc, compression = header.get("enc"), header.get("zip")
    if header.get("alg") != key.alg or not isinstance(enc, str) or enc not in allowed_encs:
        raise JoseError(ReasonCode.ENCRYPTION_NOT_ALLOWED)
    if compression is not None and (not isinstance(compression, str) or compression not in allowed_zip):
        raise JoseError(ReasonCode.ENCRYPTION_NOT_ALLOWED, "zip")
    if encrypted_key:
        raise JoseError(ReasonCode.RESPONSE_MALFORMED, "direct agreement has no encrypted key")
    ephemeral = _ephemeral_key(header, key)
    try:
        raw_iv, raw_tag, sealed = base64url.decode(iv), base64url.decode(tag), base64url.decode(ciphertext)
        content_key = _agreed_key(header, key, ephemeral)
    except Malformed as error:
        raise JoseError(ReasonCode.RESPONSE_MALFORMED, str(error)) from error
    if len(raw_iv) != _IV_BYTES or len(raw_tag) != _TAG_BYTES:
        raise JoseError(ReasonCode.DECRYPTION_FAILED, "IV or tag length")
    try:
        payload = AESGCM(content_key).decrypt(raw_iv, sealed + raw_tag, head.encode("ascii"))
    except InvalidTag as error:
        raise JoseError(ReasonCode.DECRYPTION_FAILED) from error
    if compression is not None:
        payload = _inflated(payload, limit=max_plaintext)
    if len(payload) > max_plaintext:
        raise JoseError(ReasonCode.RESPONSE_TOO_LARGE)
    return Decrypted(payload, header, key)


def _parse_header(segment: str) -> JsonObject:
    if len(segment) > _MAX_HEADER:
        raise JoseError(ReasonCode.LIMIT_EXCEEDED, "header")
    try:
        return strict_json.parse_object(base64url.decode(segment))
    except Malformed as error:
        raise JoseError(ReasonCode.RESPONSE_MALFORMED, f"header: {error}") from error


def _ephemeral_key(header: JsonObject, key: DecryptionKey) -> ec.EllipticCurvePublicKey:
    # RFC 7518 §4.6.1.1: on the curve of our key, or an invalid point would leak bits of it (RFC 8725 §3.4)
    try:
        ephemeral = parse_jwk(header.get("epk"), for_encryption=True)
    except JoseError as error:
        raise JoseError(ReasonCode.DECRYPTION_FAILED, "epk") from error
    if not isinstance(ephemeral, ec.EllipticCurvePublicKey) or ephemeral.curve.name != key.private.curve.name:
        raise JoseError(ReasonCode.DECRYPTION_FAILED, "epk of another curve")
    return ephemeral


def _agreed_key(header: JsonObject, key: DecryptionKey, ephemeral: ec.EllipticCurvePublicKey) -> bytes:
    """The content encryption key of direct agreement (RFC 7518 §4.6.2): Concat KDF over `enc`, `apu`, `apv`.

    Raises:
        Malformed: `apu` or `apv` is no base64url.
    """
    enc = str(header["enc"])
    size = _KEY_BYTES[enc]
    info = _counted(enc.encode()) + b"".join(_counted(_party(header, name)) for name in ("apu", "apv"))
    derived = ConcatKDFHash(SHA256(), size, info + (size * 8).to_bytes(4, "big"))
    return derived.derive(key.private.exchange(ec.ECDH(), ephemeral))


def _party(header: JsonObject, name: str) -> bytes:
    value = header.get(name)
    if value is None:
        return b""
    if not isinstance(value, str):
        raise Malformed(name)
    return base64url.decode(value)


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _inflated(data: bytes, *, limit: int) -> bytes:
    """`zip: DEF` (RFC 7516 §4.1.3): never more than the limit is inflated."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise JoseError(ReasonCode.DECRYPTION_FAILED, "zip") from error
    if len(plain) > limit:
        raise JoseError(ReasonCode.RESPONSE_TOO_LARGE)
    if not stream.eof or stream.unused_data:
        raise JoseError(ReasonCode.DECRYPTION_FAILED, "zip")
    return plain
