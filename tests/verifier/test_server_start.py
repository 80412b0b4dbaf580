"""What the service makes when it is prepared and built: its key, its database, its stores, and what it writes down."""

import logging
import secrets
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import DBAPIError

from tests.verifier.serving import PARKING, Service
from verifier import ReasonCode
from verifier.server import service as starting
from verifier.server.service import build_service, open_database, prepare
from verifier.stores.postgresql import PostgresStore
from verifier.stores.sql import SqlStore
from verifier.trust_lists import ListEvent, ListEventKind

URL = "https://lists.example/pid.jwt"
POSTGRES = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "data" / "verifier", procedures=(PARKING,))


def test_the_folder_and_the_key_are_for_this_user_alone(service: Service) -> None:
    prepare(service.settings)
    assert service.folder.stat().st_mode & 0o777 == 0o700
    (key,) = service.folder.glob("sealing.key*")
    assert (key.name, key.stat().st_mode & 0o777) == ("sealing.key", 0o600)
    assert len(bytes.fromhex(key.read_text(encoding="ascii"))) == 32


def test_a_key_that_another_process_made_meanwhile_stays(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one worker sealed, all must open."""
    service.folder.mkdir(parents=True)
    key = service.folder / "sealing.key"
    others = secrets.token_hex(32)

    def meanwhile(size: int) -> str:
        key.write_text(others, encoding="ascii")
        return "0" * size

    monkeypatch.setattr(secrets, "token_hex", meanwhile)
    prepare(service.settings)
    assert key.read_text(encoding="ascii") == others
    assert [each.name for each in service.folder.glob("sealing.key*")] == ["sealing.key"]


def test_a_file_of_somebody_elses_is_not_written_into(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever foresees the name of the file that becomes the key could read it."""
    service.folder.mkdir(parents=True)
    foreseen = service.folder / "sealing.key.00000000"
    foreseen.write_bytes(b"")
    monkeypatch.setattr(secrets, "token_hex", lambda size: "00" * size)
    with pytest.raises(FileExistsError):
        prepare(service.settings)
    assert foreseen.read_bytes() == b""


@pytest.mark.parametrize("content", ["", "00" * 31, "00" * 33, "0" * 63, "xx" * 32, "ü" * 64])
def test_what_is_no_key_is_not_started_with(content: str, service: Service) -> None:
    service.written()
    prepare(service.settings)
    build_service(service.settings).close()
    (service.folder / "sealing.key").write_text(content, encoding="utf-8")
    with pytest.raises(starting.NotPrepared, match="missing or not a key"):
        build_service(service.settings)


def test_sqlite_erases_what_is_deleted_and_waits_for_others(service: Service) -> None:
    """What is deleted is written over whatever the build of SQLite does unasked."""
    prepare(service.settings)
    engine = open_database(service.settings)
    asked: list[str] = []

    def traced(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(asked.append)

    event.listen(engine, "connect", traced, insert=True)
    with engine.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "secure_delete", "synchronous", "busy_timeout")
        }
    engine.dispose()
    assert found == {"journal_mode": "wal", "secure_delete": 1, "synchronous": 1, "busy_timeout": 10_000}
    assert {"PRAGMA secure_delete=ON", "PRAGMA synchronous=NORMAL"} <= set(asked)


@pytest.mark.parametrize("database_url", ["", POSTGRES])
def test_errors_of_the_database_show_no_values(database_url: str, service: Service) -> None:
    service.folder.mkdir(parents=True)
    service.database_url = database_url
    engine = open_database(service.settings)
    with pytest.raises(DBAPIError) as failed, engine.connect() as connection:
        connection.execute(text("SELECT * FROM nothing WHERE id = :id"), {"id": "secret"})
    assert "secret" not in str(failed.value)
    assert engine.hide_parameters


def test_on_postgresql_a_connection_is_looked_at_before_it_is_used(service: Service) -> None:
    service.database_url = POSTGRES
    assert open_database(service.settings).pool._pre_ping


def test_on_postgresql_the_tables_are_made_by_one_process_at_a_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite in the place of PostgreSQL, with its lock as a function that notes what was there."""
    engine = open_database(service.settings)
    locked: list[tuple[int, bool]] = []
    tables: list[bool] = []

    def note_lock(number: int) -> None:
        locked.append((number, bool(tables)))

    @event.listens_for(engine, "connect")
    def _with_lock(connection: object, _record: object) -> None:
        connection.create_function("pg_advisory_xact_lock", 1, note_lock)  # type: ignore[attr-defined]

    @event.listens_for(engine, "before_cursor_execute")
    def _note_tables(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "CREATE TABLE" in statement:
            tables.append(True)

    monkeypatch.setattr(engine.dialect, "name", "postgresql")
    monkeypatch.setattr(starting, "open_database", lambda _settings: engine)
    before = engine.pool
    prepare(service.settings)
    assert engine.pool is not before  # nothing stays open
    assert locked == [(0x5AD7_0002, False)]
    assert "presentation_client" in inspect(engine).get_table_names()


@pytest.mark.parametrize(("database_url", "kind"), [("", SqlStore), (POSTGRES, PostgresStore)])
def test_each_database_has_its_store(database_url: str, kind: type[object], service: Service) -> None:
    service.written()
    prepare(service.settings)
    built = build_service(service.settings.model_copy(update={"database_url": database_url}))
    assert {type(each.store) for each in built.tenants.values()} == {kind}
    assert (built.direct is None) == (kind is SqlStore)
    assert built.clients._direct is built.direct
    built.close()


class Opened:
    """Connections of which it is known whether they were closed."""

    closed = False

    def close(self) -> None:
        """Close them."""
        self.closed = True


def test_whatever_is_open_to_the_database_is_closed(service: Service) -> None:
    service.written()
    prepare(service.settings)
    built = build_service(service.settings)
    direct = Opened()
    object.__setattr__(built, "direct", direct)
    before = built.engine.pool
    built.close()
    assert direct.closed
    assert built.engine.pool is not before


@pytest.mark.parametrize(
    ("kind", "reason", "level", "said"),
    [
        (ListEventKind.LOADED, None, logging.INFO, "loaded, number 5"),
        (ListEventKind.UNCHANGED, None, logging.INFO, "unchanged, number 5"),
        (ListEventKind.REFUSED, ReasonCode.TRUST_LIST_OLDER, logging.WARNING, "refused trust_list_older"),
        (ListEventKind.UNREACHABLE, None, logging.WARNING, "unreachable "),
        (ListEventKind.EXPIRED, None, logging.WARNING, "expired "),
    ],
)
def test_what_becomes_of_a_list_is_written_down(
    kind: ListEventKind, reason: ReasonCode | None, level: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="verifier"):
        starting._note_list(ListEvent(kind, URL, reason, 5))
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [(level, f"trust list {URL}: {said}")]


def test_what_fails_in_the_background_is_written_down_without_its_text(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.written()
    prepare(service.settings)
    built = build_service(service.settings)

    def failing() -> float:
        raise KeyError("secret")

    built.background._called(failing)
    assert [each.getMessage() for each in caplog.records] == ["in the background: KeyError"]


def test_files_beside_the_tenants_folders_are_no_tenants(service: Service) -> None:
    service.written()
    (service.settings.effective_tenants_dir / "README").write_text("x")
    prepare(service.settings)
    assert list(build_service(service.settings).tenants) == ["halle", "leipzig"]
