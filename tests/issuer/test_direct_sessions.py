"""PostgreSQL without detours: what a session promises holds for statements beside the mapper as well."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import col

from issuer.store.engine import Store
from issuer.store.migrate import migrate
from issuer.store.statements import Statement, insert_rows
from issuer.store.tables import Tenant

pytestmark = pytest.mark.postgres
COUNTED = Statement(select(func.count()).select_from(Tenant))
RENAMED = Statement(
    update(Tenant).where(col(Tenant.id) == bindparam("which")).values(name="other").returning(col(Tenant.name))
)


class Stopped(Exception):
    """Something else went wrong in the middle."""


@pytest.fixture
async def store(fresh_postgres_url: str) -> AsyncIterator[Store]:
    opened = Store(fresh_postgres_url, pool_size=3)
    await migrate(opened)
    yield opened
    await opened.close()


def tenant(name: str) -> Tenant:
    return Tenant(id=name, name=name, preset="haip-1.0", locale="de", sealed_data_key=b"sealed", created_at=1)


async def count(store: Store) -> int:
    async with store.reading() as session:
        found = await COUNTED.first(session)
    assert found is not None
    return int(found[0])


async def test_mapper_and_statements_share_a_transaction(store: Store) -> None:
    async def stopped() -> None:
        async with store.transaction() as session:
            await insert_rows(session, tenant("a"), tenant("b"))
            session.add(tenant("c"))
            await session.flush()
            assert await COUNTED.first(session) == (3,)
            raise Stopped

    with pytest.raises(Stopped):
        await stopped()
    assert await count(store) == 0

    async with store.transaction() as session:
        session.add(tenant("c"))
        await session.flush()
        await insert_rows(session, tenant("a"), tenant("b"))
        assert await RENAMED.rows(session, which="c") == [("other",)]
    assert await count(store) == 3


async def test_what_is_only_added_is_committed(store: Store) -> None:
    async with store.transaction() as session:
        session.add(tenant("a"))
    assert await count(store) == 1


async def test_a_look_changes_nothing(store: Store) -> None:
    with pytest.raises(DBAPIError):
        async with store.reading() as session:
            await insert_rows(session, tenant("a"))
    assert await count(store) == 0


async def test_errors_show_no_values_and_the_connection_stays_good(store: Store) -> None:
    async with store.transaction() as session:
        await insert_rows(session, tenant("secret-id"))
    for _ in range(5):  # more often than there are connections
        with pytest.raises(IntegrityError) as refused:
            async with store.transaction() as session:
                await insert_rows(session, tenant("secret-id"))
        assert "parameters" not in str(refused.value)
    assert await count(store) == 1


async def test_a_connection_that_the_server_ended_is_replaced_before_it_is_used(
    store: Store, fresh_postgres_url: str
) -> None:
    assert await count(store) == 0
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with psycopg.connect(fresh_postgres_url.replace("+psycopg", "")) as connection:
        ended = connection.execute(f"{others} AND pid <> pg_backend_pid()").fetchall()
    assert (True,) in ended
    assert await count(store) == 0


async def test_a_caller_who_goes_away_leaves_nothing_behind(store: Store) -> None:
    async def abandoned() -> None:
        async with store.transaction() as session:
            await insert_rows(session, tenant("a"))
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(abandoned()) for _ in range(2)]  # the second waits for the first one's key
    await asyncio.wait(tasks, timeout=0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await count(store) == 0
    async with store.transaction() as session:
        await insert_rows(session, tenant("a"))
    assert await count(store) == 1
