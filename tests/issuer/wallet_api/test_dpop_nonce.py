"""DPoP with nonces of the server, where a setting demands them (RFC 9449 §8, §9)."""

from collections.abc import AsyncIterator

import httpx
import pytest

from issuer.app import create_app
from specs.protocols.dpop import build_dpop_proof
from tests.issuer.wallet_api.conftest import PUBLIC_URL
from tests.issuer.wallet_api.world import Flow, SteppedClock, Wallet, World


@pytest.fixture
async def http(world: World, clock: SteppedClock) -> AsyncIterator[httpx.AsyncClient]:
    """An issuer that takes no proof without a nonce of its own."""
    app = create_app(world.settings.model_copy(update={"require_dpop_nonce": True}), clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client
    await app.state.service.store.close()


def proven(wallet: Wallet, path: str, nonce: str | None, token: str | None = None, *, age: int = 0) -> dict[str, str]:
    """A proof with this nonce, made so many seconds ago."""
    url = f"{wallet.issuer_url}{path}"
    proof = build_dpop_proof(
        signer=wallet.dpop, method="POST", url=url, now=wallet.now - age, access_token=token, nonce=nonce
    )
    return {"DPoP": proof}


async def test_each_endpoint_wants_its_nonce_and_gives_the_next_one(world: World, wallet: Wallet) -> None:
    """dpop-016: 400 at the authorization server, 401 with a challenge at the credential issuer."""
    code = (await world.offer(now=wallet.now)).code or ""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code",
        "pre-authorized_code": code,
        "client_id": wallet.client_id,
    }
    url = wallet.issuer_url

    async def token_request(nonce: str | None) -> httpx.Response:
        headers = {**wallet.attestation_headers(await wallet.challenge()), **proven(wallet, "/token", nonce)}
        return await wallet.http.post(f"{url}/token", data=form, headers=headers)

    async def credential_request(token: str, nonce: str | None, *, age: int = 0) -> httpx.Response:
        headers = {"Authorization": f"DPoP {token}", **proven(wallet, "/credential", nonce, token, age=age)}
        return await wallet.credential(token, await wallet.request_body(), headers=headers)

    refused = await token_request(None)
    assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
    issued = await token_request(refused.headers["dpop-nonce"])
    assert issued.status_code == 200, issued.text
    token = issued.json()["access_token"]

    refused = await credential_request(token, None)
    assert (refused.status_code, refused.json()["error"]) == (401, "use_dpop_nonce")
    assert 'error="use_dpop_nonce"' in refused.headers["www-authenticate"]
    # the nonce says how fresh the proof is, not the wallet's clock
    served = await credential_request(token, issued.headers["dpop-nonce"], age=7200)
    assert served.status_code == 200, served.text
    again = await credential_request(token, served.headers["dpop-nonce"])
    assert again.status_code == 200, again.text


async def test_nonce_endpoint_gives_one_for_the_credential_request(world: World, wallet: Wallet) -> None:
    """OpenID4VCI §7.2, HAIP §4: saves the wallet a refusal."""
    answer = await wallet.http.post(f"{wallet.issuer_url}/nonce")

    assert len(answer.headers.get_list("dpop-nonce")) == 1
    assert answer.headers["dpop-nonce"] != answer.json()["c_nonce"]


@pytest.mark.parametrize("foreign", ["c_nonce", "another tenant's", "invented", "over"])
async def test_nonce_that_is_none_of_ours_is_refused(
    world: World, wallet: Wallet, clock: SteppedClock, foreign: str
) -> None:
    """dpop-016: of another purpose, tenant or time."""
    own = (await wallet.http.post(f"{wallet.issuer_url}/nonce")).headers["dpop-nonce"]
    elsewhere = await wallet.http.post(f"{world.issuer_url('dresden')}/nonce")
    nonces = {
        "c_nonce": await wallet.nonce(),
        "another tenant's": elsewhere.headers["dpop-nonce"],
        "invented": "A" * 75,
        "over": own,
    }
    if foreign == "over":
        clock.now += world.settings.nonce_lifetime

    headers = {
        **wallet.attestation_headers(await wallet.challenge()),
        **proven(wallet, "/par", nonces[foreign]),
    }
    answer = await wallet.http.post(f"{wallet.issuer_url}/par", data=Flow(wallet).form(), headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "use_dpop_nonce")
    headers |= {
        **wallet.attestation_headers(await wallet.challenge()),
        **proven(wallet, "/par", answer.headers["dpop-nonce"]),
    }
    pushed = await wallet.http.post(f"{wallet.issuer_url}/par", data=Flow(wallet).form(), headers=headers)
    assert pushed.status_code == 201, pushed.text
