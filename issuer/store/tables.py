"""Every table of the issuer: what is kept, for whom, how long (the life of each single-use thing).

Conventions. Times are whole seconds since the epoch, UTC (`…_ms` are milliseconds). Strong secrets (codes, tokens,
handles, references in addresses) are stored as their SHA-256 only, short ones (`tx_code`) as an HMAC whose key lives
outside the database. Personal data stands in columns called `sealed_…` (AES-GCM under the tenant's data key). Every
table has its tenant, and every query names it.
"""

from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, MetaData, UniqueConstraint, text
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def partial_index(name: str, column: str, *, where: str) -> Index:
    """An index over some rows only, so that the others cost nothing."""
    predicate = text(where)
    return Index(name, column, postgresql_where=predicate, sqlite_where=predicate)


class Row(SQLModel):
    """What all tables share: names for every constraint, so that migrations can address them."""

    metadata = MetaData(naming_convention=NAMING)


class OfferState(StrEnum):
    """The life of an offer. From CLOSED on nothing changes any more."""

    CREATED = "created"  # nobody has looked at it
    OPENED = "opened"  # a wallet fetched it, or its request was pushed
    AUTHORIZED = "authorized"  # a code was redeemed or a login completed
    ISSUED = "issued"  # at least one credential left the house
    ACCEPTED = "accepted"  # the wallet said that it keeps it
    CLOSED = "closed"  # all issued, or nothing can ask any more
    EXPIRED = "expired"
    LOCKED = "locked"  # too many wrong transaction codes
    CANCELLED = "cancelled"  # by the city
    FAILED = "failed"  # with a reason


class Grant(StrEnum):
    """How the wallet gets its token; the values of the City API."""

    PRE_AUTHORIZED_CODE = "pre-authorized_code"
    AUTHORIZATION_CODE = "authorization_code"


class Delivery(StrEnum):
    """Whether the offer's link carries the offer or points to it."""

    VALUE = "value"
    REFERENCE = "reference"


class CredentialStatus(StrEnum):
    """Whether a credential holds."""

    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class Role(StrEnum):
    """What an application back end may do: a viewer reads states, an operator makes offers and changes credentials."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class ClientKind(StrEnum):
    """How an application back end signs in."""

    API_KEY = "api_key"
    CLIENT_CREDENTIALS = "client_credentials"


class Tenant(Row, table=True):
    """A city or department that issues under its own name, keys and data key."""

    __tablename__ = "tenants"

    id: str = Field(primary_key=True, max_length=63)  # the {tenant} of its addresses
    name: str = Field(max_length=200)
    preset: str = Field(max_length=40)  # name of a profile in specs/profiles
    locale: str = Field(max_length=10)
    sealed_data_key: bytes = Field(sa_type=LargeBinary)  # wrapped under the master key, which is a file
    created_at: int = Field(sa_type=BigInteger)


class ApiClient(Row, table=True):
    """An application back end that may call the City API for one tenant."""

    __tablename__ = "api_clients"

    id: str = Field(primary_key=True, max_length=64)  # OAuth client_id, or the public half of an API key
    tenant_id: str = Field(foreign_key="tenants.id", index=True, max_length=63)
    name: str = Field(max_length=200)
    kind: str = Field(max_length=20)  # ClientKind
    role: str = Field(max_length=20)  # Role
    secret_digest: bytes = Field(sa_type=LargeBinary)  # SHA-256 of 256 random bits
    created_at: int = Field(sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)


class Offer(Row, table=True):
    """One person's credentials waiting to be collected. A login without an offer makes one too (origin `wallet`)."""

    __tablename__ = "offers"
    __table_args__ = (partial_index("ix_offers_open", "expires_at", where="ended_at IS NULL"),)

    id: str = Field(primary_key=True, max_length=32)  # 128 random bits; for the City API only
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    origin: str = Field(default="city", max_length=10)  # city | wallet
    client_id: str | None = Field(default=None, max_length=64)  # the API client that made it
    state: str = Field(default=OfferState.CREATED, max_length=16)  # OfferState
    failure_reason: str | None = Field(default=None, max_length=100)
    grant: str = Field(max_length=32)  # Grant
    delivery: str = Field(default=Delivery.REFERENCE, max_length=16)  # Delivery
    locale: str = Field(default="de", max_length=10)
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger)
    generation: int = 0  # counted up by every re-arming; codes, references and issuer_state are of one
    reference_digest: bytes | None = Field(
        default=None, sa_type=LargeBinary, unique=True
    )  # the {id} in wallet addresses
    issuer_state_digest: bytes | None = Field(default=None, sa_type=LargeBinary, unique=True)
    subject_pseudonym: bytes | None = Field(default=None, sa_type=LargeBinary)  # HMAC of the subject reference
    sealed_subject: bytes | None = Field(
        default=None, sa_type=LargeBinary
    )  # the reference itself, kept only while a register may have to be asked about it
    tx_code_mac: bytes | None = Field(default=None, sa_type=LargeBinary)  # none: no transaction code is asked
    tx_code_length: int = 0
    tx_code_tries: int = 0  # wrong ones so far
    redeemed_at: int | None = Field(
        default=None, sa_type=BigInteger
    )  # the first redeemed code or completed login spends it
    ended_at: int | None = Field(default=None, sa_type=BigInteger)


class OfferConfiguration(Row, table=True):
    """One credential (type × format × dataset) of an offer, with its claims while somebody may still ask for it."""

    __tablename__ = "offer_configurations"
    __table_args__ = (
        partial_index("ix_offer_configurations_credential_id", "credential_id", where="credential_id IS NOT NULL"),
    )

    offer_id: str = Field(primary_key=True, foreign_key="offers.id", max_length=32)
    configuration_id: str = Field(primary_key=True, max_length=100)
    dataset: str = Field(default="", primary_key=True, max_length=32)  # a name of the city's; none where it is the only
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    credential_type: str = Field(max_length=100)
    format: str = Field(max_length=20)  # dc+sd-jwt | mso_mdoc
    sealed_claims: bytes | None = Field(default=None, sa_type=LargeBinary)
    erased_at: int | None = Field(default=None, sa_type=BigInteger)
    credential_id: str | None = Field(default=None, max_length=32)  # known beforehand in a renewal
    issued_at: int | None = Field(default=None, sa_type=BigInteger)  # when the first copy came from this offer


class PushedRequest(Row, table=True):
    """An authorization request that a wallet pushed (RFC 9126); the key is the SHA-256 of its request_uri."""

    __tablename__ = "pushed_requests"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    client_id: str = Field(max_length=500)
    redirect_uri: str = Field(max_length=2000)
    state: str | None = Field(default=None, max_length=2000)
    code_challenge: str = Field(max_length=128)
    configuration_ids: list[str] = Field(sa_type=JSON)
    scope: str | None = Field(default=None, max_length=2000)  # as granted; none when authorization_details asked
    detailed: bool = False  # authorization_details were used: the token answer must carry credential identifiers
    offer_id: str | None = Field(default=None, foreign_key="offers.id", max_length=32)  # by issuer_state
    dpop_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)
    instance_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)  # key of the client attestation
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    completed_at: int | None = Field(default=None, sa_type=BigInteger)


class LoginSession(Row, table=True):
    """One browser's way through login and consent; the key is the SHA-256 of its cookie."""

    __tablename__ = "login_sessions"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    request_digest: bytes = Field(foreign_key="pushed_requests.digest", sa_type=LargeBinary, index=True)
    csrf_digest: bytes = Field(sa_type=LargeBinary)
    sealed_subject: bytes | None = Field(default=None, sa_type=LargeBinary)  # who logged in
    sealed_upstream: bytes | None = Field(default=None, sa_type=LargeBinary)  # what must come back from elsewhere
    failures: int = 0
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    completed_at: int | None = Field(default=None, sa_type=BigInteger)


class AuthorizationCode(Row, table=True):
    """A code that a login gave to the wallet; kept after use, so that a second use can end what came of the first."""

    __tablename__ = "authorization_codes"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    offer_id: str = Field(foreign_key="offers.id", index=True, max_length=32)
    client_id: str = Field(max_length=500)
    redirect_uri: str = Field(max_length=2000)
    code_challenge: str = Field(max_length=128)
    configuration_ids: list[str] = Field(sa_type=JSON)
    scope: str | None = Field(default=None, max_length=2000)
    detailed: bool = False
    dpop_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)
    instance_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    redeemed_at_ms: int | None = Field(default=None, sa_type=BigInteger)
    redeemed_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)  # DPoP key of the redeeming request


class AccessToken(Row, table=True):
    """What a wallet may collect, until when, with which key."""

    __tablename__ = "access_tokens"
    __table_args__ = (
        partial_index("ix_access_tokens_refresh_family", "refresh_family", where="refresh_family IS NOT NULL"),
    )

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    offer_id: str = Field(foreign_key="offers.id", index=True, max_length=32)
    client_id: str | None = Field(default=None, max_length=500)  # none: anonymous pre-authorized access
    dpop_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)  # none: a plain Bearer token
    code_digest: bytes | None = Field(
        default=None, sa_type=LargeBinary, index=True
    )  # the code of either kind it was made from
    refresh_family: str | None = Field(default=None, max_length=32)
    scope: str | None = Field(default=None, max_length=2000)
    configuration_ids: list[str] = Field(sa_type=JSON)
    credential_identifiers: dict[str, list[str]] = Field(sa_type=JSON)  # identifier → configuration id, dataset
    detailed: bool = False
    uses: int = 0
    max_uses: int = 100
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)


class RefreshToken(Row, table=True):
    """Lets a wallet renew without its citizen; a family ends together."""

    __tablename__ = "refresh_tokens"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    offer_id: str = Field(foreign_key="offers.id", index=True, max_length=32)
    family: str = Field(index=True, max_length=32)
    client_id: str | None = Field(default=None, max_length=500)
    dpop_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)
    instance_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)
    scope: str | None = Field(default=None, max_length=2000)
    configuration_ids: list[str] = Field(sa_type=JSON)
    detailed: bool = False
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    successor_digest: bytes | None = Field(default=None, sa_type=LargeBinary)  # rotated: who comes after
    rotated_at: int | None = Field(default=None, sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)


class UsedNonce(Row, table=True):
    """A nonce of ours that was redeemed; fresh ones are stored nowhere."""

    __tablename__ = "used_nonces"

    tenant_id: str = Field(primary_key=True, foreign_key="tenants.id", max_length=63)
    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class UsedJti(Row, table=True):
    """The `jti` of a DPoP or client attestation proof that was seen, until the proof is too old anyway."""

    __tablename__ = "used_jtis"

    tenant_id: str = Field(primary_key=True, foreign_key="tenants.id", max_length=63)
    purpose: str = Field(primary_key=True, max_length=20)  # dpop | attestation_pop
    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)  # over key thumbprint and jti
    expires_at: int = Field(sa_type=BigInteger, index=True)


class StatusListRow(Row, table=True):
    """One published list. `allocated` counts entries given out; a keyed permutation turns the count into an index."""

    __tablename__ = "status_lists"
    __table_args__ = (Index("ix_status_lists_tenant_id_open", "tenant_id", "open"),)

    id: str = Field(primary_key=True, max_length=32)  # random; the last part of its address
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    bits: int
    size: int  # entries, a power of two
    allocated: int = 0
    open: bool = True
    version: int = 0  # counted up by every change of an entry
    sealed_permutation_key: bytes = Field(sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger)


class Credential(Row, table=True):
    """What a person holds of one dataset of a type in one format: covers all copies, repeats and renewals."""

    __tablename__ = "credentials"
    __table_args__ = (
        UniqueConstraint("offer_id", "configuration_id", "dataset"),
        Index("ix_credentials_tenant_id_subject_pseudonym", "tenant_id", "subject_pseudonym"),
        Index("ix_credentials_tenant_id_expires_at", "tenant_id", "expires_at"),
    )

    id: str = Field(primary_key=True, max_length=32)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    offer_id: str = Field(foreign_key="offers.id", max_length=32)
    configuration_id: str = Field(max_length=100)
    dataset: str = Field(default="", max_length=32)
    credential_type: str = Field(max_length=100)
    format: str = Field(max_length=20)
    subject_pseudonym: bytes | None = Field(default=None, sa_type=LargeBinary)
    status: str = Field(default=CredentialStatus.VALID, max_length=16)  # CredentialStatus
    status_reason: str | None = Field(default=None, max_length=200)
    expires_at: int = Field(default=0, sa_type=BigInteger)  # end of the newest copy
    created_at: int = Field(sa_type=BigInteger)
    changed_at: int = Field(sa_type=BigInteger)


class CredentialCopy(Row, table=True):
    """One signed copy: its place in a status list, recorded before the wallet gets its answer."""

    __tablename__ = "credential_copies"

    status_list_id: str = Field(primary_key=True, foreign_key="status_lists.id", max_length=32)
    idx: int = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    credential_id: str = Field(foreign_key="credentials.id", index=True, max_length=32)
    expires_at: int = Field(sa_type=BigInteger, index=True)  # `exp` of the credential


class IdempotencyRecord(Row, table=True):
    """The answer to a request that may be sent again, sealed under a key that only the asker's header yields."""

    __tablename__ = "idempotency_records"

    tenant_id: str = Field(primary_key=True, foreign_key="tenants.id", max_length=63)
    client_id: str = Field(primary_key=True, max_length=64)
    method: str = Field(primary_key=True, max_length=10)
    path: str = Field(primary_key=True, max_length=300)
    key_digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    body_digest: bytes = Field(sa_type=LargeBinary)
    status: int
    sealed_answer: bytes | None = Field(default=None, sa_type=LargeBinary)  # erased when its offer ends
    offer_id: str | None = Field(default=None, foreign_key="offers.id", index=True, max_length=32)
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class NotificationHandle(Row, table=True):
    """A `notification_id` and what the wallet said about the credential it stands for; repeats change nothing."""

    __tablename__ = "notification_handles"

    id: str = Field(primary_key=True, max_length=32)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    token_digest: bytes = Field(foreign_key="access_tokens.digest", sa_type=LargeBinary, index=True)
    credential_id: str = Field(foreign_key="credentials.id", max_length=32)
    event: str | None = Field(default=None, max_length=40)
    created_at: int = Field(sa_type=BigInteger)
    changed_at: int | None = Field(default=None, sa_type=BigInteger)


class DeferredTransaction(Row, table=True):
    """A credential that the wallet comes back for; the key is the SHA-256 of its transaction_id."""

    __tablename__ = "deferred_transactions"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    tenant_id: str = Field(foreign_key="tenants.id", max_length=63)
    offer_id: str = Field(foreign_key="offers.id", index=True, max_length=32)
    token_digest: bytes = Field(foreign_key="access_tokens.digest", sa_type=LargeBinary)
    client_id: str | None = Field(default=None, max_length=500)
    dpop_jkt: bytes | None = Field(default=None, sa_type=LargeBinary)
    configuration_id: str = Field(max_length=100)
    dataset: str = Field(default="", max_length=32)
    id: str = Field(unique=True, max_length=32)  # for the City API only
    sealed_request: bytes = Field(sa_type=LargeBinary)  # holder keys of the proofs
    interval: int  # seconds between two questions of the wallet
    needs_approval: bool = False
    approved_at: int | None = Field(default=None, sa_type=BigInteger)
    denied_at: int | None = Field(default=None, sa_type=BigInteger)
    denial_reason: str | None = Field(default=None, max_length=200)
    ready_at: int = Field(sa_type=BigInteger)
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
    handed_out_at: int | None = Field(default=None, sa_type=BigInteger)
