"""Transactions in an SQL database: SQLite or PostgreSQL, several processes at once (extra `sql`).

Each method is one statement, so that of two answers the database lets exactly one be first.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.sql import ColumnElement

from verifier.transaction import Row, State

metadata = MetaData()
transactions = Table(
    "presentation_transaction",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("procedure", String(128), nullable=False),
    Column("flow", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("request_handle_digest", String(64), nullable=False, unique=True),
    Column("response_handle_digest", String(64), nullable=False, unique=True),
    Column("session_digest", String(64), nullable=False),
    Column("response_code_digest", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
)
_FIELDS = tuple(column.name for column in transactions.c if column.name != "tenant")
_ROW = [transactions.c[name] for name in _FIELDS]


class SqlStore:
    """Keeps one tenant's transactions in a database; `create_tables` once, at installation."""

    def __init__(self, engine: Engine, *, tenant: str = "default") -> None:
        self._engine = engine
        self._tenant = tenant

    def create_tables(self) -> None:
        """Create the table if it is not there."""
        metadata.create_all(self._engine)

    def add(self, row: Row) -> None:
        """Keep a new transaction."""
        values = {name: getattr(row, name) for name in _FIELDS}
        with self._engine.begin() as connection:
            connection.execute(insert(transactions).values(tenant=self._tenant, **values))

    def by_request_handle(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a request handle."""
        return self._one(and_(transactions.c.request_handle_digest == digest, *self._open(now)))

    def by_response_handle(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a response address."""
        return self._one(and_(transactions.c.response_handle_digest == digest, *self._open(now)))

    def by_id(self, transaction_id: str, *, now: int) -> Row | None:
        """An unexpired transaction in any state."""
        return self._one(and_(*self._of(transaction_id), transactions.c.expires_at > now))

    def end(
        self, transaction_id: str, *, outcome: bytes, response_code_digest: str | None, now: int, expires_at: int
    ) -> bool:
        """Answer an open transaction, once."""
        statement = (
            update(transactions)
            .where(and_(*self._of(transaction_id), *self._open(now)))
            .values(
                state=State.ANSWERED.value,
                sealed=b"",
                outcome=outcome,
                response_code_digest=response_code_digest,
                expires_at=expires_at,
            )
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1

    def take(self, transaction_id: str, *, response_code_digest: str | None, now: int) -> bytes | None:
        """Hand the outcome out, once.

        The outcome is read first and erased by the statement that decides: of two takers one erases it, the other
        gets nothing.
        """
        code = transactions.c.response_code_digest
        ready = and_(
            *self._of(transaction_id),
            transactions.c.expires_at > now,
            transactions.c.outcome != b"",
            code.is_(None) if response_code_digest is None else code == response_code_digest,
        )
        with self._engine.begin() as connection:
            outcome = connection.execute(select(transactions.c.outcome).where(ready)).scalar_one_or_none()
            if outcome is None:
                return None
            taken = connection.execute(update(transactions).where(ready).values(outcome=b"")).rowcount == 1
            return bytes(outcome) if taken else None

    def purge(self, *, now: int) -> int:
        """Delete what has expired."""
        expired = and_(transactions.c.tenant == self._tenant, transactions.c.expires_at <= now)
        with self._engine.begin() as connection:
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
