"""Presenting: from the link of a question to an answer the verifier can believe (OpenID4VP 1.0, HAIP 1.0 §5)."""

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import PublicKey
from specs.keys.jwe import DecryptionKey, new_decryption_key
from specs.protocols.dcql import FORMAT_SD_JWT_VC
from specs.protocols.dcql_match import Candidate, Match, Selection, select
from specs.protocols.haip import check_haip_request
from specs.protocols.openid4vp import (
    ALL_FORMATS,
    REQUEST_OBJECT_MEDIA_TYPE,
    AnswerAddress,
    AuthorizationRequest,
    DcApiProtocol,
    ErrorCode,
    MdocTransactionType,
    RequestByReference,
    RequestByValue,
    RequestError,
    RequestTrust,
    RequestUriMethod,
    TransactionData,
    VerifiedRequest,
    build_dc_api_response,
    build_error_response,
    build_request_uri_post,
    check_formats,
    decrypt_request_object,
    form_fields,
    parse_and_verify_request_object,
    parse_dc_api_request,
    parse_endpoint_answer,
    parse_request_link,
)
from specs.protocols.openid4vp.request import IA_MODES
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import CertificateProfile, TrustAnchor, validate_path
from wallet_sim.answer import answer_members
from wallet_sim.conduct import Conduct, Endpoint, VpToken
from wallet_sim.device import Device, ReaderShown
from wallet_sim.issuer_session import good
from wallet_sim.presentation import (
    Held,
    HeldSdJwt,
    Session,
    build_presentation,
    can_confirm,
    candidate,
    claim_names,
    dc_api_session,
    held,
    interactive_session,
    redirect_session,
    swapped,
)
from wallet_sim.question import (
    Chosen,
    ClaimShown,
    Consent,
    QuestionShown,
    RegistrationState,
    chosen_matches,
    question_of,
    question_of_reader,
    registration_of,
)
from wallet_sim.store import WalletStore
from wallet_sim.transport import Transport, WalletFailure

PREFIXES = ("x509_hash", "x509_san_dns")
_HAIP = "haip-vp"
_RANDOM_BYTES = 16
_NOWHERE = frozenset({"", "javascript", "data", "vbscript", "blob", "file"})  # schemes that no verifier answers at


@dataclass(frozen=True, slots=True)
class Presented:
    """What became of an answer. redirect_uri: where the holder should go on, with the browser it came from."""

    redirect_uri: str | None
    shown: tuple[ClaimShown, ...]


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """What a page gets: `protocol` and `data`. shown: nothing where the data is an error or holds no document."""

    members: JsonObject
    shown: tuple[ClaimShown, ...] = ()


@dataclass(frozen=True, slots=True)
class Habits:
    """What a wallet does where the standard leaves it to the wallet; everything is closed unless it is opened here.

    transaction_types: kinds of transaction data that the holder can be asked to confirm; others are refused.
    mdoc_transaction_types: how mdocs confirm them. attesters, registered: keys of issuers of verifier attestations by
    `iss`, and of verifiers known beforehand by their client identifier. answers_unsigned: also questions by redirect
    that nobody signed. encrypted_questions: a question that is fetched by POST must come encrypted. registered_only:
    deal with those alone who are registered for it, as the German wallet does: issuers sign their metadata, verifiers
    bring a registration certificate that covers what they ask. tells_mistakes: who asks wrongly is told so (§8.5); else
    the holder alone learns it.
    """

    transaction_types: Sequence[str] = ()
    mdoc_transaction_types: Sequence[MdocTransactionType] = ()
    attesters: Mapping[str, PublicKey] = field(default_factory=dict)
    registered: Mapping[str, PublicKey] = field(default_factory=dict)
    answers_unsigned: bool = False
    encrypted_questions: bool = False
    registered_only: bool = False
    tells_mistakes: bool = True


CAREFUL = Habits()


@dataclass(frozen=True, slots=True)
class Presenter:
    """Presents for one wallet. anchors: of access certificates; without any no signed question is answered.

    registrar_anchors: of registration certificates; without any these are shown as unverified. noted: is told who was
    shown what.
    """

    store: WalletStore
    transport: Transport
    anchors: Sequence[TrustAnchor]
    habits: Habits = CAREFUL
    registrar_anchors: Sequence[TrustAnchor] = ()
    clock: Callable[[], float] = time.time
    noted: Callable[[str, Sequence[ClaimShown]], None] = lambda _by, _shown: None

    def present(self, link: str, *, consent: Consent) -> Presented:
        """Answer a question, if the holder agrees.

        Raises:
            WalletFailure: nothing fits, the holder declines, or the verifier refuses the answer.
            RequestError, Refusal: the question breaks a rule, or nobody trusted asks it; it is not answered. Where it
                is known to be the verifier's own, it is told the error.
        """
        try:
            verified = self._fetch(link)
        except RequestError as error:
            self._tell_mistake(error.answer_to, error.error)
            raise
        request = verified.request
        try:
            self._check(link, verified)
            by, session = _named(request, verified.chain), redirect_session(request)
            params, shown, used = self._consented(request, session, consent, by=by, chain=verified.chain)
        except RequestError as error:
            self._tell_mistake(_address(request), error.error)
            raise
        except _Declined as declined:
            # one answer for both, so that the verifier does not learn what is in the wallet (§15.4.1)
            self._tell(_address(request), ErrorCode.ACCESS_DENIED)
            raise WalletFailure(str(declined)) from None
        try:
            answered = self._answer(request, form_fields(params))
        finally:  # who refuses an answer has seen it all the same
            self._note(by, shown, used)
        return Presented(answered, shown)

    def answer_dc_api(self, protocol: str, data: JsonObject, *, origin: str, consent: Consent) -> PageAnswer:
        """Answer a question that a page asked through the Digital Credentials API (§A.2 to §A.4).

        origin: of the page, from the platform. A wallet's error is an answer, too. `org-iso-mdoc` is answered as
        ISO/IEC TS 18013-7 Annex C wants it, where an answer that shows nothing is the only error.

        Raises:
            Refusal: a signature does not hold, or nobody trusted vouches for who asks; there is no answer then.
            ValueError: the protocol is none of ours.
            RequestError: the question breaks a rule, and the habit is to tell the holder alone.
        """
        spoken = DcApiProtocol(protocol)
        if spoken is DcApiProtocol.ISO_MDOC:
            return self._answer_iso_mdoc(data, origin, consent)
        chains: list[tuple[bytes, ...]] = []
        try:
            request = parse_dc_api_request(
                protocol,
                data,
                origin=origin,
                trust=self._trust_noting(chains),
                now=self._now,
                known_transaction_data=self.habits.transaction_types,
            )
            check_formats([credential.format for credential in request.query.credentials], supported=ALL_FORMATS)
            session = dc_api_session(request, origin=origin)
            chain = chains[-1] if chains and _is_certified(request) else ()
            by = _named(request, chain, origin)
            params, shown, used = self._consented(request, session, consent, by=by, chain=chain, origin=origin)
        except RequestError as error:
            if not self.habits.tells_mistakes:
                raise
            return PageAnswer(build_dc_api_response(spoken, build_error_response(error.error)))
        except _Declined:
            return PageAnswer(build_dc_api_response(spoken, build_error_response(ErrorCode.ACCESS_DENIED)))
        self._note(by, shown, used)
        return PageAnswer(build_dc_api_response(spoken, params), shown)

    def answer_interaction(self, data: JsonObject, *, origin: str, consent: Consent) -> JsonObject:
        """Answer an authorization server that asks during issuance (OpenID4VCI 1.1 draft-01 §6.2.1.1).

        data: its `openid4vp_request`, signed. origin: of the endpoint that the wallet itself called.

        Raises:
            WalletFailure: nothing fits, the holder declines, or something else than an SD-JWT VC is asked for.
            RequestError, Refusal: the question breaks a rule, is another's, or nobody trusted asks it.
        """
        chains: list[tuple[bytes, ...]] = []
        request = parse_dc_api_request(
            DcApiProtocol.SIGNED,
            data,
            origin=origin,
            trust=self._trust_noting(chains),
            now=self._now,
            allowed_modes=IA_MODES,
        )
        if any(credential.format != FORMAT_SD_JWT_VC for credential in request.query.credentials):
            raise WalletFailure("the issuer asks for a form that this wallet does not show during issuance")
        chain = chains[-1] if chains and _is_certified(request) else ()
        by, session = _named(request, chain, origin), interactive_session(origin)
        try:
            params, shown, used = self._consented(request, session, consent, by=by, chain=chain, origin=origin)
        except _Declined as declined:
            raise WalletFailure(str(declined)) from None
        self._note(by, shown, used)
        return params

    def _note(self, by: tuple[str, str], shown: Sequence[ClaimShown], used: set[str]) -> None:
        self.store.count_shown(used)
        self.noted(by[0], shown)

    def _answer_iso_mdoc(self, data: JsonObject, origin: str, consent: Consent) -> PageAnswer:
        """Where a reader signed the question, it must be one that we trust; else its page's origin is all we know."""
        agreed: list[QuestionShown] = []

        def asked(reader: ReaderShown) -> bool:
            question = question_of_reader(reader, origin=origin)
            agrees = bool(consent(question))
            agreed.extend([question] if agrees else [])
            return agrees

        device = Device(self.store, self.anchors, clock=self.clock, answers_nameless=True, conduct=self._conduct)
        answer = device.answer_through_browser(data, origin=origin, consent=asked)
        for question in agreed:
            self.noted(question.verifier, question.shown)
        shown = tuple(each for question in agreed for each in question.shown)
        return PageAnswer(build_dc_api_response(DcApiProtocol.ISO_MDOC, answer), shown)

    def _consented(
        self,
        request: AuthorizationRequest,
        session: Session,
        consent: Consent,
        *,
        by: tuple[str, str],
        chain: Sequence[bytes],
        origin: str = "",
    ) -> tuple[JsonObject, tuple[ClaimShown, ...], set[str]]:
        """The answer in the mode that was asked for, what it shows, and the copies that it uses."""
        types = self.habits.mdoc_transaction_types
        selection = self._selection(request)
        matches = chosen_matches(selection, Chosen())
        _agreed(request, matches, types)  # before anybody is asked
        registration = registration_of(request, chain, anchors=self.registrar_anchors, now=self._now)
        if self.habits.registered_only and registration.state is not RegistrationState.VERIFIED:
            wrong = registration.reason or "no registration certificate that holds"
            raise RequestError(ErrorCode.INVALID_REQUEST, f"verifier_info: {wrong}")
        answer = consent(question_of(request, matches, selection, by=by, registration=registration, origin=origin))
        if not answer:
            raise _Declined("nothing was shown: you declined")
        if isinstance(answer, Chosen):
            matches = chosen_matches(selection, answer)
        matches = [swapped(match, self._candidates(request), conduct=self._conduct) for match in matches]
        agreed = _agreed(request, matches, types)
        shown = tuple(ClaimShown(match.candidate.key.stored.name, claim_names(match)) for match in matches)
        token: VpToken = {
            match.query.id: [
                build_presentation(
                    match,
                    nonce=request.nonce,
                    session=session,
                    agreed=agreed.get(match.query.id, ()),
                    transaction_types=types,
                    now=self._now,
                    conduct=self._conduct,
                )
            ]
            for match in matches
        }
        return (
            answer_members(request, token, conduct=self._conduct),
            shown,
            {match.candidate.key.stored.id for match in matches},
        )

    @property
    def _conduct(self) -> Conduct:
        return self.transport.conduct

    @property
    def _now(self) -> int:
        return int(self.clock())

    @property
    def _trust(self) -> RequestTrust:
        return RequestTrust(self._leaf_key, self.habits.attesters, self.habits.registered)

    def _trust_noting(self, chains: list[tuple[bytes, ...]]) -> RequestTrust:
        """The same, and each chain that led to somebody trusted is noted."""

        def leaf_key(chain: tuple[bytes, ...]) -> PublicKey:
            key = self._leaf_key(chain)
            chains.append(chain)
            return key

        return RequestTrust(leaf_key, self.habits.attesters, self.habits.registered)

    def _fetch(self, link: str) -> VerifiedRequest:
        """The question, signed by whom it names, and by nobody we don't trust (§5.10)."""
        allowed = self.transport.allow_loopback_http
        received = parse_request_link(link, allow_loopback_http=allowed)
        wallet_nonce: str | None = None
        if isinstance(received, RequestByReference):
            if received.method is RequestUriMethod.POST:
                wallet_nonce = base64url.encode(secrets.token_bytes(_RANDOM_BYTES))
            token = self._fetched(received, wallet_nonce)
        elif isinstance(received, RequestByValue):
            token = received.request
        elif self.habits.answers_unsigned:
            if received.transaction_data:
                raise RequestError(ErrorCode.INVALID_TRANSACTION_DATA, "transaction_data: the question is not signed")
            return VerifiedRequest(received, {}, ())
        else:
            raise WalletFailure("the question is not signed: nobody vouches for who asks")
        return parse_and_verify_request_object(
            token,
            expected_client_id=received.client_id.text,
            trust=self._trust,
            now=self._now,
            expected_wallet_nonce=wallet_nonce,
            known_transaction_data=self.habits.transaction_types,
            allow_loopback_http=allowed,
        )

    def _fetched(self, reference: RequestByReference, wallet_nonce: str | None) -> str:
        key: DecryptionKey | None = None
        if wallet_nonce is not None:
            if self.habits.encrypted_questions:
                key = new_decryption_key(base64url.encode(secrets.token_bytes(_RANDOM_BYTES)))
            form = build_request_uri_post(
                wallet_nonce=wallet_nonce,
                formats=ALL_FORMATS,
                prefixes=PREFIXES,
                encryption_key=key.public_jwk() if key else None,
            )
            answer = self.transport.post_form(
                reference.request_uri, form, {"Accept": REQUEST_OBJECT_MEDIA_TYPE}, to=Endpoint.REQUEST
            )
        else:
            answer = self.transport.get(reference.request_uri, accept=REQUEST_OBJECT_MEDIA_TYPE, to=Endpoint.REQUEST)
        if good(answer, "the question").media_type != REQUEST_OBJECT_MEDIA_TYPE:
            raise WalletFailure("the question is not of the media type of request objects")
        token = answer.body.decode("ascii", "replace")
        return decrypt_request_object(token, key=key) if key is not None else token

    def _leaf_key(self, chain: tuple[bytes, ...]) -> PublicKey:
        return validate_path(chain, anchors=self.anchors, profile=CertificateProfile.ACCESS, now=self._now).leaf_key

    def _check(self, link: str, verified: VerifiedRequest) -> None:
        request = verified.request
        if urlsplit(link).scheme == _HAIP:
            anchors = [anchor.certificate for anchor in self.anchors]
            check_haip_request(request, chain=verified.chain, anchors=anchors, every_enc=False)
        check_formats([credential.format for credential in request.query.credentials], supported=ALL_FORMATS)

    def _selection(self, request: AuthorizationRequest) -> "Selection[Held]":
        selection: Selection[Held] = select(request.query, self._candidates(request))
        if not selection.satisfied:
            raise _Declined("no credential in this wallet answers the question")
        return selection

    def _candidates(self, request: AuthorizationRequest) -> "list[Candidate[Held]]":
        formats = request.client_metadata.formats if request.client_metadata is not None else None
        candidates = [candidate(held(stored)) for stored in self.store.freshest()]
        return [each for each in candidates if formats is None or each.format in formats]

    def _answer(self, request: AuthorizationRequest, fields: Mapping[str, str]) -> str | None:
        """Send the answer; where the holder goes on (§8.2). An answer by redirect travels there itself (§8.1)."""
        if request.response_uri is not None:
            answer = good(self.transport.post_form(request.response_uri, fields, to=Endpoint.ANSWER), "the answer")
            where = parse_endpoint_answer(answer.body)
            if where is not None and urlsplit(where).scheme in _NOWHERE:
                raise WalletFailure("the verifier took the answer, but what it leads to is no address")
            return where
        return f"{request.redirect_uri}#{urlencode(fields)}"

    def _tell_mistake(self, address: AnswerAddress | None, error: ErrorCode) -> None:
        if self.habits.tells_mistakes:
            self._tell(address, error)

    def _tell(self, address: AnswerAddress | None, error: ErrorCode) -> None:
        """Tell the verifier that there is no answer (§8.5); what it says to that is no matter."""
        if address is not None:
            fields = form_fields(build_error_response(error, state=address.state))
            with contextlib.suppress(WalletFailure):
                self.transport.post_form(address.response_uri, fields, to=Endpoint.OTHER)


class _Declined(Exception):
    """Nothing is shown: nothing fits, or the holder does not want."""


def _agreed(
    request: AuthorizationRequest, matches: "Sequence[Match[Held]]", types: Sequence[MdocTransactionType]
) -> dict[str, list[TransactionData]]:
    """By which shown credential each entry is confirmed: exactly one of those it names (§5.1, §8.4).

    Raises:
        RequestError: `invalid_transaction_data`: none of them is shown in a form that can carry it.
    """
    agreed: dict[str, list[TransactionData]] = {}
    for entry in request.transaction_data:
        able = [
            match.query.id
            for match in matches
            if match.query.id in entry.credential_ids
            and can_confirm(match.candidate.key, entry, transaction_types=types)
            # an mdoc has one element for a type, and so one entry
            and (
                isinstance(match.candidate.key, HeldSdJwt)
                or all(other.type != entry.type for other in agreed.get(match.query.id, ()))
            )
        ]
        if not able:
            raise RequestError(ErrorCode.INVALID_TRANSACTION_DATA, "transaction_data: no credential that can carry it")
        agreed.setdefault(able[0], []).append(entry)
    return agreed


def _address(request: AuthorizationRequest) -> AnswerAddress | None:
    return AnswerAddress(request.response_uri, request.state) if request.response_uri is not None else None


def _named(request: AuthorizationRequest, chain: Sequence[bytes], origin: str = "") -> tuple[str, str]:
    """Who asks, for people, and the client identifier; where there is none, the page's origin."""
    client_id = request.client_id.text if request.client_id is not None else origin
    name = parse_certificate(chain[0]).names().display_name if chain else ""
    return name or client_id, client_id


def _is_certified(request: AuthorizationRequest) -> bool:
    """Whether a certificate vouches for who asks, and nobody else does."""
    return request.client_id is not None and request.client_id.text.partition(":")[0] in PREFIXES
