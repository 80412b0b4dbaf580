"""Question and answer between issuer and register: two signed JWTs, the answer about exactly what was asked.

The question is signed with the tenant's access key and carries its certificates (`x5c`). The answer is signed with the
register's key, which the tenant's file names; it repeats the question's `jti`, person and credential type, and says one
of three things: the `claims`, `retry_after` (seconds; not known yet), or `refused` (a word for why there are none). If
a person may have several datasets of the type, it is asked for `datasets` and answers with those: claims by name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from issuer.claims_source import SourceRefused, SourceUnavailable, SourceUntrustworthy
from issuer.datasets import DATASET_NAME, MOST, UNNAMED
from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import JoseError, PublicKey, build_jws, parse_jws, verify_jws, x5c_header
from specs.keys.signer import SigningIdentity

QUESTION_TYP = "claims-request+jwt"
ANSWER_TYP = "claims-response+jwt"
MEDIA_TYPE = "application/jwt"
LIFETIME = 60  # seconds that a question or an answer is good, at most
_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_RETRY_AFTER = 86400
_OUTCOMES = ("claims", "datasets", "retry_after", "refused")


@dataclass(frozen=True, slots=True)
class ClaimsQuestion:
    """Which claims of whom are wanted.

    issuer: the asking tenant's identifier. register: address of the register. subject: the city's reference for the
    person. claims: the names that the credential type knows. jti: fresh for each question. several: all datasets are
    wanted.
    """

    issuer: str
    register: str
    subject: str = field(repr=False)
    credential_type: str
    claims: tuple[str, ...]
    jti: str
    several: bool = False


def build_question(question: ClaimsQuestion, *, identity: SigningIdentity, now: int) -> str:
    """The signed question. now: seconds since the epoch."""
    payload: JsonObject = {
        "iss": question.issuer,
        "aud": question.register,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": question.jti,
        "sub": question.subject,
        "credential_type": question.credential_type,
        "claims": list(question.claims),
    }
    if question.several:
        payload["datasets"] = True
    header = {"x5c": x5c_header(identity.chain)}
    return build_jws(strict_json.dumps(payload), signer=identity.signer, typ=QUESTION_TYP, header=header)


def parse_answer(
    answer: bytes, *, question: ClaimsQuestion, key: PublicKey, now: int, skew: int
) -> Mapping[str, JsonObject]:
    """The claims that a register answers with, as it sent them, by dataset. now, skew: seconds.

    Raises:
        SourceUntrustworthy: not signed by this register, or not the answer to this question.
        SourceUnavailable: the register does not know yet. SourceRefused: it says no.
    """
    try:
        jws = parse_jws(answer.decode("ascii"), expected_typ=ANSWER_TYP)
        verify_jws(jws, key)
        payload = strict_json.parse_object(jws.payload)
    except (JoseError, UnicodeDecodeError, Malformed):
        raise SourceUntrustworthy("signature") from None
    for name, expected in (
        ("iss", question.register),
        ("aud", question.issuer),
        ("request", question.jti),
        ("sub", question.subject),
        ("credential_type", question.credential_type),
    ):
        if payload.get(name) != expected:
            raise SourceUntrustworthy(name)
    issued_at, expires_at = payload.get("iat"), payload.get("exp")
    if not _is_seconds(issued_at) or not now - LIFETIME - skew <= issued_at <= now + skew:
        raise SourceUntrustworthy("iat")
    if not _is_seconds(expires_at) or expires_at <= now:
        raise SourceUntrustworthy("exp")
    return _outcome(payload, several=question.several)


def _outcome(payload: JsonObject, *, several: bool) -> Mapping[str, JsonObject]:
    said = [name for name in _OUTCOMES if name in payload]
    if len(said) != 1:
        raise SourceUntrustworthy("outcome")
    match said[0], payload[said[0]]:
        case "claims", dict() as claims if not several:
            return {UNNAMED: claims}
        case "datasets", dict() as datasets if several and 0 < len(datasets) <= MOST:
            return {_name_of(name): _claims_of(claims) for name, claims in datasets.items()}
        case "retry_after", int() as seconds if _is_seconds(seconds) and 0 < seconds <= _MAX_RETRY_AFTER:
            raise SourceUnavailable(seconds)
        case "refused", str() as reason if _REASON.fullmatch(reason):
            raise SourceRefused(reason)
        case name, _:
            raise SourceUntrustworthy(name)


def _name_of(dataset: str) -> str:
    if not re.fullmatch(DATASET_NAME, dataset):
        raise SourceUntrustworthy("datasets")
    return dataset


def _claims_of(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise SourceUntrustworthy("datasets")
    return value


def _is_seconds(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
