"""Fetching what a credential points to, without becoming anybody's tool.

https only, public addresses only (pinned after resolution), no redirect to elsewhere, a deadline for the whole and a
size cap. Revocation lists and responders' answers alone may come over plain http too: they prove themselves by their
signature, and certificates name them so (docs/decisions/0006).
"""

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Protocol, cast
from urllib.parse import SplitResult, urljoin, urlsplit

from specs.trust import ocsp
from verifier.expectations import Fetched

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_REVOCATION_BYTES = 8 * 1024 * 1024
DEADLINE_SECONDS = 5.0
PLAIN_HTTP_TYPES = frozenset({"application/pkix-crl", ocsp.MEDIA_TYPE})  # signed, and served over plain http everywhere

_MAX_REDIRECTS = 2
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 * 1024
_OVERHEAD = 64 * 1024  # of an answer's head
# these lead to the IPv4 address at their end: by a gateway, and by this machine itself
_IPV4_AT_END = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::ffff:0:0/96")))
# a gateway would turn these into IPv4 addresses, private ones among them
_TUNNELS = tuple(
    map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10", "::/96", "::ffff:0:0:0/96"))
)
_ASSIGNMENTS = ipaddress.IPv4Network("192.0.0.0/24")  # of the IETF (RFC 6890 §2.2.2); one cloud's metadata lies there


class FetchFailed(Exception):
    """The document could not be had; the message names the rule or the step, never a secret."""


class FetchForbidden(FetchFailed):
    """A rule of ours forbids it, so that another try would end alike."""


class Fetcher(Protocol):
    """What the host gives the verifier to fetch with."""

    def fetch(self, url: str, *, accept: str) -> Fetched:
        """GET a document. accept: the media type wanted.

        Raises:
            FetchFailed: no answer that may be used; an HTTP status of any kind is an answer.
        """
        ...


class PolicedFetcher:
    """The default fetcher.

    allow_loopback_http: plain http to this machine, for demonstrations and tests only. http_for_revocation: plain http
    to public addresses for revocation lists and responders' answers (RFC 5280 §8, RFC 6960 A.1); False: https only.
    """

    def __init__(
        self,
        *,
        allow_loopback_http: bool = False,
        http_for_revocation: bool = True,
        deadline: float = DEADLINE_SECONDS,
        max_bytes: int = MAX_BODY_BYTES,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allow_loopback_http = allow_loopback_http
        self._http_for_revocation = http_for_revocation
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._tls = tls or ssl.create_default_context()
        self._clock = clock

    def fetch(self, url: str, *, accept: str) -> Fetched:
        """GET a document over https from a public address (see the module's first lines)."""
        until = time.monotonic() + self._deadline
        first = target = _split(url)
        for _ in range(_MAX_REDIRECTS + 1):
            status, content_type, location, body = self._exchange(target, "GET", {"Accept": accept}, b"", until)
            if status not in _REDIRECTS or location is None:
                return Fetched(body, status, content_type, int(self._clock()))
            target = _split(location, base=target)
            if (target.scheme, target.netloc) != (first.scheme, first.netloc):
                raise FetchForbidden("redirected to elsewhere")
        raise FetchForbidden("redirected too often")

    def post(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Fetched:
        """POST to an https address under the same rules as `fetch`; a redirect is an answer and is never followed.

        headers: `Content-Type` among them; names and values without line breaks.

        Raises:
            FetchFailed: no answer that may be used; an HTTP status of any kind is an answer.
        """
        until = time.monotonic() + self._deadline
        status, content_type, _, answered = self._exchange(_split(url), "POST", headers, body, until)
        return Fetched(answered, status, content_type, int(self._clock()))

    def _exchange(
        self, parts: SplitResult, method: str, headers: Mapping[str, str], body: bytes, until: float
    ) -> tuple[int, str, str | None, bytes]:
        try:
            proves_itself = headers.get("Accept") in PLAIN_HTTP_TYPES and method == "GET"
            addresses, port = self._resolve(parts, until, http_allowed=proves_itself and self._http_for_revocation)
            with self._connect(parts, addresses, port, until) as connected:
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                sent = {"Host": parts.netloc, **headers, "Accept-Encoding": "identity", "Connection": "close"}
                if method == "POST":
                    sent["Content-Length"] = str(len(body))
                if any(character in name + value for name, value in sent.items() for character in "\r\n"):
                    raise FetchForbidden("not a header to send")
                head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items())
                connected.settimeout(_left(until))
                connected.sendall(f"{head}\r\n".encode("ascii") + body)
                limit = min(self._max_bytes, MAX_REVOCATION_BYTES) if proves_itself else self._max_bytes
                read_from = _Until(connected, until, most=2 * limit + _OVERHEAD)
                response = http.client.HTTPResponse(cast(socket.socket, read_from), method=method)
                response.begin()
                content_type = response.headers.get_content_type() if "content-type" in response.headers else ""
                return response.status, content_type, response.getheader("location"), self._read(response, limit)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise FetchFailed(type(error).__name__) from error

    def _read(self, response: http.client.HTTPResponse, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise FetchForbidden("too large")
            chunks.append(chunk)
        if response.length:  # `http.client` takes what came before a connection ended for the whole
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(chunks)

    def _resolve(self, parts: SplitResult, until: float, *, http_allowed: bool) -> tuple[tuple[str, ...], int]:
        host = parts.hostname
        if host is None or parts.username is not None or any(character <= " " for character in parts.geturl()):
            raise FetchForbidden("not an address to fetch from")
        plain = parts.scheme == "http"
        if parts.scheme != "https" and not (plain and (http_allowed or self._allow_loopback_http)):
            raise FetchForbidden("https only")
        port = parts.port or (80 if plain else 443)
        # in the order that the system likes best, which knows whether IPv6 leads anywhere
        addresses = dict.fromkeys(_looked_up(host, port, until))
        for address in addresses:
            ip = ipaddress.ip_address(address)
            if ip.is_loopback and self._allow_loopback_http:
                continue
            if (plain and not http_allowed) or not _is_public(ip):
                raise FetchForbidden("not a public address")
        # the addresses that were checked are those that are used: a second resolution could answer otherwise
        return tuple(addresses), port

    def _connect(self, parts: SplitResult, addresses: tuple[str, ...], port: int, until: float) -> socket.socket:
        connected = self._first_to_connect(addresses, port, until)
        if parts.scheme == "http":
            return connected
        try:
            connected.settimeout(_left(until))
            return self._tls.wrap_socket(connected, server_hostname=parts.hostname)
        except OSError:
            connected.close()
            raise

    def _first_to_connect(self, addresses: tuple[str, ...], port: int, until: float) -> socket.socket:
        *others, last = addresses
        for address in others:
            try:
                return socket.create_connection((address, port), timeout=_left(until) / len(addresses))
            except OSError:
                continue
        return socket.create_connection((last, port), timeout=_left(until))


def _split(url: str, *, base: SplitResult | None = None) -> SplitResult:
    try:
        return urlsplit(url if base is None else urljoin(base.geturl(), url))
    except ValueError as error:
        raise FetchForbidden("not an address to fetch from") from error


def _looked_up(host: str, port: int, until: float) -> list[str]:
    """The addresses of a host. The system's resolver knows no deadline: one that takes longer is left to itself."""
    answer: Future[list[str]] = Future()
    threading.Thread(target=_look_up, args=(host, port, answer), daemon=True).start()
    return answer.result(_left(until))


def _look_up(host: str, port: int, answer: "Future[list[str]]") -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        answer.set_exception(error)
    else:
        answer.set_result([str(info[4][0]) for info in found])


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of the public network's; what a gateway translates is judged by where it leads."""
    if any(ip in network for network in _IPV4_AT_END):
        ip = ipaddress.IPv4Address(ip.packed[-4:])
    nowhere = ip in _ASSIGNMENTS or any(ip in network for network in _TUNNELS)
    return ip.is_global and not ip.is_multicast and not nowhere


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Until(io.RawIOBase):
    """A socket as http.client wants it, whose every read ends at the same deadline however slowly bytes drip.

    most: bytes of the whole answer. `http.client` reads a chunk that says that it is of size -1 to its end at once.
    """

    def __init__(self, connected: socket.socket, until: float, *, most: int) -> None:
        self._connected = connected
        self._until = until
        self._left = most

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        self._connected.settimeout(_left(self._until))
        received = self._connected.recv_into(buffer)
        self._left -= received
        if self._left < 0:
            raise FetchForbidden("too large")
        return received
