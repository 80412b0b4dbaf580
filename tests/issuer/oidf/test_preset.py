"""The preset of the test suite is for test systems: no city can be given it, and none that has it is served."""

import time
from pathlib import Path

import httpx
import pytest

from issuer.app import create_app
from issuer.catalog.schema import SigningAlgorithm
from issuer.presets import UnknownPreset
from issuer.secrets_at_rest import load_secrets
from issuer.store.engine import Store
from issuer.tenant_setup import add_tenant
from tests.issuer.wallet_api.world import build_world

PUBLIC_URL = "http://127.0.0.1:8701"
METADATA = f"{PUBLIC_URL}/.well-known/openid-credential-issuer/t/"


async def test_preset_of_the_suite_needs_a_test_system(tmp_path: Path) -> None:
    world = await build_world(tmp_path, public_url=PUBLIC_URL, tenants={"pruef": "oidf", "leipzig": "haip-1.0"})
    statuses: dict[tuple[bool, str], int] = {}
    for is_test_system in (True, False):
        app = create_app(world.settings.model_copy(update={"allow_test_types": is_test_system}))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            for tenant in ("pruef", "leipzig"):
                statuses[is_test_system, tenant] = (await http.get(METADATA + tenant)).status_code
        await app.state.service.store.close()
    assert statuses == {(True, "pruef"): 200, (True, "leipzig"): 200, (False, "pruef"): 404, (False, "leipzig"): 200}


async def test_city_is_not_given_the_preset_of_the_suite(tmp_path: Path) -> None:
    world = await build_world(tmp_path, public_url=PUBLIC_URL, tenants={})
    store = Store(world.settings.effective_database_url)
    for allowed in (False, True):
        settings = world.settings.model_copy(update={"allow_test_types": allowed})

        async def add() -> None:
            await add_tenant(
                settings=settings,  # noqa: B023  # called at once
                store=store,
                secrets=load_secrets(tmp_path / "secrets"),
                tenant_id="pruef",
                name="Prüfstadt",
                preset="oidf",
                country="DE",
                locale="de",
                algorithms=[SigningAlgorithm.ES256],
                now=int(time.time()),
            )

        if allowed:
            await add()
            continue
        with pytest.raises(UnknownPreset, match="ISSUER_ALLOW_TEST_TYPES"):
            await add()
        assert not (tmp_path / "keys" / "pruef").exists()
    await store.close()
