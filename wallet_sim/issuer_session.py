"""One wallet's dealings with one issuer: what it knows of it, and how it proves there who it is.

DPoP (RFC 9449) and attestation-based client authentication (draft 07). Keys are fresh for each collection, so that two
issuers who compare notes don't recognise the wallet (HAIP 1.0 §4.4.1).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from specs.keys.jose import PrivateKey
from specs.keys.signer import FileSigner, generate_private_key
from specs.protocols.client_assertion import build_client_assertion, client_assertion_members
from specs.protocols.client_attestation import (
    ATTEST_JWT_CLIENT_AUTH,
    ATTESTATION_CHALLENGE_HEADER,
    ATTESTATION_HEADER,
    ATTESTATION_POP_HEADER,
    USE_ATTESTATION_CHALLENGE,
    build_client_attestation_pop,
    parse_challenge_answer,
)
from specs.protocols.dpop import DPOP_HEADER, DPOP_NONCE_HEADER, USE_DPOP_NONCE, build_dpop_proof
from specs.protocols.issuer_metadata import IssuerMetadata, parse_issuer_metadata, verify_signed_metadata
from specs.protocols.oauth import (
    RefreshTokenGrant,
    TokenAnswer,
    TokenRequest,
    build_token_request,
    parse_token_answer,
)
from specs.protocols.oauth_metadata import (
    AUTHORIZATION_SERVER,
    CREDENTIAL_ISSUER,
    AuthorizationServerMetadata,
    parse_authorization_server_metadata,
    well_known_url,
)
from specs.protocols.openid4vci import parse_nonce_answer
from specs.trust.x509 import TrustAnchor
from wallet_sim.conduct import ATTESTATION_POP, CLIENT_ATTESTATION, DPOP, Endpoint
from wallet_sim.provider import CLIENT_ID, WalletProvider
from wallet_sim.transport import Answer, Transport, WalletFailure, error_of

SIGNED_METADATA = "application/jwt"
_MAX_TRIES = 3
_AUTHORIZATION, _RESOURCE = "authorization", "resource"


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """How an issuer knows this wallet if nobody attests it: a name and the key that was registered with it."""

    client_id: str
    signer: FileSigner


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What a wallet proves itself with to one issuer: what its attestation names, and what tokens are bound to."""

    instance: PrivateKey = field(default_factory=generate_private_key)
    dpop: PrivateKey = field(default_factory=generate_private_key)


@dataclass
class IssuerSession:
    """What the wallet holds for one collection: keys for DPoP and attestation, the newest nonces of the servers.

    is_anonymous: no `client_id` is sent (OpenID4VCI §6.1). registered: the wallet signs for itself (RFC 7523) instead
    of being attested. dpop_nonces: by role, as authorization and resource server
    have nonces of their own even where they are one host (RFC 9449 §8, §9).
    """

    transport: Transport
    provider: WalletProvider
    metadata: IssuerMetadata
    server: AuthorizationServerMetadata
    is_anonymous: bool = False
    registered: RegisteredKey | None = None
    clock: Callable[[], float] = time.time
    keys: SessionKeys = field(default_factory=SessionKeys)
    dpop_nonces: dict[str, str] = field(default_factory=dict)
    challenge: str | None = None
    instance_key: FileSigner = field(init=False)
    dpop_key: FileSigner = field(init=False)

    def __post_init__(self) -> None:
        self.instance_key, self.dpop_key = FileSigner(self.keys.instance), FileSigner(self.keys.dpop)

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return int(self.clock())

    @property
    def is_attested(self) -> bool:
        """Whether the server wants to know what wallet this is."""
        return self.registered is None and ATTEST_JWT_CLIENT_AUTH in self.server.token_endpoint_auth_methods_supported

    @property
    def is_bound(self) -> bool:
        """Whether the server binds tokens to the wallet's key."""
        return self.dpop_key.alg in self.server.dpop_signing_alg_values_supported

    @property
    def client_id(self) -> str | None:
        """How the server knows this wallet; None for anonymous access."""
        if self.registered is not None:
            return self.registered.client_id
        return None if self.is_anonymous else CLIENT_ID

    def post_form(self, url: str, form: Mapping[str, str], *, to: Endpoint) -> Answer:
        """POST to the authorization server with client authentication and DPoP."""
        members = dict(form)
        if self.client_id is not None:
            members["client_id"] = self.client_id

        def send() -> Answer:
            headers = {**self._attestation(to), **self._dpop(url, _AUTHORIZATION, to=to)}
            answer = self.transport.post_form(url, members | self._assertion(), headers, to=to)
            return self._noted(answer, _AUTHORIZATION)

        return self._retried(send)

    def request_token(self, form: Mapping[str, str]) -> TokenAnswer:
        """Ask for an access token (OpenID4VCI §6).

        Raises:
            WalletFailure: there is no token endpoint, it refuses, or it gives a token of a kind that was not asked for.
            InvalidAnswer: the answer is not of the form of one.
        """
        if self.server.token_endpoint is None:
            raise WalletFailure("the authorization server has no token endpoint")
        answer = self.post_form(self.server.token_endpoint, form, to=Endpoint.TOKEN)
        token = parse_token_answer(good(answer, "the token").body)
        if token.token_type.lower() != ("dpop" if self.is_bound else "bearer"):
            raise WalletFailure(f"the server gave a token of the type {token.token_type}, which was not agreed")
        return token

    def refresh(self, refresh_token: str) -> TokenAnswer:
        """A new access token, with the keys of this session (RFC 6749 §6, draft-07 §10.3).

        Raises:
            WalletFailure: the token can't be renewed, or as `request_token`.
        """
        renewed = self.request_token(build_token_request(TokenRequest(RefreshTokenGrant(refresh_token))))
        return replace(renewed, refresh_token=renewed.refresh_token or refresh_token)

    def post_message(self, url: str, body: bytes, content_type: str, *, token: TokenAnswer, to: Endpoint) -> Answer:
        """POST a message to the credential issuer with an access token."""

        def send() -> Answer:
            scheme = "DPoP" if self.is_bound else "Bearer"
            headers = {
                "Authorization": f"{scheme} {token.access_token}",
                **self._dpop(url, _RESOURCE, to=to, access_token=token.access_token),
            }
            return self._noted(self.transport.post(url, body, content_type, headers, to=to), _RESOURCE)

        return self._retried(send)

    def fresh_nonce(self) -> str | None:
        """A `c_nonce`, where the issuer has an endpoint for them (OpenID4VCI §7)."""
        if self.metadata.nonce_endpoint is None:
            return None
        answer = self._noted(self.transport.post_empty(self.metadata.nonce_endpoint, to=Endpoint.NONCE), _RESOURCE)
        return parse_nonce_answer(good(answer, "the nonce").body)

    def _assertion(self) -> dict[str, str]:
        """The members that prove who this wallet is, fresh for each request, where it signs for itself."""
        if self.registered is None:
            return {}
        assertion = build_client_assertion(
            signer=self.registered.signer,
            client_id=self.registered.client_id,
            audience=self.server.issuer,
            now=self.now,
        )
        return client_assertion_members(assertion)

    def _retried(self, send: Callable[[], Answer]) -> Answer:
        """Again with the server's newest nonce or challenge, if that is all it wants (RFC 9449 §8; draft-07 §8.1)."""
        answer = send()
        for _ in range(_MAX_TRIES - 1):
            wanted = error_code(answer)
            if wanted not in (USE_DPOP_NONCE, USE_ATTESTATION_CHALLENGE):
                break
            answer = send()
        return answer

    def _noted(self, answer: Answer, role: str) -> Answer:
        if DPOP_NONCE_HEADER in answer.headers:
            self.dpop_nonces[role] = answer.headers[DPOP_NONCE_HEADER]
        if ATTESTATION_CHALLENGE_HEADER in answer.headers:
            self.challenge = answer.headers[ATTESTATION_CHALLENGE_HEADER]
        return answer

    def _dpop(self, url: str, role: str, *, to: Endpoint, access_token: str | None = None) -> dict[str, str]:
        if not self.is_bound:
            return {}
        proof = build_dpop_proof(
            signer=self.dpop_key,
            method="POST",
            url=url,
            now=self.now,
            access_token=access_token,
            nonce=self.dpop_nonces.get(role),
        )
        return {DPOP_HEADER: self.transport.conduct.signed(DPOP, proof, self.dpop_key, to=to)}

    def _attestation(self, to: Endpoint) -> dict[str, str]:
        if not self.is_attested or self.is_anonymous:
            return {}
        pop = build_client_attestation_pop(
            signer=self.instance_key,
            client_id=CLIENT_ID,
            audience=self.server.issuer,
            now=self.now,
            challenge=self._fresh_challenge(),
        )
        attestation = self.provider.client_attestation(self.instance_key.public_key, now=self.now)
        conduct = self.transport.conduct
        return {
            ATTESTATION_HEADER: conduct.signed(CLIENT_ATTESTATION, attestation, self.provider.signer, to=to),
            ATTESTATION_POP_HEADER: conduct.signed(ATTESTATION_POP, pop, self.instance_key, to=to),
        }

    def _fresh_challenge(self) -> str | None:
        """The one that came with the last answer, else a fetched one; each is used once (draft-07 §8)."""
        challenge, self.challenge = self.challenge, None
        if challenge is None and self.server.challenge_endpoint is not None:
            answer = good(self.transport.post_empty(self.server.challenge_endpoint), "the attestation challenge")
            challenge = parse_challenge_answer(answer.body)
        return challenge


def load_issuer_metadata(
    transport: Transport, issuer: str, *, anchors: Sequence[TrustAnchor], now: int, signed_only: bool = False
) -> IssuerMetadata:
    """Fetch an issuer's metadata (OpenID4VCI §12.2). now: seconds.

    anchors: of access certificates; where there are any, signed metadata are asked for and must be by one of them.
    signed_only: others are refused.

    Raises:
        WalletFailure: there are none.
        InvalidAnswer, Refusal: they are not this issuer's, or not as they should be.
    """
    accept = f"{SIGNED_METADATA}, application/json;q=0.9" if anchors else "application/json"
    answer = good(transport.get(well_known_url(issuer, CREDENTIAL_ISSUER), accept=accept), "the issuer's metadata")
    if answer.media_type == SIGNED_METADATA:
        return verify_signed_metadata(
            answer.body.decode("ascii", "replace"),
            expected_issuer=issuer,
            anchors=anchors,
            now=now,
            allow_loopback_http=transport.allow_loopback_http,
        )
    if signed_only:
        raise WalletFailure("the issuer's metadata are not signed: nobody vouches for who issues")
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
    code, description = error_of(answer)
    said = f": {code}" if code else ""
    raise WalletFailure(
        f"{what} was refused with status {answer.status}{said}{f' ({description})' if description else ''}"
    )


def error_code(answer: Answer) -> str | None:
    """The `error` of an answer that is one: in its body, or in `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §9)."""
    return error_of(answer)[0]
