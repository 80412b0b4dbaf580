"""The pushed request, and the pages that a browser sees: login and consent, served whole, without script."""

import hmac

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from issuer.grants.logins import OpenLogin, begin_login, count_failed_login
from issuer.http.dependencies import Service, TenantOfPath
from issuer.login import LoginProvider, Person
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.authorization import approve, collectable_by, pushed_answer, refuse
from issuer.wallet_api.browser_logins import (
    BrowserRoute,
    PageRefused,
    cookie_name,
    logged_in,
    login_of_cookie,
    page_of,
    same_language,
    with_cookie,
)
from issuer.wallet_api.collection_routes import client_headers
from issuer.wallet_api.openid_routes import leave_for_provider, upstream_targets
from issuer.wallet_api.pages import ConsentCredential, LoginWays, consent_page, login_page
from issuer.wallet_api.pid_routes import ask_for_pid
from issuer.wallet_api.wire import WalletRoute, form_body
from specs.encoding import strict_json
from specs.protocols.oauth import build_pushed_answer, parse_form

_MAX_INPUT_CHARACTERS = 200

push_router = APIRouter(prefix="/t/{tenant}", route_class=WalletRoute, tags=["wallets"])
browser_router = APIRouter(prefix="/t/{tenant}", route_class=BrowserRoute, include_in_schema=False)


@push_router.post("/par", status_code=201)
async def push(service: Service, tenant: TenantOfPath, request: Request) -> Response:
    """RFC 9126 §2, OpenID4VCI §5.1.4."""
    answer = await pushed_answer(service, tenant, body=await form_body(request), headers=client_headers(request))
    return Response(
        strict_json.dumps(build_pushed_answer(answer)),
        status_code=201,
        media_type="application/json",
        headers={"Cache-Control": "no-cache, no-store"},
    )


@browser_router.get("/authorize")
async def authorize(service: Service, tenant: TenantOfPath, request: Request) -> Response:
    """OpenID4VCI §5.1.4: a pushed request opens a login of its own in this browser."""
    query = parse_form(request.url.query.encode())
    client_id, request_uri = query.get("client_id"), query.get("request_uri")
    if client_id is None or "\x00" in client_id or request_uri is None:
        raise PageRefused("invalid_request")
    async with service.store.transaction() as session:
        browser = await begin_login(
            session,
            tenant_id=tenant.id,
            client_id=client_id,
            request_uri=request_uri,
            now=service.clock(),
            lifetime=service.settings.login_lifetime,
        )
    if browser is None:
        raise PageRefused("invalid_request_uri")
    return with_cookie(service, tenant, browser, to=same_language(request, f"/t/{tenant.id}/login/{browser.handle}"))


@browser_router.get("/login/{handle}")
async def show_login(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """The login form."""
    login = await login_of_cookie(service, tenant, handle, request)
    if login.person is not None:
        return RedirectResponse(same_language(request, f"/t/{tenant.id}/consent/{handle}"), 303)
    return _login_form(service, tenant, login, request, failed=False)


@browser_router.post("/login/{handle}")
async def do_login(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """Log in, or cancel."""
    login = await login_of_cookie(service, tenant, handle, request)
    form = await _checked_form(service, login, request)
    if form.get("decision") == "deny":
        return RedirectResponse(await refuse(service, tenant, login), 303)
    if form.get("decision") == "pid":
        return await ask_for_pid(service, tenant, login, request)
    if form.get("decision") == "openid":
        return await leave_for_provider(service, tenant, login)
    username, password = form.get("username", ""), form.get("password", "")
    too_long = max(len(username), len(password)) > _MAX_INPUT_CHARACTERS
    person = None if too_long else await _provider(service).authenticate(username=username, password=password)
    if person is None:
        async with service.store.transaction() as session:
            await count_failed_login(session, login)
        return _login_form(service, tenant, login, request, failed=True)
    return await logged_in(service, tenant, login, person, request)


@browser_router.get("/consent/{handle}")
async def show_consent(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """What would be loaded into which wallet."""
    login = await login_of_cookie(service, tenant, handle, request)
    person = _person(login)
    page = page_of(tenant, request)
    collectable = await collectable_by(service, tenant, login.request, person, now=service.clock())
    credentials = [
        ConsentCredential(
            each.configuration.credential_type.display_name(page.locale),
            tuple(
                claim.display.en if page.locale == "en" else claim.display.de
                for claim in each.configuration.credential_type.claims
                if (claim.is_fixed or claim.mandatory if each.claims is None else claim.name in each.claims)
            ),
        )
        for each in collectable
    ]
    return consent_page(
        page,
        action=same_language(request, request.url.path),
        csrf_token=login.browser.csrf_token,
        redirect_uri=login.request.redirect_uri,
        wallet=login.request.client_id,
        credentials=credentials,
    )


@browser_router.post("/consent/{handle}")
async def decide(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """Agree or decline; either ends the request, and the browser goes back to the wallet."""
    login = await login_of_cookie(service, tenant, handle, request)
    form = await _checked_form(service, login, request)
    person = _person(login)
    match form.get("decision"):
        case "approve":
            target = await approve(service, tenant, login, person, locale=page_of(tenant, request).locale)
        case "deny":
            target = await refuse(service, tenant, login)
        case _:
            raise PageRefused("invalid_request")
    response = RedirectResponse(target, 303)
    response.delete_cookie(cookie_name(handle), path=f"/t/{tenant.id}/")
    return response


async def _checked_form(service: IssuerService, login: OpenLogin, request: Request) -> dict[str, str]:
    """A form that came from our own page in this browser."""
    form = parse_form(await form_body(request))
    origin = request.headers.get("origin")
    # our pages send no referrer, which makes the origin of their own forms "null" in some browsers
    from_elsewhere = origin not in (None, "null", service.settings.public_url)
    given = form.get("csrf_token", "").encode()
    if from_elsewhere or not hmac.compare_digest(given, login.browser.csrf_token.encode()):
        raise PageRefused("login_over", 403)
    return form


def _person(login: OpenLogin) -> Person:
    if login.person is None:
        raise PageRefused("login_over")
    return login.person


def _provider(service: IssuerService) -> LoginProvider:
    if service.login is None:
        raise PageRefused("temporarily_unavailable", 503)
    return service.login


def _login_form(
    service: IssuerService, tenant: ActiveTenant, login: OpenLogin, request: Request, *, failed: bool
) -> Response:
    return login_page(
        page_of(tenant, request),
        action=same_language(request, request.url.path),
        csrf_token=login.browser.csrf_token,
        targets=(login.request.redirect_uri, *upstream_targets(tenant)),
        ways=LoginWays(
            password=service.login is not None,
            openid=tenant.arranged.login.openid is not None,
            pid=service.pid.of(tenant.id) is not None,
        ),
        failed=failed,
    )
