"""Who vouches for the suite's wallets: test attesters whose private keys are handed to the suite."""

import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding.strict_json import JsonObject
from specs.keys.jose import x5c_header
from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_attester,
    build_root_ca,
    serial_number,
)
from verifier.adapters.oidf.identities import private_jwk


@dataclass(frozen=True, slots=True)
class TestAttester:
    """A key that signs attestations, its certificate, and the root that the issuer believes (both DER)."""

    root: bytes
    certificate: bytes
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def private_jwk(self) -> JsonObject:
        """The key as the suite's configuration wants it: private, with the leaf alone in `x5c`."""
        return private_jwk(self.key) | {"x5c": list(x5c_header((self.certificate,)))}


def new_attester(name: str, *, now: int) -> TestAttester:
    """An attester below a root of its own. now: seconds since the epoch."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = build_root_ca(key=root_key, subject=SubjectName(f"TEST {name} Root", "DE"), serial=_serial(), now=now)
    certificate = build_attester(
        authority=Authority(root, root_key),
        public_key=key.public_key(),
        subject=SubjectName(f"TEST {name}", "DE"),
        serial=_serial(),
        now=now,
    )
    return TestAttester(root, certificate, key)


def _serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))
