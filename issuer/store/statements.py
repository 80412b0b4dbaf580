"""Statements of the hot paths: written once as SQLAlchemy Core, compiled once, run without the mapper.

On PostgreSQL they go to the driver of the session's own connection, in its transaction; on SQLite through the session.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Table, bindparam, insert, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped
from sqlalchemy.sql import ClauseElement
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

Cells = tuple[Any, ...]
_Convert = Callable[[object], object]


class Statement:
    """A statement whose `bindparam`s are given with each run. sqlite: its form there, where it differs."""

    def __init__(self, postgresql: Executable, sqlite: Executable | None = None) -> None:
        self._postgresql = postgresql
        self._sqlite = postgresql if sqlite is None else sqlite
        self._compiled: tuple[bytes, dict[str, object], dict[str, _Convert]] | None = None

    async def rows(self, session: AsyncSession, **values: object) -> list[Cells]:
        """Run it; what it selects or returns."""
        driver = getattr(session, "driver", None)
        if driver is None:
            connection = await session.connection()
            result = await connection.execute(self._sqlite, values)
            return [tuple(row) for row in result.all()] if result.returns_rows else []
        from issuer.store.direct import shown_as_ours

        text, fixed, converts = self._compiled or self._compile(session)
        given = fixed | values
        for name, convert in converts.items():
            given[name] = convert(given[name])
        with shown_as_ours():
            cursor = await driver.execute(text, given)
            found: list[Cells] = await cursor.fetchall() if cursor.description else []
        return found

    async def first(self, session: AsyncSession, **values: object) -> Cells | None:
        """Run it; the first row, if there is one."""
        found = await self.rows(session, **values)
        return found[0] if found else None

    def _compile(self, session: AsyncSession) -> tuple[bytes, dict[str, object], dict[str, _Convert]]:
        dialect = session.get_bind().dialect
        assert isinstance(self._postgresql, ClauseElement)
        compiled = self._postgresql.compile(dialect=dialect)
        converts: dict[str, _Convert] = {}
        for parameter, name in compiled.bind_names.items():  # type: ignore[attr-defined]
            convert = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if convert is not None:
                converts[name] = convert
        fixed = dict(compiled.construct_params(_check=False) or {})  # type: ignore[call-arg]
        self._compiled = (str(compiled).encode(), fixed, converts)
        return self._compiled


def one_of(column: Mapped[str], values: Iterable[str]) -> ColumnElement[bool]:
    """`column IN (…)` for values that never change; a list of SQLAlchemy's would be written out at each run."""
    return or_(*(column == value for value in values))


async def insert_rows(session: AsyncSession, *rows: SQLModel, unless_known: str | None = None) -> None:
    """Insert rows of one table at once, without the mapper; the defaults of their model hold.

    unless_known: a unique column; rows whose value of it is there already are passed over.
    """
    model = type(rows[0])
    names = [column.name for column in _table(model).columns]
    values = {f"{name}_{number}": getattr(row, name) for number, row in enumerate(rows) for name in names}
    await _insertion(model, len(rows), unless_known).rows(session, **values)


@lru_cache(maxsize=1024)
def _insertion(model: type[SQLModel], count: int, unless_known: str | None) -> Statement:
    table = _table(model)
    rows = [
        {column.name: bindparam(f"{column.name}_{number}", type_=column.type) for column in table.columns}
        for number in range(count)
    ]
    if unless_known is None:
        return Statement(insert(table).values(rows))
    return Statement(
        *(
            dialect.insert(table).values(rows).on_conflict_do_nothing(index_elements=[unless_known])
            for dialect in (postgresql, sqlite)
        )
    )


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table
