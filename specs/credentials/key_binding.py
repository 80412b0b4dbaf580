"""KB-JWT: the holder's signature that binds one presentation to one question (RFC 9901 §4.3, §7.3)."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from specs.credentials.sd_jwt import DEFAULT_LIMITS, Limits, SdJwt, SdJwtError, digests_of
from specs.encoding import Malformed, numeric_date, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import SIGNATURE_ALGS, JoseError, Jws, PublicKey, build_jws, parse_jws, verify_jws
from specs.keys.signer import Signer
from specs.refusal import ReasonCode

TYP = "kb+jwt"
_SET_BY_US = frozenset({"iat", "aud", "nonce", "sd_hash"})


class KeyBinding(NamedTuple):
    """A KB-JWT taken apart; its claims are the sender's until `verify_key_binding` has passed."""

    jws: Jws
    claims: JsonObject


def parse_key_binding(
    sd_jwt: SdJwt, *, allowed_algs: Collection[str] = SIGNATURE_ALGS, limits: Limits = DEFAULT_LIMITS
) -> KeyBinding:
    """Read the KB-JWT of an SD-JWT+KB (RFC 9901 §7.3 steps 5b and 5d). Nothing in its header chooses the key.

    Raises:
        SdJwtError: not a JWT, another `typ`, an algorithm that is not allowed, any `crit`.
    """
    try:
        content = None if sd_jwt.texts is None else sd_jwt.texts.values[1]
        jws = parse_jws(sd_jwt.parts[-1], expected_typ=TYP, allowed_algs=allowed_algs, content=content)
        return KeyBinding(jws, jws.claims(max_depth=limits.max_json_depth))
    except JoseError as error:
        raise _of_key_binding(error) from error


def check_addressee(key_binding: KeyBinding, *, expected_nonce: str, expected_audience: str) -> None:
    """Is this the answer to our question? `nonce` and `aud`, each one exact string (RFC 9901 §7.3 step 5f).

    Raises:
        SdJwtError: NONCE_MISMATCH or AUDIENCE_MISMATCH.
    """
    nonce, audience = key_binding.claims.get("nonce"), key_binding.claims.get("aud")
    # whoever answers was told both, so that the time that a comparison takes tells nothing
    if type(nonce) is not str or nonce != expected_nonce:
        raise SdJwtError(ReasonCode.NONCE_MISMATCH)
    if type(audience) is not str or audience != expected_audience:
        raise SdJwtError(ReasonCode.AUDIENCE_MISMATCH)


def verify_key_binding(
    key_binding: KeyBinding,
    *,
    holder_key: PublicKey,
    hashed_part: bytes,
    sd_alg: str,
    expected_nonce: str,
    expected_audience: str,
    now: int,
    max_age: int = 300,
    skew: int = 60,
) -> None:
    """Check that the holder made this presentation, for us, just now (RFC 9901 §7.3 step 5; OpenID4VP §B.3.6).

    hashed_part: `SdJwt.hashed_part`. sd_alg: `Processed.sd_alg`. now: seconds since the epoch. max_age, skew: seconds
    that `iat` may lie back or ahead.

    Raises:
        SdJwtError: signature, nonce, audience, age or `sd_hash` does not hold; `.reason` says which.
    """
    try:
        verify_jws(key_binding.jws, holder_key)
    except JoseError as error:
        raise _of_key_binding(error) from error
    check_addressee(key_binding, expected_nonce=expected_nonce, expected_audience=expected_audience)
    claims = key_binding.claims
    _check_times(claims, now=now, max_age=max_age, skew=skew)
    sd_hash = claims.get("sd_hash")
    if not isinstance(sd_hash, str) or sd_hash != digests_of((hashed_part,), sd_alg=sd_alg)[0]:
        raise SdJwtError(ReasonCode.SD_HASH_MISMATCH)


def build_key_binding(
    sd_jwt: SdJwt,
    *,
    signer: Signer,
    nonce: str,
    audience: str,
    issued_at: int,
    sd_alg: str = "sha-256",
    claims: Mapping[str, JsonValue] | None = None,
) -> SdJwt:
    """Bind a selection of disclosures to one question: the SD-JWT+KB (RFC 9901 §4.3).

    issued_at: seconds since the epoch. sd_alg: the credential's `_sd_alg`. claims: further ones, such as
    `transaction_data_hashes`.

    Raises:
        SdJwtError: a further claim is one that is set here.
    """
    if claims and not _SET_BY_US.isdisjoint(claims):
        raise SdJwtError(ReasonCode.KEY_BINDING_MALFORMED, "a claim that is set here")
    payload: JsonObject = {
        "iat": issued_at,
        "aud": audience,
        "nonce": nonce,
        "sd_hash": digests_of((sd_jwt.hashed_part,), sd_alg=sd_alg)[0],
        **(claims or {}),
    }
    kb_jwt = build_jws(strict_json.dumps(payload), signer=signer, typ=TYP)
    return SdJwt((*sd_jwt.parts[:-1], kb_jwt.encode("ascii")), None)


def _check_times(claims: JsonObject, *, now: int, max_age: int, skew: int) -> None:
    try:
        made = numeric_date.parse(claims.get("iat"))
        end = numeric_date.parse(claims["exp"]) if "exp" in claims else None
        begin = numeric_date.parse(claims["nbf"]) if "nbf" in claims else None
    except Malformed as error:
        raise SdJwtError(ReasonCode.KEY_BINDING_MALFORMED, "iat, exp or nbf") from error
    if made > now + skew or (begin is not None and begin > now + skew):
        raise SdJwtError(ReasonCode.KEY_BINDING_NOT_YET_VALID)
    if made < now - max_age or (end is not None and end <= now - skew):
        raise SdJwtError(ReasonCode.KEY_BINDING_EXPIRED)


_REASONS = {
    ReasonCode.JWT_MALFORMED: ReasonCode.KEY_BINDING_MALFORMED,
    ReasonCode.SIGNATURE_INVALID: ReasonCode.KEY_BINDING_SIGNATURE_INVALID,
}


def _of_key_binding(error: JoseError) -> SdJwtError:
    return SdJwtError(_REASONS.get(error.reason, error.reason), f"key binding: {error.detail}")
