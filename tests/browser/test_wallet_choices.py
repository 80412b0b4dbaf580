"""What a person chooses on the page is what is shown; what a person agrees to is said in plain words."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.portal import FEE, Town, running_town
from tests.wallet_sim.city import DOC_TYPE
from verifier import Flow, Question

pytestmark = pytest.mark.browser
Check = Callable[[Page], None]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A portal, and wallets."""
    with running_town(tmp_path_factory.mktemp("town")) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window in German."""
    context = browser.new_context(locale="de-DE", viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def asked(page: Page, town: Town, procedure: str) -> Question:
    """A question, opened in mila's wallet."""
    question = town.portal.verifier.ask(procedure, flow=Flow.CROSS_DEVICE)
    page.goto(f"{town.wallet_url}/wallets/mila")
    page.fill("#link", question.wallet_url)
    page.click("#open")
    return question


def claims(town: Town, question: Question) -> dict[str, Any]:
    """What the verifier accepted, by query."""
    outcome = town.portal.verifier.result(question.id, session_secret=question.session_secret)
    assert outcome.verdict is not None
    assert outcome.verdict.accepted, outcome.verdict
    return {each.query_id: dict(each.claims) for each in outcome.verdict.credentials}


def chosen(page: Page, name: str, value: str) -> None:
    """A choice, by keyboard: to the first of the group, and down."""
    radios = page.locator(f"input[name='{name}']")
    radios.first.focus()
    while page.locator(f"input[name='{name}']:checked").get_attribute("value") != value:
        page.keyboard.press("ArrowDown")


def test_one_of_several_claim_sets(page: Page, town: Town, check: Check) -> None:
    question = asked(page, town, "claim-sets")
    group = page.locator("[role=radiogroup]").first
    expect(group).to_contain_text("Berechtigt (entitled)")
    expect(group).to_contain_text("Vorname (given_name), Geburtsdatum (birthdate)")
    check(page)
    name = group.locator("input").first.get_attribute("name")
    chosen(page, str(name), "1")
    page.click("#yes")
    expect(page.locator("#done")).to_be_visible()
    check(page)

    disclosed = claims(town, question)["pass"]
    assert {"given_name", "birthdate"} <= disclosed.keys()
    assert "entitled" not in disclosed
    assert town.wallets.wallets["mila"].store.history()[0].what == "Leipzig-Pass: given_name, birthdate"


def test_one_of_several_credentials(page: Page, town: Town, check: Check) -> None:
    asked(page, town, "sd-jwt")
    radios = page.locator("input[name=credential-pass]")
    wanted = [str(each.get_attribute("value")) for each in radios.all()]
    assert len(wanted) == 2
    check(page)
    times = {each.id: each.shown for each in town.wallets.wallets["mila"].credentials()}
    chosen(page, "credential-pass", wanted[1])
    page.click("#yes")
    expect(page.locator("#done")).to_be_visible()

    now = {each.id: each.shown for each in town.wallets.wallets["mila"].credentials()}
    assert {name for name in now if now[name] != times[name]} == {wanted[1]}


@pytest.mark.parametrize(("value", "answered"), [("none", {"must"}), ("0", {"must", "may"})])
def test_what_is_optional_is_left_out_or_shown(page: Page, town: Town, value: str, answered: set[str]) -> None:
    question = asked(page, town, "optional")
    expect(page.locator("legend").last).to_contain_text("wenn Sie es oben wählen")
    chosen(page, "set-1", value)
    page.click("#yes")
    expect(page.locator("#done")).to_be_visible()

    assert claims(town, question).keys() == answered


def test_one_of_several_ways_to_answer(page: Page, town: Town, check: Check) -> None:
    question = asked(page, town, "either")
    check(page)
    chosen(page, "set-0", "1")
    page.click("#yes")
    expect(page.locator("#done")).to_be_visible()

    assert claims(town, question) == {"mdoc": {DOC_TYPE: {"entitled": True}}}


@pytest.mark.parametrize(
    ("language", "words", "negative"),
    [("de", ["Betrag", "Empfänger – Name", "urgent"], "nein"), ("en", ["Amount", "Payee – Name", "urgent"], "no")],
)
def test_transaction_data_is_shown_in_plain_words_and_agreed_to(
    page: Page, town: Town, check: Check, language: str, words: list[str], negative: str
) -> None:
    question = asked(page, town, "fee")
    page.click(f"#language-{language}")
    agreement = page.locator("dl.agreement")
    assert agreement.locator("dt").all_text_contents()[1:] == words
    assert agreement.locator("dd").all_text_contents() == [FEE, "30.70 EUR", "Stadt Leipzig", negative]
    check(page)
    page.click("#yes")
    expect(page.locator("#done")).to_be_visible()

    assert claims(town, question)["pass"]["entitled"] is True


def test_transaction_data_of_an_unknown_kind_is_refused_unasked(page: Page, town: Town, check: Check) -> None:
    question = asked(page, town, "strange")
    expect(page.locator("#error")).to_have_text("invalid_transaction_data")
    check(page)

    outcome = town.portal.verifier.result(question.id, session_secret=question.session_secret)
    assert outcome.wallet_error == "invalid_transaction_data"


def test_one_of_several_datasets(page: Page, town: Town, check: Check) -> None:
    page.goto(f"{town.wallet_url}/wallets/jon")
    page.fill("#link", town.offer(("first", "second")))
    page.click("#open")
    page.click("#yes")
    for _ in range(2):  # of each format
        expect(page.locator("input[type=checkbox]")).to_have_count(2)
        check(page)
        page.locator("input[type=checkbox]").first.focus()
        page.keyboard.press("Space")
        page.click("#yes")
    expect(page.locator("#done")).to_be_visible()

    assert len(town.wallets.wallets["jon"].credentials()) == 2


def test_choice_that_was_not_offered_shows_nothing(page: Page, town: Town) -> None:
    question = asked(page, town, "claim-sets")
    page.locator("[role=radiogroup] input").first.evaluate("radio => { radio.value = '7'; }")
    page.click("#yes")
    expect(page.locator("#error")).to_be_visible()

    assert not town.portal.verifier.is_answered(question.id)
