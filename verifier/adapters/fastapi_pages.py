"""What a waiting page calls, for FastAPI applications: `/picture/{page}` and `/events/{page}` (extra `fastapi`).

`page` is the question's own; it shows pictures and whether an answer came, so a portal of another origin may ask, too.
"""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from specs.refusal import Refusal
from verifier.asynchronous import AsyncVerifier
from verifier.request import qr_svg
from verifier.service import Verifier
from verifier.waiting import Event, events

EVENT_STREAM = "text/event-stream"
_ANYWHERE = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}


def page_router(verifier: Verifier) -> APIRouter:
    """A router for the two addresses."""
    router = APIRouter()
    working = AsyncVerifier(verifier)

    @router.get("/picture/{page}")
    async def picture(page: str) -> Response:
        """A QR code with a link of its own, good for twenty seconds."""
        try:
            link = await working.fresh_link(page)
        except Refusal:
            return Response(status_code=404, headers=_ANYWHERE)
        return Response(qr_svg(link), media_type="image/svg+xml", headers=_ANYWHERE)

    @router.get("/events/{page}")
    async def live(page: str) -> Response:
        """`picture`, `answered`, `expired` as server-sent events."""
        return event_stream(events(working, page, pictures=True))

    return router


def event_stream(happening: AsyncIterator[Event]) -> StreamingResponse:
    """Events as an answer that goes on until the last one, or until the page is closed."""

    async def lines() -> AsyncIterator[bytes]:
        async for event in happening:
            yield event.encoded()

    return StreamingResponse(lines(), media_type=EVENT_STREAM, headers={**_ANYWHERE, "X-Accel-Buffering": "no"})
