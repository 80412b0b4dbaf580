"""A city's back end and its wallet holder, against one running issuer."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx

from issuer.city_api.authentication import add_client
from issuer.service import IssuerService
from issuer.store.engine import Store
from issuer.store.tables import ClientKind, Role
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.issuer.wallet_api.world import SD_JWT, SUBJECT, SteppedClock, Wallet, World


@dataclass
class Desk:
    """What a test of the city's side holds."""

    world: World
    service: IssuerService
    http: httpx.AsyncClient
    clock: SteppedClock
    keys: dict[str, str]

    @property
    def store(self) -> Store:
        """The issuer's database."""
        return self.service.store

    def wallet(self, tenant: str = "leipzig") -> Wallet:
        """A fresh wallet."""
        return Wallet(self.http, self.world.issuer_url(tenant), self.world.provider, self.clock)

    async def call(
        self, method: str, path: str, body: JsonObject | None = None, *, tenant: str = "leipzig"
    ) -> httpx.Response:
        """A call of the City API by an operator."""
        headers = {"Authorization": f"Bearer {self.keys[tenant]}"}
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=headers)

    async def make_offer(self, *, tenant: str = "leipzig", subject: str = SUBJECT, **members: object) -> httpx.Response:
        """POST /offers for claims of the register, by value so that the code is in hand."""
        body: dict[str, object] = {
            "credential_types": ["leipzig_pass"],
            "formats": ["dc+sd-jwt"],
            "subject": {"reference": subject},
            "delivery": "value",
        } | members
        body = {name: value for name, value in body.items() if value is not None}
        return await self.call("POST", "/offers", body, tenant=tenant)  # type: ignore[arg-type]

    async def offer(self, *, tenant: str = "leipzig", **members: object) -> JsonObject:
        """An offer that was made; with its code as `code`."""
        answer = await self.make_offer(tenant=tenant, **members)  # type: ignore[arg-type]
        assert answer.status_code == 201, answer.text
        made: JsonObject = answer.json()
        return made | {"code": code_of(str(made["offer_uri"]))}

    async def token(self, wallet: Wallet, offer: JsonObject) -> str:
        """An access token for an offer."""
        return (await self.granted(wallet, offer))[0]

    async def granted(self, wallet: Wallet, offer: JsonObject) -> tuple[str, dict[str, str]]:
        """An access token for an offer, and the credential identifiers that came with it, by configuration."""
        answer = await wallet.redeem(str(offer["code"]))
        assert answer.status_code == 200, answer.text
        details = answer.json().get("authorization_details", [])
        identifiers = {each["credential_configuration_id"]: each["credential_identifiers"][0] for each in details}
        return str(answer.json()["access_token"]), identifiers

    async def state(self, offer: JsonObject, *, tenant: str = "leipzig") -> JsonObject:
        """GET /offers/{id}."""
        answer = await self.call("GET", f"/offers/{offer['id']}", tenant=tenant)
        assert answer.status_code == 200, answer.text
        shown: JsonObject = answer.json()
        return shown

    async def issue(self, wallet: Wallet, offer: JsonObject, *, configuration: str = SD_JWT) -> httpx.Response:
        """Redeem and ask for one credential, by its identifier where one came with the token."""
        token, identifiers = await self.granted(wallet, offer)
        return await wallet.credential(token, await asking_for(wallet, configuration, identifiers))


async def asking_for(wallet: Wallet, configuration: str, identifiers: Mapping[str, str]) -> JsonObject:
    """A credential request as the token was given."""
    body = await wallet.request_body(configuration)
    if configuration in identifiers:
        del body["credential_configuration_id"]
        body["credential_identifier"] = identifiers[configuration]
    return body


async def open_desk(
    world: World, service: IssuerService, http: httpx.AsyncClient, clock: SteppedClock, *, tenants: tuple[str, ...]
) -> Desk:
    """An operator's key for each tenant."""
    keys: dict[str, str] = {}
    async with service.store.transaction() as session:
        for tenant in tenants:
            made = await add_client(
                session, tenant_id=tenant, name="amt", kind=ClientKind.API_KEY, role=Role.OPERATOR, now=clock()
            )
            keys[tenant] = made.api_key
    return Desk(world, service, http, clock, keys)


def code_of(offer_uri: str) -> str:
    """The pre-authorized code of an offer by value."""
    offer = strict_json.parse_object(parse_qs(urlsplit(offer_uri).query)["credential_offer"][0])
    grants = offer["grants"]
    assert isinstance(grants, dict)
    grant = grants.get(PRE_AUTHORIZED_CODE)
    return str(grant["pre-authorized_code"]) if isinstance(grant, dict) else ""


def disclosed(credential: str) -> JsonObject:
    """The claims that an SD-JWT VC discloses, by name; the signature is other tests' business."""
    _, *disclosures = credential.rstrip("~").split("~")
    found = [strict_json.parse(base64url.decode(text)) for text in disclosures]
    return {str(entry[1]): entry[2] for entry in found if isinstance(entry, list) and len(entry) == 3}
