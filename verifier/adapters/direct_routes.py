"""Addresses that are called most, for ASGI applications: found by a look into a table, without the framework's routing.

What they do and how they refuse is the same as everywhere in their application; only the way to it is shorter.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

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
        self._places: dict[int, list[tuple[int, ...]]] = {}  # of parameters, by number of segments
        self._table: dict[tuple[str | None, ...], dict[str, _Found]] = {}
        for route in routes:
            segments = route.path.split("/")
            names = {place: name[1:-1] for place, name in enumerate(segments) if name.startswith("{")}
            shapes, places = self._places.setdefault(len(segments), []), tuple(names)
            if places not in shapes:
                shapes.append(places)
            self._table.setdefault(_fixed(segments, places), {})[route.method] = _Found(route, names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            segments = _path(scope).split("/")
            for places in self._places.get(len(segments), ()):
                methods = self._table.get(_fixed(segments, places))
                if methods is not None and all(segments[place] for place in places):
                    found = methods.get(scope["method"])
                    response = await self._answered(methods, found, segments, Request(scope, receive))
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _answered(
        self, methods: Mapping[str, "_Found"], found: "_Found | None", segments: list[str], request: Request
    ) -> Response:
        scope = request.scope
        if found is None:
            scope["route"] = None
            refusal = self._refusing.not_allowed(scope["path"])
            refusal.headers["Allow"] = ", ".join(sorted(methods))
            return refusal
        scope["route"] = found.route
        scope["path_params"] = {name: segments[place] for place, name in found.names.items()}
        try:
            return await found.route.answer(request)
        except self._refusing.errors as error:
            return await self._refusing.render(request, error)


class _Found(NamedTuple):
    """A route, and its parameters' names by their places."""

    route: DirectRoute
    names: Mapping[int, str]


def _path(scope: Scope) -> str:
    """The path without what the application stands under, if it stands under anything."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path


def _fixed(segments: list[str], places: tuple[int, ...]) -> tuple[str | None, ...]:
    """The segments without what stands at the parameters' places."""
    return tuple(None if place in places else name for place, name in enumerate(segments))
