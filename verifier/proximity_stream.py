"""A reader that meets a simulated device over a byte stream on this machine."""

import ipaddress
import socket
import time
from collections.abc import Callable

from specs.protocols.proximity import DeviceEngagement, framed, message_length, stream_address
from specs.protocols.proximity.stream import LENGTH_BYTES
from specs.refusal import ReasonCode, Refusal
from verifier.proximity import DeviceUnreachable

ANSWER_SECONDS = 120  # a person reads and agrees in between
_CHUNK_BYTES = 64 * 1024


class StreamTransport:
    """Messages to and from one device. Whoever shows the code names the address: only this machine is reached."""

    def __init__(
        self,
        engagement: DeviceEngagement,
        *,
        seconds: float = ANSWER_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect. seconds: for each message as a whole, however many pieces it comes in.

        Raises:
            Refusal: the engagement names no byte stream, or one elsewhere than on this machine.
            DeviceUnreachable: nobody listens there.
        """
        host, port = stream_address(engagement)
        if not _is_loopback(host) or not 0 < port < 65536:
            raise Refusal(ReasonCode.RESPONSE_MALFORMED, "a byte stream elsewhere than on this machine")
        self._seconds = seconds
        self._clock = clock
        try:
            self._socket = socket.create_connection((host, port), timeout=seconds)
        except OSError as error:
            raise DeviceUnreachable("the device can't be reached") from error

    def send(self, message: bytes) -> None:
        """Send one message.

        Raises:
            DeviceUnreachable: the device is gone.
        """
        try:
            self._socket.settimeout(self._seconds)
            self._socket.sendall(framed(message))
        except OSError as error:
            raise DeviceUnreachable("the device is gone") from error

    def receive(self) -> bytes:
        """Wait for one message.

        Raises:
            Refusal: the device hung up, or sends more than the limit.
            DeviceUnreachable: it does not answer in time.
        """
        until = self._clock() + self._seconds
        return self._read(message_length(self._read(LENGTH_BYTES, until)), until)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _read(self, size: int, until: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            left = until - self._clock()
            if left <= 0:
                raise DeviceUnreachable("the device does not answer in time")
            try:
                self._socket.settimeout(left)
                chunk = self._socket.recv(min(size - len(received), _CHUNK_BYTES))
            except OSError as error:
                raise DeviceUnreachable("the device does not answer") from error
            if not chunk:
                raise Refusal(ReasonCode.RESPONSE_MALFORMED, "the device hung up")
            received += chunk
        return bytes(received)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
