"""A stable account for a person whose PID has no stable identifier: linked through a credential that has one.

The German PID names no number that stays. A city credential can: its issuer gives each person one value and never gives
it to anybody else (OpenID4VP §14.4). Shown together with the PID, and found to belong to the same person, it leads to
the same pseudonym each time; another relying party gets another one.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from specs.encoding import base64url
from specs.encoding.strict_json import JsonValue
from verifier.expectations import Policy
from verifier.verdict import AcceptedCredential, Check, Verdict

KEY_BYTES = 32


class NotLinkable(Exception):
    """The verdict leads to no account; the message says which condition does not hold."""


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """Where the stable identifier stands. query_id, path: of the credential that carries it.

    person_query_id: of the PID that the same answer must show of the same person; None where the identifier's
    credential is enough.
    """

    query_id: str
    path: tuple[str, ...]
    person_query_id: str | None = None


def check_rule(rule: SubjectRule, *, policy: Policy) -> None:
    """Check that a procedure with this policy can link: where two credentials are shown, they are compared.

    Raises:
        ValueError: no rule of the policy compares the person of both.
    """
    if rule.person_query_id is None:
        return
    both = {rule.query_id, rule.person_query_id}
    if not any(both <= same.paths.keys() for same in policy.same_person):
        raise ValueError("a subject link over two credentials needs a same-person rule that names both")


def subject_pseudonym(verdict: Verdict, *, rule: SubjectRule, relying_party: str, key: bytes) -> str:
    """The person's pseudonym at a relying party: 43 characters, the same for the same identifier and issuer.

    The issuer is known by its registration where a trust list says it, else by the name of its trust domain: accounts
    outlive a change of the name on display.

    relying_party: pairwise for each. key: 32 bytes, kept for as long as accounts live; without it nobody can tell whose
    pseudonym it is.

    Raises:
        NotLinkable: the verdict is a refusal, the person was not compared, or the identifier is not there.
        ValueError: the key has another length.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("a key of 32 bytes")
    bearer = _only(verdict, rule.query_id)
    if rule.person_query_id is not None:
        person = _only(verdict, rule.person_query_id)
        if Check.SAME_PERSON not in bearer.checks or Check.SAME_PERSON not in person.checks:
            raise NotLinkable("the credentials were not found to be of one person")
    value: JsonValue | Mapping[str, JsonValue] = bearer.claims
    for step in rule.path:
        value = value.get(step) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not value:
        raise NotLinkable("the identifier is not in the answer")
    named = (
        relying_party,
        bearer.issuer_id or bearer.trust_domain,
        bearer.format,
        bearer.type,
        "/".join(rule.path),
        value,
    )
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in named)
    return base64url.encode(hmac.digest(key, message, sha256))


def _only(verdict: Verdict, query_id: str) -> AcceptedCredential:
    found = [credential for credential in verdict.credentials if credential.query_id == query_id]
    if len(found) != 1:
        raise NotLinkable("the verdict is a refusal, or not exactly one credential answered")
    return found[0]
