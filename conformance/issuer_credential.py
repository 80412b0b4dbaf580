"""Checks of the credential endpoint and what comes after it (OpenID4VCI 1.0 §8 to §11)."""

import email.utils
import secrets
import time
from urllib.parse import urlencode

from conformance.bent_token import Bend, Token, straight
from conformance.check import EVERYWHERE, Check, Failed, NotApplicable, Registry
from conformance.exchange import JSON, Answer
from conformance.issuer_peer import IssuerPeer
from conformance.issuer_session import (
    Session,
    collect,
    collected,
    credential_answer,
    credentials_of,
    refused,
    session,
)
from conformance.issuer_target import IssuerTarget, shown, unknown_name
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import generate_signer

CREDENTIAL_CHECKS: Registry[IssuerTarget] = Registry()
_check = CREDENTIAL_CHECKS.check
_ANSWER = frozenset({"credentials", "notification_id", "transaction_id", "interval"})
_HOUR = 3600
_FORMATS = ("dc+sd-jwt", "mso_mdoc")


def _offered(target: IssuerTarget) -> list[str]:
    found = [form for form in _FORMATS if any(each.get("format") == form for each in target.configurations.values())]
    if not found:
        raise NotApplicable("neither dc+sd-jwt nor mso_mdoc is offered")
    return found


def _session(target: IssuerTarget) -> Session:
    return session(target, "requests")


@_check("cred-answer", "OpenID4VCI 1.0 §8.3")
def cred_answer(target: IssuerTarget) -> str:
    """A right request brings credentials, each a text, and a notification_id that is one."""
    seen = []
    for form in _offered(target):
        current = session(target, "credential", target.configuration(form))
        got = target.kept[f"collected {form}"] = collect(current)
        told = got.body.get("notification_id")
        if told is not None and not isinstance(told, str):
            raise Failed("notification_id, a text", shown(told))
        seen.append(f"{len(got.credentials)} {form}")
    return ", ".join(seen)


@_check("cred-answer-members", "OpenID4VCI 1.0 §8.3", is_advice=True)
def cred_answer_members(target: IssuerTarget) -> str:
    """The answer holds nothing that the standard does not know."""
    body = collect(_session(target)).body
    unknown = sorted(body.keys() - _ANSWER)
    if unknown:
        raise Failed(f"no other members than {', '.join(sorted(_ANSWER))}", ", ".join(unknown))
    return ", ".join(sorted(body))


@_check("cred-no-store", "OpenID4VCI 1.0 §8.3, §13.8; RFC 9111 §5.2.2.5", is_advice=True)
def cred_no_store(target: IssuerTarget) -> str:
    """Credentials are never cached."""
    answer = collect(_session(target)).answer
    if not answer.is_never_stored:
        raise Failed("Cache-Control: no-store", answer.headers.get("cache-control", "no Cache-Control"))
    return "no-store"


@_check("cred-date", "FAPI 1.0 Baseline §6.2.1; RFC 9110 §6.6.1")
def cred_date(target: IssuerTarget) -> str:
    """The answer is dated within 5 minutes."""
    said = collect(_session(target)).answer.headers.get("date", "")
    try:
        apart = abs(email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        raise Failed("a Date header", said or "none") from None
    if apart > 300:
        raise Failed("a Date within 5 minutes", f"{apart:.0f} s apart")
    return "dated now"


@_check("cred-unknown-members", "OpenID4VCI 1.0 §8.2")
def cred_unknown_members(target: IssuerTarget) -> str:
    """Members of the request that the issuer does not know are ignored."""
    got = collect(_session(target), x_unknown=secrets.token_hex(4), x_object={"a": [1]})
    return f"{len(got.credentials)} credential"


@_check("cred-again", "OpenID4VCI 1.0 §8")
def cred_again(target: IssuerTarget) -> str:
    """The same token serves further requests, whatever an Accept header of JSON looks like."""
    current = _session(target)
    interaction = "c770aef3-6784-41f7-8e0e-ff5f97bddb3a"
    headers = (
        [("Accept", "application/json; charset=UTF-8"), ("x-fapi-customer-ip-address", "2001:db8::1893:25c8:1946")],
        [("Accept", "application/json, application/*+json, */*;q=0.1"), ("x-fapi-interaction-id", interaction)],
    )
    for each in headers:
        peer, grant = current.peer, current.grant
        answer = peer.credential(grant, peer.fresh_request(grant), headers=each)
        if answer.status not in (200, 202):
            raise Failed("200 or 202", answer.described)
        if answer.headers.get("x-fapi-interaction-id", interaction) != interaction:
            raise Failed("x-fapi-interaction-id as sent, if at all", "another")
    return "200 twice"


# proofs


def _with_proof(
    target: IssuerTarget,
    bend: Bend = straight,
    *,
    attestation: Bend = straight,
    nonce: str | None = None,
    kind: str = "jwt",
) -> Answer:
    current = _session(target)
    peer, grant = current.peer, current.grant
    used = peer.proof_kind(grant.configuration)
    if used is None:
        raise NotApplicable("the credential is bound to no key")
    if kind == "jwt" and used != "jwt":
        raise NotApplicable("the issuer takes no jwt proofs")
    if kind == "attestation" and not (used == "attestation" or peer.wants_key_attestation(grant.configuration)):
        raise NotApplicable("the issuer wants no key attestation for this credential")
    fresh = peer.nonce()
    proofs = peer.proofs(
        grant.configuration, [generate_signer()], nonce=nonce or fresh, bend=bend, attestation=attestation
    )
    return peer.credential(grant, peer.request(grant, proofs))


def _refuses(name: str, title: str, bend: Bend, *, clause: str, errors: tuple[str, ...] = ("invalid_proof",)) -> None:
    def run(target: IssuerTarget) -> str:
        return refused(_with_proof(target, bend), errors=errors)

    CREDENTIAL_CHECKS.enter(Check(name, clause, title, run, EVERYWHERE))


def _refuses_attestation(name: str, title: str, bend: Bend, *, clause: str = "OpenID4VCI 1.0 App. D.1, F.1") -> None:
    def run(target: IssuerTarget) -> str:
        answer = _with_proof(target, attestation=bend, kind="attestation")
        return refused(answer, errors=("invalid_proof", "invalid_nonce"))

    CREDENTIAL_CHECKS.enter(Check(name, clause, title, run, EVERYWHERE))


_PROOF = "OpenID4VCI 1.0 App. F.1, F.4"
_refuses(
    "cred-proof-signature", "A proof with a broken signature is refused", Token.spoilt, clause=f"{_PROOF}; §8.3.1.2"
)
_refuses(
    "cred-proof-other-key",
    "A proof by another key than it names is refused",
    lambda token: token.by(generate_signer()),
    clause=_PROOF,
)
_refuses("cred-proof-unsigned", "A proof with alg none is refused", Token.unsigned, clause=_PROOF)
_refuses("cred-proof-typ", "A proof of another typ is refused", lambda token: token.head(typ="JWT"), clause=_PROOF)
_refuses(
    "cred-proof-audience",
    "A proof for another issuer is refused",
    lambda token: token.claim(aud="https://other.example"),
    clause=_PROOF,
)
_refuses(
    "cred-proof-no-key", "A proof that names no key is refused", lambda token: token.without_head("jwk"), clause=_PROOF
)
_refuses(
    "cred-proof-two-keys",
    "A proof that names a key in two ways is refused",
    lambda token: token.head(kid="a"),
    clause="OpenID4VCI 1.0 App. F.1",
)
_refuses("cred-proof-no-iat", "A proof without iat is refused", lambda token: token.without("iat"), clause=_PROOF)
_refuses(
    "cred-proof-old",
    "A proof of an hour ago is refused",
    lambda token: token.claim(iat=int(str(token.claims["iat"])) - _HOUR),
    clause=_PROOF,
)
_refuses(
    "cred-proof-ahead",
    "A proof an hour ahead is refused",
    lambda token: token.claim(iat=int(str(token.claims["iat"])) + _HOUR),
    clause=_PROOF,
)
_refuses(
    "cred-proof-iss",
    "A proof by another client is refused",
    lambda token: token.claim(iss="https://another.example"),
    clause="OpenID4VCI 1.0 App. F.1",
)
_refuses(
    "cred-proof-critical",
    "A proof with a critical header that nobody knows is refused",
    lambda token: token.head(crit=["x-new"], **{"x-new": True}),
    clause="RFC 7515 §4.1.11",
)
_refuses(
    "cred-proof-no-nonce",
    "A proof without nonce is refused where the issuer has nonces",
    lambda token: token.without("nonce"),
    clause="OpenID4VCI 1.0 App. F.1, §8.3.1.2",
    errors=("invalid_proof", "invalid_nonce"),
)
_refuses_attestation(
    "cred-key-attestation-signature", "A key attestation with a broken signature is refused", Token.spoilt
)
_refuses_attestation(
    "cred-key-attestation-expired",
    "A key attestation that has ended is refused",
    lambda token: token.claim(exp=int(str(token.claims["iat"])) - _HOUR),
)
_refuses_attestation(
    "cred-key-attestation-typ", "A key attestation of another typ is refused", lambda token: token.head(typ="JWT")
)
_refuses_attestation(
    "cred-key-attestation-keys",
    "A key attestation for other keys is refused",
    lambda token: token.claim(attested_keys=[dict(jwk_from_public_key(generate_signer().public_key))]),
)
_refuses_attestation(
    "cred-key-attestation-nonce",
    "A key attestation with an invented nonce is refused",
    lambda token: token.claim(nonce="invented"),
)
_refuses_attestation("cred-key-attestation-unsigned", "A key attestation with alg none is refused", Token.unsigned)


@_check("cred-key-attestation-missing", "OpenID4VCI 1.0 App. D; HAIP 1.0 §4.5.1")
def key_attestation_missing(target: IssuerTarget) -> str:
    """Where keys must be attested, a proof without attestation is refused."""
    current = _session(target)
    if not current.peer.wants_key_attestation(current.grant.configuration):
        raise NotApplicable("the issuer wants no key attestation for this credential")
    return refused(_with_proof(target, lambda token: token.without_head("key_attestation")), errors=("invalid_proof",))


@_check("cred-nonce-invented", "OpenID4VCI 1.0 §8.3.1.2")
def nonce_invented(target: IssuerTarget) -> str:
    """A proof with a nonce that the issuer did not give is refused."""
    _needs_nonces(target)
    return refused(_with_proof(target, nonce=secrets.token_urlsafe(16), kind="any"), errors=("invalid_nonce",))


@_check("cred-nonce-used", "OpenID4VCI 1.0 §7, §13.5", is_advice=True)
def nonce_used(target: IssuerTarget) -> str:
    """A nonce is taken once."""
    _needs_nonces(target)
    nonce = _session(target).peer.nonce()
    first = _with_proof(target, nonce=nonce, kind="any")
    if not first.is_good:
        raise NotApplicable(f"it is refused the first time: {first.described}")
    return refused(_with_proof(target, nonce=nonce, kind="any"), errors=("invalid_nonce",))


def _needs_nonces(target: IssuerTarget) -> None:
    if "nonce_endpoint" not in target.metadata:
        raise NotApplicable("there is no nonce endpoint")


@_check("cred-proof-missing", "OpenID4VCI 1.0 §8.3.1.2")
def proof_missing(target: IssuerTarget) -> str:
    """A request without proofs for a credential that is bound to a key is refused."""
    current = _session(target)
    if current.peer.proof_kind(current.grant.configuration) is None:
        raise NotApplicable("the credential is bound to no key")
    answer = current.peer.credential(current.grant, current.peer.request(current.grant, None))
    return refused(answer, errors=("invalid_proof",))


@_check("cred-proof-type-unknown", "OpenID4VCI 1.0 §8.2, §8.3.1.2")
def proof_type_unknown(target: IssuerTarget) -> str:
    """Proofs of a type that the issuer does not offer are refused."""
    current = _session(target)
    body = current.peer.request(current.grant, {"x_no_such_proof": ["a"]})
    return refused(current.peer.credential(current.grant, body), errors=("invalid_proof", "invalid_credential_request"))


# what is asked for


@_check("cred-unknown-configuration", "OpenID4VCI 1.0 §8.3.1.2")
def unknown_configuration(target: IssuerTarget) -> str:
    """A configuration that does not exist is refused by its own code."""
    return _asked(target, credential_configuration_id=unknown_name(), errors=("unknown_credential_configuration",))


@_check("cred-unknown-identifier", "OpenID4VCI 1.0 §8.3.1.2")
def unknown_identifier(target: IssuerTarget) -> str:
    """An identifier that does not exist is refused by its own code."""
    return _asked(target, credential_identifier=unknown_name(), errors=("unknown_credential_identifier",))


@_check("cred-both-names", "OpenID4VCI 1.0 §8.2")
def both_names(target: IssuerTarget) -> str:
    """A request that names configuration and identifier is refused."""
    grant = _session(target).grant
    return _asked(
        target,
        credential_configuration_id=grant.configuration,
        credential_identifier=grant.identifier or "any",
        errors=("invalid_credential_request", "unknown_credential_identifier", "unknown_credential_configuration"),
    )


def _asked(target: IssuerTarget, *, errors: tuple[str, ...], **names: str) -> str:
    current = _session(target)
    peer, grant = current.peer, current.grant
    body: JsonObject = {**names}
    proofs = peer.proofs(grant.configuration, [generate_signer()], nonce=peer.nonce())
    if proofs is not None:
        body["proofs"] = proofs
    return refused(peer.credential(grant, body), errors=errors)


@_check("cred-error-members", "OpenID4VCI 1.0 §8.3.1.2", is_advice=True)
def error_members(target: IssuerTarget) -> str:
    """An error holds error and error_description alone."""
    current = _session(target)
    answer = current.peer.credential(current.grant, {"credential_configuration_id": unknown_name()})
    unknown = sorted(answer.json_object().keys() - {"error", "error_description"})
    if answer.is_good or unknown:
        raise Failed("error and error_description", ", ".join(unknown) or answer.described)
    return answer.described


@_check("cred-no-json", "OpenID4VCI 1.0 §8.3.1.2")
def no_json(target: IssuerTarget) -> str:
    """A body that is no JSON is refused, as what it is."""
    current = _session(target)
    where = target.endpoint(target.metadata, "credential_endpoint")
    answer = current.peer.post(where, b'{"credential_configuration_id":', JSON, current.grant)
    return refused(answer, errors=("invalid_credential_request",))


@_check("cred-token-in-query", "RFC 6750 §5.3; FAPI 2.0 Security Profile §5.3.3")
def token_in_query(target: IssuerTarget) -> str:
    """An access token in the query is worth nothing."""
    current = _session(target)
    peer, grant = current.peer, current.grant
    where = target.endpoint(target.metadata, "credential_endpoint")
    url = f"{where}{'&' if '?' in where else '?'}{urlencode({'access_token': grant.access_token})}"
    answer = peer.credential(grant, peer.fresh_request(grant), url=url, token_header=False)
    if answer.status < 400:
        raise Failed("a refusal", answer.described)
    return answer.described


@_check("cred-token-invented", "RFC 6750 §3.1")
def token_invented(target: IssuerTarget) -> str:
    """An access token that nobody gave out is refused with 401."""
    current = _session(target)
    stolen = type(current.grant)(
        current.grant.configuration, current.grant.answer | {"access_token": secrets.token_urlsafe(32)}
    )
    answer = current.peer.credential(stolen, current.peer.fresh_request(current.grant))
    if answer.status != 401:
        raise Failed("401", answer.described)
    return answer.described


# deferred and told


@_check("cred-deferred", "OpenID4VCI 1.0 §8.3, §9")
def deferred(target: IssuerTarget) -> str:
    """A credential that comes later has a transaction_id and an interval, and comes at the deferred endpoint."""
    configuration = target.wanted.get("deferred")
    if configuration is None:
        raise NotApplicable("the settings name no configuration that is deferred")
    current = session(target, "deferred", configuration)
    peer, grant = current.peer, current.grant
    answer = peer.credential(grant, peer.fresh_request(grant))
    if answer.status != 202:
        raise Failed("202", answer.described)
    body = answer.json_object()
    interval = body.get("interval")
    if (
        not isinstance(body.get("transaction_id"), str)
        or isinstance(interval, bool)
        or not isinstance(interval, (int, float))
    ):
        raise Failed("transaction_id, a text, and interval, a number", shown(sorted(body)))
    later = peer.credential(grant, {"transaction_id": body["transaction_id"]}, endpoint="deferred_credential_endpoint")
    return f"202, then {len(credentials_of(credential_answer(later)))} credential"


@_check("cred-deferred-unknown", "OpenID4VCI 1.0 §9.3")
def deferred_unknown(target: IssuerTarget) -> str:
    """A transaction_id that nobody was given is refused by its own code."""
    target.endpoint(target.metadata, "deferred_credential_endpoint")
    current = _session(target)
    body: JsonObject = {"transaction_id": unknown_name()}
    answer = current.peer.credential(current.grant, body, endpoint="deferred_credential_endpoint")
    return refused(answer, errors=("invalid_transaction_id",))


@_check("cred-notification", "OpenID4VCI 1.0 §11")
def notification(target: IssuerTarget) -> str:
    """A wallet's word that it has the credential is taken with 2xx, once and again, with members that are not known."""
    target.endpoint(target.metadata, "notification_endpoint")
    form = _offered(target)[0]
    told = collected(target, form).body.get("notification_id")
    if not isinstance(told, str):
        raise NotApplicable("no notification_id came with the credential")
    current = session(target, "credential", target.configuration(form))
    body: JsonObject = {"notification_id": told, "event": "credential_accepted", "x_unknown": "a"}
    statuses: list[int] = []
    for _ in range(2):
        answer = current.peer.credential(current.grant, body, endpoint="notification_endpoint")
        if not answer.is_good:
            raise Failed("204", answer.described)
        statuses.append(answer.status)
    return ", then ".join(map(str, statuses))


@_check("cred-notification-unknown", "OpenID4VCI 1.0 §11.3")
def notification_unknown(target: IssuerTarget) -> str:
    """A notification_id that nobody was given is refused by its own code."""
    target.endpoint(target.metadata, "notification_endpoint")
    current = _session(target)
    body: JsonObject = {"notification_id": unknown_name(), "event": "credential_accepted"}
    answer = current.peer.credential(current.grant, body, endpoint="notification_endpoint")
    return refused(answer, errors=("invalid_notification_id",))


@_check("cred-two-wallets", "RFC 9449 §7.1")
def two_wallets(target: IssuerTarget) -> str:
    """A second wallet's token is no use with the first one's key."""
    first, second = _session(target), session(target, "second")
    if not first.peer.is_bound:
        raise NotApplicable("tokens are not bound to keys by DPoP")
    thief = IssuerPeer(target, dpop=first.peer.dpop)
    answer = thief.credential(second.grant, second.peer.fresh_request(second.grant))
    if answer.status not in (400, 401):
        raise Failed("400 or 401", answer.described)
    return answer.described
