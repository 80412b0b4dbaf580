"""Tables of the city's side: how many live credentials a person holds, and what the city is told about."""

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, Text
from sqlmodel import Field

from issuer.store.tables import Row


class PersonSlot(Row, table=True):
    """One of the places that a person has for live credentials of a configuration; taken anew once it is free."""

    __tablename__ = "person_slots"

    tenant_id: str = Field(primary_key=True, foreign_key="tenants.id", max_length=63)
    subject_pseudonym: bytes = Field(primary_key=True, sa_type=LargeBinary)
    configuration_id: str = Field(primary_key=True, max_length=100)
    slot: int = Field(primary_key=True)
    credential_id: str = Field(foreign_key="credentials.id", index=True, max_length=32)
    live_until: int = Field(sa_type=BigInteger, index=True)  # end of the newest copy; 0 once revoked


class Event(Row, table=True):
    """Something that happened to an offer or a credential, written with it; fanned out to endpoints afterwards."""

    __tablename__ = "events"

    id: str = Field(primary_key=True, max_length=40)
    tenant_id: str = Field(foreign_key="tenants.id", index=True, max_length=63)
    type: str = Field(max_length=40)  # EventType
    body: str = Field(sa_type=Text)  # JSON as it is sent; no personal data
    created_at: int = Field(sa_type=BigInteger, index=True)
    fanned_out_at: int | None = Field(default=None, sa_type=BigInteger, index=True)


class WebhookEndpoint(Row, table=True):
    """Where a tenant wants to be told."""

    __tablename__ = "webhook_endpoints"

    id: str = Field(primary_key=True, max_length=32)
    tenant_id: str = Field(foreign_key="tenants.id", index=True, max_length=63)
    url: str = Field(max_length=500)
    event_types: list[str] = Field(sa_type=JSON)  # empty: all
    sealed_secret: bytes = Field(sa_type=LargeBinary)  # of the HMAC
    sealed_signing_key: bytes | None = Field(default=None, sa_type=LargeBinary)  # Ed25519, if asked for
    created_at: int = Field(sa_type=BigInteger)
    disabled_at: int | None = Field(default=None, sa_type=BigInteger)


class WebhookDelivery(Row, table=True):
    """One event for one endpoint, until it has arrived or nobody tries any more."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_state_next_at", "state", "next_at"),)

    id: str = Field(primary_key=True, max_length=32)
    tenant_id: str = Field(foreign_key="tenants.id", index=True, max_length=63)
    event_id: str = Field(foreign_key="events.id", index=True, max_length=40)
    endpoint_id: str = Field(foreign_key="webhook_endpoints.id", index=True, max_length=32)
    state: str = Field(max_length=16)  # DeliveryState
    attempts: int = 0
    next_at: int = Field(sa_type=BigInteger)  # not tried before; while one tries: the end of its lease
    last_failure: str | None = Field(default=None, max_length=60)
    created_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
