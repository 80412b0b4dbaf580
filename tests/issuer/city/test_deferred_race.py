"""One deferred transaction asked for by many at once, over several processes; and a simulated wallet that waits."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from issuer.app import create_app
from specs.encoding.strict_json import JsonObject
from specs.protocols.credential_offer import CredentialOffer, OfferedPreAuthorizedCode, offer_link
from specs.trust.anchors import AnchorKind, anchors_from_pem
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.workers import clients, running_workers
from tests.issuer.wallet_api.world import Wallet, World, build_world
from tests.services import postgresql
from tests.wallet_sim.serving import served
from wallet_sim.collect import Holder
from wallet_sim.wallet import Wallet as SimulatedWallet

RACERS = 32
ROUNDS = int(os.environ.get("STADTNACHWEIS_RACE_ROUNDS", "2"))
LATER = "later_pass-sd-jwt"
TYPES = {"later_pass": "deferral: {when: always, interval: 7}"}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def workers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Worker processes that know a type which always comes later."""
    with contextlib.ExitStack() as stack:
        database_url = ""
        if request.param == "postgresql":
            server: postgresql.Server = request.getfixturevalue("postgres_server")
            worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
            database_url = stack.enter_context(postgresql.database(server, f"deferred_races_{worker}"))
        folder = tmp_path_factory.mktemp("races")
        types = write_types(folder / "types", TYPES)
        yield stack.enter_context(running_workers(folder, database_url=database_url, catalog_dir=types))


@pytest.mark.race
async def test_deferred_transaction_raced_by_many_is_handed_out_once(workers: World) -> None:
    """is-011: exactly one 200 over four processes; every loser is told that it is over, and has got nothing."""
    first = Wallet(httpx.AsyncClient(timeout=60), workers.issuer_url(), workers.provider)
    racers = [first.http, *clients(RACERS - 1)]
    url = f"{first.issuer_url}/deferred_credential"
    for _ in range(ROUNDS):
        armed = await workers.offer(configurations=(LATER,))
        token = str((await first.redeem(armed.code or "")).json()["access_token"])
        deferred = await first.credential(token, await first.request_body(LATER))
        assert deferred.status_code == 202, deferred.text
        body: JsonObject = {"transaction_id": deferred.json()["transaction_id"]}
        headers = [
            {"Authorization": f"DPoP {token}", **first.dpop_header("/deferred_credential", token)} for _ in racers
        ]
        answers = await asyncio.gather(
            *(http.post(url, json=body, headers=head) for http, head in zip(racers, headers, strict=True))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * (RACERS - 1)
        assert {answer.json().get("error") for answer in answers} == {None, "invalid_transaction_id"}
    for http in racers:
        await http.aclose()


def test_simulated_wallet_waits_as_long_as_it_is_told_and_collects(tmp_path: Path) -> None:
    slept: list[float] = []
    worlds: list[World] = []
    providers = SimulatedWallet(tmp_path / "wallet.db").provider.anchor_pem()

    def make(url: str) -> FastAPI:
        world = asyncio.run(build_world(tmp_path, public_url=url, tenants={"leipzig": "haip-1.0"}))
        (tmp_path / "providers.pem").write_bytes(providers)
        world.use_types(write_types(tmp_path / "types", TYPES))
        worlds.append(world)
        return create_app(world.settings)

    with served(make):
        root = tmp_path / "keys" / "leipzig" / "iaca.crt.pem"
        anchors = anchors_from_pem(root.read_bytes(), kind=AnchorKind.CA, name="iaca")
        wallet = SimulatedWallet(
            tmp_path / "wallet.db", issuer_anchors=anchors, allow_loopback_http=True, sleep=slept.append
        )
        armed = asyncio.run(worlds[0].offer(configurations=(LATER,)))
        offer = CredentialOffer(
            worlds[0].issuer_url(),
            armed.configuration_ids,
            pre_authorized_code=OfferedPreAuthorizedCode(armed.code or "", None),
        )
        link = offer_link(offer, endpoint="openid-credential-offer://")
        collected = wallet.collect(link, holder=Holder(accept=lambda _offer: True), copies=2)
    assert len(collected) == 2
    assert slept == [7]
