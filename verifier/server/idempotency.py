"""A call that is sent twice happens once: its answer is kept with the effect, sealed, and given again.

The record is written in the effect's own transaction, so a crash leaves both or neither. The answer holds a secret, so
it is sealed under a key that only the asker's Idempotency-Key yields.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    LargeBinary,
    String,
    Table,
    and_,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from verifier.server.clients import Caller
from verifier.stores.sql import metadata
from verifier.transaction import Seal

records = Table(
    "presentation_idempotency",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("client_id", String(16), primary_key=True),
    Column("key_digest", String(64), primary_key=True),
    Column("body_digest", String(64), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)


class OtherBody(Exception):
    """The key came with another body before."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call with its key. body: as it came."""

    caller: Caller
    key: str = field(repr=False)
    body: bytes = field(repr=False)


def once(
    engine: Engine, call: Call, effect: Callable[[Connection], bytes], *, sealing_key: bytes, lifetime: int, now: int
) -> bytes:
    """Let the effect happen, unless the same call had it before; the answer of whichever was first. lifetime: seconds.

    Two workers with one key: the first insert decides, the second waits for it and reads.

    Raises:
        OtherBody: see there.
    """
    key_digest = hashlib.sha256(call.key.encode()).hexdigest()
    body_digest = hashlib.sha256(call.body).hexdigest()
    bound_to = f"idempotency:{call.caller.tenant}:{call.caller.client_id}"
    derived = HKDF(SHA256(), 32, sealing_key, b"stadtnachweis verifier idempotency").derive(call.key.encode())
    seal = Seal(derived)
    mine = and_(
        records.c.tenant == call.caller.tenant,
        records.c.client_id == call.caller.client_id,
        records.c.key_digest == key_digest,
    )
    values = {
        "tenant": call.caller.tenant,
        "client_id": call.caller.client_id,
        "key_digest": key_digest,
        "body_digest": body_digest,
        "answer": b"",
        "expires_at": now + lifetime,
    }
    with engine.begin() as connection:
        connection.execute(delete(records).where(and_(mine, records.c.expires_at <= now)))
        first = insertion(engine.dialect.name).values(**values).returning(records.c.key_digest)
        if connection.execute(first).first() is None:
            kept = connection.execute(select(records.c.body_digest, records.c.answer).where(mine)).one()
            if kept.body_digest != body_digest:
                raise OtherBody
            return seal.open(bytes(kept.answer), bound_to=bound_to)
        answer = effect(connection)
        connection.execute(update(records).where(mine).values(answer=seal.close(answer, bound_to=bound_to)))
        return answer


def insertion(dialect: str) -> "postgresql.Insert | sqlite.Insert":
    """Keeps a record, and returns something, unless its key has one. dialect: of the database."""
    made = postgresql.insert(records) if dialect == "postgresql" else sqlite.insert(records)
    return made.on_conflict_do_nothing()


def sweep(engine: Engine, *, now: int) -> None:
    """Delete records whose time is over."""
    with engine.begin() as connection:
        connection.execute(delete(records).where(records.c.expires_at <= now))
