"""A registrar, and what it registers for the desk."""

from dataclasses import replace
from functools import cache

from specs.credentials.status_list import StatusReference
from specs.keys.signer import SigningIdentity, generate_private_key, generate_signer
from specs.trust.certificates import Authority, SubjectName, build_attestation_signer, build_root_ca
from specs.trust.registration import SERVICE_PROVIDER, build_registration_jwt
from specs.trust.registration_claims import RegisteredClaim, RegisteredCredential, Registration
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.verifier.desk import IDENTIFIER
from tests.verifier.world import DAY, DOC_TYPE, NAME_SPACE, NOW, VCT

REGISTRATION = Registration(
    subject=IDENTIFIER,
    name="Stadt Leipzig",
    entitlements=frozenset({SERVICE_PROVIDER}),
    issued_at=NOW - DAY,
    expires_at=NOW + 300 * DAY,
    credentials=(
        RegisteredCredential("dc+sd-jwt", (VCT,), (RegisteredClaim(("family_name",)), RegisteredClaim(("address",)))),
        RegisteredCredential("mso_mdoc", (DOC_TYPE,), (RegisteredClaim((NAME_SPACE,)),)),
    ),
    purpose={"de": "Bewohnerparken"},
    privacy_policy="https://city.example/privacy",
    support_uri="https://city.example/erase",
    public_body=True,
    status=StatusReference("https://registrar.example/status", 4),
)


@cache
def registrar() -> tuple[SigningIdentity, TrustAnchor]:
    """Who signs registration certificates, and its root."""
    root_key, signer = generate_private_key(), generate_signer()
    root = build_root_ca(key=root_key, subject=SubjectName("Registrar Root", "DE"), serial=1, now=NOW)
    leaf = build_attestation_signer(
        authority=Authority(root, root_key),
        public_key=signer.public_key,
        subject=SubjectName("Registrar", "DE"),
        serial=2,
        now=NOW,
    )
    return SigningIdentity(signer, (leaf,)), TrustAnchor(AnchorKind.CA, root, "registrar")


def certificate(registration: Registration, **members: object) -> str:
    """A certificate as the registrar signs it."""
    changed = replace(registration, **members)  # type: ignore[arg-type]  # members of the class
    return build_registration_jwt(changed, identity=registrar()[0])
