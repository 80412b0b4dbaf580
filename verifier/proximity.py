"""A question on the spot: a reader meets a holder's device, asks, and reads the answer (ISO/IEC 18013-5 §6.3.2).

The session is pure: bytes go in and out of it, over whatever transport the host has. What comes out of it is judged as
any other answer, by `verify_presentation`.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.mdoc import MdocLimits
from specs.credentials.session_transcript import proximity_transcript
from specs.keys.signer import SigningIdentity
from specs.protocols.dcql import DcqlQuery
from specs.protocols.proximity import (
    DeviceEngagement,
    SessionStatus,
    build_session_data,
    build_session_establishment,
    device_request_of,
    encoded_key,
    parse_session_data,
    reader_channel,
    vp_token_of,
)
from specs.refusal import ReasonCode, Refusal
from verifier.expectations import Proximity

_STATUS_OF: Mapping[ReasonCode | None, SessionStatus] = {
    ReasonCode.DECRYPTION_FAILED: SessionStatus.ENCRYPTION_ERROR,
    ReasonCode.CBOR_MALFORMED: SessionStatus.CBOR_DECODING_ERROR,
}
NewKey: TypeAlias = Callable[[ec.EllipticCurve], ec.EllipticCurvePrivateKey]


class DeviceUnreachable(Exception):
    """The device can't be reached, or does not answer in time."""


class ProximityTransport(Protocol):
    """How a host carries messages to a device and back: a radio, or `verifier.proximity_stream` for simulated ones."""

    def send(self, message: bytes) -> None:
        """Send one message."""
        ...

    def receive(self) -> bytes:
        """Wait for one message."""
        ...


class ProximitySession:
    """One question to one device, from the engagement to the answer; used once.

    `establishment` is the first message to send; `receive` takes the device's answer; `farewell` ends the session.
    """

    def __init__(
        self,
        engagement: DeviceEngagement,
        *,
        query: DcqlQuery,
        reader: SigningIdentity | None = None,
        new_key: NewKey = ec.generate_private_key,
    ) -> None:
        """Begin. query: mdocs with named elements. reader: signs the request (§9.1.4); some devices demand it.

        Raises:
            ValueError: a question that can't be asked on the spot.
            Refusal: the device's key is of a curve that we don't use.
        """
        self._query = query
        self._key = new_key(engagement.key.curve)
        own_key = encoded_key(self._key.public_key())
        self._transcript = proximity_transcript(device_engagement=engagement.encoded, reader_key=own_key)
        self._channel = reader_channel(self._key, engagement.key, session_transcript=self._transcript)
        request = device_request_of(query, session_transcript=self._transcript, reader=reader)
        self.establishment = build_session_establishment(own_key, self._channel.seal(request))

    @property
    def binding(self) -> Proximity:
        """How the answer is bound to this session; a device may answer with a MAC (§9.1.3.5)."""
        return Proximity(self._transcript, self._key)

    def receive(self, message: bytes, *, limits: MdocLimits) -> dict[str, list[str]]:
        """Open the device's answer: a `vp_token` for `verify_presentation`. One answer is all there is.

        Raises:
            Refusal: the device ended the session, or the message is not the next one of this session; nothing of it
                is believed, and the session is over.
        """
        if self._channel.ended:
            raise Refusal(ReasonCode.TRANSACTION_UNKNOWN, "the session has ended")
        try:
            answer = parse_session_data(message)
            if answer.data is None:
                raise Refusal(ReasonCode.WALLET_ERROR, f"the device ended the session with status {answer.status}")
            return vp_token_of(self._channel.open(answer.data), query=self._query, limits=limits)
        finally:
            self._channel.end()

    def farewell(self, reason: ReasonCode | None = None) -> bytes:
        """The last message: why the session ends (§9.1.1.4). reason: of a refusal by `receive`."""
        self._channel.end()
        return build_session_data(status=_STATUS_OF.get(reason, SessionStatus.TERMINATION))
