"""The citizen's offer page. Whoever knows a reference may see it; nothing here says who the person is."""

import re
from datetime import datetime
from functools import lru_cache
from importlib import resources
from typing import Annotated

import yaml
from fastapi import APIRouter, Header, HTTPException, Query, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from sqlmodel import col, select
from starlette.responses import HTMLResponse

from issuer.city_api.operations import offer_link
from issuer.claims_source.pull import CITY_TIME
from issuer.collect.qr import qr_png, qr_svg
from issuer.http.dependencies import Service
from issuer.offers import find_collectable
from issuer.service import IssuerService
from issuer.store.tables import Offer, OfferConfiguration
from issuer.tenants import ActiveTenant
from issuer.wallet_api.pages import LANGUAGES, choose_locale, stylesheet

router = APIRouter(prefix="/collect", include_in_schema=False)

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{43}")
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_ENVIRONMENT = Environment(
    loader=ChoiceLoader([PackageLoader("issuer.collect"), PackageLoader("issuer.wallet_api")]),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@router.get("/pages.css")
async def css() -> Response:
    """The stylesheet of all pages for citizens, and what this page adds."""
    own = (resources.files("issuer.collect") / "assets" / "offer.css").read_bytes()
    return Response(stylesheet() + b"\n" + own, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@router.get("/{reference}")
async def page(
    reference: str,
    service: Service,
    lang: Annotated[str | None, Query(max_length=10)] = None,
    accept_language: Annotated[str | None, Header()] = None,
) -> HTMLResponse:
    """What has been prepared and two ways to collect it, or the sentence that it is gone."""
    found = await _find(service, reference)
    default = "de" if found is None else found[0].locale
    locale = choose_locale(asked=lang, accept_language=accept_language, default=default)
    if found is None:
        return _render(
            "gone.html", locale=locale, here=f"/collect/{reference}", issuer_name="Stadtnachweis", status=404
        )
    offer, tenant = found
    expires = datetime.fromtimestamp(offer.expires_at, CITY_TIME)
    return _render(
        "offer.html",
        locale=locale,
        here=f"/collect/{reference}",
        issuer_name=tenant.name,
        credentials=await _credential_names(service, offer, locale),
        asks_tx_code=offer.tx_code_mac is not None,
        offer_uri=offer_link(tenant, reference),
        qr=f"/collect/{reference}/qr.svg",
        expires_iso=expires.isoformat(),
        expires=expires.strftime("%d.%m.%Y, %H:%M Uhr" if locale == "de" else "%d %B %Y, %H:%M"),
    )


@router.get("/{reference}/qr.svg")
async def svg(reference: str, service: Service) -> Response:
    """The offer's link as a QR code."""
    return Response(qr_svg(await _link(service, reference)), media_type="image/svg+xml")


@router.get("/{reference}/qr.png")
async def png(reference: str, service: Service) -> Response:
    """The same, for mail programs and screens that don't show SVG."""
    return Response(qr_png(await _link(service, reference)), media_type="image/png")


async def _link(service: IssuerService, reference: str) -> str:
    found = await _find(service, reference)
    if found is None:
        raise HTTPException(404)
    return offer_link(found[1], reference)


async def _find(service: IssuerService, reference: str) -> tuple[Offer, ActiveTenant] | None:
    if not _REFERENCE.fullmatch(reference):
        return None
    async with service.store.reading() as session:
        offer = await find_collectable(session, reference=reference, now=service.clock())
    tenant = None if offer is None else await service.tenants.find(offer.tenant_id)
    return None if offer is None or tenant is None else (offer, tenant)


async def _credential_names(service: IssuerService, offer: Offer, locale: str) -> list[str]:
    async with service.store.reading() as session:
        types = await session.exec(
            select(OfferConfiguration.credential_type, OfferConfiguration.dataset)
            .where(OfferConfiguration.offer_id == offer.id, OfferConfiguration.tenant_id == offer.tenant_id)
            .order_by(col(OfferConfiguration.configuration_id), col(OfferConfiguration.dataset))
        )
    known = [service.catalog.types.get(name) for name, _ in dict.fromkeys(types)]  # one line for each dataset
    return [kind.display_name(locale) for kind in known if kind is not None]


def _render(
    template: str,
    *,
    locale: str,
    here: str,
    issuer_name: str,
    status: int = 200,
    credentials: list[str] | None = None,
    asks_tx_code: bool = False,
    offer_uri: str = "",
    qr: str = "",
    expires_iso: str = "",
    expires: str = "",
) -> HTMLResponse:
    body = _ENVIRONMENT.get_template(template).render(
        text=_texts(locale),
        locale=locale,
        issuer_name=issuer_name,
        stylesheet="/collect/pages.css",
        languages=[{"code": code, "name": name, "href": f"{here}?lang={code}"} for code, name in LANGUAGES.items()],
        credentials=credentials or [],
        asks_tx_code=asks_tx_code,
        offer_uri=offer_uri,
        qr=qr,
        expires_iso=expires_iso,
        expires=expires,
    )
    headers = {"Content-Security-Policy": _POLICY, "Content-Language": locale}
    return HTMLResponse(body, status, headers=headers)


@lru_cache
def _texts(locale: str) -> dict[str, str]:
    text = (resources.files("issuer.collect") / "texts" / f"{locale}.yaml").read_text(encoding="utf-8")
    return {str(name): str(value) for name, value in yaml.safe_load(text).items()}
