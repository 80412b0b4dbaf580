"""Client assertion: a client that registered its public keys signs who it is (`private_key_jwt`).

RFC 7523 §3, RFC 7521 §4.2; FAPI 2.0 Security Profile §5.3.2.1 (the audience is the server's issuer identifier, as one
text). Whether a `jti` was seen before is the caller's business: store `replay_key` until `remember_until` and refuse
what is there already.
"""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import SIGNATURE_ALGS, Jws, PublicKey, alg_fits_key, build_jws, parse_jws, verify_jws
from specs.keys.signer import Signer
from specs.protocols.jwt_claims import (
    MAX_AHEAD,
    ClaimError,
    check_validity,
    optional_string,
    optional_time,
    required_string,
    required_time,
    usable_algs,
)
from specs.protocols.oauth import CLIENT_ASSERTION_TYPE, INVALID_CLIENT, OAuthError
from specs.refusal import ReasonCode, Refusal

PRIVATE_KEY_JWT = "private_key_jwt"
CLIENT_ASSERTION_TYP = "client-authentication+jwt"

_TYPS = (CLIENT_ASSERTION_TYP, "JWT", None)  # RFC 7523 leaves it open
_MAX_CHARACTERS = 16 * 1024
_MAX_LIFE = 3600  # seconds; a `jti` must be remembered as long


@dataclass(frozen=True, slots=True)
class AssertedClient:
    """A client that proved by a registered key who it is.

    replay_key: 32 bytes that stand for this assertion's `jti`, to be refused a second time until `remember_until`
    (seconds since the epoch).
    """

    client_id: str
    replay_key: bytes
    remember_until: int


def build_client_assertion(
    *, signer: Signer, client_id: str, audience: str, now: int, lifetime: int = 60, kid: str | None = None
) -> str:
    """An assertion for one request (RFC 7523 §3). audience: the server's issuer identifier. now, lifetime: seconds."""
    claims: JsonObject = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + lifetime,
    }
    header: JsonObject = {} if kid is None else {"kid": kid}
    return build_jws(strict_json.dumps(claims), signer=signer, typ=CLIENT_ASSERTION_TYP, header=header)


def client_assertion_members(assertion: str) -> dict[str, str]:
    """The form members that carry an assertion (RFC 7523 §2.2)."""
    return {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": assertion}


def verify_client_assertion(
    assertion: str,
    *,
    keys_of: Callable[[str], Mapping[str, PublicKey] | None],
    expected_audience: str,
    now: int,
    expected_client_id: str | None = None,
    allowed_algs: Collection[str] = SIGNATURE_ALGS,
    max_ahead: int = MAX_AHEAD,
) -> AssertedClient:
    """Authenticate a client by an assertion (RFC 7523 §3).

    keys_of: the registered keys of a client by `kid`; None for a client that is not known. expected_audience: our
    issuer identifier. expected_client_id: the request's `client_id`, None if it has none. now, max_ahead: seconds.

    Raises:
        OAuthError: `invalid_client`, status 401.
    """
    try:
        return _verify(
            assertion,
            keys_of=keys_of,
            expected_audience=expected_audience,
            now=now,
            expected_client_id=expected_client_id,
            algs=usable_algs(allowed_algs),
            max_ahead=max_ahead,
        )
    except Refusal as refusal:
        # one sentence for all: another one for an unknown client would say who is registered
        raise OAuthError(INVALID_CLIENT, "the client assertion does not hold", 401) from refusal


def _verify(
    assertion: str,
    *,
    keys_of: Callable[[str], Mapping[str, PublicKey] | None],
    expected_audience: str,
    now: int,
    expected_client_id: str | None,
    algs: frozenset[str],
    max_ahead: int,
) -> AssertedClient:
    if len(assertion) > _MAX_CHARACTERS:
        raise ClaimError(ReasonCode.LIMIT_EXCEEDED, "too long")
    jws = parse_jws(assertion, expected_typ=_TYPS, allowed_algs=algs)
    claims = jws.claims()
    client_id = required_string(claims, "sub")
    if required_string(claims, "iss") != client_id or expected_client_id not in (None, client_id):
        raise ClaimError(ReasonCode.CLAIM_INVALID, "iss, sub and client_id are not one client")
    keys = keys_of(client_id)
    if not keys:
        raise ClaimError(ReasonCode.TRUST_NOT_CONFIGURED, "no key of this client is known")
    _verify_signature(jws, _candidates(jws, keys))
    if required_string(claims, "aud") != expected_audience:
        raise ClaimError(ReasonCode.AUDIENCE_MISMATCH, "aud is another server")
    jti = required_string(claims, "jti")
    expires_at = required_time(claims, "exp")
    check_validity(claims, now=now, skew=max_ahead)
    if expires_at > now + _MAX_LIFE:
        raise ClaimError(ReasonCode.CLAIM_INVALID, "exp is too far ahead")
    issued_at = optional_time(claims, "iat")
    if issued_at is not None and issued_at > now + max_ahead:
        raise ClaimError(ReasonCode.CREDENTIAL_NOT_YET_VALID, "iat is ahead")
    replay_key = sha256(b"\x00".join((client_id.encode(), expected_audience.encode(), jti.encode()))).digest()
    return AssertedClient(client_id, replay_key, ceil(expires_at) + max_ahead)


def _candidates(jws: Jws, keys: Mapping[str, PublicKey]) -> Sequence[PublicKey]:
    """The key that `kid` names; without one every key of the right kind, for a client may have several."""
    kid = optional_string(jws.header, "kid")
    if kid is not None:
        if kid not in keys:
            raise ClaimError(ReasonCode.KEY_INVALID, "kid is no registered key")
        return (keys[kid],)
    return [key for key in keys.values() if alg_fits_key(jws.alg, key)]


def _verify_signature(jws: Jws, candidates: Sequence[PublicKey]) -> None:
    for key in candidates:
        try:
            verify_jws(jws, key)
        except Refusal:
            continue
        return
    raise ClaimError(ReasonCode.SIGNATURE_INVALID, "by no registered key")
