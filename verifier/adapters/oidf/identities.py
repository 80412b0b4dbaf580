"""Who asks and whom the target believes: an access certificate, and a test issuer whose key is handed to the suite."""

import secrets
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


@dataclass(frozen=True, slots=True)
class Asker:
    """The target as a relying party, and the root (DER) above its certificate."""

    identity: SigningIdentity = field(repr=False)
    root: bytes


@dataclass(frozen=True, slots=True)
class TestIssuer:
    """Whom the suite signs SD-JWT VCs as: key and certificate, below a root (both DER) that the target believes."""

    root: bytes
    certificate: bytes
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def private_jwk(self) -> JsonObject:
        """The key as the suite's configuration wants it."""
        return private_jwk(self.key) | {"x5c": list(x5c_header((self.certificate,)))}


def new_asker(host: str, *, now: int) -> Asker:
    """An access certificate for a host. now: seconds since the epoch."""
    authority, key = _authority("Access", now=now), ec.generate_private_key(ec.SECP256R1())
    certificate = build_access_certificate(
        authority=authority,
        public_key=key.public_key(),
        subject=SubjectName("TEST Verifier", "DE"),
        serial=_serial(),
        now=now,
        dns_names=[host],
        uris=[],
    )
    return Asker(SigningIdentity(FileSigner(key), (certificate,)), authority.certificate)


def new_test_issuer(*, now: int) -> TestIssuer:
    """A fresh issuer. now: seconds since the epoch."""
    authority, key = _authority("Credential", now=now), ec.generate_private_key(ec.SECP256R1())
    certificate = build_attestation_signer(
        authority=authority,
        public_key=key.public_key(),
        subject=SubjectName("TEST Issuer", "DE"),
        serial=_serial(),
        now=now,
        uris=[],
    )
    return TestIssuer(authority.certificate, certificate, key)


def private_jwk(key: ec.EllipticCurvePrivateKey) -> JsonObject:
    """A P-256 key with its private part; its thumbprint is its name."""
    public = jwk_from_public_key(key.public_key())
    secret = key.private_numbers().private_value.to_bytes(32, "big")
    return {**public, "d": base64url.encode(secret), "alg": "ES256", "use": "sig", "kid": thumbprint(public)}


def pem(certificate: bytes) -> str:
    """A DER certificate as text."""
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM).decode()


def _authority(name: str, *, now: int) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = SubjectName(f"TEST {name} Root", "DE")
    return Authority(build_root_ca(key=key, subject=subject, serial=_serial(), now=now), key)


def _serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))
