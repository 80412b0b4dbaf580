"""What the tests of pages share."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.running import Running, running_demo
from tests.services.chromium import axe_findings
from wallet_sim.collect import REDIRECT_URI

SCHEMES = ("light", "dark")


@pytest.fixture(scope="package")
def running() -> Iterator[Running]:
    """Issuer, city service and wallet."""
    with running_demo() as started:
        yield started


@pytest.fixture
def page(browser: Browser, running: Running) -> Iterator[Page]:
    """A fresh window in German; the test fails if it calls strangers, or a script breaks."""
    context = browser.new_context(locale="de-DE", viewport={"width": 390, "height": 844})
    opened = context.new_page()
    strangers: list[str] = []
    problems: list[str] = []

    def seen(request: Request) -> None:
        if not request.url.startswith((running.city.url, running.issuing.url, REDIRECT_URI)):
            strangers.append(request.url)

    opened.on("request", seen)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield opened
    context.close()
    assert strangers == []
    assert problems == []


@pytest.fixture
def check(axe_source: str) -> Callable[[Page], None]:
    """Axe finds nothing, in light and in dark; there are a language, a title, one first heading, nothing inline."""

    def look(shown: Page) -> None:
        for scheme in SCHEMES:
            shown.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the literals
            assert axe_findings(shown, axe_source) == [], shown.url
        # a page that waits may load anew at just this moment
        expect(shown).to_have_title(re.compile(r"\S"))
        expect(shown.locator("h1")).to_have_count(1)
        expect(shown.locator("html")).to_have_attribute("lang", re.compile("^(de|en)$"))
        expect(shown.locator("[style], script:not([src])")).to_have_count(0)

    return look
