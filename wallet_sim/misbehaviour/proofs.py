"""Wrong in proofs of the holder's keys (OpenID4VCI 1.0 App. D, F): credentials for keys that are not the wallet's."""

from dataclasses import replace

from specs.keys.jose import PrivateKey, jwk_from_public_key
from specs.keys.signer import generate_private_key, generate_signer
from wallet_sim.conduct import HOLDER_KEYS, KEY_ATTESTATION, KEY_PROOF, Endpoint, Jwt
from wallet_sim.misbehaviour.registry import Need, Past, Phase, Reaction, misbehaviour, refused, replaying

_TO = Endpoint.CREDENTIAL
_RULE = "OpenID4VCI 1.0 App. F.4"
_AN_HOUR = 3600
_HUGE = 200


def _not_proven() -> Reaction:
    return refused(_TO, 400, "invalid_proof")


@misbehaviour(
    "proof-nonce-wrong",
    Phase.ISSUANCE,
    at=KEY_PROOF,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.3.1.2",
    met_by=refused(_TO, 400, "invalid_nonce"),
)
def _(proof: Jwt) -> Jwt:
    """The key proof has a nonce that the issuer never gave."""
    return proof.claiming(nonce="never-given")


@replaying(
    "proof-nonce-used",
    Phase.ISSUANCE,
    at=KEY_PROOF,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.3.1.2, §13.8",
    met_by=refused(_TO, 400, "invalid_nonce"),
    needs=(Need.TWO_CREDENTIALS,),
)
def _(proof: Jwt, past: Past[Jwt]) -> Jwt:
    """The key proof has the nonce of an earlier request: a replayed proof."""
    return proof.claiming(nonce=past[0].claims["nonce"]) if past else proof


@misbehaviour("proof-nonce-missing", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key proof has no nonce though the issuer gives them."""
    return proof.without("nonce")


@misbehaviour("proof-other-issuer", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key proof was made for another issuer."""
    return proof.claiming(aud="https://elsewhere.example")


@misbehaviour("proof-other-key", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key proof is signed by another key than the one it names: somebody else's public key."""
    return proof.signed_by(generate_signer())


@misbehaviour("proof-signature", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key proof's signature is spoilt."""
    return replace(proof, spoilt=True)


@misbehaviour("proof-unsigned", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key proof has alg none and no signature."""
    return replace(proof.headed(alg="none"), unsigned=True)


@misbehaviour("proof-typ", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """A DPoP proof is passed off as a key proof."""
    return proof.headed(typ="dpop+jwt")


@misbehaviour("proof-old", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key proof was made an hour ago."""
    return proof.claiming(iat=_made(proof) - _AN_HOUR)


@misbehaviour("proof-future", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key proof was made in an hour."""
    return proof.claiming(iat=_made(proof) + _AN_HOUR)


@misbehaviour("proof-time-missing", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause=_RULE, met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key proof does not say when it was made."""
    return proof.without("iat")


@misbehaviour(
    "proof-other-client",
    Phase.ISSUANCE,
    at=KEY_PROOF,
    to=_TO,
    clause="OpenID4VCI 1.0 App. F.1 (iss)",
    met_by=_not_proven(),
)
def _(proof: Jwt) -> Jwt:
    """The key proof is another wallet's."""
    return proof.claiming(iss="https://wallet.example/another")


@misbehaviour(
    "proof-private-key",
    Phase.ISSUANCE,
    at=KEY_PROOF,
    to=_TO,
    clause=_RULE,
    met_by=_not_proven(),
)
def _(proof: Jwt) -> Jwt:
    """The key proof gives a private key away."""
    jwk = proof.header["jwk"]
    assert isinstance(jwk, dict)
    return proof.headed(jwk={**jwk, "d": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"})


@misbehaviour(
    "proof-two-key-names",
    Phase.ISSUANCE,
    at=KEY_PROOF,
    to=_TO,
    clause="OpenID4VCI 1.0 App. F.1 (jwk, kid)",
    met_by=_not_proven(),
)
def _(proof: Jwt) -> Jwt:
    """The key proof names its key in two ways, which may be two keys."""
    return proof.headed(kid="did:example:another#0")


@misbehaviour(
    "proof-key-missing", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause="OpenID4VCI 1.0 App. F.1", met_by=_not_proven()
)
def _(proof: Jwt) -> Jwt:
    """The key proof names no key at all."""
    return proof.headed(jwk=None, kid=None, x5c=None)


@misbehaviour("proof-key-off-curve", Phase.ISSUANCE, at=KEY_PROOF, to=_TO, clause="RFC 8725 §3.4", met_by=_not_proven())
def _(proof: Jwt) -> Jwt:
    """The key is a point that is not on its curve."""
    jwk = proof.header["jwk"]
    assert isinstance(jwk, dict)
    return proof.headed(jwk={**jwk, "y": jwk["x"]})


@misbehaviour(
    "proofs-same-key",
    Phase.ISSUANCE,
    at=HOLDER_KEYS,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.2, App. F.4",
    met_by=_not_proven(),
    needs=(Need.TWO_COPIES,),
)
def _(keys: tuple[PrivateKey, ...]) -> tuple[PrivateKey, ...]:
    """Two proofs of a batch are for the same key, so that the copies can be linked."""
    return (keys[0], keys[0])


@misbehaviour(
    "proofs-huge-batch",
    Phase.ISSUANCE,
    at=HOLDER_KEYS,
    to=_TO,
    clause="OpenID4VCI 1.0 §12.2.4 (batch_size)",
    met_by=refused(_TO, 400, "invalid_credential_request", "invalid_proof"),
    needs=(Need.TWO_COPIES,),
)
def _(_keys: tuple[PrivateKey, ...]) -> tuple[PrivateKey, ...]:
    """The batch has two hundred keys, whatever the issuer's batch_size."""
    return tuple(generate_private_key() for _ in range(_HUGE))


@replaying(
    "proofs-one-bad",
    Phase.ISSUANCE,
    at=KEY_PROOF,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.3.1.2",
    met_by=_not_proven(),
    needs=(Need.TWO_COPIES,),
)
def _(proof: Jwt, past: Past[Jwt]) -> Jwt:
    """One proof of a batch is spoilt, the first is good."""
    return replace(proof, spoilt=True) if past else proof


@misbehaviour(
    "key-attestation-missing",
    Phase.ISSUANCE,
    at=KEY_PROOF,
    to=_TO,
    clause="OpenID4VCI 1.0 App. D; HAIP 1.0 §4.5.1",
    met_by=_not_proven(),
    needs=(Need.KEY_ATTESTATION,),
)
def _(proof: Jwt) -> Jwt:
    """The key proof does not say where its key lives though that is demanded."""
    return proof.headed(key_attestation=None)


@misbehaviour(
    "key-attestation-stranger",
    Phase.ISSUANCE,
    at=KEY_ATTESTATION,
    to=_TO,
    clause="OpenID4VCI 1.0 App. D.1; HAIP 1.0 §4.5.1",
    met_by=_not_proven(),
    needs=(Need.KEY_ATTESTATION,),
)
def _(attestation: Jwt) -> Jwt:
    """The key attestation is signed by somebody else than the provider that it names."""
    return attestation.signed_by(generate_signer())


@misbehaviour(
    "key-attestation-other-keys",
    Phase.ISSUANCE,
    at=KEY_ATTESTATION,
    to=_TO,
    clause="OpenID4VCI 1.0 App. D.1, F.1",
    met_by=_not_proven(),
    needs=(Need.KEY_ATTESTATION,),
)
def _(attestation: Jwt) -> Jwt:
    """The key attestation is for other keys than the proven one."""
    return attestation.claiming(attested_keys=[{**jwk_from_public_key(generate_signer().public_key)}])


@misbehaviour(
    "key-attestation-weak",
    Phase.ISSUANCE,
    at=KEY_ATTESTATION,
    to=_TO,
    clause="OpenID4VCI 1.0 App. D.2",
    met_by=_not_proven(),
    needs=(Need.KEY_ATTESTATION,),
)
def _(attestation: Jwt) -> Jwt:
    """The keys live in a less safe place than is demanded."""
    return attestation.claiming(key_storage=["iso_18045_basic"])


@misbehaviour(
    "key-attestation-expired",
    Phase.ISSUANCE,
    at=KEY_ATTESTATION,
    to=_TO,
    clause="OpenID4VCI 1.0 App. D.1 (exp)",
    met_by=_not_proven(),
    needs=(Need.KEY_ATTESTATION,),
)
def _(attestation: Jwt) -> Jwt:
    """The key attestation ended an hour ago."""
    return attestation.claiming(exp=_made(attestation) - _AN_HOUR, iat=_made(attestation) - 2 * _AN_HOUR)


def _made(token: Jwt) -> int:
    made = token.claims["iat"]
    assert isinstance(made, int)
    return made
