"""A request that is sent twice happens once: the answer is kept with the effect and given again.

The record is written in the effect's own transaction, so a crash leaves both or neither. The answer holds secrets, so
it is sealed under a key that only the asker's Idempotency-Key yields, and erased when its offer ends.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.city_api.authentication import Caller
from issuer.city_api.problems import Problem
from issuer.sealing import Sealer
from issuer.store.tables import IdempotencyRecord

_KEY = re.compile(r"[\x21-\x7e]{8,200}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets, and the offer that it belongs to. body: JSON, encoded."""

    status: int
    body: bytes = field(repr=False)
    offer_id: str | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request with its key, or without one. body: as it came."""

    caller: Caller
    method: str
    path: str
    key: str | None = field(repr=False)
    body: bytes = field(repr=False)


async def once(
    session: AsyncSession,
    request: IdempotentRequest,
    effect: Callable[[], Awaitable[Answer]],
    *,
    lifetime: int,
    now: int,
) -> Answer:
    """Let the effect happen in this transaction, unless the same request had it before. lifetime: seconds.

    Raises:
        Problem: the key is malformed (400), came with another body (422), is in use at this moment (409), or its
            answer is erased (409); and whatever the effect raises, which the caller's transaction then takes back.
    """
    if request.key is None:
        return await effect()
    if not _KEY.fullmatch(request.key):
        raise Problem(400, "idempotency_key_malformed", "8 to 200 visible ASCII characters")
    key_digest = hashlib.sha256(request.key.encode()).digest()
    await _claim(session, request, key_digest)
    identity = (request.caller.tenant_id, request.caller.client_id, request.method, request.path, key_digest)
    kept = await session.get(IdempotencyRecord, identity)
    sealer = _sealer(request)
    place = f"idempotency_records.sealed_answer/{request.caller.client_id}/{request.method}/{request.path}"
    if kept is not None and kept.expires_at > now:
        if kept.body_digest != hashlib.sha256(request.body).digest():
            raise Problem(422, "idempotency_key_reused", "the key came with another body before")
        if kept.sealed_answer is None:
            raise Problem(409, "idempotency_answer_erased", "the request was answered; its offer has ended since")
        return Answer(kept.status, sealer.open(kept.sealed_answer, place=place), kept.offer_id, repeated=True)
    if kept is not None:
        await session.delete(kept)
        await session.flush()
    answer = await effect()
    session.add(
        IdempotencyRecord(
            tenant_id=request.caller.tenant_id,
            client_id=request.caller.client_id,
            method=request.method,
            path=request.path,
            key_digest=key_digest,
            body_digest=hashlib.sha256(request.body).digest(),
            status=answer.status,
            sealed_answer=sealer.seal(answer.body, place=place),
            offer_id=answer.offer_id,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()
    return answer


async def _claim(session: AsyncSession, request: IdempotentRequest, key_digest: bytes) -> None:
    """On PostgreSQL two workers may hold the same key at one time: the second is told so. SQLite has one writer."""
    if session.get_bind().dialect.name != "postgresql":
        return
    scope = "\x00".join(
        (request.caller.tenant_id, request.caller.client_id, request.method, request.path, key_digest.hex())
    )
    number = int.from_bytes(hashlib.sha256(scope.encode()).digest()[:8], "big", signed=True)
    if not (await session.exec(select(func.pg_try_advisory_xact_lock(number)))).one():
        raise Problem(409, "idempotency_key_in_flight", "a request with this key is being answered")


def _sealer(request: IdempotentRequest) -> Sealer:
    assert request.key is not None
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"stadtnachweis idempotency").derive(request.key.encode())
    return Sealer(request.caller.tenant_id, key)
