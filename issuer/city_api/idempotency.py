"""A request that is sent twice happens once: the answer is kept with the effect and given again.

The record is written in the effect's own transaction, so a crash leaves both or neither. The answer holds secrets, so
it is sealed under a key that only the asker's Idempotency-Key yields, and erased when its offer ends.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import BigInteger, bindparam, delete, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.city_api.authentication import Caller
from issuer.city_api.problems import Problem
from issuer.sealing import Sealer
from issuer.store.statements import Statement, insert_rows, is_sqlite, together
from issuer.store.tables import IdempotencyRecord

_KEY = re.compile(r"[\x21-\x7e]{8,200}")
_IDENTITY = (
    col(IdempotencyRecord.tenant_id) == bindparam("tenant"),
    col(IdempotencyRecord.client_id) == bindparam("client"),
    col(IdempotencyRecord.method) == bindparam("of_method"),
    col(IdempotencyRecord.path) == bindparam("of_path"),
    col(IdempotencyRecord.key_digest) == bindparam("key"),
)
_KEPT = Statement(
    select(
        col(IdempotencyRecord.body_digest),
        col(IdempotencyRecord.status),
        col(IdempotencyRecord.sealed_answer),
        col(IdempotencyRecord.offer_id),
        col(IdempotencyRecord.expires_at),
    ).where(*_IDENTITY)
)
_FORGOTTEN = Statement(delete(IdempotencyRecord).where(*_IDENTITY))
_CLAIMED = Statement(select(func.pg_try_advisory_xact_lock(bindparam("number", type_=BigInteger))))


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


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of an answer."""

    body_digest: bytes
    status: int
    sealed_answer: bytes | None = field(repr=False)
    offer_id: str | None
    expires_at: int


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
    caller = request.caller
    identity = {
        "tenant": caller.tenant_id,
        "client": caller.client_id,
        "of_method": request.method,
        "of_path": request.path,
        "key": key_digest,
    }
    kept = await _claim(session, request, identity)
    sealer = _sealer(request)
    place = f"idempotency_records.sealed_answer/{request.caller.client_id}/{request.method}/{request.path}"
    if kept is not None and kept.expires_at > now:
        if kept.body_digest != hashlib.sha256(request.body).digest():
            raise Problem(422, "idempotency_key_reused", "the key came with another body before")
        if kept.sealed_answer is None:
            raise Problem(409, "idempotency_answer_erased", "the request was answered; its offer has ended since")
        return Answer(kept.status, sealer.open(kept.sealed_answer, place=place), kept.offer_id, repeated=True)
    if kept is not None:
        await _FORGOTTEN.rows(session, **identity)
    answer = await effect()
    await insert_rows(
        session,
        IdempotencyRecord,
        {
            "tenant_id": request.caller.tenant_id,
            "client_id": request.caller.client_id,
            "method": request.method,
            "path": request.path,
            "key_digest": key_digest,
            "body_digest": hashlib.sha256(request.body).digest(),
            "status": answer.status,
            "sealed_answer": sealer.seal(answer.body, place=place),
            "offer_id": answer.offer_id,
            "created_at": now,
            "expires_at": now + lifetime,
        },
    )
    return answer


async def _claim(session: AsyncSession, request: IdempotentRequest, identity: Mapping[str, object]) -> _Kept | None:
    """What is kept of the request. On PostgreSQL two workers may have it at one time: the second is told so.

    The lock comes first, in a statement of its own, so that the look behind it sees what its last holder wrote. SQLite
    has one writer.
    """
    look = _KEPT.given(**identity)
    if is_sqlite(session):
        (found,) = await together(session, look)
    else:
        scope = "\x00".join(
            (
                request.caller.tenant_id,
                request.caller.client_id,
                request.method,
                request.path,
                hashlib.sha256((request.key or "").encode()).hexdigest(),
            )
        )
        number = int.from_bytes(hashlib.sha256(scope.encode()).digest()[:8], "big", signed=True)
        claimed, found = await together(session, _CLAIMED.given(number=number), look)
        if claimed != [(True,)]:
            raise Problem(409, "idempotency_key_in_flight", "a request with this key is being answered")
    return _Kept(*found[0]) if found else None


def _sealer(request: IdempotentRequest) -> Sealer:
    assert request.key is not None
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"stadtnachweis idempotency").derive(request.key.encode())
    return Sealer(request.caller.tenant_id, key)
