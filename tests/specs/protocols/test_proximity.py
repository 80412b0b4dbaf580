"""The messages of ISO/IEC 18013-5 on the spot: the session of Annex D, and each way in which one can be wrong."""

from collections.abc import Callable

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import mdoc
from specs.credentials.session_transcript import proximity_transcript
from specs.encoding import base64url, cbor
from specs.protocols.dcql import parse_dcql
from specs.protocols.proximity import (
    Channel,
    RetrievalMethod,
    SessionStatus,
    build_device_engagement,
    build_session_data,
    build_session_establishment,
    device_channel,
    device_request_of,
    encoded_key,
    engagement_link,
    framed,
    message_length,
    parse_device_engagement,
    parse_device_request,
    parse_engagement_link,
    parse_session_data,
    parse_session_establishment,
    reader_channel,
    stream_address,
    stream_method,
)
from specs.protocols.proximity.engagement import MAX_ENGAGEMENT_BYTES
from specs.protocols.proximity.session import MAX_MESSAGE_BYTES
from specs.refusal import ReasonCode, Refusal
from tests.vectors import vectors_path

DEVICE = ec.derive_private_key(7, ec.SECP256R1())
READER = ec.derive_private_key(11, ec.SECP256R1())
TRANSCRIPT = proximity_transcript(device_engagement=b"\x01", reader_key=b"\x02")
BLE = RetrievalMethod(2, 1, {0: False, 1: True, 11: bytes(16)})


def annex_d(*parts: str) -> bytes:
    return bytes.fromhex(vectors_path("mdoc", "annex_d", "session", *parts).read_text().strip())


def reason_of(call: Callable[[], object]) -> ReasonCode:
    with pytest.raises(Refusal) as refusal:
        call()
    return refusal.value.reason


def channels() -> tuple[Channel, Channel]:
    """Both ends of one session: the reader's and the device's."""
    return (
        reader_channel(READER, DEVICE.public_key(), session_transcript=TRANSCRIPT),
        device_channel(DEVICE, READER.public_key(), session_transcript=TRANSCRIPT),
    )


def engagement(**changed: object) -> bytes:
    members: dict[int, object] = {
        0: "1.0",
        1: [1, cbor2.CBORTag(24, encoded_key(DEVICE.public_key()))],
        2: [[2, 1, {0: False}]],
    }
    members.update({int(name[1:]): value for name, value in changed.items()})
    return cbor.encode(members)


# Annex D


def test_the_request_of_annex_d_is_opened_by_its_device() -> None:
    """The published device key, transcript and first message: a licence is asked for, some elements to be kept."""
    tagged = annex_d("session_transcript.cbor")
    transcript = mdoc.encoded_cbor(cbor.decode(tagged))
    device = ec.derive_private_key(int.from_bytes(annex_d("e_device_key.cbor"), "big"), ec.SECP256R1())

    opened = parse_session_establishment(annex_d("session_establishment.cbor"))
    request = device_channel(device, opened.reader_key, session_transcript=transcript).open(opened.data)

    (asked,) = parse_device_request(request).doc_requests
    assert asked.doc_type == "org.iso.18013.5.1.mDL"
    assert "family_name" in asked.elements["org.iso.18013.5.1"]
    assert asked.reader_auth is not None


def test_the_engagement_of_annex_d_is_read() -> None:
    transcript = cbor.decode(mdoc.encoded_cbor(cbor.decode(annex_d("session_transcript.cbor"))))
    assert isinstance(transcript, list)
    device = ec.derive_private_key(int.from_bytes(annex_d("e_device_key.cbor"), "big"), ec.SECP256R1())
    assert parse_device_engagement(mdoc.encoded_cbor(transcript[0])).key == device.public_key()


# engagement


def test_an_engagement_says_the_same_as_link_and_as_bytes() -> None:
    encoded = build_device_engagement(encoded_key(DEVICE.public_key()), methods=[BLE])
    link = engagement_link(encoded)
    found = parse_engagement_link("MDOC:" + link.removeprefix("mdoc:"))
    assert found == parse_device_engagement(encoded)
    assert (found.encoded, found.key, found.methods) == (encoded, DEVICE.public_key(), (BLE,))


def test_unknown_members_of_an_engagement_are_ignored() -> None:
    assert parse_device_engagement(engagement(_0="1.1", _5=[], _9="new")).key == DEVICE.public_key()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"_0": "2.0"}, ReasonCode.VERSION_NOT_SUPPORTED),
        ({"_0": 1}, ReasonCode.VERSION_NOT_SUPPORTED),
        ({"_1": [2, cbor2.CBORTag(24, encoded_key(DEVICE.public_key()))]}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"_1": [True, cbor2.CBORTag(24, encoded_key(DEVICE.public_key()))]}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"_1": [1]}, ReasonCode.RESPONSE_MALFORMED),
        ({"_1": [1, encoded_key(DEVICE.public_key())]}, ReasonCode.KEY_INVALID),
        ({"_1": [1, cbor2.CBORTag(24, cbor.encode({1: 1, -1: 6, -2: bytes(32)}))]}, ReasonCode.KEY_INVALID),
        ({"_2": {}}, ReasonCode.RESPONSE_MALFORMED),
        ({"_2": [[2, 1]]}, ReasonCode.RESPONSE_MALFORMED),
        ({"_2": [["2", 1, {}]]}, ReasonCode.RESPONSE_MALFORMED),
        ({"_9": bytes(MAX_ENGAGEMENT_BYTES)}, ReasonCode.LIMIT_EXCEEDED),
    ],
)
def test_an_engagement_with_one_defect_is_refused(changed: dict[str, object], reason: ReasonCode) -> None:
    parse_device_engagement(engagement())
    assert reason_of(lambda: parse_device_engagement(engagement(**changed))) is reason


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("openid4vp://?x", ReasonCode.RESPONSE_MALFORMED),
        ("mdoc:a+b=", ReasonCode.RESPONSE_MALFORMED),
        ("mdoc:", ReasonCode.CBOR_MALFORMED),
        ("mdoc:" + base64url.encode(b"\x01"), ReasonCode.CBOR_MALFORMED),
        ("mdoc:" + base64url.encode(engagement() + b"\x00"), ReasonCode.CBOR_MALFORMED),
        ("mdoc:" + "A" * 2 * MAX_ENGAGEMENT_BYTES, ReasonCode.LIMIT_EXCEEDED),
    ],
)
def test_a_link_that_is_no_engagement_is_refused(link: str, reason: ReasonCode) -> None:
    assert reason_of(lambda: parse_engagement_link(link)) is reason


# session


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_both_sides_understand_each_other_in_order(curve: ec.EllipticCurve) -> None:
    device, reader = ec.generate_private_key(curve), ec.generate_private_key(curve)
    asking = reader_channel(reader, device.public_key(), session_transcript=TRANSCRIPT)
    answering = device_channel(device, reader.public_key(), session_transcript=TRANSCRIPT)
    for number in (b"1", b"2", b"3"):
        assert answering.open(asking.seal(b"ask " + number)) == b"ask " + number
        assert asking.open(answering.seal(b"say " + number)) == b"say " + number


def test_keys_of_two_curves_make_no_session() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert reason_of(lambda: reader_channel(READER, other, session_transcript=TRANSCRIPT)) is ReasonCode.KEY_INVALID
    assert reason_of(lambda: device_channel(DEVICE, other, session_transcript=TRANSCRIPT)) is ReasonCode.KEY_INVALID


def test_an_ended_session_says_and_hears_nothing() -> None:
    reader, device = channels()
    sealed = device.seal(b"late")
    reader.end()
    assert reader.ended
    assert reason_of(lambda: reader.open(sealed)) is ReasonCode.TRANSACTION_UNKNOWN
    assert reason_of(lambda: reader.seal(b"late")) is ReasonCode.TRANSACTION_UNKNOWN


def test_messages_are_read_as_they_were_written() -> None:
    own = encoded_key(READER.public_key())
    opened = parse_session_establishment(build_session_establishment(own, b"sealed"))
    assert (opened.encoded_reader_key, opened.reader_key, opened.data) == (own, READER.public_key(), b"sealed")
    both = parse_session_data(build_session_data(data=b"sealed", status=SessionStatus.TERMINATION))
    assert (both.data, both.status) == (b"sealed", 20)
    assert parse_session_data(cbor.encode({"status": 99, "more": 1})).status == 99


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xff", ReasonCode.CBOR_MALFORMED),
        (cbor.encode([]), ReasonCode.CBOR_MALFORMED),
        (cbor.encode({}), ReasonCode.RESPONSE_MALFORMED),
        (cbor.encode({"data": "text"}), ReasonCode.RESPONSE_MALFORMED),
        (cbor.encode({"data": b"", "status": True}), ReasonCode.RESPONSE_MALFORMED),
        (bytes(MAX_MESSAGE_BYTES + 1), ReasonCode.RESPONSE_TOO_LARGE),
    ],
)
def test_session_data_with_one_defect_is_refused(message: bytes, reason: ReasonCode) -> None:
    assert reason_of(lambda: parse_session_data(message)) is reason


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"data": b""}, ReasonCode.KEY_INVALID),
        ({"eReaderKey": cbor2.CBORTag(24, encoded_key(READER.public_key()))}, ReasonCode.RESPONSE_MALFORMED),
        ({"eReaderKey": cbor2.CBORTag(24, b"\x01"), "data": b""}, ReasonCode.KEY_INVALID),
    ],
)
def test_an_establishment_with_one_defect_is_refused(members: dict[str, object], reason: ReasonCode) -> None:
    assert reason_of(lambda: parse_session_establishment(cbor.encode(members))) is reason


# request


def test_a_question_becomes_a_request_with_what_is_kept() -> None:
    query = parse_dcql(
        {
            "credentials": [
                {
                    "id": "pass",
                    "format": "mso_mdoc",
                    "meta": {"doctype_value": "de.leipzig.pass.1"},
                    "claims": [
                        {"path": ["de.leipzig.pass.1", "entitled"]},
                        {"path": ["de.leipzig.pass.1", "family_name"], "intent_to_retain": True},
                    ],
                }
            ]
        }
    )
    (asked,) = parse_device_request(device_request_of(query, session_transcript=TRANSCRIPT)).doc_requests
    assert asked.doc_type == "de.leipzig.pass.1"
    assert asked.elements == {"de.leipzig.pass.1": {"entitled": False, "family_name": True}}
    assert asked.reader_auth is None


MDOC = {"id": "a", "format": "mso_mdoc", "meta": {"doctype_value": "d"}, "claims": [{"path": ["d", "e"]}]}


@pytest.mark.parametrize(
    "credentials",
    [
        [{"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["v"]}, "claims": [{"path": ["e"]}]}],
        [MDOC, {**MDOC, "id": "b"}],
        [{name: value for name, value in MDOC.items() if name != "claims"}],
    ],
    ids=["sd-jwt", "one type twice", "no claims"],
)
def test_a_question_that_cant_be_put_on_the_spot_is_the_askers_mistake(credentials: list[object]) -> None:
    query = parse_dcql({"credentials": credentials})  # type: ignore[dict-item]  # JSON values
    with pytest.raises(ValueError, match=r"^[ab]: "):
        device_request_of(query, session_transcript=TRANSCRIPT)


def request(**changed: object) -> bytes:
    items: dict[str, object] = {"docType": "d", "nameSpaces": {"d": {"e": False}}}
    items.update({name: value for name, value in changed.items() if name in ("docType", "nameSpaces")})
    members: dict[str, object] = {
        "version": "1.0",
        "docRequests": [{"itemsRequest": cbor2.CBORTag(24, cbor.encode(items))}],
    }
    members.update({name: value for name, value in changed.items() if name in ("version", "docRequests")})
    return cbor.encode(members)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"version": "2.0"}, ReasonCode.VERSION_NOT_SUPPORTED),
        ({"docRequests": []}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": [{}]}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": [{"itemsRequest": {}}]}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": [{}] * 21}, ReasonCode.LIMIT_EXCEEDED),
        ({"docType": 1}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {"d": {}}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {"d": {"e": 1}}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {"d": {str(number): False for number in range(301)}}}, ReasonCode.LIMIT_EXCEEDED),
    ],
)
def test_a_request_with_one_defect_is_refused(changed: dict[str, object], reason: ReasonCode) -> None:
    parse_device_request(request())
    assert reason_of(lambda: parse_device_request(request(**changed))) is reason


# stream


def test_an_address_on_a_stream_is_found_among_other_ways() -> None:
    encoded = build_device_engagement(encoded_key(DEVICE.public_key()), methods=[BLE, stream_method("127.0.0.1", 5)])
    assert stream_address(parse_device_engagement(encoded)) == ("127.0.0.1", 5)
    without = build_device_engagement(encoded_key(DEVICE.public_key()), methods=[BLE])
    assert reason_of(lambda: stream_address(parse_device_engagement(without))) is ReasonCode.RESPONSE_MALFORMED


def test_a_message_in_a_stream_says_how_long_it_is() -> None:
    assert message_length(framed(b"message")[:4]) == 7
    assert reason_of(lambda: message_length(b"\x00")) is ReasonCode.RESPONSE_MALFORMED
    assert reason_of(lambda: message_length(b"\xff\xff\xff\xff")) is ReasonCode.RESPONSE_TOO_LARGE
