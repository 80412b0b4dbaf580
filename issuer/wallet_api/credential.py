"""Proven keys become credentials: nonces used and copies recorded in one transaction, then minted (OpenID4VCI §8)."""

from collections.abc import Callable

from issuer.catalog.loader import Configuration
from issuer.claims_source import SourceRefused, SourceUnavailable, SourceUntrustworthy
from issuer.claims_source.at_issue import pulled_claims
from issuer.datasets import UNNAMED, OfferedCredential
from issuer.grants.deferred import fail_if_nothing_is_left
from issuer.grants.once import LiveNonce, nonces_used
from issuer.grants.seen import refuse_if_shown_before, was_used
from issuer.grants.tokens import LiveToken
from issuer.nonces import NoncePurpose, NonceRefused
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.access import Access
from issuer.wallet_api.deferral import defer, postponed_by_register, postponed_by_type
from issuer.wallet_api.envelope import Message, check_wanted_encryption
from issuer.wallet_api.issuance import issue
from issuer.wallet_api.rules import (
    anchor_in_chain_allowed,
    batch_size,
    copies_of,
    issued_by,
    proof_types,
)
from issuer.wallet_api.wire import ComeAgain, nonces_of
from specs.encoding.strict_json import JsonObject
from specs.profiles import CredentialIdentifiers
from specs.protocols.key_proof import INVALID_NONCE, verify_proofs
from specs.protocols.oauth import OAuthError
from specs.protocols.openid4vci import (
    CREDENTIAL_REQUEST_DENIED,
    INVALID_CREDENTIAL_REQUEST,
    CredentialRequest,
    DeferredCredentials,
    IssuedCredentials,
    ResponseEncryption,
    chosen_configuration,
    parse_credential_request,
)


async def issue_credentials(
    service: IssuerService, tenant: ActiveTenant, *, access: Access, message: Message, now: int
) -> tuple[IssuedCredentials | DeferredCredentials, ResponseEncryption | None]:
    """Answer a credential request: the credentials or where to ask for them later, and how the wallet wants that.

    Raises:
        OAuthError: as OpenID4VCI §8.3.1 names it; `ComeAgain` if a register does not answer. Nothing is recorded then.
    """
    token = access.token
    request = parse_credential_request(message.body)
    check_wanted_encryption(service, tenant, request.response_encryption, request_was_encrypted=message.was_encrypted)
    configuration_id = chosen_configuration(
        request,
        known=issued_by(tenant, service.catalog),
        granted=token.configuration_ids,
        identifiers={name: each.configuration_id for name, each in token.credential_identifiers.items()},
        either_allowed=tenant.profile.credential_identifiers is CredentialIdentifiers.EITHER,
    )
    configuration = service.catalog.configurations[configuration_id]
    dataset = _dataset_of(request, token, configuration_id)
    live_nonces: dict[str, LiveNonce] = {}
    proofs = verify_proofs(
        request.proofs,
        expected_audience=tenant.issuer_url,
        expected_client_id=token.client_id,
        supported=proof_types(tenant, configuration),
        check_nonce=_nonce_collector(service, tenant, live_nonces, now=now),
        attestation_anchors=service.providers.current(now=now),
        batch_size=batch_size(tenant, service.catalog, service.settings),
        now=now,
        max_age=service.settings.proof_age,
        max_ahead=service.settings.clock_skew,
        anchor_in_chain_allowed=anchor_in_chain_allowed(tenant.profile),
    )
    keys = [holder.key for holder in proofs.keys[: copies_of(tenant, configuration, service.settings)]]
    nonces = [live_nonces[value] for value in proofs.nonces]
    pulled = None
    later = postponed_by_type(tenant, configuration, now=now)
    if later is None:
        if _may_ask_register(tenant, configuration):
            # a repeat never reaches the register, and a request that it does not answer costs the wallet nothing
            async with service.store.reading() as session:
                await refuse_if_shown_before(session, tenant_id=tenant.id, proofs=access.shown)
                if await was_used(session, tenant_id=tenant.id, nonces=nonces):
                    raise OAuthError(INVALID_NONCE, "the nonce was used before")
        try:
            pulled = await _pulled(service, tenant, token, configuration, dataset, now=now)
        except SourceUnavailable as error:
            later = postponed_by_register(tenant, configuration, retry_after=error.retry_after, now=now)
            if later is None:
                raise ComeAgain(error.retry_after) from error
    if later is not None:
        deferred = await defer(
            service,
            tenant,
            access,
            configuration,
            dataset,
            holder_keys=keys,
            nonces=nonces,
            postponement=later,
            now=now,
        )
        return deferred, request.response_encryption
    spent = nonces_used(tenant.id, nonces)
    issued = await issue(
        service, tenant, access, configuration, dataset, holder_keys=keys, pulled=pulled, spent=spent, now=now
    )
    return issued, request.response_encryption


def _may_ask_register(tenant: ActiveTenant, configuration: Configuration) -> bool:
    return tenant.arranged.source_of(configuration.credential_type.type) is not None


async def _pulled(
    service: IssuerService,
    tenant: ActiveTenant,
    token: LiveToken,
    configuration: Configuration,
    dataset: str,
    *,
    now: int,
) -> JsonObject | None:
    """The register's claims, where the type has a register and the offer has none of its own."""
    try:
        return await pulled_claims(
            service, tenant, offer_id=token.offer_id, configuration=configuration, dataset=dataset, now=now
        )
    except SourceUntrustworthy as error:
        raise OAuthError(CREDENTIAL_REQUEST_DENIED, "the register does not let this credential be issued") from error
    except SourceRefused as error:
        async with service.store.transaction() as session:
            await fail_if_nothing_is_left(
                session,
                tenant_id=tenant.id,
                offer_id=token.offer_id,
                refused=OfferedCredential(configuration.id, dataset),
                reason=error.reason,
                now=now,
            )
        raise OAuthError(CREDENTIAL_REQUEST_DENIED, "the register does not let this credential be issued") from error


def _dataset_of(request: CredentialRequest, token: LiveToken, configuration_id: str) -> str:
    """Which dataset is asked for; a configuration's id alone says it only where there is one."""
    if request.credential_identifier is not None:
        return token.credential_identifiers[request.credential_identifier].dataset
    known = [each for each in token.credential_identifiers.values() if each.configuration_id == configuration_id]
    if len(known) > 1:
        raise OAuthError(INVALID_CREDENTIAL_REQUEST, "several datasets of it came with the token: use an identifier")
    return known[0].dataset if known else UNNAMED


def _nonce_collector(
    service: IssuerService, tenant: ActiveTenant, found: dict[str, LiveNonce], *, now: int
) -> Callable[[str], bool]:
    """Recognises c_nonces and keeps their ends, by which they will be remembered."""
    nonces = nonces_of(service)

    def check(value: str) -> bool:
        try:
            ends = nonces.check(value, tenant=tenant.id, purpose=NoncePurpose.KEY_PROOF, now=now)
        except NonceRefused:
            return False
        found[value] = LiveNonce(value, ends)
        return True

    return check
