"""Refresh tokens: a wallet renews without its citizen, with the keys that it had at first (HAIP 1.0 §4.4).

A token stays the same where it is bound to a key (FAPI 2.0 §5.3.2.1). Where a preset rotates, each use gives the next
one, which follows from the one before: a wallet that lost the answer gets the same again, for a minute and until the
next one was used. After that, showing the old one ends the whole family (RFC 9700 §4.14.2).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, exists, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlmodel import col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.grants.handles import new_handle
from issuer.secrets_at_rest import digest
from issuer.store.tables import AccessToken, RefreshToken
from specs.encoding import base64url


@dataclass(frozen=True, slots=True)
class RefreshBinding:
    """Whose a refresh token is: the client, and the thumbprints of its DPoP key and attested key where it has them."""

    tenant_id: str
    client_id: str | None
    dpop_jkt: bytes | None
    instance_jkt: bytes | None


@dataclass(frozen=True, slots=True)
class Renewable:
    """What a refresh token lets a wallet ask for again. family: ends together."""

    offer_id: str
    family: str
    scope: str | None
    configuration_ids: tuple[str, ...]
    detailed: bool


@dataclass(frozen=True, slots=True)
class Rotation:
    """How tokens follow each other. key: 32 bytes outside the database. grace: seconds that a used one still serves."""

    key: bytes = field(repr=False)
    grace: int

    def successor(self, refresh_token: str) -> str:
        """The token after this one; only who has the key and the token can say it."""
        return base64url.encode(hmac.new(self.key, refresh_token.encode(), hashlib.sha256).digest())


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A use that was allowed. refresh_token: the one to use next, none if it stays the same."""

    renewable: Renewable
    refresh_token: str | None = field(repr=False)


def new_family() -> str:
    """The name of what a login or a code will lead to."""
    return secrets.token_urlsafe(16)


async def insert_refresh_token(
    session: AsyncSession, binding: RefreshBinding, renewable: Renewable, *, now: int, lifetime: int
) -> str:
    """The first token of a family, in the transaction that made its access token. now, lifetime: seconds."""
    text = new_handle()
    session.add(
        RefreshToken(
            digest=digest(text),
            tenant_id=binding.tenant_id,
            offer_id=renewable.offer_id,
            family=renewable.family,
            client_id=binding.client_id,
            dpop_jkt=binding.dpop_jkt,
            instance_jkt=binding.instance_jkt,
            scope=renewable.scope,
            configuration_ids=list(renewable.configuration_ids),
            detailed=renewable.detailed,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()
    return text


async def use_refresh_token(
    session: AsyncSession, binding: RefreshBinding, *, refresh_token: str, rotation: Rotation | None, now: int
) -> Refreshed | None:
    """Let a wallet use its token; None if it is not, or no longer, its. The caller commits in every case.

    rotation: none where a token stays the same.
    """
    shown = digest(refresh_token)
    live = (
        col(RefreshToken.digest) == shown,
        *_bound_to(binding),
        col(RefreshToken.expires_at) > now,
        col(RefreshToken.revoked_at).is_(None),
    )
    if rotation is None:
        row = (await session.exec(select(RefreshToken).where(*live))).first()
        return None if row is None else Refreshed(_renewable(row), None)
    following = rotation.successor(refresh_token)
    later = aliased(RefreshToken)
    following_was_used = exists().where(col(later.digest) == digest(following), col(later.rotated_at).is_not(None))
    rotated = await session.exec(
        update(RefreshToken)
        .where(
            *live,
            or_(col(RefreshToken.rotated_at).is_(None), col(RefreshToken.rotated_at) >= now - rotation.grace),
            ~following_was_used,
        )
        .values(rotated_at=func.coalesce(col(RefreshToken.rotated_at), now), successor_digest=digest(following))
        .returning(RefreshToken)
        .execution_options(synchronize_session=False)
    )
    row = rotated.scalars().first()
    if row is None:
        await _punish_reuse(session, binding, shown=shown, now=now)
        return None
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = row.model_dump() | {
        "digest": digest(following),
        "created_at": now,
        "rotated_at": None,
        "successor_digest": None,
    }
    await session.exec(insert(RefreshToken).values(values).on_conflict_do_nothing())
    return Refreshed(_renewable(row), following)


async def revoke_families(session: AsyncSession, *, tenant_id: str, families: ColumnElement[bool], now: int) -> None:
    """End refresh tokens, and the access tokens that came of their families."""
    ended = await session.exec(
        update(RefreshToken)
        .where(col(RefreshToken.tenant_id) == tenant_id, families, col(RefreshToken.revoked_at).is_(None))
        .values(revoked_at=now)
        .returning(col(RefreshToken.family))
        .execution_options(synchronize_session=False)
    )
    names = set(ended.scalars())
    if names:
        await session.exec(
            update(AccessToken)
            .where(
                col(AccessToken.tenant_id) == tenant_id,
                col(AccessToken.refresh_family).in_(names),
                col(AccessToken.revoked_at).is_(None),
            )
            .values(revoked_at=now)
            .execution_options(synchronize_session=False)
        )


async def _punish_reuse(session: AsyncSession, binding: RefreshBinding, *, shown: bytes, now: int) -> None:
    """Whoever has a used token with the right keys is a second user of it: which of them stole it, nobody can tell."""
    family = (
        await session.exec(
            select(RefreshToken.family).where(
                col(RefreshToken.digest) == shown, *_bound_to(binding), col(RefreshToken.rotated_at).is_not(None)
            )
        )
    ).first()
    if family is not None:
        condition = col(RefreshToken.family) == family
        await revoke_families(session, tenant_id=binding.tenant_id, families=condition, now=now)


def _bound_to(binding: RefreshBinding) -> tuple[ColumnElement[bool], ...]:
    return (
        col(RefreshToken.tenant_id) == binding.tenant_id,
        col(RefreshToken.client_id).is_not_distinct_from(binding.client_id),
        col(RefreshToken.dpop_jkt).is_not_distinct_from(binding.dpop_jkt),
        col(RefreshToken.instance_jkt).is_not_distinct_from(binding.instance_jkt),
    )


def _renewable(row: RefreshToken) -> Renewable:
    return Renewable(row.offer_id, row.family, row.scope, tuple(row.configuration_ids), row.detailed)
