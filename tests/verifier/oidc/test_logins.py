"""What the bridge remembers, for how long and for whom: in memory and in a database alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.verifier.desk import Clock
from tests.verifier.oidc.conftest import CALLBACK
from verifier.adapters.oidc import MemoryLogins
from verifier.adapters.oidc.logins import Asked, Granted, Kind, Login, Logins, LoginStore
from verifier.adapters.oidc.pace import Pace
from verifier.adapters.oidc.sql import SqlLogins

NOW = 1_800_000_000
HERE, PHONE = Asked("t1", "s1", "wallet:1", "p1"), Asked("t2", "s2", "wallet:2", "p2")
LOGIN = Login("scope=openid", "portal", HERE, PHONE)
GRANTED = Granted("portal", CALLBACK, "openid", {"sub": "pseudonym"}, NOW, "n", "acr", "challenge")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LoginStore]:
    """An empty store."""
    if request.param == "memory":
        yield MemoryLogins()
        return
    engine = create_engine(f"sqlite:///{tmp_path / 'logins.db'}")
    made = SqlLogins(engine)
    made.create_tables()
    yield made
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock(NOW)


@pytest.fixture
def logins(store: LoginStore, clock: Clock) -> Logins:
    """The store as the bridge uses it."""
    return Logins(store, sealing_key=bytes(32), clock=clock)


def test_an_entry_is_there_until_the_second_it_ends(store: LoginStore) -> None:
    store.put(Kind.CODE, "key", b"content", expires_at=100)
    assert [store.find(Kind.CODE, "key", now=now) for now in (99, 100)] == [b"content", None]
    assert store.take(Kind.CODE, "key", now=99) == b"content"
    assert store.take(Kind.CODE, "key", now=99) is None
    store.put(Kind.CODE, "key", b"content", expires_at=100)
    assert store.take(Kind.CODE, "key", now=100) is None


def test_entries_are_told_apart_by_kind_and_key_and_the_newest_counts(store: LoginStore) -> None:
    for kind, key, content in (
        (Kind.CODE, "key", b"older"),
        (Kind.CODE, "key", b"newer"),
        (Kind.TOKEN, "key", b"token"),
        (Kind.CODE, "other", b"other"),
    ):
        store.put(kind, key, content, expires_at=100)
    assert store.take(Kind.LOGIN, "key", now=1) is None
    assert store.take(Kind.CODE, "third", now=1) is None
    assert store.take(Kind.CODE, "key", now=1) == b"newer"
    assert store.find(Kind.TOKEN, "key", now=1) == b"token"
    assert store.find(Kind.CODE, "other", now=1) == b"other"


def test_what_has_ended_is_erased_and_nothing_else(store: LoginStore) -> None:
    for key, end in (("a", 99), ("b", 100), ("c", 101)):
        store.put(Kind.CODE, key, b"", expires_at=end)
    assert [store.purge(now=100), store.purge(now=100)] == [2, 0]
    assert [store.find(Kind.CODE, key, now=0) for key in "abc"] == [None, None, b""]


def test_of_two_tenants_in_one_database_each_has_its_own(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'logins.db'}")
    ours, theirs = SqlLogins(engine), SqlLogins(engine, tenant="theirs")
    ours.create_tables()
    ours.put(Kind.CODE, "key", b"ours", expires_at=100)
    assert (theirs.find(Kind.CODE, "key", now=1), theirs.take(Kind.CODE, "key", now=1)) == (None, None)
    assert theirs.purge(now=200) == 0
    theirs.put(Kind.CODE, "key", b"theirs", expires_at=100)
    assert ours.take(Kind.CODE, "key", now=1) == b"ours"
    assert SqlLogins(engine, tenant="default").find(Kind.CODE, "key", now=1) is None


def test_a_login_is_had_with_its_secret_for_ten_minutes_and_ends_once(logins: Logins, clock: Clock) -> None:
    secret, other = logins.begin(LOGIN), logins.begin(LOGIN)
    assert secret != other
    clock.now = NOW + 599
    assert logins.login(secret) == LOGIN
    assert [logins.end(secret), logins.end(secret), logins.login(secret)] == [True, False, None]
    assert logins.login("guess") is None
    clock.now = NOW + 600
    assert logins.login(other) is None
    assert logins.purge() == 1
    assert logins.end(other) is False


@pytest.mark.parametrize(("after", "good"), [(59, True), (60, False)])
def test_a_code_is_good_once_and_for_a_minute(logins: Logins, clock: Clock, after: int, good: bool) -> None:
    """RFC 6749 §4.1.2."""
    logins.grant("code", GRANTED)
    clock.now = NOW + after
    found = logins.redeem("code", client_id="portal")
    assert (found is not None) is good
    if found is not None:
        assert found.code == "code"
        assert (found.get_redirect_uri(), found.get_scope(), found.get_nonce()) == (CALLBACK, "openid", "n")
        assert (found.get_auth_time(), found.get_acr()) == (NOW, "acr")
        assert (found.claims, found.code_challenge) == ({"sub": "pseudonym"}, "challenge")
    assert logins.redeem("code", client_id="portal") is None


def test_a_code_stays_good_for_its_client_whoever_else_tries_it(logins: Logins) -> None:
    logins.grant("code", GRANTED)
    assert logins.redeem("code", client_id="library") is None
    assert logins.redeem("code", client_id="portal") is not None


@pytest.mark.parametrize(("by", "after", "ends"), [("portal", 299, True), ("library", 0, False)])
def test_a_token_ends_when_its_client_comes_with_the_code_again(
    logins: Logins, clock: Clock, by: str, after: int, ends: bool
) -> None:
    """RFC 6749 §4.1.2: the code has leaked.

    Another client can't end it; that one had tried was enough for the token to outlive its own client's second try.
    """
    logins.grant("code", GRANTED)
    granted = logins.redeem("code", client_id="portal")
    assert granted is not None
    logins.issue("token", granted)
    clock.now = NOW + after
    assert logins.claims("token") == {"sub": "pseudonym"}
    assert logins.redeem("code", client_id=by) is None
    assert (logins.claims("token") is None) is ends
    assert logins.redeem("code", client_id="portal") is None
    assert logins.claims("token") is None


def test_a_token_lives_for_five_minutes(logins: Logins, clock: Clock) -> None:
    logins.issue("token", GRANTED)
    clock.now = NOW + 299
    assert logins.claims("token") == {"sub": "pseudonym"}
    assert logins.claims("another") is None
    clock.now = NOW + 300
    assert logins.claims("token") is None


def test_a_secret_is_256_random_bits() -> None:
    """Whoever guesses one is somebody else."""
    logins = Logins(MemoryLogins(), sealing_key=bytes(32), random=lambda size: bytes([size]) * size)
    assert logins.new_secret() == "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICA"


def test_a_sealed_entry_opens_in_its_own_place_only(store: LoginStore, logins: Logins) -> None:
    """Whoever can write into the store can't make a code of a token, nor one person's code another's."""
    kept: dict[tuple[Kind, str], bytes] = {}
    put = store.put

    def noted(kind: Kind, key: str, content: bytes, *, expires_at: int) -> None:
        kept[kind, key] = content
        put(kind, key, content, expires_at=expires_at)

    store.put = noted  # type: ignore[method-assign]  # listens
    logins.grant("one", GRANTED)
    logins.issue("one", GRANTED)
    logins.grant("two", GRANTED)
    (code, key), (token, _), _, (_, other) = kept
    assert (code, token) == (Kind.CODE, Kind.TOKEN)
    for kind, place, content in ((token, key, kept[code, key]), (code, key, kept[code, other])):
        assert b"pseudonym" not in content
        put(kind, place, content, expires_at=NOW + 60)
        with pytest.raises(ValueError, match="seal"):
            logins.claims("one") if kind is token else logins.redeem("one", client_id="portal")


@pytest.mark.parametrize("start", [0, 60, NOW])
def test_a_minute_ends_on_the_minute(start: int) -> None:
    pace = Pace(1)
    assert [pace.allows(now=start + after) for after in (0, 59, 60, 119, 120)] == [True, False, True, False, True]
