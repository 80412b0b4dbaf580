"""What an answer of several credentials must hold: each that is demanded, and one person wherever that is demanded."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from specs.encoding.strict_json import JsonValue
from specs.protocols.dcql import DcqlQuery, parse_dcql
from tests.verifier.world import VCT, World
from verifier import Policy, ReasonCode, SameClaim, Verdict

FAMILY, ADULT = ("family_name",), ("age_equal_or_over", "18")


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def question(*names: str, claims: Sequence[Sequence[str]] = (FAMILY,), sets: Sequence[JsonValue] = ()) -> DcqlQuery:
    """A question of these credentials, with the same claims of each."""
    asked: list[JsonValue] = [
        {
            "id": name,
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [VCT]},
            "claims": [{"path": [*claim]} for claim in claims],
        }
        for name in names
    ]
    return parse_dcql({"credentials": asked, **({"credential_sets": [*sets]} if sets else {})})


def judged(world: World, shown: Mapping[str, Mapping[str, Any]], query: DcqlQuery, *rules: SameClaim) -> Verdict:
    """The verdict on credentials with these claims, of which all that is asked is shown."""
    paths = [tuple(claim.path) for claim in query.credentials[0].claims or ()]
    token = {name: [world.present_sd_jwt(world.sd_jwt(**claims), paths=paths)] for name, claims in shown.items()}
    return world.verify(token, query=query, policy=Policy(same_person=rules))


def test_one_of_two_credentials_is_not_an_answer(world: World) -> None:
    query = question("a", "b")
    assert judged(world, {"a": {}, "b": {}}, query).accepted
    assert judged(world, {"a": {}}, query).reason is ReasonCode.QUERY_NOT_SATISFIED
    assert judged(world, {"b": {}}, query).reason is ReasonCode.QUERY_NOT_SATISFIED


def test_one_of_two_sets_is_not_an_answer(world: World) -> None:
    query = question("a", "b", sets=[{"options": [["a"]]}, {"options": [["b"]]}])
    assert judged(world, {"a": {}, "b": {}}, query).accepted
    assert judged(world, {"a": {}}, query).reason is ReasonCode.QUERY_NOT_SATISFIED


def test_only_what_no_option_needs_is_named_as_unneeded(world: World) -> None:
    query = question("a", "b", sets=[{"options": [["a"], ["b"]]}])
    verdict = judged(world, {"a": {}, "b": {}}, query)
    assert [each.query_id for each in verdict.credentials] == ["a"]
    assert verdict.unneeded == ("b",)


def test_each_rule_is_looked_at_also_after_one_that_compares_nobody(world: World) -> None:
    query = question("a", "b", claims=[FAMILY])
    nobody, both = SameClaim({"a": FAMILY, "x": FAMILY}), SameClaim({"a": FAMILY, "b": FAMILY})
    assert judged(world, {"a": {}, "b": {}}, query, nobody, both).accepted
    verdict = judged(world, {"a": {}, "b": {"family_name": "KLEIN"}}, query, nobody, both)
    assert verdict.reason is ReasonCode.DIFFERENT_PERSONS


def test_who_shows_nothing_to_compare_is_nobodys_same(world: World) -> None:
    query = question("a", "b")
    given = ("given_name",)
    rule = SameClaim({"a": given, "b": given})
    assert judged(world, {"a": {}, "b": {}}, question("a", "b", claims=[FAMILY, given]), rule).accepted
    assert judged(world, {"a": {}, "b": {}}, query, rule).reason is ReasonCode.DIFFERENT_PERSONS


def test_what_is_no_text_is_compared_by_type_and_value(world: World) -> None:
    query = question("a", "b", claims=[ADULT])
    rule = SameClaim({"a": ADULT, "b": ADULT})
    ages: dict[object, dict[str, Any]] = {
        value: {"age_equal_or_over": {"18": value}} for value in (True, False, "true")
    }
    assert judged(world, {"a": ages[True], "b": ages[True]}, query, rule).accepted
    for other in (False, "true"):
        assert judged(world, {"a": ages[True], "b": ages[other]}, query, rule).reason is ReasonCode.DIFFERENT_PERSONS


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("MÜLLER", "Müller", True),
        ("Mu\N{COMBINING DIAERESIS}ller", "MÜLLER", True),
        ("VON  DER LEYEN", " von der leyen", True),
        ("VONDER LEYEN", "von der leyen", False),
        ("MULLER", "MÜLLER", False),
    ],
)
def test_names_are_compared_as_people_read_them(one: str, other: str, same: bool, world: World) -> None:
    rule = SameClaim({"a": FAMILY, "b": FAMILY})
    verdict = judged(world, {"a": {"family_name": one}, "b": {"family_name": other}}, question("a", "b"), rule)
    assert verdict.accepted is same
