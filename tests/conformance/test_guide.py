"""The guide's page: a person brings links and opens them, in German or English, with nothing loaded from elsewhere."""

import re
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from conformance.check import NotApplicable
from conformance.guide import Guide


@pytest.fixture
def guide() -> Iterator[Guide]:
    """The running page."""
    with Guide(seconds=20) as running:
        yield running


def asked(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Ask in another thread, as a run does."""
    came: list[object] = []

    def ask() -> None:
        try:
            came.append(work())
        except NotApplicable as reason:
            came.append(reason)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, came


def page_of(guide: Guide, lang: str = "en") -> httpx.Response:
    """The page, once it asks something."""
    for _ in range(2000):
        if guide.step is not None:
            break
    return httpx.get(f"{guide.url}?lang={lang}")


def form_of(page: httpx.Response) -> dict[str, str]:
    """The hidden members of its form."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page.text))


def test_a_person_brings_a_link(guide: Guide) -> None:
    thread, came = asked(lambda: guide.ask("offer", {"configuration": "pass"}))
    page = page_of(guide)
    assert "Make a new credential offer" in page.text
    assert "<code>pass</code>" in page.text
    link = "openid-credential-offer://?credential_offer=%7B%7D"
    answer = httpx.post(guide.url, data={**form_of(page), "choice": "done", "link": f" {link} "})
    assert answer.status_code == 303
    thread.join()
    assert came == [link]


@pytest.mark.parametrize(("choice", "shows_error"), [("done", False), ("refused", True)])
def test_a_person_opens_a_link_and_says_what_the_wallet_did(choice: str, shows_error: bool, guide: Guide) -> None:
    thread, came = asked(lambda: guide.show("wallet_question", "openid4vp://?client_id=a&request_uri=b"))
    page = page_of(guide, "de")
    assert 'lang="de"' in page.text
    assert "Beantworten Sie diese Abfrage" in page.text
    assert 'href="openid4vp://?client_id=a&amp;request_uri=b"' in page.text
    assert "<svg" in page.text
    httpx.post(guide.url, data={**form_of(page), "choice": choice})
    thread.join()
    assert came == [shows_error]


def test_a_step_can_be_skipped(guide: Guide) -> None:
    thread, came = asked(lambda: guide.ask("question", {}))
    httpx.post(guide.url, data={**form_of(page_of(guide)), "choice": "skip"})
    thread.join()
    assert isinstance(came[0], NotApplicable)


def test_the_page_loads_nothing_and_is_nobody_elses(guide: Guide) -> None:
    page = httpx.get(guide.url)
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert "inline" not in page.headers["content-security-policy"]
    [script] = re.findall(r'<script src="([^"]+)"', page.text)  # looks whether there is something to do
    origin = guide.url.rpartition("/")[0]
    assert httpx.get(f"{origin}{script}").headers["content-type"].startswith("text/javascript")
    assert httpx.get(f"{guide.url}/state").text == "working"
    assert httpx.get(f"{guide.url}/style.css").headers["content-type"].startswith("text/css")
    assert httpx.get(guide.url.rpartition("/")[0] + "/guessed").status_code == 404
    forged = {"csrf": "guessed", "step": "a", "choice": "done"}
    assert httpx.post(guide.url, data=forged).status_code == 403


def test_who_does_not_come_leaves_the_step_untried() -> None:
    with Guide(seconds=0.01) as guide, pytest.raises(NotApplicable):
        guide.ask("offer", {})
