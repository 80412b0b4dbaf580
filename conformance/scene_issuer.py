"""The suite as an issuer and its server: gives a wallet a credential, by the book or with one thing wrong.

What the wallet sends is judged as it comes; `findings` says of each step what was wrong with it, or that nothing was.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from conformance.check import Failed
from conformance.exchange import JWT
from conformance.minted import MDOC, SD_JWT, Mint
from conformance.suite_server import Incoming, Reply, json_reply
from specs.credentials import mdoc
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.sd_jwt_issue import mark_disclosable
from specs.credentials.sd_jwt_vc import build_sd_jwt_vc, vc_issuer
from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import JoseError, jwk_from_public_key, parse_x5c
from specs.keys.jwe import decrypt, encrypt, new_decryption_key
from specs.keys.signer import SigningIdentity, generate_signer
from specs.protocols.client_attestation import ATTESTATION_HEADER, ATTESTATION_POP_HEADER, verify_client_attestation
from specs.protocols.dpop import verify_dpop_proof
from specs.protocols.issuer_metadata import build_signed_metadata
from specs.protocols.key_attestation import HolderKey, KeyAttestationRequirements
from specs.protocols.key_proof import Proofs, ProofTypeSupport, verify_proofs
from specs.protocols.oauth import PRE_AUTHORIZED_CODE, InvalidAnswer, OAuthError, code_challenge
from specs.protocols.openid4vci import parse_credential_request, parse_notification
from specs.refusal import Refusal
from specs.trust.anchors import AnchorKind, TrustAnchor

CONFIGURATION = "test-credential"
_STORAGE = ("iso_18045_high",)
_WRONG = (Refusal, OAuthError, InvalidAnswer, Malformed, JoseError, AssertionError)
Edit = Callable[[JsonObject], JsonObject]


def _same(document: JsonObject) -> JsonObject:
    return document


@dataclass
class IssuerScene:
    """One issuance. form: of the credential. The edits change one thing each: the issuer's metadata, the server's, the
    token answer, the credentials, the redirect after the login. wants_login: no code comes with the offer. is_assured:
    by HAIP, with client attestation, DPoP and pushed requests; else wallets are public clients with Bearer tokens.
    signs_metadata: who signs the issuer's metadata, if anybody. wants_attested_keys: by the wallet's provider.
    """

    mint: Mint
    url: str
    provider_anchors: tuple[TrustAnchor, ...] = ()
    is_assured: bool = True
    signs_metadata: SigningIdentity | None = None
    wants_attested_keys: bool = False
    form: str = SD_JWT
    tx_code: str | None = None
    wants_login: bool = False
    batch: int = 1
    is_encrypted: bool = False
    is_deferred: bool = False
    metadata_edit: Edit = _same
    server_edit: Edit = _same
    token_edit: Edit = _same
    credentials_edit: Callable[[list[str]], list[str]] = lambda credentials: credentials
    redirect_edit: Callable[[dict[str, str]], dict[str, str]] = lambda members: members
    binds_to_another: bool = False
    dpop_nonce: str | None = None
    challenge: str | None = None
    findings: dict[str, str] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    pushed: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    copies: int = 0
    _nonces: set[str] = field(default_factory=set)
    _keys: tuple[HolderKey, ...] = ()

    def __post_init__(self) -> None:
        self.code, self.token = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        self.key = new_decryption_key(secrets.token_hex(4))

    @property
    def offer(self) -> JsonObject:
        """What the wallet is offered."""
        grants: JsonObject = {"authorization_code": {"issuer_state": "the-suite's-state"}}
        if not self.wants_login:
            grant: JsonObject = {"pre-authorized_code": self.code}
            if self.tx_code is not None:
                grant["tx_code"] = {"input_mode": "numeric", "length": len(self.tx_code)}
            grants = {PRE_AUTHORIZED_CODE: grant}
        return {
            "credential_issuer": self.url,
            "credential_configuration_ids": [CONFIGURATION],
            "grants": grants,
        }

    @property
    def link(self) -> dict[str, str]:
        """What the wallet's endpoint for offers is called with."""
        return {"credential_offer": strict_json.dumps(self.offer).decode()}

    def answer(self, incoming: Incoming) -> Reply:
        """See `Scene`."""
        self.steps.append(incoming.step)
        match incoming.step:
            case "openid-credential-issuer":
                return self._published(incoming)
            case "oauth-authorization-server":
                return json_reply(self.server_edit(self._server()))
            case "challenge":
                self.challenge = secrets.token_urlsafe(16)
                return json_reply({"attestation_challenge": self.challenge})
            case "par":
                if self.is_assured:
                    self._judge("client attestation", lambda: self._attested(incoming))
                self._judge("pushed request", lambda: self._pushed_right(incoming.form))
                return json_reply({"request_uri": "urn:ietf:params:oauth:request_uri:a", "expires_in": 60}, 201)
            case "authorize":
                return self._authorized(incoming)
            case "token":
                return self._token_answer(incoming)
            case "nonce":
                self._nonces.add(nonce := secrets.token_urlsafe(16))
                return json_reply({"c_nonce": nonce})
            case "credential":
                return self._credential_answer(incoming)
            case "deferred":
                return self._sealed(incoming, self._issued(), 200)
            case "notification":
                self._judge("notification", lambda: self.events.append(parse_notification(incoming.body).event))
                return Reply(204)
        return Reply(404)

    def finding(self, step: str) -> str:
        """That nothing was wrong with a step.

        Raises:
            Failed: something was, or the wallet did not come so far.
        """
        if step not in self.findings:
            raise Failed(f"the wallet's {step}", f"nothing after {', '.join(self.steps) or 'the offer'}")
        if self.findings[step]:
            raise Failed(f"a right {step}", self.findings[step])
        return "right"

    def _judge(self, step: str, judged: Callable[[], object]) -> None:
        try:
            judged()
            self.findings.setdefault(step, "")
        except _WRONG as error:
            self.findings[step] = f"{type(error).__name__}: {error}"

    # what the suite publishes

    def _metadata(self) -> JsonObject:
        taken: JsonObject = {"proof_signing_alg_values_supported": ["ES256"]}
        if self.wants_attested_keys:
            taken["key_attestations_required"] = {"key_storage": [*_STORAGE]}
        proofs: JsonObject = {"jwt": taken}
        credential = self.mint.credential
        described: JsonObject = {
            "format": self.form,
            "scope": CONFIGURATION,
            "cryptographic_binding_methods_supported": ["jwk" if self.form == SD_JWT else "cose_key"],
            "proof_types_supported": proofs,
            **({"vct": credential.vct} if self.form == SD_JWT else {"doctype": credential.doctype}),
        }
        metadata: JsonObject = {
            "credential_issuer": self.url,
            "credential_endpoint": f"{self.url}/credential",
            "nonce_endpoint": f"{self.url}/nonce",
            "deferred_credential_endpoint": f"{self.url}/deferred",
            "notification_endpoint": f"{self.url}/notification",
            "credential_configurations_supported": {CONFIGURATION: described},
        }
        if self.batch > 1:
            metadata["batch_credential_issuance"] = {"batch_size": self.batch}
        if self.is_encrypted:
            supported: JsonObject = {"enc_values_supported": ["A128GCM", "A256GCM"], "encryption_required": True}
            keys: list[JsonValue] = [dict(self.key.public_jwk())]
            metadata["credential_request_encryption"] = {"jwks": {"keys": keys}, **supported}
            metadata["credential_response_encryption"] = {"alg_values_supported": ["ECDH-ES"], **supported}
        return metadata

    def _published(self, incoming: Incoming) -> Reply:
        metadata = self.metadata_edit(self._metadata())
        if self.signs_metadata is None or JWT not in incoming.headers.get("accept", ""):
            return json_reply(metadata)
        signed = build_signed_metadata(metadata, signer=self.signs_metadata, now=int(time.time()), lifetime=3600)
        return Reply(200, signed.encode(), JWT)

    def _server(self) -> JsonObject:
        described: JsonObject = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "pushed_authorization_request_endpoint": f"{self.url}/par",
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "grant_types_supported": ["authorization_code", PRE_AUTHORIZED_CODE],
            "response_types_supported": ["code"],
        }
        if not self.is_assured:
            return described
        return described | {
            "require_pushed_authorization_requests": True,
            "challenge_endpoint": f"{self.url}/challenge",
            "token_endpoint_auth_methods_supported": ["attest_jwt_client_auth"],
            "client_attestation_signing_alg_values_supported": ["ES256"],
            "client_attestation_pop_signing_alg_values_supported": ["ES256"],
            "dpop_signing_alg_values_supported": ["ES256"],
        }

    # what the wallet sends

    def _attested(self, incoming: Incoming) -> None:
        attestations = incoming.headers.get_list(ATTESTATION_HEADER)
        assert attestations, "there is no client attestation"
        verify_client_attestation(
            attestations,
            incoming.headers.get_list(ATTESTATION_POP_HEADER),
            anchors=self.provider_anchors or _pinned(attestations[0]),
            expected_audience=self.url,
            expected_client_id=incoming.form.get("client_id"),
            now=int(time.time()),
            check_challenge=lambda given: given == self.challenge,
            challenge_required=True,
        )

    def _dpop(self, incoming: Incoming, access_token: str | None = None) -> None:
        verify_dpop_proof(
            incoming.headers.get_list("DPoP"),
            expected_method="POST",
            expected_url=incoming.url,
            now=int(time.time()),
            access_token=access_token,
        )

    def _pushed_right(self, members: dict[str, str]) -> None:
        self.pushed = members
        assert self.pushed.get("response_type") == "code", "response_type is not code"
        assert self.pushed.get("code_challenge_method") == "S256", "PKCE is not by S256"
        assert len(self.pushed.get("code_challenge", "")) == 43, "code_challenge is none"
        assert len(self.pushed.get("state", "")) >= 16, "state is short or missing"
        assert self.pushed.get("issuer_state") == "the-suite's-state", "issuer_state of the offer is missing"
        assert self.pushed.get("scope") == CONFIGURATION, "scope is not the configuration's"

    def _authorized(self, incoming: Incoming) -> Reply:
        def judged() -> None:
            if not self.is_assured and "request_uri" not in incoming.query:
                self._pushed_right(incoming.query)
                return
            extra = sorted(incoming.query.keys() - {"client_id", "request_uri"})
            assert not extra, f"beside client_id and request_uri there is {', '.join(extra)}"

        self._judge("authorization request", judged)
        members = self.redirect_edit({"code": self.code, "state": self.pushed.get("state", ""), "iss": self.url})
        where = self.pushed.get("redirect_uri", "")
        return Reply(302, headers={"Location": f"{where}{'&' if '?' in where else '?'}{urlencode(members)}"})

    def _token_answer(self, incoming: Incoming) -> Reply:
        form = incoming.form
        if self.is_assured:
            self._judge("client attestation", lambda: self._attested(incoming))
            self._judge("DPoP proof", lambda: self._dpop(incoming))

        def judged() -> None:
            if self.wants_login:
                assert form.get("code") == self.code, "the code is another"
                assert form.get("redirect_uri") == self.pushed.get("redirect_uri"), "redirect_uri is another"
                verifier = form.get("code_verifier", "")
                assert code_challenge(verifier) == self.pushed.get("code_challenge"), "code_verifier does not fit"
            else:
                assert form.get("pre-authorized_code") == self.code, "the code is another"
                assert form.get("tx_code") == self.tx_code, "the transaction code is another"

        self._judge("token request", judged)
        kind = "DPoP" if self.is_assured else "Bearer"
        answer: JsonObject = {"access_token": self.token, "token_type": kind, "expires_in": 300}
        return json_reply(self.token_edit(answer))

    def _credential_answer(self, incoming: Incoming) -> Reply:
        self._judge("access token", lambda: self._borne(incoming))
        if self.is_assured:
            self._judge("DPoP proof", lambda: self._dpop(incoming, self.token))
        self._judge("key proof", lambda: self._proved(incoming))
        if self.is_deferred:
            return self._sealed(incoming, {"transaction_id": "later", "interval": 1}, 202)
        return self._sealed(incoming, self._issued(), 200)

    def _borne(self, incoming: Incoming) -> None:
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        wanted = "DPoP" if self.is_assured else "Bearer"
        assert scheme.lower() == wanted.lower(), f"the scheme is not {wanted}"
        assert token == self.token, "the token is another"
        assert "access_token" not in incoming.query, "the token is in the query"

    def _opened(self, incoming: Incoming) -> bytes:
        if not self.is_encrypted:
            assert incoming.media_type == "application/json", "the content type is not application/json"
            return incoming.body
        assert incoming.media_type == "application/jwt", "the request is not encrypted"
        return decrypt(incoming.body.decode(), keys={self.key.kid: self.key}, allowed_zip=("DEF",)).payload

    def _proved(self, incoming: Incoming) -> None:
        request = parse_credential_request(self._opened(incoming))
        named = {request.credential_configuration_id, request.credential_identifier} - {None}
        assert named == {CONFIGURATION}, "it does not ask for the offered configuration"
        verified = verify_proofs(
            request.proofs,
            expected_audience=self.url,
            expected_client_id=incoming.form.get("client_id") or _client_of(request),
            supported={"jwt": self._support(request.proofs)},
            check_nonce=lambda nonce: nonce in self._nonces,
            attestation_anchors=self.provider_anchors or _attesters(request.proofs),
            batch_size=self.batch,
            now=int(time.time()),
        )
        self._keys, self.copies = verified.keys, len(verified.keys)

    def _support(self, proofs: Proofs | None) -> ProofTypeSupport:
        if not self.wants_attested_keys:
            return ProofTypeSupport(("ES256",))
        assert _attestation_of(proofs) is not None, "there is no key attestation"
        return ProofTypeSupport(("ES256",), KeyAttestationRequirements(key_storage=_STORAGE))

    def _issued(self) -> JsonObject:
        jwks: list[Mapping[str, JsonValue]] = [key.jwk for key in self._keys]
        keys = [key.key for key in self._keys]
        if self.binds_to_another:
            other = generate_signer()
            jwks, keys = [dict(jwk_from_public_key(other.public_key)) for _ in jwks], [other.public_key for _ in keys]
        hour = int(time.time()) // 3600 * 3600
        credential, member = self.mint.credential, self.mint.issuer or self.mint.identity.issuer
        made: list[str] = []
        for jwk, key in zip(jwks, keys, strict=True):
            if self.form == MDOC:
                issued = build_issuer_signed(
                    mdoc_identity(member.document or member.identity),
                    doc_type=credential.doctype,
                    claims=credential.elements,
                    device_key=key,
                    validity=mdoc.Validity(hour, hour, hour + 14 * 86400),
                )
                made.append(base64url.encode(issued))
            else:
                claims = mark_disclosable(credential.claims, paths=[(name,) for name in credential.claims])  # type: ignore[arg-type]
                made.append(
                    build_sd_jwt_vc(
                        claims,
                        issuer=vc_issuer(member.identity),
                        vct=credential.vct,
                        holder_jwk=jwk,
                        not_before=hour,
                        expires_at=hour + 14 * 86400,
                    )
                )
        entries: list[JsonValue] = [{"credential": each} for each in self.credentials_edit(made)]
        return {"credentials": entries, "notification_id": "the-suite's-notification"}

    def _sealed(self, incoming: Incoming, body: JsonObject, status: int) -> Reply:
        if not self.is_encrypted:
            return json_reply(body, status)
        try:
            wanted = strict_json.parse_object(self._opened(incoming)).get("credential_response_encryption")
            assert isinstance(wanted, dict), "credential_response_encryption is missing"
            jwk, enc = wanted.get("jwk"), wanted.get("enc")
            assert isinstance(jwk, dict), "credential_response_encryption has no jwk"
            token = encrypt(strict_json.dumps(body), jwk=jwk, enc=str(enc))
        except _WRONG as error:
            self.findings["encryption"] = f"{type(error).__name__}: {error}"
            return json_reply({"error": "invalid_encryption_parameters"}, 400)
        self.findings.setdefault("encryption", "")
        return Reply(status, token.encode(), "application/jwt")


def _client_of(request: object) -> str | None:
    """The client that a proof names: a credential request does not say who sends it."""
    proofs = getattr(request, "proofs", None)
    if proofs is None or not proofs.proofs:
        return None
    claims = strict_json.parse_object(base64url.decode(proofs.proofs[0].split(".")[1]))
    return str(claims["iss"]) if "iss" in claims else None


def _attestation_of(proofs: Proofs | None) -> str | None:
    """The key attestation in the first proof's header."""
    if proofs is None or not proofs.proofs:
        return None
    header = strict_json.parse_object(base64url.decode(proofs.proofs[0].partition(".")[0]))
    return str(header["key_attestation"]) if "key_attestation" in header else None


def _attesters(proofs: Proofs | None) -> tuple[TrustAnchor, ...]:
    attestation = _attestation_of(proofs)
    return _pinned(attestation) if attestation is not None else ()


def _pinned(attestation: str) -> tuple[TrustAnchor, ...]:
    header = strict_json.parse_object(base64url.decode(attestation.partition(".")[0]))
    chain = parse_x5c(header)
    return (TrustAnchor(AnchorKind.PINNED_TEST, chain[0], "wallet provider"),)
