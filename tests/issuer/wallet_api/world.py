"""An issuer with its database, tenants and a trusted wallet provider, and a wallet that does everything right."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from issuer.catalog.loader import Catalog, load_catalog
from issuer.catalog.schema import SigningAlgorithm
from issuer.datasets import UNNAMED
from issuer.offers import ArmedOffer, NewCredential, NewOffer, create_offer
from issuer.sealing import Sealer
from issuer.secrets_at_rest import create_secrets, load_secrets
from issuer.settings import IssuerSettings
from issuer.store.engine import Store
from issuer.store.migrate import migrate
from issuer.store.tables import Delivery, Grant
from issuer.tenant_setup import add_tenant
from issuer.tenants import Tenants
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import FileSigner, SigningIdentity, generate_private_key, generate_signer
from specs.protocols.client_attestation import (
    ATTESTATION_HEADER,
    ATTESTATION_POP_HEADER,
    build_client_attestation,
    build_client_attestation_pop,
)
from specs.protocols.dpop import build_dpop_proof
from specs.protocols.key_proof import build_key_proof
from specs.protocols.oauth import PRE_AUTHORIZED_CODE, code_challenge, new_code_verifier
from specs.trust.certificates import Authority, SubjectName, build_attester, build_root_ca, serial_number

CLIENT_ID = "https://wallet.example/app"
REDIRECT_URI = "https://wallet.example/callback"
SD_JWT, MDOC = "leipzig_pass-sd-jwt", "leipzig_pass-mdoc"
SUBJECT = "sozialamt-4711"
CLAIMS: JsonObject = {
    "entitled": True,
    "valid_until_month": "2099-06",
    "family_name": "Lindenau",
    "given_name": "Mila",
    "birthdate": "1991-03-07",
}
REGISTER = f"""\
citizens:
  - reference: {SUBJECT}
    username: mila
    password: einfach
    claims:
      leipzig_pass: {json.dumps(CLAIMS)}
  - reference: sozialamt-4712
    username: jon
    password: auch-einfach
    claims:
      leipzig_pass: {json.dumps({**CLAIMS, "given_name": "Jon"})}
"""
TENANTS = {"leipzig": "haip-1.0", "dresden": "haip-1.0", "offen": "plain-1.0", "bund": "de-2026-11"}


class SteppedClock:
    """Says the time that a test chose."""

    def __init__(self) -> None:
        self.now = int(time.time())

    def __call__(self) -> int:
        """Seconds since the epoch."""
        return self.now


@dataclass(frozen=True, slots=True)
class Provider:
    """A wallet provider: its attester, and the file that says whom the issuer believes."""

    identity: SigningIdentity


@dataclass
class World:
    """The issuer's outside: its settings, and what it takes to make offers and wallets for it."""

    settings: IssuerSettings
    provider: Provider
    stranger: Provider
    catalog: Catalog = field(default_factory=lambda: load_catalog(allow_test_types=True))

    def issuer_url(self, tenant: str = "leipzig") -> str:
        """The identifier of a tenant."""
        return f"{self.settings.public_url}/t/{tenant}"

    def use_types(self, folder: Path) -> None:
        """Take the credential types of a folder instead of the program's own."""
        self.settings = self.settings.model_copy(update={"catalog_dir": folder})
        self.catalog = load_catalog(folder, allow_test_types=True)

    async def offer(
        self,
        *,
        tenant: str = "leipzig",
        grant: Grant = Grant.PRE_AUTHORIZED_CODE,
        delivery: Delivery = Delivery.VALUE,
        tx_code: bool = False,
        configurations: tuple[str, ...] = (SD_JWT, MDOC),
        datasets: tuple[str, ...] = (UNNAMED,),
        now: int | None = None,
        lifetime: int = 3600,
    ) -> ArmedOffer:
        """An offer as the city makes one, with code or issuer_state in hand."""
        now = int(time.time()) if now is None else now
        store, secrets_at_rest = (
            Store(self.settings.effective_database_url),
            load_secrets(self.settings.data_dir / "secrets"),
        )
        try:
            found = await Tenants(settings=self.settings, store=store, secrets=secrets_at_rest).find(tenant)
            assert found is not None
            sealer: Sealer = found.sealer
            async with store.transaction() as session:
                return await create_offer(
                    session,
                    NewOffer(
                        credentials=[
                            NewCredential(self.catalog.configurations[name], dict(CLAIMS), dataset)
                            for name in configurations
                            for dataset in datasets
                        ],
                        grant=grant,
                        delivery=delivery,
                        locale="de",
                        expires_at=now + lifetime,
                        subject=SUBJECT,
                        tx_code_length=6 if tx_code else 0,
                        client_id="tests",
                    ),
                    sealer=sealer,
                    secrets_at_rest=secrets_at_rest,
                    code_lifetime=3600,
                    now=now,
                )
        finally:
            await store.close()


async def build_world(
    folder: Path, *, public_url: str, database_url: str = "", tenants: Mapping[str, str] = MappingProxyType(TENANTS)
) -> World:
    """Make an issuer's files and tables; the same steps as an operator's first ones."""
    now = int(time.time())
    provider, anchor = _provider("Provider", now=now)
    stranger, _ = _provider("Stranger", now=now)
    (folder / "providers.pem").write_bytes(anchor)
    (folder / "citizens.yaml").write_text(REGISTER, encoding="utf-8")
    settings = IssuerSettings(
        data_dir=folder,
        public_url=public_url,
        allow_loopback_http=True,
        database_url=database_url,
        wallet_provider_anchors=folder / "providers.pem",
        test_register=folder / "citizens.yaml",
        demo_login=True,
        allow_test_types=True,
        status_list_size=4096,
    )
    create_secrets(folder / "secrets")
    store = Store(settings.effective_database_url)
    try:
        await migrate(store)
        for tenant_id, preset in tenants.items():
            await add_tenant(
                settings=settings,
                store=store,
                secrets=load_secrets(folder / "secrets"),
                tenant_id=tenant_id,
                name=f"Stadt {tenant_id.title()}",
                preset=preset,
                country="DE",
                locale="de",
                algorithms=[SigningAlgorithm.ES256],
                now=now,
            )
    finally:
        await store.close()
    return World(settings, provider, stranger)


def environment(settings: IssuerSettings) -> dict[str, str]:
    """The settings as environment variables, for workers of their own."""
    given = settings.model_dump(exclude_unset=True, mode="json")
    return {f"ISSUER_{name.upper()}": str(value) for name, value in given.items()}


@dataclass
class Wallet:
    """A wallet of one tenant's issuer. Its methods do what the standards say; tests change what they send."""

    http: httpx.AsyncClient
    issuer_url: str
    provider: Provider
    clock: SteppedClock | None = None
    instance: FileSigner = field(default_factory=generate_signer)
    dpop: FileSigner = field(default_factory=generate_signer)
    client_id: str = CLIENT_ID

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return int(time.time()) if self.clock is None else self.clock.now

    async def challenge(self) -> str:
        """A fresh challenge for the attestation's proof."""
        answer = await self.http.post(f"{self.issuer_url}/challenge")
        return str(answer.json()["attestation_challenge"])

    async def nonce(self) -> str:
        """A fresh c_nonce."""
        answer = await self.http.post(f"{self.issuer_url}/nonce")
        assert answer.headers["cache-control"] == "no-store"
        return str(answer.json()["c_nonce"])

    def attestation_headers(self, challenge: str | None) -> dict[str, str]:
        """Both headers of client attestation."""
        attestation = build_client_attestation(
            attester=self.provider.identity,
            client_id=self.client_id,
            instance_key=self.instance.public_key,
            now=self.now,
            lifetime=3600,
        )
        pop = build_client_attestation_pop(
            signer=self.instance,
            client_id=self.client_id,
            audience=self.issuer_url,
            now=self.now,
            challenge=challenge,
        )
        return {ATTESTATION_HEADER: attestation, ATTESTATION_POP_HEADER: pop}

    def dpop_header(self, path: str, access_token: str | None = None) -> dict[str, str]:
        """A proof for one POST request."""
        url = f"{self.issuer_url}{path}"
        proof = build_dpop_proof(signer=self.dpop, method="POST", url=url, now=self.now, access_token=access_token)
        return {"DPoP": proof}

    async def form_headers(self, path: str) -> dict[str, str]:
        """Client authentication and DPoP for a form request."""
        return {**self.attestation_headers(await self.challenge()), **self.dpop_header(path)}

    async def redeem(self, code: str, tx_code: str | None = None, **members: str) -> httpx.Response:
        """A token request with a pre-authorized code."""
        form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code, "client_id": self.client_id, **members}
        if tx_code is not None:
            form["tx_code"] = tx_code
        return await self.token(form)

    async def token(self, form: Mapping[str, str]) -> httpx.Response:
        """A token request."""
        headers = await self.form_headers("/token")
        return await self.http.post(f"{self.issuer_url}/token", data=dict(form), headers=headers)

    async def credential(
        self, access_token: str, request: JsonObject, *, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """A credential request with this body."""
        sent = {"Authorization": f"DPoP {access_token}", **self.dpop_header("/credential", access_token)}
        return await self.http.post(
            f"{self.issuer_url}/credential", json=request, headers=sent if headers is None else dict(headers)
        )

    async def request_body(
        self, configuration_id: str = SD_JWT, *, copies: int = 1, nonce: str | None = None
    ) -> JsonObject:
        """A credential request with one fresh key a copy."""
        c_nonce = await self.nonce() if nonce is None else nonce
        return {
            "credential_configuration_id": configuration_id,
            "proofs": {"jwt": [self.proof(c_nonce) for _ in range(copies)]},
        }

    def proof(self, nonce: str, *, audience: str | None = None) -> str:
        """A proof of a fresh key."""
        return build_key_proof(
            signer=generate_signer(),
            audience=audience or self.issuer_url,
            now=self.now,
            nonce=nonce,
            client_id=self.client_id,
        )

    async def access_token(self, world: World, *, tenant: str = "leipzig", **offer: bool) -> str:
        """A token for a fresh offer."""
        armed = await world.offer(tenant=tenant, now=self.now, **offer)  # type: ignore[arg-type]
        assert armed.code is not None
        answer = await self.redeem(armed.code, armed.tx_code)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@dataclass
class Flow:
    """One authorization request on its way, with what the wallet keeps of it."""

    wallet: Wallet
    verifier: str = field(default_factory=new_code_verifier)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def form(self, **changes: str) -> dict[str, str]:
        """The members of the pushed request."""
        form = {
            "response_type": "code",
            "client_id": self.wallet.client_id,
            "redirect_uri": REDIRECT_URI,
            "code_challenge": code_challenge(self.verifier),
            "code_challenge_method": "S256",
            "scope": f"{SD_JWT} {MDOC} unknown",
            "state": self.state,
        } | changes
        return {name: value for name, value in form.items() if value}

    async def push(self, **changes: str) -> httpx.Response:
        """The pushed request; a member changed to nothing is left out."""
        wallet = self.wallet
        headers = await wallet.form_headers("/par")
        return await wallet.http.post(f"{wallet.issuer_url}/par", data=self.form(**changes), headers=headers)

    async def request_uri(self, **changes: str) -> str:
        """Push, and take the address."""
        answer = await self.push(**changes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request_uri"])

    def authorize_url(self, request_uri: str, client_id: str | None = None) -> httpx.URL:
        """Where the browser goes first."""
        url = httpx.URL(f"{self.wallet.issuer_url}/authorize")
        return url.copy_merge_params({"client_id": client_id or self.wallet.client_id, "request_uri": request_uri})

    def token_form(self, issued_code: str, **changes: str) -> dict[str, str]:
        """The members of the token request."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.wallet.client_id,
            "code": issued_code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.verifier,
        } | changes
        return {name: value for name, value in form.items() if value}


def answer_members(location: str) -> dict[str, str]:
    """The members of an authorization answer."""
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def _provider(name: str, *, now: int) -> tuple[Provider, bytes]:
    root_key, key = generate_private_key(), generate_private_key()
    certificate = build_root_ca(
        key=root_key, subject=SubjectName(f"{name} Root", "DE"), serial=serial_number(secrets.token_bytes(20)), now=now
    )
    attester = build_attester(
        authority=Authority(certificate, root_key),
        public_key=key.public_key(),
        subject=SubjectName(f"{name} Attester", "DE"),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
    )
    pem = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
    return Provider(SigningIdentity(FileSigner(key), (attester,))), pem
