"""Offers as the city sees them: made, shown, armed anew, cancelled. What is in them is in `issuer.offer_claims`.

The wallet's side (codes, tokens) is in `issuer.grants`. All functions work inside the caller's transaction.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.catalog.loader import Configuration
from issuer.credentials import CredentialView, credentials_of_offer
from issuer.datasets import UNNAMED
from issuer.events.outbox import offer_state, tell
from issuer.grants.handles import new_handle
from issuer.grants.pre_authorized_codes import ArmedCode, mint_code
from issuer.offer_claims import claims_place, erase_claims, subject_place
from issuer.sealing import Sealer
from issuer.secrets_at_rest import Secrets, digest
from issuer.store.statements import insert_rows
from issuer.store.tables import (
    AccessToken,
    AuthorizationCode,
    DeferredTransaction,
    Delivery,
    Grant,
    Offer,
    OfferConfiguration,
    OfferState,
    PushedRequest,
    RefreshToken,
)
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject

COLLECTABLE = (OfferState.CREATED, OfferState.OPENED)  # nothing has been redeemed yet
UNDER_WAY = (OfferState.AUTHORIZED, OfferState.ISSUED, OfferState.ACCEPTED)
ENDED = (OfferState.CLOSED, OfferState.EXPIRED, OfferState.LOCKED, OfferState.CANCELLED, OfferState.FAILED)


class OfferNotFound(Exception):
    """The tenant has no such offer."""


class OfferConflict(Exception):
    """The offer's state does not allow this; the message names the state."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """One credential of a new offer. claims: checked already; none where the login or a register will bring them."""

    configuration: Configuration
    claims: JsonObject | None = field(repr=False)
    dataset: str = UNNAMED


@dataclass(frozen=True, slots=True)
class NewOffer:
    """What the city wants to have collected. Times: seconds since the epoch.

    subject: the city's reference for the person. keep_subject: a register will be asked about them. tx_code_length:
    digits, 0 for none. renews: the credential that further copies are made of.
    """

    credentials: Sequence[NewCredential]
    grant: Grant
    delivery: Delivery
    locale: str
    expires_at: int
    subject: str | None = field(repr=False)
    tx_code_length: int
    client_id: str
    keep_subject: bool = False
    renews: str | None = None


@dataclass(frozen=True, slots=True)
class ArmedOffer:
    """The secrets of a new or newly armed offer; they are in nobody's hands but the caller's from here on.

    reference: the last part of the offer's public addresses. code, issuer_state: in the offer itself if it is delivered
    by value.
    """

    offer_id: str
    expires_at: int
    state: OfferState
    grant: Grant
    delivery: Delivery
    configuration_ids: tuple[str, ...]
    reference: str = field(repr=False)
    tx_code: str | None = field(repr=False)
    tx_code_length: int
    code: str | None = field(repr=False)
    issuer_state: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class OfferView:
    """What the City API shows of an offer. expires_at: seconds since the epoch."""

    id: str
    state: OfferState
    reason: str | None
    expires_at: int
    credentials: tuple[CredentialView, ...]


async def create_offer(
    session: AsyncSession, new: NewOffer, *, sealer: Sealer, secrets_at_rest: Secrets, code_lifetime: int, now: int
) -> ArmedOffer:
    """Make an offer: its claims sealed, its secrets as digests. code_lifetime: seconds, for an offer by value."""
    offer_id, tenant_id = secrets.token_urlsafe(16), sealer.tenant_id
    made = _new_secrets(
        secrets_at_rest,
        tenant_id=tenant_id,
        offer_id=offer_id,
        generation=0,
        grant=new.grant,
        tx_code_length=new.tx_code_length,
    )
    subject = new.subject
    await insert_rows(
        session,
        Offer,
        {
            "id": offer_id,
            "tenant_id": tenant_id,
            "client_id": new.client_id,
            "grant": new.grant.value,
            "delivery": new.delivery.value,
            "locale": new.locale,
            "created_at": now,
            "expires_at": new.expires_at,
            "subject_pseudonym": None if subject is None else secrets_at_rest.pseudonym(subject, tenant_id=tenant_id),
            "sealed_subject": sealer.seal(subject.encode(), place=subject_place(offer_id))
            if new.keep_subject and subject is not None
            else None,
            "tx_code_length": new.tx_code_length,
            **made.kept(),
        },
    )
    await insert_rows(
        session,
        OfferConfiguration,
        *(
            {
                "offer_id": offer_id,
                "configuration_id": each.configuration.id,
                "dataset": each.dataset,
                "tenant_id": tenant_id,
                "credential_type": each.configuration.credential_type.type,
                "format": each.configuration.format.value,
                "sealed_claims": None
                if each.claims is None
                else sealer.seal_json(each.claims, place=claims_place(offer_id, each.configuration.id, each.dataset)),
                "credential_id": new.renews,
            }
            for each in new.credentials
        ),
    )
    created = offer_state(offer_id, OfferState.CREATED, generation=0)
    await tell(session, tenant_id=tenant_id, happenings=[created], now=now)
    armed = ArmedOffer(
        offer_id=offer_id,
        expires_at=new.expires_at,
        state=OfferState.CREATED,
        grant=new.grant,
        delivery=new.delivery,
        configuration_ids=tuple(dict.fromkeys(each.configuration.id for each in new.credentials)),
        reference=made.reference,
        tx_code=made.tx_code,
        tx_code_length=new.tx_code_length,
        code=None,
        issuer_state=made.issuer_state,
    )
    return _with_code(armed, generation=0, tenant_id=tenant_id, key=secrets_at_rest.code_key, until=now + code_lifetime)


async def rearm_offer(
    session: AsyncSession,
    *,
    tenant_id: str,
    offer_id: str,
    secrets_at_rest: Secrets,
    code_lifetime: int,
    lifetime: int,
    now: int,
) -> ArmedOffer:
    """Give an offer new secrets and a new term, and end all that came of the old ones, in one transaction.

    lifetime: seconds that the offer shall live from now on, at least.

    Raises:
        OfferNotFound: the tenant has none of this id. OfferConflict: something was issued from it, it has ended
        otherwise than by time or wrong codes, or its claims are gone.
    """
    offer = await _end_what_came_of_it(session, tenant_id=tenant_id, offer_id=offer_id, now=now)
    issued = await _first_issued(session, offer_id=offer_id)
    armable = (*COLLECTABLE, OfferState.AUTHORIZED, OfferState.LOCKED)
    if issued is not None or offer.state not in armable or effective_state(offer, now=now) is OfferState.EXPIRED:
        raise OfferConflict(effective_state(offer, now=now))
    rows = (
        await session.exec(
            select(OfferConfiguration)
            .where(OfferConfiguration.offer_id == offer_id)
            .order_by(col(OfferConfiguration.configuration_id))
        )
    ).all()
    if any(row.erased_at is not None for row in rows):
        raise OfferConflict("erased")
    offer.generation += 1
    offer.state = OfferState.CREATED
    offer.redeemed_at = None
    offer.ended_at = None
    offer.tx_code_tries = 0
    offer.expires_at = max(offer.expires_at, now + lifetime)
    made = _new_secrets(
        secrets_at_rest,
        tenant_id=tenant_id,
        offer_id=offer_id,
        generation=offer.generation,
        grant=Grant(offer.grant),
        tx_code_length=offer.tx_code_length,
    )
    for column, value in made.kept().items():
        setattr(offer, column, value)
    session.add(offer)
    await session.flush()
    await _tell(session, offer, now=now)
    armed = ArmedOffer(
        offer_id=offer_id,
        expires_at=offer.expires_at,
        state=OfferState.CREATED,
        grant=Grant(offer.grant),
        delivery=Delivery(offer.delivery),
        configuration_ids=tuple(dict.fromkeys(row.configuration_id for row in rows)),
        reference=made.reference,
        tx_code=made.tx_code,
        tx_code_length=offer.tx_code_length,
        code=None,
        issuer_state=made.issuer_state,
    )
    return _with_code(
        armed, generation=offer.generation, tenant_id=tenant_id, key=secrets_at_rest.code_key, until=now + code_lifetime
    )


async def cancel_offer(session: AsyncSession, *, tenant_id: str, offer_id: str, now: int) -> OfferView:
    """End an offer from which nothing was issued; cancelling it again changes nothing.

    Raises:
        OfferNotFound: the tenant has none of this id.
        OfferConflict: something was issued, or it has ended otherwise.
    """
    offer = await _end_what_came_of_it(session, tenant_id=tenant_id, offer_id=offer_id, now=now)
    if offer.state != OfferState.CANCELLED:
        issued = await _first_issued(session, offer_id=offer_id)
        state = effective_state(offer, now=now)
        if issued is not None or state in ENDED:
            raise OfferConflict(state)
        offer.state = OfferState.CANCELLED
        offer.ended_at = now
        session.add(offer)
        await session.flush()
        await _tell(session, offer, now=now)
        await erase_claims(session, tenant_id=tenant_id, offer_id=offer_id, now=now)
    return await show_offer(session, tenant_id=tenant_id, offer_id=offer_id, now=now)


async def show_offer(session: AsyncSession, *, tenant_id: str, offer_id: str, now: int) -> OfferView:
    """An offer and what was issued from it.

    Raises:
        OfferNotFound: the tenant has none of this id.
    """
    offer = (await session.exec(select(Offer).where(Offer.id == offer_id, Offer.tenant_id == tenant_id))).first()
    if offer is None:
        raise OfferNotFound
    credentials = await credentials_of_offer(session, tenant_id=tenant_id, offer_id=offer_id)
    return OfferView(
        offer.id, effective_state(offer, now=now), offer.failure_reason, offer.expires_at, tuple(credentials)
    )


async def find_collectable(session: AsyncSession, *, reference: str, now: int) -> Offer | None:
    """The offer behind a public address of any tenant, if it can still be collected."""
    return (
        await session.exec(
            select(Offer).where(
                Offer.reference_digest == digest(reference),
                col(Offer.state).in_(COLLECTABLE),
                Offer.expires_at > now,
            )
        )
    ).first()


def effective_state(offer: Offer, *, now: int) -> OfferState:
    """The state at this second: an offer that is over is expired even before somebody has written it down."""
    if offer.state in COLLECTABLE and offer.expires_at <= now:
        return OfferState.EXPIRED
    return OfferState(offer.state)


def issuer_state_of(secrets_at_rest: Secrets, *, tenant_id: str, offer_id: str, generation: int) -> str:
    """The `issuer_state` that an offer for the authorization code flow carries (OpenID4VCI §4.1.1)."""
    return base64url.encode(secrets_at_rest.issuer_state(tenant_id=tenant_id, offer_id=offer_id, generation=generation))


async def _tell(session: AsyncSession, offer: Offer, *, now: int) -> None:
    happening = offer_state(offer.id, offer.state, generation=offer.generation)
    await tell(session, tenant_id=offer.tenant_id, happenings=[happening], now=now)


async def _first_issued(session: AsyncSession, *, offer_id: str) -> str | None:
    return (
        await session.exec(
            select(OfferConfiguration.configuration_id).where(
                OfferConfiguration.offer_id == offer_id, col(OfferConfiguration.issued_at).is_not(None)
            )
        )
    ).first()


@dataclass(frozen=True, slots=True)
class _Secrets:
    """What arming an offer makes: for its maker, and what is kept of it."""

    reference: str = field(repr=False)
    tx_code: str | None = field(repr=False)
    tx_code_mac: bytes | None
    issuer_state: str | None = field(repr=False)

    def kept(self) -> dict[str, bytes | None]:
        """The columns of the offer."""
        return {
            "reference_digest": digest(self.reference),
            "tx_code_mac": self.tx_code_mac,
            "issuer_state_digest": None if self.issuer_state is None else digest(self.issuer_state),
        }


def _new_secrets(
    secrets_at_rest: Secrets, *, tenant_id: str, offer_id: str, generation: int, grant: Grant, tx_code_length: int
) -> _Secrets:
    tx_code = mac = issuer_state = None
    if tx_code_length:
        tx_code = f"{secrets.randbelow(10**tx_code_length):0{tx_code_length}d}"
        mac = secrets_at_rest.tx_code_mac(tx_code, tenant_id=tenant_id, offer_id=offer_id)
    if grant is Grant.AUTHORIZATION_CODE:
        issuer_state = issuer_state_of(secrets_at_rest, tenant_id=tenant_id, offer_id=offer_id, generation=generation)
    return _Secrets(new_handle(), tx_code, mac, issuer_state)


def _with_code(armed: ArmedOffer, *, generation: int, tenant_id: str, key: bytes, until: int) -> ArmedOffer:
    """An offer by value carries its code from the beginning; by reference each fetch makes one. until: its end."""
    if armed.delivery is not Delivery.VALUE or armed.grant is not Grant.PRE_AUTHORIZED_CODE:
        return armed
    good_for = ArmedCode(armed.offer_id, generation, min(until, armed.expires_at), armed.tx_code is not None)
    return replace(armed, code=mint_code(good_for, tenant_id=tenant_id, key=key))


async def _end_what_came_of_it(session: AsyncSession, *, tenant_id: str, offer_id: str, now: int) -> Offer:
    """Revoke all that leads to an offer and hold its row; if the caller then refuses, the transaction takes it back.

    Tokens are taken before the offer, in the order in which a credential request takes them, so that neither waits for
    the other; what was redeemed in between is revoked by the second pass.

    Raises:
        OfferNotFound: the tenant has none of this id.
    """
    await _revoke_everything(session, tenant_id=tenant_id, offer_id=offer_id, now=now)
    offer = (
        await session.exec(select(Offer).where(Offer.id == offer_id, Offer.tenant_id == tenant_id).with_for_update())
    ).first()
    if offer is None:
        raise OfferNotFound
    await _revoke_everything(session, tenant_id=tenant_id, offer_id=offer_id, now=now)
    return offer


async def _revoke_everything(session: AsyncSession, *, tenant_id: str, offer_id: str, now: int) -> None:
    """End every code, request, login and token that leads to this offer."""
    for table in (AccessToken, RefreshToken):
        await session.exec(
            update(table)
            .where(col(table.tenant_id) == tenant_id, col(table.offer_id) == offer_id, col(table.revoked_at).is_(None))
            .values(revoked_at=now)
            .execution_options(synchronize_session=False)
        )
    await session.exec(
        update(AuthorizationCode)
        .where(col(AuthorizationCode.tenant_id) == tenant_id, col(AuthorizationCode.offer_id) == offer_id)
        .values(expires_at=now)
        .execution_options(synchronize_session=False)
    )
    await session.exec(
        update(PushedRequest)
        .where(
            col(PushedRequest.tenant_id) == tenant_id,
            col(PushedRequest.offer_id) == offer_id,
            col(PushedRequest.completed_at).is_(None),
        )
        .values(completed_at=now)
        .execution_options(synchronize_session=False)
    )
    await session.exec(
        delete(DeferredTransaction)
        .where(col(DeferredTransaction.tenant_id) == tenant_id, col(DeferredTransaction.offer_id) == offer_id)
        .execution_options(synchronize_session=False)
    )
