"""The step to fewer index entries: the same rows before, after and back again, and the sweep finds what is open."""

from collections.abc import Iterable
from pathlib import Path

from alembic import command
from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from issuer.store.engine import Store
from issuer.store.migrate import _config, differences, is_current, migrate

BEFORE = "0008"
_ROWS = """
INSERT INTO tenants (id, name, preset, locale, sealed_data_key, created_at)
VALUES ('leipzig', 'Leipzig', 'haip-1.0', 'de', :bytes, 1);
INSERT INTO offers (id, tenant_id, origin, state, "grant", delivery, locale, created_at, expires_at, generation,
    tx_code_length, tx_code_tries, ended_at)
VALUES ('open', 'leipzig', 'city', 'created', 'pre-authorized_code', 'value', 'de', 1, 2, 0, 0, 0, NULL),
    ('over', 'leipzig', 'city', 'closed', 'pre-authorized_code', 'value', 'de', 1, 2, 0, 0, 0, 2);
INSERT INTO offer_configurations (offer_id, configuration_id, dataset, tenant_id, credential_type, format,
    credential_id)
VALUES ('open', 'pass-sd-jwt', '', 'leipzig', 'pass', 'dc+sd-jwt', NULL),
    ('over', 'pass-sd-jwt', '', 'leipzig', 'pass', 'dc+sd-jwt', 'c');
INSERT INTO access_tokens (digest, tenant_id, offer_id, configuration_ids, credential_identifiers, detailed, uses,
    max_uses, created_at, expires_at, refresh_family)
VALUES (:bytes, 'leipzig', 'over', '["pass-sd-jwt"]', '{}', true, 0, 100, 1, 2, 'family')
"""
_CHANGED = ("offers", "offer_configurations", "access_tokens", "credential_copies")


async def test_rows_stay_and_indexes_come_and_go(database_url: str, tmp_path: Path) -> None:
    store = Store(database_url or f"sqlite+aiosqlite:///{tmp_path / 'issuer.db'}")
    async with store.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), BEFORE))
        for statement in _ROWS.split(";"):
            await connection.execute(text(statement), {"bytes": b"x"} if ":bytes" in statement else {})
        before = await _indexes(connection)
        rows = await _rows(connection)
    await migrate(store)
    assert await is_current(store)
    assert await differences(store) == []
    async with store.engine.begin() as connection:
        assert await _rows(connection) == rows
        assert await _indexes(connection) != before
        await connection.run_sync(lambda sync: command.downgrade(_config(sync), BEFORE))
        assert await _rows(connection) == rows
        assert await _indexes(connection) == before
    await migrate(store)
    await store.close()


async def _indexes(connection: AsyncConnection) -> set[tuple[str, str, tuple[str | None, ...]]]:
    def look(sync: object) -> Iterable[tuple[str, str, tuple[str | None, ...]]]:
        seen = inspect(sync)
        return [
            (table, index["name"], tuple(index["column_names"]))
            for table in _CHANGED
            for index in seen.get_indexes(table)
        ]

    return set(await connection.run_sync(look))


async def _rows(connection: AsyncConnection) -> list[list[tuple[object, ...]]]:
    return [
        [tuple(row) for row in await connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))]  # noqa: S608
        for table in _CHANGED
    ]
