"""A key that signs: in a file or in a security module, callers can't tell.

Signatures are raw: r ‖ s in fixed length for ECDSA (RFC 7518 §3.4, RFC 9053 §2.1), 64 bytes for Ed25519.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from specs.keys.jose import CURVE_OF_ALG, JoseError, PrivateKey, PublicKey, alg_of_key
from specs.refusal import ReasonCode


class Signer(Protocol):
    """Signs with one key and one algorithm."""

    @property
    def alg(self) -> str:
        """JOSE name of the algorithm: ES256, ES384, ES512 or EdDSA."""
        ...

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The raw signature over `data`; hashing is part of the algorithm."""
        ...

    def sign_many(self, data: Sequence[bytes]) -> list[bytes]:
        """One signature for each item, in order; a security module may work on them together."""
        ...


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """A signer and the certificates that say whose it is: DER, leaf first, the trust anchor left out."""

    signer: Signer
    chain: tuple[bytes, ...]


class FileSigner:
    """A signer whose private key is in this process's memory."""

    __slots__ = ("_digest", "_ec", "_ecdsa", "_ed", "_size", "alg", "public_key")

    def __init__(self, private_key: PrivateKey) -> None:
        self.public_key: PublicKey = private_key.public_key()
        self.alg: str = alg_of_key(self.public_key)
        self._ec = private_key if isinstance(private_key, ec.EllipticCurvePrivateKey) else None
        self._ed = private_key if isinstance(private_key, ed25519.Ed25519PrivateKey) else None
        if self._ec is not None:
            curve = CURVE_OF_ALG[self.alg]
            self._size = curve.coordinate_size
            self._digest = curve.digest
            self._ecdsa = curve.ecdsa

    def sign(self, data: bytes) -> bytes:
        """The raw signature over `data`."""
        if self._ec is not None:
            return raw_signature(self._ec.sign(self._digest(data).digest(), self._ecdsa), size=self._size)
        assert self._ed is not None
        return self._ed.sign(data)

    def sign_many(self, data: Sequence[bytes]) -> list[bytes]:
        """One signature for each item, in order."""
        return [self.sign(item) for item in data]


def raw_signature(der: bytes, *, size: int) -> bytes:
    """The r ‖ s, `size` bytes each, of a DER signature that our own library wrote (RFC 3279 §2.2.3)."""
    at = 2 if der[1] < 0x80 else 3
    r_end = at + 2 + der[at + 1]
    return der[at + 2 : r_end].lstrip(b"\0").rjust(size, b"\0") + der[r_end + 2 :].lstrip(b"\0").rjust(size, b"\0")


def generate_signer(alg: str = "ES256") -> FileSigner:
    """A signer with a fresh key. alg: ES256, ES384, ES512 or EdDSA.

    Raises:
        JoseError: another algorithm.
    """
    return FileSigner(generate_private_key(alg))


def generate_private_key(alg: str = "ES256") -> PrivateKey:
    """A fresh private key for a JOSE algorithm.

    Raises:
        JoseError: another algorithm than ES256, ES384, ES512, EdDSA.
    """
    if alg in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    if alg not in CURVE_OF_ALG:
        raise JoseError(ReasonCode.ALGORITHM_NOT_ALLOWED, alg)
    return ec.generate_private_key(CURVE_OF_ALG[alg].curve)


def load_signer(pem: bytes, *, password: bytes | None = None) -> FileSigner:
    """A signer from a PEM file's content.

    Raises:
        JoseError: not a private key of a kind that we sign with, or the password does not open it.
    """
    try:
        private_key = load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise JoseError(ReasonCode.KEY_INVALID, "the file holds no private key that opens") from error
    if not isinstance(private_key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        raise JoseError(ReasonCode.KEY_INVALID, "neither an elliptic curve nor an Ed25519 key")
    return FileSigner(private_key)
