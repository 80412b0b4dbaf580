"""A route whose JSON bodies are read strictly: no member twice, no NaN, no deep nesting, the right media type."""

from collections.abc import Callable, Coroutine
from typing import TypeVar

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonValue

M = TypeVar("M", bound=BaseModel)


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
            if takes_json and not _says_json(request) and await strict.body():
                raise HTTPException(415, "unsupported_media_type")
            return await handler(strict)

        return handle


async def read_body(request: StrictRequest, model: type[M]) -> M:
    """The JSON body of a request that needs one, as `StrictJsonRoute` would have it.

    Raises:
        HTTPException: 415 or 400. RequestValidationError: it does not fit the model.
    """
    raw = await request.body()
    if raw and not _says_json(request):
        raise HTTPException(415, "unsupported_media_type")
    if not raw:
        raise RequestValidationError([{"loc": ("body",), "type": "missing", "msg": "Field required"}])
    try:
        return model.model_validate(await request.json())
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
        raise RequestValidationError(found) from None


def _says_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
