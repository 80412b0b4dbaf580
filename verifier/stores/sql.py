"""Transactions in an SQL database: SQLite or PostgreSQL, several processes at once (extra `sql`).

Whatever decides between two callers is one statement, so that of two answers the database lets exactly one be first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.sql import ColumnElement

from verifier.transaction import Link, Row, State

metadata = MetaData()
transactions = Table(
    "presentation",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("procedure", String(128), nullable=False),
    Column("flow", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("response_handle_digest", String(64), nullable=False, unique=True),
    Column("page_digest", String(64), nullable=False, unique=True),
    Column("session_digest", String(64), nullable=False),
    Column("response_code_digest", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("links", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
    Column("taken_by", String(64)),
)
links = Table(
    "presentation_link",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("transaction_id", String(64), nullable=False),
    Column("fetch_by", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("fetched_at", BigInteger),
)
FIELDS = tuple(column.name for column in transactions.c if column.name != "tenant")
_ROW = [transactions.c[name] for name in FIELDS]


class SqlStore:
    """Keeps one tenant's transactions in a database; `create_tables` once, at installation."""

    def __init__(self, engine: Engine, *, tenant: str = "default", within: Connection | None = None) -> None:
        """within: a connection whose transaction the caller begins and ends."""
        self._engine = engine
        self._tenant = tenant
        self._within = within

    def within(self, connection: Connection) -> "SqlStore":
        """The same store, as a part of a transaction of the caller's."""
        return SqlStore(self._engine, tenant=self._tenant, within=connection)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        if self._within is not None:
            yield self._within
            return
        with self._engine.begin() as connection:
            yield connection

    def create_tables(self) -> None:
        """Create the tables if they are not there."""
        metadata.create_all(self._engine)

    def add(self, row: Row, link: Link | None) -> None:
        """Keep a new transaction and its first link, both or neither."""
        values = {name: getattr(row, name) for name in FIELDS}
        with self._begin() as connection:
            connection.execute(insert(transactions).values(tenant=self._tenant, **values))
            if link is not None:
                connection.execute(insert(links).values(tenant=self._tenant, **_link_values(link)))

    def add_link(self, link: Link, *, most: int, now: int) -> bool:
        """Keep a further link; the statement that counts it decides whether there may be one more."""
        counted = (
            update(transactions)
            .where(and_(*self._of(link.transaction_id), *self._open(now), transactions.c.links < most))
            .values(links=transactions.c.links + 1)
        )
        with self._begin() as connection:
            if connection.execute(counted).rowcount != 1:
                return False
            connection.execute(insert(links).values(tenant=self._tenant, **_link_values(link)))
            return True

    def by_link(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a request handle.

        A handle that was fetched once stays good, so two first fetches at one moment may both mark it.
        """
        mine = and_(links.c.tenant == self._tenant, links.c.digest == digest)
        good = or_(links.c.fetched_at.is_not(None), links.c.fetch_by > now)
        together = and_(transactions.c.tenant == links.c.tenant, transactions.c.id == links.c.transaction_id)
        found = select(*_ROW, links.c.fetched_at, links.c.fetch_by).select_from(links.join(transactions, together))
        with self._engine.connect() as connection:
            row = connection.execute(found.where(and_(mine, good, *self._open(now)))).mappings().one_or_none()
        if row is None:
            return None
        if row["fetched_at"] is None and row["fetch_by"] < row["expires_at"]:
            with self._begin() as connection:
                connection.execute(update(links).where(and_(mine, links.c.fetched_at.is_(None))).values(fetched_at=now))
        return Row(**{**{name: row[name] for name in FIELDS}, "state": State(row["state"])})

    def by_response_handle(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a response address."""
        return self._one(and_(transactions.c.response_handle_digest == digest, *self._open(now)))

    def by_page(self, digest: str, *, now: int) -> Row | None:
        """The unexpired transaction of a page."""
        mine = and_(transactions.c.tenant == self._tenant, transactions.c.page_digest == digest)
        return self._one(and_(mine, transactions.c.expires_at > now))

    def by_id(self, transaction_id: str, *, now: int) -> Row | None:
        """An unexpired transaction in any state."""
        return self._one(and_(*self._of(transaction_id), transactions.c.expires_at > now))

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
        statement = (
            update(transactions)
            .where(and_(*self._of(transaction_id), *self._open(now)))
            .values(
                state=state.value,
                sealed=b"",
                outcome=outcome,
                response_code_digest=response_code_digest,
                expires_at=expires_at,
            )
        )
        with self._begin() as connection:
            return connection.execute(statement).rowcount == 1

    def reveal(self, transaction_id: str, *, outcome: bytes, now: int) -> bool:
        """Let the outcome of a recorded transaction be had."""
        waiting = and_(
            *self._of(transaction_id),
            transactions.c.state == State.RECORDING.value,
            transactions.c.expires_at > now,
        )
        statement = update(transactions).where(waiting).values(state=State.ANSWERED.value, outcome=outcome)
        with self._begin() as connection:
            return connection.execute(statement).rowcount == 1

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
        ready = and_(
            *self._of(transaction_id),
            transactions.c.state == State.ANSWERED.value,
            transactions.c.expires_at > now,
            transactions.c.taken_by.is_(None),
            transactions.c.response_code_digest == response_code_digest,  # of None, `IS NULL`
        )
        statement = update(transactions).where(ready).values(taken_by=taken_by, outcome=kept, expires_at=expires_at)
        with self._begin() as connection:
            return connection.execute(statement).rowcount == 1

    def purge(self, *, now: int) -> int:
        """Delete what has expired."""
        expired = and_(transactions.c.tenant == self._tenant, transactions.c.expires_at <= now)
        with self._begin() as connection:
            connection.execute(delete(links).where(and_(links.c.tenant == self._tenant, links.c.expires_at <= now)))
            return connection.execute(delete(transactions).where(expired)).rowcount

    def _of(self, transaction_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return transactions.c.tenant == self._tenant, transactions.c.id == transaction_id

    def _open(self, now: int) -> tuple[ColumnElement[bool], ...]:
        return (
            transactions.c.tenant == self._tenant,
            transactions.c.state == State.ASKED.value,
            transactions.c.expires_at > now,
        )

    def _one(self, condition: ColumnElement[bool]) -> Row | None:
        with self._engine.connect() as connection:
            found = connection.execute(select(*_ROW).where(condition)).mappings().one_or_none()
        if found is None:
            return None
        return Row(**{**found, "state": State(found["state"])})


def _link_values(link: Link) -> dict[str, str | int]:
    return {
        "digest": link.digest,
        "transaction_id": link.transaction_id,
        "fetch_by": link.fetch_by,
        "expires_at": link.expires_at,
    }
