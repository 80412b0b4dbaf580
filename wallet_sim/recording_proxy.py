"""A proxy on this machine that passes traffic on to one server, and shows what went through, decoded.

As a forward proxy (`HTTP_PROXY`) it leaves every address as it is, so that signatures and DPoP proofs hold; called
directly it is a reverse proxy, for a look at single answers.
"""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonValue
from wallet_sim.explain.explanation import Explanation
from wallet_sim.explain.thing import explain
from wallet_sim.terminal import plain

MAX_BODY = 8 * 1024 * 1024
_SECONDS = 30.0
_SHORT = 40  # characters; a shorter text is shown as it is
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "content-encoding",
    }
)
_TOKENS = ("DPoP", "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP")
_LOCAL = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer, decoded: what each part of it is."""

    headline: str
    parts: tuple[tuple[str, Explanation | str], ...]

    def as_text(self, language: str) -> str:
        """For people."""
        lines = [self.headline]
        for name, part in self.parts:
            if isinstance(part, str):
                lines.append(f"  {name}: {part}")
            else:
                lines += [f"  {name}:", part.as_text(language, depth=2)]
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """For machines."""
        parts = [
            {"name": name, "value": part} if isinstance(part, str) else {"name": name, "is": part.as_json()}
            for name, part in self.parts
        ]
        return {"headline": self.headline, "parts": parts}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request and its answer. at: seconds since the epoch."""

    at: int
    request: Message
    answer: Message

    def as_json(self) -> str:
        """One line for a file."""
        members = {"at": self.at, "request": self.request.as_json(), "answer": self.answer.as_json()}
        return json.dumps(members, ensure_ascii=False)


class RecordingProxy:
    """Listens on 127.0.0.1 while it is open. target: the one server that it talks to. tell: gets what went through."""

    def __init__(
        self,
        target: str,
        *,
        tell: Callable[[Recorded], None],
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Listen already.

        Raises:
            ValueError: the target is no http or https address.
        """
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{target} is no http or https address")
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._tell, self._clock = tell, clock
        self._client = httpx.Client(timeout=_SECONDS, follow_redirects=False, trust_env=False)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self) -> None:
        """Pass on until somebody ends it."""
        self._server.serve_forever()

    def __enter__(self) -> Self:
        """Serve in a thread."""
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def _wanted(self, path: str, host: str) -> str | None:
        """The address that is meant; None if it is not the target's."""
        if path.startswith("/"):
            # under another name it is a stranger's page that asks
            return f"{self._origin}{path}" if host.partition(":")[0] in _LOCAL else None
        return path if path == self._origin or path.startswith(f"{self._origin}/") else None

    def _passed_on(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> httpx.Response:
        sent = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP | {"host"}]
        answer = self._client.request(method, url, headers=sent, content=body)
        path = urlsplit(url).path or "/"
        now = int(self._clock())
        request = Message(f"→ {method} {path}", decoded(dict(sent), body, now=now))
        came = Message(f"← {answer.status_code} {path}", decoded(answer.headers, answer.content, now=now))
        self._tell(Recorded(now, request, came))
        return answer

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                url = proxy._wanted(self.path, self.headers.get("Host", ""))
                length = self.headers.get("Content-Length", "0")
                if url is None:
                    self._refuse(403, "this proxy talks to one server alone")
                elif "Transfer-Encoding" in self.headers or not _is_bearable(length):
                    self._refuse(413, "the body has no length, or is too large")
                else:
                    body = self.rfile.read(int(length))
                    try:
                        answer = proxy._passed_on(self.command, url, self.headers.items(), body)
                    except (httpx.HTTPError, httpx.InvalidURL) as error:
                        self._refuse(502, type(error).__name__)
                        return
                    self._answer(answer.status_code, answer.headers.multi_items(), answer.content)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = _pass_on  # noqa: N815

            def _refuse(self, status: int, why: str) -> None:
                self.close_connection = True
                self._answer(status, [("Content-Type", "text/plain; charset=utf-8")], why.encode())

            def _answer(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what is to be told goes to `tell`."""

        return Handler


def _is_bearable(length: str) -> bool:
    return length.isascii() and length.isdigit() and int(length) <= MAX_BODY


def decoded(headers: Mapping[str, str], body: bytes, *, now: int) -> tuple[tuple[str, Explanation | str], ...]:
    """What a message holds: tokens in its headers, fields of a form, members of JSON, or one thing as a whole."""
    lower = {name.lower(): value for name, value in headers.items()}
    parts = [(name, lower[name.lower()]) for name in _TOKENS if name.lower() in lower]
    media_type = lower.get("content-type", "").partition(";")[0].strip().lower()
    if "authorization" in lower:
        parts.append(("Authorization", lower["authorization"].partition(" ")[0]))
    if media_type == "application/x-www-form-urlencoded":
        parts += _fields(body)
    elif media_type == "application/json" or media_type.endswith("+json"):
        parts += _members(body)
    elif body and media_type not in ("text/html", "text/css"):
        return (*((name, _told(value, now=now)) for name, value in parts), (media_type, explain(body, now=now)))
    return tuple((name, _told(value, now=now)) for name, value in parts)


def _told(value: str, *, now: int) -> Explanation | str:
    if len(value) > _SHORT:
        said = explain(value.encode("utf-8", "replace"), now=now)
        if said.kind not in ("unknown", "json", "cbor"):
            return said
    return plain(value[:200])


def _fields(body: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return []
    return [
        row
        for name, value in pairs
        for row in (_members(value.encode(), name) if value.startswith("{") else [(name, value)])
    ]


def _members(body: bytes, name: str = "") -> list[tuple[str, str]]:
    try:
        return _leaves(strict_json.parse(body), name)
    except Malformed:
        return []


def _leaves(value: JsonValue, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [row for name, inner in value.items() for row in _leaves(inner, f"{path}/{name}" if path else name)]
    if isinstance(value, list):
        return [row for number, inner in enumerate(value) for row in _leaves(inner, f"{path}/{number}")]
    return [(path, value if isinstance(value, str) else strict_json.dumps(value).decode())]
