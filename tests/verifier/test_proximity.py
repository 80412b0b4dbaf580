"""A counter reads a card from a phone on the spot: what holds is accepted, whatever disturbs the session ends it."""

from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.mdoc import DEFAULT_LIMITS, Validity, parse_issuer_signed
from specs.credentials.mdoc_device import build_device_response, build_document
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.session_transcript import proximity_transcript
from specs.credentials.status_list import StatusReference
from specs.encoding import base64url, cbor
from specs.protocols.proximity import (
    Channel,
    SessionStatus,
    build_device_engagement,
    build_session_data,
    device_channel,
    encoded_key,
    parse_device_engagement,
    parse_session_data,
    parse_session_establishment,
)
from specs.refusal import Refusal
from tests.defects import Defect, defect, defects
from tests.verifier.world import DOC_TYPE, ELEMENTS, HOUR, MDOC_QUERY, NAME_SPACE, STATUS_URI, World
from verifier import Policy, ReasonCode, Verdict, verify_presentation
from verifier.proximity import ProximitySession

SHOWN = ((NAME_SPACE, "family_name"), (NAME_SPACE, "resident_city"))


@dataclass
class Phone:
    """A holder's device with one mdoc, as far as a session needs it."""

    world: World
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def engagement(self) -> bytes:
        """What its QR code carries."""
        return build_device_engagement(encoded_key(self.key.public_key()))

    def session(self, establishment: bytes) -> tuple[Channel, bytes]:
        """Its end of the session, the request read, and the transcript."""
        opened = parse_session_establishment(establishment)
        transcript = proximity_transcript(device_engagement=self.engagement, reader_key=opened.encoded_reader_key)
        channel = device_channel(self.key, opened.reader_key, session_transcript=transcript)
        channel.open(opened.data)
        return channel, transcript

    def response(self, transcript: bytes, *, doc_type: str = DOC_TYPE) -> bytes:
        """The answer before it is sealed."""
        document = build_document(
            parse_issuer_signed(self.world.mdoc()),
            doc_type=doc_type,
            disclose=SHOWN,
            session_transcript=transcript,
            device_key=self.world.holder,
        )
        return build_device_response([document])


@dataclass
class Meeting:
    """A reader and a phone; `message` is what the phone sends."""

    world: World
    phone: Phone
    reader: ProximitySession
    channel: Channel
    transcript: bytes
    message: bytes = b""

    @classmethod
    def of(cls, world: World) -> "Meeting":
        """Begun, and answered."""
        phone = Phone(world)
        reader = ProximitySession(parse_device_engagement(phone.engagement), query=MDOC_QUERY)
        channel, transcript = phone.session(reader.establishment)
        meeting = cls(world, phone, reader, channel, transcript)
        meeting.message = build_session_data(data=channel.seal(phone.response(transcript)))
        return meeting

    def verdict(self) -> Verdict:
        """What the reader makes of the message."""
        return self.judge(self.reader.receive(self.message, limits=DEFAULT_LIMITS))

    def judge(self, vp_token: object) -> Verdict:
        """What the verifier makes of an answer in this session."""
        return verify_presentation(
            vp_token,
            query=MDOC_QUERY,
            nonce="",
            client_id=None,
            binding=self.reader.binding,
            trust=self.world.trust,
            status_lists=self.world.status_lists(),
            policy=Policy(),
            now=self.world.now,
        )

    def outcome(self) -> ReasonCode | None:
        """None if the card was accepted, else why not."""
        try:
            return self.verdict().reason
        except Refusal as refusal:
            return refusal.reason


@pytest.fixture
def world() -> World:
    return World()


def test_a_card_is_read_on_the_spot(world: World) -> None:
    verdict = Meeting.of(world).verdict()
    assert verdict.accepted
    assert verdict.claims("pid") == {NAME_SPACE: {"family_name": "LINDENAU", "resident_city": "LEIPZIG"}}


def test_a_device_may_answer_with_a_mac(world: World) -> None:
    """ISO/IEC 18013-5 §9.1.3.5: under a key that only this device and this reader can compute."""
    holder = ec.generate_private_key(ec.SECP256R1())
    issued = build_issuer_signed(
        mdoc_identity(world.mdoc_identity),
        doc_type=DOC_TYPE,
        claims={NAME_SPACE: ELEMENTS},
        device_key=holder.public_key(),
        validity=Validity(signed=world.now - HOUR, valid_from=world.now - HOUR, valid_until=world.now + HOUR),
        status=StatusReference(STATUS_URI, 7),
    )
    meeting = Meeting.of(world)
    reader_key = parse_session_establishment(meeting.reader.establishment).reader_key
    for key, reason in ((reader_key, None), (holder.public_key(), ReasonCode.DEVICE_AUTHENTICATION_INVALID)):
        document = build_document(
            parse_issuer_signed(issued),
            doc_type=DOC_TYPE,
            disclose=SHOWN,
            session_transcript=meeting.transcript,
            device_key=holder,
            reader_key=key,
        )
        token = {"pid": [base64url.encode(build_device_response([document]))]}
        assert meeting.judge(token).reason is reason


def test_a_holder_who_shows_nothing_is_no_answer(world: World) -> None:
    meeting = Meeting.of(world)
    channel, _ = meeting.phone.session(meeting.reader.establishment)
    nothing = cbor.encode({"version": "1.0", "documentErrors": [{DOC_TYPE: 0}], "status": 0})
    meeting.message = build_session_data(data=channel.seal(nothing))
    assert not meeting.verdict().accepted


def test_a_reader_takes_one_answer_and_says_why_it_ends(world: World) -> None:
    meeting = Meeting.of(world)
    assert meeting.verdict().accepted
    assert meeting.outcome() is ReasonCode.TRANSACTION_UNKNOWN
    assert parse_session_data(meeting.reader.farewell()).status == SessionStatus.TERMINATION
    ended = meeting.reader.farewell(ReasonCode.DECRYPTION_FAILED)
    assert parse_session_data(ended).status == SessionStatus.ENCRYPTION_ERROR
    broken = meeting.reader.farewell(ReasonCode.CBOR_MALFORMED)
    assert parse_session_data(broken).status == SessionStatus.CBOR_DECODING_ERROR


def test_a_reader_that_took_leave_takes_no_answer(world: World) -> None:
    meeting = Meeting.of(world)
    meeting.reader.farewell()
    assert meeting.outcome() is ReasonCode.TRANSACTION_UNKNOWN


# vf-018: whatever disturbs the session ends it


@defect("vf-018", refused_as=ReasonCode.DECRYPTION_FAILED)
def replayed(meeting: Meeting) -> Meeting:
    """ISO/IEC 18013-5 §9.1.1.5: the data of another session between the same two, sent again."""
    earlier = Meeting.of(meeting.world)
    meeting.message = earlier.message
    return meeting


@defect("vf-018b", refused_as=ReasonCode.DECRYPTION_FAILED)
def counter_skipped(meeting: Meeting) -> Meeting:
    """ISO/IEC 18013-5 §9.1.1.5: a message was left out, or came before its turn."""
    meeting.message = build_session_data(data=meeting.channel.seal(meeting.phone.response(meeting.transcript)))
    return meeting


@defect("vf-018c", refused_as=ReasonCode.DECRYPTION_FAILED)
def own_message_returned(meeting: Meeting) -> Meeting:
    """ISO/IEC 18013-5 §9.1.1.5: the reader's own message comes back to it."""
    sealed = parse_session_establishment(meeting.reader.establishment).data
    meeting.message = build_session_data(data=sealed)
    return meeting


@defect("vf-018d", refused_as=ReasonCode.DECRYPTION_FAILED)
def other_reader_key(meeting: Meeting) -> Meeting:
    """ISO/IEC 18013-5 §9.1.1.4: the device spoke with somebody who put his own key in the reader's place."""
    between = ec.generate_private_key(ec.SECP256R1())
    channel = device_channel(meeting.phone.key, between.public_key(), session_transcript=meeting.transcript)
    meeting.message = build_session_data(data=channel.seal(meeting.phone.response(meeting.transcript)))
    return meeting


@defect("vf-018e", refused_as=ReasonCode.DEVICE_AUTHENTICATION_INVALID)
def other_engagement(meeting: Meeting) -> Meeting:
    """ISO/IEC 18013-5 §9.1.5.1: the answer was signed for the engagement of another device."""
    stranger = Meeting.of(meeting.world)
    channel, _ = meeting.phone.session(meeting.reader.establishment)
    meeting.message = build_session_data(data=channel.seal(meeting.phone.response(stranger.transcript)))
    return meeting


@defect("vf-018f", refused_as=ReasonCode.DECRYPTION_FAILED)
def altered(meeting: Meeting) -> Meeting:
    """ISO/IEC 18013-5 §9.1.1.5: one bit of the sealed answer flipped."""
    data = parse_session_data(meeting.message).data or b""
    meeting.message = build_session_data(data=data[:-1] + bytes((data[-1] ^ 1,)))
    return meeting


@defect("vf-018g", refused_as=ReasonCode.WALLET_ERROR)
def ended_by_device(meeting: Meeting) -> Meeting:
    """ISO/IEC 18013-5 §9.1.1.4: the device ends the session instead of answering."""
    meeting.message = build_session_data(status=SessionStatus.TERMINATION)
    return meeting


@defect("vf-018h", refused_as=ReasonCode.QUERY_ID_UNKNOWN)
def another_document(meeting: Meeting) -> Meeting:
    """ISO/IEC 18013-5 §8.3.2.1.2.2: a document that nobody asked for."""
    channel, transcript = meeting.phone.session(meeting.reader.establishment)
    response = meeting.phone.response(transcript, doc_type="org.example.other.1")
    meeting.message = build_session_data(data=channel.seal(response))
    return meeting


@pytest.mark.parametrize("case", [each for each in defects("vf") if each.id.startswith("vf-018")], ids=str)
def test_a_disturbed_session_ends_without_a_verdict(case: Defect[Meeting], world: World) -> None:
    assert Meeting.of(world).outcome() is None
    disturbed = case.apply(Meeting.of(world))
    assert disturbed.outcome() == case.refused_as
    assert disturbed.outcome() is ReasonCode.TRANSACTION_UNKNOWN  # and it stays ended


@pytest.mark.parametrize("message", [b"", b"\xff", cbor.encode({}), cbor.encode({"data": 1})])
def test_a_message_that_is_none_ends_the_session(world: World, message: bytes) -> None:
    meeting = Meeting.of(world)
    valid, meeting.message = meeting.message, message
    assert meeting.outcome() in (ReasonCode.CBOR_MALFORMED, ReasonCode.RESPONSE_MALFORMED)
    meeting.message = valid
    assert meeting.outcome() is ReasonCode.TRANSACTION_UNKNOWN


def test_readers_of_other_curves_are_met(world: World) -> None:
    phone = Phone(world, key=ec.generate_private_key(ec.SECP384R1()))
    reader = ProximitySession(parse_device_engagement(phone.engagement), query=MDOC_QUERY)
    channel, transcript = phone.session(reader.establishment)
    sealed = build_session_data(data=channel.seal(phone.response(transcript)))
    assert Meeting(world, phone, reader, channel, transcript, sealed).verdict().accepted
