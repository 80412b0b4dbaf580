"""Entries of the bridge in an SQL database: several processes at once (extra `sql`)."""

from sqlalchemy import BigInteger, Column, Engine, LargeBinary, MetaData, String, Table, and_, delete, insert, select
from sqlalchemy.sql import ColumnElement

from verifier.adapters.oidc.logins import Kind

metadata = MetaData()
entries = Table(
    "oidc_entry",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)


class SqlLogins:
    """Keeps one tenant's entries in a database; `create_tables` once, at installation."""

    def __init__(self, engine: Engine, *, tenant: str = "default") -> None:
        self._engine = engine
        self._tenant = tenant

    def create_tables(self) -> None:
        """Create the table if it is not there."""
        metadata.create_all(self._engine)

    def put(self, kind: Kind, key: str, content: bytes, *, expires_at: int) -> None:
        """Keep an entry, in place of an older one, in one transaction."""
        with self._engine.begin() as connection:
            connection.execute(delete(entries).where(self._at(kind, key)))
            connection.execute(
                insert(entries).values(
                    tenant=self._tenant, kind=kind.value, key=key, content=content, expires_at=expires_at
                )
            )

    def find(self, kind: Kind, key: str, *, now: int) -> bytes | None:
        """An entry that has not expired."""
        live = select(entries.c.content).where(and_(self._at(kind, key), entries.c.expires_at > now))
        with self._engine.connect() as connection:
            return connection.execute(live).scalar_one_or_none()

    def take(self, kind: Kind, key: str, *, now: int) -> bytes | None:
        """An entry that has not expired, once: one statement deletes and returns it."""
        live = delete(entries).where(and_(self._at(kind, key), entries.c.expires_at > now))
        with self._engine.begin() as connection:
            return connection.execute(live.returning(entries.c.content)).scalar_one_or_none()

    def purge(self, *, now: int) -> int:
        """Delete what has expired."""
        with self._engine.begin() as connection:
            gone = delete(entries).where(and_(entries.c.tenant == self._tenant, entries.c.expires_at <= now))
            return connection.execute(gone).rowcount

    def _at(self, kind: Kind, key: str) -> ColumnElement[bool]:
        return and_(entries.c.tenant == self._tenant, entries.c.kind == kind.value, entries.c.key == key)
