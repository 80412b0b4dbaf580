"""Collecting: from the link of an offer to credentials in the wallet's file (OpenID4VCI 1.0, HAIP 1.0 §4)."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from specs.encoding import base64url, strict_json
from specs.keys.jose import PrivateKey
from specs.keys.signer import FileSigner, generate_private_key
from specs.protocols.credential_offer import (
    CredentialOffer,
    OfferReference,
    chosen_authorization_server,
    parse_credential_offer,
    parse_offer_link,
)
from specs.protocols.issuer_metadata import CredentialConfiguration
from specs.protocols.key_proof import Proofs, build_key_proof
from specs.protocols.oauth import (
    AuthorizationCodeGrant,
    AuthorizationRequest,
    Grant,
    PreAuthorizedCodeGrant,
    TokenAnswer,
    TokenRequest,
    build_pushed_request,
    build_token_request,
    code_challenge,
    new_code_verifier,
    parse_authorization_answer,
    parse_pushed_answer,
    parse_token_answer,
)
from specs.protocols.openid4vci import (
    CredentialRequest,
    DeferredCredentials,
    DeferredRequest,
    IssuedCredentials,
    Notification,
    NotificationEvent,
    build_credential_request,
    build_deferred_request,
    build_notification,
    parse_credential_answer,
    parse_granted_details,
    parse_nonce_answer,
)
from specs.trust.x509 import TrustAnchor
from wallet_sim.issuer_session import IssuerSession, good, load_issuer_metadata, load_server_metadata
from wallet_sim.provider import WalletProvider
from wallet_sim.received import check_received
from wallet_sim.store import StoredCredential, WalletStore
from wallet_sim.transport import Transport, WalletFailure

REDIRECT_URI = "https://wallet.example/callback"
MAX_POLLS = 30


@dataclass(frozen=True, slots=True)
class OfferShown:
    """What the holder is asked: who offers what. needs_tx_code: a code that came another way must be typed in."""

    issuer: str
    credentials: tuple[str, ...]
    needs_tx_code: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """What only a person can do. Each is asked when it is needed.

    accept: take what is offered? tx_code: the transaction code. authorize: open an address in a browser, log in,
    consent, and give the address that the browser was sent to in the end.
    """

    accept: Callable[[OfferShown], bool] = lambda _offer: False
    tx_code: Callable[[], str] | None = None
    authorize: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects for one wallet. copies: how many of each credential, as far as the issuer gives several."""

    store: WalletStore
    provider: WalletProvider
    transport: Transport
    anchors: Sequence[TrustAnchor] = ()
    metadata_anchors: Sequence[TrustAnchor] = ()
    copies: int = 1
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def collect(self, link: str, *, holder: Holder) -> tuple[StoredCredential, ...]:
        """Collect all that an offer holds.

        Raises:
            WalletFailure: the holder declines, or the issuer refuses or sends what it should not.
            InvalidAnswer, OAuthError, Refusal: the issuer breaks a rule; the message names it.
        """
        offer = self._resolve(link)
        session = self._session(offer)
        configurations = {name: self._configuration(session, name) for name in offer.configuration_ids}
        code = offer.pre_authorized_code
        needs_tx_code = code is not None and code.tx_code is not None
        if not holder.accept(OfferShown(offer.credential_issuer, tuple(configurations), needs_tx_code)):
            raise WalletFailure("nothing was collected: you declined")
        token = self._token(session, offer, holder)
        return tuple(
            stored
            for name, configuration in configurations.items()
            for stored in self._request(session, token, name, configuration)
        )

    def _resolve(self, link: str) -> CredentialOffer:
        allowed = self.transport.allow_loopback_http
        offered = parse_offer_link(link, allow_loopback_http=allowed)
        if isinstance(offered, OfferReference):
            answer = good(self.transport.get(offered.url), "the offer")
            return parse_credential_offer(answer.body, allow_loopback_http=allowed)
        return offered

    def _session(self, offer: CredentialOffer) -> IssuerSession:
        now = int(self.clock())
        metadata = load_issuer_metadata(self.transport, offer.credential_issuer, anchors=self.metadata_anchors, now=now)
        server = chosen_authorization_server(
            offer.pre_authorized_code or offer.authorization_code,
            credential_issuer=metadata.credential_issuer,
            authorization_servers=metadata.authorization_servers,
        )
        return IssuerSession(
            self.transport, self.provider, metadata, load_server_metadata(self.transport, server), clock=self.clock
        )

    def _configuration(self, session: IssuerSession, name: str) -> CredentialConfiguration:
        configuration = session.metadata.configurations.get(name)
        if configuration is None:
            raise WalletFailure(f"the issuer offers {name}, which its metadata does not know")
        return configuration

    # the token

    def _token(self, session: IssuerSession, offer: CredentialOffer, holder: Holder) -> TokenAnswer:
        endpoint = session.server.token_endpoint
        if endpoint is None:
            raise WalletFailure("the authorization server has no token endpoint")
        grant: Grant
        if offer.pre_authorized_code is not None:
            tx_code: str | None = None
            if offer.pre_authorized_code.tx_code is not None:
                if holder.tx_code is None:
                    raise WalletFailure("this offer needs the transaction code that came another way")
                tx_code = holder.tx_code()
            grant = PreAuthorizedCodeGrant(offer.pre_authorized_code.code, tx_code)
        else:
            grant = self._authorization_code(session, offer, holder)
        form = build_token_request(TokenRequest(grant))
        return parse_token_answer(good(session.post_form(endpoint, form), "the token").body)

    def _authorization_code(
        self, session: IssuerSession, offer: CredentialOffer, holder: Holder
    ) -> AuthorizationCodeGrant:
        server = session.server
        if server.pushed_authorization_request_endpoint is None or server.authorization_endpoint is None:
            raise WalletFailure("the authorization server has no pushed authorization requests")
        if holder.authorize is None or session.client_id is None:
            raise WalletFailure("this offer needs a login in the browser")
        verifier, state = new_code_verifier(), base64url.encode(secrets.token_bytes(16))
        scopes = [self._configuration(session, name).scope for name in offer.configuration_ids]
        pushed = build_pushed_request(
            AuthorizationRequest(
                client_id=session.client_id,
                redirect_uri=REDIRECT_URI,
                code_challenge=code_challenge(verifier),
                scope=tuple(scope for scope in scopes if scope is not None),
                state=state,
                issuer_state=offer.authorization_code.issuer_state if offer.authorization_code else None,
            )
        )
        answer = good(session.post_form(server.pushed_authorization_request_endpoint, pushed), "the login request")
        request_uri = parse_pushed_answer(answer.body).request_uri
        query = urlencode({"client_id": session.client_id, "request_uri": request_uri})
        separator = "&" if "?" in server.authorization_endpoint else "?"
        arrived = holder.authorize(f"{server.authorization_endpoint}{separator}{query}")
        code = parse_authorization_answer(
            arrived, expected_redirect_uri=REDIRECT_URI, expected_iss=server.issuer, expected_state=state
        )
        return AuthorizationCodeGrant(code, REDIRECT_URI, verifier)

    # the credentials

    def _request(
        self, session: IssuerSession, token: TokenAnswer, name: str, configuration: CredentialConfiguration
    ) -> tuple[StoredCredential, ...]:
        keys = [generate_private_key() for _ in range(max(1, min(self.copies, session.metadata.batch_size)))]
        identifiers = [
            identifier
            for detail in parse_granted_details(token.authorization_details)
            if detail.credential_configuration_id == name
            for identifier in detail.credential_identifiers
        ]
        request = CredentialRequest(
            credential_identifier=identifiers[0] if identifiers else None,
            credential_configuration_id=None if identifiers else name,
            proofs=self._proofs(session, configuration, keys),
            response_encryption=None,
        )
        body = strict_json.dumps(build_credential_request(request))
        sent = session.post_json(session.metadata.credential_endpoint, body, access_token=token.access_token)
        issued = self._issued(session, token, parse_credential_answer(good(sent, f"the credential {name}").body))
        stored = self._checked(issued, name, configuration, keys)
        for credential in stored:
            self.store.add(credential)
        self._notify(session, token, issued)
        return stored

    def _proofs(
        self, session: IssuerSession, configuration: CredentialConfiguration, keys: Sequence[PrivateKey]
    ) -> Proofs | None:
        if not configuration.proof_types:
            return None
        support = configuration.proof_types.get("jwt")
        if support is None:
            raise WalletFailure("the issuer wants a kind of key proof that this wallet does not make")
        nonce: str | None = None
        if session.metadata.nonce_endpoint is not None:
            nonce = parse_nonce_answer(
                good(self.transport.post_empty(session.metadata.nonce_endpoint), "the nonce").body
            )
        signers = [FileSigner(key) for key in keys]
        attestation = (
            self.provider.key_attestation([signer.public_key for signer in signers], nonce=nonce, now=session.now)
            if support.key_attestations is not None
            else None
        )
        return Proofs(
            "jwt",
            tuple(
                build_key_proof(
                    signer=signer,
                    audience=session.metadata.credential_issuer,
                    now=session.now,
                    nonce=nonce,
                    client_id=session.client_id,
                    key_attestation=attestation,
                )
                # an attestation of all keys needs the proof of one of them only (OpenID4VCI App. F.1)
                for signer in (signers[:1] if attestation is not None else signers)
            ),
        )

    def _issued(
        self, session: IssuerSession, token: TokenAnswer, answer: IssuedCredentials | DeferredCredentials
    ) -> IssuedCredentials:
        endpoint = session.metadata.deferred_credential_endpoint
        for _ in range(MAX_POLLS):
            if isinstance(answer, IssuedCredentials):
                return answer
            if endpoint is None:
                raise WalletFailure("the issuer defers without an address to ask again at")
            self.sleep(answer.interval)
            body = strict_json.dumps(build_deferred_request(DeferredRequest(answer.transaction_id, None)))
            sent = session.post_json(endpoint, body, access_token=token.access_token)
            answer = parse_credential_answer(good(sent, "the deferred credential").body)
        raise WalletFailure("the issuer was not ready in time")

    def _checked(
        self,
        issued: IssuedCredentials,
        name: str,
        configuration: CredentialConfiguration,
        keys: Sequence[PrivateKey],
    ) -> tuple[StoredCredential, ...]:
        now = int(self.clock())
        public_keys = [key.public_key() for key in keys]
        stored: list[StoredCredential] = []
        used: set[int] = set()
        for content in issued.credentials:
            received = check_received(
                content, configuration=configuration, keys=public_keys, anchors=self.anchors, now=now
            )
            if received.key in used:
                raise WalletFailure("the issuer bound two credentials to one key")
            used.add(received.key)
            stored.append(
                StoredCredential(
                    id=secrets.token_hex(8),
                    format=configuration.format,
                    type=received.type,
                    name=_display_name(configuration, name),
                    issuer=received.issuer,
                    content=received.content,
                    key=keys[received.key],
                    collected_at=now,
                )
            )
        return tuple(stored)

    def _notify(self, session: IssuerSession, token: TokenAnswer, issued: IssuedCredentials) -> None:
        endpoint = session.metadata.notification_endpoint
        if endpoint is None or issued.notification_id is None:
            return
        body = strict_json.dumps(build_notification(Notification(issued.notification_id, NotificationEvent.ACCEPTED)))
        session.post_json(endpoint, body, access_token=token.access_token)


def _display_name(configuration: CredentialConfiguration, name: str) -> str:
    for display in configuration.display:
        shown = display.get("name")
        if isinstance(shown, str):
            return shown
    return name
