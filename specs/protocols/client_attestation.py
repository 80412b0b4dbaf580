"""Client attestation: a wallet's provider vouches for it, and the wallet proves that it is the one vouched for.

draft-ietf-oauth-attestation-based-client-auth-07 §5, §6, §9 (the draft that OpenID4VCI 1.0 App. E names) with the
demands of HAIP 1.0 §4.4.1: the attester's certificate chain stands in `x5c`. Later drafts drop `iss`; it is compared
where it is present. Whether a `jti` was seen before is the caller's business: store `replay_key` until
`remember_until` and refuse what is there already (§12.1).
"""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256

from specs.encoding import Malformed, strict_json
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
from specs.keys.signer import Signer, SigningIdentity
from specs.protocols.jwt_claims import (
    MAX_AGE,
    MAX_AHEAD,
    ClaimError,
    check_freshness,
    check_validity,
    confirmation_key,
    optional_string,
    optional_time,
    required_string,
    required_time,
    usable_algs,
)
from specs.protocols.oauth import INVALID_CLIENT, InvalidAnswer, OAuthError
from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import CertificateProfile, TrustAnchor, ValidatedPath, validate_path

ATTESTATION_TYP = "oauth-client-attestation+jwt"
ATTESTATION_POP_TYP = "oauth-client-attestation-pop+jwt"
ATTESTATION_HEADER = "OAuth-Client-Attestation"
ATTESTATION_POP_HEADER = "OAuth-Client-Attestation-PoP"
ATTESTATION_CHALLENGE_HEADER = "OAuth-Client-Attestation-Challenge"
ATTEST_JWT_CLIENT_AUTH = "attest_jwt_client_auth"
INVALID_CLIENT_ATTESTATION = "invalid_client_attestation"
USE_ATTESTATION_CHALLENGE = "use_attestation_challenge"
USE_FRESH_ATTESTATION = "use_fresh_attestation"

_MAX_ATTESTATION_CHARACTERS = 128 * 1024
_MAX_POP_CHARACTERS = 16 * 1024


@dataclass(frozen=True, slots=True)
class AttestedClient:
    """A client that its attester vouched for and that proved it now.

    instance_thumbprint: 32 bytes, what refresh tokens are bound to (§10.3). expires_at: end of the attestation.
    status: the reference as attested, not looked up. replay_key: 32 bytes that stand for this proof's `jti`, to be
    refused a second time until `remember_until`. All times: seconds since the epoch.
    """

    client_id: str
    attester: ValidatedPath
    attester_name: str | None
    instance_key: PublicKey
    instance_thumbprint: bytes
    expires_at: float
    status: JsonValue
    wallet_name: str | None
    wallet_link: str | None
    challenge: str | None
    replay_key: bytes
    remember_until: int


def build_client_attestation(
    *,
    attester: SigningIdentity,
    client_id: str,
    instance_key: PublicKey,
    now: int,
    lifetime: int,
    attester_name: str | None = None,
    wallet_name: str | None = None,
    wallet_link: str | None = None,
    status: JsonObject | None = None,
) -> str:
    """What a wallet provider signs for one instance of its wallet (§5.1, OpenID4VCI App. E).

    client_id: shared by all instances of the wallet type (HAIP §4.4.1). now, lifetime: seconds. attester_name: `iss`.
    """
    claims: JsonObject = {
        "sub": client_id,
        "iat": now,
        "exp": now + lifetime,
        "cnf": {"jwk": dict(jwk_from_public_key(instance_key))},
    }
    optional: dict[str, JsonValue] = {
        "iss": attester_name,
        "wallet_name": wallet_name,
        "wallet_link": wallet_link,
        "status": status,
    }
    claims |= {name: value for name, value in optional.items() if value is not None}
    header = {"x5c": x5c_header(attester.chain)}
    return build_jws(strict_json.dumps(claims), signer=attester.signer, typ=ATTESTATION_TYP, header=header)


def build_client_attestation_pop(
    *, signer: Signer, client_id: str, audience: str, now: int, challenge: str | None = None, jti: str | None = None
) -> str:
    """The instance's proof that it has the attested key, for one request (§5.2).

    audience: the authorization server's issuer identifier. now: seconds since the epoch. jti: a fresh random one by
    default.
    """
    claims: JsonObject = {"iss": client_id, "aud": audience, "jti": jti or secrets.token_urlsafe(16), "iat": now}
    if challenge is not None:
        claims["challenge"] = challenge
    return build_jws(strict_json.dumps(claims), signer=signer, typ=ATTESTATION_POP_TYP)


def verify_client_attestation(
    attestations: Sequence[str],
    pops: Sequence[str],
    *,
    anchors: Sequence[TrustAnchor],
    expected_audience: str,
    now: int,
    expected_client_id: str | None = None,
    check_challenge: Callable[[str], bool] | None = None,
    challenge_required: bool = False,
    allowed_algs: Collection[str] = SIGNATURE_ALGS,
    max_age: int = MAX_AGE,
    max_ahead: int = MAX_AHEAD,
    max_attestation_age: int | None = None,
    anchor_in_chain_allowed: bool = False,
) -> AttestedClient:
    """Authenticate a client by its attestation (§9, OpenID4VCI App. E, HAIP §4.4.1).

    attestations, pops: all values of the two headers, as they came. anchors: the attesters we believe.
    expected_audience: our issuer identifier. expected_client_id: the request's `client_id`, None if it has none.
    check_challenge: says whether a challenge is one of ours and still live; None if we give none. A live challenge
    decides how fresh the proof is, in place of `iat`; its life must not be longer than `max_age`. max_attestation_age:
    oldest attestation taken by its `iat`, None for any. All times: seconds.

    Raises:
        OAuthError: `invalid_client` (401) if a header is missing or repeated or `client_id` is another's;
            `invalid_client_attestation` (400), `use_fresh_attestation` (400), `use_attestation_challenge` (400, the
            caller adds a fresh challenge header).
    """
    if len(attestations) != 1 or len(pops) != 1:
        raise OAuthError(INVALID_CLIENT, "exactly one client attestation and one proof of possession are needed", 401)
    try:
        return _verify(
            attestations[0],
            pops[0],
            anchors=anchors,
            expected_audience=expected_audience,
            now=now,
            expected_client_id=expected_client_id,
            check_challenge=check_challenge,
            challenge_required=challenge_required,
            algs=usable_algs(allowed_algs),
            max_age=max_age,
            max_ahead=max_ahead,
            max_attestation_age=max_attestation_age,
            anchor_in_chain_allowed=anchor_in_chain_allowed,
        )
    except Refusal as refusal:
        if refusal.reason is ReasonCode.NONCE_MISMATCH:
            raise OAuthError(USE_ATTESTATION_CHALLENGE, "a fresh challenge is needed") from refusal
        if refusal.reason is ReasonCode.CREDENTIAL_EXPIRED:
            raise OAuthError(USE_FRESH_ATTESTATION, "the client attestation is too old") from refusal
        raise OAuthError(INVALID_CLIENT_ATTESTATION, f"the client attestation does not hold: {refusal}") from refusal


def build_challenge_answer(challenge: str) -> JsonObject:
    """The body of the challenge endpoint (§8)."""
    return {"attestation_challenge": challenge}


def parse_challenge_answer(data: bytes) -> str:
    """Read the body of the challenge endpoint (§8).

    Raises:
        InvalidAnswer: no challenge in it.
    """
    try:
        challenge = strict_json.parse_object(data).get("attestation_challenge")
    except Malformed as error:
        raise InvalidAnswer(str(error)) from error
    if not isinstance(challenge, str) or not challenge:
        raise InvalidAnswer("attestation_challenge is missing")
    return challenge


def _verify(
    attestation: str,
    pop: str,
    *,
    anchors: Sequence[TrustAnchor],
    expected_audience: str,
    now: int,
    expected_client_id: str | None,
    check_challenge: Callable[[str], bool] | None,
    challenge_required: bool,
    algs: frozenset[str],
    max_age: int,
    max_ahead: int,
    max_attestation_age: int | None,
    anchor_in_chain_allowed: bool,
) -> AttestedClient:
    if len(attestation) > _MAX_ATTESTATION_CHARACTERS or len(pop) > _MAX_POP_CHARACTERS:
        raise ClaimError(ReasonCode.LIMIT_EXCEEDED, "too long")
    jws = parse_jws(attestation, expected_typ=ATTESTATION_TYP, allowed_algs=algs)
    attester = validate_path(
        parse_x5c(jws.header),
        anchors=anchors,
        profile=CertificateProfile.ATTESTER,
        now=now,
        anchor_in_chain_allowed=anchor_in_chain_allowed,
    )
    verify_jws(jws, attester.leaf_key)
    claims = jws.claims()
    client_id = required_string(claims, "sub")
    instance_key, instance_thumbprint = confirmation_key(claims)
    expires_at = required_time(claims, "exp")
    check_validity(claims, now=now, skew=max_ahead)
    issued_at = optional_time(claims, "iat")
    if issued_at is not None and issued_at > now + max_ahead:
        raise ClaimError(ReasonCode.CREDENTIAL_NOT_YET_VALID, "iat is ahead")
    if max_attestation_age is not None and (issued_at is None or issued_at < now - max_attestation_age):
        raise ClaimError(ReasonCode.CREDENTIAL_EXPIRED, "iat is too long ago")
    if expected_client_id is not None and expected_client_id != client_id:
        raise OAuthError(INVALID_CLIENT, "client_id is not the attested one", 401)

    pop_jws = parse_jws(pop, expected_typ=ATTESTATION_POP_TYP, allowed_algs=algs)
    verify_jws(pop_jws, instance_key)
    pop_claims = pop_jws.claims()
    if optional_string(pop_claims, "iss") not in (None, client_id):
        raise ClaimError(ReasonCode.CLAIM_INVALID, "iss is not the attested client")
    if required_string(pop_claims, "aud") != expected_audience:
        raise ClaimError(ReasonCode.AUDIENCE_MISMATCH, "aud is another server")
    jti = required_string(pop_claims, "jti")
    pop_issued_at = required_time(pop_claims, "iat")
    _check_pop_validity(pop_claims, now=now, skew=max_ahead)
    challenge = optional_string(pop_claims, "challenge")
    if check_challenge is None or (challenge is None and not challenge_required):
        check_freshness(pop_issued_at, now=now, max_age=max_age, max_ahead=max_ahead)
        remember_until = int(pop_issued_at) + max_age + 1
    elif challenge is not None and check_challenge(challenge):
        remember_until = now + max_age + 1
    else:
        raise ClaimError(ReasonCode.NONCE_MISMATCH, "challenge")
    return AttestedClient(
        client_id=client_id,
        attester=attester,
        attester_name=optional_string(claims, "iss"),
        instance_key=instance_key,
        instance_thumbprint=instance_thumbprint,
        expires_at=expires_at,
        status=claims.get("status"),
        wallet_name=_text_or_none(claims, "wallet_name"),
        wallet_link=_text_or_none(claims, "wallet_link"),
        challenge=challenge,
        replay_key=sha256(b"\x00".join((instance_thumbprint, expected_audience.encode(), jti.encode()))).digest(),
        remember_until=remember_until,
    )


def _check_pop_validity(claims: JsonObject, *, now: int, skew: int) -> None:
    """An `exp` of the proof speaks of the proof, not of the attestation: a fresh attestation would not help."""
    try:
        check_validity(claims, now=now, skew=skew)
    except ClaimError as error:
        raise ClaimError(ReasonCode.KEY_BINDING_EXPIRED, "the proof of possession is over or not begun") from error


def _text_or_none(claims: JsonObject, name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None
