"""Events enter the outbox in the transaction of what happened: both are there after a crash, or neither.

Where nobody wants to be told, none is written. An event names offers and credentials by their ids and never a person.
What can happen to a thing once has an id that follows from it, so that two workers who see it at one time tell it once.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from sqlalchemy import BigInteger, String, Text, bindparam, exists, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.store.city_tables import Event, WebhookEndpoint
from issuer.store.statements import Statement
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject


class EventType(StrEnum):
    """All that a city can be told."""

    OFFER_CREATED = "offer.created"
    OFFER_OPENED = "offer.opened"
    OFFER_AUTHORIZED = "offer.authorized"
    OFFER_ISSUED = "offer.issued"
    OFFER_ACCEPTED = "offer.accepted"
    OFFER_CLOSED = "offer.closed"
    OFFER_EXPIRED = "offer.expired"
    OFFER_LOCKED = "offer.locked"
    OFFER_CANCELLED = "offer.cancelled"
    OFFER_FAILED = "offer.failed"
    CREDENTIAL_ISSUED = "credential.issued"
    CREDENTIAL_REVOKED = "credential.revoked"
    CREDENTIAL_SUSPENDED = "credential.suspended"
    CREDENTIAL_REINSTATED = "credential.reinstated"
    CREDENTIAL_NOTIFICATION = "credential.notification"
    DEFERRED_WAITING = "deferred.waiting"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing to tell. once: a word under which it can happen to its subject a single time, None if repeatedly."""

    type: EventType
    offer_id: str | None = None
    credential_id: str | None = None
    details: JsonObject | None = None
    once: str | None = None


async def tell(session: AsyncSession, *, tenant_id: str, happenings: Sequence[Happening], now: int) -> None:
    """Write events, in the caller's transaction, if the tenant has an endpoint. now: seconds since the epoch."""
    if not happenings:
        return
    values: dict[str, object] = {"tenant": tenant_id, "now": now}
    for number, happening in enumerate(happenings):
        values[f"id_{number}"] = _id(tenant_id, happening)
        values[f"type_{number}"] = happening.type.value
        values[f"body_{number}"] = strict_json.dumps(_body(happening, now)).decode()
    await _told(len(happenings)).later(session, **values)


@lru_cache(maxsize=1024)
def _told(count: int) -> Statement:
    """The insertion of so many events, unless they are known or nobody waits for any."""
    tenant, now = bindparam("tenant", type_=String), bindparam("now", type_=BigInteger)
    waits = (col(WebhookEndpoint.tenant_id) == tenant, col(WebhookEndpoint.disabled_at).is_(None))
    rows = [
        select(
            bindparam(f"id_{number}", type_=String),
            tenant,
            bindparam(f"type_{number}", type_=String),
            bindparam(f"body_{number}", type_=Text),
            now,
        ).where(exists().where(*waits))
        for number in range(count)
    ]
    columns = ["id", "tenant_id", "type", "body", "created_at"]
    return Statement(
        *(
            dialect.insert(Event)
            .from_select(columns, union_all(*rows) if count > 1 else rows[0])
            .on_conflict_do_nothing(index_elements=["id"])
            for dialect in (postgresql, sqlite)
        )
    )


def offer_state(offer_id: str, state: str, *, generation: int | None = None, reason: str | None = None) -> Happening:
    """An offer came into a state. generation: of its secrets, where a re-armed offer comes into the state anew."""
    return Happening(
        EventType(f"offer.{state}"),
        offer_id=offer_id,
        details=None if reason is None else {"reason": reason},
        once=None if generation is None else str(generation),
    )


def _id(tenant_id: str, happening: Happening) -> str:
    if happening.once is None:
        return f"evt_{secrets.token_urlsafe(24)}"
    parts = (tenant_id, happening.type, happening.offer_id or "", happening.credential_id or "", happening.once)
    return f"evt_{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}"


def _body(happening: Happening, now: int) -> JsonObject:
    data: JsonObject = {}
    if happening.offer_id is not None:
        data["offer_id"] = happening.offer_id
    if happening.credential_id is not None:
        data["credential_id"] = happening.credential_id
    return {
        "type": happening.type.value,
        "timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data | (happening.details or {}),
    }
