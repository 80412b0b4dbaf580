"""Whether a credential comes now or later, and the endpoint at which a wallet asks again (OpenID4VCI §8.3, §9)."""

from collections.abc import Sequence

from issuer.catalog.loader import Configuration
from issuer.catalog.schema import DeferralRule
from issuer.claims_source import SourceRefused, SourceUnavailable, SourceUntrustworthy
from issuer.claims_source.at_issue import pulled_claims
from issuer.datasets import OfferedCredential
from issuer.grants.deferred import Postponement, deny_by_register, find_postponed, handing_out, postpone
from issuer.grants.once import LiveNonce, happen_first, nonces_used, proofs_shown
from issuer.grants.seen import refuse_if_shown_before
from issuer.grants.tokens import use_of
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.access import Access
from issuer.wallet_api.envelope import Message, check_wanted_encryption
from issuer.wallet_api.issuance import issue
from specs.keys.jose import PublicKey
from specs.profiles import Deferred
from specs.protocols.oauth import OAuthError
from specs.protocols.openid4vci import (
    CREDENTIAL_REQUEST_DENIED,
    INVALID_TRANSACTION_ID,
    DeferredCredentials,
    IssuedCredentials,
    ResponseEncryption,
    parse_deferred_request,
)

DEFERRED_PATH = "/deferred_credential"
MAX_INTERVAL = 300  # seconds; a wallet that is told to wait for longer may forget


def offers_deferral(tenant: ActiveTenant) -> bool:
    """Whether the tenant's preset lets credentials come later, so that there is an endpoint for it."""
    return tenant.profile.deferred is not Deferred.NONE


def postponed_by_type(tenant: ActiveTenant, configuration: Configuration, *, now: int) -> Postponement | None:
    """How a credential comes later because its type says so; None if it may come at once."""
    rule = configuration.credential_type.deferral.when
    if not offers_deferral(tenant) or rule is DeferralRule.WHEN_SLOW:
        return None
    return _postponement(tenant, configuration, interval=None, now=now)


def postponed_by_register(
    tenant: ActiveTenant, configuration: Configuration, *, retry_after: int, now: int
) -> Postponement | None:
    """How a credential comes later because its register is slow; None where the preset has no later."""
    if not offers_deferral(tenant):
        return None
    return _postponement(tenant, configuration, interval=min(retry_after, MAX_INTERVAL), now=now)


async def defer(
    service: IssuerService,
    tenant: ActiveTenant,
    access: Access,
    configuration: Configuration,
    dataset: str,
    *,
    holder_keys: Sequence[PublicKey],
    nonces: Sequence[LiveNonce],
    postponement: Postponement,
    now: int,
) -> DeferredCredentials:
    """Keep a good request for later: proof and nonces used, the use counted, the keys kept, or nothing of it.

    Raises:
        OAuthError: `invalid_nonce`, or `invalid_token` if the token ended meanwhile.
    """
    token = access.token
    async with service.store.transaction() as session:
        once = (*proofs_shown(tenant.id, access.shown), *nonces_used(tenant.id, nonces), use_of(token, now=now))
        await happen_first(session, once)
        transaction_id = await postpone(
            session,
            token,
            credential=OfferedCredential(configuration.id, dataset),
            holder_keys=holder_keys,
            postponement=postponement,
            sealer=tenant.sealer,
            now=now,
        )
    return DeferredCredentials(transaction_id, postponement.interval)


async def answer_deferred(
    service: IssuerService, tenant: ActiveTenant, *, access: Access, message: Message, now: int
) -> tuple[IssuedCredentials | DeferredCredentials, ResponseEncryption | None]:
    """Answer a deferred request: the credentials or the same transaction again, and how this request wants it (§9.2).

    Raises:
        OAuthError: `invalid_transaction_id`, `credential_request_denied`, or as §8.3.1 names it.
    """
    token = access.token
    request = parse_deferred_request(message.body)
    wanted = request.response_encryption
    check_wanted_encryption(service, tenant, wanted, request_was_encrypted=message.was_encrypted)
    async with service.store.reading() as session:
        postponed = await find_postponed(
            session, token, transaction_id=request.transaction_id, sealer=tenant.sealer, now=now
        )
    if postponed is None:
        raise OAuthError(INVALID_TRANSACTION_ID, "the transaction_id is not, or no longer, valid")
    if postponed.is_denied:
        raise OAuthError(CREDENTIAL_REQUEST_DENIED, "this credential will not be issued")

    async def come_again(interval: int) -> tuple[DeferredCredentials, ResponseEncryption | None]:
        async with service.store.transaction() as session:  # an answer that gives nothing uses the proofs up, too
            await happen_first(session, proofs_shown(tenant.id, access.shown))
        return DeferredCredentials(request.transaction_id, interval), wanted

    if not postponed.is_ready:
        return await come_again(postponed.interval)
    configuration = service.catalog.configurations.get(postponed.credential.configuration_id)
    if configuration is None or not tenant.issues(configuration):
        raise OAuthError(CREDENTIAL_REQUEST_DENIED, "this credential is not issued any more")
    async with service.store.reading() as session:  # whoever repeats a request learns nothing from the register
        await refuse_if_shown_before(session, tenant_id=tenant.id, proofs=access.shown)
    try:
        pulled = await pulled_claims(
            service,
            tenant,
            offer_id=token.offer_id,
            configuration=configuration,
            dataset=postponed.credential.dataset,
            now=now,
            patient=True,
        )
    except SourceUnavailable as error:
        return await come_again(min(error.retry_after, MAX_INTERVAL))
    except SourceUntrustworthy as error:
        raise OAuthError(CREDENTIAL_REQUEST_DENIED, "the register does not let this credential be issued") from error
    except SourceRefused as error:
        async with service.store.transaction() as session:
            await happen_first(session, proofs_shown(tenant.id, access.shown))
            await deny_by_register(session, token, postponed, reason=error.reason, now=now)
        raise OAuthError(CREDENTIAL_REQUEST_DENIED, "the register does not let this credential be issued") from error
    issued = await issue(
        service,
        tenant,
        access,
        configuration,
        postponed.credential.dataset,
        holder_keys=postponed.holder_keys,
        pulled=pulled,
        spent=[handing_out(token, postponed, now=now)],
        now=now,
    )
    return issued, wanted


def _postponement(
    tenant: ActiveTenant, configuration: Configuration, *, interval: int | None, now: int
) -> Postponement:
    deferral = configuration.credential_type.deferral
    waits = deferral.when is DeferralRule.ALWAYS and tenant.profile.deferred is not Deferred.FIRST_POLL
    return Postponement(
        interval=deferral.interval if interval is None else interval,
        ready_at=now + deferral.ready_after if waits else now,
        expires_at=now + deferral.lifetime_hours * 3600,
        needs_approval=deferral.when is DeferralRule.APPROVAL,
    )
