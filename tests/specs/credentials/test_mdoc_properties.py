"""Random elements of every kind that an issuer can state: issued, shown in part, verified, and the very same."""

import string
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.credentials import mdoc
from specs.credentials.mdoc_values import full_date, json_value, tdate
from specs.encoding import base64url, cbor
from tests.specs.credentials.mdoc_drawing import Exchange

EXCHANGE = Exchange()
MAX_SECONDS = 253_402_300_799  # the last of year 9999

dates = st.dates(date(1, 1, 1)).map(full_date) | st.integers(0, MAX_SECONDS).map(tdate)
text = st.text(st.characters(codec="utf-8"), max_size=30)
scalars = (
    dates
    | text
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=300)
    | st.none()
)
keys = st.one_of(text, st.integers(-50, 50), st.binary(max_size=4))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
)
names = st.text(string.ascii_letters + "äß中😀 ._-", min_size=1, max_size=20)
elements = st.dictionaries(names, st.dictionaries(names, values, min_size=1, max_size=5), min_size=1, max_size=3)


class Drawn(NamedTuple):
    """An mdoc's elements and which of them are shown."""

    claims: Mapping[str, Mapping[str, object]]
    shown: frozenset[tuple[str, str]]


@st.composite
def drawings(draw: st.DrawFn) -> Drawn:
    claims = draw(elements)
    places = sorted((name_space, element) for name_space, members in claims.items() for element in members)
    return Drawn(claims, frozenset(draw(st.sets(st.sampled_from(places)))))


@settings(deadline=None, max_examples=150)
@given(drawn=drawings())
def test_what_was_issued_and_shown_is_what_is_believed(drawn: Drawn) -> None:
    """Compared as encodings, so that true is not 1, 1.0 is not 1 and -0.0 is not 0.0."""
    issued, _ = EXCHANGE.judge(EXCHANGE.answer(EXCHANGE.issue(drawn.claims), drawn.shown))

    assert frozenset(issued.disclosed) == drawn.shown
    for name_space, element in drawn.shown:
        assert cbor.encode(issued.claims[name_space][element]) == cbor.encode(drawn.claims[name_space][element])


@settings(deadline=None, max_examples=100)
@given(drawn=drawings())
def test_what_was_not_shown_is_not_in_the_answer(drawn: Drawn) -> None:
    """Neither the item nor its random; the digest alone tells nothing."""
    minted = EXCHANGE.issue(drawn.claims)
    answer = EXCHANGE.answer(minted, drawn.shown)
    issuer_signed = mdoc.parse_issuer_signed(minted)
    for name_space, items in issuer_signed.name_spaces.items():
        for item in items:
            random = cbor.decode_map(item)["random"]
            assert isinstance(random, bytes)
            shown = (name_space, mdoc.parse_item(item)[0]) in drawn.shown
            assert (item in answer) is (random in answer) is shown


@settings(deadline=None)
@given(day=st.dates(date(1, 1, 1)), seconds=st.integers(0, MAX_SECONDS), photo=st.binary(max_size=50))
def test_dates_and_bytes_have_their_words_in_json(day: date, seconds: int, photo: bytes) -> None:
    birth, moment = full_date(day), tdate(seconds)
    assert (birth.tag, moment.tag) == (1004, 0)
    assert json_value(birth) == day.isoformat()
    assert json_value([{"at": moment}, photo]) == [{"at": moment.value}, base64url.encode(photo)]
    assert cbor.decode(cbor2.dumps([birth, moment])) == [birth, moment]
