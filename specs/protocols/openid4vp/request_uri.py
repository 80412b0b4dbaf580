"""How a question reaches a wallet by redirect: links, QR contents and the `request_uri` (OpenID4VP 1.0 §5, §5.10).

Only what stands in the request object counts, even if the link repeats a parameter (§5.10.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.openid4vp.addresses import check_https
from specs.protocols.openid4vp.client_id import ClientId
from specs.protocols.openid4vp.errors import ErrorCode, RequestError, invalid_request
from specs.protocols.openid4vp.metadata import (
    GCM_ENCS,
    SupportedFormats,
    encryption_keys,
    formats_to_json,
    optional_texts,
    parse_formats,
)
from specs.protocols.openid4vp.request import AuthorizationRequest, client_id_of, parse_authorization_request

SCHEMES = frozenset({"openid4vp", "haip-vp", "eudi-openid4vp", "https"})
DEFAULT_WALLET = "openid4vp://"

_JSON_PARAMETERS = ("dcql_query", "client_metadata", "transaction_data", "verifier_info")
_MAX_PARAMETERS = 50
_MAX_LINK = 64 * 1024


class RequestUriMethod(StrEnum):
    """How the request object is fetched (§5.10); case-sensitive."""

    GET = "get"
    POST = "post"


@dataclass(frozen=True, slots=True)
class RequestByReference:
    """A link that says where the request object is."""

    client_id: ClientId
    request_uri: str
    method: RequestUriMethod = RequestUriMethod.GET


@dataclass(frozen=True, slots=True)
class RequestByValue:
    """A link that carries the request object."""

    client_id: ClientId
    request: str


ReceivedRequest: TypeAlias = RequestByReference | RequestByValue | AuthorizationRequest


@dataclass(frozen=True, slots=True)
class RequestEncryption:
    """How a wallet wants the request object encrypted: to a key of its own, with this content encryption (§5.10)."""

    jwk: JsonObject
    enc: str


@dataclass(frozen=True, slots=True)
class RequestUriPost:
    """What a wallet says of itself when it fetches a request object by POST (§5.10)."""

    wallet_nonce: str | None = None
    formats: SupportedFormats | None = None
    client_id_prefixes: tuple[str, ...] = ("pre-registered",)
    encryption: RequestEncryption | None = None


def build_request_link(request: RequestByReference | RequestByValue, *, wallet: str = DEFAULT_WALLET) -> str:
    """Write the link that opens a wallet, also the content of a QR code (§5, §9).

    wallet: `openid4vp://`, `haip-vp://` or a claimed https address.
    """
    params = {"client_id": request.client_id.text}
    if isinstance(request, RequestByReference):
        params |= {"request_uri": request.request_uri, "request_uri_method": request.method.value}
    else:
        params["request"] = request.request
    return _link(params, wallet)


def build_unsigned_link(params: JsonObject, *, wallet: str = DEFAULT_WALLET) -> str:
    """Write a link that carries an unsigned question as parameters, objects as JSON texts (§5.4)."""
    return _link(
        {
            name: value if isinstance(value, str) else strict_json.dumps(value).decode()
            for name, value in params.items()
        },
        wallet,
    )


def _link(params: dict[str, str], wallet: str) -> str:
    separator = "&" if urlsplit(wallet).query else "?"
    return f"{wallet}{separator}{urlencode(params)}"


def parse_request_link(link: str, *, allow_loopback_http: bool = False) -> ReceivedRequest:
    """Read a link that opened a wallet (§5): a reference, a request object, or an unsigned question.

    allow_loopback_http: accept plain http to this machine itself.

    Raises:
        RequestError: another scheme, repeated parameters, both or unfit ways to hand over a question, or a broken rule.
    """
    try:
        parts = urlsplit(link)
        pairs = parse_qsl(
            parts.query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS, strict_parsing=True
        )
    except ValueError as error:
        raise invalid_request("not a link with parameters") from error
    params = dict(pairs)
    if len(link) > _MAX_LINK or parts.scheme not in SCHEMES or len(params) != len(pairs):
        raise invalid_request("not a link with parameters, each once")
    if "request_uri" not in params:
        if "request_uri_method" in params:
            raise invalid_request("request_uri_method: stands without request_uri")
        if "request" in params:
            return RequestByValue(client_id_of(params), params["request"])
        return parse_authorization_request(_decoded(params), signed=False, allow_loopback_http=allow_loopback_http)
    if "request" in params:
        raise invalid_request("request: stands beside request_uri")
    method = params.get("request_uri_method", RequestUriMethod.GET.value)
    if method not in (RequestUriMethod.GET.value, RequestUriMethod.POST.value):
        raise RequestError(ErrorCode.INVALID_REQUEST_URI_METHOD, "neither get nor post")
    return RequestByReference(
        client_id_of(params),
        check_https(params["request_uri"], name="request_uri", allow_loopback_http=allow_loopback_http),
        RequestUriMethod(method),
    )


def _decoded(params: dict[str, str]) -> JsonObject:
    decoded: JsonObject = dict(params)
    for name in _JSON_PARAMETERS:
        if name in params:
            try:
                decoded[name] = strict_json.parse(params[name])
            except Malformed as error:
                raise invalid_request(f"{name}: not JSON") from error
    return decoded


def build_request_uri_post(
    *,
    wallet_nonce: str,
    formats: SupportedFormats,
    prefixes: tuple[str, ...],
    encryption_key: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The form that a wallet posts to a `request_uri` (§5.10).

    encryption_key: public JWK with `kid`, `alg` and `use`; with it the request object must come back encrypted.
    """
    metadata: JsonObject = {
        "vp_formats_supported": formats_to_json(formats),
        "client_id_prefixes_supported": list(prefixes),
    }
    if encryption_key is not None:
        metadata["jwks"] = {"keys": [dict(encryption_key)]}
        metadata["request_object_encryption_enc_values_supported"] = list(GCM_ENCS)
    return {"wallet_nonce": wallet_nonce, "wallet_metadata": strict_json.dumps(metadata).decode()}


def parse_request_uri_post(form: Mapping[str, str]) -> RequestUriPost:
    """Read the form that a wallet posts to a `request_uri`; unknown parameters and members are ignored (§5.10, §10.1).

    Raises:
        RequestError: `wallet_nonce` is empty or too long, `wallet_metadata` is not what §10.1 says, or it wants a
            request object encrypted in a way that we can't: sending it in clear would show what it wants hidden.
    """
    nonce = form.get("wallet_nonce")
    if nonce is not None and not 0 < len(nonce) <= 1024:
        raise invalid_request("wallet_nonce: 1 to 1024 characters")
    if "wallet_metadata" not in form:
        return RequestUriPost(nonce)
    try:
        metadata = strict_json.parse_object(form["wallet_metadata"])
    except Malformed as error:
        raise invalid_request("wallet_metadata: not a JSON object") from error
    return RequestUriPost(
        nonce,
        parse_formats(metadata.get("vp_formats_supported")),
        optional_texts(metadata, "client_id_prefixes_supported") or ("pre-registered",),
        _encryption(metadata) if "jwks" in metadata else None,
    )


def _encryption(metadata: JsonObject) -> RequestEncryption:
    encs = optional_texts(metadata, "request_object_encryption_enc_values_supported") or GCM_ENCS
    enc = next((enc for enc in reversed(GCM_ENCS) if enc in encs), None)
    usable = [
        jwk for jwk in encryption_keys(metadata["jwks"]) if jwk.get("alg") == "ECDH-ES" and jwk.get("crv") == "P-256"
    ]
    if enc is None or not usable:
        raise invalid_request("wallet_metadata: no key or encryption for the request object that we can use")
    return RequestEncryption(usable[0], enc)
