"""The wallet's own pages in a browser: each page and state, in both languages, by mouse and by keyboard."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, expect

from demo.servers import CITY_TENANT, PID_TENANT
from specs.keys.signer import generate_private_key
from tests.browser.running import PASS_CLAIMS, Running
from tests.services.chromium import FLAGS, find_chromium
from tests.wallet_sim.serving import served
from wallet_sim.store import KeptToken, Renewal
from wallet_sim.web.app import create_app
from wallet_sim.web.settings import Served, WalletEntry, WalletSettings, open_wallets

pytestmark = pytest.mark.browser
Check = Callable[[Page], None]
LANGUAGES = ("de", "en")
NOWHERE = "openid4vp://?client_id=x509_hash%3AAAAA&request_uri=https%3A%2F%2F192.0.2.1%2F"


@dataclass(frozen=True)
class Phone:
    """Two wallets behind their pages: mila's holds PID and pass, jon's is empty."""

    url: str
    served: Served


@pytest.fixture(scope="module")
def phone(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """The running pages."""
    folder = tmp_path_factory.mktemp("phone")
    for name in ("mila", "jon"):
        shutil.copy(running.provided, folder / f"{name}.db")
    keys = running.issuer.keys
    wallets = open_wallets(
        WalletSettings(
            wallets=tuple(WalletEntry(name=name, file=folder / f"{name}.db") for name in ("mila", "jon")),
            issuer_anchors=tuple(keys(tenant) / "iaca.crt.pem" for tenant in (PID_TENANT, CITY_TENANT)),
            verifier_anchors=(keys(CITY_TENANT) / "access-ca.crt.pem",),
            allow_loopback_http=True,
        )
    )
    for credential in wallets.wallets["jon"].credentials():
        wallets.wallets["jon"].store.delete(credential.id)
    wallets.wallets["jon"].store.clear_history()
    with served(lambda _url: create_app(wallets, unattended=False)) as url:
        yield Phone(url, wallets)


@pytest.fixture
def page(browser: Browser, running: Running, phone: Phone) -> Iterator[Page]:
    """A fresh window in German; the test fails if it calls strangers, or a script breaks."""
    context = browser.new_context(locale="de-DE", viewport={"width": 390, "height": 844})
    opened = context.new_page()
    strangers: list[str] = []
    problems: list[str] = []

    def seen(request: Request) -> None:
        if not request.url.startswith((phone.url, running.city.url, running.issuing.url)):
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
def look(check: Check) -> Check:
    """`check` in both languages where the page can be fetched again; pictures where somebody wants to see them."""

    def each(shown: Page) -> None:
        for language in LANGUAGES:
            link = shown.locator(f"#language-{language}")
            if link.count():
                link.click()
                expect(shown.locator("html")).to_have_attribute("lang", language)
            check(shown)
            folder = os.environ.get("STADTNACHWEIS_PICTURES")
            if folder:
                name = f"{shown.locator('h1').inner_text()[:20].replace(' ', '-')}-{language}"
                for scheme in ("light", "dark"):
                    shown.emulate_media(color_scheme=scheme)
                    shown.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=True)

    return each


def question(page: Page, running: Running) -> str:
    """A verifier's link for this device."""
    page.goto(f"{running.city.url}/parking")
    page.click("#start")
    link = page.locator("#open-wallet").get_attribute("href")
    assert link is not None
    return link


def opened(page: Page, phone: Phone, link: str, *, wallet: str = "mila") -> None:
    """A link pasted into a wallet's form."""
    page.goto(f"{phone.url}/wallets/{wallet}")
    page.fill("#link", link)
    page.click("#open")


def test_home_of_each_wallet(page: Page, phone: Phone, look: Check) -> None:
    page.goto(phone.url)
    look(page)
    page.click("#wallet-jon")
    expect(page.locator("#empty")).to_be_visible()
    look(page)
    page.goto(f"{phone.url}/wallets/mila")
    assert page.locator("a.credential").count() == 4
    assert {each.get_attribute("data-state") for each in page.locator(".state").all()} == {"good"}
    look(page)


def test_offer_with_a_transaction_code_is_taken(page: Page, running: Running, phone: Phone, look: Check) -> None:
    offer = running.offer()
    opened(page, phone, str(offer["offer_uri"]), wallet="jon")
    expect(page.locator("#issuer")).to_contain_text(running.issuing.url)
    look(page)
    page.fill("#tx_code", str(offer["tx_code"]))
    page.click("#yes")
    expect(page.locator("#done")).to_be_visible()
    look(page)
    page.click("#home")
    page.click("a.credential")
    expect(page.locator("dl").last).to_contain_text("Lindenau")
    look(page)
    page.click("#delete")
    expect(page.locator("#empty")).to_be_visible()
    page.click("#history")
    assert page.locator("#events li").count() == 2
    assert "Lindenau" not in page.content()
    look(page)
    page.click("#forget")
    expect(page.locator("#empty")).to_be_visible()
    look(page)


def test_login_at_the_issuer_leads_back(page: Page, running: Running, phone: Phone, look: Check) -> None:
    offer = running.offer(grant="authorization_code", tx_code=False)
    opened(page, phone, str(offer["offer_uri"]), wallet="jon")
    page.click("#yes")
    expect(page.locator("#login")).to_be_visible()
    look(page)
    page.click("#login")
    page.fill("#username", "mila")
    page.fill("#password", "einfach")
    page.click("#login")
    page.click("#approve")
    expect(page.locator("#done")).to_be_visible()


def test_question_shows_who_asks_and_is_answered(page: Page, running: Running, phone: Phone, look: Check) -> None:
    link = question(page, running)
    opened(page, phone, link)
    expect(page.locator("#verifier")).to_contain_text("Leipzig")
    expect(page.locator("#registration")).to_have_attribute("data-state", "none")
    look(page)
    page.click("#yes")
    expect(page.locator("#done")).to_be_visible()
    look(page)
    page.click("#continue")
    expect(page.locator("#locality")).to_have_text("04109 LEIPZIG")


def test_declining_shows_nothing(page: Page, running: Running, phone: Phone, look: Check) -> None:
    opened(page, phone, question(page, running))
    page.click("#no")
    expect(page.locator("#error")).to_be_visible()
    look(page)


def test_question_that_nothing_answers_is_refused(page: Page, running: Running, phone: Phone) -> None:
    opened(page, phone, question(page, running), wallet="jon")
    expect(page.locator("#error")).to_have_text("wallet_failure")


def test_credential_that_was_revoked_says_so(page: Page, running: Running, phone: Phone, look: Check) -> None:
    offer = running.city_api.post(
        "/api/v1/offers",
        {
            "credential_types": ["leipzig_pass"],
            "formats": ["dc+sd-jwt"],
            "grant": "pre-authorized_code",
            "subject": {"reference": "buergeramt-0816"},
            "claims": {"leipzig_pass": PASS_CLAIMS},
        },
    )
    opened(page, phone, str(offer["offer_uri"]), wallet="jon")
    page.click("#yes")
    expect(page.locator("#done")).to_be_visible()
    credentials = running.city_api.get(f"/api/v1/offers/{offer['id']}")["credentials"]
    assert isinstance(credentials, list)
    running.city_api.post(f"/api/v1/credentials/{credentials[0]['id']}/revoke", {"reason": "test"})

    page.goto(f"{phone.url}/wallets/jon")

    expect(page.locator("[data-state=revoked]")).to_be_visible()
    look(page)
    page.goto(f"{running.city.url}/counter")
    page.click("#start")
    opened(page, phone, str(page.locator("#phone-link").text_content()), wallet="jon")
    expect(page.locator("[data-state=revoked]").first).to_be_visible()
    look(page)


def test_renewal_that_the_issuer_refuses_says_so(page: Page, running: Running, phone: Phone, look: Check) -> None:
    held = phone.served.wallets["mila"].credentials()[0]
    issuer = f"{running.issuing.url}/t/{CITY_TENANT}"
    kept = KeptToken("1", issuer, issuer, "ended", generate_private_key(), generate_private_key(), is_anonymous=False)
    store = phone.served.wallets["jon"].store
    store.add([replace(held, id="renewed", batch="renewed")], Renewal(kept, "leipzig_pass-sd-jwt", None, 1))
    page.goto(f"{phone.url}/wallets/jon/credentials/renewed")
    look(page)
    page.click("#renew")
    expect(page.locator("#error-description")).to_contain_text("invalid_grant")
    look(page)
    store.delete("renewed")


def test_links_of_the_page_fill_in_the_form_and_fetch_nothing(page: Page, phone: Phone, look: Check) -> None:
    page.goto(f"{phone.url}/authorize?client_id=x509_hash:AAAA&request_uri=https%3A%2F%2F192.0.2.1%2F")
    look(page)
    page.click("#wallet-jon")
    expect(page.locator("#link")).to_have_value(NOWHERE)
    page.goto(f"{phone.url}/open?link={quote('web+wallet:' + NOWHERE, safe='')}")
    page.click("#wallet-mila")
    expect(page.locator("#link")).to_have_value(NOWHERE)


def drawn(offer: dict[str, object]) -> bytes:
    """The QR code that the issuer draws for an offer."""
    addresses = offer["qr"]
    assert isinstance(addresses, dict)
    return httpx.get(str(addresses["png"])).content


def test_picture_of_the_issuers_code_opens_the_offer(page: Page, running: Running, phone: Phone, look: Check) -> None:
    """Chromium on Linux reads no codes itself: the wallet does."""
    offer = running.offer(tx_code=False)
    page.goto(f"{phone.url}/wallets/jon")
    page.set_input_files("#picture", {"name": "a.png", "mimeType": "image/png", "buffer": (b"\x89PNG\r\n\x1a\n" * 9)})
    expect(page.locator("#picture-state")).to_have_text("Auf dem Bild ist kein QR-Code zu erkennen.")
    page.set_input_files("#picture", {"name": "offer.png", "mimeType": "image/png", "buffer": drawn(offer)})
    expect(page.locator("#link")).to_have_value(re.compile("^openid-credential-offer://"))
    expect(page.locator("#link")).to_be_focused()
    page.click("#open")
    expect(page.locator("#issuer")).to_contain_text(running.issuing.url)
    look(page)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_picture_is_dropped_or_pasted(page: Page, running: Running, phone: Phone, way: str) -> None:
    page.goto(f"{phone.url}/wallets/jon")
    page.evaluate(
        """([way, bytes]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(bytes)], "offer.png", { type: "image/png" }));
          const target = way === "drop" ? document.getElementById("picture-form") : document.body;
          target.dispatchEvent(
            way === "drop"
              ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
              : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
        }""",
        [way, list(drawn(running.offer()))],
    )
    expect(page.locator("#link")).to_have_value(re.compile("^openid-credential-offer://"))


def test_picture_is_sent_without_a_script(browser: Browser, running: Running, phone: Phone, check: Check) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    for buffer, shown in ((drawn(running.offer()), "#link"), (b"hello", "#error")):
        plain.goto(f"{phone.url}/wallets/jon")
        expect(plain.locator("#camera")).to_be_hidden()
        plain.set_input_files("#picture", {"name": "a.png", "mimeType": "image/png", "buffer": buffer})
        plain.click("#send-picture")
        expect(plain.locator(shown)).to_have_text(re.compile("^(openid-credential-offer://.*|no_qr_code)$"))
    context.close()


def test_picture_of_another_page_is_refused(phone: Phone) -> None:
    address, picture = f"{phone.url}/wallets/jon/picture", {"picture": ("a.png", b"x")}
    with httpx.Client() as stranger:
        assert stranger.post(address, files=picture, data={"csrf_token": ""}).status_code == 403
        stranger.get(f"{phone.url}/wallets/jon")
        form = {"csrf_token": stranger.cookies["wallet-csrf"]}
        assert stranger.post(address, files=picture, data=form).status_code == 400
        assert stranger.post(address, data=form).status_code == 400
        huge = {"picture": ("a.png", bytes(13 * 1024 * 1024))}
        assert stranger.post(address, files=huge, data=form).status_code == 413
        assert stranger.post(address, content=iter([b"x"])).status_code == 411


@pytest.mark.long
def test_camera_finds_the_code(browser: Browser, running: Running, phone: Phone, check: Check, tmp_path: Path) -> None:
    """Chromium's make-believe camera shows the issuer's code."""
    shown = Image.new("RGB", (640, 480), "white")
    code = Image.open(BytesIO(drawn(running.offer()))).convert("RGB")
    shown.paste(code.resize((460, 460)), (90, 10))
    film = tmp_path / "code.mjpeg"
    shown.save(film, "JPEG", quality=95)
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    seeing = browser.browser_type.launch(
        executable_path=find_chromium(), args=[*FLAGS, *camera, f"--use-file-for-fake-video-capture={film}"]
    )
    page = seeing.new_page()
    page.goto(f"{phone.url}/wallets/jon")
    page.click("#camera")
    expect(page.locator("#link")).to_have_value(re.compile("^openid-credential-offer://"), timeout=20_000)
    expect(page.locator("#camera-picture")).to_be_hidden()
    seeing.close()


def test_camera_that_is_not_there_is_said(page: Page, phone: Phone, check: Check) -> None:
    page.goto(f"{phone.url}/wallets/jon")
    page.click("#camera")
    expect(page.locator("#picture-state")).to_have_text("Es gibt keine Kamera, oder sie darf nicht benutzt werden.")
    expect(page.locator("#camera")).to_be_visible()
    check(page)


def test_form_of_another_page_is_refused(page: Page, phone: Phone, check: Check) -> None:
    page.goto(f"{phone.url}/wallets/jon")
    page.evaluate("document.querySelector('input[name=csrf_token]').value = 'forged'")
    page.fill("#link", NOWHERE)
    page.click("#open")
    expect(page.locator("#error")).to_have_text("not_this_page")
    check(page)
    stranger = httpx.post(f"{phone.url}/wallets/jon/open", data={"link": NOWHERE, "csrf_token": ""})
    assert stranger.status_code == 403


def test_page_that_is_not_there(page: Page, phone: Phone, check: Check) -> None:
    for path in ("/wallets/nobody", "/flows/unknown", "/wallets/jon/credentials/unknown", "/nowhere"):
        page.goto(f"{phone.url}{path}")
        expect(page.locator("#error")).to_have_text("not_found")
        check(page)


def test_everything_by_keyboard_alone(page: Page, running: Running, phone: Phone) -> None:
    link = question(page, running)
    page.goto(f"{phone.url}/wallets/mila")
    _tab_to(page, "link")
    page.keyboard.insert_text(link)
    _tab_to(page, "open")
    page.keyboard.press("Enter")
    expect(page.locator("#verifier")).to_be_visible()
    _tab_to(page, "no")
    _tab_to(page, "yes", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#done")).to_be_visible()
    _tab_to(page, "continue")


def test_page_can_be_installed(phone: Phone) -> None:
    manifest = httpx.get(f"{phone.url}/assets/manifest.webmanifest").json()
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        assert httpx.get(f"{phone.url}{icon['src']}").headers["content-type"] == icon["type"]
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}


def test_headers_are_strict(phone: Phone) -> None:
    answer = httpx.get(f"{phone.url}/wallets/jon")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert httpx.get(f"{phone.url}/", headers={"Host": "attacker.example"}).status_code == 400


def _tab_to(page: Page, element_id: str, *, key: str = "Tab") -> None:
    for _ in range(30):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.id") == element_id:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{element_id} shows no focus"
            return
    raise AssertionError(f"{element_id} can't be reached by keyboard")
