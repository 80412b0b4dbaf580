"""The hooks of a test driver, behind a key: fresh offers, and the switches between what the suite's plans expect."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from issuer.catalog.claims import check_claims
from issuer.catalog.loader import Catalog, Configuration
from issuer.catalog.schema import CredentialType, Deferral, DeferralRule, KeyAttestationLevel
from issuer.city_api.operations import offer_uri
from issuer.claims_source.pull import CITY_TIME
from issuer.http.dependencies import Service
from issuer.offers import NewCredential, NewOffer, create_offer
from issuer.oidf.plan import TX_CODE, USERNAME
from issuer.service import IssuerService
from issuer.settings import IssuerSettings
from issuer.store.tables import Delivery, Grant, Offer
from issuer.tenant_file import TenantFile
from issuer.tenants import ActiveTenant, Tenants
from specs.encoding.strict_json import JsonObject
from specs.protocols.oauth import PRE_AUTHORIZED_CODE

TENANT = "oidf"
_OFFER_LIFETIME = 600  # seconds


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _short_name(grant: object) -> object:
    return Grant.PRE_AUTHORIZED_CODE if grant == PRE_AUTHORIZED_CODE else grant


class OfferOrder(_Body):
    """An offer for one module of a plan. tx_code: digits that the suite's configuration names too, None for none.

    grant: as the City API calls it, or as OAuth does.
    """

    configuration_id: str
    grant: Annotated[Grant, BeforeValidator(_short_name)] = Grant.AUTHORIZATION_CODE
    by: Delivery = Delivery.REFERENCE
    tx_code: Annotated[str, Field(pattern=r"^[0-9]{4,12}$")] | None = TX_CODE


class Switches(_Body):
    """What all configurations of the target do until told otherwise; None leaves each type its own rule.

    deferred_ready: a deferred credential is there at the first question for it; else it waits for an approval.
    """

    key_attestation: bool | None = None
    deferred: bool | None = None
    deferred_ready: bool = True
    batch_size: int = Field(default=20, ge=1, le=20)


@dataclass
class Admin:
    """The routes.

    key: what a driver must send as Bearer token. service: as it was built, before any switch. arranged: what the tenant
    has arranged for itself.
    """

    key: str = field(repr=False)
    service: IssuerService = field(repr=False)
    arranged: TenantFile = field(repr=False)

    def router(self) -> APIRouter:
        """Both hooks."""
        router = APIRouter(prefix="/admin", dependencies=[Depends(self._authorized)], include_in_schema=False)
        router.add_api_route("/offers", self.make_offer, methods=["POST"], status_code=201)
        router.add_api_route("/switches", self.set_switches, methods=["PUT"])
        return router

    def _authorized(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.key}".encode()):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    async def make_offer(self, order: OfferOrder, service: Service) -> dict[str, str]:
        """A fresh offer for the invented person; the answer holds its deep link."""
        tenant = await service.tenants.find(TENANT)
        configuration = service.catalog.configurations.get(order.configuration_id)
        if tenant is None or configuration is None:
            raise HTTPException(404)
        return {"offer_uri": await _offer(service, tenant, configuration, order)}

    async def set_switches(self, switches: Switches, request: Request) -> Switches:
        """Serve the catalogue as the switches say from the next request on."""
        service = self.service
        settings = service.settings.model_copy(update={"batch_limit": switches.batch_size})
        request.app.state.service = replace(
            service,
            catalog=_switched(service.catalog, switches),
            settings=settings,
            tenants=tenants_of(service, self.arranged, settings=settings),
        )
        return switches


def tenants_of(service: IssuerService, arranged: TenantFile, *, settings: IssuerSettings) -> Tenants:
    """The target's tenant, with all that it says about itself still to be said."""
    return Tenants(settings=settings, store=service.store, secrets=service.secrets, files={TENANT: arranged})


async def _offer(service: IssuerService, tenant: ActiveTenant, configuration: Configuration, order: OfferOrder) -> str:
    now = service.clock()
    is_redeemable = order.grant is Grant.PRE_AUTHORIZED_CODE
    tx_code = order.tx_code if is_redeemable else None
    new = NewOffer(
        credentials=[
            NewCredential(configuration, await _claims(service, configuration, now=now) if is_redeemable else None)
        ],
        grant=order.grant,
        delivery=order.by,
        locale=tenant.locale,
        expires_at=now + _OFFER_LIFETIME,
        subject=USERNAME,
        tx_code_length=len(tx_code or ""),
        client_id=TENANT,
        keep_subject=True,
    )
    async with service.store.transaction() as session:
        armed = await create_offer(
            session,
            new,
            sealer=tenant.sealer,
            secrets_at_rest=service.secrets,
            code_lifetime=service.settings.code_lifetime,
            now=now,
        )
        if tx_code is not None:  # the suite's configuration holds it before there is an offer
            offer = await session.get_one(Offer, armed.offer_id)
            offer.tx_code_mac = service.secrets.tx_code_mac(tx_code, tenant_id=tenant.id, offer_id=offer.id)
            session.add(offer)
    return offer_uri(tenant, armed)


async def _claims(service: IssuerService, configuration: Configuration, *, now: int) -> JsonObject:
    kind = configuration.credential_type
    person = None if service.login is None else await service.login.person(USERNAME)
    assert person is not None, "the target's register holds the person"
    today = datetime.fromtimestamp(now, CITY_TIME).date()
    return check_claims(person.claims[kind.type], credential_type=kind, today=today, pointer="")


def _switched(catalog: Catalog, switches: Switches) -> Catalog:
    changes = _changes(switches)
    types: Mapping[str, CredentialType] = {
        name: kind.model_copy(update=changes) for name, kind in catalog.types.items()
    }
    return replace(catalog, types=MappingProxyType(dict(types)))


def _changes(switches: Switches) -> dict[str, object]:
    changes: dict[str, object] = {}
    if switches.key_attestation is not None:
        level = KeyAttestationLevel.HIGH if switches.key_attestation else KeyAttestationLevel.NONE
        changes["key_attestation"] = level
    if switches.deferred is not None:
        late = DeferralRule.ALWAYS if switches.deferred_ready else DeferralRule.APPROVAL
        changes["deferral"] = Deferral(when=late if switches.deferred else DeferralRule.WHEN_SLOW)
    return changes
