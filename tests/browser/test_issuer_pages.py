"""The issuer's pages in a browser: the citizen's offer, login, consent, and what goes wrong."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running
from wallet_sim.collect import REDIRECT_URI, Holder

pytestmark = pytest.mark.browser
Check = Callable[[Page], None]


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_page_of_an_offer(page: Page, running: Running, check: Check, language: str) -> None:
    offer = running.offer()
    page.goto(f"{offer['page']}?lang={language}")
    expect(page.locator("h1")).to_be_visible()
    assert str(offer["tx_code"]) not in page.content()
    check(page)


def test_the_page_of_an_offer_that_is_no_more(page: Page, running: Running, check: Check) -> None:
    page.goto(f"{running.issuing.url}/collect/{'x' * 43}")
    check(page)


def test_login_and_consent(page: Page, running: Running, check: Check) -> None:
    offer = running.offer(grant="authorization_code", tx_code=False)

    def person(url: str) -> str:
        page.goto(url)
        check(page)
        page.fill("#username", "mila")
        page.fill("#password", "wrong")
        page.click("#login")
        expect(page.locator("#login-failed")).to_be_visible()
        check(page)
        page.fill("#username", "mila")
        page.fill("#password", "einfach")
        page.keyboard.press("Enter")
        expect(page.locator("#approve")).to_be_visible()
        check(page)
        with page.expect_request(lambda request: request.url.startswith(REDIRECT_URI)) as arrived:
            page.click("#approve")
        return arrived.value.url

    collected = running.wallet.collect(str(offer["offer_uri"]), holder=Holder(lambda _: True, authorize=person))
    assert [credential.type for credential in collected] == ["urn:example:leipzig:leipzig_pass:1"]


def test_a_login_request_that_is_unknown(page: Page, running: Running, check: Check) -> None:
    server = httpx.get(f"{running.issuing.url}/.well-known/oauth-authorization-server/t/leipzig").json()[
        "authorization_endpoint"
    ]
    page.goto(f"{server}?client_id=x&request_uri=urn:ietf:params:oauth:request_uri:unknown")
    expect(page.locator("h1")).to_be_visible()
    check(page)


def test_pages_have_strict_headers(running: Running) -> None:
    offer = running.offer()
    policy = httpx.get(str(offer["page"])).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
