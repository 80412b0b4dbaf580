"""OAuth 2.0 as wallets meet it: errors, forms, PKCE, pushed and token requests, and the way back to the client.

RFC 6749, RFC 7636 (PKCE), RFC 9126 (PAR), RFC 9207 (`iss`), RFC 9396 (authorization details); OpenID4VCI 1.0 §5, §6.
Server metadata stands in `oauth_metadata`, the contents of authorization details in `openid4vci`.
"""

import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject

INVALID_REQUEST = "invalid_request"
INVALID_CLIENT = "invalid_client"
INVALID_GRANT = "invalid_grant"
INVALID_SCOPE = "invalid_scope"
INVALID_TARGET = "invalid_target"
INVALID_AUTHORIZATION_DETAILS = "invalid_authorization_details"
UNAUTHORIZED_CLIENT = "unauthorized_client"
UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
ACCESS_DENIED = "access_denied"
SERVER_ERROR = "server_error"
TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
INVALID_TOKEN = "invalid_token"  # noqa: S105 an error code
INSUFFICIENT_SCOPE = "insufficient_scope"

AUTHORIZATION_CODE = "authorization_code"
PRE_AUTHORIZED_CODE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
REFRESH_TOKEN = "refresh_token"  # noqa: S105 a grant type

CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

_MAX_FORM_BYTES = 256 * 1024
_MAX_FORM_MEMBERS = 100
_NOT_IN_DESCRIPTION = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_ERROR_CODE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_URL = re.compile(r"[\x21-\x7e]{1,2048}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


class OAuthError(Exception):
    """A refusal in the words of OAuth (RFC 6749 §5.2, OpenID4VCI §8.3.1.2).

    error: the code. description: for developers; characters that the standard forbids are replaced, no personal data
    or secret belongs in it.
    status: the HTTP status of a direct answer.
    """

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        if not _ERROR_CODE.fullmatch(error):
            raise ValueError("not an OAuth error code")
        self.error = error
        self.description = _NOT_IN_DESCRIPTION.sub("?", description.replace('"', "'"))
        self.status = status
        super().__init__(f"{error}: {self.description}" if description else error)

    def body(self) -> JsonObject:
        """The JSON object of a direct answer."""
        body: JsonObject = {"error": self.error}
        if self.description:
            body["error_description"] = self.description
        return body


class InvalidAnswer(ValueError):
    """What a server or a link says breaks the standard, or is not for us: a client must not use it."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A pushed authorization request, form checked (RFC 9126 §2.1, OpenID4VCI §5).

    code_challenge: S256. scope: the single values, in order. dpop_jkt: thumbprint that the code gets bound to (RFC
    9449 §10). client_assertion: as it came (RFC 7523 §2.2), not checked.
    """

    client_id: str
    redirect_uri: str
    code_challenge: str
    scope: tuple[str, ...] = ()
    authorization_details: tuple[JsonObject, ...] = ()
    state: str | None = None
    issuer_state: str | None = None
    resource: str | None = None
    dpop_jkt: str | None = None
    client_assertion: str | None = None


@dataclass(frozen=True, slots=True)
class PushedAnswer:
    """What a pushed authorization request is answered with (RFC 9126 §2.2). expires_in: seconds."""

    request_uri: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class AuthorizationCodeGrant:
    """An authorization code to redeem (RFC 6749 §4.1.3); a missing verifier is judged by `verify_code_verifier`."""

    code: str
    redirect_uri: str
    code_verifier: str | None


@dataclass(frozen=True, slots=True)
class PreAuthorizedCodeGrant:
    """A pre-authorized code to redeem (OpenID4VCI §6.1)."""

    code: str
    tx_code: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshTokenGrant:
    """A refresh token to use (RFC 6749 §6)."""

    refresh_token: str
    scope: tuple[str, ...] = ()


Grant: TypeAlias = AuthorizationCodeGrant | PreAuthorizedCodeGrant | RefreshTokenGrant


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request, form checked. client_assertion: as it came (RFC 7523 §2.2), not checked."""

    grant: Grant
    client_id: str | None = None
    authorization_details: tuple[JsonObject, ...] = ()
    resource: str | None = None
    client_assertion: str | None = None


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A successful token response (RFC 6749 §5.1, OpenID4VCI §6.2). expires_in: seconds."""

    access_token: str
    token_type: str
    expires_in: int | None = None
    refresh_token: str | None = None
    scope: tuple[str, ...] = ()
    authorization_details: tuple[JsonObject, ...] = ()


def parse_form(body: bytes) -> dict[str, str]:
    """Read `application/x-www-form-urlencoded`; members without a value count as absent (RFC 6749 §3.2, App. B).

    Raises:
        OAuthError: `invalid_request` if it is too large, not UTF-8, or a member is repeated; `invalid_target` for a
            second `resource`, because we serve one (RFC 8707 §2).
    """
    if len(body) > _MAX_FORM_BYTES:
        raise OAuthError(INVALID_REQUEST, "the request is too large", 413)
    if _BROKEN_PERCENT.search(body):
        raise OAuthError(INVALID_REQUEST, "not a form")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_MEMBERS
        )
    except ValueError as error:
        raise OAuthError(INVALID_REQUEST, "not a form, or too many members") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        names = [name for name, _ in pairs]
        if names.count("resource") > 1:
            raise OAuthError(INVALID_TARGET, "one resource can be asked for")
        raise OAuthError(INVALID_REQUEST, "a parameter is repeated")
    return {name: value for name, value in form.items() if value}


def new_code_verifier() -> str:
    """A fresh PKCE code verifier with 256 bits of entropy (RFC 7636 §4.1)."""
    return secrets.token_urlsafe(32)


def code_challenge(code_verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 §4.2)."""
    return base64url.encode(sha256(code_verifier.encode("ascii")).digest())


def verify_code_verifier(code_verifier: str | None, *, expected_challenge: str) -> None:
    """Check that the redeemer of a code is who asked for it (RFC 7636 §4.6), in constant time.

    Raises:
        OAuthError: `invalid_grant`: missing, malformed, or another one's.
    """
    if code_verifier is None or not _CODE_VERIFIER.fullmatch(code_verifier):
        raise OAuthError(INVALID_GRANT, "code_verifier is missing or malformed")
    if not hmac.compare_digest(code_challenge(code_verifier).encode(), expected_challenge.encode()):
        raise OAuthError(INVALID_GRANT, "code_verifier does not fit")


def build_pushed_request(request: AuthorizationRequest) -> dict[str, str]:
    """The members of a pushed authorization request (RFC 9126 §2.1, OpenID4VCI §5.1)."""
    form = {
        "response_type": "code",
        "client_id": request.client_id,
        "redirect_uri": request.redirect_uri,
        "code_challenge": request.code_challenge,
        "code_challenge_method": "S256",
    }
    optional = {
        "scope": " ".join(request.scope),
        "authorization_details": _details_text(request.authorization_details),
        "state": request.state,
        "issuer_state": request.issuer_state,
        "resource": request.resource,
        "dpop_jkt": request.dpop_jkt,
    }
    return form | {name: value for name, value in optional.items() if value}


def parse_pushed_request(body: bytes) -> AuthorizationRequest:
    """Read a pushed authorization request (RFC 9126 §2.1, OpenID4VCI §5.1.4). Whose redirect address it is, is the
    caller's question.

    Raises:
        OAuthError: with the code of the defect, status 400.
    """
    form = parse_form(body)
    if "request_uri" in form:
        raise OAuthError(INVALID_REQUEST, "request_uri does not belong into a pushed request")
    if "request" in form:
        raise OAuthError("request_not_supported", "request objects are not supported")
    response_type = _member(form, "response_type")
    if response_type != "code":
        raise OAuthError(UNSUPPORTED_RESPONSE_TYPE, "response_type must be code")
    if form.get("response_mode", "query") != "query":
        raise OAuthError(INVALID_REQUEST, "response_mode must be query")
    if _member(form, "code_challenge_method") != "S256":
        raise OAuthError(INVALID_REQUEST, "code_challenge_method must be S256")
    challenge = _member(form, "code_challenge")
    if not _THUMBPRINT.fullmatch(challenge):
        raise OAuthError(INVALID_REQUEST, "code_challenge is no S256 value")
    redirect_uri = _member(form, "redirect_uri")
    if not is_redirect_uri(redirect_uri):
        raise OAuthError(INVALID_REQUEST, "redirect_uri is not allowed")
    dpop_jkt = form.get("dpop_jkt")
    if dpop_jkt is not None and not _THUMBPRINT.fullmatch(dpop_jkt):
        raise OAuthError(INVALID_REQUEST, "dpop_jkt is no thumbprint")
    return AuthorizationRequest(
        client_id=_member(form, "client_id"),
        redirect_uri=redirect_uri,
        code_challenge=challenge,
        scope=_scope(form),
        authorization_details=_details(form),
        state=form.get("state"),
        issuer_state=form.get("issuer_state"),
        resource=form.get("resource"),
        dpop_jkt=dpop_jkt,
        client_assertion=_client_assertion(form),
    )


def build_pushed_answer(answer: PushedAnswer) -> JsonObject:
    """The body of the 201 answer (RFC 9126 §2.2)."""
    return {"request_uri": answer.request_uri, "expires_in": answer.expires_in}


def parse_pushed_answer(data: bytes) -> PushedAnswer:
    """Read the answer to a pushed request (RFC 9126 §2.2).

    Raises:
        InvalidAnswer: a member is missing or of another form.
    """
    answer = _object(data)
    request_uri, expires_in = answer.get("request_uri"), answer.get("expires_in")
    if not isinstance(request_uri, str) or not request_uri:
        raise InvalidAnswer("request_uri is missing")
    if not isinstance(expires_in, int) or isinstance(expires_in, bool) or expires_in <= 0:
        raise InvalidAnswer("expires_in is not a positive number")
    return PushedAnswer(request_uri, expires_in)


def build_token_request(request: TokenRequest) -> dict[str, str]:
    """The members of a token request (RFC 6749 §4.1.3, §6; OpenID4VCI §6.1)."""
    grant = request.grant
    form: dict[str, str | None]
    if isinstance(grant, AuthorizationCodeGrant):
        form = {
            "grant_type": AUTHORIZATION_CODE,
            "code": grant.code,
            "redirect_uri": grant.redirect_uri,
            "code_verifier": grant.code_verifier,
        }
    elif isinstance(grant, PreAuthorizedCodeGrant):
        form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": grant.code, "tx_code": grant.tx_code}
    else:
        form = {
            "grant_type": REFRESH_TOKEN,
            "refresh_token": grant.refresh_token,
            "scope": " ".join(grant.scope),
        }
    form |= {
        "client_id": request.client_id,
        "authorization_details": _details_text(request.authorization_details),
        "resource": request.resource,
    }
    return {name: value for name, value in form.items() if value}


def parse_token_request(body: bytes) -> TokenRequest:
    """Read a token request (RFC 6749 §4.1.3, §6; OpenID4VCI §6.1). Whether a `tx_code` is expected is the caller's
    question.

    Raises:
        OAuthError: `invalid_request`, `unsupported_grant_type`, `invalid_authorization_details` or `invalid_target`,
            status 400.
    """
    form = parse_form(body)
    grant_type = _member(form, "grant_type")
    grant: Grant
    if grant_type == PRE_AUTHORIZED_CODE:
        grant = PreAuthorizedCodeGrant(_member(form, "pre-authorized_code"), form.get("tx_code"))
    elif "tx_code" in form:
        raise OAuthError(INVALID_REQUEST, "tx_code belongs to a pre-authorized code only")
    elif grant_type == AUTHORIZATION_CODE:
        grant = AuthorizationCodeGrant(_member(form, "code"), _member(form, "redirect_uri"), form.get("code_verifier"))
    elif grant_type == REFRESH_TOKEN:
        grant = RefreshTokenGrant(_member(form, "refresh_token"), _scope(form))
    else:
        raise OAuthError(UNSUPPORTED_GRANT_TYPE, "grant_type is not known")
    return TokenRequest(grant, form.get("client_id"), _details(form), form.get("resource"), _client_assertion(form))


def build_token_answer(answer: TokenAnswer) -> JsonObject:
    """The body of a successful token response (RFC 6749 §5.1, OpenID4VCI §6.2)."""
    body: JsonObject = {"access_token": answer.access_token, "token_type": answer.token_type}
    if answer.expires_in is not None:
        body["expires_in"] = answer.expires_in
    if answer.refresh_token is not None:
        body["refresh_token"] = answer.refresh_token
    if answer.scope:
        body["scope"] = " ".join(answer.scope)
    if answer.authorization_details:
        body["authorization_details"] = list(answer.authorization_details)
    return body


def parse_token_answer(data: bytes) -> TokenAnswer:
    """Read a successful token response; unknown members are ignored (RFC 6749 §5.1, OpenID4VCI §6.2).

    Raises:
        InvalidAnswer: a member is missing or of another form.
    """
    answer = _object(data)
    texts: dict[str, str] = {}
    for name in ("access_token", "token_type", "refresh_token", "scope"):
        if name in answer:
            value = answer[name]
            if not isinstance(value, str) or not value:
                raise InvalidAnswer(f"{name} is not a text")
            texts[name] = value
    if "access_token" not in texts or "token_type" not in texts:
        raise InvalidAnswer("access_token or token_type is missing")
    expires_in = answer.get("expires_in")
    if expires_in is not None and (isinstance(expires_in, bool) or not isinstance(expires_in, int) or expires_in < 0):
        raise InvalidAnswer("expires_in is not a number of seconds")
    details = answer.get("authorization_details", [])
    if not isinstance(details, list):
        raise InvalidAnswer("authorization_details is not an array")
    return TokenAnswer(
        texts["access_token"],
        texts["token_type"],
        expires_in,
        texts.get("refresh_token"),
        tuple(texts.get("scope", "").split()),
        tuple(detail for detail in details if isinstance(detail, dict)),
    )


def parse_error(data: bytes, *, status: int) -> OAuthError:
    """Read the error that a server answered with (RFC 6749 §5.2).

    Raises:
        InvalidAnswer: it is no OAuth error.
    """
    answer = _object(data)
    error, description = answer.get("error"), answer.get("error_description", "")
    if not isinstance(error, str) or not _ERROR_CODE.fullmatch(error) or not isinstance(description, str):
        raise InvalidAnswer("no OAuth error")
    return OAuthError(error, description[:500], status)


def is_redirect_uri(uri: str) -> bool:
    """Whether a redirect address is one that a client may bring: https, http to the own machine, or a native app's
    scheme.

    No fragment (RFC 6749 §3.1.2), no plain http to elsewhere (FAPI 2.0 §5.3.2.2), schemes of apps carry a dot or
    hyphen (RFC 8252 §7.1, §7.3).
    """
    if not _URL.fullmatch(uri) or "#" in uri or "\\" in uri:
        return False
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if "@" in parts.netloc:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme == "http":
        return host in LOOPBACK_HOSTS
    return bool(_SCHEME.fullmatch(parts.scheme)) and ("." in parts.scheme or "-" in parts.scheme)


def authorization_answer_url(redirect_uri: str, *, code: str, iss: str, state: str | None) -> str:
    """Where the browser goes with the code (RFC 6749 §4.1.2, RFC 9207 §2)."""
    return _with_members(redirect_uri, {"code": code, "iss": iss, "state": state})


def authorization_error_url(redirect_uri: str, *, error: OAuthError, iss: str, state: str | None) -> str:
    """Where the browser goes with an error (RFC 6749 §4.1.2.1, RFC 9207 §2)."""
    members = {"error": error.error, "error_description": error.description or None, "iss": iss, "state": state}
    return _with_members(redirect_uri, members)


def parse_authorization_answer(url: str, *, expected_redirect_uri: str, expected_iss: str, expected_state: str) -> str:
    """The code that an authorization server sent back to us, and only to us (RFC 6749 §4.1.2, RFC 9207 §2.4).

    Raises:
        InvalidAnswer: another address, `iss` or `state` missing or another's, a member repeated, no code.
        OAuthError: the server refused; its own code.
    """
    place, _, query = url.partition("?")
    expected_place, _, expected_query = expected_redirect_uri.partition("?")
    if place != expected_place or "#" in url:
        raise InvalidAnswer("another address than ours")
    try:
        members = parse_form(query.encode("ascii"))
    except (OAuthError, UnicodeEncodeError) as error:
        raise InvalidAnswer("the query is malformed") from error
    if parse_form(expected_query.encode()).items() - members.items():
        raise InvalidAnswer("a member of our address is lost")
    if not _equal(members.get("iss"), expected_iss):
        raise InvalidAnswer("iss is missing or another server's")
    if not _equal(members.get("state"), expected_state):
        raise InvalidAnswer("state is missing or another request's")
    if "error" in members:
        if "code" in members or not _ERROR_CODE.fullmatch(members["error"]):
            raise InvalidAnswer("no OAuth error")
        raise OAuthError(members["error"], members.get("error_description", "")[:500])
    if "code" not in members:
        raise InvalidAnswer("code is missing")
    return members["code"]


def _member(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise OAuthError(INVALID_REQUEST, f"{name} is missing")
    return form[name]


def _client_assertion(form: Mapping[str, str]) -> str | None:
    assertion, kind = form.get("client_assertion"), form.get("client_assertion_type")
    if (assertion is None) != (kind is None) or kind not in (None, CLIENT_ASSERTION_TYPE):
        raise OAuthError(INVALID_CLIENT, "a client assertion is a JWT, and says so in client_assertion_type", 401)
    return assertion


def _scope(form: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(form.get("scope", "").split()))


def _details(form: Mapping[str, str]) -> tuple[JsonObject, ...]:
    if "authorization_details" not in form:
        return ()
    try:
        details = strict_json.parse(form["authorization_details"])
    except Malformed as error:
        raise OAuthError(INVALID_AUTHORIZATION_DETAILS, "authorization_details is not JSON") from error
    if not isinstance(details, list) or not details:
        raise OAuthError(INVALID_AUTHORIZATION_DETAILS, "authorization_details is not a filled array")
    objects = tuple(detail for detail in details if isinstance(detail, dict))
    if len(objects) != len(details):
        raise OAuthError(INVALID_AUTHORIZATION_DETAILS, "authorization_details holds objects only")
    return objects


def _details_text(details: Sequence[JsonObject]) -> str:
    return strict_json.dumps(list(details)).decode() if details else ""


def _object(data: bytes) -> JsonObject:
    try:
        return strict_json.parse_object(data)
    except Malformed as error:
        raise InvalidAnswer(str(error)) from error


def _equal(given: str | None, expected: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), expected.encode())


def _with_members(url: str, members: Mapping[str, str | None]) -> str:
    added = urlencode({name: value for name, value in members.items() if value is not None})
    if "?" not in url:
        return f"{url}?{added}"
    return f"{url}{added}" if url.endswith(("?", "&")) else f"{url}&{added}"
