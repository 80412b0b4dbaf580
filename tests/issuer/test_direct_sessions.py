"""PostgreSQL without detours: what a session promises holds for statements beside the mapper as well."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import JSON, BigInteger, Boolean, LargeBinary, String, bindparam, cast, func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import col
from sqlmodel import select as mapped
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.store.engine import Store
from issuer.store.migrate import migrate
from issuer.store.statements import Statement, insert_rows, together
from issuer.store.tables import Tenant

pytestmark = pytest.mark.postgres
COUNTED = Statement(select(func.count()).select_from(Tenant))
RENAMED = Statement(
    update(Tenant).where(col(Tenant.id) == bindparam("which")).values(name="other").returning(col(Tenant.name))
)

ECHOED = Statement(
    select(
        bindparam("text", type_=String),
        cast(bindparam("raw", type_=LargeBinary), LargeBinary),
        bindparam("number", type_=BigInteger),
        cast(bindparam("yes", type_=Boolean), Boolean),
        bindparam("nothing", type_=String),
        bindparam("listed", type_=JSON),
        cast(bindparam("large", type_=LargeBinary), LargeBinary),
    )
)


class Stopped(Exception):
    """Something else went wrong in the middle."""


@pytest.fixture
async def store(fresh_postgres_url: str) -> AsyncIterator[Store]:
    opened = Store(fresh_postgres_url, pool_size=3)
    await migrate(opened)
    yield opened
    await opened.close()


def row(name: str) -> dict[str, object]:
    return {
        "id": name,
        "name": name,
        "preset": "haip-1.0",
        "locale": "de",
        "sealed_data_key": b"sealed",
        "created_at": 1,
    }


def tenant(name: str) -> Tenant:
    return Tenant.model_validate(row(name))


async def insert(session: AsyncSession, *names: str) -> None:
    await insert_rows(session, Tenant, *(row(name) for name in names))


async def count(store: Store) -> int:
    async with store.reading() as session:
        found = await COUNTED.first(session)
    assert found is not None
    return int(found[0])


async def test_mapper_and_statements_share_a_transaction(store: Store) -> None:
    async def stopped() -> None:
        async with store.transaction() as session:
            await insert(session, "a", "b")
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
        await insert(session, "a", "b")
        assert await RENAMED.rows(session, which="c") == [("other",)]
    assert await count(store) == 3


async def test_what_is_only_added_is_committed(store: Store) -> None:
    async with store.transaction() as session:
        session.add(tenant("a"))
    assert await count(store) == 1


async def test_a_look_changes_nothing(store: Store) -> None:
    with pytest.raises(DBAPIError):
        async with store.reading() as session:
            await insert(session, "a")
    assert await count(store) == 0


async def test_errors_show_no_values_and_the_connection_stays_good(store: Store) -> None:
    async with store.transaction() as session:
        await insert(session, "secret-id")
    for _ in range(5):  # more often than there are connections
        with pytest.raises(IntegrityError) as refused:
            async with store.transaction() as session:
                await insert(session, "secret-id")
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
            await insert(session, "a")
            assert await COUNTED.first(session) == (1,)
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(abandoned()) for _ in range(2)]  # the second waits for the first one's key
    await asyncio.wait(tasks, timeout=0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await count(store) == 0
    async with store.transaction() as session:
        await insert(session, "a")
    assert await count(store) == 1


async def test_statements_in_one_round_trip_run_in_order_and_the_same_one_several_times(store: Store) -> None:
    async with store.transaction() as session:
        await insert(session, "a", "b")
        answers = await together(
            session, RENAMED.given(which="a"), RENAMED.given(which="nobody"), RENAMED.given(which="b"), COUNTED.given()
        )
    assert answers == [[("other",)], [], [("other",)], [(2,)]]


async def test_mapper_and_pipeline_take_turns_on_one_connection(store: Store) -> None:
    for name in ("a", "b", "c"):  # the connection is used again
        async with store.transaction() as session:
            await insert(session, name)
            session.add(tenant(f"{name}-mapped"))
            await session.flush()
            assert await COUNTED.first(session) is not None
            found = (await session.exec(mapped(Tenant).where(Tenant.id == name))).one()
            await insert(session, f"{found.id}-again")
            assert await session.get(Tenant, f"{name}-again") is not None
    assert await count(store) == 9


async def test_what_goes_along_with_the_commit_fails_with_it(store: Store) -> None:
    async def doubled() -> None:
        async with store.transaction() as session:
            await insert(session, "b")
            await insert(session, "a")

    async with store.transaction() as session:
        await insert(session, "a")
    with pytest.raises(IntegrityError):
        await doubled()
    assert await count(store) == 1


async def test_values_come_back_as_they_were_given(store: Store) -> None:
    values = {"text": "ü\\'$1", "raw": bytes(range(256)), "number": -(2**40), "yes": True, "nothing": None}
    values |= {"listed": ["a", {"b": 1}], "large": b"x" * 2_000_000}
    async with store.reading() as session:
        assert await ECHOED.first(session, **values) == tuple(values.values())


async def test_text_with_a_nul_is_refused_and_not_cut(store: Store) -> None:
    with pytest.raises(DBAPIError):
        async with store.reading() as session:
            await RENAMED.rows(session, which="a\x00b")
    assert await count(store) == 0
