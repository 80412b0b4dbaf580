"""Status entries that this process has ready: reserved by the block, so that workers don't queue for a list's counter.

A block is reserved in a transaction of its own, before any entry of it is used. What is left of one when the process
ends is used by nobody.
"""

from collections import deque

from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.sealing import Sealer
from issuer.status.allocation import BITS_WITH_SUSPENSION, BITS_WITHOUT, Entry, allocate
from issuer.store.engine import Store

_BLOCK = 64  # entries
_SHARE = 16  # a block is no more than this part of a list


class StatusStock:
    """The entries that a process has ready, by tenant and kind of list. list_size: entries of a new list."""

    def __init__(self, store: Store, *, list_size: int) -> None:
        self._store = store
        self._list_size = list_size
        self._ready: dict[tuple[str, int], deque[Entry]] = {}

    async def prepare(self, sealer: Sealer, *, suspendable: bool, count: int, now: int) -> None:
        """Have at least this many entries ready, most likely; called where no transaction is open."""
        bits = _bits(suspendable)
        ready = self._ready.setdefault((sealer.tenant_id, bits), deque())
        if len(ready) >= count:
            return
        block = max(count, min(_BLOCK, self._list_size // _SHARE))
        async with self._store.transaction() as session:
            entries = await allocate(session, sealer=sealer, count=block, list_size=self._list_size, now=now, bits=bits)
        ready.extend(entries)

    async def take(
        self, session: AsyncSession, sealer: Sealer, *, suspendable: bool, count: int, now: int
    ) -> list[Entry]:
        """Entries for the copies of one credential: of those that are ready, or from the list by this transaction.

        They are gone even if the transaction fails: whoever may have seen an entry is the last one who did.
        """
        bits = _bits(suspendable)
        ready = self._ready.get((sealer.tenant_id, bits), deque())
        if len(ready) >= count:
            return [ready.popleft() for _ in range(count)]
        return await allocate(session, sealer=sealer, count=count, list_size=self._list_size, now=now, bits=bits)


def _bits(suspendable: bool) -> int:
    return BITS_WITH_SUSPENSION if suspendable else BITS_WITHOUT
