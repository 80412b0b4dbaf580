"""The verifier as a service: the API over HTTP, on both databases, with several workers on one of them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from specs.credentials.session_transcript import iso_mdoc_dc_api_transcript
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.protocols.iso_mdoc_dc_api import parse_request_data, seal_response
from tests.verifier.serving import HOST, ORIGIN, RETURN_URL, Service, params_of, sealed
from tests.verifier.world import NAME_SPACE
from verifier import ReasonCode
from verifier.server.app import api_description
from verifier.server.idempotency import records
from verifier.stores.sql import links, transactions

RACERS = 16
KEPT = (transactions, links, records)
ASK = {"procedure": "parking", "flow": "same_device"}
ACROSS = {"procedure": "parking", "flow": "cross_device"}
DESCRIPTION = Path(__file__).parents[2] / "docs" / "verifier-api.openapi.json"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Service:
    """A service on a fresh database."""
    url = str(request.getfixturevalue("fresh_postgres_url")) if request.param == "postgres" else ""
    return Service(tmp_path / "verifier", url).written()


@pytest.fixture
def small(tmp_path: Path) -> Service:
    """A service on SQLite, where the database makes no difference."""
    return Service(tmp_path / "verifier").written()


async def fetched(wallet: httpx.AsyncClient, wallet_url: str) -> JsonObject:
    """The question as the wallet fetches it."""
    link = parse_qs(urlsplit(wallet_url).query)
    answer = await wallet.get(link["request_uri"][0])
    assert answer.status_code == 200, answer.text
    return params_of(answer.text)


async def answered(service: Service, wallet: httpx.AsyncClient, asked: dict[str, Any]) -> httpx.Response:
    """The wallet answers as it should."""
    params = await fetched(wallet, asked["wallet_url"])
    token = service.presentation(params, audience=str(params["client_id"]))
    form = {"response": sealed(params, {"vp_token": token, "state": params["state"]})}
    return await wallet.post(str(params["response_uri"]), data=form)


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["code"]


async def test_a_portal_asks_and_gets_the_verdict_on_the_same_device(service: Service) -> None:
    async with service.client(service.key()) as portal, service.client() as wallet:
        made = await portal.post("/api/v1/presentations", json=ASK)
        asked = made.json()
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        assert made.headers["content-type"] == "application/json"
        assert set(asked) == {"id", "wallet_url", "qr", "events", "expires_at", "session_secret", "dc_api"}
        assert asked["dc_api"] is None
        where = f"/api/v1/presentations/{asked['id']}"
        assert (await portal.get(where)).json() == {"id": asked["id"], "state": "pending"}
        posted = await answered(service, wallet, asked)
        assert posted.status_code == 200
        assert (await portal.get(where)).json()["state"] == "answered"
        back = str(posted.json()["redirect_uri"])
        assert back.startswith(f"{RETURN_URL}?response_code=")
        secret = {"session_secret": asked["session_secret"]}
        assert problem(await portal.post(f"{where}/result", json=secret)) == (404, "transaction_unknown")
        redeem = {**secret, "response_code": back.rpartition("=")[2]}
        verdict = (await portal.post(f"{where}/result", json=redeem)).json()
        assert verdict["accepted"] is True
        assert verdict["credentials"][0]["claims"]["family_name"] == "LINDENAU"
        assert verdict["sentences"] is None
        assert problem(await portal.post(f"{where}/result", json=redeem)) == (404, "transaction_unknown")


async def test_across_devices_the_wallet_goes_to_a_page_that_unlocks_nothing(small: Service) -> None:
    async with small.client(small.key()) as portal, small.client() as wallet:
        asked = (await portal.post("/api/v1/presentations", json=ACROSS)).json()
        assert (await wallet.get(asked["qr"]["svg"])).headers["content-type"] == "image/svg+xml"
        posted = await answered(small, wallet, asked)
        done = str(posted.json()["redirect_uri"])
        assert done.startswith(f"{HOST}/t/leipzig/present/done?")
        assert "LINDENAU" not in (await wallet.get(done)).text
        assert (await wallet.get(asked["events"])).text == "event: answered\ndata: \n\n"
        where = f"/api/v1/presentations/{asked['id']}/result"
        secret = {"session_secret": asked["session_secret"]}
        unlocking = {**secret, "response_code": done.rpartition("=")[2]}
        assert problem(await portal.post(where, json=unlocking)) == (404, "transaction_unknown")
        assert (await portal.post(where, json=secret)).json()["accepted"] is True


async def test_a_refused_answer_gets_its_reason_in_words(small: Service) -> None:
    async with small.client(small.key()) as portal, small.client() as wallet:
        asked = (await portal.post("/api/v1/presentations", json=ASK)).json()
        params = await fetched(wallet, asked["wallet_url"])
        token = small.presentation(params, audience="x509_hash:somebody")
        form = {"response": sealed(params, {"vp_token": token, "state": params["state"]})}
        posted = await wallet.post(str(params["response_uri"]), data=form)
        assert (posted.status_code, posted.json()["error_description"]) == (400, ReasonCode.AUDIENCE_MISMATCH)
        secret = {"session_secret": asked["session_secret"]}
        verdict = (await portal.post(f"/api/v1/presentations/{asked['id']}/result", json=secret)).json()
        assert (verdict["accepted"], verdict["reason"]) == (False, ReasonCode.AUDIENCE_MISMATCH)
        assert verdict["credentials"] == []
        assert set(verdict["sentences"]["de"]) == {"citizen", "caseworker"}


async def test_an_answer_through_the_browser(small: Service) -> None:
    async with small.client(small.key()) as portal:
        in_page = {"procedure": "in_page", "flow": "same_device"}
        asked = (await portal.post("/api/v1/presentations", json=in_page)).json()
        assert (asked["wallet_url"], asked["qr"]) == ("", None)
        request = asked["dc_api"][0]
        assert request["protocol"] == "openid4vp-v1-signed"
        params = params_of(request["data"]["request"])
        token = small.presentation(params, audience=f"origin:{ORIGIN}")
        response = {"protocol": request["protocol"], "data": {"response": sealed(params, {"vp_token": token})}}
        handed = {"session_secret": asked["session_secret"], "origin": ORIGIN, "response": response}
        where = f"/api/v1/presentations/{asked['id']}"
        stolen = {**handed, "origin": "https://evil.example"}
        assert problem(await portal.post(f"{where}/dc-api", json=stolen)) == (400, ReasonCode.AUDIENCE_MISMATCH)
        assert (await portal.post(f"{where}/dc-api", json=handed)).json()["state"] == "answered"
        secret = {"session_secret": asked["session_secret"]}
        assert (await portal.post(f"{where}/result", json=secret)).json()["accepted"] is True


async def test_an_answer_through_a_browser_that_knows_only_the_iso_protocol(service: Service) -> None:
    """ISO/IEC TS 18013-7 Annex C, over HTTP and a database."""
    async with service.client(service.key()) as portal:
        in_page = {"procedure": "iso_in_page", "flow": "same_device"}
        asked = (await portal.post("/api/v1/presentations", json=in_page)).json()
        assert [each["protocol"] for each in asked["dc_api"]] == ["openid4vp-v1-signed", "org-iso-mdoc"]
        _, info = parse_request_data(asked["dc_api"][1]["data"])
        transcript = iso_mdoc_dc_api_transcript(encryption_info=info.text, origin=ORIGIN)
        shown = service.world.present_mdoc(service.world.mdoc(), transcript=transcript)
        data = seal_response(base64url.decode(shown), key=info.key, session_transcript=transcript)
        response = {"protocol": "org-iso-mdoc", "data": data}
        handed = {"session_secret": asked["session_secret"], "origin": ORIGIN, "response": response}
        where = f"/api/v1/presentations/{asked['id']}"
        assert (await portal.post(f"{where}/dc-api", json=handed)).json()["state"] == "answered"
        secret = {"session_secret": asked["session_secret"]}
        verdict = (await portal.post(f"{where}/result", json=secret)).json()
        assert verdict["credentials"][0]["claims"][NAME_SPACE]["family_name"] == "LINDENAU"


async def test_nobody_calls_without_a_key_that_holds(small: Service) -> None:
    good = small.key()
    client_id = good.split("_")[1]
    bad = [
        None,
        "stv_x",
        good[:-1] + ("a" if good[-1] != "a" else "b"),
        good.replace("stv_", "stn_"),
        small.key("nobody"),
    ]
    for key in bad:
        async with small.client(key) as portal:
            for method, path in (
                ("POST", ""),
                ("GET", "/x"),
                ("POST", "/x/result"),
                ("POST", "/x/dc-api"),
            ):
                answer = await portal.request(method, f"/api/v1/presentations{path}", json={})
                assert problem(answer) == (401, "not_authenticated")
                assert answer.headers["www-authenticate"] == "Bearer"
    async with small.client(good) as portal:
        assert (await portal.post("/api/v1/presentations", json=ASK)).status_code == 201
        assert small.app.state.service.clients.revoke(client_id, now=1)
        assert problem(await portal.post("/api/v1/presentations", json=ASK)) == (401, "not_authenticated")


@pytest.mark.parametrize("path", ["", "/x/result", "/x/dc-api"])
async def test_nothing_is_read_of_who_has_no_key(path: str, small: Service) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"{}")
        yield b"{}"

    async with small.client("stv_x") as portal:
        given = {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"}
        answer = await portal.post(f"/api/v1/presentations{path}", content=body(), headers=given)
    assert (problem(answer), read) == ((401, "not_authenticated"), [])


async def test_tenants_do_not_see_each_other(service: Service) -> None:
    """vf-005 class: another tenant's key, address and page get nothing."""
    async with (
        service.client(service.key()) as portal,
        service.client(service.key("halle")) as other,
        service.client() as wallet,
    ):
        asked = (await portal.post("/api/v1/presentations", json=ACROSS)).json()
        where = f"/api/v1/presentations/{asked['id']}"
        assert problem(await other.get(where)) == (404, "transaction_unknown")
        secret = {"session_secret": asked["session_secret"]}
        assert problem(await other.post(f"{where}/result", json=secret)) == (404, "transaction_unknown")
        params = await fetched(wallet, asked["wallet_url"])
        token = service.presentation(params, audience=str(params["client_id"]))
        form = {"response": sealed(params, {"vp_token": token, "state": params["state"]})}
        there = str(params["response_uri"]).replace("/t/leipzig/", "/t/halle/")
        assert (await wallet.post(there, data=form)).status_code == 400
        assert (await wallet.get(asked["qr"]["svg"].replace("/t/leipzig/", "/t/halle/"))).status_code == 404
        assert (await wallet.post(str(params["response_uri"]), data=form)).status_code == 200


async def test_a_call_that_is_repeated_asks_once(service: Service) -> None:
    key = {"Idempotency-Key": "7d2c-0001-0001"}
    app = service.worker()  # a second worker on the same database
    async with service.client(service.key()) as portal:
        async with service.client(portal.headers["authorization"].partition(" ")[2], app) as again:
            answer = await portal.post("/api/v1/presentations", json=ASK, headers=key)
            assert answer.status_code == 201
            first = answer.json()
            assert (await again.post("/api/v1/presentations", json=ASK, headers=key)).json() == first
            other = await again.post("/api/v1/presentations", json=ACROSS, headers=key)
            assert problem(other) == (422, "idempotency_key_reused")
        async with service.client(service.key()) as another:
            assert (await another.post("/api/v1/presentations", json=ASK, headers=key)).json()["id"] != first["id"]
        without = [(await portal.post("/api/v1/presentations", json=ASK)).json()["id"] for _ in range(2)]
        assert len({first["id"], *without}) == 3
        short = await portal.post("/api/v1/presentations", json=ASK, headers={"Idempotency-Key": "short"})
        assert problem(short) == (400, "idempotency_key_malformed")
    with service.app.state.service.engine.connect() as connection:
        kept = b"".join(bytes(row.answer) for row in connection.execute(records.select()))
    assert first["session_secret"].encode() not in kept
    assert b"wallet_url" not in kept


async def test_of_many_calls_with_one_key_at_once_one_asks(service: Service) -> None:
    workers = [service.app, service.worker()]
    key = service.key()

    async def post(number: int) -> str:
        async with service.client(key, workers[number % 2]) as one:
            answer = await one.post("/api/v1/presentations", json=ASK, headers={"Idempotency-Key": "7d2c-0001-0001"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    assert len(set(await asyncio.gather(*(post(number) for number in range(RACERS))))) == 1
    with service.app.state.service.engine.connect() as connection:
        assert len(connection.execute(transactions.select()).all()) == 1


async def test_of_many_answers_over_several_workers_one_is_the_answer(service: Service) -> None:
    """vf-001 over workers that share nothing but the database."""
    workers = [service.app, *(service.worker() for _ in range(3))]
    async with service.client(service.key()) as portal, service.client() as wallet:
        asked = (await portal.post("/api/v1/presentations", json=ACROSS)).json()
        params = await fetched(wallet, asked["wallet_url"])
        tokens = [service.presentation(params, audience=str(params["client_id"])) for _ in range(2)]

        async def post(number: int) -> tuple[int, str]:
            token = tokens[number % 2]
            form = {"response": sealed(params, {"vp_token": token, "state": params["state"]})}
            async with service.client(app=workers[number % len(workers)]) as one:
                answer = await one.post(str(params["response_uri"]), data=form)
            return answer.status_code, str(answer.json().get("error_description", ""))

        outcomes = await asyncio.gather(*(post(number) for number in range(RACERS)))
        assert outcomes.count((200, "")) == 1
        assert outcomes.count((400, ReasonCode.TRANSACTION_UNKNOWN)) == RACERS - 1
        secret = {"session_secret": asked["session_secret"]}
        where = f"/api/v1/presentations/{asked['id']}/result"

        async def collect(number: int) -> int:
            key = portal.headers["authorization"].partition(" ")[2]
            async with service.client(key, workers[number % len(workers)]) as one:
                return (await one.post(where, json=secret)).status_code

        collected = await asyncio.gather(*(collect(number) for number in range(RACERS)))
        assert sorted(collected) == [200] + [404] * (RACERS - 1)


@pytest.mark.parametrize(
    ("body", "headers", "expected", "places"),
    [
        (b"{", {}, (400, "malformed_json"), []),
        (b'{"procedure":"parking","procedure":"parking","flow":"app"}', {}, (400, "malformed_json"), []),
        (b"[]", {}, (422, "unprocessable"), [("", "model_type")]),
        (b'{"procedure":"parking","flow":"app","more":1}', {}, (422, "unprocessable"), [("/more", "extra_forbidden")]),
        (
            b'{"procedure":"parking","flow":"app","/~":1}',
            {},
            (422, "unprocessable"),
            [("/~1~0", "extra_forbidden")],
        ),
        (b"{}", {}, (422, "unprocessable"), [("/procedure", "missing"), ("/flow", "missing")]),
        (b'{"procedure":"unknown","flow":"app"}', {}, (422, "unprocessable"), [("/procedure", "unknown")]),
        (b'{"procedure":"in_page","flow":"app"}', {}, (422, "unprocessable"), [("/flow", "not_possible")]),
        (b'{"procedure":"parking","flow":"by_post"}', {}, (422, "unprocessable"), [("/flow", "enum")]),
        (b"{}", {"Content-Type": "text/plain"}, (415, "unsupported_media_type"), []),
        (b"{", {"Content-Type": "Application/JSON ; charset=utf-8"}, (400, "malformed_json"), []),
        (b" " * (1 << 20), {}, (400, "malformed_json"), []),
        (b" " * ((1 << 20) + 1), {}, (413, "body_too_large"), []),
        (b"[" * 65 + b"]" * 65, {}, (400, "malformed_json"), []),
        (b"[" * 64 + b"]" * 64, {}, (422, "unprocessable"), [("", "model_type")]),
    ],
    ids=[
        "no JSON",
        "twice",
        "no object",
        "more",
        "more, by a name to be escaped",
        "nothing",
        "unknown",
        "flow does not fit",
        "no flow",
        "no JSON type",
        "JSON type with a parameter",
        "as large as may be",
        "too large",
        "too deep",
        "as deep as may be",
    ],
)
async def test_what_does_not_fit_is_refused_with_its_place(
    body: bytes, headers: dict[str, str], expected: tuple[int, str], places: list[tuple[str, str]], small: Service
) -> None:
    """A place is a JSON pointer (RFC 6901): it was not escaped, and the whole was called `/`, which is a member."""
    async with small.client(small.key()) as portal:
        given = {"Content-Type": "application/json", **headers}
        answer = await portal.post("/api/v1/presentations", content=body, headers=given)
        assert problem(answer) == expected
        assert [(each["pointer"], each["code"]) for each in answer.json().get("errors", [])] == places


async def test_other_addresses_are_problems_too(small: Service) -> None:
    async with small.client(small.key()) as portal:
        assert problem(await portal.get("/api/v1/nothing")) == (404, "not_found")
        deleted = await portal.delete("/api/v1/presentations")
        assert (problem(deleted), deleted.headers["allow"]) == ((405, "refused"), "POST")
        posted = await portal.post("/healthz")
        assert (problem(posted), posted.headers["allow"]) == ((405, "refused"), "GET")  # RFC 9110 §15.5.6
        assert problem(await portal.get("/healthz/")) == (404, "not_found")
        assert (await portal.get("/healthz")).json() == {"status": "ok", "trust_lists": []}


def test_the_published_description_is_what_runs() -> None:
    """If this fails: `stadtnachweis verifier openapi > docs/verifier-api.openapi.json`."""
    published = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    assert published["openapi"].startswith("3.1")
    assert published == api_description()
    assert set(published["paths"]) == {
        "/api/v1/presentations",
        "/api/v1/presentations/{presentation_id}",
        "/api/v1/presentations/{presentation_id}/result",
        "/api/v1/presentations/{presentation_id}/dc-api",
    }


async def test_what_has_expired_is_swept(service: Service) -> None:
    running = service.app.state.service
    async with service.client(service.key()) as portal:
        asked = await portal.post("/api/v1/presentations", json=ASK, headers={"Idempotency-Key": "7d2c-0001-0001"})
        assert asked.status_code == 201
    running.sweep(now=int(time.time()))
    with running.engine.connect() as connection:
        assert [len(connection.execute(table.select()).all()) for table in KEPT] == [1, 1, 1]
    far = int(time.time()) + 7200
    for tenant in running.tenants.values():
        tenant.verifier._clock = lambda: far
    running.sweep(now=far)
    with running.engine.connect() as connection:
        assert [len(connection.execute(table.select()).all()) for table in KEPT] == [0, 0, 0]
