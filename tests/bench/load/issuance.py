"""Issuing under load: an issuer on PostgreSQL in processes of its own, and wallets that collect from it."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import load_pem_x509_certificate

from issuer.city_api.authentication import add_client
from issuer.settings import IssuerSettings
from issuer.store.engine import Store
from issuer.store.tables import ClientKind, Role
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import FileSigner, generate_signer
from specs.protocols.key_proof import build_key_proof
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.bench.load.processes import free_port
from tests.issuer.wallet_api.world import CLAIMS, SD_JWT, SUBJECT, Wallet, World, build_world

PLAIN, HAIP = "offen", "leipzig"  # tenants of `build_world` under plain-1.0 and haip-1.0


@dataclass(frozen=True, slots=True)
class Furnished:
    """An issuer that is ready to be started. api_keys: by tenant."""

    world: World
    api_keys: dict[str, str]

    @property
    def settings(self) -> IssuerSettings:
        """What it runs with."""
        return self.world.settings

    def signer_key(self, tenant: str) -> ec.EllipticCurvePublicKey:
        """The key that this tenant's SD-JWT VCs are signed with."""
        certificate = self.settings.data_dir / "keys" / tenant / "sd-jwt-signer.ES256.crt.pem"
        key = load_pem_x509_certificate(certificate.read_bytes()).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return key


async def furnish(folder: Path, *, database_url: str) -> Furnished:
    """Files, tables, tenants and an API key for each, as an operator makes them."""
    world = await build_world(folder, public_url=f"http://127.0.0.1:{free_port()}", database_url=database_url)
    world.settings = world.settings.model_copy(update={"status_list_size": 1 << 20})
    store = Store(database_url)
    keys: dict[str, str] = {}
    try:
        async with store.transaction() as session:
            for tenant in (PLAIN, HAIP):
                client = await add_client(
                    session,
                    tenant_id=tenant,
                    name="load",
                    kind=ClientKind.API_KEY,
                    role=Role.OPERATOR,
                    now=int(time.time()),
                )
                keys[tenant] = client.api_key
    finally:
        await store.close()
    return Furnished(world, keys)


class Collecting:
    """One way to collect, repeated: an offer by the City API, then what a wallet of this tenant does."""

    def __init__(self, furnished: Furnished, http: httpx.AsyncClient, *, tenant: str, copies: int = 1) -> None:
        world = furnished.world
        self._http = http
        self._tenant = tenant
        self._copies = copies
        self._api_key = furnished.api_keys[tenant]
        self._offers = f"{world.settings.public_url}/api/v1/offers"
        self._signer_key = furnished.signer_key(tenant)
        self._wallets = asyncio.LifoQueue[Wallet]()
        self._world = world

    async def plain(self) -> int:
        """Four requests, as the peer was measured: offer by value, token, nonce, credential; a Bearer token."""
        wallet = self._new_wallet()
        offer = await self._offer("value")
        form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": _code(offer)}
        token = _good(await self._http.post(f"{wallet.issuer_url}/token", data=form))
        nonce = _good(await self._http.post(f"{wallet.issuer_url}/nonce"))["c_nonce"]
        holders, body = self._request(wallet, str(nonce), client_id=None)
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = await self._http.post(f"{wallet.issuer_url}/credential", json=body, headers=headers)
        return self._held(_good(answer), holders)

    async def haip(self) -> int:
        """Six requests: offer, its fetch, challenge, token with attestation and DPoP, nonce, credential."""
        wallet = self._wallets.get_nowait() if not self._wallets.empty() else self._new_wallet()
        made = await self._offer("reference")
        address = parse_qs(urlsplit(str(made["offer_uri"])).query)["credential_offer_uri"][0]
        offer = _good(await self._http.get(address))
        token = _good(await wallet.redeem(_code_of(offer)))
        holders, body = self._request(wallet, await wallet.nonce(), client_id=wallet.client_id)
        answer = await wallet.credential(str(token["access_token"]), body)
        self._wallets.put_nowait(wallet)
        return self._held(_good(answer), holders)

    def _new_wallet(self) -> Wallet:
        return Wallet(self._http, self._world.issuer_url(self._tenant), self._world.provider)

    async def _offer(self, delivery: str) -> JsonObject:
        body: JsonObject = {
            "credential_types": ["leipzig_pass"],
            "formats": ["dc+sd-jwt"],
            "subject": {"reference": SUBJECT},
            "claims": {"leipzig_pass": {**CLAIMS}},
            "delivery": delivery,
        }
        headers = {"Authorization": f"Bearer {self._api_key}", "Idempotency-Key": secrets.token_urlsafe(16)}
        return _good(await self._http.post(self._offers, json=body, headers=headers), 201)

    def _request(self, wallet: Wallet, nonce: str, *, client_id: str | None) -> tuple[list[FileSigner], JsonObject]:
        holders = [generate_signer() for _ in range(self._copies)]
        proofs = [
            build_key_proof(signer=holder, audience=wallet.issuer_url, now=wallet.now, nonce=nonce, client_id=client_id)
            for holder in holders
        ]
        return holders, {"credential_configuration_id": SD_JWT, "proofs": {"jwt": [*proofs]}}

    def _held(self, answer: JsonObject, holders: Sequence[FileSigner]) -> int:
        """How many credentials are signed by the tenant's key and bound to the key that asked."""
        credentials = answer["credentials"]
        assert isinstance(credentials, list)
        assert len(credentials) == len(holders)
        return sum(self._is_good(entry, holder) for entry, holder in zip(credentials, holders, strict=True))

    def _is_good(self, entry: object, holder: FileSigner) -> bool:
        assert isinstance(entry, dict)
        head, payload, signature = str(entry["credential"]).partition("~")[0].split(".")
        raw = base64url.decode(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            self._signer_key.verify(der, f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        bound = strict_json.parse_object(base64url.decode(payload))["cnf"]
        return bound == {"jwk": jwk_from_public_key(holder.public_key)}


def _code(offer: JsonObject) -> str:
    text = parse_qs(urlsplit(str(offer["offer_uri"])).query)["credential_offer"][0]
    return _code_of(strict_json.parse_object(text.encode()))


def _code_of(offer: JsonObject) -> str:
    grants = offer["grants"]
    assert isinstance(grants, dict)
    grant = grants[PRE_AUTHORIZED_CODE]
    assert isinstance(grant, dict)
    return str(grant["pre-authorized_code"])


def _good(answer: httpx.Response, status: int = 200) -> JsonObject:
    if answer.status_code != status:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    members: JsonObject = answer.json()
    return members
