"""The pre-authorized code flow: an offer fetched by reference, and its code turned into what it grants, once.

One statement decides a redemption: it counts a wrong transaction code *and* redeems a right one, so that guesses made
in parallel on any number of workers never get a sixth try (OpenID4VCI 1.0 §6.1, §6.3, §13.6.3).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BigInteger, Integer, LargeBinary, String, bindparam, case, select
from sqlmodel import and_, col, or_, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.datasets import OfferedCredential
from issuer.events.outbox import offer_state, tell
from issuer.grants.once import Once, happen_first
from issuer.grants.pre_authorized_codes import ArmedCode, mint_code, read_code
from issuer.secrets_at_rest import digest
from issuer.store.statements import Statement, one_of
from issuer.store.tables import Grant, Offer, OfferConfiguration, OfferState

_OPEN = (OfferState.CREATED, OfferState.OPENED)
_TENANT, _NOW = bindparam("tenant", type_=String), bindparam("now", type_=BigInteger)
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


async def open_by_reference(
    session: AsyncSession, *, tenant_id: str, reference: str, now: int, code_lifetime: int, code_key: bytes
) -> OpenedOffer | None:
    """Answer a fetch of the offer's address (OpenID4VCI §4.1.3) with a code minted for it; None if there is none.

    now, code_lifetime: seconds. code_key: of `mint_code`.
    """
    offer = await _OPENED.first(session, tenant=tenant_id, reference=digest(reference), now=now)
    if offer is None:
        return None
    offer_id, generation, grant, expires_at, tx_code_length = offer
    opened = offer_state(offer_id, OfferState.OPENED, generation=generation)
    await tell(session, tenant_id=tenant_id, happenings=[opened], now=now)
    code = None
    if grant == Grant.PRE_AUTHORIZED_CODE:
        armed = ArmedCode(offer_id, generation, min(now + code_lifetime, expires_at), tx_code_length > 0)
        code = mint_code(armed, tenant_id=tenant_id, key=code_key)
    return OpenedOffer(
        offer_id=offer_id,
        generation=generation,
        grant=Grant(grant),
        configuration_ids=configurations_of(await offered_in(session, tenant_id=tenant_id, offer_id=offer_id)),
        pre_authorized_code=code,
        tx_code_length=tx_code_length,
    )


async def redeem(
    session: AsyncSession,
    *,
    tenant_id: str,
    code: str,
    tx_code: str | None,
    tx_code_mac: Callable[[str, str], bytes],
    max_tries: int,
    code_key: bytes,
    now: int,
    once: Sequence[Once] = (),
) -> Redeemed | RedemptionRefused:
    """Turn a code into its grant, whoever asks first. The caller commits in every case: a wrong try stays counted.

    tx_code_mac: (offer id, transaction code) → what is stored of it. code_key: of `mint_code`. once: what is used up by
    the try. now: seconds since the epoch.

    Raises:
        OAuthError: something of `once` was used up before; then the caller rolls back.
    """
    armed = read_code(code, tenant_id=tenant_id, key=code_key, now=now)
    refused = RedemptionRefused.UNKNOWN if armed is None else _refused_uncounted(armed, tx_code)
    if armed is None or refused is not None:
        await happen_first(session, once)
        return refused or RedemptionRefused.UNKNOWN
    offer_id = armed.offer_id
    decided, offered = await happen_first(
        session,
        once,
        _DECIDED.given(
            offer=offer_id,
            tenant=tenant_id,
            of_generation=armed.generation,
            max_tries=max_tries,
            given_mac=None if tx_code is None else tx_code_mac(offer_id, tx_code),
            now=now,
        ),
        _OFFERED.given(tenant=tenant_id, offer=offer_id),
    )
    if not decided:
        return RedemptionRefused.UNKNOWN
    redeemed_at, state = decided[0]
    if state in (OfferState.AUTHORIZED, OfferState.LOCKED):
        happening = offer_state(offer_id, state, generation=armed.generation)
        await tell(session, tenant_id=tenant_id, happenings=[happening], now=now)
    if redeemed_at is None:
        return RedemptionRefused.TX_CODE_WRONG
    return Redeemed(offer_id, tuple(OfferedCredential(*row) for row in offered), digest(code))


async def offered_in(session: AsyncSession, *, tenant_id: str, offer_id: str) -> tuple[OfferedCredential, ...]:
    """What an offer holds, in one stable order."""
    rows = await _OFFERED.rows(session, tenant=tenant_id, offer=offer_id)
    return tuple(OfferedCredential(*row) for row in rows)


def configurations_of(offered: Iterable[OfferedCredential]) -> tuple[str, ...]:
    """The credential configuration ids among them, each once."""
    return tuple(dict.fromkeys(each.configuration_id for each in offered))


def _refused_uncounted(armed: ArmedCode, tx_code: str | None) -> RedemptionRefused | None:
    if armed.asks_tx_code:
        return RedemptionRefused.TX_CODE_MISSING if tx_code is None else None
    return None if tx_code is None else RedemptionRefused.TX_CODE_UNEXPECTED
