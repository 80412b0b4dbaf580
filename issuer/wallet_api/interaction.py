"""Interactive Authorization: a wallet logs its holder in by presenting a PID, without a browser (OpenID4VCI 1.1 §6).

The draft's state of 24 June 2026. A session of it is a login like a browser's, and its presentation a transaction of
the embedded verifier, so that each is answered once. A wallet that can't present is sent to the web.
"""

from issuer.claims_source import SourceUnavailable
from issuer.grants.logins import BrowserLogin, OpenLogin, begin_login, begin_upstream, find_login, see_upstream
from issuer.grants.once import happen_first, proofs_shown
from issuer.login.pid import INTERACTIVE_PROCEDURE, PidUnusable, person_of
from issuer.secrets_at_rest import digest
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.authorization import CannotComplete, check_request, granted_code, refuse, store_request
from issuer.wallet_api.client_proofs import ClientHeaders, Sender, identify
from issuer.wallet_api.rules import CHALLENGE_PATH
from issuer.wallet_api.wire import ComeAgain
from specs.encoding.strict_json import JsonObject
from specs.protocols.interactive_authorization import (
    INVALID_SESSION,
    MISSING_INTERACTION_TYPE,
    PRESENTATION,
    VIA_WEB,
    InteractionRequired,
    derived_origin,
    parse_intermediate_request,
    parse_supported_interactions,
)
from specs.protocols.oauth import ACCESS_DENIED, INVALID_REQUEST, OAuthError
from specs.protocols.openid4vp import DcApiProtocol
from specs.refusal import Refusal
from verifier import AsyncVerifier, Flow

_ACCEPTED = 200


async def begin_interaction(
    service: IssuerService, tenant: ActiveTenant, *, body: bytes, headers: ClientHeaders
) -> InteractionRequired:
    """Answer an initial request by what must happen next (§6.1.1, §6.2.1).

    Raises:
        OAuthError: as for a pushed request, or `missing_interaction_type`.
    """
    offered = parse_supported_interactions(body)
    now = service.clock()
    checked = check_request(service, tenant, body=body, headers=headers, path=CHALLENGE_PATH, now=now)
    presents = PRESENTATION in offered
    via_web = VIA_WEB in offered and checked.parsed.redirect_uri.startswith("https://")
    if not presents and not via_web:
        raise OAuthError(MISSING_INTERACTION_TYPE, f"one of {PRESENTATION} and {VIA_WEB} is needed")
    question = await _verifier(service, tenant).ask(INTERACTIVE_PROCEDURE, flow=Flow.SAME_DEVICE) if presents else None
    async with service.store.transaction() as session:
        request, request_uri = await store_request(service, tenant, session, checked)
        browser = await begin_login(
            session,
            tenant_id=tenant.id,
            client_id=request.client_id,
            request_uri=request_uri,
            now=now,
            lifetime=service.settings.login_lifetime,
        )
        assert browser is not None, "the request was stored in this transaction"
        if question is not None:
            login = OpenLogin(browser, digest(request_uri), request, None)
            asked: JsonObject = {"interactive": {"id": question.id, "secret": question.session_secret}}
            await begin_upstream(session, login, upstream=asked, sealer=tenant.sealer, now=now)
    if question is None:
        lifetime = service.settings.request_uri_lifetime
        return InteractionRequired(VIA_WEB, browser.cookie, request_uri=request_uri, expires_in=lifetime)
    return InteractionRequired(PRESENTATION, browser.cookie, openid4vp_request={**question.dc_api[0].data})


async def go_on_with_interaction(
    service: IssuerService, tenant: ActiveTenant, *, body: bytes, headers: ClientHeaders
) -> str:
    """Answer an intermediate request by a code (§6.1.2, §6.2.1.1, §6.2.1.4).

    An answer that can't be opened leaves the session as it is; one that can be ends it, good or bad.

    Raises:
        OAuthError: `invalid_session`: unknown, over, used, or another wallet's; `invalid_request`: no answer to this
            question; `access_denied`: declined, not believed, or nothing to collect for this person.
    """
    request = parse_intermediate_request(body)
    now = service.clock()
    sender = identify(
        service,
        tenant,
        headers,
        path=CHALLENGE_PATH,
        client_id=request.client_id,
        assertion=request.client_assertion,
        now=now,
        dpop_required=False,
    )
    async with service.store.transaction() as session:
        await happen_first(session, proofs_shown(tenant.id, sender.shown))
        cookie = BrowserLogin(request.auth_session).cookie
        login = await find_login(session, tenant_id=tenant.id, cookie=cookie, sealer=tenant.sealer, now=now)
        kept = None if login is None else await see_upstream(session, login, sealer=tenant.sealer, now=now)
    asked = None if kept is None else kept.get("interactive")
    if login is None or not isinstance(asked, dict) or not _is_same_wallet(login, sender):
        raise OAuthError(INVALID_SESSION, "the auth_session is not, or no longer, this wallet's")
    verifier, transaction_id, secret = _verifier(service, tenant), str(asked["id"]), str(asked["secret"])
    receipt = await verifier.receive_dc_api(
        transaction_id,
        session_secret=secret,
        origin=derived_origin(tenant.issuer_url),
        response={"protocol": DcApiProtocol.SIGNED.value, "data": request.presented},
    )
    try:
        outcome = await verifier.result(transaction_id, session_secret=secret)
    except Refusal:
        if receipt.status == _ACCEPTED:
            raise  # nobody but us takes the outcome
        raise OAuthError(INVALID_REQUEST, "openid4vp_response is no answer to this question") from None
    arranged = tenant.arranged.login.pid
    code = None
    if arranged is not None and outcome.verdict.accepted:
        try:
            person = person_of(arranged, outcome.verdict)
            code = await granted_code(service, tenant, login, person, locale=tenant.locale)
        except SourceUnavailable as error:
            raise ComeAgain(error.retry_after) from error
        except (PidUnusable, CannotComplete):
            code = None
    if code is None:
        await _end(service, tenant, login)
        raise OAuthError(ACCESS_DENIED, "the presentation does not lead to a credential")
    return code


async def _end(service: IssuerService, tenant: ActiveTenant, login: OpenLogin) -> None:
    try:
        await refuse(service, tenant, login)
    except CannotComplete:
        return  # it is over already


def _is_same_wallet(login: OpenLogin, sender: Sender) -> bool:
    """Whether the wallet that goes on is the one that began: session fixation ends here (§6.2.1.4)."""
    request = login.request
    return (
        sender.client.client_id == request.client_id
        and sender.client.instance_jkt == request.instance_jkt
        and request.dpop_jkt in (None, sender.dpop_jkt)
    )


def _verifier(service: IssuerService, tenant: ActiveTenant) -> AsyncVerifier:
    verifier = service.pid.of(tenant.id)
    assert verifier is not None, "who offers interaction has arranged a login by PID"
    return verifier
