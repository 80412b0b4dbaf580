"""What verifiers fetch: status lists, their aggregation, and the revocation list of the credentials' root."""

from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query, Response
from sqlmodel import col, select

from issuer.http.accept import preferred
from issuer.http.cached import public_answer
from issuer.http.dependencies import Service, TenantOfPath
from issuer.store.tables import StatusListRow
from specs.credentials.status_list import StatusMediaType, build_aggregation

router = APIRouter(prefix="/t/{tenant}", include_in_schema=False)

IfNoneMatch = Annotated[str | None, Header()]


@router.get("/status/{list_id}")
async def status_list(
    tenant: TenantOfPath,
    list_id: str,
    service: Service,
    accept: Annotated[str | None, Header()] = None,
    if_none_match: IfNoneMatch = None,
    time: Annotated[str | None, Query()] = None,
) -> Response:
    """A list as JWT, or as CWT for those who prefer that (Token Status List §8.1); its past is not shown (§8.4)."""
    if time is not None:
        raise HTTPException(501)
    media_type = preferred(accept, (StatusMediaType.JWT, StatusMediaType.CWT))
    if media_type is None:
        raise HTTPException(406)
    now = service.clock()
    async with service.store.reading() as session:
        published = await tenant.status.publish(session, list_id=list_id, media_type=media_type, now=now)
    if published is None:
        raise HTTPException(404)
    return public_answer(
        published.body,
        media_type=published.media_type,
        max_age=tenant.status.left(published, now=now),
        if_none_match=if_none_match,
        vary="Accept",
    )


@router.get("/status")
async def aggregation(tenant: TenantOfPath, service: Service, if_none_match: IfNoneMatch = None) -> Response:
    """The addresses of all lists (Token Status List §9.3)."""
    async with service.store.reading() as session:
        lists = await session.exec(
            select(StatusListRow.id).where(StatusListRow.tenant_id == tenant.id).order_by(col(StatusListRow.id))
        )
        uris = [tenant.status.uri(list_id) for list_id in lists]
    return public_answer(
        build_aggregation(uris),
        media_type="application/json",
        max_age=service.settings.status_ttl,
        if_none_match=if_none_match,
    )


@router.get("/pki/iaca.crl")
async def revocation_list(tenant: TenantOfPath) -> Response:
    """The revocation list that document signers' certificates name (RFC 5280 §4.2.1.13)."""
    headers = {"Cache-Control": "max-age=3600"}
    return Response(tenant.keys.crl, media_type="application/pkix-crl", headers=headers)
