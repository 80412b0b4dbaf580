"""The page meets a reader on the spot: who asks is named, and a person decides."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from specs.protocols.proximity import parse_engagement_link
from tests.browser.portal import Town, running_town
from tests.wallet_sim.city import DOC_TYPE
from verifier import Verdict
from verifier.proximity_stream import StreamTransport
from wallet_sim.pictures import read_qr_code

pytestmark = pytest.mark.browser
Check = Callable[[Page], None]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A portal, wallets, and a reader."""
    with running_town(tmp_path_factory.mktemp("town")) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window in German."""
    context = browser.new_context(locale="de-DE", viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def read(town: Town, link: str) -> Verdict:
    """The reader's side."""
    engagement = parse_engagement_link(link)
    transport = StreamTransport(engagement, seconds=60)
    try:
        return town.reader.read("pass", engagement, transport)
    finally:
        transport.close()


def met(page: Page, town: Town, check: Check, pool: ThreadPoolExecutor, *, wallet: str) -> "Future[Verdict]":
    """The page waits, and the reader comes."""
    page.goto(f"{town.wallet_url}/wallets/{wallet}")
    page.click("#meet")
    expect(page.locator("#engagement")).to_be_visible()
    expect(page.locator("#engagement")).to_have_js_property("complete", value=True)
    expect(page.locator("#engagement")).not_to_have_js_property("naturalWidth", 0)
    check(page)
    return pool.submit(read, town, str(page.locator("#engagement-link").text_content()))


def test_person_agrees_and_the_reader_sees_what_it_asked_for(page: Page, town: Town, check: Check) -> None:
    with ThreadPoolExecutor(1) as pool:
        reading = met(page, town, check, pool, wallet="mila")
        expect(page.locator("#reader")).to_have_text("Ordnungsamt Leipzig")
        expect(page.locator("ul.claims li").first).to_contain_text("(entitled)")
        check(page)
        page.click("#yes")
        expect(page.locator("#done")).to_be_visible()
        verdict = reading.result()

    assert verdict.accepted, verdict.reason
    assert verdict.claims("pass")[DOC_TYPE] == {"entitled": True, "given_name": "Mila"}
    event = town.wallets.wallets["mila"].store.history()[0]
    assert (event.party, event.what) == ("Ordnungsamt Leipzig", "Leipzig-Pass: entitled, given_name")


@pytest.mark.parametrize(("wallet", "why"), [("mila", "you declined"), ("jon", "nothing in this wallet")])
def test_reader_that_is_declined_sees_nothing(page: Page, town: Town, check: Check, wallet: str, why: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        reading = met(page, town, check, pool, wallet=wallet)
        if wallet == "mila":
            page.click("#no")
        expect(page.locator("#error-description")).to_contain_text(why)
        check(page)
        assert not reading.result().accepted


def test_picture_says_what_the_link_says(page: Page, town: Town) -> None:
    page.goto(f"{town.wallet_url}/wallets/mila")
    page.click("#meet")
    link = page.locator("#engagement-link").text_content()
    expect(page.locator("#engagement")).not_to_have_js_property("naturalWidth", 0)
    picture = page.locator("#engagement").screenshot()
    assert read_qr_code(picture) == link
    assert httpx.get(f"{town.wallet_url}/flows/unknown/engagement.svg").status_code == 404
