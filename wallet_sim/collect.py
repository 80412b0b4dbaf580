"""Collecting: from the link of an offer to credentials in the wallet's file (OpenID4VCI 1.0, HAIP 1.0 §4).

This file leads from the offer to an access token; `credential_request` from there to the credentials.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.protocols.credential_offer import (
    CredentialOffer,
    OfferReference,
    TxCode,
    chosen_authorization_server,
    parse_credential_offer,
    parse_offer_link,
)
from specs.protocols.issuer_metadata import CredentialConfiguration, IssuerMetadata
from specs.protocols.oauth import (
    AUTHORIZATION_CODE,
    AuthorizationCodeGrant,
    AuthorizationRequest,
    PreAuthorizedCodeGrant,
    TokenAnswer,
    TokenRequest,
    build_pushed_request,
    build_token_request,
    code_challenge,
    new_code_verifier,
    parse_authorization_answer,
    parse_pushed_answer,
)
from specs.protocols.openid4vci import AuthorizationDetail, build_authorization_detail
from specs.trust.x509 import TrustAnchor
from wallet_sim.conduct import Endpoint
from wallet_sim.credential_request import CredentialRequester, display_name
from wallet_sim.interaction import authorize_by_presenting
from wallet_sim.issuer_session import (
    IssuerSession,
    RegisteredKey,
    SessionKeys,
    good,
    load_issuer_metadata,
    load_server_metadata,
)
from wallet_sim.labels import labels_of
from wallet_sim.present import Presenter
from wallet_sim.provider import WalletProvider
from wallet_sim.question import Consent
from wallet_sim.store import KeptToken, Renewal, StoredCredential, WalletStore
from wallet_sim.transport import Transport, WalletFailure

REDIRECT_URI = "https://wallet.example/callback"
_RANDOM_BYTES = 16


@dataclass(frozen=True, slots=True)
class OfferShown:
    """What the holder is asked: who offers what.

    issuer: the address, which nobody can pretend to have. name: what the issuer calls itself. credentials: names as
    shown to people. tx_code: a code that came another way must be typed in, described here; None if not. can_show: the
    issuer can ask for a presentation in the place of a login.
    """

    issuer: str
    name: str
    credentials: tuple[str, ...]
    tx_code: TxCode | None
    can_show: bool = False

    @property
    def needs_tx_code(self) -> bool:
        """Whether a transaction code must be typed in."""
        return self.tx_code is not None


@dataclass(frozen=True, slots=True)
class Holder:
    """What only a person can do. Each is asked when it is needed.

    accept: take what is offered? tx_code: the transaction code. authorize: open an address in a browser, log in,
    consent, and give the address that the browser was sent to in the end. redirect_uri: where that is. choose: which
    datasets of a configuration are wanted, by their identifiers; all of them unless somebody chooses. show: whether to
    show what the issuer asks for before it gives anything, where it can ask without a browser.
    """

    accept: Callable[[OfferShown], bool] = lambda _offer: False
    tx_code: Callable[[], str] | None = None
    authorize: Callable[[str], str] | None = None
    redirect_uri: str = REDIRECT_URI
    show: Consent | None = None
    prefers_showing: Callable[[], bool] = lambda: True
    choose: Callable[[str, tuple[str | None, ...]], Sequence[str | None]] = lambda _name, identifiers: identifiers


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects for one wallet.

    anchors: of credential issuers; without any the certificate that comes with a credential is taken for what it says.
    metadata_anchors: of access certificates; with some, signed metadata are asked for; signed_only: and others are
    refused. copies: how many of each credential, as far as the issuer gives several. registered: the issuer knows the
    wallet by a key instead. by_details: ask by authorization details, even for what has a scope (§5.1.1).
    """

    store: WalletStore
    provider: WalletProvider
    transport: Transport
    anchors: Sequence[TrustAnchor] = ()
    metadata_anchors: Sequence[TrustAnchor] = ()
    signed_only: bool = False
    copies: int = 1
    presenter: Presenter | None = None
    registered: RegisteredKey | None = None
    by_details: bool = False
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def collect(self, link: str, *, holder: Holder) -> tuple[StoredCredential, ...]:
        """Collect all that an offer holds.

        Raises:
            WalletFailure: the holder declines, or the issuer refuses or sends what it should not.
            InvalidAnswer, OAuthError, Refusal: the issuer breaks a rule; the message names it.
        """
        collection = self.begin(link, holder=holder)
        return tuple(
            credential
            for name in collection.configurations
            for identifier in holder.choose(name, collection.identifiers(name))
            for credential in collection.take(name, identifier)
        )

    def begin(self, link: str, *, holder: Holder) -> "Collection":
        """Take an offer as far as the access token.

        Raises:
            WalletFailure, InvalidAnswer, OAuthError, Refusal: as `collect`.
        """
        offer = self._resolve(link)
        session = self._session(offer)
        configurations = {name: _configuration(session.metadata, name) for name in offer.configuration_ids}
        if not holder.accept(_shown(offer, session, configurations)):
            raise WalletFailure("nothing was collected: you declined")
        token = self._token(session, offer, configurations, holder)
        requester = CredentialRequester(session, token, self.anchors, copies=self.copies, sleep=self.sleep)
        return Collection(self.store, requester, configurations)

    def renew(self, batch: str) -> tuple[StoredCredential, ...]:
        """Collect a credential anew in the place of its present copies, without the holder.

        RFC 6749 §6, draft-07 §10.3.

        Raises:
            WalletFailure: there is nothing to renew with, or as `collect`; the present copies stay then.
            InvalidAnswer, OAuthError, Refusal: as `collect`.
        """
        kept = self.store.renewal(batch)
        if kept is None:
            raise WalletFailure("the issuer gave nothing to renew this credential with")
        metadata = self._metadata(kept.token.issuer)
        if kept.token.server not in (metadata.authorization_servers or (metadata.credential_issuer,)):
            raise WalletFailure("the issuer does not name the server any more that gave the token")
        keys = SessionKeys(kept.token.instance_key, kept.token.dpop_key)
        session = self._session_at(metadata, kept.token.server, keys)
        session.is_anonymous = kept.token.is_anonymous
        token = session.refresh(kept.token.refresh_token)
        self.store.rotate(kept.token.id, token.refresh_token or kept.token.refresh_token)
        requester = CredentialRequester(session, token, self.anchors, copies=kept.copies, sleep=self.sleep)
        configuration = _configuration(metadata, kept.configuration)
        collected = requester.request(kept.configuration, configuration, kept.dataset)
        renewed = tuple(replace(each, batch=batch) for each in collected)
        self.store.replace(batch, renewed)
        requester.confirm(kept.configuration, kept.dataset)
        return renewed

    def _resolve(self, link: str) -> CredentialOffer:
        allowed = self.transport.allow_loopback_http
        offered = parse_offer_link(link, allow_loopback_http=allowed)
        if isinstance(offered, OfferReference):
            answer = good(self.transport.get(offered.url), "the offer")
            return parse_credential_offer(answer.body, allow_loopback_http=allowed)
        return offered

    def _session(self, offer: CredentialOffer) -> IssuerSession:
        metadata = self._metadata(offer.credential_issuer)
        server = chosen_authorization_server(
            offer.pre_authorized_code or offer.authorization_code,
            credential_issuer=metadata.credential_issuer,
            authorization_servers=metadata.authorization_servers,
        )
        return self._session_at(metadata, server, SessionKeys())

    def _metadata(self, issuer: str) -> IssuerMetadata:
        return load_issuer_metadata(
            self.transport,
            issuer,
            anchors=self.metadata_anchors,
            now=int(self.clock()),
            signed_only=self.signed_only,
        )

    def _session_at(self, metadata: IssuerMetadata, server: str, keys: SessionKeys) -> IssuerSession:
        return IssuerSession(
            self.transport,
            self.provider,
            metadata,
            load_server_metadata(self.transport, server),
            registered=self.registered,
            clock=self.clock,
            keys=keys,
        )

    def _token(
        self,
        session: IssuerSession,
        offer: CredentialOffer,
        configurations: Mapping[str, CredentialConfiguration],
        holder: Holder,
    ) -> TokenAnswer:
        grant: PreAuthorizedCodeGrant | AuthorizationCodeGrant
        if offer.pre_authorized_code is not None:
            # who can't say what wallet it is may come without a name, where the server lets it (§12.3)
            session.is_anonymous = session.server.anonymous_access_supported and not session.is_attested
            tx_code = _tx_code(holder) if offer.pre_authorized_code.tx_code is not None else None
            grant = PreAuthorizedCodeGrant(offer.pre_authorized_code.code, tx_code)
        else:
            grant = self._code(session, offer, configurations, holder)
        return session.request_token(build_token_request(TokenRequest(grant)))

    def _code(
        self,
        session: IssuerSession,
        offer: CredentialOffer,
        configurations: Mapping[str, CredentialConfiguration],
        holder: Holder,
    ) -> AuthorizationCodeGrant:
        if (
            self.presenter is None
            or holder.show is None
            or session.server.authorization_challenge_endpoint is None
            or not holder.prefers_showing()
        ):
            return _authorization_code(session, offer, configurations, holder, by_details=self.by_details)
        asked, verifier = _asked(session, offer, configurations, holder, by_details=self.by_details)
        code = authorize_by_presenting(session, asked, presenter=self.presenter, consent=holder.show)
        return AuthorizationCodeGrant(code, holder.redirect_uri, verifier)


@dataclass(frozen=True, slots=True)
class Collection:
    """An offer whose access token is in hand: credentials can be taken, and later taken anew without the holder.

    token_id: under which the wallet keeps what it renews with.
    """

    store: WalletStore
    requester: CredentialRequester
    configurations: Mapping[str, CredentialConfiguration]
    token_id: str = field(default_factory=lambda: secrets.token_hex(_RANDOM_BYTES))

    def identifiers(self, name: str) -> tuple[str | None, ...]:
        """What tells the datasets of a configuration apart; one None where the issuer gave no identifiers."""
        return self.requester.identifiers(name)

    def take(self, name: str, identifier: str | None = None) -> tuple[StoredCredential, ...]:
        """Get the credentials of one dataset, keep them, and tell the issuer so.

        identifier: one of `identifiers`; none: the first of them.

        Raises:
            WalletFailure, InvalidAnswer, Refusal: as `Collector.collect`.
        """
        wanted = identifier or self.identifiers(name)[0]
        configuration = self.configurations[name]
        collected = self.requester.request(name, configuration, wanted)
        self.store.add(collected, self._renewal(name, wanted), labels_of(configuration))
        self.requester.confirm(name, wanted)
        return collected

    def renewed(self) -> "Collection":
        """The same with a fresh access token, for the same keys that the first one was given to.

        Raises:
            WalletFailure: there is nothing to renew with, or the issuer refuses.
        """
        if self.requester.token.refresh_token is None:
            raise WalletFailure("the issuer gave nothing to renew with")
        token = self.requester.session.refresh(self.requester.token.refresh_token)
        return replace(self, requester=replace(self.requester, token=token, notification_ids={}))

    def _renewal(self, name: str, dataset: str | None) -> Renewal | None:
        session, token = self.requester.session, self.requester.token
        if token.refresh_token is None:
            return None
        kept = KeptToken(
            self.token_id,
            session.metadata.credential_issuer,
            session.server.issuer,
            token.refresh_token,
            session.keys.instance,
            session.keys.dpop,
            session.is_anonymous,
        )
        return Renewal(kept, name, dataset, self.requester.copies)


def _tx_code(holder: Holder) -> str:
    if holder.tx_code is None:
        raise WalletFailure("this offer needs the transaction code that came another way")
    return holder.tx_code()


def _authorization_code(
    session: IssuerSession,
    offer: CredentialOffer,
    configurations: Mapping[str, CredentialConfiguration],
    holder: Holder,
    *,
    by_details: bool,
) -> AuthorizationCodeGrant:
    """PAR with PKCE, a login in the browser, and a look at what came back (HAIP §4; RFC 9207 §2.4)."""
    server = session.server
    supported = server.grant_types_supported or (AUTHORIZATION_CODE,)
    if server.authorization_endpoint is None or AUTHORIZATION_CODE not in supported:
        raise WalletFailure("the authorization server offers no login")
    if server.pushed_authorization_request_endpoint is None:
        raise WalletFailure("the authorization server takes no pushed requests, which this wallet demands")
    if holder.authorize is None:
        raise WalletFailure("this offer needs a login in the browser")
    state = base64url.encode(secrets.token_bytes(_RANDOM_BYTES))
    pushed, verifier = _asked(session, offer, configurations, holder, by_details=by_details, state=state)
    answer = session.post_form(
        server.pushed_authorization_request_endpoint, build_pushed_request(pushed), to=Endpoint.PAR
    )
    request_uri = parse_pushed_answer(good(answer, "the login request").body).request_uri
    query = urlencode({"client_id": pushed.client_id, "request_uri": request_uri})
    separator = "&" if "?" in server.authorization_endpoint else "?"
    arrived = holder.authorize(f"{server.authorization_endpoint}{separator}{query}")
    code = parse_authorization_answer(
        arrived, expected_redirect_uri=holder.redirect_uri, expected_iss=server.issuer, expected_state=state
    )
    return AuthorizationCodeGrant(code, holder.redirect_uri, verifier)


def _asked(
    session: IssuerSession,
    offer: CredentialOffer,
    configurations: Mapping[str, CredentialConfiguration],
    holder: Holder,
    *,
    by_details: bool,
    state: str | None = None,
) -> tuple[AuthorizationRequest, str]:
    """The authorization request for what is offered, and the PKCE verifier that stays with the wallet."""
    verifier = new_code_verifier()
    scopes = tuple(each.scope for each in configurations.values() if each.scope is not None)
    detailed = [name for name, each in configurations.items() if by_details or each.scope is None]
    asked = AuthorizationRequest(
        client_id=session.client_id or "",
        redirect_uri=holder.redirect_uri,
        code_challenge=code_challenge(verifier),
        scope=() if by_details else scopes,
        authorization_details=_details(session.metadata, detailed),
        state=state,
        issuer_state=offer.authorization_code.issuer_state if offer.authorization_code is not None else None,
    )
    return asked, verifier


def _details(metadata: IssuerMetadata, names: Sequence[str]) -> tuple[JsonObject, ...]:
    """Authorization details for configurations (§5.1.1)."""
    locations = (metadata.credential_issuer,) if metadata.authorization_servers else ()
    return tuple(build_authorization_detail(AuthorizationDetail(name, locations=locations)) for name in names)


def _configuration(metadata: IssuerMetadata, name: str) -> CredentialConfiguration:
    configuration = metadata.configurations.get(name)
    if configuration is None:
        raise WalletFailure(f"the issuer offers {name}, which its metadata does not know")
    return configuration


def _shown(
    offer: CredentialOffer, session: IssuerSession, configurations: Mapping[str, CredentialConfiguration]
) -> OfferShown:
    issuer_name = next((name for each in session.metadata.display if isinstance(name := each.get("name"), str)), "")
    tx_code = offer.pre_authorized_code.tx_code if offer.pre_authorized_code is not None else None
    names = tuple(
        f"{display_name(configuration, name)} ({configuration.format})"
        for name, configuration in configurations.items()
    )
    can_show = offer.pre_authorized_code is None and session.server.authorization_challenge_endpoint is not None
    return OfferShown(offer.credential_issuer, issuer_name, names, tx_code, can_show)
