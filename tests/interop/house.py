"""A running issuer for other people's wallets: offers, logins and approvals for it, and what a wallet must believe."""

import asyncio
import base64
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from fastapi import FastAPI
from jwcrypto.jwk import JWK

from issuer.app import create_app
from issuer.city_api.authentication import add_client
from issuer.store.engine import Store
from issuer.store.tables import ClientKind, Delivery, Grant, Role
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import FileSigner, SigningIdentity
from specs.protocols.client_attestation import build_client_attestation
from specs.trust.certificates import Authority, SubjectName, build_attester, build_root_ca, serial_number
from tests.interop.foreign_wallet import ForeignWallet
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.browser import PASSWORDS
from tests.issuer.wallet_api.world import CLIENT_ID, MDOC, SD_JWT, World, build_world
from tests.wallet_sim.serving import served

APPROVED, ATTESTED = "approved_pass", "attested_pass"
"""Types whose credentials the city approves first, and whose keys must be attested."""

_CSRF, _ACTION = re.compile(r'name="csrf_token" value="([^"]+)"'), re.compile(r'<form method="post" action="([^"]+)"')


@dataclass(frozen=True, slots=True)
class WalletProvider:
    """Vouches for wallet instances and their keys. anchor: its root, PEM."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: bytes
    anchor: bytes

    @property
    def identity(self) -> SigningIdentity:
        """As a signer."""
        return SigningIdentity(FileSigner(self.key), (self.certificate,))

    def to_json(self) -> JsonObject:
        """As it lies in the back end of other people's wallet."""
        return {"jwk": private_jwk(self.key), "x5c": [base64.b64encode(self.certificate).decode("ascii")]}


@dataclass(frozen=True, slots=True)
class House:
    """The issuer from outside."""

    world: World
    provider: WalletProvider
    city_keys: dict[str, str] = field(repr=False)

    def anchors(self, role: str, tenant: str) -> list[str]:
        """A root of a tenant, PEM."""
        return [(self.world.settings.data_dir / "keys" / tenant / f"{role}.crt.pem").read_text(encoding="ascii")]

    def client(self) -> JsonObject:
        """A wallet instance that its provider attests."""
        instance = ec.generate_private_key(ec.SECP256R1())
        attestation = build_client_attestation(
            attester=self.provider.identity,
            client_id=CLIENT_ID,
            instance_key=instance.public_key(),
            now=int(time.time()),
            lifetime=3600,
            attester_name="https://wallet.example",  # the packages demand an `iss`
        )
        return {"clientId": CLIENT_ID, "attestation": attestation, "instanceKey": private_jwk(instance)}

    def offer_address(
        self,
        *,
        tenant: str = "leipzig",
        grant: Grant = Grant.PRE_AUTHORIZED_CODE,
        tx_code: bool = False,
        configurations: tuple[str, ...] = (SD_JWT, MDOC),
    ) -> tuple[str, str | None]:
        """Where a fresh offer is fetched, and the transaction code that the citizen got another way."""
        armed = asyncio.run(
            self.world.offer(
                tenant=tenant,
                grant=grant,
                delivery=Delivery.REFERENCE,
                tx_code=tx_code,
                configurations=configurations,
            )
        )
        return f"{self.world.issuer_url(tenant)}/offers/{armed.reference}", armed.tx_code

    def begin(
        self, wallet: ForeignWallet, *, tenant: str = "leipzig", client: JsonObject | None = None, **offer: Any
    ) -> tuple[JsonObject, str | None]:
        """The JavaScript wallet takes a fresh offer; its transaction code. offer: as `offer_address`."""
        address, tx_code = self.offer_address(tenant=tenant, **offer)
        begun = wallet.do(
            "begin",
            offer=f"openid-credential-offer://?credential_offer_uri={quote(address, safe='')}",
            anchors=self.anchors("iaca", tenant),
            accessAnchors=self.anchors("access-ca", tenant),
            statusAnchors=self.anchors("status-ca", tenant),
            client=client,
        )
        return begun, tx_code

    def log_in(self, url: str, *, username: str = "mila") -> str:
        """A browser logs in and consents; where it is sent."""
        with httpx.Client() as browser:
            page = browser.get(url, follow_redirects=True)
            consent = _submitted(browser, page, username=username, password=PASSWORDS[username], decision="login")
            return str(_submitted(browser, browser.get(consent), decision="approve"))

    def approve_all(self, tenant: str = "leipzig") -> None:
        """The city approves what waits for it."""
        headers = {"Authorization": f"Bearer {self.city_keys[tenant]}"}
        with httpx.Client(base_url=f"{self.world.settings.public_url}/api/v1", headers=headers) as city:
            waiting = city.get("/deferred").raise_for_status().json()["deferred"]
            assert waiting
            for entry in waiting:
                city.post(f"/deferred/{entry['id']}/approve").raise_for_status()


@contextmanager
def running_house(folder: Path) -> Iterator[House]:
    """An issuer over real HTTP and a database file."""
    made: list[House] = []

    def make(url: str) -> FastAPI:
        world = asyncio.run(build_world(folder, public_url=url))
        approved = "deferral: {when: approval, interval: 60}\nrefresh_days: 30"
        types = write_types(folder / "types", {APPROVED: approved, ATTESTED: ""})
        file = types / f"{ATTESTED}.yaml"
        demanded = "key_attestation: iso_18045_moderate\nuser_authentication: iso_18045_moderate"
        text = file.read_text(encoding="utf-8").replace("key_attestation: none", demanded)
        file.write_text(text, encoding="utf-8")
        world.use_types(types)
        provider = _wallet_provider()
        (folder / "providers.pem").write_bytes(provider.anchor)
        made.append(House(world, provider, asyncio.run(_city_keys(world))))
        return create_app(world.settings)

    with served(make):
        yield made[0]


def private_jwk(key: ec.EllipticCurvePrivateKey) -> JsonObject:
    """A private key as a JWK."""
    exported: JsonObject = JWK.from_pyca(key).export(as_dict=True)
    return exported


async def _city_keys(world: World) -> dict[str, str]:
    store = Store(world.settings.effective_database_url)
    keys: dict[str, str] = {}
    try:
        async with store.transaction() as session:
            for tenant in ("leipzig", "offen"):
                client = await add_client(
                    session,
                    tenant_id=tenant,
                    name="amt",
                    kind=ClientKind.API_KEY,
                    role=Role.OPERATOR,
                    now=int(time.time()),
                )
                keys[tenant] = client.api_key
    finally:
        await store.close()
    return keys


def _submitted(browser: httpx.Client, page: httpx.Response, **fields: str) -> httpx.URL:
    assert page.status_code == 200, page.text
    token, action = _CSRF.search(page.text), _ACTION.search(page.text)
    assert token is not None
    assert action is not None
    answer = browser.post(page.url.join(action[1]), data={"csrf_token": token[1], **fields})
    assert answer.status_code == 303, answer.text
    return page.url.join(answer.headers["location"])


def _wallet_provider() -> WalletProvider:
    now, root_key, key = (
        int(time.time()),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    root = build_root_ca(
        key=root_key, subject=SubjectName("Provider Root", "DE"), serial=serial_number(secrets.token_bytes(20)), now=now
    )
    certificate = build_attester(
        authority=Authority(root, root_key),
        public_key=key.public_key(),
        subject=SubjectName("Provider Attester", "DE"),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
    )
    return WalletProvider(key, certificate, load_der_x509_certificate(root).public_bytes(Encoding.PEM))
