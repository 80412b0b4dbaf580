"""uvicorn's fast HTTP/1.1 protocol (httptools), with a limit on what is no body: its parser has none of its own."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_REFUSAL = STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n"


class LimitedHead(HttpToolsProtocol):
    """A connection is cut once a message costs more than the limit beside its body: head, chunk sizes, trailers.

    The limit is uvicorn's setting `h11_max_incomplete_event_size`, in bytes, which means the same for its other
    protocol; a message may exceed it by what was read at one time. Body bytes pay for as many others, so that bodies
    in small chunks pass. Trailers are dropped: they are no headers (RFC 9110 §6.5.1).
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limit = self.config.h11_max_incomplete_event_size or 65536
        self._spent = 0
        self._in_head = True
        self._has_begun = False

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._has_begun = False
        super().data_received(data)
        if self._has_begun:
            return  # nobody knows where in this piece the message began
        self._spent += len(data)
        if self._spent > self._limit and not self.transport.is_closing():
            if self._in_head:
                self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        """See httptools."""
        super().on_message_begin()
        self._spent, self._in_head, self._has_begun = 0, True, True

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._spent -= 2 * len(body)
        super().on_body(body)
