"""Where wallets come to: a server of this machine under which each check sets a scene of its own."""

import http.server
import json
import secrets
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from conformance.exchange import Answer, Recorder, exchange
from specs.encoding.strict_json import JsonObject

MAX_BODY = 4 * 1024 * 1024
_WELL_KNOWN = "/.well-known/"
_POLL = 0.02  # seconds until a request to end is noticed


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a wallet sent. step: what follows the scene's name in the path, or the name of a well-known document."""

    method: str
    step: str
    url: str
    headers: httpx.Headers
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The members of a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @property
    def query(self) -> dict[str, str]:
        """The members of the address's query."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def media_type(self) -> str:
        """The content type without parameters."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the suite answers."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(document: JsonObject, status: int = 200, **headers: str) -> Reply:
    """An answer in JSON that is never cached."""
    return Reply(status, json.dumps(document).encode(), headers={"Cache-Control": "no-store", **headers})


class Scene(Protocol):
    """One exchange with a wallet, from the suite's side."""

    def answer(self, incoming: Incoming) -> Reply:
        """What the suite says to this."""
        ...


class _Listening(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: who hangs up in the middle, or speaks no TLS, is not for the terminal."""


class SuiteServer:
    """The server. public_url: where others reach it, if that is not its own port of this machine. listen: the address
    of this machine. context: of TLS, as a server; None: plain http.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        public_url: str | None = None,
        listen: str = "127.0.0.1",
        port: int = 0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._recorder = recorder
        self._scenes: dict[str, Scene] = {}
        self._server = _Listening((listen, port), self._handler())
        if context is not None:  # each connection shakes hands in its own thread
            plain = self._server.socket
            self._server.socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        scheme = "http" if context is None else "https"
        self.url = (public_url or f"{scheme}://localhost:{self.port}").rstrip("/")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def place(self) -> str:
        """A name for a scene that nobody can guess."""
        return secrets.token_urlsafe(9)

    def stage(self, name: str, scene: Scene) -> str:
        """Set a scene; its address."""
        self._scenes[name] = scene
        return f"{self.url}/{name}"

    def _answer(self, method: str, path: str, headers: httpx.Headers, body: bytes) -> Reply:
        place = urlsplit(path).path
        if place.startswith(_WELL_KNOWN):
            step, _, name = place.removeprefix(_WELL_KNOWN).partition("/")
        else:
            name, _, step = place.lstrip("/").partition("/")
        scene = self._scenes.get(name.rstrip("/"))
        url = f"{self.url}{path}"
        reply = Reply(404) if scene is None else scene.answer(Incoming(method, step, url, headers, body))
        answer_headers = httpx.Headers({"content-type": reply.media_type, **reply.headers})
        answer = Answer(reply.status, answer_headers, reply.body)
        self._recorder.exchanges.append(exchange(method, url, headers, body, answer, came_in=True))
        return reply

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply()

            def do_POST(self) -> None:
                self._reply()

            def _reply(self) -> None:
                length = min(int(self.headers.get("content-length") or 0), MAX_BODY)
                body = self.rfile.read(length)
                reply = server._answer(self.command, self.path, httpx.Headers(list(self.headers.items())), body)
                self.send_response(reply.status)
                headers = {"Content-Type": reply.media_type, "Content-Length": str(len(reply.body)), **reply.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: addresses hold codes."""

        return Handler
