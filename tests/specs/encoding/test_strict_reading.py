"""base64url, JSON and CBOR: one encoding, one meaning; everything else is refused."""

from collections.abc import Callable
from math import inf, nan

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.encoding import Malformed, base64url, cbor, numeric_date, strict_json


@given(st.binary(max_size=200))
def test_base64url_is_read_back(data: bytes) -> None:
    assert base64url.decode(base64url.encode(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AB",
        "AAB",
        "AA==",
        "A+AA",
        "A/AA",
        "A AA",
        "AA\n",
        "é",
        "AAAA=",
        "AAAA\n\n\n\n",
        "    ",
        "AAAA====",
        "++++AAAA",
    ],
)
def test_base64url_has_one_form(text: str) -> None:
    with pytest.raises(Malformed):
        base64url.decode(text)


@pytest.mark.parametrize("between", [b"", b"~", b".", b"\x00"])
def test_many_are_written_as_each_by_itself(between: bytes) -> None:
    items = [b"", b"\xfb\xff", b"a", b"abc"]

    assert base64url.encode_each(items, between=between) == between.join(map(base64url.encode_as_bytes, items))


@pytest.mark.parametrize("value", [0, -1, 1_800_000_000, 1.5, 2**70])
def test_numeric_date_is_a_number(value: float) -> None:
    """RFC 7519 §2."""
    assert numeric_date.parse(value) == value


@pytest.mark.parametrize("value", [True, False, None, "1", [1], inf, -inf, nan])
def test_what_is_no_finite_number_is_no_date(value: object) -> None:
    with pytest.raises(Malformed):
        numeric_date.parse(value)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1, "b":2}}',
        b'{"a":1,"a":"\\u0022\\u0022"}',
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b'"\\ud800"',
        b'"\xff"',
        b"[" * 33 + b"]" * 33,
        b"[" * 100_000,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b"99999999999999999999999",
        b"1e999",
        b'{"a":1}x',
        b" ",
        b"[1,]",
        b"'a'",
        b"01",
        b"\xef\xbb\xbf{}",
    ],
)
def test_json_with_two_meanings_or_none_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        strict_json.parse(text)


def test_json_is_read_whatever_its_spacing_and_escapes() -> None:
    assert strict_json.parse(' { "a" : 1.50 , "b":"\\u00e9\\/" , "c": null}') == {"a": 1.5, "b": "é/", "c": None}
    assert strict_json.parse(b"[" * 32 + b"]" * 32)
    with pytest.raises(Malformed):
        strict_json.parse_object("[]")


@pytest.mark.parametrize("value", [-(2**63), 2**63, 10**19, 2**64 - 1])
def test_whole_numbers_of_64_bits_are_read(value: int) -> None:
    assert strict_json.parse(str(value)) == value


@pytest.mark.parametrize("digits", [str(-(2**63) - 1), str(2**64), "-" + "1" * 20, "1" * 21, "1" * 4000])
def test_whole_numbers_beyond_64_bits_are_called_that(digits: str) -> None:
    with pytest.raises(Malformed, match="an integer beyond 64 bits"):
        strict_json.parse(digits)


TEXTS = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@given(JSON)
def test_json_that_we_write_is_read_back(value: strict_json.JsonValue) -> None:
    assert strict_json.parse(strict_json.dumps(value), max_depth=64) == value


@given(st.binary(max_size=100))
def test_hostile_bytes_raise_nothing_but_malformed(data: bytes) -> None:
    for read in (base64url.decode, strict_json.parse, cbor.decode):
        try:
            read(data)
        except Malformed:
            continue


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("d81c81d81d00"),  # a shared value that contains itself
        bytes.fromhex("c249010000000000000000"),  # a number beyond 64 bits
        bytes.fromhex("0000"),  # two items
        bytes.fromhex("a200010002"),  # a key twice
        b"\x81" * 33 + b"\x00",
        b"\x81" * 200_000,
        bytes.fromhex("5b0000002000000000"),  # 128 GiB, says its head
        bytes.fromhex("ff"),
        b"",
    ],
)
def test_cbor_that_builds_what_was_not_said_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        cbor.decode(data)


def test_cbor_keeps_dates_as_they_were_written_and_cose_as_arrays() -> None:
    assert cbor.decode(bytes.fromhex("c074323032332d30312d30315430303a30303a30305a")) == cbor2.CBORTag(
        0, "2023-01-01T00:00:00Z"
    )
    assert cbor.decode(cbor2.dumps(cbor2.CBORTag(18, [b"", {1: [2]}, None, b"s"]))) == cbor2.CBORTag(
        18, [b"", {1: [2]}, None, b"s"]
    )
    assert cbor.decode(bytes.fromhex("9f0102ff")) == [1, 2]


@pytest.mark.parametrize("value", [[b"", {1: [2, {3: []}]}, None], {1: [2]}, [[[]]]])
def test_cose_is_read_as_arrays_and_maps_also_inside_another_tag(value: object) -> None:
    inner = cbor.decode(cbor2.dumps(cbor2.CBORTag(999, cbor2.CBORTag(18, value))))

    assert inner == cbor2.CBORTag(999, cbor2.CBORTag(18, value))
    assert isinstance(inner, cbor2.CBORTag)
    assert repr(inner.value.value) == repr(value)


def nested(depth: int) -> bytes:
    return b"\x81" * depth + b"\x00"


@pytest.mark.parametrize(
    "items", [[], [b"\x01"], [b"\x01", b"\x02"], [b"\x01", b"\x80", b"\xa1\x01\x02", b"\x01"], [nested(3), nested(3)]]
)
def test_many_are_read_as_each_by_itself(items: list[bytes]) -> None:
    assert cbor.decode_each(items, max_depth=3) == [cbor.decode(item, max_depth=3) for item in items]


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([nested(4)], id="one, nested too deeply"),
        pytest.param([b"\x01", nested(4)], id="nested too deeply"),
        pytest.param([b"\x01\x02", b"\x03"], id="two in one"),
        pytest.param([b"\x82\x01", b"\x03"], id="one over two"),
        pytest.param([b"", b"\x01"], id="none"),
        pytest.param([b"\x83\x01", b"\x02\x03"], id="one over two, and one more"),
        pytest.param([b"\x01", b"\xff"], id="an end without a begin"),
    ],
)
def test_items_that_end_elsewhere_than_their_bytes_are_refused(items: list[bytes]) -> None:
    with pytest.raises(Malformed):
        cbor.decode_each(items, max_depth=3)


BOUNDS = [0, 23, 24, 255, 256, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**64 - 1]


@pytest.mark.parametrize("argument", BOUNDS)
@pytest.mark.parametrize("major", range(8))
def test_heads_are_the_shortest(argument: int, major: int) -> None:
    """RFC 8949 §3: all major types write their argument as an unsigned integer does."""
    first, *rest = cbor2.dumps(argument)

    assert cbor.head(major, argument) == bytes((major << 5 | first, *rest))


@pytest.mark.parametrize("size", [size for size in BOUNDS if size <= 2**16])
@pytest.mark.parametrize(
    ("write", "like"),
    [(cbor.byte_string, cbor2.dumps), (cbor.tag24, lambda data: cbor2.dumps(cbor2.CBORTag(24, data)))],
    ids=["byte string", "tag 24"],
)
def test_byte_strings_are_written_as_the_library_does(
    size: int, write: Callable[[bytes], bytes], like: Callable[[bytes], bytes]
) -> None:
    assert write(b"a" * size) == like(b"a" * size)


@given(st.binary(max_size=70_000))
def test_tag_24_is_written_as_the_library_does(data: bytes) -> None:
    assert cbor.tag24(data) == cbor2.dumps(cbor2.CBORTag(24, data))
