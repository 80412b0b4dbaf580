"""The shape of an answer is judged before its content: objects of non-empty arrays, in the order of the question."""

import pytest

from specs.protocols.dcql import parse_dcql
from verifier import Limits, ReasonCode, Refused
from verifier.check.shape import check_shape

QUERY = parse_dcql(
    {
        "credentials": [
            {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:de:1"]}},
            {"id": "mdl", "format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"}, "multiple": True},
            {"id": "w3c", "format": "ldp_vc", "meta": {"type_values": [["A"]]}},
        ]
    }
)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a~b~", ReasonCode.VP_TOKEN_MALFORMED),
        ([], ReasonCode.VP_TOKEN_MALFORMED),
        (None, ReasonCode.VP_TOKEN_MALFORMED),
        ({"pid": "a~b~"}, ReasonCode.VP_TOKEN_MALFORMED),
        ({"pid": []}, ReasonCode.VP_TOKEN_MALFORMED),
        ({"pid": {}}, ReasonCode.VP_TOKEN_MALFORMED),
        ({"pid": ["a~"], "other": ["b"]}, ReasonCode.QUERY_ID_UNKNOWN),
        ({"pid": ["a~", "b~"]}, ReasonCode.TOO_MANY_PRESENTATIONS),
        ({"mdl": ["a"] * 21}, ReasonCode.TOO_MANY_PRESENTATIONS),
        ({"pid": [{"a": 1}]}, ReasonCode.FORMAT_MISMATCH),
        ({"pid": [{"~": 1}]}, ReasonCode.FORMAT_MISMATCH),
        ({"pid": [["a", "~"]]}, ReasonCode.FORMAT_MISMATCH),
        ({"pid": [b"a~"]}, ReasonCode.FORMAT_MISMATCH),
        ({"mdl": [["a"]]}, ReasonCode.FORMAT_MISMATCH),
        ({"mdl": [{"a": 1}]}, ReasonCode.FORMAT_MISMATCH),
        ({"w3c": ["a~b~"]}, ReasonCode.FORMAT_MISMATCH),
        ({"w3c": [{"a": 1}]}, ReasonCode.FORMAT_MISMATCH),
        ({"pid": [None]}, ReasonCode.FORMAT_MISMATCH),
        ({"pid": ["a"]}, ReasonCode.FORMAT_MISMATCH),
        ({"mdl": [7]}, ReasonCode.FORMAT_MISMATCH),
        ({"mdl": ["a~"]}, ReasonCode.FORMAT_MISMATCH),
    ],
)
def test_an_answer_of_another_shape_is_refused(value: object, reason: ReasonCode) -> None:
    with pytest.raises(Refused) as caught:
        check_shape(value, query=QUERY, limits=Limits())
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (None, "response"),
        ({"pid": []}, "pid"),
        ({"pid": ["a~", "b~"]}, "pid"),
        ({"mdl": ["a", 7]}, "mdl[1]"),
        ({"mdl": ["a", "x" * 101]}, "mdl[1]"),
        ({"mdl": ["a"] * 21}, "response"),
    ],
)
def test_the_part_that_has_another_shape_is_named(value: object, where: str) -> None:
    with pytest.raises(Refused) as caught:
        check_shape(value, query=QUERY, limits=Limits(presentation_bytes=100))
    assert caught.value.where == where


def test_the_limits_are_reached_and_not_passed() -> None:
    shown = check_shape({"mdl": ["x" * 100] * 20}, query=QUERY, limits=Limits(presentation_bytes=100))
    assert (len(shown), shown[19].where) == (20, "mdl[19]")
    with pytest.raises(Refused) as caught:
        check_shape({"mdl": ["x" * 101]}, query=QUERY, limits=Limits(presentation_bytes=100))
    assert caught.value.reason is ReasonCode.LIMIT_EXCEEDED


def test_an_answer_is_read_in_the_order_of_the_question() -> None:
    shown = check_shape({"mdl": ["x"] * 19, "pid": ["a~"]}, query=QUERY, limits=Limits())
    assert [(found.query.id, found.position) for found in shown[:3]] == [("pid", 0), ("mdl", 0), ("mdl", 1)]
    assert check_shape({}, query=QUERY, limits=Limits()) == ()
    for text in ("a~", "a.b", "a.b~"):  # what is wrong with it beyond its format is told later
        assert check_shape({"pid": [text]}, query=QUERY, limits=Limits())[0].text == text
