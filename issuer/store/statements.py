"""Statements of the hot paths: written once as SQLAlchemy Core, compiled once, run without the mapper.

On PostgreSQL they go through the pipeline of the session's own connection, in its transaction: `together` sends several
in one round trip, `later` along with whatever comes next, at the latest with the commit. On SQLite all run at once, in
the order they were given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Executable, Table, bindparam, insert, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped
from sqlalchemy.sql import ClauseElement
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

if TYPE_CHECKING:
    from issuer.store.direct import DirectSession
    from issuer.store.pipeline import Prepared

Cells = tuple[Any, ...]
_numbers = count(1)


class Statement:
    """A statement whose `bindparam`s are given with each run. sqlite: its form there, where it differs."""

    def __init__(self, postgresql: Executable, sqlite: Executable | None = None) -> None:
        self._postgresql = postgresql
        self._sqlite = postgresql if sqlite is None else sqlite
        self._compiled: tuple[Prepared, tuple[str, ...], dict[str, object]] | None = None

    async def rows(self, session: AsyncSession, **values: object) -> list[Cells]:
        """Run it; what it selects or returns."""
        return (await together(session, Run(self, values)))[0]

    async def first(self, session: AsyncSession, **values: object) -> Cells | None:
        """Run it; the first row, if there is one."""
        found = (await together(session, Run(self, values)))[0]
        return found[0] if found else None

    async def later(self, session: AsyncSession, **values: object) -> None:
        """Run it before anything else of this transaction, and before its end; nobody waits for what it says."""
        direct = _direct(session)
        if direct is None:
            await self.on_sqlite(session, values)
        else:
            await direct.postpone(self.prepared(values))

    def given(self, **values: object) -> "Run":
        """The statement with its values, for `together`."""
        return Run(self, values)

    def prepared(self, values: Mapping[str, object]) -> "tuple[Prepared, list[object]]":
        """Its form for PostgreSQL, and the values in their order."""
        prepared, names, fixed = self._compiled or self._compile()
        return prepared, [values[name] if name in values else fixed[name] for name in names]

    async def on_sqlite(self, session: AsyncSession, values: Mapping[str, object]) -> list[Cells]:
        """Run it through the mapper's connection."""
        connection = await session.connection()
        result = await connection.execute(self._sqlite, values)
        return [tuple(row) for row in result.all()] if result.returns_rows else []

    def _compile(self) -> "tuple[Prepared, tuple[str, ...], dict[str, object]]":
        from issuer.store.pipeline import Prepared

        assert isinstance(self._postgresql, ClauseElement)
        compiled = self._postgresql.compile(dialect=postgresql.psycopg.dialect(paramstyle="numeric_dollar"))  # type: ignore[no-untyped-call]
        names = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
        required = {name for name, bound in compiled.binds.items() if bound.required}  # type: ignore[attr-defined]
        fixed = {name: value for name, value in compiled.params.items() if name not in required}
        prepared = Prepared(b"stn_%d" % next(_numbers), str(compiled).encode())
        self._compiled = (prepared, names, fixed)
        return self._compiled


@dataclass(frozen=True, slots=True)
class Run:
    """A statement with its values."""

    statement: Statement
    values: Mapping[str, object]


async def together(session: AsyncSession, *runs: Run) -> list[list[Cells]]:
    """Run statements in order, on PostgreSQL in one round trip; what each selects or returns."""
    direct = _direct(session)
    if direct is None:
        return [await run.statement.on_sqlite(session, run.values) for run in runs]
    return await direct.run([run.statement.prepared(run.values) for run in runs])


def one_of(column: Mapped[str], values: Iterable[str]) -> ColumnElement[bool]:
    """`column IN (…)` for values that never change; a list of SQLAlchemy's would be written out at each run."""
    return or_(*(column == value for value in values))


async def insert_rows(
    session: AsyncSession, model: type[SQLModel], *rows: Mapping[str, object], unless_known: str | None = None
) -> None:
    """Insert rows of one table, without the mapper, before the transaction ends.

    rows: values by column, the same columns in each; the model's defaults stand for those left out. unless_known: a
    unique column; rows whose value of it is there already are passed over.
    """
    statement = _insertion(model, tuple(rows[0]), len(rows), unless_known)
    values = {f"{name}_{number}": value for number, row in enumerate(rows) for name, value in row.items()}
    await statement.later(session, **values)


@lru_cache(maxsize=1024)
def _insertion(model: type[SQLModel], given: tuple[str, ...], count: int, unless_known: str | None) -> Statement:
    table: Table = model.__table__  # type: ignore[attr-defined]
    defaults = {
        name: bindparam(None, field.default, type_=table.columns[name].type)
        for name, field in model.model_fields.items()
        if name not in given and not field.is_required()
    }
    rows = [
        {name: bindparam(f"{name}_{number}", type_=table.columns[name].type) for name in given} | defaults
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


def _direct(session: AsyncSession) -> "DirectSession | None":
    """The session's own way to PostgreSQL; None on SQLite."""
    return session if hasattr(session, "waiting") else None  # type: ignore[return-value]


def is_sqlite(session: AsyncSession) -> bool:
    """Whether there is one writer only."""
    return _direct(session) is None
