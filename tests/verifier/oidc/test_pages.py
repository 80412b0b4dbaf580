"""What a person sees of the bridge between two pages of a portal, and where each way ends."""

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from specs.refusal import ReasonCode
from tests.verifier.desk import Desk
from tests.verifier.oidc.conftest import CALLBACK
from tests.verifier.oidc.counter import ISSUER, LIBRARY, PORTAL, Counter, is_error, parameters, returned
from tests.verifier.world import World
from verifier.adapters.oidc import MemoryLogins, OidcClient, oidc_router
from verifier.adapters.oidc.app import _Pages
from verifier.adapters.oidc.logins import Kind
from verifier.texts import sentence


@pytest.fixture
def counter() -> Counter:
    """A bridge."""
    return Counter()


# a request


@pytest.mark.parametrize(("issuer", "secure"), [(ISSUER, True), ("http://localhost/oidc", False)])
def test_a_login_hangs_on_a_cookie_that_no_script_and_no_other_site_has(issuer: str, secure: bool) -> None:
    answer = Counter(issuer).authorize()
    assert (answer.status_code, answer.headers["location"]) == (303, f"{issuer}/login")
    flags = set(answer.headers["set-cookie"].lower().split("; ")[1:])
    assert flags == {"httponly", "path=/", "samesite=lax", *(["secure"] if secure else [])}
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("query", [b"\xff", b"client_id=portal&x=\xff", b"client_id=%FF", b"client_id=stranger"])
def test_a_request_of_nobody_is_shown_as_a_page(counter: Counter, query: bytes) -> None:
    """Bytes that are no UTF-8 were an error of the server."""
    request = Request({"type": "http", "method": "GET", "path": "/authorize", "query_string": query, "headers": []})
    answer = _Pages(counter.bridge).authorize(request)
    shown = httpx.Response(answer.status_code, headers=answer.headers, content=bytes(answer.body))
    assert is_error(shown, "invalid_request", status=400)


def test_a_portal_may_send_a_form(counter: Counter) -> None:
    """OpenID Connect Core §3.1.2.1: either method."""
    assert counter.browser.post("/oidc/authorize", data=parameters()).headers["location"] == f"{ISSUER}/login"
    login = counter.logins.login(counter.browser.cookies["oidc_login"])
    assert login is not None
    back = counter.answered(login.here)
    assert back is not None
    assert returned(counter.browser.get(back))["state"] == "s&"


@pytest.mark.parametrize(
    ("form", "status"), [(b"client_id=stranger", 400), (b"\xff", 400), (b"x" * 65_536, 400), (b"x" * 65_537, 413)]
)
def test_a_form_of_nobody_is_shown_as_a_page(counter: Counter, form: bytes, status: int) -> None:
    assert is_error(counter.browser.post("/oidc/authorize", content=form), "invalid_request", status=status)


@pytest.mark.parametrize("address", [CALLBACK, f"{CALLBACK}?from=portal"])
def test_a_portal_is_told_what_is_wrong_at_its_own_address(counter: Counter, address: str) -> None:
    """RFC 6749 §3.1.2: what its address asks for already stays."""
    answer = counter.authorize(scope="openid place", redirect_uri=address)
    assert answer.status_code == 303
    told = urlencode({"error": "invalid_scope", "iss": ISSUER, "state": "s&"})
    assert answer.headers["location"] == f"{address}{'&' if '?' in address else '?'}{told}"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers


def test_who_comes_in_a_full_minute_is_asked_to_wait_and_nothing_is_kept() -> None:
    counter = Counter()
    app = FastAPI()
    app.include_router(oidc_router(replace(counter.bridge, logins_per_minute=1)), prefix="/oidc")
    with TestClient(app, base_url="https://bridge.example", follow_redirects=False) as browser:
        first, second = (browser.get("/oidc/authorize", params=parameters()) for _ in range(2))
        counter.clock.now += 60
        third = browser.get("/oidc/authorize", params=parameters())
    assert [first.status_code, second.status_code, third.status_code] == [303, 503, 303]
    assert is_error(second, "temporarily_unavailable", status=503)
    assert second.headers["retry-after"] == "60"
    assert counter.logins.purge() == 0


# the page of a login


def test_the_page_offers_both_ways_and_says_who_asks(counter: Counter) -> None:
    login = counter.begun()
    page = counter.browser.get("/oidc/login")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    link = re.search(r'id="wallet" href="([^"]+)"', page.text)
    assert link is not None
    assert unescape(link[1]) == login.here.wallet_url
    assert "Portal &lt;der&gt; Stadt" in page.text
    assert f'src="{ISSUER}/login/qr.svg"' in page.text
    policy = page.headers["content-security-policy"]
    assert policy.endswith("; form-action 'self' https://portal.example"), "or nobody can cancel"
    assert counter.asking(login.here.wallet_url).nonce != counter.asking(login.phone.wallet_url).nonce


def test_a_phone_answers_and_the_screen_goes_on(counter: Counter) -> None:
    login = counter.begun()
    picture = counter.browser.get("/oidc/login/qr.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.headers["cache-control"] == "no-store"
    state = counter.browser.get("/oidc/login/state")
    assert (state.json(), state.headers["cache-control"]) == ({"state": "pending"}, "no-store")
    assert counter.answered(login.phone) is None
    assert counter.browser.get("/oidc/login/state").json() == {"state": "answered"}
    onwards = counter.browser.get("/oidc/login")
    assert (onwards.status_code, onwards.headers["location"]) == (303, f"{ISSUER}/login/done")
    assert onwards.headers["cache-control"] == "no-store"
    assert counter.token(returned(counter.browser.get("/oidc/login/done"))["code"])["token_type"] == "Bearer"
    assert is_error(counter.browser.get("/oidc/login/done"), "login_expired", status=410)


def _gone(counter: Counter, why: str) -> None:
    counter.begun()
    if why == "the login has ended":
        counter.clock.now += 600
    elif why == "its questions have ended":
        counter.desk.clock.now += 86_400
    else:
        counter.browser.cookies.clear()


@pytest.mark.parametrize("why", ["the login has ended", "its questions have ended", "another browser"])
def test_whose_login_is_gone_begins_anew(counter: Counter, why: str) -> None:
    _gone(counter, why)
    for path in ("/login", "/login/done", "/return", "/return?response_code=guess"):
        assert is_error(counter.browser.get(f"/oidc{path}"), "login_expired", status=410)
    assert counter.browser.get("/oidc/login/state").json() == {"state": "expired"}
    picture = counter.browser.get("/oidc/login/qr.svg")
    assert (picture.status_code, picture.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize(
    "clients", [(LIBRARY,), (replace(PORTAL, redirect_uris=("https://new.example/",)),), (replace(PORTAL, scopes={}),)]
)
def test_a_login_of_a_portal_that_is_none_any_more_is_over(clients: tuple[OidcClient, ...]) -> None:
    """It began before a restart with other clients, and was an error of the server."""
    before = Counter()
    before.begun()
    after = Counter(store=before.store, clients=clients)
    after.browser.cookies.update(before.browser.cookies)
    assert after.logins.login(before.browser.cookies["oidc_login"]) is not None
    for method, path in (("GET", "/login"), ("GET", "/login/done"), ("GET", "/return"), ("POST", "/login/cancel")):
        assert is_error(after.browser.request(method, f"/oidc{path}"), "login_expired", status=410)


@pytest.mark.parametrize("path", ["/login/done", "/return", "/return?response_code=", "/return?response_code=guess"])
def test_whoever_comes_without_an_answer_goes_nowhere_and_ends_nothing(counter: Counter, path: str) -> None:
    login = counter.begun()
    back = counter.answered(login.here)
    assert back is not None
    assert is_error(counter.browser.get(f"/oidc{path}"), "login_expired", status=410)
    assert "code" in returned(counter.browser.get(back))


class EndedElsewhere(MemoryLogins):
    """Somebody else is always a moment earlier."""

    def take(self, kind: Kind, key: str, *, now: int) -> bytes | None:
        """Nothing is left."""
        super().take(kind, key, now=now)
        return None


@pytest.mark.parametrize("way", ["answered", "cancelled"])
def test_of_two_who_end_a_login_one_gets_a_code(way: str) -> None:
    counter = Counter(store=EndedElsewhere())
    login = counter.begun()
    if way == "answered":
        back = counter.answered(login.here)
        assert back is not None
        answer = counter.browser.get(back)
    else:
        answer = counter.browser.post("/oidc/login/cancel")
    assert is_error(answer, "login_expired", status=410)


def test_who_cancels_goes_back_once(counter: Counter) -> None:
    """RFC 6749 §4.1.2.1."""
    counter.begun()
    back = returned(counter.browser.post("/oidc/login/cancel"))
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", "s&", ISSUER)
    assert "code" not in back
    for _ in range(2):
        assert is_error(counter.browser.post("/oidc/login/cancel"), "login_expired", status=410)


def _unlinkable(desk: Desk) -> str:
    return desk.world.sd_jwt(family_name="")


def _untrusted(_desk: Desk) -> str:
    return World().sd_jwt()


@pytest.mark.parametrize(
    ("credential", "reason"),
    [(_unlinkable, ReasonCode.CLAIMS_MISSING), (_untrusted, ReasonCode.CERTIFICATE_UNTRUSTED)],
)
def test_who_is_refused_learns_why_and_may_try_again(credential: Callable[[Desk], str], reason: ReasonCode) -> None:
    counter = Counter()
    counter.desk.__dict__["credential"] = credential(counter.desk)
    counter.answered(counter.begun().phone)
    answer = counter.browser.get("/oidc/login/done", headers={"Accept-Language": "en"})
    assert (answer.status_code, answer.headers["cache-control"]) == (403, "no-store")
    assert sentence(reason, language="en") in unescape(answer.text)
    again = re.search(r'id="again" href="([^"]+)"', answer.text)
    assert again is not None
    assert unescape(again[1]) == f"{ISSUER}/authorize?{urlencode(parameters())}"
    assert is_error(counter.browser.get("/oidc/login/done"), "login_expired", status=410)


def test_a_claim_that_says_nothing_is_left_out() -> None:
    """OpenID Connect Core §5.3.2: not as null."""
    counter = Counter()
    counter.desk.__dict__["credential"] = counter.desk.world.sd_jwt(
        address={"street_address": "", "postal_code": "", "locality": None, "country": "DE"}
    )
    token = counter.token(counter.logged_in()["code"])["access_token"]
    found = counter.browser.get("/oidc/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert found.json().keys() == {"sub"}


@pytest.mark.parametrize(
    ("asked", "liked", "language"),
    [
        ("", "", "de"),
        ("", "en", "en"),
        ("", "EN-GB;q=0.9,de", "en"),
        ("", "fr, en;q=0.5", "en"),
        ("", "fr,en;q=0.5", "en"),
        ("", "fr", "de"),
        ("en", "de", "en"),
        ("fr de", "en", "de"),
        ("fr", "en", "en"),
    ],
)
def test_a_page_speaks_as_the_portal_asks_or_the_browser_likes(
    counter: Counter, asked: str, liked: str, language: str
) -> None:
    """OpenID Connect Core §3.1.2.1 `ui_locales`, RFC 5646 §2.1.1."""
    page = counter.browser.get("/oidc/login", params={"ui_locales": asked}, headers={"Accept-Language": liked})
    assert f'<html lang="{language}">' in page.text
    page = counter.browser.get("/oidc/login", headers={"Accept-Language": liked} if liked else {})
    assert asked or f'<html lang="{language}">' in page.text
