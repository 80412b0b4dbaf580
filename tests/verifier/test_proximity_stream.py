"""A byte stream to a device on this machine, which may hang up, take its time, or be named by a code from elsewhere."""

import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.protocols.proximity import (
    DeviceEngagement,
    build_device_engagement,
    encoded_key,
    framed,
    parse_device_engagement,
    stream_method,
)
from specs.protocols.proximity.session import MAX_MESSAGE_BYTES
from specs.refusal import ReasonCode, Refusal
from verifier.proximity import DeviceUnreachable
from verifier.proximity_stream import StreamTransport

KEY = ec.derive_private_key(7, ec.SECP256R1())
SECONDS = 600


def engagement(host: str, port: int) -> DeviceEngagement:
    """A code that names a byte stream."""
    encoded = build_device_engagement(encoded_key(KEY.public_key()), methods=[stream_method(host, port)])
    return parse_device_engagement(encoded)


@dataclass
class Moments:
    """A clock that shows these times one after the other, then stands."""

    times: list[float]

    def __call__(self) -> float:
        """Seconds."""
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


@dataclass
class Line:
    """Both ends: the reader's transport, and the device's socket."""

    transport: StreamTransport
    device: socket.socket
    clock: Moments

    def hang_up_at_once(self) -> None:
        """The device is gone, as by a crash."""
        self.device.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.device.close()


@pytest.fixture
def line() -> Iterator[Line]:
    clock = Moments([0.0])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        transport = StreamTransport(engagement(host, port), seconds=SECONDS, clock=clock)
        device, _ = listening.accept()
    with device:
        yield Line(transport, device, clock)
    transport.close()


def test_messages_go_to_and_fro(line: Line) -> None:
    line.transport.send(b"question")
    assert line.device.recv(100) == framed(b"question")
    line.device.sendall(framed(b"one") + framed(b"") + framed(b"two"))
    assert [line.transport.receive() for _ in range(3)] == [b"one", b"", b"two"]
    line.transport.close()
    assert line.device.recv(1) == b""


def test_a_message_may_come_in_pieces(line: Line) -> None:
    message = bytes(100_000)
    line.device.sendall(framed(message) + framed(b"next"))
    assert line.transport.receive() == message
    assert line.transport.receive() == b"next"


@pytest.mark.parametrize("size", [0, 2, 4, 10])
def test_a_device_that_hangs_up_did_not_answer(line: Line, size: int) -> None:
    """However much of its message came, the rest is missing; nothing of it is taken for an answer."""
    line.device.sendall(framed(b"message")[:size])
    line.device.close()
    with pytest.raises(Refusal) as refusal:
        line.transport.receive()
    assert refusal.value.reason is ReasonCode.RESPONSE_MALFORMED


def test_a_message_above_the_limit_is_not_read(line: Line) -> None:
    line.device.sendall((MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(Refusal) as refusal:
        line.transport.receive()
    assert refusal.value.reason is ReasonCode.RESPONSE_TOO_LARGE


def test_a_device_that_is_gone_is_unreachable(line: Line) -> None:
    line.hang_up_at_once()
    with pytest.raises(DeviceUnreachable):
        line.transport.receive()
    with pytest.raises(DeviceUnreachable):
        line.transport.send(b"question")


@pytest.mark.parametrize(
    ("times", "in_time"),
    [
        ([0, 0, SECONDS - 0.01], True),
        ([0, 0, SECONDS], False),
        ([0, SECONDS - 0.01, SECONDS + 1], False),
        ([10, 10, SECONDS + 9.99], True),
    ],
)
def test_the_time_for_a_message_is_for_all_its_pieces(line: Line, times: list[float], in_time: bool) -> None:
    """A device that sends a byte now and then kept the reader for as long as it liked."""
    line.device.sendall(framed(b"message"))
    line.clock.times = times
    if in_time:
        assert line.transport.receive() == b"message"
        return
    with pytest.raises(DeviceUnreachable):
        line.transport.receive()


def test_a_device_that_says_nothing_is_waited_for_no_longer_than_that(line: Line) -> None:
    line.device.sendall(framed(b"message")[:5])
    line.clock.times = [0, 0, SECONDS - 0.01]
    with pytest.raises(DeviceUnreachable):
        line.transport.receive()


def test_what_is_said_after_an_answer_in_the_last_moment_has_its_own_time(line: Line) -> None:
    line.device.sendall(framed(b"message"))
    line.clock.times = [0, SECONDS - 1e-6]
    assert line.transport.receive() == b"message"
    length = 8 * 1024 * 1024  # more than fits on the way
    heard: list[int] = []

    def hear() -> None:
        while chunk := line.device.recv(65536):
            heard.append(len(chunk))

    hearing = threading.Thread(target=hear)
    hearing.start()
    line.transport.send(bytes(length))
    line.transport.close()
    hearing.join()
    assert sum(heard) == 4 + length


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("192.0.2.1", 80),
        ("::ffff:192.0.2.1", 80),
        ("city.example", 80),
        ("localhost", 80),
        ("127.0.0.1", 0),
        ("127.0.0.1", -1),
        ("127.0.0.1", 65536),
    ],
)
def test_a_code_leads_to_no_other_machine_and_to_no_port_that_is_none(host: str, port: int) -> None:
    """Whoever shows the code would else choose whom this machine connects to."""
    with pytest.raises(Refusal) as refusal:
        StreamTransport(engagement(host, port), seconds=0.01)
    assert refusal.value.reason is ReasonCode.RESPONSE_MALFORMED


@pytest.mark.parametrize("port", [1, 65535])
def test_where_nobody_listens_no_device_is_reached(port: int) -> None:
    with pytest.raises(DeviceUnreachable):
        StreamTransport(engagement("127.0.0.1", port), seconds=SECONDS)
