"""Who calls the API: the back end of a portal with an API key of its tenant. There is no anonymous call.

A key is `stv_<id>_<secret>`; the database has the id and the secret's SHA-256. Revoking takes effect at once.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Engine, LargeBinary, String, Table, insert, select, update

from verifier.stores.sql import metadata

if TYPE_CHECKING:
    from verifier.stores.postgresql import DirectConnections

KEY_PREFIX = "stv_"
_FIND = "SELECT tenant, secret_digest FROM presentation_client WHERE id = %(id)s AND revoked_at IS NULL"
_API_KEY = re.compile(r"stv_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NOBODYS = bytes(hashlib.sha256().digest_size)

clients = Table(
    "presentation_client",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant", String(64), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("secret_digest", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)


class NotAuthenticated(Exception):
    """No API key, or none that holds."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated back end of one tenant."""

    client_id: str
    tenant: str


class Clients:
    """The API keys of all tenants."""

    def __init__(self, engine: Engine, *, direct: "DirectConnections | None" = None) -> None:
        """direct: of PostgreSQL, where each call of the API looks."""
        self._engine = engine
        self._direct = direct

    def add(self, *, tenant: str, name: str, now: int) -> str:
        """Make an API key; it is shown this once."""
        client_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        with self._engine.begin() as connection:
            connection.execute(
                insert(clients).values(
                    id=client_id, tenant=tenant, name=name, secret_digest=_digest(secret), created_at=now
                )
            )
        return f"{KEY_PREFIX}{client_id}_{secret}"

    def revoke(self, client_id: str, *, now: int) -> bool:
        """End a key; False: there is none of this id."""
        statement = update(clients).where(clients.c.id == client_id, clients.c.revoked_at.is_(None))
        with self._engine.begin() as connection:
            return connection.execute(statement.values(revoked_at=now)).rowcount == 1

    def look(self) -> None:
        """Look whether the database answers and has the table that every call needs; an error of its own says no."""
        with self._engine.connect() as connection:
            connection.execute(select(clients.c.id).limit(1))

    def authenticate(self, authorization: str) -> Caller:
        """The caller behind an Authorization header; takes the same time for unknown ids.

        Raises:
            NotAuthenticated: the header is of another scheme, or the key does not hold.
        """
        match = _key_in(authorization)
        if match is None:
            raise NotAuthenticated
        row = self._find(match[1])
        expected = bytes(row[1]) if row is not None else _NOBODYS
        if not hmac.compare_digest(expected, _digest(match[2])) or row is None:
            raise NotAuthenticated
        return Caller(match[1], str(row[0]))

    def _find(self, client_id: str) -> Sequence[Any] | None:
        """Tenant and digest of a key that was not revoked."""
        if self._direct is not None:
            return self._direct.one_row(_FIND, {"id": client_id})
        found = select(clients.c.tenant, clients.c.secret_digest).where(
            clients.c.id == client_id, clients.c.revoked_at.is_(None)
        )
        with self._engine.connect() as connection:
            return connection.execute(found).one_or_none()


def is_api_key(authorization: str) -> bool:
    """Whether a header looks like one with an API key."""
    return _key_in(authorization) is not None


def _key_in(authorization: str) -> re.Match[str] | None:
    scheme, _, value = authorization.partition(" ")
    return _API_KEY.fullmatch(value) if scheme.lower() == "bearer" else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
