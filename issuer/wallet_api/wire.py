"""How wallets are answered: errors of OAuth and OpenID4VCI as JSON with the headers that belong to them."""

from collections.abc import Awaitable, Callable, Coroutine

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from issuer.http.dependencies import service_of
from issuer.nonces import NoncePurpose, NonceRefused, Nonces
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.rules import binds_tokens, signing_algs
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.client_attestation import ATTESTATION_CHALLENGE_HEADER, USE_ATTESTATION_CHALLENGE
from specs.protocols.dpop import DPOP_NONCE_HEADER, INVALID_DPOP_PROOF, USE_DPOP_NONCE, dpop_challenge
from specs.protocols.oauth import INSUFFICIENT_SCOPE, INVALID_CLIENT, INVALID_REQUEST, INVALID_TOKEN, OAuthError

NO_STORE = {"Cache-Control": "no-store"}
MAX_CLIENT_ID_CHARACTERS = 500
_TOKEN_ERRORS = frozenset({INVALID_TOKEN, INVALID_DPOP_PROOF, USE_DPOP_NONCE, INSUFFICIENT_SCOPE})
_FORM = "application/x-www-form-urlencoded"


class NoToken(OAuthError):
    """A protected resource was asked for without any token: 401 without an error code (RFC 6750 §3.1)."""

    def __init__(self) -> None:
        super().__init__(INVALID_TOKEN, "an access token is needed", 401)


class ComeAgain(OAuthError):
    """Nothing is wrong with the request, but it can't be answered now: 503. retry_after: seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("temporarily_unavailable", "another service does not answer", 503)
        self.retry_after = retry_after


Endpoint = Callable[[IssuerService, ActiveTenant, Request], Awaitable[Response]]


def wallet_endpoint(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """What a wallet calls at its tenant; refusals get the headers that help it to do better."""

    async def answer(request: Request) -> Response:
        service = service_of(request)
        tenant = await service.tenants.find(request.path_params["tenant"])
        if tenant is None:
            raise HTTPException(404)
        try:
            response = await endpoint(service, tenant, request)
        except OAuthError as error:
            return _refusal(service, tenant, request, error)
        if service.settings.require_dpop_nonce and request.method == "POST":
            response.headers[DPOP_NONCE_HEADER] = _dpop_nonce(request)  # the newest one, for the next request
        return response

    return answer


class WalletRoute(APIRoute):
    """The same for what the framework routes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """See `APIRoute`."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                response = await handler(request)
            except OAuthError as error:
                service = service_of(request)
                tenant = await service.tenants.find(request.path_params["tenant"])
                if tenant is None:
                    raise
                return _refusal(service, tenant, request, error)
            if service_of(request).settings.require_dpop_nonce and request.method == "POST":
                response.headers[DPOP_NONCE_HEADER] = _dpop_nonce(request)  # the newest one, for the next request
            return response

        return handle


def json_answer(body: JsonObject, *, status: int = 200) -> Response:
    """An answer that no cache may keep."""
    return Response(strict_json.dumps(body), status, media_type="application/json", headers=NO_STORE)


async def form_body(request: Request) -> bytes:
    """The body of a form request.

    Raises:
        OAuthError: `invalid_request`, the body says that it is something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthError(INVALID_REQUEST, f"the body must be {_FORM}")
    return await request.body()


async def json_body(request: Request, *, error: str) -> bytes:
    """The body of a JSON request.

    Raises:
        OAuthError: `error`, the body says that it is something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise OAuthError(error, "the body must be application/json")
    return await request.body()


def check_text(name: str, value: str | None, *, longest: int) -> None:
    """Hold a member that is kept as it came against what every database can keep. longest: characters.

    Raises:
        OAuthError: `invalid_request`, it is too long or has a NUL character.
    """
    if value is not None and (len(value) > longest or "\x00" in value):
        raise OAuthError(INVALID_REQUEST, f"{name} is too long or has a character that is not allowed")


def nonces_of(service: IssuerService) -> Nonces:
    """The nonces of a running issuer."""
    return Nonces(service.secrets.nonce_key, service.settings.nonce_lifetime)


def nonce_check(
    service: IssuerService, tenant: ActiveTenant, purpose: NoncePurpose, *, now: int
) -> Callable[[str], bool]:
    """Says whether a nonce is ours and live, for this tenant and purpose."""
    nonces = nonces_of(service)

    def check(value: str) -> bool:
        try:
            nonces.check(value, tenant=tenant.id, purpose=purpose, now=now)
        except NonceRefused:
            return False
        return True

    return check


def _refusal(service: IssuerService, tenant: ActiveTenant, request: Request, error: OAuthError) -> Response:
    headers = dict(NO_STORE)
    if error.error == USE_DPOP_NONCE or service.settings.require_dpop_nonce:
        headers[DPOP_NONCE_HEADER] = _dpop_nonce(request)
    if error.error == USE_ATTESTATION_CHALLENGE:
        headers[ATTESTATION_CHALLENGE_HEADER] = nonces_of(service).fresh(
            tenant=tenant.id, purpose=NoncePurpose.CLIENT_ATTESTATION, now=service.clock()
        )
    algs = signing_algs(tenant.profile)
    if isinstance(error, ComeAgain):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, NoToken):
        schemes = dpop_challenge(algs=algs)
        headers["WWW-Authenticate"] = schemes if binds_tokens(tenant) else f"{schemes}, Bearer"
    elif error.status in (401, 403) and error.error in _TOKEN_ERRORS:
        schemes = dpop_challenge(error=error.error, description=error.description, algs=algs)
        bearer = f', Bearer error="{error.error}"'
        headers["WWW-Authenticate"] = schemes if binds_tokens(tenant) else schemes + bearer
    elif error.status == 401 and error.error == INVALID_CLIENT and "authorization" in request.headers:
        scheme = request.headers["authorization"].partition(" ")[0]
        headers["WWW-Authenticate"] = "DPoP" if scheme.lower() == "dpop" else "Bearer"
    return JSONResponse(error.body(), error.status, headers=headers)


def _dpop_nonce(request: Request) -> str:
    service = service_of(request)
    return nonces_of(service).fresh(
        tenant=request.path_params["tenant"], purpose=NoncePurpose.DPOP, now=service.clock()
    )
