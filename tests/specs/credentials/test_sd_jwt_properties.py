"""Any structure, hidden anyhow, shown in any part, reads as the plain book says it must."""

from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from specs.credentials.sd_jwt import (
    UNDISCLOSED,
    Path,
    SdJwt,
    SdJwtError,
    parse_sd_jwt,
    process_payload,
    verify_issuer_jwt,
)
from specs.credentials.sd_jwt_issue import DECOY, Claim, Sd, build_sd_jwt, issuer_header
from specs.credentials.sd_jwt_json import build_flattened_json, parse_sd_jwt_json
from specs.credentials.sd_jwt_present import read_as_holder, serialize, with_disclosures
from specs.encoding import strict_json
from specs.keys.jose import JoseError, parse_jws
from tests.specs.credentials.sd_jwt_drawing import ISSUER

TYP = "dc+sd-jwt"
HEADER = issuer_header(alg="ES256", typ=TYP)

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_names = st.one_of(st.sampled_from(["a", "b", "~", "name"]), _texts).filter(
    lambda name: name not in ("_sd", "_sd_alg", "...")
)
_numbers = st.one_of(st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False))
_scalars: st.SearchStrategy[Claim] = st.one_of(st.none(), st.booleans(), _numbers, _texts, st.just("~"))


def _containers(inner: st.SearchStrategy[Claim]) -> st.SearchStrategy[Claim]:
    maybe_hidden = st.one_of(inner, inner.map(Sd))
    return st.one_of(
        st.dictionaries(_names, maybe_hidden, max_size=4), st.lists(st.one_of(maybe_hidden, st.just(DECOY)), max_size=4)
    )


_values = st.recursive(_scalars, _containers, max_leaves=12)
_claims = st.dictionaries(_names, st.one_of(_values, _values.map(Sd)), max_size=5)

Shown: TypeAlias = "set[Path]"


def _hidden_places(value: Claim, place: Path = ()) -> list[Path]:
    """The places of all that is marked, outer before inner."""
    found: list[Path] = []
    if isinstance(value, Sd):
        return [place, *_hidden_places(value.value, place)]
    if isinstance(value, dict):
        for name, member in value.items():
            found += _hidden_places(member, (*place, name))
    elif isinstance(value, list):
        for at, element in enumerate(value):
            found += _hidden_places(element, (*place, at))
    return found


def _expected(value: Claim, shown: Shown, *, as_issued: bool, place: Path = ()) -> object:
    """What a reader must see: straight from the marked claims, no digests involved."""
    if isinstance(value, Sd):
        value = value.value
    if isinstance(value, dict):
        return {
            name: _expected(member, shown, as_issued=as_issued, place=(*place, name))
            for name, member in value.items()
            if not isinstance(member, Sd) or (*place, name) in shown
        }
    if isinstance(value, list):
        elements: list[object] = []
        for at, element in enumerate(value):
            if element is DECOY or (isinstance(element, Sd) and (*place, at) not in shown):
                elements += [UNDISCLOSED] if as_issued else []
            else:
                elements.append(_expected(element, shown, as_issued=as_issued, place=(*place, at)))
        return elements
    return value


def _choose(places: Sequence[Path], choices: Sequence[bool]) -> Shown:
    """Some of the places, none without those around it."""
    shown: Shown = set()
    for place, choice in zip(places, choices, strict=False):
        around = [other for other in places if len(other) < len(place) and place[: len(other)] == other]
        if choice and shown.issuperset(around):
            shown.add(place)
    return shown


def _read(sd_jwt: SdJwt) -> tuple[object, object, set[Path]]:
    payload = verify_issuer_jwt(parse_jws(sd_jwt.issuer_jwt, expected_typ=TYP), ISSUER.public_key)
    processed = process_payload(payload, sd_jwt.disclosures)
    return processed.claims, processed.issued, {shown.path for shown in processed.disclosed}


@settings(deadline=None, max_examples=300)
@given(claims=_claims, choices=st.lists(st.booleans(), max_size=40), decoys=st.integers(0, 3))
def test_issue_present_and_read_agree_with_the_plain_evaluation(
    claims: dict[str, Claim], choices: list[bool], decoys: int
) -> None:
    places = _hidden_places(claims)
    shown = _choose(places, choices)

    issued = parse_sd_jwt(build_sd_jwt(claims, signer=ISSUER, header=HEADER, decoys=decoys))
    everything = read_as_holder(issued, expected_typ=TYP)
    presented = with_disclosures(issued, {each.disclosure for each in everything.disclosed if each.path in shown})

    assert len(issued.disclosures) == len(places)
    assert _read(parse_sd_jwt(serialize(presented))) == (
        _expected(claims, shown, as_issued=False),
        _expected(claims, shown, as_issued=True),
        shown,
    )
    assert parse_sd_jwt_json(strict_json.dumps(build_flattened_json(presented))) == presented


@settings(deadline=None, max_examples=300)
@given(text=st.one_of(st.text(max_size=60), st.text('~.eyJ0-_{}[]"', max_size=80)))
def test_any_text_is_read_or_refused_by_our_own_errors(text: str) -> None:
    try:
        sd_jwt = parse_sd_jwt(text)
        parse_jws(sd_jwt.issuer_jwt, expected_typ=TYP)
    except (SdJwtError, JoseError):
        return


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text("ab_.", max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["_sd", "...", "_sd_alg", "a"]), inner, max_size=3),
    ),
    max_leaves=15,
)


@settings(deadline=None, max_examples=500)
@given(
    payload=st.dictionaries(st.sampled_from(["_sd", "...", "_sd_alg", "a", "b"]), _json, max_size=4),
    disclosures=st.lists(st.one_of(st.text(max_size=8), st.just("WyJzIiwibiIsMV0")), max_size=3),
)
def test_any_payload_is_processed_or_refused_by_our_own_error(
    payload: strict_json.JsonObject, disclosures: list[str]
) -> None:
    try:
        processed = process_payload(payload, disclosures)
    except SdJwtError:
        return

    assert '"_sd"' not in strict_json.dumps(processed.claims).decode()
