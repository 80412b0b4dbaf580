"""The wallet's application: on 127.0.0.1 alone, under names of this machine alone."""

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response

from wallet_sim.web.attended import attended_router
from wallet_sim.web.flows import Flows
from wallet_sim.web.page_questions import page_question_router
from wallet_sim.web.pages import asset, error_page, shown_of
from wallet_sim.web.refusals import Refused
from wallet_sim.web.settings import Served
from wallet_sim.web.unattended import unattended_router

HOSTS = ("127.0.0.1", "localhost")
_ASSETS = {
    "wallet.css": "text/css; charset=utf-8",
    "wallet.js": "text/javascript; charset=utf-8",
    "manifest.webmanifest": "application/manifest+json",
    "icon.svg": "image/svg+xml",
    "icon-192.png": "image/png",
    "icon-512.png": "image/png",
}
_CODES = {400: "malformed", 403: "not_this_page", 411: "malformed", 413: "too_large"}
_KEPT = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}


def create_app(served: Served, *, unattended: bool = True, hosts: tuple[str, ...] = HOSTS) -> FastAPI:
    """Pages for a person, or addresses for a test suite. hosts: names that a browser may call it by."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    # a page of a stranger whose name resolves to this machine has another Host
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    flows = Flows()
    app.include_router(unattended_router(served) if unattended else attended_router(served, flows))
    app.include_router(page_question_router(served, flows, unattended=unattended))

    @app.get("/assets/{name}", include_in_schema=False)
    async def asset_file(name: str) -> Response:
        """What pages load; nothing comes from elsewhere."""
        if name not in _ASSETS:
            raise HTTPException(404)
        return Response(asset(name), media_type=_ASSETS[name], headers=_KEPT)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> JSONResponse:
        """Up."""
        return JSONResponse({"status": "ok"})

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        what = Refused(_CODES.get(error.status_code, "not_found"), str(error.detail))
        return error_page(shown_of(request), what, status=error.status_code, back="/")

    app.add_exception_handler(HTTPException, refused)
    return app
