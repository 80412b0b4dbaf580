"""The flows of a transaction: asked, fetched, answered once, collected once by who asked; on every kind of store."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import get_type_hints

import pytest
from sqlalchemy import StaticPool, create_engine

from specs.refusal import Refusal
from tests.defects import Defect, defects
from tests.verifier import defects_vf
from tests.verifier.defects_vf import Collecting, Fetching, Posting
from tests.verifier.desk import (
    IN_CLEAR,
    MDOC,
    RETURN_URL,
    Desk,
    code_of,
    reason_of,
    status_address,
)
from tests.verifier.world import NAME_SPACE, STATUS_URI, World
from verifier import (
    Check,
    Flow,
    MemoryStore,
    OverDisclosure,
    Policy,
    ReasonCode,
    Receipt,
    Verifier,
)
from verifier.stores.sql import SqlStore
from verifier.transaction import TransactionStore

Attempt = Posting | Collecting | Fetching
CASES: list[Defect[Attempt]] = [case for case in defects("vf") if case.apply.__module__ == defects_vf.__name__]
LINES = {f"vf-{number:03}" for number in (1, 2, 3, 5, 6, 7, 8, 9, 11, 12)}
RACERS = 32


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest) -> Callable[[], TransactionStore]:
    """Opens an empty store of one kind."""
    return MemoryStore if request.param == "memory" else sqlite_in_memory


def sqlite_in_memory() -> TransactionStore:
    """A database of this test alone."""
    store = SqlStore(create_engine("sqlite://", poolclass=StaticPool))
    store.create_tables()
    return store


def test_each_line_of_the_flows_is_here() -> None:
    assert {case.id[:6] for case in CASES} == LINES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_attempt_with_one_defect_is_refused(
    case: Defect[Attempt], open_store: Callable[[], TransactionStore], world: World
) -> None:
    kind = get_type_hints(case.apply)["attempt"]
    assert kind.valid(Desk(world, open_store())).outcome() is None
    assert case.apply(kind.valid(Desk(world, open_store()))).outcome() == case.refused_as


def raced(act: Callable[[int], str | None]) -> list[str | None]:
    """What each of many gets who act at the same moment."""
    barrier = Barrier(RACERS)

    def run(number: int) -> str | None:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(run, range(RACERS)))


def test_of_many_answers_at_once_one_is_the_answer(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    asking = desk.ask()
    same, other = desk.answer(asking), desk.answer(asking)
    receipts: list[Receipt] = []

    def post(number: int) -> str | None:
        receipt = desk.receive(asking, same if number % 2 else other)
        receipts.append(receipt)
        return reason_of(receipt)

    outcomes = raced(post)
    assert outcomes.count(None) == 1
    assert outcomes.count(ReasonCode.TRANSACTION_UNKNOWN) == RACERS - 1
    first = next(receipt for receipt in receipts if receipt.status == 200)
    found = desk.verifier.result(
        asking.question.id, session_secret=asking.question.session_secret, response_code=code_of(first)
    )
    assert found.verdict.claims("pid")["family_name"] == "LINDENAU"


def test_of_many_collectors_at_once_one_gets_the_verdict(store: TransactionStore, world: World) -> None:
    attempt = Collecting.valid(Desk(world, store))
    outcomes = raced(lambda _: attempt.outcome())
    assert outcomes.count(None) == 1
    assert outcomes.count(ReasonCode.TRANSACTION_UNKNOWN) == RACERS - 1


def test_a_transaction_from_question_to_verdict(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    asking = desk.ask()
    verifier, question = desk.verifier, asking.question
    assert not verifier.is_answered(question.id)
    receipt = desk.receive(asking, desk.answer(asking))
    assert receipt.status == 200
    assert str(receipt.body["redirect_uri"]).startswith(f"{RETURN_URL}?response_code=")
    assert verifier.is_answered(question.id)
    outcome = verifier.result(question.id, session_secret=question.session_secret, response_code=code_of(receipt))
    assert outcome.verdict.claims("pid") == {
        "family_name": "LINDENAU",
        "address": {"locality": "LEIPZIG"},
        **{name: outcome.verdict.claims("pid")[name] for name in outcome.verdict.claims("pid") if name in ALWAYS_SHOWN},
    }
    assert Check.STATUS in outcome.verdict.credentials[0].checks
    assert desk.shelf.asked_for == [STATUS_URI]
    desk.clock.now += 300
    assert verifier.purge() == 1
    with pytest.raises(Refusal):
        verifier.is_answered(question.id)


ALWAYS_SHOWN = {"vct", "iat", "nbf", "exp", "cnf", "status", "iss"}


def test_across_devices_the_asker_alone_gets_the_verdict_and_the_wallet_goes_nowhere(world: World) -> None:
    desk = Desk(world)
    asking = desk.ask(MDOC, flow=Flow.CROSS_DEVICE)
    form = asking.encrypted({"vp_token": desk.mdoc_token(asking), "state": asking.state})
    assert desk.receive(asking, form) == Receipt(200, {})
    with pytest.raises(Refusal):
        desk.verifier.result(asking.question.id, session_secret="guessed")
    outcome = desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret)
    assert outcome.verdict.claims("pid") == {NAME_SPACE: {"family_name": "LINDENAU", "resident_city": "LEIPZIG"}}


def test_what_is_gone_and_what_never_was_get_one_answer(world: World) -> None:
    """vf-002: no oracle. Status and body are the same whatever the cause."""
    desk = Desk(world)
    answered, late = desk.ask(), desk.ask()
    desk.receive(answered, desk.answer(answered))
    answers = [desk.receive(answered, desk.answer(answered)), desk.verifier.receive("never", desk.answer(late))]
    form = desk.answer(late)
    desk.clock.now += 300
    answers.append(desk.receive(late, form))
    assert {(answer.status, str(answer.body)) for answer in answers} == {
        (400, str({"error": "invalid_request", "error_description": "transaction_unknown"}))
    }
    assert len(answers) == 3


def test_a_refused_answer_ends_the_question_with_its_reason(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    desk.shelf.documents[status_address()] = world.status_lists(states={7: 1})[status_address()]
    asking = desk.ask()
    receipt = desk.receive(asking, desk.answer(asking))
    assert (receipt.status, reason_of(receipt)) == (400, ReasonCode.STATUS_REVOKED)
    outcome = desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret)
    assert (outcome.verdict.accepted, outcome.verdict.reason) == (False, ReasonCode.STATUS_REVOKED)
    assert not outcome.verdict.credentials


def test_a_status_list_that_can_not_be_had_refuses(world: World) -> None:
    desk = Desk(world)
    desk.shelf.documents.clear()
    asking = desk.ask()
    assert reason_of(desk.receive(asking, desk.answer(asking))) == ReasonCode.STATUS_UNAVAILABLE


@pytest.mark.parametrize("code", ["access_denied", "invalid_request", "wallet_unavailable", "one_of_its_own"])
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_wallets_error_ends_the_question_as_an_outcome(code: str, encrypted: bool, world: World) -> None:
    """vf-008: whatever it says is text, cut off."""
    desk = Desk(world)
    asking = desk.ask()
    error = {"error": code, "error_description": "<script>alert(1)</script>" * 10_000, "state": asking.state}
    receipt = desk.receive(asking, asking.encrypted(error) if encrypted else error)
    assert receipt.status == 200
    assert "script" not in str(receipt.body)
    outcome = desk.verifier.result(
        asking.question.id, session_secret=asking.question.session_secret, response_code=code_of(receipt)
    )
    assert (outcome.wallet_error, outcome.verdict.reason) == (code, ReasonCode.WALLET_ERROR)


def test_a_wallets_error_code_is_cut_off(world: World) -> None:
    desk = Desk(world)
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    assert desk.receive(asking, {"error": "access_denied"}).status == 400  # without its state it ends nothing
    assert desk.receive(asking, {"error": "<b>" * 100_000, "state": asking.state}).status == 200
    outcome = desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret)
    assert outcome.wallet_error is not None
    assert len(outcome.wallet_error) <= 500


def test_claims_beyond_the_question_are_dropped_and_named_or_refused(world: World) -> None:
    """vf-011: nothing that was not asked for is handed on or kept."""
    paths = (("family_name",), ("given_name",), ("address", "locality"))
    for rule, expected in ((OverDisclosure.DROP, None), (OverDisclosure.REFUSE, ReasonCode.CLAIM_NOT_REQUESTED)):
        desk = Desk(world, policy=Policy(on_over_disclosure=rule))
        asking = desk.ask(flow=Flow.CROSS_DEVICE)
        shown = world.present_sd_jwt(desk.credential, paths=paths, nonce=asking.nonce, audience=asking.client_id)
        receipt = desk.receive(asking, asking.encrypted({"vp_token": {"pid": [shown]}, "state": asking.state}))
        assert reason_of(receipt) == expected
        outcome = desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret)
        assert outcome.verdict.over_disclosed == ("pid:given_name",)
        assert "MILA" not in str(outcome)


def test_a_question_is_the_same_as_often_as_it_is_fetched(world: World) -> None:
    """vf-006: two wallets may fetch it; only the nonce that each posted differs."""
    desk = Desk(world)
    asking = desk.ask()
    again = desk.read(asking.question)
    assert {name: asking.params[name] for name in asking.params if name not in ("iat", "exp", "jti")} == {
        name: again.params[name] for name in again.params if name not in ("iat", "exp", "jti")
    }
    assert desk.receive(again, desk.answer(asking)).status == 200
    assert reason_of(desk.receive(asking, desk.answer(again))) == ReasonCode.TRANSACTION_UNKNOWN


def test_an_answer_in_clear_is_accepted_where_the_procedure_says_so(world: World) -> None:
    desk = Desk(world)
    asking = desk.ask(IN_CLEAR)
    form = {"vp_token": json.dumps(desk.vp_token(asking)), "state": asking.state}
    assert desk.receive(asking, form).status == 200


def test_a_procedure_without_a_way_back_is_asked_across_devices_only(world: World) -> None:
    desk = Desk(world)
    verifier: Verifier = desk.verifier
    verifier._procedures = {name: replace(one, return_url=None) for name, one in verifier._procedures.items()}
    assert verifier.ask(MDOC, flow=Flow.CROSS_DEVICE).id
    with pytest.raises(ValueError, match="return_url"):
        verifier.ask(MDOC, flow=Flow.SAME_DEVICE)
    with pytest.raises(KeyError):
        verifier.ask("unknown", flow=Flow.CROSS_DEVICE)


# handed out once, or again to the same key


def test_whoever_repeats_the_same_key_gets_the_same_verdict(store: TransactionStore, world: World) -> None:
    """Contract 4: a lost answer is not a lost verdict, for five minutes."""
    desk = Desk(world, store)
    attempt = Collecting.valid(desk)

    def collected(key: str | None, **changes: str) -> object:
        given = {"session_secret": attempt.session_secret, "response_code": attempt.response_code, **changes}
        try:
            return desk.verifier.result(attempt.id, idempotency_key=key, **given)  # type: ignore[arg-type]
        except Refusal as refusal:
            return refusal.reason

    first = collected("7d2c-0001")
    assert not isinstance(first, ReasonCode)
    desk.clock.now += 299
    assert collected("7d2c-0001") == first
    for other in (
        collected("7d2c-0002"),
        collected(None),
        collected("7d2c-0001", session_secret="guessed"),
        collected("7d2c-0001", response_code="guessed"),
    ):
        assert other is ReasonCode.TRANSACTION_UNKNOWN
    desk.clock.now += 1
    assert collected("7d2c-0001") is ReasonCode.TRANSACTION_UNKNOWN


def test_of_many_repeats_at_once_each_gets_the_same_verdict(store: TransactionStore, world: World) -> None:
    desk = Desk(world, store)
    attempt = Collecting.valid(desk)

    def collect(number: int) -> str | None:
        try:
            found = desk.verifier.result(
                attempt.id,
                session_secret=attempt.session_secret,
                response_code=attempt.response_code,
                idempotency_key="one-key-0" if number % 2 else "one-key-1",
            )
        except Refusal as refusal:
            return refusal.reason
        return str(found.verdict.claims("pid")["family_name"])

    outcomes = raced(collect)
    assert outcomes.count("LINDENAU") == RACERS // 2
    assert outcomes.count(ReasonCode.TRANSACTION_UNKNOWN) == RACERS // 2


def test_claims_are_gone_without_a_redeemed_code(store: TransactionStore, world: World) -> None:
    """Contract 4: at the end of the response code the claims are erased."""
    desk = Desk(world, store)
    attempt = Collecting.valid(desk)
    desk.clock.now += 300
    assert attempt.outcome() == ReasonCode.TRANSACTION_UNKNOWN
    assert desk.verifier.purge() == 1
    desk.clock.now -= 300
    assert store.by_id(attempt.id, now=desk.clock.now) is None
