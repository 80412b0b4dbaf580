"""Checks of batches and of encrypted messages at the credential endpoint (OpenID4VCI 1.0 §8.2, §10, §15.4)."""

import itertools
from collections.abc import Sequence

from conformance.check import HAIP, HIGH_ASSURANCE, PLAIN, Failed, NotApplicable, Registry
from conformance.credential_content import MDOC, SD_JWT, Content, content_of
from conformance.exchange import JSON, JWT, Answer
from conformance.issuer_content import digest_of
from conformance.issuer_session import Session, batch, batch_size, credentials_of, fresh_batch, refused, session
from conformance.issuer_target import IssuerTarget, shown
from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import JoseError, key_thumbprint
from specs.keys.jwe import DecryptionKey, decrypt, encrypt, new_decryption_key
from specs.keys.signer import generate_signer

BATCH_CHECKS: Registry[IssuerTarget] = Registry()
_check = BATCH_CHECKS.check
_HOUR = 3600
_SPREAD = 120  # seconds between the dates of a batch that make them tell nothing


def _batches(target: IssuerTarget) -> list[list[Content]]:
    """The batch of each format that there is."""
    found, reasons = [], []
    for form in (SD_JWT, MDOC):
        try:
            found.append([content_of(each, form) for each in batch(target, form).credentials])
        except NotApplicable as reason:
            reasons.append(str(reason))
    if not found:
        raise NotApplicable("; ".join(reasons))
    return found


@_check("batch-count", "OpenID4VCI 1.0 §8.2, §8.3")
def batch_count(target: IssuerTarget) -> str:
    """A batch holds no more credentials than keys were shown, each for one of them, no key twice."""
    seen = []
    for form in (SD_JWT, MDOC):
        try:
            got = fresh_batch(target, form)
        except NotApplicable:
            continue
        holders = [content_of(each, form).holder for each in got.credentials]
        shown_keys = {key_thumbprint(key.public_key) for key in got.keys}
        if len(holders) > len(got.keys):
            raise Failed(f"{len(got.keys)} credentials at most", str(len(holders)))
        if len(set(holders)) != len(holders) or not set(holders) <= shown_keys:
            raise Failed("one credential for one of our keys", "others")
        seen.append(f"{len(holders)} {form}")
    if not seen:
        _batches(target)  # says why there is none
    return ", ".join(seen)


@_check("batch-complete", "OpenID4VCI 1.0 §8.3", profiles=frozenset((HAIP, PLAIN)), is_advice=True)
def batch_complete(target: IssuerTarget) -> str:
    """A batch holds a credential for each key."""
    for form in (SD_JWT, MDOC):
        try:
            got = batch(target, form)
        except NotApplicable:
            continue
        if len(got.credentials) < len(got.keys):
            raise Failed(f"{len(got.keys)} credentials", f"{len(got.credentials)} {form}")
    return f"{len(_batches(target))} batches complete"


@_check("batch-same-data", "OpenID4VCI 1.0 §8.2")
def batch_same_data(target: IssuerTarget) -> str:
    """All credentials of a batch say the same."""
    for contents in _batches(target):
        if len({digest_of(content.claims) for content in contents}) != 1:
            raise Failed("the same claims in each", "differences")
    return "the same"


@_check("batch-salts", "RFC 9901 §9.3, §10.1; OpenID4VCI 1.0 §15.4")
def batch_salts(target: IssuerTarget) -> str:
    """No salt comes twice in a batch."""
    for contents in _batches(target):
        salts = [salt for content in contents for salt in content.salts]
        if len(set(salts)) != len(salts):
            raise Failed("fresh salts in each credential", "one twice")
    return "fresh in each"


@_check("batch-times", "OpenID4VCI 1.0 §15.4; HAIP 1.0 §4")
def batch_times(target: IssuerTarget) -> str:
    """The dates of a batch can't link its credentials: rounded to the hour, or the same as many others' by spread."""
    for contents in _batches(target):
        names = sorted({name for content in contents for name in content.times})
        for name in names:
            values = [content.times[name] for content in contents if name in content.times]
            rounded = all(value % _HOUR == 0 for value in values)
            if not rounded and max(values) - min(values) <= _SPREAD:
                raise Failed(f"{name} rounded to the hour", f"exact times in {contents[0].form}")
    return "rounded"


@_check("batch-status-distinct", "Token Status List §12.2; OpenID4VCI 1.0 §15.4")
def batch_status_distinct(target: IssuerTarget) -> str:
    """Each credential of a batch has a status entry of its own."""
    for contents in _batches(target):
        entries = [(content.status.uri, content.status.idx) for content in contents if content.status is not None]
        if len(set(entries)) != len(entries):
            raise Failed("an entry for each", "one shared")
    return "one each"


@_check("batch-status-unpredictable", "Token Status List §12.2; HAIP 1.0 §6.1", profiles=HIGH_ASSURANCE)
def batch_status_unpredictable(target: IssuerTarget) -> str:
    """The status entries of a batch don't follow each other."""
    for contents in _batches(target):
        indices = [content.status.idx for content in contents if content.status is not None]
        steps = {after - before for before, after in itertools.pairwise(indices)}
        if len(indices) > 2 and len(steps) == 1:
            raise Failed("indices in no order", f"steps of {steps.pop()}")
    return "in no order"


@_check("batch-status-one-list", "Token Status List §12.2", is_advice=True)
def batch_status_one_list(target: IssuerTarget) -> str:
    """All credentials of a batch are in one list, so that the list does not tell them from others'."""
    for contents in _batches(target):
        uris = {content.status.uri for content in contents if content.status is not None}
        if len(uris) > 1:
            raise Failed("one list", f"{len(uris)} lists")
    return "one list"


@_check("batch-too-many", "OpenID4VCI 1.0 §12.2.4, §8.3.1.2")
def batch_too_many(target: IssuerTarget) -> str:
    """More keys than batch_size are refused."""
    size = batch_size(target)
    if size is None:
        raise NotApplicable("no batches are offered")
    current = session(target, "too many")
    peer, grant = current.peer, current.grant
    if peer.proof_kind(grant.configuration) != "jwt":
        raise NotApplicable("the issuer takes no jwt proofs")
    keys = [generate_signer() for _ in range(size + 1)]
    proofs = peer.proofs(grant.configuration, keys, nonce=peer.nonce())
    return refused(peer.credential(grant, peer.request(grant, proofs)))


@_check("batch-one-bad", "OpenID4VCI 1.0 §8.3.1.2")
def batch_one_bad(target: IssuerTarget) -> str:
    """One bad proof among good ones refuses the request."""
    if batch_size(target) is None:
        raise NotApplicable("no batches are offered")
    current = session(target, "too many")
    peer, grant = current.peer, current.grant
    if peer.proof_kind(grant.configuration) != "jwt":
        raise NotApplicable("the issuer takes no jwt proofs")
    nonce = peer.nonce()
    good = _jwts(peer.proofs(grant.configuration, [generate_signer()], nonce=nonce))
    bad = _jwts(peer.proofs(grant.configuration, [generate_signer()], nonce=nonce, bend=lambda token: token.spoilt()))
    proofs: JsonObject = {"jwt": [*good, *bad]}
    return refused(peer.credential(grant, peer.request(grant, proofs)), errors=("invalid_proof",))


def _jwts(proofs: JsonObject | None) -> Sequence[JsonValue]:
    jwts = (proofs or {}).get("jwt")
    return jwts if isinstance(jwts, list) else []


# encrypted messages


def _request_key(target: IssuerTarget) -> JsonObject:
    offered = target.metadata.get("credential_request_encryption")
    jwks = offered.get("jwks") if isinstance(offered, dict) else None
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    for key in keys if isinstance(keys, list) else ():
        if isinstance(key, dict) and key.get("alg") == "ECDH-ES" and key.get("crv") == "P-256":
            return key
    raise NotApplicable("the issuer offers no key to encrypt a request to")


def _encs(target: IssuerTarget, name: str) -> list[str]:
    offered = target.metadata.get(name)
    encs = offered.get("enc_values_supported") if isinstance(offered, dict) else None
    return [str(each) for each in encs] if isinstance(encs, list) else []


def _encrypted(
    target: IssuerTarget, *, zip: str | None = None, **changes: JsonValue
) -> tuple[Answer, DecryptionKey, Session]:
    if "credential_response_encryption" not in target.metadata:
        raise NotApplicable("the issuer offers no encrypted answers")
    jwk, ours = _request_key(target), new_decryption_key("ours")
    wanted: JsonObject = {"jwk": dict(ours.public_jwk()), "enc": _encs(target, "credential_response_encryption")[0]}
    if zip is not None:
        wanted["zip"] = zip
    current = session(target, "encrypted")
    peer, grant = current.peer, current.grant
    body = peer.fresh_request(grant, credential_response_encryption=wanted | changes)
    enc = _encs(target, "credential_request_encryption")[0]
    sealed = encrypt(strict_json.dumps(body), jwk=jwk, enc=enc)
    where = target.endpoint(target.metadata, "credential_endpoint")
    return peer.post(where, sealed.encode(), JWT, grant), ours, current


def _read(answer: Answer, key: DecryptionKey) -> tuple[JsonObject, JsonObject]:
    if answer.status not in (200, 202) or answer.media_type != JWT:
        raise Failed(f"200 {JWT}", answer.described)
    try:
        opened = decrypt(answer.body.decode("ascii", "replace"), keys={key.kid: key}, allowed_zip=("DEF",))
    except JoseError as error:
        raise Failed("an answer encrypted to our key", str(error)) from None
    return dict(opened.header), strict_json.parse_object(opened.payload)


@_check("cred-encrypted", "OpenID4VCI 1.0 §8.2, §10")
def cred_encrypted(target: IssuerTarget) -> str:
    """An encrypted request brings an answer that is encrypted to the wallet's key."""
    answer, key, _ = _encrypted(target)
    header, body = _read(answer, key)
    return f"{len(credentials_of(body))} credential, {header.get('enc')}"


@_check("cred-encrypted-compressed", "OpenID4VCI 1.0 §8.2", is_advice=True)
def cred_encrypted_compressed(target: IssuerTarget) -> str:
    """Where compression is offered and asked for, the answer is compressed."""
    offered = target.metadata.get("credential_response_encryption")
    zips = offered.get("zip_values_supported") if isinstance(offered, dict) else None
    if not isinstance(zips, list) or "DEF" not in zips:
        raise NotApplicable("no compression is offered")
    answer, key, _ = _encrypted(target, zip="DEF")
    header, _ = _read(answer, key)
    if header.get("zip") != "DEF":
        raise Failed("zip DEF", shown(header.get("zip")))
    return "DEF"


@_check("cred-encryption-unknown", "OpenID4VCI 1.0 §8.3.1.2, §10")
def cred_encryption_unknown(target: IssuerTarget) -> str:
    """An encryption that is not offered is refused by its own code, in clear."""
    answer, _, _ = _encrypted(target, enc="A128CBC-HS256-unknown")
    said = refused(answer, errors=("invalid_encryption_parameters",))
    _in_clear(answer)
    return said


@_check("cred-encrypted-error", "OpenID4VCI 1.0 §8.3.1, §10")
def cred_encrypted_error(target: IssuerTarget) -> str:
    """An error is never encrypted."""
    jwk = _request_key(target)
    current = session(target, "encrypted")
    body: JsonObject = {"credential_configuration_id": "no-such-configuration", "proofs": {"jwt": ["a"]}}
    sealed = encrypt(strict_json.dumps(body), jwk=jwk, enc=_encs(target, "credential_request_encryption")[0])
    where = target.endpoint(target.metadata, "credential_endpoint")
    answer = current.peer.post(where, sealed.encode(), JWT, current.grant)
    said = refused(answer, errors=("unknown_credential_configuration",))
    _in_clear(answer)
    return said


def _in_clear(answer: Answer) -> None:
    try:
        answer.json_object()
    except Malformed:
        raise Failed(f"an error as {JSON}, in clear", answer.described) from None


@_check("cred-clear-for-encrypted", "OpenID4VCI 1.0 §8.2")
def clear_for_encrypted(target: IssuerTarget) -> str:
    """An encrypted answer can't be asked for in clear where requests can be encrypted."""
    _request_key(target)
    if "credential_response_encryption" not in target.metadata:
        raise NotApplicable("the issuer offers no encrypted answers")
    current = session(target, "encrypted")
    wanted: JsonObject = {
        "jwk": dict(new_decryption_key("ours").public_jwk()),
        "enc": _encs(target, "credential_response_encryption")[0],
    }
    peer, grant = current.peer, current.grant
    answer = peer.credential(grant, peer.fresh_request(grant, credential_response_encryption=wanted))
    return refused(answer, errors=("invalid_encryption_parameters", "invalid_credential_request"))
