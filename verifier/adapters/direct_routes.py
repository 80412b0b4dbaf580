"""Addresses that are called most, for ASGI applications: found by a look into a table, without the framework's routing.

What they do and how they refuse is the same as everywhere in their application; only the way to it is shorter.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """One method of one address. path: segments, those in braces are parameters."""

    method: str
    path: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Refusing:
    """How an application refuses. errors: those that `render` answers. not_allowed: of a path, another method."""

    errors: tuple[type[Exception], ...]
    render: Callable[[Request, Exception], Awaitable[Response]]
    not_allowed: Callable[[str], Response]


class DirectRoutes:
    """ASGI middleware: answers its own routes, hands on everything else. other methods of its addresses are 405."""

    def __init__(self, app: ASGIApp, *, routes: Iterable[DirectRoute], refusing: Refusing) -> None:
        self._app = app
        self._refusing = refusing
        self._shapes: dict[int, list[dict[int, str]]] = {}  # by number of segments: the parameters by their places
        self._table: dict[tuple[str | None, ...], dict[str, DirectRoute]] = {}
        for route in routes:
            segments = route.path.split("/")
            parameters = {place: name[1:-1] for place, name in enumerate(segments) if name.startswith("{")}
            shapes = self._shapes.setdefault(len(segments), [])
            if parameters not in shapes:
                shapes.append(parameters)
            self._table.setdefault(_fixed(segments, parameters), {})[route.method] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            segments = scope["path"].split("/")
            for parameters in self._shapes.get(len(segments), ()):
                methods = self._table.get(_fixed(segments, parameters))
                if methods is not None and all(segments[place] for place in parameters):
                    scope["path_params"] = {name: segments[place] for place, name in parameters.items()}
                    response = await self._answered(methods, Request(scope, receive))
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _answered(self, methods: Mapping[str, DirectRoute], request: Request) -> Response:
        scope = request.scope
        route = scope["route"] = methods.get(scope["method"])
        if route is None:
            refusal = self._refusing.not_allowed(scope["path"])
            refusal.headers["Allow"] = ", ".join(sorted(methods))
            return refusal
        try:
            return await route.answer(request)
        except self._refusing.errors as error:
            return await self._refusing.render(request, error)


def _fixed(segments: list[str], parameters: Mapping[int, str]) -> tuple[str | None, ...]:
    """The segments without what stands at the parameters' places."""
    return tuple(None if place in parameters else name for place, name in enumerate(segments))
