"""A signer near the end of its certificate refuses, and a new one takes over under the same token."""

import pytest
from sqlmodel import select

from issuer.keys.certification import TenantIdentity
from issuer.keys.rotation import activate, prepare
from issuer.keys.tenant_pki import tenant_folder
from issuer.store.engine import Store
from issuer.store.tables import Credential
from tests.issuer.wallet_api.world import MDOC, SD_JWT, SteppedClock, Wallet, World

YEAR = 365 * 86400  # seconds that a signer's certificate lives
SIGNER = {SD_JWT: "sd-jwt-signer.ES256", MDOC: "document-signer.ES256"}


@pytest.mark.parametrize("configuration", [SD_JWT, MDOC])
async def test_a_signer_near_its_end_refuses_until_it_is_changed(
    configuration: str, world: World, wallet: Wallet, clock: SteppedClock
) -> None:
    """It was an internal error, which told nobody what to do; no credential is dated beyond its signer."""
    clock.now += YEAR - 3600
    token = await wallet.access_token(world)
    refused = await wallet.credential(token, await wallet.request_body(configuration))
    assert (refused.status_code, refused.json()["error"]) == (400, "credential_request_denied")
    store = Store(world.settings.effective_database_url)
    async with store.reading() as session:
        assert (await session.exec(select(Credential))).all() == []
    await store.close()

    folder = tenant_folder(world.settings.data_dir, "leipzig")
    identity = TenantIdentity("leipzig", "Stadt Leipzig", "DE", world.issuer_url())
    prepare(folder, SIGNER[configuration], identity, now=clock.now)
    activate(folder, SIGNER[configuration], now=clock.now)
    issued = await wallet.credential(token, await wallet.request_body(configuration))
    assert issued.status_code == 200, issued.text
