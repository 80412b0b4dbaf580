"""Wrong in the answer as a whole (OpenID4VP 1.0 §8): its shape, its encryption, its state, and how often it comes."""

import secrets
from dataclasses import replace

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jwe import new_decryption_key
from wallet_sim.conduct import (
    FORM,
    MESSAGE,
    PRESENTATION,
    REQUEST,
    SEALING,
    VP_TOKEN,
    Endpoint,
    Outgoing,
    Sealing,
    VpToken,
)
from wallet_sim.misbehaviour.registry import Need, Past, Phase, misbehaviour, not_believed, refused, replaying

Form = dict[str, str]
_TO = Endpoint.ANSWER
_SHAPE = "OpenID4VP 1.0 §8.1"
_SEALED = (Need.ENCRYPTED_ANSWERS,)
_HUGE = 9 * 1024 * 1024
_DEEP = 5000


@replaying(
    "answer-replayed",
    Phase.PRESENTATION,
    at=PRESENTATION,
    to=_TO,
    clause="OpenID4VP 1.0 §14.1",
    met_by=refused(_TO, 400),
    needs=(Need.EARLIER,),
)
def _(presentation: str, past: Past[str]) -> str:
    """What was shown in answer to an earlier question is shown again."""
    return past[0] if past else presentation


@misbehaviour(
    "answer-twice",
    Phase.PRESENTATION,
    at=REQUEST,
    to=_TO,
    clause="OpenID4VP 1.0 §14.1, §13.3",
    met_by=refused(_TO, (400, 404, 403, 409, 410)),
)
def _(request: Outgoing) -> Outgoing:
    """The answer is sent twice; the first one counts."""
    return replace(request, times=2)


@misbehaviour(
    "answer-encrypted-to-old-key",
    Phase.PRESENTATION,
    at=SEALING,
    to=_TO,
    clause="OpenID4VP 1.0 §8.3; HAIP 1.0 §5",
    met_by=refused(_TO, 400),
    needs=_SEALED,
)
def _(sealing: Sealing) -> Sealing:
    """The answer is encrypted to the key of an earlier question."""
    old = new_decryption_key(base64url.encode(secrets.token_bytes(8)))
    return replace(sealing, jwk={**old.public_jwk()})


@misbehaviour(
    "answer-encrypted-to-other-key",
    Phase.PRESENTATION,
    at=SEALING,
    to=_TO,
    clause="OpenID4VP 1.0 §8.3",
    met_by=refused(_TO, 400),
    needs=_SEALED,
)
def _(sealing: Sealing) -> Sealing:
    """The answer names the question's key, but was encrypted to another."""
    other = new_decryption_key(str(sealing.jwk.get("kid", "")))
    return replace(sealing, jwk={**other.public_jwk()})


@misbehaviour(
    "answer-in-clear",
    Phase.PRESENTATION,
    at=FORM,
    to=_TO,
    clause="OpenID4VP 1.0 §8.3.1; HAIP 1.0 §5",
    met_by=refused(_TO, 400),
    needs=_SEALED,
)
def _(form: Form) -> Form:
    """The answer comes in clear though encryption was asked for."""
    return {"vp_token": '{"pass":["eyJhbGciOiJFUzI1NiJ9.e30.AA~"]}', "state": form.get("state", "")}


@misbehaviour(
    "answer-ciphertext",
    Phase.PRESENTATION,
    at=FORM,
    to=_TO,
    clause="RFC 7516 §5.2",
    met_by=refused(_TO, 400),
    needs=_SEALED,
)
def _(form: Form) -> Form:
    """One character of the ciphertext is another."""
    head, tag = form["response"][:-30], form["response"][-30:]
    return {**form, "response": head[:-1] + ("A" if head[-1] != "A" else "B") + tag}


@misbehaviour(
    "answer-compressed",
    Phase.PRESENTATION,
    at=SEALING,
    to=_TO,
    clause="OpenID4VP 1.0 §8.3 (zip was not offered)",
    met_by=refused(_TO, 400),
    needs=_SEALED,
)
def _(sealing: Sealing) -> Sealing:
    """The answer is compressed before it is encrypted, as a bomb would be; nobody offered that."""
    return replace(sealing, zip="DEF")


@misbehaviour(
    "answer-state-wrong",
    Phase.PRESENTATION,
    at=MESSAGE,
    to=_TO,
    clause="OpenID4VP 1.0 §5.3, §8.2",
    met_by=refused(_TO, (400, 404)),
    needs=(Need.STATE,),
)
def _(members: JsonObject) -> JsonObject:
    """The answer has the state of another question."""
    return {**members, "state": "another-question"}


@misbehaviour(
    "answer-state-missing",
    Phase.PRESENTATION,
    at=MESSAGE,
    to=_TO,
    clause="OpenID4VP 1.0 §5.3, §8.2",
    met_by=refused(_TO, (400, 404)),
    needs=(Need.STATE,),
)
def _(members: JsonObject) -> JsonObject:
    """The answer has no state."""
    return {name: value for name, value in members.items() if name != "state"}


@misbehaviour(
    "answer-with-error",
    Phase.PRESENTATION,
    at=MESSAGE,
    to=_TO,
    clause="OpenID4VP 1.0 §8.1, §8.5",
    met_by=refused(_TO, 400),
)
def _(members: JsonObject) -> JsonObject:
    """The answer says at once that it is one and that it is none."""
    return {**members, "error": "access_denied"}


@misbehaviour(
    "answer-unknown-query",
    Phase.PRESENTATION,
    at=VP_TOKEN,
    to=_TO,
    clause=f"{_SHAPE}, §6.1",
    met_by=not_believed("query_id_unknown"),
)
def _(vp_token: VpToken) -> VpToken:
    """Something stands under an id that nobody asked for."""
    return {**vp_token, "unasked": next(iter(vp_token.values()))}


@misbehaviour(
    "answer-empty-list",
    Phase.PRESENTATION,
    at=VP_TOKEN,
    to=_TO,
    clause=_SHAPE,
    met_by=not_believed("vp_token_malformed"),
)
def _(vp_token: VpToken) -> VpToken:
    """The list of presentations is empty."""
    return {name: [] for name in vp_token}


@misbehaviour(
    "answer-nothing",
    Phase.PRESENTATION,
    at=VP_TOKEN,
    to=_TO,
    clause=_SHAPE,
    met_by=refused(_TO, 400),
)
def _(_vp_token: VpToken) -> VpToken:
    """The answer is an object without presentations."""
    return {}


@misbehaviour(
    "answer-two-of-one",
    Phase.PRESENTATION,
    at=VP_TOKEN,
    to=_TO,
    clause="OpenID4VP 1.0 §6.1 (multiple), §8.1",
    met_by=not_believed("too_many_presentations"),
)
def _(vp_token: VpToken) -> VpToken:
    """Two presentations are given where one was asked for."""
    return {name: [*value, *value] if isinstance(value, list) else value for name, value in vp_token.items()}


@misbehaviour(
    "answer-of-drafts",
    Phase.PRESENTATION,
    at=VP_TOKEN,
    to=_TO,
    clause=f"{_SHAPE} (arrays)",
    met_by=not_believed("vp_token_malformed"),
)
def _(vp_token: VpToken) -> VpToken:
    """The presentations stand without their arrays, as in the drafts."""
    return {name: value[0] if isinstance(value, list) else value for name, value in vp_token.items()}


@misbehaviour(
    "answer-vp-token-text",
    Phase.PRESENTATION,
    at=MESSAGE,
    to=_TO,
    clause=_SHAPE,
    met_by=not_believed("vp_token_malformed"),
)
def _(members: JsonObject) -> JsonObject:
    """The vp_token is an array and no object."""
    return {**members, "vp_token": ["eyJhbGciOiJFUzI1NiJ9.e30.AA~"]}


@misbehaviour(
    "answer-other-format",
    Phase.PRESENTATION,
    at=VP_TOKEN,
    to=_TO,
    clause="OpenID4VP 1.0 §6.1 (format), §8.6",
    met_by=refused(_TO, 400),
)
def _(vp_token: VpToken) -> VpToken:
    """A presentation in a format that was not asked for: a W3C credential as JSON."""
    return {name: [{"@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["x"]}] for name in vp_token}


@misbehaviour(
    "answer-cut-off",
    Phase.PRESENTATION,
    at=PRESENTATION,
    to=_TO,
    clause="RFC 9901 §7.3; ISO/IEC 18013-5 §8.3.2.1.2.2",
    met_by=refused(_TO, 400),
)
def _(presentation: str) -> str:
    """The second half of the presentation is missing."""
    return presentation[: len(presentation) // 2]


@misbehaviour(
    "answer-deep",
    Phase.PRESENTATION,
    at=SEALING,
    to=_TO,
    clause="RFC 8259 §9",
    met_by=refused(_TO, 400),
    needs=_SEALED,
)
def _(sealing: Sealing) -> Sealing:
    """The encrypted answer is five thousand arrays inside each other."""
    return replace(sealing, payload=b'{"vp_token":' + b"[" * _DEEP + b"]" * _DEEP + b"}")


@misbehaviour(
    "answer-huge",
    Phase.PRESENTATION,
    at=REQUEST,
    to=_TO,
    clause="RFC 9110 §15.5.14",
    met_by=refused(_TO, (413, 400)),
)
def _(request: Outgoing) -> Outgoing:
    """The answer has nine megabytes."""
    return replace(request, body=b"response=" + b"A" * _HUGE)


@misbehaviour(
    "answer-as-json",
    Phase.PRESENTATION,
    at=REQUEST,
    to=_TO,
    clause="OpenID4VP 1.0 §8.2 (form)",
    met_by=refused(_TO, (400, 415)),
)
def _(request: Outgoing) -> Outgoing:
    """The answer is JSON and no form."""
    return replace(request, body=b'{"vp_token":{}}').headed("Content-Type", "application/json")


@misbehaviour(
    "answer-field-twice",
    Phase.PRESENTATION,
    at=REQUEST,
    to=_TO,
    clause="RFC 6749 §3.1 (parameters once)",
    met_by=refused(_TO, 400),
)
def _(request: Outgoing) -> Outgoing:
    """Each field of the form is there twice."""
    return replace(request, body=request.body + b"&" + request.body)
