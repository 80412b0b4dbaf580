"""The city service in a browser: each page and state, by mouse and by keyboard."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import PASS_CLAIMS, Running
from wallet_sim.transport import WalletFailure

pytestmark = pytest.mark.browser
Check = Callable[[Page], None]


def begin_parking(page: Page, running: Running) -> None:
    """To the page with the link and the picture."""
    page.goto(f"{running.city.url}/parking")
    page.click("#start")
    expect(page.locator("#qr")).to_be_visible()


def begin_counter(page: Page, running: Running) -> None:
    """To the page with the picture for the counter."""
    page.goto(f"{running.city.url}/counter")
    page.click("#start")
    expect(page.locator("#qr")).to_be_visible()


def answer_by_phone(page: Page, running: Running) -> None:
    """The wallet scans the picture."""
    link = page.locator("#phone-link").text_content()
    assert link is not None
    running.wallet.present(link, consent=lambda _: True)


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("path", ["/", "/parking", "/counter", "/nowhere"])
def test_pages_that_anybody_can_open(page: Page, running: Running, check: Check, path: str, language: str) -> None:
    page.goto(f"{running.city.url}{path}?lang={language}")
    expect(page.locator("html")).to_have_attribute("lang", language)
    check(page)


def test_an_application_with_the_wallet_on_a_phone(page: Page, running: Running, check: Check) -> None:
    begin_parking(page, running)
    check(page)
    answer_by_phone(page, running)
    expect(page.locator("#family-name")).to_have_text("LINDENAU")
    expect(page.locator("#locality")).to_have_text("04109 LEIPZIG")
    check(page)
    page.fill("#plate", "?")
    page.click("#submit")
    expect(page.locator("#problem")).to_be_visible()
    check(page)
    page.fill("#plate", "l-xy 123")
    page.click("#submit")
    expect(page.locator("#received")).to_contain_text("L-XY 123")
    check(page)


def test_an_application_with_the_wallet_on_this_device(page: Page, running: Running) -> None:
    begin_parking(page, running)
    link = page.locator("#open-wallet").get_attribute("href")
    assert link is not None
    presented = running.wallet.present(link, consent=lambda _: True)
    assert presented.redirect_uri is not None
    page.goto(presented.redirect_uri)
    expect(page.locator("#given-name")).to_have_text("MILA JOHANNA")
    page.goto(presented.redirect_uri)  # the way back works once
    expect(page.locator("#error")).to_be_visible()


def test_the_way_back_unlocks_nothing_in_another_browser(page: Page, running: Running) -> None:
    begin_parking(page, running)
    link = page.locator("#open-wallet").get_attribute("href")
    assert link is not None
    presented = running.wallet.present(link, consent=lambda _: True)
    assert presented.redirect_uri is not None
    stranger = httpx.get(presented.redirect_uri)
    assert stranger.status_code == 410
    assert "LINDENAU" not in stranger.text
    page.goto(presented.redirect_uri)
    expect(page.locator("#family-name")).to_have_text("LINDENAU")


def test_the_counter_sees_a_valid_pass_and_then_a_revoked_one(page: Page, running: Running, check: Check) -> None:
    begin_counter(page, running)
    check(page)
    answer_by_phone(page, running)
    expect(page.locator("#verdict")).to_have_attribute("data-verdict", "entitled")
    check(page)
    for credential in running.wallet.credentials():
        if "pid" not in credential.type:
            running.wallet.store.delete(credential.id)
    revoked = running.collect(running.city_api, "leipzig_pass", {**PASS_CLAIMS})
    for credential_id in revoked:
        running.city_api.post(f"/api/v1/credentials/{credential_id}/revoke", {"reason": "test"})
    begin_counter(page, running)
    with pytest.raises(WalletFailure, match="status_revoked"):
        answer_by_phone(page, running)
    expect(page.locator("#verdict")).to_have_attribute("data-verdict", "refused")
    page.locator("summary").click()
    expect(page.locator("#reason")).to_have_text("status_revoked")
    check(page)


def test_a_wallet_that_declines_ends_the_question(page: Page, running: Running, check: Check) -> None:
    begin_parking(page, running)
    link = page.locator("#phone-link").text_content()
    assert link is not None
    with pytest.raises(WalletFailure):
        running.wallet.present(link, consent=lambda _: False)
    expect(page.locator("#verdict")).to_have_attribute("data-verdict", "refused")
    check(page)


def test_a_form_of_another_page_is_refused(page: Page, running: Running, check: Check) -> None:
    page.goto(f"{running.city.url}/parking")
    page.evaluate("document.querySelector('input[name=csrf_token]').value = 'forged'")
    page.click("#start")
    expect(page.locator("#error")).to_be_visible()
    check(page)


def test_the_whole_application_by_keyboard_alone(page: Page, running: Running) -> None:
    page.goto(f"{running.city.url}/parking")
    _tab_to(page, "start")
    page.keyboard.press("Enter")
    expect(page.locator("#qr")).to_be_visible()
    _tab_to(page, "open-wallet")
    answer_by_phone(page, running)
    expect(page.locator("#plate")).to_be_visible()
    _tab_to(page, "plate")
    page.keyboard.type("L-AB 1")
    page.keyboard.press("Enter")
    expect(page.locator("#received")).to_contain_text("L-AB 1")


def _tab_to(page: Page, element_id: str) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == element_id:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{element_id} shows no focus"
            return
    raise AssertionError(f"{element_id} can't be reached by keyboard")


def test_strict_headers_on_each_answer(running: Running) -> None:
    answer = httpx.get(f"{running.city.url}/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
