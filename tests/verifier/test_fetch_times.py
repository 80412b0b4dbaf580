"""How long the fetcher takes: each step has what is left of one deadline, and addresses share it."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from verifier.fetch import FetchFailed, PolicedFetcher

DEADLINE = 5.0
TYPE = "application/json"
ADDRESSES = ("93.184.216.34", "93.184.216.35", "93.184.216.36")
ANSWER = b"HTTP/1.1 200 So\r\nContent-Length: 1\r\n\r\nx"


@dataclass
class Wire:
    """A connection on which each step takes its time, and which notes how much it would have had."""

    now: float = 0.0
    takes: dict[str, float] = field(default_factory=dict)
    had: list[tuple[str, float]] = field(default_factory=list)
    dead: frozenset[str] = frozenset()
    answer: bytes = ANSWER
    timeout: float = 0.0
    closed: bool = False

    def connect(self, address: tuple[str, int], timeout: float) -> "Wire":
        """In place of `socket.create_connection`."""
        self.timeout = timeout
        self._step(address[0])
        if address[0] in self.dead:
            raise ConnectionRefusedError
        return self

    def settimeout(self, timeout: float) -> None:
        """What the next step has."""
        self.timeout = timeout

    def wrap_socket(self, _connected: "Wire", *, server_hostname: str) -> "Wire":
        """As the TLS context does."""
        assert server_hostname == "site.example"
        self._step("handshake")
        if "handshake" in self.dead:
            raise ssl.SSLError
        return self

    def sendall(self, _data: bytes) -> None:
        """The request."""
        self._step("send")

    def recv_into(self, buffer: memoryview) -> int:
        """The answer, a few bytes at a time."""
        self._step("receive")
        part, self.answer = self.answer[:20], self.answer[20:]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """The end."""
        self.closed = True

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _step(self, name: str) -> None:
        self.had.append((name, self.timeout))
        self.now += self.takes.get(name, 0.0)


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Wire]:
    """Fetches over a wire, from a host that has several addresses."""

    def fetched(wire: Wire, *, addresses: tuple[str, ...] = ADDRESSES[:1], fails: str | None = None) -> Wire:
        resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in (*addresses, addresses[0])]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved)
        monkeypatch.setattr(socket, "create_connection", wire.connect)
        monkeypatch.setattr(time, "monotonic", lambda: wire.now)
        fetcher = PolicedFetcher(deadline=DEADLINE, tls=cast(Any, wire))
        if fails is None:
            assert fetcher.fetch("https://site.example/a", accept=TYPE).body == b"x"
        else:
            with pytest.raises(FetchFailed, match=fails):
                fetcher.fetch("https://site.example/a", accept=TYPE)
        return wire

    return fetched


def test_each_step_has_what_is_left(over: Callable[..., Wire]) -> None:
    wire = over(Wire(takes={ADDRESSES[0]: 1.0, "handshake": 1.5, "send": 0.5, "receive": 0.25}))
    assert wire.had == [
        (ADDRESSES[0], 5.0),
        ("handshake", 4.0),
        ("send", 2.5),
        ("receive", 2.0),
        ("receive", 1.75),
    ]
    assert wire.closed


@pytest.mark.parametrize("step", [ADDRESSES[0], "handshake", "send"])
def test_whatever_takes_all_of_the_time_is_the_last_step(step: str, over: Callable[..., Wire]) -> None:
    wire = over(Wire(takes={step: DEADLINE}), fails="TimeoutError")
    assert wire.had[-1][0] == step
    assert wire.closed


def test_a_resolver_that_does_not_answer_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose servers are slow held a fetch for as long as the system's resolver tries, which is half a minute."""
    begun, released, threads = threading.Event(), threading.Event(), []

    def resolve(*_: object, **__: object) -> list[object]:
        threads.append(threading.current_thread())
        begun.set()
        assert released.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(FetchFailed, match="TimeoutError"):
        PolicedFetcher(deadline=0.01).fetch("https://site.example/a", accept=TYPE)
    assert begun.wait(10)
    (left,) = threads
    assert left.daemon, "nor does it keep a process from ending"
    released.set()
    left.join()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("192.0.1.1", True),
        ("192.0.0.192", False),
        ("224.0.0.1", False),
        ("2606:2800:220:1::5db8:d822", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::5db8:d822", False),
        ("fd00::5db8:d822", False),
        ("fec0::5db8:d822", False),
        ("ff0e::5db8:d822", False),
        ("2001:0:5db8:d822::5db8:d822", False),
        ("2002:5db8:d822::5db8:d822", False),
        ("::5db8:d822", False),
        ("::ffff:0:5db8:d822", False),
    ],
)
def test_an_address_is_public_by_where_it_leads(address: str, public: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the last leads, or would lead by some gateway, to a public IPv4 address at its end, but not at once."""
    wire = Wire(dead=frozenset({address}))
    resolved = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 443, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved)
    monkeypatch.setattr(socket, "create_connection", wire.connect)
    with pytest.raises(FetchFailed, match="ConnectionRefusedError" if public else "not a public address"):
        PolicedFetcher(deadline=DEADLINE).fetch("https://site.example/a", accept=TYPE)
    assert len(wire.had) == public


@pytest.mark.parametrize("host", ["a..example", "a" * 64 + ".example", "\ud800.example"])
def test_what_is_no_name_is_not_there(host: str) -> None:
    with pytest.raises(FetchFailed, match="UnicodeError"):
        PolicedFetcher(deadline=DEADLINE).fetch(f"https://{host}/a", accept=TYPE)


def test_a_handshake_that_fails_leaves_nothing_open(over: Callable[..., Wire]) -> None:
    assert over(Wire(dead=frozenset({"handshake"})), fails="SSLError").closed


def test_addresses_are_tried_in_their_order_and_share_the_time(over: Callable[..., Wire]) -> None:
    first, second, third = ADDRESSES
    for dead, expected in (
        (set(), [(first, 5 / 3)]),
        ({first}, [(first, 5 / 3), (second, 4 / 3)]),
        ({first, second}, [(first, 5 / 3), (second, 4 / 3), (third, 3.0)]),
    ):
        wire = over(Wire(dead=frozenset(dead), takes=dict.fromkeys(ADDRESSES, 1.0)), addresses=ADDRESSES)
        steps, had = zip(*wire.had, strict=True)
        assert steps[: len(expected) + 1] == (*(address for address, _ in expected), "handshake")
        assert had[: len(expected)] == pytest.approx([left for _, left in expected])


def test_a_host_of_which_no_address_answers_is_not_there(over: Callable[..., Wire]) -> None:
    wire = over(Wire(dead=frozenset(ADDRESSES)), addresses=ADDRESSES, fails="ConnectionRefusedError")
    assert [address for address, _ in wire.had] == [*ADDRESSES]
