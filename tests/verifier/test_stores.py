"""What a store of transactions lets through, to the second and to the last link: in memory and in a database alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from verifier.stores.sql import SqlStore
from verifier.transaction import Link, Row, State, TransactionStore

NOW, END = 1_000, 1_300
ROW = Row(
    id="t1",
    procedure="parking",
    flow="same_device",
    state=State.ASKED,
    response_handle_digest="handle",
    page_digest="page",
    session_digest="session",
    response_code_digest=None,
    created_at=NOW,
    expires_at=END,
    links=1,
    sealed=b"sealed",
    outcome=b"",
    taken_by=None,
)
LINK = Link("link", "t1", NOW + 20, END)
OTHER = replace(ROW, id="t2", response_handle_digest="handle2", page_digest="page2")


def answered(store: TransactionStore, *, state: State = State.ANSWERED, code: str | None = None) -> None:
    """Keep a transaction and answer it."""
    store.add(ROW, LINK)
    assert store.end("t1", outcome=b"verdict", response_code_digest=code, now=NOW, expires_at=END, state=state)


def taken(store: TransactionStore, *, now: int = NOW, code: str | None = None, by: str = "") -> bool:
    """Whether one who comes gets the outcome."""
    return store.take("t1", response_code_digest=code, taken_by=by, kept=b"kept", now=now, expires_at=END + 60)


FOUND: dict[str, Callable[[TransactionStore, int], Row | None]] = {
    "link": lambda store, now: store.by_link("link", now=now),
    "response handle": lambda store, now: store.by_response_handle("handle", now=now),
    "page": lambda store, now: store.by_page("page", now=now),
    "id": lambda store, now: store.by_id("t1", now=now),
}


@pytest.mark.parametrize("way", FOUND)
def test_a_question_is_found_until_the_second_it_ends(store: TransactionStore, way: str) -> None:
    store.add(OTHER, None)
    store.add(ROW, replace(LINK, fetch_by=END))
    assert [FOUND[way](store, now) for now in (NOW, END - 1, END)] == [ROW, ROW, None]


@pytest.mark.parametrize(("way", "open_only"), list(zip(FOUND, (True, True, False, False), strict=True)))
def test_an_answered_question_is_nobodys_to_answer_but_still_its_askers(
    store: TransactionStore, way: str, open_only: bool
) -> None:
    answered(store)
    found = FOUND[way](store, NOW)
    if open_only:
        assert found is None
    else:
        assert found == replace(ROW, state=State.ANSWERED, sealed=b"", outcome=b"verdict")


@pytest.mark.parametrize("way", FOUND)
def test_what_nobody_asked_is_not_found(store: TransactionStore, way: str) -> None:
    store.add(OTHER, None)
    assert FOUND[way](store, NOW) is None


@pytest.mark.parametrize(("first", "found"), [(NOW + 19, True), (NOW + 20, False)])
def test_a_link_must_be_fetched_in_time_and_stays_good_once_it_was(
    store: TransactionStore, first: int, found: bool
) -> None:
    store.add(ROW, LINK)
    assert (store.by_link("link", now=first) is not None) is found
    assert (store.by_link("link", now=NOW + 100) is not None) is found


def test_each_link_has_its_own_time(store: TransactionStore) -> None:
    store.add(ROW, LINK)
    assert store.add_link(replace(LINK, digest="second"), most=5, now=NOW)
    assert store.by_link("second", now=NOW) is not None
    assert store.by_link("link", now=NOW + 20) is None


@pytest.mark.parametrize(("most", "now", "may"), [(1, NOW, False), (2, NOW, True), (2, END - 1, True), (2, END, False)])
def test_further_links_are_made_of_an_open_question_up_to_so_many(
    store: TransactionStore, most: int, now: int, may: bool
) -> None:
    store.add(ROW, LINK)
    assert store.add_link(replace(LINK, digest="second", fetch_by=END), most=most, now=now) is may
    assert (store.by_link("second", now=NOW) is not None) is may
    row = store.by_id("t1", now=NOW)
    assert row is not None
    assert row.links == (2 if may else 1)
    assert not store.add_link(replace(LINK, digest="third"), most=most, now=now)


def test_no_link_is_made_of_what_is_answered_or_unknown(store: TransactionStore) -> None:
    answered(store)
    assert not store.add_link(replace(LINK, digest="second"), most=9, now=NOW)
    assert not store.add_link(replace(LINK, digest="third", transaction_id="t2"), most=9, now=NOW)


@pytest.mark.parametrize(("now", "ends"), [(END - 1, True), (END, False)])
def test_an_answer_ends_a_question_once_and_in_time(store: TransactionStore, now: int, ends: bool) -> None:
    store.add(ROW, LINK)
    outcome = {"outcome": b"verdict", "response_code_digest": "code", "now": now, "expires_at": END + 300}
    assert store.end("t1", **outcome) is ends  # type: ignore[arg-type]  # of several types
    assert store.end("t1", **outcome) is False  # type: ignore[arg-type]  # of several types
    assert store.end("t2", **outcome) is False  # type: ignore[arg-type]  # of several types
    row = store.by_id("t1", now=NOW)
    changed = {"state": State.ANSWERED, "sealed": b"", "outcome": b"verdict", "response_code_digest": "code"}
    assert row == (replace(ROW, **changed, expires_at=END + 300) if ends else ROW)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(("now", "may"), [(END - 1, True), (END, False)])
def test_a_recorded_outcome_is_revealed_once_and_had_only_then(store: TransactionStore, now: int, may: bool) -> None:
    answered(store, state=State.RECORDING)
    assert not taken(store)
    assert not store.reveal("t2", outcome=b"x", now=NOW)
    assert store.reveal("t1", outcome=b"revealed", now=now) is may
    row = store.by_id("t1", now=NOW)
    assert row is not None
    assert (row.state, row.outcome) == ((State.ANSWERED, b"revealed") if may else (State.RECORDING, b"verdict"))
    assert not store.reveal("t1", outcome=b"again", now=END)
    assert taken(store) is may


@pytest.mark.parametrize("state", [State.ASKED, State.ANSWERED])
def test_only_what_is_being_recorded_is_revealed(store: TransactionStore, state: State) -> None:
    store.add(replace(ROW, state=state), None)
    assert not store.reveal("t1", outcome=b"x", now=NOW)


@pytest.mark.parametrize(("now", "gets"), [(END - 1, True), (END, False)])
def test_an_outcome_is_taken_once_and_in_time(store: TransactionStore, now: int, gets: bool) -> None:
    answered(store)
    assert taken(store, now=now, by="first") is gets
    row = store.by_id("t1", now=NOW)
    assert row is not None
    assert (row.taken_by, row.outcome, row.expires_at) == (
        ("first", b"kept", END + 60) if gets else (None, b"verdict", END)
    )
    assert not gets or not taken(store, by="second")


@pytest.mark.parametrize(
    ("expected", "shown", "gets"),
    [
        (None, None, True),
        (None, "code", False),
        ("code", None, False),
        ("code", "other", False),
        ("code", "code", True),
    ],
)
def test_an_outcome_is_had_with_the_code_that_its_wallet_brings_and_no_other(
    store: TransactionStore, expected: str | None, shown: str | None, gets: bool
) -> None:
    answered(store, code=expected)
    assert taken(store, code=shown) is gets


def test_there_is_no_outcome_of_an_open_question(store: TransactionStore) -> None:
    assert not taken(store)
    store.add(ROW, LINK)
    assert not taken(store)


def test_what_has_ended_is_erased_and_nothing_else(store: TransactionStore) -> None:
    store.add(ROW, LINK)
    store.add(replace(OTHER, expires_at=END + 1), Link("link2", "t2", END + 1, END + 1))
    assert [store.purge(now=now) for now in (END - 1, END, END)] == [0, 1, 0]
    assert store.by_id("t1", now=NOW) is None
    assert store.by_link("link2", now=END) is not None
    assert store.by_page("page2", now=END) is not None


def test_handles_of_what_was_erased_open_nothing_even_where_its_id_comes_again(store: TransactionStore) -> None:
    store.add(ROW, LINK)
    assert store.by_link("link", now=NOW) is not None
    store.purge(now=END)
    store.add(replace(ROW, response_handle_digest="new", page_digest="new"), None)
    assert [FOUND[way](store, NOW) for way in ("link", "response handle", "page")] == [None, None, None]
    store.add_link(LINK, most=9, now=NOW)
    assert store.by_link("link", now=NOW + 20) is None  # that one was never fetched


def test_of_two_tenants_in_one_database_each_has_its_own(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'verifier.db'}")
    ours, theirs = SqlStore(engine, tenant="ours"), SqlStore(engine, tenant="theirs")
    ours.create_tables()
    ours.add(ROW, LINK)
    assert [find(theirs, NOW) for find in FOUND.values()] == [None] * 4
    assert not theirs.add_link(replace(LINK, digest="second"), most=9, now=NOW)
    assert not theirs.end("t1", outcome=b"", response_code_digest=None, now=NOW, expires_at=END)
    theirs.add(replace(ROW, response_handle_digest="theirs", page_digest="theirs"), replace(LINK, fetch_by=NOW))
    assert theirs.by_link("link", now=NOW) is None
    assert ours.by_link("link", now=NOW) == ROW
    assert ours.end("t1", outcome=b"v", response_code_digest=None, now=NOW, expires_at=END, state=State.RECORDING)
    assert not theirs.reveal("t1", outcome=b"", now=NOW)
    assert ours.reveal("t1", outcome=b"v", now=NOW)
    assert not taken(theirs)
    assert theirs.purge(now=END) == 1
    assert taken(ours)


def test_a_part_of_the_callers_transaction_goes_back_with_it(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'verifier.db'}")
    store = SqlStore(engine, tenant="ours")
    store.create_tables()
    with engine.connect() as connection:
        store.within(connection).add(ROW, LINK)
        connection.rollback()
        assert store.by_id("t1", now=NOW) is None
        store.within(connection).add(ROW, LINK)
        connection.commit()
    assert store.by_id("t1", now=NOW) == ROW
    assert SqlStore(engine, tenant="default").by_id("t1", now=NOW) is None
