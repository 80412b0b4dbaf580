"""Copies of a credential enter the books before they are minted: their places, their offer's next state, one answer.

Everything that must be the first of its kind, and everything that is to be known, goes to the database in one step;
what follows from it goes along with the commit.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, String, and_, bindparam, case, literal, update
from sqlalchemy import select as column_select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.caps import CapReached, cap_of, take_place
from issuer.catalog.loader import Configuration
from issuer.credentials import described
from issuer.datasets import OfferedCredential
from issuer.events.outbox import EventType, Happening, offer_state, tell
from issuer.grants.once import Once, happen_first
from issuer.minting.window import Window
from issuer.status.stock import StatusStock
from issuer.store.statements import Statement, insert_rows, one_of
from issuer.store.tables import (
    Credential,
    CredentialCopy,
    CredentialStatus,
    Offer,
    OfferConfiguration,
    OfferState,
)
from issuer.tenants import ActiveTenant
from specs.credentials.status_list import StatusReference

_TENANT, _OFFER = bindparam("tenant", type_=String), bindparam("offer", type_=String)
_CONFIGURATION, _DATASET = bindparam("configuration", type_=String), bindparam("of_dataset", type_=String)
_NOW, _UNTIL = bindparam("now", type_=BigInteger), bindparam("until", type_=BigInteger)
_LATER = case((col(Credential.expires_at) < _UNTIL, _UNTIL), else_=col(Credential.expires_at))
_HELD = (col(Credential.id), col(Credential.status), col(Credential.subject_pseudonym))
_OF_OFFER = (col(OfferConfiguration.tenant_id) == _TENANT, col(OfferConfiguration.offer_id) == _OFFER)
_IS_PLACE = and_(
    col(OfferConfiguration.configuration_id) == _CONFIGURATION, col(OfferConfiguration.dataset) == _DATASET
)
_OF_PLACE = (*_OF_OFFER, _IS_PLACE)
_OFFERED = Statement(
    column_select(
        col(OfferConfiguration.configuration_id),
        col(OfferConfiguration.dataset),
        col(OfferConfiguration.issued_at),
        case((_IS_PLACE, col(OfferConfiguration.sealed_claims))),
    ).where(*_OF_OFFER)
)
_NEW = {
    "id": bindparam("new_id", type_=String),
    "tenant_id": _TENANT,
    "offer_id": _OFFER,
    "configuration_id": _CONFIGURATION,
    "dataset": _DATASET,
    "credential_type": bindparam("kind", type_=String),
    "format": bindparam("form", type_=String),
    "subject_pseudonym": col(Offer.subject_pseudonym),
    "status": literal(CredentialStatus.VALID.value),
    "expires_at": _UNTIL,
    "created_at": _NOW,
    "changed_at": _NOW,
}
_FIRST_HELD = Statement(
    *(
        dialect.insert(Credential)
        .from_select(
            list(_NEW),
            column_select(*_NEW.values()).where(
                *_OF_PLACE,
                col(OfferConfiguration.credential_id).is_(None),
                col(Offer.id) == col(OfferConfiguration.offer_id),
                col(Offer.tenant_id) == _TENANT,
            ),
        )
        .on_conflict_do_update(index_elements=["offer_id", "configuration_id", "dataset"], set_={"expires_at": _LATER})
        .returning(*_HELD)
        for dialect in (postgresql, sqlite)
    )
)
_HELD_BEFORE = Statement(
    update(Credential)
    .where(
        col(Credential.tenant_id) == _TENANT,
        col(Credential.id) == column_select(col(OfferConfiguration.credential_id)).where(*_OF_PLACE).scalar_subquery(),
    )
    .values(expires_at=_LATER)
    .returning(*_HELD)
)
_NOTED = Statement(
    update(OfferConfiguration).where(*_OF_PLACE).values(credential_id=bindparam("credential"), issued_at=_NOW)
)
_MOVED_ON = Statement(
    update(Offer)
    .where(
        col(Offer.id) == _OFFER,
        col(Offer.tenant_id) == _TENANT,
        one_of(col(Offer.state), (OfferState.AUTHORIZED, OfferState.ISSUED, OfferState.ACCEPTED)),
    )
    .values(state=bindparam("new_state"), ended_at=bindparam("ended"))
)


class NotIssuable(Exception):
    """No further copy of the credential is made; the message says why."""


@dataclass(frozen=True, slots=True)
class RecordedCopies:
    """Copies that are in the books and may be minted: a status reference each, none if the type has no status.

    sealed_claims: those of the offer; none if a register has them, or once they are erased.
    """

    credential_id: str
    statuses: tuple[StatusReference | None, ...]
    sealed_claims: bytes | None = field(repr=False)


async def record_copies(
    session: AsyncSession,
    tenant: ActiveTenant,
    stock: StatusStock,
    *,
    offer_id: str,
    configuration: Configuration,
    dataset: str,
    count: int,
    window: Window,
    now: int,
    once: Sequence[Once] = (),
) -> RecordedCopies:
    """Enter the copies of a credential that is about to be minted, and move its offer on: issued, closed with the last.

    A repeated or renewed request adds copies to the same credential. once: what entitles to the copies and is used up
    by them.

    Raises:
        NotIssuable: the credential was revoked or suspended, or the person holds as many as the city allows.
        OAuthError: something of `once` was used up before.
    """
    place = {"tenant": tenant.id, "offer": offer_id, "configuration": configuration.id, "of_dataset": dataset}
    # the credential's row is held until the transaction ends: a revocation waits until the copies are entered
    offered, first_held = await happen_first(
        session,
        once,
        _OFFERED.given(**place),
        _FIRST_HELD.given(
            **place,
            new_id=secrets.token_urlsafe(16),
            kind=configuration.credential_type.type,
            form=configuration.format.value,
            until=window.expires_at,
            now=now,
        ),
    )
    held = first_held or await _HELD_BEFORE.rows(session, **place, until=window.expires_at)
    credential_id, status, pseudonym = held[0]  # the token is of this offer
    if status != CredentialStatus.VALID:
        raise NotIssuable("this credential was revoked or suspended")
    await _take_place(
        session, tenant, configuration, pseudonym, credential_id=credential_id, live_until=window.expires_at, now=now
    )
    statuses = await _enter(
        session, tenant, stock, configuration, credential_id=credential_id, count=count, window=window, now=now
    )
    known = {OfferedCredential(*row[:2]): row[2:] for row in offered}
    issued_at, sealed_claims = known.pop(OfferedCredential(configuration.id, dataset))
    if issued_at is None:
        await _NOTED.later(session, **place, credential=credential_id, now=now)
    left = any(other_issued_at is None for other_issued_at, _ in known.values())
    state = await _move_on(session, tenant.id, offer_id, OfferState.ISSUED if left else OfferState.CLOSED, now=now)
    happenings = [
        Happening(
            EventType.CREDENTIAL_ISSUED,
            offer_id=offer_id,
            credential_id=credential_id,
            details=described(configuration.credential_type.type, configuration.format, dataset) | {"copies": count},
        ),
        # nothing is armed anew once something was issued, so that each of these comes once
        *(offer_state(offer_id, each, generation=0) for each in dict.fromkeys((OfferState.ISSUED, state))),
    ]
    await tell(session, tenant_id=tenant.id, happenings=happenings, now=now)
    return RecordedCopies(credential_id, statuses, sealed_claims)


async def _take_place(
    session: AsyncSession,
    tenant: ActiveTenant,
    configuration: Configuration,
    pseudonym: bytes | None,
    *,
    credential_id: str,
    live_until: int,
    now: int,
) -> None:
    cap = cap_of(tenant, configuration)
    if not cap or pseudonym is None:
        return
    try:
        await take_place(
            session,
            tenant_id=tenant.id,
            pseudonym=pseudonym,
            configuration_id=configuration.id,
            cap=cap,
            credential_id=credential_id,
            live_until=live_until,
            now=now,
        )
    except CapReached as error:
        raise NotIssuable(str(error)) from error


async def _enter(
    session: AsyncSession,
    tenant: ActiveTenant,
    stock: StatusStock,
    configuration: Configuration,
    *,
    credential_id: str,
    count: int,
    window: Window,
    now: int,
) -> tuple[StatusReference | None, ...]:
    kind = configuration.credential_type
    if not kind.status:
        return (None,) * count
    entries = await stock.take(session, tenant.sealer, suspendable=kind.suspendable, count=count, now=now)
    await insert_rows(
        session,
        CredentialCopy,
        *(
            {
                "status_list_id": entry.list_id,
                "idx": entry.idx,
                "tenant_id": tenant.id,
                "credential_id": credential_id,
                "expires_at": window.expires_at,
            }
            for entry in entries
        ),
    )
    return tuple(StatusReference(tenant.status.uri(entry.list_id), entry.idx) for entry in entries)


async def _move_on(session: AsyncSession, tenant_id: str, offer_id: str, state: OfferState, *, now: int) -> OfferState:
    ended_at = now if state is OfferState.CLOSED else None
    await _MOVED_ON.later(session, tenant=tenant_id, offer=offer_id, new_state=state.value, ended=ended_at)
    return state
