"""The verifier at work, beside its flows: which question takes which answer, and under whose name it is still asked."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from specs.encoding import strict_json
from specs.protocols.openid4vp import RequestError
from specs.refusal import Refusal
from tests.verifier.desk import (
    ENDPOINTS,
    HOST,
    IN_CLEAR,
    IN_PAGE,
    ORIGIN,
    SD_JWT,
    Desk,
    access_identity,
    code_of,
    handle_of,
    reason_of,
)
from tests.verifier.sd_presentation import valid_presentation
from tests.verifier.test_extended_types import CHILD, CITY, REGION, extended
from tests.verifier.test_flows import sqlite_in_memory
from tests.verifier.world import NOW, World
from verifier import (
    Choices,
    ClientIdPrefix,
    DcApiProtocol,
    Fetched,
    Flow,
    MemoryStore,
    NotAllowed,
    ReasonCode,
    RelyingParty,
    RequestWay,
    ResponseMode,
    Verifier,
)
from verifier.cache import CachingFetcher
from verifier.fetch import PolicedFetcher
from verifier.server.tenant_file import load_preset
from verifier.transaction import Seal, Transaction, from_row

UNKNOWN = ReasonCode.TRANSACTION_UNKNOWN
IN_THE_LINK = Choices(
    request_way=RequestWay.PARAMETERS, response_mode=ResponseMode.DIRECT_POST, prefix=ClientIdPrefix.REDIRECT_URI
)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def kept(desk: Desk, transaction_id: str) -> Transaction:
    """An open transaction with its secrets."""
    row = desk.store.by_id(transaction_id, now=int(desk.clock()))
    assert row is not None
    return from_row(row, seal=Seal(desk.sealing_key))


def refused(act: Callable[[], object]) -> str | None:
    """Why something was refused."""
    try:
        act()
    except Refusal as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize(
    ("procedure", "choices", "fresh"),
    [
        (SD_JWT, Choices(), True),
        (SD_JWT, Choices(request_way=RequestWay.REQUEST_URI_POST), True),
        (SD_JWT, Choices(request_way=RequestWay.VALUE), False),
        (SD_JWT, IN_THE_LINK, False),
        (IN_PAGE, Choices(), False),
    ],
    ids=["fetched", "fetched by POST", "by value", "unsigned", "in the page"],
)
def test_only_a_question_that_is_fetched_by_a_link_gets_another(
    procedure: str, choices: Choices, fresh: bool, world: World
) -> None:
    desk = Desk(world)
    question = desk.verifier.ask(procedure, flow=Flow.SAME_DEVICE, choices=choices)
    if not fresh:
        assert refused(lambda: desk.verifier.fresh_link(question.page)) == UNKNOWN
        return
    again = desk.verifier.fresh_link(question.page)
    assert again.startswith("openid4vp://?")
    assert handle_of(again) != handle_of(question.wallet_url)


@pytest.mark.parametrize("name", ["unknown", "", "\x00", "\ud800", "A" * 43, "A" * 44])
def test_what_no_id_or_secret_can_be_is_unknown(name: str, world: World) -> None:
    """A lone surrogate, which no encoding knows, came out as an error of the encoding, or of the database."""
    desk = Desk(world, sqlite_in_memory())
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    in_page = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)
    for act in (
        lambda: desk.verifier.request_object(name),
        lambda: desk.verifier.fresh_link(name),
        lambda: desk.verifier.is_answered_for(name),
        lambda: desk.verifier.is_answered(name),
    ):
        assert refused(act) == UNKNOWN
    assert reason_of(desk.verifier.receive(name, desk.answer(asking))) == UNKNOWN
    for asked, session_secret in ((in_page.id, name), (name, in_page.session_secret)):
        receipt = desk.verifier.receive_dc_api(asked, session_secret=session_secret, origin=ORIGIN, response={})
        assert reason_of(receipt) == UNKNOWN
    assert desk.receive(asking, desk.answer(asking)).status == 200
    secret, collect = asking.question.session_secret, partial(desk.verifier.result, asking.question.id)
    assert refused(partial(collect, session_secret=name)) == UNKNOWN
    assert refused(partial(collect, session_secret=secret, response_code=name)) == UNKNOWN
    first = collect(session_secret=secret, idempotency_key=name)
    assert first.verdict.accepted
    assert collect(session_secret=secret, idempotency_key=name) == first
    assert refused(partial(collect, session_secret=secret, idempotency_key=f"{name}.")) == UNKNOWN


def test_a_question_of_a_page_takes_no_answer_by_post(world: World) -> None:
    """OpenID4VP §A.2: nobody knows the address, and whoever does gets nowhere by it."""
    desk = Desk(world)
    for mode in (ResponseMode.DC_API, ResponseMode.DC_API_JWT):
        question = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE, choices=Choices(response_mode=mode))
        transaction = kept(desk, question.id)
        shown = world.present_sd_jwt(desk.credential, nonce=transaction.nonce, audience=f"origin:{ORIGIN}")
        form = {"vp_token": strict_json.dumps({"pid": [shown]}).decode(), "state": transaction.wallet_state}
        handle = transaction.response_uri.rpartition("/")[2]
        assert reason_of(desk.verifier.receive(handle, form)) == UNKNOWN
        assert not desk.verifier.is_answered(question.id)


def test_a_question_by_link_takes_no_answer_of_a_page(world: World) -> None:
    desk = Desk(world)
    desk.procedures = {IN_CLEAR: replace(desk.procedures[IN_CLEAR], origins=(ORIGIN,))}
    asking = desk.ask(IN_CLEAR)
    receipt = desk.verifier.receive_dc_api(
        asking.question.id,
        session_secret=asking.question.session_secret,
        origin=ORIGIN,
        response={"protocol": DcApiProtocol.SIGNED, "data": {"vp_token": desk.vp_token(asking)}},
    )
    assert reason_of(receipt) == UNKNOWN
    assert not desk.verifier.is_answered(asking.question.id)


def test_a_procedure_that_is_no_more_ends_its_questions(world: World) -> None:
    desk = Desk(world)
    asking = desk.ask()
    del desk.verifier._procedures[SD_JWT]
    assert refused(lambda: desk.verifier.request_object(asking.request_handle)) == UNKNOWN
    assert reason_of(desk.receive(asking, desk.answer(asking))) == UNKNOWN


def test_four_former_certificates_still_hand_out_their_questions(world: World) -> None:
    desk = Desk(world)
    asked = [desk.ask()]
    for _ in range(5):
        party = RelyingParty(access_identity(NOW))
        desk.verifier.renew(party)
        desk.relying_party = party
        asked.append(desk.ask())
    outcomes = [refused(partial(desk.verifier.request_object, each.request_handle)) for each in asked]
    assert outcomes == [UNKNOWN, None, None, None, None, None]
    for each, outcome in zip(asked, outcomes, strict=True):
        if outcome is None:
            assert desk.read(each.question).params["client_id"] == each.client_id


@pytest.mark.parametrize("exact", [None, False, True])
def test_a_type_is_looked_up_unless_the_preset_wants_the_very_type(exact: bool | None, world: World) -> None:
    """OpenID4VP §B.3.5; the German preset knows no extended types."""
    plain = load_preset("plain-1.0")
    profile = None if exact is None else replace(plain, presentations=replace(plain.presentations, vct_exact=exact))
    desk = Desk(world, profile=profile)
    desk.shelf.documents[CITY, "application/json"] = Fetched(CHILD, 200, "application/json", NOW)
    asking = desk.ask()
    shown = extended(valid_presentation(world)).holder_saying(nonce=asking.nonce, aud=asking.client_id)
    receipt = desk.receive(asking, asking.encrypted({"vp_token": {"pid": [shown.text()]}, "state": asking.state}))
    assert desk.shelf.asked_for == ([] if exact else [CITY, REGION])
    assert reason_of(receipt) == ReasonCode.TYPE_MISMATCH


def test_a_verifier_fetches_by_its_own_rules_and_remembers_unless_its_host_brings_a_fetcher(world: World) -> None:
    def verifier(**settings: object) -> Verifier:
        return Verifier(
            RelyingParty(access_identity(NOW)),
            procedures={},
            trust=world.trust,
            store=MemoryStore(),
            sealing_key=bytes(32),
            endpoints=ENDPOINTS,
            **settings,  # type: ignore[arg-type]
        )

    own = verifier()._fetcher
    assert isinstance(own, CachingFetcher)
    assert isinstance(own._fetcher, PolicedFetcher)
    shelf = Desk(world).shelf
    assert verifier(fetcher=shelf)._fetcher is shelf


def test_across_devices_the_wallet_of_a_good_answer_alone_goes_to_the_page_that_unlocks_nothing(world: World) -> None:
    desk = Desk(world)
    done = f"https://{HOST}/done"
    desk.verifier._endpoints = replace(ENDPOINTS, done_url=done)
    good, declined, bad = (desk.ask(flow=Flow.CROSS_DEVICE) for _ in range(3))
    for asking, form in ((good, desk.answer(good)), (declined, {"error": "access_denied", "state": declined.state})):
        receipt = desk.receive(asking, form)
        assert str(receipt.body["redirect_uri"]).startswith(f"{done}?response_code=")
        secret, code = asking.question.session_secret, code_of(receipt)
        collect = partial(desk.verifier.result, asking.question.id, session_secret=secret)
        assert refused(partial(collect, response_code=code)) == UNKNOWN
        assert refused(collect) is None
    receipt = desk.receive(bad, bad.encrypted({"vp_token": {"pid": ["a~"]}, "state": bad.state}))
    assert receipt.status == 400
    assert "redirect_uri" not in receipt.body
    in_page = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE, choices=Choices(response_mode=ResponseMode.DC_API))
    receipt = desk.verifier.receive_dc_api(
        in_page.id,
        session_secret=in_page.session_secret,
        origin=ORIGIN,
        response={"protocol": DcApiProtocol.SIGNED, "data": {"error": "access_denied"}},
    )
    assert (receipt.status, receipt.body) == (200, {})


@pytest.mark.parametrize("flow", list(Flow))
def test_before_an_answer_there_is_no_outcome(flow: Flow, world: World) -> None:
    desk = Desk(world)
    question = desk.verifier.ask(SD_JWT, flow=flow)
    collect = partial(desk.verifier.result, question.id, session_secret=question.session_secret)
    assert refused(collect) == UNKNOWN
    assert refused(partial(collect, response_code="guessed")) == UNKNOWN
    assert refused(partial(collect, idempotency_key="7d2c-0001")) == UNKNOWN


def test_a_refused_answer_leads_nobody_back(world: World) -> None:
    desk = Desk(world)
    asking = desk.ask()
    receipt = desk.receive(asking, asking.encrypted({"vp_token": {"pid": ["a~"]}, "state": asking.state}))
    assert receipt.body.keys() == {"error", "error_description"}
    row = desk.store.by_id(asking.question.id, now=NOW)
    assert row is not None
    assert row.response_code_digest is None


def test_the_last_second_of_a_question_is_the_last_of_what_is_signed(world: World) -> None:
    """RFC 9101 §10.8: a signed question lives no longer than the transaction."""
    desk = Desk(world)
    question = desk.verifier.ask(SD_JWT, flow=Flow.SAME_DEVICE)
    for after in (0, 299):
        desk.clock.now = NOW + after
        params = desk.read(question).params
        assert (params["iat"], params["exp"]) == (NOW + after, NOW + 300)


def test_a_question_that_no_wallet_would_take_leaves_nothing_behind(world: World) -> None:
    desk = Desk(world)
    desk.procedures = {IN_PAGE: replace(desk.procedures[IN_PAGE], origins=("http://city.example",))}
    with pytest.raises(RequestError):
        desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)
    assert desk.verifier.purge() == 0
    desk.clock.now += 10_000
    assert desk.verifier.purge() == 0


def test_a_procedure_that_can_not_be_asked_is_refused_at_once_and_at_each_renewal(world: World) -> None:
    desk = Desk(world)
    nobody = RelyingParty(None)
    with pytest.raises(NotAllowed):
        desk.verifier.renew(nobody)
    assert desk.verifier.relying_party is desk.relying_party
    desk = Desk(world)
    desk.relying_party = nobody
    with pytest.raises(NotAllowed):
        _ = desk.verifier
