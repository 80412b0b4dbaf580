"""Values that a database may choke on reach no database: each is refused as the standard says, on both of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from issuer.app import create_app
from issuer.city_api.authentication import add_client
from issuer.store.engine import Store
from issuer.store.tables import ClientKind, Role
from specs.encoding.strict_json import JsonObject
from specs.protocols.oauth import PRE_AUTHORIZED_CODE, code_challenge, new_code_verifier
from tests.issuer.wallet_api.conftest import PUBLIC_URL
from tests.issuer.wallet_api.world import CLIENT_ID, REDIRECT_URI, SD_JWT, World, build_world

OPEN = f"{PUBLIC_URL}/t/offen"
LONG = "x" * 3000


@pytest.fixture
async def reached(tmp_path: Path, database_url: str) -> World:
    """An issuer's files and tables, on each kind of database; it knows one public client."""
    world = await build_world(tmp_path, public_url=PUBLIC_URL, database_url=database_url)
    folder = tmp_path / "tenants"
    folder.mkdir()
    client = {"client_id": CLIENT_ID, "redirect_uris": [REDIRECT_URI]}
    (folder / "offen.yaml").write_text(yaml.safe_dump({"wallet_clients": [client]}), encoding="utf-8")
    world.settings = world.settings.model_copy(update={"tenant_dir": folder})
    return world


@pytest.fixture
async def stranger(reached: World) -> AsyncIterator[httpx.AsyncClient]:
    """Anybody who can reach the running application."""
    app = create_app(reached.settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client
    await app.state.service.store.close()


@pytest.fixture
async def key(reached: World) -> str:
    """The API key of a back end."""
    store = Store(reached.settings.effective_database_url)
    async with store.transaction() as session:
        made = await add_client(
            session, tenant_id="offen", name="tests", kind=ClientKind.API_KEY, role=Role.OPERATOR, now=1
        )
    await store.close()
    return made.api_key


def pushed(**changes: str) -> dict[str, str]:
    """A pushed request that is accepted, with these members instead."""
    return {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "code_challenge": code_challenge(new_code_verifier()),
        "code_challenge_method": "S256",
        "scope": SD_JWT,
        "state": "s",
        **changes,
    }


@pytest.mark.parametrize(
    "path",
    [
        "/t/%00/authorize?client_id=a&request_uri=b",
        "/t/offen/offers/%00",
        "/t/offen/status/%00",
        "/t/offen/login/%00",
        "/t/offen/authorize?client_id=%00&request_uri=%00",
        "/.well-known/openid-credential-issuer/t/%00",
    ],
)
async def test_address_with_a_nul_is_refused(path: str, stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get(path)).status_code in (400, 404)


@pytest.mark.parametrize("member", ["client_id", "state"])
@pytest.mark.parametrize("value", ["a\x00b", LONG])
async def test_pushed_request_with_a_value_nobody_can_keep_is_refused(
    member: str, value: str, stranger: httpx.AsyncClient
) -> None:
    assert (await stranger.post(f"{OPEN}/par", data=pushed())).status_code == 201
    answer = await stranger.post(f"{OPEN}/par", data=pushed(**{member: value}))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("value", ["a\x00b", LONG])
async def test_token_request_with_a_value_nobody_can_keep_is_refused(
    value: str, reached: World, stranger: httpx.AsyncClient
) -> None:
    code = (await reached.offer(tenant="offen", configurations=(SD_JWT,))).code
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code or ""}
    answer = await stranger.post(f"{OPEN}/token", data=form | {"client_id": value})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await stranger.post(f"{OPEN}/token", data=form)).status_code == 200  # the code was not touched


async def test_notification_id_with_a_nul_is_refused(reached: World, stranger: httpx.AsyncClient) -> None:
    code = (await reached.offer(tenant="offen", configurations=(SD_JWT,))).code
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code or ""}
    token = (await stranger.post(f"{OPEN}/token", data=form)).json()["access_token"]
    answer = await stranger.post(
        f"{OPEN}/notification",
        json={"notification_id": "a\x00b", "event": "credential_accepted"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_notification_id")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/offers/%00", None, 404),
        ("DELETE", "/offers/%00", None, 404),
        ("POST", "/offers/%00/rearm", {}, 404),
        ("GET", "/credentials/%00", None, 404),
        ("POST", "/credentials/%00/revoke", {"reason": "r"}, 404),
        ("POST", "/credentials/search", {"subject_reference": "r", "cursor": "a\x00b"}, 422),
    ],
)
async def test_city_api_refuses_a_nul_as_a_problem(
    method: str, path: str, body: JsonObject | None, status: int, key: str, stranger: httpx.AsyncClient
) -> None:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "abcdefgh"}
    answer = await stranger.request(method, f"/api/v1{path}", json=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_client_id_with_a_nul_is_an_unknown_client(stranger: httpx.AsyncClient) -> None:
    form = {"grant_type": "client_credentials", "client_id": "a\x00b", "client_secret": "s"}
    assert (await stranger.post("/api/v1/token", data=form)).status_code == 401


async def test_dpop_jkt_that_is_no_canonical_base64url_is_refused(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post(f"{OPEN}/par", data=pushed(dpop_jkt="A" * 42 + "B"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
