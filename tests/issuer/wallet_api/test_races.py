"""Many wallets at once, on several processes that share a database: each single-use thing has one winner."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence

import httpx
import pytest
from sqlmodel import select

from issuer.store.engine import Store
from issuer.store.tables import Delivery, Offer
from specs.encoding import base64url, strict_json
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.issuer.wallet_api.browser import log_in_and
from tests.issuer.wallet_api.workers import clients, running_workers
from tests.issuer.wallet_api.world import Flow, Wallet, World, answer_members
from tests.services import postgresql

RACERS = 32
ROUNDS = int(os.environ.get("STADTNACHWEIS_RACE_ROUNDS", "2"))

pytestmark = pytest.mark.race


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def workers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Worker processes on a database file, and on PostgreSQL."""
    with contextlib.ExitStack() as stack:
        database_url = ""
        if request.param == "postgresql":
            server: postgresql.Server = request.getfixturevalue("postgres_server")
            worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
            database_url = stack.enter_context(postgresql.database(server, f"races_{worker}"))
        yield stack.enter_context(running_workers(tmp_path_factory.mktemp("races"), database_url=database_url))


@pytest.fixture
async def wallets(workers: World) -> AsyncIterator[list[Wallet]]:
    """As many wallets as race, each on a connection of its own, with the keys of one."""
    first = Wallet(httpx.AsyncClient(timeout=60), workers.issuer_url(), workers.provider)
    racers = [
        Wallet(http, first.issuer_url, first.provider, instance=first.instance, dpop=first.dpop)
        for http in clients(RACERS - 1)
    ]
    yield [first, *racers]
    for wallet in [first, *racers]:
        await wallet.http.aclose()


async def _all_at_once(wallets: Sequence[Wallet], path: str, forms: Sequence[dict[str, str]]) -> list[httpx.Response]:
    """Prepare every proof first, then send all requests together."""
    challenge = await wallets[0].challenge()
    headers = [{**wallet.attestation_headers(challenge), **wallet.dpop_header(path)} for wallet in wallets]
    return await asyncio.gather(
        *(
            wallet.http.post(f"{wallet.issuer_url}{path}", data=form, headers=head)
            for wallet, form, head in zip(wallets, forms, headers, strict=True)
        )
    )


def _form(code: str, tx_code: str | None = None) -> dict[str, str]:
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code", "pre-authorized_code": code}
    return grant if tx_code is None else {**grant, "tx_code": tx_code}


async def _counted_tries(world: World, offer_id: str) -> int:
    store = Store(world.settings.effective_database_url)
    try:
        async with store.reading() as session:
            return (await session.exec(select(Offer.tx_code_tries).where(Offer.id == offer_id))).one()
    finally:
        await store.close()


def _status_place(sd_jwt: str) -> str:
    payload = strict_json.parse_object(base64url.decode(sd_jwt.split(".")[1]))
    return str(payload["status"])


def _outcomes(answers: Sequence[httpx.Response]) -> dict[str, int]:
    found = ["issued" if answer.status_code == 200 else str(answer.json()["error"]) for answer in answers]
    return {outcome: found.count(outcome) for outcome in set(found)}


async def test_of_many_redemptions_one_succeeds(workers: World, wallets: list[Wallet]) -> None:
    """is-001: one pre-authorized code, raced 32 ways over four processes."""
    for _ in range(ROUNDS):
        armed = await workers.offer()
        assert armed.code is not None

        answers = await _all_at_once(wallets, "/token", [_form(armed.code)] * RACERS)

        assert _outcomes(answers) == {"issued": 1, "invalid_grant": RACERS - 1}


async def test_of_many_codes_of_one_offer_one_is_redeemed(workers: World, wallets: list[Wallet]) -> None:
    """is-001: each fetch by reference has a code of its own; the first redeemed spends the offer for all of them."""
    for _ in range(ROUNDS):
        armed = await workers.offer(delivery=Delivery.REFERENCE)
        address = f"{workers.issuer_url()}/offers/{armed.reference}"
        fetched = await asyncio.gather(*(wallet.http.get(address) for wallet in wallets))
        codes = [answer.json()["grants"][PRE_AUTHORIZED_CODE]["pre-authorized_code"] for answer in fetched]
        assert len(set(codes)) == RACERS

        answers = await _all_at_once(wallets, "/token", [_form(code) for code in codes])

        assert _outcomes(answers) == {"issued": 1, "invalid_grant": RACERS - 1}


async def test_parallel_guesses_never_get_a_sixth_try(workers: World, wallets: list[Wallet]) -> None:
    """is-002: 32 wrong ones that arrive together lock the offer, so that not even the right one is taken then."""
    for _ in range(ROUNDS):
        armed = await workers.offer(tx_code=True)
        assert armed.code is not None
        assert armed.tx_code is not None
        wrong = [f"{(int(armed.tx_code) + number) % 10**6:06d}" for number in range(1, RACERS + 1)]

        answers = await _all_at_once(wallets, "/token", [_form(armed.code, guess) for guess in wrong])

        assert _outcomes(answers) == {"invalid_grant": RACERS}
        assert await _counted_tries(workers, armed.offer_id) == 5
        late = await wallets[0].redeem(armed.code, armed.tx_code)
        assert late.json()["error"] == "invalid_grant", "32 wrong tries lock the offer"


async def test_four_wrong_guesses_in_parallel_leave_the_fifth_try(workers: World, wallets: list[Wallet]) -> None:
    """is-002: tries are counted exactly, over all processes: neither lost nor counted twice."""
    for _ in range(ROUNDS):
        armed = await workers.offer(tx_code=True)
        assert armed.code is not None
        assert armed.tx_code is not None
        wrong = f"{(int(armed.tx_code) + 1) % 10**6:06d}"

        await _all_at_once(wallets[:4], "/token", [_form(armed.code, wrong)] * 4)

        assert (await wallets[0].redeem(armed.code, armed.tx_code)).status_code == 200


async def test_right_transaction_codes_in_parallel_have_one_winner(workers: World, wallets: list[Wallet]) -> None:
    """is-002, is-001: the statement that counts wrong tries redeems the right one, once."""
    for _ in range(ROUNDS):
        armed = await workers.offer(tx_code=True)
        assert armed.code is not None

        answers = await _all_at_once(wallets, "/token", [_form(armed.code, armed.tx_code)] * RACERS)

        assert _outcomes(answers) == {"issued": 1, "invalid_grant": RACERS - 1}


async def test_of_many_authorization_code_redemptions_one_succeeds(workers: World, wallets: list[Wallet]) -> None:
    """is-003: exactly one gets a token."""
    assert workers.settings.demo_login
    for _ in range(ROUNDS):
        flow = Flow(wallets[0])
        code = answer_members(await log_in_and("approve", flow, await flow.request_uri()))["code"]

        answers = await _all_at_once(wallets, "/token", [flow.token_form(code)] * RACERS)

        assert _outcomes(answers) == {"issued": 1, "invalid_grant": RACERS - 1}


async def test_nonce_raced_by_many_credential_requests_is_used_once(workers: World, wallets: list[Wallet]) -> None:
    """is-009: every loser is told so, and has got nothing."""
    for _ in range(ROUNDS):
        token = await wallets[0].access_token(workers)
        nonce = await wallets[0].nonce()
        bodies = [await wallet.request_body(nonce=nonce) for wallet in wallets]

        answers = await asyncio.gather(
            *(wallet.credential(token, body) for wallet, body in zip(wallets, bodies, strict=True))
        )

        assert _outcomes(answers) == {"issued": 1, "invalid_nonce": RACERS - 1}


async def test_copies_for_one_token_in_parallel_never_share_a_status_entry(
    workers: World, wallets: list[Wallet]
) -> None:
    """is-016: each parallel request has its own nonce, and each copy its own index."""
    token = await wallets[0].access_token(workers)
    bodies = [await wallet.request_body(copies=3) for wallet in wallets]

    answers = await asyncio.gather(
        *(wallet.credential(token, body) for wallet, body in zip(wallets, bodies, strict=True))
    )

    assert _outcomes(answers) == {"issued": RACERS}
    places = [_status_place(entry["credential"]) for answer in answers for entry in answer.json()["credentials"]]
    assert len(set(places)) == len(places) == 3 * RACERS
