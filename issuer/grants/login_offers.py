"""What a person who logged in lets a wallet collect: the city's offer, or one that the login itself makes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.datasets import UNNAMED
from issuer.events.outbox import offer_state, tell
from issuer.grants.pushed_requests import OPEN
from issuer.offer_claims import claims_place, subject_place
from issuer.sealing import Sealer
from issuer.store.tables import Grant, Offer, OfferConfiguration, OfferState
from specs.encoding.strict_json import JsonObject


@dataclass(frozen=True, slots=True)
class CollectableConfiguration:
    """One credential that a person may let a wallet collect. claims: as minted; none where a register is asked."""

    configuration_id: str
    credential_type: str
    format: str
    claims: JsonObject | None = field(repr=False)
    dataset: str = UNNAMED


@dataclass(frozen=True, slots=True)
class WalletOffer:
    """What a person who logged in lets a wallet collect. expires_at: seconds since the epoch."""

    configurations: tuple[CollectableConfiguration, ...]
    locale: str
    expires_at: int


async def is_offered_to(session: AsyncSession, *, tenant_id: str, offer_id: str, pseudonym: bytes) -> bool:
    """Whether the city made this offer for the person behind this pseudonym."""
    found = await session.exec(
        select(Offer.id).where(Offer.id == offer_id, Offer.tenant_id == tenant_id, Offer.subject_pseudonym == pseudonym)
    )
    return found.first() is not None


async def spend_offer(session: AsyncSession, *, tenant_id: str, offer_id: str, pseudonym: bytes, now: int) -> bool:
    """Let a completed login spend the city's offer, if it is still open and this person's."""
    spent = await session.exec(
        update(Offer)
        .where(
            col(Offer.id) == offer_id,
            col(Offer.tenant_id) == tenant_id,
            col(Offer.subject_pseudonym) == pseudonym,
            col(Offer.redeemed_at).is_(None),
            col(Offer.expires_at) > now,
            col(Offer.state).in_(OPEN),
        )
        .values(redeemed_at=now, state=OfferState.AUTHORIZED)
        .returning(col(Offer.generation))
        .execution_options(synchronize_session=False)
    )
    row = spent.first()
    if row is None:
        return False
    happening = offer_state(offer_id, OfferState.AUTHORIZED, generation=row[0])
    await tell(session, tenant_id=tenant_id, happenings=[happening], now=now)
    return True


async def record_wallet_offer(
    session: AsyncSession,
    offer: WalletOffer,
    *,
    offer_id: str,
    pseudonym: bytes,
    subject: str | None,
    sealer: Sealer,
    now: int,
) -> None:
    """Keep what a person let a wallet collect without an offer of the city, sealed as any offer's claims.

    subject: the person's reference, where a register will be asked about them.
    """
    session.add(
        Offer(
            id=offer_id,
            tenant_id=sealer.tenant_id,
            origin="wallet",
            state=OfferState.AUTHORIZED,
            grant=Grant.AUTHORIZATION_CODE,
            locale=offer.locale,
            created_at=now,
            expires_at=offer.expires_at,
            subject_pseudonym=pseudonym,
            sealed_subject=None if subject is None else sealer.seal(subject.encode(), place=subject_place(offer_id)),
            redeemed_at=now,
        )
    )
    await session.flush()
    session.add_all(_row(each, offer_id=offer_id, sealer=sealer) for each in offer.configurations)
    await session.flush()
    states = (OfferState.CREATED, OfferState.AUTHORIZED)
    happenings = [offer_state(offer_id, state, generation=0) for state in states]
    await tell(session, tenant_id=sealer.tenant_id, happenings=happenings, now=now)


async def fill_claims(
    session: AsyncSession, collectable: CollectableConfiguration, *, offer_id: str, sealer: Sealer
) -> None:
    """Give a configuration of the city's offer the claims that the login brought, if the city gave it none."""
    if collectable.claims is None:
        return
    place = claims_place(offer_id, collectable.configuration_id, collectable.dataset)
    await session.exec(
        update(OfferConfiguration)
        .where(
            col(OfferConfiguration.offer_id) == offer_id,
            col(OfferConfiguration.configuration_id) == collectable.configuration_id,
            col(OfferConfiguration.dataset) == collectable.dataset,
            col(OfferConfiguration.tenant_id) == sealer.tenant_id,
            col(OfferConfiguration.sealed_claims).is_(None),
            col(OfferConfiguration.erased_at).is_(None),
        )
        .values(sealed_claims=sealer.seal_json(collectable.claims, place=place))
        .execution_options(synchronize_session=False)
    )


async def name_datasets(
    session: AsyncSession, named: Sequence[CollectableConfiguration], *, offer_id: str, sealer: Sealer
) -> None:
    """Put the datasets that the login brought in the place of the configuration that stood for all of them.

    named: of any configurations of the offer; what is there already, or has claims of the city, stays.
    """
    for configuration_id in dict.fromkeys(each.configuration_id for each in named):
        stood_for_all = await session.exec(
            delete(OfferConfiguration).where(
                col(OfferConfiguration.offer_id) == offer_id,
                col(OfferConfiguration.configuration_id) == configuration_id,
                col(OfferConfiguration.tenant_id) == sealer.tenant_id,
                col(OfferConfiguration.dataset) == UNNAMED,
                col(OfferConfiguration.sealed_claims).is_(None),
                col(OfferConfiguration.erased_at).is_(None),
                col(OfferConfiguration.issued_at).is_(None),
            )
        )
        if stood_for_all.rowcount:
            session.add_all(
                _row(each, offer_id=offer_id, sealer=sealer)
                for each in named
                if each.configuration_id == configuration_id
            )
    await session.flush()


def _row(each: CollectableConfiguration, *, offer_id: str, sealer: Sealer) -> OfferConfiguration:
    place = claims_place(offer_id, each.configuration_id, each.dataset)
    return OfferConfiguration(
        offer_id=offer_id,
        configuration_id=each.configuration_id,
        dataset=each.dataset,
        tenant_id=sealer.tenant_id,
        credential_type=each.credential_type,
        format=each.format,
        sealed_claims=None if each.claims is None else sealer.seal_json(each.claims, place=place),
    )
