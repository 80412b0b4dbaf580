"""Login by a PID that the person's wallet shows to the issuer's own verifier, on this device or another one."""

import asyncio
import html
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from issuer.app import create_app
from issuer.catalog.loader import load_catalog
from issuer.grants.logins import find_login, see_upstream
from issuer.offers import NewCredential, NewOffer, create_offer
from issuer.secrets_at_rest import load_secrets
from issuer.service import IssuerService
from issuer.store.engine import Store
from issuer.store.tables import Delivery, Grant
from issuer.tenants import Tenants
from specs.encoding.strict_json import JsonObject
from specs.protocols.credential_offer import CredentialOffer, OfferedPreAuthorizedCode, offer_link
from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem
from tests.issuer.city.desk import disclosed
from tests.issuer.house import PID
from tests.issuer.wallet_api.browser import open_login, submit
from tests.issuer.wallet_api.world import CLAIMS, SD_JWT, Flow, World, answer_members, build_world
from tests.issuer.wallet_api.world import Wallet as ProtocolWallet
from tests.wallet_sim.serving import served
from wallet_sim.collect import Holder
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet

PROVIDER, CITY = "dresden", "leipzig"
REFERENCE = "LINDENAU|MILA JOHANNA|1991-03-07"
_LINK = re.compile(r'id="wallet-link" href="([^"]+)"')
_QR = re.compile(r'id="wallet-qr" src="([^"]+)"')


@dataclass
class Town:
    """A PID provider and a city that trusts it, in one running issuer, and a citizen's wallet with a PID."""

    world: World
    service: IssuerService
    citizen: Wallet
    http: httpx.AsyncClient

    async def link_in_the_picture(self, page: httpx.Response) -> str:
        """What a camera reads from the page's picture: a fresh link to the same question."""
        handle = page.url.path.removesuffix("/pid").rsplit("/", 1)[1]
        cookie = self.http.cookies[f"login-{handle}"]
        tenant, now = await self.service.tenants.find(CITY), self.service.clock()
        verifier = self.service.pid.of(CITY)
        assert tenant is not None
        assert verifier is not None
        store = Store(self.world.settings.effective_database_url)
        async with store.reading() as session:
            login = await find_login(session, tenant_id=CITY, cookie=cookie, sealer=tenant.sealer, now=now)
            assert login is not None
            asked = await see_upstream(session, login, sealer=tenant.sealer, now=now)
        await store.close()
        assert asked is not None
        cross = asked["cross"]
        assert isinstance(cross, dict)
        return await verifier.fresh_link(str(cross["page"]))

    def flow(self) -> Flow:
        """An authorization request of a fresh wallet."""
        return Flow(ProtocolWallet(self.http, self.world.issuer_url(CITY), self.world.provider))

    async def show(self, link: str) -> str | None:
        """The citizen agrees to show the PID; where the wallet then sends them."""
        shown = await asyncio.to_thread(self.citizen.present, link, consent=lambda _question: True)
        return shown.redirect_uri


def arrange(world: World, *, interactive: bool = False) -> None:
    """The city's file: whose PIDs it believes, and what it makes of them."""
    keys = world.settings.data_dir / "keys" / PROVIDER
    folder = world.settings.data_dir / "tenants"
    folder.mkdir()
    (folder / f"{CITY}.yaml").write_text(
        f"""\
login:
  pid:
    anchors: {keys / "iaca.crt.pem"}
    status_anchors: {keys / "status-ca.crt.pem"}
    interactive: {str(interactive).lower()}
    purpose: {{de: Anmeldung bei der Stadt, en: Login at the city}}
    claims:
      leipzig_pass: {{family_name: family_name, given_name: given_name, birthdate: birthdate}}
""",
        encoding="utf-8",
    )
    world.settings = world.settings.model_copy(update={"tenant_dir": folder, "demo_login": False})


async def pid_offer(world: World, claims: JsonObject) -> str:
    """The link of an offer of a PID."""
    secrets_at_rest = load_secrets(world.settings.data_dir / "secrets")
    store = Store(world.settings.effective_database_url)
    tenant = await Tenants(settings=world.settings, store=store, secrets=secrets_at_rest).find(PROVIDER)
    assert tenant is not None
    configuration = load_catalog(allow_test_types=True).configurations["pid_mock-sd-jwt"]
    now = int(time.time())
    async with store.transaction() as session:
        armed = await create_offer(
            session,
            NewOffer(
                credentials=[NewCredential(configuration, claims)],
                grant=Grant.PRE_AUTHORIZED_CODE,
                delivery=Delivery.VALUE,
                locale="de",
                expires_at=now + 3600,
                subject=secrets.token_hex(4),
                tx_code_length=0,
                client_id="tests",
            ),
            sealer=tenant.sealer,
            secrets_at_rest=secrets_at_rest,
            code_lifetime=3600,
            now=now,
        )
    await store.close()
    assert armed.code is not None
    return offer_link(
        CredentialOffer(
            world.issuer_url(PROVIDER),
            armed.configuration_ids,
            pre_authorized_code=OfferedPreAuthorizedCode(armed.code, None),
        ),
        endpoint="openid-credential-offer://",
    )


@contextmanager
def running_town(
    folder: Path, *, database_url: str, interactive: bool = False, clock: Callable[[], int] | None = None
) -> Iterator[tuple[World, IssuerService, Wallet]]:
    """The issuer over HTTP, and a wallet that trusts it."""
    wallet_file = folder / "wallet.db"
    providers = Wallet(wallet_file).provider.anchor_pem()
    made: list[tuple[World, IssuerService]] = []

    def make(url: str) -> FastAPI:
        tenants = {CITY: "haip-1.0", PROVIDER: "haip-1.0"}
        world = asyncio.run(build_world(folder, public_url=url, database_url=database_url, tenants=tenants))
        both = (folder / "providers.pem").read_bytes() + providers
        (folder / "providers.pem").write_bytes(both)
        arrange(world, interactive=interactive)
        app = create_app(world.settings) if clock is None else create_app(world.settings, clock=clock)
        made.append((world, app.state.service))
        return app

    with served(make):
        keys = folder / "keys"
        wallet = Wallet(
            wallet_file,
            issuer_anchors=_anchors(keys / PROVIDER / "iaca.crt.pem"),
            verifier_anchors=_anchors(keys / CITY / "access-ca.crt.pem"),
            allow_loopback_http=True,
        )
        wallet.collect(asyncio.run(pid_offer(made[0][0], PID)), holder=Holder(accept=lambda _offer: True), copies=6)
        yield *made[0], wallet


def _anchors(path: Path) -> tuple[TrustAnchor, ...]:
    return anchors_from_pem(path.read_bytes(), kind=AnchorKind.CA, name=path.name)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, IssuerService, Wallet]]:
    """One town for all tests here, on each kind of database."""
    url = str(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else ""
    with running_town(tmp_path_factory.mktemp("town"), database_url=url) as town:
        yield town


@pytest.fixture
async def town(running: tuple[World, IssuerService, Wallet]) -> AsyncIterator[Town]:
    """The town, and a browser."""
    async with httpx.AsyncClient(timeout=30) as http:
        yield Town(*running, http)


async def ask(town: Town, flow: Flow) -> httpx.Response:
    """Press the button; the page that waits."""
    page = await open_login(flow, await flow.request_uri())
    assert 'id="pid"' in page.text, page.text
    answer = await submit(town.http, page, decision="pid")
    assert answer.status_code == 303, answer.text
    waiting = await town.http.get(page.url.join(answer.headers["location"]))
    assert waiting.status_code == 200, waiting.text
    return waiting


def link_of(page: httpx.Response) -> str:
    """The wallet's link on the page."""
    found = _LINK.search(page.text)
    assert found is not None, page.text
    return html.unescape(found[1])


async def test_person_shows_a_pid_on_this_device_and_collects(town: Town) -> None:
    flow = town.flow()
    back = await town.show(link_of(await ask(town, flow)))
    assert back is not None
    assert back.startswith(f"{town.world.issuer_url(CITY)}/pid/return?response_code=")
    logged_in = await town.http.get(back)
    assert logged_in.status_code == 303, logged_in.text
    assert "/consent/" in logged_in.headers["location"]
    again = await town.http.get(back)
    assert again.status_code == 400, "a response code counts once"


async def test_person_shows_a_pid_on_another_device(town: Town) -> None:
    waiting = await ask(town, town.flow())
    picture = _QR.search(waiting.text)
    assert picture is not None
    shown = await town.http.get(waiting.url.join(picture[1]))
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/svg+xml")
    assert (await town.http.get(waiting.url)).status_code == 200, "nobody has answered"
    assert await town.show(await town.link_in_the_picture(waiting)) is None, "that device is told nothing"
    logged_in = await town.http.get(waiting.url)
    assert logged_in.status_code == 303, logged_in.text
    assert "/consent/" in logged_in.headers["location"]


async def test_other_browser_does_not_get_the_login(town: Town) -> None:
    """is-007: whoever carries the wallet's way back to another browser finds no login there."""
    back = await town.show(link_of(await ask(town, town.flow())))
    assert back is not None
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(back)).status_code == 400
    assert (await town.http.get(f"{back[:-4]}AAAA")).status_code == 400, "another code"
    assert (await town.http.get(back)).status_code == 303


async def test_declined_question_logs_nobody_in(town: Town) -> None:
    waiting = await ask(town, town.flow())
    with pytest.raises(WalletFailure, match="declined"):
        await asyncio.to_thread(town.citizen.present, link_of(waiting), consent=lambda _question: False)
    back = f"{town.world.issuer_url(CITY)}/pid/return?response_code=x"
    assert (await town.http.get(back)).status_code == 400


async def test_person_of_the_pid_is_the_offers_subject_or_is_refused(town: Town) -> None:
    """The city's reference for the person follows from the PID."""
    for subject, status in ((REFERENCE, 303), ("LINDENAU|JON|1958-11-30", 403)):
        flow = town.flow()
        issuer_state = await city_offer(town.world, subject)
        page = await open_login(flow, await flow.request_uri(issuer_state=issuer_state))
        answer = await submit(town.http, page, decision="pid")
        waiting = await town.http.get(page.url.join(answer.headers["location"]))
        back = await town.show(link_of(waiting))
        assert back is not None
        logged_in = await town.http.get(back)
        assert logged_in.status_code == status, logged_in.text
        if status != 303:
            continue
        consent = await town.http.get(logged_in.url.join(logged_in.headers["location"]))
        decided = await submit(town.http, consent, decision="approve")
        code = answer_members(decided.headers["location"])["code"]
        token = (await flow.wallet.token(flow.token_form(code))).json()["access_token"]
        issued = await flow.wallet.credential(token, await flow.wallet.request_body(SD_JWT))
        assert disclosed(issued.json()["credentials"][0]["credential"])["given_name"] == "Mila"


async def city_offer(world: World, subject: str) -> str:
    """The issuer_state of an offer for this person."""
    secrets_at_rest = load_secrets(world.settings.data_dir / "secrets")
    store = Store(world.settings.effective_database_url)
    tenant = await Tenants(settings=world.settings, store=store, secrets=secrets_at_rest).find(CITY)
    assert tenant is not None
    now = int(time.time())
    async with store.transaction() as session:
        armed = await create_offer(
            session,
            NewOffer(
                credentials=[NewCredential(world.catalog.configurations[SD_JWT], dict(CLAIMS))],
                grant=Grant.AUTHORIZATION_CODE,
                delivery=Delivery.VALUE,
                locale="de",
                expires_at=now + 3600,
                subject=subject,
                tx_code_length=0,
                client_id="tests",
            ),
            sealer=tenant.sealer,
            secrets_at_rest=secrets_at_rest,
            code_lifetime=3600,
            now=now,
        )
    await store.close()
    return str(armed.issuer_state)
