"""Statements to PostgreSQL by libpq's pipeline: several in one round trip, prepared once a connection, all in binary.

https://www.postgresql.org/docs/current/libpq-pipeline-mode.html. The driver's cursors do more and cost more: what runs
thousands of times a second is known beforehand and needs no more than this.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult

from specs.encoding import strict_json

Cells = tuple[Any, ...]
Driver = psycopg.AsyncConnection[tuple[object, ...]]
_TEXT, _BINARY = 0, 1
_TOLD_AGAIN = 3  # times
_GOOD = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK})


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


def _json(raw: bytes) -> object:
    return strict_json.parse(raw)


_READ: dict[int, Callable[[bytes], object]] = {
    16: b"\x01".__eq__,  # boolean
    17: bytes,  # bytea
    20: _integer,  # bigint
    21: _integer,  # smallint
    23: _integer,  # integer
    25: bytes.decode,  # text
    114: _json,
    1043: bytes.decode,  # character varying
    2278: lambda _raw: None,  # void
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement with `$1`, `$2`, … in the order of its values."""

    name: bytes
    text: bytes


BEGIN, COMMIT, ROLLBACK = (Prepared(b"stn_" + word.lower(), word) for word in (b"BEGIN", b"COMMIT", b"ROLLBACK"))


class Pipeline:
    """One connection's way to the server, shared with the driver: for one task, never both at one time."""

    def __init__(self, driver: Driver) -> None:
        self._connection: PGconn = driver.pgconn
        self._known: set[bytes] = set()
        self._loop: asyncio.AbstractEventLoop | None = None  # that watches the socket for us
        self._answer: asyncio.Future[None] | None = None
        self._unasked = 0

    @property
    def is_idle(self) -> bool:
        """Whether no transaction is under way."""
        return self._connection.transaction_status == pq.TransactionStatus.IDLE

    async def run(self, runs: Sequence[tuple[Prepared, Sequence[object]]]) -> list[list[Cells]]:
        """Run statements in order, in one round trip; what each selects or returns. After a failure none runs.

        Raises:
            psycopg.Error: the first failure; or an earlier call was left, and its connection is of no use any more.
        """
        connection = self._connection
        if connection.pipeline_status != pq.PipelineStatus.OFF:
            raise psycopg.OperationalError("somebody stopped waiting for what was sent before")
        connection.enter_pipeline_mode()
        awaited: list[Prepared | None] = []  # a statement that is prepared, or none for one that runs
        known = set(self._known)
        for prepared, values in runs:
            if prepared.name not in known:
                connection.send_prepare(prepared.name, prepared.text)
                known.add(prepared.name)
                awaited.append(prepared)
            given, formats = _written(values)
            connection.send_query_prepared(prepared.name, given, formats, _BINARY)
            awaited.append(None)
        connection.pipeline_sync()
        if connection.flush():
            await self._flushed()
        results = await self._results(len(awaited))
        connection.exit_pipeline_mode()
        answers: list[list[Cells]] = []
        for prepared_here, result in zip(awaited, results, strict=True):
            if result.status not in _GOOD:
                raise psycopg.errors.error_from_result(result)
            if prepared_here is None:
                answers.append(_rows(result))
            else:
                self._known.add(prepared_here.name)
        return answers

    async def _results(self, count: int) -> list[PGresult]:
        """One result of each command, up to the end of the pipeline."""
        connection = self._connection
        results: list[PGresult] = []
        while True:
            while connection.is_busy():
                await self._ready(write=False)
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)
            if len(results) > count:
                raise psycopg.OperationalError("the server answered more than it was asked")

    async def _flushed(self) -> None:
        """A large message is sent while its answers are taken in, so that neither side waits for the other."""
        while True:
            await self._ready(write=True)
            self._connection.consume_input()
            if not self._connection.flush():
                return

    async def _ready(self, *, write: bool) -> None:
        loop, socket = self._watched(), self._connection.socket
        self._answer, self._unasked = loop.create_future(), 0
        if write:
            loop.add_writer(socket, self._wake)
        try:
            await self._answer
        finally:
            self._answer = None
            if write:
                loop.remove_writer(socket)

    def _watched(self) -> asyncio.AbstractEventLoop:
        """The loop, which goes on watching the socket until somebody else needs it: to begin and end costs more."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._connection.socket, self._wake)
        return self._loop

    def _wake(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)
            return
        self._unasked += 1  # told twice of one answer, or the server ends the connection
        if self._unasked > _TOLD_AGAIN:
            self.let_go()

    def let_go(self) -> None:
        """Leave the socket to the driver, or to be closed."""
        if self._loop is not None:
            self._loop.remove_reader(self._connection.socket)
            self._loop = None


def _written(values: Sequence[object]) -> tuple[list[bytes | None], list[int]]:
    """Values as parameters. Text goes as it is, so that the server sees, and refuses, a NUL in it."""
    given: list[bytes | None] = []
    formats: list[int] = []
    for value in values:
        if value is None:
            given.append(None)
            formats.append(_TEXT)
        elif isinstance(value, str):
            given.append(value.encode())
            formats.append(_BINARY)
        elif isinstance(value, bytes):
            given.append(value)
            formats.append(_BINARY)
        elif isinstance(value, bool):
            given.append(b"t" if value else b"f")
            formats.append(_TEXT)
        elif isinstance(value, int):
            given.append(b"%d" % value)
            formats.append(_TEXT)
        else:
            given.append(strict_json.dumps(value))
            formats.append(_BINARY)
    return given, formats


def _rows(result: PGresult) -> list[Cells]:
    count = result.ntuples
    if not count:
        return []
    columns = [(number, _READ[result.ftype(number)]) for number in range(result.nfields)]
    value = result.get_value
    return [
        tuple(None if (raw := value(row, column)) is None else read(raw) for column, read in columns)
        for row in range(count)
    ]
