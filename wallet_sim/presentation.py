"""One credential in answer to one question: as DCQL looks at it, and as it is shown (OpenID4VP 1.0 §6, App. B)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from specs.credentials import mdoc, sd_jwt_vc
from specs.credentials.key_binding import build_key_binding
from specs.credentials.mdoc_device import build_device_response, build_document
from specs.credentials.mdoc_values import json_value
from specs.credentials.sd_jwt import Processed, SdJwt
from specs.credentials.sd_jwt_present import parse_issued, read_as_holder, select_disclosures, serialize
from specs.credentials.session_transcript import openid4vp_transcript
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import thumbprint_bytes
from specs.protocols.dcql import FORMAT_SD_JWT_VC
from specs.protocols.dcql_match import Candidate, Match
from specs.protocols.openid4vp import AuthorizationRequest, TransactionData, choose_hash, hash_transaction_data
from specs.trust.parsed_certificate import parse_certificate
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


def build_presentation(
    match: Match[Held], request: AuthorizationRequest, *, agreed: Sequence[TransactionData] = (), now: int
) -> str:
    """The chosen claims of a credential, bound to the question by the holder's key.

    agreed: transaction data that this credential confirms. now: seconds since the epoch.

    Raises:
        RequestError: the question offers no key for the answer, or its transaction data can't be bound.
    """
    credential = match.candidate.key
    if isinstance(credential, HeldSdJwt):
        return _sd_jwt_with_key_binding(credential, match, request, agreed=agreed, now=now)
    return _device_response(credential, match, request)


def _sd_jwt_with_key_binding(
    credential: HeldSdJwt,
    match: Match[Held],
    request: AuthorizationRequest,
    *,
    agreed: Sequence[TransactionData],
    now: int,
) -> str:
    chosen = select_disclosures(credential.sd_jwt, credential.processed, paths=match.disclose)
    bound = build_key_binding(
        chosen,
        signer=credential.stored.signer,
        nonce=request.nonce,
        audience=_client_id(request),
        issued_at=now,
        sd_alg=credential.processed.sd_alg,
        claims=_transaction_claims(agreed),
    )
    return serialize(bound)


def _device_response(credential: HeldMdoc, match: Match[Held], request: AuthorizationRequest) -> str:
    """One mdoc in a DeviceResponse of its own, in the session of this question (§B.2.5, §B.2.6; HAIP §5.3.1)."""
    thumbprint: bytes | None = None
    if request.response_mode.is_encrypted and request.client_metadata is not None:
        thumbprint = thumbprint_bytes(request.client_metadata.encryption_key())
    transcript = openid4vp_transcript(
        client_id=_client_id(request),
        nonce=request.nonce,
        jwk_thumbprint=thumbprint,
        response_uri=request.response_uri or request.redirect_uri or "",
    )
    document = build_document(
        credential.issuer_signed,
        doc_type=credential.stored.type,
        disclose=[(str(position[0]), str(position[1])) for position in match.disclose],
        session_transcript=transcript,
        device_key=credential.stored.signer,
    )
    return base64url.encode(build_device_response([document]))


def _client_id(request: AuthorizationRequest) -> str:
    assert request.client_id is not None  # only questions over the Digital Credentials API may have none
    return request.client_id.text


def _transaction_claims(entries: Sequence[TransactionData]) -> dict[str, JsonValue]:
    """What the holder agreed to, hashed into the key binding (§B.3.3.1)."""
    if not entries:
        return {}
    alg = choose_hash(entries)
    return {
        "transaction_data_hashes": [hash_transaction_data(entry.encoded, alg=alg) for entry in entries],
        "transaction_data_hashes_alg": alg,
    }
