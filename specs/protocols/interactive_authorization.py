"""Interactive Authorization: a login without a browser, by what a wallet presents (OpenID4VCI 1.1 draft-01 §6).

A profile of OAuth 2.0 for First-Party Applications. The names are those of the draft's state of 24 June 2026.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.oauth import INVALID_REQUEST, InvalidAnswer, OAuthError, parse_form

PRESENTATION = "urn:openid:dcp:ia:openid4vp_presentation"
VIA_WEB = "urn:openid:dcp:ia:auth_via_web"
INSUFFICIENT_AUTHORIZATION = "insufficient_authorization"
MISSING_INTERACTION_TYPE = "missing_interaction_type"
INVALID_SESSION = "invalid_session"
_MAX_TYPES = 20


@dataclass(frozen=True, slots=True)
class IntermediateRequest:
    """What a wallet answers an interaction with (§6.1.2). presented: the members of the OpenID4VP answer."""

    client_id: str | None
    auth_session: str = field(repr=False)
    presented: JsonObject = field(repr=False)
    client_assertion: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class InteractionRequired:
    """What must happen before there is a code (§6.2.1).

    openid4vp_request: of a presentation. request_uri, expires_in (seconds): for the web.
    """

    interaction_type: str
    auth_session: str = field(repr=False)
    openid4vp_request: JsonObject | None = None
    request_uri: str | None = None
    expires_in: int | None = None


def derived_origin(endpoint: str) -> str:
    """The origin of an endpoint (RFC 6454 §4), to which questions and answers are bound (§6.2.1.1, App. A.3.5)."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def audience_of(origin: str) -> str:
    """What a key binding names for an answer to the endpoint of this origin (App. A.3.5)."""
    return f"ia:{origin}"


def is_intermediate(body: bytes) -> bool:
    """Whether a request goes on with an interaction that was begun."""
    return "auth_session" in parse_form(body)


def parse_supported_interactions(body: bytes) -> frozenset[str]:
    """The interaction types that a wallet names in its initial request (§6.1.1).

    Raises:
        OAuthError: `invalid_request`: none are named, or what is named are no URNs.
    """
    text = parse_form(body).get("interaction_types_supported", "")
    names = [name.strip() for name in text.split(",")]
    if not text or len(names) > _MAX_TYPES or not all(name.startswith("urn:") for name in names):
        raise OAuthError(INVALID_REQUEST, "interaction_types_supported must name URNs")
    return frozenset(names)


def parse_intermediate_request(body: bytes) -> IntermediateRequest:
    """Read the answer to a presentation (§6.2.1.1).

    Raises:
        OAuthError: `invalid_request`: a member is missing, or the answer is no JSON object.
    """
    form = parse_form(body)
    try:
        presented = strict_json.parse_object(form.get("openid4vp_response", "").encode())
    except Malformed:
        raise OAuthError(INVALID_REQUEST, "openid4vp_response must be a JSON object") from None
    return IntermediateRequest(
        form.get("client_id"), form.get("auth_session", ""), presented, form.get("client_assertion")
    )


def build_interaction_required(required: InteractionRequired) -> JsonObject:
    """The body of the 401 answer (§6.2.1)."""
    body: JsonObject = {
        "error": INSUFFICIENT_AUTHORIZATION,
        "interaction_type_required": required.interaction_type,
        "auth_session": required.auth_session,
    }
    if required.openid4vp_request is not None:
        body["openid4vp_request"] = required.openid4vp_request
    if required.request_uri is not None:
        body["request_uri"] = required.request_uri
    if required.expires_in is not None:
        body["expires_in"] = required.expires_in
    return body


def parse_interaction_required(body: bytes) -> InteractionRequired:
    """The wallet's look at it. Unknown members are ignored.

    Raises:
        InvalidAnswer: a member is missing or of another form.
    """
    try:
        document = strict_json.parse_object(body)
    except Malformed:
        raise InvalidAnswer("the answer is no JSON object") from None
    kind, auth_session = document.get("interaction_type_required"), document.get("auth_session")
    if not isinstance(kind, str) or not isinstance(auth_session, str) or not auth_session:
        raise InvalidAnswer("interaction_type_required or auth_session is missing")
    question, request_uri = document.get("openid4vp_request"), document.get("request_uri")
    if kind == PRESENTATION and not isinstance(question, dict):
        raise InvalidAnswer("openid4vp_request is missing")
    if kind == VIA_WEB and not isinstance(request_uri, str):
        raise InvalidAnswer("request_uri is missing")
    return InteractionRequired(
        kind,
        auth_session,
        question if isinstance(question, dict) else None,
        request_uri if isinstance(request_uri, str) else None,
    )


def build_granted(code: str) -> JsonObject:
    """The body of the 200 answer (First-Party Applications §5.2.1)."""
    return {"authorization_code": code}


def parse_granted(body: bytes) -> str:
    """The code of a 200 answer.

    Raises:
        InvalidAnswer: there is none.
    """
    try:
        code = strict_json.parse_object(body).get("authorization_code")
    except Malformed:
        raise InvalidAnswer("the answer is no JSON object") from None
    if not isinstance(code, str) or not code:
        raise InvalidAnswer("authorization_code is missing")
    return code
