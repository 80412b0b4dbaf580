"""A code becomes a token: every check first, then one transaction that redeems and inserts (OpenID4VCI §6)."""

from dataclasses import replace

from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.datasets import OfferedCredential
from issuer.grants.authorization_code import CodePresentation, RedeemedCode, granted_scope, redeem_code
from issuer.grants.once import happen_first, proofs_shown
from issuer.grants.pre_authorized import RedemptionRefused, configurations_of, offered_in, redeem
from issuer.grants.refresh import (
    RefreshBinding,
    Renewable,
    insert_refresh_token,
    new_family,
    use_refresh_token,
)
from issuer.grants.tokens import IssuedToken, TokenScope, insert_access_token
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.client_proofs import ClientHeaders, Sender, identify
from issuer.wallet_api.rules import dpop_rules, refresh_rotation, renewable_configurations
from specs.profiles import RefreshKey, ReturnedDetails
from specs.protocols.oauth import (
    INVALID_AUTHORIZATION_DETAILS,
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_REQUEST,
    INVALID_SCOPE,
    AuthorizationCodeGrant,
    OAuthError,
    PreAuthorizedCodeGrant,
    RefreshTokenGrant,
    TokenAnswer,
    code_challenge,
    parse_token_request,
)
from specs.protocols.openid4vci import AuthorizationDetail, build_authorization_detail, parse_authorization_details

_DAY = 86400  # seconds
_REFUSALS = {
    RedemptionRefused.UNKNOWN: (INVALID_GRANT, "the code is not, or no longer, valid"),
    RedemptionRefused.TX_CODE_MISSING: (INVALID_REQUEST, "a tx_code is needed"),
    RedemptionRefused.TX_CODE_UNEXPECTED: (INVALID_REQUEST, "no tx_code is expected"),
    RedemptionRefused.TX_CODE_WRONG: (INVALID_GRANT, "the tx_code is wrong"),
}


async def token_answer(
    service: IssuerService, tenant: ActiveTenant, *, body: bytes, headers: ClientHeaders
) -> TokenAnswer:
    """Answer a token request.

    Raises:
        OAuthError: as OpenID4VCI §6.3 names it.
    """
    request = parse_token_request(body)
    details = parse_authorization_details(request.authorization_details, credential_issuer=tenant.issuer_url)
    if request.resource is not None and request.resource != tenant.issuer_url:
        raise OAuthError("invalid_target", "resource is not this issuer")
    now = service.clock()
    is_bound = dpop_rules(tenant, service.settings).required
    sender = identify(
        service,
        tenant,
        headers,
        path="/token",
        client_id=request.client_id,
        assertion=request.client_assertion,
        now=now,
        dpop_required=is_bound,
    )
    grant = request.grant
    if isinstance(grant, PreAuthorizedCodeGrant):
        if sender.client.client_id is None and is_bound:
            raise OAuthError(INVALID_CLIENT, "client_id is missing", 401)
        issued = await _from_pre_authorized_code(service, tenant, grant, sender=sender, details=details, now=now)
    elif isinstance(grant, AuthorizationCodeGrant):
        issued = await _from_authorization_code(service, tenant, grant, sender=sender, details=details, now=now)
    else:
        issued = await _from_refresh_token(service, tenant, grant, sender=sender, details=details, now=now)
    return TokenAnswer(
        access_token=issued.access_token,
        token_type=issued.token_type,
        expires_in=issued.expires_in,
        refresh_token=issued.refresh_token,
        scope=tuple(issued.scope.split()) if issued.scope else (),
        authorization_details=tuple(
            build_authorization_detail(AuthorizationDetail(configuration_id, credential_identifiers=tuple(identifiers)))
            for configuration_id, identifiers in issued.credential_identifiers.items()
        ),
    )


async def _from_pre_authorized_code(
    service: IssuerService,
    tenant: ActiveTenant,
    grant: PreAuthorizedCodeGrant,
    *,
    sender: Sender,
    details: tuple[AuthorizationDetail, ...],
    now: int,
) -> IssuedToken:
    def tx_code_mac(offer_id: str, tx_code: str) -> bytes:
        return service.secrets.tx_code_mac(tx_code, tenant_id=tenant.id, offer_id=offer_id)

    async with service.store.transaction() as session:
        outcome = await redeem(
            session,
            tenant_id=tenant.id,
            code=grant.code,
            tx_code=grant.tx_code,
            tx_code_mac=tx_code_mac,
            max_tries=service.settings.tx_code_tries,
            code_key=service.secrets.code_key,
            now=now,
            once=proofs_shown(tenant.id, sender.shown),
        )
        if not isinstance(outcome, RedemptionRefused):
            scope = TokenScope(
                tenant_id=tenant.id,
                offer_id=outcome.offer_id,
                client_id=sender.client.client_id,
                dpop_jkt=sender.dpop_jkt,
                scope=None,
                offered=_covered(outcome.offered, _narrowed(configurations_of(outcome.offered), details)),
                detailed=bool(details) or tenant.profile.returned_details is ReturnedDetails.FOR_OFFERS,
            )
            return await _insert(
                service, tenant, session, scope, sender=sender, code_digest=outcome.code_digest, now=now
            )
    # raised behind the transaction, so that a wrong try stays counted
    raise OAuthError(*_REFUSALS[outcome])


async def _from_authorization_code(
    service: IssuerService,
    tenant: ActiveTenant,
    grant: AuthorizationCodeGrant,
    *,
    sender: Sender,
    details: tuple[AuthorizationDetail, ...],
    now: int,
) -> IssuedToken:
    client = sender.client
    if client.client_id is None:
        raise OAuthError(INVALID_CLIENT, "client_id is missing", 401)
    verifier = grant.code_verifier or ""
    presented = CodePresentation(
        tenant_id=tenant.id,
        code=grant.code,
        client_id=client.client_id,
        client_authenticated=client.is_authenticated,
        redirect_uri=grant.redirect_uri,
        code_challenge=code_challenge(verifier) if verifier.isascii() else "",
        dpop_jkt=sender.dpop_jkt,
        instance_jkt=client.instance_jkt,
    )
    async with service.store.transaction() as session:
        await happen_first(session, proofs_shown(tenant.id, sender.shown))
        redeemed = await redeem_code(session, presented, now_ms=service.milliseconds())
        if redeemed is not None:
            scope = await _scope_of(tenant, session, redeemed, redeemed.configuration_ids, sender, details)
            return await _insert(
                service, tenant, session, scope, sender=sender, code_digest=redeemed.code_digest, now=now
            )
    # raised behind the transaction, so that a revocation for reuse stays
    raise OAuthError(INVALID_GRANT, "the code is not, or no longer, valid for this request")


async def _from_refresh_token(
    service: IssuerService,
    tenant: ActiveTenant,
    grant: RefreshTokenGrant,
    *,
    sender: Sender,
    details: tuple[AuthorizationDetail, ...],
    now: int,
) -> IssuedToken:
    async with service.store.transaction() as session:
        await happen_first(session, proofs_shown(tenant.id, sender.shown))
        used = await use_refresh_token(
            session,
            _binding(tenant, sender),
            refresh_token=grant.refresh_token,
            rotation=refresh_rotation(tenant, service.settings, service.secrets),
            now=now,
        )
        if used is not None:
            known = used.renewable
            configuration_ids = _within_scope(known.configuration_ids, grant.scope)
            scope = await _scope_of(tenant, session, known, configuration_ids, sender, details)
            issued = await insert_access_token(
                session,
                scope,
                code_digest=None,
                refresh_family=known.family,
                now=now,
                lifetime=service.settings.access_token_lifetime,
                max_uses=service.settings.access_token_uses,
            )
            return replace(issued, refresh_token=used.refresh_token)
    # raised behind the transaction, so that a revocation for reuse stays
    raise OAuthError(INVALID_GRANT, "the refresh token is not, or no longer, valid for this wallet")


async def _scope_of(
    tenant: ActiveTenant,
    session: AsyncSession,
    grant: RedeemedCode | Renewable,
    configuration_ids: tuple[str, ...],
    sender: Sender,
    details: tuple[AuthorizationDetail, ...],
) -> TokenScope:
    """What a code or refresh token stands for, in the bounds of this request; configuration_ids: of what it grants."""
    narrowed = _narrowed(configuration_ids, details)
    return TokenScope(
        tenant_id=tenant.id,
        offer_id=grant.offer_id,
        client_id=sender.client.client_id,
        dpop_jkt=sender.dpop_jkt,
        scope=granted_scope(grant.scope, narrowed),
        offered=_covered(await offered_in(session, tenant_id=tenant.id, offer_id=grant.offer_id), narrowed),
        detailed=grant.detailed or bool(details),
    )


async def _insert(
    service: IssuerService,
    tenant: ActiveTenant,
    session: AsyncSession,
    scope: TokenScope,
    *,
    sender: Sender,
    code_digest: bytes,
    now: int,
) -> IssuedToken:
    """The tokens that a redeemed code stands for; one to renew with only where somebody could renew."""
    renewable = renewable_configurations(tenant, service.catalog, configurations_of(scope.offered))
    # rotation alone lets whoever comes first use a stolen one
    is_bound = sender.dpop_jkt is not None or sender.client.is_authenticated
    family = new_family() if renewable and is_bound else None
    issued = await insert_access_token(
        session,
        scope,
        code_digest=code_digest,
        refresh_family=family,
        now=now,
        lifetime=service.settings.access_token_lifetime,
        max_uses=service.settings.access_token_uses,
    )
    if family is None:
        return issued
    names = tuple(configuration.id for configuration in renewable)
    refresh_token = await insert_refresh_token(
        session,
        _binding(tenant, sender),
        Renewable(scope.offer_id, family, granted_scope(scope.scope, names), names, scope.detailed),
        now=now,
        lifetime=min(configuration.credential_type.refresh_days for configuration in renewable) * _DAY,
    )
    return replace(issued, refresh_token=refresh_token)


def _binding(tenant: ActiveTenant, sender: Sender) -> RefreshBinding:
    client, rule = sender.client, tenant.profile.refresh_tokens.dpop_key
    by_dpop_key = rule is RefreshKey.EVERYBODYS or not client.is_authenticated
    return RefreshBinding(tenant.id, client.client_id, sender.dpop_jkt if by_dpop_key else None, client.instance_jkt)


def _covered(
    offered: tuple[OfferedCredential, ...], configuration_ids: tuple[str, ...]
) -> tuple[OfferedCredential, ...]:
    return tuple(each for each in offered if each.configuration_id in configuration_ids)


def _within_scope(granted: tuple[str, ...], scope: tuple[str, ...]) -> tuple[str, ...]:
    """What a refresh request asks of what it may have (RFC 6749 §6); raising undoes the use."""
    if not set(scope) <= set(granted):
        raise OAuthError(INVALID_SCOPE, "scope asks for more than was granted")
    return tuple(name for name in granted if name in scope) if scope else granted


def _narrowed(granted: tuple[str, ...], details: tuple[AuthorizationDetail, ...]) -> tuple[str, ...]:
    """What a token request asks of what was granted (OpenID4VCI §6.1.1); raising undoes the redemption."""
    if not details:
        return granted
    wanted = {detail.credential_configuration_id for detail in details}
    if not wanted <= set(granted):
        raise OAuthError(INVALID_AUTHORIZATION_DETAILS, "more is asked for than was granted")
    return tuple(configuration_id for configuration_id in granted if configuration_id in wanted)
