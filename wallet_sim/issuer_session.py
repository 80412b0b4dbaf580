"""A wallet at an issuer: what it knows of it, how it authenticates there (RFC 9449, attestation draft-07)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from specs.keys.signer import FileSigner, generate_signer
from specs.protocols.client_attestation import build_client_attestation_pop, parse_challenge_answer
from specs.protocols.dpop import build_dpop_proof
from specs.protocols.issuer_metadata import IssuerMetadata, parse_issuer_metadata, verify_signed_metadata
from specs.protocols.oauth import InvalidAnswer, parse_error
from specs.protocols.oauth_metadata import (
    AUTHORIZATION_SERVER,
    CREDENTIAL_ISSUER,
    AuthorizationServerMetadata,
    parse_authorization_server_metadata,
    well_known_url,
)
from specs.trust.x509 import TrustAnchor
from wallet_sim.provider import CLIENT_ID, WalletProvider
from wallet_sim.transport import Answer, Transport, WalletFailure

ATTESTED = "attest_jwt_client_auth"
SIGNED_METADATA = "application/jwt"


@dataclass
class IssuerSession:
    """What the wallet holds for one collection: fresh keys for DPoP and attestation, the servers' newest nonces."""

    transport: Transport
    provider: WalletProvider
    metadata: IssuerMetadata
    server: AuthorizationServerMetadata
    clock: Callable[[], float] = time.time
    instance_key: FileSigner = field(default_factory=generate_signer)
    dpop_key: FileSigner = field(default_factory=generate_signer)
    dpop_nonces: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return int(self.clock())

    @property
    def is_attested(self) -> bool:
        """Whether the server wants to know what wallet this is."""
        return ATTESTED in self.server.token_endpoint_auth_methods_supported

    @property
    def client_id(self) -> str | None:
        """How the server knows this wallet; None for anonymous access."""
        return CLIENT_ID if self.is_attested or not self.server.anonymous_access_supported else None

    def post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        """POST to the authorization server with client authentication and DPoP."""
        members = dict(form)
        if self.client_id is not None:
            members["client_id"] = self.client_id
        return self._with_dpop(
            url, None, lambda proof: self.transport.post_form(url, members, {**self._attestation(), "DPoP": proof})
        )

    def post_json(self, url: str, body: bytes, *, access_token: str) -> Answer:
        """POST to the credential issuer with an access token."""
        return self._with_dpop(
            url,
            access_token,
            lambda proof: self.transport.post_json(url, body, {"Authorization": f"DPoP {access_token}", "DPoP": proof}),
        )

    def _with_dpop(self, url: str, access_token: str | None, send: Callable[[str], Answer]) -> Answer:
        answer = self._sent(url, access_token, send)
        if not answer.is_good and "dpop-nonce" in answer.headers and "use_dpop_nonce" in _error_texts(answer):
            answer = self._sent(url, access_token, send)
        return answer

    def _sent(self, url: str, access_token: str | None, send: Callable[[str], Answer]) -> Answer:
        # each server has nonces of its own (RFC 9449 §8, §9): the one that holds this address
        server = "resource" if access_token is not None else "authorization"
        proof = build_dpop_proof(
            signer=self.dpop_key,
            method="POST",
            url=url,
            now=self.now,
            access_token=access_token,
            nonce=self.dpop_nonces.get(server),
        )
        answer = send(proof)
        if "dpop-nonce" in answer.headers:
            self.dpop_nonces[server] = answer.headers["dpop-nonce"]
        return answer

    def _attestation(self) -> dict[str, str]:
        if not self.is_attested:
            return {}
        challenge: str | None = None
        if self.server.challenge_endpoint is not None:
            answer = good(self.transport.post_empty(self.server.challenge_endpoint), "the attestation challenge")
            challenge = parse_challenge_answer(answer.body)
        return {
            "OAuth-Client-Attestation": self.provider.client_attestation(self.instance_key.public_key, now=self.now),
            "OAuth-Client-Attestation-PoP": build_client_attestation_pop(
                signer=self.instance_key,
                client_id=CLIENT_ID,
                audience=self.server.issuer,
                now=self.now,
                challenge=challenge,
            ),
        }


def load_issuer_metadata(
    transport: Transport, issuer: str, *, anchors: Sequence[TrustAnchor], now: int
) -> IssuerMetadata:
    """Fetch an issuer's metadata; signed ones count if their signer is trusted (OpenID4VCI §12.2). now: seconds.

    Raises:
        WalletFailure: there are none.
        InvalidAnswer, Refusal: they are not this issuer's, or not as they should be.
    """
    url = well_known_url(issuer, CREDENTIAL_ISSUER)
    accept = f"{SIGNED_METADATA}, application/json;q=0.9" if anchors else "application/json"
    answer = good(transport.get(url, accept=accept), "the issuer's metadata")
    if answer.media_type == SIGNED_METADATA:
        return verify_signed_metadata(
            answer.body.decode("ascii", "replace"),
            expected_issuer=issuer,
            anchors=anchors,
            now=now,
            allow_loopback_http=transport.allow_loopback_http,
        )
    return parse_issuer_metadata(answer.body, expected_issuer=issuer, allow_loopback_http=transport.allow_loopback_http)


def load_server_metadata(transport: Transport, server: str) -> AuthorizationServerMetadata:
    """Fetch an authorization server's metadata (RFC 8414 §3).

    Raises:
        WalletFailure: there are none.
        InvalidAnswer: they are not this server's, or not as they should be.
    """
    answer = good(transport.get(well_known_url(server, AUTHORIZATION_SERVER)), "the authorization server's metadata")
    return parse_authorization_server_metadata(
        answer.body, expected_issuer=server, allow_loopback_http=transport.allow_loopback_http
    )


def good(answer: Answer, what: str) -> Answer:
    """The answer, if it is one of success.

    Raises:
        WalletFailure: it is an error; the sentence holds the server's code.
    """
    if answer.is_good:
        return answer
    try:
        error = parse_error(answer.body, status=answer.status)
        code = f": {error.error} ({error.description})"
    except InvalidAnswer:
        code = ""
    raise WalletFailure(f"{what} was refused with status {answer.status}{code}")


def _error_texts(answer: Answer) -> str:
    return f"{answer.headers.get('www-authenticate', '')} {answer.body[:1000].decode('utf-8', 'replace')}"
