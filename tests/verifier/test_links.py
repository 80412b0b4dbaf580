"""Pictures for another device: each has its own link, dies soon unless fetched, and tells nothing once answered."""

import pytest

from specs.refusal import Refusal
from tests.defects import Defect, defect, defects
from tests.verifier.defects_vf import Fetching
from tests.verifier.desk import SD_JWT, Desk, handle_of
from tests.verifier.test_flows import RACERS, raced
from tests.verifier.world import World
from verifier import Flow, ReasonCode
from verifier.ask import PICTURE_SECONDS
from verifier.service import MAX_LINKS
from verifier.transaction import TransactionStore

UNKNOWN = ReasonCode.TRANSACTION_UNKNOWN


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def fetched(desk: Desk, link: str) -> str | None:
    """Fetch the question behind a link; why it was refused."""
    try:
        desk.verifier.request_object(handle_of(link))
    except Refusal as refusal:
        return refusal.reason
    return None


def refused_link(desk: Desk, page: str) -> str | None:
    try:
        desk.verifier.fresh_link(page)
    except Refusal as refusal:
        return refusal.reason
    return None


def test_each_picture_leads_to_the_same_question_by_a_link_of_its_own(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    question = desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE)
    links = [question.wallet_url]
    for _ in range(3):
        desk.clock.now += 10
        links.append(desk.verifier.fresh_link(question.page))
    assert len({handle_of(link) for link in links}) == 4
    assert [fetched(desk, link) for link in links] == [UNKNOWN, UNKNOWN, None, None]


def test_a_picture_that_was_fetched_in_time_stays_good(store: TransactionStore, world: World) -> None:
    """Contract 4: same nonce, key and state, until it is answered."""
    desk = Desk(world, store)
    question = desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE)
    desk.clock.now += 19
    first = desk.read(question)
    desk.clock.now += 200
    again = desk.read(question)
    assert (again.nonce, again.state, again.jwk) == (first.nonce, first.state, first.jwk)
    answer = {"error": "access_denied", "state": first.state}
    assert desk.receive(first, answer).status == 200
    assert fetched(desk, question.wallet_url) == UNKNOWN
    assert refused_link(desk, question.page) == UNKNOWN


def test_many_that_fetch_one_picture_at_once_all_get_it(store: TransactionStore, world: World) -> None:
    """A wallet may fetch twice; whoever comes second finds the link being marked, not gone, and it stays good."""
    desk = Desk(world, store)
    link = desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE).wallet_url
    assert raced(lambda _: fetched(desk, link)) == [None] * RACERS
    desk.clock.now += PICTURE_SECONDS + 1
    assert fetched(desk, link) is None


def test_a_link_on_the_same_device_waits_as_long_as_the_question(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    for flow in (Flow.SAME_DEVICE, Flow.APP):
        question = desk.verifier.ask(SD_JWT, flow=flow)
        desk.clock.now += 299
        assert fetched(desk, question.wallet_url) is None
        desk.clock.now += 1
        assert fetched(desk, question.wallet_url) == UNKNOWN


def test_pictures_of_one_question_are_counted_over_all_workers(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    question = desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE)
    for _ in range(MAX_LINKS - 20):
        assert refused_link(desk, question.page) is None
    outcomes = raced(lambda _: refused_link(desk, question.page))
    assert outcomes.count(None) == 19  # the first picture came with the question
    assert outcomes.count(UNKNOWN) == 13


def test_who_waits_learns_that_an_answer_came_and_nothing_else(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    page = asking.question.page
    assert not desk.verifier.is_answered_for(page)
    assert desk.receive(asking, desk.answer(asking)).status == 200
    assert desk.verifier.is_answered_for(page)
    with pytest.raises(Refusal):
        desk.verifier.is_answered_for(asking.question.session_secret)
    with pytest.raises(Refusal):
        desk.verifier.result(asking.question.id, session_secret=page)


def test_expired_links_are_deleted_with_their_question(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    question = desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE)
    link = desk.verifier.fresh_link(question.page)
    desk.clock.now += 300
    assert desk.verifier.purge() == 1
    desk.clock.now -= 300
    assert fetched(desk, link) == UNKNOWN


# vf-004: a picture that was passed on


@defect("vf-004", refused_as=UNKNOWN)
def passed_on(attempt: Fetching) -> Fetching:
    """Contract 4: twenty seconds after it was drawn, a picture that nobody fetched is worth nothing."""
    question = attempt.desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE)
    attempt.desk.clock.now += 20
    attempt.handle = handle_of(question.wallet_url)
    return attempt


@defect("vf-004b", refused_as=UNKNOWN)
def passed_on_later_picture(attempt: Fetching) -> Fetching:
    """Contract 4: so it is with each later picture."""
    question = attempt.desk.verifier.ask(SD_JWT, flow=Flow.CROSS_DEVICE)
    attempt.desk.clock.now += 100
    link = attempt.desk.verifier.fresh_link(question.page)
    attempt.desk.clock.now += 20
    attempt.handle = handle_of(link)
    return attempt


CASES: list[Defect[Fetching]] = [case for case in defects("vf") if case.apply.__module__ == __name__]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_picture_with_one_defect_is_worth_nothing(case: Defect[Fetching], world: World) -> None:
    assert Fetching.valid(Desk(world)).outcome() is None
    assert case.apply(Fetching.valid(Desk(world))).outcome() == case.refused_as
