"""Interactive Authorization of OpenID4VCI 1.1 (draft of 24 June 2026): a PID shown to the issuer, without a browser."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from issuer.service import IssuerService
from specs.encoding.strict_json import JsonObject
from specs.protocols.credential_offer import CredentialOffer, OfferedAuthorizationCode, offer_link
from specs.protocols.interactive_authorization import PRESENTATION, VIA_WEB, derived_origin
from specs.protocols.oauth import code_challenge, new_code_verifier
from specs.refusal import Refusal
from stadtnachweis.__main__ import main
from tests.issuer.city.test_pid_login import CITY, PROVIDER, REFERENCE, Town, _anchors, city_offer, running_town
from tests.issuer.wallet_api.browser import open_login
from tests.issuer.wallet_api.world import SD_JWT, Flow, SteppedClock, World
from tests.issuer.wallet_api.world import Wallet as ProtocolWallet
from tests.wallet_sim.serving import served
from wallet_sim.collect import REDIRECT_URI, Holder
from wallet_sim.conduct import HONEST, Conduct
from wallet_sim.misbehaviour import Misconduct, find_misbehaviour
from wallet_sim.presentation import claims_of, held
from wallet_sim.store import EventKind
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet
from wallet_sim.web.app import create_app as create_wallet_app
from wallet_sim.web.settings import WalletEntry, WalletSettings, open_wallets

PATH = "/authorization_challenge"


@pytest.fixture(scope="module")
def clock() -> SteppedClock:
    """The issuer's time."""
    return SteppedClock()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, clock: SteppedClock
) -> Iterator[tuple[World, IssuerService, Wallet]]:
    """A town whose city asks without a browser, too."""
    folder = tmp_path_factory.mktemp("town")
    with running_town(folder, database_url="", interactive=True, clock=clock) as town:
        yield town


@pytest.fixture
async def town(running: tuple[World, IssuerService, Wallet], clock: SteppedClock) -> AsyncIterator[Town]:
    """The town, with its clock where it was."""
    began = clock.now
    async with httpx.AsyncClient(timeout=30) as http:
        yield Town(*running, http)
    clock.now = began


@dataclass
class Login:
    """One wallet's interaction: what it sends, and what came back."""

    town: Town
    clock: SteppedClock
    wallet: ProtocolWallet = field(init=False)
    verifier: str = field(default_factory=new_code_verifier)
    question: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wallet = ProtocolWallet(
            self.town.http, self.town.world.issuer_url(CITY), self.town.world.provider, self.clock
        )

    async def send(self, form: dict[str, str]) -> httpx.Response:
        """A request to the endpoint; a member that is empty is left out."""
        sent = {"client_id": self.wallet.client_id, **form}
        headers = await self.wallet.form_headers(PATH)
        return await self.town.http.post(
            f"{self.wallet.issuer_url}{PATH}", data={n: v for n, v in sent.items() if v}, headers=headers
        )

    def initial(self, **changes: str) -> dict[str, str]:
        """The members of the first request."""
        return {
            "response_type": "code",
            "redirect_uri": REDIRECT_URI,
            "code_challenge": code_challenge(self.verifier),
            "code_challenge_method": "S256",
            "scope": SD_JWT,
            "interaction_types_supported": f"{PRESENTATION},{VIA_WEB}",
        } | changes

    async def begin(self, **changes: str) -> "Login":
        """Send it, and take the question."""
        answer = await self.send(self.initial(**changes))
        assert answer.status_code == 401, answer.text
        assert answer.headers["cache-control"] == "no-store"
        self.question = answer.json()
        assert self.question["error"] == "insufficient_authorization"
        assert self.question["interaction_type_required"] == PRESENTATION
        return self

    async def shown(self, *, conduct: Conduct = HONEST) -> str:
        """What the citizen's wallet answers with the PID."""
        citizen = Wallet(
            self.town.citizen.store.path,
            verifier_anchors=_anchors(self.town.world.settings.data_dir / "keys" / CITY / "access-ca.crt.pem"),
            allow_loopback_http=True,
            conduct=conduct,
        )
        question = self.question["openid4vp_request"]
        assert isinstance(question, dict)
        shown = await asyncio.to_thread(
            citizen.answer_interaction,
            question,
            origin=derived_origin(self.wallet.issuer_url),
            consent=lambda _question: True,
        )
        return json.dumps(shown)

    async def go_on(self, shown: str, **changes: str) -> httpx.Response:
        """The second request."""
        return await self.send(
            {"auth_session": str(self.question["auth_session"]), "openid4vp_response": shown} | changes
        )

    async def redeem(self, code: str) -> httpx.Response:
        """The token request with the code that came of it."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.wallet.client_id,
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.verifier,
        }
        return await self.wallet.token(form)


def refused(answer: httpx.Response, error: str) -> bool:
    """Whether it is this refusal, and no code."""
    assert "authorization_code" not in answer.text
    return (answer.status_code, answer.json()["error"]) == (400, error)


async def offered(town: Town) -> dict[str, str]:
    """An offer for the person of the PID; what a wallet sends of it."""
    return {"issuer_state": await city_offer(town.world, REFERENCE)}


async def test_wallet_collects_what_its_holder_shows_a_pid_for(town: Town) -> None:
    keys = town.world.settings.data_dir / "keys"
    citizen = Wallet(
        town.citizen.store.path,
        issuer_anchors=_anchors(keys / CITY / "iaca.crt.pem"),
        verifier_anchors=_anchors(keys / CITY / "access-ca.crt.pem"),
        allow_loopback_http=True,
    )
    link = await link_of(town)
    asked: list[str] = []

    def show(question: object) -> bool:
        asked.append(str(question))
        return True

    (collected,) = await asyncio.to_thread(citizen.collect, link, holder=Holder(accept=lambda _offer: True, show=show))
    assert len(asked) == 1
    kinds = [each.kind for each in citizen.store.history()[:2]]
    assert kinds == [EventKind.COLLECTED, EventKind.PRESENTED]
    assert claims_of(held(collected))["given_name"] == "Mila"
    citizen.store.delete(collected.id)


async def link_of(town: Town) -> str:
    """The city's offer to the person of the PID."""
    state = OfferedAuthorizationCode(await city_offer(town.world, REFERENCE))
    offer = CredentialOffer(town.world.issuer_url(CITY), (SD_JWT,), authorization_code=state)
    return offer_link(offer, endpoint="openid-credential-offer://")


async def test_command_line_shows_in_the_place_of_a_login(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    anchors = town.world.settings.data_dir / "keys" / CITY / "access-ca.crt.pem"
    arguments = ["wallet", "collect", await link_of(town), "--verifier-anchors", str(anchors), "--yes"]
    arguments += ["--allow-loopback-http", "--file", str(town.citizen.store.path)]

    assert await asyncio.to_thread(main, arguments) == 0

    told = capsys.readouterr()
    assert "Stadt Leipzig asks for:\n  " in told.err
    assert "In the wallet now:" in told.out
    town.citizen.store.delete(town.citizen.credentials()[-1].id)


async def test_person_shows_in_the_place_of_a_login_on_the_page(town: Town) -> None:
    settings = WalletSettings(
        wallets=(WalletEntry(name="mila", file=town.citizen.store.path),),
        verifier_anchors=(town.world.settings.data_dir / "keys" / CITY / "access-ca.crt.pem",),
        allow_loopback_http=True,
    )
    link = await link_of(town)

    def person(browser: httpx.Client) -> str:
        browser.get("/wallets/mila")
        token = {"csrf_token": browser.cookies["wallet-csrf"]}
        page = browser.post("/wallets/mila/open", data={**token, "link": link})
        assert 'name="way" value="show"' in page.text
        page = browser.post(page.url.path, data={**token, "answer": "yes", "way": "show"})
        assert 'id="verifier">Stadt Leipzig' in page.text
        return browser.post(page.url.path, data={**token, "answer": "yes"}).text

    with (
        served(lambda _url: create_wallet_app(open_wallets(settings), unattended=False)) as url,
        httpx.Client(base_url=url, follow_redirects=True, timeout=30) as browser,
    ):
        assert 'id="done"' in await asyncio.to_thread(person, browser)
    town.citizen.store.delete(town.citizen.credentials()[-1].id)


async def test_it_is_off_unless_a_city_says_otherwise(town: Town, clock: SteppedClock) -> None:
    base = "/.well-known/oauth-authorization-server/t/"
    on, off = [
        (await town.http.get(f"{town.world.settings.public_url}{base}{tenant}")).json() for tenant in (CITY, PROVIDER)
    ]
    assert on["authorization_challenge_endpoint"] == f"{town.world.issuer_url(CITY)}{PATH}"
    assert "authorization_challenge_endpoint" not in off
    login = Login(town, clock)
    login.wallet.issuer_url = town.world.issuer_url(PROVIDER)
    assert (await login.send(login.initial())).status_code == 404


async def test_question_is_signed_for_this_endpoint_alone(town: Town, clock: SteppedClock) -> None:
    """§6.2.1.1: `expected_origins` names nothing else; a wallet that called another one does not answer."""
    login = await Login(town, clock).begin(**await offered(town))
    question = login.question["openid4vp_request"]
    assert isinstance(question, dict)
    with pytest.raises((Refusal, ValueError), match="expected_origins"):
        await asyncio.to_thread(
            town.citizen.answer_interaction, question, origin="https://elsewhere.example", consent=lambda _q: True
        )


async def test_page_in_a_browser_can_not_pass_the_question_on(town: Town, clock: SteppedClock) -> None:
    """A wallet that is asked through a browser does not answer by `ia_post`, so nothing of `origin:` fits either."""
    login = await Login(town, clock).begin(**await offered(town))
    question = login.question["openid4vp_request"]
    assert isinstance(question, dict)
    origin = derived_origin(login.wallet.issuer_url)
    answer = await asyncio.to_thread(
        town.citizen.answer_dc_api, "openid4vp-v1-signed", question, origin=origin, consent=lambda _q: True
    )
    assert answer["data"] == {"error": "invalid_request"}


async def test_code_that_came_of_it_is_bound_as_any_other(town: Town, clock: SteppedClock) -> None:
    login = await Login(town, clock).begin(**await offered(town))
    answer = await login.go_on(await login.shown())
    assert answer.status_code == 200, answer.text
    code = str(answer.json()["authorization_code"])
    stranger = Login(town, clock, verifier=login.verifier)
    assert refused(await stranger.redeem(code), "invalid_grant")
    assert (await login.redeem(code)).status_code == 200


async def test_session_answers_once(town: Town, clock: SteppedClock) -> None:
    login = await Login(town, clock).begin(**await offered(town))
    shown = await login.shown()
    assert (await login.go_on(shown)).status_code == 200
    assert refused(await login.go_on(shown), "invalid_session")
    assert refused(await login.go_on(await login.shown()), "invalid_session")


async def test_only_the_wallet_that_began_goes_on(town: Town, clock: SteppedClock) -> None:
    """§6.2.1.4: who learns an auth_session, or is made to use one, is another wallet."""
    login = await Login(town, clock).begin(**await offered(town))
    shown = await login.shown()
    stranger = Login(town, clock)
    stranger.question = login.question
    assert refused(await stranger.go_on(shown), "invalid_session")
    assert refused(await login.go_on(shown, auth_session="x" * 43), "invalid_session")
    assert (await login.go_on(shown)).status_code == 200, "the right one is not hindered"


async def test_answer_to_another_question_is_none(town: Town, clock: SteppedClock) -> None:
    """§6.2.1.4: the nonce belongs to the auth_session, and so does the key that an answer is encrypted to."""
    other = await Login(town, clock).begin()
    login = await Login(town, clock).begin(**await offered(town))
    assert refused(await login.go_on(await other.shown()), "invalid_request")
    assert refused(await login.go_on("[]"), "invalid_request")
    assert refused(await login.go_on('{"vp_token": {"pid": ["e30.e30.e30~"]}}'), "invalid_request")
    assert (await login.go_on(await login.shown())).status_code == 200


@pytest.mark.parametrize("name", ["binding-other-verifier", "binding-audience-without-prefix", "binding-nonce-wrong"])
async def test_presentation_bound_to_something_else_is_refused(town: Town, clock: SteppedClock, name: str) -> None:
    """App. A.3.5: `aud` is `ia:` and the endpoint's origin."""
    login = await Login(town, clock).begin(**await offered(town))
    wrong = await login.shown(conduct=Misconduct(find_misbehaviour(name)))
    assert refused(await login.go_on(wrong), "access_denied")
    assert refused(await login.go_on(await login.shown()), "invalid_session"), "a wrong answer ends it"


async def test_session_ends_with_its_time(town: Town, clock: SteppedClock) -> None:
    login = await Login(town, clock).begin(**await offered(town))
    shown = await login.shown()
    clock.now += 300
    assert refused(await login.go_on(shown), "invalid_request")
    clock.now += 300
    assert refused(await login.go_on(shown), "invalid_session")


async def test_declined_question_gives_nothing(town: Town, clock: SteppedClock) -> None:
    login = await Login(town, clock).begin(**await offered(town))
    assert refused(await login.go_on('{"error": "access_denied"}'), "access_denied")
    assert refused(await login.go_on(await login.shown()), "invalid_session")


async def test_offer_of_another_person_is_not_collected(town: Town, clock: SteppedClock) -> None:
    state = await city_offer(town.world, "LINDENAU|JON|1958-11-30")
    login = await Login(town, clock).begin(issuer_state=state)
    assert refused(await login.go_on(await login.shown()), "access_denied")


@pytest.mark.parametrize(
    ("types", "error"),
    [("", "invalid_request"), ("presentation", "invalid_request"), ("urn:x:y", "missing_interaction_type")],
)
async def test_wallet_must_name_an_interaction_that_there_is(
    town: Town, clock: SteppedClock, types: str, error: str
) -> None:
    login = Login(town, clock)
    assert refused(await login.send(login.initial(interaction_types_supported=types)), error)


async def test_wallet_that_only_knows_the_web_is_sent_there(town: Town, clock: SteppedClock) -> None:
    """§6.2.1.2: the same as after a pushed request."""
    login = Login(town, clock)
    answer = await login.send(login.initial(interaction_types_supported=VIA_WEB))
    assert (answer.status_code, answer.json()["interaction_type_required"]) == (401, VIA_WEB)
    assert answer.json()["expires_in"] == 60
    page = await open_login(Flow(login.wallet), answer.json()["request_uri"])
    assert 'id="pid"' in page.text
    login.question = answer.json()
    late = await login.go_on("{}")
    assert refused(late, "invalid_session"), "nothing was asked here"


async def test_wallet_that_may_not_show_collects_nothing(town: Town) -> None:
    state = OfferedAuthorizationCode(await city_offer(town.world, REFERENCE))
    offer = CredentialOffer(town.world.issuer_url(CITY), (SD_JWT,), authorization_code=state)
    link = offer_link(offer, endpoint="openid-credential-offer://")
    holder = Holder(accept=lambda _offer: True, show=lambda _question: False)
    with pytest.raises(WalletFailure, match="declined"):
        await asyncio.to_thread(town.citizen.collect, link, holder=holder)
