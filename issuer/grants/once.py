"""Things that may happen once: one INSERT decides who was first, over all workers."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.store.tables import UsedJti, UsedNonce


class ProofPurpose(StrEnum):
    """Which kind of proof a `jti` was in."""

    DPOP = "dpop"
    ATTESTATION_POP = "attestation_pop"
    CLIENT_ASSERTION = "client_assertion"


@dataclass(frozen=True, slots=True)
class LiveNonce:
    """A nonce that we recognised as ours; expires_at in seconds since the epoch."""

    value: str
    expires_at: int


async def redeem_nonces(session: AsyncSession, *, tenant_id: str, nonces: Iterable[LiveNonce]) -> bool:
    """Use up each distinct nonce. False if one was used before: then the caller rolls back, so that none is used.

    They are taken in one order everywhere, so that two requests with the same nonces never wait for each other.
    """
    distinct = {sha256(nonce.value.encode()).digest(): nonce.expires_at for nonce in nonces}
    for digest in sorted(distinct):
        row: dict[str, str | bytes | int] = {"tenant_id": tenant_id, "digest": digest, "expires_at": distinct[digest]}
        if not await _insert_first(session, UsedNonce, row):
            return False
    return True


async def remember_proof(
    session: AsyncSession, *, tenant_id: str, purpose: ProofPurpose, replay_key: bytes, remember_until: int
) -> bool:
    """Note a proof by what stands for its key and `jti`. False if it was shown before (RFC 9449 §11.1).

    remember_until: seconds since the epoch after which the proof is too old anyway.
    """
    row: dict[str, str | bytes | int] = {
        "tenant_id": tenant_id,
        "purpose": purpose,
        "digest": replay_key,
        "expires_at": remember_until,
    }
    return await _insert_first(session, UsedJti, row)


async def _insert_first(
    session: AsyncSession, table: type[UsedNonce] | type[UsedJti], row: dict[str, str | bytes | int]
) -> bool:
    # asked back by RETURNING: the count of inserted rows is not told alike by all drivers
    first = col(table.expires_at)
    statement = (
        postgresql.insert(table).values(row).on_conflict_do_nothing().returning(first)
        if session.get_bind().dialect.name == "postgresql"
        else sqlite.insert(table).values(row).on_conflict_do_nothing().returning(first)
    )
    return (await session.exec(statement)).first() is not None
