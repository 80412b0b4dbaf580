"""How the wallet talks: HTTP without redirects, answers of bounded size, one sentence for each failure."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

from specs.protocols.oauth_metadata import check_url

MAX_ANSWER_BYTES = 8 * 1024 * 1024
TIMEOUT_SECONDS = 15.0


class WalletFailure(Exception):
    """The wallet can't go on; the message is one sentence for whoever holds it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def is_good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class Transport:
    """One wallet's HTTP client. allow_loopback_http: plain http to this machine, for demonstrations."""

    def __init__(self, *, allow_loopback_http: bool = False, client: httpx.Client | None = None) -> None:
        self.allow_loopback_http = allow_loopback_http
        self.client = client or httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)

    def get(self, url: str, *, accept: str = "application/json") -> Answer:
        """GET a document."""
        return self._send("GET", url, {"Accept": accept}, None)

    def post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        """POST a form."""
        body = urlencode(form).encode()
        return self._send("POST", url, {**(headers or {}), "Content-Type": "application/x-www-form-urlencoded"}, body)

    def post(self, url: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Answer:
        """POST a document."""
        return self._send("POST", url, {**(headers or {}), "Content-Type": content_type}, body)

    def post_empty(self, url: str) -> Answer:
        """POST nothing."""
        return self._send("POST", url, {}, b"")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        check_url(url, allow_loopback_http=self.allow_loopback_http)
        try:
            with self.client.stream(method, url, headers=dict(headers), content=body) as response:
                read = bytearray()
                for chunk in response.iter_bytes():
                    read += chunk
                    if len(read) > MAX_ANSWER_BYTES:
                        raise WalletFailure(f"{_host(url)} answers with more than {MAX_ANSWER_BYTES} bytes")
                return Answer(response.status_code, response.headers, bytes(read))
        except httpx.HTTPError as error:
            raise WalletFailure(f"{_host(url)} can't be reached ({type(error).__name__})") from error


def _host(url: str) -> str:
    return httpx.URL(url).netloc.decode()
