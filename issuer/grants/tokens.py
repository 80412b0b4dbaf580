"""Access tokens: what a wallet may collect, until when and with which key (OpenID4VCI 1.0 §6.2, RFC 9449 §6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import bindparam, select
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.datasets import OfferedCredential
from issuer.grants.handles import new_handle
from issuer.grants.once import Once
from issuer.grants.refresh import revoke_families
from issuer.secrets_at_rest import digest
from issuer.store.statements import Statement, insert_rows
from issuer.store.tables import AccessToken, RefreshToken
from specs.encoding import base64url
from specs.protocols.oauth import INVALID_TOKEN, OAuthError

BEARER_LIFETIME = 300  # seconds; OpenID4VCI §13.10
_IS_LIVE = (
    col(AccessToken.digest) == bindparam("token"),
    col(AccessToken.tenant_id) == bindparam("tenant"),
    col(AccessToken.expires_at) > bindparam("now"),
    col(AccessToken.revoked_at).is_(None),
)
_LIVE = Statement(
    select(
        col(AccessToken.offer_id),
        col(AccessToken.client_id),
        col(AccessToken.dpop_jkt),
        col(AccessToken.configuration_ids),
        col(AccessToken.credential_identifiers),
        col(AccessToken.detailed),
    ).where(*_IS_LIVE)
)
_COUNTED = Statement(
    update(AccessToken)
    .where(*_IS_LIVE, col(AccessToken.uses) < col(AccessToken.max_uses))
    .values(uses=AccessToken.uses + 1)
    .returning(col(AccessToken.uses))
)


@dataclass(frozen=True, slots=True)
class TokenScope:
    """What a grant allows: credentials of one offer, for one client and key.

    client_id: none for anonymous access. dpop_jkt: SHA-256 thumbprint of the DPoP key, none for a plain Bearer token.
    detailed: authorization_details were used, so that the answer names credential identifiers. It does so, too, where
    a dataset has a name, as nothing else tells datasets apart.
    """

    tenant_id: str
    offer_id: str
    client_id: str | None
    dpop_jkt: bytes | None
    scope: str | None
    offered: tuple[OfferedCredential, ...]
    detailed: bool

    @property
    def names_identifiers(self) -> bool:
        """Whether the wallet gets, and must use, credential identifiers."""
        return self.detailed or any(each.dataset for each in self.offered)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as the wallet gets it. expires_in: seconds. credential_identifiers: by configuration."""

    access_token: str = field(repr=False)
    token_type: str
    expires_in: int
    scope: str | None
    credential_identifiers: Mapping[str, Sequence[str]]
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A token that holds right now. credential_identifiers: identifier → what it stands for."""

    digest: bytes
    tenant_id: str
    offer_id: str
    client_id: str | None
    dpop_jkt: bytes | None
    configuration_ids: tuple[str, ...]
    credential_identifiers: Mapping[str, OfferedCredential]
    detailed: bool


async def insert_access_token(
    session: AsyncSession,
    granted: TokenScope,
    *,
    code_digest: bytes | None,
    refresh_family: str | None = None,
    now: int,
    lifetime: int,
    max_uses: int,
) -> IssuedToken:
    """Make a token in the transaction that redeemed its code, or let a refresh token be used (then without a code).

    A Bearer token lives 300 s at most. refresh_family: of the refresh token that goes along or was used.
    """
    text = new_handle()
    expires_in = lifetime if granted.dpop_jkt is not None else min(lifetime, BEARER_LIFETIME)
    identifiers: dict[str, OfferedCredential] = {}
    if granted.names_identifiers:
        identifiers = {_credential_identifier(granted.offer_id, each): each for each in granted.offered}
    await insert_rows(
        session,
        AccessToken,
        {
            "digest": digest(text),
            "tenant_id": granted.tenant_id,
            "offer_id": granted.offer_id,
            "client_id": granted.client_id,
            "dpop_jkt": granted.dpop_jkt,
            "code_digest": code_digest,
            "refresh_family": refresh_family,
            "scope": granted.scope,
            "configuration_ids": list(dict.fromkeys(each.configuration_id for each in granted.offered)),
            "credential_identifiers": {identifier: [*each] for identifier, each in identifiers.items()},
            "detailed": granted.detailed,
            "max_uses": max_uses,
            "created_at": now,
            "expires_at": now + expires_in,
        },
    )
    return IssuedToken(
        access_token=text,
        token_type="DPoP" if granted.dpop_jkt is not None else "Bearer",
        expires_in=expires_in,
        scope=granted.scope,
        credential_identifiers=_by_configuration(identifiers),
    )


def _credential_identifier(offer_id: str, each: OfferedCredential) -> str:
    """The same in each answer for this offer (OpenID4VCI §6.2); worth nothing without a token."""
    text = "\x00".join((offer_id, each.configuration_id, *filter(None, (each.dataset,))))
    return base64url.encode(sha256(text.encode()).digest()[:16])


def _by_configuration(identifiers: Mapping[str, OfferedCredential]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for identifier, each in identifiers.items():
        found.setdefault(each.configuration_id, []).append(identifier)
    return found


async def find_live_token(session: AsyncSession, *, tenant_id: str, access_token: str, now: int) -> LiveToken | None:
    """The token behind these characters, if it is this tenant's, not over and not revoked."""
    token_digest = digest(access_token)
    row = await _LIVE.first(session, token=token_digest, tenant=tenant_id, now=now)
    if row is None:
        return None
    offer_id, client_id, dpop_jkt, configuration_ids, credential_identifiers, detailed = row
    return LiveToken(
        digest=token_digest,
        tenant_id=tenant_id,
        offer_id=offer_id,
        client_id=client_id,
        dpop_jkt=dpop_jkt,
        configuration_ids=tuple(configuration_ids),
        credential_identifiers={name: OfferedCredential(*each) for name, each in credential_identifiers.items()},
        detailed=detailed,
    )


def use_of(token: LiveToken, *, now: int) -> Once:
    """One credential request of a token, counted; refused if the token ended meanwhile or has none left."""
    refusal = OAuthError(INVALID_TOKEN, "the access token is not, or no longer, valid", 401)
    return Once(_COUNTED.given(token=token.digest, tenant=token.tenant_id, now=now), refusal)


async def revoke_tokens_of_code(session: AsyncSession, *, tenant_id: str, code_digest: bytes, now: int) -> None:
    """End every token that was made from this code (RFC 6749 §4.1.2); credentials already issued stay."""
    families = select(col(AccessToken.refresh_family)).where(
        col(AccessToken.tenant_id) == tenant_id,
        col(AccessToken.code_digest) == code_digest,
        col(AccessToken.refresh_family).is_not(None),
    )
    await revoke_families(session, tenant_id=tenant_id, families=col(RefreshToken.family).in_(families), now=now)
    await session.exec(
        update(AccessToken)
        .where(
            col(AccessToken.tenant_id) == tenant_id,
            col(AccessToken.code_digest) == code_digest,
            col(AccessToken.revoked_at).is_(None),
        )
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )
