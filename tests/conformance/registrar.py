"""A registrar as the German profile has one: registration certificates for our issuer and our verifier."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from specs.credentials.status_list import StatusReference
from specs.keys.signer import SigningIdentity, generate_private_key, generate_signer
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.certificates import (
    Authority,
    SubjectName,
    build_access_certificate,
    build_attestation_signer,
    build_root_ca,
)
from specs.trust.registration import SERVICE_PROVIDER, build_registration_jwt
from specs.trust.registration_claims import RegisteredCredential, Registration

IDENTIFIER = "NTRDE-HRB.12345"
PROVIDER = "https://uri.etsi.org/19475/Entitlement/Non_Q_EAA_Provider"
DAY = 86400


def _identity() -> tuple[SigningIdentity, TrustAnchor]:
    now, root_key, signer = int(time.time()), generate_private_key(), generate_signer()
    root = build_root_ca(key=root_key, subject=SubjectName("Registrar Root", "DE"), serial=1, now=now)
    leaf = build_attestation_signer(
        authority=Authority(root, root_key),
        public_key=signer.public_key,
        subject=SubjectName("Registrar", "DE"),
        serial=2,
        now=now,
    )
    return SigningIdentity(signer, (leaf,)), TrustAnchor(AnchorKind.CA, root, "registrar")


def access_identity(*, identifier: str | None = IDENTIFIER) -> tuple[SigningIdentity, TrustAnchor]:
    """Who asks or issues, by an access certificate with its identifier, and the root of it."""
    now, root_key, signer = int(time.time()), generate_private_key(), generate_signer()
    root = build_root_ca(key=root_key, subject=SubjectName("Access Root", "DE"), serial=1, now=now)
    leaf = build_access_certificate(
        authority=Authority(root, root_key),
        public_key=signer.public_key,
        subject=SubjectName("Stadt Leipzig", "DE", organization_identifier=identifier),
        serial=2,
        now=now,
        dns_names=["localhost"],
        uris=["https://city.example"],
    )
    return SigningIdentity(signer, (leaf,)), TrustAnchor(AnchorKind.CA, root, "access")


@dataclass(frozen=True)
class Registrar:
    """Signs registration certificates. anchor: its root."""

    identity: SigningIdentity
    anchor: TrustAnchor

    @classmethod
    def fresh(cls) -> "Registrar":
        """A registrar of its own."""
        return cls(*_identity())

    def certificate(
        self,
        *,
        subject: str = IDENTIFIER,
        credentials: Sequence[RegisteredCredential] = (),
        provides: Sequence[RegisteredCredential] = (),
        begins: int = -DAY,
        ends: int = 300 * DAY,
    ) -> str:
        """A certificate. credentials: what may be asked; provides: what may be issued. begins, ends: from now."""
        now = int(time.time())
        return build_registration_jwt(
            Registration(
                subject=subject,
                name="Stadt Leipzig",
                entitlements=frozenset({SERVICE_PROVIDER, PROVIDER}),
                issued_at=now + begins,
                expires_at=now + ends,
                credentials=tuple(credentials),
                provides=tuple(provides),
                purpose={"de": "Probe", "en": "Trial"},
                privacy_policy="https://city.example/privacy",
                support_uri="https://city.example/erase",
                public_body=True,
                status=StatusReference("https://registrar.example/status", 4),
            ),
            identity=self.identity,
        )
