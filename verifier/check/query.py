"""Is it what was asked? Types, claims, values, sets, persons; nothing beyond gets through (OpenID4VP §6.4, §8.6)."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from specs.encoding.strict_json import JsonValue
from specs.protocols.dcql import ClaimSet, DcqlQuery, Position
from specs.protocols.dcql_match import authority_matches, evaluate_sets, over_disclosed, resolve, satisfied_claims
from specs.refusal import ReasonCode
from verifier.check.authentic import Authentic, visible
from verifier.expectations import SameClaim
from verifier.verdict import Check, Refused

_QUERY = Check.QUERY  # a member of an enumeration is looked up slowly


class Answering(NamedTuple):
    """A credential that answers its query, by this claim set. checks: all that it passed."""

    credential: Authentic
    claim_set: ClaimSet
    checks: tuple[Check, ...]


class Answer(NamedTuple):
    """A credential as it is handed on: the claims that were asked for, and the positions that were not."""

    credential: Authentic
    checks: tuple[Check, ...]
    claims: Mapping[str, JsonValue]
    over_disclosed: tuple[Position, ...]


def check_claims(credential: Authentic, *, passed: tuple[Check, ...]) -> Answering:
    """Check a credential against its credential query. passed: the checks since it was found authentic.

    Raises:
        Refusal: the chain is none of the named authorities', a claim is missing, or its value is another.
    """
    query = credential.presentation.query
    if query.trusted_authorities and not authority_matches(
        query.trusted_authorities, key_identifiers=credential.path.aki_values
    ):
        raise Refused(ReasonCode.TRUSTED_AUTHORITY_MISMATCH)
    return Answering(credential, satisfied_claims(query, credential.tree), (*credential.checks, *passed, _QUERY))


def choose(query: DcqlQuery, answering: Sequence[Answering]) -> tuple[tuple[Answer, ...], tuple[str, ...]] | None:
    """The answers that the question needs, in its order, and the ids of those it does not need; None: not satisfied."""
    outcome = evaluate_sets(query, {found.credential.presentation.query.id for found in answering})
    if not outcome.satisfied or not outcome.needed:
        return None  # also where each set is optional: an answer that shows nothing answers nothing
    asked: dict[bytes, list[ClaimSet]] = {}
    needed = [found for found in answering if found.credential.presentation.query.id in outcome.needed]
    for found in needed:
        # what one query did not ask may be another's answer, if both are answered by the same credential (§6.4)
        asked.setdefault(found.credential.identity, []).append(found.claim_set)
    answers = tuple([_answer(found, asked[found.credential.identity]) for found in needed])
    unneeded = tuple([entry.id for entry in query.credentials if entry.id in outcome.superfluous])
    return answers, unneeded


def _answer(found: Answering, asked: Sequence[ClaimSet]) -> Answer:
    beyond = over_disclosed(found.credential.disclosed, asked)
    return Answer(found.credential, found.checks, visible(found.credential, hidden=beyond), beyond)


def check_agreed(answers: Sequence[Answer], *, transaction_data: Sequence[str]) -> None:
    """Check that each transaction that was asked for is confirmed by a credential that counts (OpenID4VP §8.4).

    Raises:
        Refused: TRANSACTION_DATA_MISMATCH.
    """
    for encoded in transaction_data:
        if not any(encoded in answer.credential.agreed for answer in answers):
            raise Refused(ReasonCode.TRANSACTION_DATA_MISMATCH)


def check_same_person(answers: Sequence[Answer], *, rules: Sequence[SameClaim]) -> frozenset[str]:
    """Check that the credentials which a rule names speak of one person. The ids of the queries that were compared.

    Texts are compared without regard to case, `ß` as `ss` (eID data is in upper case); anything else by type and value.

    Raises:
        Refused: DIFFERENT_PERSONS: a value differs, or a credential does not have it, or it says nothing: nulls, empty
            texts, lists and objects are nobody's.
    """
    compared: set[str] = set()
    for rule in rules:
        found = [
            [_comparable(value) for _, value in resolve(answer.credential.tree, rule.paths[query_id])]
            for answer in answers
            if (query_id := answer.credential.presentation.query.id) in rule.paths
        ]
        if len(found) < 2:
            continue
        if not found[0] or not all(map(_says_something, found[0])) or any(values != found[0] for values in found[1:]):
            raise Refused(ReasonCode.DIFFERENT_PERSONS)
        compared |= rule.paths.keys()
    return frozenset(compared)


def _says_something(comparable: tuple[str, object]) -> bool:
    return comparable[1] not in (None, "", [], {})


def _comparable(value: object) -> tuple[str, object]:
    if isinstance(value, str):
        return "text", " ".join(unicodedata.normalize("NFC", value).casefold().split())
    return type(value).__name__, value
