"""The device's side of a session on the spot, and a place on this machine where a reader meets it."""

import socket
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.session_transcript import proximity_transcript
from specs.protocols.proximity import (
    Channel,
    RetrievalMethod,
    SessionStatus,
    build_device_engagement,
    build_session_data,
    device_channel,
    encoded_key,
    engagement_link,
    framed,
    message_length,
    parse_session_data,
    parse_session_establishment,
    stream_method,
)
from specs.protocols.proximity.stream import LENGTH_BYTES
from specs.refusal import ReasonCode, Refusal
from wallet_sim.conduct import HONEST, SESSION_REPLY, Conduct, Endpoint, Exchange, SessionReply
from wallet_sim.device import Device, ReaderShown
from wallet_sim.transport import WalletFailure

READER_SECONDS = 300  # until a reader has come, and for each of its messages


class DeviceSession:
    """One engagement and one answer; the key of the session lives as long as this object (§9.1.1.4)."""

    def __init__(self, *, methods: Sequence[RetrievalMethod] = (), curve: ec.EllipticCurve | None = None) -> None:
        """methods: how readers reach this device. curve: of the session's key, P-256 unless said otherwise."""
        self._key = ec.generate_private_key(curve or ec.SECP256R1())
        self.engagement = build_device_engagement(encoded_key(self._key.public_key()), methods=methods)
        self._channel: Channel | None = None

    @property
    def link(self) -> str:
        """What the QR code says."""
        return engagement_link(self.engagement)

    def receive(self, establishment: bytes) -> tuple[bytes, bytes]:
        """Open the reader's first message: the DeviceRequest and the session's transcript.

        Raises:
            Refusal: misshapen, a second one, or not for this engagement.
        """
        if self._channel is not None:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN, "the session has a reader already")
        opened = parse_session_establishment(establishment)
        transcript = proximity_transcript(device_engagement=self.engagement, reader_key=opened.encoded_reader_key)
        self._channel = device_channel(self._key, opened.reader_key, session_transcript=transcript)
        return self._channel.open(opened.data), transcript

    def answer(self, device_response: bytes, *, conduct: Conduct = HONEST) -> bytes:
        """The message that carries the answer.

        Raises:
            Refusal: there is no reader, or the session has ended.
        """
        if self._channel is None:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN, "no reader came")
        reply = conduct.change(SESSION_REPLY, SessionReply(self._channel, device_response), to=Endpoint.READER)
        return reply.sealed or build_session_data(data=reply.channel.seal(reply.response))


class StreamDevice:
    """A device that waits on a byte stream of this machine for one reader."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(READER_SECONDS)
        host, port = self._listening.getsockname()
        self._session = DeviceSession(methods=[stream_method(host, port)])

    @property
    def link(self) -> str:
        """What the QR code says."""
        return self._session.link

    def serve(self, *, consent: Callable[[ReaderShown], bool]) -> None:
        """Wait for the reader, answer it, and end.

        Raises:
            WalletFailure: no reader came, or it hung up.
            Refusal: the reader's message is not one of this session, or it may not ask.
        """
        try:
            with self._listening, self._listening.accept()[0] as reader:
                reader.settimeout(READER_SECONDS)
                try:
                    request, transcript = self._session.receive(_read_message(reader))
                    response = self._device.answer(request, session_transcript=transcript, consent=consent)
                except Refusal as error:
                    reader.sendall(framed(build_session_data(status=_status_of(error.reason))))
                    raise
                reader.sendall(framed(self._session.answer(response, conduct=self._device.conduct)))
                farewell = parse_session_data(_read_message(reader))
                self._device.conduct.note(Exchange(Endpoint.READER, farewell.status))
        except OSError as error:
            raise WalletFailure("no reader came, or it hung up") from error


def _status_of(reason: ReasonCode) -> SessionStatus:
    if reason is ReasonCode.DECRYPTION_FAILED:
        return SessionStatus.ENCRYPTION_ERROR
    return SessionStatus.CBOR_DECODING_ERROR if reason is ReasonCode.CBOR_MALFORMED else SessionStatus.TERMINATION


def _read_message(stream: socket.socket) -> bytes:
    return _read(stream, message_length(_read(stream, LENGTH_BYTES)))


def _read(stream: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        chunk = stream.recv(min(size - len(received), 65536))
        if not chunk:
            break
        received += chunk
    return bytes(received)
