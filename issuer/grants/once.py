"""Things that may happen once: one INSERT decides who was first, over all workers."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TypeAlias

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.store.tables import UsedJti, UsedNonce
from specs.protocols.oauth import OAuthError

Row: TypeAlias = dict[str, str | bytes | int]


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


@dataclass(frozen=True, slots=True)
class ShownProof:
    """A proof that was found good and must be the first of its kind.

    replay_key: what stands for its key and `jti`. remember_until: seconds since the epoch after which it is too old
    anyway. refusal: what the wallet is told if it was shown before.
    """

    purpose: ProofPurpose
    replay_key: bytes
    remember_until: int
    refusal: OAuthError


async def redeem_nonces(session: AsyncSession, *, tenant_id: str, nonces: Iterable[LiveNonce]) -> bool:
    """Use up each distinct nonce. False if one was used before: then the caller rolls back, so that none is used."""
    distinct = {sha256(nonce.value.encode()).digest(): nonce.expires_at for nonce in nonces}
    rows: list[Row] = [
        {"tenant_id": tenant_id, "digest": digest, "expires_at": distinct[digest]} for digest in sorted(distinct)
    ]
    return len(await _insert_first(session, UsedNonce, rows)) == len(rows)


async def remember_proofs(session: AsyncSession, *, tenant_id: str, proofs: Iterable[ShownProof]) -> None:
    """Note the proofs of a request, in the transaction of what the request does (RFC 9449 §11.1).

    Raises:
        OAuthError: one was shown before; the caller's transaction takes everything back.
    """
    shown = sorted(proofs, key=lambda proof: (proof.purpose, proof.replay_key))
    rows: list[Row] = [
        {
            "tenant_id": tenant_id,
            "purpose": proof.purpose,
            "digest": proof.replay_key,
            "expires_at": proof.remember_until,
        }
        for proof in shown
    ]
    first = await _insert_first(session, UsedJti, rows)
    for proof in shown:
        if proof.replay_key not in first:
            raise proof.refusal


async def _insert_first(session: AsyncSession, table: type[UsedNonce] | type[UsedJti], rows: list[Row]) -> set[bytes]:
    """Insert what is not there, in one statement; the digests of what was inserted.

    rows: in one order everywhere, so that two requests with the same ones never wait for each other.
    """
    if not rows:
        return set()
    # asked back by RETURNING: the count of inserted rows is not told alike by all drivers
    inserted = col(table.digest)
    statement = (
        postgresql.insert(table).values(rows).on_conflict_do_nothing().returning(inserted)
        if session.get_bind().dialect.name == "postgresql"
        else sqlite.insert(table).values(rows).on_conflict_do_nothing().returning(inserted)
    )
    return set((await session.exec(statement)).scalars())
