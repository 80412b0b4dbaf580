"""The OpenID part, carried by authlib: codes, PKCE, ID tokens, and the errors of the standards."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidRequestError,
    OAuth2Payload,
    OAuth2Request,
    UnsupportedResponseTypeError,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.errors import (
    RegistrationNotSupportedError,
    RequestNotSupportedError,
    RequestURINotSupportedError,
)
from authlib.oidc.core.grants import OpenIDCode
from joserfc.jwk import ECKey

from specs.encoding.strict_json import JsonObject
from verifier.adapters.oidc.clients import OidcClient
from verifier.adapters.oidc.logins import TOKEN_SECONDS, Granted, Logins

SIGNING_ALG = "ES256"  # of ID tokens
ID_TOKEN_SECONDS = 300
_MAX_PARAMETERS = 50
_MAX_TEXT = 2048
_SECURE = "https://bridge.invalid"  # what authlib wants to see; the transport was looked at where the bridge was set up
_NOT_SUPPORTED = {  # OpenID Connect Core §6.1, §6.2, §7.2.1: told, never passed over
    "request": RequestNotSupportedError,
    "request_uri": RequestURINotSupportedError,
    "registration": RegistrationNotSupportedError,
}


class BridgeError(Exception):
    """A request that no redirect address may be believed of: shown as a page. error: OAuth's word for it."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What authlib wants to be answered."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What authlib needs to know of a request. parameters: of the query, or of the form, a character for each byte."""

    method: str
    headers: Mapping[str, str]
    parameters: str


class _Payload(OAuth2Payload):  # type: ignore[misc]  # authlib has no types
    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._data = dict(pairs)
        self._datalist: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in pairs:
            self._datalist[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return self._datalist


class _Request(OAuth2Request):  # type: ignore[misc]  # authlib has no types
    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.method, _SECURE, headers=request.headers)
        if not request.parameters.isascii():
            raise BridgeError("invalid_request")  # RFC 6749 Appendix B: whatever is not ASCII is percent-encoded
        try:
            pairs = parse_qsl(
                request.parameters, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS, errors="strict"
            )
        except ValueError as error:
            raise BridgeError("invalid_request") from error
        if len(dict(pairs)) != len(pairs) or any(len(value) > _MAX_TEXT for _, value in pairs):
            raise BridgeError("invalid_request")  # RFC 6749 §3.1: each parameter once
        self.payload = _Payload(pairs)

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


class _Pkce(CodeChallenge):  # type: ignore[misc]  # authlib has no types
    """S256, always (RFC 9700 §2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with S256 is required")
        super().validate_code_challenge(grant, redirect_uri)

    def get_authorization_code_challenge(self, authorization_code: Granted) -> str:
        return authorization_code.code_challenge

    def get_authorization_code_challenge_method(self, authorization_code: Granted) -> str:
        return authorization_code.code_challenge_method


class _CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]  # authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

    def generate_authorization_code(self) -> str:
        return self.server.logins.new_secret()  # type: ignore[no-any-return]  # authlib has no types

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        granted: Granted = request.user
        self.server.logins.grant(code, granted)

    def query_authorization_code(self, code: str, client: OidcClient) -> Granted | None:
        # consumed here, so that of two requests with one code one succeeds, whatever else they carry
        return self.server.logins.redeem(code, client_id=client.client_id)  # type: ignore[no-any-return]  # authlib has no types

    def delete_authorization_code(self, authorization_code: Granted) -> None:
        """It was consumed when it was found."""

    def authenticate_user(self, authorization_code: Granted) -> Granted:
        return authorization_code


class _IdToken(OpenIDCode):  # type: ignore[misc]  # authlib has no types
    def __init__(self, server: "BridgeServer") -> None:
        super().__init__(require_nonce=True)
        self._server = server

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return False  # the portal compares it with its own session; a replayed one is of no use to anybody

    def resolve_client_private_key(self, client: OidcClient) -> ECKey:
        return self._server.key

    def get_client_algorithm(self, client: OidcClient) -> str:
        return SIGNING_ALG

    def get_encode_header(self, client: OidcClient) -> dict[str, str]:
        return {"alg": SIGNING_ALG, "kid": self._server.kid}

    def get_client_claims(self, client: OidcClient) -> dict[str, object]:
        now = self._server.logins.now
        return {
            "iss": self._server.issuer,
            "aud": client.client_id,
            "iat": now,
            "exp": now + ID_TOKEN_SECONDS,
        }

    def generate_user_info(self, user: Granted, scope: str) -> JsonObject:
        return user.claims


class BridgeServer(AuthorizationServer):  # type: ignore[misc]  # authlib has no types
    """authlib's authorization server over our clients and our store."""

    def __init__(self, *, issuer: str, clients: Mapping[str, OidcClient], logins: Logins, key: ECKey) -> None:
        super().__init__()
        self.issuer, self.logins, self.key = issuer, logins, key
        self.kid = key.thumbprint()
        self._clients = dict(clients)
        self.register_token_generator("default", self._token)
        self.register_grant(_CodeGrant, [_IdToken(self), _Pkce()])

    def query_client(self, client_id: str) -> OidcClient | None:
        """A registered client."""
        return self._clients.get(client_id)

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Keep what the access token opens."""
        self.logins.issue(token["access_token"], request.user)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: HttpRequest) -> OAuth2Request:
        """A request as authlib reads it."""
        return request if isinstance(request, OAuth2Request) else _Request(request)

    def handle_response(self, status: int, body: Any, headers: Any) -> HttpAnswer:
        """An answer as we send it."""
        return HttpAnswer(status, body, dict(headers))

    def consent(self, request: HttpRequest) -> Any:
        """Check a portal's request before anybody is asked.

        Raises:
            BridgeError: its client or redirect address is not known.
            AuthlibBaseError: another error, which is told to the portal.
        """
        made = self.create_oauth2_request(request)
        client = self.query_client(made.payload.client_id)
        if client is None or not client.check_redirect_uri(made.payload.redirect_uri):
            raise BridgeError("invalid_request")
        for name, error in _NOT_SUPPORTED.items():
            if made.payload.data.get(name):
                raise error()
        if not client.check_response_type(made.payload.response_type):
            # authlib would put the word into a description, which takes few letters
            raise UnsupportedResponseTypeError(made.payload.response_type)
        return self.get_consent_grant(made)

    def _token(self, *, scope: str, **_: object) -> dict[str, object]:
        return {
            "access_token": self.logins.new_secret(),
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": scope,
        }


def told_to_portal(error: AuthlibBaseError, *, state: str | None, issuer: str) -> dict[str, str]:
    """The parameters of an error answer (RFC 6749 §4.1.2.1, RFC 9207)."""
    told = {"error": str(error.error), "iss": issuer}
    if state is not None:
        told["state"] = state
    return told
