"""What a waiting page learns: pictures that change, that an answer came, and no more."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.verifier.desk import MDOC, SD_JWT, Asking, Desk, handle_of
from verifier import AsyncVerifier, Flow
from verifier.adapters.fastapi_pages import page_router
from verifier.transaction import State
from verifier.waiting import Event, Happened, events


class Time:
    """Moves the desk's clock instead of waiting; answers, if it should, after some seconds."""

    def __init__(self, desk: Desk, *, answer: Asking | None = None, after: int = 0) -> None:
        self._desk, self._answer, self._after = desk, answer, after
        self.waited = 0

    async def pause(self, seconds: float) -> None:
        self.waited += int(seconds)
        self._desk.clock.now += int(seconds)
        if self._answer is not None and self.waited == self._after:
            form = {"error": "access_denied", "state": self._answer.state}
            assert self._desk.receive(self._answer, form).status == 200


@pytest.mark.parametrize("pictures", [True, False])
async def test_a_page_gets_a_fresh_picture_every_ten_seconds_and_learns_of_the_answer(pictures: bool) -> None:
    desk = Desk()
    asking = desk.ask(MDOC, flow=Flow.CROSS_DEVICE)
    time = Time(desk, answer=asking, after=35)
    page = asking.question.page
    happened = [
        event async for event in events(AsyncVerifier(desk.verifier), page, pictures=pictures, pause=time.pause)
    ]
    assert [event.happened for event in happened] == [Happened.PICTURE] * (3 if pictures else 0) + [Happened.ANSWERED]
    assert len({event.link for event in happened}) == len(happened)
    assert happened[-1].encoded() == b"event: answered\ndata: \n\n"


@pytest.mark.parametrize("look", [1, 2, 5])
async def test_pictures_change_every_ten_seconds_however_often_one_looks(
    look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.waiting.LOOK_SECONDS", look)
    desk = Desk()
    time = Time(desk)
    drawn = [
        time.waited
        async for event in events(
            AsyncVerifier(desk.verifier),
            desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE).page,
            pictures=True,
            pause=time.pause,
        )
        if event.happened is Happened.PICTURE
    ]
    assert drawn == list(range(10, 300, 10))


async def test_a_page_waits_for_the_record_of_an_answer_too() -> None:
    """It was told that its time was over, if the next picture fell into the writing of the record."""
    desk = Desk()
    question = desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE)
    recording: Any = {"response_code_digest": None, "state": State.RECORDING}
    waited = 0

    async def pause(seconds: float) -> None:
        nonlocal waited
        waited += int(seconds)
        now = int(desk.clock())
        if waited == 9:
            assert desk.store.end(question.id, outcome=b"", now=now, expires_at=now + 300, **recording)
        elif waited == 25:
            assert desk.store.reveal(question.id, outcome=b"sealed", now=now)

    happened = [
        event async for event in events(AsyncVerifier(desk.verifier), question.page, pictures=True, pause=pause)
    ]
    assert (happened, waited) == ([Event(Happened.ANSWERED)], 25)


async def test_a_page_without_further_pictures_still_learns_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.service.MAX_LINKS", 2)
    desk = Desk()
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    time = Time(desk, answer=asking, after=35)
    page = asking.question.page
    happened = [event async for event in events(AsyncVerifier(desk.verifier), page, pictures=True, pause=time.pause)]
    assert [event.happened for event in happened] == [Happened.PICTURE, Happened.ANSWERED]
    assert time.waited == 35


async def test_a_page_learns_that_its_time_is_over() -> None:
    desk = Desk()
    question = desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE)
    time = Time(desk)
    happened = [
        event async for event in events(AsyncVerifier(desk.verifier), question.page, pictures=False, pause=time.pause)
    ]
    assert (happened, time.waited) == ([Event(Happened.EXPIRED)], 300)


async def test_pictures_and_events_over_http_say_nothing_but_what_they_are() -> None:
    desk = Desk()
    app = FastAPI()
    app.include_router(page_router(desk.verifier), prefix="/present")
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    page = asking.question.page
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://city.example") as client:
        first, second = [await client.get(f"/present/picture/{page}") for _ in range(2)]
        assert first.headers["content-type"] == "image/svg+xml"
        assert first.headers["cache-control"] == "no-store"
        assert first.content.startswith(b"<?xml")
        assert b"<script" not in first.content
        assert first.content != second.content
        assert (await client.get("/present/picture/unknown")).status_code == 404
        assert desk.receive(asking, desk.answer(asking)).status == 200
        ended = await client.get(f"/present/events/{page}")
        assert ended.headers["content-type"].startswith("text/event-stream")
        assert ended.headers["cache-control"] == "no-store"
        assert ended.text == "event: answered\ndata: \n\n"
        assert (await client.get("/present/events/unknown")).text == "event: expired\ndata: \n\n"
        assert (await client.get(f"/present/picture/{page}")).status_code == 404
    assert handle_of(asking.question.wallet_url)
