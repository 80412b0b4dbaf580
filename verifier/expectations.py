"""What a caller expects of an answer: how it is bound, whom to believe, which rules apply. All of it is data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.mdoc import MdocLimits
from specs.credentials.sd_jwt import Limits as SdJwtLimits
from specs.trust.x509 import CertificateProfile, TrustAnchor

STATUS_LIST_JWT = "application/statuslist+jwt"
STATUS_LIST_CWT = "application/statuslist+cwt"


@dataclass(frozen=True, slots=True)
class DirectPost:
    """The answer came to `response_uri` (OpenID4VP §8.2, B.2.6.1).

    key_thumbprint: RFC 7638 SHA-256 of the key that the answer was encrypted to, 32 bytes; None if it came in clear.
    mac_key: private half of a key that wallets may agree a device MAC with; None refuses MACs.
    """

    response_uri: str
    key_thumbprint: bytes | None = None
    mac_key: ec.EllipticCurvePrivateKey | None = None


@dataclass(frozen=True, slots=True)
class DcApi:
    """The answer came through the Digital Credentials API to a page of `origin` (OpenID4VP A.4, B.2.6.2)."""

    origin: str
    key_thumbprint: bytes | None = None
    mac_key: ec.EllipticCurvePrivateKey | None = None


@dataclass(frozen=True, slots=True)
class InteractiveAuthorization:
    """The answer came to an authorization server's endpoint of `origin` (OpenID4VCI 1.1 draft-01 App. A.3.5)."""

    origin: str
    key_thumbprint: bytes | None = None
    mac_key: ec.EllipticCurvePrivateKey | None = None


@dataclass(frozen=True, slots=True)
class Proximity:
    """The answer came over an ISO 18013-5 session; `session_transcript` is its CBOR encoding."""

    session_transcript: bytes
    mac_key: ec.EllipticCurvePrivateKey | None = None


@dataclass(frozen=True, slots=True)
class IsoMdocDcApi:
    """The answer came through `org-iso-mdoc` (ISO/IEC TS 18013-7 Annex C). encryption_info: base64url text as sent."""

    encryption_info: str
    origin: str


Binding: TypeAlias = DirectPost | DcApi | InteractiveAuthorization | Proximity | IsoMdocDcApi


class RevocationRule(StrEnum):
    """What a revocation service named in a certificate means for the path."""

    REQUIRED = "required"  # no usable answer refuses
    OFF = "off"  # not asked, because the domain's anchors withdraw certificates in another way


@dataclass(frozen=True, slots=True)
class TrustDomain:
    """Those who may speak for a credential type, and for its status: one entity's anchors, kept together.

    sd_jwt_ekus: extended key usages (dotted OIDs) a signer of SD-JWT VC may have; None allows any. identifier: what
    stays of the entity when its name changes; None: the name.
    """

    name: str
    anchors: tuple[TrustAnchor, ...]
    status_anchors: tuple[TrustAnchor, ...] = ()
    profile: CertificateProfile = CertificateProfile.EAA
    sd_jwt_ekus: frozenset[str] | None = None
    revocation: RevocationRule = RevocationRule.REQUIRED
    identifier: str | None = None
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # paths are remembered by the domain they were found in
        object.__setattr__(self, "_hash", hash((self.name, self.anchors, self.status_anchors)))

    def __hash__(self) -> int:
        return self._hash


Trust: TypeAlias = Mapping[tuple[str, str], tuple[TrustDomain, ...]]
"""(format, requested type) → the domains that may speak for it."""


class TrustSource(Protocol):
    """Where trust comes from when it changes while the verifier runs (`verifier.trust_lists`)."""

    def current(self, *, now: int) -> Trust:
        """Whom to believe now, in seconds since the epoch; without input or output."""
        ...


def trust_now(trust: Trust | TrustSource, *, now: int) -> Trust:
    """Trust as it is now, whether it is fixed or not."""
    return trust if isinstance(trust, Mapping) else trust.current(now=now)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document that was fetched. fetched_at: seconds since the epoch."""

    body: bytes
    http_status: int
    content_type: str
    fetched_at: int


StatusLists: TypeAlias = Mapping[tuple[str, str], Fetched | None]


class StatusRule(StrEnum):
    """How much a procedure cares for the status of a credential."""

    REQUIRED = "required"  # a credential without a status reference is refused
    WHEN_PRESENT = "when_present"  # a reference that is there must resolve to VALID
    OFF = "off"  # not looked at


class OverDisclosure(StrEnum):
    """What happens to claims that were shown but not asked for."""

    DROP = "drop"
    REFUSE = "refuse"


class FailedPresentation(StrEnum):
    """What happens to the other presentations when one fails."""

    DISCARD = "discard"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class SameClaim:
    """One property of a person and where each credential carries it: query id → claims path."""

    paths: Mapping[str, tuple[str | int, ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds for what a wallet may send (security: answered, never exhausted)."""

    presentation_bytes: int = 256 * 1024
    presentations: int = 20
    disclosures: int = 500
    nesting: int = 32
    status_list_bytes: int = 16 * 1024 * 1024  # decompressed
    of_sd_jwt: SdJwtLimits = field(init=False, repr=False, compare=False)
    of_mdoc: MdocLimits = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # the same in the terms of the formats
        size, count, depth = self.presentation_bytes, self.disclosures, self.nesting
        object.__setattr__(self, "of_sd_jwt", SdJwtLimits(max_bytes=size, max_disclosures=count, max_json_depth=depth))
        object.__setattr__(self, "of_mdoc", MdocLimits(max_bytes=size, max_items=count, max_depth=depth))


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a procedure beyond the standards. Seconds where a number is a time."""

    status: StatusRule = StatusRule.WHEN_PRESENT
    on_over_disclosure: OverDisclosure = OverDisclosure.DROP
    on_failed_presentation: FailedPresentation = FailedPresentation.DISCARD
    same_person: tuple[SameClaim, ...] = ()
    require_end_or_status: bool = True
    clock_skew: int = 60
    key_binding_max_age: int = 300
    allow_test_anchors: bool = False  # anchors of kind `pinned_test`; production refuses them
    allow_anchor_in_chain: bool = False  # plain-1.0 only (HAIP §6.1.1 forbids it)
    allow_legacy_typ: bool = False  # `vc+sd-jwt` beside `dc+sd-jwt`, plain-1.0 only
    limits: Limits = field(default_factory=Limits)
