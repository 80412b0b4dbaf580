"""The pushed request, and the pages that a browser sees: login and consent, served whole, without script."""

import hmac
from collections.abc import Callable, Coroutine
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse

from issuer.claims_source import SourceUnavailable
from issuer.grants.authorization import (
    BrowserLogin,
    OpenLogin,
    begin_login,
    count_failed_login,
    find_login,
    is_offered_to,
    log_in,
)
from issuer.http.dependencies import Service, TenantOfPath, service_of
from issuer.login import LoginProvider, Person
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.authorization import CannotComplete, approve, collectable_by, pushed_answer, refuse
from issuer.wallet_api.collection_routes import client_headers
from issuer.wallet_api.pages import (
    LANGUAGES,
    ConsentCredential,
    Page,
    choose_locale,
    consent_page,
    error_page,
    login_page,
)
from issuer.wallet_api.wire import WalletRoute, form_body
from specs.encoding import strict_json
from specs.protocols.oauth import OAuthError, build_pushed_answer, parse_form

_MAX_INPUT_CHARACTERS = 200


class PageRefused(Exception):
    """What a browser asked for can't be shown. code: a key of the texts' `messages`."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class BrowserRoute(APIRoute):
    """Renders refusals as pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """See `APIRoute`."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except PageRefused as refusal:
                return await _refusal_page(request, code=refusal.code, status=refusal.status)
            except CannotComplete:
                return await _refusal_page(request, code="invalid_request_uri", status=400)
            except OAuthError as error:
                return await _refusal_page(request, code="invalid_request", status=error.status)
            except SourceUnavailable as unavailable:
                page = await _refusal_page(request, code="temporarily_unavailable", status=503)
                page.headers["Retry-After"] = str(unavailable.retry_after)
                return page

        return handle


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
    return _with_cookie(service, tenant, browser, to=_same_language(request, f"/t/{tenant.id}/login/{browser.handle}"))


@browser_router.get("/login/{handle}")
async def show_login(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """The login form."""
    login = await _login(service, tenant, handle, request)
    if login.subject is not None:
        return RedirectResponse(_same_language(request, f"/t/{tenant.id}/consent/{handle}"), 303)
    return _login_form(tenant, login, request, failed=False)


@browser_router.post("/login/{handle}")
async def do_login(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """Log in, or cancel."""
    login = await _login(service, tenant, handle, request)
    form = await _checked_form(service, login, request)
    if form.get("decision") == "deny":
        return RedirectResponse(await refuse(service, tenant, login), 303)
    username, password = form.get("username", ""), form.get("password", "")
    too_long = max(len(username), len(password)) > _MAX_INPUT_CHARACTERS
    person = None if too_long else await _provider(service).authenticate(username=username, password=password)
    if person is None:
        async with service.store.transaction() as session:
            await count_failed_login(session, login)
        return _login_form(tenant, login, request, failed=True)
    await _refuse_other_person(service, tenant, login, person)
    async with service.store.transaction() as session:
        browser = await log_in(session, login, subject=person.reference, sealer=tenant.sealer, now=service.clock())
    if browser is None:
        raise PageRefused("login_over")
    response = _with_cookie(
        service, tenant, browser, to=_same_language(request, f"/t/{tenant.id}/consent/{browser.handle}")
    )
    response.delete_cookie(_cookie_name(handle), path=f"/t/{tenant.id}/")
    return response


@browser_router.get("/consent/{handle}")
async def show_consent(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """What would be loaded into which wallet."""
    login = await _login(service, tenant, handle, request)
    person = await _person(service, login)
    page = _page(tenant, request)
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
        action=_same_language(request, request.url.path),
        csrf_token=login.browser.csrf_token,
        redirect_uri=login.request.redirect_uri,
        wallet=login.request.client_id,
        credentials=credentials,
    )


@browser_router.post("/consent/{handle}")
async def decide(service: Service, tenant: TenantOfPath, handle: str, request: Request) -> Response:
    """Agree or decline; either ends the request, and the browser goes back to the wallet."""
    login = await _login(service, tenant, handle, request)
    form = await _checked_form(service, login, request)
    person = await _person(service, login)
    match form.get("decision"):
        case "approve":
            target = await approve(service, tenant, login, person, locale=_page(tenant, request).locale)
        case "deny":
            target = await refuse(service, tenant, login)
        case _:
            raise PageRefused("invalid_request")
    response = RedirectResponse(target, 303)
    response.delete_cookie(_cookie_name(handle), path=f"/t/{tenant.id}/")
    return response


async def _login(service: IssuerService, tenant: ActiveTenant, handle: str, request: Request) -> OpenLogin:
    """The login that this browser began and that its address names."""
    cookie = request.cookies.get(_cookie_name(handle))
    if cookie is None or BrowserLogin(cookie).handle != handle:
        raise PageRefused("login_over")
    async with service.store.reading() as session:
        login = await find_login(session, tenant_id=tenant.id, cookie=cookie, sealer=tenant.sealer, now=service.clock())
    if login is None:
        raise PageRefused("login_over")
    return login


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


async def _person(service: IssuerService, login: OpenLogin) -> Person:
    person = None if login.subject is None else await _provider(service).person(login.subject)
    if person is None:
        raise PageRefused("login_over")
    return person


async def _refuse_other_person(service: IssuerService, tenant: ActiveTenant, login: OpenLogin, person: Person) -> None:
    offer_id = login.request.offer_id
    if offer_id is None:
        return
    pseudonym = service.secrets.pseudonym(person.reference, tenant_id=tenant.id)
    async with service.store.reading() as session:
        if not await is_offered_to(session, tenant_id=tenant.id, offer_id=offer_id, pseudonym=pseudonym):
            raise PageRefused("wrong_person", 403)


def _provider(service: IssuerService) -> LoginProvider:
    if service.login is None:
        raise PageRefused("temporarily_unavailable", 503)
    return service.login


def _login_form(tenant: ActiveTenant, login: OpenLogin, request: Request, *, failed: bool) -> Response:
    return login_page(
        _page(tenant, request),
        action=_same_language(request, request.url.path),
        csrf_token=login.browser.csrf_token,
        redirect_uri=login.request.redirect_uri,
        failed=failed,
    )


def _page(tenant: ActiveTenant, request: Request, *, can_be_fetched_again: bool = True) -> Page:
    asked = request.query_params.get("lang")
    locale = choose_locale(asked=asked, accept_language=request.headers.get("accept-language"), default=tenant.locale)
    here = request.url.path if can_be_fetched_again else None
    return Page(f"/t/{tenant.id}", tenant.name, locale, here)


def _same_language(request: Request, path: str) -> str:
    """The next address, with the language that was clicked on."""
    asked = request.query_params.get("lang")
    return f"{path}?lang={asked}" if asked in LANGUAGES else path


async def _refusal_page(request: Request, *, code: str, status: int) -> Response:
    tenant = await service_of(request).tenants.find(request.path_params["tenant"])
    assert tenant is not None, "a refusal of a page comes from behind its tenant"
    return error_page(_page(tenant, request, can_be_fetched_again=False), code=code, status=status)


def _with_cookie(service: IssuerService, tenant: ActiveTenant, browser: BrowserLogin, *, to: str) -> Response:
    response = RedirectResponse(to, 303, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        _cookie_name(browser.handle),
        browser.cookie,
        max_age=service.settings.login_lifetime,
        path=f"/t/{tenant.id}/",
        secure=urlsplit(service.settings.public_url).scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


def _cookie_name(handle: str) -> str:
    return f"login-{handle}"
