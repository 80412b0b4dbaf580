"""What wallets and browsers call, for FastAPI applications (extra `fastapi`).

`/request/{handle}` and `/response/{handle}` for wallets, `/dc-api/{question}` for pages of ours.
"""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from specs.protocols.openid4vp.response import MAX_FORM
from verifier.adapters import wallet_http
from verifier.adapters.direct_routes import DirectRoute
from verifier.adapters.wallet_http import MAX_REQUEST_FORM, WalletAnswer
from verifier.service import Verifier


def wallet_router(verifier: Verifier) -> APIRouter:
    """A router for the two addresses; `Endpoints` of the verifier must point to where it is mounted."""
    router = APIRouter()
    for route in direct_wallet_routes(verifier):
        # plain routes: nothing of a request is for FastAPI to read
        router.add_route(route.path, route.answer, methods=[route.method])
    return router


def direct_wallet_routes(verifier: Verifier, *, prefix: str = "") -> tuple[DirectRoute, ...]:
    """The same for `DirectRoutes`. prefix: what stands before the two addresses."""

    async def get_request_object(request: Request) -> Response:
        """OpenID4VP §5.10.1: the signed question."""
        if request.method == "HEAD":
            return _rendered(wallet_http.ONLY_LOOKED)
        return _rendered(await asyncio.to_thread(wallet_http.get_request_object, verifier, _handle(request)))

    async def post_request_object(request: Request) -> Response:
        """OpenID4VP §5.10: the signed question with the wallet's nonce in it."""
        body = await _body(request, MAX_REQUEST_FORM)
        kind = request.headers.get("content-type", "")
        answer = await asyncio.to_thread(
            wallet_http.post_request_object, verifier, _handle(request), content_type=kind, body=body
        )
        return _rendered(answer)

    async def post_response(request: Request) -> Response:
        """OpenID4VP §8.2: the wallet's answer."""
        body = await _body(request, MAX_FORM)
        kind = request.headers.get("content-type", "")
        answer = await asyncio.to_thread(
            wallet_http.post_response, verifier, _handle(request), content_type=kind, body=body
        )
        return _rendered(answer)

    return (
        DirectRoute("GET", f"{prefix}/request/{{handle}}", get_request_object),
        DirectRoute("POST", f"{prefix}/request/{{handle}}", post_request_object),
        DirectRoute("POST", f"{prefix}/response/{{handle}}", post_response),
    )


def browser_router(verifier: Verifier, *, session_secret: Callable[[Request, str], str | None]) -> APIRouter:
    """A router for `/dc-api/{question}`: pages post there what `navigator.credentials.get` gave them.

    session_secret: of a question, from the asker's own session such as a cookie, never from what the page says.
    """
    router = APIRouter()

    @router.post("/dc-api/{question}")
    async def post_dc_api(question: str, request: Request) -> Response:
        """OpenID4VP §A.4, ISO/IEC TS 18013-7 C.3: the answer, by whichever protocol of those offered."""
        body = await _body(request, MAX_FORM)
        answer = await asyncio.to_thread(
            wallet_http.receive_dc_api,
            verifier,
            question,
            session_secret=session_secret(request, question),
            origin=request.headers.get("origin"),
            body=body,
        )
        return _rendered(answer)

    return router


def _handle(request: Request) -> str:
    return str(request.path_params["handle"])


async def _body(request: Request, limit: int) -> bytes:
    """The body, or its beginning if it is longer than allowed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            break
    return bytes(body[: limit + 1])


def _rendered(answer: WalletAnswer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)
