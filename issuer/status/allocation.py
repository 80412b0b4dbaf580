"""Gives out entries of a tenant's status lists: each once, over all workers, in an order that nobody can follow.

One statement moves the list's counter; what it returns belongs to this transaction alone. If the transaction fails, the
counter goes back with it, and nobody has seen the entries.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import Integer, String, bindparam, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.sealing import Sealer
from issuer.status.permutation import permute
from issuer.store.statements import Statement
from issuer.store.tables import StatusListRow

BITS_WITH_SUSPENSION = 2  # VALID, INVALID, SUSPENDED
BITS_WITHOUT = 1  # more would tell more than there is to say (§12.8)
_KEY_BYTES = 32
_TENANT, _COUNT = bindparam("tenant", type_=String), bindparam("count", type_=Integer)
_OF_LIST = (col(StatusListRow.id) == bindparam("list"), col(StatusListRow.tenant_id) == _TENANT)
_OPEN_LISTS = Statement(
    select(col(StatusListRow.id))
    .where(
        col(StatusListRow.tenant_id) == _TENANT,
        col(StatusListRow.open).is_(True),
        col(StatusListRow.bits) == bindparam("of_bits"),
    )
    .order_by(col(StatusListRow.created_at), col(StatusListRow.id))
)
_TAKEN = Statement(
    update(StatusListRow)
    .where(
        *_OF_LIST, col(StatusListRow.open).is_(True), col(StatusListRow.allocated) + _COUNT <= col(StatusListRow.size)
    )
    .values(allocated=StatusListRow.allocated + _COUNT)
    .returning(col(StatusListRow.allocated), col(StatusListRow.size), col(StatusListRow.sealed_permutation_key))
)
_CLOSED = Statement(update(StatusListRow).where(*_OF_LIST).values(open=False))


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in a status list."""

    list_id: str
    idx: int


async def allocate(
    session: AsyncSession,
    *,
    sealer: Sealer,
    count: int,
    list_size: int,
    now: int,
    bits: int = BITS_WITH_SUSPENSION,
) -> list[Entry]:
    """Fresh entries for the copies of one credential; a full list is followed by a new one.

    count: at least 1, at most list_size. list_size: entries of a new list, a power of two. now: seconds since the
    epoch. bits: of an entry (§7).
    """
    if count > list_size:
        raise ValueError("more entries than a list has")
    while True:
        for (list_id,) in await _OPEN_LISTS.rows(session, tenant=sealer.tenant_id, of_bits=bits):
            if entries := await _take(session, sealer=sealer, list_id=list_id, count=count):
                return entries
        await _open_list(session, sealer=sealer, bits=bits, size=list_size, now=now)


async def _take(session: AsyncSession, *, sealer: Sealer, list_id: str, count: int) -> list[Entry]:
    taken = await _TAKEN.first(session, list=list_id, tenant=sealer.tenant_id, count=count)
    if taken is None:
        await _CLOSED.rows(session, list=list_id, tenant=sealer.tenant_id)
        return []
    end, size, sealed_key = taken
    key = sealer.open(sealed_key, place=_key_place(list_id))
    return [Entry(list_id, permute(position, size=size, key=key)) for position in range(end - count, end)]


async def _open_list(session: AsyncSession, *, sealer: Sealer, bits: int, size: int, now: int) -> None:
    list_id = secrets.token_hex(8)
    session.add(
        StatusListRow(
            id=list_id,
            tenant_id=sealer.tenant_id,
            bits=bits,
            size=size,
            sealed_permutation_key=sealer.seal(secrets.token_bytes(_KEY_BYTES), place=_key_place(list_id)),
            created_at=now,
        )
    )
    await session.flush()


def _key_place(list_id: str) -> str:
    return f"status_lists.sealed_permutation_key/{list_id}"
