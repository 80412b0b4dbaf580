"""Status lists: each state at its place, in both forms, believed only when signed, ours, in time and not too large."""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import cast

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.credentials.status_list import (
    BITS,
    CWT_TYP,
    JWT_TYP,
    SignedStatusList,
    Status,
    StatusList,
    StatusListToken,
    StatusReference,
    build_aggregation,
    build_status_list,
    build_status_list_cwt,
    build_status_list_jwt,
    compress,
    decompress,
    parse_aggregation,
    parse_status_list_cwt,
    parse_status_list_jwt,
    parse_status_reference,
    status_reference_claim,
    verify_status_list,
)
from specs.encoding import base64url, cbor, strict_json
from specs.encoding.strict_json import JsonValue
from specs.keys.cose import ALG, TYP, X5CHAIN, build_sign1
from specs.keys.jose import build_jws, jwk_from_public_key, x5c_header
from specs.keys.signer import SigningIdentity, generate_signer
from specs.refusal import ReasonCode, Refusal
from tests.vectors import vectors_path

URI = "https://city.example/t/leipzig/status/1"
NOW = 1_795_528_800
CERTIFICATE = b"\x30\x03\x02\x01\x01"
SIGNER = generate_signer()
IDENTITY = SigningIdentity(SIGNER, (CERTIFICATE,))
STATUSES = build_status_list(bits=2, size=20, statuses={3: Status.INVALID, 19: Status.SUSPENDED})


def refused(act: Callable[[], object]) -> ReasonCode:
    with pytest.raises(Refusal) as refusal:
        act()
    return refusal.value.reason


def verified(signed: SignedStatusList, *, now: int = NOW, max_bytes: int = 1000) -> StatusListToken:
    return verify_status_list(signed, key=SIGNER.public_key, expected_uri=URI, now=now, max_bytes=max_bytes)


# the list itself


def test_the_small_published_lists_are_read_and_written() -> None:
    for case in encodings("small"):
        content = cast("dict[str, JsonValue]", case["status_list_json"])
        raw = bytes.fromhex(str(case["byte_array_hex"]))
        assert decompress(base64url.decode(str(content["lst"]))) == raw
        assert decompress(compress(raw)) == raw


def test_the_long_published_lists_hold_every_state_at_its_index() -> None:
    for case in encodings("long"):
        bits, size = case["bits"], case["size"]
        assert isinstance(bits, int)
        assert isinstance(size, int)
        listed = cast("dict[str, int]", case["statuses"])
        expected = {int(idx): state for idx, state in listed.items()}
        in_json = cast("dict[str, JsonValue]", case["status_list_json"])
        in_cbor = cbor.decode_map(bytes.fromhex(str(case["status_list_cbor_hex"])))
        statuses = StatusList(bits, decompress(base64url.decode(str(in_json["lst"]))))
        assert in_json["bits"] == in_cbor["bits"] == bits
        assert decompress(cast("bytes", in_cbor["lst"])) == statuses.raw
        assert len(statuses) == size
        assert {idx: statuses[idx] for idx in expected} == expected
        assert build_status_list(bits=bits, size=size, statuses=expected) == statuses


def encodings(kind: str) -> list[dict[str, JsonValue]]:
    vectors = json.loads(vectors_path("status_list", "encoding.json").read_text())
    found = cast("list[dict[str, JsonValue]]", vectors[kind])
    assert found
    return found


@settings(deadline=None)
@given(bits=st.sampled_from(BITS), size=st.integers(1, 300), data=st.data())
def test_what_is_set_is_read_and_nothing_else(bits: int, size: int, data: st.DataObject) -> None:
    states = data.draw(st.dictionaries(st.integers(0, size - 1), st.integers(0, 2**bits - 1)))
    statuses = build_status_list(bits=bits, size=size, statuses=states)
    assert [statuses[idx] for idx in range(size)] == [states.get(idx, Status.VALID) for idx in range(size)]
    assert size <= len(statuses) < size + 8
    assert decompress(compress(statuses.raw)) == statuses.raw


@pytest.mark.parametrize("idx", [-1, 20, 10**30, True, 3.0, "3", None], ids=repr)
def test_an_index_that_is_none_is_refused(idx: object) -> None:
    assert STATUSES[19] == Status.SUSPENDED
    assert refused(lambda: STATUSES[cast("int", idx)]) is ReasonCode.STATUS_INDEX_OUT_OF_RANGE


@pytest.mark.parametrize("bits", [0, 3, 16, True, 1.0, "1"], ids=repr)
def test_a_state_has_one_two_four_or_eight_bits(bits: object) -> None:
    with pytest.raises(ValueError, match="bits"):
        StatusList(cast("int", bits), b"\x00")


@pytest.mark.parametrize(("size", "statuses"), [(0, {}), (8, {8: 1}), (8, {-1: 1}), (8, {0: 2}), (8, {0: -1})])
def test_a_list_is_not_built_with_what_does_not_fit(size: int, statuses: Mapping[int, int]) -> None:
    with pytest.raises(ValueError):
        build_status_list(bits=1, size=size, statuses=statuses)


# compression


def test_a_list_at_the_cap_is_inflated_and_one_byte_more_is_not() -> None:
    assert decompress(compress(bytes(1000)), max_bytes=1000) == bytes(1000)
    assert refused(lambda: decompress(compress(bytes(1001)), max_bytes=1000)) is ReasonCode.LIMIT_EXCEEDED


def test_a_bomb_is_not_inflated_beyond_the_cap() -> None:
    bomb = compress(bytes(64 * 1024 * 1024))
    assert len(bomb) < 100_000
    assert refused(lambda: decompress(bomb, max_bytes=1000)) is ReasonCode.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain",
        compress(b"list")[:-1],
        compress(b"list") + b"\x00",
        compress(b"list") + compress(b"more"),
        zlib.compressobj(wbits=-15).compress(b"list") + b"\x03\x00",
    ],
    ids=["empty", "not compressed", "cut off", "byte behind", "stream behind", "no zlib wrapping"],
)
def test_what_is_not_one_whole_zlib_stream_is_refused(data: bytes) -> None:
    assert refused(lambda: decompress(data)) is ReasonCode.STATUS_LIST_MALFORMED


# the reference


def test_a_reference_is_read_as_it_is_written() -> None:
    reference = StatusReference(URI, 0)
    assert parse_status_reference(status_reference_claim(reference)) == reference
    tolerated: object = {"status_list": {"idx": 5, "uri": URI, "more": 1}, "other": {}}
    assert parse_status_reference(tolerated) == StatusReference(URI, 5)


@pytest.mark.parametrize(
    "status",
    [
        None,
        [],
        "x",
        {},
        {"identifier_list": {"id": b"1", "uri": URI}},
        {"status_list": None},
        {"status_list": {"uri": URI}},
        {"status_list": {"idx": -1, "uri": URI}},
        {"status_list": {"idx": True, "uri": URI}},
        {"status_list": {"idx": 1.0, "uri": URI}},
        {"status_list": {"idx": "1", "uri": URI}},
        {"status_list": {"idx": 1}},
        {"status_list": {"idx": 1, "uri": 5}},
        {"status_list": {"idx": 1, "uri": ""}},
        {"status_list": {"idx": 1, "uri": "/status/1"}},
        {"status_list": {"idx": 1, "uri": "https://city.example/a b"}},
        {"status_list": {"idx": 1, "uri": "https://city.example/\n"}},
        {"status_list": {"idx": 1, "uri": "https://[city"}},
        {"status_list": {"idx": 1, "uri": "https://city.example/" + "a" * 2048}},
    ],
    ids=str,
)
def test_a_misshapen_reference_is_refused(status: object) -> None:
    assert refused(lambda: parse_status_reference(status)) is ReasonCode.STATUS_MALFORMED


# both forms


def in_jwt(*, aggregation_uri: str | None = None, jwk_header: bool = False) -> SignedStatusList:
    return parse_status_list_jwt(
        build_status_list_jwt(
            STATUSES,
            identity=IDENTITY,
            uri=URI,
            issued_at=NOW,
            expires_at=NOW + 86400,
            ttl=300,
            aggregation_uri=aggregation_uri,
            jwk_header=jwk_header,
        )
    )


def in_cwt(*, aggregation_uri: str | None = None) -> SignedStatusList:
    return parse_status_list_cwt(
        build_status_list_cwt(
            STATUSES,
            identity=IDENTITY,
            uri=URI,
            issued_at=NOW,
            expires_at=NOW + 86400,
            ttl=300,
            aggregation_uri=aggregation_uri,
        )
    )


@pytest.mark.parametrize("built", [in_jwt, in_cwt])
@pytest.mark.parametrize("aggregation_uri", [None, "https://city.example/lists"])
def test_a_list_is_read_as_it_was_published(
    built: Callable[..., SignedStatusList], aggregation_uri: str | None
) -> None:
    signed = built(aggregation_uri=aggregation_uri)
    assert signed.chain == (CERTIFICATE,)
    assert verified(signed) == StatusListToken(URI, NOW, NOW + 86400, 300, aggregation_uri, STATUSES)


def test_the_jwk_that_testers_ask_for_is_there_and_not_believed() -> None:
    token = build_status_list_jwt(
        STATUSES, identity=IDENTITY, uri=URI, issued_at=NOW, expires_at=NOW + 1, ttl=1, jwk_header=True
    )
    header = strict_json.parse_object(base64url.decode(token.partition(".")[0]))
    assert header["jwk"] == jwk_from_public_key(SIGNER.public_key)
    assert header["x5c"] == x5c_header([CERTIFICATE])
    assert header["typ"] == JWT_TYP
    stranger = generate_signer().public_key
    signed = parse_status_list_jwt(token)
    assert (
        refused(lambda: verify_status_list(signed, key=stranger, expected_uri=URI, now=NOW))
        is ReasonCode.STATUS_LIST_UNTRUSTED
    )


def test_the_cwt_form_is_the_drafts() -> None:
    """§5.2: tag 18, type in the protected header, no tag 61, lst as bytes."""
    token = cbor.decode(
        build_status_list_cwt(STATUSES, identity=IDENTITY, uri=URI, issued_at=NOW, expires_at=NOW + 1, ttl=1)
    )
    assert isinstance(token, cbor2.CBORTag)
    assert token.tag == 18
    protected, unprotected, payload, _ = token.value
    assert cbor.decode(protected) == {ALG: -7, TYP: CWT_TYP}
    assert unprotected == {X5CHAIN: CERTIFICATE}
    claims = cbor.decode_map(payload)
    assert claims[65533] == {"bits": 2, "lst": compress(STATUSES.raw)}
    assert (claims[2], claims[6], claims[4], claims[65534]) == (URI, NOW, NOW + 1, 1)


# one defect each, in both forms

Claims = dict[str, object]
LABELS: Mapping[str, int] = {"sub": 2, "exp": 4, "nbf": 5, "iat": 6, "status_list": 65533, "ttl": 65534}


def valid_claims() -> Claims:
    return {
        "sub": URI,
        "iat": NOW,
        "exp": NOW + 10,
        "ttl": 300,
        "status_list": {"bits": 2, "lst": compress(STATUSES.raw)},
    }


def token_of(claims: Claims, form: str, *, typ: str | None = None) -> SignedStatusList:
    """Sign claims as JWT or CWT; `lst` as bytes becomes text in the JWT."""
    if form == "cwt":
        named = {LABELS[name]: value for name, value in claims.items()}
        sign1 = build_sign1(
            cbor.encode(named),
            signer=SIGNER,
            protected={TYP: typ or CWT_TYP},
            unprotected={X5CHAIN: CERTIFICATE},
        )
        return parse_status_list_cwt(cbor.encode(cbor2.CBORTag(18, sign1)))
    content = claims.get("status_list")
    if isinstance(content, dict) and isinstance(content.get("lst"), bytes):
        claims = {**claims, "status_list": {**content, "lst": base64url.encode(content["lst"])}}
    header: dict[str, JsonValue] = {"x5c": [*x5c_header([CERTIFICATE])]}
    return parse_status_list_jwt(build_jws(strict_json.dumps(claims), signer=SIGNER, typ=typ or JWT_TYP, header=header))


def without(name: str) -> Callable[[Claims], Claims]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def having(**changed: object) -> Callable[[Claims], Claims]:
    return lambda claims: {**claims, **changed}


def content(**changed: object) -> Callable[[Claims], Claims]:
    def change(claims: Claims) -> Claims:
        inner = {**cast("dict[str, object]", claims["status_list"]), **changed}
        return {**claims, "status_list": {key: value for key, value in inner.items() if value is not ...}}

    return change


MALFORMED = ReasonCode.STATUS_LIST_MALFORMED


@pytest.mark.parametrize("form", ["jwt", "cwt"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without("sub"), MALFORMED),
        (having(sub=5), MALFORMED),
        (having(sub=URI + "/"), ReasonCode.STATUS_LIST_MISMATCH),
        (without("iat"), MALFORMED),
        (having(iat=str(NOW)), MALFORMED),
        (having(iat=True), MALFORMED),
        (having(iat=NOW + 61), MALFORMED),
        (having(nbf=NOW + 61), MALFORMED),
        (having(exp=NOW - 60), ReasonCode.STATUS_LIST_EXPIRED),
        (having(exp=None), MALFORMED),
        (having(exp="never"), MALFORMED),
        (having(ttl=0), MALFORMED),
        (having(ttl=-1), MALFORMED),
        (having(ttl=None), MALFORMED),
        (having(ttl="300"), MALFORMED),
        (without("status_list"), MALFORMED),
        (having(status_list=[]), MALFORMED),
        (content(bits=...), MALFORMED),
        (content(bits="1"), MALFORMED),
        (content(bits=True), MALFORMED),
        (content(bits=3), MALFORMED),
        (content(lst=...), MALFORMED),
        (content(lst=5), MALFORMED),
        (content(lst=STATUSES.raw), MALFORMED),
        (content(lst=compress(bytes(1001))), ReasonCode.LIMIT_EXCEEDED),
        (content(aggregation_uri=5), MALFORMED),
        (content(aggregation_uri=None), MALFORMED),
    ],
)
def test_a_list_with_one_defect_is_refused(form: str, change: Callable[[Claims], Claims], reason: ReasonCode) -> None:
    assert verified(token_of(valid_claims(), form)).statuses == STATUSES
    assert refused(lambda: verified(token_of(change(valid_claims()), form))) is reason


@pytest.mark.parametrize("form", ["jwt", "cwt"])
@pytest.mark.parametrize(
    "change",
    [
        without("exp"),
        without("ttl"),
        having(iat=NOW + 60),
        having(exp=NOW - 59),
        having(iat=NOW - 0.5),
        having(nbf=NOW),
        content(lst=compress(bytes(1000))),
    ],
)
def test_a_list_at_the_edge_of_what_is_allowed_is_accepted(form: str, change: Callable[[Claims], Claims]) -> None:
    assert verified(token_of(change(valid_claims()), form)).uri == URI


@pytest.mark.parametrize("form", ["jwt", "cwt"])
def test_the_last_second_of_a_list_counts_and_the_next_does_not(form: str) -> None:
    for change in (having(iat=NOW + 60), having(nbf=NOW + 60), having(exp=NOW - 59, iat=NOW - 100), having(ttl=1)):
        assert verified(token_of(change(valid_claims()), form)).uri == URI
    for change in (having(iat=NOW + 61), having(nbf=NOW + 61), having(exp=NOW - 60, iat=NOW - 100), having(ttl=0)):
        assert refused(lambda: verified(token_of(change(valid_claims()), form)))  # noqa: B023


@pytest.mark.parametrize("lst", ["not base64url!", "eNrbuRgAAhcBXQ=="])
def test_a_jwt_whose_list_is_not_base64url_is_refused(lst: str) -> None:
    assert refused(lambda: verified(token_of(content(lst=lst)(valid_claims()), "jwt"))) is MALFORMED


def test_a_cwt_whose_list_is_text_is_refused() -> None:
    text = base64url.encode(compress(STATUSES.raw))
    assert refused(lambda: verified(token_of(content(lst=text)(valid_claims()), "cwt"))) is MALFORMED


@pytest.mark.parametrize("form", ["jwt", "cwt"])
@pytest.mark.parametrize("typ", ["JWT", "application/statuslist+jwt", "statuslist+cwt"])
def test_a_token_of_another_type_is_no_list(form: str, typ: str) -> None:
    assert refused(lambda: token_of(valid_claims(), form, typ=typ)) is MALFORMED


def test_a_list_signed_by_another_key_is_never_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """§8.3: the signature comes first, so that a stranger can't make us inflate anything."""
    inflated: list[bytes] = []
    monkeypatch.setattr("specs.credentials.status_list.decompress", lambda data, **_: inflated.append(data))
    stranger = generate_signer().public_key
    for form in ("jwt", "cwt"):
        signed = token_of(valid_claims(), form)
        reason = refused(lambda: verify_status_list(signed, key=stranger, expected_uri=URI, now=NOW))  # noqa: B023
        assert reason is ReasonCode.STATUS_LIST_UNTRUSTED
    assert not inflated


def jwt_with_header(**header: object) -> str:
    head = base64url.encode(strict_json.dumps({"alg": "ES256", "typ": JWT_TYP, **header}))
    return f"{head}.{base64url.encode(strict_json.dumps({'sub': URI}))}.{base64url.encode(bytes(64))}"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("<!doctype html><title>Status</title>", MALFORMED),
        ("", MALFORMED),
        (jwt_with_header(), ReasonCode.STATUS_LIST_UNTRUSTED),
        (jwt_with_header(x5c=[]), ReasonCode.STATUS_LIST_UNTRUSTED),
        (jwt_with_header(x5c=x5c_header([CERTIFICATE]), alg="HS256"), ReasonCode.STATUS_LIST_UNTRUSTED),
        (jwt_with_header(x5c=x5c_header([CERTIFICATE]), alg="none"), ReasonCode.STATUS_LIST_UNTRUSTED),
        (jwt_with_header(x5c=x5c_header([CERTIFICATE]), crit=["exp"]), MALFORMED),
        (jwt_with_header(jwk=jwk_from_public_key(SIGNER.public_key)), ReasonCode.STATUS_LIST_UNTRUSTED),
    ],
    ids=["html", "empty", "no x5c", "empty x5c", "HS256", "none", "crit", "jwk only"],
)
def test_a_token_that_nobody_may_have_signed_is_refused(token: str, reason: ReasonCode) -> None:
    assert refused(lambda: parse_status_list_jwt(token)) is reason
    assert refused(lambda: parse_status_list_jwt(token.encode())) is reason


def test_bytes_that_are_no_text_are_no_jwt() -> None:
    assert refused(lambda: parse_status_list_jwt(b"\xff.\xff.\xff")) is MALFORMED


def cwt(wrap: Callable[[list[object]], object]) -> bytes:
    sign1 = build_sign1(
        cbor.encode({2: URI}), signer=SIGNER, protected={TYP: CWT_TYP}, unprotected={X5CHAIN: CERTIFICATE}
    )
    return cbor.encode(wrap(sign1))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (b"", MALFORMED),
        (b"<html>", MALFORMED),
        (cwt(lambda sign1: cbor2.CBORTag(61, cbor2.CBORTag(18, sign1))), MALFORMED),
        (cwt(lambda sign1: cbor2.CBORTag(17, sign1)), MALFORMED),
        (cwt(lambda sign1: cbor2.CBORTag(18, [*sign1, b""])), MALFORMED),
        (cwt(lambda sign1: cbor2.CBORTag(18, [sign1[0], {}, *sign1[2:]])), ReasonCode.STATUS_LIST_UNTRUSTED),
        (cwt(lambda sign1: cbor2.CBORTag(18, [b"", *sign1[1:]])), ReasonCode.STATUS_LIST_UNTRUSTED),
        (cwt(lambda sign1: cbor2.CBORTag(18, [b"\xa1\x01\x05", *sign1[1:]])), ReasonCode.STATUS_LIST_UNTRUSTED),
        (cwt(lambda sign1: cbor2.CBORTag(18, sign1)) + b"\x00", MALFORMED),
    ],
    ids=["empty", "html", "tag 61", "mac tag", "five", "no chain", "no alg", "hmac", "trailing"],
)
def test_a_cwt_that_nobody_may_have_signed_is_refused(token: bytes, reason: ReasonCode) -> None:
    assert refused(lambda: parse_status_list_cwt(token)) is reason


@pytest.mark.parametrize("payload", [None, b"", cbor.encode([URI]), cbor.encode({2: URI}) + b"\x00"])
def test_a_signed_cwt_that_holds_no_claims_is_refused(payload: bytes | None) -> None:
    sign1 = build_sign1(payload or b"", signer=SIGNER, protected={TYP: CWT_TYP, X5CHAIN: CERTIFICATE})
    if payload is None:
        sign1[2] = None
    assert refused(lambda: verified(parse_status_list_cwt(cbor.encode(sign1)))) is MALFORMED


def test_a_cwt_without_the_tag_is_read_too() -> None:
    """Draft 14, which HAIP 1.0 pins, does not say whether the structure is tagged."""
    claims = {LABELS[name]: value for name, value in valid_claims().items()}
    sign1 = build_sign1(cbor.encode(claims), signer=SIGNER, protected={TYP: CWT_TYP, X5CHAIN: CERTIFICATE})
    signed = parse_status_list_cwt(cbor.encode(sign1))
    assert signed.chain == (CERTIFICATE,)
    assert verified(signed).statuses == STATUSES


# aggregation


def test_an_aggregation_names_all_lists() -> None:
    uris = (URI, "https://city.example/t/leipzig/status/2")
    assert parse_aggregation(build_aggregation(uris)) == uris
    assert parse_aggregation(build_aggregation(())) == ()


@pytest.mark.parametrize(
    "document", ["[]", "{}", '{"status_lists": {}}', '{"status_lists": [1]}', '{"status_lists": ["/1"]}', "html"]
)
def test_a_misshapen_aggregation_is_refused(document: str) -> None:
    assert refused(lambda: parse_aggregation(document)) is MALFORMED


def test_an_aggregation_of_too_many_lists_is_refused() -> None:
    assert len(parse_aggregation(build_aggregation([URI] * 3), max_lists=3)) == 3
    assert refused(lambda: parse_aggregation(build_aggregation([URI] * 4), max_lists=3)) is ReasonCode.LIMIT_EXCEEDED
