"""An issuer that is not ours and takes each liberty that the standards leave: nonces, challenges, delays, envelopes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx
import respx

from specs.credentials import sd_jwt_vc
from specs.credentials.sd_jwt_issue import mark_disclosable
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import jwk_from_public_key
from specs.keys.jwe import decrypt, encrypt, new_decryption_key
from specs.keys.signer import generate_signer
from specs.protocols.client_attestation import verify_client_attestation
from specs.protocols.dpop import verify_dpop_proof
from specs.protocols.key_attestation import HolderKey, KeyAttestationRequirements, holder_key
from specs.protocols.key_proof import ProofTypeSupport, verify_proofs
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from specs.protocols.openid4vci import (
    ResponseEncryption,
    parse_credential_request,
    parse_deferred_request,
    parse_notification,
)
from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem
from tests.verifier.world import CLAIMS, DAY, DISCLOSABLE, HOUR, VCT, World
from wallet_sim.provider import CLIENT_ID

ISSUER = "https://issuer.example"
SERVER = "https://login.example"
CONFIGURATION = "pid"
OFFER: JsonObject = {
    "credential_issuer": ISSUER,
    "credential_configuration_ids": [CONFIGURATION],
    "grants": {PRE_AUTHORIZED_CODE: {"pre-authorized_code": "a-code"}},
    "unknown": True,
}
DPOP_NONCES = {SERVER: "server-nonce", ISSUER: "issuer-nonce"}
PROOF_TYPES: Mapping[str, ProofTypeSupport] = {
    "jwt": ProofTypeSupport(("ES256",)),
    "attestation": ProofTypeSupport(("ES256",), KeyAttestationRequirements(("iso_18045_high",))),
    "attested": ProofTypeSupport(("ES256",), KeyAttestationRequirements(("iso_18045_basic",))),
}


@dataclass
class ForeignIssuer:
    """What it demands, and what it saw.

    proof: `jwt`, `attestation`, or `attested` (jwt with a key attestation). binds_to: whose key credentials get
    instead of the wallet's. seen: events in order.
    """

    provider_anchor: bytes
    proof: str = "jwt"
    is_encrypted: bool = False
    is_deferred: bool = False
    token_type: str = "DPoP"
    vct: str = VCT
    binds_to_another: bool = False
    world: World = field(default_factory=lambda: World(now=int(time.time())))
    seen: list[str] = field(default_factory=list)
    _keys: tuple[HolderKey, ...] = ()
    _nonces: int = 0

    def __post_init__(self) -> None:
        self.decryption_key = new_decryption_key("request-key")

    @property
    def anchors(self) -> tuple[TrustAnchor, ...]:
        """Of the credentials it signs."""
        return (TrustAnchor(AnchorKind.CA, self.world.authority.certificate, "PID Root"),)

    def mount(self, router: respx.MockRouter) -> None:
        """Answer at its addresses."""
        router.get(f"{ISSUER}/.well-known/openid-credential-issuer").mock(side_effect=self._metadata)
        router.get(f"{SERVER}/.well-known/oauth-authorization-server").mock(side_effect=self._server_metadata)
        router.post(f"{SERVER}/token").mock(side_effect=self._token)
        router.post(f"{ISSUER}/nonce").mock(side_effect=self._nonce)
        router.post(f"{ISSUER}/credential").mock(side_effect=self._credential)
        router.post(f"{ISSUER}/deferred").mock(side_effect=self._deferred)
        router.post(f"{ISSUER}/notification").mock(side_effect=self._notification)

    def _metadata(self, _request: httpx.Request) -> httpx.Response:
        kind = "jwt" if self.proof == "attested" else self.proof
        proof_type: JsonObject = {"proof_signing_alg_values_supported": ["ES256"]}
        if self.proof != "jwt":
            proof_type["key_attestations_required"] = {"key_storage": ["iso_18045_high"]}
        document: JsonObject = {
            "credential_issuer": ISSUER,
            "authorization_servers": [SERVER],
            "credential_endpoint": f"{ISSUER}/credential",
            "nonce_endpoint": f"{ISSUER}/nonce",
            "deferred_credential_endpoint": f"{ISSUER}/deferred",
            "notification_endpoint": f"{ISSUER}/notification",
            "batch_credential_issuance": {"batch_size": 3},
            "credential_configurations_supported": {
                CONFIGURATION: {
                    "format": "dc+sd-jwt",
                    "vct": VCT,
                    "cryptographic_binding_methods_supported": ["jwk"],
                    "proof_types_supported": {kind: proof_type},
                }
            },
        }
        if self.is_encrypted:
            supported: JsonObject = {"enc_values_supported": ["A128GCM", "A256GCM"], "encryption_required": True}
            keys = [dict(self.decryption_key.public_jwk())]
            document["credential_request_encryption"] = {"jwks": {"keys": keys}, **supported}  # type: ignore[dict-item]
            document["credential_response_encryption"] = {"alg_values_supported": ["ECDH-ES"], **supported}
        return httpx.Response(200, json=document)

    def _server_metadata(self, _request: httpx.Request) -> httpx.Response:
        document = {
            "issuer": SERVER,
            "token_endpoint": f"{SERVER}/token",
            "token_endpoint_auth_methods_supported": ["attest_jwt_client_auth"],
            "dpop_signing_alg_values_supported": ["ES256"],
        }
        return httpx.Response(200, json=document)

    def _token(self, request: httpx.Request) -> httpx.Response:
        """Demands a challenge in a header of its own, then a DPoP nonce."""
        form = parse_qs(request.content.decode())
        anchors = anchors_from_pem(self.provider_anchor, kind=AnchorKind.CA, name="provider")
        challenges: list[str] = []

        def note(challenge: str) -> bool:
            challenges.append(challenge)
            return True

        verify_client_attestation(
            request.headers.get_list("OAuth-Client-Attestation"),
            request.headers.get_list("OAuth-Client-Attestation-PoP"),
            anchors=anchors,
            expected_audience=SERVER,
            expected_client_id=form["client_id"][0],
            now=int(time.time()),
            check_challenge=note,
        )
        self.seen.append(f"challenge {challenges}")
        headers = {"OAuth-Client-Attestation-Challenge": f"challenge-{len(self.seen)}"}
        if not challenges:
            return httpx.Response(400, json={"error": "use_attestation_challenge"}, headers=headers)
        if self._dpop_nonce(request, SERVER, None) is None:
            headers["DPoP-Nonce"] = DPOP_NONCES[SERVER]
            return httpx.Response(400, json={"error": "use_dpop_nonce"}, headers=headers)
        details = [
            {
                "type": "openid_credential",
                "credential_configuration_id": CONFIGURATION,
                "credential_identifiers": ["pid-of-mila"],
            }
        ]
        token = {"access_token": "token", "token_type": self.token_type, "authorization_details": details}
        return httpx.Response(200, json=token)

    def _nonce(self, request: httpx.Request) -> httpx.Response:
        self._nonces += 1
        return httpx.Response(200, json={"c_nonce": f"c-{self._nonces}"})

    def _credential(self, request: httpx.Request) -> httpx.Response:
        if (refusal := self._wants_nonce(request)) is not None:
            return refusal
        parsed = parse_credential_request(self._opened(request))
        assert parsed.credential_identifier == "pid-of-mila"
        kind = "jwt" if self.proof == "attested" else self.proof
        verified = verify_proofs(
            parsed.proofs,
            expected_audience=ISSUER,
            expected_client_id=CLIENT_ID,
            supported={kind: PROOF_TYPES[self.proof]},
            check_nonce=lambda nonce: nonce.startswith("c-"),
            attestation_anchors=anchors_from_pem(self.provider_anchor, kind=AnchorKind.CA, name="provider"),
            batch_size=3,
            now=int(time.time()),
        )
        if "c-1" in verified.nonces:  # ended meanwhile, says this issuer
            return httpx.Response(400, json={"error": "invalid_nonce"})
        self._keys = verified.keys
        self.seen.append(f"{len(verified.keys)} keys")
        if self.is_deferred:
            return self._sealed(parsed.response_encryption, {"transaction_id": "t", "interval": 7}, status=202)
        return self._sealed(parsed.response_encryption, self._issued())

    def _deferred(self, request: httpx.Request) -> httpx.Response:
        parsed = parse_deferred_request(self._opened(request))
        assert parsed.transaction_id == "t"
        self.seen.append("deferred")
        if self.seen.count("deferred") < 2:
            return self._sealed(parsed.response_encryption, {"transaction_id": "t", "interval": 9}, status=202)
        return self._sealed(parsed.response_encryption, self._issued())

    def _notification(self, request: httpx.Request) -> httpx.Response:
        told = parse_notification(request.content)
        assert told.notification_id == "n-1"
        self.seen.append(told.event)
        return httpx.Response(204)

    def _issued(self) -> JsonObject:
        keys = self._keys
        if self.binds_to_another:
            keys = (holder_key(dict(jwk_from_public_key(generate_signer().public_key))), *keys[1:])
        now = self.world.now
        credentials = [
            sd_jwt_vc.build_sd_jwt_vc(
                mark_disclosable(dict(CLAIMS), paths=DISCLOSABLE),  # type: ignore[arg-type]  # JSON values
                issuer=sd_jwt_vc.vc_issuer(self.world.sd_jwt_identity),
                vct=self.vct,
                holder_jwk=key.jwk,
                not_before=now - HOUR,
                expires_at=now + DAY,
            )
            for key in keys
        ]
        return {"credentials": [{"credential": each} for each in credentials], "notification_id": "n-1"}

    def _dpop_nonce(self, request: httpx.Request, server: str, access_token: str | None) -> str | None:
        proof = verify_dpop_proof(
            request.headers.get_list("DPoP"),
            expected_method="POST",
            expected_url=str(request.url),
            now=int(time.time()),
            access_token=access_token,
            check_nonce=lambda nonce: nonce == DPOP_NONCES[server],
        )
        return proof.nonce

    def _wants_nonce(self, request: httpx.Request) -> httpx.Response | None:
        assert request.headers["authorization"] == "DPoP token"
        if self._dpop_nonce(request, ISSUER, "token") is not None:
            return None
        headers = {"WWW-Authenticate": 'DPoP error="use_dpop_nonce", algs="ES256"', "DPoP-Nonce": DPOP_NONCES[ISSUER]}
        return httpx.Response(401, headers=headers)

    def _opened(self, request: httpx.Request) -> bytes:
        if not self.is_encrypted:
            assert request.headers["content-type"] == "application/json"
            return request.content
        assert request.headers["content-type"] == "application/jwt"
        return decrypt(request.content.decode(), keys={"request-key": self.decryption_key}).payload

    def _sealed(self, wanted: ResponseEncryption | None, body: JsonObject, *, status: int = 200) -> httpx.Response:
        if wanted is None:
            assert not self.is_encrypted
            return httpx.Response(status, json=body)
        token = encrypt(strict_json.dumps(body), jwk=wanted.jwk, enc=wanted.enc)
        return httpx.Response(status, content=token, headers={"Content-Type": "application/jwt"})
