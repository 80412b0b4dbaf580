"""A pushed authorization request, as it was checked and stored, and the offer that it belongs to (RFC 9126)."""

from dataclasses import dataclass

from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.events.outbox import offer_state, tell
from issuer.grants.handles import new_handle
from issuer.secrets_at_rest import digest
from issuer.store.tables import Grant, Offer, OfferState, PushedRequest

REQUEST_URI_PREFIX = "urn:ietf:params:oauth:request_uri:"
OPEN = (OfferState.CREATED, OfferState.OPENED)


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a wallet asked for by a pushed request, after all checks of its form.

    dpop_jkt, instance_jkt: SHA-256 thumbprints of the DPoP key and of the client attestation's key, where there is one.
    """

    tenant_id: str
    client_id: str
    redirect_uri: str
    state: str | None
    code_challenge: str
    configuration_ids: tuple[str, ...]
    scope: str | None
    detailed: bool
    offer_id: str | None
    dpop_jkt: bytes | None
    instance_jkt: bytes | None


async def push_request(session: AsyncSession, request: AuthorizationRequest, *, now: int, lifetime: int) -> str:
    """Store a request; its request_uri (RFC 9126 §2.2). now, lifetime: seconds."""
    request_uri = REQUEST_URI_PREFIX + new_handle()
    session.add(
        PushedRequest(
            digest=digest(request_uri),
            tenant_id=request.tenant_id,
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            state=request.state,
            code_challenge=request.code_challenge,
            configuration_ids=list(request.configuration_ids),
            scope=request.scope,
            detailed=request.detailed,
            offer_id=request.offer_id,
            dpop_jkt=request.dpop_jkt,
            instance_jkt=request.instance_jkt,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()
    return request_uri


def request_of(pushed: PushedRequest) -> AuthorizationRequest:
    """What `push_request` stored."""
    return AuthorizationRequest(
        tenant_id=pushed.tenant_id,
        client_id=pushed.client_id,
        redirect_uri=pushed.redirect_uri,
        state=pushed.state,
        code_challenge=pushed.code_challenge,
        configuration_ids=tuple(pushed.configuration_ids),
        scope=pushed.scope,
        detailed=pushed.detailed,
        offer_id=pushed.offer_id,
        dpop_jkt=pushed.dpop_jkt,
        instance_jkt=pushed.instance_jkt,
    )


async def open_by_issuer_state(session: AsyncSession, *, tenant_id: str, issuer_state: str, now: int) -> str | None:
    """The open offer that this issuer_state belongs to; the value may be anybody's invention (OpenID4VCI §5.1.3)."""
    opened = await session.exec(
        update(Offer)
        .where(
            col(Offer.tenant_id) == tenant_id,
            col(Offer.issuer_state_digest) == digest(issuer_state),
            col(Offer.grant) == Grant.AUTHORIZATION_CODE,
            col(Offer.expires_at) > now,
            col(Offer.redeemed_at).is_(None),
            col(Offer.state).in_(OPEN),
        )
        .values(state=OfferState.OPENED)
        .returning(col(Offer.id), col(Offer.generation))
        .execution_options(synchronize_session=False)
    )
    row = opened.first()
    if row is None:
        return None
    offer_id, generation = row
    happening = offer_state(offer_id, OfferState.OPENED, generation=generation)
    await tell(session, tenant_id=tenant_id, happenings=[happening], now=now)
    return str(offer_id)
