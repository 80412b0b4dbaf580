"""Wrong in showing an SD-JWT VC (RFC 9901 §7.3, OpenID4VP 1.0 App. B.3): what is disclosed, and what binds it."""

import json
from dataclasses import replace

from specs.credentials.sd_jwt import SdJwt
from specs.encoding import base64url, strict_json
from specs.keys.signer import generate_signer
from wallet_sim.conduct import KEY_BINDING, PRESENTATION, SD_JWT, Endpoint, Jwt, ShownSdJwt
from wallet_sim.misbehaviour.registry import (
    SD_JWT_ONLY,
    Need,
    Phase,
    Reaction,
    misbehaviour,
    not_believed,
    refused,
)

_TO = Endpoint.ANSWER
_BINDING = "RFC 9901 §7.3 (5); OpenID4VP 1.0 App. B.3.6"
_DISCLOSURES = "RFC 9901 §7.1 (3)"
_AN_HOUR = 3600
_DEEP = 3000


@misbehaviour(
    "binding-nonce-wrong",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="OpenID4VP 1.0 §14.1; RFC 9901 §7.3 (5f)",
    met_by=not_believed("nonce_mismatch"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding has another nonce than the question."""
    return binding.claiming(nonce="another-question")


@misbehaviour(
    "binding-other-verifier",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="OpenID4VP 1.0 §14.1, App. B.3.6",
    met_by=not_believed("audience_mismatch"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding was made for another verifier, who passes it on."""
    return binding.claiming(aud="x509_hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")


@misbehaviour(
    "binding-audience-without-prefix",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="OpenID4VP 1.0 App. B.3.6, §5.9.3",
    met_by=not_believed("audience_mismatch"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding names the verifier without the prefix of its client_id."""
    return binding.claiming(aud=str(binding.claims["aud"]).partition(":")[2])


@misbehaviour(
    "binding-stale",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="RFC 9901 §7.3 (5e)",
    met_by=not_believed("key_binding_expired"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding was made an hour ago."""
    return binding.claiming(iat=_made(binding) - _AN_HOUR)


@misbehaviour(
    "binding-future",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="RFC 9901 §7.3 (5e)",
    met_by=not_believed("key_binding_not_yet_valid"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding was made in an hour."""
    return binding.claiming(iat=_made(binding) + _AN_HOUR)


@misbehaviour(
    "binding-time-missing",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="RFC 9901 §4.3 (iat)",
    met_by=not_believed("key_binding_malformed"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding does not say when it was made."""
    return binding.without("iat")


@misbehaviour(
    "binding-other-holder",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause=_BINDING,
    met_by=not_believed("key_binding_signature_invalid"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding is signed by another holder's key: a copied credential."""
    return binding.signed_by(generate_signer())


@misbehaviour(
    "binding-signature",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause=_BINDING,
    met_by=not_believed("key_binding_signature_invalid"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding's signature is spoilt."""
    return replace(binding, spoilt=True)


@misbehaviour(
    "binding-unsigned",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="RFC 9901 §7.3 (5d)",
    met_by=not_believed("algorithm_not_allowed"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding has alg none and no signature."""
    return replace(binding.headed(alg="none"), unsigned=True)


@misbehaviour(
    "binding-typ",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="RFC 9901 §7.3 (5d)",
    met_by=not_believed("typ_mismatch"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding says that it is some JWT."""
    return binding.headed(typ="JWT")


@misbehaviour(
    "binding-other-disclosures",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="RFC 9901 §7.3 (5g)",
    met_by=not_believed("sd_hash_mismatch"),
    formats=SD_JWT_ONLY,
)
def _(binding: Jwt) -> Jwt:
    """The key binding was made for other disclosures than those that are shown."""
    return binding.claiming(sd_hash="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")


@misbehaviour(
    "binding-missing",
    Phase.PRESENTATION,
    at=PRESENTATION,
    to=_TO,
    clause="OpenID4VP 1.0 App. B.3.6; HAIP 1.0 §5.3.2",
    met_by=not_believed("key_binding_missing"),
    formats=SD_JWT_ONLY,
)
def _(presentation: str) -> str:
    """Nobody binds the credential to the question: it is shown as it came from its issuer."""
    return presentation.rpartition("~")[0] + "~"


@misbehaviour(
    "binding-transaction-data-missing",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="OpenID4VP 1.0 §8.4, App. B.3.3.1",
    met_by=not_believed("transaction_data_mismatch"),
    formats=SD_JWT_ONLY,
    needs=(Need.TRANSACTION_DATA,),
)
def _(binding: Jwt) -> Jwt:
    """The holder's consent to the transaction data is left out."""
    return binding.without("transaction_data_hashes", "transaction_data_hashes_alg")


@misbehaviour(
    "binding-transaction-data-other",
    Phase.PRESENTATION,
    at=KEY_BINDING,
    to=_TO,
    clause="OpenID4VP 1.0 §8.4, App. B.3.3.1",
    met_by=not_believed("transaction_data_mismatch"),
    formats=SD_JWT_ONLY,
    needs=(Need.TRANSACTION_DATA,),
)
def _(binding: Jwt) -> Jwt:
    """The holder consented to other transaction data, say another amount."""
    return binding.claiming(transaction_data_hashes=["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])


@misbehaviour(
    "disclosure-missing",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause="OpenID4VP 1.0 §6.4.1, §8.6",
    met_by=not_believed("claims_missing"),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """One of the claims that were asked for is not disclosed."""
    issuer_jwt, _first, *others = shown.chosen.parts
    return replace(shown, chosen=SdJwt((issuer_jwt, *others), None))


@misbehaviour(
    "disclosure-of-everything",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause="OpenID4VP 1.0 §6.4.1",
    met_by=Reaction(_TO, (200, 400), is_refusal=False),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """Everything that the credential says is disclosed; a verifier drops what it did not ask for, or refuses."""
    return replace(shown, chosen=SdJwt((*shown.held.parts[:-1], b""), None))


@misbehaviour(
    "disclosure-added",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause=f"{_DISCLOSURES} (each disclosure has its digest)",
    met_by=not_believed("disclosure_unreferenced"),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """A claim is added that the issuer never signed."""
    return _with(shown, _disclosure("2GLC42sKQveCfGfryNRN9w", "entitled_to_everything", True))


@misbehaviour(
    "disclosure-tampered",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause=_DISCLOSURES,
    met_by=not_believed("disclosure_unreferenced"),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """The value of a claim is another than the one that was signed."""
    issuer_jwt, first, *others = shown.chosen.parts
    salt, name, _value = json.loads(base64url.decode(first))
    return replace(shown, chosen=SdJwt((issuer_jwt, _disclosure(salt, name, "tampered"), *others), None))


@misbehaviour(
    "disclosure-twice",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause=f"{_DISCLOSURES} (each digest once)",
    met_by=not_believed("disclosure_unreferenced"),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """One claim is disclosed twice."""
    return _with(shown, shown.chosen.parts[1])


@misbehaviour(
    "disclosure-malformed",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause="RFC 9901 §4.2, §7.1 (3)",
    met_by=not_believed("disclosure_unreferenced"),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """A disclosure has four elements."""
    return _with(shown, base64url.encode(strict_json.dumps(["salt", "name", "value", "more"])).encode())


@misbehaviour(
    "disclosure-deep",
    Phase.PRESENTATION,
    at=SD_JWT,
    to=_TO,
    clause="RFC 9901 §9; RFC 8259 §9",
    met_by=refused(_TO, 400),
    formats=SD_JWT_ONLY,
)
def _(shown: ShownSdJwt) -> ShownSdJwt:
    """A disclosure holds three thousand arrays inside each other."""
    nested = b'["salt","name",' + b"[" * _DEEP + b"]" * _DEEP + b"]"
    return _with(shown, base64url.encode(nested).encode())


def _with(shown: ShownSdJwt, disclosure: bytes) -> ShownSdJwt:
    return replace(shown, chosen=SdJwt((*shown.chosen.parts[:-1], disclosure, b""), None))


def _disclosure(*members: object) -> bytes:
    return base64url.encode(strict_json.dumps(list(members))).encode("ascii")


def _made(binding: Jwt) -> int:
    made = binding.claims["iat"]
    assert isinstance(made, int)
    return made
