"""Wrong in the session on the spot (ISO/IEC 18013-5 §9.1.1): keys, counters and shape of its messages."""

import secrets
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding import cbor
from specs.protocols.proximity import build_session_data, device_channel
from wallet_sim.conduct import DEVICE_RESPONSE, SESSION_REPLY, Endpoint, SessionReply
from wallet_sim.misbehaviour.registry import MDOC_ONLY, Phase, Reaction, misbehaviour

_TO = Endpoint.READER
_SESSION = "ISO/IEC 18013-5 §9.1.1.5"
_ENCRYPTION_ERROR, _DECODING_ERROR, _TERMINATION = 10, 11, 20


def _ended(reason: str, *statuses: int) -> Reaction:
    return Reaction(_TO, statuses, reason=reason)


@misbehaviour(
    "session-counter",
    Phase.PROXIMITY,
    at=SESSION_REPLY,
    to=_TO,
    clause=f"{_SESSION} (message counter)",
    met_by=_ended("decryption_failed", _ENCRYPTION_ERROR, _TERMINATION),
    formats=MDOC_ONLY,
)
def _(reply: SessionReply) -> SessionReply:
    """A message before the answer is left out, so that the counters differ."""
    reply.channel.seal(b"left out")
    return replace(reply, sealed=build_session_data(data=reply.channel.seal(reply.response)))


@misbehaviour(
    "session-other-keys",
    Phase.PROXIMITY,
    at=SESSION_REPLY,
    to=_TO,
    clause=_SESSION,
    met_by=_ended("decryption_failed", _ENCRYPTION_ERROR, _TERMINATION),
    formats=MDOC_ONLY,
)
def _(reply: SessionReply) -> SessionReply:
    """The answer is sealed with the keys of another session."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    other = device_channel(keys[0], keys[1].public_key(), session_transcript=secrets.token_bytes(8))
    return replace(reply, channel=other)


@misbehaviour(
    "session-message-altered",
    Phase.PROXIMITY,
    at=SESSION_REPLY,
    to=_TO,
    clause=_SESSION,
    met_by=_ended("decryption_failed", _ENCRYPTION_ERROR, _TERMINATION),
    formats=MDOC_ONLY,
)
def _(reply: SessionReply) -> SessionReply:
    """One bit of the sealed answer is another."""
    sealed = reply.channel.seal(reply.response)
    return replace(reply, sealed=build_session_data(data=sealed[:-1] + bytes((sealed[-1] ^ 1,))))


@misbehaviour(
    "session-in-clear",
    Phase.PROXIMITY,
    at=SESSION_REPLY,
    to=_TO,
    clause=_SESSION,
    met_by=_ended("decryption_failed", _ENCRYPTION_ERROR, _TERMINATION),
    formats=MDOC_ONLY,
)
def _(reply: SessionReply) -> SessionReply:
    """The answer is not sealed at all."""
    return replace(reply, sealed=build_session_data(data=reply.response))


@misbehaviour(
    "session-not-cbor",
    Phase.PROXIMITY,
    at=SESSION_REPLY,
    to=_TO,
    clause="ISO/IEC 18013-5 §9.1.1.4",
    met_by=_ended("cbor_malformed", _DECODING_ERROR, _TERMINATION),
    formats=MDOC_ONLY,
)
def _(reply: SessionReply) -> SessionReply:
    """The message is no CBOR."""
    return replace(reply, sealed=b"\xff\xff\xff")


@misbehaviour(
    "session-empty",
    Phase.PROXIMITY,
    at=SESSION_REPLY,
    to=_TO,
    clause="ISO/IEC 18013-5 §9.1.1.4",
    met_by=_ended("response_malformed", _TERMINATION, _DECODING_ERROR),
    formats=MDOC_ONLY,
)
def _(reply: SessionReply) -> SessionReply:
    """The message has neither data nor a status."""
    return replace(reply, sealed=cbor.encode({}))


@misbehaviour(
    "session-data-text",
    Phase.PROXIMITY,
    at=SESSION_REPLY,
    to=_TO,
    clause="ISO/IEC 18013-5 §9.1.1.4 (data: bstr)",
    met_by=_ended("response_malformed", _TERMINATION, _DECODING_ERROR),
    formats=MDOC_ONLY,
)
def _(reply: SessionReply) -> SessionReply:
    """The data are a text."""
    return replace(reply, sealed=cbor.encode({"data": "text"}))


@misbehaviour(
    "response-no-documents",
    Phase.PROXIMITY,
    at=DEVICE_RESPONSE,
    to=_TO,
    clause="ISO/IEC 18013-5 §8.3.2.1.2.2",
    met_by=_ended("query_not_satisfied", _TERMINATION),
    formats=MDOC_ONLY,
)
def _(_response: bytes) -> bytes:
    """The device says that all went well and shows nothing."""
    return cbor.encode({"version": "1.0", "status": 0})
