"""Which rules apply? An ecosystem's choices wherever the standards leave one, as data: `plain-1.0`, `haip-1.0`, …

The files beside this module are read by `specs.profiles.reading`. A profile is handed down; nobody looks one up.
"""

from dataclasses import dataclass
from enum import StrEnum

from specs.protocols.openid4vp.client_id import ClientIdPrefix
from specs.protocols.openid4vp.request import ResponseMode

FULL_PROFILES = ("plain-1.0", "haip-1.0", "de-2026-11")
OVERLAYS = ("oidf",)


class ClientAuthentication(StrEnum):
    """How a wallet proves who it is, at PAR and at the token endpoint."""

    NONE = "none"
    PRIVATE_KEY_JWT = "private_key_jwt"
    ATTESTATION = "attestation"


class SenderConstraint(StrEnum):
    """Whether access tokens are bound to a key of the wallet."""

    DPOP = "dpop"
    DPOP_IF_OFFERED = "dpop_if_offered"


class CredentialIdentifiers(StrEnum):
    """Which id a credential request may carry: the kind that the token response returned, or either alone."""

    AS_RETURNED = "as_returned"
    EITHER = "either"


class KeyAttestation(StrEnum):
    """Where a key attestation is demanded."""

    PER_TYPE = "per_type"  # as the type's own file says
    LISTED_TYPES = "listed_types"


class CredentialEncryption(StrEnum):
    """Whether credential requests and answers travel encrypted inside TLS as well."""

    NONE = "none"
    OPTIONAL = "optional"  # as the wallet likes
    REQUIRED = "required"


class SignedMetadata(StrEnum):
    """Whether issuer metadata come as a signed JWT."""

    OPTIONAL = "optional"
    REQUIRED = "required"  # and preferred where a client likes both forms alike
    ON_REQUEST = "on_request"  # whoever asks for application/jwt gets it


class Relaxation(StrEnum):
    """What is refused although no clause demands it, unless a profile lists it here."""

    ANCHOR_IN_X5C = "anchor_in_x5c"
    CERTIFICATE_USAGE_DETAILS = "certificate_usage_details"
    VC_SD_JWT_TYP = "vc_sd_jwt_typ"


class RequestChain(StrEnum):
    """Which certificates travel with a signed question."""

    FULL = "full"  # up to, but without, the anchor
    ACCESS_CERTIFICATE = "access_certificate"  # the leaf alone


class Deferred(StrEnum):
    """Whether a credential may come later."""

    ALLOWED = "allowed"
    NONE = "none"  # claims are there before the offer is made or the login ends
    FIRST_POLL = "first_poll"  # ready at the first question for it


class RefreshKey(StrEnum):
    """Whose refresh tokens are bound to their DPoP key; an attested wallet's are bound to its attested key anyway."""

    EVERYBODYS = "everybodys"
    UNPROVEN_CLIENTS = "unproven_clients"  # of those alone that don't prove who they are (RFC 9449 §5)


class ReturnedDetails(StrEnum):
    """When a token answer says `authorization_details` with credential identifiers (OpenID4VCI §6.2)."""

    AS_ASKED = "as_asked"
    FOR_OFFERS = "for_offers"  # for a pre-authorized code as well


class SpentIssuerState(StrEnum):
    """What an `issuer_state` of no open offer means for a pushed request."""

    REFUSED = "refused"
    IGNORED = "ignored"  # the request goes on as one that the wallet began by itself


@dataclass(frozen=True, slots=True)
class ClientAuthenticationRule:
    """`methods` are accepted; `by_setting` only where an operator turns them on."""

    methods: frozenset[ClientAuthentication]
    by_setting: frozenset[ClientAuthentication]


@dataclass(frozen=True, slots=True)
class AccessTokenRule:
    """bearer_lifetime: seconds that an unbound token may live, None where there is none."""

    sender_constraint: SenderConstraint
    bearer_lifetime: int | None
    bearer_at_notification: bool


@dataclass(frozen=True, slots=True)
class ProofAgeRule:
    """Seconds by which a DPoP proof or attestation proof may be old or early, where no server nonce decides."""

    back: int
    ahead: int


@dataclass(frozen=True, slots=True)
class RefreshTokenRule:
    """grace: seconds that a rotated token stays valid until its successor is used. warn_beyond: seconds of lifetime."""

    rotation: bool
    grace: int | None
    warn_beyond: int | None
    dpop_key: RefreshKey


@dataclass(frozen=True, slots=True)
class KeyAttestationRule:
    """`types` are those that demand one, where the rule lists types."""

    rule: KeyAttestation
    types: frozenset[str]


class StatusListKeys(StrEnum):
    """How the header of a status list token says by which key it is signed."""

    X5C = "x5c"
    X5C_AND_JWK = "x5c_and_jwk"


@dataclass(frozen=True, slots=True)
class CopiesRule:
    """How many credentials one request gets. per_type: None, the type's own file says, up to `most`."""

    most: int
    default: int | None
    by_type: tuple[tuple[str, int], ...]
    per_person_caps: bool

    def of(self, credential_type: str) -> int | None:
        """The copies of a type; None: its own file says."""
        return dict(self.by_type).get(credential_type, self.default)


@dataclass(frozen=True, slots=True)
class PresentationRule:
    """What questions look like. signature_algs: JOSE names of what is accepted from issuers and holders."""

    response_modes: frozenset[ResponseMode]
    signed_prefixes: frozenset[ClientIdPrefix]
    unsigned_prefixes: frozenset[ClientIdPrefix]
    signature_algs: frozenset[str]
    encryption_encs: tuple[str, ...]
    verifier_info: bool
    vct_exact: bool
    request_chain: RequestChain
    request_chain_by_setting: bool
    chosen_per_transaction: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """All choices of one ecosystem. credential_algs: JOSE names of what credentials may be signed with."""

    name: str
    client_authentication: ClientAuthenticationRule
    access_tokens: AccessTokenRule
    proof_age: ProofAgeRule
    refresh_tokens: RefreshTokenRule
    credential_identifiers: CredentialIdentifiers
    key_attestation: KeyAttestationRule
    credential_encryption: CredentialEncryption
    offer_schemes: tuple[str, ...]  # of links to offers, the one to use first
    signed_issuer_metadata: SignedMetadata
    metadata_extras: frozenset[str]
    credential_algs: frozenset[str]
    copies: CopiesRule
    relaxations: frozenset[Relaxation]
    presentations: PresentationRule
    deferred: Deferred
    spent_issuer_state: SpentIssuerState
    returned_details: ReturnedDetails
    status_list_keys: StatusListKeys
