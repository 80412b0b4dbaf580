"""The step to several datasets: what was there before goes on as the only dataset, and back again."""

import json
from pathlib import Path

from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from issuer.store.engine import Store
from issuer.store.migrate import _config, is_current, migrate

BEFORE = "0006"
_ROWS = """
INSERT INTO tenants (id, name, preset, locale, sealed_data_key, created_at)
VALUES ('leipzig', 'Leipzig', 'haip-1.0', 'de', :bytes, 1);
INSERT INTO offers (id, tenant_id, origin, state, "grant", delivery, locale, created_at, expires_at, generation,
    tx_code_length, tx_code_tries)
VALUES ('o', 'leipzig', 'city', 'authorized', 'pre-authorized_code', 'value', 'de', 1, 2, 0, 0, 0);
INSERT INTO offer_configurations (offer_id, configuration_id, tenant_id, credential_type, format)
VALUES ('o', 'pass-sd-jwt', 'leipzig', 'pass', 'dc+sd-jwt');
INSERT INTO access_tokens (digest, tenant_id, offer_id, configuration_ids, credential_identifiers, detailed, uses,
    max_uses, created_at, expires_at)
VALUES (:bytes, 'leipzig', 'o', '["pass-sd-jwt"]', :identifiers, true, 0, 100, 1, 2)
"""


async def test_what_was_there_before_is_the_only_dataset(database_url: str, tmp_path: Path) -> None:
    store = Store(database_url or f"sqlite+aiosqlite:///{tmp_path / 'issuer.db'}")

    async with store.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), BEFORE))
        for statement in _ROWS.split(";"):
            values = {"bytes": b"x", "identifiers": json.dumps({"identifier": "pass-sd-jwt"})}
            wanted = {name: value for name, value in values.items() if f":{name}" in statement}
            await connection.execute(text(statement), wanted)
    await migrate(store)
    assert await is_current(store)
    async with store.engine.begin() as connection:
        assert await _identifiers(connection) == {"identifier": ["pass-sd-jwt", ""]}
        rows = (await connection.execute(text("SELECT configuration_id, dataset FROM offer_configurations"))).all()
        assert [tuple(row) for row in rows] == [("pass-sd-jwt", "")]
        await connection.execute(
            text(
                "INSERT INTO offer_configurations (offer_id, configuration_id, dataset, tenant_id, credential_type, "
                "format) VALUES ('o', 'pass-sd-jwt', 'second', 'leipzig', 'pass', 'dc+sd-jwt')"
            )
        )
        await connection.execute(text("DELETE FROM offer_configurations WHERE dataset = 'second'"))
        await connection.run_sync(lambda sync: command.downgrade(_config(sync), BEFORE))
        assert await _identifiers(connection) == {"identifier": "pass-sd-jwt"}
    await store.close()


async def _identifiers(connection: AsyncConnection) -> object:
    (found,) = (await connection.execute(text("SELECT credential_identifiers FROM access_tokens"))).one()
    return json.loads(found) if isinstance(found, str) else found
