"""Types whose keys must be attested: one attestation of n keys gives n credentials, a weaker one gives none."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from issuer.app import create_app
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import FileSigner, generate_signer
from specs.protocols.key_attestation import build_key_attestation
from specs.protocols.key_proof import build_key_proof
from tests.issuer.city.types import SHIPPED
from tests.issuer.wallet_api.conftest import PUBLIC_URL
from tests.issuer.wallet_api.world import SD_JWT, SteppedClock, Wallet, World

MODERATE, HIGH, BASIC = "iso_18045_moderate", "iso_18045_high", "iso_18045_basic"


@pytest.fixture
async def http(world: World, clock: SteppedClock, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An issuer whose Leipzig-Pass wants keys and unlocking of moderate safety at least."""
    folder = tmp_path / "types"
    shutil.copytree(SHIPPED, folder)
    text = (SHIPPED / "leipzig_pass.yaml").read_text(encoding="utf-8")
    demanded = f"key_attestation: {MODERATE}\nuser_authentication: {MODERATE}"
    (folder / "leipzig_pass.yaml").write_text(text.replace("key_attestation: none", demanded), encoding="utf-8")
    app = create_app(world.settings.model_copy(update={"catalog_dir": folder}), clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client
    await app.state.service.store.close()


@dataclass
class Attested:
    """Keys and what a provider says about them; each test changes one thing."""

    wallet: Wallet
    keys: list[FileSigner] = field(default_factory=lambda: [generate_signer() for _ in range(3)])
    key_storage: tuple[str, ...] = (HIGH,)
    user_authentication: tuple[str, ...] = (MODERATE,)
    lifetime: int | None = 300

    def attestation(self, nonce: str | None) -> str:
        """The provider's word."""
        return build_key_attestation(
            attester=self.wallet.provider.identity,
            keys=[key.public_key for key in self.keys],
            now=self.wallet.now,
            lifetime=self.lifetime,
            nonce=nonce,
            key_storage=self.key_storage,
            user_authentication=self.user_authentication,
        )

    async def request(self, kind: str) -> JsonObject:
        """A credential request with proofs of this kind."""
        nonce = await self.wallet.nonce()
        attestation = self.attestation(nonce)
        if kind == "attestation":
            return {"credential_configuration_id": SD_JWT, "proofs": {"attestation": [attestation]}}
        proving = self.keys if kind == "jwt for each" else self.keys[:1]
        proofs = [
            build_key_proof(
                signer=key,
                audience=self.wallet.issuer_url,
                now=self.wallet.now,
                nonce=nonce,
                client_id=self.wallet.client_id,
                key_attestation=attestation,
            )
            for key in proving
        ]
        return {"credential_configuration_id": SD_JWT, "proofs": {"jwt": [*proofs]}}


async def test_metadata_say_what_is_demanded(http: httpx.AsyncClient) -> None:
    """OpenID4VCI §12.2.4: the accepted values are the least level and all above it."""
    document = (await http.get("/.well-known/openid-credential-issuer/t/leipzig")).json()

    proof_types = document["credential_configurations_supported"][SD_JWT]["proof_types_supported"]

    for kind in ("jwt", "attestation"):
        assert proof_types[kind]["key_attestations_required"] == {
            "key_storage": [MODERATE, HIGH],
            "user_authentication": [MODERATE, HIGH],
        }


@pytest.mark.parametrize("kind", ["attestation", "jwt for all", "jwt for each"])
async def test_attestation_of_three_keys_gives_three_credentials(world: World, wallet: Wallet, kind: str) -> None:
    """OpenID4VCI App. F.1, F.3: one credential a key, in whichever way the keys are shown."""
    attested = Attested(wallet, lifetime=None if kind == "attestation" else 300)
    token = await wallet.access_token(world)

    answer = await wallet.credential(token, await attested.request(kind))

    assert answer.status_code == 200, answer.text
    bound = [
        strict_json.parse_object(base64url.decode(entry["credential"].split(".")[1]))["cnf"]
        for entry in answer.json()["credentials"]
    ]
    assert bound == [{"jwk": jwk_from_public_key(key.public_key)} for key in attested.keys]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"key_storage": (BASIC,)}, "invalid_proof", id="proof-034-storage"),
        pytest.param({"key_storage": ()}, "invalid_proof", id="proof-034-storage-missing"),
        pytest.param({"user_authentication": (BASIC,)}, "invalid_proof", id="proof-034-user"),
        pytest.param({"user_authentication": ("https://provider.example/pin",)}, "invalid_proof", id="proof-034-other"),
        pytest.param({"keys": [generate_signer() for _ in range(21)]}, "invalid_proof", id="proof-022-keys"),
    ],
)
@pytest.mark.parametrize("kind", ["attestation", "jwt for all"])
async def test_weaker_attestation_gives_nothing(
    world: World, wallet: Wallet, kind: str, changes: dict[str, object], error: str
) -> None:
    """The token serves the right request afterwards."""
    token = await wallet.access_token(world)

    refused = await wallet.credential(token, await Attested(wallet, **changes).request(kind))  # type: ignore[arg-type]

    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert (await wallet.credential(token, await Attested(wallet).request(kind))).status_code == 200


async def test_plain_proof_and_a_strangers_attestation_give_nothing(world: World, wallet: Wallet) -> None:
    """proof-028, proof-029."""
    token = await wallet.access_token(world)
    stranger = Wallet(wallet.http, wallet.issuer_url, world.stranger, wallet.clock)

    for request in (await wallet.request_body(), await Attested(stranger).request("attestation")):
        refused = await wallet.credential(token, request)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_proof")


async def test_attestation_is_taken_once(world: World, wallet: Wallet) -> None:
    """proof-032: it proves no possession, so its nonce alone keeps it from being shown again."""
    token = await wallet.access_token(world)
    request = await Attested(wallet).request("attestation")

    assert (await wallet.credential(token, request)).status_code == 200
    again = await wallet.credential(token, request)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_nonce")
