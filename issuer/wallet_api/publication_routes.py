"""What anybody may fetch: metadata, offers by reference, the pages' stylesheet."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Response

from issuer.grants.pre_authorized import OpenedOffer, open_by_reference
from issuer.http.accept import preferred
from issuer.http.cached import public_answer
from issuer.http.dependencies import Service, TenantOfPath, tenant_of
from issuer.offers import issuer_state_of
from issuer.service import IssuerService
from issuer.store.tables import Grant
from issuer.tenants import ActiveTenant
from issuer.wallet_api import metadata
from issuer.wallet_api.pages import stylesheet
from issuer.wallet_api.wire import WalletRoute, json_answer
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.profiles import SignedMetadata
from specs.protocols.credential_offer import (
    CredentialOffer,
    OfferedAuthorizationCode,
    OfferedPreAuthorizedCode,
    TxCode,
    build_credential_offer,
)
from specs.protocols.issuer_metadata import build_signed_metadata

_JSON, _JWT = "application/json", "application/jwt"
_SIGNED_LIFETIME = 86400  # seconds
_TYPE_MAX_AGE = 86400  # seconds; the octets under one `vct` never change

router = APIRouter(route_class=WalletRoute, tags=["wallets"])

Accept = Annotated[str | None, Header()]
IfNoneMatch = Annotated[str | None, Header()]


@router.get("/.well-known/openid-credential-issuer/t/{tenant}")
async def issuer_metadata(
    service: Service, tenant: TenantOfPath, accept: Accept = None, if_none_match: IfNoneMatch = None
) -> Response:
    """OpenID4VCI §12.2.2: plain, or signed for who prefers that."""
    now = service.clock()
    signed_first = tenant.profile.signed_issuer_metadata is SignedMetadata.REQUIRED
    chosen = _JSON if not accept else preferred(accept, (_JWT, _JSON) if signed_first else (_JSON, _JWT))

    def sign() -> bytes:
        return build_signed_metadata(
            metadata.issuer_metadata(service, tenant),
            signer=tenant.keys.access,
            now=now,
            lifetime=_SIGNED_LIFETIME,
            iss=tenant.issuer_url,
        ).encode("ascii")

    def plain() -> bytes:
        return strict_json.dumps(metadata.issuer_metadata(service, tenant))

    is_signed = chosen == _JWT
    body = tenant.published.get("issuer-jwt" if is_signed else "issuer", sign if is_signed else plain, now=now)
    return public_answer(
        body,
        media_type=_JWT if is_signed else _JSON,
        max_age=tenant.published.max_age,
        if_none_match=if_none_match,
        vary="Accept",
    )


@router.get("/.well-known/oauth-authorization-server/t/{tenant}")
async def authorization_server_metadata(
    service: Service, tenant: TenantOfPath, if_none_match: IfNoneMatch = None
) -> Response:
    """RFC 8414 §3."""
    return _statement(service, tenant, "oauth", metadata.authorization_server_metadata, if_none_match)


@router.get("/.well-known/jwt-vc-issuer/t/{tenant}")
async def jwt_vc_issuer_metadata(service: Service, tenant: TenantOfPath, if_none_match: IfNoneMatch = None) -> Response:
    """SD-JWT VC draft-13 §5."""
    return _statement(service, tenant, "jwt-vc", metadata.jwt_vc_issuer_metadata, if_none_match)


@router.get("/t/{tenant}/vct/{path:path}")
async def type_metadata(
    service: Service, tenant: TenantOfPath, path: str, if_none_match: IfNoneMatch = None
) -> Response:
    """SD-JWT VC draft-13 §6.3.1: for types whose `vct` is this address."""
    document = service.catalog.type_metadata.get(f"{tenant.issuer_url}/vct/{path}")
    if document is None:
        raise HTTPException(404)
    return public_answer(document, media_type=_JSON, max_age=_TYPE_MAX_AGE, if_none_match=if_none_match)


@router.get("/t/{tenant}/offers/{reference}")
async def offer(service: Service, tenant: TenantOfPath, reference: str) -> Response:
    """OpenID4VCI §4.1.3: the offer, with a code of its own for each fetch."""
    async with service.store.transaction() as session:
        opened = await open_by_reference(
            session,
            tenant_id=tenant.id,
            reference=reference,
            now=service.clock(),
            code_lifetime=service.settings.code_lifetime,
            code_key=service.secrets.code_key,
        )
    if opened is None:
        raise HTTPException(404)
    return json_answer(_offer(service, tenant, opened))


@router.get("/t/{tenant}/pages.css", include_in_schema=False, dependencies=[Depends(tenant_of)])
async def pages_stylesheet() -> Response:
    """The look of the login pages."""
    return Response(stylesheet(), media_type="text/css", headers={"Cache-Control": "public, max-age=300"})


def _offer(service: IssuerService, tenant: ActiveTenant, opened: OpenedOffer) -> JsonObject:
    authorization_code = pre_authorized_code = None
    if opened.grant is Grant.AUTHORIZATION_CODE:
        authorization_code = OfferedAuthorizationCode(
            issuer_state_of(
                service.secrets, tenant_id=tenant.id, offer_id=opened.offer_id, generation=opened.generation
            )
        )
    if opened.pre_authorized_code is not None:
        tx_code = TxCode(length=opened.tx_code_length) if opened.tx_code_length else None
        pre_authorized_code = OfferedPreAuthorizedCode(opened.pre_authorized_code, tx_code)
    return build_credential_offer(
        CredentialOffer(tenant.issuer_url, opened.configuration_ids, authorization_code, pre_authorized_code)
    )


def _statement(
    service: IssuerService,
    tenant: ActiveTenant,
    name: str,
    build: Callable[[IssuerService, ActiveTenant], JsonObject],
    if_none_match: str | None,
) -> Response:
    body = tenant.published.get(name, lambda: strict_json.dumps(build(service, tenant)), now=service.clock())
    return public_answer(body, media_type=_JSON, max_age=tenant.published.max_age, if_none_match=if_none_match)
