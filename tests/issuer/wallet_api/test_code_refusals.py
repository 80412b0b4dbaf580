"""Codes and transaction codes: refused by the standard, without harm to who holds the right one (is-001 to is-003)."""

import secrets

import httpx
import pytest

from issuer.store.tables import Delivery
from tests.issuer.wallet_api.browser import log_in_and
from tests.issuer.wallet_api.world import REDIRECT_URI, Flow, SteppedClock, Wallet, World, answer_members


def refused(answer: httpx.Response, error: str) -> bool:
    """Whether the answer is this OAuth error, that no cache keeps."""
    assert answer.headers["cache-control"] == "no-store"
    return (answer.status_code, answer.json().get("error")) == (400, error)


async def _code(world: World, wallet: Wallet, *, tx_code: bool = False) -> tuple[str, str | None]:
    armed = await world.offer(tx_code=tx_code, now=wallet.now)
    assert armed.code is not None
    return armed.code, armed.tx_code


async def test_used_code_is_refused(world: World, wallet: Wallet) -> None:
    """is-001, OpenID4VCI §6.3."""
    code, _ = await _code(world, wallet)

    assert (await wallet.redeem(code)).status_code == 200
    assert refused(await wallet.redeem(code), "invalid_grant")


async def test_code_is_spent_with_any_other_code_of_its_offer(world: World, wallet: Wallet) -> None:
    """is-001: each fetch of an offer has its own code; the first redeemed one spends them all."""
    armed = await world.offer(delivery=Delivery.REFERENCE, now=wallet.now)
    fetches = [await wallet.http.get(f"{wallet.issuer_url}/offers/{armed.reference}") for _ in range(2)]
    first, second = (
        fetch.json()["grants"]["urn:ietf:params:oauth:grant-type:pre-authorized_code"]["pre-authorized_code"]
        for fetch in fetches
    )

    answer = await wallet.redeem(second)
    assert answer.status_code == 200, answer.text
    assert refused(await wallet.redeem(first), "invalid_grant")


async def test_guessed_code_is_refused(wallet: Wallet) -> None:
    """is-001, OpenID4VCI §6.3."""
    assert refused(await wallet.redeem(secrets.token_urlsafe(32)), "invalid_grant")


async def test_code_of_another_tenant_is_refused_and_stays_good_at_its_own(world: World, wallet: Wallet) -> None:
    """is-001: tenants share a database, never a code."""
    code, _ = await _code(world, wallet)
    elsewhere = Wallet(wallet.http, world.issuer_url("dresden"), world.provider, wallet.clock)

    assert refused(await elsewhere.redeem(code), "invalid_grant")
    assert (await wallet.redeem(code)).status_code == 200


async def test_expired_code_is_refused(world: World, wallet: Wallet, clock: SteppedClock) -> None:
    """is-001, OpenID4VCI §6.3."""
    code, _ = await _code(world, wallet)
    clock.now += 3601

    assert refused(await wallet.redeem(code), "invalid_grant")


async def test_missing_and_unexpected_tx_code_are_not_counted(world: World, wallet: Wallet) -> None:
    """is-002, OpenID4VCI §6.3: both are invalid_request."""
    code, tx_code = await _code(world, wallet, tx_code=True)
    plain, _ = await _code(world, wallet)

    for _ in range(6):
        assert refused(await wallet.redeem(code), "invalid_request")
    assert refused(await wallet.redeem(plain, "123456"), "invalid_request")
    assert (await wallet.redeem(code, tx_code)).status_code == 200
    assert (await wallet.redeem(plain)).status_code == 200


async def test_wrong_tx_code_does_not_burn_the_code(world: World, wallet: Wallet) -> None:
    """is-002: four typing errors cost nothing."""
    code, tx_code = await _code(world, wallet, tx_code=True)
    assert tx_code is not None

    for wrong in ("", "x" * 5000, tx_code + "0", tx_code[::-1] + "1"):
        if wrong:
            assert refused(await wallet.redeem(code, wrong), "invalid_grant")
    assert (await wallet.redeem(code, tx_code)).status_code == 200


async def test_fifth_wrong_tx_code_locks_the_offer(world: World, wallet: Wallet) -> None:
    """is-002: not even the right one is taken then, nor is the offer shown again."""
    armed = await world.offer(delivery=Delivery.REFERENCE, tx_code=True, now=wallet.now)
    assert armed.tx_code is not None
    offer = f"{wallet.issuer_url}/offers/{armed.reference}"
    grant = (await wallet.http.get(offer)).json()["grants"]
    code = grant["urn:ietf:params:oauth:grant-type:pre-authorized_code"]["pre-authorized_code"]
    wrong = f"{(int(armed.tx_code) + 1) % 10**6:06d}"

    for _ in range(5):
        assert refused(await wallet.redeem(code, wrong), "invalid_grant")

    assert refused(await wallet.redeem(code, armed.tx_code), "invalid_grant")
    assert (await wallet.http.get(offer)).status_code == 404


async def test_wrong_client_does_not_count_a_try(world: World, wallet: Wallet) -> None:
    """is-002: client and key are checked before the transaction code."""
    code, tx_code = await _code(world, wallet, tx_code=True)
    stranger = Wallet(wallet.http, wallet.issuer_url, world.stranger, wallet.clock)

    for _ in range(6):
        assert refused(await stranger.redeem(code, "000000"), "invalid_client_attestation")
    assert (await wallet.redeem(code, tx_code)).status_code == 200


@pytest.fixture
async def flow(wallet: Wallet) -> Flow:
    """A wallet's authorization request."""
    return Flow(wallet)


async def _authorization_code(flow: Flow) -> str:
    return answer_members(await log_in_and("approve", flow, await flow.request_uri()))["code"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"redirect_uri": f"{REDIRECT_URI}/other"}, "invalid_grant", id="is-003-redirect_uri"),
        pytest.param({"code_verifier": ""}, "invalid_grant", id="is-003-verifier-missing"),
        pytest.param({"code_verifier": "x" * 43}, "invalid_grant", id="is-003-verifier-wrong"),
        pytest.param({"code_verifier": "ü" * 43}, "invalid_grant", id="is-003-verifier-malformed"),
        pytest.param({"code": "guessed"}, "invalid_grant", id="is-003-guessed"),
    ],
)
async def test_authorization_code_is_bound_to_its_request(flow: Flow, changes: dict[str, str], error: str) -> None:
    """is-003, RFC 6749 §4.1.3, RFC 7636 §4.6; the right request succeeds afterwards."""
    code = await _authorization_code(flow)

    assert refused(await flow.wallet.token(flow.token_form(code, **changes)), error)
    assert (await flow.wallet.token(flow.token_form(code))).status_code == 200


async def test_plain_verifier_is_refused(flow: Flow) -> None:
    """is-003: the challenge itself is no verifier."""
    code = await _authorization_code(flow)
    challenge = flow.form()["code_challenge"]

    assert refused(await flow.wallet.token(flow.token_form(code, code_verifier=challenge)), "invalid_grant")


async def test_authorization_code_of_another_client_is_refused(world: World, flow: Flow) -> None:
    """is-003, RFC 6749 §4.1.3: also if it has the verifier."""
    code = await _authorization_code(flow)
    other = Wallet(flow.wallet.http, flow.wallet.issuer_url, world.provider, flow.wallet.clock)
    other.client_id = "https://other.example"

    form = flow.token_form(code, client_id=other.client_id)
    assert refused(await other.token(form), "invalid_grant")
    assert (await flow.wallet.token(flow.token_form(code))).status_code == 200


async def test_authorization_code_of_another_instance_or_dpop_key_is_refused(world: World, flow: Flow) -> None:
    """is-003: the code is bound to the keys that pushed the request."""
    code = await _authorization_code(flow)
    own = flow.wallet
    for other in (
        Wallet(own.http, own.issuer_url, world.provider, own.clock, dpop=own.dpop),
        Wallet(own.http, own.issuer_url, world.provider, own.clock, instance=own.instance),
    ):
        assert refused(await other.token(flow.token_form(code)), "invalid_grant")
    assert (await flow.wallet.token(flow.token_form(code))).status_code == 200


async def test_authorization_code_is_over_after_a_minute(flow: Flow, clock: SteppedClock) -> None:
    """is-003, FAPI 2.0 §5.3.2.1."""
    code = await _authorization_code(flow)
    clock.now += 60

    assert refused(await flow.wallet.token(flow.token_form(code)), "invalid_grant")


async def test_reuse_of_an_authorization_code_revokes_its_token_but_a_duplicate_does_not(
    flow: Flow, clock: SteppedClock
) -> None:
    """is-003, RFC 6749 §4.1.2: credentials that were issued stay."""
    wallet = flow.wallet
    code = await _authorization_code(flow)
    token = (await wallet.token(flow.token_form(code))).json()["access_token"]

    assert refused(await wallet.token(flow.token_form(code)), "invalid_grant")
    assert (await wallet.credential(token, await wallet.request_body())).status_code == 200

    clock.now += 2
    assert refused(await wallet.token(flow.token_form(code)), "invalid_grant")
    ended = await wallet.credential(token, await wallet.request_body())
    assert (ended.status_code, ended.json()["error"]) == (401, "invalid_token")


async def test_reuse_with_another_verifier_revokes_at_once(flow: Flow) -> None:
    """is-003: whoever has the code without its verifier has stolen it."""
    wallet = flow.wallet
    code = await _authorization_code(flow)
    token = (await wallet.token(flow.token_form(code))).json()["access_token"]

    assert refused(await wallet.token(flow.token_form(code, code_verifier="x" * 43)), "invalid_grant")

    assert (await wallet.credential(token, await wallet.request_body())).status_code == 401
