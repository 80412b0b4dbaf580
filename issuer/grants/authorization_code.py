"""An authorization code: given for a completed login, and turned into a token, once, by the client that asked for it.

RFC 6749 §4.1.2, §4.1.3, RFC 7636 §4.6.
"""

from dataclasses import dataclass

from sqlmodel import col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.grants.handles import new_handle
from issuer.grants.pushed_requests import AuthorizationRequest
from issuer.grants.tokens import revoke_tokens_of_code
from issuer.secrets_at_rest import digest
from issuer.store.tables import AuthorizationCode

DUPLICATE_WINDOW_MS = 500


@dataclass(frozen=True, slots=True)
class CodePresentation:
    """A code as a wallet presents it, with what it must be bound to.

    client_authenticated: the client proved who it is; a public client proves it by its PKCE verifier alone.
    code_challenge: S256 of the verifier that came with it. dpop_jkt, instance_jkt: SHA-256 thumbprints.
    """

    tenant_id: str
    code: str
    client_id: str
    client_authenticated: bool
    redirect_uri: str
    code_challenge: str
    dpop_jkt: bytes | None
    instance_jkt: bytes | None


@dataclass(frozen=True, slots=True)
class RedeemedCode:
    """What the code granted."""

    code_digest: bytes
    offer_id: str
    configuration_ids: tuple[str, ...]
    scope: str | None
    detailed: bool


async def issue_code(
    session: AsyncSession,
    request: AuthorizationRequest,
    *,
    offer_id: str,
    configuration_ids: tuple[str, ...],
    now: int,
    lifetime: int,
) -> str:
    """A code for a completed login, in the transaction of its completion (RFC 6749 §4.1.2). lifetime: seconds, ≤ 60."""
    code = new_handle()
    session.add(
        AuthorizationCode(
            digest=digest(code),
            tenant_id=request.tenant_id,
            offer_id=offer_id,
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            configuration_ids=list(configuration_ids),
            scope=granted_scope(request.scope, configuration_ids),
            detailed=request.detailed,
            dpop_jkt=request.dpop_jkt,
            instance_jkt=request.instance_jkt,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()
    return code


def granted_scope(scope: str | None, configuration_ids: tuple[str, ...]) -> str | None:
    """The part of a requested scope that was granted; the scope of a configuration is its id."""
    if scope is None:
        return None
    granted = " ".join(value for value in scope.split(" ") if value in configuration_ids)
    return granted or None


async def redeem_code(session: AsyncSession, presented: CodePresentation, *, now_ms: int) -> RedeemedCode | None:
    """Redeem a code; the caller inserts the token in the same transaction and commits in every case.

    None: the code can't be redeemed. If its own client presents it again, the tokens made from it are revoked here,
    except for a duplicate of the same request within half a second, which a retrying HTTP client may cause.
    now_ms: milliseconds since the epoch.
    """
    code_digest = digest(presented.code)
    granted = (
        await session.exec(
            update(AuthorizationCode)
            .where(
                col(AuthorizationCode.digest) == code_digest,
                col(AuthorizationCode.tenant_id) == presented.tenant_id,
                col(AuthorizationCode.client_id) == presented.client_id,
                col(AuthorizationCode.redirect_uri) == presented.redirect_uri,
                col(AuthorizationCode.code_challenge) == presented.code_challenge,
                col(AuthorizationCode.redeemed_at_ms).is_(None),
                col(AuthorizationCode.expires_at) > now_ms // 1000,
                or_(col(AuthorizationCode.dpop_jkt).is_(None), col(AuthorizationCode.dpop_jkt) == presented.dpop_jkt),
                or_(
                    col(AuthorizationCode.instance_jkt).is_(None),
                    col(AuthorizationCode.instance_jkt) == presented.instance_jkt,
                ),
            )
            .values(redeemed_at_ms=now_ms, redeemed_jkt=presented.dpop_jkt)
            .returning(
                col(AuthorizationCode.offer_id),
                col(AuthorizationCode.configuration_ids),
                col(AuthorizationCode.scope),
                col(AuthorizationCode.detailed),
            )
            .execution_options(synchronize_session=False)
        )
    ).first()
    if granted is None:
        await _punish_reuse(session, presented, code_digest=code_digest, now_ms=now_ms)
        return None
    offer_id, configuration_ids, scope, detailed = granted
    return RedeemedCode(
        code_digest=code_digest,
        offer_id=offer_id,
        configuration_ids=tuple(configuration_ids),
        scope=scope,
        detailed=detailed,
    )


async def _punish_reuse(session: AsyncSession, presented: CodePresentation, *, code_digest: bytes, now_ms: int) -> None:
    used = (
        await session.exec(
            select(AuthorizationCode).where(
                AuthorizationCode.digest == code_digest,
                AuthorizationCode.tenant_id == presented.tenant_id,
                AuthorizationCode.client_id == presented.client_id,
                col(AuthorizationCode.redeemed_at_ms).is_not(None),
            )
        )
    ).first()
    if used is None or used.redeemed_at_ms is None:
        return
    same_verifier = used.code_challenge == presented.code_challenge
    if not presented.client_authenticated and not same_verifier:
        return
    same_request = same_verifier and used.redeemed_jkt == presented.dpop_jkt
    if same_request and now_ms - used.redeemed_at_ms <= DUPLICATE_WINDOW_MS:
        return
    await revoke_tokens_of_code(session, tenant_id=presented.tenant_id, code_digest=code_digest, now=now_ms // 1000)
