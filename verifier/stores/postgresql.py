"""Transactions in PostgreSQL without detours: one statement for each step, on connections that stay open.

The tables are those of `verifier.stores.sql`, and so are the rules. A statement by itself is its own transaction; a
dead connection shows by its socket, without a question to the server (extra `postgres`).
"""

import select
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import cast

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from verifier.stores.sql import FIELDS
from verifier.transaction import Link, Row, State

WAIT_SECONDS = 30  # for a free connection
POOL_SIZE = 10

Driver = psycopg.Connection[tuple[object, ...]]
Values = Mapping[str, object]

_COLUMNS = ", ".join(FIELDS)
_PLACES = ", ".join(f"%({name})s" for name in FIELDS)
_OPEN = "tenant = %(tenant)s AND state = 'asked' AND expires_at > %(now)s"
_LINK = (
    "INSERT INTO presentation_link (tenant, digest, transaction_id, fetch_by, expires_at) "
    "VALUES (%(tenant)s, %(link_digest)s, %(link_transaction_id)s, %(link_fetch_by)s, %(link_expires_at)s)"
)
_ADD = f"INSERT INTO presentation (tenant, {_COLUMNS}) VALUES (%(tenant)s, {_PLACES})"  # noqa: S608  # names of ours
_ADD_BOTH = f"WITH link AS ({_LINK}) {_ADD}"
_COUNT_AND_LINK = (
    "WITH counted AS (UPDATE presentation SET links = links + 1 "  # noqa: S608
    f"WHERE id = %(link_transaction_id)s AND links < %(most)s AND {_OPEN} RETURNING id) "
    "INSERT INTO presentation_link (tenant, digest, transaction_id, fetch_by, expires_at) "
    "SELECT %(tenant)s, %(link_digest)s, id, %(link_fetch_by)s, %(link_expires_at)s FROM counted"
)
_BY_LINK = (
    "WITH found AS ("  # noqa: S608
    f"SELECT {', '.join(f'p.{name}' for name in FIELDS)}, "
    "l.fetched_at IS NULL AND l.fetch_by < p.expires_at AS is_first "
    "FROM presentation_link l JOIN presentation p ON p.tenant = l.tenant AND p.id = l.transaction_id "
    "WHERE l.tenant = %(tenant)s AND l.digest = %(digest)s AND (l.fetched_at IS NOT NULL OR l.fetch_by > %(now)s) "
    "AND p.state = 'asked' AND p.expires_at > %(now)s"
    "), fetched AS ("
    "UPDATE presentation_link SET fetched_at = %(now)s "
    "WHERE tenant = %(tenant)s AND digest = %(digest)s AND fetched_at IS NULL AND (SELECT is_first FROM found)"
    f") SELECT {_COLUMNS} FROM found"
)
_FIND = f"SELECT {_COLUMNS} FROM presentation WHERE "  # noqa: S608
_BY_RESPONSE_HANDLE = f"{_FIND} response_handle_digest = %(digest)s AND {_OPEN}"
_BY_PAGE = f"{_FIND} tenant = %(tenant)s AND page_digest = %(digest)s AND expires_at > %(now)s"
_BY_ID = f"{_FIND} tenant = %(tenant)s AND id = %(id)s AND expires_at > %(now)s"
_END = (
    "UPDATE presentation SET state = %(state)s, sealed = '', outcome = %(outcome)s, "  # noqa: S608
    "response_code_digest = %(response_code_digest)s, expires_at = %(until)s "
    f"WHERE id = %(id)s AND {_OPEN}"
)
_REVEAL = (
    "UPDATE presentation SET state = 'answered', outcome = %(outcome)s "
    "WHERE tenant = %(tenant)s AND id = %(id)s AND state = 'recording' AND expires_at > %(now)s"
)
_TAKE = (
    "UPDATE presentation SET taken_by = %(taken_by)s, outcome = %(kept)s, expires_at = %(until)s "
    "WHERE tenant = %(tenant)s AND id = %(id)s AND state = 'answered' AND expires_at > %(now)s AND taken_by IS NULL "
    "AND response_code_digest IS NOT DISTINCT FROM %(response_code_digest)s"
)
_PURGE_LINKS = "DELETE FROM presentation_link WHERE tenant = %(tenant)s AND expires_at <= %(now)s"
_PURGE = "DELETE FROM presentation WHERE tenant = %(tenant)s AND expires_at <= %(now)s"


class DirectConnections:
    """Connections of one process to the engine's database, opened when needed, `size` at most."""

    def __init__(self, engine: Engine, *, size: int = POOL_SIZE) -> None:
        self._engine = engine
        self._idle: list[Driver] = []
        self._free = threading.Semaphore(size)

    @contextmanager
    def taken(self) -> Iterator[Driver]:
        """A connection for one or more statements.

        Raises:
            DBAPIError: the database can't be reached, or refuses; without the values of a statement.
            NoConnection: none became free in time.
        """
        if not self._free.acquire(timeout=WAIT_SECONDS):
            raise NoConnection("no connection became free in time")
        try:
            with shown_as_ours():
                driver = self._take()
                try:
                    yield driver
                except BaseException:
                    with suppress(psycopg.Error, OSError):
                        driver.close()
                    raise
            self._idle.append(driver)
        finally:
            self._free.release()

    def one_row(self, statement: str, values: Values) -> Sequence[object] | None:
        """The one row that a statement finds."""
        with self.taken() as driver:
            return driver.execute(_bytes(statement), values).fetchone()

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Driver:
        while self._idle:
            with suppress(IndexError):  # another thread was faster
                driver = self._idle.pop()
                if not _is_dead(driver):
                    return driver
                driver.close()
        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        return psycopg.connect(*arguments, **options, autocommit=True)


class PostgresStore:
    """Keeps one tenant's transactions in PostgreSQL; as `SqlStore`."""

    def __init__(self, connections: DirectConnections, *, tenant: str, within: Driver | None = None) -> None:
        """within: a connection whose transaction the caller begins and ends."""
        self._connections = connections
        self._tenant = tenant
        self._within = within

    def within(self, connection: Connection) -> "PostgresStore":
        """The same store, as a part of a transaction of the caller's."""
        driver = connection.connection.driver_connection
        return PostgresStore(self._connections, tenant=self._tenant, within=cast("Driver", driver))

    def add(self, row: Row, link: Link | None) -> None:
        """Keep a new transaction and its first link, both or neither."""
        values = {name: getattr(row, name) for name in FIELDS}
        values["state"] = row.state.value
        self._change(_ADD, values) if link is None else self._change(_ADD_BOTH, {**values, **_link_values(link)})

    def add_link(self, link: Link, *, most: int, now: int) -> bool:
        """Keep a further link; the statement that counts it decides whether there may be one more."""
        return self._change(_COUNT_AND_LINK, {**_link_values(link), "most": most, "now": now}) == 1

    def by_link(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a request handle; as `SqlStore.by_link`."""
        return _row(self._one(_BY_LINK, {"digest": digest, "now": now}))

    def by_response_handle(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a response address."""
        return _row(self._one(_BY_RESPONSE_HANDLE, {"digest": digest, "now": now}))

    def by_page(self, digest: str, *, now: int) -> Row | None:
        """The unexpired transaction of a page."""
        return _row(self._one(_BY_PAGE, {"digest": digest, "now": now}))

    def by_id(self, transaction_id: str, *, now: int) -> Row | None:
        """An unexpired transaction in any state."""
        return _row(self._one(_BY_ID, {"id": transaction_id, "now": now}))

    def end(
        self,
        transaction_id: str,
        *,
        outcome: bytes,
        response_code_digest: str | None,
        now: int,
        expires_at: int,
        state: State = State.ANSWERED,
    ) -> bool:
        """Answer an open transaction, once."""
        values = {"id": transaction_id, "outcome": outcome, "response_code_digest": response_code_digest}
        return self._change(_END, {**values, "state": state.value, "now": now, "until": expires_at}) == 1

    def reveal(self, transaction_id: str, *, outcome: bytes, now: int) -> bool:
        """Let the outcome of a recorded transaction be had."""
        return self._change(_REVEAL, {"id": transaction_id, "outcome": outcome, "now": now}) == 1

    def take(
        self,
        transaction_id: str,
        *,
        response_code_digest: str | None,
        taken_by: str,
        kept: bytes,
        now: int,
        expires_at: int,
    ) -> bool:
        """Let one caller have the outcome, which is erased or sealed anew by the statement that decides who it is."""
        values = {"id": transaction_id, "response_code_digest": response_code_digest, "taken_by": taken_by}
        return self._change(_TAKE, {**values, "kept": kept, "now": now, "until": expires_at}) == 1

    def purge(self, *, now: int) -> int:
        """Delete what has expired."""
        self._change(_PURGE_LINKS, {"now": now})
        return self._change(_PURGE, {"now": now})

    @contextmanager
    def _driver(self) -> Iterator[Driver]:
        if self._within is not None:
            with shown_as_ours():
                yield self._within
            return
        with self._connections.taken() as driver:
            yield driver

    def _change(self, statement: str, values: Values) -> int:
        with self._driver() as driver:
            return driver.execute(_bytes(statement), {**values, "tenant": self._tenant}).rowcount

    def _one(self, statement: str, values: Values) -> dict[str, object] | None:
        with self._driver() as driver, driver.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_bytes(statement), {**values, "tenant": self._tenant}).fetchone()


@contextmanager
def shown_as_ours() -> Iterator[None]:
    """The driver's errors as SQLAlchemy names them, without the values of a statement.

    Raises:
        DBAPIError: the one of its subclasses that stands for the driver's error.
    """
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True, dialect=None) from error


def _bytes(statement: str) -> bytes:
    return statement.encode()  # the driver takes texts only that are literals


def _row(found: dict[str, object] | None) -> Row | None:
    return None if found is None else Row(**{**found, "state": State(found["state"])})  # type: ignore[arg-type]


def _link_values(link: Link) -> Values:
    return {
        "link_digest": link.digest,
        "link_transaction_id": link.transaction_id,
        "link_fetch_by": link.fetch_by,
        "link_expires_at": link.expires_at,
    }


def _is_dead(driver: Driver) -> bool:
    """Whether the server has left: an idle connection has nothing to read but its end, or a notice before it."""
    if driver.closed:
        return True
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return bool(poll.poll(0))
