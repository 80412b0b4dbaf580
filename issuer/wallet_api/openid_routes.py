"""The way to the tenant's OpenID Provider and back: the browser leaves with a state, and must return with it."""

import hmac
import logging
import re

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from issuer.grants.logins import OpenLogin, begin_upstream, take_upstream
from issuer.http.dependencies import Service, TenantOfPath
from issuer.login.openid import LoginRefused, ProviderUnavailable, Started
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.browser_logins import BrowserRoute, PageRefused, logged_in, login_of_cookie
from specs.protocols.oauth import OAuthError, parse_form

CALLBACK_PATH = "/openid/callback"
_HANDLE = re.compile(r"[0-9a-f]{20}")
_LOG = logging.getLogger("issuer")

router = APIRouter(prefix="/t/{tenant}", route_class=BrowserRoute, include_in_schema=False)


async def leave_for_provider(service: IssuerService, tenant: ActiveTenant, login: OpenLogin) -> Response:
    """Send the browser to the provider; what it must bring back is sealed with its login."""
    arranged = tenant.arranged.login.openid
    if arranged is None:
        raise PageRefused("invalid_request")
    try:
        target, started = await service.openid.begin(
            arranged, redirect_uri=f"{tenant.issuer_url}{CALLBACK_PATH}", handle=login.browser.handle
        )
    except ProviderUnavailable as error:
        _LOG.warning("the OpenID Provider of %s is not available: %s", tenant.id, error)
        raise PageRefused("temporarily_unavailable", 503) from None
    async with service.store.transaction() as session:
        if not await begin_upstream(
            session, login, upstream=started.to_json(), sealer=tenant.sealer, now=service.clock()
        ):
            raise PageRefused("login_over")
    return RedirectResponse(target, 303, headers={"Cache-Control": "no-store"})


def upstream_targets(tenant: ActiveTenant) -> tuple[str, ...]:
    """Where the login form may lead beside the wallet: browsers hold `form-action` against the redirect as well."""
    arranged = tenant.arranged.login.openid
    if arranged is None:
        return ()
    return (arranged.issuer, *arranged.form_targets)


@router.get(CALLBACK_PATH)
async def come_back(service: Service, tenant: TenantOfPath, request: Request) -> Response:
    """OpenID Connect Core §3.1.2.5: the answer counts in the browser that left, once, with the state that it took."""
    arranged = tenant.arranged.login.openid
    try:
        query = parse_form(request.url.query.encode())
    except OAuthError:
        raise PageRefused("login_failed") from None
    state = query.get("state", "")
    handle = state.partition(".")[0]
    if arranged is None or not _HANDLE.fullmatch(handle):
        raise PageRefused("login_over")
    login = await login_of_cookie(service, tenant, handle, request)
    async with service.store.transaction() as session:
        kept = await take_upstream(session, login, sealer=tenant.sealer, now=service.clock())
    if kept is None:
        raise PageRefused("login_over")
    started = Started.from_json(kept)
    if not hmac.compare_digest(state.encode(), started.state.encode()):
        raise PageRefused("login_over")
    if "code" not in query or "error" in query:
        raise PageRefused("login_failed", 403)
    try:
        person = await service.openid.finish(
            arranged,
            started,
            code=query["code"],
            iss=query.get("iss"),
            redirect_uri=f"{tenant.issuer_url}{CALLBACK_PATH}",
            now=service.clock(),
        )
    except LoginRefused as error:
        _LOG.warning("a login at the OpenID Provider of %s was refused: %s", tenant.id, error.reason)
        raise PageRefused("login_failed", 403) from None
    except ProviderUnavailable as error:
        _LOG.warning("the OpenID Provider of %s is not available: %s", tenant.id, error)
        raise PageRefused("temporarily_unavailable", 503) from None
    return await logged_in(service, tenant, login, person, request)
