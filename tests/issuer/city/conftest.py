"""A running issuer whose tenants have a register for the Leipzig-Pass, on SQLite and PostgreSQL."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from issuer.app import create_app
from tests.issuer.city.desk import Desk, open_desk
from tests.issuer.city.register_server import Register, running_register
from tests.issuer.wallet_api.world import SteppedClock, World, build_world

PUBLIC_URL = "http://127.0.0.1:8701"
TENANTS = {
    "leipzig": "haip-1.0",
    "bund": "de-2026-11",
    "dresden": "haip-1.0",
    "pruef": "oidf",
    "offen": "plain-1.0",
}


@pytest.fixture
def clock() -> SteppedClock:
    """The time of the issuer, its wallets and the register."""
    return SteppedClock()


@pytest.fixture
def register(clock: SteppedClock) -> Iterator[Register]:
    """The city's register."""
    with running_register(clock) as running:
        yield running


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def catalog_dir() -> Path | None:
    """Credential types other than the program's own; a test module may have some."""
    return None


@pytest.fixture
def sourced_types() -> tuple[str, ...]:
    """The credential types that the register has claims of; a test module may have more."""
    return ("leipzig_pass",)


@pytest.fixture
def demo_login() -> bool:
    """Whether people can log in by the words of the test register."""
    return False


@pytest.fixture
async def world(
    tmp_path: Path,
    database_url: str,
    register: Register,
    catalog_dir: Path | None,
    sourced_types: tuple[str, ...],
    demo_login: bool,
) -> World:
    """An issuer's files and tables; dresden has arranged nothing."""
    built = await build_world(tmp_path, public_url=PUBLIC_URL, database_url=database_url, tenants=TENANTS)
    folder = tmp_path / "tenants"
    folder.mkdir()
    for tenant in ("leipzig", "bund", "offen"):
        sources = "".join(f"  {kind}: sozialamt\n" for kind in sourced_types)
        text = f"registers:\n  sozialamt: {register.yaml}\nclaims_sources:\n{sources}"
        (folder / f"{tenant}.yaml").write_text(text, encoding="utf-8")
    built.settings = built.settings.model_copy(
        update={"tenant_dir": folder, "demo_login": demo_login} | ({"catalog_dir": catalog_dir} if catalog_dir else {})
    )
    return built


@pytest.fixture
async def desk(world: World, clock: SteppedClock) -> AsyncIterator[Desk]:
    """The running issuer, called by the city and by wallets."""
    app = create_app(world.settings, clock=clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
        yield await open_desk(world, app.state.service, http, clock, tenants=tuple(TENANTS))
    app.state.service.outgoing.close()
    await app.state.service.store.close()
