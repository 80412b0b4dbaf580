"""Who the suite plays for the wallet: an issuer of identity credentials and two verifiers, made for one run."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import jwk_from_public_key, thumbprint, x5c_header
from specs.keys.signer import FileSigner, SigningIdentity
from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_access_certificate,
    build_attestation_signer,
    build_root_ca,
    serial_number,
)

HOST = "localhost"  # whose name the verifiers' certificates carry


@dataclass(frozen=True, slots=True)
class Party:
    """A private key with its certificate, and the root above it (both DER)."""

    root: bytes
    certificate: bytes
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def identity(self) -> SigningIdentity:
        """Who signs."""
        return SigningIdentity(FileSigner(self.key), (self.certificate,))

    def private_jwk(self) -> JsonObject:
        """The key as the suite's configuration wants it."""
        return private_jwk(self.key) | {"x5c": list(x5c_header((self.certificate,)))}


def new_issuer(*, now: int) -> Party:
    """A fresh issuer of credentials in both formats. now: seconds since the epoch."""
    authority, key = _authority("Credential", now=now), ec.generate_private_key(ec.SECP256R1())
    certificate = build_attestation_signer(
        authority=authority, public_key=key.public_key(), subject=_subject("Issuer"), serial=_serial(), now=now
    )
    return Party(authority.certificate, certificate, key)


def new_verifiers(count: int, *, now: int) -> Sequence[Party]:
    """Fresh verifiers below one root. now: seconds since the epoch."""
    authority = _authority("Access", now=now)
    return [_verifier(authority, now=now) for _ in range(count)]


def private_jwk(key: ec.EllipticCurvePrivateKey) -> JsonObject:
    """A P-256 key with its private part; its thumbprint is its name."""
    public = jwk_from_public_key(key.public_key())
    secret = key.private_numbers().private_value.to_bytes(32, "big")
    return {**public, "d": base64url.encode(secret), "alg": "ES256", "use": "sig", "kid": thumbprint(public)}


def pem(certificate: bytes) -> str:
    """A DER certificate as text."""
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM).decode()


def _verifier(authority: Authority, *, now: int) -> Party:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = build_access_certificate(
        authority=authority,
        public_key=key.public_key(),
        subject=_subject("Verifier"),
        serial=_serial(),
        now=now,
        dns_names=[HOST],
        uris=[],
    )
    return Party(authority.certificate, certificate, key)


def _authority(name: str, *, now: int) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(build_root_ca(key=key, subject=_subject(f"{name} Root"), serial=_serial(), now=now), key)


def _subject(name: str) -> SubjectName:
    return SubjectName(f"TEST {name}", "DE")


def _serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))
