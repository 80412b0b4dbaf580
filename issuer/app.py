"""The issuer's web application: its routers, limits, errors and the sweeps that run beside them."""

import asyncio
import contextlib
import gc
import logging
import random
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from issuer.city_api import routes as city_api
from issuer.city_api import webhooks
from issuer.city_api.models import ProblemAnswer, ProblemError
from issuer.collect.routes import router as collect_router
from issuer.housekeeping import sweep
from issuer.http.dependencies import Service
from issuer.http.errors import REFUSALS, install_error_handlers, plain_refusal, render
from issuer.http.limits import Limits
from issuer.http.observed import Observed
from issuer.http.proxies import TrustedProxies
from issuer.login.pid import PRESENT_PATH
from issuer.service import Clock, IssuerService, build_service, system_clock
from issuer.settings import IssuerSettings, load_settings
from issuer.status.routes import router as status_router
from issuer.store.tables import Tenant
from issuer.wallet_api import router as wallet_router
from issuer.wallet_api.collection_routes import ROUTES as WALLET_ROUTES
from verifier.adapters.direct_routes import DirectRoutes, Refusing
from verifier.adapters.fastapi import wallet_router as wallet_router_of_verifier
from verifier.background import Background

_LOG = logging.getLogger("issuer")
_REFUSING = Refusing(REFUSALS, render, lambda path: plain_refusal(path, 405, "method_not_allowed"))


def create_app(settings: IssuerSettings, *, clock: Clock = system_clock) -> FastAPI:
    """The application for one set of settings; its database must have been migrated.

    Raises:
        SecretsError, CatalogError, RegisterInvalid: a file is missing or not as it should be.
    """
    service = build_service(settings, clock=clock)
    app = Application(
        title="Stadtnachweis Issuer",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # it would send clients to whatever host they named
        lifespan=_lifespan,
    )
    app.state.service = service
    app.include_router(city_api.token_router)
    app.include_router(city_api.router)
    app.include_router(webhooks.router)
    app.include_router(collect_router)
    app.include_router(wallet_router)
    app.include_router(status_router)
    for tenant_id, verifier in service.pid.verifiers.items():
        app.include_router(wallet_router_of_verifier(verifier), prefix=f"/t/{tenant_id}{PRESENT_PATH}")
    app.add_api_route("/healthz", _healthz, methods=["GET"], include_in_schema=False)
    install_error_handlers(app)
    app.surround(settings)
    return app


class Application(FastAPI):
    """The framework with our own layers around it: what those answer or refuse costs nothing of it."""

    def surround(self, settings: IssuerSettings) -> None:
        """Put the layers around it, the innermost first."""
        layers: ASGIApp = DirectRoutes(
            super().__call__, routes=(*WALLET_ROUTES, *city_api.DIRECT_ROUTES), refusing=_REFUSING
        )
        layers = Limits(
            layers,
            header_limit=settings.header_limit,
            body_limit=settings.body_limit,
            body_timeout=settings.body_timeout,
        )
        layers = TrustedProxies(
            layers, networks=settings.proxy_networks, https=settings.public_url.startswith("https://")
        )
        self._layers = Observed(layers, https=settings.is_public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self
        await self._layers(scope, receive, send)


class _BySecond(logging.Formatter):
    """Writes the time of a line; a second's beginning is written out once."""

    _second = -1
    _text = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 of the base class
        """See `logging.Formatter`."""
        second = int(record.created)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%d %H:%M:%S", self.converter(second))
            self._second = second
        return f"{self._text},{record.msecs:03.0f}"


def app_from_environment() -> FastAPI:
    """The application by the environment's settings, for servers that start workers by name; it logs to stderr."""
    # what no line of ours shows is not looked up for each of them (Python's documentation of `logging`, optimization)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = logging.StreamHandler()
    handler.setFormatter(_BySecond("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines hold addresses
    return create_app(load_settings())


def city_api_description() -> dict[str, object]:
    """The City API as OpenAPI 3.1; the file in the repository is made of it."""
    app = FastAPI()
    app.include_router(city_api.token_router)
    app.include_router(city_api.router)
    app.include_router(webhooks.router)
    description: dict[str, object] = get_openapi(
        title="Stadtnachweis City API",
        version="1",
        summary="Offers and credentials of a city",
        routes=app.routes,
    )
    components = description["components"]
    assert isinstance(components, dict)
    schemas = components["schemas"]
    reference = "#/components/schemas/{model}"
    for model in (ProblemAnswer, ProblemError):
        schema = model.model_json_schema(ref_template=reference)
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key of the tenant."},
        "clientCredentials": {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": "/api/v1/token", "scopes": {}}},
        },
    }
    description["security"] = [{"apiKey": []}, {"clientCredentials": []}]
    return description


async def _healthz(service: Service) -> JSONResponse:
    """Whether this worker and its database answer."""
    try:
        async with service.store.reading() as session:
            await session.exec(select(Tenant.id).limit(1))
    except (SQLAlchemyError, OSError):
        return JSONResponse({"status": "database unreachable"}, 503)
    return JSONResponse({"status": "ok"})


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: IssuerService = app.state.service
    gc.collect()
    gc.freeze()  # what is there now stays, and need not be looked through again and again
    beside = [asyncio.create_task(work(service)) for work in (_keep_house, _deliver)]
    lists = Background(
        [service.providers.refresh], on_error=lambda error: _LOG.error("trust lists: %s", type(error).__name__)
    )
    lists.start()
    try:
        yield
    finally:
        await asyncio.to_thread(lists.stop)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        service.outgoing.close()
        await service.store.close()


async def _keep_house(service: IssuerService) -> None:
    interval = service.settings.housekeeping_interval
    while True:
        # workers that were started together don't sweep together
        await asyncio.sleep(interval * random.uniform(0.5, 1.0))  # noqa: S311 no secret
        try:
            async with service.store.transaction() as session:
                await sweep(session, now=service.clock())
            await service.courier.forget()
        except (SQLAlchemyError, OSError) as error:
            _LOG.warning("housekeeping failed: %s; tried again in %d s", type(error).__name__, interval)
        except Exception as error:  # noqa: BLE001 a defect of ours must not end this work for good
            _LOG.error("housekeeping met a defect: %s; tried again in %d s", type(error).__name__, interval)


async def _deliver(service: IssuerService) -> None:
    """Carry webhooks; while something is due there is no pause."""
    while True:
        try:
            tried = await service.courier.run_once()
        except (SQLAlchemyError, OSError) as error:
            _LOG.warning("webhooks were not delivered: %s; tried again", type(error).__name__)
            tried = 0
        except Exception as error:  # noqa: BLE001 see above
            _LOG.error("delivering webhooks met a defect: %s; tried again", type(error).__name__)
            tried = 0
        if not tried:
            await asyncio.sleep(service.settings.webhook_interval * random.uniform(0.5, 1.0))  # noqa: S311 no secret
