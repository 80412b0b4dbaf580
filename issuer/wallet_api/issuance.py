"""The one place where credentials come into being: what is used up and every copy in one transaction, then minted."""

import secrets
from collections.abc import Sequence

from issuer.catalog.loader import Configuration
from issuer.grants.notifications import record_notification_id
from issuer.grants.once import Once, proofs_shown
from issuer.grants.tokens import use_of
from issuer.minting.mint import MintOrder
from issuer.offer_claims import claims_place
from issuer.recording import NotIssuable, record_copies
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.access import Access
from issuer.wallet_api.rules import credential_window
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import PublicKey
from specs.protocols.oauth import OAuthError
from specs.protocols.openid4vci import CREDENTIAL_REQUEST_DENIED, IssuedCredentials


async def issue(
    service: IssuerService,
    tenant: ActiveTenant,
    access: Access,
    configuration: Configuration,
    dataset: str,
    *,
    holder_keys: Sequence[PublicKey],
    pulled: JsonObject | None,
    spent: Sequence[Once],
    now: int,
) -> IssuedCredentials:
    """One credential for each key. Either all of it happened or none: proof remembered, use counted, copies entered.

    pulled: claims of a register; without any those of the offer are taken. spent: what entitles to this answer and is
    used up by it (nonces, a transaction). now: seconds since the epoch.

    Raises:
        OAuthError: `invalid_token` if the token ended meanwhile, `credential_request_denied`, or a refusal of `spent`.
    """
    token, window, kind = access.token, credential_window(tenant, configuration, now=now), configuration.credential_type
    if kind.status:
        await service.stock.prepare(tenant.sealer, suspendable=kind.suspendable, count=len(holder_keys), now=now)
    async with service.store.transaction() as session:
        try:
            recorded = await record_copies(
                session,
                tenant,
                service.stock,
                offer_id=token.offer_id,
                configuration=configuration,
                dataset=dataset,
                count=len(holder_keys),
                window=window,
                now=now,
                once=(*proofs_shown(tenant.id, access.shown), *spent, use_of(token, now=now)),
            )
        except NotIssuable as error:
            raise OAuthError(CREDENTIAL_REQUEST_DENIED, str(error)) from error
        claims = pulled
        if claims is None and recorded.sealed_claims is not None:
            place = claims_place(token.offer_id, configuration.id, dataset)
            claims = tenant.sealer.open_json(recorded.sealed_claims, place=place)
        if claims is None:
            raise OAuthError(CREDENTIAL_REQUEST_DENIED, "this credential can no longer be issued")
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
