"""The pre-authorized code flow: an offer fetched by reference, and its code turned into what it grants, once.

One statement decides a redemption: it counts a wrong transaction code *and* redeems a right one, so that guesses made
in parallel on any number of workers never get a sixth try (OpenID4VCI 1.0 §6.1, §6.3, §13.6.3).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BigInteger, Integer, LargeBinary, String, bindparam, case, exists, select
from sqlmodel import and_, col, or_, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.datasets import OfferedCredential
from issuer.events.outbox import offer_state, tell
from issuer.grants.handles import new_handle
from issuer.secrets_at_rest import digest
from issuer.store.statements import Statement, insert_rows, one_of
from issuer.store.tables import Grant, Offer, OfferConfiguration, OfferState, PreAuthorizedCode

_OPEN = (OfferState.CREATED, OfferState.OPENED)
_TENANT, _NOW = bindparam("tenant", type_=String), bindparam("now", type_=BigInteger)
_LIVE_CODE = and_(
    col(PreAuthorizedCode.digest) == bindparam("code"),
    col(PreAuthorizedCode.tenant_id) == _TENANT,
    col(PreAuthorizedCode.offer_id) == col(Offer.id),
    col(PreAuthorizedCode.expires_at) > _NOW,
    col(PreAuthorizedCode.revoked_at).is_(None),
)
_OPENED = Statement(
    update(Offer)
    .where(
        col(Offer.tenant_id) == _TENANT,
        col(Offer.reference_digest) == bindparam("reference"),
        col(Offer.expires_at) > _NOW,
        col(Offer.redeemed_at).is_(None),
        one_of(col(Offer.state), _OPEN),
    )
    .values(state=OfferState.OPENED)
    .returning(
        col(Offer.id),
        col(Offer.generation),
        col(Offer.grant),
        col(Offer.expires_at),
        col(Offer.tx_code_length),
        col(Offer.tx_code_mac).is_not(None),
    )
)
_OF_CODE = Statement(
    select(col(Offer.id), col(Offer.generation), col(Offer.tx_code_mac).is_not(None)).where(
        _LIVE_CODE, col(Offer.tenant_id) == _TENANT
    )
)
_GIVEN = bindparam("given_mac", type_=LargeBinary)
# both are none where no transaction code is asked
_RIGHT = or_(col(Offer.tx_code_mac) == _GIVEN, and_(col(Offer.tx_code_mac).is_(None), _GIVEN.is_(None)))
_MAX_TRIES = bindparam("max_tries", type_=Integer)
_LAST_TRY = col(Offer.tx_code_tries) + 1 >= _MAX_TRIES
_DECIDED = Statement(
    update(Offer)
    .where(
        col(Offer.id) == bindparam("offer"),
        col(Offer.tenant_id) == _TENANT,
        col(Offer.generation) == bindparam("of_generation"),
        col(Offer.grant) == Grant.PRE_AUTHORIZED_CODE,
        col(Offer.redeemed_at).is_(None),
        col(Offer.expires_at) > _NOW,
        one_of(col(Offer.state), _OPEN),
        col(Offer.tx_code_tries) < _MAX_TRIES,
        exists().where(_LIVE_CODE),
    )
    .values(
        tx_code_tries=case((_RIGHT, col(Offer.tx_code_tries)), else_=col(Offer.tx_code_tries) + 1),
        redeemed_at=case((_RIGHT, _NOW), else_=None),
        state=case((_RIGHT, OfferState.AUTHORIZED), (_LAST_TRY, OfferState.LOCKED), else_=col(Offer.state)),
        ended_at=case((_RIGHT, None), (_LAST_TRY, _NOW), else_=None),
    )
    .returning(col(Offer.redeemed_at), col(Offer.state))
)
_OFFERED = Statement(
    select(col(OfferConfiguration.configuration_id), col(OfferConfiguration.dataset))
    .where(col(OfferConfiguration.tenant_id) == _TENANT, col(OfferConfiguration.offer_id) == bindparam("offer"))
    .order_by(col(OfferConfiguration.configuration_id), col(OfferConfiguration.dataset))
)


class RedemptionRefused(StrEnum):
    """Why a code was not redeemed."""

    UNKNOWN = "unknown"  # never made, over, revoked, used, or its offer has ended
    TX_CODE_MISSING = "tx_code_missing"  # not counted
    TX_CODE_UNEXPECTED = "tx_code_unexpected"
    TX_CODE_WRONG = "tx_code_wrong"  # counted


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The offer that the code stood for, and what it grants."""

    offer_id: str
    offered: tuple[OfferedCredential, ...]
    code_digest: bytes


@dataclass(frozen=True, slots=True)
class OpenedOffer:
    """What a wallet reads when it fetches an offer by reference.

    pre_authorized_code: fresh for this fetch, none in an offer for the authorization code flow.
    tx_code_length: 0 if no transaction code is asked.
    """

    offer_id: str
    generation: int
    grant: Grant
    configuration_ids: tuple[str, ...]
    pre_authorized_code: str | None
    tx_code_length: int


async def mint_code(
    session: AsyncSession, *, tenant_id: str, offer_id: str, now: int, lifetime: int, offer_expires_at: int
) -> str:
    """A further code of an offer; it never outlives the offer. now, lifetime, offer_expires_at: seconds."""
    code = new_handle()
    await insert_rows(
        session,
        PreAuthorizedCode(
            digest=digest(code),
            tenant_id=tenant_id,
            offer_id=offer_id,
            created_at=now,
            expires_at=min(now + lifetime, offer_expires_at),
        ),
    )
    return code


async def open_by_reference(
    session: AsyncSession, *, tenant_id: str, reference: str, now: int, code_lifetime: int
) -> OpenedOffer | None:
    """Answer a fetch of the offer's address (OpenID4VCI §4.1.3) with a code minted for it; None if there is none.

    now, code_lifetime: seconds.
    """
    offer = await _OPENED.first(session, tenant=tenant_id, reference=digest(reference), now=now)
    if offer is None:
        return None
    offer_id, generation, grant, expires_at, tx_code_length, asks_tx_code = offer
    opened = offer_state(offer_id, OfferState.OPENED, generation=generation)
    await tell(session, tenant_id=tenant_id, happenings=[opened], now=now)
    code = None
    if grant == Grant.PRE_AUTHORIZED_CODE:
        code = await mint_code(
            session,
            tenant_id=tenant_id,
            offer_id=offer_id,
            now=now,
            lifetime=code_lifetime,
            offer_expires_at=expires_at,
        )
    return OpenedOffer(
        offer_id=offer_id,
        generation=generation,
        grant=Grant(grant),
        configuration_ids=configurations_of(await offered_in(session, tenant_id=tenant_id, offer_id=offer_id)),
        pre_authorized_code=code,
        tx_code_length=tx_code_length if asks_tx_code else 0,
    )


async def redeem(
    session: AsyncSession,
    *,
    tenant_id: str,
    code: str,
    tx_code: str | None,
    tx_code_mac: Callable[[str, str], bytes],
    max_tries: int,
    now: int,
) -> Redeemed | RedemptionRefused:
    """Turn a code into its grant, whoever asks first. The caller commits in every case: a wrong try stays counted.

    tx_code_mac: (offer id, transaction code) → what is stored of it. now: seconds since the epoch.
    """
    code_digest = digest(code)
    # only what never changes within a generation is read here; the statement below decides
    offer = await _OF_CODE.first(session, code=code_digest, tenant=tenant_id, now=now)
    if offer is None:
        return RedemptionRefused.UNKNOWN
    offer_id, generation, asks_tx_code = offer
    if asks_tx_code and tx_code is None:
        return RedemptionRefused.TX_CODE_MISSING
    if not asks_tx_code and tx_code is not None:
        return RedemptionRefused.TX_CODE_UNEXPECTED
    decided = await _DECIDED.first(
        session,
        offer=offer_id,
        tenant=tenant_id,
        of_generation=generation,
        code=code_digest,
        max_tries=max_tries,
        given_mac=None if tx_code is None else tx_code_mac(offer_id, tx_code),
        now=now,
    )
    if decided is None:
        return RedemptionRefused.UNKNOWN
    redeemed_at, state = decided
    if state in (OfferState.AUTHORIZED, OfferState.LOCKED):
        happening = offer_state(offer_id, state, generation=generation)
        await tell(session, tenant_id=tenant_id, happenings=[happening], now=now)
    if redeemed_at is None:
        return RedemptionRefused.TX_CODE_WRONG
    return Redeemed(
        offer_id=offer_id,
        offered=await offered_in(session, tenant_id=tenant_id, offer_id=offer_id),
        code_digest=code_digest,
    )


async def offered_in(session: AsyncSession, *, tenant_id: str, offer_id: str) -> tuple[OfferedCredential, ...]:
    """What an offer holds, in one stable order."""
    rows = await _OFFERED.rows(session, tenant=tenant_id, offer=offer_id)
    return tuple(OfferedCredential(*row) for row in rows)


def configurations_of(offered: Iterable[OfferedCredential]) -> tuple[str, ...]:
    """The credential configuration ids among them, each once."""
    return tuple(dict.fromkeys(each.configuration_id for each in offered))
