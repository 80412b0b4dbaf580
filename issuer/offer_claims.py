"""What is in an offer, sealed: the claims of each credential and whom they are about, as long as there are any.

All functions work inside the caller's transaction.
"""

from sqlalchemy import bindparam, update
from sqlalchemy import select as column_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.datasets import UNNAMED
from issuer.sealing import Sealer
from issuer.store.statements import Statement
from issuer.store.tables import IdempotencyRecord, Offer, OfferConfiguration
from specs.encoding.strict_json import JsonObject

_CLAIMS = Statement(
    column_select(col(OfferConfiguration.sealed_claims)).where(
        col(OfferConfiguration.tenant_id) == bindparam("tenant"),
        col(OfferConfiguration.offer_id) == bindparam("offer"),
        col(OfferConfiguration.configuration_id) == bindparam("configuration"),
        col(OfferConfiguration.dataset) == bindparam("dataset"),
    )
)


def claims_place(offer_id: str, configuration_id: str, dataset: str) -> str:
    """Where claims are sealed for."""
    place = f"offer_configurations.sealed_claims/{offer_id}/{configuration_id}"
    return f"{place}/{dataset}" if dataset else place


async def open_claims(
    session: AsyncSession, *, sealer: Sealer, offer_id: str, configuration_id: str, dataset: str = UNNAMED
) -> JsonObject | None:
    """The claims of one credential of an offer, for the mint; None once they are erased."""
    row = await _CLAIMS.first(
        session, tenant=sealer.tenant_id, offer=offer_id, configuration=configuration_id, dataset=dataset
    )
    if row is None or row[0] is None:
        return None
    return sealer.open_json(row[0], place=claims_place(offer_id, configuration_id, dataset))


def subject_place(offer_id: str) -> str:
    """Where the reference of an offer's person is sealed for."""
    return f"offers.sealed_subject/{offer_id}"


async def open_subject(session: AsyncSession, *, sealer: Sealer, offer_id: str) -> str | None:
    """The reference of an offer's person, for a register; None if none was kept, or not any more."""
    sealed = (
        await session.exec(
            select(Offer.sealed_subject).where(Offer.id == offer_id, Offer.tenant_id == sealer.tenant_id)
        )
    ).first()
    return None if sealed is None else sealer.open(sealed, place=subject_place(offer_id)).decode()


async def erase_claims(session: AsyncSession, *, tenant_id: str, offer_id: str, now: int) -> None:
    """Forget the claims and the person of an offer and the answer that its maker got, whatever else is live."""
    await session.exec(
        update(Offer)
        .where(col(Offer.tenant_id) == tenant_id, col(Offer.id) == offer_id)
        .values(sealed_subject=None)
        .execution_options(synchronize_session=False)
    )
    await session.exec(
        update(OfferConfiguration)
        .where(
            col(OfferConfiguration.tenant_id) == tenant_id,
            col(OfferConfiguration.offer_id) == offer_id,
            col(OfferConfiguration.erased_at).is_(None),
        )
        .values(sealed_claims=None, erased_at=now)
        .execution_options(synchronize_session=False)
    )
    await session.exec(
        update(IdempotencyRecord)
        .where(col(IdempotencyRecord.tenant_id) == tenant_id, col(IdempotencyRecord.offer_id) == offer_id)
        .values(sealed_answer=None)
        .execution_options(synchronize_session=False)
    )
