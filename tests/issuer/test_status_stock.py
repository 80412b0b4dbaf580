"""Status entries that a process has ready: given out once over all processes, and never again after a crash."""

from sqlmodel import select

from issuer.status.allocation import Entry
from issuer.status.stock import StatusStock
from issuer.store.tables import StatusListRow
from issuer.tenants import ActiveTenant
from tests.issuer.collecting import tenant_of
from tests.issuer.house import NOW, House


async def take(house: House, stock: StatusStock, tenant: ActiveTenant, count: int = 3) -> list[Entry]:
    await stock.prepare(tenant.sealer, suspendable=True, count=count, now=NOW)
    async with house.store.transaction() as session:
        return await stock.take(session, tenant.sealer, suspendable=True, count=count, now=NOW)


async def allocated(house: House) -> int:
    async with house.store.reading() as session:
        return sum((await session.exec(select(StatusListRow.allocated))).all())


async def test_no_two_processes_and_no_successor_of_one_get_the_same_entry(house: House) -> None:
    tenant = await tenant_of(house)
    stocks = [StatusStock(house.store, list_size=256) for _ in range(3)]
    taken = [entry for _ in range(20) for stock in stocks for entry in await take(house, stock, tenant)]
    stocks[0] = StatusStock(house.store, list_size=256)  # it crashed, and what it had ready is lost
    taken += [entry for _ in range(20) for stock in stocks for entry in await take(house, stock, tenant)]
    assert len({(entry.list_id, entry.idx) for entry in taken}) == len(taken) == 360


async def test_a_block_is_reserved_by_one_change_of_the_list(house: House) -> None:
    tenant, stock = await tenant_of(house), StatusStock(house.store, list_size=1024)
    await take(house, stock, tenant)
    assert await allocated(house) == 64
    for _ in range(20):
        await take(house, stock, tenant)
    assert await allocated(house) == 64
    await take(house, stock, tenant)
    assert await allocated(house) == 128


async def test_entries_of_a_failed_transaction_are_given_to_nobody(house: House) -> None:
    tenant, stock = await tenant_of(house), StatusStock(house.store, list_size=1024)
    lost: list[Entry] = []
    await stock.prepare(tenant.sealer, suspendable=True, count=3, now=NOW)
    try:
        async with house.store.transaction() as session:
            lost += await stock.take(session, tenant.sealer, suspendable=True, count=3, now=NOW)
            raise InterruptedError
    except InterruptedError:
        pass
    assert lost
    assert not set(lost) & set(await take(house, stock, tenant, count=20))


async def test_without_a_stock_the_transaction_takes_entries_itself(house: House) -> None:
    tenant, stock = await tenant_of(house), StatusStock(house.store, list_size=256)
    async with house.store.transaction() as session:
        entries = await stock.take(session, tenant.sealer, suspendable=False, count=5, now=NOW)
    assert len(set(entries)) == 5
    assert await allocated(house) == 5
