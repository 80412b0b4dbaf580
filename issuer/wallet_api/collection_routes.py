"""What wallets call most: token, nonce and challenge, credentials, notifications."""

import logging

from fastapi import HTTPException, Request, Response

from issuer.grants.notifications import note_event, owns_notification_id
from issuer.grants.once import happen_first, proofs_shown
from issuer.grants.tokens import find_live_token
from issuer.nonces import NoncePurpose
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.access import authorized, parse_authorization
from issuer.wallet_api.client_proofs import ClientHeaders
from issuer.wallet_api.credential import issue_credentials
from issuer.wallet_api.deferral import DEFERRED_PATH, answer_deferred, offers_deferral
from issuer.wallet_api.envelope import read_message, sealed_answer
from issuer.wallet_api.token import token_answer
from issuer.wallet_api.wire import NO_STORE, form_body, json_answer, json_body, nonces_of, wallet_endpoint
from specs.protocols.client_attestation import ATTESTATION_HEADER, ATTESTATION_POP_HEADER, build_challenge_answer
from specs.protocols.dpop import DPOP_HEADER
from specs.protocols.oauth import INVALID_TOKEN, OAuthError, build_token_answer
from specs.protocols.openid4vci import (
    INVALID_NOTIFICATION_ID,
    INVALID_NOTIFICATION_REQUEST,
    build_nonce_answer,
    parse_notification,
)
from verifier.adapters.direct_routes import DirectRoute

_LOG = logging.getLogger("issuer")


def client_headers(request: Request) -> ClientHeaders:
    """The headers by which a wallet proves who it is."""
    return ClientHeaders(
        attestations=request.headers.getlist(ATTESTATION_HEADER),
        pops=request.headers.getlist(ATTESTATION_POP_HEADER),
        dpop=request.headers.getlist(DPOP_HEADER),
    )


async def token(service: IssuerService, tenant: ActiveTenant, request: Request) -> Response:
    """OpenID4VCI §6: a code for an access token."""
    answer = await token_answer(service, tenant, body=await form_body(request), headers=client_headers(request))
    return json_answer(build_token_answer(answer))


async def credential(service: IssuerService, tenant: ActiveTenant, request: Request) -> Response:
    """OpenID4VCI §8: credentials for the keys that the request proves."""
    now = service.clock()
    access = await authorized(service, tenant, request, path="/credential", now=now)
    message = await read_message(service, tenant, request)
    answer, wanted = await issue_credentials(service, tenant, access=access, message=message, now=now)
    return sealed_answer(answer, wanted)


async def nonce(service: IssuerService, tenant: ActiveTenant, _request: Request) -> Response:
    """OpenID4VCI §7: a fresh value for key proofs; anybody may ask."""
    fresh = nonces_of(service).fresh(tenant=tenant.id, purpose=NoncePurpose.KEY_PROOF, now=service.clock())
    return json_answer(build_nonce_answer(fresh))


async def challenge(service: IssuerService, tenant: ActiveTenant, _request: Request) -> Response:
    """draft-ietf-oauth-attestation-based-client-auth-07 §8: a fresh value for client attestation proofs."""
    fresh = nonces_of(service).fresh(tenant=tenant.id, purpose=NoncePurpose.CLIENT_ATTESTATION, now=service.clock())
    return json_answer(build_challenge_answer(fresh))


async def deferred_credential(service: IssuerService, tenant: ActiveTenant, request: Request) -> Response:
    """OpenID4VCI §9: credentials that could not be issued at once, or the word that they are still not ready."""
    if not offers_deferral(tenant):
        raise HTTPException(404)
    now = service.clock()
    access = await authorized(service, tenant, request, path=DEFERRED_PATH, now=now)
    message = await read_message(service, tenant, request)
    answer, wanted = await answer_deferred(service, tenant, access=access, message=message, now=now)
    return sealed_answer(answer, wanted)


async def notification(service: IssuerService, tenant: ActiveTenant, request: Request) -> Response:
    """OpenID4VCI §11: what became of credentials in the wallet."""
    now = service.clock()
    if await _is_tolerated_bearer(service, tenant, request, now=now):
        return Response(status_code=204, headers=NO_STORE)
    access = await authorized(service, tenant, request, path="/notification", now=now)
    told = parse_notification(await json_body(request, error=INVALID_NOTIFICATION_REQUEST))
    async with service.store.transaction() as session:
        await happen_first(session, proofs_shown(tenant.id, access.shown))
        if not await owns_notification_id(session, access.token, told.notification_id):
            raise OAuthError(INVALID_NOTIFICATION_ID, "this notification_id did not come with this token")
        await note_event(session, access.token, told, now=now)
    return Response(status_code=204, headers=NO_STORE)


def _no_longer_valid() -> OAuthError:
    return OAuthError(INVALID_TOKEN, "the access token is not, or no longer, valid for this", 401)


async def _is_tolerated_bearer(service: IssuerService, tenant: ActiveTenant, request: Request, *, now: int) -> bool:
    """Some wallets notify with a bound token as Bearer: where a preset allows it: 204, and nothing changes."""
    if not tenant.profile.access_tokens.bearer_at_notification:
        return False
    scheme, access_token = parse_authorization(request.headers.getlist("authorization"))
    if scheme != "bearer":
        return False
    async with service.store.reading() as session:
        live = await find_live_token(session, tenant_id=tenant.id, access_token=access_token, now=now)
    if live is None:
        raise _no_longer_valid()
    if live.dpop_jkt is None:
        return False
    # read between the looks: whoever sends slowly holds no connection
    told = parse_notification(await json_body(request, error=INVALID_NOTIFICATION_REQUEST))
    async with service.store.reading() as session:
        if not await owns_notification_id(session, live, told.notification_id):
            raise _no_longer_valid()
    _LOG.info("tenant %s: a notification came with a bound token as Bearer; tolerated, nothing changed", tenant.id)
    return True


ROUTES = tuple(
    DirectRoute("POST", f"/t/{{tenant}}{path}", wallet_endpoint(endpoint))
    for path, endpoint in (
        ("/token", token),
        ("/nonce", nonce),
        ("/challenge", challenge),
        ("/credential", credential),
        (DEFERRED_PATH, deferred_credential),
        ("/notification", notification),
    )
)
