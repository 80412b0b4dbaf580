"""A small world to verify in: authorities, signers, a holder, a question, and answers to it. All times are fixed."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import key_binding, sd_jwt_present, sd_jwt_vc
from specs.credentials.mdoc import Validity, parse_issuer_signed
from specs.credentials.mdoc_device import build_device_response, build_document
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.mdoc_values import full_date
from specs.credentials.sd_jwt_issue import mark_disclosable
from specs.credentials.session_transcript import openid4vp_transcript
from specs.credentials.status_list import (
    StatusMediaType,
    StatusReference,
    build_status_list,
    build_status_list_cwt,
    build_status_list_jwt,
    status_reference_claim,
)
from specs.encoding import base64url
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.trust.certificates import (
    Authority,
    SubjectName,
    build_attestation_signer,
    build_document_signer,
    build_iaca_root,
    build_status_signer,
    serial_number,
)
from verifier import AnchorKind, DirectPost, Fetched, Policy, RevocationRule, TrustAnchor, TrustDomain, Verdict
from verifier.verify import verify_presentation

NOW = 1_795_500_000  # 24 November 2026
HOUR = 3600
DAY = 24 * HOUR

VCT = "urn:eudi:pid:de:1"
DOC_TYPE = "eu.europa.ec.eudi.pid.1"
NAME_SPACE = DOC_TYPE
NONCE = "kXv2c9Qe4nZr7tYwA1bLmS"
CLIENT_ID = "x509_hash:9VuXfSg3GyvAJzcYzg2jBoxiq2Mp_JVdLFYOYXqgRZk"
RESPONSE_URI = "https://city.example/present/response/5f1c"
STATUS_URI = "https://issuer.example/t/pid/status/1"
CLAIMS: Mapping[str, object] = {
    "family_name": "LINDENAU",
    "given_name": "MILA JOHANNA",
    "birthdate": "1991-03-07",
    "nationalities": ["DE"],
    "address": {"street_address": "BEISPIELGASSE 7", "postal_code": "04109", "locality": "LEIPZIG", "country": "DE"},
    "age_equal_or_over": {"14": True, "18": True, "65": False},
}
DISCLOSABLE: Sequence[tuple[str | int | None, ...]] = (
    ("family_name",),
    ("given_name",),
    ("birthdate",),
    ("nationalities",),
    ("nationalities", None),
    ("address",),
    ("address", "street_address"),
    ("address", "postal_code"),
    ("address", "locality"),
    ("address", "country"),
    ("age_equal_or_over",),
    ("age_equal_or_over", "14"),
    ("age_equal_or_over", "18"),
    ("age_equal_or_over", "65"),
)
ELEMENTS: Mapping[str, object] = {
    "family_name": "LINDENAU",
    "given_name": "MILA JOHANNA",
    "birth_date": full_date(date(1991, 3, 7)),
    "nationality": ["DE"],
    "resident_city": "LEIPZIG",
    "age_over_18": True,
}
QUERY = parse_dcql(
    {
        "credentials": [
            {
                "id": "pid",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": [VCT]},
                "claims": [{"path": ["family_name"]}, {"path": ["address", "locality"]}],
            }
        ]
    }
)
MDOC_QUERY = parse_dcql(
    {
        "credentials": [
            {
                "id": "pid",
                "format": "mso_mdoc",
                "meta": {"doctype_value": DOC_TYPE},
                "claims": [{"path": [NAME_SPACE, "family_name"]}, {"path": [NAME_SPACE, "resident_city"]}],
            }
        ]
    }
)


def signing_authority(name: str, *, now: int = NOW) -> Authority:
    """A root that may certify signers (an IACA by its profile), with a fresh key."""
    signer = ec.generate_private_key(ec.SECP256R1())
    return Authority(
        build_iaca_root(
            key=signer,
            subject=SubjectName(common_name=name, country="DE"),
            serial=serial_number(secrets.token_bytes(20)),
            now=now,
            issuer_uri="https://issuer.example",
            crl_url="https://issuer.example/crl",
        ),
        signer,
    )


def identity_of(signer: FileSigner, *certificates: bytes) -> SigningIdentity:
    """A signer with its chain."""
    return SigningIdentity(signer, certificates)


@dataclass
class World:
    """Keys and certificates of one run. Each part can be replaced before the first look at what depends on it."""

    now: int = NOW
    alg: str = "ES256"
    holder_alg: str = "ES256"
    response_key_thumbprint: bytes | None = field(default_factory=lambda: secrets.token_bytes(32))

    @cached_property
    def authority(self) -> Authority:
        """The root of those who issue."""
        return signing_authority("PID Root", now=self.now)

    @cached_property
    def status_authority(self) -> Authority:
        """The root of those who sign status lists: another one, as in Germany."""
        return signing_authority("Status Root", now=self.now)

    @cached_property
    def sd_jwt_identity(self) -> SigningIdentity:
        """Signs SD-JWT VC."""
        signer = generate_signer(self.alg)
        certificate = build_attestation_signer(
            authority=self.authority,
            public_key=signer.public_key,
            subject=SubjectName(common_name="PID Signer", country="DE"),
            serial=serial_number(secrets.token_bytes(20)),
            now=self.now,
        )
        return identity_of(signer, certificate)

    @cached_property
    def mdoc_identity(self) -> SigningIdentity:
        """Signs mdocs."""
        signer = generate_signer(self.alg)
        certificate = build_document_signer(
            authority=self.authority,
            public_key=signer.public_key,
            subject=SubjectName(common_name="PID Document Signer", country="DE"),
            serial=serial_number(secrets.token_bytes(20)),
            now=self.now,
            issuer_uri="https://issuer.example",
            crl_url="https://issuer.example/crl",
        )
        return identity_of(signer, certificate)

    @cached_property
    def status_identity(self) -> SigningIdentity:
        """Signs status lists."""
        signer = generate_signer()
        certificate = build_status_signer(
            authority=self.status_authority,
            public_key=signer.public_key,
            subject=SubjectName(common_name="Status Signer", country="DE"),
            serial=serial_number(secrets.token_bytes(20)),
            now=self.now,
        )
        return identity_of(signer, certificate)

    @cached_property
    def holder(self) -> FileSigner:
        """The holder's key."""
        return generate_signer(self.holder_alg)

    @cached_property
    def domain(self) -> TrustDomain:
        """Who may issue the type, and publish its status. Withdrawal of certificates has tests of its own."""
        return TrustDomain(
            name="pid",
            anchors=(TrustAnchor(AnchorKind.CA, self.authority.certificate, "PID Root"),),
            status_anchors=(TrustAnchor(AnchorKind.CA, self.status_authority.certificate, "Status Root"),),
            revocation=RevocationRule.OFF,
        )

    @cached_property
    def trust(self) -> dict[tuple[str, str], tuple[TrustDomain, ...]]:
        """One domain for both formats."""
        return {("dc+sd-jwt", VCT): (self.domain,), ("mso_mdoc", DOC_TYPE): (self.domain,)}

    @cached_property
    def binding(self) -> DirectPost:
        """How the answer comes."""
        return DirectPost(RESPONSE_URI, self.response_key_thumbprint)

    def status_lists(
        self, *, bits: int = 2, states: Mapping[int, int] | None = None, size: int = 1000
    ) -> dict[tuple[str, str], Fetched | None]:
        """The one list of this world, in both forms, just fetched."""
        statuses = build_status_list(bits=bits, size=size, statuses=states or {})
        jwt = build_status_list_jwt(
            statuses,
            identity=self.status_identity,
            uri=STATUS_URI,
            issued_at=self.now,
            expires_at=self.now + DAY,
            ttl=300,
        )
        cwt = build_status_list_cwt(
            statuses,
            identity=self.status_identity,
            uri=STATUS_URI,
            issued_at=self.now,
            expires_at=self.now + DAY,
            ttl=300,
        )
        return {
            (STATUS_URI, StatusMediaType.JWT): Fetched(jwt.encode(), 200, StatusMediaType.JWT, self.now),
            (STATUS_URI, StatusMediaType.CWT): Fetched(cwt, 200, StatusMediaType.CWT, self.now),
        }

    def sd_jwt(self, *, idx: int = 7, **claims: object) -> str:
        """A credential as its issuer made it. claims: replace or add to those of the world."""
        return sd_jwt_vc.build_sd_jwt_vc(
            mark_disclosable({**CLAIMS, **claims}, paths=DISCLOSABLE),  # type: ignore[dict-item]  # JSON values
            issuer=sd_jwt_vc.vc_issuer(self.sd_jwt_identity),
            vct=VCT,
            holder_jwk=jwk_from_public_key(self.holder.public_key),
            not_before=self.now - HOUR,
            expires_at=self.now + 14 * DAY,
            status=status_reference_claim(StatusReference(STATUS_URI, idx)),  # type: ignore[arg-type]  # dict is invariant
        )

    def present_sd_jwt(
        self,
        credential: str,
        *,
        paths: Sequence[tuple[str | int | None, ...]] = (("family_name",), ("address", "locality")),
        nonce: str = NONCE,
        audience: str = CLIENT_ID,
    ) -> str:
        """The holder shows some claims and binds them to the question."""
        issued = sd_jwt_present.parse_issued(credential)
        processed = sd_jwt_present.read_as_holder(issued, expected_typ=sd_jwt_vc.TYP)
        chosen = sd_jwt_present.select_disclosures(issued, processed, paths=paths)
        bound = key_binding.build_key_binding(
            chosen, signer=self.holder, nonce=nonce, audience=audience, issued_at=self.now
        )
        return sd_jwt_present.serialize(bound)

    def mdoc(self, *, idx: int = 7, **elements: object) -> bytes:
        """A credential as its issuer made it: the encoded IssuerSigned."""
        return build_issuer_signed(
            mdoc_identity(self.mdoc_identity),
            doc_type=DOC_TYPE,
            claims={NAME_SPACE: {**ELEMENTS, **elements}},
            device_key=self.holder.public_key,
            validity=Validity(signed=self.now - HOUR, valid_from=self.now - HOUR, valid_until=self.now + 14 * DAY),
            status=StatusReference(STATUS_URI, idx),
        )

    def present_mdoc(
        self,
        credential: bytes,
        *,
        disclose: Sequence[tuple[str, str]] = ((NAME_SPACE, "family_name"), (NAME_SPACE, "resident_city")),
        transcript: bytes | None = None,
    ) -> str:
        """The holder's device shows some elements in this session: the base64url of a DeviceResponse."""
        document = build_document(
            parse_issuer_signed(credential),
            doc_type=DOC_TYPE,
            disclose=disclose,
            session_transcript=transcript or self.transcript,
            device_key=self.holder,
        )
        return base64url.encode(build_device_response([document]))

    @cached_property
    def transcript(self) -> bytes:
        """The session of the question."""
        return openid4vp_transcript(
            client_id=CLIENT_ID,
            nonce=NONCE,
            jwk_thumbprint=self.response_key_thumbprint,
            response_uri=RESPONSE_URI,
        )

    def verify(
        self,
        vp_token: object,
        *,
        query: DcqlQuery = QUERY,
        status_lists: Mapping[tuple[str, str], Fetched | None] | None = None,
        policy: Policy | None = None,
        now: int | None = None,
    ) -> Verdict:
        """Judge an answer by what this world expects."""
        return verify_presentation(
            vp_token,
            query=query,
            nonce=NONCE,
            client_id=CLIENT_ID,
            binding=self.binding,
            trust=self.trust,
            status_lists=self.status_lists() if status_lists is None else status_lists,
            policy=policy or Policy(),
            now=self.now if now is None else now,
        )
