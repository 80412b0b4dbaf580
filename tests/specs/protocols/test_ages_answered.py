"""Which element is judged in place of an age that was asked for (ISO/IEC 18013-5 §7.2.5)."""

from dataclasses import replace

import cbor2
import pytest

from specs.credentials.mdoc import DEFAULT_LIMITS
from specs.encoding import base64url
from specs.protocols.dcql import ClaimsQuery, CredentialQuery, DcqlQuery, MdocMeta, Path, SdJwtVcMeta
from specs.protocols.proximity import query_as_answered
from tests.specs.credentials.mdoc_by_hand import DOC_TYPE, NAME_SPACE, OTHER_NAME_SPACE, Hand, Part, item

HELD = {"age_over_18": True, "age_over_14": True, "age_over_65": False}


def asking(*claims: ClaimsQuery) -> DcqlQuery:
    return DcqlQuery((CredentialQuery("a", "mso_mdoc", MdocMeta(DOC_TYPE), claims),))


def presented(answer: Part) -> str:
    return base64url.encode(cbor2.dumps(answer))


SHOWN = presented(Hand(items={NAME_SPACE: [item(place, *held) for place, held in enumerate(HELD.items())]}).response())
REACHED = Hand(items={NAME_SPACE: [item(0, "age_over_18", True)]})


def answered(query: DcqlQuery, *shown: str) -> DcqlQuery:
    return query_as_answered(query, {"a": list(shown)}, limits=DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("asked", "wanted", "answer", "says"),
    [
        ("age_over_16", None, "age_over_18", True),
        ("age_over_16", (True,), "age_over_18", True),
        ("age_over_16", (False, True), "age_over_18", True),
        ("age_over_67", None, "age_over_65", False),
        ("age_over_67", (False,), "age_over_65", False),
    ],
)
def test_the_nearest_age_is_judged_and_must_say_what_was_shown(
    asked: str, wanted: tuple[bool, ...] | None, answer: str, says: bool
) -> None:
    beside = ClaimsQuery((NAME_SPACE, "city"))
    query = asking(ClaimsQuery((NAME_SPACE, asked), id="age", values=wanted), beside)
    assert answered(query, SHOWN) == asking(ClaimsQuery((NAME_SPACE, answer), id="age", values=(says,)), beside)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ((NAME_SPACE, "age_over_18"), None),
        ((NAME_SPACE, "age_over_18"), (False,)),
        ((NAME_SPACE, "age_over_16"), (False,)),
        ((NAME_SPACE, "age_over_16"), (1,)),
        ((NAME_SPACE, "age_over_16"), ("True",)),
        ((NAME_SPACE, "age_over_50"), None),
        ((OTHER_NAME_SPACE, "age_over_16"), None),
        ((NAME_SPACE, "city"), None),
        ((NAME_SPACE, 16), None),
        ((NAME_SPACE, "deeper", "age_over_16"), None),
    ],
    ids=str,
)
def test_nothing_else_is_exchanged(path: Path, wanted: tuple[int | str, ...] | None) -> None:
    query = asking(ClaimsQuery(path, values=wanted))
    assert answered(query, SHOWN) == query


@pytest.mark.parametrize(
    "shown",
    [
        (),
        (SHOWN, SHOWN),
        ("!",),
        (base64url.encode(b"\xff"),),
        (presented({"version": "1.0", "documents": [{"docType": DOC_TYPE, "issuerSigned": {}}], "status": 0}),),
        (presented(Hand(items={NAME_SPACE: [item(0, "age_over_18", True), {"digestID": 1}]}).response()),),
        (presented(replace(REACHED, issuer_header=b"\xa1\x01\x39\xff\xfe").response()),),
    ],
    ids=["nothing", "two", "no base64url", "no CBOR", "no document", "an item that is none", "no known algorithm"],
)
def test_an_answer_that_cant_be_read_exchanges_nothing(shown: tuple[str, ...]) -> None:
    """The judge refuses it then, for what it is."""
    query = asking(ClaimsQuery((NAME_SPACE, "age_over_16")))
    assert answered(query, SHOWN) != query
    assert answered(query, *shown) == query


def test_credentials_of_other_forms_stay_as_they_are() -> None:
    other = CredentialQuery("b", "dc+sd-jwt", SdJwtVcMeta(("v",)), (ClaimsQuery(("age_over_16",)),))
    query = DcqlQuery((other,))
    assert query_as_answered(query, {"b": ["e30.e30.~"]}, limits=DEFAULT_LIMITS) == query
