"""Composes the service: the API for portals, the addresses that wallets and waiting pages call, and the sweep."""

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from verifier.adapters.direct_routes import DirectRoute, DirectRoutes, Refusing
from verifier.adapters.fastapi import direct_wallet_routes
from verifier.adapters.fastapi_pages import page_router
from verifier.server.models import (
    AskRequest,
    DcApiAnswer,
    ProblemAnswer,
    ProblemError,
    ResultRequest,
    list_answer,
)
from verifier.server.problems import Problem, problem_response
from verifier.server.routes import direct_routes, router
from verifier.server.service import VerifierService, build_service
from verifier.settings import VerifierSettings, load_settings
from verifier.trust_lists import ListState

_LOG = logging.getLogger("verifier")
_DONE = "Fertig. Sie können zu Ihrem anderen Gerät zurückkehren.\nDone. You can return to your other device.\n"


def create_app(settings: VerifierSettings) -> FastAPI:
    """The application for one set of settings; `prepare` must have been run.

    Raises:
        NotPrepared, FileInvalid: a file is missing or not as it should be.
    """
    service = build_service(settings)
    app = Application(
        title="Stadtnachweis Verifier",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # it would send browsers to whatever host they named
        lifespan=_lifespan,
    )
    app.state.service = service
    direct = [*direct_routes(router)]
    for name, tenant in service.tenants.items():
        prefix = f"/t/{name}/present"
        direct += direct_wallet_routes(tenant.verifier, prefix=prefix)
        app.include_router(page_router(tenant.verifier), prefix=prefix)
        app.add_api_route(f"{prefix}/done", _done, methods=["GET"])
    app.add_api_route("/healthz", _healthz, methods=["GET"])
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.surround(direct)
    return app


class Application(FastAPI):
    """The framework, with the API's and the wallets' addresses in front of it."""

    def surround(self, routes: Iterable[DirectRoute]) -> None:
        """Put these addresses in front."""
        self._direct = DirectRoutes(super().__call__, routes=routes, refusing=_REFUSING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self
        await self._direct(scope, receive, send)


def app_from_environment() -> FastAPI:
    """The application by the environment's settings, for servers that start workers by name; it logs to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    return create_app(load_settings())


def api_description() -> dict[str, object]:
    """The API as OpenAPI 3.1; the file in the repository is made of it."""
    app = FastAPI()
    app.include_router(router)
    description: dict[str, object] = get_openapi(
        title="Stadtnachweis Verifier API",
        version="1",
        summary="Ask wallets, and get verdicts",
        routes=app.routes,
    )
    components = description["components"]
    assert isinstance(components, dict)
    schemas = components["schemas"]
    models: tuple[type[BaseModel], ...] = (AskRequest, ResultRequest, DcApiAnswer, ProblemAnswer, ProblemError)
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in description["paths"].values():  # type: ignore[attr-defined]  # an object of objects
        for operation in path.values():
            if operation["operationId"] == "state":
                operation["responses"].pop("422", None)
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key of the tenant."}
    }
    description["security"] = [{"apiKey": []}]
    return description


async def _done() -> Response:
    """Where a wallet on another device goes; nothing can be had here."""
    return PlainTextResponse(_DONE, headers={"Cache-Control": "no-store"})


async def _healthz(request: Request) -> Response:
    service: VerifierService = request.app.state.service

    try:
        await asyncio.to_thread(service.clients.look)
    except (SQLAlchemyError, OSError):
        return JSONResponse({"status": "database unreachable"}, 503)
    now = int(time.time())
    lists = [
        {"tenant": name, **list_answer(standing)}
        for name, tenant in service.tenants.items()
        for standing in tenant.lists.standings(now=now)
    ]
    # who needs only other lists is served on, so that a balancer keeps this process
    fine = all(each["state"] == ListState.IN_FORCE for each in lists)
    return JSONResponse({"status": "ok" if fine else "degraded", "trust_lists": lists})


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = problem_response(Problem(error.status_code, "not_found" if error.status_code == 404 else "refused"))
    answer.headers.update(error.headers or {})
    return answer


async def _unavailable(_request: Request, error: Exception) -> Response:
    _LOG.error("the database does not answer: %s", type(error).__name__)
    answer = problem_response(Problem(503, "database_unavailable"))
    answer.headers["Retry-After"] = "2"
    return answer


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Problem: _problem,
    HTTPException: _http,
    SQLAlchemyError: _unavailable,
}


async def _render(request: Request, error: Exception) -> Response:
    kind = next(kind for kind in type(error).__mro__ if kind in _HANDLERS)
    return await _HANDLERS[kind](request, error)


_REFUSING = Refusing(tuple(_HANDLERS), _render, lambda _path: problem_response(Problem(405, "refused")))


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: VerifierService = app.state.service
    service.background.start()
    gc.collect()
    gc.freeze()  # what is there now stays, and need not be looked through again and again
    keeper = asyncio.create_task(_keep_house(service))
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.to_thread(service.background.stop)
        service.close()


async def _keep_house(service: VerifierService) -> None:
    while True:
        await asyncio.sleep(service.settings.housekeeping_interval)
        try:
            await asyncio.to_thread(service.sweep, now=int(time.time()))
        except (SQLAlchemyError, OSError) as error:
            _LOG.warning("the sweep failed: %s; it is tried again", type(error).__name__)
