"""What anybody may fetch: metadata, offers by reference, nonces, challenges, the pages' stylesheet."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Response

from issuer.grants.pre_authorized import OpenedOffer, open_by_reference
from issuer.http.accept import preferred
from issuer.http.dependencies import Service, TenantOfPath, tenant_of
from issuer.nonces import NoncePurpose
from issuer.offers import issuer_state_of
from issuer.service import IssuerService
from issuer.store.tables import Grant
from issuer.tenants import ActiveTenant
from issuer.wallet_api import metadata
from issuer.wallet_api.pages import stylesheet
from issuer.wallet_api.wire import WalletRoute, json_answer, nonces_of
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.profiles import SignedMetadata
from specs.protocols.client_attestation import build_challenge_answer
from specs.protocols.credential_offer import (
    CredentialOffer,
    OfferedAuthorizationCode,
    OfferedPreAuthorizedCode,
    TxCode,
    build_credential_offer,
)
from specs.protocols.issuer_metadata import build_signed_metadata
from specs.protocols.openid4vci import build_nonce_answer

_JSON, _JWT = "application/json", "application/jwt"
_METADATA_MAX_AGE = 300  # seconds
_SIGNED_LIFETIME = 86400  # seconds

router = APIRouter(route_class=WalletRoute, tags=["wallets"])


@router.get("/.well-known/openid-credential-issuer/t/{tenant}")
async def issuer_metadata(
    service: Service, tenant: TenantOfPath, accept: Annotated[str | None, Header()] = None
) -> Response:
    """OpenID4VCI §12.2.2: plain, or signed for who prefers that."""
    document = metadata.issuer_metadata(service, tenant)
    signed_first = tenant.profile.signed_issuer_metadata is SignedMetadata.REQUIRED
    chosen = _JSON if accept is None else preferred(accept, (_JWT, _JSON) if signed_first else (_JSON, _JWT))
    if chosen != _JWT:
        return _public_json(document, vary="Accept")
    signed = build_signed_metadata(
        document, signer=tenant.keys.access, now=service.clock(), lifetime=_SIGNED_LIFETIME, iss=tenant.issuer_url
    )
    return Response(signed, media_type=_JWT, headers=_cacheable(_METADATA_MAX_AGE, vary="Accept"))


@router.get("/.well-known/oauth-authorization-server/t/{tenant}")
async def authorization_server_metadata(service: Service, tenant: TenantOfPath) -> Response:
    """RFC 8414 §3."""
    return _public_json(metadata.authorization_server_metadata(service, tenant))


@router.get("/.well-known/jwt-vc-issuer/t/{tenant}")
async def jwt_vc_issuer_metadata(tenant: TenantOfPath) -> Response:
    """SD-JWT VC draft-13 §5."""
    return _public_json(metadata.jwt_vc_issuer_metadata(tenant))


@router.get("/t/{tenant}/vct/{path:path}")
async def type_metadata(service: Service, tenant: TenantOfPath, path: str) -> Response:
    """SD-JWT VC draft-13 §6.3.1: for types whose `vct` is this address."""
    address = f"{tenant.issuer_url}/vct/{path}"
    kind = next((kind for kind in service.catalog.types.values() if kind.vct == address), None)
    if kind is None:
        raise HTTPException(404)
    return _public_json(metadata.type_metadata(kind))


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
        )
    if opened is None:
        raise HTTPException(404)
    return json_answer(_offer(service, tenant, opened))


@router.post("/t/{tenant}/nonce")
async def nonce(service: Service, tenant: TenantOfPath) -> Response:
    """OpenID4VCI §7: a fresh value for key proofs; anybody may ask."""
    fresh = nonces_of(service).fresh(tenant=tenant.id, purpose=NoncePurpose.KEY_PROOF, now=service.clock())
    return json_answer(build_nonce_answer(fresh))


@router.post("/t/{tenant}/challenge")
async def challenge(service: Service, tenant: TenantOfPath) -> Response:
    """draft-ietf-oauth-attestation-based-client-auth-07 §8: a fresh value for client attestation proofs."""
    fresh = nonces_of(service).fresh(tenant=tenant.id, purpose=NoncePurpose.CLIENT_ATTESTATION, now=service.clock())
    return json_answer(build_challenge_answer(fresh))


@router.get("/t/{tenant}/pages.css", include_in_schema=False, dependencies=[Depends(tenant_of)])
async def pages_stylesheet() -> Response:
    """The look of the login pages."""
    return Response(stylesheet(), media_type="text/css", headers=_cacheable(_METADATA_MAX_AGE))


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


def _public_json(document: JsonObject, *, vary: str | None = None) -> Response:
    headers = _cacheable(_METADATA_MAX_AGE, vary=vary) | {"Access-Control-Allow-Origin": "*"}
    return Response(strict_json.dumps(document), media_type=_JSON, headers=headers)


def _cacheable(seconds: int, *, vary: str | None = None) -> dict[str, str]:
    headers = {"Cache-Control": f"public, max-age={seconds}"}
    return headers if vary is None else headers | {"Vary": vary}
