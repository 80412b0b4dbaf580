"""The issuer that these tests call: the real application over HTTP, on SQLite, with a clock they set."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from issuer.app import create_app
from tests.issuer.wallet_api.world import SteppedClock, Wallet, World, build_world

PUBLIC_URL = "http://127.0.0.1:8701"


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """An issuer's files and tables."""
    return await build_world(tmp_path, public_url=PUBLIC_URL)


@pytest.fixture
def clock() -> SteppedClock:
    """The issuer's and the wallets' time."""
    return SteppedClock()


@pytest.fixture
async def http(world: World, clock: SteppedClock) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running application; it keeps cookies as one browser does."""
    app = create_app(world.settings, clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client
    await app.state.service.store.close()


@pytest.fixture
def wallet(world: World, http: httpx.AsyncClient, clock: SteppedClock) -> Wallet:
    """A wallet of the tenant leipzig, attested by the trusted provider."""
    return Wallet(http, world.issuer_url(), world.provider, clock)
