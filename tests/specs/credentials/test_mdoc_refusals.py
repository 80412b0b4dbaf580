"""mdocs with one defect each, made by hand from a valid twin: every reason why one is not believed."""

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import mdoc
from specs.credentials.mdoc_device import all_elements, device_mac_key, verify_device_auth
from specs.refusal import ReasonCode, Refusal
from tests.specs.credentials.mdoc_by_hand import (
    CERTIFICATE,
    DAY,
    DEVICE,
    DEVICE_KEY,
    DOC_TYPE,
    ES256_HEADER,
    HMAC_HEADER,
    ISSUER,
    NAME_SPACE,
    NOW,
    OTHER_NAME_SPACE,
    PHONE,
    READER_KEY,
    TRANSCRIPT,
    Change,
    Hand,
    Part,
    check,
    device_authentication,
    device_judged,
    document_of,
    ec_public,
    encoded,
    item,
    judged,
    key_map,
    tdate,
)

CURVE_384 = ec.generate_private_key(ec.SECP384R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())


def refused(act: Callable[[], object]) -> ReasonCode:
    with pytest.raises(Refusal) as refusal:
        act()
    return refusal.value.reason


def put(*path: str | int, to: object) -> Change:
    """Set what stands at a path; `...` takes it away."""

    def change(part: Part) -> None:
        inner: Any = part
        for step in path[:-1]:
            inner = inner[step]
        if to is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = to

    return change


def test_the_valid_twin_is_believed() -> None:
    issued, device = judged(Hand().response())
    assert issued.claims == {
        NAME_SPACE: {"city": "Grünau", "since": cbor2.CBORTag(1004, "2019-04-01")},
        OTHER_NAME_SPACE: {"zone": -3},
    }
    assert device.claims == {}


# the response as a whole (§8.3.2.1.2.2)

ITEMS = ("documents", 0, "issuerSigned", "nameSpaces")
AUTH = ("documents", 0, "issuerSigned", "issuerAuth")
MALFORMED = ReasonCode.MDOC_MALFORMED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("version", to="2.0"), ReasonCode.VERSION_NOT_SUPPORTED),
        (put("version", to="1.0\n"), ReasonCode.VERSION_NOT_SUPPORTED),
        (put("version", to=1.0), ReasonCode.VERSION_NOT_SUPPORTED),
        (put("version", to=...), ReasonCode.VERSION_NOT_SUPPORTED),
        (put("status", to=...), MALFORMED),
        (put("status", to=False), MALFORMED),
        (put("status", to=0.0), MALFORMED),
        (put("status", to=10), ReasonCode.WALLET_ERROR),
        (put("documents", to=...), MALFORMED),
        (put("documents", to=[]), MALFORMED),
        (put("documents", to={}), MALFORMED),
        (put("documents", 0, to=[]), MALFORMED),
        (put("documents", 0, "docType", to=...), MALFORMED),
        (put("documents", 0, "docType", to=DOC_TYPE.encode()), MALFORMED),
        (put("documents", 0, "issuerSigned", to=...), MALFORMED),
        (put("documents", 0, "issuerSigned", to=[]), MALFORMED),
        (put(*ITEMS, to=[]), MALFORMED),
        (put(*ITEMS, to=None), MALFORMED),
        (put(*ITEMS, 5, to=[encoded(item(1, "a", 1))]), MALFORMED),
        (put(*ITEMS, NAME_SPACE, to=[]), MALFORMED),
        (put(*ITEMS, NAME_SPACE, to={}), MALFORMED),
        (put(*ITEMS, NAME_SPACE, 0, to=item(0, "city", "Grünau")), MALFORMED),
        (put(*ITEMS, NAME_SPACE, 0, to=cbor2.dumps(item(0, "city", "Grünau"))), MALFORMED),
        (put(*ITEMS, NAME_SPACE, 0, to=cbor2.CBORTag(1004, "2019-04-01")), MALFORMED),
        (put(*ITEMS, NAME_SPACE, 0, to=cbor2.CBORTag(24, "text")), MALFORMED),
        (put(*AUTH, to=...), ReasonCode.COSE_MALFORMED),
        (put(*AUTH, to=cbor2.CBORTag(18, Hand().issuer_auth())), ReasonCode.COSE_MALFORMED),
        (put(*AUTH, to=Hand().issuer_auth()[:3]), ReasonCode.COSE_MALFORMED),
        (put(*AUTH, 0, to={1: -7}), ReasonCode.COSE_MALFORMED),
        (put(*AUTH, 1, to=[]), ReasonCode.COSE_MALFORMED),
        (put(*AUTH, 1, 1, to=-7), ReasonCode.COSE_MALFORMED),  # alg in both headers
        (put(*AUTH, 2, to="text"), ReasonCode.COSE_MALFORMED),
        (put(*AUTH, 3, to=None), ReasonCode.COSE_MALFORMED),
        (put(*AUTH, 0, to=b""), ReasonCode.ALGORITHM_NOT_ALLOWED),
        (put(*AUTH, 0, to=HMAC_HEADER), ReasonCode.ALGORITHM_NOT_ALLOWED),
        (put(*AUTH, 0, to=cbor2.dumps({1: -37})), ReasonCode.ALGORITHM_NOT_ALLOWED),  # PS256
        (put(*AUTH, 0, to=cbor2.dumps({1: -7, 2: [1]})), ReasonCode.CRITICAL_HEADER_UNKNOWN),
    ],
)
def test_a_response_with_one_defect_is_refused(change: Change, reason: ReasonCode) -> None:
    response = Hand().response()
    document_of(response)
    change(response)
    assert refused(lambda: document_of(response)) is reason


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: data + b"\x00",
        lambda data: data[:-1],
        lambda data: data[:0],
        lambda data: b"\x81" + data,
        lambda data: data.replace(b"fstatus", b"fStatus").replace(b"\xa3gversion", b"\xa4fStatus\x00gversion"),
        lambda data: data.replace(b"fstatus\x00", b"fstatus\xd8\x1c\x00"),
        lambda data: data.replace(b"fstatus\x00", b"fstatus" + b"\x81" * 33 + b"\x00"),
        lambda data: data.replace(b"fstatus\x00", b"fstatu\xff\x00"),
    ],
    ids=["trailing", "cut off", "empty", "array", "a name twice", "shared value", "too deep", "not UTF-8"],
)
def test_bytes_that_are_not_the_cbor_we_read_are_refused(broken: Callable[[bytes], bytes]) -> None:
    data = cbor2.dumps(Hand().response())
    assert broken(data) != data
    assert refused(lambda: mdoc.parse_device_response(broken(data))) is ReasonCode.CBOR_MALFORMED


def test_more_than_the_limits_allow_is_refused() -> None:
    data = cbor2.dumps(Hand().response())
    mdoc.parse_device_response(data, limits=mdoc.MdocLimits(max_bytes=len(data), max_items=3))
    for limits in (mdoc.MdocLimits(max_bytes=len(data) - 1), mdoc.MdocLimits(max_items=2)):
        assert refused(lambda: mdoc.parse_device_response(data, limits=limits)) is ReasonCode.LIMIT_EXCEEDED  # noqa: B023


def test_two_documents_in_one_response_are_one_too_many() -> None:
    response = Hand().response()
    response["documents"] *= 2
    read = mdoc.parse_device_response(cbor2.dumps(response))
    assert [document.position for document in read.documents] == [0, 1]
    assert refused(lambda: mdoc.sole_document(read)) is ReasonCode.TOO_MANY_PRESENTATIONS


@pytest.mark.parametrize(
    ("unprotected", "reason"),
    [
        ({}, ReasonCode.ISSUER_KEY_MISSING),
        ({33: None}, ReasonCode.ISSUER_KEY_MISSING),
        ({33: []}, ReasonCode.CERTIFICATE_MALFORMED),
        ({33: "MAUCAQU="}, ReasonCode.CERTIFICATE_MALFORMED),
        ({33: [CERTIFICATE, "MAUCAQU="]}, ReasonCode.CERTIFICATE_MALFORMED),
        ({33: [CERTIFICATE] * 5}, ReasonCode.LIMIT_EXCEEDED),
        ({33: bytes(16 * 1024 + 1)}, ReasonCode.LIMIT_EXCEEDED),
    ],
    ids=["absent", "null", "empty", "text", "text in it", "too many", "too large"],
)
def test_a_chain_that_is_none_is_refused(unprotected: Part, reason: ReasonCode) -> None:
    assert mdoc.issuer_chain(document_of(Hand().response()).issuer_signed) == (CERTIFICATE,)
    document = document_of(Hand(issuer_unprotected=unprotected).response())
    assert refused(lambda: mdoc.issuer_chain(document.issuer_signed)) is reason


def test_an_mso_of_another_signer_or_algorithm_is_refused() -> None:
    document = document_of(Hand().response())
    other_curve = document_of(Hand(issuer_header=cbor2.dumps({1: -35})).response())
    mdoc.verify_issuer_signature(document.issuer_signed, key=ISSUER.public_key)

    def verify(signed: mdoc.Document, key: ec.EllipticCurvePublicKey) -> ReasonCode:
        return refused(lambda: mdoc.verify_issuer_signature(signed.issuer_signed, key=key))

    assert verify(document, STRANGER.public_key()) is ReasonCode.SIGNATURE_INVALID
    assert verify(document, CURVE_384.public_key()) is ReasonCode.ALGORITHM_NOT_ALLOWED
    assert verify(other_curve, ec_public(STRANGER)) is ReasonCode.ALGORITHM_NOT_ALLOWED


# the MSO (§9.1.2.4), validly signed each time

BAD_POINT = {**key_map(ec_public(DEVICE_KEY)), -3: bytes(32)}
SHORT_POINT = {**key_map(ec_public(DEVICE_KEY)), -2: bytes(31)}
PRIVATE = {**key_map(ec_public(DEVICE_KEY)), -4: bytes(32)}
COMPRESSED = {**key_map(ec_public(DEVICE_KEY)), -3: True}
KEY = ("deviceKeyInfo", "deviceKey")
GRANTS = ("deviceKeyInfo", "keyAuthorizations")
MSO = ReasonCode.MSO_MALFORMED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("version", to="1.1"), ReasonCode.VERSION_NOT_SUPPORTED),
        (put("version", to=...), ReasonCode.VERSION_NOT_SUPPORTED),
        (put("digestAlgorithm", to="SHA-1"), ReasonCode.HASH_ALGORITHM_NOT_ALLOWED),
        (put("digestAlgorithm", to="sha-256"), ReasonCode.HASH_ALGORITHM_NOT_ALLOWED),
        (put("digestAlgorithm", to=-16), ReasonCode.HASH_ALGORITHM_NOT_ALLOWED),
        (put("digestAlgorithm", to=...), ReasonCode.HASH_ALGORITHM_NOT_ALLOWED),
        (put("docType", to=...), MSO),
        (put("docType", to=1), MSO),
        (put("valueDigests", to=...), MSO),
        (put("valueDigests", to={}), MSO),
        (put("valueDigests", to=[]), MSO),
        (put("valueDigests", to={5: {0: bytes(32)}}), MSO),
        (put("valueDigests", to={NAME_SPACE: []}), MSO),
        (put("valueDigests", to={NAME_SPACE: {}}), MSO),
        (put("valueDigests", to={NAME_SPACE: {"0": bytes(32)}}), MSO),
        (put("valueDigests", to={NAME_SPACE: {True: bytes(32)}}), MSO),
        (put("valueDigests", to={NAME_SPACE: {0: "digest"}}), MSO),
        (put("deviceKeyInfo", to=...), ReasonCode.HOLDER_KEY_MISSING),
        (put("deviceKeyInfo", to=[]), ReasonCode.HOLDER_KEY_MISSING),
        (put(*KEY, to=...), ReasonCode.HOLDER_KEY_MISSING),
        (put(*KEY, to=b"\x04"), ReasonCode.HOLDER_KEY_INVALID),
        (put(*KEY, to={}), ReasonCode.HOLDER_KEY_INVALID),
        (put(*KEY, to=BAD_POINT), ReasonCode.HOLDER_KEY_INVALID),
        (put(*KEY, to=SHORT_POINT), ReasonCode.HOLDER_KEY_INVALID),
        (put(*KEY, to=PRIVATE), ReasonCode.HOLDER_KEY_INVALID),
        (put(*KEY, to=COMPRESSED), ReasonCode.HOLDER_KEY_INVALID),
        (put(*KEY, -1, to=8), ReasonCode.HOLDER_KEY_INVALID),  # secp256k1
        (put(*KEY, 1, to=4), ReasonCode.HOLDER_KEY_INVALID),  # symmetric
        (put(*GRANTS, to=[]), MSO),
        (put(*GRANTS, to=None), MSO),
        (put(*GRANTS, "nameSpaces", to=PHONE), MSO),
        (put(*GRANTS, "nameSpaces", to=[5]), MSO),
        (put(*GRANTS, "nameSpaces", to=[PHONE, PHONE]), MSO),
        (put(*GRANTS, "nameSpaces", to=[PHONE, NAME_SPACE]), MSO),  # §9.1.2.4: in one of both only
        (put(*GRANTS, "dataElements", to=[]), MSO),
        (put(*GRANTS, "dataElements", 5, to=["position"]), MSO),
        (put(*GRANTS, "dataElements", NAME_SPACE, to="position"), MSO),
        (put(*GRANTS, "dataElements", NAME_SPACE, to=[5]), MSO),
        (put("validityInfo", to=...), MSO),
        (put("validityInfo", to=[]), MSO),
        (put("validityInfo", "signed", to=...), MSO),
        (put("validityInfo", "validFrom", to=...), MSO),
        (put("validityInfo", "validUntil", to=...), MSO),
        (put("validityInfo", "signed", to="2026-11-20T00:00:00Z"), MSO),
        (put("validityInfo", "signed", to=cbor2.CBORTag(1, NOW - DAY)), MSO),
        (put("validityInfo", "signed", to=cbor2.CBORTag(1004, "2026-11-20")), MSO),
        (put("validityInfo", "signed", to=tdate("2026-11-20T00:00:00+00:00")), MSO),
        (put("validityInfo", "signed", to=tdate("2026-11-20T00:00:00.0Z")), MSO),
        (put("validityInfo", "signed", to=tdate("2026-11-20T00:00:00Z\n")), MSO),
        (put("validityInfo", "signed", to=tdate("2026-11-20t00:00:00z")), MSO),
        (put("validityInfo", "signed", to=tdate("２026-11-20T00:00:00Z")), MSO),
        (put("validityInfo", "signed", to=tdate("2026-02-30T00:00:00Z")), MSO),
        (put("validityInfo", "signed", to=tdate("2026-11-20T00:00:01Z")), MSO),  # after validFrom
        (put("validityInfo", "validUntil", to=tdate("2026-11-20T00:00:00Z")), MSO),  # equals validFrom
        (put("validityInfo", "expectedUpdate", to=None), MSO),
        (put("validityInfo", "expectedUpdate", to="soon"), MSO),
    ],
)
def test_an_mso_with_one_defect_is_refused(change: Change, reason: ReasonCode) -> None:
    hand = Hand()
    mdoc.parse_mso(document_of(hand.response()).issuer_signed)
    hand.mso["valueDigests"] = hand.value_digests()
    change(hand.mso)
    hand.mso.setdefault("valueDigests", ...)
    document = document_of(hand.response())
    mdoc.verify_issuer_signature(document.issuer_signed, key=ISSUER.public_key)
    assert refused(lambda: mdoc.parse_mso(document.issuer_signed)) is reason


@pytest.mark.parametrize(
    "payload",
    [
        cbor2.dumps({"version": "1.0"}),
        cbor2.dumps(cbor2.CBORTag(24, "text")),
        cbor2.dumps(cbor2.CBORTag(25, b"\xa0")),
        cbor2.dumps(encoded(["version", "1.0"])),
        cbor2.dumps(encoded({})) + b"\x00",
        cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps({}) + b"\x00")),
        b"\xd8\x18\x59\x00\x01\xff",
        b"",
    ],
    ids=["bare", "text", "another tag", "array", "trailing", "trailing inside", "break", "empty"],
)
def test_a_payload_that_is_no_mso_is_refused(payload: bytes) -> None:
    hand = Hand()
    response = hand.response()
    put(*AUTH, to=hand.issuer_auth(payload))(response)
    document = document_of(response)
    mdoc.verify_issuer_signature(document.issuer_signed, key=ISSUER.public_key)
    assert refused(lambda: mdoc.parse_mso(document.issuer_signed)) is MSO


def test_an_mso_that_is_not_in_its_signature_is_refused() -> None:
    response = Hand().response()
    put(*AUTH, 2, to=None)(response)
    document = document_of(response)
    assert refused(lambda: mdoc.parse_mso(document.issuer_signed)) is MSO
    key = ISSUER.public_key
    assert refused(lambda: mdoc.verify_issuer_signature(document.issuer_signed, key=key)) is ReasonCode.COSE_MALFORMED


# what the MSO says against what is asked and when (§9.3.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("docType", to=DOC_TYPE + ".1"), ReasonCode.TYPE_MISMATCH),
        (put("docType", to=DOC_TYPE.upper()), ReasonCode.TYPE_MISMATCH),
        (put("validityInfo", "signed", to=tdate("2026-10-01T00:00:00Z")), ReasonCode.CLAIM_INVALID),
        (put("validityInfo", "validUntil", to=tdate("2026-11-21T00:00:00Z")), ReasonCode.CREDENTIAL_EXPIRED),
        (put("validityInfo", "validFrom", to=tdate("2026-12-01T00:00:00Z")), ReasonCode.CREDENTIAL_NOT_YET_VALID),
    ],
    ids=["longer type", "other case", "before the certificate", "expired", "not yet valid"],
)
def test_an_mso_that_does_not_hold_here_and_now_is_refused(change: Change, reason: ReasonCode) -> None:
    hand = Hand()
    check(mdoc.parse_mso(document_of(hand.response()).issuer_signed))
    change(hand.mso)
    mso = mdoc.parse_mso(document_of(hand.response()).issuer_signed)
    assert refused(lambda: check(mso)) is reason


def test_the_last_second_of_an_mso_counts_and_the_next_does_not() -> None:
    mso = mdoc.parse_mso(document_of(Hand().response()).issuer_signed)
    dates = mso.validity
    check(mso, now=int(dates.valid_until) + 60)
    check(mso, now=int(dates.valid_from) - 60)
    assert refused(lambda: check(mso, now=int(dates.valid_until) + 61)) is ReasonCode.CREDENTIAL_EXPIRED
    assert refused(lambda: check(mso, now=int(dates.valid_from) - 61)) is ReasonCode.CREDENTIAL_NOT_YET_VALID

    def signed_between(begin: float, end: float) -> None:
        mdoc.check_mso(
            mso, expected_doc_type=DOC_TYPE, signer_not_before=int(begin), signer_not_after=int(end), now=NOW
        )

    signed_between(dates.signed, dates.signed)
    assert refused(lambda: signed_between(dates.signed + 1, dates.signed + DAY)) is ReasonCode.CLAIM_INVALID
    assert refused(lambda: signed_between(dates.signed - DAY, dates.signed - 1)) is ReasonCode.CLAIM_INVALID


# the elements (§9.1.2.5)


def elements_of(response: Part) -> mdoc.IssuedElements:
    document = document_of(response)
    return mdoc.verify_elements(document.issuer_signed, mdoc.parse_mso(document.issuer_signed))


@pytest.mark.parametrize(
    "change",
    [
        put("random", to=...),
        put("elementIdentifier", to=...),
        put("elementValue", to=...),
        put("random", to=bytes(15)),
        put("random", to="0123456789abcdef"),
        put("elementIdentifier", to=5),
        put("elementIdentifier", to=b"city"),
        put("digestID", to=-1),
        put("digestID", to=2**31),
        put("digestID", to=False),
        put("digestID", to="0"),
        put("digestID", to=0.0),
    ],
)
def test_a_misshapen_item_is_refused_although_its_digest_holds(change: Change) -> None:
    hand = Hand()
    first = hand.items[NAME_SPACE][0]
    elements_of(hand.response())
    change(first)
    digest = sha256(cbor2.dumps(encoded(first))).digest()
    rest = hand.value_digests()
    name_space = {0: digest, **{number: each for number, each in rest[NAME_SPACE].items() if type(number) is int}}
    hand.mso["valueDigests"] = {**rest, NAME_SPACE: name_space}
    assert refused(lambda: elements_of(hand.response())) is ReasonCode.DISCLOSURE_MALFORMED


def test_an_item_without_a_digest_id_is_refused() -> None:
    response = Hand().response()
    without = {name: value for name, value in item(0, "city", "Grünau").items() if name != "digestID"}
    put(*ITEMS, NAME_SPACE, 0, to=encoded(without))(response)
    assert refused(lambda: elements_of(response)) is ReasonCode.DISCLOSURE_MALFORMED


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (cbor2.dumps([0, bytes(16), "city", "Grünau"]), ReasonCode.DISCLOSURE_MALFORMED),
        (cbor2.dumps("text"), ReasonCode.DISCLOSURE_MALFORMED),
        (cbor2.dumps(None), ReasonCode.DISCLOSURE_MALFORMED),
        (cbor2.dumps(item(0, "city", "Grünau")) + b"\x00", ReasonCode.CBOR_MALFORMED),
        (cbor2.dumps(item(0, "city", "Grünau"))[:-1], ReasonCode.CBOR_MALFORMED),
        (b"", ReasonCode.CBOR_MALFORMED),
        (
            b"\xa5hdigestID\x00frandom\x50" + bytes(16) + b"qelementIdentifieracqelementIdentifieraclelementValue\x01",
            ReasonCode.CBOR_MALFORMED,
        ),
        (cbor2.dumps(item(0, "city", "Gruenau")), ReasonCode.DIGEST_MISMATCH),
        (cbor2.dumps(item(0, "town", "Grünau")), ReasonCode.DIGEST_MISMATCH),
        (cbor2.dumps({**item(0, "city", "Grünau"), "more": 1}), ReasonCode.DIGEST_MISMATCH),
        (cbor2.dumps(item(7, "city", "Grünau")), ReasonCode.DIGEST_MISMATCH),
        (cbor2.dumps(item(5, "city", "Grünau")), ReasonCode.DIGEST_MISSING),
    ],
)
def test_an_item_that_was_not_signed_is_refused(inner: bytes, reason: ReasonCode) -> None:
    response = Hand().response()
    put(*ITEMS, NAME_SPACE, 0, to=cbor2.CBORTag(24, inner))(response)
    assert refused(lambda: elements_of(response)) is reason


def test_items_whose_ends_are_shifted_against_each_other_are_refused() -> None:
    """Both are wrong, though put together they are the two right ones."""
    response = Hand().response()
    first, second = (cbor2.dumps(part) for part in Hand().items[NAME_SPACE])
    put(*ITEMS, NAME_SPACE, 0, to=cbor2.CBORTag(24, first + second[:1]))(response)
    put(*ITEMS, NAME_SPACE, 1, to=cbor2.CBORTag(24, second[1:]))(response)
    assert refused(lambda: elements_of(response)) is ReasonCode.CBOR_MALFORMED


def test_an_item_of_another_name_space_is_refused() -> None:
    """The digest counts in its own name space only, though the id and the bytes are the same."""
    swapped, strange = Hand().response(), Hand().response()
    items = swapped["documents"][0]["issuerSigned"]["nameSpaces"]
    items[NAME_SPACE][0], items[OTHER_NAME_SPACE][0] = items[OTHER_NAME_SPACE][0], items[NAME_SPACE][0]
    items = strange["documents"][0]["issuerSigned"]["nameSpaces"]
    items["org.example.unsigned.1"] = items.pop(OTHER_NAME_SPACE)
    assert refused(lambda: elements_of(swapped)) is ReasonCode.DIGEST_MISMATCH
    assert refused(lambda: elements_of(strange)) is ReasonCode.DIGEST_MISSING


def test_an_item_of_another_credential_is_refused() -> None:
    """One byte of its random is another, nothing else."""
    other = Hand()
    other.items[NAME_SPACE][0]["random"] = bytes(15) + b"\x01"
    response = Hand().response()
    put(*ITEMS, NAME_SPACE, 0, to=other.response()["documents"][0]["issuerSigned"]["nameSpaces"][NAME_SPACE][0])(
        response
    )
    assert elements_of(other.response()).claims[NAME_SPACE]["city"] == "Grünau"
    assert refused(lambda: elements_of(response)) is ReasonCode.DIGEST_MISMATCH


@pytest.mark.parametrize(
    "inner",
    [
        cbor2.dumps(["elementIdentifier", "elementValue"]),
        cbor2.dumps({"elementValue": 1}),
        cbor2.dumps({"elementIdentifier": "city"}),
        cbor2.dumps({"elementIdentifier": b"city", "elementValue": 1}),
        cbor2.dumps({"elementIdentifier": None, "elementValue": 1}),
        b"",
        b"\xff",
    ],
)
def test_what_is_no_item_is_none_for_the_holder_either(inner: bytes) -> None:
    assert mdoc.parse_item(cbor2.dumps(item(0, "city", "Grünau"))) == ("city", "Grünau")
    assert refused(lambda: mdoc.parse_item(inner)) is ReasonCode.DISCLOSURE_MALFORMED


def test_an_element_twice_is_refused() -> None:
    """As the same item, or as two items that the issuer signed under two digest ids."""
    response, hand = Hand().response(), Hand()
    items = response["documents"][0]["issuerSigned"]["nameSpaces"][NAME_SPACE]
    items.append(items[0])
    hand.items[NAME_SPACE].append(item(8, "city", "Grünau"))
    assert refused(lambda: elements_of(response)) is ReasonCode.ELEMENT_REPEATED
    assert refused(lambda: elements_of(hand.response())) is ReasonCode.ELEMENT_REPEATED


def test_the_same_element_in_two_name_spaces_is_two_elements() -> None:
    hand = Hand()
    hand.items[OTHER_NAME_SPACE].append(item(1, "city", "Gohlis"))
    claims = elements_of(hand.response()).claims
    assert (claims[NAME_SPACE]["city"], claims[OTHER_NAME_SPACE]["city"]) == ("Grünau", "Gohlis")


# the device (§9.1.3)

SIGNED = ("documents", 0, "deviceSigned")
SIGNATURE = (*SIGNED, "deviceAuth", "deviceSignature")
INVALID = ReasonCode.DEVICE_AUTHENTICATION_INVALID
MISSING = ReasonCode.DEVICE_AUTHENTICATION_MISSING


def mac_of(response: Part, *, payload: bytes | None = None) -> list[object]:
    """A COSE_Mac0 for our reader over the device's part of a response."""
    key = device_mac_key(READER_KEY_EC, ec_public(DEVICE_KEY), session_transcript=TRANSCRIPT)
    to_mac = device_authentication(response["documents"][0]["deviceSigned"]["nameSpaces"])
    tag = hmac.digest(key, cbor2.dumps(["MAC0", HMAC_HEADER, b"", to_mac]), sha256)
    return [HMAC_HEADER, {}, payload, tag]


def own_key(key: object) -> ec.EllipticCurvePrivateKey:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


READER_KEY_EC = own_key(READER_KEY)
PAYLOAD = device_authentication(encoded({}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put(*SIGNED, to=...), MISSING),
        (put(*SIGNED, to=[]), MISSING),
        (put(*SIGNED, "deviceAuth", to=...), MISSING),
        (put(*SIGNED, "deviceAuth", to={}), MISSING),
        (put(*SIGNED, "deviceAuth", to=[]), MISSING),
        (put(*SIGNATURE, to=None), MISSING),
        (put(*SIGNED, "nameSpaces", to=...), MALFORMED),
        (put(*SIGNED, "nameSpaces", to={}), MALFORMED),
        (put(*SIGNED, "nameSpaces", to=b"\xa0"), MALFORMED),
        (put(*SIGNED, "nameSpaces", to=encoded({PHONE: {"model": "x"}})), INVALID),
        (put(*SIGNED, "deviceAuth", "deviceMac", to=[HMAC_HEADER, {}, None, bytes(32)]), INVALID),
        (put(*SIGNED, "deviceAuth", "deviceMac", to=None), INVALID),
        (
            put(*SIGNED, "deviceAuth", to={"deviceMac": [HMAC_HEADER, {}, None, bytes(32)]}),
            ReasonCode.DEVICE_MAC_NOT_ALLOWED,
        ),
        (put(*SIGNATURE, 3, to=bytes(64)), INVALID),
        (put(*SIGNATURE, 3, to=b""), INVALID),
        (put(*SIGNATURE, 2, to=PAYLOAD), INVALID),
        (put(*SIGNATURE, 2, to=b""), INVALID),
        (put(*SIGNATURE, 0, to=cbor2.dumps({1: -9})), INVALID),  # the header is signed, too
        (put(*SIGNATURE, 0, to=cbor2.dumps({1: -35})), ReasonCode.ALGORITHM_NOT_ALLOWED),
        (put(*SIGNATURE, 0, to=HMAC_HEADER), ReasonCode.ALGORITHM_NOT_ALLOWED),
        (put(*SIGNATURE, 0, to=cbor2.dumps({1: -7, 2: [1]})), ReasonCode.CRITICAL_HEADER_UNKNOWN),
        (put(*SIGNATURE, to=cbor2.CBORTag(18, [ES256_HEADER, {}, None, bytes(64)])), ReasonCode.COSE_MALFORMED),
        (put(*SIGNATURE, to=[ES256_HEADER, {}, None]), ReasonCode.COSE_MALFORMED),
        (put("documents", 0, "docType", to=DOC_TYPE + ".1"), INVALID),
    ],
)
def test_a_device_part_with_one_defect_is_refused(change: Change, reason: ReasonCode) -> None:
    response = Hand().response()
    device_judged(document_of(response))
    change(response)
    document = document_of(response)
    assert refused(lambda: device_judged(document)) is reason


def test_a_device_part_of_another_key_is_refused() -> None:
    hand = Hand()
    hand.mso["deviceKeyInfo"]["deviceKey"] = key_map(STRANGER.public_key())
    document = document_of(hand.response())
    assert refused(lambda: device_judged(document)) is INVALID


def test_what_the_device_signed_for_another_session_is_refused() -> None:
    document = document_of(Hand().response())
    for at in (len(TRANSCRIPT) - 1, 5):
        other = bytearray(TRANSCRIPT)
        other[at] ^= 1
        assert refused(lambda: device_judged(document, transcript=bytes(other))) is INVALID  # noqa: B023


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"org.example.phone.2": {"model": "x"}}, ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED),
        ({NAME_SPACE: {"city": "Gohlis"}}, ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED),
        ({OTHER_NAME_SPACE: {"position": 1}}, ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED),
        ({PHONE: {}}, MALFORMED),
        ({PHONE: []}, MALFORMED),
        ({PHONE: {5: "x"}}, MALFORMED),
        ({5: {"model": "x"}}, MALFORMED),
        ([], ReasonCode.CBOR_MALFORMED),
        (None, ReasonCode.CBOR_MALFORMED),
    ],
)
def test_what_the_device_states_beyond_its_right_is_refused(elements: object, reason: ReasonCode) -> None:
    allowed = Hand(device_elements={PHONE: {"model": "x"}, NAME_SPACE: {"position": [51, 12]}})
    issued, device = judged(allowed.response())
    assert all_elements(issued, device)[NAME_SPACE].keys() == {"city", "since", "position"}
    document = document_of(Hand(device_elements=elements).response())
    assert refused(lambda: device_judged(document)) is reason


def test_device_elements_that_are_no_cbor_are_refused_after_their_signature() -> None:
    """Whoever has not the key doesn't get us to read them."""
    response = Hand().response()
    put(*SIGNED, "nameSpaces", to=cbor2.CBORTag(24, b"\xff"))(response)
    assert refused(lambda: device_judged(document_of(response))) is INVALID
    to_sign = cbor2.dumps(["Signature1", ES256_HEADER, b"", device_authentication(cbor2.CBORTag(24, b"\xff"))])
    put(*SIGNATURE, 3, to=DEVICE.sign(to_sign))(response)
    assert refused(lambda: device_judged(document_of(response))) is ReasonCode.CBOR_MALFORMED


@pytest.mark.parametrize(
    ("change", "mac_key", "reason"),
    [
        (put(3, to=bytes(32)), READER_KEY_EC, INVALID),
        (put(3, to=b""), READER_KEY_EC, INVALID),
        (put(2, to=PAYLOAD), READER_KEY_EC, INVALID),
        (put(0, to=cbor2.dumps({1: 4})), READER_KEY_EC, ReasonCode.ALGORITHM_NOT_ALLOWED),  # a tag of 64 bits
        (put(0, to=ES256_HEADER), READER_KEY_EC, ReasonCode.ALGORITHM_NOT_ALLOWED),
        (put(0, to=b"\xff"), READER_KEY_EC, ReasonCode.COSE_MALFORMED),
        (put(1, to=None), READER_KEY_EC, ReasonCode.COSE_MALFORMED),
        (put(1, to={}), None, ReasonCode.DEVICE_MAC_NOT_ALLOWED),
        (put(1, to={}), STRANGER, INVALID),
        (put(1, to={}), CURVE_384, INVALID),
    ],
    ids=["tag", "no tag", "payload", "short tag", "signature", "header", "null", "no key", "stranger", "curve"],
)
def test_a_mac_with_one_defect_is_refused(
    change: Callable[[Any], None], mac_key: ec.EllipticCurvePrivateKey | None, reason: ReasonCode
) -> None:
    response = Hand().response()
    mac = mac_of(response)
    put(*SIGNED, "deviceAuth", to={"deviceMac": mac})(response)

    def judge(key: ec.EllipticCurvePrivateKey | None) -> object:
        document = document_of(response)
        mso = mdoc.parse_mso(document.issuer_signed)
        return verify_device_auth(document, mso, session_transcript=TRANSCRIPT, mac_key=key)

    judge(READER_KEY_EC)
    change(mac)
    assert refused(lambda: judge(mac_key)) is reason
