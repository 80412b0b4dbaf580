"""What an authorization server says about itself (RFC 8414), and where such statements lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.oauth import LOOPBACK_HOSTS, InvalidAnswer

AUTHORIZATION_SERVER = "oauth-authorization-server"
CREDENTIAL_ISSUER = "openid-credential-issuer"

_URL_MEMBERS = (
    "authorization_endpoint",
    "token_endpoint",
    "pushed_authorization_request_endpoint",
    "challenge_endpoint",
    "authorization_challenge_endpoint",
    "jwks_uri",
    "status_list_aggregation_endpoint",
)
_LIST_MEMBERS = (
    "response_types_supported",
    "grant_types_supported",
    "scopes_supported",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "dpop_signing_alg_values_supported",
    "client_attestation_signing_alg_values_supported",
    "client_attestation_pop_signing_alg_values_supported",
    "authorization_details_types_supported",
)
_BOOLEAN_MEMBERS = {
    "require_pushed_authorization_requests": "require_pushed_authorization_requests",
    "authorization_response_iss_parameter_supported": "authorization_response_iss_parameter_supported",
    "pre-authorized_grant_anonymous_access_supported": "anonymous_access_supported",
}


@dataclass(frozen=True, slots=True)
class AuthorizationServerMetadata:
    """RFC 8414 §2 with the members of PAR, DPoP, client attestation and OpenID4VCI. Empty lists are left out."""

    issuer: str
    token_endpoint: str | None = None
    authorization_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    challenge_endpoint: str | None = None
    authorization_challenge_endpoint: str | None = None
    jwks_uri: str | None = None
    status_list_aggregation_endpoint: str | None = None
    response_types_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()
    code_challenge_methods_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ()
    dpop_signing_alg_values_supported: tuple[str, ...] = ()
    client_attestation_signing_alg_values_supported: tuple[str, ...] = ()
    client_attestation_pop_signing_alg_values_supported: tuple[str, ...] = ()
    authorization_details_types_supported: tuple[str, ...] = ()
    require_pushed_authorization_requests: bool = False
    authorization_response_iss_parameter_supported: bool = False
    anonymous_access_supported: bool = False
    extra: Mapping[str, JsonValue] = field(default_factory=dict)


def well_known_url(identifier: str, name: str) -> str:
    """Where the statement of an identifier lies: inserted between host and path (RFC 8414 §3.1, OpenID4VCI §12.2.2).

    identifier: a URL without query and fragment. A closing slash is dropped for OAuth's own documents, and kept for
    the credential issuer's, whose path is appended as it is.

    Raises:
        InvalidAnswer: the identifier is no such URL.
    """
    check_identifier(identifier, allow_loopback_http=True)
    scheme, _, rest = identifier.partition("://")
    host, slash, path = rest.partition("/")
    if name != CREDENTIAL_ISSUER or not path:
        path = path.removesuffix("/")
    return f"{scheme}://{host}/.well-known/{name}{slash if path else ''}{path}"


def check_identifier(identifier: JsonValue, *, allow_loopback_http: bool = False) -> str:
    """An issuer's identifier: https, host, no query, no fragment (OpenID4VCI §12.2.1, RFC 8414 §2).

    Raises:
        InvalidAnswer: it is something else.
    """
    url = check_url(identifier, allow_loopback_http=allow_loopback_http)
    if "?" in url:
        raise InvalidAnswer("an identifier has no query")
    return url


def check_url(value: JsonValue, *, allow_loopback_http: bool = False) -> str:
    """A URL that may be called: https with a host; plain http to the own machine only where the caller says so.

    Raises:
        InvalidAnswer: it is something else.
    """
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        raise InvalidAnswer("not a URL")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidAnswer("not a URL") from error
    if not host or "@" in parts.netloc or "#" in value:
        raise InvalidAnswer("a URL has a host, no user and no fragment")
    if parts.scheme != "https" and not (allow_loopback_http and parts.scheme == "http" and host in LOOPBACK_HOSTS):
        raise InvalidAnswer("not an https URL")
    return value


def build_authorization_server_metadata(metadata: AuthorizationServerMetadata) -> JsonObject:
    """The JSON object to publish at `well_known_url(issuer, AUTHORIZATION_SERVER)` (RFC 8414 §3.2)."""
    document: JsonObject = {"issuer": metadata.issuer}
    urls: dict[str, str | None] = {
        "authorization_endpoint": metadata.authorization_endpoint,
        "token_endpoint": metadata.token_endpoint,
        "pushed_authorization_request_endpoint": metadata.pushed_authorization_request_endpoint,
        "challenge_endpoint": metadata.challenge_endpoint,
        "authorization_challenge_endpoint": metadata.authorization_challenge_endpoint,
        "jwks_uri": metadata.jwks_uri,
        "status_list_aggregation_endpoint": metadata.status_list_aggregation_endpoint,
    }
    document |= {name: url for name, url in urls.items() if url is not None}
    lists: dict[str, tuple[str, ...]] = {
        "response_types_supported": metadata.response_types_supported,
        "grant_types_supported": metadata.grant_types_supported,
        "scopes_supported": metadata.scopes_supported,
        "code_challenge_methods_supported": metadata.code_challenge_methods_supported,
        "token_endpoint_auth_methods_supported": metadata.token_endpoint_auth_methods_supported,
        "token_endpoint_auth_signing_alg_values_supported": metadata.token_endpoint_auth_signing_alg_values_supported,
        "dpop_signing_alg_values_supported": metadata.dpop_signing_alg_values_supported,
        "client_attestation_signing_alg_values_supported": metadata.client_attestation_signing_alg_values_supported,
        "client_attestation_pop_signing_alg_values_supported": (
            metadata.client_attestation_pop_signing_alg_values_supported
        ),
        "authorization_details_types_supported": metadata.authorization_details_types_supported,
    }
    document |= {name: list(values) for name, values in lists.items() if values}
    if metadata.require_pushed_authorization_requests:
        document["require_pushed_authorization_requests"] = True
    if metadata.authorization_response_iss_parameter_supported:
        document["authorization_response_iss_parameter_supported"] = True
    if metadata.anonymous_access_supported:
        document["pre-authorized_grant_anonymous_access_supported"] = True
    return document | dict(metadata.extra)


def parse_authorization_server_metadata(
    data: bytes, *, expected_issuer: str, allow_loopback_http: bool = False
) -> AuthorizationServerMetadata:
    """Read what an authorization server publishes; unknown members are kept in `extra` (RFC 8414 §3.3).

    Raises:
        InvalidAnswer: another issuer's statement, or a member of another form.
    """
    try:
        document = strict_json.parse_object(data)
    except Malformed as error:
        raise InvalidAnswer(str(error)) from error
    if document.get("issuer") != expected_issuer:
        raise InvalidAnswer("the statement of another issuer")
    urls: dict[str, str] = {}
    for name in _URL_MEMBERS:
        if name in document:
            urls[name] = check_url(document[name], allow_loopback_http=allow_loopback_http)
    lists = {name: _texts(document, name) for name in _LIST_MEMBERS if name in document}
    booleans: dict[str, bool] = {}
    for name, attribute in _BOOLEAN_MEMBERS.items():
        value = document.get(name, False)
        if not isinstance(value, bool):
            raise InvalidAnswer(f"{name} is not true or false")
        booleans[attribute] = value
    known = {"issuer", *_URL_MEMBERS, *_LIST_MEMBERS, *_BOOLEAN_MEMBERS}
    return AuthorizationServerMetadata(
        issuer=expected_issuer,
        token_endpoint=urls.get("token_endpoint"),
        authorization_endpoint=urls.get("authorization_endpoint"),
        pushed_authorization_request_endpoint=urls.get("pushed_authorization_request_endpoint"),
        challenge_endpoint=urls.get("challenge_endpoint"),
        authorization_challenge_endpoint=urls.get("authorization_challenge_endpoint"),
        jwks_uri=urls.get("jwks_uri"),
        status_list_aggregation_endpoint=urls.get("status_list_aggregation_endpoint"),
        response_types_supported=lists.get("response_types_supported", ()),
        grant_types_supported=lists.get("grant_types_supported", ()),
        scopes_supported=lists.get("scopes_supported", ()),
        code_challenge_methods_supported=lists.get("code_challenge_methods_supported", ()),
        token_endpoint_auth_methods_supported=lists.get("token_endpoint_auth_methods_supported", ()),
        token_endpoint_auth_signing_alg_values_supported=lists.get(
            "token_endpoint_auth_signing_alg_values_supported", ()
        ),
        dpop_signing_alg_values_supported=lists.get("dpop_signing_alg_values_supported", ()),
        client_attestation_signing_alg_values_supported=lists.get(
            "client_attestation_signing_alg_values_supported", ()
        ),
        client_attestation_pop_signing_alg_values_supported=lists.get(
            "client_attestation_pop_signing_alg_values_supported", ()
        ),
        authorization_details_types_supported=lists.get("authorization_details_types_supported", ()),
        require_pushed_authorization_requests=booleans["require_pushed_authorization_requests"],
        authorization_response_iss_parameter_supported=booleans["authorization_response_iss_parameter_supported"],
        anonymous_access_supported=booleans["anonymous_access_supported"],
        extra={name: value for name, value in document.items() if name not in known},
    )


def _texts(document: JsonObject, name: str) -> tuple[str, ...]:
    values = document[name]
    if not isinstance(values, list):
        raise InvalidAnswer(f"{name} is not an array")
    return _only_texts(values, name)


def _only_texts(values: Sequence[JsonValue], name: str) -> tuple[str, ...]:
    texts = tuple(value for value in values if isinstance(value, str))
    if len(texts) != len(values):
        raise InvalidAnswer(f"{name} holds texts only")
    return texts
