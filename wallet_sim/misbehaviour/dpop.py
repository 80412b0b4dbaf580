"""Wrong in DPoP proofs (RFC 9449): tokens that are not bound to who holds them."""

import hashlib
from dataclasses import replace

from specs.encoding import base64url
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import generate_signer
from specs.protocols.dpop import DPOP_HEADER
from wallet_sim.conduct import DPOP, REQUEST, Endpoint, Jwt, Outgoing
from wallet_sim.misbehaviour.registry import Need, Past, Phase, Reaction, misbehaviour, refused, replaying

_TOKEN, _CREDENTIAL = Endpoint.TOKEN, Endpoint.CREDENTIAL
_RULE = "RFC 9449 §4.3"
_INVALID = "invalid_dpop_proof"
_AN_HOUR = 3600


def _at_token() -> Reaction:
    return refused(_TOKEN, 400, _INVALID)


def _at_credential() -> Reaction:
    return refused(_CREDENTIAL, 401, _INVALID, "invalid_token")


@misbehaviour(
    "dpop-missing",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_TOKEN,
    clause="HAIP 1.0 §4.3; RFC 9449 §5",
    met_by=refused(_TOKEN, 400, _INVALID, "invalid_request"),
)
def _(request: Outgoing) -> Outgoing:
    """The token is asked for without a DPoP proof, so that anybody could use it."""
    return request.headed(DPOP_HEADER, None)


@misbehaviour("dpop-twice", Phase.ISSUANCE, at=REQUEST, to=_TOKEN, clause=f"{_RULE} (1)", met_by=_at_token())
def _(request: Outgoing) -> Outgoing:
    """The request has two DPoP proofs."""
    again = next(each for each in request.headers if each[0] == DPOP_HEADER)
    return replace(request, headers=(*request.headers, again))


@misbehaviour("dpop-other-endpoint", Phase.ISSUANCE, at=DPOP, to=_TOKEN, clause=f"{_RULE} (9)", met_by=_at_token())
def _(proof: Jwt) -> Jwt:
    """The DPoP proof names another address than the one it is sent to."""
    return proof.claiming(htu="https://elsewhere.example/token")


@misbehaviour("dpop-other-method", Phase.ISSUANCE, at=DPOP, to=_TOKEN, clause=f"{_RULE} (8)", met_by=_at_token())
def _(proof: Jwt) -> Jwt:
    """The DPoP proof was made for a GET."""
    return proof.claiming(htm="GET")


@misbehaviour("dpop-signature", Phase.ISSUANCE, at=DPOP, to=_TOKEN, clause=f"{_RULE} (6)", met_by=_at_token())
def _(proof: Jwt) -> Jwt:
    """The DPoP proof's signature is spoilt."""
    return replace(proof, spoilt=True)


@misbehaviour("dpop-typ", Phase.ISSUANCE, at=DPOP, to=_TOKEN, clause=f"{_RULE} (4)", met_by=_at_token())
def _(proof: Jwt) -> Jwt:
    """A key proof is passed off as a DPoP proof."""
    return proof.headed(typ="openid4vci-proof+jwt")


@misbehaviour("dpop-unsigned", Phase.ISSUANCE, at=DPOP, to=_TOKEN, clause=f"{_RULE} (5)", met_by=_at_token())
def _(proof: Jwt) -> Jwt:
    """The DPoP proof has alg none and no signature."""
    return replace(proof.headed(alg="none"), unsigned=True)


@misbehaviour("dpop-future", Phase.ISSUANCE, at=DPOP, to=_TOKEN, clause=f"{_RULE} (11)", met_by=_at_token())
def _(proof: Jwt) -> Jwt:
    """The DPoP proof was made in an hour."""
    return proof.claiming(iat=_made(proof) + _AN_HOUR)


@misbehaviour("dpop-id-missing", Phase.ISSUANCE, at=DPOP, to=_TOKEN, clause=f"{_RULE} (3)", met_by=_at_token())
def _(proof: Jwt) -> Jwt:
    """The DPoP proof has no jti by which a replay would be noticed."""
    return proof.without("jti")


@replaying(
    "dpop-replayed",
    Phase.ISSUANCE,
    at=DPOP,
    to=_CREDENTIAL,
    clause="RFC 9449 §11.1",
    met_by=_at_credential(),
    needs=(Need.TWO_CREDENTIALS,),
)
def _(proof: Jwt, past: Past[Jwt]) -> Jwt:
    """The DPoP proof of an earlier request is sent again."""
    return past[0] if past else proof


@misbehaviour(
    "dpop-other-key", Phase.ISSUANCE, at=DPOP, to=_CREDENTIAL, clause="RFC 9449 §7.1", met_by=_at_credential()
)
def _(proof: Jwt) -> Jwt:
    """The token is used with another key than it was given to: a stolen token."""
    other = generate_signer()
    return proof.signed_by(other).headed(jwk={**jwk_from_public_key(other.public_key)})


@misbehaviour(
    "dpop-token-hash-missing", Phase.ISSUANCE, at=DPOP, to=_CREDENTIAL, clause=f"{_RULE} (12)", met_by=_at_credential()
)
def _(proof: Jwt) -> Jwt:
    """The DPoP proof does not say to which token it belongs."""
    return proof.without("ath")


@misbehaviour(
    "dpop-other-token", Phase.ISSUANCE, at=DPOP, to=_CREDENTIAL, clause=f"{_RULE} (12)", met_by=_at_credential()
)
def _(proof: Jwt) -> Jwt:
    """The DPoP proof belongs to another token."""
    return proof.claiming(ath=base64url.encode(hashlib.sha256(b"another token").digest()))


@misbehaviour(
    "dpop-of-token-request",
    Phase.ISSUANCE,
    at=DPOP,
    to=_CREDENTIAL,
    clause=f"{_RULE} (9)",
    met_by=_at_credential(),
)
def _(proof: Jwt) -> Jwt:
    """The DPoP proof of another request: its address is a neighbour of the one it is sent to."""
    return proof.claiming(htu=f"{str(proof.claims['htu']).rpartition('/')[0]}/token")


@misbehaviour(
    "token-as-bearer",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_CREDENTIAL,
    clause="RFC 9449 §7.1",
    met_by=refused(_CREDENTIAL, 401, "invalid_token", _INVALID),
)
def _(request: Outgoing) -> Outgoing:
    """The bound token is used as if it were a bearer token."""
    token = next(value for name, value in request.headers if name == "Authorization").partition(" ")[2]
    return request.headed("Authorization", f"Bearer {token}").headed(DPOP_HEADER, None)


@misbehaviour(
    "token-invented",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_CREDENTIAL,
    clause="RFC 6750 §3.1; RFC 9449 §7.1",
    met_by=refused(_CREDENTIAL, 401, "invalid_token", _INVALID),
)
def _(request: Outgoing) -> Outgoing:
    """The access token is a guess."""
    return request.headed("Authorization", "DPoP AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")


def _made(proof: Jwt) -> int:
    made = proof.claims["iat"]
    assert isinstance(made, int)
    return made
