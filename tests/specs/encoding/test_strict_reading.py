"""base64url, JSON and CBOR: one encoding, one meaning; everything else is refused."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.encoding import Malformed, base64url, cbor, strict_json


@given(st.binary(max_size=200))
def test_base64url_is_read_back(data: bytes) -> None:
    assert base64url.decode(base64url.encode(data)) == data


@pytest.mark.parametrize("text", ["A", "AB", "AAB", "AA==", "A+AA", "A/AA", "A AA", "AA\n", "é", "AAAA="])
def test_base64url_has_one_form(text: str) -> None:
    with pytest.raises(Malformed):
        base64url.decode(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1, "b":2}}',
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
    assert strict_json.parse("18446744073709551615") == 2**64 - 1
    with pytest.raises(Malformed):
        strict_json.parse_object("[]")


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


@given(st.integers(0, 2**64 - 1), st.integers(0, 5))
def test_heads_are_the_shortest(argument: int, major: int) -> None:
    head = cbor.head(major, argument)
    if major == 0:
        assert head == cbor2.dumps(argument)
    assert head[0] >> 5 == major


@given(st.binary(max_size=70_000))
def test_tag_24_is_written_as_the_library_does(data: bytes) -> None:
    assert cbor.tag24(data) == cbor2.dumps(cbor2.CBORTag(24, data))
