"""After a backup was put back: what was secret or handed out since the backup must not come to life a second time."""

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.grants.pre_authorized_codes import GENERATIONS_AFTER_RESTORE
from issuer.store.tables import (
    AccessToken,
    AuthorizationCode,
    DeferredTransaction,
    LoginSession,
    Offer,
    OfferState,
    PushedRequest,
    RefreshToken,
    StatusListRow,
)


async def void_after_restore(session: AsyncSession, *, now: int) -> None:
    """End every code, request, login, token and deferred transaction, and close every status list.

    now: seconds since the epoch.

    Entries given out after the backup are not known any more, so lists that were open then get no further entry. Open
    offers stay, to be armed anew. Nonces are stored nowhere: their five minutes must be over before the service runs
    again.
    """
    for table in (AccessToken, RefreshToken):
        ended = update(table).where(col(table.revoked_at).is_(None)).values(revoked_at=now)
        await session.exec(ended.execution_options(synchronize_session=False))
    # a deferred transaction may have been collected after the backup
    for spent in (AuthorizationCode, LoginSession, DeferredTransaction):
        await session.exec(update(spent).values(expires_at=now).execution_options(synchronize_session=False))
    completed = update(PushedRequest).where(col(PushedRequest.completed_at).is_(None)).values(completed_at=now)
    await session.exec(completed.execution_options(synchronize_session=False))
    # the addresses of open offers may have been used after the backup: they answer no more until the city re-arms them
    await session.exec(
        update(Offer)
        .where(col(Offer.state).in_((OfferState.CREATED, OfferState.OPENED)))
        .values(state=OfferState.AUTHORIZED, redeemed_at=now)
        .execution_options(synchronize_session=False)
    )
    # codes are stored nowhere: none that was made since the backup may fit an offer that is armed anew
    await session.exec(
        update(Offer)
        .values(generation=Offer.generation + GENERATIONS_AFTER_RESTORE)
        .execution_options(synchronize_session=False)
    )
    await session.exec(update(StatusListRow).values(open=False).execution_options(synchronize_session=False))
