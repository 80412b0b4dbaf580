"""Proofs that were seen once are worth nothing a second time, at each endpoint that takes them."""

import asyncio

import httpx
import pytest

from issuer.nonces import NoncePurpose, Nonces
from issuer.secrets_at_rest import load_secrets
from specs.protocols.client_attestation import ATTESTATION_HEADER, ATTESTATION_POP_HEADER
from specs.protocols.dpop import build_dpop_proof
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.issuer.wallet_api.world import SD_JWT, SteppedClock, Wallet, World


async def redeem(wallet: Wallet, code: str | None, headers: dict[str, str]) -> httpx.Response:
    """A token request with these proofs."""
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code or "", "client_id": wallet.client_id}
    return await wallet.http.post(f"{wallet.issuer_url}/token", data=form, headers=headers)


@pytest.mark.parametrize(
    ("replayed", "error"),
    [
        (("DPoP",), "invalid_dpop_proof"),
        ((ATTESTATION_HEADER, ATTESTATION_POP_HEADER), "invalid_client_attestation"),
    ],
    ids=["dpop", "attestation"],
)
async def test_proof_of_a_token_request_is_taken_once(
    world: World, wallet: Wallet, replayed: tuple[str, ...], error: str
) -> None:
    """dpop-902: the second offer's code is untouched by the refusal."""
    first = (await world.offer(configurations=(SD_JWT,), now=wallet.now)).code
    second = (await world.offer(configurations=(SD_JWT,), now=wallet.now)).code
    used = await wallet.form_headers("/token")
    assert (await redeem(wallet, first, used)).status_code == 200

    fresh = await wallet.form_headers("/token")
    answer = await redeem(wallet, second, fresh | {name: used[name] for name in replayed})
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert (await redeem(wallet, second, await wallet.form_headers("/token"))).status_code == 200


async def test_proof_with_our_nonce_is_taken_once_as_long_as_the_nonce_lives(
    world: World, wallet: Wallet, clock: SteppedClock
) -> None:
    """dpop-902: a nonce stands in for `iat`, so only memory tells a second showing from the first."""
    code = (await world.offer(configurations=(SD_JWT,), now=wallet.now)).code
    token = (await wallet.redeem(code or "")).json()["access_token"]
    nonces = Nonces(load_secrets(world.settings.data_dir / "secrets").nonce_key, world.settings.nonce_lifetime)
    proof = build_dpop_proof(
        signer=wallet.dpop,
        method="POST",
        url=f"{wallet.issuer_url}/credential",
        now=wallet.now - 100_000,
        access_token=token,
        nonce=nonces.fresh(tenant="leipzig", purpose=NoncePurpose.DPOP, now=clock.now),
    )
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
    assert (await wallet.credential(token, await wallet.request_body(), headers=headers)).status_code == 200
    for seconds, error in ((0, "invalid_dpop_proof"), (299, "invalid_dpop_proof"), (1, "use_dpop_nonce")):
        clock.now += seconds
        answer = await wallet.credential(token, await wallet.request_body(), headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, error)


async def test_of_many_requests_with_one_proof_one_is_served(world: World, wallet: Wallet) -> None:
    """dpop-902, raced."""
    code = (await world.offer(configurations=(SD_JWT,), now=wallet.now)).code
    token = (await wallet.redeem(code or "")).json()["access_token"]
    headers = {"Authorization": f"DPoP {token}", **wallet.dpop_header("/credential", token)}
    bodies = [await wallet.request_body() for _ in range(8)]
    answers = await asyncio.gather(*(wallet.credential(token, body, headers=headers) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
