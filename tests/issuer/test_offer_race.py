"""Arming an offer anew while its token is used: the credential is issued or the token is dead, never both."""

import asyncio
import os

import pytest
from sqlmodel import select

from issuer.datasets import UNNAMED
from issuer.grants.tokens import LiveToken, use_of
from issuer.recording import record_copies
from issuer.store.tables import AccessToken, Credential
from specs.protocols.oauth import OAuthError
from tests.issuer.collecting import authorize, tenant_of
from tests.issuer.house import House

SD_JWT = "leipzig_pass-sd-jwt"
ROUNDS = int(os.environ.get("STADTNACHWEIS_RACE_ROUNDS", "5"))


async def ask_for_a_credential(house: House, offer_id: str) -> bool:
    """What the credential endpoint does in its transaction; whether a credential was recorded."""
    tenant = await tenant_of(house)
    configuration = house.service.catalog.configurations[SD_JWT]
    token = LiveToken(offer_id.encode(), "leipzig", offer_id, None, None, (SD_JWT,), {}, False)
    try:
        async with house.store.transaction() as session:
            await record_copies(
                session,
                tenant,
                house.service.stock,
                offer_id=offer_id,
                configuration=configuration,
                dataset=UNNAMED,
                count=1,
                window=tenant.mint.window(configuration, now=house.clock()),
                now=house.clock(),
                once=[use_of(token, now=house.clock())],
            )
    except OAuthError:
        return False
    return True


@pytest.mark.race
async def test_arming_anew_and_collecting_never_both_succeed(house: House) -> None:
    for _ in range(ROUNDS):
        offer_id = str((await house.offer())["id"])
        await authorize(house, offer_id, configurations=[SD_JWT])
        collected, armed = await asyncio.gather(
            ask_for_a_credential(house, offer_id), house.call("POST", f"/offers/{offer_id}/rearm", {})
        )
        assert (collected, armed.status_code) in ((True, 409), (False, 200))
        async with house.store.reading() as session:
            credential = (await session.exec(select(Credential).where(Credential.offer_id == offer_id))).first()
            token = (await session.exec(select(AccessToken).where(AccessToken.offer_id == offer_id))).one()
        assert (credential is not None) == collected
        assert (token.revoked_at is None) == collected
