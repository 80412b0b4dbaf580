"""What every proof of possession has in common: claims of one form, a time window, announced algorithms, a key.

Used by DPoP (RFC 9449), client attestations, key proofs and key attestations (OpenID4VCI 1.0 App. D, F).
"""

from collections.abc import Collection, Mapping
from functools import lru_cache

from specs.encoding import Malformed, numeric_date
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import SIGNATURE_ALGS, JoseError, PublicKey, key_thumbprint, parse_jwk
from specs.refusal import ReasonCode, Refusal

MAX_AGE = 300  # seconds back
MAX_AHEAD = 60  # seconds ahead

_CACHED_MEMBERS = frozenset({"kty", "crv", "x", "y", "kid", "alg", "use"})
_MAX_CACHED_CHARACTERS = 512


class ClaimError(Refusal):
    """A claim is missing, of another form, or says another time, person or place than it must."""


def required_string(claims: JsonObject, name: str) -> str:
    """A claim that must be a non-empty string.

    Raises:
        ClaimError: it is not.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise ClaimError(ReasonCode.CLAIM_INVALID, f"{name} is not a text")
    return value


def optional_string(claims: JsonObject, name: str) -> str | None:
    """A claim that is absent or a non-empty string.

    Raises:
        ClaimError: it is something else.
    """
    return required_string(claims, name) if name in claims else None


def optional_time(claims: JsonObject, name: str) -> float | None:
    """A claim that is absent or a NumericDate: seconds since the epoch (RFC 7519 §2).

    Raises:
        ClaimError: it is something else.
    """
    if name not in claims:
        return None
    try:
        return numeric_date.parse(claims[name])
    except Malformed as error:
        raise ClaimError(ReasonCode.CLAIM_INVALID, f"{name} is not a time") from error


def required_time(claims: JsonObject, name: str) -> float:
    """A claim that must be a NumericDate: seconds since the epoch (RFC 7519 §2).

    Raises:
        ClaimError: it is missing or something else.
    """
    value = optional_time(claims, name)
    if value is None:
        raise ClaimError(ReasonCode.CLAIM_INVALID, f"{name} is missing")
    return value


def check_validity(claims: JsonObject, *, now: int, skew: int = MAX_AHEAD) -> None:
    """Respect `exp` and `nbf` wherever a token carries them (RFC 7519 §4.1.4, §4.1.5). now, skew: seconds.

    Raises:
        ClaimError: the token is over, or has not begun.
    """
    expires_at, not_before = optional_time(claims, "exp"), optional_time(claims, "nbf")
    if expires_at is not None and now >= expires_at + skew:
        raise ClaimError(ReasonCode.CREDENTIAL_EXPIRED, "exp is over")
    if not_before is not None and now < not_before - skew:
        raise ClaimError(ReasonCode.CREDENTIAL_NOT_YET_VALID, "nbf is ahead")


def check_freshness(issued_at: float, *, now: int, max_age: int = MAX_AGE, max_ahead: int = MAX_AHEAD) -> None:
    """Hold `iat` against the clock. All numbers: seconds.

    Raises:
        ClaimError: made too long ago, or in the future.
    """
    if issued_at < now - max_age:
        raise ClaimError(ReasonCode.KEY_BINDING_EXPIRED, "iat is too long ago")
    if issued_at > now + max_ahead:
        raise ClaimError(ReasonCode.KEY_BINDING_NOT_YET_VALID, "iat is ahead")


def usable_algs(announced: Collection[str]) -> frozenset[str]:
    """The announced algorithms that we verify; `EdDSA` and `Ed25519` stand for each other (RFC 9864 §2.2)."""
    return _usable_algs(frozenset(announced))


def public_key(jwk: JsonValue) -> tuple[PublicKey, bytes]:
    """A public key out of a header or a `cnf` claim with its RFC 7638 thumbprint of 32 bytes.

    Raises:
        JoseError: missing, private, of another kind, or not exactly a point of its curve.
    """
    if not isinstance(jwk, dict):
        raise JoseError(ReasonCode.KEY_INVALID, "no public key")
    # a wallet shows the same key with each request: load it once
    texts = {name: value for name, value in jwk.items() if isinstance(value, str)}
    if (
        len(texts) == len(jwk)
        and jwk.keys() <= _CACHED_MEMBERS
        and sum(map(len, texts.values())) <= _MAX_CACHED_CHARACTERS
    ):
        return _cached_public_key(tuple(texts.items()))
    key = parse_jwk(jwk)
    return key, key_thumbprint(key)


def confirmation_key(claims: JsonObject) -> tuple[PublicKey, bytes]:
    """The key of `cnf.jwk` (RFC 7800 §3.2) with its thumbprint.

    Raises:
        ClaimError, JoseError: there is none, or it is no public key of ours.
    """
    confirmation = claims.get("cnf")
    if not isinstance(confirmation, Mapping):
        raise ClaimError(ReasonCode.HOLDER_KEY_MISSING, "cnf is missing")
    return public_key(confirmation.get("jwk"))


@lru_cache(maxsize=1024)
def _cached_public_key(members: tuple[tuple[str, str], ...]) -> tuple[PublicKey, bytes]:
    key = parse_jwk(dict(members))
    return key, key_thumbprint(key)


@lru_cache(maxsize=64)
def _usable_algs(announced: frozenset[str]) -> frozenset[str]:
    both = {"EdDSA", "Ed25519"} if announced & {"EdDSA", "Ed25519"} else set[str]()
    return (announced | both) & SIGNATURE_ALGS
