"""A standalone verifier in a folder of its own: its tenants' files, their API keys, and what a wallet answers."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate
from fastapi import FastAPI

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jwe import encrypt
from specs.keys.signer import FileSigner, generate_private_key
from specs.trust.certificates import (
    Authority,
    SubjectName,
    build_access_certificate,
    build_root_ca,
    serial_number,
)
from tests.verifier.desk import IDENTIFIER, reader_identity
from tests.verifier.world import DOC_TYPE, NAME_SPACE, VCT, World
from verifier.server.app import create_app
from verifier.server.service import prepare
from verifier.settings import VerifierSettings

HOST = "https://verifier.example"
RETURN_URL = "https://portal.example/back"
ORIGIN = "https://portal.example"
PARKING: Mapping[str, Any] = {
    "id": "parking",
    "purpose": {"de": "Bewohnerparkausweis", "en": "Resident parking permit"},
    "return_url": RETURN_URL,
    "query": {
        "credentials": [
            {
                "id": "pid",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": [VCT]},
                "claims": [{"path": ["family_name"]}, {"path": ["address", "locality"]}],
            }
        ]
    },
    "policy": {"status": "off"},
}
IN_PAGE = {**PARKING, "id": "in_page", "response_mode": "dc_api.jwt", "origins": [ORIGIN]}
ISO_IN_PAGE: Mapping[str, Any] = {
    **IN_PAGE,
    "id": "iso_in_page",
    "dc_api": ["openid4vp-v1-signed", "org-iso-mdoc"],
    "query": {
        "credentials": [
            {
                "id": "pid",
                "format": "mso_mdoc",
                "meta": {"doctype_value": DOC_TYPE},
                "claims": [{"path": [NAME_SPACE, "family_name"]}],
            }
        ]
    },
}


@dataclass
class Service:
    """A service with the tenants `leipzig` and `halle`, over one database."""

    folder: Path
    database_url: str = ""
    allow_loopback_http: bool = False
    world: World = field(default_factory=lambda: World(now=int(time.time())))
    procedures: tuple[Mapping[str, Any], ...] = (PARKING, IN_PAGE, ISO_IN_PAGE)

    @cached_property
    def settings(self) -> VerifierSettings:
        """Settings of this folder."""
        return VerifierSettings(
            data_dir=self.folder,
            database_url=self.database_url,
            public_url=HOST,
            idempotency_lifetime=3600,
            allow_loopback_http=self.allow_loopback_http,
        )

    def written(self) -> "Service":
        """Write the tenants' files."""
        for tenant in ("leipzig", "halle"):
            self.write_tenant(tenant)
        return self

    def write_tenant(self, tenant: str, **changes: object) -> Path:
        """One tenant's files. changes: members of tenant.yaml."""
        folder = self.settings.effective_tenants_dir / tenant
        (folder / "procedures").mkdir(parents=True, exist_ok=True)
        for name, (key, certificate) in (("access", _access(self.world.now)), ("reader", _reader(self.world.now))):
            (folder / f"{name}.key.pem").write_bytes(
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            )
            (folder / f"{name}.crt.pem").write_bytes(pem(certificate))
        (folder / "pid.pem").write_bytes(pem(self.world.authority.certificate))
        described = {
            "preset": "haip-1.0",
            "access": {"key": "access.key.pem", "chain": "access.crt.pem"},
            "reader": {"key": "reader.key.pem", "chain": "reader.crt.pem"},
            "trust": [
                {
                    "name": "pid",
                    "anchors": ["pid.pem"],
                    "revocation": "off",
                    "types": {"dc+sd-jwt": [VCT], "mso_mdoc": [DOC_TYPE]},
                }
            ],
            **changes,
        }
        (folder / "tenant.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
        for procedure in self.procedures:
            path = folder / "procedures" / f"{procedure['id']}.yaml"
            path.write_text(yaml.safe_dump(dict(procedure)), encoding="utf-8")
        return folder

    @cached_property
    def app(self) -> FastAPI:
        """The application."""
        return self.worker()

    def worker(self) -> FastAPI:
        """One more process, as far as it shares nothing but folder and database."""
        prepare(self.settings)
        return create_app(self.settings)

    def key(self, tenant: str = "leipzig") -> str:
        """A fresh API key."""
        made: str = self.app.state.service.clients.add(tenant=tenant, name="tests", now=int(time.time()))
        return made

    def client(self, key: str | None = None, app: FastAPI | None = None) -> httpx.AsyncClient:
        """A back end; without a key it is a wallet or a browser."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app or self.app), base_url=HOST, headers=headers, timeout=30
        )

    def presentation(self, params: JsonObject, *, audience: str) -> dict[str, list[str]]:
        """What the holder shows in answer to a question."""
        shown = self.world.present_sd_jwt(self.world.sd_jwt(), nonce=str(params["nonce"]), audience=audience)
        return {"pid": [shown]}


def params_of(token: str) -> JsonObject:
    """What a request object says."""
    return strict_json.parse_object(base64url.decode(token.split(".")[1]))


def sealed(params: JsonObject, members: Mapping[str, object]) -> str:
    """An answer, closed for the question."""
    metadata: Any = params["client_metadata"]
    return encrypt(strict_json.dumps(dict(members)), jwk=metadata["jwks"]["keys"][0], enc="A256GCM")


def pem(der: bytes) -> bytes:
    return load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def _reader(now: int) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = generate_private_key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key, reader_identity(now, signer=FileSigner(key))[0].chain[0]


def _access(now: int) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    root_key, key = generate_private_key(), generate_private_key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    root = build_root_ca(key=root_key, subject=SubjectName("Access CA", "DE"), serial=1, now=now)
    certificate = build_access_certificate(
        authority=Authority(root, root_key),
        public_key=key.public_key(),
        subject=SubjectName("Stadt Leipzig", "DE", organization_identifier=IDENTIFIER),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
        dns_names=["verifier.example"],
        uris=[],
    )
    return key, certificate
