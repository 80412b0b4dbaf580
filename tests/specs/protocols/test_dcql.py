"""Reading and writing DCQL: what the grammar of OpenID4VP 1.0 §6 allows, and each single thing it does not."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specs.protocols.dcql import MAX_CLAIMS, MAX_CREDENTIALS, DcqlError, MdocMeta, dcql_to_json, parse_dcql
from tests.vectors import vectors_path, vectors_root

Json = dict[str, Any]

VALID: Json = {
    "credentials": [
        {
            "id": "pid",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": ["urn:eudi:pid:de:1"]},
            "multiple": True,
            "trusted_authorities": [{"type": "aki", "values": ["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]}],
            "require_cryptographic_holder_binding": False,
            "claims": [
                {"id": "name", "path": ["family_name"], "values": ["Doe", 7, True]},
                {"id": "nation", "path": ["nationalities", None]},
                {"id": "street", "path": ["address", 0, "street"]},
            ],
            "claim_sets": [["name", "nation"], ["street"]],
        },
        {
            "id": "mdl",
            "format": "mso_mdoc",
            "meta": {"doctype_value": "org.iso.18013.5.1.mDL"},
            "claims": [{"path": ["org.iso.18013.5.1", "portrait"], "intent_to_retain": False}],
        },
        {"id": "w3c", "format": "ldp_vc", "meta": {"type_values": [["A", "B"], ["C"]]}},
    ],
    "credential_sets": [{"options": [["pid"], ["mdl", "w3c"]]}, {"options": [["mdl"]], "required": False}],
}


def pid(query: Json) -> Json:
    return query["credentials"][0]  # type: ignore[no-any-return]


def put(place: Callable[[Json], Any], name: str | int, value: object) -> Callable[[Json], None]:
    def change(query: Json) -> None:
        place(query)[name] = value

    return change


def drop(place: Callable[[Json], Any], name: str) -> Callable[[Json], None]:
    def change(query: Json) -> None:
        del place(query)[name]

    return change


def claim(query: Json, index: int = 0) -> Json:
    return pid(query)["claims"][index]  # type: ignore[no-any-return]


def mdl(query: Json) -> Json:
    return query["credentials"][1]  # type: ignore[no-any-return]


def top(query: Json) -> Json:
    return query


def first_set(query: Json) -> Json:
    return query["credential_sets"][0]  # type: ignore[no-any-return]


def authority(query: Json) -> Json:
    return pid(query)["trusted_authorities"][0]  # type: ignore[no-any-return]


MUTATIONS: dict[str, tuple[str, Callable[[Json], None]]] = {
    "credentials missing": ("credentials", drop(top, "credentials")),
    "credentials empty": ("credentials", put(top, "credentials", [])),
    "credentials an object": ("credentials", put(top, "credentials", {})),
    "credential a text": ("credentials[3]", lambda query: query["credentials"].append("pid")),
    "credential_sets empty": ("credential_sets", put(top, "credential_sets", [])),
    "credential_sets null": ("credential_sets", put(top, "credential_sets", None)),
    "credential set a list": ("credential_sets[2]", lambda query: query["credential_sets"].append([])),
    "options missing": ("credential_sets[0].options", drop(first_set, "options")),
    "options empty": ("credential_sets[0].options", put(first_set, "options", [])),
    "option empty": ("credential_sets[0].options[0]", put(first_set, "options", [[]])),
    "option unknown id": ("credential_sets[0].options[0]", put(first_set, "options", [["nobody"]])),
    "option a number": ("credential_sets[0].options[0]", put(first_set, "options", [[1]])),
    "option an object": ("credential_sets[0].options[0]", put(first_set, "options", [{"pid": True}])),
    "option with a list": ("credential_sets[0].options[0]", put(first_set, "options", [[["pid"]]])),
    "option a text": ("credential_sets[0].options[0]", put(first_set, "options", ["pid"])),
    "required a text": ("credential_sets[0].required", put(first_set, "required", "false")),
    "id missing": ("credentials[0].id", drop(pid, "id")),
    "id empty": ("credentials[0].id", put(pid, "id", "")),
    "id with a dot": ("credentials[0].id", put(pid, "id", "p.id")),
    "id with a final line break": ("credentials[0].id", put(pid, "id", "pid\n")),
    "id not ASCII": ("credentials[0].id", put(pid, "id", "pïd")),
    "id twice": ("credentials", put(mdl, "id", "pid")),
    "format missing": ("credentials[0].format", drop(pid, "format")),
    "format empty": ("credentials[0].format", put(pid, "format", "")),
    "format a number": ("credentials[0].format", put(pid, "format", 1)),
    "meta missing": ("credentials[0]", drop(pid, "meta")),
    "meta a list": ("credentials[0].meta", put(pid, "meta", [])),
    "vct_values missing": ("credentials[0].meta.vct_values", put(pid, "meta", {"vct_value": "urn:eudi:pid:de:1"})),
    "vct_values empty": ("credentials[0].meta.vct_values", put(pid, "meta", {"vct_values": []})),
    "vct_values a text": ("credentials[0].meta.vct_values", put(pid, "meta", {"vct_values": "urn:eudi:pid:de:1"})),
    "vct_values with an empty text": ("credentials[0].meta.vct_values", put(pid, "meta", {"vct_values": ["t", ""]})),
    "vct_values with a number": ("credentials[0].meta.vct_values", put(pid, "meta", {"vct_values": [1]})),
    "doctype_value missing": ("credentials[1].meta.doctype_value", put(mdl, "meta", {})),
    "doctype_value a list": (
        "credentials[1].meta.doctype_value",
        put(mdl, "meta", {"doctype_value": ["org.iso.18013.5.1.mDL"]}),
    ),
    "type_values flat": (
        "credentials[2].meta.type_values[0]",
        put(lambda query: query["credentials"][2], "meta", {"type_values": ["A"]}),
    ),
    "type_values with an empty list": (
        "credentials[2].meta.type_values[0]",
        put(lambda query: query["credentials"][2], "meta", {"type_values": [[]]}),
    ),
    "multiple a number": ("credentials[0].multiple", put(pid, "multiple", 1)),
    "multiple null": ("credentials[0].multiple", put(pid, "multiple", None)),
    "holder binding a text": (
        "credentials[0].require_cryptographic_holder_binding",
        put(pid, "require_cryptographic_holder_binding", "true"),
    ),
    "claims empty": (
        "credentials[0].claims",
        lambda query: (drop(pid, "claim_sets")(query), put(pid, "claims", [])(query))[0],
    ),
    "claims an object": ("credentials[0].claims", put(pid, "claims", {})),
    "claim a text": ("credentials[0].claims[3]", lambda query: pid(query)["claims"].append("name")),
    "claim id twice": ("credentials[0].claims", put(lambda query: claim(query, 1), "id", "name")),
    "claim id with a space": ("credentials[0].claims[0].id", put(claim, "id", "na me")),
    "claim id missing under claim_sets": ("credentials[0].claims", drop(lambda query: claim(query, 1), "id")),
    "same claim twice": ("credentials[0].claims", put(lambda query: claim(query, 1), "path", ["family_name"])),
    "path missing": ("credentials[0].claims[0].path", drop(claim, "path")),
    "path empty": ("credentials[0].claims[0].path", put(claim, "path", [])),
    "path a text": ("credentials[0].claims[0].path", put(claim, "path", "family_name")),
    "path negative": ("credentials[0].claims[0].path", put(claim, "path", ["a", -1])),
    "path with true": ("credentials[0].claims[0].path", put(claim, "path", ["a", True])),
    "path with a fraction": ("credentials[0].claims[0].path", put(claim, "path", ["a", 1.0])),
    "path with an object": ("credentials[0].claims[0].path", put(claim, "path", ["a", {}])),
    "values empty": ("credentials[0].claims[0].values", put(claim, "values", [])),
    "values a text": ("credentials[0].claims[0].values", put(claim, "values", "Doe")),
    "values with null": ("credentials[0].claims[0].values", put(claim, "values", [None])),
    "values with a fraction": ("credentials[0].claims[0].values", put(claim, "values", [1.5])),
    "values with a list": ("credentials[0].claims[0].values", put(claim, "values", [["Doe"]])),
    "claim_sets empty": ("credentials[0].claim_sets", put(pid, "claim_sets", [])),
    "claim_sets flat": ("credentials[0].claim_sets[0]", put(pid, "claim_sets", ["name"])),
    "claim_sets without claims": ("credentials[0].claim_sets", drop(pid, "claims")),
    "claim_sets without claims, of nothing": (
        "credentials[0].claim_sets",
        lambda query: (
            drop(pid, "claims")(query),
            put(pid, "claim_sets", [[]])(query),
        )[0],
    ),
    "claim_sets with a text of known ids": (
        "credentials[0].claim_sets[1]",
        lambda query: (
            put(lambda query: claim(query, 2), "id", "s")(query),
            put(pid, "claim_sets", [["name", "nation"], "s"])(query),
        )[0],
    ),
    "a claim without id that no claim set names": (
        "credentials[0].claims",
        lambda query: pid(query)["claims"].append({"path": ["more"]}),
    ),
    "claim_sets unknown id": ("credentials[0].claim_sets[0]", put(pid, "claim_sets", [["nobody"]])),
    "mdoc path of one": (
        "credentials[1].claims[0].path",
        put(lambda query: mdl(query)["claims"][0], "path", ["portrait"]),
    ),
    "mdoc path of three": (
        "credentials[1].claims[0].path",
        put(lambda query: mdl(query)["claims"][0], "path", ["a", "b", "c"]),
    ),
    "mdoc path with null": (
        "credentials[1].claims[0].path",
        put(lambda query: mdl(query)["claims"][0], "path", ["a", None]),
    ),
    "intent_to_retain a text": (
        "credentials[1].claims[0].intent_to_retain",
        put(lambda query: mdl(query)["claims"][0], "intent_to_retain", "no"),
    ),
    "mdoc draft query": (
        "credentials[1].claims[0].path",
        put(mdl, "claims", [{"namespace": "org.iso.18013.5.1", "claim_name": "portrait"}]),
    ),
    "trusted_authorities empty": ("credentials[0].trusted_authorities", put(pid, "trusted_authorities", [])),
    "authority a text": ("credentials[0].trusted_authorities[0]", put(pid, "trusted_authorities", ["aki"])),
    "authority type missing": ("credentials[0].trusted_authorities[0].type", drop(authority, "type")),
    "authority values missing": ("credentials[0].trusted_authorities[0].values", drop(authority, "values")),
    "authority values empty": ("credentials[0].trusted_authorities[0].values", put(authority, "values", [])),
    "aki in standard base64": (
        "credentials[0].trusted_authorities[0].values",
        put(authority, "values", ["s9tIpPmhxdiuNkHMEWNpYim8S8Y="]),
    ),
}


@pytest.mark.parametrize(("where", "mutation"), MUTATIONS.values(), ids=MUTATIONS.keys())
def test_a_question_with_one_mistake_is_refused(where: str, mutation: Callable[[Json], None]) -> None:
    parse_dcql(VALID)
    broken = copy.deepcopy(VALID)
    mutation(broken)
    for written in (broken, json.dumps(broken)):
        with pytest.raises(DcqlError) as caught:
            parse_dcql(written)
        assert caught.value.where == where
        assert str(caught.value) == f"{where}: {caught.value.detail}"


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("id twice", "the same id twice"),
        ("same claim twice", "the same path twice"),
        ("claim id twice", "the same id twice"),
    ],
)
def test_what_stands_twice_is_named(mistake: str, said: str) -> None:
    broken = copy.deepcopy(VALID)
    MUTATIONS[mistake][1](broken)
    with pytest.raises(DcqlError) as caught:
        parse_dcql(broken)
    assert caught.value.detail == said


@pytest.mark.parametrize("text", ["", "[]", "null", '"x"', "{", '{"credentials":[],"credentials":[]}', b"\xff"])
def test_what_is_no_object_is_no_question(text: str | bytes) -> None:
    with pytest.raises(DcqlError) as caught:
        parse_dcql(text)
    assert (caught.value.where, str(caught.value)) == ("", caught.value.detail)


def test_reading_and_writing_are_inverse() -> None:
    query = parse_dcql(VALID)
    assert dcql_to_json(query) == VALID | {"credential_sets": dcql_to_json(query)["credential_sets"]}
    assert parse_dcql(dcql_to_json(query)) == query
    assert parse_dcql(json.dumps(VALID).encode()) == query


def test_unknown_members_are_ignored_at_each_level() -> None:
    extended = copy.deepcopy(VALID)
    places = [extended, pid(extended), pid(extended)["meta"], claim(extended), first_set(extended), authority(extended)]
    for place in places:
        place["purpose"] = {"x": [1]}
    claim(extended)["intent_to_retain"] = "only mdoc knows it"
    assert parse_dcql(extended) == parse_dcql(VALID)


def test_limits_hold_at_the_limit_and_not_one_above() -> None:
    def many(credentials: int, claims: int) -> Json:
        return {
            "credentials": [
                {
                    "id": f"c{number}",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": ["x"]},
                    "claims": [{"path": [f"p{claim}"]} for claim in range(claims)],
                }
                for number in range(credentials)
            ]
        }

    assert len(parse_dcql(many(MAX_CREDENTIALS, 1)).credentials) == 20
    assert len(parse_dcql(many(1, MAX_CLAIMS)).credentials[0].claims) == 300
    for beyond in (many(MAX_CREDENTIALS + 1, 1), many(1, MAX_CLAIMS + 1)):
        with pytest.raises(DcqlError, match="more than"):
            parse_dcql(beyond)


def test_a_format_that_is_not_known_can_be_asked_for() -> None:
    query = parse_dcql(
        {"credentials": [{"id": "x", "format": "future", "meta": {"any": 1}, "claims": [{"path": [0]}]}]}
    )
    assert query.credentials[0].claims[0].path == (0,)


def _published() -> list[Path]:
    root = vectors_root() / "openid4vp"
    return [*sorted((root / "query_lang").glob("*.json")), *sorted((root / "request").glob("dcql_*.json"))]


@pytest.mark.parametrize("path", _published(), ids=lambda path: path.stem)
def test_published_questions_are_read(path: Path) -> None:
    query = parse_dcql(path.read_text())
    assert parse_dcql(dcql_to_json(query)) == query
    assert dcql_to_json(query) == json.loads(path.read_text())


def test_published_question_with_two_credentials_is_read() -> None:
    query = parse_dcql(vectors_path("openid4vp", "query_lang", "multi_credentials.json").read_text())
    assert [credential.id for credential in query.credentials] == ["pid", "mdl"]
    assert query.credentials[1].meta == MdocMeta("org.iso.7367.1.mVRC")
