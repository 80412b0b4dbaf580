"""The messages of ISO/IEC 18013-5 on the spot: the session of Annex D, and each way in which one can be wrong."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import mdoc
from specs.credentials.mdoc import DEFAULT_LIMITS
from specs.credentials.session_transcript import proximity_transcript
from specs.encoding import base64url, cbor
from specs.keys.cose import build_sign1
from specs.keys.signer import FileSigner
from specs.protocols.dcql import ClaimsQuery, CredentialQuery, DcqlQuery, MdocMeta, SdJwtVcMeta, parse_dcql
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
    verify_reader_auth,
    vp_token_of,
)
from specs.protocols.proximity.device_request import MAX_DOC_REQUESTS, MAX_ELEMENTS
from specs.protocols.proximity.engagement import MAX_ENGAGEMENT_BYTES
from specs.protocols.proximity.session import MAX_MESSAGE_BYTES
from specs.refusal import ReasonCode, Refusal
from tests.specs.credentials.mdoc_by_hand import DOC_TYPE, Hand
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
    assert parse_device_engagement(engagement(_2=[[2, 1, {0: False}, "new"]])).methods == (
        RetrievalMethod(2, 1, {0: False}),
    )


def test_an_engagement_without_ways_to_the_device_says_nothing_of_them() -> None:
    """§8.2.1.1: the array, where there is one, has an entry; over NFC there is none."""
    encoded = build_device_engagement(encoded_key(DEVICE.public_key()))
    assert 2 not in cbor.decode_map(encoded)
    assert parse_device_engagement(encoded).methods == ()


def test_an_engagement_may_be_as_long_as_the_limit() -> None:
    room = MAX_ENGAGEMENT_BYTES - len(engagement(_9=bytes(1000))) + 1000
    assert len(engagement(_9=bytes(room))) == MAX_ENGAGEMENT_BYTES
    assert parse_engagement_link(engagement_link(engagement(_9=bytes(room)))).key == DEVICE.public_key()
    link = engagement_link(engagement(_9=bytes(room + 1)))
    assert reason_of(lambda: parse_engagement_link(link)) is ReasonCode.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"_0": "2.0"}, ReasonCode.VERSION_NOT_SUPPORTED),
        ({"_0": 1}, ReasonCode.VERSION_NOT_SUPPORTED),
        ({"_1": [2, cbor2.CBORTag(24, encoded_key(DEVICE.public_key()))]}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"_1": [True, cbor2.CBORTag(24, encoded_key(DEVICE.public_key()))]}, ReasonCode.ENCRYPTION_NOT_ALLOWED),
        ({"_1": [1]}, ReasonCode.RESPONSE_MALFORMED),
        ({"_1": 1}, ReasonCode.RESPONSE_MALFORMED),
        ({"_1": {1: 1, 2: 2}}, ReasonCode.RESPONSE_MALFORMED),
        ({"_1": [1, cbor2.CBORTag(24, b"\xff")]}, ReasonCode.KEY_INVALID),
        ({"_1": [1, encoded_key(DEVICE.public_key())]}, ReasonCode.KEY_INVALID),
        ({"_1": [1, cbor2.CBORTag(24, cbor.encode({1: 1, -1: 6, -2: bytes(32)}))]}, ReasonCode.KEY_INVALID),
        ({"_2": {}}, ReasonCode.RESPONSE_MALFORMED),
        ({"_2": [[2, 1]]}, ReasonCode.RESPONSE_MALFORMED),
        ({"_2": [2]}, ReasonCode.RESPONSE_MALFORMED),
        ({"_2": [["2", 1, {}]]}, ReasonCode.RESPONSE_MALFORMED),
        ({"_2": [[2, "1", {}]]}, ReasonCode.RESPONSE_MALFORMED),
        ({"_2": [[2, 1, []]]}, ReasonCode.RESPONSE_MALFORMED),
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
        ("other" + base64url.encode(engagement()), ReasonCode.RESPONSE_MALFORMED),
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


def test_what_does_not_open_ends_the_session() -> None:
    """§9.1.1.5: after one message that is not the next, not even the right one is read."""
    reader, device = channels()
    sealed = device.seal(b"right")
    assert reason_of(lambda: reader.open(sealed[:-1])) is ReasonCode.DECRYPTION_FAILED
    assert reader.ended
    assert reason_of(lambda: reader.open(sealed)) is ReasonCode.TRANSACTION_UNKNOWN
    assert reason_of(lambda: reader.seal(b"more")) is ReasonCode.TRANSACTION_UNKNOWN


def test_no_counter_is_used_twice_when_the_last_one_is_reached() -> None:
    """§9.1.1.5: the counter has four bytes; a second message under one would give both away."""
    reader, device = channels()
    device._sent = reader._received = 2**32 - 2
    assert reader.open(device.seal(b"last")) == b"last"
    assert reason_of(lambda: device.seal(b"one more")) is ReasonCode.TRANSACTION_UNKNOWN
    assert reason_of(lambda: reader.open(b"one more")) is ReasonCode.TRANSACTION_UNKNOWN


def test_messages_are_read_as_they_were_written() -> None:
    own = encoded_key(READER.public_key())
    opened = parse_session_establishment(build_session_establishment(own, b"sealed"))
    assert (opened.encoded_reader_key, opened.reader_key, opened.data) == (own, READER.public_key(), b"sealed")
    both = parse_session_data(build_session_data(data=b"sealed", status=SessionStatus.TERMINATION))
    assert (both.data, both.status) == (b"sealed", 20)
    assert cbor.decode(build_session_data(data=b"sealed")) == {"data": b"sealed"}
    assert cbor.decode(build_session_data(status=SessionStatus.TERMINATION)) == {"status": 20}
    assert parse_session_data(cbor.encode({"status": 99, "more": 1})).status == 99


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xff", ReasonCode.CBOR_MALFORMED),
        (cbor.encode([]), ReasonCode.CBOR_MALFORMED),
        (cbor.encode({}), ReasonCode.RESPONSE_MALFORMED),
        (cbor.encode({"data": "text"}), ReasonCode.RESPONSE_MALFORMED),
        (cbor.encode({"data": b"", "status": True}), ReasonCode.RESPONSE_MALFORMED),
        (bytes(MAX_MESSAGE_BYTES), ReasonCode.CBOR_MALFORMED),
        (bytes(MAX_MESSAGE_BYTES + 1), ReasonCode.RESPONSE_TOO_LARGE),
    ],
    ids=lambda value: str(value[:20]),
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


ITEMS = {"docType": "d", "nameSpaces": {"d": {"e": False}}}


def request(**changed: object) -> bytes:
    items: dict[str, object] = dict(ITEMS)
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
        ({"version": 1}, ReasonCode.VERSION_NOT_SUPPORTED),
        ({"docRequests": {"0": {}}}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": 1}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": [1]}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": [{"itemsRequest": cbor2.CBORTag(24, b"\xff")}]}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": []}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": [{}]}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": [{"itemsRequest": {}}]}, ReasonCode.RESPONSE_MALFORMED),
        ({"docRequests": [{}] * (MAX_DOC_REQUESTS + 1)}, ReasonCode.LIMIT_EXCEEDED),
        ({"docType": 1}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": 1}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {1: {"e": False}}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {"d": {}}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {"d": 1}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {"d": {1: False}}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {"d": {"e": 1}}}, ReasonCode.RESPONSE_MALFORMED),
        ({"nameSpaces": {"d": {str(number): False for number in range(MAX_ELEMENTS + 1)}}}, ReasonCode.LIMIT_EXCEEDED),
    ],
)
def test_a_request_with_one_defect_is_refused(changed: dict[str, object], reason: ReasonCode) -> None:
    parse_device_request(request())
    assert reason_of(lambda: parse_device_request(request(**changed))) is reason


def test_a_request_may_be_as_large_as_the_limits() -> None:
    elements = {str(number): False for number in range(MAX_ELEMENTS)}
    one = {"itemsRequest": cbor2.CBORTag(24, cbor.encode({**ITEMS, "nameSpaces": {"d": elements}}))}
    found = parse_device_request(request(docRequests=[one] * MAX_DOC_REQUESTS)).doc_requests
    assert [asked.elements for asked in found] == [{"d": elements}] * MAX_DOC_REQUESTS


def test_what_is_no_cbor_is_no_request() -> None:
    assert reason_of(lambda: parse_device_request(b"\xff")) is ReasonCode.CBOR_MALFORMED


def test_a_reader_without_signature_is_nobody() -> None:
    """§9.1.4: a request need not be signed; who asks is then unknown."""
    (asked,) = parse_device_request(request()).doc_requests
    checked = partial(verify_reader_auth, asked, session_transcript=TRANSCRIPT, anchors=(), now=0)
    assert reason_of(checked) is ReasonCode.ISSUER_KEY_MISSING


@pytest.mark.parametrize("detached", [True, False])
def test_a_readers_signature_carries_no_payload_of_its_own(detached: bool) -> None:
    """§9.1.4: what is signed is put together from the session; what the reader sends along is not it."""
    signed = build_sign1(b"payload", signer=FileSigner(READER), detached=detached)
    one = {"itemsRequest": cbor2.CBORTag(24, cbor.encode(ITEMS)), "readerAuth": signed}
    if detached:
        assert parse_device_request(request(docRequests=[one])).doc_requests[0].reader_auth is not None
    else:
        assert reason_of(lambda: parse_device_request(request(docRequests=[one]))) is ReasonCode.COSE_MALFORMED


# response

PASS = DcqlQuery(
    (
        CredentialQuery("a", "mso_mdoc", MdocMeta("d"), (ClaimsQuery(("d", "e")),)),
        CredentialQuery("b", "dc+sd-jwt", SdJwtVcMeta(("v",))),
    )
)
NOTHING: dict[str, object] = {"version": "1.0", "status": 0, "documentErrors": [{"d": 0}]}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_holder_who_shows_nothing_gives_an_empty_answer(version: str) -> None:
    """§8.3.2.1.2.2: a response without documents is a whole one, of any version that we read."""
    assert vp_token_of(cbor.encode({**NOTHING, "version": version}), query=PASS) == {}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"status": 10}, ReasonCode.WALLET_ERROR),
        ({"status": None}, ReasonCode.MDOC_MALFORMED),
        ({"version": "2.0"}, ReasonCode.VERSION_NOT_SUPPORTED),
        ({"version": 1}, ReasonCode.VERSION_NOT_SUPPORTED),
        ({"documents": []}, ReasonCode.MDOC_MALFORMED),
        ({"errors": bytes(DEFAULT_LIMITS.max_bytes)}, ReasonCode.LIMIT_EXCEEDED),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_response_that_is_none_is_no_empty_answer(changed: dict[str, object], reason: ReasonCode) -> None:
    assert vp_token_of(cbor.encode(NOTHING), query=PASS) == {}
    assert reason_of(lambda: vp_token_of(cbor.encode({**NOTHING, **changed}), query=PASS)) is reason


def test_a_document_that_nobody_asked_for_is_no_answer() -> None:
    data = cbor.encode(Hand().response())
    asked = CredentialQuery("c", "mso_mdoc", MdocMeta(DOC_TYPE))
    assert list(vp_token_of(data, query=DcqlQuery((*PASS.credentials, asked)))) == ["c"]
    assert reason_of(lambda: vp_token_of(data, query=PASS)) is ReasonCode.QUERY_ID_UNKNOWN


def test_an_empty_answer_may_be_as_large_as_the_limits() -> None:
    data = cbor.encode({**NOTHING, "documentErrors": [[{"d": 0}]]})
    within = replace(DEFAULT_LIMITS, max_bytes=len(data), max_depth=4)
    assert vp_token_of(data, query=PASS, limits=within) == {}
    for limits, reason in (
        (replace(within, max_bytes=len(data) - 1), ReasonCode.LIMIT_EXCEEDED),
        (replace(within, max_depth=3), ReasonCode.CBOR_MALFORMED),
    ):
        assert reason_of(partial(vp_token_of, data, query=PASS, limits=limits)) is reason


# stream


def test_an_address_on_a_stream_is_found_among_other_ways() -> None:
    encoded = build_device_engagement(encoded_key(DEVICE.public_key()), methods=[BLE, stream_method("127.0.0.1", 5)])
    assert stream_address(parse_device_engagement(encoded)) == ("127.0.0.1", 5)


@pytest.mark.parametrize(
    "changed",
    [{"type": 2}, {"version": 2}, {"options": {0: 1, 1: 5}}, {"options": {0: "::1", 1: "5"}}, {"options": {}}],
    ids=str,
)
def test_what_names_no_byte_stream_leads_to_none(changed: dict[str, Any]) -> None:
    method = replace(stream_method("::1", 5), **changed)
    encoded = build_device_engagement(encoded_key(DEVICE.public_key()), methods=[method])
    assert reason_of(lambda: stream_address(parse_device_engagement(encoded))) is ReasonCode.RESPONSE_MALFORMED


def test_a_message_in_a_stream_says_how_long_it_is() -> None:
    assert message_length(framed(b"message")[:4]) == 7
    assert reason_of(lambda: message_length(b"\x00")) is ReasonCode.RESPONSE_MALFORMED
    assert message_length(MAX_MESSAGE_BYTES.to_bytes(4, "big")) == MAX_MESSAGE_BYTES
    over = (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big")
    assert reason_of(lambda: message_length(over)) is ReasonCode.RESPONSE_TOO_LARGE
