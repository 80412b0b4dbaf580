"""Credentials that were handed out: recorded before the wallet gets them, revoked, suspended and reinstated afterwards.

A credential stands for type × format × dataset of an offer; all its copies share its state. What is kept of the person
is a keyed pseudonym.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BigInteger, String, bindparam, case, exists, update
from sqlalchemy import select as column_select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.caps import CapReached, cap_of, free_place, take_place
from issuer.catalog.loader import Configuration
from issuer.datasets import OfferedCredential
from issuer.events.outbox import EventType, Happening, offer_state, tell
from issuer.minting.window import Window
from issuer.status.allocation import BITS_WITH_SUSPENSION, BITS_WITHOUT, allocate
from issuer.store.statements import Statement, insert_rows, one_of
from issuer.store.tables import (
    Credential,
    CredentialCopy,
    CredentialStatus,
    Offer,
    OfferConfiguration,
    OfferState,
    RefreshToken,
    StatusListRow,
)
from issuer.tenants import ActiveTenant
from specs.credentials.status_list import StatusReference
from specs.encoding.strict_json import JsonObject

_TENANT, _OFFER = bindparam("tenant", type_=String), bindparam("offer", type_=String)
_NOW = bindparam("now", type_=BigInteger)
_UNTIL = bindparam("until", type_=BigInteger)
_LATER = case((col(Credential.expires_at) < _UNTIL, _UNTIL), else_=col(Credential.expires_at))
_HELD = (col(Credential.id), col(Credential.status))
_OF_PLACE = (
    col(OfferConfiguration.tenant_id) == _TENANT,
    col(OfferConfiguration.offer_id) == _OFFER,
    col(OfferConfiguration.configuration_id) == bindparam("configuration"),
    col(OfferConfiguration.dataset) == bindparam("of_dataset"),
)
_PLACE = Statement(
    column_select(
        col(OfferConfiguration.credential_id), col(OfferConfiguration.issued_at), col(Offer.subject_pseudonym)
    ).where(*_OF_PLACE, col(Offer.id) == col(OfferConfiguration.offer_id), col(Offer.tenant_id) == _TENANT)
)
_LENGTHENED = Statement(
    update(Credential)
    .where(col(Credential.id) == bindparam("credential"), col(Credential.tenant_id) == _TENANT)
    .values(expires_at=_LATER)
    .returning(*_HELD)
)
_NEW = {
    "id": bindparam("new_id"),
    "tenant_id": _TENANT,
    "offer_id": _OFFER,
    "configuration_id": bindparam("configuration"),
    "dataset": bindparam("of_dataset"),
    "credential_type": bindparam("kind"),
    "format": bindparam("form"),
    "subject_pseudonym": bindparam("pseudonym"),
    "status": CredentialStatus.VALID.value,
    "expires_at": _UNTIL,
    "created_at": _NOW,
    "changed_at": _NOW,
}
_ADDED = Statement(
    *(
        dialect.insert(Credential)
        .values(_NEW)
        .on_conflict_do_update(index_elements=["offer_id", "configuration_id", "dataset"], set_={"expires_at": _LATER})
        .returning(*_HELD)
        for dialect in (postgresql, sqlite)
    )
)
_NOTED = Statement(
    update(OfferConfiguration).where(*_OF_PLACE).values(credential_id=bindparam("credential"), issued_at=_NOW)
)
_ISSUED = Statement(
    column_select(col(OfferConfiguration.configuration_id), col(OfferConfiguration.dataset)).where(
        col(OfferConfiguration.tenant_id) == _TENANT,
        col(OfferConfiguration.offer_id) == _OFFER,
        col(OfferConfiguration.issued_at).is_not(None),
    )
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


class CredentialNotFound(Exception):
    """The tenant has no such credential."""


class StatusConflict(Exception):
    """The credential's state does not allow the change: revoked is final, only the suspended can be reinstated."""


class StatusChange(StrEnum):
    """What a city can do to a credential, by the last part of the address."""

    REVOKE = "revoke"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"


_TARGET = {
    StatusChange.REVOKE: CredentialStatus.REVOKED,
    StatusChange.SUSPEND: CredentialStatus.SUSPENDED,
    StatusChange.REINSTATE: CredentialStatus.VALID,
}
_FROM = {
    StatusChange.REVOKE: (CredentialStatus.VALID, CredentialStatus.SUSPENDED),
    StatusChange.SUSPEND: (CredentialStatus.VALID,),
    StatusChange.REINSTATE: (CredentialStatus.SUSPENDED,),
}
_EVENT = {
    StatusChange.REVOKE: EventType.CREDENTIAL_REVOKED,
    StatusChange.SUSPEND: EventType.CREDENTIAL_SUSPENDED,
    StatusChange.REINSTATE: EventType.CREDENTIAL_REINSTATED,
}


@dataclass(frozen=True, slots=True)
class RecordedCopies:
    """Copies that are in the books and may be minted: a status reference each, none if the type has no status."""

    credential_id: str
    statuses: tuple[StatusReference | None, ...]


@dataclass(frozen=True, slots=True)
class CredentialView:
    """What the City API shows of a credential."""

    id: str
    type: str
    format: str
    dataset: str
    status: str


@dataclass(frozen=True, slots=True)
class RenewableView:
    """A credential that ends soon. expires_at: seconds since the epoch, of its newest copy."""

    credential: CredentialView
    expires_at: int


async def record_copies(
    session: AsyncSession,
    tenant: ActiveTenant,
    *,
    offer_id: str,
    configuration: Configuration,
    dataset: str,
    count: int,
    window: Window,
    list_size: int,
    now: int,
) -> RecordedCopies:
    """Enter the copies of a credential that is about to be minted, in the transaction that redeems what asked for it.

    A repeated or renewed request adds copies to the same credential. list_size: entries of a new status list.

    Raises:
        NotIssuable: the credential was revoked or suspended, or the person holds as many as the city allows.
    """
    credential_id, status, pseudonym = await _find_or_add(
        session,
        tenant,
        offer_id=offer_id,
        configuration=configuration,
        dataset=dataset,
        expires_at=window.expires_at,
        now=now,
    )
    if status != CredentialStatus.VALID:
        raise NotIssuable("this credential was revoked or suspended")
    if (cap := cap_of(tenant, configuration)) and pseudonym is not None:
        try:
            await take_place(
                session,
                tenant_id=tenant.id,
                pseudonym=pseudonym,
                configuration_id=configuration.id,
                cap=cap,
                credential_id=credential_id,
                live_until=window.expires_at,
                now=now,
            )
        except CapReached as error:
            raise NotIssuable(str(error)) from error
    issued = Happening(
        EventType.CREDENTIAL_ISSUED,
        offer_id=offer_id,
        credential_id=credential_id,
        details=_described(configuration.credential_type.type, configuration.format, dataset) | {"copies": count},
    )
    await tell(session, tenant_id=tenant.id, happenings=[issued], now=now)
    if not configuration.credential_type.status:
        return RecordedCopies(credential_id, (None,) * count)
    bits = BITS_WITH_SUSPENSION if configuration.credential_type.suspendable else BITS_WITHOUT
    entries = await allocate(session, sealer=tenant.sealer, count=count, list_size=list_size, now=now, bits=bits)
    await insert_rows(
        session,
        *(
            CredentialCopy(
                status_list_id=entry.list_id,
                idx=entry.idx,
                tenant_id=tenant.id,
                credential_id=credential_id,
                expires_at=window.expires_at,
            )
            for entry in entries
        ),
    )
    return RecordedCopies(
        credential_id, tuple(StatusReference(tenant.status.uri(entry.list_id), entry.idx) for entry in entries)
    )


async def note_issued(
    session: AsyncSession, *, tenant_id: str, offer_id: str, offered: Collection[OfferedCredential], now: int
) -> None:
    """Move an offer on, in the transaction that recorded the copies: issued with the first, closed with the last.

    offered: all that the offer holds.
    """
    found = await _ISSUED.rows(session, tenant=tenant_id, offer=offer_id)
    issued = {OfferedCredential(*row) for row in found}
    state, ended_at = (OfferState.CLOSED, now) if issued.issuperset(offered) else (OfferState.ISSUED, None)
    await _MOVED_ON.rows(session, tenant=tenant_id, offer=offer_id, new_state=state, ended=ended_at)
    states = (OfferState.ISSUED, state) if state is OfferState.CLOSED else (OfferState.ISSUED,)
    # nothing is armed anew once something was issued, so that each of these comes once
    happenings = [offer_state(offer_id, each, generation=0) for each in states]
    await tell(session, tenant_id=tenant_id, happenings=happenings, now=now)


async def change_status(
    session: AsyncSession, *, tenant_id: str, credential_id: str, change: StatusChange, reason: str, now: int
) -> CredentialView:
    """Revoke, suspend or reinstate a credential with all its copies; a repeat of what holds already changes nothing.

    Raises:
        CredentialNotFound: the tenant has none of this id.
        StatusConflict: the present state does not allow it.
    """
    target = _TARGET[change]
    if change is StatusChange.SUSPEND and await _is_in_narrow_list(
        session, tenant_id=tenant_id, credential_id=credential_id
    ):
        raise StatusConflict("one of a type that cannot be suspended")
    changed = await session.exec(
        update(Credential)
        .where(
            col(Credential.id) == credential_id,
            col(Credential.tenant_id) == tenant_id,
            col(Credential.status).in_(_FROM[change]),
        )
        .values(status=target, status_reason=reason, changed_at=now)
        .execution_options(synchronize_session=False)
    )
    row = (
        await session.exec(select(Credential).where(Credential.id == credential_id, Credential.tenant_id == tenant_id))
    ).first()
    if row is None:
        raise CredentialNotFound
    if changed.rowcount:
        await _publish_again(session, tenant_id=tenant_id, credential_id=credential_id)
        told = Happening(
            _EVENT[change],
            credential_id=credential_id,
            details=_described(row.credential_type, row.format, row.dataset),
        )
        await tell(session, tenant_id=tenant_id, happenings=[told], now=now)
        if target is CredentialStatus.REVOKED:
            await free_place(session, tenant_id=tenant_id, credential_id=credential_id)
            await _end_renewal(session, tenant_id=tenant_id, offer_id=row.offer_id, now=now)
    elif row.status != target:
        raise StatusConflict(row.status)
    return _view(row)


async def find_credential(session: AsyncSession, *, tenant_id: str, credential_id: str) -> CredentialView:
    """One credential of a tenant.

    Raises:
        CredentialNotFound: the tenant has none of this id.
    """
    row = (
        await session.exec(select(Credential).where(Credential.id == credential_id, Credential.tenant_id == tenant_id))
    ).first()
    if row is None:
        raise CredentialNotFound
    return _view(row)


async def credentials_of_offer(session: AsyncSession, *, tenant_id: str, offer_id: str) -> list[CredentialView]:
    """What was issued from an offer, oldest first."""
    rows = await session.exec(
        select(Credential)
        .where(
            Credential.tenant_id == tenant_id,
            col(Credential.id) == col(OfferConfiguration.credential_id),
            OfferConfiguration.offer_id == offer_id,
            col(OfferConfiguration.issued_at).is_not(None),
        )
        .order_by(col(Credential.created_at), col(Credential.id))
    )
    return [_view(row) for row in rows]


async def search_by_subject(
    session: AsyncSession, *, tenant_id: str, pseudonym: bytes, after: str | None, limit: int
) -> tuple[list[CredentialView], str | None]:
    """A page of a person's credentials, and the cursor of the next page if there is one."""
    rows = (
        await session.exec(
            select(Credential)
            .where(
                Credential.tenant_id == tenant_id,
                Credential.subject_pseudonym == pseudonym,
                col(Credential.id) > (after or ""),
            )
            .order_by(col(Credential.id))
            .limit(limit + 1)
        )
    ).all()
    page = [_view(row) for row in rows[:limit]]
    return page, page[-1].id if len(rows) > limit else None


async def expiring(
    session: AsyncSession, *, tenant_id: str, until: int, after: str | None, limit: int, now: int
) -> tuple[list[RenewableView], str | None]:
    """A page of valid credentials that end until then and that no open offer renews. until, now: seconds."""
    being_renewed = exists().where(
        col(OfferConfiguration.credential_id) == col(Credential.id),
        col(OfferConfiguration.issued_at).is_(None),
        col(Offer.id) == col(OfferConfiguration.offer_id),
        col(Offer.state).in_((OfferState.CREATED, OfferState.OPENED, OfferState.AUTHORIZED)),
        col(Offer.expires_at) > now,
    )
    rows = (
        await session.exec(
            select(Credential)
            .where(
                Credential.tenant_id == tenant_id,
                Credential.status == CredentialStatus.VALID,
                Credential.expires_at > now,
                Credential.expires_at <= until,
                col(Credential.id) > (after or ""),
                ~being_renewed,
            )
            .order_by(col(Credential.id))
            .limit(limit + 1)
        )
    ).all()
    page = [RenewableView(_view(row), row.expires_at) for row in rows[:limit]]
    return page, page[-1].credential.id if len(rows) > limit else None


async def credential_to_renew(session: AsyncSession, *, tenant_id: str, credential_id: str) -> Credential:
    """The row of a credential.

    Raises:
        CredentialNotFound: the tenant has none of this id.
    """
    row = (
        await session.exec(select(Credential).where(Credential.id == credential_id, Credential.tenant_id == tenant_id))
    ).first()
    if row is None:
        raise CredentialNotFound
    return row


async def _find_or_add(
    session: AsyncSession,
    tenant: ActiveTenant,
    *,
    offer_id: str,
    configuration: Configuration,
    dataset: str,
    expires_at: int,
    now: int,
) -> tuple[str, str, bytes | None]:
    """The credential of an offer's configuration, made by the first request of all workers, or the one it renews.

    Its row is held until the transaction ends: a revocation waits until the copies are entered, then covers them.
    """
    place = {"tenant": tenant.id, "offer": offer_id, "configuration": configuration.id, "of_dataset": dataset}
    found = await _PLACE.first(session, **place)
    assert found is not None  # the token is of this offer
    known, issued_at, pseudonym = found
    if known is not None:
        row = await _LENGTHENED.first(session, tenant=tenant.id, credential=known, until=expires_at)
    else:
        row = await _ADDED.first(
            session,
            **place,
            new_id=secrets.token_urlsafe(16),
            kind=configuration.credential_type.type,
            form=configuration.format.value,
            pseudonym=pseudonym,
            until=expires_at,
            now=now,
        )
    assert row is not None
    credential_id, status = row
    if issued_at is None:
        await _NOTED.rows(session, **place, credential=credential_id, now=now)
    return credential_id, status, pseudonym


async def _publish_again(session: AsyncSession, *, tenant_id: str, credential_id: str) -> None:
    lists = select(col(CredentialCopy.status_list_id)).where(
        col(CredentialCopy.credential_id) == credential_id, col(CredentialCopy.tenant_id) == tenant_id
    )
    await session.exec(
        update(StatusListRow)
        .where(col(StatusListRow.tenant_id) == tenant_id, col(StatusListRow.id).in_(lists))
        .values(version=StatusListRow.version + 1)
        .execution_options(synchronize_session=False)
    )


async def _is_in_narrow_list(session: AsyncSession, *, tenant_id: str, credential_id: str) -> bool:
    """Whether a list has room for VALID and INVALID only; what the catalogue says by now doesn't matter."""
    found = await session.exec(
        select(StatusListRow.id)
        .join(CredentialCopy, col(CredentialCopy.status_list_id) == col(StatusListRow.id))
        .where(
            CredentialCopy.credential_id == credential_id,
            CredentialCopy.tenant_id == tenant_id,
            StatusListRow.bits == BITS_WITHOUT,
        )
        .limit(1)
    )
    return found.first() is not None


async def _end_renewal(session: AsyncSession, *, tenant_id: str, offer_id: str, now: int) -> None:
    """Without a credential that could be renewed, the offer's refresh tokens end."""
    left = (
        await session.exec(
            select(Credential.id).where(
                Credential.offer_id == offer_id,
                Credential.tenant_id == tenant_id,
                Credential.status != CredentialStatus.REVOKED,
            )
        )
    ).first()
    if left is None:
        await session.exec(
            update(RefreshToken)
            .where(
                col(RefreshToken.tenant_id) == tenant_id,
                col(RefreshToken.offer_id) == offer_id,
                col(RefreshToken.revoked_at).is_(None),
            )
            .values(revoked_at=now)
            .execution_options(synchronize_session=False)
        )


def _described(credential_type: str, form: str, dataset: str) -> JsonObject:
    described: JsonObject = {"credential_type": credential_type, "format": str(form)}
    return described | {"dataset": dataset} if dataset else described


def _view(row: Credential) -> CredentialView:
    return CredentialView(row.id, row.credential_type, row.format, row.dataset, row.status)
