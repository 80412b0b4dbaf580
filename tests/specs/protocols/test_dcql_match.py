"""Answering DCQL: which claims a question means, when an answer satisfies it, judged by two evaluators."""

import time
from collections import Counter
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.credentials.sd_jwt import UNDISCLOSED
from specs.encoding import base64url
from specs.protocols.dcql import AskedPaths, CredentialQuery, DcqlQuery, dcql_to_json, parse_dcql
from specs.protocols.dcql_match import (
    Candidate,
    ClaimsNotSatisfied,
    alternatives,
    authority_matches,
    evaluate_sets,
    over_disclosed,
    resolve_path,
    satisfied_claims,
    select,
    type_matches,
)
from specs.refusal import ReasonCode
from tests.specs.protocols import dcql_naive as naive
from tests.vectors import vectors_path

Json = dict[str, Any]

TREE: Json = {
    "name": "Doe",
    "age": 18,
    "over_18": True,
    "ratio": 1.0,
    "nothing": None,
    "address": {"street": "Sandanger 25", "": "empty name"},
    "degrees": [{"type": "B"}, UNDISCLOSED, {"type": "M", "year": 2001}],
    "hidden": [UNDISCLOSED, UNDISCLOSED],
    "empty": [],
    "mixed": [{"type": "B"}, 5],
    "matrix": [[1, 2], [3]],
}


def one(*claims: Json, claim_sets: list[list[str]] | None = None) -> CredentialQuery:
    entry: Json = {"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": ["t"]}, "claims": list(claims)}
    if claim_sets is not None:
        entry["claim_sets"] = claim_sets
    if not claims:
        del entry["claims"]
    return parse_dcql({"credentials": [entry]}).credentials[0]


@pytest.mark.parametrize(
    ("path", "positions"),
    [
        (("name",), [("name",)]),
        (("nothing",), [("nothing",)]),
        (("address",), [("address",)]),
        (("address", "street"), [("address", "street")]),
        (("address", ""), [("address", "")]),
        (("address", None), []),
        (("address", 0), []),
        (("name", "first"), []),
        (("missing",), []),
        (("degrees", None), [("degrees", 0), ("degrees", 2)]),
        (("degrees", None, "type"), [("degrees", 0, "type"), ("degrees", 2, "type")]),
        (("degrees", None, "year"), [("degrees", 2, "year")]),
        (("degrees", None, "missing"), []),
        (("degrees", 1), []),
        (("degrees", 2, "type"), [("degrees", 2, "type")]),
        (("degrees", 3), []),
        (("degrees", "type"), []),
        (("hidden",), [("hidden",)]),
        (("hidden", None), []),
        (("empty", None), []),
        (("mixed", None, "type"), []),
        (("mixed", 0, "type"), [("mixed", 0, "type")]),
        (("matrix", None, None), [("matrix", 0, 0), ("matrix", 0, 1), ("matrix", 1, 0)]),
        (("matrix", None, 1), [("matrix", 0, 1)]),
    ],
)
def test_paths_select_as_issued(path: tuple[str | int | None, ...], positions: list[tuple[str | int, ...]]) -> None:
    assert list(resolve_path(TREE, path)) == positions


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ({"path": ["name"], "values": ["Roe", "Doe"]}, None),
        ({"path": ["name"], "values": ["doe"]}, "claim_value_mismatch"),
        ({"path": ["age"], "values": [18]}, None),
        ({"path": ["age"], "values": ["18"]}, "claim_value_mismatch"),
        ({"path": ["over_18"], "values": [True]}, None),
        ({"path": ["over_18"], "values": [1]}, "claim_value_mismatch"),
        ({"path": ["over_18"], "values": ["true"]}, "claim_value_mismatch"),
        ({"path": ["over_18"], "values": [False]}, "claim_value_mismatch"),
        ({"path": ["ratio"], "values": [1]}, "claim_value_mismatch"),
        ({"path": ["ratio"], "values": [True]}, "claim_value_mismatch"),
        ({"path": ["matrix", 0, 0], "values": [True]}, "claim_value_mismatch"),
        ({"path": ["address"], "values": ["Sandanger 25"]}, "claim_value_mismatch"),
        ({"path": ["degrees", None, "type"], "values": ["M"]}, None),
        ({"path": ["degrees", None, "type"], "values": ["D"]}, "claim_value_mismatch"),
        ({"path": ["hidden", None]}, "claims_missing"),
        ({"path": ["family_name"]}, "claims_missing"),
    ],
)
def test_values_are_compared_with_their_type(claim: Json, reason: str | None) -> None:
    query = one(claim)
    if reason is None:
        assert satisfied_claims(query, TREE) is query.options[0]
        return
    with pytest.raises(ClaimsNotSatisfied) as caught:
        satisfied_claims(query, TREE)
    assert caught.value.reason is ReasonCode(reason)


@pytest.mark.parametrize(
    "path", [[0], [None], ["map", 0], ["map", None], [0, "x"], [None, "x"], ["map", 0, "x"], ["map", None, "x"]]
)
def test_an_index_or_null_selects_nothing_in_a_map_whatever_its_keys(path: list[str | int | None]) -> None:
    """§7.1.1 stops where an index or null meets what is no array; a map of CBOR may have any key."""
    numbered: dict[object, object] = {0: {"x": 1}, None: {"x": 1}}
    with pytest.raises(ClaimsNotSatisfied) as caught:
        satisfied_claims(one({"path": path}), {**numbered, "map": numbered})
    assert caught.value.reason is ReasonCode.CLAIMS_MISSING


@pytest.mark.parametrize(
    "path", [["name", "first"], ["name", "first", "letter"], ["missing", "deeper", "still"], ["degrees", "type", "x"]]
)
def test_a_name_below_what_is_no_map_is_missing(path: list[str]) -> None:
    with pytest.raises(ClaimsNotSatisfied) as caught:
        satisfied_claims(one({"path": path}), TREE)
    assert caught.value.reason is ReasonCode.CLAIMS_MISSING


class Counted(dict[str, object]):
    """A tree that counts how often it is asked for a member."""

    def __init__(self, members: dict[str, object]) -> None:
        super().__init__(members)
        self.asked: Counter[object] = Counter()

    def __contains__(self, name: object) -> bool:
        self.asked[name] += 1
        return super().__contains__(name)


def test_a_claim_is_looked_at_once_however_many_sets_name_it() -> None:
    claims: list[Json] = [{"id": "a", "path": ["a"], "values": [1]}, {"id": "b", "path": ["b"], "values": [2]}]
    tree = Counted({"a": 1, "b": 1})
    with pytest.raises(ClaimsNotSatisfied):
        satisfied_claims(one(*claims, claim_sets=[["a", "b"], ["b", "a"], ["b"]]), tree)
    assert tree.asked == {"a": 1, "b": 1}


def test_the_first_claim_set_that_holds_is_taken() -> None:
    claims: list[Json] = [{"id": name, "path": [name]} for name in ("missing", "name", "age")]
    query = one(*claims, claim_sets=[["missing"], ["name"], ["age", "name"]])
    assert [claim.id for claim in satisfied_claims(query, TREE).claims] == ["name"]


def test_a_wallet_may_offer_each_claim_set_that_holds() -> None:
    """§6.4.1: the asker's favourite first; what is missing, or has another value, is none."""
    claims: list[Json] = [{"id": name, "path": [name]} for name in ("missing", "name", "over_18")]
    claims.append({"id": "age", "path": ["age"], "values": [17]})
    sets = [["missing"], ["name", "over_18"], ["age"], ["name", "age"], ["over_18"]]
    query = one(*claims, claim_sets=sets)
    selection = select(DcqlQuery((query,), ()), [Candidate("c", "dc+sd-jwt", frozenset({"t"}), TREE)])

    found = alternatives(selection.matches["q"][0])

    assert found[0] == selection.matches["q"][0]
    assert [each.disclose for each in found] == [(("name",), ("over_18",)), (("over_18",),)]


def test_a_set_that_only_values_keep_out_is_told_apart_from_a_missing_one() -> None:
    claims: list[Json] = [{"id": "a", "path": ["missing"]}, {"id": "b", "path": ["age"], "values": [17]}]
    for sets in ([["a"], ["b"]], [["b"], ["a"]]):
        with pytest.raises(ClaimsNotSatisfied) as caught:
            satisfied_claims(one(*claims, claim_sets=sets), TREE)
        assert caught.value.reason is ReasonCode.CLAIM_VALUE_MISMATCH
    with pytest.raises(ClaimsNotSatisfied) as caught:
        satisfied_claims(one(*claims, claim_sets=[["b", "a"]]), TREE)
    assert caught.value.reason is ReasonCode.CLAIMS_MISSING


def test_elements_of_an_mdoc_are_compared_as_json() -> None:
    tree = {"ns": {"birth": cbor2.CBORTag(1004, "1991-03-07"), "photo": b"\xff\xfe", "age": 18, "over": True}}

    def mdoc(element: str, *values: str | int | bool) -> CredentialQuery:
        entry: Json = {"id": "q", "format": "mso_mdoc", "meta": {"doctype_value": "d"}}
        return parse_dcql(
            {"credentials": [{**entry, "claims": [{"path": ["ns", element], "values": list(values)}]}]}
        ).credentials[0]

    assert satisfied_claims(mdoc("birth", "1991-03-07"), tree).claims
    assert satisfied_claims(mdoc("photo", "__4"), tree).claims
    assert satisfied_claims(mdoc("age", 18), tree).claims
    for wrong in (mdoc("age", "18"), mdoc("over", 1), mdoc("birth", "1991-03-08")):
        with pytest.raises(ClaimsNotSatisfied):
            satisfied_claims(wrong, tree)
    with pytest.raises(ClaimsNotSatisfied) as caught:
        satisfied_claims(mdoc("portrait", "x"), tree)
    assert caught.value.reason is ReasonCode.CLAIMS_MISSING


def test_what_was_not_asked_is_named() -> None:
    query = one({"path": ["address", "street"]}, {"path": ["degrees", None, "type"]}, {"path": ["matrix", 0]})
    positions = [
        ("address",),
        ("address", "street"),
        ("address", "street", "deeper"),
        ("address", "city"),
        ("degrees", 7),
        ("degrees", 7, "type"),
        ("degrees", 7, "year"),
        ("degrees", "type"),
        ("matrix", 0, 3),
        ("matrix", 1),
        ("name",),
    ]
    assert over_disclosed(positions, [query.options[0]]) == (
        ("address", "city"),
        ("degrees", 7, "year"),
        ("degrees", "type"),
        ("matrix", 1),
        ("name",),
    )


def test_without_claims_nothing_disclosable_was_asked() -> None:
    query = one()
    chosen = satisfied_claims(query, TREE)
    assert chosen.claims == ()
    assert over_disclosed([("name",)], [chosen]) == (("name",),)


def test_what_another_query_on_the_same_credential_asks_counts() -> None:
    both = [one({"path": ["name"]}).options[0], one({"path": ["age"]}).options[0]]
    assert over_disclosed([("name",), ("age",), ("ratio",)], both) == (("ratio",),)


def question(ids: str, sets: list[Json] | None = None) -> DcqlQuery:
    credentials: list[Any] = [{"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [name]}} for name in ids]
    written: Json = {"credentials": credentials}
    if sets:
        written["credential_sets"] = sets
    return parse_dcql(written)


def test_without_sets_each_credential_is_required() -> None:
    assert evaluate_sets(question("ab"), ["a", "b"]).satisfied
    outcome = evaluate_sets(question("ab"), ["a"])
    assert (outcome.satisfied, outcome.needed, outcome.superfluous) == (False, frozenset({"a"}), frozenset())


def test_the_first_whole_option_is_needed_and_the_rest_superfluous() -> None:
    query = question("abcd", [{"options": [["a", "b"], ["c"]]}, {"options": [["d"]], "required": False}])
    assert evaluate_sets(query, ["a", "c"]).needed == {"c"}
    assert evaluate_sets(query, ["a", "c"]).superfluous == {"a"}
    assert evaluate_sets(query, ["a", "b", "c", "d"]).superfluous == {"c"}
    assert evaluate_sets(query, ["d"]).satisfied is False
    assert evaluate_sets(query, []).satisfied is False


def test_many_sets_and_options_cost_no_more_than_their_length() -> None:
    ids = [f"c{number}" for number in range(20)]
    credentials: list[Any] = [{"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": ["t"]}} for name in ids]
    sets: list[Any] = [{"options": [ids[:19] for _ in range(200)] + [ids]} for _ in range(200)]
    query = parse_dcql({"credentials": credentials, "credential_sets": sets})
    claims: list[Json] = [{"id": f"i{number}", "path": ["a", None, f"p{number}"]} for number in range(300)]
    heavy = one(*claims, claim_sets=[[f"i{number}" for number in range(300)] for _ in range(300)])
    started = time.process_time()
    assert evaluate_sets(query, ids[1:]).satisfied is False
    with pytest.raises(ClaimsNotSatisfied):
        satisfied_claims(heavy, {"a": [{f"p{number}": 1 for number in range(299)}] * 5})
    assert time.process_time() - started < 2


def test_nulls_in_paths_do_not_multiply() -> None:
    asked = AskedPaths([tuple(None if mask >> bit & 1 else 0 for bit in range(8)) for mask in range(256)])
    assert asked.covers((0,) * 8)
    assert not asked.covers((0,) * 7 + ("x",))


def test_types_match_by_format() -> None:
    def meta(credential_format: str, value: Json) -> CredentialQuery:
        return parse_dcql({"credentials": [{"id": "q", "format": credential_format, "meta": value}]}).credentials[0]

    assert type_matches(meta("dc+sd-jwt", {"vct_values": ["a", "b"]}), {"b", "parent"})
    assert not type_matches(meta("dc+sd-jwt", {"vct_values": ["A"]}), {"a"})
    assert type_matches(meta("mso_mdoc", {"doctype_value": "d"}), {"d"})
    w3c = meta("ldp_vc", {"type_values": [["A", "B"], ["C"]]})
    assert type_matches(w3c, {"C", "X"})
    assert not type_matches(w3c, {"A"})
    assert not type_matches(meta("future", {}), {"anything"})


def test_an_authority_is_known_by_its_key_or_by_membership() -> None:
    entry: Json = {"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": ["t"]}}
    wanted: list[Any] = [
        {"type": "aki", "values": [base64url.encode(b"key one"), base64url.encode(b"key two")]},
        {"type": "etsi_tl", "values": ["https://lists.example/tl"]},
    ]
    authorities = (
        parse_dcql({"credentials": [{**entry, "trusted_authorities": wanted}]}).credentials[0].trusted_authorities
    )
    assert authority_matches((), key_identifiers=())
    assert authority_matches(authorities, key_identifiers=[b"key two"])
    assert authority_matches(authorities, key_identifiers=[], memberships=[("etsi_tl", "https://lists.example/tl")])
    assert not authority_matches(authorities, key_identifiers=[b"key three"])
    assert not authority_matches(authorities, key_identifiers=[], memberships=[("aki", base64url.encode(b"key one"))])


def wallet() -> list[Candidate[str]]:
    pid = {"given_name": "Erika", "family_name": "M", "address": {"street_address": "Weg 1", "city": "Köln"}}
    return [
        Candidate("pid", "dc+sd-jwt", frozenset({"https://othercredentials.example/pid"}), pid),
        Candidate(
            "rewards", "dc+sd-jwt", frozenset({"https://company.example/company_rewards"}), {"rewards_number": 7}
        ),
        Candidate("old", "dc+sd-jwt", frozenset({"https://credentials.example.com/identity_credential"}), {}),
    ]


def test_a_wallet_finds_the_alternative_it_can_give() -> None:
    query = parse_dcql(vectors_path("openid4vp", "query_lang", "credentials_alternatives.json").read_text())
    selection = select(query, wallet())
    assert selection.satisfied
    assert selection.chosen == ("other_pid", "nice_to_have")
    assert [choice.options for choice in selection.choices] == [(("other_pid",),), (("nice_to_have",),)]
    match = selection.matches["other_pid"][0]
    assert match.candidate.key == "pid"
    assert match.disclose == (("given_name",), ("family_name",), ("address", "street_address"))


def test_a_wallet_that_lacks_what_is_required_answers_nothing() -> None:
    query = parse_dcql(vectors_path("openid4vp", "query_lang", "credentials_alternatives.json").read_text())
    selection = select(query, wallet()[1:])
    assert not selection.satisfied
    assert selection.chosen == ()


def test_a_credential_without_holder_key_fits_only_where_none_is_demanded() -> None:
    unbound = Candidate("x", "dc+sd-jwt", frozenset({"a"}), {}, holder_bound=False)
    assert not select(question("a"), [unbound]).satisfied
    entry: Json = {"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["a"]}}
    query = parse_dcql({"credentials": [{**entry, "require_cryptographic_holder_binding": False}]})
    assert select(query, [unbound]).satisfied
    assert not select(query, [Candidate("x", "mso_mdoc", frozenset({"a"}), {})]).satisfied


@pytest.mark.parametrize(
    ("sets", "have", "choices"),
    [
        ([], "ab", [(True, (("a",),)), (True, (("b",),))]),
        ([], "b", [(True, ()), (True, (("b",),))]),
        (
            [{"options": [["a", "b"], ["a"]]}, {"options": [["b"]], "required": False}],
            "ab",
            [(True, (("a", "b"), ("a",))), (False, (("b",),))],
        ),
        (
            [{"options": [["a", "b"], ["a"]]}, {"options": [["b"]], "required": False}],
            "a",
            [(True, (("a",),)), (False, ())],
        ),
    ],
)
def test_what_can_be_chosen_is_what_is_there(
    sets: list[Json], have: str, choices: list[tuple[bool, tuple[tuple[str, ...], ...]]]
) -> None:
    """§6.4.2: of each set the options whose credentials are all there; without sets each credential, as required."""
    found = select(question("ab", sets), [Candidate(name, "dc+sd-jwt", frozenset({name}), {}) for name in have])
    assert [(each.required, each.options) for each in found.choices] == choices


def test_a_credential_of_another_authority_does_not_fit() -> None:
    """§6.1.1: the wallet looks at who issued, too."""
    entry: Json = {"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["a"]}}
    wanted: list[Any] = [{"type": "aki", "values": [base64url.encode(b"wanted")]}]
    query = parse_dcql({"credentials": [{**entry, "trusted_authorities": wanted}]})
    offered = [
        Candidate(key, "dc+sd-jwt", frozenset({"a"}), {}, key_identifiers=frozenset({key.encode()}))
        for key in ("other", "wanted")
    ]
    assert [match.candidate.key for match in select(query, offered).matches["a"]] == ["wanted"]
    assert not select(query, offered[:1]).satisfied


# a second opinion

names = st.sampled_from(["a", "b", "c"])
scalars = st.one_of(st.sampled_from([0, 1, 2, "1", "a", True, False, None, 1.0, 0.0]))
trees = st.dictionaries(
    names,
    st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(st.one_of(inner, st.just(UNDISCLOSED)), max_size=3), st.dictionaries(names, inner, max_size=3)
        ),
        max_leaves=12,
    ),
    max_size=3,
)
paths = st.lists(st.one_of(names, st.none(), st.integers(0, 2)), min_size=1, max_size=4)
wanted_values = st.lists(st.sampled_from([0, 1, "1", "a", True, False]), min_size=1, max_size=3)


@st.composite
def credentials(draw: st.DrawFn) -> Json:
    chosen = draw(st.lists(paths, min_size=1, max_size=4, unique_by=tuple))
    claims: list[Json] = []
    for index, path in enumerate(chosen):
        values = draw(st.none() | wanted_values)
        claims.append({"id": f"i{index}", "path": path} | ({} if values is None else {"values": values}))
    ids = [claim["id"] for claim in claims]
    entry: Json = {"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": ["t"]}, "claims": claims}
    if draw(st.booleans()):
        entry["claim_sets"] = draw(
            st.lists(st.lists(st.sampled_from(ids), max_size=3, unique=True), min_size=1, max_size=4)
        )
    return entry


@given(path=paths, tree=trees)
@settings(max_examples=300, deadline=None)
def test_paths_agree_with_the_plain_reading(path: list[str | int | None], tree: Json) -> None:
    try:
        expected = sorted((position for position, _ in naive.select(tree, list(path))), key=repr)
    except naive.NoClaim:
        expected = []
    assert sorted(resolve_path(tree, tuple(path)), key=repr) == expected


@given(entry=credentials(), tree=trees)
@settings(max_examples=400, deadline=None)
def test_claims_agree_with_the_plain_reading(entry: Json, tree: Json) -> None:
    query = parse_dcql({"credentials": [entry]}).credentials[0]
    expected = naive.judge(entry, tree)
    try:
        found: int | str = next(
            index for index, option in enumerate(query.options) if option is satisfied_claims(query, tree)
        )
    except ClaimsNotSatisfied as refusal:
        found = refusal.reason.value
    assert found == expected
    assert dcql_to_json(parse_dcql({"credentials": [entry]})) == {"credentials": [entry]}


@given(
    asked=st.lists(paths, max_size=5),
    position=st.lists(st.one_of(names, st.integers(0, 2)), min_size=1, max_size=5),
)
@settings(max_examples=400, deadline=None)
def test_over_disclosure_agrees_with_the_plain_reading(asked: list[Any], position: list[str | int]) -> None:
    covered = AskedPaths([tuple(path) for path in asked]).covers(tuple(position))
    assert covered is naive.asked(tuple(position), asked)


ids = st.sampled_from("abcde")


@given(
    sets=st.lists(
        st.fixed_dictionaries(
            {"options": st.lists(st.lists(ids, min_size=1, max_size=3), min_size=1, max_size=4)},
            optional={"required": st.booleans()},
        ),
        max_size=4,
    ),
    have=st.sets(ids),
)
@settings(max_examples=300, deadline=None)
def test_sets_agree_with_the_plain_reading(sets: list[Json], have: set[str]) -> None:
    query = question("abcde", sets)
    outcome = evaluate_sets(query, have)
    raw: Json = dcql_to_json(query)
    satisfied, needed = naive.sets_needed(raw, have)
    assert (outcome.satisfied, set(outcome.needed)) == (satisfied, needed)
    assert outcome.superfluous == have - needed
