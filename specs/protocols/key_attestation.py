"""Key attestation: a wallet's provider says where keys are kept and who can use them (OpenID4VCI 1.0 App. D).

HAIP 1.0 §4.5.1: the signer's certificate chain stands in `x5c`. Levels follow ISO/IEC 18045 attack potentials (App.
D.2).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import (
    SIGNATURE_ALGS,
    PublicKey,
    build_jws,
    jwk_from_public_key,
    parse_jws,
    parse_x5c,
    verify_jws,
    x5c_header,
)
from specs.keys.signer import SigningIdentity
from specs.protocols.jwt_claims import (
    MAX_AHEAD,
    ClaimError,
    check_validity,
    optional_string,
    public_key,
    required_time,
    usable_algs,
)
from specs.refusal import ReasonCode
from specs.trust.x509 import CertificateProfile, TrustAnchor, ValidatedPath, validate_path

KEY_ATTESTATION_TYP = "key-attestation+jwt"
ISO_18045_LEVELS = ("iso_18045_basic", "iso_18045_enhanced-basic", "iso_18045_moderate", "iso_18045_high")

_MAX_CHARACTERS = 160 * 1024
_MAX_ATTESTED_KEYS = 1000


@dataclass(frozen=True, slots=True)
class KeyAttestationRequirements:
    """`key_attestations_required` of a configuration (§12.2.4): the accepted values, None for any."""

    key_storage: tuple[str, ...] | None = None
    user_authentication: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class HolderKey:
    """A key to bind a credential to. jwk: its required members. thumbprint: 32 bytes. kid: the wallet's name for it."""

    key: PublicKey
    jwk: dict[str, str]
    thumbprint: bytes
    kid: str | None = None


@dataclass(frozen=True, slots=True)
class KeyAttestation:
    """What a trusted wallet provider says about keys. Times: seconds since the epoch. status: not looked up."""

    attested_keys: tuple[HolderKey, ...]
    key_storage: tuple[str, ...]
    user_authentication: tuple[str, ...]
    nonce: str | None
    issued_at: float
    expires_at: float | None
    status: JsonValue
    attester: ValidatedPath


def build_key_attestation(
    *,
    attester: SigningIdentity,
    keys: Sequence[PublicKey],
    now: int,
    lifetime: int | None = None,
    nonce: str | None = None,
    key_storage: Sequence[str] = (),
    user_authentication: Sequence[str] = (),
    certification: str | None = None,
    status: JsonObject | None = None,
) -> str:
    """What a wallet provider signs about keys (App. D.1).

    now, lifetime: seconds; a lifetime is needed inside a `jwt` proof. nonce: the issuer's `c_nonce`.
    """
    claims: JsonObject = {"iat": now, "attested_keys": [dict(jwk_from_public_key(key)) for key in keys]}
    optional: dict[str, JsonValue] = {
        "exp": None if lifetime is None else now + lifetime,
        "nonce": nonce,
        "key_storage": list(key_storage) or None,
        "user_authentication": list(user_authentication) or None,
        "certification": certification,
        "status": status,
    }
    claims |= {name: value for name, value in optional.items() if value is not None}
    header = {"x5c": x5c_header(attester.chain)}
    return build_jws(strict_json.dumps(claims), signer=attester.signer, typ=KEY_ATTESTATION_TYP, header=header)


def verify_key_attestation(
    token: str,
    *,
    anchors: Sequence[TrustAnchor],
    now: int,
    expiry_required: bool,
    check_nonce: Callable[[str], bool] | None,
    requirements: KeyAttestationRequirements | None = None,
    allowed_algs: Collection[str] = SIGNATURE_ALGS,
    max_keys: int = _MAX_ATTESTED_KEYS,
    anchor_in_chain_allowed: bool = False,
) -> KeyAttestation:
    """Check a key attestation (App. D.1, F.1, F.3; HAIP §4.5.1).

    anchors: the attesters we believe. now: seconds since the epoch. expiry_required: `exp` must be there (inside a
    `jwt` proof).
    check_nonce: says whether a `c_nonce` is ours and live; None if we give none. requirements: what the configuration
    publishes.
    max_keys: most keys in one attestation.

    Raises:
        Refusal: NONCE_MISMATCH for a nonce that is not live; another reason for every other defect, a missing nonce
        among them.
    """
    if len(token) > _MAX_CHARACTERS:
        raise ClaimError(ReasonCode.LIMIT_EXCEEDED, "key attestation")
    jws = parse_jws(token, expected_typ=KEY_ATTESTATION_TYP, allowed_algs=usable_algs(allowed_algs))
    attester = validate_path(
        parse_x5c(jws.header),
        anchors=anchors,
        profile=CertificateProfile.ATTESTER,
        now=now,
        anchor_in_chain_allowed=anchor_in_chain_allowed,
    )
    verify_jws(jws, attester.leaf_key)
    claims = jws.claims()
    issued_at = required_time(claims, "iat")
    if issued_at > now + MAX_AHEAD:
        raise ClaimError(ReasonCode.CREDENTIAL_NOT_YET_VALID, "key attestation: iat is ahead")
    expires_at = required_time(claims, "exp") if expiry_required or "exp" in claims else None
    check_validity(claims, now=now)
    nonce = optional_string(claims, "nonce")
    if check_nonce is not None:
        if nonce is None:
            raise ClaimError(ReasonCode.CLAIM_INVALID, "key attestation: nonce is missing")
        if not check_nonce(nonce):
            raise ClaimError(ReasonCode.NONCE_MISMATCH, "key attestation: nonce")
    attestation = KeyAttestation(
        attested_keys=_attested_keys(claims.get("attested_keys"), max_keys=max_keys),
        key_storage=_levels(claims, "key_storage"),
        user_authentication=_levels(claims, "user_authentication"),
        nonce=nonce,
        issued_at=issued_at,
        expires_at=expires_at,
        status=claims.get("status"),
        attester=attester,
    )
    if requirements is not None:
        _check_level("key_storage", attestation.key_storage, requirements.key_storage)
        _check_level("user_authentication", attestation.user_authentication, requirements.user_authentication)
    return attestation


def holder_key(jwk: JsonValue) -> HolderKey:
    """A public JWK as a key to bind to; only its required members go on into the credential.

    Raises:
        JoseError: missing, private, of another kind, or not exactly a point of its curve.
    """
    key, thumbprint = public_key(jwk)
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return HolderKey(key, jwk_from_public_key(key), thumbprint, kid if isinstance(kid, str) else None)


def _attested_keys(value: JsonValue, *, max_keys: int) -> tuple[HolderKey, ...]:
    if not isinstance(value, list) or not value:
        raise ClaimError(ReasonCode.HOLDER_KEY_MISSING, "attested_keys is not a filled array")
    if len(value) > max_keys:
        raise ClaimError(ReasonCode.LIMIT_EXCEEDED, "attested_keys")
    keys = tuple(holder_key(jwk) for jwk in value)
    if len({key.thumbprint for key in keys}) != len(keys):
        raise ClaimError(ReasonCode.HOLDER_KEY_INVALID, "a key is attested twice")
    return keys


def _levels(claims: JsonObject, name: str) -> tuple[str, ...]:
    if name not in claims:
        return ()
    value = claims[name]
    if not isinstance(value, list) or not value:
        raise ClaimError(ReasonCode.CLAIM_INVALID, f"{name} is not a filled array")
    levels = tuple(level for level in value if isinstance(level, str))
    if len(levels) != len(value):
        raise ClaimError(ReasonCode.CLAIM_INVALID, f"{name} holds texts only")
    return levels


def _check_level(name: str, attested: tuple[str, ...], accepted: tuple[str, ...] | None) -> None:
    """An ISO level resists what every lower level resists (App. D.2); other values are compared as they are."""
    if accepted is None or not set(attested).isdisjoint(accepted):
        return
    least = min((ISO_18045_LEVELS.index(level) for level in accepted if level in ISO_18045_LEVELS), default=None)
    best = max((ISO_18045_LEVELS.index(level) for level in attested if level in ISO_18045_LEVELS), default=None)
    if least is None or best is None or best < least:
        raise ClaimError(ReasonCode.CLAIM_INVALID, f"{name} is below the required level")
