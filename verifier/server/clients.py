"""Who calls the API: the back end of a portal with an API key of its tenant. There is no anonymous call.

A key is `stv_<id>_<secret>`; the database has the id and the secret's SHA-256. Revoking takes effect at once.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Engine, LargeBinary, String, Table, insert, select, update

from verifier.stores.sql import metadata

KEY_PREFIX = "stv_"
_API_KEY = re.compile(r"stv_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")

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

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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

    def authenticate(self, authorization: str | None) -> Caller:
        """The caller behind an Authorization header; takes the same time for unknown ids.

        Raises:
            NotAuthenticated: the header is missing or of another scheme, or the key does not hold.
        """
        scheme, _, value = (authorization or "").partition(" ")
        match = _API_KEY.fullmatch(value) if scheme.lower() == "bearer" else None
        if match is None:
            raise NotAuthenticated
        found = select(clients.c.tenant, clients.c.secret_digest).where(
            clients.c.id == match[1], clients.c.revoked_at.is_(None)
        )
        with self._engine.connect() as connection:
            row = connection.execute(found).one_or_none()
        expected = bytes(row.secret_digest) if row is not None else bytes(32)
        if not hmac.compare_digest(expected, _digest(match[2])) or row is None:
            raise NotAuthenticated
        return Caller(match[1], str(row.tenant))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
