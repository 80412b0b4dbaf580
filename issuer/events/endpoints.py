"""Where tenants want to be told, and what could not be told them: endpoints and dead letters for the City API."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.events.signing import WebhookKeys, new_keys
from issuer.sealing import Sealer
from issuer.store.city_tables import Event, WebhookDelivery, WebhookEndpoint


class EndpointNotFound(Exception):
    """The tenant has no such endpoint or dead letter."""


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class EndpointView:
    """What the City API shows of an endpoint."""

    id: str
    url: str
    event_types: tuple[str, ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An endpoint just made; its secret is shown once."""

    view: EndpointView
    keys: WebhookKeys = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that nobody tries any more."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    attempts: int
    last_failure: str | None
    ended_at: int


async def add_endpoint(
    session: AsyncSession, *, sealer: Sealer, url: str, event_types: Sequence[str], asymmetric: bool, now: int
) -> NewEndpoint:
    """Tell this address from now on. event_types: none for all."""
    keys, endpoint_id = new_keys(asymmetric=asymmetric), secrets.token_urlsafe(16)
    sealed_key = None
    if keys.signing_key is not None:
        sealed_key = sealer.seal(keys.signing_key.private_bytes_raw(), place=_place("sealed_signing_key", endpoint_id))
    row = WebhookEndpoint(
        id=endpoint_id,
        tenant_id=sealer.tenant_id,
        url=url,
        event_types=list(event_types),
        sealed_secret=sealer.seal(keys.secret, place=_place("sealed_secret", endpoint_id)),
        sealed_signing_key=sealed_key,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return NewEndpoint(_view(row), keys)


async def list_endpoints(session: AsyncSession, *, tenant_id: str) -> list[EndpointView]:
    """The endpoints that are told, oldest first."""
    rows = await session.exec(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.tenant_id == tenant_id, col(WebhookEndpoint.disabled_at).is_(None))
        .order_by(col(WebhookEndpoint.created_at), col(WebhookEndpoint.id))
    )
    return [_view(row) for row in rows]


async def disable_endpoint(session: AsyncSession, *, tenant_id: str, endpoint_id: str, now: int) -> None:
    """Tell this address no more; what it had not got yet becomes dead letters.

    Raises:
        EndpointNotFound: there is none of this id that is told.
    """
    disabled = await session.exec(
        update(WebhookEndpoint)
        .where(
            col(WebhookEndpoint.tenant_id) == tenant_id,
            col(WebhookEndpoint.id) == endpoint_id,
            col(WebhookEndpoint.disabled_at).is_(None),
        )
        .values(disabled_at=now)
        .execution_options(synchronize_session=False)
    )
    if not disabled.rowcount:
        raise EndpointNotFound
    await session.exec(
        update(WebhookDelivery)
        .where(
            col(WebhookDelivery.tenant_id) == tenant_id,
            col(WebhookDelivery.endpoint_id) == endpoint_id,
            col(WebhookDelivery.state) == DeliveryState.PENDING,
        )
        .values(state=DeliveryState.DEAD, ended_at=now, last_failure="endpoint_disabled")
        .execution_options(synchronize_session=False)
    )


async def dead_letters(
    session: AsyncSession, *, tenant_id: str, after: str | None, limit: int
) -> tuple[list[DeadLetter], str | None]:
    """A page of dead letters, and the cursor of the next page if there is one."""
    rows = (
        await session.exec(
            select(WebhookDelivery, Event)
            .where(
                WebhookDelivery.tenant_id == tenant_id,
                WebhookDelivery.state == DeliveryState.DEAD,
                col(WebhookDelivery.id) > (after or ""),
                col(Event.id) == col(WebhookDelivery.event_id),
            )
            .order_by(col(WebhookDelivery.id))
            .limit(limit + 1)
        )
    ).all()
    page = [
        DeadLetter(row.id, row.endpoint_id, row.event_id, event.type, row.attempts, row.last_failure, row.ended_at or 0)
        for row, event in rows[:limit]
    ]
    return page, page[-1].id if len(rows) > limit else None


async def redeliver(session: AsyncSession, *, tenant_id: str, delivery_id: str, now: int) -> None:
    """Try a dead letter anew, as if for the first time.

    Raises:
        EndpointNotFound: there is no such dead letter, or its endpoint is not told any more.
    """
    told = (
        select(col(WebhookEndpoint.id))
        .where(col(WebhookEndpoint.tenant_id) == tenant_id, col(WebhookEndpoint.disabled_at).is_(None))
        .scalar_subquery()
    )
    revived = await session.exec(
        update(WebhookDelivery)
        .where(
            col(WebhookDelivery.tenant_id) == tenant_id,
            col(WebhookDelivery.id) == delivery_id,
            col(WebhookDelivery.state) == DeliveryState.DEAD,
            col(WebhookDelivery.endpoint_id).in_(told),
        )
        .values(state=DeliveryState.PENDING, attempts=0, next_at=now, ended_at=None, last_failure=None)
        .execution_options(synchronize_session=False)
    )
    if not revived.rowcount:
        raise EndpointNotFound


def keys_of(row: WebhookEndpoint, *, sealer: Sealer) -> WebhookKeys:
    """What an endpoint's webhooks are signed with.

    Raises:
        SealError: the row was altered, or the key is another one.
    """
    signing_key = None
    if row.sealed_signing_key is not None:
        raw = sealer.open(row.sealed_signing_key, place=_place("sealed_signing_key", row.id))
        signing_key = Ed25519PrivateKey.from_private_bytes(raw)
    return WebhookKeys(sealer.open(row.sealed_secret, place=_place("sealed_secret", row.id)), signing_key)


def _place(column: str, endpoint_id: str) -> str:
    return f"webhook_endpoints.{column}/{endpoint_id}"


def _view(row: WebhookEndpoint) -> EndpointView:
    return EndpointView(row.id, row.url, tuple(row.event_types), row.created_at)
