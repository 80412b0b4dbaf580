"""Defects of an encrypted answer: each made by hand, since no library writes them."""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import build_jws, jwk_from_public_key, parse_jwk
from specs.keys.signer import generate_signer
from tests.defects import defect
from tests.verifier.desk import Asking
from verifier import ReasonCode

KEY_BITS = {"A128GCM": 128, "A192GCM": 192, "A256GCM": 256}
IV = bytes(range(12))
ZEROS = base64url.encode(bytes(32))
HEADER, ENCRYPTED_KEY, INITIAL, CIPHERTEXT, TAG = range(5)


@dataclass
class EncryptedAnswer:
    """An answer to a question, closed by hand. raw_header, plaintext: bytes in place of what they would be.

    key: the content encryption key, if not the agreed one. parts, form: what happens to them on their way.
    """

    asking: Asking
    payload: JsonObject
    header: dict[str, object] = field(default_factory=lambda: {"alg": "ECDH-ES", "enc": "A256GCM"})
    plaintext: bytes | None = None
    raw_header: Callable[[bytes], bytes] = bytes
    key: bytes | None = None
    parts: Callable[[list[str]], list[str]] = list
    form: Callable[[str], Mapping[str, object]] = field(default=lambda token: {"response": token})

    def __post_init__(self) -> None:
        self.header["kid"] = self.asking.jwk["kid"]

    @property
    def content(self) -> bytes:
        """What is encrypted."""
        return strict_json.dumps(self.payload) if self.plaintext is None else self.plaintext

    def token(self) -> str:
        """The compact JWE (RFC 7516 §5.1, RFC 7518 §4.6)."""
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        header = {"epk": jwk_from_public_key(ephemeral.public_key()), **self.header}
        written = base64url.encode(self.raw_header(strict_json.dumps(header)))
        key = self.key or self._agreed(ephemeral, header)
        sealed = AESGCM(key).encrypt(IV, self.content, written.encode())
        parts = [written, "", base64url.encode(IV), base64url.encode(sealed[:-16]), base64url.encode(sealed[-16:])]
        return ".".join(self.parts(parts))

    def fields(self) -> Mapping[str, object]:
        """The form that is posted."""
        return self.form(self.token())

    def _agreed(self, ephemeral: ec.EllipticCurvePrivateKey, header: Mapping[str, object]) -> bytes:
        jwk = self.asking.jwk
        public = parse_jwk({name: jwk[name] for name in ("kty", "crv", "x", "y")})
        assert isinstance(public, ec.EllipticCurvePublicKey)
        enc = str(header["enc"])
        bits = KEY_BITS.get(enc, 256)
        info = b"".join(
            len(part).to_bytes(4, "big") + part
            for part in (enc.encode(), _decoded(header.get("apu")), _decoded(header.get("apv")))
        )
        shared = ephemeral.exchange(ec.ECDH(), public)
        return ConcatKDFHash(hashes.SHA256(), bits // 8, info + bits.to_bytes(4, "big")).derive(shared)

    # what a defect does

    def heading(self, **members: object) -> "EncryptedAnswer":
        """The header says this."""
        self.header.update(members)
        return self

    def replacing(self, position: int, part: Callable[[str], str]) -> "EncryptedAnswer":
        """One part of the token is another."""
        self.parts = lambda parts: [*parts[:position], part(parts[position]), *parts[position + 1 :]]
        return self


def _decoded(value: object) -> bytes:
    return base64url.decode(value) if isinstance(value, str) else b""


@defect("jwe-001", refused_as=ReasonCode.ENCRYPTION_NOT_ALLOWED)
def zip_bomb(answer: EncryptedAnswer) -> EncryptedAnswer:
    """CVE-2024-28102 class: 200 MiB from 200 kB; never inflated."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    answer.plaintext = b"".join([*(stream.compress(bytes(1 << 20)) for _ in range(200)), stream.flush()])
    return answer.heading(zip="DEF")


@defect("jwe-002", refused_as=ReasonCode.RESPONSE_MALFORMED)
def five_empty_parts(answer: EncryptedAnswer) -> EncryptedAnswer:
    """Limits: nothing at all."""
    answer.parts = lambda _: [""] * 5
    return answer


def flipped(part: str) -> str:
    """The same with one bit changed."""
    data = base64url.decode(part)
    return base64url.encode(bytes([data[0] ^ 1, *data[1:]]))


@defect("jwe-003", refused_as=ReasonCode.DECRYPTION_FAILED)
def ciphertext_changed(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 7516 §5.2: authenticated encryption."""
    return answer.replacing(CIPHERTEXT, flipped)


@defect("jwe-004", refused_as=ReasonCode.DECRYPTION_FAILED)
def tag_cut_off(answer: EncryptedAnswer) -> EncryptedAnswer:
    """CVE-2018-10903 class, RFC 7518 §5.3: 128 bits, not eight."""
    return answer.replacing(TAG, lambda tag: base64url.encode(base64url.decode(tag)[:1]))


@defect("jwe-005", refused_as=ReasonCode.DECRYPTION_FAILED)
def tag_empty(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 7516 §5.2: no tag, no authenticity."""
    return answer.replacing(TAG, lambda _: "")


@defect("jwe-006", refused_as=ReasonCode.DECRYPTION_FAILED)
def short_iv(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 7518 §5.3: 96 bits."""
    return answer.replacing(INITIAL, lambda _: base64url.encode(bytes(8)))


@defect("jwe-007", refused_as=ReasonCode.ENCRYPTION_KEY_UNKNOWN)
def no_kid(answer: EncryptedAnswer) -> EncryptedAnswer:
    """OpenID4VP §8.3: `kid` names the key; we try none."""
    del answer.header["kid"]
    return answer


@defect("jwe-007b", refused_as=ReasonCode.ENCRYPTION_KEY_UNKNOWN)
def another_kid(answer: EncryptedAnswer) -> EncryptedAnswer:
    """OpenID4VP §8.3: another question's key."""
    return answer.heading(kid="another")


@defect("jwe-008", refused_as=ReasonCode.ENCRYPTION_NOT_ALLOWED)
def key_wrapping(answer: EncryptedAnswer) -> EncryptedAnswer:
    """OpenID4VP §8.3: `alg` is the JWK's."""
    return answer.heading(alg="ECDH-ES+A128KW")


@defect("jwe-009", refused_as=ReasonCode.ENCRYPTION_NOT_ALLOWED)
def direct_with_zeros(answer: EncryptedAnswer) -> EncryptedAnswer:
    """OpenID4VP §8.3: a key that everybody can guess."""
    answer.key = bytes(32)
    return answer.heading(alg="dir")


@defect("jwe-010", refused_as=ReasonCode.ENCRYPTION_NOT_ALLOWED)
def costly_password(answer: EncryptedAnswer) -> EncryptedAnswer:
    """CVE-2023-6681 class: two thousand million rounds of hashing."""
    return answer.heading(alg="PBES2-HS256+A128KW", p2s=ZEROS, p2c=2**31)


@defect("jwe-011", refused_as=ReasonCode.ENCRYPTION_NOT_ALLOWED)
def encryption_not_offered(answer: EncryptedAnswer) -> EncryptedAnswer:
    """HAIP §5: A128GCM and A256GCM are offered."""
    return answer.heading(enc="A192GCM")


@defect("jwe-012", refused_as=ReasonCode.ENCRYPTION_NOT_ALLOWED)
def cbc_not_offered(answer: EncryptedAnswer) -> EncryptedAnswer:
    """HAIP §5: no CBC."""
    return answer.heading(enc="A128CBC-HS256")


@defect("jwe-013", refused_as=ReasonCode.DECRYPTION_FAILED)
def point_off_the_curve(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 8725 §3.4: a point of another curve would leak our key bit by bit."""
    one = base64url.encode((1).to_bytes(32, "big"))
    answer.key = bytes(32)
    return answer.heading(epk={"kty": "EC", "crv": "P-256", "x": one, "y": one})


@defect("jwe-014", refused_as=ReasonCode.DECRYPTION_FAILED)
def point_of_zeros(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 8725 §3.4: no point either."""
    answer.key = bytes(32)
    return answer.heading(epk={"kty": "EC", "crv": "P-256", "x": ZEROS, "y": ZEROS})


@defect("jwe-014b", refused_as=ReasonCode.DECRYPTION_FAILED)
def point_of_another_curve(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 7518 §4.6.1.1: on the curve of our key."""
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    answer.key = bytes(32)
    return answer.heading(epk=jwk_from_public_key(other))


@defect("jwe-015", refused_as=ReasonCode.CRITICAL_HEADER_UNKNOWN)
def unknown_critical_member(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 7516 §4.1.13: what must be understood and is not, refuses."""
    return answer.heading(crit=["x-unknown"], **{"x-unknown": True})


@defect("jwe-016", refused_as=ReasonCode.ENCRYPTION_NOT_ALLOWED)
def compressed(answer: EncryptedAnswer) -> EncryptedAnswer:
    """OpenID4VP §8.3: compression was not negotiated."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    answer.plaintext = stream.compress(answer.content) + stream.flush()
    return answer.heading(zip="DEF")


@defect("jwe-017", refused_as=ReasonCode.RESPONSE_MALFORMED)
def six_parts(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 7516 §3.1: five."""
    answer.parts = lambda parts: [*parts, ""]
    return answer


@defect("jwe-018", refused_as=ReasonCode.RESPONSE_MALFORMED)
def encrypted_key_present(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 7518 §4.6.2: direct agreement has none."""
    return answer.replacing(ENCRYPTED_KEY, lambda _: ZEROS)


@defect("jwe-019", refused_as=ReasonCode.RESPONSE_MALFORMED)
def plaintext_is_an_array(answer: EncryptedAnswer) -> EncryptedAnswer:
    """OpenID4VP §8.3: a JSON object."""
    answer.plaintext = b"[" + answer.content + b"]"
    return answer


@defect("jwe-020", refused_as=ReasonCode.RESPONSE_MALFORMED)
def plaintext_is_a_jws(answer: EncryptedAnswer) -> EncryptedAnswer:
    """OpenID4VP §8.3: encrypted, not signed."""
    answer.plaintext = build_jws(answer.content, signer=generate_signer(), typ="JWT").encode()
    return answer


@defect("jwe-021", refused_as=ReasonCode.RESPONSE_NOT_ENCRYPTED)
def signed_instead(answer: EncryptedAnswer) -> EncryptedAnswer:
    """GHSA-c8v6-786g-vjx6 class, HAIP §5.1: a signature hides nothing."""
    token = build_jws(answer.content, signer=generate_signer(), typ="JWT")
    answer.form = lambda _: {"response": token}
    return answer


@defect("jwe-022", refused_as=ReasonCode.RESPONSE_NOT_ENCRYPTED)
def in_clear(answer: EncryptedAnswer) -> EncryptedAnswer:
    """HAIP §5.1: encryption must be used."""
    answer.form = lambda _: {
        "vp_token": json.dumps(answer.payload["vp_token"]),
        "state": answer.asking.state,
    }
    return answer


@defect("jwe-023", refused_as=ReasonCode.STATE_MISMATCH)
def no_state(answer: EncryptedAnswer) -> EncryptedAnswer:
    """OpenID4VP §5.3, §14.3: `state` was sent, so it comes back."""
    del answer.payload["state"]
    return answer


@defect("jwe-024", refused_as=ReasonCode.RESPONSE_MALFORMED)
def vp_token_twice(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 8259 §4: first forged, last genuine."""
    answer.plaintext = b'{"vp_token":{},' + answer.content[1:]
    return answer


@defect("jwe-025", refused_as=ReasonCode.RESPONSE_MALFORMED)
def alg_twice(answer: EncryptedAnswer) -> EncryptedAnswer:
    """RFC 7516 §5.2: each header member once."""
    answer.raw_header = lambda header: b'{"alg":"dir",' + header[1:]
    return answer
