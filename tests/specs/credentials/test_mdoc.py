"""mdocs from mint to verdict: what is issued can be shown in any selection, as it was sent, and by its device only."""

import hashlib
from collections.abc import Callable, Mapping

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.credentials import mdoc, mdoc_raw
from specs.credentials.mdoc_device import DeviceAuthMethod, all_elements, build_document, verify_device_auth
from specs.credentials.mdoc_issue import (
    build_issuer_signed,
    build_issuer_signed_batch,
    draft_issuer_signed,
    mdoc_identity,
)
from specs.credentials.mdoc_values import json_value, tdate_text
from specs.credentials.status_list import StatusReference, parse_status_reference
from specs.encoding import Malformed, cbor
from specs.encoding.cbor import CborValue
from specs.keys.signer import FileSigner, SigningIdentity, generate_private_key, generate_signer
from specs.refusal import ReasonCode, Refusal
from tests.specs.credentials.mdoc_drawing import (
    ALL,
    CERTIFICATE,
    CLAIMS,
    DOC_TYPE,
    NAME_SPACE,
    NOW,
    TRANSCRIPT,
    VALIDITY,
    Exchange,
)

EXCHANGE = Exchange()


def refused(act: Callable[[], object]) -> ReasonCode:
    with pytest.raises(Refusal) as refusal:
        act()
    return refusal.value.reason


def test_every_kind_of_value_comes_back_as_it_was_issued() -> None:
    issued, device = EXCHANGE.judge(EXCHANGE.answer(EXCHANGE.issue(), ALL))
    assert issued.claims == CLAIMS
    assert device.method is DeviceAuthMethod.SIGNATURE
    assert not device.claims


def test_only_what_was_chosen_is_shown_and_named() -> None:
    chosen = {(NAME_SPACE, "entitled"), ("de.leipzig.extra.1", "zone")}
    issued, _ = EXCHANGE.judge(EXCHANGE.answer(EXCHANGE.issue(), chosen))
    assert set(issued.disclosed) == chosen
    assert issued.claims == {NAME_SPACE: {"entitled": True}, "de.leipzig.extra.1": {"zone": -7}}


def test_a_response_without_any_element_still_proves_the_document() -> None:
    issued, _ = EXCHANGE.judge(EXCHANGE.answer(EXCHANGE.issue(), ()))
    assert issued.disclosed == ()


def test_an_element_that_the_credential_lacks_cannot_be_shown() -> None:
    assert refused(lambda: EXCHANGE.answer(EXCHANGE.issue(), {(NAME_SPACE, "age")})) is ReasonCode.CLAIMS_MISSING


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA"])
@pytest.mark.parametrize("digest", ["SHA-256", "SHA-384", "SHA-512"])
def test_each_signature_goes_with_each_digest(alg: str, digest: str) -> None:
    exchange = Exchange(issuer=generate_signer(alg))
    issued, _ = exchange.judge(exchange.answer(exchange.issue(digest_algorithm=digest), ALL))
    assert issued.claims == CLAIMS


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA"])
def test_each_kind_of_device_key_is_written_and_read(alg: str) -> None:
    key = generate_private_key(alg).public_key()
    minted = build_issuer_signed(
        mdoc_identity(SigningIdentity(EXCHANGE.issuer, (CERTIFICATE, CERTIFICATE))),
        doc_type=DOC_TYPE,
        claims=CLAIMS,
        device_key=key,
        validity=VALIDITY._replace(expected_update=NOW + 3600),
        status=StatusReference("https://city.example/lists/1", 70_000),
    )
    issuer_signed = mdoc.parse_issuer_signed(minted)
    mso = mdoc.parse_mso(issuer_signed)

    assert mso.device_key == key
    assert mso.validity.expected_update == NOW + 3600
    assert mdoc.issuer_chain(issuer_signed) == (CERTIFICATE, CERTIFICATE)
    assert parse_status_reference(mso.status) == StatusReference("https://city.example/lists/1", 70_000)


def test_a_batch_is_signed_in_one_call_and_shares_nothing_random() -> None:
    identity = mdoc_identity(SigningIdentity(EXCHANGE.issuer, (CERTIFICATE,)))
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    drafts = [
        draft_issuer_signed(identity, doc_type=DOC_TYPE, claims=CLAIMS, device_key=key.public_key(), validity=VALIDITY)
        for key in keys
    ]
    copies = [mdoc.parse_issuer_signed(minted) for minted in build_issuer_signed_batch(identity, drafts)]

    for copy, key in zip(copies, keys, strict=True):
        mdoc.verify_issuer_signature(copy, key=EXCHANGE.issuer.public_key)
        assert mdoc.parse_mso(copy).device_key == key.public_key()
    randoms = [random_of(item) for copy in copies for item in copy.name_spaces[NAME_SPACE]]
    assert len(set(randoms)) == 3 * len(CLAIMS[NAME_SPACE])
    assert {len(random) for random in randoms} == {32}


def random_of(item: bytes) -> bytes:
    random = cbor.decode_map(item)["random"]
    assert isinstance(random, bytes)
    return random


def digest_ids(issuer_signed: mdoc.IssuerSigned) -> tuple[CborValue, ...]:
    return tuple(cbor.decode_map(item)["digestID"] for item in issuer_signed.name_spaces[NAME_SPACE])


def test_digest_ids_are_drawn_by_lot() -> None:
    """The place of a digest would otherwise tell about elements that were not shown."""
    drawn = {digest_ids(mdoc.parse_issuer_signed(EXCHANGE.issue())) for _ in range(20)}
    assert len(drawn) > 10
    assert all(sorted(ids, key=str) == list(range(10)) for ids in drawn)


def test_the_random_source_is_asked_once() -> None:
    asked: list[int] = []

    def source(count: int) -> bytes:
        asked.append(count)
        return hashlib.shake_128(b"seed").digest(count)

    minted = [
        draft_issuer_signed(
            mdoc_identity(SigningIdentity(EXCHANGE.issuer, (CERTIFICATE,))),
            doc_type=DOC_TYPE,
            claims=CLAIMS,
            device_key=EXCHANGE.device.public_key,
            validity=VALIDITY,
            random_bytes=source,
        )
        for _ in range(2)
    ]
    assert len(asked) == 2
    assert minted[0] == minted[1]


@pytest.mark.parametrize(
    "claims",
    [{}, {NAME_SPACE: {}}],
    ids=["none", "an empty name space"],
)
def test_an_mdoc_without_claims_is_not_minted(claims: Mapping[str, Mapping[str, object]]) -> None:
    with pytest.raises(ValueError, match="claims"):
        EXCHANGE.issue(claims)


@pytest.mark.parametrize(
    "validity",
    [VALIDITY._replace(signed=NOW + 1), VALIDITY._replace(valid_until=NOW)],
    ids=["signed after it begins", "ends as it begins"],
)
def test_an_mdoc_with_dates_out_of_order_is_not_minted(validity: mdoc.Validity) -> None:
    with pytest.raises(ValueError, match="order"):
        build_issuer_signed(
            mdoc_identity(SigningIdentity(EXCHANGE.issuer, (CERTIFICATE,))),
            doc_type=DOC_TYPE,
            claims=CLAIMS,
            device_key=EXCHANGE.device.public_key,
            validity=validity,
        )


# what the device signs


def test_no_mac_is_made_without_the_readers_key() -> None:
    issued = mdoc.parse_issuer_signed(EXCHANGE.issue())

    def build() -> bytes:
        return build_document(
            issued,
            doc_type=DOC_TYPE,
            disclose=[],
            session_transcript=TRANSCRIPT,
            device_key=EXCHANGE.device_private,
        )

    assert refused(build) is ReasonCode.DEVICE_MAC_NOT_ALLOWED


def test_a_mac_is_accepted_by_the_reader_it_was_made_for() -> None:
    reader = ec.generate_private_key(ec.SECP256R1())
    response = EXCHANGE.answer(EXCHANGE.issue(), ALL, reader_key=reader.public_key())
    _, device = EXCHANGE.judge(response, mac_key=reader)

    assert device.method is DeviceAuthMethod.MAC
    assert refused(lambda: EXCHANGE.judge(response)) is ReasonCode.DEVICE_MAC_NOT_ALLOWED
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert refused(lambda: EXCHANGE.judge(response, mac_key=stranger)) is ReasonCode.DEVICE_AUTHENTICATION_INVALID
    other_curve = ec.generate_private_key(ec.SECP384R1())
    assert refused(lambda: EXCHANGE.judge(response, mac_key=other_curve)) is ReasonCode.DEVICE_AUTHENTICATION_INVALID


AUTHORIZED = mdoc.KeyAuthorizations(frozenset({"phone.1"}), frozenset({(NAME_SPACE, "location")}))


@pytest.mark.parametrize(
    "device_claims",
    [{"phone.1": {"anything": 1}}, {NAME_SPACE: {"location": "Leipzig"}}],
    ids=["a whole name space", "one element"],
)
def test_what_the_device_may_state_is_added(device_claims: Mapping[str, Mapping[str, object]]) -> None:
    response = EXCHANGE.answer(EXCHANGE.issue(authorizations=AUTHORIZED), ALL, device_claims=device_claims)
    issued, device = EXCHANGE.judge(response)
    merged = all_elements(issued, device)

    assert device.claims == device_claims
    for name_space, elements in device_claims.items():
        assert elements.items() <= merged[name_space].items()
    assert CLAIMS[NAME_SPACE].items() <= merged[NAME_SPACE].items()
    assert issued.claims == CLAIMS


@pytest.mark.parametrize(
    "device_claims",
    [{"phone.2": {"anything": 1}}, {NAME_SPACE: {"place": "Leipzig"}}],
    ids=["another name space", "another element"],
)
def test_what_the_device_may_not_state_is_refused(device_claims: Mapping[str, Mapping[str, object]]) -> None:
    response = EXCHANGE.answer(EXCHANGE.issue(authorizations=AUTHORIZED), ALL, device_claims=device_claims)
    assert refused(lambda: EXCHANGE.judge(response)) is ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED


def test_the_device_never_replaces_what_the_issuer_signed() -> None:
    allowed = mdoc.KeyAuthorizations(name_spaces=frozenset({NAME_SPACE}))
    response = EXCHANGE.answer(
        EXCHANGE.issue(authorizations=allowed), ALL, device_claims={NAME_SPACE: {"entitled": False}}
    )
    issued, device = EXCHANGE.judge(response)
    assert refused(lambda: all_elements(issued, device)) is ReasonCode.ELEMENT_REPEATED


# bytes as they were sent


def longer_heads(item: bytes) -> bytes:
    """The same tag 24 with a length of four bytes where one or two would do."""
    inner = mdoc.encoded_cbor(cbor.decode(item))
    return b"\xd8\x18\x5a" + len(inner).to_bytes(4, "big") + inner


def test_items_whose_heads_are_longer_than_needed_are_digested_as_they_were_sent() -> None:
    """§9.1.2.5: the digest is over the bytes of the item, however its sender chose to write its length."""
    response, key = response_with_long_heads()
    document = mdoc.sole_document(mdoc.parse_device_response(response))
    mso = mdoc.parse_mso(document.issuer_signed)

    mdoc.verify_issuer_signature(document.issuer_signed, key=key.public_key)
    issued = mdoc.verify_elements(document.issuer_signed, mso)

    assert issued.claims == {"n": {"b": 2, "a": 1}}


def test_items_are_handed_on_as_they_were_issued() -> None:
    response, _ = response_with_long_heads()
    document = mdoc.sole_document(mdoc.parse_device_response(response))
    received = document.issuer_signed.items_as_received()
    assert [item[:3] for item in received["n"]] == [b"\xd8\x18\x5a"] * 2
    assert all(item in response for item in received["n"])


def response_with_long_heads() -> tuple[bytes, FileSigner]:
    """A response by a naive issuer that digests what it writes, in indefinite arrays and maps besides."""
    key = generate_signer()
    items = [
        longer_heads(
            cbor2.dumps(
                cbor2.CBORTag(
                    24,
                    cbor2.dumps(
                        {"elementValue": value, "random": bytes(16), "digestID": number, "elementIdentifier": name}
                    ),
                )
            )
        )
        for number, (name, value) in enumerate((("b", 2), ("a", 1)))
    ]
    mso = {
        "version": "1.0",
        "digestAlgorithm": "SHA-256",
        "valueDigests": {"n": {number: hashlib.sha256(item).digest() for number, item in enumerate(items)}},
        "deviceKeyInfo": {"deviceKey": cose_key(EXCHANGE.device_private.public_key())},
        "docType": "d",
        "validityInfo": {
            "signed": cbor2.CBORTag(0, tdate_text(NOW)),
            "validFrom": cbor2.CBORTag(0, tdate_text(NOW)),
            "validUntil": cbor2.CBORTag(0, tdate_text(NOW + 1)),
        },
    }
    payload = cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(mso)))
    signature = key.sign(cbor2.dumps(["Signature1", b"\xa1\x01\x26", b"", payload]))
    auth = cbor2.dumps([b"\xa1\x01\x26", {33: CERTIFICATE}, payload, signature])
    name_spaces = b"\xbf" + cbor2.dumps("n") + b"\x9f" + b"".join(items) + b"\xff\xff"
    issuer_signed = b"\xa2" + cbor2.dumps("issuerAuth") + auth + cbor2.dumps("nameSpaces") + name_spaces
    document = b"\xa2" + cbor2.dumps("docType") + cbor2.dumps("d") + cbor2.dumps("issuerSigned") + issuer_signed
    return (
        b"\xa3gversionc1.0idocuments\x9f" + document + b"\xfffstatus\x00",
        key,
    )


def cose_key(key: ec.EllipticCurvePublicKey) -> dict[int, int | bytes]:
    numbers = key.public_numbers()
    return {1: 2, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary(max_size=400)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
claim_sets = st.dictionaries(names, st.dictionaries(names, values, min_size=1, max_size=6), min_size=1, max_size=3)


@settings(deadline=None, max_examples=60)
@given(claims=claim_sets, data=st.data())
def test_any_claims_survive_any_selection(claims: dict[str, dict[str, object]], data: st.DataObject) -> None:
    places = [(name_space, element) for name_space, elements in claims.items() for element in elements]
    chosen = data.draw(st.sets(st.sampled_from(places)))
    issued, _ = EXCHANGE.judge(EXCHANGE.answer(EXCHANGE.issue(claims), chosen))
    assert {(ns, element): value for ns, members in issued.claims.items() for element, value in members.items()} == {
        (ns, element): claims[ns][element] for ns, element in chosen
    }


def test_the_walk_over_raw_bytes_goes_into_nothing_else() -> None:
    encoded = cbor.encode({"map": {0: 1}, "array": [1], "text": "x"})
    for path in (("map", 0), ("text", 0), ("array", "x"), ("text", "x")):
        with pytest.raises(Malformed):
            mdoc_raw.part(encoded, *path)


@settings(deadline=None, max_examples=200)
@given(value=values)
def test_the_walk_over_raw_bytes_finds_what_the_decoder_finds(value: object) -> None:
    encoded = cbor.encode({"before": [1, {"x": b"y"}], "value": [value, "after"], 5: 1.5})
    assert mdoc_raw.part(encoded, "value", 0) == cbor.encode(value)
    assert mdoc_raw.part(encoded, "value", 2) is None
    assert mdoc_raw.part(encoded, "nothing", 0) is None


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_flipped_byte_is_never_accepted_as_another_claim(data: st.DataObject) -> None:
    """Whatever one changed byte does, it is refused in our own words, or hides what a holder may hide."""
    at = data.draw(st.integers(0, len(RESPONSE) - 1))
    flipped = bytearray(RESPONSE)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        issued, device = EXCHANGE.judge(bytes(flipped))
    except Refusal:
        return
    assert all(elements == CLAIMS[name_space] for name_space, elements in issued.claims.items())
    assert not device.claims


RESPONSE = EXCHANGE.answer(EXCHANGE.issue(), ALL)


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_in_our_own_words(data: bytes) -> None:
    with pytest.raises(Refusal):
        mdoc.parse_device_response(data)
    with pytest.raises(Refusal):
        mdoc.parse_issuer_signed(data)


# limits


def test_a_response_at_the_limit_is_read_and_one_byte_more_is_not() -> None:
    exact = mdoc.MdocLimits(max_bytes=len(RESPONSE), max_items=len(ALL))
    mdoc.parse_device_response(RESPONSE, limits=exact)
    too_small = mdoc.MdocLimits(max_bytes=len(RESPONSE) - 1)
    assert refused(lambda: mdoc.parse_device_response(RESPONSE, limits=too_small)) is ReasonCode.LIMIT_EXCEEDED
    too_few = mdoc.MdocLimits(max_items=len(ALL) - 1)
    assert refused(lambda: mdoc.parse_device_response(RESPONSE, limits=too_few)) is ReasonCode.LIMIT_EXCEEDED


# the session


def test_an_answer_of_another_session_is_refused() -> None:
    document = mdoc.sole_document(mdoc.parse_device_response(RESPONSE))
    mso = mdoc.parse_mso(document.issuer_signed)
    verify_device_auth(document, mso, session_transcript=TRANSCRIPT)
    other = TRANSCRIPT[:-1] + bytes((TRANSCRIPT[-1] ^ 1,))
    assert (
        refused(lambda: verify_device_auth(document, mso, session_transcript=other))
        is ReasonCode.DEVICE_AUTHENTICATION_INVALID
    )


# dates


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (NOW - 60, None),
        (NOW - 61, ReasonCode.CREDENTIAL_NOT_YET_VALID),
        (VALIDITY.valid_until + 60, None),
        (VALIDITY.valid_until + 61, ReasonCode.CREDENTIAL_EXPIRED),
    ],
)
def test_dates_are_held_to_the_second_of_the_skew(now: int, reason: ReasonCode | None) -> None:
    mso = mdoc.parse_mso(mdoc.parse_issuer_signed(EXCHANGE.issue()))

    def check() -> None:
        mdoc.check_mso(mso, expected_doc_type=DOC_TYPE, signer_not_before=NOW, signer_not_after=NOW, now=now)

    if reason is None:
        check()
    else:
        assert refused(check) is reason


@pytest.mark.parametrize(("begin", "end"), [(NOW + 1, NOW + 9), (NOW - 9, NOW - 1)], ids=["before", "after"])
def test_an_mso_signed_outside_the_certificates_time_is_refused(begin: int, end: int) -> None:
    mso = mdoc.parse_mso(mdoc.parse_issuer_signed(EXCHANGE.issue()))

    def check() -> None:
        mdoc.check_mso(mso, expected_doc_type=DOC_TYPE, signer_not_before=begin, signer_not_after=end, now=NOW)

    assert refused(check) is ReasonCode.CLAIM_INVALID


# the view in JSON terms


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (cbor2.CBORTag(1004, "1991-03-07"), "1991-03-07"),
        (cbor2.CBORTag(0, "2026-11-23T15:00:00Z"), "2026-11-23T15:00:00Z"),
        (b"\xff\xfe", "__4"),
        (["a", {"b": b"\x00", 1: None, b"\x00": 2}], ["a", {"b": "AA", "1": None, "AA": 2}]),
        (float("inf"), None),
        (None, None),
        (cbor.decode(b"\xf7"), None),  # undefined
        (cbor.decode(b"\xf8\x63"), None),  # a simple value that nobody assigned
        (True, True),
        (18, 18),
        (-0.5, -0.5),
    ],
)
def test_values_are_compared_in_json_terms(value: CborValue, expected: object) -> None:
    """RFC 8949 §6.1."""
    assert json_value(value) == expected
    assert type(json_value(value)) is type(expected)
