"""The addresses of the City API; each parses, calls one operation, answers."""

import base64
import binascii
from typing import Annotated
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from issuer.city_api import deferred, operations, renewal
from issuer.city_api.authentication import Caller, NotAuthenticated, authenticate_bearer, check_secret, issue_token
from issuer.city_api.idempotency import Answer
from issuer.city_api.models import (
    ArmedOfferAnswer,
    CredentialAnswer,
    DeferredAnswer,
    DeferredListAnswer,
    DenialRequest,
    ExpiringAnswer,
    ExpiringRequest,
    OfferAnswer,
    OfferRequest,
    RearmRequest,
    RenewalRequest,
    SearchAnswer,
    SearchRequest,
    StatusRequest,
    TokenAnswer,
)
from issuer.city_api.operations import Call
from issuer.city_api.problems import MEDIA_TYPE, Problem
from issuer.credentials import StatusChange
from issuer.http.dependencies import Service, service_of
from issuer.http.strict_json_route import StrictJsonRoute, StrictRequest, read_body
from issuer.store.tables import ClientKind, Role
from specs.protocols.oauth import OAuthError
from verifier.adapters.direct_routes import DirectRoute

PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}}}
    for status, text in (
        (400, "The body is no JSON, or the Idempotency-Key is malformed."),
        (401, "No API key or token, or one that does not hold."),
        (403, "The client may read only."),
        (404, "The tenant has no such thing."),
        (409, "The present state does not allow it, or the same request is under way."),
        (413, "The body is too large."),
        (415, "The body is not application/json."),
        (422, "The request does not fit; `errors` names the places."),
    )
}

router = APIRouter(prefix="/api/v1", route_class=StrictJsonRoute, tags=["City API"])
token_router = APIRouter(prefix="/api/v1", tags=["City API"])


async def caller_of(
    service: Service, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Caller:
    """Who calls; a missing or wrong credential is 401."""
    async with service.store.reading() as session:
        return await authenticate_bearer(
            session, authorization, token_key=service.secrets.city_token_key, now=service.clock()
        )


Reader = Annotated[Caller, Depends(caller_of)]


async def operator_of(caller: Reader) -> Caller:
    """Who calls, if they may change something; a viewer is 403."""
    if caller.role is not Role.OPERATOR:
        raise Problem(403, "role_insufficient", "this client may read only")
    return caller


Operator = Annotated[Caller, Depends(operator_of)]


async def call_of(
    request: Request,
    service: Service,
    caller: Operator,
    idempotency_key: Annotated[str | None, Header(description="Makes a repeat of the request safe.")] = None,
) -> Call:
    """A changing call, with what makes it repeatable."""
    return Call(
        service=service,
        caller=caller,
        method=request.method,
        path=request.url.path,
        key=idempotency_key,
        raw=await request.body(),
    )


Changing = Annotated[Call, Depends(call_of)]
Cursor = Annotated[str | None, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$")]


@token_router.post(
    "/token",
    response_model=TokenAnswer,
    operation_id="token",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["grant_type"],
                        "properties": {
                            "grant_type": {"const": "client_credentials"},
                            "client_id": {"type": "string"},
                            "client_secret": {"type": "string"},
                        },
                    }
                }
            },
        }
    },
)
async def token(
    request: Request,
    service: Service,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> TokenAnswer:
    """A token for client credentials, in the Authorization header (Basic) or the form (RFC 6749 §2.3.1, §4.4)."""
    client_id, secret = _client_credentials(await request.body(), authorization)
    now = service.clock()
    async with service.store.reading() as session:
        try:
            caller = await check_secret(session, client_id=client_id, secret=secret, kind=ClientKind.CLIENT_CREDENTIALS)
        except NotAuthenticated:
            raise OAuthError("invalid_client", "unknown client or wrong secret", 401) from None
    lifetime = service.settings.city_token_lifetime
    text = issue_token(caller, token_key=service.secrets.city_token_key, lifetime=lifetime, now=now)
    return TokenAnswer(access_token=text, expires_in=lifetime)


@router.post(
    "/offers", status_code=201, responses={**PROBLEMS, 201: {"model": ArmedOfferAnswer}}, operation_id="createOffer"
)
async def create_offer(body: OfferRequest, call: Changing) -> Response:
    """Make an offer that a person collects with a wallet."""
    return answered(await operations.make_offer(call, body))


async def create_offer_directly(request: Request) -> Response:
    """The same without the framework's way there, because nothing is called more often."""
    service = service_of(request)
    caller = await operator_of(await caller_of(service, request.headers.get("authorization")))
    strict = StrictRequest(request.scope, request.receive)
    call = await call_of(strict, service, caller, request.headers.get("idempotency-key"))
    return await create_offer(await read_body(strict, OfferRequest), call)


@router.get("/offers/{offer_id}", responses=PROBLEMS, response_model_exclude_none=True, operation_id="getOffer")
async def get_offer(offer_id: str, service: Service, caller: Reader) -> OfferAnswer:
    """What became of an offer."""
    return await operations.get_offer(service, caller, offer_id)


@router.delete("/offers/{offer_id}", responses=PROBLEMS, response_model_exclude_none=True, operation_id="cancelOffer")
async def cancel_offer(offer_id: str, service: Service, caller: Operator) -> OfferAnswer:
    """Cancel an offer from which nothing was issued."""
    return await operations.cancel(service, caller, offer_id)


@router.post(
    "/offers/{offer_id}/rearm", responses={**PROBLEMS, 200: {"model": ArmedOfferAnswer}}, operation_id="rearmOffer"
)
async def rearm_offer(offer_id: str, call: Changing, body: RearmRequest | None = None) -> Response:
    """Give an offer a new code, transaction code and address; the old ones end."""
    return answered(await operations.rearm(call, offer_id, body or RearmRequest()))


@router.post(
    "/credentials/search", responses=PROBLEMS, response_model_exclude_none=True, operation_id="searchCredentials"
)
async def search_credentials(body: SearchRequest, service: Service, caller: Reader) -> SearchAnswer:
    """Find the credentials of a person by the city's reference for them."""
    return await operations.search(service, caller, body)


@router.post("/credentials/expiring", responses=PROBLEMS, response_model_exclude_none=True, operation_id="listExpiring")
async def list_expiring(body: ExpiringRequest, service: Service, caller: Reader) -> ExpiringAnswer:
    """Find the valid credentials that end soon and that no open offer renews."""
    return await renewal.list_expiring(service, caller, body)


@router.post(
    "/credentials/{credential_id}/renew",
    status_code=201,
    responses={**PROBLEMS, 201: {"model": ArmedOfferAnswer}},
    operation_id="renewCredential",
)
async def renew_credential(credential_id: str, body: RenewalRequest, call: Changing) -> Response:
    """Offer further copies of a credential to the person who holds it."""
    return answered(await renewal.renew(call, credential_id, body))


@router.get("/credentials/{credential_id}", responses=PROBLEMS, operation_id="getCredential")
async def get_credential(credential_id: str, service: Service, caller: Reader) -> CredentialAnswer:
    """One credential and its status."""
    return await operations.get_credential(service, caller, credential_id)


@router.post(
    "/credentials/{credential_id}/revoke",
    responses={**PROBLEMS, 200: {"model": CredentialAnswer}},
    operation_id="revokeCredential",
)
async def revoke(credential_id: str, body: StatusRequest, call: Changing) -> Response:
    """Revoke a credential for good, with all its copies."""
    return answered(await operations.set_status(call, credential_id, StatusChange.REVOKE, body))


@router.post(
    "/credentials/{credential_id}/suspend",
    responses={**PROBLEMS, 200: {"model": CredentialAnswer}},
    operation_id="suspendCredential",
)
async def suspend(credential_id: str, body: StatusRequest, call: Changing) -> Response:
    """Suspend a credential until it is reinstated."""
    return answered(await operations.set_status(call, credential_id, StatusChange.SUSPEND, body))


@router.post(
    "/credentials/{credential_id}/reinstate",
    responses={**PROBLEMS, 200: {"model": CredentialAnswer}},
    operation_id="reinstateCredential",
)
async def reinstate(credential_id: str, body: StatusRequest, call: Changing) -> Response:
    """Let a suspended credential be valid again."""
    return answered(await operations.set_status(call, credential_id, StatusChange.REINSTATE, body))


@router.get("/deferred", responses=PROBLEMS, response_model_exclude_none=True, operation_id="listDeferred")
async def list_deferred(
    service: Service, caller: Reader, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> DeferredListAnswer:
    """The credentials that wait for the city's approval."""
    return await deferred.waiting(service, caller, cursor=cursor, limit=limit)


@router.post(
    "/deferred/{deferred_id}/approve",
    responses={**PROBLEMS, 200: {"model": DeferredAnswer}},
    operation_id="approveDeferred",
)
async def approve_deferred(deferred_id: str, call: Changing) -> Response:
    """Let the wallet have a credential that it waits for."""
    return answered(await deferred.decide(call, deferred_id, None))


@router.post(
    "/deferred/{deferred_id}/deny", responses={**PROBLEMS, 200: {"model": DeferredAnswer}}, operation_id="denyDeferred"
)
async def deny_deferred(deferred_id: str, body: DenialRequest, call: Changing) -> Response:
    """Deny a credential that a wallet waits for, for good."""
    return answered(await deferred.decide(call, deferred_id, body))


def answered(answer: Answer) -> Response:
    """An operation's answer; a header says when it was given before."""
    headers = {"Idempotency-Replayed": "true"} if answer.repeated else None
    return Response(answer.body, answer.status, media_type="application/json", headers=headers)


def _client_credentials(body: bytes, authorization: str | None) -> tuple[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except (UnicodeDecodeError, ValueError):
        raise OAuthError("invalid_request", "not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "a parameter is repeated")
    if form.get("grant_type") != "client_credentials":
        error = "unsupported_grant_type" if "grant_type" in form else "invalid_request"
        raise OAuthError(error, "grant_type must be client_credentials")
    if authorization is None:
        if not form.get("client_id") or not form.get("client_secret"):
            raise OAuthError("invalid_client", "client credentials are needed", 401)
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise OAuthError("invalid_request", "two kinds of client authentication")
    scheme, _, value = authorization.partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(value, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        colon = client_id = secret = ""
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_client", "malformed Authorization header", 401)
    return unquote_plus(client_id), unquote_plus(secret)


DIRECT_ROUTES = (DirectRoute("POST", "/api/v1/offers", create_offer_directly),)
