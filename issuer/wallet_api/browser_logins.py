"""What all pages of a login share: the cookie that holds it, its refusals as pages, and the step to consent."""

from collections.abc import Callable, Coroutine
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse

from issuer.claims_source import SourceUnavailable
from issuer.grants.login_offers import is_offered_to
from issuer.grants.logins import BrowserLogin, OpenLogin, find_login, log_in
from issuer.http.dependencies import service_of
from issuer.login import Person
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.authorization import CannotComplete
from issuer.wallet_api.pages import LANGUAGES, Page, choose_locale, error_page
from specs.protocols.oauth import OAuthError


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


async def login_of_cookie(service: IssuerService, tenant: ActiveTenant, handle: str, request: Request) -> OpenLogin:
    """The login that this browser began and that its address names."""
    cookie = request.cookies.get(cookie_name(handle))
    if cookie is None or BrowserLogin(cookie).handle != handle:
        raise PageRefused("login_over")
    async with service.store.reading() as session:
        login = await find_login(session, tenant_id=tenant.id, cookie=cookie, sealer=tenant.sealer, now=service.clock())
    if login is None:
        raise PageRefused("login_over")
    return login


async def logged_in(
    service: IssuerService, tenant: ActiveTenant, login: OpenLogin, person: Person, request: Request
) -> Response:
    """Note who logged in, under a new cookie, and go on to consent."""
    await _refuse_other_person(service, tenant, login, person)
    async with service.store.transaction() as session:
        browser = await log_in(session, login, person=person, sealer=tenant.sealer, now=service.clock())
    if browser is None:
        raise PageRefused("login_over")
    response = with_cookie(
        service, tenant, browser, to=same_language(request, f"/t/{tenant.id}/consent/{browser.handle}")
    )
    response.delete_cookie(cookie_name(login.browser.handle), path=f"/t/{tenant.id}/")
    return response


def page_of(tenant: ActiveTenant, request: Request, *, can_be_fetched_again: bool = True) -> Page:
    """What every page of a tenant shares, for this request."""
    asked = request.query_params.get("lang")
    locale = choose_locale(asked=asked, accept_language=request.headers.get("accept-language"), default=tenant.locale)
    here = request.url.path if can_be_fetched_again else None
    return Page(f"/t/{tenant.id}", tenant.name, locale, here)


def same_language(request: Request, path: str) -> str:
    """The next address, with the language that was clicked on."""
    asked = request.query_params.get("lang")
    return f"{path}?lang={asked}" if asked in LANGUAGES else path


def with_cookie(service: IssuerService, tenant: ActiveTenant, browser: BrowserLogin, *, to: str) -> Response:
    """Go on, with the cookie of a login."""
    response = RedirectResponse(to, 303, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        cookie_name(browser.handle),
        browser.cookie,
        max_age=service.settings.login_lifetime,
        path=f"/t/{tenant.id}/",
        secure=urlsplit(service.settings.public_url).scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


def cookie_name(handle: str) -> str:
    """Each login has a cookie of its own name, so that two at one time don't meet."""
    return f"login-{handle}"


async def _refuse_other_person(service: IssuerService, tenant: ActiveTenant, login: OpenLogin, person: Person) -> None:
    offer_id = login.request.offer_id
    if offer_id is None:
        return
    pseudonym = service.secrets.pseudonym(person.reference, tenant_id=tenant.id)
    async with service.store.reading() as session:
        if not await is_offered_to(session, tenant_id=tenant.id, offer_id=offer_id, pseudonym=pseudonym):
            raise PageRefused("wrong_person", 403)


async def _refusal_page(request: Request, *, code: str, status: int) -> Response:
    tenant = await service_of(request).tenants.find(request.path_params["tenant"])
    assert tenant is not None, "a refusal of a page comes from behind its tenant"
    return error_page(page_of(tenant, request, can_be_fetched_again=False), code=code, status=status)
