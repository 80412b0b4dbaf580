"""What is no body has a limit, while it arrives; trailers are no headers."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from issuer.http.head_limit import LimitedHead

LIMIT = 4096
BEGIN = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


async def says_what_came(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    body = await request.body()
    names = sorted(set(request.headers))
    await JSONResponse({"length": len(body), "headers": names})(scope, receive, send)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(
        says_what_came, http=LimitedHead, h11_max_incomplete_event_size=LIMIT, lifespan="off", log_level="error"
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: LimitedHead(config, state, {}), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def answer(port: int, *pieces: bytes) -> bytes:
    """What comes back for pieces that arrive one after the other, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # so that most arrive by themselves
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def pieces(text: bytes, size: int = 200) -> list[bytes]:
    return [text[begin : begin + size] for begin in range(0, len(text), size)]


async def test_a_head_below_the_limit_is_served(port: int) -> None:
    head = BEGIN + b"X-Filler: " + b"x" * (LIMIT - 500) + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
    assert (await answer(port, *pieces(head), b"{}")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("filler", [b"X-Filler: " + b"x" * 1_000_000, b"A: b\r\n" * 200_000])
async def test_a_head_without_end_is_cut_off(filler: bytes, port: int) -> None:
    said = await answer(port, BEGIN, *pieces(filler, 8192))
    assert said == b"" or said.startswith(b"HTTP/1.1 431 ")


async def test_a_body_in_small_chunks_is_read_whole(port: int) -> None:
    chunks = [b"3\r\nabc\r\n"] * 2_000
    head = BEGIN + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = await answer(port, head, b"".join(chunks), b"0\r\n\r\n")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["length"] == 6_000


async def test_trailers_are_no_headers_and_end_somewhere(port: int) -> None:
    head = BEGIN + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = await answer(port, head + b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["headers"] == ["connection", "host", "transfer-encoding"]
    endless = await answer(port, head + b"1\r\na\r\n0\r\n", *pieces(b"X-Trailer: " + b"x" * 1_000_000, 8192))
    assert not endless.startswith(b"HTTP/1.1 200 ")
