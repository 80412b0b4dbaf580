"""An issuer as its operator sets it up: files, tables, tenants and API keys, with the real application in front."""

from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from issuer.app import create_app
from issuer.catalog.schema import SigningAlgorithm
from issuer.city_api.authentication import NewClient, add_client
from issuer.secrets_at_rest import create_secrets, load_secrets
from issuer.service import IssuerService
from issuer.settings import IssuerSettings
from issuer.store.engine import Store
from issuer.store.migrate import migrate
from issuer.store.tables import ClientKind, Role
from issuer.tenant_setup import add_tenant
from specs.encoding.strict_json import JsonObject

PUBLIC_URL = "http://127.0.0.1:8701"
NOW = 1_795_521_600 + 1234  # not on the hour
TENANTS = {"leipzig": "Stadt Leipzig", "dresden": "Stadt Dresden"}
SUBJECT = "sozialamt-4711"
PASS: JsonObject = {
    "entitled": True,
    "valid_until_month": "2099-06",
    "family_name": "Lindenau",
    "given_name": "Mila Zoë",
    "birthdate": "1991-03-07",
}
PID: JsonObject = {
    "family_name": "LINDENAU",
    "given_name": "MILA JOHANNA",
    "birth_name": "GRÖßLER",
    "title": "",
    "also_known_as": "",
    "birthdate": "1991-03-07",
    "place_of_birth": {"locality": "WURZEN", "no_place_info": False},
    "nationalities": ["DE"],
    "address": {
        "street_address": "BEISPIELGASSE 7",
        "postal_code": "04109",
        "locality": "LEIPZIG",
        "region": "",
        "country": "DE",
    },
    "age_equal_or_over": {"12": True, "14": True, "16": True, "18": True, "21": True, "65": False},
    "source_document_type": "ID",
    "date_of_expiry": "2031-10-27",
}


class HandClock:
    """A clock that a test moves."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        """Seconds since the epoch."""
        return self.now


def settings_for(folder: Path, *, database_url: str = "", status_list_size: int = 1024) -> IssuerSettings:
    """Settings of a test issuer whose files stand in a folder."""
    return IssuerSettings(
        data_dir=folder,
        database_url=database_url,
        public_url=PUBLIC_URL,
        allow_loopback_http=True,
        allow_test_types=True,
        status_list_size=status_list_size,
    )


@dataclass(frozen=True, slots=True)
class House:
    """A running issuer with one operator's and one viewer's key a tenant."""

    app: FastAPI
    http: httpx.AsyncClient
    clock: HandClock
    keys: dict[tuple[str, Role], NewClient]

    @property
    def service(self) -> IssuerService:
        """What the application works with."""
        service: IssuerService = self.app.state.service
        return service

    @property
    def store(self) -> Store:
        """Its database."""
        return self.service.store

    def authorization(self, tenant: str = "leipzig", role: Role = Role.OPERATOR) -> dict[str, str]:
        """The header of a tenant's application back end."""
        return {"Authorization": f"Bearer {self.keys[tenant, role].api_key}"}

    async def call(
        self,
        method: str,
        path: str,
        body: JsonObject | None = None,
        *,
        tenant: str = "leipzig",
        role: Role = Role.OPERATOR,
        key: str | None = None,
    ) -> httpx.Response:
        """A call of the City API by a tenant's back end."""
        headers = self.authorization(tenant, role) | ({} if key is None else {"Idempotency-Key": key})
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=headers)

    async def offer(self, *, tenant: str = "leipzig", tx_code: bool = False, **members: object) -> JsonObject:
        """A new offer of a Leipzig-Pass; its answer."""
        answer = await self.call("POST", "/offers", offer_body(tx_code=tx_code, **members), tenant=tenant)
        assert answer.status_code == 201, answer.text
        made: JsonObject = answer.json()
        return made


def offer_body(**members: object) -> JsonObject:
    """A valid body of POST /offers, with members changed; None leaves one out."""
    body: dict[str, object] = {
        "credential_types": ["leipzig_pass"],
        "formats": ["dc+sd-jwt", "mso_mdoc"],
        "grant": "pre-authorized_code",
        "subject": {"reference": SUBJECT},
        "claims": {"leipzig_pass": PASS},
        "tx_code": False,
        "delivery": "reference",
        "expires_in": 3600,
        "locale": "de",
    } | members
    return {name: value for name, value in body.items() if value is not None}  # type: ignore[misc]


async def furnish(settings: IssuerSettings, *, now: int = NOW) -> dict[tuple[str, Role], NewClient]:
    """Make secrets, tables, tenants and API keys."""
    create_secrets(settings.data_dir / "secrets")
    store = Store(settings.effective_database_url)
    await migrate(store)
    keys: dict[tuple[str, Role], NewClient] = {}
    for tenant_id, name in TENANTS.items():
        await add_tenant(
            settings=settings,
            store=store,
            secrets=load_secrets(settings.data_dir / "secrets"),
            tenant_id=tenant_id,
            name=name,
            preset="haip-1.0",
            country="DE",
            locale="de",
            algorithms={SigningAlgorithm.ES256},
            now=now,
        )
        async with store.transaction() as session:
            for role in Role:
                keys[tenant_id, role] = await add_client(
                    session, tenant_id=tenant_id, name="amt", kind=ClientKind.API_KEY, role=role, now=now
                )
    await store.close()
    return keys


async def open_house(settings: IssuerSettings) -> House:
    """Furnish and start an issuer; close its store and its client afterwards."""
    keys = await furnish(settings)
    clock = HandClock()
    app = create_app(settings, clock=clock)
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=PUBLIC_URL, follow_redirects=False
    )
    return House(app, http, clock, keys)
