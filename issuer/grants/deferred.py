"""Credentials that a wallet comes back for (OpenID4VCI §9): kept with the proven keys, handed out once."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import BigInteger, ColumnElement, LargeBinary, String, bindparam, exists
from sqlalchemy import update as column_update
from sqlalchemy.orm import aliased
from sqlmodel import and_, col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.datasets import OfferedCredential
from issuer.events.outbox import EventType, Happening, offer_state, tell
from issuer.grants.handles import new_handle
from issuer.grants.once import Once
from issuer.grants.tokens import LiveToken
from issuer.sealing import Sealer
from issuer.secrets_at_rest import digest
from issuer.store.statements import Statement
from issuer.store.tables import DeferredTransaction, Offer, OfferConfiguration, OfferState
from specs.keys.jose import PublicKey, jwk_from_public_key, parse_jwk
from specs.protocols.oauth import OAuthError
from specs.protocols.openid4vci import INVALID_TRANSACTION_ID

_NOW = bindparam("now", type_=BigInteger)
_HANDED_OUT = Statement(
    column_update(DeferredTransaction)
    .where(
        col(DeferredTransaction.digest) == bindparam("transaction"),
        col(DeferredTransaction.tenant_id) == bindparam("tenant"),
        col(DeferredTransaction.offer_id) == bindparam("offer"),
        col(DeferredTransaction.client_id).is_not_distinct_from(bindparam("client", type_=String)),
        col(DeferredTransaction.dpop_jkt).is_not_distinct_from(bindparam("jkt", type_=LargeBinary)),
        col(DeferredTransaction.expires_at) > _NOW,
        col(DeferredTransaction.handed_out_at).is_(None),
        col(DeferredTransaction.denied_at).is_(None),
        col(DeferredTransaction.ready_at) <= _NOW,
        or_(col(DeferredTransaction.needs_approval).is_(False), col(DeferredTransaction.approved_at).is_not(None)),
    )
    .values(handed_out_at=_NOW)
    .returning(col(DeferredTransaction.id))
)


class DeferredNotFound(Exception):
    """The tenant has no such transaction that still runs."""


class DeferredConflict(Exception):
    """The transaction was decided otherwise; the message names its state."""


class DeferredState(StrEnum):
    """Where a transaction stands, as the City API shows it."""

    WAITING = "waiting"  # for the city's approval
    APPROVED = "approved"  # the wallet may have it, as soon as the claims are there
    DENIED = "denied"
    HANDED_OUT = "handed_out"


@dataclass(frozen=True, slots=True)
class Postponement:
    """How a credential comes later. Times in seconds, ready_at and expires_at since the epoch.

    interval: what the wallet is told to wait between two questions. needs_approval: the city decides first.
    """

    interval: int
    ready_at: int
    expires_at: int
    needs_approval: bool


@dataclass(frozen=True, slots=True)
class Postponed:
    """A transaction that its wallet asks for. is_ready: only the claims may still be missing."""

    digest: bytes
    credential: OfferedCredential
    interval: int
    is_ready: bool
    is_denied: bool
    holder_keys: tuple[PublicKey, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeferredView:
    """What the City API shows. Times: seconds since the epoch."""

    id: str
    offer_id: str
    type: str
    format: str
    dataset: str
    state: DeferredState
    created_at: int
    expires_at: int


async def postpone(
    session: AsyncSession,
    token: LiveToken,
    *,
    credential: OfferedCredential,
    holder_keys: Sequence[PublicKey],
    postponement: Postponement,
    sealer: Sealer,
    now: int,
) -> str:
    """Keep a request whose proofs hold, with its keys; the transaction_id. The caller redeems nonces in the same go."""
    transaction_id = new_handle()
    row_id = secrets.token_urlsafe(16)
    keys = [jwk_from_public_key(key) for key in holder_keys]
    session.add(
        DeferredTransaction(
            digest=digest(transaction_id),
            id=row_id,
            tenant_id=token.tenant_id,
            offer_id=token.offer_id,
            token_digest=token.digest,
            client_id=token.client_id,
            dpop_jkt=token.dpop_jkt,
            configuration_id=credential.configuration_id,
            dataset=credential.dataset,
            sealed_request=sealer.seal_json({"keys": [{**key} for key in keys]}, place=_place(row_id)),
            interval=postponement.interval,
            needs_approval=postponement.needs_approval,
            ready_at=postponement.ready_at,
            created_at=now,
            expires_at=postponement.expires_at,
        )
    )
    await session.flush()
    if postponement.needs_approval:
        waiting = Happening(EventType.DEFERRED_WAITING, offer_id=token.offer_id, details={"deferred_id": row_id})
        await tell(session, tenant_id=token.tenant_id, happenings=[waiting], now=now)
    return transaction_id


async def find_postponed(
    session: AsyncSession, token: LiveToken, *, transaction_id: str, sealer: Sealer, now: int
) -> Postponed | None:
    """The transaction of this id, if it is this token's, live, and not collected yet (§9.1).

    A refreshed token of the same offer, client and key serves as well as the first one.
    """
    row = (
        await session.exec(
            select(DeferredTransaction).where(
                DeferredTransaction.digest == digest(transaction_id), *_of(token), *_collectable(now)
            )
        )
    ).first()
    if row is None or row.configuration_id not in token.configuration_ids:
        return None
    kept = sealer.open_json(row.sealed_request, place=_place(row.id))["keys"]
    assert isinstance(kept, list)
    return Postponed(
        digest=row.digest,
        credential=OfferedCredential(row.configuration_id, row.dataset),
        interval=row.interval,
        is_ready=row.ready_at <= now and (not row.needs_approval or row.approved_at is not None),
        is_denied=row.denied_at is not None,
        holder_keys=tuple(parse_jwk(key) for key in kept),
    )


def handing_out(token: LiveToken, postponed: Postponed, *, now: int) -> Once:
    """The end of a transaction by its credential, once over all workers; refused if it ended meanwhile."""
    refusal = OAuthError(INVALID_TRANSACTION_ID, "the transaction_id is not, or no longer, valid")
    run = _HANDED_OUT.given(
        transaction=postponed.digest,
        tenant=token.tenant_id,
        offer=token.offer_id,
        client=token.client_id,
        jkt=token.dpop_jkt,
        now=now,
    )
    return Once(run, refusal)


async def approve(session: AsyncSession, *, tenant_id: str, deferred_id: str, now: int) -> DeferredView:
    """Let the wallet have it; approving again changes nothing.

    Raises:
        DeferredNotFound: unknown, or its time is over. DeferredConflict: it was denied.
    """
    return await _decide(session, tenant_id=tenant_id, deferred_id=deferred_id, denial=None, now=now)


async def deny(session: AsyncSession, *, tenant_id: str, deferred_id: str, reason: str, now: int) -> DeferredView:
    """Say no for good; denying again changes nothing.

    Raises:
        DeferredNotFound: unknown, or its time is over. DeferredConflict: it was approved.
    """
    return await _decide(session, tenant_id=tenant_id, deferred_id=deferred_id, denial=reason, now=now)


async def deny_by_register(
    session: AsyncSession, token: LiveToken, postponed: Postponed, *, reason: str, now: int
) -> None:
    """End a transaction because the register says no."""
    await session.exec(
        update(DeferredTransaction)
        .where(col(DeferredTransaction.digest) == postponed.digest, *_of(token), *_collectable(now))
        .values(denied_at=now, denial_reason=reason)
        .execution_options(synchronize_session=False)
    )
    await fail_if_nothing_is_left(session, tenant_id=token.tenant_id, offer_id=token.offer_id, reason=reason, now=now)


async def fail_if_nothing_is_left(
    session: AsyncSession,
    *,
    tenant_id: str,
    offer_id: str,
    reason: str,
    now: int,
    refused: OfferedCredential | None = None,
) -> bool:
    """End an offer as failed once each of its credentials was denied and none issued; whether that was now.

    refused: a credential that was refused without having been postponed.
    """
    without, of = refused or ("", "")
    other = aliased(DeferredTransaction)
    open_configuration = exists().where(
        col(OfferConfiguration.offer_id) == offer_id,
        or_(col(OfferConfiguration.configuration_id) != without, col(OfferConfiguration.dataset) != of),
        ~exists().where(
            col(other.offer_id) == col(OfferConfiguration.offer_id),
            col(other.configuration_id) == col(OfferConfiguration.configuration_id),
            col(other.dataset) == col(OfferConfiguration.dataset),
            col(other.denied_at).is_not(None),
        ),
    )
    failed = await session.exec(
        update(Offer)
        .where(
            col(Offer.id) == offer_id,
            col(Offer.tenant_id) == tenant_id,
            col(Offer.state) == OfferState.AUTHORIZED,
            ~open_configuration,
        )
        .values(state=OfferState.FAILED, failure_reason=reason[:100], ended_at=now)
        .execution_options(synchronize_session=False)
    )
    if failed.rowcount != 1:
        return False
    happening = offer_state(offer_id, OfferState.FAILED, reason=reason)
    await tell(session, tenant_id=tenant_id, happenings=[happening], now=now)
    return True


async def list_deferred(
    session: AsyncSession, *, tenant_id: str, after: str | None, limit: int, now: int
) -> tuple[list[DeferredView], str | None]:
    """A page of the transactions that wait for the city, and the cursor of the next page if there is one."""
    rows = (
        await session.exec(
            select(DeferredTransaction, OfferConfiguration)
            .where(
                DeferredTransaction.tenant_id == tenant_id,
                *_collectable(now),
                col(DeferredTransaction.needs_approval),
                col(DeferredTransaction.approved_at).is_(None),
                col(DeferredTransaction.denied_at).is_(None),
                col(DeferredTransaction.id) > (after or ""),
                _its_configuration(),
            )
            .order_by(col(DeferredTransaction.id))
            .limit(limit + 1)
        )
    ).all()
    page = [_view(row, configuration) for row, configuration in rows[:limit]]
    return page, page[-1].id if len(rows) > limit else None


async def _decide(
    session: AsyncSession, *, tenant_id: str, deferred_id: str, denial: str | None, now: int
) -> DeferredView:
    values = {"approved_at": now} if denial is None else {"denied_at": now, "denial_reason": denial}
    decided = await session.exec(
        update(DeferredTransaction)
        .where(
            col(DeferredTransaction.id) == deferred_id,
            col(DeferredTransaction.tenant_id) == tenant_id,
            *_collectable(now),
            col(DeferredTransaction.approved_at).is_(None),
            col(DeferredTransaction.denied_at).is_(None),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    found = (
        await session.exec(
            select(DeferredTransaction, OfferConfiguration).where(
                DeferredTransaction.id == deferred_id,
                DeferredTransaction.tenant_id == tenant_id,
                DeferredTransaction.expires_at > now,
                _its_configuration(),
            )
        )
    ).first()
    if found is None:
        raise DeferredNotFound
    view = _view(*found)
    wanted = (DeferredState.APPROVED, DeferredState.HANDED_OUT) if denial is None else (DeferredState.DENIED,)
    if view.state not in wanted:
        raise DeferredConflict(view.state)
    if denial is not None and decided.rowcount:
        await fail_if_nothing_is_left(session, tenant_id=tenant_id, offer_id=view.offer_id, reason="denied", now=now)
    return view


def _of(token: LiveToken) -> tuple[ColumnElement[bool], ...]:
    return (
        col(DeferredTransaction.tenant_id) == token.tenant_id,
        col(DeferredTransaction.offer_id) == token.offer_id,
        col(DeferredTransaction.client_id).is_not_distinct_from(token.client_id),
        col(DeferredTransaction.dpop_jkt).is_not_distinct_from(token.dpop_jkt),
    )


def _collectable(now: int) -> tuple[ColumnElement[bool], ...]:
    return (col(DeferredTransaction.expires_at) > now, col(DeferredTransaction.handed_out_at).is_(None))


def _its_configuration() -> ColumnElement[bool]:
    return and_(
        col(OfferConfiguration.offer_id) == col(DeferredTransaction.offer_id),
        col(OfferConfiguration.configuration_id) == col(DeferredTransaction.configuration_id),
        col(OfferConfiguration.dataset) == col(DeferredTransaction.dataset),
    )


def _place(row_id: str) -> str:
    return f"deferred_transactions.sealed_request/{row_id}"


def _view(row: DeferredTransaction, configuration: OfferConfiguration) -> DeferredView:
    if row.handed_out_at is not None:
        state = DeferredState.HANDED_OUT
    elif row.denied_at is not None:
        state = DeferredState.DENIED
    elif row.needs_approval and row.approved_at is None:
        state = DeferredState.WAITING
    else:
        state = DeferredState.APPROVED
    return DeferredView(
        id=row.id,
        offer_id=row.offer_id,
        type=configuration.credential_type,
        format=configuration.format,
        dataset=configuration.dataset,
        state=state,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
