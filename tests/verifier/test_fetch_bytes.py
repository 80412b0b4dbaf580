"""What the fetcher writes and reads, byte by byte: its requests, and answers as no proper server sends them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from verifier.fetch import FetchFailed, FetchForbidden, PolicedFetcher

DEADLINE = 5.0
MOST = 1000
CRL = "application/pkix-crl"
TYPE = "application/json"


@dataclass
class Peer:
    """Whoever listens on a port of this machine. answers: one for each connection, as bytes."""

    port: int
    answers: list[bytes]
    asked: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/a") -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def answering(*answers: bytes) -> Iterator[Peer]:
    """A peer for as long as the test needs it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(DEADLINE)
        peer = Peer(listening.getsockname()[1], [*answers])

        def serve() -> None:
            for answer in peer.answers:
                try:
                    connected, _ = listening.accept()
                except OSError:
                    return
                with connected:
                    connected.settimeout(DEADLINE)
                    try:
                        peer.asked.append(_request(connected))
                        connected.sendall(answer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield peer
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection
            thread.join()


def _request(connected: socket.socket) -> bytes:
    """A request with the body that its head announces; nothing, if there is none."""
    read = b""
    while b"\r\n\r\n" not in read:
        if not (more := connected.recv(4096)):
            raise ConnectionResetError
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
    while len(body) < length and (more := connected.recv(4096)):
        body += more
    return head + b"\r\n\r\n" + body


def answer(body: bytes, *, head: str = "", status: int = 200) -> bytes:
    """An answer that ends with the connection."""
    return f"HTTP/1.1 {status} So\r\n{head}\r\n".encode() + body


def chunked(*chunks: bytes) -> bytes:
    return answer(b"".join(chunks), head="Transfer-Encoding: chunked\r\n")


@pytest.fixture
def fetcher() -> PolicedFetcher:
    return PolicedFetcher(allow_loopback_http=True, deadline=DEADLINE, max_bytes=MOST, clock=lambda: 1234.5)


@pytest.mark.parametrize(
    ("path", "line"), [("", "GET / "), ("/a/b", "GET /a/b "), ("/a?b=c&d", "GET /a?b=c&d "), ("?b=c", "GET /?b=c ")]
)
def test_a_document_is_asked_for_as_it_is_and_by_one_request(path: str, line: str, fetcher: PolicedFetcher) -> None:
    with answering(answer(b"x")) as peer:
        assert fetcher.fetch(peer.url(path), accept=TYPE).body == b"x"
    assert peer.asked == [
        f"{line}HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\nAccept: {TYPE}\r\n"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode()
    ]


@pytest.mark.parametrize(
    ("user", "path", "fits"),
    [
        ("", "/a!b~", True),
        ("", "/a b", False),
        ("", "/a\x1fb", False),
        ("", "/a\x00b", False),
        ("user:secret@", "/a", False),
        ("user@", "/a", False),
        ("@", "/a", False),
    ],
)
def test_no_address_with_a_user_or_a_space_is_fetched(
    user: str, path: str, fits: bool, fetcher: PolicedFetcher
) -> None:
    with answering(answer(b"x")) as peer:
        url = f"http://{user}127.0.0.1:{peer.port}{path}"
        if fits:
            assert fetcher.fetch(url, accept=TYPE).body == b"x"
        else:
            with pytest.raises(FetchForbidden, match="not an address"):
                fetcher.fetch(url, accept=TYPE)
    assert len(peer.asked) == fits


@pytest.mark.parametrize("accept", [TYPE, CRL])
@pytest.mark.parametrize("scheme", ["ftp", "ws", "httpx", "file"])
def test_nothing_but_http_is_spoken_on_this_machine_either(scheme: str, accept: str, fetcher: PolicedFetcher) -> None:
    with pytest.raises(FetchForbidden, match="https only"):
        fetcher.fetch(f"{scheme}://127.0.0.1/a", accept=accept)


def test_an_address_without_a_host_is_nowhere() -> None:
    """Without a host, a look-up would give this machine."""
    with pytest.raises(FetchForbidden, match="not an address"):
        PolicedFetcher(allow_loopback_http=True).fetch("https:///a", accept=TYPE)


@pytest.mark.parametrize("late", [0.0, 1.0])
def test_at_the_deadline_nothing_is_begun_any_more(late: float, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments, DEADLINE + late))
    fetcher = PolicedFetcher(allow_loopback_http=True, deadline=DEADLINE)
    with pytest.raises(FetchFailed, match="TimeoutError"):
        fetcher.fetch("http://127.0.0.1:9/a", accept=TYPE)


@pytest.mark.parametrize("body", [b"", b"a=b", b"\x00" * 5000])
def test_what_is_posted_goes_with_its_length_and_the_callers_headers(body: bytes, fetcher: PolicedFetcher) -> None:
    with answering(answer(b"done", head=f"Content-Type: {TYPE}; charset=utf-8\r\n", status=202)) as peer:
        fetched = fetcher.post(peer.url("/p?q"), body, headers={"Content-Type": "text/plain", "X-Own": "1"})
    head = (
        f"POST /p?q HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\nContent-Type: text/plain\r\nX-Own: 1\r\n"
        f"Accept-Encoding: identity\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    assert peer.asked == [head.encode() + body]
    assert (fetched.body, fetched.http_status, fetched.content_type, fetched.fetched_at) == (b"done", 202, TYPE, 1234)


@pytest.mark.parametrize("headers", [{"X-Own": "a\r\nX-Other: b"}, {"X-Own": "a\nb"}, {"X-Own\r": "a"}])
def test_no_header_slips_in_another(headers: dict[str, str], fetcher: PolicedFetcher) -> None:
    with answering(answer(b"")) as peer:
        with pytest.raises(FetchForbidden, match="not a header"):
            fetcher.post(peer.url(), b"", headers=headers)
        with pytest.raises(FetchForbidden, match="not a header"):
            fetcher.fetch(peer.url(), accept="a\r\nb")
    assert not any(peer.asked)


def test_a_post_is_never_sent_on(fetcher: PolicedFetcher) -> None:
    with answering(answer(b"there", head="Location: /b\r\n", status=307), answer(b"x")) as peer:
        fetched = fetcher.post(peer.url(), b"secret", headers={"Content-Type": TYPE})
    assert (fetched.http_status, fetched.body, len(peer.asked)) == (307, b"there", 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_each_kind_of_redirect_is_followed(status: int, fetcher: PolicedFetcher) -> None:
    with answering(answer(b"", head="Location: b?c\r\n", status=status), answer(b"x")) as peer:
        fetched = fetcher.fetch(peer.url("/a/a"), accept=TYPE)
    assert (fetched.http_status, fetched.body) == (200, b"x")
    assert peer.asked[1].startswith(b"GET /a/b?c ")


@pytest.mark.parametrize(
    ("status", "head"), [(300, "Location: /b\r\n"), (304, "Location: /b\r\n"), (200, "Location: /b\r\n"), (302, "")]
)
def test_what_is_no_redirect_is_an_answer(status: int, head: str, fetcher: PolicedFetcher) -> None:
    with answering(answer(b"", head=head, status=status), answer(b"x")) as peer:
        assert fetcher.fetch(peer.url(), accept=TYPE).http_status == status


@pytest.mark.parametrize(("redirects", "fits"), [(2, True), (3, False)])
def test_two_redirects_and_no_more_are_followed(redirects: int, fits: bool, fetcher: PolicedFetcher) -> None:
    steps = [answer(b"", head=f"Location: /{number}\r\n", status=302) for number in range(redirects)]
    with answering(*steps, answer(b"x")) as peer:
        if fits:
            assert fetcher.fetch(peer.url(), accept=TYPE).body == b"x"
        else:
            with pytest.raises(FetchForbidden, match="too often"):
                fetcher.fetch(peer.url(), accept=TYPE)
    assert len(peer.asked) == 3


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "until the end": lambda body: answer(body),
    "announced": lambda body: answer(body, head=f"Content-Length: {len(body)}\r\n"),
    "in chunks": lambda body: chunked(*(b"a\r\n" + body[at : at + 10] + b"\r\n" for at in range(0, len(body), 10))),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("accept", [TYPE, CRL])
def test_an_answer_may_be_as_large_as_the_limit(
    accept: str, form: Callable[[bytes], bytes], fetcher: PolicedFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smaller of both limits counts for revocation lists."""
    monkeypatch.setattr("verifier.fetch.MAX_REVOCATION_BYTES", 900)
    most = 900 if accept == CRL else MOST
    padding = b"0\r\n\r\n" if form is FORMS["in chunks"] else b""
    with answering(form(bytes(most)) + padding, form(bytes(most + 10)) + padding) as peer:
        assert len(fetcher.fetch(peer.url(), accept=accept).body) == most
        with pytest.raises(FetchForbidden, match="too large"):
            fetcher.fetch(peer.url(), accept=accept)


def test_small_chunks_may_take_as_much_room_as_what_they_carry() -> None:
    body = b"".join(b"a\r\n" + bytes(10) + b"\r\n" for _ in range(20_000))
    fetcher = PolicedFetcher(allow_loopback_http=True, deadline=DEADLINE, max_bytes=200_000)
    with answering(chunked(body, b"0\r\n\r\n")) as peer:
        assert len(fetcher.fetch(peer.url(), accept=TYPE).body) == 200_000


@pytest.mark.parametrize("accept", [CRL, "application/ocsp-response", TYPE])
def test_nothing_is_posted_over_plain_http(accept: str) -> None:
    """Only what is asked for by GET proves itself."""
    with pytest.raises(FetchForbidden, match="https only"):
        PolicedFetcher(deadline=DEADLINE).post("http://93.184.216.34/a", b"", headers={"Accept": accept})


def test_one_byte_over_the_limit_is_too_large(fetcher: PolicedFetcher) -> None:
    with answering(answer(bytes(MOST + 1))) as peer, pytest.raises(FetchForbidden, match="too large"):
        fetcher.fetch(peer.url(), accept=TYPE)


@pytest.mark.parametrize("more", [0, 1])
def test_head_and_body_together_may_be_twice_the_limit_and_64_kib(more: int, fetcher: PolicedFetcher) -> None:
    bare = answer(b"x", head="Content-Length: 1\r\nX-A: \r\nX-B: \r\n")
    padding = 2 * MOST + 64 * 1024 - len(bare)
    head = f"Content-Length: 1\r\nX-A: {'a' * (padding // 2)}\r\nX-B: {'b' * (padding - padding // 2 + more)}\r\n"
    with answering(answer(b"x", head=head)) as peer:
        if more:
            with pytest.raises(FetchForbidden, match="too large"):
                fetcher.fetch(peer.url(), accept=TYPE)
        else:
            assert fetcher.fetch(peer.url(), accept=TYPE).body == b"x"


def test_a_chunk_of_negative_size_is_not_read_to_its_end(fetcher: PolicedFetcher) -> None:
    """`-1` was taken for “all there is”: whoever answered could fill the memory until the deadline."""
    with answering(chunked(b"-1\r\n", bytes(5_000_000))) as peer, pytest.raises(FetchForbidden, match="too large"):
        fetcher.fetch(peer.url(), accept=TYPE)


@pytest.mark.parametrize(
    "broken",
    [
        answer(b"ab", head="Content-Length: 3\r\n"),
        answer(b"", head="Content-Length: 3\r\n"),
        chunked(b"3\r\nab"),
        chunked(b"2\r\nab\r\n"),
        chunked(b"zz\r\nab\r\n0\r\n\r\n"),
        b"HTTP/1.1 999999 So\r\n\r\nab",
        b"HTTP/1.1 200 So\r\n" + b"A: b\r\n" * 200 + b"\r\nab",
        b"no answer",
        b"",
    ],
    ids=[
        "cut",
        "empty",
        "cut chunk",
        "no last chunk",
        "chunk size",
        "status",
        "too many headers",
        "no head",
        "nothing",
    ],
)
def test_an_answer_that_is_cut_off_or_broken_is_none(broken: bytes, fetcher: PolicedFetcher) -> None:
    """What came before a connection ended was taken for the whole document."""
    with answering(broken) as peer, pytest.raises(FetchFailed):
        fetcher.fetch(peer.url(), accept=TYPE)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", ""),
        ("Content-Type: application/jwk-set+JSON;charset=utf-8\r\n", "application/jwk-set+json"),
        ("Content-Length: 1\r\n", ""),
    ],
)
def test_a_type_that_is_not_said_is_not_made_up(head: str, expected: str, fetcher: PolicedFetcher) -> None:
    with answering(answer(b"x", head=head)) as peer:
        assert fetcher.fetch(peer.url(), accept=TYPE).content_type == expected


@pytest.mark.parametrize(
    ("url", "accept", "expected"),
    [
        ("https://site.example/a", TYPE, ("site.example", 443)),
        ("https://site.example:8443/a", TYPE, ("site.example", 8443)),
        ("http://site.example/a", CRL, ("site.example", 80)),
        ("http://site.example:8080/a", CRL, ("site.example", 8080)),
    ],
)
def test_a_host_is_looked_up_with_the_port_of_its_scheme(
    url: str, accept: str, expected: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int, family: int = 0, type: int = 0) -> list[object]:
        asked.append((host, port))
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(FetchFailed, match="gaierror"):
        PolicedFetcher(deadline=DEADLINE).fetch(url, accept=accept)
    assert asked == [expected]
