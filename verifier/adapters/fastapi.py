"""What wallets call, for FastAPI applications (extra `fastapi`): `/request/{handle}` and `/response/{handle}`."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from specs.protocols.openid4vp import (
    REQUEST_OBJECT_MEDIA_TYPE,
    RequestError,
    RequestUriPost,
    parse_form,
    parse_request_uri_post,
)
from specs.protocols.openid4vp.response import MAX_FORM
from specs.refusal import ReasonCode, Refusal
from verifier.asynchronous import AsyncVerifier
from verifier.service import Receipt, Verifier

_NO_STORE = {"Cache-Control": "no-store"}
_FORM = "application/x-www-form-urlencoded"
_MAX_REQUEST_FORM = 64 * 1024


def wallet_router(verifier: Verifier) -> APIRouter:
    """A router for the two addresses; `Endpoints` of the verifier must point to where it is mounted."""
    router = APIRouter()
    working = AsyncVerifier(verifier)

    @router.get("/request/{handle}")
    async def get_request_object(handle: str) -> Response:
        """OpenID4VP §5.10.1: the signed question."""
        return await _request_object(working, handle, RequestUriPost())

    @router.post("/request/{handle}")
    async def post_request_object(handle: str, request: Request) -> Response:
        """OpenID4VP §5.10: the signed question with the wallet's nonce in it."""
        try:
            posted = parse_request_uri_post(parse_form(await _body(request, _MAX_REQUEST_FORM)))
        except (Refusal, RequestError):
            return _rendered(_refused(400, ReasonCode.RESPONSE_MALFORMED))
        return await _request_object(working, handle, posted)

    @router.post("/response/{handle}")
    async def post_response(handle: str, request: Request) -> Response:
        """OpenID4VP §8.2: the wallet's answer."""
        try:
            form = parse_form(await _body(request, MAX_FORM))
        except Refusal as error:
            return _rendered(_refused(413 if error.reason is ReasonCode.RESPONSE_TOO_LARGE else 400, error.reason))
        return _rendered(await working.receive(handle, form))

    return router


async def _request_object(verifier: AsyncVerifier, handle: str, posted: RequestUriPost) -> Response:
    try:
        signed = await verifier.request_object(handle, wallet_nonce=posted.wallet_nonce, encryption=posted.encryption)
    except Refusal as error:
        return _rendered(_refused(404, error.reason))
    return Response(signed, media_type=REQUEST_OBJECT_MEDIA_TYPE, headers=_NO_STORE)


async def _body(request: Request, limit: int) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "not a form")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refusal(ReasonCode.RESPONSE_TOO_LARGE)
    return bytes(body)


def _refused(status: int, reason: ReasonCode) -> Receipt:
    return Receipt(status, {"error": "invalid_request", "error_description": reason.value})


def _rendered(receipt: Receipt) -> Response:
    return JSONResponse(receipt.body, status_code=receipt.status, headers=_NO_STORE)
