"""Limits on what a client may send, before anything looks at it: size of head and body, and time for the body."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from issuer.http.errors import plain_refusal


class _TooLarge(Exception):
    pass


class Limits:
    """ASGI middleware. header_limit, body_limit: bytes; body_timeout: seconds for the whole body."""

    def __init__(self, app: ASGIApp, *, header_limit: int, body_limit: int, body_timeout: int) -> None:
        self._app = app
        self._header_limit = header_limit
        self._body_limit = body_limit
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with 431, 413, 408, 404 or 400."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if "\x00" in path:  # names nothing, and PostgreSQL can't even look for it
            await plain_refusal(path, 404, "not_found")(scope, receive, send)
            return
        head = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if head + len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._header_limit:
            await plain_refusal(path, 431, "headers_too_large")(scope, receive, send)
            return
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if len(set(lengths)) > 1 or any(not value.isdigit() for value in lengths):
            await plain_refusal(path, 400, "content_length_malformed")(scope, receive, send)
            return
        if lengths and int(lengths[0]) > self._body_limit:
            await plain_refusal(path, 413, "body_too_large")(scope, receive, send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The body is taken in whole before the application begins, so that no half of one is acted upon."""
        path: str = scope["path"]
        try:
            async with asyncio.timeout(self._body_timeout):
                body = await self._read(receive)
        except TimeoutError:
            await plain_refusal(path, 408, "body_too_slow")(scope, receive, send)
            return
        except _TooLarge:
            await plain_refusal(path, 413, "body_too_large")(scope, receive, send)
            return
        if body is None:
            return
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._body_limit:
                raise _TooLarge
            if not message.get("more_body", False):
                return bytes(body)
