"""The question, signed: the request object (OpenID4VP 1.0 §5, §5.8, §5.9.3, §12; RFC 9101)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import (
    Jws,
    PublicKey,
    build_jws,
    parse_jwk,
    parse_jws,
    parse_x5c,
    verify_jws,
    x5c_header,
)
from specs.keys.jwe import DecryptionKey, decrypt, encrypt
from specs.keys.signer import SigningIdentity
from specs.protocols.openid4vp.addresses import check_https
from specs.protocols.openid4vp.client_id import (
    ClientId,
    ClientIdPrefix,
    check_answer_address,
    check_certificate,
)
from specs.protocols.openid4vp.errors import AnswerAddress, RequestError, invalid_request
from specs.protocols.openid4vp.request import (
    REDIRECT_MODES,
    AuthorizationRequest,
    ResponseMode,
    client_id_of,
    parse_authorization_request,
    text,
)
from specs.refusal import ReasonCode, Refusal

REQUEST_OBJECT_TYP = "oauth-authz-req+jwt"
REQUEST_OBJECT_MEDIA_TYPE = "application/oauth-authz-req+jwt"
ATTESTATION_TYP = "verifier-attestation+jwt"
SELF_ISSUED_AUDIENCE = "https://self-issued.me/v2"
"""The audience of a wallet that was not looked up before (static discovery, §5.8)."""

ChainValidator: TypeAlias = Callable[[tuple[bytes, ...]], PublicKey]
"""Validates a chain (DER, leaf first) up to a trusted anchor and returns the leaf's key, or raises a Refusal."""


@dataclass(frozen=True, slots=True)
class RequestTrust:
    """Whose questions a wallet answers. What is left out trusts nobody.

    attesters: keys of issuers of verifier attestations, by `iss`. registered: keys of pre-registered clients, by id.
    """

    validate_chain: ChainValidator
    attesters: Mapping[str, PublicKey] = field(default_factory=dict)
    registered: Mapping[str, PublicKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request object whose signature holds, and the chain of its access certificate where it has one."""

    request: AuthorizationRequest
    claims: JsonObject
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Asker:
    client_id: ClientId
    key: PublicKey
    chain: tuple[bytes, ...] = ()
    attested_addresses: tuple[str, ...] | None = None


def build_request_object(
    params: JsonObject,
    *,
    identity: SigningIdentity,
    issued_at: int,
    lifetime: int,
    wallet_nonce: str | None = None,
    attestation: str | None = None,
    kid: str | None = None,
    audience: str = SELF_ISSUED_AUDIENCE,
) -> str:
    """Sign a question (§5, RFC 9101 §4): a compact JWS.

    params: from `build_authorization_request`. issued_at: seconds since the epoch. lifetime: seconds. wallet_nonce: as
    the wallet posted it (§5.10). attestation, kid: for the prefixes that need them (§5.9.3).

    Raises:
        RequestError: the identifier can't be signed for with this identity.
    """
    client_id = client_id_of(params)
    header = request_header(client_id, identity=identity, attestation=attestation, kid=kid)
    claims: JsonObject = {
        "iss": client_id.text,
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        **params,
    }
    if wallet_nonce is not None:
        claims["wallet_nonce"] = wallet_nonce
    return build_jws(strict_json.dumps(claims), signer=identity.signer, typ=REQUEST_OBJECT_TYP, header=header)


def encrypt_request_object(signed: str, *, jwk: JsonObject, enc: str) -> str:
    """Close a signed question for one wallet (§5.10.1, RFC 9101 §6.1): the signature inside, the encryption around it.

    Raises:
        JoseError: a key or an encryption that we can't use.
    """
    return encrypt(signed.encode(), jwk=jwk, enc=enc, header={"typ": REQUEST_OBJECT_TYP, "cty": "JWT"})


def decrypt_request_object(token: str, *, key: DecryptionKey) -> str:
    """Open a question that was encrypted to the wallet's key: the signed request object (§5.10.1, RFC 7519 §5.2).

    Raises:
        Refusal: it does not open, or holds no signed token.
    """
    opened = decrypt(token, keys={key.kid: key})
    if opened.header.get("cty") not in ("JWT", "jwt", REQUEST_OBJECT_TYP):
        raise Refusal(ReasonCode.TYP_MISMATCH, "cty")
    return opened.payload.decode("ascii", "replace")


def request_header(
    client_id: ClientId, *, identity: SigningIdentity, attestation: str | None = None, kid: str | None = None
) -> dict[str, JsonValue | Sequence[str]]:
    """The header members by which a wallet finds the key (§5.9.3).

    Raises:
        RequestError: what the prefix needs is missing, or is another's.
    """
    match client_id.prefix:
        case ClientIdPrefix.X509_HASH | ClientIdPrefix.X509_SAN_DNS:
            if not identity.chain:
                raise invalid_request("x5c: no certificate to sign with")
            check_certificate(client_id, identity.chain[0])
            return {"x5c": x5c_header(identity.chain)}
        case ClientIdPrefix.VERIFIER_ATTESTATION if attestation is not None:
            return {"jwt": attestation}
        case ClientIdPrefix.DECENTRALIZED_IDENTIFIER if kid is not None:
            return {"kid": kid}
        case ClientIdPrefix.PRE_REGISTERED | ClientIdPrefix.OPENID_FEDERATION:
            return {"kid": kid} if kid is not None else {}
        case _:
            raise invalid_request(f"client_id: a question under {client_id.prefix} can't be signed so")


def parse_and_verify_request_object(
    token: str,
    *,
    expected_client_id: str,
    trust: RequestTrust,
    now: int,
    expected_audience: str = SELF_ISSUED_AUDIENCE,
    expected_wallet_nonce: str | None = None,
    known_transaction_data: Sequence[str] = (),
    allow_loopback_http: bool = False,
    skew: int = 60,
) -> VerifiedRequest:
    """The wallet's look at a request object (§5.10.1): signed by the client it names, for us, now, and understood.

    expected_client_id: as outside the request object. now: seconds since the epoch. skew: seconds.

    Raises:
        Refusal: not a request object, the signature does not hold, or nobody trusted vouches for its key.
        RequestError: a rule is broken; `.answer_to` is set once the question is known to be the client's own.
    """
    jws = parse_jws(token, expected_typ=REQUEST_OBJECT_TYP)
    claims = jws.claims()
    if text(claims, "client_id") != expected_client_id:
        raise invalid_request("client_id: not the same inside the request object")
    verified = verify_asker(jws, claims, trust=trust, now=now, skew=skew)
    check_times(claims, now=now, skew=skew)
    try:
        _check_audience(claims.get("aud"), expected_audience)
        if expected_wallet_nonce is not None and claims.get("wallet_nonce") != expected_wallet_nonce:
            raise invalid_request("wallet_nonce: not the one that was sent")
        request = parse_authorization_request(
            claims,
            signed=True,
            allowed_modes=REDIRECT_MODES,
            known_transaction_data=known_transaction_data,
            attested_addresses=verified.attested_addresses,
            allow_loopback_http=allow_loopback_http,
        )
    except RequestError as error:
        error.answer_to = _answer_address(claims, verified, allow_loopback_http=allow_loopback_http)
        raise
    return VerifiedRequest(request, claims, verified.chain)


def verify_asker(jws: Jws, members: JsonObject, *, trust: RequestTrust, now: int, skew: int) -> _Asker:
    """Find the key of the client that `members` name, and check the signature with it (§5.9.3).

    Raises:
        Refusal: the signature, the chain or the attestation does not hold.
        RequestError: the identifier is malformed, another's, or of a kind that can't be checked.
    """
    client_id = client_id_of(members)
    match client_id.prefix:
        case ClientIdPrefix.X509_HASH | ClientIdPrefix.X509_SAN_DNS:
            chain = parse_x5c(jws.header)
            check_certificate(client_id, chain[0])
            asker = _Asker(client_id, trust.validate_chain(chain), chain)
        case ClientIdPrefix.VERIFIER_ATTESTATION:
            asker = _attested_asker(jws.header.get("jwt"), client_id, trust=trust, now=now, skew=skew)
        case ClientIdPrefix.PRE_REGISTERED if client_id.text in trust.registered:
            asker = _Asker(client_id, trust.registered[client_id.text])
        case _:
            raise invalid_request(f"client_id: nobody known vouches for {client_id.prefix}")
    verify_jws(jws, asker.key)
    return asker


def _attested_asker(attestation: JsonValue, client_id: ClientId, *, trust: RequestTrust, now: int, skew: int) -> _Asker:
    """§12: an attestation by a trusted issuer names the client and its key."""
    if not isinstance(attestation, str):
        raise invalid_request("jwt: the attestation is missing")
    jws = parse_jws(attestation, expected_typ=ATTESTATION_TYP)
    claims = jws.claims()
    issuer = claims.get("iss")
    key = trust.attesters.get(issuer) if isinstance(issuer, str) else None
    if key is None:
        raise invalid_request("jwt: the attestation is by nobody who is trusted")
    verify_jws(jws, key)
    if "exp" not in claims:
        raise invalid_request("jwt: the attestation has no end")
    check_times(claims, now=now, skew=skew)
    if claims.get("sub") != client_id.identifier:
        raise invalid_request("jwt: the attestation is another's")
    cnf = claims.get("cnf")
    addresses: tuple[str, ...] | None = None
    if "redirect_uris" in claims:
        listed = claims["redirect_uris"]
        addresses = tuple(item for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()
    key = parse_jwk(cnf.get("jwk") if isinstance(cnf, dict) else None)
    return _Asker(client_id, key, attested_addresses=addresses)


def check_times(claims: JsonObject, *, now: int, skew: int) -> None:
    """`exp`, `nbf` and `iat`, where they are there (RFC 7519 §4.1). now, skew: seconds.

    Raises:
        RequestError: over, not yet begun, or no number.
    """
    times: dict[str, int | float] = {}
    for name in ("exp", "nbf", "iat"):
        if name in claims:
            value = claims[name]
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise invalid_request(f"{name}: not a number")
            times[name] = value
    if "exp" in times and times["exp"] + skew <= now:
        raise invalid_request("exp: the question is over")
    if max(times.get("nbf", 0), times.get("iat", 0)) > now + skew:
        raise invalid_request("the question has not begun")


def _check_audience(value: JsonValue, expected: str) -> None:
    if value != expected and not (isinstance(value, list) and expected in value):
        raise invalid_request("aud: the question is for somebody else")


def _answer_address(claims: JsonObject, asker: _Asker, *, allow_loopback_http: bool) -> AnswerAddress | None:
    """Where to post an error: only to an address that the client may name, and only if that is how it wants answers."""
    address, state = claims.get("response_uri"), claims.get("state")
    if claims.get("response_mode") not in (ResponseMode.DIRECT_POST, ResponseMode.DIRECT_POST_JWT):
        return None
    if not isinstance(address, str):
        return None
    try:
        check_https(address, name="response_uri", allow_loopback_http=allow_loopback_http)
        check_answer_address(asker.client_id, address, attested=asker.attested_addresses)
    except RequestError:
        return None
    return AnswerAddress(address, state if isinstance(state, str) else None)
