"""A route whose JSON bodies are read strictly: no member twice, no NaN, no deep nesting, the right media type."""

from collections.abc import Callable, Coroutine

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonValue


class StrictRequest(Request):
    """A request whose JSON body is parsed by our own rules."""

    async def json(self) -> JsonValue:
        """The body.

        Raises:
            HTTPException: 400, it is no JSON as we read it.
        """
        try:
            return strict_json.parse(await self.body(), max_depth=self.app.state.service.settings.json_depth)
        except Malformed:
            raise HTTPException(400, "malformed_json") from None


class StrictJsonRoute(APIRoute):
    """Hands its endpoint a `StrictRequest`, and refuses a body that doesn't say that it is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """See `APIRoute`."""
        handler = super().get_route_handler()
        takes_json = self.body_field is not None

        async def handle(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if takes_json and media_type != "application/json" and await strict.body():
                raise HTTPException(415, "unsupported_media_type")
            return await handler(strict)

        return handle
