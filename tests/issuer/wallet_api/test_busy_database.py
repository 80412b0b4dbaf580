"""A database that another process holds: a sentence and a time to come again, and nothing half done."""

import sqlite3
from collections.abc import AsyncIterator

import httpx
import pytest

from issuer.app import create_app
from issuer.store import engine
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.issuer.wallet_api.conftest import PUBLIC_URL
from tests.issuer.wallet_api.world import SD_JWT, World

OPEN = f"{PUBLIC_URL}/t/offen"


@pytest.fixture
async def impatient(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """An application that waits a moment for SQLite's lock, not ten seconds."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 50)
    app = create_app(world.settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client
    await app.state.service.store.close()


async def test_locked_database_is_503_and_the_code_stays_good(
    world: World, impatient: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    code = (await world.offer(tenant="offen", configurations=(SD_JWT,))).code
    assert code is not None
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code}
    other = sqlite3.connect(world.settings.data_dir / "issuer.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        refused = await impatient.post(f"{OPEN}/token", data=form)
        other.execute("ROLLBACK")
    finally:
        other.close()
    assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["cache-control"] == "no-store"
    assert "UPDATE" not in caplog.text
    assert code not in caplog.text

    assert (await impatient.post(f"{OPEN}/token", data=form)).status_code == 200
