"""A page asks through `navigator.credentials.get`, and a wallet answers: by the page script, or by the browser."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.portal import Town, running_town
from tests.wallet_sim.serving import served
from verifier import DcApiProtocol
from wallet_sim.store import EventKind
from wallet_sim.web.app import create_app
from wallet_sim.web.settings import Served

pytestmark = pytest.mark.browser
Check = Callable[[Page], None]
PROTOCOLS = list(DcApiProtocol)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A portal, and wallets."""
    with running_town(tmp_path_factory.mktemp("town")) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser in German."""
    opened = browser.new_context(locale="de-DE", viewport={"width": 390, "height": 844})
    yield opened
    opened.close()


def asked(context: BrowserContext, town: Town, query: str) -> tuple[Page, Page]:
    """The portal's page after somebody pressed its button, and the window of the wallet."""
    page = context.new_page()
    page.goto(f"{town.portal.url}/?{query}")
    with context.expect_page() as opened:
        page.click("#ask")
    return page, opened.value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_page_asks_person_agrees_and_the_verdict_is_good(
    context: BrowserContext, town: Town, check: Check, protocol: DcApiProtocol
) -> None:
    page, window = asked(context, town, f"protocol={protocol}&wallet=mila")
    expect(window.locator("#origin")).to_have_text(town.portal.url)
    name = {DcApiProtocol.UNSIGNED: town.portal.url, DcApiProtocol.ISO_MDOC: "Ordnungsamt Leipzig"}
    expect(window.locator("#verifier")).to_contain_text(name.get(protocol, "Stadt Leipzig"))
    expect(window.locator("ul.claims").first).to_have_text(re.compile(r"\(entitled\)\s+Vorname \(given_name\)"))
    check(window)
    window.click("#yes")
    expect(window.locator("#back-to-page")).to_be_visible()
    check(window)

    expect(page.locator("#result")).to_contain_text("200")

    assert page.locator("#result").get_attribute("data-kind") == "true"
    outcome = town.portal.outcome(page)
    assert outcome.verdict.accepted, outcome.verdict
    event = town.wallets.wallets["mila"].store.history()[0]
    assert (event.kind, event.what) == (EventKind.PRESENTED, "Leipzig-Pass: entitled, given_name")


def test_person_says_which_wallet_answers(context: BrowserContext, town: Town, check: Check) -> None:
    page, window = asked(context, town, f"protocol={DcApiProtocol.SIGNED}")
    expect(window.locator("#origin")).to_have_text(town.portal.url)
    check(window)
    window.keyboard.press("Tab")
    window.focus("#wallet-mila")
    window.keyboard.press("Enter")
    expect(window.locator("#verifier")).to_contain_text("Stadt Leipzig")
    window.click("#yes")
    expect(page.locator("#result")).to_contain_text("200")


def test_declining_is_an_error_for_the_page(context: BrowserContext, town: Town, check: Check) -> None:
    page, window = asked(context, town, f"protocol={DcApiProtocol.SIGNED}&wallet=mila")
    window.click("#no")
    expect(window.locator("#error")).to_have_text("access_denied")
    check(window)

    expect(page.locator("#result")).to_contain_text("200")

    outcome = town.portal.outcome(page)
    assert outcome.wallet_error == "access_denied"


def test_question_signed_for_another_page_gets_an_error_and_nobody_is_asked(
    context: BrowserContext, town: Town
) -> None:
    """OpenID4VP §A.2: `expected_origins`, compared with what the browser says."""
    _, window = asked(context, town, f"protocol={DcApiProtocol.SIGNED}&wallet=mila&origin=https://evil.example")

    expect(window.locator("#error")).to_have_text("invalid_request")
    assert not window.locator("#yes").count()


def test_page_of_another_origin_may_not_ask(context: BrowserContext, town: Town) -> None:
    settings = town.wallets.settings.model_copy(update={"allow_loopback_http": False})
    closed = Served(settings, town.wallets.wallets, town.wallets.conduct)
    page = context.new_page()
    with served(lambda _url: create_app(closed, unattended=False)) as url:
        page.goto(f"{town.portal.url}/?protocol={DcApiProtocol.SIGNED}&wallet=mila&at={url}")
        page.click("#ask")
        expect(page.locator("#result")).to_contain_text("NotAllowedError")
    assert len(context.pages) == 1


def test_unattended_wallet_answers_without_a_window(context: BrowserContext, town: Town) -> None:
    """For a portal's own tests: nobody presses a button on the wallet's side."""
    page = context.new_page()
    with served(lambda _url: create_app(town.wallets, unattended=True)) as url:
        page.goto(f"{town.portal.url}/?protocol={DcApiProtocol.SIGNED}&at={url}")
        page.click("#ask")
        expect(page.locator("#result")).to_contain_text("200")
        stranger = httpx.post(f"{url}/dc-api/questions", headers={"Origin": "https://evil.example"}, json={})
    assert stranger.status_code == 403
    assert len(context.pages) == 1
    assert town.portal.outcome(page).verdict.accepted


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://localhost.evil.example", "http://[::1"])
def test_origin_that_is_not_in_the_settings_is_refused(town: Town, origin: str) -> None:
    body = {"wallet": "mila", "digital": {"requests": [{"protocol": "openid4vp-v1-unsigned", "data": {}}]}}
    for method, path in (("OPTIONS", ""), ("POST", ""), ("GET", "/x"), ("DELETE", "/x")):
        answer = httpx.request(
            method, f"{town.wallet_url}/dc-api/questions{path}", headers={"Origin": origin}, json=body
        )
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_origin_in_the_settings_may_ask_and_read(town: Town) -> None:
    portal = "https://portal.example"
    settings = town.wallets.settings.model_copy(update={"allow_loopback_http": False, "page_origins": (portal,)})
    opened = Served(settings, town.wallets.wallets, town.wallets.conduct)
    body = {"wallet": "mila", "digital": {"requests": [{"protocol": "openid4vp-v1-unsigned", "data": {}}]}}
    with served(lambda _url: create_app(opened, unattended=False)) as url:
        address, headers = f"{url}/dc-api/questions", {"Origin": portal}
        preflight = httpx.options(address, headers={**headers, "Access-Control-Request-Method": "POST"})
        asked = httpx.post(address, headers=headers, json=body)
        nobody = httpx.post(address, headers=headers, json={**body, "wallet": "nobody"})
        neighbour = httpx.post(address, headers={"Origin": f"{portal}:8443"}, json=body)
        loopback = httpx.post(address, headers={"Origin": "http://localhost:1"}, json=body)

    assert (preflight.status_code, asked.status_code, nobody.status_code) == (204, 201, 404)
    for answer in (preflight, asked):
        assert answer.headers["access-control-allow-origin"] == portal
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers
    assert preflight.headers["access-control-allow-headers"] == "content-type"
    assert neighbour.status_code == loopback.status_code == 403


def test_answer_is_for_the_page_that_asked_alone(town: Town) -> None:
    here, there = {"Origin": "http://localhost:1"}, {"Origin": "http://localhost:2"}
    body = {"wallet": "mila", "digital": {"requests": [{"protocol": "openid4vp-v1-unsigned", "data": {}}]}}
    question = httpx.post(f"{town.wallet_url}/dc-api/questions", headers=here, json=body)
    path = f"{town.wallet_url}/dc-api/questions/{question.json()['id']}"

    assert httpx.get(path, headers=there).status_code == 404
    assert httpx.delete(path, headers=there).status_code == 404
    assert httpx.get(path, headers=here).json()["answer"]["data"] == {"error": "invalid_request"}


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"{}", 400), (b'{"digital": {"requests": []}}', 400), (b" " * (1 << 21), 413)],
)
def test_question_of_another_form_is_refused(town: Town, body: bytes, status: int) -> None:
    answer = httpx.post(f"{town.wallet_url}/dc-api/questions", headers={"Origin": "http://localhost:1"}, content=body)

    assert answer.status_code == status


def test_page_that_gives_up_takes_its_question_back(context: BrowserContext, town: Town) -> None:
    page = context.new_page()
    page.goto(f"{town.portal.url}/?protocol={DcApiProtocol.SIGNED}&wallet=mila")
    page.evaluate(
        """() => document.getElementById("ask").addEventListener("mouseup", async () => {
          const { requests } = await (await fetch(`/ask${location.search}`)).json();
          window.aborting = new AbortController();
          const asked = navigator.credentials.get({ digital: { requests }, signal: aborting.signal });
          window.told = asked.then(() => "answered", (error) => error.name);
        })"""
    )
    with context.expect_page() as opened:
        page.locator("#ask").dispatch_event("mouseup")
    window = opened.value
    expect(window.locator("#yes")).to_be_visible()
    page.evaluate("aborting.abort()")
    assert page.evaluate("told") == "AbortError"
    window.reload()
    expect(window.locator("#error")).to_have_text("access_denied")


def test_the_browsers_own_api_carries_the_same_answer(context: BrowserContext, town: Town) -> None:
    """Chromium has the API but, without a phone, no wallet: its test interface hands over what our wallet answers."""
    page = context.new_page()
    page.goto(f"{town.portal.url}/?native&protocol={DcApiProtocol.SIGNED}")
    assert page.evaluate("DigitalCredential.userAgentAllowsProtocol('openid4vp-v1-signed')")
    wallet, session = town.wallets.wallets["mila"], context.new_cdp_session(page)

    def answer(route: Any) -> None:
        fetched = route.fetch()
        requests = fetched.json()["requests"]
        members = wallet.answer_page(requests, origin=town.portal.url, consent=lambda _question: True).members
        behaviour = {"action": "respond", "protocol": members["protocol"], "response": members["data"]}
        session.send("DigitalCredentials.setVirtualWalletBehavior", behaviour)
        route.fulfill(response=fetched)

    page.route("**/ask*", answer)
    page.click("#ask")

    expect(page.locator("#result")).to_contain_text("200")
    assert page.locator("#result").get_attribute("data-kind") == "true"
    assert town.portal.outcome(page).verdict.accepted
