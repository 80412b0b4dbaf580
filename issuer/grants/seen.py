"""Whether single-use things were used before: a look that uses nothing up, so that a repeat costs nobody any work.

What decides is `issuer.grants.once`, in the transaction of what a request does. Between a look and that transaction
somebody slow may be asked; if nothing comes of it, nonce and proof are as good as before.
"""

from collections.abc import Iterable
from hashlib import sha256

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.grants.once import LiveNonce, ShownProof
from issuer.store.tables import UsedJti, UsedNonce


async def was_used(session: AsyncSession, *, tenant_id: str, nonces: Iterable[LiveNonce]) -> bool:
    """Whether one of these nonces was redeemed before."""
    digests = [sha256(nonce.value.encode()).digest() for nonce in nonces]
    found = await session.exec(
        select(UsedNonce.digest).where(UsedNonce.tenant_id == tenant_id, col(UsedNonce.digest).in_(digests))
    )
    return found.first() is not None


async def refuse_if_shown_before(session: AsyncSession, *, tenant_id: str, proofs: Iterable[ShownProof]) -> None:
    """Refuse what `proofs_shown` would refuse.

    Raises:
        OAuthError: as there.
    """
    for proof in proofs:
        found = await session.exec(
            select(UsedJti.digest).where(
                UsedJti.tenant_id == tenant_id, UsedJti.purpose == proof.purpose, UsedJti.digest == proof.replay_key
            )
        )
        if found.first() is not None:
            raise proof.refusal
