"""What a report may show of traffic: how it was built, never who it was about, and nothing that opens anything.

The rule is an allow-list: values are shown only of members that name protocol matters; every other value becomes its
kind and size. Of a signed token its header and the names of its claims are shown.
"""

import re
from urllib.parse import parse_qsl, urlsplit

import httpx

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue

MAX_SHOWN = 4000  # characters of one body
_HEADERS = frozenset(
    {"accept", "cache-control", "content-type", "date", "allow", "retry-after", "location", "authorization", "dpop",
     "www-authenticate", "oauth-client-attestation", "oauth-client-attestation-pop", "dpop-nonce",
     "oauth-client-attestation-challenge", "x-fapi-interaction-id"}
)  # fmt: skip
_SHOWN = frozenset(
    {"alg", "typ", "enc", "zip", "kty", "crv", "use", "cty", "format", "vct", "doctype", "type", "error",
     "grant_type", "response_type", "response_mode", "client_id", "redirect_uri", "code_challenge_method", "scope",
     "token_type", "expires_in", "interval", "credential_configuration_id", "credential_configuration_ids",
     "credential_issuer", "iss", "aud", "htm", "htu", "iat", "exp", "nbf", "event", "request_uri_method",
     "response_uri", "bits", "dcql_query", "client_metadata", "vp_formats_supported",
     "credential_response_encryption",
     "issuer_uri", "batch_size"}
)  # fmt: skip
_URIS = frozenset({"redirect_uri", "response_uri", "request_uri", "htu", "aud", "credential_offer_uri"})
_WHOLE = frozenset({"dcql_query", "client_metadata"})
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(~.*)?")
_DESCRIPTION = re.compile(r'(error_description=)("(?:[^"\\]|\\.)*"|[^,\s]+)', re.IGNORECASE)
_RANDOM = re.compile(r"(?=.*[0-9]|.*[a-z].*[A-Z]|.*[A-Z].*[a-z])[A-Za-z0-9_~-]{16,}")


def shown_url(url: str) -> str:
    """An address; the values of its query like members of a form."""
    parts = urlsplit(url)
    query = "&".join(f"{name}={_member(name, value)}" for name, value in parse_qsl(parts.query))
    path = "/".join(_hidden(each) if _is_secret(each) else each for each in parts.path.split("/"))
    place = f"{parts.scheme}://{parts.netloc}{path}" if parts.scheme else path
    return f"{place}?{query}" if query else place


def shown_headers(headers: httpx.Headers) -> tuple[tuple[str, str], ...]:
    """The headers that matter."""
    return tuple(
        (name, _header(name.lower(), value)) for name, value in headers.multi_items() if name.lower() in _HEADERS
    )


def shown_body(body: bytes, media_type: str, *, is_public: bool = False) -> str:
    """A body by its media type. is_public: a document that a service publishes about itself, shown as it is."""
    if not body:
        return ""
    kind = media_type.partition(";")[0].strip().lower()
    text = body.decode("utf-8", "replace")
    if is_public and kind.endswith("json"):
        return _short(text)
    if kind.endswith("json"):
        try:
            return _short(strict_json.dumps(_value("", strict_json.parse(body))).decode())
        except Malformed:
            return f"‹{len(body)} bytes that are no JSON›"
    if kind == "application/x-www-form-urlencoded":
        return _short(
            "\n".join(f"{name}={_member(name, value)}" for name, value in parse_qsl(text, keep_blank_values=True))
        )
    if _TOKEN.fullmatch(text.strip()):
        return _short(shown_token(text.strip()))
    return f"‹{len(body)} bytes of {kind or 'no content type'}›"


def shown_token(token: str) -> str:
    """A signed or encrypted token: its header, and the names of its claims."""
    head, _, rest = token.partition(".")
    header = _opened(head)
    claims = _opened(rest.partition(".")[0])
    said = strict_json.dumps(_value("", header)).decode() if header is not None else "?"
    names = f" claims {', '.join(claims)}" if claims is not None else ""
    disclosures = token.count("~")
    return f"‹token {said}{names}{f', {disclosures} parts after it' if disclosures else ''}›"


def _opened(segment: str) -> JsonObject | None:
    try:
        return strict_json.parse_object(base64url.decode(segment))
    except (Malformed, ValueError):
        return None


def _header(name: str, value: str) -> str:
    if name == "authorization":
        scheme, _, rest = value.partition(" ")
        return f"{scheme} ‹{len(rest)} characters›"
    if name == "location":
        return shown_url(value)
    if _TOKEN.fullmatch(value):
        return shown_token(value)
    if name == "www-authenticate":
        return _DESCRIPTION.sub(lambda found: f"{found[1]}{_hidden(found[2])}", value)
    return _hidden(value) if name in {"dpop", "dpop-nonce", "oauth-client-attestation-challenge"} else value


def _member(name: str, value: str) -> str:
    if name in _WHOLE:
        return value
    if name in _URIS and "://" in value:
        return shown_url(value)
    if name in _SHOWN:
        return value
    return shown_token(value) if _TOKEN.fullmatch(value) else _hidden(value)


def _value(name: str, value: JsonValue) -> JsonValue:
    if name in _WHOLE:
        return value
    if isinstance(value, dict):
        return {key: _value(key, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(name, each) for each in value[:20]]
    if isinstance(value, str):
        return _member(name, value)
    return value if name in _SHOWN or value is None or (isinstance(value, bool) and name in _SHOWN) else "‹value›"


def _is_secret(segment: str) -> bool:
    """Whether a step of a path looks like one that nobody is to guess, such as an offer's by reference."""
    return _RANDOM.fullmatch(segment) is not None


def _hidden(value: str) -> str:
    return f"‹{len(value)} characters›"


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text)} characters)"
