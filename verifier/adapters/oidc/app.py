"""The addresses of the bridge: what portals call, and the pages that a person sees in between (extra `oidc`)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from authlib.common.errors import AuthlibBaseError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import APIRouter, Cookie, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from joserfc.jwk import ECKey

from specs.encoding import strict_json
from specs.refusal import ReasonCode, Refusal
from verifier.adapters.oidc.clients import OPENID, OidcClient
from verifier.adapters.oidc.logins import Asked, Granted, Login, Logins
from verifier.adapters.oidc.pace import Pace
from verifier.adapters.oidc.server import (
    SIGNING_ALG,
    BridgeError,
    BridgeServer,
    HttpAnswer,
    HttpRequest,
    told_to_portal,
)
from verifier.ask import Flow
from verifier.outcome import Outcome
from verifier.request import qr_svg
from verifier.service import Verifier
from verifier.subject_link import NotLinkable, subject_pseudonym
from verifier.texts import sentence

_LOG = logging.getLogger("verifier")
COOKIE = "oidc_login"
LANGUAGES = ("de", "en")
_MAX_FORM = 64 * 1024
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_SECURITY = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_CALLBACK = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_ASSETS = {"login.css": "text/css", "login.js": "text/javascript"}


@dataclass(frozen=True, slots=True)
class OidcBridge:
    """One OpenID Provider. issuer: its address, where the router is mounted; https, or http on this machine.

    key: signs ID tokens, on P-256. subject_key: 32 bytes, from which pseudonyms are derived; accounts live as long.
    logins_per_minute: that may begin in this process, by whoever: each keeps two questions for ten minutes.
    purge_seconds: between two sweeps that erase what has expired, while the application runs.
    """

    issuer: str
    verifier: Verifier
    clients: Sequence[OidcClient]
    logins: Logins
    key: ec.EllipticCurvePrivateKey
    subject_key: bytes
    logins_per_minute: int = 600
    purge_seconds: int = 30

    @property
    def return_url(self) -> str:
        """Where wallets send the person back; the `return_url` of the bridge's procedures."""
        return f"{self.issuer}/return"


def oidc_router(bridge: OidcBridge) -> APIRouter:
    """All addresses of the bridge, to mount at the path of its issuer."""
    return _Pages(bridge).router()


class _Pages:
    def __init__(self, bridge: OidcBridge) -> None:
        self._bridge = bridge
        self._logins = bridge.logins
        self._pace = Pace(bridge.logins_per_minute)
        self._clients: Mapping[str, OidcClient] = {client.client_id: client for client in bridge.clients}
        pem = bridge.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._server = BridgeServer(
            issuer=bridge.issuer, clients=self._clients, logins=bridge.logins, key=ECKey.import_key(pem)
        )
        self._templates = Environment(
            loader=PackageLoader("verifier.adapters.oidc"), autoescape=True, undefined=StrictUndefined
        )
        self._texts = strict_json.parse_object(files("verifier.adapters.oidc").joinpath("texts.json").read_bytes())

    def router(self) -> APIRouter:
        router = APIRouter(lifespan=self._swept)
        for path, page, method in (
            ("/.well-known/openid-configuration", self.configuration, "GET"),
            ("/jwks", self.jwks, "GET"),
            ("/authorize", self.authorize, "GET"),
            ("/authorize", self.authorize_by_form, "POST"),
            ("/login", self.login, "GET"),
            ("/login/qr.svg", self.picture, "GET"),
            ("/login/state", self.state, "GET"),
            ("/login/cancel", self.cancel, "POST"),
            ("/login/done", self.phone_answered, "GET"),
            ("/return", self.wallet_returned, "GET"),
            ("/assets/{name}", self.asset, "GET"),
            ("/userinfo", self.userinfo, "GET"),
            ("/userinfo", self.userinfo, "POST"),
            ("/token", self.token, "POST"),
        ):
            router.add_api_route(path, page, methods=[method], response_model=None)
        return router

    @asynccontextmanager
    async def _swept(self, _app: object) -> AsyncIterator[None]:
        keeper = asyncio.create_task(self._keep_house())
        try:
            yield
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self._bridge.purge_seconds)
            try:
                await asyncio.to_thread(self.purge)
            except OSError as error:  # of a store on disk or network; the next sweep tries again
                _LOG.warning("the sweep failed: %s", type(error).__name__)

    def purge(self) -> int:
        """Erase logins, codes, tokens and questions that have expired; how many."""
        return self._logins.purge() + self._bridge.verifier.purge()

    # what portals read

    def configuration(self) -> Response:
        """OpenID Connect Discovery §3."""
        issuer = self._bridge.issuer
        scopes = {name for client in self._clients.values() for name in client.scopes}
        claims = {source.claim for client in self._clients.values() for source in client.sources_for(list(scopes))}
        levels = sorted({client.acr for client in self._clients.values() if client.acr})
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "jwks_uri": f"{issuer}/jwks",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": [SIGNING_ALG],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": [OPENID, *sorted(scopes)],
                "claims_supported": ["sub", *sorted(claims)],
                **({"acr_values_supported": levels} if levels else {}),  # §4.2: never an empty array
                "authorization_response_iss_parameter_supported": True,
                "prompt_values_supported": ["login"],
                "request_parameter_supported": False,
                "request_uri_parameter_supported": False,
                "claims_parameter_supported": False,
            }
        )

    def jwks(self) -> Response:
        """RFC 7517 §5: the key of ID tokens."""
        public = self._server.key.as_dict(private=False)
        return JSONResponse({"keys": [{**public, "kid": self._server.kid, "use": "sig", "alg": SIGNING_ALG}]})

    # a login

    def authorize(self, request: Request) -> Response:
        """OpenID Connect Core §3.1.2.1: a portal sends a person here; both questions are asked at once."""
        return self._begun(request, request.scope["query_string"].decode("latin-1"))

    async def authorize_by_form(self, request: Request) -> Response:
        """The same, where the portal lets the browser send a form."""
        form = await _form(request)
        if form is None:
            return self._error(request, "invalid_request", status=413)
        return await asyncio.to_thread(self._begun, request, form)

    def _begun(self, request: Request, parameters: str) -> Response:
        try:
            grant = self._server.consent(self._asked_by_portal(parameters))
        except BridgeError as error:
            return self._error(request, error.error, status=400)
        except AuthlibBaseError as error:
            return self._tell(error, parameters)
        if not self._pace.allows(now=self._logins.now):
            busy = self._error(request, "temporarily_unavailable", status=503)
            busy.headers["Retry-After"] = "60"
            return busy
        client: OidcClient = grant.request.client
        procedure = client.procedure_for(grant.request.scope.split())
        verifier = self._bridge.verifier
        here, phone = (_kept(verifier, procedure, flow) for flow in (Flow.SAME_DEVICE, Flow.CROSS_DEVICE))
        secret = self._logins.begin(Login(parameters, client.client_id, here, phone))
        answer = RedirectResponse(f"{self._bridge.issuer}/login", 303, _CALLBACK)
        # Lax: a wallet on this device brings the person back from elsewhere
        answer.set_cookie(
            COOKIE, secret, httponly=True, secure=self._bridge.issuer.startswith("https:"), samesite="lax"
        )
        return answer

    def login(self, request: Request, oidc_login: Annotated[str, Cookie()] = "") -> Response:
        """The link for this device, and the picture for another one."""
        login = self._under_way(oidc_login)
        if login is None:
            return self._error(request, "login_expired", status=410)
        try:
            if self._bridge.verifier.is_answered(login.phone.transaction):
                return RedirectResponse(f"{self._bridge.issuer}/login/done", 303, _CALLBACK)
        except Refusal:
            return self._error(request, "login_expired", status=410)
        client = self._clients[login.client_id]
        page = self._page(request, "login.html", client=client.name, wallet_url=login.here.wallet_url)
        # browsers hold form-action against the redirect that follows a form as well: who cancels goes to the portal
        page.headers["Content-Security-Policy"] = " ".join((_POLICY, *sorted({*map(_origin, client.redirect_uris)})))
        return page

    def picture(self, oidc_login: Annotated[str, Cookie()] = "") -> Response:
        """A QR code with a link of its own, good for twenty seconds."""
        login = self._logins.login(oidc_login)
        if login is not None:
            with suppress(Refusal):
                link = self._bridge.verifier.fresh_link(login.phone.page)
                return Response(qr_svg(link), media_type="image/svg+xml", headers=_SECURITY)
        return Response(status_code=404, headers=_SECURITY)

    def state(self, oidc_login: Annotated[str, Cookie()] = "") -> Response:
        """For the page's script: whether the phone has answered."""
        login, word = self._logins.login(oidc_login), "expired"
        if login is not None:
            with suppress(Refusal):
                word = "answered" if self._bridge.verifier.is_answered(login.phone.transaction) else "pending"
        return JSONResponse({"state": word}, headers=_SECURITY)

    def phone_answered(self, request: Request, oidc_login: Annotated[str, Cookie()] = "") -> Response:
        """The other device has answered."""
        login = self._under_way(oidc_login)
        if login is None:
            return self._error(request, "login_expired", status=410)
        return self._conclude(request, oidc_login, login, login.phone, None)

    def wallet_returned(
        self, request: Request, response_code: str = "", oidc_login: Annotated[str, Cookie()] = ""
    ) -> Response:
        """The wallet on this device sends its holder back (OpenID4VP §8.2)."""
        login = self._under_way(oidc_login)
        if login is None:
            return self._error(request, "login_expired", status=410)
        return self._conclude(request, oidc_login, login, login.here, response_code)

    def cancel(self, request: Request, oidc_login: Annotated[str, Cookie()] = "") -> Response:
        """The person goes back to the portal without showing anything."""
        login = self._under_way(oidc_login)
        if login is None or not self._logins.end(oidc_login):
            return self._error(request, "login_expired", status=410)
        return self._redirect(self._server.create_authorization_response(*self._granting(login, None)))

    def _under_way(self, secret: str) -> Login | None:
        """A login whose portal may still ask for it: one that began before a restart may be a former client's."""
        login = self._logins.login(secret)
        if login is not None:
            with suppress(BridgeError, AuthlibBaseError):
                self._server.consent(self._asked_by_portal(login.parameters))
                return login
        return None

    def _conclude(
        self, request: Request, secret: str, login: Login, asked: Asked, response_code: str | None
    ) -> Response:
        try:
            outcome = self._bridge.verifier.result(
                asked.transaction, session_secret=asked.session_secret, response_code=response_code
            )
        except Refusal:
            return self._error(request, "login_expired", status=410)
        if not self._logins.end(secret):
            return self._error(request, "login_expired", status=410)
        if outcome.verdict.reason is not None:
            return self._refused(request, outcome.verdict.reason, login)
        try:
            granted = self._granted(login, outcome)
        except NotLinkable:
            return self._refused(request, ReasonCode.CLAIMS_MISSING, login)
        return self._redirect(self._server.create_authorization_response(*self._granting(login, granted)))

    def _granted(self, login: Login, outcome: Outcome) -> Granted:
        grant = self._server.consent(self._asked_by_portal(login.parameters))
        client: OidcClient = grant.request.client
        payload, scope = grant.request.payload, grant.request.scope
        claims: dict[str, Any] = {
            "sub": subject_pseudonym(
                outcome.verdict,
                rule=client.subject,
                relying_party=client.client_id,
                key=self._bridge.subject_key,
            )
        }
        for source in client.sources_for(scope.split()):
            value: Any = outcome.verdict.claims(source.query_id)
            for step in source.path:
                value = value.get(step) if isinstance(value, Mapping) else None
            if value is not None:
                claims[source.claim] = value
        return Granted(
            client_id=client.client_id,
            redirect_uri=payload.redirect_uri,
            scope=scope,
            claims=claims,
            auth_time=self._logins.now,
            nonce=payload.data.get("nonce"),
            acr=client.acr,
            code_challenge=payload.data["code_challenge"],
        )

    def _granting(self, login: Login, granted: Granted | None) -> tuple[Any, Granted | None, Any]:
        grant = self._server.consent(self._asked_by_portal(login.parameters))
        return grant.request, granted, grant

    # what portals call

    async def token(self, request: Request) -> Response:
        """OpenID Connect Core §3.1.3."""
        form = await _form(request)
        if form is None:
            return JSONResponse({"error": "invalid_request"}, 413, _CALLBACK)
        headers = {name.title(): value for name, value in request.headers.items()}
        asked = HttpRequest("POST", headers, form)
        try:
            answer: HttpAnswer = await asyncio.to_thread(self._server.create_token_response, asked)
        except BridgeError as error:
            return JSONResponse({"error": error.error}, 400, _CALLBACK)
        except ValueError:  # authlib's reading of an Authorization header that is no text
            return JSONResponse({"error": "invalid_client"}, 401, {**_CALLBACK, "WWW-Authenticate": "Basic"})
        return JSONResponse(answer.body, answer.status, {**answer.headers, **_CALLBACK})

    def userinfo(self, request: Request) -> Response:
        """OpenID Connect Core §5.3: the claims once more, while the token lives."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        claims = self._logins.claims(token) if kind.lower() == "bearer" else None
        if claims is None:
            return Response(status_code=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"', **_CALLBACK})
        return JSONResponse(claims, headers=_CALLBACK)

    # pages and answers

    def asset(self, name: str) -> Response:
        """Style and script of the pages."""
        if name not in _ASSETS:
            return Response(status_code=404)
        content = files("verifier.adapters.oidc").joinpath("assets", name).read_bytes()
        return Response(content, media_type=_ASSETS[name], headers={"Cache-Control": "max-age=3600"})

    def _asked_by_portal(self, parameters: str) -> HttpRequest:
        return HttpRequest("GET", {}, parameters)

    def _tell(self, error: AuthlibBaseError, parameters: str) -> Response:
        made = self._server.create_oauth2_request(self._asked_by_portal(parameters))
        told = told_to_portal(error, state=made.payload.state, issuer=self._bridge.issuer)
        return RedirectResponse(_with(made.payload.redirect_uri, told), 303, _CALLBACK)

    def _redirect(self, answer: HttpAnswer) -> Response:
        location = _with(answer.headers["Location"], {"iss": self._bridge.issuer})
        redirect = RedirectResponse(location, 303, _CALLBACK)
        redirect.delete_cookie(COOKIE)
        return redirect

    def _refused(self, request: Request, reason: ReasonCode, login: Login) -> Response:
        language = _language(request)
        return self._page(
            request,
            "refused.html",
            status=403,
            sentence=sentence(reason, language=language),
            again=f"{self._bridge.issuer}/authorize?{login.parameters}",
        )

    def _error(self, request: Request, error: str, *, status: int) -> Response:
        return self._page(request, "error.html", status=status, error=error)

    def _page(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        language = _language(request)
        page = partial(self._templates.get_template(template).render, base=self._bridge.issuer, language=language)
        return HTMLResponse(page(text=self._texts[language], **values), status, _SECURITY)


def _kept(verifier: Verifier, procedure: str, flow: Flow) -> Asked:
    question = verifier.ask(procedure, flow=flow)
    return Asked(question.id, question.session_secret, question.wallet_url, question.page)


async def _form(request: Request) -> str | None:
    """A form as it was sent, a character for each byte; None if it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM:
            return None
    return body.decode("latin-1")


def _language(request: Request) -> str:
    """What the portal asked for (`ui_locales`), else what the browser likes, else German."""
    wanted = f"{request.query_params.get('ui_locales', '')} {request.headers.get('accept-language', '')}"
    for tag in wanted.replace(",", " ").split():
        primary = tag.partition(";")[0].partition("-")[0].lower()
        if primary in LANGUAGES:
            return primary
    return LANGUAGES[0]


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _with(address: str, parameters: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"
