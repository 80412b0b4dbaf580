"""OpenWallet Foundation's JavaScript packages collect from our issuer and check what they get.

`@openid4vc/openid4vci` and `@openid4vc/oauth2` drive the flows, `@sd-jwt/sd-jwt-vc` verifies each SD-JWT VC.
"""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from jwcrypto.jwk import JWK

from issuer.offers import ArmedOffer
from issuer.store.tables import Delivery
from specs.credentials.mdoc import parse_issuer_signed
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import FileSigner, generate_private_key
from specs.protocols.client_attestation import build_client_attestation
from tests.availability import missing
from tests.bench.load.processes import free_port, running
from tests.issuer.wallet_api.world import CLAIMS, CLIENT_ID, World, build_world, environment
from tests.services import node

pytestmark = pytest.mark.interop
COPIES = 3


@pytest.fixture(scope="module")
def collector() -> list[str]:
    """The command of the JavaScript wallet."""
    program = shutil.which("node")
    if program is None or (why := node.install()) is not None:
        missing("no Node to run JavaScript wallets with" if program is None else why or "")
    return [program, str(node.FOLDER / "collect.mjs")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running issuer."""
    folder: Path = tmp_path_factory.mktemp("interop")
    port = free_port()
    made = asyncio.run(build_world(folder, public_url=f"http://127.0.0.1:{port}"))
    with running(
        ["-m", "stadtnachweis", "issuer", "serve", "--port", str(port)],
        environment=environment(made.settings),
        url=made.settings.public_url,
        path="/healthz",
        log=folder / "issuer.log",
    ):
        yield made


def collect(collector: list[str], offer: str, **task: object) -> JsonObject:
    command = [*collector, json.dumps({"offer": offer, "copies": COPIES, **task})]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: JsonObject = json.loads(done.stdout)
    return answer


def link(world: World, armed: ArmedOffer, tenant: str) -> str:
    address = f"{world.issuer_url(tenant)}/offers/{armed.reference}"
    return f"openid-credential-offer://?credential_offer_uri={quote(address, safe='')}"


def check_collected(world: World, tenant: str, answer: JsonObject) -> None:
    collected = answer["collected"]
    assert isinstance(collected, list)
    assert len(collected) == 2 * COPIES
    signer = world.settings.data_dir / "keys" / tenant / "sd-jwt-signer.ES256.crt.pem"
    issued_by = load_pem_x509_certificate(signer.read_bytes())
    for each in collected:
        assert isinstance(each, dict)
        if "mdoc" in each:
            assert parse_issuer_signed(base64url.decode(str(each["mdoc"]))).name_spaces
            continue
        assert each["isBound"] is True
        claims, x5c = each["claims"], each["x5c"]
        assert isinstance(claims, dict)
        assert isinstance(x5c, list)
        assert CLAIMS.items() <= claims.items()
        assert base64.b64decode(str(x5c[0])) == issued_by.public_bytes(Encoding.DER)


def test_public_wallet_collects_with_a_transaction_code_and_dpop(world: World, collector: list[str]) -> None:
    armed = asyncio.run(world.offer(tenant="offen", delivery=Delivery.REFERENCE, tx_code=True))

    answer = collect(collector, link(world, armed, "offen"), txCode=armed.tx_code)

    assert answer["tokenType"] == "DPoP"
    check_collected(world, "offen", answer)


def test_attested_wallet_collects_under_haip(world: World, collector: list[str]) -> None:
    armed = asyncio.run(world.offer(tenant="leipzig", delivery=Delivery.REFERENCE))
    key = generate_private_key()
    attestation = build_client_attestation(
        attester=world.provider.identity,
        client_id=CLIENT_ID,
        instance_key=FileSigner(key).public_key,
        now=int(time.time()),
        lifetime=3600,
        attester_name="https://wallet.example",  # the packages demand an `iss`
    )

    attested_key = JWK.from_pyca(key).export(as_dict=True)
    answer = collect(
        collector,
        link(world, armed, "leipzig"),
        clientId=CLIENT_ID,
        attestation=attestation,
        attestedKey=attested_key,
    )

    assert answer["tokenType"] == "DPoP"
    check_collected(world, "leipzig", answer)


def test_wrong_transaction_code_gets_nothing(world: World, collector: list[str]) -> None:
    armed = asyncio.run(world.offer(tenant="offen", delivery=Delivery.REFERENCE, tx_code=True))
    assert armed.tx_code is not None
    wrong = f"{(int(armed.tx_code) + 1) % 10**6:06d}"
    task = json.dumps({"offer": link(world, armed, "offen"), "copies": 1, "txCode": wrong})

    done = subprocess.run([*collector, task], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode != 0
    assert "invalid_grant" in done.stderr
    assert done.stdout == ""
