"""Who calls the service's API, and what a repeated call gets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from verifier.server.clients import Caller, Clients, NotAuthenticated, clients, is_api_key
from verifier.server.idempotency import Call, OtherBody, insertion, once, records, sweep
from verifier.stores.sql import metadata

NOW = 1_790_000_000
LIFETIME = 3600
SEALING_KEY = b"k" * 32
LEIPZIG, HALLE = Caller("00" * 8, "leipzig"), Caller("00" * 8, "halle")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'verifier.db'}")
    metadata.create_all(made)
    yield made
    made.dispose()


def effect(answer: bytes) -> Callable[[Connection], bytes]:
    return lambda _connection: answer


def called(
    engine: Engine,
    answer: bytes,
    *,
    caller: Caller = LEIPZIG,
    key: str = "key-0001",
    body: bytes = b"{}",
    now: int = NOW,
) -> bytes:
    call = Call(caller, key, body)
    return once(engine, call, effect(answer), sealing_key=SEALING_KEY, lifetime=LIFETIME, now=now)


@pytest.mark.parametrize(
    ("later", "again"), [(0, b"first"), (LIFETIME - 1, b"first"), (LIFETIME, b"second"), (LIFETIME + 1, b"second")]
)
def test_a_call_happens_once_until_its_record_ends(later: int, again: bytes, engine: Engine) -> None:
    assert called(engine, b"first") == b"first"
    assert called(engine, b"second", now=NOW + later) == again
    assert called(engine, b"third", now=NOW + later) == again


def test_a_record_that_ended_forbids_no_other_body(engine: Engine) -> None:
    called(engine, b"first")
    with pytest.raises(OtherBody):
        called(engine, b"second", body=b"[]", now=NOW + LIFETIME - 1)
    assert called(engine, b"second", body=b"[]", now=NOW + LIFETIME) == b"second"


@pytest.mark.parametrize(
    "other", [{"caller": HALLE}, {"caller": Caller("11" * 8, "leipzig")}, {"key": "key-0002"}], ids=str
)
def test_another_tenant_key_or_client_gets_an_answer_of_its_own(other: dict[str, object], engine: Engine) -> None:
    assert called(engine, b"first") == b"first"
    assert called(engine, b"second", **other) == b"second"  # type: ignore[arg-type]
    assert called(engine, b"third") == b"first"


def test_an_answer_that_was_moved_to_another_caller_does_not_open(engine: Engine) -> None:
    """Whoever can write into the database gives nobody another's secret, not even one who uses the same key."""
    called(engine, b"first")
    called(engine, b"second", caller=HALLE)
    with engine.begin() as connection:
        of_leipzig = connection.execute(records.select().where(records.c.tenant == "leipzig")).one()
        connection.execute(records.update().where(records.c.tenant == "halle").values(answer=of_leipzig.answer))
    with pytest.raises(ValueError, match="seal"):
        called(engine, b"third", caller=HALLE)


def test_an_effect_that_fails_leaves_nothing(engine: Engine) -> None:
    def failing(_connection: Connection) -> bytes:
        raise KeyError("x")

    with pytest.raises(KeyError):
        once(engine, Call(LEIPZIG, "key-0001", b"{}"), failing, sealing_key=SEALING_KEY, lifetime=LIFETIME, now=NOW)
    assert called(engine, b"second") == b"second"


@pytest.mark.parametrize(("later", "kept"), [(LIFETIME - 1, 1), (LIFETIME, 0)])
def test_a_record_is_swept_when_it_ends(later: int, kept: int, engine: Engine) -> None:
    called(engine, b"first")
    sweep(engine, now=NOW + later)
    with engine.connect() as connection:
        assert len(connection.execute(records.select()).all()) == kept


@pytest.mark.parametrize("url", ["postgresql+psycopg://", "sqlite://"])
def test_each_database_is_asked_to_keep_the_first_in_its_own_words(url: str) -> None:
    dialect = create_engine(url).dialect
    assert str(insertion(dialect.name).compile(dialect=dialect)).endswith("ON CONFLICT DO NOTHING")


def test_a_key_holds_from_its_making_to_its_revocation(engine: Engine) -> None:
    keys = Clients(engine)
    made = keys.add(tenant="leipzig", name="portal", now=NOW)
    client_id, secret = made.removeprefix("stv_").split("_", 1)
    assert keys.authenticate(f"Bearer {made}") == Caller(client_id, "leipzig")
    assert keys.authenticate(f"bEARER {made}") == Caller(client_id, "leipzig")  # RFC 9110 §11.1
    with engine.connect() as connection:
        (row,) = connection.execute(clients.select()).all()
    assert (row.id, row.tenant, row.name, row.created_at, row.revoked_at) == (
        client_id,
        "leipzig",
        "portal",
        NOW,
        None,
    )
    assert secret.encode() not in row.secret_digest
    assert not keys.revoke("ff" * 8, now=NOW + 1)
    assert keys.authenticate(f"Bearer {made}").tenant == "leipzig"
    assert keys.revoke(client_id, now=NOW + 1)
    with pytest.raises(NotAuthenticated):
        keys.authenticate(f"Bearer {made}")
    assert not keys.revoke(client_id, now=NOW + 2)
    with engine.connect() as connection:
        assert connection.execute(clients.select()).one().revoked_at == NOW + 1


def test_each_key_is_another(engine: Engine) -> None:
    keys = Clients(engine)
    first, second = (keys.add(tenant="leipzig", name="portal", now=NOW) for _ in range(2))
    assert len({*first.split("_", 2), *second.split("_", 2)}) == 5
    with pytest.raises(NotAuthenticated):
        keys.authenticate("Bearer " + first[:20] + second[20:])


@pytest.mark.parametrize(
    "bend",
    [
        lambda key: key[:0],
        lambda key: key,
        lambda key: f"Basic {key}",
        lambda key: f"Bearer  {key}",
        lambda key: f"Bearer {key}\n",
        lambda key: f"Bearer {key}0",
        lambda key: f"Bearer {key[:-1]}",
        lambda key: f"Bearer {key.replace('stv_', 'sti_')}",
        lambda key: f"Bearer {key[:-2]}==",
        lambda key: f"Bearer stv_{key[4:20].upper()}g_{key[21:]}",
    ],
)
def test_what_is_no_key_is_nobodys(bend: Callable[[str], str], engine: Engine) -> None:
    keys = Clients(engine)
    made = keys.add(tenant="leipzig", name="portal", now=NOW)
    assert is_api_key(f"Bearer {made}")
    assert not is_api_key(bend(made))
    with pytest.raises(NotAuthenticated):
        keys.authenticate(bend(made))


class Direct:
    """Runs a statement that is written for PostgreSQL's driver on another database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asked = 0

    def one_row(self, statement: str, values: Mapping[str, object]) -> Sequence[object] | None:
        """The one row that a statement finds."""
        self.asked += 1
        with self._engine.connect() as connection:
            return connection.execute(text(statement % {name: f":{name}" for name in values}), values).one_or_none()


def test_a_key_is_found_without_the_framework_of_the_database_too(engine: Engine) -> None:
    direct = Direct(engine)
    keys = Clients(engine, direct=direct)  # type: ignore[arg-type]
    made = keys.add(tenant="leipzig", name="portal", now=NOW)
    assert (keys.authenticate(f"Bearer {made}").tenant, direct.asked) == ("leipzig", 1)
    keys.revoke(made.split("_")[1], now=NOW)
    with pytest.raises(NotAuthenticated):
        keys.authenticate(f"Bearer {made}")


def test_an_unknown_id_is_nobodys(engine: Engine) -> None:
    with pytest.raises(NotAuthenticated):
        Clients(engine).authenticate(f"Bearer stv_{'0' * 16}_{'A' * 43}")
