"""People log in to portals with their wallet, over OpenID Connect; whoever breaks a rule gets the standard's error."""

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine

from tests.defects import Defect, defect, defects
from tests.verifier.oidc.conftest import ACR, CALLBACK, CLIENTS, ENTITLED, GIVEN_NAME, SECRET, Portal, client, returned
from tests.wallet_sim.city import procedures
from verifier import ResponseMode
from verifier.adapters.oidc import ClaimSource, MemoryLogins, bridge_procedures, oidc_router
from verifier.adapters.oidc.app import _Pages
from verifier.adapters.oidc.logins import Granted, Kind, Logins, LoginStore
from verifier.adapters.oidc.pace import Pace
from verifier.adapters.oidc.sql import SqlLogins
from verifier.subject_link import SubjectRule


def test_a_portal_learns_who_came_and_no_more_than_its_scopes(portal: Portal) -> None:
    back = portal.log_in()
    assert (back["state"], back["iss"]) == ("s t&a=te", portal.issuer)
    answer = portal.token(back["code"])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    claims = portal.id_token(answer)
    assert claims["given_name"] == "Mila"
    assert "entitled" not in claims
    assert (claims["nonce"], claims["acr"]) == (portal.nonce, ACR)
    assert portal.asked == [("given_name",)]
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope", "id_token"}


def test_more_scopes_ask_for_more(portal: Portal) -> None:
    claims = portal.id_token(portal.token(portal.log_in(scope="openid profile entitlement")["code"]))
    assert (claims["given_name"], claims["entitled"]) == ("Mila", True)
    assert sorted(portal.asked[0]) == ["entitled", "given_name"]


def test_a_phone_answers_for_another_screen(portal: Portal) -> None:
    page = portal.page()
    assert 'id="qr"' in page
    picture = portal.browser.get(f"{portal.issuer}/login/qr.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert portal.browser.get(f"{portal.issuer}/login/state").json() == {"state": "pending"}
    login = portal.running.bridge.logins.login(portal.browser.cookies["oidc_login"])
    assert login is not None
    assert portal.present(portal.running.bridge.verifier.fresh_link(login.phone.page)) is None
    assert portal.browser.get(f"{portal.issuer}/login/state").json() == {"state": "answered"}
    onwards = portal.browser.get(f"{portal.issuer}/login").headers["location"]
    back = returned(portal.browser.get(onwards))
    assert portal.id_token(portal.token(back["code"]))["given_name"] == "Mila"
    assert portal.browser.get(onwards).status_code == 410


def test_the_same_person_is_the_same_to_one_portal_and_another_to_the_next(
    new_portal: Callable[[], Portal],
) -> None:
    first, second, library = new_portal(), new_portal(), new_portal()
    subjects = [each.id_token(each.token(each.log_in()["code"]))["sub"] for each in (first, second)]
    back = library.log_in(client_id="library")
    elsewhere = library.id_token(library.token(back["code"], auth=("library", SECRET)), audience="library")
    assert subjects[0] == subjects[1] != elsewhere["sub"]


def test_the_claims_can_be_read_once_more_while_the_token_lives(portal: Portal) -> None:
    answer = portal.token(portal.log_in()["code"]).json()
    address = f"{portal.issuer}/userinfo"
    found = portal.browser.get(address, headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert found.json()["given_name"] == "Mila"
    for token in ("", "Bearer", "Bearer other", f"Basic {answer['access_token']}"):
        refused = portal.browser.get(address, headers={"Authorization": token})
        assert refused.status_code == 401
        assert "invalid_token" in refused.headers["www-authenticate"]


def test_a_portal_finds_all_addresses_by_itself(portal: Portal) -> None:
    found = portal.browser.get(f"{portal.issuer}/.well-known/openid-configuration").json()
    assert found["issuer"] == portal.issuer
    assert found["scopes_supported"] == ["openid", "entitlement", "profile"]
    assert found["claims_supported"] == ["sub", "entitled", "given_name"]
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
        assert found[name].startswith(f"{portal.issuer}/")
    key = portal.browser.get(found["jwks_uri"]).json()["keys"][0]
    assert "d" not in key


def test_who_cancels_goes_back_with_nothing(portal: Portal) -> None:
    portal.page()
    back = returned(portal.browser.post(f"{portal.issuer}/login/cancel"))
    assert back == {"error": "access_denied", "state": "s t&a=te", "iss": portal.issuer} | (
        {"error_description": back["error_description"]} if "error_description" in back else {}
    )
    assert portal.browser.get(f"{portal.issuer}/login").status_code == 410


@pytest.mark.parametrize("language", ["de", "en"])
def test_pages_forbid_framing_and_foreign_content(portal: Portal, language: str) -> None:
    portal.browser.headers["Accept-Language"] = language
    page = portal.browser.get(portal.authorize().headers["location"])
    assert f'<html lang="{language}">' in page.text
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    for name in ("login.css", "login.js"):
        assert portal.browser.get(f"{portal.issuer}/assets/{name}").status_code == 200
    assert portal.browser.get(f"{portal.issuer}/assets/app.py").status_code == 404


def test_another_browser_does_not_get_the_login(portal: Portal) -> None:
    """The wallet's way back opened elsewhere: the login stays with who began it."""
    found = re.search(r'id="wallet" href="([^"]+)"', portal.page())
    assert found is not None
    back = portal.present(unescape(found[1]))
    assert back is not None
    with httpx.Client() as stranger:
        assert stranger.get(back).status_code == 410
    assert "code" in returned(portal.browser.get(back))


# vf-020: what breaks a rule is told the standard's error


def _error(answer: httpx.Response) -> str:
    if answer.status_code == 303:
        return returned(answer).get("error", "logged in")
    if answer.headers["content-type"].startswith("text/html"):
        return "page"
    return str(answer.json().get("error", "token"))


@defect("vf-020", refused_as="page")
def other_redirect_uri(portal: Portal) -> Portal:
    """OpenID Connect Core §3.1.2.1: an address that is not registered; nobody is sent there."""
    return portal.got(portal.authorize(redirect_uri="https://portal.example/callback/more"))


@defect("vf-020b", refused_as="page")
def unknown_client(portal: Portal) -> Portal:
    """RFC 6749 §4.1.2.1: nobody whom we know."""
    return portal.got(portal.authorize(client_id="stranger"))


@defect("vf-020c", refused_as="invalid_request")
def no_pkce(portal: Portal) -> Portal:
    """RFC 9700 §2.1.1: PKCE is for everybody."""
    return portal.got(portal.authorize(code_challenge=None, code_challenge_method=None))


@defect("vf-020d", refused_as="invalid_request")
def plain_pkce(portal: Portal) -> Portal:
    """RFC 9700 §2.1.1: S256 only."""
    return portal.got(portal.authorize(code_challenge=portal.verifier, code_challenge_method="plain"))


@defect("vf-020e", refused_as="invalid_request")
def no_nonce(portal: Portal) -> Portal:
    """OpenID Connect Core §3.1.2.1: without a nonce a replayed token looks fresh."""
    return portal.got(portal.authorize(nonce=None))


@defect("vf-020f", refused_as="invalid_scope")
def scope_of_another_client(portal: Portal) -> Portal:
    """RFC 6749 §3.3: claims that this client may not have."""
    return portal.got(portal.authorize(client_id="library", scope="openid profile entitlement"))


@defect("vf-020g", refused_as="invalid_scope")
def no_openid_scope(portal: Portal) -> Portal:
    """OpenID Connect Core §3.1.2.1: it is no authentication request."""
    return portal.got(portal.authorize(scope="profile"))


@defect("vf-020h", refused_as="unsupported_response_type")
def token_in_the_address(portal: Portal) -> Portal:
    """RFC 9700 §2.1.2: no implicit grant."""
    return portal.got(portal.authorize(response_type="id_token"))


@defect("vf-020i", refused_as="login_required")
def silently(portal: Portal) -> Portal:
    """OpenID Connect Core §3.1.2.6: nobody is logged in without being asked."""
    return portal.got(portal.authorize(prompt="none"))


@defect("vf-020j", refused_as="invalid_grant")
def code_twice(portal: Portal) -> Portal:
    """RFC 6749 §4.1.2: once; and its token ends."""
    code = portal.log_in()["code"]
    token = portal.token(code).json()["access_token"]
    again = portal.token(code)
    headers = {"Authorization": f"Bearer {token}"}
    assert portal.browser.get(f"{portal.issuer}/userinfo", headers=headers).status_code == 401
    return portal.got(again)


@defect("vf-020k", refused_as="invalid_grant")
def code_of_another_client(portal: Portal) -> Portal:
    """RFC 6749 §4.1.3: a code is its client's, and stays good for it."""
    code = portal.log_in()["code"]
    stolen = portal.token(code, auth=("library", SECRET))
    assert portal.token(code).status_code == 200
    return portal.got(stolen)


@defect("vf-020l", refused_as="invalid_grant")
def wrong_verifier(portal: Portal) -> Portal:
    """RFC 7636 §4.6."""
    return portal.got(portal.token(portal.log_in()["code"], code_verifier="x" * 43))


@defect("vf-020m", refused_as="invalid_request")
def no_verifier(portal: Portal) -> Portal:
    """RFC 7636 §4.5."""
    return portal.got(portal.token(portal.log_in()["code"], code_verifier=""))


@defect("vf-020n", refused_as="invalid_client")
def wrong_secret(portal: Portal) -> Portal:
    """RFC 6749 §3.2.1."""
    return portal.got(portal.token(portal.log_in()["code"], auth=("portal", "guess")))


@defect("vf-020s", refused_as="invalid_client")
def secret_that_is_no_text(portal: Portal) -> Portal:
    """RFC 6749 §3.2.1: bytes that are no UTF-8."""
    return portal.got(portal.token(portal.log_in()["code"], auth=(b"\xff\xfe", b"guess")))


@defect("vf-020o", refused_as="invalid_client")
def no_secret(portal: Portal) -> Portal:
    """RFC 6749 §3.2.1."""
    return portal.got(portal.token(portal.log_in()["code"], auth=None, client_id="portal"))


@defect("vf-020p", refused_as="invalid_grant")
def redirect_uri_changed(portal: Portal) -> Portal:
    """RFC 6749 §4.1.3: the address of the code."""
    return portal.got(portal.token(portal.log_in()["code"], redirect_uri=f"{CALLBACK}?from=portal"))


@defect("vf-020q", refused_as="unsupported_grant_type")
def another_grant(portal: Portal) -> Portal:
    """RFC 6749 §5.2."""
    return portal.got(portal.token(portal.log_in()["code"], grant_type="password"))


@defect("vf-020r", refused_as="page")
def parameter_twice(portal: Portal) -> Portal:
    """RFC 6749 §3.1: each once."""
    parameters: list[tuple[str, str | int | float | bool | None]] = [
        *portal.parameters().items(),
        ("nonce", "other"),
    ]
    return portal.got(portal.browser.get(f"{portal.issuer}/authorize", params=httpx.QueryParams(parameters)))


@pytest.mark.parametrize("case", [each for each in defects("vf") if each.id.startswith("vf-020")], ids=str)
def test_what_breaks_a_rule_is_told_the_standards_error(case: Defect[Portal], portal: Portal) -> None:
    assert "code" in portal.log_in()
    answer = case.apply(portal).answer
    assert answer is not None
    assert _error(answer) == case.refused_as


def test_codes_and_logins_end(portal: Portal) -> None:
    code = portal.log_in()["code"]
    portal.page()
    portal.running.clock.ahead = 61
    answer = portal.token(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    portal.running.clock.ahead = 601
    assert portal.browser.get(f"{portal.issuer}/login").status_code == 410
    assert portal.running.bridge.logins.purge() > 0


@pytest.mark.parametrize("kept", ["memory", "sqlite", "postgres"])
def test_of_many_who_redeem_a_code_one_gets_its_claims(
    kept: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kept == "memory":
        store: LoginStore = MemoryLogins()
    else:
        url = request.getfixturevalue("fresh_postgres_url") if kept == "postgres" else f"sqlite:///{tmp_path}/l.db"
        store = SqlLogins(create_engine(url))
        store.create_tables()
    logins = Logins(store, sealing_key=bytes(32))
    granted = Granted("portal", CALLBACK, "openid", {"sub": "x"}, 0)
    for number in range(20):
        code = f"code {number}"
        logins.grant(code, granted)
        with ThreadPoolExecutor(8) as pool:
            won = [each for each in pool.map(lambda _: logins.redeem(code, client_id="portal"), range(8)) if each]  # noqa: B023
        assert [each.claims for each in won] == [{"sub": "x"}]


# what can't be set up


def test_a_client_whose_claims_nobody_asks_for_is_a_mistake() -> None:
    base = procedures(mode=ResponseMode.DIRECT_POST_JWT)
    for scopes in ({"x": (ClaimSource("x", "pass", ("shoe_size",)),)}, {"x": (GIVEN_NAME,)}):
        broken = replace(client("x", **scopes), subject=SubjectRule("pass", ("number",)))
        with pytest.raises(ValueError, match="does not ask for each claim"):
            bridge_procedures([broken], procedures=base, return_url="https://bridge.example/return")


@pytest.mark.parametrize("address", ["http://portal.example/cb", "https://portal.example/cb#x", "app:/cb"])
def test_a_client_with_an_unsafe_address_is_a_mistake(address: str) -> None:
    with pytest.raises(ValueError, match="redirect address"):
        replace(CLIENTS[0], redirect_uris=(address,))


def test_a_client_with_too_many_scopes_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="scopes"):
        client("x", **{f"s{number}": (ENTITLED,) for number in range(7)})


def test_only_so_many_logins_begin_in_a_minute() -> None:
    """Anybody may begin one, and each keeps two questions: the rest of the minute is closed, the next one open."""
    pace = Pace(2)
    assert [pace.allows(now=600) for _ in range(3)] == [True, True, False]
    assert pace.allows(now=659) is False
    assert pace.allows(now=660) is True


def test_who_comes_in_a_full_minute_is_asked_to_wait(portal: Portal) -> None:
    pages = _Pages(replace(portal.running.bridge, logins_per_minute=0))
    app = FastAPI()
    app.include_router(pages.router(), prefix="/oidc")
    with TestClient(app, base_url="http://localhost") as browser:
        answer = browser.get("/oidc/authorize", params=portal.parameters(), follow_redirects=False)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "in einer Minute" in answer.text
    assert "set-cookie" not in answer.headers


def test_what_has_expired_is_erased_while_the_application_runs(portal: Portal) -> None:
    """The bridge sweeps by itself, from the start of the application it is a part of to its end."""
    swept = threading.Event()

    class Sweeping(MemoryLogins):
        def purge(self, *, now: int) -> int:
            swept.set()
            return super().purge(now=now)

    store = Sweeping()
    logins = Logins(store, sealing_key=bytes(32))
    store.put(Kind.LOGIN, "old", b"", expires_at=1)
    bridge = replace(portal.running.bridge, logins=logins, purge_seconds=0)
    app = FastAPI()
    app.include_router(oidc_router(bridge), prefix="/oidc")
    with TestClient(app):
        assert swept.wait(10)
    assert store.find(Kind.LOGIN, "old", now=0) is None


def test_a_code_is_redeemed_beside_the_event_loop(portal: Portal) -> None:
    """What waits for a database must not keep everybody else waiting."""
    threads: list[str] = []

    class Watched(MemoryLogins):
        def find(self, kind: Kind, key: str, *, now: int) -> bytes | None:
            threads.append(threading.current_thread().name)
            return super().find(kind, key, now=now)

    bridge = replace(portal.running.bridge, logins=Logins(Watched(), sealing_key=bytes(32)))
    app = FastAPI()
    app.include_router(oidc_router(bridge), prefix="/oidc")
    form = {"grant_type": "authorization_code", "code": "unknown", "redirect_uri": CALLBACK, "code_verifier": "v" * 43}

    async def redeem() -> int:
        threads.append(threading.current_thread().name)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as browser:
            return (await browser.post("/oidc/token", data=form, auth=("portal", SECRET))).status_code

    assert asyncio.run(redeem()) == 400
    loop, *others = threads
    assert others
    assert loop not in others
