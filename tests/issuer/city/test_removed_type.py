"""A credential type that was taken out of the catalogue while somebody was on the way to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from issuer.app import create_app
from tests.issuer.city.conftest import PUBLIC_URL
from tests.issuer.city.desk import Desk
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.browser import log_in, submit
from tests.issuer.wallet_api.world import CLAIMS, REDIRECT_URI, SD_JWT, Flow, answer_members

KIND = "swimming_card"


@pytest.fixture
def catalog_dir(tmp_path: Path) -> Path:
    """One type more than the program brings, which comes when it is approved."""
    return write_types(tmp_path / "types", {KIND: "deferral: {when: approval}"})


@pytest.fixture
def demo_login() -> bool:
    """People can log in."""
    return True


@asynccontextmanager
async def without_the_type(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The same issuer, started again with the program's own types."""
    app = create_app(desk.world.settings.model_copy(update={"catalog_dir": None}), clock=desk.clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL, cookies=desk.http.cookies) as http:
        yield http
    app.state.service.outgoing.close()
    await app.state.service.store.close()


async def test_deferred_credential_of_a_removed_type_is_denied(desk: Desk) -> None:
    offer, wallet = await desk.offer(credential_types=[KIND], claims={KIND: CLAIMS}), desk.wallet()
    token = await desk.token(wallet, offer)
    waiting = await wallet.credential(token, await wallet.request_body(f"{KIND}-sd-jwt"))
    assert waiting.status_code == 202, waiting.text
    (entry,) = (await desk.call("GET", "/deferred")).json()["deferred"]
    assert (await desk.call("POST", f"/deferred/{entry['id']}/approve")).status_code == 200
    async with without_the_type(desk) as http:
        answer = await http.post(
            f"{wallet.issuer_url}/deferred_credential",
            json={"transaction_id": waiting.json()["transaction_id"]},
            headers={"Authorization": f"DPoP {token}", **wallet.dpop_header("/deferred_credential", token)},
        )
    assert (answer.status_code, answer.json()["error"]) == (400, "credential_request_denied")


async def test_login_that_began_before_goes_on_without_the_removed_type(desk: Desk) -> None:
    flow = Flow(desk.wallet())
    consent = await log_in(flow, await flow.request_uri(scope=f"{SD_JWT} {KIND}-sd-jwt"))
    assert consent.status_code == 200, consent.text
    async with without_the_type(desk) as http:
        page = await http.get(consent.url)
        assert page.status_code == 200, page.text
        answer = await submit(http, page, decision="approve")
        location = answer.headers["location"]
    assert location.startswith(REDIRECT_URI)
    assert "code" in answer_members(location)
