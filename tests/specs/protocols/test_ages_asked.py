"""How many ages a whole request may ask for (ISO/IEC 18013-5 §7.2.5)."""

from typing import Any

import cbor2
import pytest

from specs.encoding import cbor
from specs.protocols.dcql import ClaimsQuery, CredentialQuery, DcqlQuery, MdocMeta
from specs.protocols.proximity import documents_asked, parse_device_request
from specs.refusal import ReasonCode
from tests.specs.protocols.test_proximity import reason_of, request

AGES = [{f"age_over_{age}": False} for age in (16, 18, 21)]


@pytest.mark.parametrize(
    ("documents", "refused"),
    [
        ([("d", {"d": AGES[0] | AGES[1]})], False),
        ([("d", {"d": AGES[0] | AGES[1] | AGES[2]})], True),
        ([("d", {"d": AGES[0] | AGES[1]}), ("d", {"d": AGES[2]})], True),
        ([("d", {"d": AGES[0] | AGES[1]}), ("o", {"d": AGES[2]})], True),
        ([("d", {"d": AGES[0] | AGES[1]}), ("o", {"d": AGES[1]})], False),
        ([("d", {"d": AGES[0] | AGES[1], "o": AGES[2]})], False),
    ],
    ids=["two", "three", "by asking twice", "by another document", "the same again", "of another name space"],
)
def test_a_request_asks_for_two_ages_of_a_name_space_at_most(documents: list[Any], refused: bool) -> None:
    """§7.2.5: of the whole request; more answers narrow an age down, whichever way they are asked for."""
    each = [cbor.encode({"docType": doc_type, "nameSpaces": elements}) for doc_type, elements in documents]
    data = request(docRequests=[{"itemsRequest": cbor2.CBORTag(24, encoded)} for encoded in each])
    if refused:
        assert reason_of(lambda: parse_device_request(data)) is ReasonCode.LIMIT_EXCEEDED
    else:
        assert len(parse_device_request(data).doc_requests) == len(documents)


def test_a_question_asks_for_two_ages_of_a_name_space_at_most() -> None:
    claims = [ClaimsQuery(("d", name)) for age in AGES for name in age]
    first = CredentialQuery("a", "mso_mdoc", MdocMeta("d"), tuple(claims[:2]))
    for doc_type, claim in (("o", claims[1]), ("o", ClaimsQuery(("o", "age_over_21")))):
        documents_asked(DcqlQuery((first, CredentialQuery("b", "mso_mdoc", MdocMeta(doc_type), (claim,)))))
    with pytest.raises(ValueError, match=r"^b: of one name space at most 2 ages"):
        documents_asked(DcqlQuery((first, CredentialQuery("b", "mso_mdoc", MdocMeta("o"), (claims[2],)))))
