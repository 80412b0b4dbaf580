"""Checks of a verifier by the German profile: what its wallet enforces beside HAIP (ETSI TS 119 472-2, TS 119 475).

What an official text says must be so; what is known from reports about the wallet's builds alone is advice.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from conformance.check import GERMAN, Failed, NotApplicable, Registry
from conformance.issuer_target import shown
from conformance.verifier_request import first_asked, queries_of, response_keys, signed_question
from conformance.verifier_target import MDOC, SD_JWT, QuestionWish, VerifierTarget
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.dcql import parse_dcql
from specs.protocols.openid4vp import ALL_FORMATS, build_request_uri_post
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.registration import (
    INFO_FORMAT,
    check_registered,
    check_times,
    parse_registration,
    verify_registration,
)

GERMAN_CHECKS: Registry[VerifierTarget] = Registry()
_ONLY = frozenset((GERMAN,))
_SCHEMES = ("openid4vp", "haip-vp", "eudi-openid4vp", "mdoc-openid4vp")
_PID, _GERMAN_PID = "urn:eudi:pid:", "urn:eudi:pid:de:1"
_PID_DOCUMENT = "eu.europa.ec.eudi.pid."
_LIFE = (300, 600)  # seconds
_Run = Callable[[VerifierTarget], str]


def _check(name: str, clause: str, *, is_advice: bool = False) -> Callable[[_Run], _Run]:
    return GERMAN_CHECKS.check(name, clause, profiles=_ONLY, is_advice=is_advice)


# the registration certificate


def _entries(target: VerifierTarget) -> list[JsonObject]:
    entries = first_asked(target).params.get("verifier_info")
    found = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    return [each for each in found if each.get("format") == INFO_FORMAT]


def _certificate(target: VerifierTarget) -> tuple[str, JsonObject]:
    entries = _entries(target)
    if not entries or not isinstance(entries[0].get("data"), str):
        raise NotApplicable("no registration certificate comes with the request")
    return str(entries[0]["data"]), entries[0]


@_check("de-verifier-info", "ETSI TS 119 472-2; ARF RPRC_19")
def verifier_info(target: VerifierTarget) -> str:
    """One registration certificate comes with the request, by value."""
    entries = _entries(target)
    if len(entries) != 1 or not isinstance(entries[0].get("data"), str):
        raise Failed(f"one entry of format {INFO_FORMAT} with a text as data", f"{len(entries)} entries")
    return INFO_FORMAT


@_check("de-registration-holds", "ETSI TS 119 475 §5.2; ARF RPRC_07, RPRC_17")
def registration_holds(target: VerifierTarget) -> str:
    """The registration certificate holds now, and is of who signs the request."""
    token, _ = _certificate(target)
    chain = signed_question(target).chain
    subject = parse_certificate(chain[0]).names().organization_identifier if chain else None
    if target.registrar_anchors:
        verify_registration(token, anchors=target.registrar_anchors, expected_subject=subject, now=int(time.time()))
        return f"{subject}, by a trusted registrar"
    registered = parse_registration(token)
    check_times(registered, now=int(time.time()))
    if registered.subject != subject:
        raise Failed(f"sub {subject}", registered.subject)
    return registered.subject


@_check("de-registration-covers", "ETSI TS 119 475 §5.2.4; ARF RPRC_21")
def registration_covers(target: VerifierTarget) -> str:
    """Nothing is asked for beyond what is registered."""
    token, entry = _certificate(target)
    query = first_asked(target).params.get("dcql_query")
    covered = entry.get("credential_ids")
    ids = [str(each) for each in covered] if isinstance(covered, list) else []
    parsed = parse_dcql(strict_json.dumps(query))
    check_registered(parsed, parse_registration(token), credential_ids=ids)
    return f"{len(parsed.credentials)} credentials"


# the request


@_check("de-request-chain", "German profile: request, x5c")
def request_chain(target: VerifierTarget) -> str:
    """x5c holds the access certificate, and nothing else."""
    chain = signed_question(target).chain
    if len(chain) != 1:
        raise Failed("the access certificate alone", f"{len(chain)} certificates")
    return "alone"


@_check("de-request-scheme", "German profile: invocation")
def request_scheme(target: VerifierTarget) -> str:
    """The link opens the wallet by one of the schemes that it has registered."""
    scheme = urlsplit(first_asked(target).link).scheme
    if scheme in ("http", "https"):
        raise NotApplicable("the link leads to a page")
    if scheme not in _SCHEMES:
        raise Failed(", ".join(_SCHEMES), scheme)
    return scheme


@_check("de-request-life", "German profile: life of the request", is_advice=True)
def request_life(target: VerifierTarget) -> str:
    """A request ends 5 to 10 minutes after it was made."""
    params = signed_question(target).params
    begins, ends = params.get("iat"), params.get("exp")
    if not isinstance(begins, (int, float)) or not isinstance(ends, (int, float)):
        raise Failed("iat and exp", shown([begins, ends]))
    if not _LIFE[0] <= ends - begins <= _LIFE[1]:
        raise Failed(f"{_LIFE[0]} to {_LIFE[1]} s", f"{ends - begins:.0f} s")
    return f"{ends - begins:.0f} s"


@_check("de-post-without-accept", "OpenID4VP 1.0 §5.10; German profile: request_uri POST", is_advice=True)
def post_without_accept(target: VerifierTarget) -> str:
    """The request is given to a POST that names no media type, as builds of the wallet send it."""
    wish = QuestionWish(SD_JWT if target.has(SD_JWT) else MDOC, method="post")
    asked = target.linked(target.questions(wish))
    if asked.get("request_uri_method") != "post":
        raise NotApplicable("the verifier does not let its request be posted for")
    nonce = base64url.encode(secrets.token_bytes(16))
    form = build_request_uri_post(wallet_nonce=nonce, formats=ALL_FORMATS, prefixes=("x509_hash",))
    answer = target.fetch(asked["request_uri"], form, accept=None)
    if answer.status != 200:
        raise Failed("200", answer.described)
    return answer.described


@_check("de-key-use", "RFC 7517 §4.2; German profile: encryption", is_advice=True)
def key_use(target: VerifierTarget) -> str:
    """The response key says use enc: without it builds of the wallet sign another session."""
    for key in response_keys(target):
        if key.get("use") != "enc":
            raise Failed("use enc", shown(key.get("use")))
    return "enc"


@_check("de-algorithms", "OpenID4VP 1.0 App. B.2.2, B.3.4; German profile: algorithms")
def algorithms(target: VerifierTarget) -> str:
    """What the German PID is signed with is announced: ES256 by its names in both formats."""
    metadata = first_asked(target).params.get("client_metadata")
    known = metadata.get("vp_formats_supported") if isinstance(metadata, dict) else None
    wanted: dict[str, dict[str, tuple[str | int, ...]]] = {
        SD_JWT: {"sd-jwt_alg_values": ("ES256",), "kb-jwt_alg_values": ("ES256",)},
        MDOC: {"issuerauth_alg_values": (-7, -9), "deviceauth_alg_values": (-7, -9)},
    }
    for form in sorted({str(each.get("format")) for each in queries_of(first_asked(target).params)} & wanted.keys()):
        entry = known.get(form) if isinstance(known, dict) else None
        for name, one_of in wanted[form].items():
            values = entry.get(name) if isinstance(entry, dict) else None
            if not isinstance(values, list) or not any(each in one_of for each in values):
                raise Failed(f"{name} of {form} with {' or '.join(map(str, one_of))}", shown(values))
    return "ES256"


# the query


@_check("de-claims-named", "German profile: query")
def claims_named(target: VerifierTarget) -> str:
    """Each credential query names its claims: without them the wallet shows everything."""
    count = 0
    for query in queries_of(first_asked(target).params):
        claims = query.get("claims")
        if not isinstance(claims, list) or not claims:
            raise Failed(f"claims at {query.get('id')}", shown(claims))
        count += len(claims)
    return f"{count} claims"


def _pid_queries(params: JsonObject) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Ids of queries for PIDs, and the types of each."""
    for query in queries_of(params):
        meta = query.get("meta")
        types = meta.get("vct_values") if isinstance(meta, dict) else None
        document = meta.get("doctype_value") if isinstance(meta, dict) else None
        names = [str(each) for each in types] if isinstance(types, list) else []
        if any(each.startswith(_PID) for each in names) or str(document).startswith(_PID_DOCUMENT):
            yield str(query.get("id")), tuple(names)


@_check("de-pid-type", "German PID rulebook; OpenID4VP 1.0 App. B.3.5")
def pid_type(target: VerifierTarget) -> str:
    """The German PID is asked for by its own type: wallets don't look for what it extends."""
    asked = [types for _, types in _pid_queries(first_asked(target).params) if types]
    if not asked:
        raise NotApplicable("no PID is asked for as SD-JWT VC")
    for types in asked:
        if _GERMAN_PID not in types:
            raise Failed(_GERMAN_PID, shown(types))
    return _GERMAN_PID


@_check("de-pid-signs-nothing", "EU PID rulebook, ch. 5; OpenID4VP 1.0 §8.4")
def pid_signs_nothing(target: VerifierTarget) -> str:
    """No transaction data are to be confirmed by a PID."""
    params = first_asked(target).params
    entries = params.get("transaction_data")
    if not isinstance(entries, list):
        raise NotApplicable("the question carries no transaction data")
    pids = {name for name, _ in _pid_queries(params)}
    for entry in entries:
        ids = strict_json.parse_object(base64url.decode(str(entry))).get("credential_ids")
        named = {str(each) for each in ids} if isinstance(ids, list) else set()
        if named & pids:
            raise Failed("another credential to confirm them", ", ".join(sorted(named & pids)))
    return f"{len(entries)} entries"
