"""Many JSON texts read in one go are what each of them is by itself; whatever could mean another thing is not read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.json_texts import read_together

MAX_DEPTH = 4

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=12) | st.floats(-1e9, 1e9)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
written = st.tuples(values, st.booleans(), st.booleans()).map(
    lambda drawn: json.dumps(drawn[0], ensure_ascii=drawn[1], separators=(",", ":") if drawn[2] else None).encode()
)
fragments = st.sampled_from(
    [
        b'["a",1]',
        b"1,2",
        b'"~~"',
        b"[",
        b"]",
        b'"',
        b'{"a":1,"a":2}',
        b"\0",
        b" 1 ",
        b"",
        b"1e999",
        b'1,"\\u007e~",[2',
        b"3]",
    ]
)


def encoded(text: bytes) -> bytes:
    return base64url.encode(text).encode()


@given(st.lists(written | fragments | st.lists(fragments).map(b"".join), min_size=1, max_size=5))
def test_texts_read_together_are_what_they_are_one_by_one(texts: list[bytes]) -> None:
    together = read_together([encoded(text) for text in texts], max_depth=MAX_DEPTH)

    if together is not None:
        assert together.values == [strict_json.parse(text, max_depth=MAX_DEPTH + 1) for text in texts]
        assert all(text in together.joined for text in texts)


@given(st.lists(written, min_size=1, max_size=5))
def test_texts_of_any_length_and_spacing_are_read_together(texts: list[bytes]) -> None:
    try:
        alone = [strict_json.parse(text, max_depth=MAX_DEPTH) for text in texts]
    except Malformed:
        return

    together = read_together([encoded(text) for text in texts], max_depth=MAX_DEPTH)

    assert together is None or together.values == alone
    if not any(b"\\" in text or b"~~" in text for text in texts):
        assert together is not None or any(len(text) > 18 for text in texts)


def test_texts_nested_as_deeply_as_they_may_be_are_read_together() -> None:
    together = read_together([encoded(b"[[[[1]]]]"), encoded(b'{"a":[{"b":[]}]}')], max_depth=MAX_DEPTH)

    assert together is not None
    assert together.values == [[[[[1]]]], {"a": [{"b": []}]}]


def test_texts_with_escapes_of_other_characters_are_read_together() -> None:
    together = read_together([encoded(b'"\\u00e9\\n"'), encoded(b'{"\\"":"\\\\"}')], max_depth=MAX_DEPTH)

    assert together is not None
    assert together.values == ["é\n", {'"': "\\"}]


@pytest.mark.parametrize(
    "segment",
    [
        pytest.param(b"MR", id="bits beyond the data"),
        pytest.param(b"MTB", id="bits beyond the data, two bytes"),
        pytest.param(b"M", id="impossible length"),
        pytest.param(b"MQ==", id="padding"),
        pytest.param(b"MQA", id="a zero byte"),
        pytest.param(b"IjAi+", id="another alphabet"),
        pytest.param(b"MQ\n", id="white space"),
        pytest.param(b"MTIz\n\n\n\n", id="white space, as long as whole groups"),
        pytest.param(b"MTIz====", id="padding, as long as whole groups"),
        pytest.param(b"++++MTIz", id="another alphabet, in whole groups"),
    ],
)
def test_what_is_not_the_one_encoding_is_not_read_together(segment: bytes) -> None:
    assert read_together([b"MQ", b"MTI"], max_depth=MAX_DEPTH) is not None

    assert read_together([b"MQ", segment, b"MTI"], max_depth=MAX_DEPTH) is None


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([b"[1", b"2]"], id="a value over two texts"),
        pytest.param([b'"a', b'b"'], id="a string over two texts"),
        pytest.param([b"1,2", b"3"], id="two values in one text"),
        pytest.param([b"1,2"], id="two values in the only text"),
        pytest.param([b"1,2,[3", b"4]"], id="as many values as there should be, the marker in one of them"),
        pytest.param([b'1,"~~",[2', b"3]"], id="a marker in a text, and the real one inside a value"),
        pytest.param([b'1,"~~",2'], id="a marker in a text"),
        pytest.param([b'1,"\\u007e\\u007e",[2', b"3]"], id="an escaped marker, and the real one inside a value"),
        pytest.param([b'{"a":1},"\\u007E~",{"b":[2', b"3]}"], id="half of an escaped marker"),
        pytest.param([b'{"a":1, "a":2}', b"1"], id="a repeated member"),
        pytest.param([b"[[[[[1]]]]]", b"1"], id="nested too deeply"),
        pytest.param([b"18446744073709551616", b"1"], id="an integer beyond 64 bits"),
        pytest.param([b"[1e999]", b"1"], id="a number beyond doubles"),
        pytest.param([b"1\0", b"1"], id="a zero byte"),
    ],
)
def test_texts_that_are_not_one_value_each_are_not_read_together(texts: list[bytes]) -> None:
    assert read_together([encoded(text) for text in texts], max_depth=MAX_DEPTH) is None
