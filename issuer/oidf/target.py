"""Starts the target: one command makes keys, database, test attesters and a TLS listener, and says what it made.

Everything lives in a folder of this run. The suite reaches the target under `https://localhost:PORT/t/oidf`; the
listener takes connections of this machine alone.
"""

import asyncio
import contextlib
import json
import secrets
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI

from issuer.app import create_app
from issuer.catalog.loader import load_catalog
from issuer.http.tls import context_factory, development_tls
from issuer.keys.tenant_pki import tenant_folder
from issuer.oidf.admin import TENANT, Admin, tenants_of
from issuer.oidf.attesters import new_attester
from issuer.oidf.clients import arranged
from issuer.oidf.plan import CLIENTS, Target, plan_configuration
from issuer.oidf.register import TestRegister
from issuer.secrets_at_rest import create_secrets, load_secrets
from issuer.service import IssuerService, system_clock
from issuer.settings import IssuerSettings
from issuer.store.engine import Store
from issuer.store.migrate import migrate
from issuer.tenant_file import TenantFile
from issuer.tenant_setup import add_tenant
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import FileSigner, generate_signer
from verifier.adapters.loopback_tls import HOST, listening, serve
from verifier.adapters.oidf.identities import pem


@dataclass(frozen=True, slots=True)
class Prepared:
    """A target that is ready to listen."""

    app: FastAPI = field(repr=False)
    target: Target
    admin_key: str = field(repr=False)


def run_target(*, port: int, roots: Sequence[Path] = ()) -> int:
    """Serve until Ctrl-C. The plan configuration goes to standard output once the target answers.

    port: 0 takes a free one. roots: further certificates (PEM) of attesters to believe.

    Raises:
        OSError: the port is taken, or a file can't be read.
    """
    with listening(port) as (listener, url), _folder() as folder:
        prepared = asyncio.run(prepare(folder, url=url, roots=roots))
        tls = development_tls(folder, host=HOST, now=system_clock())
        sys.stdout.write(json.dumps(described(prepared), indent=2) + "\n")
        sys.stdout.flush()
        serve(prepared.app, listener, context=context_factory(tls))
    return 0


async def prepare(folder: Path, *, url: str, roots: Sequence[Path] = ()) -> Prepared:
    """Make everything in an empty folder. url: where the target will be reached. roots: as above."""
    now = system_clock()
    client_attester, key_attester = new_attester("Client Attester", now=now), new_attester("Key Attester", now=now)
    believed = [pem(client_attester.root), pem(key_attester.root), *(root.read_text("ascii") for root in roots)]
    (folder / "attesters.pem").write_text("".join(believed), "ascii")
    settings = _settings(folder, url=url)
    create_secrets(folder / "secrets")
    store = Store(settings.effective_database_url)
    try:
        await migrate(store)
        await add_tenant(
            settings=settings,
            store=store,
            secrets=load_secrets(folder / "secrets"),
            tenant_id=TENANT,
            name="TEST OpenID Foundation",
            preset="oidf",
            country="DE",
            locale="en",
            algorithms={kind.alg for kind in load_catalog(settings.catalog_dir, allow_test_types=True).types.values()},
            now=now,
        )
    finally:
        await store.close()
    keys = tenant_folder(folder, TENANT)
    client_keys = {client: ec.generate_private_key(ec.SECP256R1()) for client in CLIENTS}
    register_signer = generate_signer()
    tenant_file = arranged(client_keys, register_key=register_signer.public_key)
    app, admin_key = create_app(settings), secrets.token_urlsafe(16)
    app.state.service = service = _with_register(app.state.service, tenant_file, register_signer)
    app.include_router(Admin(admin_key, service, tenant_file).router())
    target = Target(
        issuer_url=f"{settings.public_url}/t/{TENANT}",
        client_attester=client_attester,
        key_attester=key_attester,
        client_keys=client_keys,
        credentials=_certificate(keys / "iaca.crt.pem"),
        status=_certificate(keys / "status-ca.crt.pem"),
    )
    return Prepared(app, target, admin_key)


def _with_register(service: IssuerService, tenant_file: TenantFile, signer: FileSigner) -> IssuerService:
    """The service with what its tenant has arranged, asking the register in its own process."""
    assert service.login is not None, "the settings name a register of people"
    register = TestRegister(people=service.login, signer=signer)
    return replace(
        service,
        tenants=tenants_of(service, tenant_file, settings=service.settings),
        claims=replace(service.claims, outgoing=register),
    )


def described(prepared: Prepared) -> JsonObject:
    """The plan configuration of an SD-JWT VC with attested keys; a member of our own says how to make the others."""
    target = prepared.target
    configurations: JsonObject = {
        f"{form}_{kind}": f"pid_{kind}-{suffix}"
        for form, suffix in (("sd_jwt_vc", "sd-jwt"), ("mdoc", "mdoc"))
        for kind in ("attested", "plain", "deferred")
    }
    ours: JsonObject = {
        "role": "issuer",
        "admin": {
            "offers": f"{target.issuer_url.removesuffix(f'/t/{TENANT}')}/admin/offers",
            "switches": f"{target.issuer_url.removesuffix(f'/t/{TENANT}')}/admin/switches",
            "key": prepared.admin_key,
        },
        "credential_configurations": configurations,
    }
    first = plan_configuration(target, alias="stadtnachweis-issuer", configuration_id="pid_attested-sd-jwt")
    return {**first, "stadtnachweis": ours}


def _settings(folder: Path, *, url: str) -> IssuerSettings:
    """The test tenant's settings; everything that a suite waits for is as short as the product allows."""
    own = Path(str(resources.files("issuer.oidf")))
    return IssuerSettings(
        data_dir=folder,
        public_url=url,
        catalog_dir=own / "types",
        allow_test_types=True,
        demo_login=True,
        test_register=own / "citizens.yaml",
        wallet_provider_anchors=folder / "attesters.pem",
        status_list_size=4096,
    )


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stadtnachweis-oidf-") as name:
        yield Path(name)


def _certificate(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
