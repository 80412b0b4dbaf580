"""A city's receiver of webhooks as an HTTP server, which checks signatures with the standard's own library."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject


@dataclass(frozen=True)
class Received:
    """One webhook as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """By which repeats are told."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> JsonObject:
        """What it says."""
        return strict_json.parse_object(self.body)


@dataclass
class Receiver:
    """Answers with `status`. redirect: where it sends its callers."""

    status: int = 204
    redirect: str | None = None
    received: list[Received] = field(default_factory=list)
    port: int = 0
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hooks"

    def types(self) -> list[str]:
        """What it was told."""
        return [str(each.event["type"]) for each in self.received]


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(headers, body))
            self.send_response(302 if receiver.redirect else receiver.status)
            if receiver.redirect:
                self.send_header("Location", receiver.redirect)
            self.end_headers()
            receiver.arrived.release()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
