"""Ends what is over and forgets what nobody can ask for any more. Safe to run at any time, in any number of workers."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, or_, update
from sqlalchemy.orm import Mapped
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.events.outbox import Happening, offer_state, tell
from issuer.offers import COLLECTABLE, ENDED, UNDER_WAY
from issuer.store.city_tables import PersonSlot
from issuer.store.tables import (
    AccessToken,
    AuthorizationCode,
    CredentialCopy,
    DeferredTransaction,
    IdempotencyRecord,
    LoginSession,
    NotificationHandle,
    Offer,
    OfferConfiguration,
    OfferState,
    PushedRequest,
    RefreshToken,
    UsedJti,
    UsedNonce,
)

_IS_OPEN = col(Offer.ended_at).is_(None)  # says nothing that the states don't, but an index knows it
_ROWS = 500  # of one statement
_COPY_GRACE = 86400  # seconds that an expired copy's status entry is still published


async def sweep(session: AsyncSession, *, now: int) -> None:
    """Bring every offer to its end that has come, erase claims, drop what has expired. now: seconds since the epoch."""
    await _end_offers(session, now=now)
    await _erase_claims(session, now=now)
    await _drop_expired(session, now=now)


async def _end_offers(session: AsyncSession, *, now: int) -> None:
    expired = await session.exec(
        update(Offer)
        .where(_IS_OPEN, col(Offer.state).in_(COLLECTABLE), col(Offer.expires_at) <= now)
        .values(state=OfferState.EXPIRED, ended_at=now)
        .returning(col(Offer.tenant_id), col(Offer.id), col(Offer.generation))
        .execution_options(synchronize_session=False)
    )
    await _tell_ended(session, expired.all(), OfferState.EXPIRED, now=now)
    # a city's offer whose answer got lost can be armed anew until its term is over; what a login made can't
    may_end = or_(
        col(Offer.state) != OfferState.AUTHORIZED, col(Offer.origin) == "wallet", col(Offer.expires_at) <= now
    )
    closed = await session.exec(
        update(Offer)
        .where(_IS_OPEN, col(Offer.state).in_(UNDER_WAY), may_end, ~_can_be_asked_for(col(Offer.id), now=now))
        .values(state=OfferState.CLOSED, ended_at=now)
        .returning(col(Offer.tenant_id), col(Offer.id), col(Offer.generation))
        .execution_options(synchronize_session=False)
    )
    await _tell_ended(session, closed.all(), OfferState.CLOSED, now=now)


async def _tell_ended(
    session: AsyncSession, ended: Sequence[tuple[str, str, int]], state: OfferState, *, now: int
) -> None:
    by_tenant: dict[str, list[Happening]] = {}
    for tenant_id, offer_id, generation in ended:
        by_tenant.setdefault(tenant_id, []).append(offer_state(offer_id, state, generation=generation))
    for tenant_id, happenings in by_tenant.items():
        for begin in range(0, len(happenings), _ROWS):
            await tell(session, tenant_id=tenant_id, happenings=happenings[begin : begin + _ROWS], now=now)


async def _erase_claims(session: AsyncSession, *, now: int) -> None:
    """Claims go when their offer has ended (a locked one: with its term) and no code or token leads to them."""
    over = exists().where(
        col(Offer.id) == col(OfferConfiguration.offer_id),
        col(Offer.state).in_(ENDED),
        or_(col(Offer.state) != OfferState.LOCKED, col(Offer.expires_at) <= now),
    )
    await session.exec(
        update(OfferConfiguration)
        .where(
            col(OfferConfiguration.erased_at).is_(None),
            over,
            ~_can_be_asked_for(col(OfferConfiguration.offer_id), now=now),
        )
        .values(sealed_claims=None, erased_at=now)
        .execution_options(synchronize_session=False)
    )
    await _erase_uncovered(session, now=now)
    await session.exec(
        update(Offer)
        .where(
            col(Offer.sealed_subject).is_not(None),
            col(Offer.state).in_(ENDED),
            or_(col(Offer.state) != OfferState.LOCKED, col(Offer.expires_at) <= now),
            ~_can_be_asked_for(col(Offer.id), now=now),
            ~exists().where(  # a renewal asks the register about the same person
                col(RefreshToken.offer_id) == col(Offer.id),
                col(RefreshToken.expires_at) > now,
                col(RefreshToken.revoked_at).is_(None),
            ),
        )
        .values(sealed_subject=None)
        .execution_options(synchronize_session=False)
    )
    ended = exists().where(col(Offer.id) == col(IdempotencyRecord.offer_id), col(Offer.state).in_(ENDED))
    await session.exec(
        update(IdempotencyRecord)
        .where(col(IdempotencyRecord.sealed_answer).is_not(None), ended)
        .values(sealed_answer=None)
        .execution_options(synchronize_session=False)
    )


async def _erase_uncovered(session: AsyncSession, *, now: int) -> None:
    """Once something was issued, configurations that no live token or deferred transaction covers go too."""
    rows = await session.exec(
        select(OfferConfiguration.offer_id, OfferConfiguration.configuration_id)
        .join(Offer, col(Offer.id) == col(OfferConfiguration.offer_id))
        .where(
            col(OfferConfiguration.erased_at).is_(None),
            col(Offer.state).in_((OfferState.ISSUED, OfferState.ACCEPTED, OfferState.CLOSED)),
        )
    )
    kept: dict[str, set[str]] = {}
    for offer_id, configuration_id in rows:
        kept.setdefault(offer_id, set()).add(configuration_id)
    offers = sorted(kept)
    for begin in range(0, len(offers), _ROWS):
        some = offers[begin : begin + _ROWS]
        places = {(offer_id, configuration_id) for offer_id in some for configuration_id in kept[offer_id]}
        for offer_id, configuration_id in sorted(places - await _covered(session, some, now=now)):
            await session.exec(
                update(OfferConfiguration)
                .where(
                    col(OfferConfiguration.offer_id) == offer_id,
                    col(OfferConfiguration.configuration_id) == configuration_id,
                )
                .values(sealed_claims=None, erased_at=now)
                .execution_options(synchronize_session=False)
            )


async def _covered(session: AsyncSession, offers: Sequence[str], *, now: int) -> set[tuple[str, str]]:
    """Which configurations of some offers can still be asked for."""
    tokens = await session.exec(
        select(AccessToken.offer_id, AccessToken.configuration_ids).where(
            col(AccessToken.offer_id).in_(offers), *_live_token(now)
        )
    )
    covered = {(offer_id, configuration) for offer_id, configurations in tokens for configuration in configurations}
    codes = await session.exec(
        select(AuthorizationCode.offer_id, AuthorizationCode.configuration_ids).where(
            col(AuthorizationCode.offer_id).in_(offers), *_live_code(now)
        )
    )
    covered |= {(offer_id, configuration) for offer_id, configurations in codes for configuration in configurations}
    deferred = await session.exec(
        select(DeferredTransaction.offer_id, DeferredTransaction.configuration_id).where(
            col(DeferredTransaction.offer_id).in_(offers), *_live_deferred(now)
        )
    )
    return covered | set(deferred)


async def _drop_expired(session: AsyncSession, *, now: int) -> None:
    dead_token = exists().where(
        col(AccessToken.digest) == col(NotificationHandle.token_digest), col(AccessToken.expires_at) <= now
    )
    token_in_use = or_(
        exists().where(col(NotificationHandle.token_digest) == col(AccessToken.digest)),
        exists().where(col(DeferredTransaction.token_digest) == col(AccessToken.digest)),
    )
    for statement in (
        delete(NotificationHandle).where(dead_token),
        delete(DeferredTransaction).where(col(DeferredTransaction.expires_at) <= now),
        delete(AccessToken).where(col(AccessToken.expires_at) <= now, ~token_in_use),
        # kept as long as its tokens, because a second use must end them
        delete(AuthorizationCode).where(
            col(AuthorizationCode.expires_at) <= now,
            ~exists().where(col(AccessToken.code_digest) == col(AuthorizationCode.digest)),
        ),
        delete(RefreshToken).where(col(RefreshToken.expires_at) <= now),
        delete(LoginSession).where(col(LoginSession.expires_at) <= now),
        delete(PushedRequest).where(
            col(PushedRequest.expires_at) <= now,
            ~exists().where(col(LoginSession.request_digest) == col(PushedRequest.digest)),
        ),
        delete(UsedNonce).where(col(UsedNonce.expires_at) <= now),
        delete(UsedJti).where(col(UsedJti.expires_at) <= now),
        delete(IdempotencyRecord).where(col(IdempotencyRecord.expires_at) <= now),
        delete(PersonSlot).where(col(PersonSlot.live_until) <= now),
        delete(CredentialCopy).where(col(CredentialCopy.expires_at) <= now - _COPY_GRACE),
    ):
        await session.exec(statement.execution_options(synchronize_session=False))


def _can_be_asked_for(offer_id: Mapped[str], *, now: int) -> ColumnElement[bool]:
    """Whether an authorization code, an access token or a deferred transaction still leads to an offer's claims."""
    return or_(
        exists().where(col(AccessToken.offer_id) == offer_id, *_live_token(now)),
        exists().where(col(AuthorizationCode.offer_id) == offer_id, *_live_code(now)),
        exists().where(col(DeferredTransaction.offer_id) == offer_id, *_live_deferred(now)),
    )


def _live_token(now: int) -> tuple[ColumnElement[bool], ...]:
    return (
        col(AccessToken.expires_at) > now,
        col(AccessToken.revoked_at).is_(None),
        col(AccessToken.uses) < col(AccessToken.max_uses),
    )


def _live_code(now: int) -> tuple[ColumnElement[bool], ...]:
    return (col(AuthorizationCode.expires_at) > now, col(AuthorizationCode.redeemed_at_ms).is_(None))


def _live_deferred(now: int) -> tuple[ColumnElement[bool], ...]:
    return (
        col(DeferredTransaction.expires_at) > now,
        col(DeferredTransaction.handed_out_at).is_(None),
        col(DeferredTransaction.denied_at).is_(None),
    )
