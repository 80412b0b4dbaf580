"""PostgreSQL without detours: connections kept open, sessions that show the driver's own beside the mapper's.

A connection is taken without a question to the server (a dead one shows by its socket), transactions begin with their
first statement, and looks are read-only connections that need no transaction at all. The mapper works on the same
connection and in the same transaction, for whatever is not worth a statement of `issuer.store.statements`.
"""

import asyncio
import select
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.store.pipeline import BEGIN, COMMIT, ROLLBACK, Cells, Driver, Pipeline, Prepared

WAIT_SECONDS = 30  # for a free connection


class DirectSession(AsyncSession):
    """One transaction, or one look. The mapper is made when somebody asks for it; most requests never do.

    waiting: statements that go along with the next ones, at the latest with the commit.
    """

    def __init__(self, held: "_Open", *, looks: bool) -> None:
        self.held = held
        self._looks = looks
        self._mapper: Session | None = None
        self.waiting: list[tuple[Prepared, list[object]]] = []

    @property  # type: ignore[override]  # two classes above us disagree
    def sync_session(self) -> Session:
        """The mapper, on this session's connection."""
        if self._mapper is None:
            self.held.pipeline.let_go()
            super().__init__(self.held.connection, expire_on_commit=False, autoflush=not self._looks)
        assert self._mapper is not None
        return self._mapper

    @sync_session.setter
    def sync_session(self, mapper: Session) -> None:
        self._mapper = mapper

    @property
    def _proxied(self) -> Session:
        return self.sync_session

    @_proxied.setter
    def _proxied(self, _mapper: Session) -> None:
        pass

    async def run(self, runs: list[tuple[Prepared, list[object]]]) -> list[list[Cells]]:
        """Run statements in one round trip, with those that wait before them; what each selects or returns.

        Raises:
            DBAPIError: the first failure, without the values of a statement.
        """
        pipeline = self.held.pipeline
        begun = [] if self._looks or not pipeline.is_idle else [(BEGIN, ())]
        before, self.waiting = [*begun, *self.waiting], []
        try:
            with shown_as_ours():
                return (await pipeline.run([*before, *runs]))[len(before) :]
        finally:
            if self._mapper is not None:
                pipeline.let_go()

    async def postpone(self, statement: tuple[Prepared, list[object]]) -> None:
        """Send it along with the next ones. What only looks has no end to wait for, and is refused at once."""
        self.waiting.append(statement)
        if self._looks:
            await self.run([])

    async def exec(self, statement: Any, **options: Any) -> Any:
        """See `AsyncSession`; what waits comes first."""
        await self._catch_up()
        return await super().exec(statement, **options)

    async def flush(self, objects: Sequence[Any] | None = None) -> None:
        """See `AsyncSession`; what waits comes first."""
        await self._catch_up()
        await super().flush(objects)

    async def get(self, *arguments: Any, **options: Any) -> Any:
        """See `AsyncSession`; what waits comes first."""
        await self._catch_up()
        return await super().get(*arguments, **options)

    async def keep(self) -> None:
        """Commit what was done."""
        if self._mapper is not None:
            await self.flush()
            await self.commit()
        if self.waiting or not self.held.pipeline.is_idle:
            await self.run([(COMMIT, [])])

    async def undo(self) -> None:
        """Take back what was done."""
        self.waiting = []
        if self._mapper is not None and self._mapper.in_transaction():
            await self.rollback()
        if not self.held.pipeline.is_idle:
            await self.run([(ROLLBACK, [])])

    async def end(self) -> None:
        """Let go of the connection."""
        if self._mapper is not None:
            await self.close()

    async def _catch_up(self) -> None:
        if self.waiting:
            await self.run([])


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
    pipeline: Pipeline


class _Lent:
    """A session for the length of a block."""

    __slots__ = ("_connections", "_session")

    def __init__(self, connections: "Connections") -> None:
        self._connections = connections

    async def __aenter__(self) -> DirectSession:
        self._session = await self._connections.lend()
        return self._session

    async def __aexit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        await self._connections.take_back(self._session, has_failed=kind is not None)


class Connections:
    """Connections of one kind, opened when needed, `size` at most. read_only: for looks, each statement by itself."""

    def __init__(self, engine: AsyncEngine, *, size: int, read_only: bool) -> None:
        self._engine = engine
        self._read_only = read_only
        self._idle: list[_Open] = []
        self._free = asyncio.Semaphore(size)

    def session(self) -> "_Lent":
        """All of the block happens, or nothing; nothing ever where the connections are read-only.

        Raises:
            NoConnection: none became free in time.
        """
        return _Lent(self)

    async def lend(self) -> DirectSession:
        """A session on a connection of its own."""
        await self._wait_until_free()
        try:
            return DirectSession(await self._take(), looks=self._read_only)
        except BaseException:
            self._free.release()
            raise

    async def take_back(self, session: DirectSession, *, has_failed: bool) -> None:
        """End a session: commit, or take everything back.

        Raises:
            DBAPIError: it can't be committed.
        """
        held = session.held
        try:
            if has_failed:
                await self._discard_unless_undone(session, held)
                return
            try:
                if not self._read_only:
                    await session.keep()
                await session.end()
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

    async def _wait_until_free(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise NoConnection("no connection became free in time") from None

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
        return _Open(connection, driver, Pipeline(driver))

    async def _discard_unless_undone(self, session: DirectSession, held: _Open) -> None:
        try:
            await session.undo()
            await session.end()
        except BaseException:  # noqa: BLE001 the error that brought us here is raised by our caller
            await self._discard(held)
        else:
            self._idle.append(held)

    async def _discard(self, held: _Open) -> None:
        held.pipeline.let_go()
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
