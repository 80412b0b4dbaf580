"""How refusals look: problem details for /api, OAuth errors for wallets, plain pages never with a trace."""

import logging
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from issuer.catalog.claims import ClaimsRefused, Finding
from issuer.city_api.authentication import NotAuthenticated
from issuer.city_api.problems import Problem, problem_response
from issuer.credentials import CredentialNotFound, StatusConflict
from issuer.events.endpoints import EndpointNotFound
from issuer.grants.deferred import DeferredConflict, DeferredNotFound
from issuer.offers import OfferConflict, OfferNotFound
from specs.protocols.oauth import OAuthError

API = "/api/"
_LOG = logging.getLogger("issuer")
_RETRY_AFTER = "5"  # seconds
_NO_STORE = {"Cache-Control": "no-store"}
_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    415: "unsupported_media_type",
    413: "body_too_large",
}


def install_error_handlers(app: FastAPI) -> None:
    """Render every refusal of the domain."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, _failure)


async def render(request: Request, error: Exception) -> Response:
    """The answer to one of REFUSALS."""
    kind = next(kind for kind in type(error).__mro__ if kind in _HANDLERS)
    return await _HANDLERS[kind](request, error)


def plain_refusal(path: str, status: int, code: str) -> Response:
    """A refusal before any router was asked, in the words of the address it was meant for."""
    if path.startswith(API):
        return problem_response(Problem(status, code))
    error = "server_error" if status >= 500 else "invalid_request"
    return JSONResponse({"error": error, "error_description": code.replace("_", " ")}, status, headers=_NO_STORE)


async def _failure(request: Request, _error: Exception) -> Response:
    return plain_refusal(request.url.path, 500, "internal_error")


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _not_authenticated(_request: Request, _error: Exception) -> Response:
    challenge = {"WWW-Authenticate": 'Bearer realm="city-api"', **_NO_STORE}
    return problem_response(Problem(401, "not_authenticated", "an API key or a token is needed", headers=challenge))


async def _claims_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ClaimsRefused)
    return problem_response(Problem(422, "claims_invalid", "claims do not fit their type", errors=error.findings))


async def _not_found(_request: Request, _error: Exception) -> Response:
    return problem_response(Problem(404, "not_found"))


async def _conflict(_request: Request, error: Exception) -> Response:
    return problem_response(Problem(409, "state_conflict", f"the present state is {error}"))


async def _oauth_error(_request: Request, error: Exception) -> Response:
    """Of the City API's token endpoint; wallets are answered by their own routes."""
    assert isinstance(error, OAuthError)
    challenge = {"WWW-Authenticate": 'Basic realm="city-api"'} if error.status == 401 else {}
    return JSONResponse(error.body(), error.status, headers={**_NO_STORE, **challenge})


async def _request_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if not request.url.path.startswith(API):
        return plain_refusal(request.url.path, 400, "malformed_request")
    findings = [
        Finding(_pointer(item["loc"]), str(item["type"]), str(item["msg"]).removeprefix("Value error, "))
        for item in error.errors()
    ]
    return problem_response(Problem(422, "validation_failed", errors=findings))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = str(error.detail) if error.detail in ("malformed_json",) else _CODES.get(error.status_code, "refused")
    response = plain_refusal(request.url.path, error.status_code, code)
    response.headers.update(error.headers or {})
    return response


async def _database_unavailable(request: Request, error: Exception) -> Response:
    """Locked by another process, restarting, or out of connections: nothing happened, and a repeat may work."""
    _LOG.error("failed: %s", type(error).__name__)  # its text may hold values of a statement
    response = plain_refusal(request.url.path, 503, "temporarily_unavailable")
    response.headers["Retry-After"] = _RETRY_AFTER
    return response


def _pointer(location: tuple[int | str, ...]) -> str:
    parts = location[1:] if location[:1] == ("body",) else location
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Problem: _problem,
    NotAuthenticated: _not_authenticated,
    ClaimsRefused: _claims_refused,
    OfferNotFound: _not_found,
    CredentialNotFound: _not_found,
    OfferConflict: _conflict,
    StatusConflict: _conflict,
    DeferredNotFound: _not_found,
    EndpointNotFound: _not_found,
    DeferredConflict: _conflict,
    OAuthError: _oauth_error,
    RequestValidationError: _request_invalid,
    HTTPException: _http_exception,
    OperationalError: _database_unavailable,
    NoConnection: _database_unavailable,
}
REFUSALS = tuple(_HANDLERS)  # of the domain
