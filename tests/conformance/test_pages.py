"""The guide and the report in a browser: axe finds nothing in either language; the keyboard alone is enough."""

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page

from conformance.check import NotApplicable, Outcome, Result
from conformance.exchange import Answer, Exchange, exchange
from conformance.guide import LANGUAGES, Guide
from conformance.oidf.verdicts import Verdict
from conformance.report import as_json
from conformance.report_html import html_page
from conformance.run import Report
from specs.encoding.strict_json import JsonObject, JsonValue
from tests.services.chromium import axe_findings

pytestmark = pytest.mark.browser
LINK = "openid4vp://?client_id=x509_hash%3Aabc&request_uri=https%3A%2F%2Fsuite.example%2Frequest"
STEPS: dict[str, Callable[[Guide], object]] = {
    "offer": lambda guide: guide.ask("offer", {"configuration": "pass-sd-jwt", "grant": "pre-authorized_code"}),
    "question": lambda guide: guide.ask("question", {"format": "mso_mdoc"}),
    "wallet_question": lambda guide: guide.show("wallet_question", LINK),
    "wallet_offer": lambda guide: guide.show("wallet_offer", LINK),
}


@pytest.fixture
def guide() -> Iterator[Guide]:
    """The running page."""
    with Guide(seconds=60) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window of a phone; the test fails if it calls anybody else, or the page's policy is broken."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    opened = context.new_page()
    seen: list[str] = []
    opened.on("request", lambda request: seen.append(request.url))
    opened.on("console", lambda message: seen.append(message.text) if "Security Policy" in message.text else None)
    yield opened
    context.close()
    assert [each for each in seen if not each.startswith("http://127.0.0.1:")] == []


def asked(guide: Guide, step: str) -> list[object]:
    """Ask in another thread, as a run does; what came of it."""
    came: list[object] = []

    def ask() -> None:
        try:
            came.append(STEPS[step](guide))
        except NotApplicable as reason:
            came.append(reason)

    threading.Thread(target=ask, daemon=True).start()
    return came


def look(shown: Page, axe_source: str, lang: str) -> None:
    """In light and in dark."""
    for scheme in ("light", "dark"):
        shown.emulate_media(color_scheme=scheme)
        assert axe_findings(shown, axe_source) == [], (lang, scheme)
    assert shown.locator("html").get_attribute("lang") == lang
    assert shown.locator("h1").count() == 1
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_axe_finds_nothing_on_any_step(lang: str, guide: Guide, page: Page, axe_source: str) -> None:
    page.goto(f"{guide.url}?lang={lang}")
    look(page, axe_source, lang)
    for step in STEPS:
        came = asked(guide, step)
        page.wait_for_selector("form")  # the page's script sees that there is something to do
        look(page, axe_source, lang)
        page.locator('button[value="skip"]').click()
        page.wait_for_selector("p[role=status]")
        assert isinstance(came[0], NotApplicable)


def test_a_step_is_done_with_the_keyboard_alone(guide: Guide, page: Page) -> None:
    came = asked(guide, "offer")
    page.goto(guide.url)
    page.wait_for_selector("textarea")
    page.keyboard.type("openid-credential-offer://?credential_offer=%7B%7D")  # the field has the focus
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("p[role=status]")
    assert came == ["openid-credential-offer://?credential_offer=%7B%7D"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_axe_finds_nothing_on_the_report(lang: str, page: Page, axe_source: str) -> None:
    results = [
        Result(f"check-{outcome}", "RFC 1 §1", "A rule holds", outcome, "this", "that", (_exchange(),))
        for outcome in Outcome
    ]
    report = Report("issuer", "https://issuer.example", "haip-1.0", tuple(results), 5, 1.0)
    document = as_json(report)
    requirements: list[JsonValue] = []
    for outcome in Outcome:
        entry: JsonObject = {"id": f"R-{outcome}", "standard": "RFC 1", "clause": "§1", "text": "A rule"}
        requirements.append(entry | {"outcome": outcome.value, "checks": [f"check-{outcome}"], "reason": "none"})
    document["requirements"] = requirements
    verdict = Verdict("run", "module", "variant", "FAILED", ("odd",), "", "5.2.4", "2026-11-28")
    page.set_content(html_page(document, foundation=[verdict], language=lang))
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    look(page, axe_source, lang)
    words = {"en": "does not hold", "de": "nicht erfüllt"}[lang]
    assert page.get_by_text(words, exact=True).count() >= 2


def _exchange() -> Exchange:
    return exchange("GET", "https://issuer.example/a", httpx.Headers(), b"", Answer(200, httpx.Headers(), b"{}"))
