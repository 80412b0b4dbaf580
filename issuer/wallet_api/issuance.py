"""The one place where credentials come into being: what is used up and every copy in one transaction, then minted."""

import secrets
from collections.abc import Awaitable, Callable, Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.catalog.loader import Configuration
from issuer.credentials import NotIssuable, note_issued, record_copies
from issuer.grants.notifications import record_notification_id
from issuer.grants.once import remember_proofs
from issuer.grants.pre_authorized import offered_in
from issuer.grants.tokens import count_use
from issuer.minting.mint import MintOrder
from issuer.offers import open_claims
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.access import Access
from issuer.wallet_api.rules import credential_window
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import PublicKey
from specs.protocols.oauth import INVALID_TOKEN, OAuthError
from specs.protocols.openid4vci import CREDENTIAL_REQUEST_DENIED, IssuedCredentials

Spend = Callable[[AsyncSession], Awaitable[None]]


async def issue(
    service: IssuerService,
    tenant: ActiveTenant,
    access: Access,
    configuration: Configuration,
    dataset: str,
    *,
    holder_keys: Sequence[PublicKey],
    pulled: JsonObject | None,
    spend: Spend,
    now: int,
) -> IssuedCredentials:
    """One credential for each key. Either all of it happened or none: proof remembered, use counted, copies entered.

    pulled: claims of a register; without any those of the offer are taken. spend: uses up what entitles to this answer
    (nonces, a transaction), or raises. now: seconds since the epoch.

    Raises:
        OAuthError: `invalid_token` if the token ended meanwhile, `credential_request_denied`, or what `spend` raises.
    """
    token, window = access.token, credential_window(tenant, configuration, now=now)
    async with service.store.transaction() as session:
        await remember_proofs(session, tenant_id=tenant.id, proofs=access.shown)
        await spend(session)
        if not await count_use(session, token, now=now):
            raise OAuthError(INVALID_TOKEN, "the access token is not, or no longer, valid", 401)
        claims = pulled or await open_claims(
            session,
            sealer=tenant.sealer,
            offer_id=token.offer_id,
            configuration_id=configuration.id,
            dataset=dataset,
        )
        if claims is None:
            raise OAuthError(CREDENTIAL_REQUEST_DENIED, "this credential can no longer be issued")
        try:
            recorded = await record_copies(
                session,
                tenant,
                offer_id=token.offer_id,
                configuration=configuration,
                dataset=dataset,
                count=len(holder_keys),
                window=window,
                list_size=service.settings.status_list_size,
                now=now,
            )
        except NotIssuable as error:
            raise OAuthError(CREDENTIAL_REQUEST_DENIED, str(error)) from error
        await note_issued(
            session,
            tenant_id=tenant.id,
            offer_id=token.offer_id,
            offered=await offered_in(session, tenant_id=tenant.id, offer_id=token.offer_id),
            now=now,
        )
        notification_id = secrets.token_urlsafe(16)
        await record_notification_id(
            session, token, notification_id=notification_id, credential_id=recorded.credential_id, now=now
        )
    minted = tenant.mint.mint(
        MintOrder(
            configuration=configuration,
            claims=claims,
            holder_keys=holder_keys,
            statuses=recorded.statuses,
            window=window,
        )
    )
    return IssuedCredentials(tuple(minted), notification_id)
