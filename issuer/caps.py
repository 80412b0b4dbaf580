"""How many live credentials of one type and format a person may hold: places that are taken by single statements."""

from sqlalchemy import func, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.catalog.loader import Configuration
from issuer.store.city_tables import PersonSlot
from issuer.tenants import ActiveTenant


class CapReached(Exception):
    """The person holds as many live credentials of this type and format as the city allows."""


def cap_of(tenant: ActiveTenant, configuration: Configuration) -> int:
    """The most live credentials per person; 0 where there is no limit."""
    return configuration.credential_type.per_person if tenant.profile.copies.per_person_caps else 0


async def take_place(
    session: AsyncSession,
    *,
    tenant_id: str,
    pseudonym: bytes,
    configuration_id: str,
    cap: int,
    credential_id: str,
    live_until: int,
    now: int,
) -> None:
    """Give a credential its place, or let it keep the one that it has. live_until, now: seconds since the epoch.

    Raises:
        CapReached: every place is taken by another live credential.
    """
    kept = await session.exec(
        update(PersonSlot)
        .where(col(PersonSlot.tenant_id) == tenant_id, col(PersonSlot.credential_id) == credential_id)
        .values(live_until=live_until)
        .execution_options(synchronize_session=False)
    )
    if kept.rowcount:
        return
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for slot in range(cap):
        statement = insert(PersonSlot).values(
            tenant_id=tenant_id,
            subject_pseudonym=pseudonym,
            configuration_id=configuration_id,
            slot=slot,
            credential_id=credential_id,
            live_until=live_until,
        )
        taken = await session.exec(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "subject_pseudonym", "configuration_id", "slot"],
                set_={"credential_id": statement.excluded.credential_id, "live_until": statement.excluded.live_until},
                where=or_(
                    col(PersonSlot.live_until) <= now,
                    col(PersonSlot.credential_id) == statement.excluded.credential_id,
                ),
            ).returning(col(PersonSlot.slot))
        )
        if taken.first() is not None:
            return
    raise CapReached("this person holds as many of these credentials as the city allows")


async def free_place(session: AsyncSession, *, tenant_id: str, credential_id: str) -> None:
    """Let another credential have the place of one that was revoked."""
    await session.exec(
        update(PersonSlot)
        .where(col(PersonSlot.tenant_id) == tenant_id, col(PersonSlot.credential_id) == credential_id)
        .values(live_until=0)
        .execution_options(synchronize_session=False)
    )


async def has_place(
    session: AsyncSession, *, tenant_id: str, pseudonym: bytes, configuration_id: str, cap: int, wanted: int, now: int
) -> bool:
    """Whether an offer of so many credentials could be collected at this moment; what decides is `take_place`."""
    taken = (
        await session.exec(
            select(func.count())
            .select_from(PersonSlot)
            .where(
                col(PersonSlot.tenant_id) == tenant_id,
                col(PersonSlot.subject_pseudonym) == pseudonym,
                col(PersonSlot.configuration_id) == configuration_id,
                col(PersonSlot.live_until) > now,
            )
        )
    ).one()
    return taken + wanted <= cap
