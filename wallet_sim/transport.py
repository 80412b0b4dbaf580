"""How the wallet talks: HTTP without redirects, answers of bounded size, one sentence for each failure."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import httpx

from specs.protocols.oauth import InvalidAnswer, OAuthError, parse_error
from specs.protocols.oauth_metadata import check_url
from wallet_sim.conduct import FORM, HONEST, REQUEST, Conduct, Endpoint, Exchange, Outgoing

MAX_ANSWER_BYTES = 8 * 1024 * 1024
TIMEOUT_SECONDS = 15.0
FORM_TYPE = "application/x-www-form-urlencoded"


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


def new_client(*, loopback_tls_unchecked: bool = False) -> httpx.Client:
    """A client that follows no redirects. loopback_tls_unchecked: servers of this machine may show any certificate."""
    own = httpx.HTTPTransport(verify=False) if loopback_tls_unchecked else None
    mounts = {f"https://{host}": own for host in ("localhost", "127.0.0.1")} if own is not None else {}
    return httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, mounts=mounts)


class Transport:
    """One wallet's HTTP client.

    allow_loopback_http: plain http to this machine, for demonstrations. conduct: what all that goes out passes through.
    sleep: between the bytes of a body that is sent slowly; seconds.
    """

    def __init__(
        self,
        *,
        allow_loopback_http: bool = False,
        client: httpx.Client | None = None,
        conduct: Conduct = HONEST,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.allow_loopback_http = allow_loopback_http
        self.client = client or new_client()
        self.conduct = conduct
        self._sleep = sleep

    def get(self, url: str, *, accept: str = "application/json", to: Endpoint = Endpoint.OTHER) -> Answer:
        """GET a document."""
        return self._send("GET", url, {"Accept": accept}, b"", to)

    def post_form(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None, *, to: Endpoint
    ) -> Answer:
        """POST a form."""
        body = urlencode(self.conduct.change(FORM, dict(form), to=to)).encode()
        return self._send("POST", url, {**(headers or {}), "Content-Type": FORM_TYPE}, body, to)

    def post(
        self, url: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None, *, to: Endpoint
    ) -> Answer:
        """POST a document."""
        return self._send("POST", url, {**(headers or {}), "Content-Type": content_type}, body, to)

    def post_empty(self, url: str, *, to: Endpoint = Endpoint.OTHER) -> Answer:
        """POST nothing."""
        return self._send("POST", url, {}, b"", to)

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, to: Endpoint) -> Answer:
        check_url(url, allow_loopback_http=self.allow_loopback_http)
        request = self.conduct.change(REQUEST, Outgoing(method, url, tuple(headers.items()), body), to=to)
        for _ in range(request.times - 1):
            self._sent(request, to)
        return self._sent(request, to)

    def _sent(self, request: Outgoing, to: Endpoint) -> Answer:
        headers, content = list(request.headers), self._content(request)
        if request.pace:
            headers.append(("Content-Length", str(len(request.body))))
        try:
            with self.client.stream(request.method, request.url, headers=headers, content=content) as response:
                read = bytearray()
                for chunk in response.iter_bytes():
                    read += chunk
                    if len(read) > MAX_ANSWER_BYTES:
                        raise WalletFailure(f"{_host(request.url)} answers with more than {MAX_ANSWER_BYTES} bytes")
                answer = Answer(response.status_code, response.headers, bytes(read))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self.conduct.note(Exchange(to, None))
            raise WalletFailure(f"{_host(request.url)} can't be reached ({type(error).__name__})") from error
        self.conduct.note(Exchange(to, answer.status, *error_of(answer)))
        return answer

    def _content(self, request: Outgoing) -> bytes | Iterator[bytes] | None:
        if not request.pace:
            return request.body if request.method == "POST" else None

        def slowly() -> Iterator[bytes]:
            half = len(request.body) // 2
            yield request.body[:half]
            for position in range(half, len(request.body)):
                self._sleep(request.pace)
                yield request.body[position : position + 1]

        return slowly()


def error_of(answer: Answer) -> tuple[str | None, str]:
    """The `error` of an answer and its description: in its body, or in `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §9).

    None, and no description, where the answer is a good one.
    """
    if answer.is_good:
        return None, ""
    try:
        error: OAuthError = parse_error(answer.body, status=answer.status)
    except InvalidAnswer:
        _, found, rest = answer.headers.get("www-authenticate", "").partition('error="')
        return (rest.partition('"')[0] if found else None), ""
    return error.error, error.description


def _host(url: str) -> str:
    return urlsplit(url).netloc
