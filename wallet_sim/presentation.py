"""One credential in answer to one question: as DCQL looks at it, and as it is shown (OpenID4VP 1.0 §6, App. B)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from specs.credentials import mdoc, sd_jwt_vc
from specs.credentials.key_binding import build_key_binding
from specs.credentials.mdoc_device import build_device_response, build_document
from specs.credentials.mdoc_values import json_value
from specs.credentials.sd_jwt import Processed, SdJwt
from specs.credentials.sd_jwt_present import parse_issued, read_as_holder, select_disclosures, serialize
from specs.credentials.session_transcript import dc_api_transcript, openid4vp_transcript
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import thumbprint_bytes
from specs.protocols.dcql import FORMAT_SD_JWT_VC
from specs.protocols.dcql_match import Candidate, Match
from specs.protocols.interactive_authorization import audience_of
from specs.protocols.openid4vp import (
    AuthorizationRequest,
    MdocTransactionType,
    TransactionData,
    choose_hash,
    hash_transaction_data,
)
from specs.trust.parsed_certificate import parse_certificate
from wallet_sim.conduct import (
    CHOICE,
    DEVICE_RESPONSE,
    DOCUMENT,
    HONEST,
    KEY_BINDING,
    MDOC,
    PRESENTATION,
    SD_JWT,
    Choice,
    Conduct,
    Endpoint,
    ShownMdoc,
    ShownSdJwt,
)
from wallet_sim.store import StoredCredential


@dataclass(frozen=True, slots=True)
class HeldSdJwt:
    """An SD-JWT VC, taken apart."""

    stored: StoredCredential
    sd_jwt: SdJwt
    processed: Processed


@dataclass(frozen=True, slots=True)
class HeldMdoc:
    """An mdoc, taken apart."""

    stored: StoredCredential
    issuer_signed: mdoc.IssuerSigned


Held: TypeAlias = HeldSdJwt | HeldMdoc


def held(stored: StoredCredential) -> Held:
    """Take a credential of the wallet's own file apart; it was checked when it was collected."""
    if stored.format == FORMAT_SD_JWT_VC:
        sd_jwt = parse_issued(stored.content)
        return HeldSdJwt(stored, sd_jwt, read_as_holder(sd_jwt, expected_typ=sd_jwt_vc.TYP))
    return HeldMdoc(stored, mdoc.parse_issuer_signed(base64url.decode(stored.content)))


def claims_of(credential: Held) -> JsonObject:
    """All that a credential says, in JSON terms."""
    if isinstance(credential, HeldSdJwt):
        return credential.processed.claims
    return {
        name_space: {name: json_value(value) for name, value in map(mdoc.parse_item, items)}
        for name_space, items in credential.issuer_signed.name_spaces.items()
    }


def candidate(credential: Held) -> Candidate[Held]:
    """A credential as a question looks at it (§6.4)."""
    tree: object
    if isinstance(credential, HeldSdJwt):
        chain, tree = sd_jwt_vc.parse_issuer_jwt(credential.sd_jwt).chain, credential.processed.issued
    else:
        chain, tree = mdoc.issuer_chain(credential.issuer_signed), claims_of(credential)
    identifiers = (parse_certificate(certificate).authority_key_identifier for certificate in chain)
    return Candidate(
        key=credential,
        format=credential.stored.format,
        types=frozenset((credential.stored.type,)),
        tree=tree,
        key_identifiers=frozenset(identifier for identifier in identifiers if identifier is not None),
    )


def claim_names(match: Match[Held]) -> tuple[str, ...]:
    """What would be disclosed, for people: paths with slashes; for an mdoc the elements alone."""
    skipped = 0 if isinstance(match.candidate.key, HeldSdJwt) else 1
    return tuple("/".join(map(str, position[skipped:])) for position in match.disclose)


@dataclass(frozen=True, slots=True)
class Session:
    """To which exchange an answer belongs: what key bindings name, and what devices sign (§B.2.6, §B.3.6)."""

    audience: str
    transcript: bytes


def redirect_session(request: AuthorizationRequest) -> Session:
    """The session of a question by redirect or `direct_post` (§B.2.6.1).

    Raises:
        RequestError: the question offers no key for an encrypted answer.
    """
    assert request.client_id is not None  # only questions over the Digital Credentials API may have none
    transcript = openid4vp_transcript(
        client_id=request.client_id.text,
        nonce=request.nonce,
        jwk_thumbprint=_thumbprint(request),
        response_uri=request.response_uri or request.redirect_uri or "",
    )
    return Session(request.client_id.text, transcript)


def dc_api_session(request: AuthorizationRequest, *, origin: str) -> Session:
    """The session of a question that a page of `origin` asked through the browser, signed or not (§A.4, §B.2.6.2).

    Raises:
        RequestError: the question offers no key for an encrypted answer.
    """
    transcript = dc_api_transcript(origin=origin, nonce=request.nonce, jwk_thumbprint=_thumbprint(request))
    return Session(f"origin:{origin}", transcript)


def interactive_session(origin: str) -> Session:
    """The session of a question that an authorization server of this origin asked (OpenID4VCI 1.1 draft-01 A.3.5).

    Only SD-JWT VCs are shown there: without a transcript no device signs anything.
    """
    return Session(audience_of(origin), b"")


def _thumbprint(request: AuthorizationRequest) -> bytes | None:
    if not request.response_mode.is_encrypted or request.client_metadata is None:
        return None
    return thumbprint_bytes(request.client_metadata.encryption_key())


def build_presentation(
    match: Match[Held],
    *,
    nonce: str,
    session: Session,
    agreed: Sequence[TransactionData] = (),
    transaction_types: Sequence[MdocTransactionType] = (),
    now: int,
    conduct: Conduct = HONEST,
) -> str:
    """The chosen claims of a credential, bound to the question by the holder's key.

    agreed: transaction data that this credential confirms; transaction_types: how an mdoc does. now: seconds since the
    epoch.

    Raises:
        RequestError: the transaction data can't be bound.
    """
    credential = match.candidate.key
    if isinstance(credential, HeldMdoc):
        response = _device_response(
            credential, match, session, agreed=agreed, transaction_types=transaction_types, conduct=conduct
        )
        return conduct.change(PRESENTATION, response, to=Endpoint.ANSWER)
    chosen = select_disclosures(credential.sd_jwt, credential.processed, paths=match.disclose)
    shown = conduct.change(SD_JWT, ShownSdJwt(credential.sd_jwt, chosen), to=Endpoint.ANSWER).chosen
    bound = build_key_binding(
        shown,
        signer=credential.stored.signer,
        nonce=nonce,
        audience=session.audience,
        issued_at=now,
        sd_alg=credential.processed.sd_alg,
        claims=_transaction_claims(agreed),
    )
    *parts, key_binding = serialize(bound).split("~")
    key_binding = conduct.signed(KEY_BINDING, key_binding, credential.stored.signer, to=Endpoint.ANSWER)
    return conduct.change(PRESENTATION, "~".join((*parts, key_binding)), to=Endpoint.ANSWER)


def swapped(match: Match[Held], candidates: Sequence[Candidate[Held]], *, conduct: Conduct) -> Match[Held]:
    """The chosen credential, or another of the wallet's in its place if the wallet misbehaves so."""
    mine = match.candidate.key.stored
    same_format = ((each.key.stored, each) for each in candidates if each.format == mine.format)
    others = {stored.id: each for stored, each in same_format if stored.type != mine.type}
    chosen = conduct.change(CHOICE, Choice(mine.id, tuple(others)), to=Endpoint.ANSWER).credential_id
    if chosen == mine.id:
        return match
    other = others[chosen]
    disclose = match.disclose
    if isinstance(other.key, HeldMdoc):  # its elements stand in a name space of its own
        disclose = tuple(
            (name_space, *position[1:]) for name_space in other.key.issuer_signed.name_spaces for position in disclose
        )
    return replace(match, candidate=other, disclose=disclose)


def can_confirm(credential: Held, entry: TransactionData, *, transaction_types: Sequence[MdocTransactionType]) -> bool:
    """Whether a credential can carry the holder's consent to an entry (§B.2.1, §B.3.3).

    An mdoc can if its type of data has an element, and the issuer authorized the device's key to sign that.
    """
    if isinstance(credential, HeldSdJwt):
        return True
    allowed = mdoc.parse_mso(credential.issuer_signed).key_authorizations
    return any(each.type == entry.type and allowed.allows(each.name_space, each.element) for each in transaction_types)


def _device_response(
    credential: HeldMdoc,
    match: Match[Held],
    session: Session,
    *,
    agreed: Sequence[TransactionData],
    transaction_types: Sequence[MdocTransactionType],
    conduct: Conduct,
) -> str:
    """One mdoc in a DeviceResponse of its own, in the session of this question (§B.2.5, §B.2.6; HAIP §5.3.1)."""
    stated: dict[str, dict[str, object]] = {}
    for entry in agreed:
        element = next(each for each in transaction_types if each.type == entry.type)
        stated.setdefault(element.name_space, {})[element.element] = element.value(entry)
    disclose = [(str(position[0]), str(position[1])) for position in match.disclose]
    document = shown_document(
        credential, disclose, session.transcript, stated=stated, conduct=conduct, to=Endpoint.ANSWER
    )
    response = conduct.change(DEVICE_RESPONSE, build_device_response([document]), to=Endpoint.ANSWER)
    return base64url.encode(response)


def shown_document(
    credential: HeldMdoc,
    disclose: Sequence[tuple[str, str]],
    transcript: bytes,
    *,
    stated: Mapping[str, Mapping[str, object]] | None = None,
    conduct: Conduct,
    to: Endpoint,
) -> bytes:
    """One document of a DeviceResponse (ISO/IEC 18013-5 §8.3.2.1.2.2). stated: what the device says itself."""
    mdoc_shown = ShownMdoc(
        credential.issuer_signed, credential.stored.type, tuple(disclose), transcript, credential.stored.signer
    )
    shown = conduct.change(MDOC, mdoc_shown, to=to)
    document = build_document(
        shown.issuer_signed,
        doc_type=shown.doc_type,
        disclose=shown.disclose,
        session_transcript=shown.transcript,
        device_key=shown.device_key,
        reader_key=shown.reader_key,
        device_claims=stated,
    )
    return conduct.change(DOCUMENT, document, to=to)


def _transaction_claims(entries: Sequence[TransactionData]) -> dict[str, JsonValue]:
    """What the holder agreed to, hashed into the key binding (§B.3.3.1)."""
    if not entries:
        return {}
    alg = choose_hash(entries)
    return {
        "transaction_data_hashes": [hash_transaction_data(entry.encoded, alg=alg) for entry in entries],
        "transaction_data_hashes_alg": alg,
    }
