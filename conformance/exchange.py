"""One request and its answer, as a run sends and keeps them: no redirects, answers of bearable size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from conformance.redaction import shown_body, shown_headers, shown_url
from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.oauth_metadata import check_url

MAX_ANSWER_BYTES = 4 * 1024 * 1024
TIMEOUT_SECONDS = 15.0
JSON, JWT, FORM = "application/json", "application/jwt", "application/x-www-form-urlencoded"
_MAX_KEPT = 60  # exchanges of one check


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was sent and what came back, fit to be shown to anybody. status: None if nothing came.

    came_in: the target asked and the suite answered.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    status: int | None
    answer_headers: tuple[tuple[str, str], ...]
    answer: str
    came_in: bool = False

    def as_json(self) -> JsonObject:
        """For reports."""
        return {
            "from": "target" if self.came_in else "suite",
            "request": {"method": self.method, "url": self.url, "headers": _headers(self.headers), "body": self.body},
            "answer": {"status": self.status, "headers": _headers(self.answer_headers), "body": self.answer},
        }


@dataclass
class Recorder:
    """What went to and fro in a run. requests: how many the suite sent."""

    exchanges: list[Exchange] = field(default_factory=list)
    requests: int = 0

    def mark(self) -> int:
        """Where the record stands now."""
        return len(self.exchanges)

    def since(self, mark: int) -> tuple[Exchange, ...]:
        """What came after a mark."""
        return tuple(self.exchanges[mark:][:_MAX_KEPT])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def is_never_stored(self) -> bool:
        """Whether Cache-Control has `no-store` (RFC 9111 §5.2.2.5)."""
        directives = ",".join(self.headers.get_list("cache-control")).lower().split(",")
        return "no-store" in (each.strip() for each in directives)

    @property
    def is_good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def error(self) -> str:
        """The `error` of the answer's JSON object, else of WWW-Authenticate; empty if there is none."""
        try:
            error = strict_json.parse_object(self.body).get("error")
        except Malformed:
            error = None
        if isinstance(error, str):
            return error
        _, found, rest = self.headers.get("www-authenticate", "").partition('error="')
        return rest.partition('"')[0] if found else ""

    @property
    def described(self) -> str:
        """Status, type and error code, for reports."""
        error = f" {self.error}" if not self.is_good and self.error else ""
        return f"{self.status} {self.media_type or 'without a content type'}{error}"

    def json_object(self) -> JsonObject:
        """The body as a JSON object.

        Raises:
            Malformed: it is none.
        """
        return strict_json.parse_object(self.body)


class NoAnswer(Exception):
    """Nothing came, or too much, or the address may not be called; the message says which."""


Headers = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass
class Caller:
    """Sends what the suite sends, and keeps a record of it. allow_loopback_http: plain http to this machine."""

    client: httpx.Client
    allow_loopback_http: bool = False
    recorder: Recorder = field(default_factory=Recorder)

    def send(self, method: str, url: str, *, headers: Headers | None = None, body: bytes | None = None) -> Answer:
        """One request.

        Raises:
            NoAnswer: the address may not be called, or there is no answer of bearable size.
        """
        try:
            check_url(url, allow_loopback_http=self.allow_loopback_http)
        except InvalidAnswer as error:
            raise NoAnswer(f"{shown_url(url)} may not be called: {error}") from None
        sent = httpx.Headers(dict(headers) if isinstance(headers, Mapping) else list(headers or ()))
        self.recorder.requests += 1
        answer: Answer | None = None
        try:
            with self.client.stream(method, url, headers=sent, content=body) as response:
                read = bytearray()
                for chunk in response.iter_bytes():
                    read += chunk
                    if len(read) > MAX_ANSWER_BYTES:
                        raise NoAnswer(f"more than {MAX_ANSWER_BYTES} bytes from {shown_url(url)}")
                answer = Answer(response.status_code, response.headers, bytes(read))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"none from {shown_url(url)} ({type(error).__name__})") from None
        finally:
            self.recorder.exchanges.append(exchange(method, url, sent, body or b"", answer))
        return answer

    def get(self, url: str, *, accept: str = JSON) -> Answer:
        """GET a document."""
        return self.send("GET", url, headers={"Accept": accept})

    def post_form(self, url: str, form: Mapping[str, str], headers: Headers | None = None) -> Answer:
        """POST a form."""
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or ())
        return self.send(
            "POST", url, headers=[("Content-Type", FORM), ("Accept", JSON), *pairs], body=urlencode(form).encode()
        )


def exchange(
    method: str, url: str, headers: httpx.Headers, body: bytes, answer: Answer | None, *, came_in: bool = False
) -> Exchange:
    """A request and its answer, made fit to be shown."""
    is_public = "/.well-known/" in url
    return Exchange(
        method,
        shown_url(url),
        shown_headers(headers),
        shown_body(body, headers.get("content-type", "")),
        answer.status if answer else None,
        shown_headers(answer.headers) if answer else (),
        shown_body(answer.body, answer.headers.get("content-type", ""), is_public=is_public) if answer else "",
        came_in,
    )


def _headers(pairs: tuple[tuple[str, str], ...]) -> JsonObject:
    return dict(pairs)
