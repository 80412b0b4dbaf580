"""From an access token to credentials: nonce, keys and their proofs, request, waiting, checking, and word back.

OpenID4VCI 1.0 §7 to §11, App. D, F.
"""

import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import PrivateKey
from specs.keys.signer import FileSigner, generate_private_key
from specs.protocols.issuer_metadata import CredentialConfiguration
from specs.protocols.key_proof import ATTESTATION, INVALID_NONCE, JWT, Proofs, build_key_proof
from specs.protocols.oauth import TokenAnswer
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
)
from specs.trust.x509 import TrustAnchor
from wallet_sim.conduct import HOLDER_KEYS, KEY_ATTESTATION, KEY_PROOF, MESSAGE, Conduct, Endpoint
from wallet_sim.credential_messages import Envelope, envelope_for
from wallet_sim.issuer_session import IssuerSession, error_code, good
from wallet_sim.received import check_received
from wallet_sim.store import StoredCredential
from wallet_sim.transport import Answer, WalletFailure

MAX_POLLS = 30
MAX_INTERVAL_SECONDS = 300
KEY_ALG = "ES256"
_RANDOM_BYTES = 16


@dataclass(frozen=True, slots=True)
class CredentialRequester:
    """Asks with one token. anchors, copies, sleep: as in `Collector`.

    notification_ids: of what was issued, by credential identifier, or by name where none came with the token.
    """

    session: IssuerSession
    token: TokenAnswer
    anchors: Sequence[TrustAnchor]
    copies: int
    sleep: Callable[[float], None]
    notification_ids: dict[str, str] = field(default_factory=dict)

    def identifiers(self, name: str) -> tuple[str | None, ...]:
        """The identifiers that came with the token, one for each dataset; they must be used then (§6.2, §8.2)."""
        for detail in parse_granted_details(self.token.authorization_details):
            if detail.credential_configuration_id == name:
                return detail.credential_identifiers
        return (None,)

    def request(
        self, name: str, configuration: CredentialConfiguration, identifier: str | None
    ) -> tuple[StoredCredential, ...]:
        """Get the credentials of one dataset, each bound to a key of its own, and check them.

        identifier: one of `identifiers`.

        Raises:
            WalletFailure: the issuer refuses, is not ready in time, or sends something else; it is told about the last.
        """
        envelope = envelope_for(self.session.metadata, kid=secrets.token_bytes(_RANDOM_BYTES))
        keys = self._keys(configuration)
        answer = self._sent(name, identifier, configuration, keys, envelope)
        if error_code(answer) == INVALID_NONCE:  # it may have ended on the way
            answer = self._sent(name, identifier, configuration, keys, envelope)
        received = parse_credential_answer(envelope.open(good(answer, f"the credential {name}")))
        issued = self._awaited(received)
        if issued.notification_id is not None:
            self.notification_ids[identifier or name] = issued.notification_id
        try:
            return self._checked(issued, name, configuration, keys)
        except WalletFailure:
            self._notify(identifier or name, NotificationEvent.FAILURE)
            raise

    def confirm(self, name: str, identifier: str | None) -> None:
        """Tell the issuer that what it sent is stored (§11); what it says to that is no matter."""
        with contextlib.suppress(WalletFailure):
            self._notify(identifier or name, NotificationEvent.ACCEPTED)

    # what is sent, each piece in a method of its own

    def _keys(self, configuration: CredentialConfiguration) -> list[PrivateKey]:
        if not configuration.proof_types:
            raise WalletFailure("the issuer binds this credential to no key, so that anybody could show it")
        count = max(1, min(self.copies, self.session.metadata.batch_size))
        keys: tuple[PrivateKey, ...] = tuple(generate_private_key(KEY_ALG) for _ in range(count))
        changed = self._conduct.change(HOLDER_KEYS, keys, to=Endpoint.CREDENTIAL)
        return [*changed]

    def _sent(
        self,
        name: str,
        identifier: str | None,
        configuration: CredentialConfiguration,
        keys: Sequence[PrivateKey],
        envelope: Envelope,
    ) -> Answer:
        request = CredentialRequest(
            credential_identifier=identifier,
            credential_configuration_id=None if identifier is not None else name,
            proofs=self._proofs(configuration, [FileSigner(key) for key in keys]),
            response_encryption=envelope.wanted,
        )
        return self._posted(
            self.session.metadata.credential_endpoint,
            build_credential_request(request),
            envelope,
            to=Endpoint.CREDENTIAL,
        )

    def _posted(self, url: str, message: JsonObject, envelope: Envelope, *, to: Endpoint) -> Answer:
        message = self._conduct.change(MESSAGE, message, to=to)
        body, content_type = envelope.seal(message, conduct=self._conduct, to=to)
        return self.session.post_message(url, body, content_type, token=self.token, to=to)

    @property
    def _conduct(self) -> Conduct:
        return self.session.transport.conduct

    def _proofs(self, configuration: CredentialConfiguration, signers: Sequence[FileSigner]) -> Proofs:
        """Proofs for all keys; where a key attestation is demanded, one that speaks for all of them (App. F.1, F.3)."""
        offered = configuration.proof_types
        kind = next((kind for kind in (JWT, ATTESTATION) if kind in offered), None)
        if kind is None or KEY_ALG not in offered[kind].signing_algs:
            raise WalletFailure("the issuer wants a kind of key proof that this wallet does not make")
        nonce = self.session.fresh_nonce()
        attestation: str | None = None
        if kind == ATTESTATION or offered[kind].key_attestations is not None:
            keys = [signer.public_key for signer in signers]
            attestation = self._conduct.signed(
                KEY_ATTESTATION,
                self.session.provider.key_attestation(keys, nonce=nonce, now=self.session.now),
                self.session.provider.signer,
                to=Endpoint.CREDENTIAL,
            )
        if kind == ATTESTATION:
            assert attestation is not None
            return Proofs(ATTESTATION, (attestation,))
        proving = signers if attestation is None else signers[:1]
        return Proofs(JWT, tuple(self._proof(signer, nonce, attestation) for signer in proving))

    def _proof(self, signer: FileSigner, nonce: str | None, attestation: str | None) -> str:
        proof = build_key_proof(
            signer=signer,
            audience=self.session.metadata.credential_issuer,
            now=self.session.now,
            nonce=nonce,
            client_id=self.session.client_id,
            key_attestation=attestation,
        )
        return self._conduct.signed(KEY_PROOF, proof, signer, to=Endpoint.CREDENTIAL)

    def _awaited(self, answer: IssuedCredentials | DeferredCredentials) -> IssuedCredentials:
        """Ask again as long as the issuer says that it is not ready (§9)."""
        endpoint = self.session.metadata.deferred_credential_endpoint
        for _ in range(MAX_POLLS):
            if isinstance(answer, IssuedCredentials):
                return answer
            if endpoint is None:
                raise WalletFailure("the issuer defers without an address to ask again at")
            self.sleep(min(answer.interval, MAX_INTERVAL_SECONDS))
            envelope = envelope_for(self.session.metadata, kid=secrets.token_bytes(_RANDOM_BYTES))
            asked = build_deferred_request(DeferredRequest(answer.transaction_id, envelope.wanted))
            sent = self._posted(endpoint, asked, envelope, to=Endpoint.DEFERRED)
            answer = parse_credential_answer(envelope.open(good(sent, "the deferred credential")))
        raise WalletFailure("the issuer was not ready in time")

    def _checked(
        self,
        issued: IssuedCredentials,
        name: str,
        configuration: CredentialConfiguration,
        keys: Sequence[PrivateKey],
    ) -> tuple[StoredCredential, ...]:
        if len(issued.credentials) > len(keys):
            raise WalletFailure("the issuer sent more credentials than keys were shown")
        now, batch = self.session.now, secrets.token_hex(_RANDOM_BYTES)
        public_keys = [key.public_key() for key in keys]
        stored: dict[int, StoredCredential] = {}
        for content in issued.credentials:
            received = check_received(
                content, configuration=configuration, keys=public_keys, anchors=self.anchors, now=now
            )
            if received.key in stored:
                raise WalletFailure("the issuer bound two credentials to one key")
            stored[received.key] = StoredCredential(
                id=secrets.token_hex(8),
                batch=batch,
                format=configuration.format,
                type=received.type,
                name=display_name(configuration, name),
                issuer=received.issuer,
                content=received.content,
                key=keys[received.key],
                collected_at=now,
            )
        return tuple(stored.values())

    def _notify(self, what: str, event: NotificationEvent) -> None:
        endpoint = self.session.metadata.notification_endpoint
        notification_id = self.notification_ids.get(what)
        if endpoint is None or notification_id is None:
            return
        message = build_notification(Notification(notification_id, event))
        body = strict_json.dumps(self._conduct.change(MESSAGE, message, to=Endpoint.NOTIFICATION))
        self.session.post_message(endpoint, body, "application/json", token=self.token, to=Endpoint.NOTIFICATION)


def display_name(configuration: CredentialConfiguration, name: str) -> str:
    """What people call a credential: its first display name, else the configuration's id."""
    return next((shown for each in configuration.display if isinstance(shown := each.get("name"), str)), name)
