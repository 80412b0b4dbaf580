"""Key proofs: a wallet shows which keys its credentials are to be bound to (OpenID4VCI 1.0 §8.2, App. F).

Proof types `jwt` (each key signs; may carry a key attestation) and `attestation` (a wallet provider vouches for the
keys). Whether a nonce was used before is the caller's business: redeem `nonces` of the result, all or none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import Jws, build_jws, jwk_from_public_key, parse_jws, parse_x5c, verify_jws
from specs.keys.signer import Signer
from specs.protocols.jwt_claims import (
    MAX_AGE,
    MAX_AHEAD,
    ClaimError,
    check_freshness,
    check_validity,
    optional_string,
    required_string,
    required_time,
    usable_algs,
)
from specs.protocols.key_attestation import (
    HolderKey,
    KeyAttestation,
    KeyAttestationRequirements,
    holder_key,
    verify_key_attestation,
)
from specs.protocols.oauth import OAuthError
from specs.refusal import ReasonCode, Refusal
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import TrustAnchor

KEY_PROOF_TYP = "openid4vci-proof+jwt"
JWT = "jwt"
ATTESTATION = "attestation"
PROOF_TYPES = frozenset({JWT, ATTESTATION})
INVALID_PROOF = "invalid_proof"
INVALID_NONCE = "invalid_nonce"

_MAX_PROOF_CHARACTERS = 256 * 1024
_KEY_HEADERS = ("jwk", "kid", "x5c")


@dataclass(frozen=True, slots=True)
class ProofTypeSupport:
    """One entry of `proof_types_supported` (§12.2.4). key_attestations: None if none is needed."""

    signing_algs: tuple[str, ...]
    key_attestations: KeyAttestationRequirements | None = None


@dataclass(frozen=True, slots=True)
class Proofs:
    """The `proofs` of a credential request: one proof type and its proofs, not yet checked."""

    proof_type: str
    proofs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifiedProofs:
    """The keys to bind to, one credential for each, and the nonces that were used up by showing them."""

    keys: tuple[HolderKey, ...]
    nonces: frozenset[str]
    attestations: tuple[KeyAttestation, ...] = ()


def build_key_proof(
    *,
    signer: Signer,
    audience: str,
    now: int,
    nonce: str | None = None,
    client_id: str | None = None,
    key_attestation: str | None = None,
) -> str:
    """A `jwt` proof for one key (App. F.1).

    audience: the credential issuer's identifier. now: seconds since the epoch. nonce: a `c_nonce`. client_id: None
    after anonymous access.
    """
    claims: JsonObject = {"aud": audience, "iat": now}
    if nonce is not None:
        claims["nonce"] = nonce
    if client_id is not None:
        claims["iss"] = client_id
    header: JsonObject = {"jwk": dict(jwk_from_public_key(signer.public_key))}
    if key_attestation is not None:
        header["key_attestation"] = key_attestation
    return build_jws(strict_json.dumps(claims), signer=signer, typ=KEY_PROOF_TYP, header=header)


def verify_proofs(
    proofs: Proofs | None,
    *,
    expected_audience: str,
    expected_client_id: str | None,
    supported: Mapping[str, ProofTypeSupport],
    check_nonce: Callable[[str], bool] | None,
    attestation_anchors: Sequence[TrustAnchor],
    batch_size: int,
    now: int,
    max_age: int = MAX_AGE,
    max_ahead: int = MAX_AHEAD,
    anchor_in_chain_allowed: bool = False,
) -> VerifiedProofs:
    """Check all proofs of a credential request (§8.2, App. F.4, HAIP §4.5.1); one bad proof spoils all.

    expected_audience: our issuer identifier. expected_client_id: the token's client, None after anonymous access.
    supported: the configuration's `proof_types_supported`. check_nonce: says whether a `c_nonce` is ours and live;
    None if we have no nonce endpoint.
    attestation_anchors: the key attesters we believe. batch_size: most proofs, and most keys. now, max_age, max_ahead:
    seconds.

    Raises:
        OAuthError: status 400: `invalid_proof`; `invalid_nonce` for a nonce that is not live;
            `invalid_credential_request` for a proof type that is not supported or too many proofs.
    """
    if proofs is None or not proofs.proofs:
        raise OAuthError(INVALID_PROOF, "proofs is missing")
    support = supported.get(proofs.proof_type)
    if support is None:
        raise OAuthError("invalid_credential_request", "this proof type is not supported")
    if len(proofs.proofs) > batch_size:
        raise OAuthError("invalid_credential_request", "more proofs than batch_size")
    check = _Check(
        expected_audience=expected_audience,
        expected_client_id=expected_client_id,
        support=support,
        check_nonce=check_nonce,
        anchors=tuple(attestation_anchors),
        batch_size=batch_size,
        now=now,
        max_age=max_age,
        max_ahead=max_ahead,
        anchor_in_chain_allowed=anchor_in_chain_allowed,
        attestations={},
        live_nonces=set(),
    )
    try:
        return (
            _by_attestation(proofs.proofs, check) if proofs.proof_type == ATTESTATION else _by_jwt(proofs.proofs, check)
        )
    except Refusal as refusal:
        if refusal.reason is ReasonCode.NONCE_MISMATCH:
            raise OAuthError(INVALID_NONCE, "the nonce is not, or no longer, one of this issuer") from refusal
        raise OAuthError(INVALID_PROOF, f"a proof does not hold: {refusal}") from refusal


@dataclass(frozen=True, slots=True)
class _Check:
    """What one request's proofs are held against; what several share, an attestation or a nonce, is checked once."""

    expected_audience: str
    expected_client_id: str | None
    support: ProofTypeSupport
    check_nonce: Callable[[str], bool] | None
    anchors: tuple[TrustAnchor, ...]
    batch_size: int
    now: int
    max_age: int
    max_ahead: int
    anchor_in_chain_allowed: bool
    attestations: dict[str, KeyAttestation]
    live_nonces: set[str]

    def attestation(self, token: str, *, expiry_required: bool) -> KeyAttestation:
        if token not in self.attestations:
            self.attestations[token] = verify_key_attestation(
                token,
                anchors=self.anchors,
                now=self.now,
                expiry_required=expiry_required,
                check_nonce=self.check_nonce,
                requirements=self.support.key_attestations,
                allowed_algs=self.support.signing_algs,
                max_keys=self.batch_size,
                anchor_in_chain_allowed=self.anchor_in_chain_allowed,
            )
        return self.attestations[token]


def _by_attestation(proofs: tuple[str, ...], check: _Check) -> VerifiedProofs:
    if len(proofs) != 1:
        raise ClaimError(ReasonCode.LIMIT_EXCEEDED, "an attestation stands alone")
    attestation = check.attestation(proofs[0], expiry_required=False)
    nonces = frozenset() if attestation.nonce is None else frozenset({attestation.nonce})
    return VerifiedProofs(attestation.attested_keys, nonces, (attestation,))


def _by_jwt(proofs: tuple[str, ...], check: _Check) -> VerifiedProofs:
    keys: list[HolderKey] = []
    nonces: set[str] = set()
    for proof in proofs:
        key, nonce = _verify_jwt(proof, check)
        keys.append(key)
        if nonce is not None:
            nonces.add(nonce)
    if len({key.thumbprint for key in keys}) != len(keys):
        raise ClaimError(ReasonCode.HOLDER_KEY_INVALID, "two proofs with the same key")
    attestations = tuple(check.attestations.values())
    nonces.update(attestation.nonce for attestation in attestations if attestation.nonce is not None)
    # one proof may speak for all keys of its attestation (App. F.1)
    bound = attestations[0].attested_keys if len(keys) == 1 and attestations else tuple(keys)
    return VerifiedProofs(bound, frozenset(nonces), attestations)


def _verify_jwt(proof: str, check: _Check) -> tuple[HolderKey, str | None]:
    if len(proof) > _MAX_PROOF_CHARACTERS:
        raise ClaimError(ReasonCode.LIMIT_EXCEEDED, "proof")
    jws = parse_jws(proof, expected_typ=KEY_PROOF_TYP, allowed_algs=usable_algs(check.support.signing_algs))
    token = jws.header.get("key_attestation")
    attestation: KeyAttestation | None = None
    if token is not None:
        if not isinstance(token, str):
            raise ClaimError(ReasonCode.JWT_MALFORMED, "key_attestation is not a text")
        attestation = check.attestation(token, expiry_required=True)
    elif check.support.key_attestations is not None:
        raise ClaimError(ReasonCode.CLAIM_INVALID, "a key attestation is required")
    key = _proof_key(jws, attestation)
    verify_jws(jws, key.key)
    claims = jws.claims()
    if required_string(claims, "aud") != check.expected_audience:
        raise ClaimError(ReasonCode.AUDIENCE_MISMATCH, "aud is another issuer")
    issued_at = required_time(claims, "iat")
    check_freshness(issued_at, now=check.now, max_age=check.max_age, max_ahead=check.max_ahead)
    check_validity(claims, now=check.now, skew=check.max_ahead)
    if optional_string(claims, "iss") not in (None, check.expected_client_id):
        raise ClaimError(ReasonCode.CLAIM_INVALID, "iss is not the client of the access token")
    nonce = optional_string(claims, "nonce")
    if check.check_nonce is not None:
        if nonce is None:
            raise ClaimError(ReasonCode.CLAIM_INVALID, "nonce is missing")
        if nonce not in check.live_nonces and not check.check_nonce(nonce):
            raise ClaimError(ReasonCode.NONCE_MISMATCH, "nonce")
        check.live_nonces.add(nonce)
    return key, nonce


def _proof_key(jws: Jws, attestation: KeyAttestation | None) -> HolderKey:
    """The key that the header names, in one way; with an attestation it must be an attested one (App. D.1, F.1)."""
    named = [name for name in _KEY_HEADERS if name in jws.header]
    if len(named) != 1:
        raise ClaimError(ReasonCode.HOLDER_KEY_MISSING, "exactly one of jwk, kid, x5c names the key")
    if named[0] == "kid":
        return _attested_by_kid(jws.header["kid"], attestation)
    key = holder_key(jws.header["jwk"]) if named[0] == "jwk" else _certified_key(jws.header)
    if attestation is not None and key.thumbprint not in {
        attested.thumbprint for attested in attestation.attested_keys
    }:
        raise ClaimError(ReasonCode.HOLDER_KEY_INVALID, "the key is not an attested one")
    return key


def _attested_by_kid(kid: JsonValue, attestation: KeyAttestation | None) -> HolderKey:
    found = [] if attestation is None else [key for key in attestation.attested_keys if key.kid == kid]
    if len(found) != 1 or not isinstance(kid, str):
        raise ClaimError(ReasonCode.HOLDER_KEY_INVALID, "kid names no attested key")
    return found[0]


def _certified_key(header: JsonObject) -> HolderKey:
    """The key of the first certificate, which is only a way to write the key down: nobody is believed for it."""
    key = parse_certificate(parse_x5c(header)[0]).key
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise ClaimError(ReasonCode.KEY_INVALID, "the certificate's key is of another kind")
    return holder_key(dict(jwk_from_public_key(key)))
