"""mdocs in every form that CBOR has for the same content, and in forms that only look like it."""

from hashlib import sha256

import cbor2
import pytest

from specs.credentials import mdoc, mdoc_raw
from specs.credentials.mdoc_device import DeviceAuthMethod, build_document, verify_device_auth
from specs.encoding import cbor
from specs.refusal import ReasonCode, Refusal
from tests.specs.credentials.mdoc_by_hand import (
    DEVICE,
    DOC_TYPE,
    ES256_HEADER,
    NAME_SPACE,
    NOW,
    TRANSCRIPT,
    Hand,
    Part,
    document_of,
    encoded,
    item,
    judged,
)

SHORT, LONG = b"\xd8\x18\x41\xa0", b"\xd8\x18\x5a\x00\x00\x00\x01\xa0"  # no elements of the device
MALFORMED = ReasonCode.MDOC_MALFORMED
CBOR_SEQUENCE = 63  # a tag beside 24 whose content is bytes, too (RFC 8742)


# versions


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.10", "1.9999"])
def test_a_response_of_version_one_is_read(version: str) -> None:
    assert mdoc.parse_device_response(cbor2.dumps({**Hand().response(), "version": version})).version == version


@pytest.mark.parametrize("version", ["", "1", "1.", "1.0.1", "1.0 ", " 1.0", "1.x", "11.0", "0.1"])
def test_a_response_of_a_version_that_is_no_such_number_is_refused(version: str) -> None:
    with pytest.raises(mdoc.MdocError) as refusal:
        mdoc.parse_device_response(cbor2.dumps({**Hand().response(), "version": version}))
    assert refusal.value.reason is ReasonCode.VERSION_NOT_SUPPORTED


# the length before an item


def item_of(size: int) -> Part:
    """An IssuerSignedItem whose encoding has this size."""
    value = bytes(size - 100)
    return item(0, "photo", value + bytes(size - len(cbor2.dumps(item(0, "photo", value)))))


@pytest.mark.parametrize("size", [254, 255, 256, 257, 65535, 65536])
def test_an_item_of_any_size_is_digested_with_the_head_that_it_was_sent_with(size: int) -> None:
    """§9.1.2.5: the length before an item takes one byte up to 255, two up to 65535, then four."""
    hand = Hand(items={NAME_SPACE: [item_of(size)]})
    assert len(cbor2.dumps(item_of(size))) == size
    document = document_of(hand.response())
    issued = mdoc.verify_elements(document.issuer_signed, mdoc.parse_mso(document.issuer_signed))
    assert issued.disclosed == ((NAME_SPACE, "photo"),)


def with_longer_head(tagged: bytes) -> bytes:
    """The same tag 24 with a length of four bytes where one would do."""
    assert tagged[:3] == b"\xd8\x18\x58"
    return b"\xd8\x18\x5a\x00\x00\x00" + tagged[3:]


@pytest.mark.parametrize(
    ("is_sent_long", "is_digested_long", "reason"),
    [(True, True, None), (True, False, None), (False, True, ReasonCode.DIGEST_MISMATCH)],
    ids=["as sent", "in the shortest form", "in neither"],
)
def test_an_item_is_digested_as_it_was_sent_or_in_the_shortest_form(
    is_sent_long: bool, is_digested_long: bool, reason: ReasonCode | None
) -> None:
    """A longer head, put on by whoever handed the item on, takes nothing away from what the issuer said."""
    hand = Hand(items={NAME_SPACE: [item(0, "city", "Grünau"), item(1, "since", 2019)]})
    short = cbor2.dumps(encoded(hand.items[NAME_SPACE][1]))
    long = with_longer_head(short)
    digests = hand.value_digests()
    digests[NAME_SPACE][1] = sha256(long if is_digested_long else short).digest()
    hand.mso["valueDigests"] = digests
    data = cbor2.dumps(hand.response())
    issuer_signed = mdoc.sole_document(
        mdoc.parse_device_response(data.replace(short, long) if is_sent_long else data)
    ).issuer_signed
    mso = mdoc.parse_mso(issuer_signed)
    if reason is None:
        assert mdoc.verify_elements(issuer_signed, mso).claims == {NAME_SPACE: {"city": "Grünau", "since": 2019}}
        return
    with pytest.raises(mdoc.MdocError) as refusal:
        mdoc.verify_elements(issuer_signed, mso)
    assert refusal.value.reason is reason


def document_with(sent: bytes, *, signed: bytes) -> bytes:
    """A document whose device sent these name spaces and signed those."""
    document = Hand().document()
    content = b"\x84" + cbor2.dumps("DeviceAuthentication") + TRANSCRIPT + cbor2.dumps(DOC_TYPE) + signed
    payload = cbor2.dumps(cbor2.CBORTag(24, content))
    signature = DEVICE.sign(cbor2.dumps(["Signature1", ES256_HEADER, b"", payload]))
    document["deviceSigned"]["deviceAuth"] = {"deviceSignature": [ES256_HEADER, {}, None, signature]}
    return cbor2.dumps(document).replace(b"jnameSpaces" + SHORT, b"jnameSpaces" + sent)


@pytest.mark.parametrize("neighbour", [SHORT, LONG], ids=["beside a short one", "beside a long one"])
@pytest.mark.parametrize(
    ("sent", "signed", "reason"),
    [
        (SHORT, SHORT, None),
        (LONG, LONG, None),
        (LONG, SHORT, None),
        (SHORT, LONG, ReasonCode.DEVICE_AUTHENTICATION_INVALID),
    ],
    ids=["short", "as sent", "in the shortest form", "in neither"],
)
def test_what_the_device_signed_is_read_as_it_was_sent_or_in_the_shortest_form(
    neighbour: bytes, sent: bytes, signed: bytes, reason: ReasonCode | None
) -> None:
    """§9.1.3.4. How another document of the same response is written makes no difference."""
    documents = document_with(neighbour, signed=neighbour) + document_with(sent, signed=signed)
    response = mdoc.parse_device_response(b"\xa3gversionc1.0idocuments\x82" + documents + b"fstatus\x00")
    document = response.documents[1]
    mso = mdoc.parse_mso(document.issuer_signed)
    if reason is None:
        device = verify_device_auth(document, mso, session_transcript=TRANSCRIPT)
        assert device.method is DeviceAuthMethod.SIGNATURE
        return
    with pytest.raises(Refusal) as refusal:
        verify_device_auth(document, mso, session_transcript=TRANSCRIPT)
    assert refusal.value.reason is reason


# tags that are not the right one


@pytest.mark.parametrize(
    "value",
    [cbor2.CBORTag(CBOR_SEQUENCE, cbor2.dumps(item(0, "city", "Grünau"))), cbor2.CBORTag(24, "text")],
    ids=["tag 63", "text"],
)
def test_an_item_in_another_wrapping_is_refused(value: cbor2.CBORTag) -> None:
    response = Hand().response()
    response["documents"][0]["issuerSigned"]["nameSpaces"][NAME_SPACE][0] = value
    with pytest.raises(mdoc.MdocError) as refusal:
        document_of(response)
    assert refusal.value.reason is MALFORMED


@pytest.mark.parametrize(
    "value", [cbor2.CBORTag(CBOR_SEQUENCE, b"\xa0"), cbor2.CBORTag(24, "text")], ids=["tag 63", "text"]
)
def test_name_spaces_of_the_device_in_another_wrapping_are_refused(value: cbor2.CBORTag) -> None:
    response = Hand().response()
    response["documents"][0]["deviceSigned"]["nameSpaces"] = value
    with pytest.raises(Refusal) as refusal:
        judged(response)
    assert refusal.value.reason is MALFORMED


@pytest.mark.parametrize(
    "value",
    [cbor2.CBORTag(1004, "2026-11-20T00:00:00Z"), cbor2.CBORTag(0, NOW), cbor2.CBORTag(0, b"2026-11-20T00:00:00Z")],
    ids=["tag of a day", "number", "bytes"],
)
def test_a_date_in_another_wrapping_is_refused(value: cbor2.CBORTag) -> None:
    """§9.1.2.4: a tdate is a text in tag 0."""
    hand = Hand()
    hand.mso["validityInfo"]["signed"] = value
    issuer_signed = document_of(hand.response()).issuer_signed
    with pytest.raises(mdoc.MdocError) as refusal:
        mdoc.parse_mso(issuer_signed)
    assert refusal.value.reason is ReasonCode.MSO_MALFORMED


# the wrapping of the MSO

WRAPPED = cbor2.loads(Hand().issuer_auth()[2])  # type: ignore[arg-type]
INNER: bytes = WRAPPED.value


@pytest.mark.parametrize(
    "payload",
    [
        cbor2.dumps(WRAPPED),
        b"\xd8\x18\x5a" + len(INNER).to_bytes(4, "big") + INNER,
        b"\xd8\x18\x5f" + cbor2.dumps(INNER) + b"\xff",
    ],
    ids=["shortest", "longer", "in pieces"],
)
def test_an_mso_is_read_however_its_length_is_written(payload: bytes) -> None:
    assert mso_of(payload).doc_type == DOC_TYPE


@pytest.mark.parametrize(
    "payload",
    [
        *(cbor.tag24_head(len(INNER) + off) + INNER for off in (-256, -10, -1, 1, 5, 10, 256)),
        b"\xd8\x3f" + cbor2.dumps(WRAPPED)[2:],
        b"\x00\x00" + cbor2.dumps(WRAPPED)[2:],
    ],
    ids=["256 less", "10 less", "1 less", "1 more", "5 more", "10 more", "256 more", "tag 63", "no tag"],
)
def test_an_mso_whose_wrapping_says_something_else_is_refused(payload: bytes) -> None:
    assert 256 < len(INNER) < 65536 - 256
    with pytest.raises(mdoc.MdocError) as refusal:
        mso_of(payload)
    assert refusal.value.reason is ReasonCode.MSO_MALFORMED


def mso_of(payload: bytes) -> mdoc.Mso:
    """The MSO that this payload of an issuerAuth is read as."""
    issuer_auth = Hand().issuer_auth(payload)
    return mdoc.parse_mso(mdoc.parse_issuer_signed(cbor2.dumps({"issuerAuth": issuer_auth})))


# nothing shown


def test_where_nothing_is_shown_no_name_space_is_named() -> None:
    """§8.3.2.1.2.2: `nameSpaces` holds at least one element, or is absent."""
    full = document_of(Hand().response()).issuer_signed
    bare = mdoc.parse_issuer_signed(cbor2.dumps({"issuerAuth": Hand().issuer_auth()}))
    assert bare.items_as_received() == {}
    for issuer_signed in (full, bare):
        document = build_document(
            issuer_signed, doc_type=DOC_TYPE, disclose=(), session_transcript=TRANSCRIPT, device_key=DEVICE
        )
        assert cbor2.loads(document)["issuerSigned"].keys() == {"issuerAuth"}


# the walk over raw bytes


@pytest.mark.parametrize(
    "value",
    [
        b"\x5f\x41a\x42bc\xff",
        b"\x5f\xff",
        b"\x7f\x61a\x60\xff",
        b"\x9f\x01\x82\x02\x03\xff",
        b"\x9f\xff",
        b"\xbf\x01\x9f\xff\xff",
        b"\xbf\xff",
        b"\xd8\x64\x5f\x41\xa0\xff",
        b"\x9f\xbf\x61a\x7f\x61b\xff\xff\x5f\xff\xff",
    ],
    ids=["bytes", "no bytes", "text", "array", "empty array", "map", "empty map", "tag", "in each other"],
)
@pytest.mark.parametrize(
    ("begin", "end"), [(b"\xa2", b""), (b"\xbf", b"\xff")], ids=["with a length", "of indefinite length"]
)
def test_the_walk_over_raw_bytes_ends_where_a_value_of_indefinite_length_ends(
    value: bytes, begin: bytes, end: bytes
) -> None:
    """RFC 8949 §3.2."""
    data = begin + b"fvalues\x82" + value + b"\x01eafter\x02" + end
    cbor.decode_map(data)
    assert mdoc_raw.part(data, "values", 0) == value
    assert mdoc_raw.part(data, "values", 1) == b"\x01"
    assert mdoc_raw.part(data, "after") == b"\x02"
