"""Wrong in requests to the credential issuer: what is asked for, how it is encrypted, how large and how slow it is."""

import json
import secrets
from dataclasses import replace

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jwe import new_decryption_key
from wallet_sim.conduct import MESSAGE, REQUEST, SEALING, Endpoint, Outgoing, Sealing
from wallet_sim.misbehaviour.registry import Need, Phase, misbehaviour, refused

_TO, _NOTIFICATION = Endpoint.CREDENTIAL, Endpoint.NOTIFICATION
_RULE = "OpenID4VCI 1.0 §8.2"
_DEEP = 5000
_HUGE = 9 * 1024 * 1024
_PACE = 0.5  # seconds
_JSON = "application/json"


@misbehaviour(
    "request-unknown-configuration",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.3.1.2",
    met_by=refused(_TO, 400, "unknown_credential_configuration", "invalid_credential_request"),
)
def _(message: JsonObject) -> JsonObject:
    """A credential is asked for that the issuer does not have."""
    return {**_unnamed(message), "credential_configuration_id": "no-such-credential"}


@misbehaviour(
    "request-unknown-identifier",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.3.1.2",
    met_by=refused(_TO, 400, "unknown_credential_identifier", "invalid_credential_request"),
)
def _(message: JsonObject) -> JsonObject:
    """A credential is asked for by an identifier that did not come with the token."""
    return {**_unnamed(message), "credential_identifier": "no-such-identifier"}


@misbehaviour(
    "request-two-names",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause=_RULE,
    met_by=refused(_TO, 400, "invalid_credential_request"),
)
def _(message: JsonObject) -> JsonObject:
    """The credential is named in both ways at once."""
    return {"credential_configuration_id": "one", "credential_identifier": "another", **message}


@misbehaviour(
    "request-no-name",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause=_RULE,
    met_by=refused(_TO, 400, "invalid_credential_request"),
)
def _(message: JsonObject) -> JsonObject:
    """The request does not say which credential it is for."""
    return _unnamed(message)


@misbehaviour(
    "request-proofs-missing",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.2, §8.3.1.2",
    met_by=refused(_TO, 400, "invalid_proof"),
)
def _(message: JsonObject) -> JsonObject:
    """No key is proven, so that the credential would be bound to nobody."""
    return {name: value for name, value in message.items() if name != "proofs"}


@misbehaviour(
    "request-two-proof-types",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause=f"{_RULE} (proofs: exactly one)",
    met_by=refused(_TO, 400, "invalid_credential_request", "invalid_proof"),
)
def _(message: JsonObject) -> JsonObject:
    """Keys are proven in two ways at once."""
    proofs = message["proofs"]
    assert isinstance(proofs, dict)
    return {**message, "proofs": {**proofs, "di_vp": [{}]}}


@misbehaviour(
    "request-proof-of-drafts",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause=f"{_RULE} (proofs)",
    met_by=refused(_TO, 400, "invalid_proof", "invalid_credential_request"),
)
def _(message: JsonObject) -> JsonObject:
    """The proof stands in the member `proof` of the drafts, which version 1.0 does not have."""
    proofs = message["proofs"]
    assert isinstance(proofs, dict)
    (kind, values), *_ = proofs.items()
    others = {name: value for name, value in message.items() if name != "proofs"}
    return {**others, "proof": {"proof_type": kind, kind: values[0] if isinstance(values, list) else values}}


@misbehaviour(
    "request-unknown-proof-type",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause=_RULE,
    met_by=refused(_TO, 400, "invalid_credential_request", "invalid_proof"),
)
def _(message: JsonObject) -> JsonObject:
    """Keys are proven in a way that nobody has heard of."""
    return {**message, "proofs": {"example_proof": ["one"]}}


@misbehaviour(
    "request-encryption-unknown",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.2, §8.3.1.2",
    met_by=refused(_TO, 400, "invalid_encryption_parameters"),
    needs=(Need.ENCRYPTED_REQUESTS,),
)
def _(message: JsonObject) -> JsonObject:
    """The answer is to be encrypted with an algorithm that the issuer does not offer."""
    wanted = message["credential_response_encryption"]
    assert isinstance(wanted, dict)
    return {**message, "credential_response_encryption": {**wanted, "enc": "A128CBC-HS256"}}


@misbehaviour(
    "request-encrypted-to-old-key",
    Phase.ISSUANCE,
    at=SEALING,
    to=_TO,
    clause="OpenID4VCI 1.0 §10, §8.3.1.2",
    met_by=refused(_TO, 400, "invalid_encryption_parameters", "invalid_credential_request"),
    needs=(Need.ENCRYPTED_REQUESTS,),
)
def _(sealing: Sealing) -> Sealing:
    """The request is encrypted to a key that the issuer does not have any more."""
    old = new_decryption_key(base64url.encode(secrets.token_bytes(8)))
    return replace(sealing, jwk={**old.public_jwk()})


@misbehaviour(
    "request-deep-nesting",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.3.1.2; RFC 8259 §9",
    met_by=refused(_TO, 400),
)
def _(request: Outgoing) -> Outgoing:
    """The request is JSON with five thousand arrays inside each other."""
    body = b'{"proofs":' + b"[" * _DEEP + b"]" * _DEEP + b"}"
    return replace(request, body=body).headed("Content-Type", _JSON)


@misbehaviour(
    "request-huge",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_TO,
    clause="RFC 9110 §15.5.14",
    met_by=refused(_TO, (413, 400)),
)
def _(request: Outgoing) -> Outgoing:
    """The request has nine megabytes."""
    body = json.dumps({"credential_configuration_id": "x" * _HUGE}).encode()
    return replace(request, body=body).headed("Content-Type", _JSON)


@misbehaviour(
    "request-slow",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_TO,
    clause="RFC 9110 §15.5.9",
    met_by=refused(_TO, 408),
)
def _(request: Outgoing) -> Outgoing:
    """The second half of the request comes one byte every half second."""
    return replace(request, pace=_PACE)


@misbehaviour(
    "request-not-json",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_TO,
    clause="OpenID4VCI 1.0 §8.3.1.2",
    met_by=refused(_TO, 400, "invalid_credential_request", "invalid_request"),
)
def _(request: Outgoing) -> Outgoing:
    """The request is half a JSON object."""
    return replace(request, body=b'{"credential_configuration_id":').headed("Content-Type", _JSON)


@misbehaviour(
    "notification-of-another",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_NOTIFICATION,
    clause="OpenID4VCI 1.0 §11.3",
    met_by=refused(_NOTIFICATION, 400, "invalid_notification_id"),
    needs=(Need.NOTIFICATION,),
)
def _(message: JsonObject) -> JsonObject:
    """Another wallet's credential is reported as stored."""
    return {**message, "notification_id": "another-wallets"}


@misbehaviour(
    "notification-unknown-event",
    Phase.ISSUANCE,
    at=MESSAGE,
    to=_NOTIFICATION,
    clause="OpenID4VCI 1.0 §11.1, §11.3",
    met_by=refused(_NOTIFICATION, 400, "invalid_notification_request"),
    needs=(Need.NOTIFICATION,),
)
def _(message: JsonObject) -> JsonObject:
    """Something is reported that the standard does not know."""
    return {**message, "event": "credential_framed"}


def _unnamed(message: JsonObject) -> JsonObject:
    names = ("credential_configuration_id", "credential_identifier")
    return {name: value for name, value in message.items() if name not in names}
