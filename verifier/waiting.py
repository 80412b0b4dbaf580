"""What a waiting page is told, live: fresh links for pictures, and the end of it; nothing about a person."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from specs.refusal import Refusal
from verifier.asynchronous import AsyncVerifier

PICTURE_SECONDS = 10  # a picture lives twice as long, so that one that is being scanned is still good
LOOK_SECONDS = 1


class Happened(StrEnum):
    """What a page can learn."""

    PICTURE = "picture"  # draw the link that comes with it
    ANSWERED = "answered"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. link: of the next picture, else empty."""

    happened: Happened
    link: str = ""

    def encoded(self) -> bytes:
        """As a server-sent event (WHATWG HTML §9.2)."""
        return f"event: {self.happened}\ndata: {self.link}\n\n".encode()


async def events(
    verifier: AsyncVerifier,
    page: str,
    *,
    pictures: bool,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Event]:
    """Follow a question until it has ended. pictures: the page shows one. pause: waits some seconds."""
    looks = 0
    while True:
        try:
            answered = await verifier.is_answered_for(page)
        except Refusal:
            yield Event(Happened.EXPIRED)
            return
        if answered:
            yield Event(Happened.ANSWERED)
            return
        if pictures and looks and looks % (PICTURE_SECONDS // LOOK_SECONDS) == 0:
            # no link: an answer is being recorded, or there were too many; a later look says how it ends
            with suppress(Refusal):
                yield Event(Happened.PICTURE, await verifier.fresh_link(page))
        looks += 1
        await pause(LOOK_SECONDS)
