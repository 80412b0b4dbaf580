"""Presenting: from the link of a question to an answer the verifier can believe (OpenID4VP 1.0, HAIP 1.0 §5)."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from specs.credentials import mdoc, sd_jwt_vc
from specs.credentials.key_binding import build_key_binding
from specs.credentials.mdoc_device import build_device_response, build_document
from specs.credentials.mdoc_values import json_value
from specs.credentials.sd_jwt import Processed, SdJwt
from specs.credentials.sd_jwt_present import parse_issued, read_as_holder, select_disclosures, serialize
from specs.credentials.session_transcript import openid4vp_transcript
from specs.encoding import base64url
from specs.encoding.strict_json import JsonValue
from specs.keys.jose import PublicKey, thumbprint_bytes
from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC, Position
from specs.protocols.dcql_match import Candidate, Match, select
from specs.protocols.openid4vp import (
    ALL_FORMATS,
    REQUEST_OBJECT_MEDIA_TYPE,
    AuthorizationRequest,
    ErrorCode,
    RequestByReference,
    RequestByValue,
    RequestError,
    RequestTrust,
    RequestUriMethod,
    TransactionData,
    VerifiedRequest,
    build_error_response,
    build_request_uri_post,
    build_response,
    choose_hash,
    form_fields,
    hash_transaction_data,
    parse_and_verify_request_object,
    parse_endpoint_answer,
    parse_request_link,
)
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import CertificateProfile, TrustAnchor, validate_path
from wallet_sim.issuer_session import good
from wallet_sim.store import StoredCredential, WalletStore
from wallet_sim.transport import Transport, WalletFailure

PREFIXES = ("x509_hash", "x509_san_dns")


@dataclass(frozen=True, slots=True)
class ClaimShown:
    """A credential that would be shown, with the names of its claims."""

    credential: str
    claims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuestionShown:
    """What the holder is asked: who wants to know what."""

    verifier: str
    client_id: str
    shown: tuple[ClaimShown, ...]


@dataclass(frozen=True, slots=True)
class Presented:
    """What became of an answer. redirect_uri: where the holder should go on."""

    redirect_uri: str | None
    shown: tuple[ClaimShown, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    """A credential as the question looks at it."""

    stored: StoredCredential
    sd_jwt: tuple[SdJwt, Processed] | None
    issuer_signed: mdoc.IssuerSigned | None


@dataclass(frozen=True, slots=True)
class Presenter:
    """Presents for one wallet. anchors: of access certificates; without any no question is answered."""

    store: WalletStore
    transport: Transport
    anchors: Sequence[TrustAnchor]
    clock: Callable[[], float] = time.time

    def present(self, link: str, *, consent: Callable[[QuestionShown], bool]) -> Presented:
        """Answer a question, if the holder agrees.

        Raises:
            WalletFailure: nothing fits, the holder declines, or the verifier refuses the answer.
            RequestError, Refusal: the question breaks a rule, or nobody trusted asks it; it is not answered.
        """
        verified = self._fetch(link)
        request = verified.request
        held = [self._held(credential) for credential in self.store.credentials()]
        selection = select(request.query, [_candidate(entry) for entry in held])
        if not selection.satisfied:
            self._decline(request)
            raise WalletFailure("no credential in this wallet answers the question")
        matches = [selection.matches[query_id][0] for query_id in selection.chosen]
        shown = tuple(_shown(match) for match in matches)
        asker = parse_certificate(verified.chain[0]).names().display_name if verified.chain else ""
        client_id = request.client_id.text if request.client_id else ""
        if not consent(QuestionShown(asker or client_id, client_id, shown)):
            self._decline(request)
            raise WalletFailure("nothing was shown: you declined")
        token = {match.query.id: [self._presentation(match, request)] for match in matches}
        answer = self._post(request, form_fields(build_response(request, token)))
        return Presented(parse_endpoint_answer(answer), shown)

    def _fetch(self, link: str) -> VerifiedRequest:
        allowed = self.transport.allow_loopback_http
        received = parse_request_link(link, allow_loopback_http=allowed)
        wallet_nonce: str | None = None
        if isinstance(received, RequestByReference):
            if received.method is RequestUriMethod.POST:
                wallet_nonce = base64url.encode(secrets.token_bytes(16))
                form = build_request_uri_post(wallet_nonce=wallet_nonce, formats=ALL_FORMATS, prefixes=PREFIXES)
                answer = self.transport.post_form(received.request_uri, form, {"Accept": REQUEST_OBJECT_MEDIA_TYPE})
            else:
                answer = self.transport.get(received.request_uri, accept=REQUEST_OBJECT_MEDIA_TYPE)
            if good(answer, "the question").media_type != REQUEST_OBJECT_MEDIA_TYPE:
                raise WalletFailure("the question is not of the media type of request objects")
            token = answer.body.decode("ascii", "replace")
        elif isinstance(received, RequestByValue):
            token = received.request
        else:
            raise WalletFailure("the question is not signed: nobody vouches for who asks")
        return parse_and_verify_request_object(
            token,
            expected_client_id=received.client_id.text,
            trust=RequestTrust(validate_chain=self._leaf_key),
            now=int(self.clock()),
            expected_wallet_nonce=wallet_nonce,
            allow_loopback_http=allowed,
        )

    def _leaf_key(self, chain: tuple[bytes, ...]) -> PublicKey:
        path = validate_path(chain, anchors=self.anchors, profile=CertificateProfile.ACCESS, now=int(self.clock()))
        return path.leaf_key

    def _held(self, stored: StoredCredential) -> _Held:
        if stored.format == FORMAT_SD_JWT_VC:
            sd_jwt = parse_issued(stored.content)
            return _Held(stored, (sd_jwt, read_as_holder(sd_jwt, expected_typ=sd_jwt_vc.TYP)), None)
        return _Held(stored, None, mdoc.parse_issuer_signed(base64url.decode(stored.content)))

    def _presentation(self, match: "Match[_Held]", request: AuthorizationRequest) -> str:
        held = match.candidate.key
        if request.client_id is None or request.response_uri is None:
            raise WalletFailure("the question names nobody to answer")
        if held.sd_jwt is not None:
            return self._sd_jwt(held, match, request, audience=request.client_id.text)
        assert held.issuer_signed is not None  # one of the two is always there
        jwk = (
            request.client_metadata.encryption_key()
            if request.response_mode.is_encrypted and request.client_metadata
            else None
        )
        transcript = openid4vp_transcript(
            client_id=request.client_id.text,
            nonce=request.nonce,
            jwk_thumbprint=thumbprint_bytes(jwk) if jwk is not None else None,
            response_uri=request.response_uri,
        )
        document = build_document(
            held.issuer_signed,
            doc_type=held.stored.type,
            disclose=[(str(position[0]), str(position[1])) for position in match.disclose],
            session_transcript=transcript,
            device_key=held.stored.signer,
        )
        return base64url.encode(build_device_response([document]))

    def _sd_jwt(self, held: _Held, match: "Match[_Held]", request: AuthorizationRequest, *, audience: str) -> str:
        assert held.sd_jwt is not None
        sd_jwt, processed = held.sd_jwt
        chosen = select_disclosures(sd_jwt, processed, paths=match.disclose)
        bound = [entry for entry in request.transaction_data if entry.credential_ids[0] == match.query.id]
        return serialize(
            build_key_binding(
                chosen,
                signer=held.stored.signer,
                nonce=request.nonce,
                audience=audience,
                issued_at=int(self.clock()),
                sd_alg=processed.sd_alg,
                claims=_transaction_claims(bound),
            )
        )

    def _decline(self, request: AuthorizationRequest) -> None:
        if request.response_uri is None:
            return
        self.transport.post_form(
            request.response_uri, form_fields(build_error_response(ErrorCode.ACCESS_DENIED, state=request.state))
        )

    def _post(self, request: AuthorizationRequest, form: Mapping[str, str]) -> bytes:
        if request.response_uri is None:
            raise RequestError(ErrorCode.INVALID_REQUEST, "response_uri: missing")
        return good(self.transport.post_form(request.response_uri, form), "the answer").body


def _candidate(held: _Held) -> Candidate[_Held]:
    if held.sd_jwt is not None:
        sd_jwt, processed = held.sd_jwt
        issuer_jwt = sd_jwt_vc.parse_issuer_jwt(sd_jwt)
        chain, tree = issuer_jwt.chain, dict[str, object](processed.issued)
    else:
        assert held.issuer_signed is not None
        chain, tree = mdoc.issuer_chain(held.issuer_signed), _elements(held.issuer_signed)
    identifiers = (parse_certificate(certificate).authority_key_identifier for certificate in chain)
    return Candidate(
        key=held,
        format=held.stored.format,
        types=frozenset((held.stored.type,)),
        tree=tree,
        key_identifiers=frozenset(identifier for identifier in identifiers if identifier is not None),
    )


def _elements(issuer_signed: mdoc.IssuerSigned) -> dict[str, object]:
    return {
        name_space: {name: json_value(value) for name, value in map(mdoc.parse_item, items)}
        for name_space, items in issuer_signed.name_spaces.items()
    }


def _shown(match: "Match[_Held]") -> ClaimShown:
    names = tuple("/".join(str(step) for step in _named(match, position)) for position in match.disclose)
    return ClaimShown(match.candidate.key.stored.name, names)


def _named(match: "Match[_Held]", position: Position) -> Position:
    return position[1:] if match.query.format == FORMAT_MDOC else position


def _transaction_claims(entries: Sequence[TransactionData]) -> dict[str, JsonValue]:
    if not entries:
        return {}
    alg = choose_hash(entries)
    return {
        "transaction_data_hashes": [hash_transaction_data(entry.encoded, alg=alg) for entry in entries],
        "transaction_data_hashes_alg": alg,
    }
