"""The fetcher against real servers on this machine: what it fetches, and what it can't be made to do."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from specs.keys.signer import generate_private_key
from specs.trust.certificates import Authority, SubjectName, build_root_ca, build_tls_server_certificate
from verifier.fetch import Fetcher, FetchFailed, PolicedFetcher

DEADLINE = 0.6
SLACK = 0.5
ACCEPT = "application/statuslist+jwt"


@dataclass
class Site:
    """A server of this test. requests: paths that were asked for, with the Accept header."""

    port: int = 0
    redirects: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, path: str = "/list", *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"{scheme}://{host}:{self.port}{path}"


def handler_of(site: Site) -> type[BaseHTTPRequestHandler]:
    """What the server does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests.append((self.path, self.headers.get("Accept")))
            with suppress(BrokenPipeError, ConnectionResetError):
                self._answer()

        def _answer(self) -> None:
            if self.path in site.redirects:
                self.send_response(302)
                self.send_header("Location", site.redirects[self.path])
                self.end_headers()
            elif self.path == "/drip":
                self.send_response(200)
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.05)
            elif self.path == "/dripping-head":
                for _ in range(100):
                    self.wfile.write(b"H")
                    self.wfile.flush()
                    time.sleep(0.05)
            elif self.path == "/endless":
                self.send_response(200)
                self.end_headers()
                for _ in range(1000):
                    self.wfile.write(bytes(1000))
            elif self.path == "/announced":
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                self.wfile.write(bytes(1_000_000))
            elif self.path == "/gone":
                self.send_error(410)
            else:
                self.send_response(200)
                self.send_header("Content-Type", f"{ACCEPT}; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"the list")

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    return Handler


@contextmanager
def running(site: Site, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A server for as long as the test needs it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(site))
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as found:
        yield found


@pytest.fixture
def fetcher() -> PolicedFetcher:
    """As demonstrations have it: plain http on this machine."""
    return PolicedFetcher(allow_loopback_http=True, deadline=DEADLINE, max_bytes=10_000, clock=lambda: 1234.5)


def refused(fetcher: Fetcher, url: str) -> str:
    """Why an address is not fetched."""
    begin = time.monotonic()
    with pytest.raises(FetchFailed) as failure:
        fetcher.fetch(url, accept=ACCEPT)
    assert time.monotonic() - begin < DEADLINE + SLACK
    return str(failure.value)


def test_a_document_comes_with_its_status_type_and_time(site: Site, fetcher: PolicedFetcher) -> None:
    fetched = fetcher.fetch(site.url(), accept=ACCEPT)
    assert (fetched.body, fetched.http_status, fetched.content_type, fetched.fetched_at) == (
        b"the list",
        200,
        ACCEPT,
        1234,
    )
    assert site.requests == [("/list", ACCEPT)]
    assert fetcher.fetch(site.url("/gone"), accept=ACCEPT).http_status == 410


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0", "2130706433"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_out_of_reach_by_default(host: str, scheme: str, site: Site) -> None:
    refused(PolicedFetcher(deadline=DEADLINE), site.url(scheme=scheme, host=host))
    assert not site.requests


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[::]",
        "192.0.0.192",
        "[::ffff:10.0.0.1]",
        "[::ffff:100.64.0.1]",
        "[::ffff:224.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
    ],
)
@pytest.mark.parametrize("allow_loopback_http", [False, True])
def test_private_addresses_are_out_of_reach(address: str, allow_loopback_http: bool) -> None:
    strict = PolicedFetcher(deadline=DEADLINE, allow_loopback_http=allow_loopback_http)
    for scheme in ("https", "http"):
        assert refused(strict, f"{scheme}://{address}/latest/meta-data") in ("not a public address", "https only")


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/list",
        "ftp://issuer.example/list",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_SET",
        "//issuer.example/list",
        "issuer.example/list",
        "https:///list",
        "https://user:secret@issuer.example/list",
        "https://issuer.example/list\r\nX-Injected: 1",
        "https://issuer.example/a list",
        "https://issuer.example:99999/list",
        "https://[::1/list",
        "",
    ],
)
def test_only_https_addresses_are_fetched_at_all(url: str) -> None:
    refused(PolicedFetcher(deadline=DEADLINE), url)


def test_plain_http_stays_on_this_machine(fetcher: PolicedFetcher) -> None:
    assert refused(fetcher, "http://93.184.216.34/list") == "not a public address"


def test_a_redirect_within_the_site_is_followed_and_none_elsewhere(site: Site, fetcher: PolicedFetcher) -> None:
    with running(Site()) as elsewhere:
        site.redirects = {
            "/moved": "/list",
            "/to-other-port": elsewhere.url(),
            "/to-other-host": site.url(host="localhost"),
            "/to-other-scheme": site.url(scheme="https"),
            "/to-metadata": "http://169.254.169.254/latest/meta-data",
            "/to-file": "file:///etc/passwd",
            "/circle": "/circle",
            "/to-nowhere": "http://[::1/list",
        }
        assert fetcher.fetch(site.url("/moved"), accept=ACCEPT).body == b"the list"
        for path in ("/to-other-port", "/to-other-host", "/to-other-scheme", "/to-metadata", "/to-file"):
            assert refused(fetcher, site.url(path)) == "redirected to elsewhere"
        assert refused(fetcher, site.url("/to-nowhere")) == "not an address to fetch from"
        assert refused(fetcher, site.url("/circle")) == "redirected too often"
        assert not elsewhere.requests


@pytest.mark.parametrize("path", ["/drip", "/dripping-head"])
def test_a_slow_answer_ends_at_the_deadline(path: str, site: Site, fetcher: PolicedFetcher) -> None:
    """vf-013: a byte now and then does not keep us."""
    assert refused(fetcher, site.url(path)) == "TimeoutError"


def test_a_server_that_never_answers_ends_at_the_deadline(fetcher: PolicedFetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert refused(fetcher, f"http://127.0.0.1:{silent.getsockname()[1]}/") == "TimeoutError"


@pytest.mark.parametrize("path", ["/endless", "/announced"])
def test_a_large_answer_is_cut_off(path: str, site: Site, fetcher: PolicedFetcher) -> None:
    assert refused(fetcher, site.url(path)) == "too large"


def test_nobody_listens(fetcher: PolicedFetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert refused(fetcher, f"http://127.0.0.1:{port}/") == "ConnectionRefusedError"


def test_the_next_address_of_a_host_is_tried(
    site: Site, fetcher: PolicedFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host has two addresses, and the first leads nowhere from here: the list is there all the same."""
    resolved = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, site.port)) for address in ("127.0.0.9", "127.0.0.1")
    ]
    real = socket.getaddrinfo

    def two_for_one(host: str, port: int, family: int = 0, type: int = 0) -> object:
        return resolved if host == "two.example" else real(host, port, family, type)

    monkeypatch.setattr(socket, "getaddrinfo", two_for_one)
    assert fetcher.fetch(site.url(host="two.example"), accept=ACCEPT).body == b"the list"


@pytest.mark.parametrize(
    "addresses",
    [("93.184.216.34", "10.0.0.1"), ("10.0.0.1", "93.184.216.34"), ("127.0.0.1", "10.0.0.1"), ("::1", "fe80::1%lo")],
)
def test_one_private_address_among_others_is_enough_to_refuse(
    addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name whose owner mixes a private address in, hoping that we take that one."""
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved)
    fetcher = PolicedFetcher(deadline=DEADLINE, allow_loopback_http=True)
    assert refused(fetcher, "https://two.example/list") == "not a public address"


def tls_of(tmp_path: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side and a client's who believes its authority."""
    key, own = generate_private_key(), generate_private_key()
    now = int(time.time())
    root = build_root_ca(key=key, subject=SubjectName("Local CA"), serial=1, now=now)
    leaf = build_tls_server_certificate(
        authority=Authority(root, key), public_key=own.public_key(), serial=2, now=now, hosts=[host]
    )
    pem = x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM)
    chain = tmp_path / "server.pem"
    chain.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    client = ssl.create_default_context(cadata=root)
    return server, client


def test_https_is_checked_against_the_name_in_the_address(tmp_path: Path) -> None:
    server, client = tls_of(tmp_path, "localhost")
    with running(Site(), server) as site:
        believing = PolicedFetcher(allow_loopback_http=True, deadline=3, tls=client)
        assert believing.fetch(site.url(scheme="https", host="localhost"), accept=ACCEPT).body == b"the list"
        with pytest.raises(FetchFailed, match="SSLCertVerificationError"):
            believing.fetch(site.url(scheme="https"), accept=ACCEPT)
        stranger = PolicedFetcher(allow_loopback_http=True, deadline=3)
        with pytest.raises(FetchFailed, match="SSLCertVerificationError"):
            stranger.fetch(site.url(scheme="https", host="localhost"), accept=ACCEPT)
    assert [path for path, _ in site.requests] == ["/list"]


@pytest.fixture
def public_name(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """A host name that resolves to a public address, and connections there that end at this test's server."""
    real_resolve, real_connect = socket.getaddrinfo, socket.create_connection

    def resolve(host: str, port: int, family: int = 0, type: int = 0) -> object:
        public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]
        return public if host == "crl.example" else real_resolve(host, port, family, type)

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        there = ("127.0.0.1", site.port) if address[0] == "93.184.216.34" else address
        return real_connect(there, timeout=timeout)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    return "crl.example"


@pytest.mark.parametrize("accept", ["application/pkix-crl", "application/ocsp-response"])
def test_what_tells_of_withdrawals_may_come_over_plain_http(accept: str, site: Site, public_name: str) -> None:
    url = f"http://{public_name}/list"
    assert PolicedFetcher(deadline=DEADLINE).fetch(url, accept=accept).body == b"the list"
    assert site.requests == [("/list", accept)]
    closed = PolicedFetcher(deadline=DEADLINE, http_for_revocation=False)
    with pytest.raises(FetchFailed, match="https only"):
        closed.fetch(url, accept=accept)
    assert refused(PolicedFetcher(deadline=DEADLINE), url) == "https only", "a status list does not"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00::1]"])
def test_plain_http_leads_nobody_inside(host: str, site: Site) -> None:
    with pytest.raises(FetchFailed, match="not a public address"):
        PolicedFetcher(deadline=DEADLINE).fetch(site.url(host=host), accept="application/pkix-crl")
    assert not site.requests


def test_a_list_of_withdrawals_is_cut_off_earlier(
    site: Site, public_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.fetch.MAX_REVOCATION_BYTES", 7)
    with pytest.raises(FetchFailed, match="too large"):
        PolicedFetcher(deadline=DEADLINE).fetch(f"http://{public_name}/list", accept="application/pkix-crl")
