"""What portals read from the bridge, what it answers when they call, and that it keeps its house."""

import asyncio
import base64
import logging
import threading
from dataclasses import replace

import jwt
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from specs.encoding import base64url
from tests.verifier.oidc.conftest import ACR, SECRET
from tests.verifier.oidc.counter import ISSUER, LIBRARY, Counter
from verifier.adapters.oidc import MemoryLogins, oidc_router
from verifier.adapters.oidc.app import _Pages


@pytest.fixture
def counter() -> Counter:
    """A bridge."""
    return Counter()


# what portals read


def test_a_portal_reads_what_the_bridge_can_do(counter: Counter) -> None:
    """OpenID Connect Discovery §3, RFC 9207 §3."""
    assert counter.browser.get("/oidc/.well-known/openid-configuration").json() == {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "userinfo_endpoint": f"{ISSUER}/userinfo",
        "jwks_uri": f"{ISSUER}/jwks",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "address", "place"],
        "claims_supported": ["sub", "city"],
        "acr_values_supported": [ACR],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["login"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


def test_what_no_client_has_is_not_announced() -> None:
    """OpenID Connect Discovery §4.2: an array without elements is left out."""
    found = Counter(clients=(LIBRARY,)).browser.get("/oidc/.well-known/openid-configuration").json()
    assert "acr_values_supported" not in found
    assert [] not in found.values()


def test_wallets_send_people_back_to_the_bridge(counter: Counter) -> None:
    asked = counter.desk.verifier.procedures["oidc:portal+address"]
    assert asked.return_url == counter.bridge.return_url == f"{ISSUER}/return"


def test_the_key_of_id_tokens_is_published_and_nothing_of_it_that_is_private(counter: Counter) -> None:
    """RFC 7517 §5."""
    (key,) = counter.browser.get("/oidc/jwks").json()["keys"]
    numbers = counter.bridge.key.public_key().public_numbers()
    assert (base64url.decode(key["x"]), base64url.decode(key["y"])) == (
        numbers.x.to_bytes(32, "big"),
        numbers.y.to_bytes(32, "big"),
    )
    assert {name: value for name, value in key.items() if name not in ("x", "y", "kid")} == {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
    }


def test_an_id_token_says_who_came_where_and_when(counter: Counter) -> None:
    back = counter.logged_in()
    assert {name: back[name] for name in ("state", "iss")} == {"state": "s&", "iss": ISSUER}
    answer = counter.token(back["code"])
    (key,) = jwt.PyJWKSet.from_dict(counter.browser.get("/oidc/jwks").json()).keys
    claims = jwt.decode(
        str(answer["id_token"]), key, algorithms=["ES256"], audience="portal", options={"verify_exp": False}
    )
    now = counter.clock.now
    sub = claims.pop("sub")
    claims.pop("at_hash")
    assert len(sub) == 43
    assert claims == {
        "iss": ISSUER,
        "aud": "portal",
        "iat": now,
        "exp": now + 300,
        "auth_time": now,
        "nonce": "n",
        "acr": ACR,
        "city": "LEIPZIG",
    }
    for scheme in ("Bearer", "bearer"):
        found = counter.browser.get("/oidc/userinfo", headers={"Authorization": f"{scheme} {answer['access_token']}"})
        assert found.json() == {"sub": sub, "city": "LEIPZIG"}
        assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_claims_are_read_by_either_method_and_by_nobody_else(counter: Counter, method: str) -> None:
    """OpenID Connect Core §5.3; RFC 6750 §3. Only GET was answered."""
    token = counter.token(counter.logged_in()["code"])["access_token"]
    for given, status in ((f"Bearer {token}", 200), (f"Basic {token}", 401), ("Bearer ", 401), ("Bearer x", 401)):
        answer = counter.browser.request(method, "/oidc/userinfo", headers={"Authorization": given})
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"
        assert status == 200 or "invalid_token" in answer.headers["www-authenticate"]


# a token


@pytest.mark.parametrize(("size", "status"), [(64 * 1024, 400), (64 * 1024 + 1, 413)])
def test_a_form_has_64_kibibytes_at_most(counter: Counter, size: int, status: int) -> None:
    answer = counter.browser.post("/oidc/token", content=b"x" * size)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    if status == 413:
        assert answer.json() == {"error": "invalid_request"}


@pytest.mark.parametrize(
    ("authorization", "form", "status", "error"),
    [
        (None, b"code=%FF", 400, "invalid_request"),
        (None, b"code=\xc3\xbc", 400, "invalid_request"),
        (None, b"code=a&code=b", 400, "invalid_request"),
        (None, b"grant_type=implicit", 400, "unsupported_grant_type"),
        (b"Basic " + base64.b64encode(b"portal:guess"), b"grant_type=authorization_code", 401, "invalid_client"),
        (b"Basic " + base64.b64encode(b"\xff:x"), b"grant_type=authorization_code", 401, "invalid_client"),
        (b"Basic \xff", b"grant_type=authorization_code", 401, "invalid_client"),
        (b"Basic " + base64.b64encode(f"portal:{SECRET}".encode()), b"grant_type=authorization_code", 400, None),
    ],
    ids=["no UTF-8", "not encoded", "twice", "no such grant", "guessed", "no text", "no base64", "no code"],
)
def test_a_portal_is_told_one_word_of_the_standard(
    counter: Counter, authorization: bytes | None, form: bytes, status: int, error: str | None
) -> None:
    """RFC 6749 §5.2: with the scheme to use where it did not show who it is."""
    headers = {b"content-type": b"application/x-www-form-urlencoded"}
    if authorization is not None:
        headers[b"authorization"] = authorization
    answer = counter.browser.post("/oidc/token", content=form, headers=list(headers.items()))
    assert (answer.status_code, answer.json()["error"]) == (status, error or "invalid_request")
    assert answer.json().keys() <= {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert (status == 401) is ("www-authenticate" in answer.headers)


# the rest


@pytest.mark.parametrize(("name", "kind"), [("login.css", "text/css"), ("login.js", "text/javascript")])
def test_pages_have_a_style_and_a_script(counter: Counter, name: str, kind: str) -> None:
    answer = counter.browser.get(f"/oidc/assets/{name}")
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert answer.headers["cache-control"] == "max-age=3600"
    assert answer.content


@pytest.mark.parametrize("name", ["app.py", "..%2Ftexts.json", "login.html"])
def test_no_other_file_is_given_out(counter: Counter, name: str) -> None:
    assert counter.browser.get(f"/oidc/assets/{name}").status_code == 404


def test_a_sweep_that_fails_is_told_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    swept = threading.Event()

    class Failing(MemoryLogins):
        failed = False

        def purge(self, *, now: int) -> int:
            if not self.failed:
                self.failed = True
                raise OSError("the disk is away")
            swept.set()
            return super().purge(now=now)

    counter = Counter(store=Failing())
    app = FastAPI()
    app.include_router(oidc_router(replace(counter.bridge, purge_seconds=0)), prefix="/oidc")
    with caplog.at_level(logging.WARNING, "verifier"), TestClient(app):
        assert swept.wait(10)
    assert "the sweep failed: OSError" in caplog.text
    assert "disk" not in caplog.text


async def test_nothing_sweeps_on_once_the_application_has_ended(counter: Counter) -> None:
    async def lived() -> None:
        async with _Pages(counter.bridge)._swept(None):
            assert len(asyncio.all_tasks()) == 3
        assert len(asyncio.all_tasks()) == 2

    living = asyncio.create_task(lived())
    done, _ = await asyncio.wait([living], timeout=5)
    assert done
    living.result()


async def test_between_two_sweeps_is_the_time_that_was_asked_for(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    waiting = asyncio.Event()

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        waiting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "sleep", wait)
    async with _Pages(counter.bridge)._swept(None):
        await asyncio.wait_for(waiting.wait(), 5)
    assert waits == [30]


def test_a_sweep_erases_logins_and_their_questions(counter: Counter) -> None:
    counter.begun()
    pages = _Pages(counter.bridge)
    assert pages.purge() == 0
    counter.clock.now += 600
    counter.desk.clock.now += 86_400
    assert [pages.purge(), pages.purge()] == [3, 0]
