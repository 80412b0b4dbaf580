"""Carries events to endpoints: fanned out, claimed by one worker each, posted, and tried again with growing pauses.

A claim is a lease: a worker that dies after it posted and before it wrote so leaves the delivery to another one, which
posts it again under the same `webhook-id`; receivers tell repeats by that.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import delete, exists, insert, update
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.events.endpoints import DeliveryState, EndpointNotFound, disable_endpoint, keys_of
from issuer.events.signing import signed_headers
from issuer.http.outgoing import Outgoing
from issuer.keys.tenant_pki import KeysError
from issuer.sealing import SealError
from issuer.store.city_tables import Event, WebhookDelivery, WebhookEndpoint
from issuer.store.engine import Store
from issuer.tenants import Tenants
from verifier.fetch import FetchFailed, FetchForbidden

TIMEOUT = 10.0  # seconds that a receiver has
LEASE = 60  # seconds after which another worker may try
FIRST_PAUSE, LONGEST_PAUSE = 5, 6 * 3600  # seconds; doubled with each attempt
_MAX_ANSWER = 64 * 1024
_BATCH = 20
_GONE = 410  # the receiver wants no more of it (Standard Webhooks 1.0)
_LOG = logging.getLogger("issuer")


class _TenantGone(Exception):
    """The tenant was there when the event happened."""


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A delivery that this worker alone may try until its lease ends."""

    id: str
    tenant_id: str
    event_id: str
    endpoint_id: str
    attempts: int
    lease: int


@dataclass(frozen=True, slots=True)
class Courier:
    """Delivers what is due. max_attempts: after so many a delivery is a dead letter."""

    store: Store
    tenants: Tenants
    outgoing: Outgoing
    clock: Callable[[], int]
    max_attempts: int
    keep: int  # seconds that what was delivered is kept
    jitter: Callable[[], float] = field(default=random.random)  # no secret

    async def run_once(self) -> int:
        """Fan out new events, then try what is due; how many deliveries were tried."""
        if not await self._has_work():
            return 0
        await self.fan_out()
        claimed = await self._claim()
        await asyncio.gather(*(self._attempt(each) for each in claimed))
        return len(claimed)

    async def fan_out(self) -> None:
        """Make a delivery of each new event for each endpoint that wants it."""
        now = self.clock()
        async with self.store.transaction() as session:
            events = (
                await session.exec(
                    select(Event)
                    .where(col(Event.fanned_out_at).is_(None))
                    .order_by(col(Event.created_at))
                    .limit(200)
                    .with_for_update(skip_locked=True)
                )
            ).all()
            if not events:
                return
            endpoints = (
                await session.exec(
                    select(WebhookEndpoint).where(
                        col(WebhookEndpoint.tenant_id).in_({event.tenant_id for event in events}),
                        col(WebhookEndpoint.disabled_at).is_(None),
                    )
                )
            ).all()
            deliveries = [
                {
                    "id": secrets.token_urlsafe(16),
                    "tenant_id": event.tenant_id,
                    "event_id": event.id,
                    "endpoint_id": endpoint.id,
                    "state": DeliveryState.PENDING,
                    "attempts": 0,
                    "next_at": now,
                    "created_at": now,
                }
                for event in events
                for endpoint in endpoints
                if endpoint.tenant_id == event.tenant_id
                and endpoint.created_at <= event.created_at
                and (not endpoint.event_types or event.type in endpoint.event_types)
            ]
            if deliveries:
                await session.exec(insert(WebhookDelivery).values(deliveries))
            await session.exec(
                update(Event)
                .where(col(Event.id).in_([event.id for event in events]))
                .values(fanned_out_at=now)
                .execution_options(synchronize_session=False)
            )

    async def forget(self) -> None:
        """Drop what was delivered long ago, and events that nobody waits for."""
        limit = self.clock() - self.keep
        async with self.store.transaction() as session:
            await session.exec(
                delete(WebhookDelivery).where(
                    col(WebhookDelivery.state) != DeliveryState.PENDING, col(WebhookDelivery.ended_at) <= limit
                )
            )
            await session.exec(
                delete(Event).where(
                    col(Event.created_at) <= limit,
                    col(Event.fanned_out_at).is_not(None),
                    ~exists().where(col(WebhookDelivery.event_id) == col(Event.id)),
                )
            )

    async def _has_work(self) -> bool:
        """A look that takes no lock; most of the time there is nothing."""
        new = exists().where(col(Event.fanned_out_at).is_(None))
        due = exists().where(
            col(WebhookDelivery.state) == DeliveryState.PENDING, col(WebhookDelivery.next_at) <= self.clock()
        )
        async with self.store.reading() as session:
            return bool((await session.exec(select(or_(new, due)))).one())

    async def _claim(self) -> list[_Claimed]:
        """Take what is due for a lease; other workers pass over it."""
        now = self.clock()
        due = (
            select(col(WebhookDelivery.id))
            .where(col(WebhookDelivery.state) == DeliveryState.PENDING, col(WebhookDelivery.next_at) <= now)
            .order_by(col(WebhookDelivery.next_at))
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        async with self.store.transaction() as session:
            rows = await session.exec(
                update(WebhookDelivery)
                .where(
                    col(WebhookDelivery.id).in_(due),
                    col(WebhookDelivery.state) == DeliveryState.PENDING,
                    col(WebhookDelivery.next_at) <= now,
                )
                .values(next_at=now + LEASE, attempts=WebhookDelivery.attempts + 1)
                .returning(
                    col(WebhookDelivery.id),
                    col(WebhookDelivery.tenant_id),
                    col(WebhookDelivery.event_id),
                    col(WebhookDelivery.endpoint_id),
                    col(WebhookDelivery.attempts),
                    col(WebhookDelivery.next_at),
                )
                .execution_options(synchronize_session=False)
            )
            return [_Claimed(*row) for row in rows]

    async def _attempt(self, claimed: _Claimed) -> None:
        """One delivery that can't be made, such as one whose secret can't be opened, holds up no other one."""
        try:
            await self._deliver(claimed)
        except (SealError, KeysError, _TenantGone) as error:
            _LOG.error("a webhook of the tenant %s can't be made: %s", claimed.tenant_id, type(error).__name__)
            async with self.store.transaction() as session:
                await self._note(session, claimed, f"not made: {type(error).__name__.lstrip('_')}")

    async def _deliver(self, claimed: _Claimed) -> None:
        async with self.store.reading() as session:
            event = (await session.exec(select(Event).where(Event.id == claimed.event_id))).one()
            endpoint = (
                await session.exec(select(WebhookEndpoint).where(WebhookEndpoint.id == claimed.endpoint_id))
            ).one()
        tenant = await self.tenants.find(claimed.tenant_id)
        if tenant is None:
            raise _TenantGone
        body = event.body.encode()
        headers = signed_headers(
            keys_of(endpoint, sealer=tenant.sealer), webhook_id=event.id, timestamp=self.clock(), body=body
        )
        failure = await self._post(endpoint.url, body, headers)
        async with self.store.transaction() as session:
            await self._note(session, claimed, failure)
            if failure == f"status_{_GONE}":
                with contextlib.suppress(EndpointNotFound):  # another delivery of this batch was told so first
                    await disable_endpoint(
                        session, tenant_id=claimed.tenant_id, endpoint_id=claimed.endpoint_id, now=self.clock()
                    )

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> str | None:
        """What went wrong; None if it arrived."""
        try:
            answer = await self.outgoing.post(
                url,
                body,
                headers={"Content-Type": "application/json", **headers},
                deadline=TIMEOUT,
                max_bytes=_MAX_ANSWER,
            )
        except FetchForbidden as error:
            return f"forbidden: {error}"[:60]
        except FetchFailed as error:
            return f"unreachable: {error}"[:60]
        return None if 200 <= answer.http_status < 300 else f"status_{answer.http_status}"

    async def _note(self, session: AsyncSession, claimed: _Claimed, failure: str | None) -> None:
        """Write down how it went, if the lease is still this worker's."""
        now = self.clock()
        if failure is None:
            values: dict[str, object] = {"state": DeliveryState.DELIVERED, "ended_at": now, "last_failure": None}
        elif claimed.attempts >= self.max_attempts:
            values = {"state": DeliveryState.DEAD, "ended_at": now, "last_failure": failure}
            _LOG.error("a webhook of the tenant %s is a dead letter: %s", claimed.tenant_id, failure)
        else:
            values = {"next_at": now + self.pause(claimed.attempts), "last_failure": failure}
        await session.exec(
            update(WebhookDelivery)
            .where(
                col(WebhookDelivery.id) == claimed.id,
                col(WebhookDelivery.state) == DeliveryState.PENDING,
                col(WebhookDelivery.next_at) == claimed.lease,
            )
            .values(**values)
            .execution_options(synchronize_session=False)
        )

    def pause(self, attempts: int) -> int:
        """Seconds until the next try after so many; half of it by chance, so that receivers are not overrun."""
        longest: int = min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE)
        return max(1, int(longest * (0.5 + self.jitter() / 2)))
