"""Addresses found without the framework's routing are the ones that it would find, and no others."""

from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from verifier.adapters.direct_routes import DirectRoute, DirectRoutes, Refusing

PATHS = (
    "/t/leipzig/token",
    "/t/leipzig/token/",
    "/t//token",
    "/t/token",
    "/t/leipzig%2Ftoken",
    "/t/leipzig%2Fhalle/token",
    "/t/leipzig%2F%2Ftoken",
    "/t/%2e%2e/token",
    "//t/leipzig/token",
    "/t/leipzig/TOKEN",
    "/t/leipzig/token%00",
    "/t/leip%20zig%C3%A4/token",
    "/t/%FF/token",
    "/t/leipzig/{tenant}",
    "/t/{tenant}/token",
    "/api",
    "/api/",
    "/",
    "/api/leipzig/x",
    "/outer/t/leipzig/token",
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT")


class Odd(Exception):
    """What an application answers."""


async def token(request: Request) -> Response:
    return PlainTextResponse(f"token of {request.path_params['tenant']}")


async def api(_request: Request) -> Response:
    return PlainTextResponse("api")


async def odd(request: Request) -> Response:
    raise Odd(request.path_params["name"])


async def _rendered(_request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"odd {error}", 409)


ROUTES = (
    DirectRoute("POST", "/t/{tenant}/token", token),
    DirectRoute("PUT", "/api", api),
    DirectRoute("POST", "/api", api),
    DirectRoute("POST", "/api/{name}/x", odd),
)
REFUSING = Refusing((Odd,), _rendered, lambda _path: PlainTextResponse("Method Not Allowed", 405))


def framework(*, with_routes: bool) -> Starlette:
    routes = [
        Route("/t/{tenant}/token", token, methods=["POST"]),
        Route("/api", api, methods=["PUT", "POST"]),
        Route("/api/{name}/x", odd, methods=["POST"]),
    ]
    app = Starlette(routes=routes if with_routes else [], exception_handlers={Odd: _rendered})
    app.router.redirect_slashes = False
    return app


class Direct:
    """The routes in front of an application that has none."""

    def __init__(self) -> None:
        self._app = DirectRoutes(framework(with_routes=False), routes=ROUTES, refusing=REFUSING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(scope, receive, send)


def calls() -> Iterator[tuple[str, str]]:
    for method in METHODS:
        for path in PATHS:
            yield method, path


async def answers(
    app: httpx.ASGITransport, *, below: str = ""
) -> dict[tuple[str, str], tuple[int, str, frozenset[str]]]:
    found = {}
    async with httpx.AsyncClient(transport=app, base_url="https://verifier.example") as client:
        for method, path in calls():
            answer = await client.request(method, below + path)
            allow = frozenset(answer.headers.get("allow", "").replace(" ", "").split(","))
            found[method, path] = (answer.status_code, answer.text if answer.status_code != 405 else "", allow)
    return found


async def test_they_answer_as_the_framework_does() -> None:
    expected = await answers(httpx.ASGITransport(framework(with_routes=True)))
    assert await answers(httpx.ASGITransport(Direct())) == expected
    assert expected["POST", "/t/leipzig/token"][:2] == (200, "token of leipzig")
    assert expected["POST", "/api/leipzig/x"][:2] == (409, "odd leipzig")


@pytest.mark.parametrize("below", ["/outer", "/t"])
async def test_below_another_application_as_well(below: str) -> None:
    """They were not found under a root path, as a mount or `--root-path` sets it."""
    expected = await answers(httpx.ASGITransport(framework(with_routes=True)))
    mounted = Starlette(routes=[Mount(below, Direct())])
    assert await answers(httpx.ASGITransport(mounted), below=below) == expected
    proxied = httpx.ASGITransport(Direct(), root_path=below)
    assert await answers(proxied, below=below) == expected


async def called(app: ASGIApp, **scope: object) -> tuple[int, bytes] | None:
    """Status and body of an answer, if there is one."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    given = {"type": "http", "method": "POST", "path": "/api", "query_string": b"", "headers": [], **scope}
    await app(given, receive, send)
    return (sent[0]["status"], sent[1]["body"]) if sent else None


@pytest.mark.parametrize(
    ("root", "path", "status"),
    [
        (None, "/api", 200),
        ("", "/api", 200),
        ("/ap", "/api", 200),
        ("/api", "/api", 404),
        ("/api", "/api/api", 200),
        ("/api", "/api/", 404),
        ("/other", "/api", 200),
    ],
)
async def test_a_root_path_is_whole_segments(root: str | None, path: str, status: int) -> None:
    """An address that is the root path itself was answered as if the application stood under nothing."""
    scope = {"path": path} if root is None else {"path": path, "root_path": root}
    expected = await called(framework(with_routes=True), **scope)
    assert await called(Direct(), **scope) == expected
    assert expected is not None
    assert expected[0] == status


@pytest.mark.parametrize("scope", [{"type": "websocket", "path": "/api"}, {"type": "lifespan"}])
async def test_what_is_no_request_is_handed_on(scope: dict[str, str]) -> None:
    handed_on: list[Scope] = []

    async def behind(scope: Scope, _receive: Receive, _send: Send) -> None:
        handed_on.append(scope)

    async def receive() -> Message:
        return {}

    async def send(_message: Message) -> None:
        """Nobody waits for it."""

    await DirectRoutes(behind, routes=ROUTES, refusing=REFUSING)(scope, receive, send)
    assert handed_on == [scope]


@pytest.mark.parametrize(("method", "route"), [("POST", ROUTES[2]), ("PUT", ROUTES[1]), ("GET", None)])
async def test_layers_around_learn_which_route_it_was(method: str, route: DirectRoute | None) -> None:
    """As after the framework's routing; nothing of the address itself, which may hold a secret."""
    scopes: list[Scope] = []

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await Direct()(scope, receive, send)

    assert await called(around, method=method) is not None
    assert scopes[0]["route"] is route
