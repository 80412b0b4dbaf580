"""Who calls the City API: an API key, or a token got for client credentials. There is no anonymous call.

An API key is `stn_<id>_<secret>`; the database has the id and the secret's SHA-256. A token is a JWT for ten minutes,
signed with a key of this service alone; revoking its client ends it at once, because the client is looked up on every
call.
"""

import hmac
import re
import secrets
from dataclasses import dataclass, field

import jwt
from sqlalchemy import bindparam, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.secrets_at_rest import digest
from issuer.store.statements import Statement
from issuer.store.tables import ApiClient, ClientKind, Role

KEY_PREFIX = "stn_"
_API_KEY = re.compile(r"stn_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_CLIENT_ID = re.compile(r"[0-9a-f]{16}")
_ALG = "HS256"
_AUDIENCE = "stadtnachweis-city-api"

_ACTIVE = Statement(
    select(col(ApiClient.tenant_id), col(ApiClient.kind), col(ApiClient.role), col(ApiClient.secret_digest)).where(
        col(ApiClient.id) == bindparam("client_id"), col(ApiClient.revoked_at).is_(None)
    )
)


class NotAuthenticated(Exception):
    """No credentials, or none that hold."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated application back end of one tenant."""

    client_id: str
    tenant_id: str
    role: Role


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client just made; the secret is shown once."""

    client_id: str
    secret: str

    @property
    def api_key(self) -> str:
        """Both halves as one API key."""
        return f"{KEY_PREFIX}{self.client_id}_{self.secret}"


@dataclass(frozen=True, slots=True)
class _Known:
    """A client that is in the books."""

    id: str
    tenant_id: str
    kind: str
    role: str
    secret_digest: bytes = field(repr=False)


async def add_client(
    session: AsyncSession, *, tenant_id: str, name: str, kind: ClientKind, role: Role, now: int
) -> NewClient:
    """Make a client of a tenant with a fresh secret."""
    new = NewClient(client_id=secrets.token_hex(8), secret=secrets.token_urlsafe(32))
    session.add(
        ApiClient(
            id=new.client_id,
            tenant_id=tenant_id,
            name=name,
            kind=kind,
            role=role,
            secret_digest=digest(new.secret),
            created_at=now,
        )
    )
    await session.flush()
    return new


async def authenticate_bearer(
    session: AsyncSession, authorization: str | None, *, token_key: bytes, now: int
) -> Caller:
    """The caller behind an Authorization header.

    Raises:
        NotAuthenticated: the header is missing or of another scheme, or the key or token doesn't hold.
    """
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not value:
        raise NotAuthenticated
    if value.startswith(KEY_PREFIX):
        match = _API_KEY.fullmatch(value)
        if match is None:
            raise NotAuthenticated
        return await check_secret(session, client_id=match[1], secret=match[2], kind=ClientKind.API_KEY)
    return await _check_token(session, value, token_key=token_key, now=now)


async def check_secret(session: AsyncSession, *, client_id: str, secret: str, kind: ClientKind) -> Caller:
    """The client of this id, if the secret is its own; takes the same time for unknown ids.

    Raises:
        NotAuthenticated: unknown, revoked, of another kind, or another secret.
    """
    row = await _find(session, client_id)
    expected = row.secret_digest if row is not None else bytes(32)
    if not hmac.compare_digest(expected, digest(secret)) or row is None or row.kind != kind:
        raise NotAuthenticated
    return _caller(row)


def issue_token(caller: Caller, *, token_key: bytes, lifetime: int, now: int) -> str:
    """A token for the City API. lifetime: seconds."""
    return jwt.encode(
        {"aud": _AUDIENCE, "sub": caller.client_id, "tenant": caller.tenant_id, "iat": now, "exp": now + lifetime},
        token_key,
        algorithm=_ALG,
        headers={"typ": "at+jwt"},
    )


async def _check_token(session: AsyncSession, token: str, *, token_key: bytes, now: int) -> Caller:
    try:
        claims = jwt.decode(
            token,
            token_key,
            algorithms=[_ALG],
            audience=_AUDIENCE,
            # our clock is an argument, so the end is checked below
            options={"require": ["exp", "iat", "sub", "tenant"], "verify_exp": False, "verify_iat": False},
        )
    except (jwt.InvalidTokenError, RecursionError):
        raise NotAuthenticated from None
    if not isinstance(claims["exp"], int) or claims["exp"] <= now or not isinstance(claims["sub"], str):
        raise NotAuthenticated
    row = await _find(session, claims["sub"])
    if row is None or row.kind != ClientKind.CLIENT_CREDENTIALS or row.tenant_id != claims["tenant"]:
        raise NotAuthenticated
    return _caller(row)


async def _find(session: AsyncSession, client_id: str) -> "_Known | None":
    if not _CLIENT_ID.fullmatch(client_id):
        return None
    row = await _ACTIVE.first(session, client_id=client_id)
    return None if row is None else _Known(client_id, *row)


def _caller(row: _Known) -> Caller:
    return Caller(client_id=row.id, tenant_id=row.tenant_id, role=Role(row.role))
