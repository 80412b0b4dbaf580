"""The issuer's way to its database: one engine, and transactions that say where "all of this or none" is true.

SQLite (WAL, through aiosqlite) is the default, PostgreSQL (through psycopg) comes by one setting. Rules that need a
single winner are single statements; none depends on memory of a process, so any number of workers may share the
database.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel.ext.asyncio.session import AsyncSession

if TYPE_CHECKING:
    from issuer.store.direct import Connections as DirectConnections

BUSY_TIMEOUT_MS = 10_000  # how long a SQLite writer waits for another process
_READ_ONLY = "stadtnachweis_read_only"


class Store:
    """The database of one issuer process.

    database_url: SQLAlchemy URL, `sqlite+aiosqlite:///path` or `postgresql+psycopg://…`. Errors never show the values
    of a statement. pool_size: PostgreSQL connections at most; a third of them only look.
    """

    def __init__(self, database_url: str, *, pool_size: int = 10) -> None:
        url = make_url(database_url)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._looks: DirectConnections | None = None
        self._changes: DirectConnections | None = None
        if self.is_sqlite:
            self.engine: AsyncEngine = create_async_engine(url, hide_parameters=True)
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        else:
            from issuer.store.direct import Connections  # needs the extra `postgres`

            self.engine = create_async_engine(url, hide_parameters=True, pool_size=pool_size, max_overflow=0)
            looks = max(1, pool_size // 3)
            self._looks = Connections(self.engine, size=looks, read_only=True)
            self._changes = Connections(self.engine, size=pool_size - looks, read_only=False)
        self._reading = self.engine.execution_options(**{_READ_ONLY: True})

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Everything in the block happens, or nothing: commits at its end, rolls back on any exception.

        On SQLite the write lock is taken at the beginning (BEGIN IMMEDIATE), so that no two writers meet half-way.
        """
        return self._write_sqlite() if self._changes is None else self._changes.session()

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A consistent look without the write lock; nothing that the block changes is kept."""
        return self._read_sqlite() if self._looks is None else self._looks.session()

    @asynccontextmanager
    async def _write_sqlite(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def _read_sqlite(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._reading, expire_on_commit=False, autoflush=False) as session:
            yield session

    async def close(self) -> None:
        """Close all connections."""
        for connections in (self._looks, self._changes):
            if connections is not None:
                await connections.close()
        await self.engine.dispose()


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
        "synchronous=FULL",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
