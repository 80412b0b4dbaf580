"""Session messages over a byte stream, a simulated transport beside NFC, Bluetooth and Wi-Fi Aware: ours alone.

The engagement names host and port under a retrieval method of our own; each message has its length in four bytes before
it. It lets both sides of ISO/IEC 18013-5 meet on machines without a radio.
"""

from specs.protocols.proximity.engagement import DeviceEngagement, RetrievalMethod
from specs.protocols.proximity.session import MAX_MESSAGE_BYTES
from specs.refusal import ReasonCode, Refusal

STREAM_METHOD = 65301  # far above the types that the standard numbers
LENGTH_BYTES = 4
_HOST, _PORT = 0, 1


def stream_method(host: str, port: int) -> RetrievalMethod:
    """The way to a device that listens on a byte stream."""
    return RetrievalMethod(STREAM_METHOD, 1, {_HOST: host, _PORT: port})


def stream_address(engagement: DeviceEngagement) -> tuple[str, int]:
    """Host and port of an engagement.

    Raises:
        Refusal: it offers no byte stream.
    """
    for method in engagement.methods:
        host, port = method.options.get(_HOST), method.options.get(_PORT)
        if method.type == STREAM_METHOD and method.version == 1 and type(host) is str and type(port) is int:
            return host, port
    raise Refusal(ReasonCode.RESPONSE_MALFORMED, "the device can't be reached over a byte stream")


def framed(message: bytes) -> bytes:
    """A message as it stands in the stream."""
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


def message_length(head: bytes) -> int:
    """How many bytes follow, from the four before a message.

    Raises:
        Refusal: the stream ended, or the message is above the limit.
    """
    if len(head) != LENGTH_BYTES:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "the other side hung up")
    length = int.from_bytes(head, "big")
    if length > MAX_MESSAGE_BYTES:
        raise Refusal(ReasonCode.RESPONSE_TOO_LARGE, "session message")
    return length
