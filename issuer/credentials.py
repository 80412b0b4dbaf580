"""Credentials that were handed out: shown to the city, found by their person, revoked, suspended and reinstated.

A credential stands for type × format × dataset of an offer; all its copies share its state. What is kept of the person
is a keyed pseudonym.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import exists, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.caps import free_place
from issuer.events.outbox import EventType, Happening, tell
from issuer.status.allocation import BITS_WITHOUT
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
from specs.encoding.strict_json import JsonObject


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
            details=described(row.credential_type, row.format, row.dataset),
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


def described(credential_type: str, form: str, dataset: str) -> JsonObject:
    """What an event says of a credential."""
    said: JsonObject = {"credential_type": credential_type, "format": str(form)}
    return said | {"dataset": dataset} if dataset else said


def _view(row: Credential) -> CredentialView:
    return CredentialView(row.id, row.credential_type, row.format, row.dataset, row.status)
