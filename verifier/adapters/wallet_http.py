"""What wallets send and get over HTTP, whatever framework carries it (OpenID4VP §5.10, §8.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.openid4vp import (
    REQUEST_OBJECT_MEDIA_TYPE,
    RequestError,
    RequestUriPost,
    parse_form,
    parse_request_uri_post,
)
from specs.protocols.openid4vp.response import MAX_FORM
from specs.refusal import ReasonCode, Refusal
from verifier.service import Verifier

MAX_REQUEST_FORM = 64 * 1024
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class WalletAnswer:
    """An HTTP answer to a wallet."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Cache-Control": "no-store"})


ONLY_LOOKED = WalletAnswer(405, _JSON, b"", {"Allow": "GET, POST", "Cache-Control": "no-store"})
"""To HEAD, which frameworks answer as GET: whoever only looks, such as a preview of links, has not fetched."""


def get_request_object(verifier: Verifier, handle: str) -> WalletAnswer:
    """OpenID4VP §5.10.1: the signed question."""
    return _request_object(verifier, handle, RequestUriPost())


def post_request_object(verifier: Verifier, handle: str, *, content_type: str, body: bytes) -> WalletAnswer:
    """OpenID4VP §5.10: the signed question with the wallet's nonce in it. body: at most one byte over the limit."""
    try:
        posted = parse_request_uri_post(parse_form(_checked(content_type, body, MAX_REQUEST_FORM)))
    except (Refusal, RequestError):
        return _refused(400, ReasonCode.RESPONSE_MALFORMED)
    return _request_object(verifier, handle, posted)


def post_response(verifier: Verifier, handle: str, *, content_type: str, body: bytes) -> WalletAnswer:
    """OpenID4VP §8.2: the wallet's answer. body: read no further than one byte over `MAX_FORM`."""
    try:
        form = parse_form(_checked(content_type, body, MAX_FORM))
    except Refusal as error:
        return _refused(413 if error.reason is ReasonCode.RESPONSE_TOO_LARGE else 400, error.reason)
    receipt = verifier.receive(handle, form)
    return _rendered(receipt.status, receipt.body)


def receive_dc_api(
    verifier: Verifier, transaction_id: str, *, session_secret: str | None, origin: str | None, body: bytes
) -> WalletAnswer:
    """OpenID4VP §A.4, ISO/IEC TS 18013-7 C.3: what the browser's API gave to a page of ours, as JSON.

    session_secret: from the asker's own session. origin: the browser's header. body: as of `post_response`.
    """
    if len(body) > MAX_FORM:
        return _refused(413, ReasonCode.RESPONSE_TOO_LARGE)
    if session_secret is None or origin is None:
        return _refused(400, ReasonCode.TRANSACTION_UNKNOWN)
    try:
        response = strict_json.parse_object(body)
    except Malformed:
        return _refused(400, ReasonCode.RESPONSE_MALFORMED)
    receipt = verifier.receive_dc_api(transaction_id, session_secret=session_secret, origin=origin, response=response)
    return _rendered(receipt.status, receipt.body)


def _request_object(verifier: Verifier, handle: str, posted: RequestUriPost) -> WalletAnswer:
    try:
        signed = verifier.request_object(handle, wallet_nonce=posted.wallet_nonce, encryption=posted.encryption)
    except Refusal as error:
        return _refused(404, error.reason)
    return WalletAnswer(200, REQUEST_OBJECT_MEDIA_TYPE, signed.encode("ascii"))


def _checked(content_type: str, body: bytes, limit: int) -> bytes:
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "not a form")
    if len(body) > limit:
        raise Refusal(ReasonCode.RESPONSE_TOO_LARGE)
    return body


def _refused(status: int, reason: ReasonCode) -> WalletAnswer:
    return _rendered(status, {"error": "invalid_request", "error_description": reason.value})


def _rendered(status: int, body: JsonObject) -> WalletAnswer:
    return WalletAnswer(status, _JSON, strict_json.dumps(body))
