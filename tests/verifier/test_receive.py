"""An opened answer and what it still needs: whose way it came, which documents are wanted, where a refusal points."""

from dataclasses import replace

import pytest

from specs.protocols.openid4vp import DcApiProtocol, ResponseMode
from specs.protocols.openid4vp.metadata import ALL_FORMATS
from tests.verifier.desk import IN_CLEAR, IN_PAGE, ORIGIN, SD_JWT, Asking, Desk
from tests.verifier.sd_presentation import valid_presentation
from tests.verifier.test_extended_types import CITY, extended
from tests.verifier.world import NOW
from verifier import Flow, InteractiveAuthorization, ReasonCode, ReferenceKind
from verifier.documents import Documents
from verifier.expectations import DcApi
from verifier.receive import Expected, conclude, judge_of, open_answer, open_dc_api_answer, wanted


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def opened(desk: Desk, asking: Asking, form: dict[str, str]) -> Expected:
    """The answer to a question, as it is judged."""
    row = desk.store.by_id(asking.question.id, now=NOW)
    assert row is not None
    transaction, procedure = desk.verifier._open(row)
    return open_answer(
        form, transaction=transaction, procedure=procedure, trust=desk.world.trust, announced=ALL_FORMATS
    )


def test_a_type_is_looked_up_only_where_types_are_followed(desk: Desk) -> None:
    asking = desk.ask(SD_JWT)
    shown = extended(valid_presentation(desk.world)).holder_saying(nonce=asking.nonce, aud=asking.client_id)
    form = asking.encrypted({"vp_token": {"pid": [shown.text()]}, "state": asking.state})
    judge = judge_of(opened(desk, asking, form), now=NOW)
    nothing: Documents = {}
    assert [(found.kind, found.url) for found in wanted(judge, documents=nothing)] == [
        (ReferenceKind.TYPE_METADATA, CITY)
    ]
    assert wanted(judge, documents=nothing, follow_types=False) == ()


def test_a_status_list_is_wanted_once_and_whether_types_are_followed_or_not(desk: Desk) -> None:
    asking = desk.ask(SD_JWT)
    judge = judge_of(opened(desk, asking, desk.answer(asking)), now=NOW)
    for follow in (True, False):
        (reference,) = wanted(judge, documents={}, follow_types=follow)
        assert reference.kind is ReferenceKind.STATUS_LIST
        assert wanted(judge, documents={reference: None}, follow_types=follow) == ()


def test_a_wallet_that_declines_is_refused_as_a_whole(desk: Desk) -> None:
    asking = desk.ask(IN_CLEAR)
    expected = opened(desk, asking, {"error": "access_denied", "state": asking.state})
    assert judge_of(expected, now=NOW) is None
    assert wanted(None, documents={}) == ()
    verdict = conclude(expected, None, documents={}).verdict
    assert (verdict.reason, verdict.where) == (ReasonCode.WALLET_ERROR, "response")
    broken = replace(expected, opened=replace(expected.opened, broken=ReasonCode.MDOC_MALFORMED))
    verdict = conclude(broken, None, documents={}).verdict
    assert (verdict.reason, verdict.where) == (ReasonCode.MDOC_MALFORMED, "response")


@pytest.mark.parametrize(
    ("mode", "way"), [(ResponseMode.DC_API, DcApi), (ResponseMode.IA_POST, InteractiveAuthorization)]
)
def test_an_answer_in_the_same_form_is_bound_to_the_way_it_came(
    mode: ResponseMode, way: type[DcApi] | type[InteractiveAuthorization], desk: Desk
) -> None:
    question = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)
    row = desk.store.by_id(question.id, now=NOW)
    assert row is not None
    transaction, procedure = desk.verifier._open(row)
    expected = open_dc_api_answer(
        {"protocol": DcApiProtocol.SIGNED, "data": {"vp_token": {"pid": ["a~"]}}},
        origin=ORIGIN,
        transaction=transaction,
        procedure=replace(procedure, response_mode=mode),
        trust=desk.world.trust,
        announced=ALL_FORMATS,
    )
    assert expected.binding == way(ORIGIN)
