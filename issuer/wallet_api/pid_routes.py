"""The pages of a login by PID: a link for this device, a picture for another one, and the way back."""

import re

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from issuer.grants.logins import OpenLogin, begin_upstream, see_upstream
from issuer.http.dependencies import Service, TenantOfPath
from issuer.login.pid import PROCEDURE, RETURN_PATH, PidUnusable, person_of
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.browser_logins import (
    BrowserRoute,
    PageRefused,
    cookie_name,
    logged_in,
    login_of_cookie,
    page_of,
    same_language,
)
from issuer.wallet_api.pages import pid_page
from specs.encoding.strict_json import JsonObject
from specs.refusal import Refusal
from verifier import AsyncVerifier, Flow, Outcome, Question
from verifier.request import qr_svg

_COOKIE = re.compile(cookie_name("([0-9a-f]{20})"))
_MOST_LOGINS = 20  # of one browser at one time

router = APIRouter(prefix="/t/{tenant}", route_class=BrowserRoute, include_in_schema=False)


async def ask_for_pid(service: IssuerService, tenant: ActiveTenant, login: OpenLogin, request: Request) -> Response:
    """Ask twice, for a wallet on this device and on another one; the first good answer logs in."""
    verifier = _verifier(service, tenant)
    same, cross = [await verifier.ask(PROCEDURE, flow=flow) for flow in (Flow.SAME_DEVICE, Flow.CROSS_DEVICE)]
    asked: JsonObject = {"same": _kept(same), "cross": _kept(cross)}
    async with service.store.transaction() as session:
        if not await begin_upstream(session, login, upstream=asked, sealer=tenant.sealer, now=service.clock()):
            raise PageRefused("login_over")
    target = same_language(request, f"/t/{tenant.id}/login/{login.browser.handle}/pid")
    return RedirectResponse(target, 303, headers={"Cache-Control": "no-store"})


@router.get("/login/{handle}/pid")
async def wait_for_pid(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """The page that waits; it looks again by itself, and goes on once the other device has answered."""
    verifier = _verifier(service, tenant)
    login, asked = await _asked(service, tenant, handle, request)
    try:
        if await verifier.is_answered(asked["cross"]["id"]):
            outcome = await verifier.result(asked["cross"]["id"], session_secret=asked["cross"]["secret"])
            return await _go_on(service, tenant, login, outcome, request)
        link = await verifier.fresh_link(asked["same"]["page"])
    except Refusal:
        raise PageRefused("login_over") from None
    here = request.url.path
    return pid_page(page_of(tenant, request), link=link, picture=f"{here}/qr.svg", here=same_language(request, here))


@router.get("/login/{handle}/pid/qr.svg")
async def picture(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """A fresh link for the wallet on another device."""
    verifier = _verifier(service, tenant)
    _, asked = await _asked(service, tenant, handle, request)
    try:
        link = await verifier.fresh_link(asked["cross"]["page"])
    except Refusal:
        raise PageRefused("login_over") from None
    return Response(qr_svg(link), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@router.get(RETURN_PATH)
async def come_back(service: Service, tenant: TenantOfPath, request: Request, response_code: str = "") -> Response:
    """The wallet on this device sends its holder back; the login that asked is found among this browser's."""
    verifier = _verifier(service, tenant)
    handles = [found[1] for name in request.cookies if (found := _COOKIE.fullmatch(name))]
    for handle in handles[:_MOST_LOGINS]:
        try:
            login, asked = await _asked(service, tenant, handle, request)
            outcome = await verifier.result(
                asked["same"]["id"], session_secret=asked["same"]["secret"], response_code=response_code
            )
        except (PageRefused, Refusal):
            continue
        return await _go_on(service, tenant, login, outcome, request)
    raise PageRefused("login_over")


async def _go_on(
    service: IssuerService, tenant: ActiveTenant, login: OpenLogin, outcome: Outcome, request: Request
) -> Response:
    arranged = tenant.arranged.login.pid
    if arranged is None or not outcome.verdict.accepted:
        raise PageRefused("login_failed", 403)
    try:
        person = person_of(arranged, outcome.verdict)
    except PidUnusable:
        raise PageRefused("login_failed", 403) from None
    return await logged_in(service, tenant, login, person, request)


async def _asked(
    service: IssuerService, tenant: ActiveTenant, handle: str, request: Request
) -> tuple[OpenLogin, dict[str, dict[str, str]]]:
    login = await login_of_cookie(service, tenant, handle, request)
    async with service.store.reading() as session:
        kept = await see_upstream(session, login, sealer=tenant.sealer, now=service.clock())
    if kept is None or set(kept) != {"same", "cross"}:
        raise PageRefused("login_over")
    return login, {
        flow: {name: str(value) for name, value in each.items()}
        for flow, each in kept.items()
        if isinstance(each, dict)
    }


def _verifier(service: IssuerService, tenant: ActiveTenant) -> AsyncVerifier:
    verifier = service.pid.of(tenant.id)
    if verifier is None:
        raise PageRefused("invalid_request")
    return verifier


def _kept(question: Question) -> JsonObject:
    return {"id": question.id, "secret": question.session_secret, "page": question.page}
