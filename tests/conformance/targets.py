"""A tiny issuer that does everything right, and ways to break it: one defect, which exactly one check must catch."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx

from specs.encoding.strict_json import JsonObject
from specs.keys.jose import build_jws, x5c_header
from specs.keys.signer import SigningIdentity
from specs.protocols.issuer_metadata import SIGNED_METADATA_TYP
from specs.trust.registration_claims import RegisteredCredential
from tests.conformance.registrar import Registrar, access_identity

ISSUER = "https://localhost:1/t/city"  # where nobody listens: the checks of TLS end at once
METADATA = "/.well-known/openid-credential-issuer/t/city"
SERVER = "/.well-known/oauth-authorization-server/t/city"
NO_STORE = {"Cache-Control": "no-store"}


def _metadata() -> JsonObject:
    option: JsonObject = {"details": ["limited_time"], "batch_size": 1, "reissue_trigger_lifetime_left": 86400}
    described: JsonObject = {
        "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
        "credential_metadata": {"credential_reuse_policy": {"id": "arf_annex_ii", "options": [option]}},
    }
    provides = [
        RegisteredCredential("dc+sd-jwt", ("urn:example:pass:1",)),
        RegisteredCredential("mso_mdoc", ("example.pass.1",)),
    ]
    return {
        "credential_issuer": ISSUER,
        "credential_endpoint": f"{ISSUER}/credential",
        "nonce_endpoint": f"{ISSUER}/nonce",
        "batch_credential_issuance": {"batch_size": 10},
        "issuer_info": [{"format": "registration_cert", "data": Registrar.fresh().certificate(provides=provides)}],
        "credential_configurations_supported": {
            "pass-sd-jwt": {
                "format": "dc+sd-jwt",
                "scope": "pass-sd-jwt",
                "vct": "urn:example:pass:1",
                "cryptographic_binding_methods_supported": ["jwk"],
                **described,
            },
            "pass-mdoc": {
                "format": "mso_mdoc",
                "scope": "pass-mdoc",
                "doctype": "example.pass.1",
                "cryptographic_binding_methods_supported": ["cose_key"],
                **described,
            },
        },
    }


def _server() -> JsonObject:
    return {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "pushed_authorization_request_endpoint": f"{ISSUER}/par",
        "require_pushed_authorization_requests": True,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "token_endpoint_auth_methods_supported": ["attest_jwt_client_auth"],
        "client_attestation_signing_alg_values_supported": ["ES256"],
        "client_attestation_pop_signing_alg_values_supported": ["ES256"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_details_types_supported": ["openid_credential"],
    }


@dataclass(frozen=True)
class Said:
    """One answer: headers without the content type."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def said(status: int, document: object, **headers: str) -> Said:
    """An answer in JSON."""
    return Said(status, json.dumps(document).encode(), headers=headers)


@dataclass
class TinyIssuer:
    """Answers by (method, path). identity: signs its metadata; None: they come unsigned only."""

    metadata: JsonObject = field(default_factory=_metadata)
    server: JsonObject = field(default_factory=_server)
    identity: SigningIdentity | None = field(default_factory=lambda: access_identity()[0])
    signed_claims: JsonObject = field(default_factory=dict)
    signed_typ: str = SIGNED_METADATA_TYP
    signed_chain: tuple[bytes, ...] | None = None
    change: dict[tuple[str, str], Callable[[Said], Said]] = field(default_factory=dict)
    nonces: int = 0

    def alter(self, method: str, path: str, **members: object) -> None:
        """Answer one request otherwise; signed metadata stay as they are."""
        self.change[method, path] = lambda answer: replace(answer, **members)  # type: ignore[arg-type]

    def configuration(self, name: str = "pass-sd-jwt") -> JsonObject:
        """One of its configurations, to be broken."""
        supported = self.metadata["credential_configurations_supported"]
        assert isinstance(supported, dict)
        configuration = supported[name]
        assert isinstance(configuration, dict)
        return configuration

    def client(self) -> httpx.Client:
        """A client that reaches nobody else."""
        return httpx.Client(transport=httpx.MockTransport(self._respond))

    def _respond(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        answer = self._answer(request.method, path, accept=request.headers.get("accept", ""))
        if (request.method, path) in self.change and answer.media_type != "application/jwt":
            answer = self.change[request.method, path](answer)
        headers = {"Content-Type": answer.media_type, **answer.headers}
        return httpx.Response(answer.status, headers=headers, content=answer.body)

    def _answer(self, method: str, path: str, *, accept: str) -> Said:
        match method, path:
            case "GET", _ if path == METADATA and accept == "application/jwt" and self.identity is not None:
                return Said(200, self._signed(self.identity).encode(), "application/jwt")
            case "GET", _ if path == METADATA:
                return said(200, self.metadata)
            case "GET", _ if path == SERVER:
                return said(200, self.server)
            case "POST", "/t/city/nonce":
                self.nonces += 1
                return said(200, {"c_nonce": f"nonce-{self.nonces}"}, **NO_STORE)
            case "POST", "/t/city/credential":
                return Said(401, b"", headers={"WWW-Authenticate": 'DPoP algs="ES256"', **NO_STORE})
            case "POST", "/t/city/token":
                return said(400, {"error": "invalid_grant"}, **NO_STORE)
            case _, "/t/city/nonce":
                return said(405, {})
        return said(404, {})

    def _signed(self, identity: SigningIdentity) -> str:
        claims = {**self.metadata, "sub": ISSUER, "iat": int(time.time()), **self.signed_claims}
        chain = identity.chain if self.signed_chain is None else self.signed_chain
        return build_jws(
            json.dumps(claims).encode(),
            signer=identity.signer,
            typ=self.signed_typ,
            header={"x5c": x5c_header(chain)},
        )
