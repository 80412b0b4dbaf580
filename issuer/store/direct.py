"""PostgreSQL without detours: connections kept open, sessions that show the driver's own beside the mapper's.

A connection is taken without a question to the server (a dead one shows by its socket), transactions begin with their
first statement, and looks are read-only connections that need no transaction at all. The mapper works on the same
connection and in the same transaction, for whatever is not worth a statement of `issuer.store.statements`.
"""

import asyncio
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

WAIT_SECONDS = 30  # for a free connection

Driver = psycopg.AsyncConnection[tuple[object, ...]]


class DirectSession(AsyncSession):
    """One transaction, or one look: `driver` is the connection that this session works on."""

    def __init__(self, connection: AsyncConnection, driver: Driver, *, autoflush: bool) -> None:
        super().__init__(connection, expire_on_commit=False, autoflush=autoflush)
        self.driver = driver

    @property
    def is_used(self) -> bool:
        """Whether the mapper has anything to do with this session."""
        mapper = self.sync_session
        return mapper.in_transaction() or bool(mapper.new) or bool(mapper.identity_map)

    async def keep(self) -> None:
        """Commit what was done, through the mapper if that was used."""
        if self.is_used:
            await self.commit()
        with shown_as_ours():
            await self.driver.commit()

    async def undo(self) -> None:
        """Take back what was done."""
        if self.sync_session.in_transaction():
            await self.rollback()
        if self.driver.info.transaction_status is not TransactionStatus.IDLE:
            await self.driver.rollback()


class shown_as_ours:  # noqa: N801 reads as a word of a `with` statement
    """The driver's errors as SQLAlchemy names them, without the values of a statement."""

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Name the error anew.

        Raises:
            DBAPIError: the one of its subclasses that stands for the driver's error.
        """
        if isinstance(error, psycopg.Error):
            raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True, dialect=None) from error


@dataclass(frozen=True, slots=True)
class _Open:
    connection: AsyncConnection
    driver: Driver


class Connections:
    """Connections of one kind, opened when needed, `size` at most. read_only: for looks, each statement by itself."""

    def __init__(self, engine: AsyncEngine, *, size: int, read_only: bool) -> None:
        self._engine = engine
        self._read_only = read_only
        self._idle: list[_Open] = []
        self._free = asyncio.Semaphore(size)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[DirectSession]:
        """All of the block happens, or nothing; nothing ever where the connections are read-only.

        Raises:
            NoConnection: none became free in time.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise NoConnection("no connection became free in time") from None
        try:
            held = await self._take()
            session = DirectSession(held.connection, held.driver, autoflush=not self._read_only)
            try:
                yield session
                if not self._read_only:
                    await session.keep()
                if session.is_used:
                    await session.close()
            except BaseException:
                await self._discard_unless_undone(session, held)
                raise
            self._idle.append(held)
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            await self._discard(self._idle.pop())

    async def _take(self) -> _Open:
        while self._idle:
            held = self._idle.pop()
            if not _is_dead(held.driver):
                return held
            await self._discard(held)
        connection = await self._engine.connect()
        try:
            if self._read_only:
                connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, psycopg.AsyncConnection)
            if self._read_only:
                await driver.execute("SET default_transaction_read_only = on")
        except BaseException:
            await connection.close()
            raise
        return _Open(connection, driver)

    async def _discard_unless_undone(self, session: DirectSession, held: _Open) -> None:
        try:
            await session.undo()
            await session.close()
        except BaseException:  # noqa: BLE001 the error that brought us here is raised by our caller
            await self._discard(held)
        else:
            self._idle.append(held)

    async def _discard(self, held: _Open) -> None:
        with suppress(SQLAlchemyError, psycopg.Error, OSError):
            await held.connection.invalidate()
        with suppress(SQLAlchemyError, psycopg.Error, OSError):
            await held.connection.close()


def _is_dead(driver: Driver) -> bool:
    """Whether the server has left: an idle connection has nothing to read but its end, or a notice before it."""
    if driver.closed:
        return True
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return bool(poll.poll(0))
