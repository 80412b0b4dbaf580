"""What a login brought for a wallet is kept no longer than the wallet can ask for it."""

import httpx
import pytest
from sqlmodel import col, select

from issuer.housekeeping import sweep
from issuer.store.engine import Store
from issuer.store.tables import Offer, OfferConfiguration
from tests.issuer.wallet_api.browser import log_in_and
from tests.issuer.wallet_api.world import Flow, SteppedClock, Wallet, World, answer_members

CODE_LIFETIME, TOKEN_LIFETIME = 60, 600


async def kept(world: World, *, now: int) -> int:
    """How many sealed claims are left after a sweep."""
    store = Store(world.settings.effective_database_url)
    try:
        async with store.transaction() as session:
            await sweep(session, now=now)
            rows = await session.exec(
                select(OfferConfiguration)
                .join(Offer, col(Offer.id) == col(OfferConfiguration.offer_id))
                .where(Offer.origin == "wallet", col(OfferConfiguration.sealed_claims).is_not(None))
            )
            return len(rows.all())
    finally:
        await store.close()


@pytest.mark.parametrize("redeems", [False, True], ids=["code", "token"])
async def test_claims_of_a_login_go_with_its_last_code_or_token(
    world: World, wallet: Wallet, clock: SteppedClock, http: httpx.AsyncClient, redeems: bool
) -> None:
    """Nobody can arm such an offer anew, so nothing waits for the end of its term."""
    flow = Flow(wallet)
    code = answer_members(await log_in_and("approve", flow, await flow.request_uri()))["code"]
    lifetime = CODE_LIFETIME
    if redeems:
        assert (await wallet.token(flow.token_form(code))).status_code == 200
        lifetime = TOKEN_LIFETIME
    assert await kept(world, now=clock.now + lifetime - 1) == 2
    assert await kept(world, now=clock.now + lifetime) == 0
