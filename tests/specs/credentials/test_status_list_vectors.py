"""Status lists at their limits: the published encodings bit by bit, bombs, and the order in which a list is judged."""

import json
import time
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from typing import Any, cast

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import status_list
from specs.credentials.signed_list import MAX_URI_LENGTH, StatusListError, check_list_dates
from specs.credentials.status_list import (
    CWT_TYP,
    JWT_TYP,
    MAX_BYTES,
    SignedStatusList,
    StatusList,
    StatusListToken,
    build_status_list,
    build_status_list_cwt,
    build_status_list_jwt,
    compress,
    decompress,
    parse_status_list_cwt,
    parse_status_list_jwt,
    parse_status_reference,
    verify_status_list,
)
from specs.encoding import base64url, cbor, strict_json
from specs.keys.cose import TYP, X5CHAIN, build_sign1
from specs.keys.jose import build_jws, x5c_header
from specs.keys.signer import SigningIdentity, generate_signer
from specs.refusal import ReasonCode, Refusal
from tests.vectors import vectors_path

Case = dict[str, Any]

MEBIBYTE = 1024 * 1024
ENTRIES = 2**20
URI = "https://town.example/status/9"
NOW = 1_795_500_000
CERTIFICATE = b"\x30\x03\x02\x01\x05"
SIGNER, STRANGER = generate_signer(), generate_signer()
IDENTITY = SigningIdentity(SIGNER, (CERTIFICATE,))


def published(kind: str) -> list[Case]:
    return cast("list[Case]", json.loads(vectors_path("status_list", "encoding.json").read_text())[kind])


def refused(act: Callable[[], object]) -> ReasonCode:
    with pytest.raises(Refusal) as refusal:
        act()
    return refusal.value.reason


# the published encodings


def test_all_four_sizes_are_published() -> None:
    assert [(case["bits"], case["size"]) for case in published("long")] == [
        (bits, ENTRIES) for bits in status_list.BITS
    ]


@pytest.mark.parametrize("which", range(4), ids=["1 bit", "2 bits", "4 bits", "8 bits"])
def test_a_published_list_of_a_million_is_ours_byte_for_byte(which: int) -> None:
    """Compared decompressed: how well a list is compressed is everybody's own affair (§4.1)."""
    case = published("long")[which]
    ours = build_status_list(
        bits=case["bits"], size=case["size"], statuses={int(idx): state for idx, state in case["statuses"].items()}
    )
    in_json = decompress(base64url.decode(case["status_list_json"]["lst"]))
    in_cbor = cbor.decode_map(bytes.fromhex(case["status_list_cbor_hex"]))

    assert ours.raw == in_json == decompress(cast("bytes", in_cbor["lst"]))
    assert ours.bits == case["status_list_json"]["bits"] == in_cbor["bits"]
    assert decompress(compress(ours.raw)) == ours.raw
    assert len(ours) == ENTRIES


@pytest.mark.parametrize("which", range(4), ids=["1 bit", "2 bits", "4 bits", "8 bits"])
def test_a_published_list_is_set_where_it_says_and_nowhere_else(which: int) -> None:
    case = published("long")[which]
    statuses = StatusList(case["bits"], decompress(base64url.decode(case["status_list_json"]["lst"])))
    per_byte = 8 // statuses.bits
    candidates = (
        idx for at, byte in enumerate(statuses.raw) if byte for idx in range(at * per_byte, (at + 1) * per_byte)
    )
    set_there = {idx: state for idx, state in case["statuses"].items() if state}  # one is given as 0
    assert {str(idx): statuses[idx] for idx in candidates if statuses[idx]} == set_there


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(1, [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]), (2, [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3])],
)
def test_the_bits_of_the_small_lists_stand_lowest_first(bits: int, expected: list[int]) -> None:
    (case,) = (case for case in published("small") if case["status_list_json"]["bits"] == bits)
    statuses = StatusList(bits, decompress(base64url.decode(case["status_list_json"]["lst"])))
    assert [statuses[idx] for idx in range(len(statuses))] == expected


@pytest.mark.parametrize("bits", status_list.BITS)
def test_the_last_index_is_read_and_the_next_is_refused(bits: int) -> None:
    top = 2**bits - 1
    statuses = build_status_list(bits=bits, size=ENTRIES, statuses={ENTRIES - 1: top})
    assert (statuses[0], statuses[ENTRIES - 2], statuses[ENTRIES - 1]) == (0, 0, top)
    for idx in (ENTRIES, -1, -ENTRIES, 2**64, True, False, 1.0, float(ENTRIES - 1), "1", None):
        assert refused(lambda: statuses[cast("int", idx)]) is ReasonCode.STATUS_INDEX_OUT_OF_RANGE  # noqa: B023


def test_an_empty_list_has_no_index() -> None:
    assert len(StatusList(1, b"")) == 0
    assert refused(lambda: StatusList(1, b"")[0]) is ReasonCode.STATUS_INDEX_OUT_OF_RANGE


@pytest.mark.parametrize("bits", [0, 3, 16])
def test_a_list_is_not_built_with_a_number_of_bits_that_no_state_has(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        build_status_list(bits=bits, size=8, statuses={0: 0})


@pytest.mark.parametrize("bits", status_list.BITS)
def test_the_smallest_list_is_of_one_credential_and_takes_whole_bytes(bits: int) -> None:
    assert build_status_list(bits=bits, size=1, statuses={0: 1}) == StatusList(bits, b"\x01")
    assert build_status_list(bits=bits, size=8 // bits, statuses={}) == StatusList(bits, b"\x00")
    assert build_status_list(bits=bits, size=8 // bits + 1, statuses={}) == StatusList(bits, b"\x00\x00")


# the reference


@pytest.mark.parametrize("length", [MAX_URI_LENGTH - 1, MAX_URI_LENGTH])
def test_an_address_up_to_the_limit_is_read(length: int) -> None:
    uri = URI.ljust(length, "9")
    assert parse_status_reference({"status_list": {"idx": 0, "uri": uri}}).uri == uri


@pytest.mark.parametrize("uri", [URI.ljust(MAX_URI_LENGTH + 1, "9"), "https://grünau.example/status/9"])
def test_an_address_beyond_the_limit_or_with_other_letters_than_a_uri_has_is_refused(uri: str) -> None:
    """RFC 3986 §2: a URI is ASCII."""
    reference = {"status_list": {"idx": 0, "uri": uri}}
    assert refused(lambda: parse_status_reference(reference)) is ReasonCode.STATUS_MALFORMED


# bombs


def zeros(mebibytes: int) -> bytes:
    """That many MiB of zeros as zlib, put together of equal blocks, with the right checksum (RFC 1950)."""
    deflate = zlib.compressobj(9, wbits=-15)
    block = deflate.compress(bytes(MEBIBYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = (mebibytes * MEBIBYTE % 65521 << 16 | 1).to_bytes(4, "big")
    return b"\x78\xda" + block * mebibytes + b"\x03\x00" + checksum


BOMB = zeros(512)


def cost_of(act: Callable[[], object]) -> tuple[float, int]:
    """Seconds of the processor, and the peak of memory in bytes."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        act()
        return time.process_time() - begin, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_costs_no_more_than_the_cap() -> None:
    assert decompress(zeros(3)) == bytes(3 * MEBIBYTE)
    assert 0.4 * MEBIBYTE < len(BOMB) < 0.6 * MEBIBYTE
    for max_bytes in (MAX_BYTES, MEBIBYTE, 1000):
        assert refused(lambda: decompress(BOMB, max_bytes=max_bytes)) is ReasonCode.LIMIT_EXCEEDED  # noqa: B023
        seconds, peak = cost_of(lambda: refused(lambda: decompress(BOMB, max_bytes=max_bytes)))  # noqa: B023
        assert peak < 3 * max_bytes + MEBIBYTE  # the result while it grows, and what is left of the bomb
        assert seconds < 1


def test_a_signed_bomb_is_refused_in_both_forms() -> None:
    content: Case = {"bits": 1, "lst": BOMB}
    for form in ("jwt", "cwt"):
        signed = signed_list({**valid(), "status_list": content}, form)
        _, peak = cost_of(lambda: refused(lambda: verify(signed)))  # noqa: B023
        assert peak < 3 * MAX_BYTES
        assert refused(lambda: verify(signed)) is ReasonCode.LIMIT_EXCEEDED  # noqa: B023


def test_a_bomb_inside_a_bomb_is_inflated_once_only() -> None:
    assert decompress(zlib.compress(BOMB, 9), max_bytes=MEBIBYTE) == BOMB


@pytest.mark.parametrize("behind", [b"\x00", b"\n", compress(b"\x01"), b"x" * 1000])
def test_nothing_may_stand_behind_the_stream(behind: bytes) -> None:
    data = compress(bytes(1000))
    assert decompress(data) == bytes(1000)
    for max_bytes in (1000, 1001, MEBIBYTE):
        act = lambda: decompress(data + behind, max_bytes=max_bytes)  # noqa: B023, E731
        assert refused(act) is ReasonCode.STATUS_LIST_MALFORMED


@pytest.mark.parametrize("length", range(1, 5))
def test_a_stream_without_its_checksum_is_refused(length: int) -> None:
    data = compress(bytes(1000))
    assert refused(lambda: decompress(data[:-length])) is ReasonCode.STATUS_LIST_MALFORMED
    wrong = data[:-1] + bytes([data[-1] ^ 1])
    assert refused(lambda: decompress(wrong)) is ReasonCode.STATUS_LIST_MALFORMED


@pytest.mark.parametrize("wbits", [31, -15], ids=["gzip", "raw deflate"])
def test_another_wrapping_is_refused(wbits: int) -> None:
    """§4.1: DEFLATE in the ZLIB format, RFC 1950."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, wbits)
    data = deflate.compress(bytes(1000)) + deflate.flush()
    assert refused(lambda: decompress(data)) is ReasonCode.STATUS_LIST_MALFORMED


# the whole way of a list of a million, in both forms


@pytest.mark.parametrize("bits", status_list.BITS)
@pytest.mark.parametrize("form", ["jwt", "cwt"])
def test_a_list_of_a_million_makes_the_round(bits: int, form: str) -> None:
    states = {idx: (idx // 1000) % 2**bits for idx in range(0, ENTRIES, 1000)} | {ENTRIES - 1: 1}
    statuses = build_status_list(bits=bits, size=ENTRIES, statuses=states)
    terms: Mapping[str, Any] = {
        "identity": IDENTITY,
        "uri": URI,
        "issued_at": NOW,
        "expires_at": NOW + 3600,
        "ttl": 60,
        "aggregation_uri": "https://town.example/status",
    }
    signed = (
        parse_status_list_jwt(build_status_list_jwt(statuses, **terms))
        if form == "jwt"
        else parse_status_list_cwt(build_status_list_cwt(statuses, **terms))
    )
    assert verify(signed) == StatusListToken(URI, NOW, NOW + 3600, 60, "https://town.example/status", statuses)


def test_the_key_stands_in_the_header_only_where_testers_ask_for_it() -> None:
    statuses = StatusList(1, b"\x00")
    token = build_status_list_jwt(statuses, identity=IDENTITY, uri=URI, issued_at=NOW, expires_at=NOW + 1, ttl=1)
    header = strict_json.parse_object(base64url.decode(token.partition(".")[0]))
    assert header.keys() == {"alg", "typ", "x5c"}


# the order of the checks (§8.3): with several defects the earliest check answers


def valid() -> Case:
    return {
        "sub": URI,
        "iat": NOW,
        "exp": NOW + 3600,
        "ttl": 60,
        "status_list": {"bits": 1, "lst": compress(b"\x05")},
    }


LABELS = {"sub": 2, "exp": 4, "nbf": 5, "iat": 6, "ttl": 65534, "status_list": 65533}


def signed_list(claims: Case, form: str, *, typ: str | None = None) -> SignedStatusList:
    if form == "cwt":
        sign1 = build_sign1(
            cbor.encode({LABELS[name]: value for name, value in claims.items()}),
            signer=SIGNER,
            protected={TYP: typ or CWT_TYP},
            unprotected={X5CHAIN: CERTIFICATE},
        )
        return parse_status_list_cwt(cbor.encode(cbor2.CBORTag(18, sign1)))
    content = {**claims["status_list"], "lst": base64url.encode(claims["status_list"]["lst"])}
    return parse_status_list_jwt(
        build_jws(
            strict_json.dumps({**claims, "status_list": content}),
            signer=SIGNER,
            typ=typ or JWT_TYP,
            header={"x5c": [*x5c_header([CERTIFICATE])]},
        )
    )


def verify(signed: SignedStatusList, *, key: ec.EllipticCurvePublicKey | None = None) -> StatusListToken:
    return verify_status_list(signed, key=key or SIGNER.public_key, expected_uri=URI, now=NOW)


DEFECTS: list[tuple[Case, ReasonCode]] = [
    ({"sub": URI + "9"}, ReasonCode.STATUS_LIST_MISMATCH),
    ({"iat": NOW + 3600, "exp": NOW + 7200}, ReasonCode.STATUS_LIST_MALFORMED),
    ({"exp": NOW - 3600}, ReasonCode.STATUS_LIST_EXPIRED),
    ({"ttl": 0}, ReasonCode.STATUS_LIST_MALFORMED),
    ({"status_list": {"bits": 3, "lst": compress(b"\x05")}}, ReasonCode.STATUS_LIST_MALFORMED),
]


@pytest.mark.parametrize("form", ["jwt", "cwt"])
def test_the_earliest_check_answers(form: str) -> None:
    assert verify(signed_list(valid(), form)).statuses[2] == 1
    for at, (defect, reason) in enumerate(DEFECTS):
        alone = {**valid(), **defect}
        assert refused(lambda: verify(signed_list(alone, form))) is reason  # noqa: B023
        with_all_later: Case = valid()
        for later, _ in reversed(DEFECTS[at:]):
            with_all_later |= later
        assert refused(lambda: verify(signed_list(with_all_later, form))) is reason  # noqa: B023


@pytest.mark.parametrize("form", ["jwt", "cwt"])
@pytest.mark.parametrize("defect", [defect for defect, _ in DEFECTS] + [{"status_list": {"bits": 1, "lst": b"no"}}])
def test_a_strangers_signature_answers_before_all_others(form: str, defect: Case) -> None:
    signed = signed_list({**valid(), **defect}, form)
    assert refused(lambda: verify(signed, key=ec_key(STRANGER.public_key))) is ReasonCode.STATUS_LIST_UNTRUSTED


def ec_key(key: object) -> ec.EllipticCurvePublicKey:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


@pytest.mark.parametrize("form", ["jwt", "cwt"])
@pytest.mark.parametrize("defect", [defect for defect, _ in DEFECTS])
def test_nothing_is_inflated_for_a_list_that_fails_before(
    form: str, defect: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(data: bytes, *, max_bytes: int) -> bytes:
        raise AssertionError(f"{len(data)} bytes inflated up to {max_bytes}")

    signed = signed_list({**valid(), **defect}, form)
    monkeypatch.setattr(status_list, "decompress", never)
    with pytest.raises(StatusListError):
        verify(signed)


def test_a_list_of_the_other_form_is_none() -> None:
    """A JWT is no CWT, a CWT no JWT, and neither type is the other's."""
    jwt = build_jws(b"{}", signer=SIGNER, typ=JWT_TYP, header={"x5c": [*x5c_header([CERTIFICATE])]})
    sign1 = build_sign1(b"\xa0", signer=SIGNER, protected={TYP: CWT_TYP}, unprotected={X5CHAIN: CERTIFICATE})
    assert refused(lambda: parse_status_list_cwt(jwt.encode())) is ReasonCode.STATUS_LIST_MALFORMED
    assert refused(lambda: parse_status_list_jwt(cbor.encode(sign1))) is ReasonCode.STATUS_LIST_MALFORMED
    assert refused(lambda: signed_list(valid(), "jwt", typ=CWT_TYP)) is ReasonCode.STATUS_LIST_MALFORMED
    assert refused(lambda: signed_list(valid(), "cwt", typ=JWT_TYP)) is ReasonCode.STATUS_LIST_MALFORMED


# what is no number, and what ends in this second


@pytest.mark.parametrize("name", ["iat", "exp", "nbf", "ttl"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_cwt_with_a_time_that_is_no_number_is_refused(name: str, value: float) -> None:
    """CBOR has words for what no clock shows; a list that never ends must say so by leaving `exp` out."""
    assert refused(lambda: verify(signed_list({**valid(), name: value}, "cwt"))) is ReasonCode.STATUS_LIST_MALFORMED


@pytest.mark.parametrize("form", ["jwt", "cwt"])
def test_a_list_counts_for_as_long_as_a_clock_may_be_off(form: str) -> None:
    token = verify(signed_list({**valid(), "iat": NOW, "nbf": NOW + 10, "exp": NOW + 100}, form))
    for now in (NOW + 10 - 60, NOW + 100 + 59):
        check_list_dates(token, now=now)
    for now, reason in (
        (NOW + 10 - 61, ReasonCode.STATUS_LIST_MALFORMED),
        (NOW + 100 + 60, ReasonCode.STATUS_LIST_EXPIRED),
    ):
        assert refused(lambda: check_list_dates(token, now=now)) is reason  # noqa: B023
