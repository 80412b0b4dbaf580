"""Addresses found without the framework's routing are the ones that it would find, and no others."""

from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

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
