"""The encrypted session between a holder's device and a reader (ISO/IEC 18013-5 §9.1.1).

Both sides derive two keys from their session keys and the transcript, one for each direction. Each message has the next
counter of its direction in its initialisation vector, so that none can be replayed, left out or put in another order.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from specs.credentials.mdoc import encoded_cbor
from specs.encoding import Malformed, cbor
from specs.keys.cose import cose_key_from_public_key
from specs.protocols.proximity.engagement import cbor_tag24, session_key
from specs.refusal import ReasonCode, Refusal

MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # an answer with portraits
_KEY_SIZE = 32
_READER, _DEVICE = bytes(8), bytes(7) + b"\x01"  # identifiers of the two directions (§9.1.1.5)
_LAST_COUNTER = 2**32 - 1


class SessionStatus(IntEnum):
    """Why a session ends, as one side tells the other (§9.1.1.4, Table 20)."""

    ENCRYPTION_ERROR = 10
    CBOR_DECODING_ERROR = 11
    TERMINATION = 20


@dataclass(frozen=True, slots=True)
class SessionEstablishment:
    """A reader's first message. encoded_reader_key: its bytes inside tag 24, which both sides hash."""

    encoded_reader_key: bytes
    reader_key: ec.EllipticCurvePublicKey
    data: bytes


@dataclass(frozen=True, slots=True)
class SessionMessage:
    """Any later message: encrypted data, a status, or both."""

    data: bytes | None = None
    status: int | None = None


class Channel:
    """One side's end of a session. Whatever does not open ends it: after a refusal nothing is sealed or opened."""

    def __init__(self, *, send_key: bytes, receive_key: bytes, send_as: bytes, receive_as: bytes) -> None:
        self._sealing, self._opening = AESGCM(send_key), AESGCM(receive_key)
        self._send_as, self._receive_as = send_as, receive_as
        self._sent = self._received = 0
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether nothing more can be said here."""
        return self._ended

    def seal(self, plain: bytes) -> bytes:
        """Encrypt the next message of this side.

        Raises:
            Refusal: the session has ended.
        """
        self._demand_open(self._sent)
        self._sent += 1
        return self._sealing.encrypt(self._send_as + self._sent.to_bytes(4, "big"), plain, None)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt the next message of the other side.

        Raises:
            Refusal: it does not open: altered, replayed, out of order or of another session; this ends the session.
        """
        self._demand_open(self._received)
        try:
            plain = self._opening.decrypt(self._receive_as + (self._received + 1).to_bytes(4, "big"), sealed, None)
        except InvalidTag as error:
            self._ended = True
            raise Refusal(ReasonCode.DECRYPTION_FAILED, "session message") from error
        self._received += 1
        return plain

    def end(self) -> None:
        """End the session: nothing more is sealed or opened."""
        self._ended = True

    def _demand_open(self, counter: int) -> None:
        if self._ended or counter >= _LAST_COUNTER:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN, "the session has ended")


def reader_channel(
    private_key: ec.EllipticCurvePrivateKey, device_key: ec.EllipticCurvePublicKey, *, session_transcript: bytes
) -> Channel:
    """The reader's end (§9.1.1.5).

    Raises:
        Refusal: the two keys are not of one curve.
    """
    secret, salt = _shared(private_key, device_key, session_transcript)
    return Channel(
        send_key=_derived(secret, salt, b"SKReader"),
        receive_key=_derived(secret, salt, b"SKDevice"),
        send_as=_READER,
        receive_as=_DEVICE,
    )


def device_channel(
    private_key: ec.EllipticCurvePrivateKey, reader_key: ec.EllipticCurvePublicKey, *, session_transcript: bytes
) -> Channel:
    """The device's end (§9.1.1.5).

    Raises:
        Refusal: the two keys are not of one curve.
    """
    secret, salt = _shared(private_key, reader_key, session_transcript)
    return Channel(
        send_key=_derived(secret, salt, b"SKDevice"),
        receive_key=_derived(secret, salt, b"SKReader"),
        send_as=_DEVICE,
        receive_as=_READER,
    )


def encoded_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """A session's public key as the bytes that travel inside tag 24."""
    return cbor.encode(cose_key_from_public_key(key))


def build_session_establishment(encoded_reader_key: bytes, data: bytes) -> bytes:
    """The reader's first message: its key and the encrypted request (§9.1.1.4)."""
    return cbor.encode({"eReaderKey": cbor_tag24(encoded_reader_key), "data": data})


def parse_session_establishment(message: bytes) -> SessionEstablishment:
    """Read a reader's first message (§9.1.1.4); unknown members are ignored.

    Raises:
        Refusal: above the limit, not CBOR, not that structure, a key that is none.
    """
    members = _decoded(message)
    key, data = members.get("eReaderKey"), members.get("data")
    if type(data) is not bytes:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "session establishment: data")
    reader_key = session_key(key)
    return SessionEstablishment(encoded_cbor(key), reader_key, data)


def build_session_data(*, data: bytes | None = None, status: SessionStatus | None = None) -> bytes:
    """A later message (§9.1.1.4)."""
    members: dict[str, object] = {}
    if data is not None:
        members["data"] = data
    if status is not None:
        members["status"] = int(status)
    return cbor.encode(members)


def parse_session_data(message: bytes) -> SessionMessage:
    """Read a later message (§9.1.1.4); unknown members are ignored, unknown status values are kept.

    Raises:
        Refusal: above the limit, not CBOR, or neither data nor status.
    """
    members = _decoded(message)
    data, status = members.get("data"), members.get("status")
    if data is None and status is None:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "session data: neither data nor status")
    if (data is not None and type(data) is not bytes) or (status is not None and type(status) is not int):
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "session data")
    return SessionMessage(data, status)


def _decoded(message: bytes) -> cbor.CborMap:
    if len(message) > MAX_MESSAGE_BYTES:
        raise Refusal(ReasonCode.RESPONSE_TOO_LARGE, "session message")
    try:
        return cbor.decode_map(message)
    except Malformed as error:
        raise Refusal(ReasonCode.CBOR_MALFORMED, "session message") from error


def _shared(
    private_key: ec.EllipticCurvePrivateKey, public_key: ec.EllipticCurvePublicKey, session_transcript: bytes
) -> tuple[bytes, bytes]:
    if public_key.curve.name != private_key.curve.name:
        raise Refusal(ReasonCode.KEY_INVALID, "session keys of different curves")
    return private_key.exchange(ec.ECDH(), public_key), sha256(cbor.tag24(session_transcript)).digest()


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_SIZE, salt, info).derive(secret)
