"""The adapters over HTTP: what wallets send and get, the same in each framework."""

import secrets
import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import cast
from urllib.parse import urlencode

import django
import httpx
import pytest
from asgiref.wsgi import WsgiToAsgi
from django.urls import clear_url_caches
from fastapi import FastAPI
from starlette.types import ASGIApp

from specs.encoding import base64url, strict_json
from tests.verifier.desk import HOST, SD_JWT, Desk, code_of, handle_of
from verifier import Flow, ReasonCode, Receipt, Verifier
from verifier.ask import PICTURE_SECONDS

CSRF_MIDDLEWARE = "django.middleware.csrf.CsrfViewMiddleware"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def on_fastapi(verifier: Verifier) -> ASGIApp:
    from verifier.adapters.fastapi import wallet_router

    app = FastAPI()
    app.include_router(wallet_router(verifier), prefix="/present")
    return app


def on_flask(verifier: Verifier) -> ASGIApp:
    from flask import Flask

    from verifier.adapters.flask import wallet_blueprint

    app = Flask(__name__)
    app.register_blueprint(wallet_blueprint(verifier), url_prefix="/present")
    return cast(ASGIApp, WsgiToAsgi(app))  # type: ignore[no-untyped-call]  # asgiref types its own calls only


def on_django(verifier: Verifier) -> ASGIApp:
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.urls import include, path

    from verifier.adapters.django import wallet_urls

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=[HOST], SECRET_KEY=secrets.token_hex(), MIDDLEWARE=[CSRF_MIDDLEWARE])
        django.setup()
    urls = ModuleType(f"urls_{secrets.token_hex(8)}")
    urls.urlpatterns = [path("present/", include(wallet_urls(verifier)))]  # type: ignore[attr-defined]  # made here
    sys.modules[urls.__name__] = urls
    settings.ROOT_URLCONF = urls.__name__
    clear_url_caches()
    return cast(ASGIApp, ASGIHandler())


@pytest.fixture(params=[on_fastapi, on_flask, on_django], ids=["fastapi", "flask", "django"])
async def wallet(request: pytest.FixtureRequest, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A wallet before the same verifier in each framework."""
    transport = httpx.ASGITransport(request.param(desk.verifier))
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        yield client


@pytest.fixture
async def streaming_wallet(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A wallet whose body is read while it is sent; before WSGI and Django's views, the server reads all of it."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(on_fastapi(desk.verifier)), base_url=f"https://{HOST}"
    ) as client:
        yield client


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == "invalid_request"
    return response.status_code, body["error_description"]


async def test_a_question_is_fetched_answered_and_collected(desk: Desk, wallet: httpx.AsyncClient) -> None:
    asking = desk.ask()
    fetched = await wallet.get(f"/present/request/{asking.request_handle}")
    assert fetched.status_code == 200
    assert fetched.headers["content-type"] == "application/oauth-authz-req+jwt"
    assert fetched.headers["cache-control"] == "no-store"
    posted = await wallet.post(asking.response_uri, data=desk.answer(asking))
    assert posted.status_code == 200
    assert posted.headers["cache-control"] == "no-store"
    assert posted.headers["content-type"] == "application/json"
    code = posted.json()["redirect_uri"].rpartition("response_code=")[2]
    outcome = desk.verifier.result(
        asking.question.id, session_secret=asking.question.session_secret, response_code=code
    )
    assert outcome.verdict.accepted


async def test_a_posted_nonce_comes_back_in_the_question(desk: Desk, wallet: httpx.AsyncClient) -> None:
    """OpenID4VP §5.10: request_uri_method post."""
    asking = desk.ask()
    path = f"/present/request/{asking.request_handle}"
    fetched = await wallet.post(path, data={"wallet_nonce": "qPmxiNFCR3QTm19POc8u"})
    params = strict_json.parse_object(base64url.decode(fetched.text.split(".")[1]))
    assert (params["wallet_nonce"], params["nonce"]) == ("qPmxiNFCR3QTm19POc8u", asking.nonce)
    plain = await wallet.post(path, content=b"", headers=FORM)
    assert plain.status_code == 200


async def test_whoever_only_looks_has_not_fetched(desk: Desk, wallet: httpx.AsyncClient) -> None:
    """FastAPI and Flask answered HEAD as GET: a preview of a picture's link kept it good for all of its question."""
    address = f"/present/request/{handle_of(desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE).wallet_url)}"
    looked = await wallet.head(address)
    assert (looked.status_code, looked.content) == (405, b"")
    assert (await wallet.get(address)).status_code == 200


async def test_a_look_keeps_no_picture_alive(desk: Desk, wallet: httpx.AsyncClient) -> None:
    address = f"/present/request/{handle_of(desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE).wallet_url)}"
    await wallet.head(address)
    desk.clock.now += PICTURE_SECONDS
    assert (await wallet.get(address)).status_code == 404


async def test_unknown_handles_get_one_answer(desk: Desk, wallet: httpx.AsyncClient) -> None:
    unknown = ReasonCode.TRANSACTION_UNKNOWN
    asking = desk.ask()
    await wallet.post(asking.response_uri, data=desk.answer(asking))
    for handle in (asking.request_handle, "never", "%00", "a" * 5000):
        assert refusal(await wallet.get(f"/present/request/{handle}")) == (404, unknown)
    for address in (asking.response_uri, "/present/response/never"):
        assert refusal(await wallet.post(address, data=desk.answer(asking))) == (400, unknown)


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"response=%zz", FORM, (400, ReasonCode.RESPONSE_MALFORMED)),
        (b"response=a&response=b", FORM, (400, ReasonCode.RESPONSE_MALFORMED)),
        (b"\xff\xfe", FORM, (400, ReasonCode.RESPONSE_MALFORMED)),
        (b"", FORM, (400, ReasonCode.RESPONSE_MALFORMED)),
        (b"other=1", FORM, (400, ReasonCode.RESPONSE_MALFORMED)),
        (b'{"response":"a"}', {"Content-Type": "application/json"}, (400, ReasonCode.RESPONSE_MALFORMED)),
        (b"response=a", {}, (400, ReasonCode.RESPONSE_MALFORMED)),
        (b"response=" + b"a" * (8 * 1024 * 1024), FORM, (413, ReasonCode.RESPONSE_TOO_LARGE)),
    ],
    ids=["percent", "twice", "not ascii", "empty", "another field", "json", "no type", "too large"],
)
async def test_what_is_no_answer_is_refused_and_changes_nothing(
    body: bytes, headers: dict[str, str], expected: tuple[int, str], desk: Desk, wallet: httpx.AsyncClient
) -> None:
    asking = desk.ask()
    assert refusal(await wallet.post(asking.response_uri, content=body, headers=headers)) == expected
    assert (await wallet.post(asking.response_uri, data=desk.answer(asking))).status_code == 200


async def test_a_form_that_never_ends_is_cut_off(desk: Desk, streaming_wallet: httpx.AsyncClient) -> None:
    asking = desk.ask()
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64:
            sent += 1
            yield b"response=" + b"a" * (1024 * 1024)

    response = await streaming_wallet.post(asking.response_uri, content=endless(), headers=FORM)
    assert refusal(response) == (413, ReasonCode.RESPONSE_TOO_LARGE)
    assert sent < 12


async def test_other_methods_are_not_allowed(desk: Desk, wallet: httpx.AsyncClient) -> None:
    asking = desk.ask()
    assert (await wallet.get(asking.response_uri)).status_code == 405
    assert (await wallet.put(asking.response_uri, content=urlencode(desk.answer(asking)))).status_code == 405


async def test_an_error_of_the_wallet_is_acknowledged(desk: Desk, wallet: httpx.AsyncClient) -> None:
    asking = desk.ask()
    form = {"error": "access_denied", "error_description": "<b>no</b>", "state": asking.state}
    response = await wallet.post(asking.response_uri, data=form)
    assert response.status_code == 200
    assert "<b>" not in response.text
    assert code_of_body(response)


def code_of_body(response: httpx.Response) -> str:
    """The code with which the wallet comes back."""
    return code_of(Receipt(response.status_code, response.json()))
