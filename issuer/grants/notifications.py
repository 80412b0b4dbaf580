"""What wallets tell about credentials they got (OpenID4VCI §11): remembered once, repeats change nothing."""

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.events.outbox import EventType, Happening, offer_state, tell
from issuer.grants.tokens import LiveToken
from issuer.store.statements import insert_rows
from issuer.store.tables import NotificationHandle, Offer, OfferState
from specs.protocols.openid4vci import Notification, NotificationEvent


async def record_notification_id(
    session: AsyncSession, token: LiveToken, *, notification_id: str, credential_id: str, now: int
) -> None:
    """Bind a notification_id to its token, in the transaction that records the copies."""
    await insert_rows(
        session,
        NotificationHandle,
        {
            "id": notification_id,
            "tenant_id": token.tenant_id,
            "token_digest": token.digest,
            "credential_id": credential_id,
            "created_at": now,
        },
    )


async def owns_notification_id(session: AsyncSession, token: LiveToken, notification_id: str) -> bool:
    """Whether this id came with an answer to this token."""
    if "\x00" in notification_id:
        return False
    found = await session.exec(
        select(NotificationHandle.id).where(
            NotificationHandle.id == notification_id,
            NotificationHandle.tenant_id == token.tenant_id,
            NotificationHandle.token_digest == token.digest,
        )
    )
    return found.first() is not None


async def note_event(session: AsyncSession, token: LiveToken, notification: Notification, *, now: int) -> None:
    """Keep the first event that was told; an accepted credential moves its offer on, and nothing moves it back."""
    first = await session.exec(
        update(NotificationHandle)
        .where(
            col(NotificationHandle.id) == notification.notification_id,
            col(NotificationHandle.tenant_id) == token.tenant_id,
            col(NotificationHandle.token_digest) == token.digest,
            col(NotificationHandle.event).is_(None),
        )
        .values(event=notification.event.value, changed_at=now)
        .execution_options(synchronize_session=False)
    )
    if not first.rowcount:
        return
    credential_id = (
        await session.exec(
            select(NotificationHandle.credential_id).where(NotificationHandle.id == notification.notification_id)
        )
    ).one()
    happenings = [
        Happening(
            EventType.CREDENTIAL_NOTIFICATION,
            offer_id=token.offer_id,
            credential_id=credential_id,
            details={"event": notification.event.value},
        )
    ]
    if notification.event is NotificationEvent.ACCEPTED:
        accepted = await session.exec(
            update(Offer)
            .where(
                col(Offer.id) == token.offer_id,
                col(Offer.tenant_id) == token.tenant_id,
                col(Offer.state) == OfferState.ISSUED,
            )
            .values(state=OfferState.ACCEPTED)
            .execution_options(synchronize_session=False)
        )
        if accepted.rowcount:
            happenings.append(offer_state(token.offer_id, OfferState.ACCEPTED))
    await tell(session, tenant_id=token.tenant_id, happenings=happenings, now=now)
