"""DCQL, answered: which claims of a credential are meant, does an answer satisfy the question (OpenID4VP 1.0 §6.4, §7).

A credential is a tree: for SD-JWT VC the payload as issued with the disclosures put in, where an array element that
was not disclosed is a sentinel; for mdoc a map of name spaces to maps of elements.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import cbor2

from specs.credentials.sd_jwt import UNDISCLOSED
from specs.encoding import base64url
from specs.protocols.dcql import (
    ClaimSet,
    ClaimsQuery,
    ClaimValue,
    CredentialQuery,
    DcqlQuery,
    MdocMeta,
    Path,
    Position,
    SdJwtVcMeta,
    TrustedAuthority,
    UnknownMeta,
    W3cMeta,
)
from specs.refusal import ReasonCode, Refusal

Tree: TypeAlias = object
"""What a path walks through: dict, list, scalars, and the sentinel for what was not disclosed."""

KeyT = TypeVar("KeyT")


class ClaimsNotSatisfied(Refusal):
    """No claim set is there: `claims_missing`, or `claim_value_mismatch` if only values stood in the way."""


# paths


def resolve(tree: Tree, path: Path) -> list[tuple[Position, object]]:
    """What a claims path pointer selects, with positions (§7.1.1; for mdoc §7.2.1); nothing: the claim does not exist.

    Indices count the array as it was issued. An element that is `UNDISCLOSED` is selected by nothing.
    """
    selected: list[tuple[Position, object]] = [((), tree)]
    for component in path:
        following: list[tuple[Position, object]] = []
        for position, value in selected:
            if isinstance(component, str):
                if not isinstance(value, dict):
                    return []
                if component in value:
                    following.append(((*position, component), value[component]))
            elif not isinstance(value, list):
                return []
            elif component is None:
                following.extend(
                    ((*position, index), element) for index, element in enumerate(value) if element is not UNDISCLOSED
                )
            elif component < len(value) and value[component] is not UNDISCLOSED:
                following.append(((*position, component), value[component]))
        selected = following
    return selected


def resolve_path(tree: Tree, path: Path) -> tuple[Position, ...]:
    """The positions that a claims path pointer selects (§7.1.1); none: the claim does not exist."""
    return tuple(position for position, _ in resolve(tree, path))


# one credential


def satisfied_claims(query: CredentialQuery, tree: Tree) -> ClaimSet:
    """The first claim set of the query that the credential satisfies (§6.4.1).

    Each claim is looked at once, however many sets name it.

    Raises:
        ClaimsNotSatisfied: a claim of each set is missing, or has none of the values it should have.
    """
    if query.options[0].members is not None and _has_members(tree, query.options[0].members):
        return query.options[0]
    found: dict[Path, ReasonCode | None] = {}
    complete_but_for_values = False
    for option in query.options:
        failure: ReasonCode | None = None
        for claim in option.claims:
            path = claim.path
            if path not in found:
                found[path] = _failure(claim, tree)
            state = found[path]
            if state is ReasonCode.CLAIMS_MISSING:
                failure = state
                break
            failure = failure or state
        if failure is None:
            return option
        complete_but_for_values |= failure is ReasonCode.CLAIM_VALUE_MISMATCH
    reason = ReasonCode.CLAIM_VALUE_MISMATCH if complete_but_for_values else ReasonCode.CLAIMS_MISSING
    raise ClaimsNotSatisfied(reason, f"credential query {query.id}")


def _has_members(tree: Tree, members: Iterable[tuple[Path, frozenset[str]]]) -> bool:
    for parent, names in members:
        node = tree
        for step in parent:
            if not isinstance(node, dict):
                return False
            node = node.get(step)
        if not isinstance(node, dict) or not node.keys() >= names:
            return False
    return True


def _failure(claim: ClaimsQuery, tree: Tree) -> ReasonCode | None:
    value = tree
    for component in claim.path:
        # most paths name members only; they need no list of selections
        if type(component) is not str:
            return _failure_of_any(claim, resolve(tree, claim.path))
        if not isinstance(value, dict) or component not in value:
            return ReasonCode.CLAIMS_MISSING
        value = value[component]
    if claim.values is None or _is_one_of(value, claim.values):
        return None
    return ReasonCode.CLAIM_VALUE_MISMATCH


def _failure_of_any(claim: ClaimsQuery, selected: list[tuple[Position, object]]) -> ReasonCode | None:
    if not selected:
        return ReasonCode.CLAIMS_MISSING
    wanted = claim.values
    if wanted is None or any(_is_one_of(value, wanted) for _, value in selected):
        return None
    return ReasonCode.CLAIM_VALUE_MISMATCH


def _is_one_of(value: object, wanted: tuple[ClaimValue, ...]) -> bool:
    """Equal in type and value (§6.3): true is not 1, 1 is not 1.0, "1" is neither."""
    value = json_scalar(value)
    return any(type(value) is type(candidate) and value == candidate for candidate in wanted)


def json_scalar(value: object) -> object:
    """A CBOR value as the JSON value it stands for where a question compares it (§6.3, RFC 8949 §6.1).

    A tag counts for nothing but its content; bytes become base64url text. Maps and arrays stay what they are.
    """
    while isinstance(value, cbor2.CBORTag):
        value = value.value
    if isinstance(value, bytes):
        return base64url.encode(value)
    return value


def type_matches(query: CredentialQuery, types: Collection[str]) -> bool:
    """Whether a credential of these types is of a requested one (§B.1.1, §B.2.3, §B.3.5).

    types: for SD-JWT VC its `vct` and what that extends by trusted type metadata; for mdoc the document type alone;
    for W3C credentials all its types, expanded.
    """
    match query.meta:
        case SdJwtVcMeta(vct_values):
            return any(vct in types for vct in vct_values)
        case MdocMeta(doctype_value):
            return doctype_value in types
        case W3cMeta(type_values):
            return any(all(name in types for name in wanted) for wanted in type_values)
        case UnknownMeta():
            return False


def authority_matches(
    authorities: Collection[TrustedAuthority],
    *,
    key_identifiers: Collection[bytes],
    memberships: Collection[tuple[str, str]] = (),
) -> bool:
    """Whether one value of one entry fits the credential's chain (§6.1.1); no entries ask for nothing.

    key_identifiers: authority key identifiers of the certificates in the chain (§6.1.1.1). memberships: type and value
    of what else is known of the issuer, such as trust lists that name it.
    """
    return not authorities or any(
        not authority.key_identifiers.isdisjoint(key_identifiers)
        if authority.type == "aki"
        else any((authority.type, value) in memberships for value in authority.values)
        for authority in authorities
    )


def over_disclosed(positions: Iterable[Position], asked: Collection[ClaimSet]) -> tuple[Position, ...]:
    """Which disclosed positions nobody asked for (§6.4).

    positions: of what the holder chose to disclose, never of permanent claims. asked: the satisfied claim set of each
    query that this credential answers.
    """
    unasked: Sequence[Position] = tuple(positions)
    for claim_set in asked:
        unasked = claim_set.asked.unasked(unasked)
    return tuple(unasked)


# the whole answer


_NONE: frozenset[str] = frozenset()


class SetsOutcome(NamedTuple):
    """How a question's credential sets fare with what was answered (§6.4.2).

    needed: ids used by the first satisfied option of each set. superfluous: answered, but used by none.
    """

    satisfied: bool
    needed: frozenset[str]
    superfluous: frozenset[str]


def evaluate_sets(query: DcqlQuery, answered: Collection[str]) -> SetsOutcome:
    """Judge the sets on the ids for which a good credential is there (§6.4.2); one pass over the options."""
    have = frozenset(answered)
    if not query.credential_sets:
        needed = query.ids
        if have == needed:
            return SetsOutcome(True, needed, _NONE)
        return SetsOutcome(needed <= have, needed & have, have - needed)
    satisfied = True
    used: set[str] = set()
    for entry in query.credential_sets:
        option = next((option for option in entry.options if have.issuperset(option)), None)
        if option is not None:
            used.update(option)
        elif entry.required:
            satisfied = False
    return SetsOutcome(satisfied, frozenset(used), have - used)


# the wallet's side


@dataclass(frozen=True, slots=True)
class Candidate(Generic[KeyT]):
    """A credential in a wallet, as far as a question looks at it. `key` is the wallet's own handle."""

    key: KeyT
    format: str
    types: frozenset[str]
    tree: Tree
    holder_bound: bool = True
    key_identifiers: frozenset[bytes] = frozenset()
    memberships: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Match(Generic[KeyT]):
    """A credential that answers a query, and what of it would be disclosed: positions, without their parents."""

    query: CredentialQuery
    candidate: Candidate[KeyT]
    claim_set: ClaimSet
    disclose: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class SetChoice:
    """What can be chosen for one set: the options for which credentials are there, the asker's favourite first."""

    required: bool
    options: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Selection(Generic[KeyT]):
    """What a wallet could answer (§6.4). Unless `satisfied`, nothing may be returned at all (§6.4.2).

    matches: per query id each credential that fits. choices: what the holder may choose. chosen: the ids of the first
    possible option of each set, optional ones included.
    """

    satisfied: bool
    matches: Mapping[str, tuple[Match[KeyT], ...]]
    choices: tuple[SetChoice, ...]
    chosen: tuple[str, ...]


def select(query: DcqlQuery, candidates: Collection[Candidate[KeyT]]) -> Selection[KeyT]:
    """Find in a wallet's credentials what answers a question (§6.4)."""
    matches: dict[str, tuple[Match[KeyT], ...]] = {}
    for credential_query in query.credentials:
        found = [_match(credential_query, candidate) for candidate in candidates]
        fitting = tuple(match for match in found if match is not None)
        if fitting:
            matches[credential_query.id] = fitting
    outcome = evaluate_sets(query, matches)
    if query.credential_sets:
        choices = tuple(
            SetChoice(entry.required, tuple(option for option in entry.options if matches.keys() >= set(option)))
            for entry in query.credential_sets
        )
    else:
        choices = tuple(SetChoice(True, ((entry.id,),) if entry.id in matches else ()) for entry in query.credentials)
    chosen = tuple(entry.id for entry in query.credentials if entry.id in outcome.needed)
    return Selection(outcome.satisfied, matches, choices, chosen if outcome.satisfied else ())


def _match(query: CredentialQuery, candidate: Candidate[KeyT]) -> Match[KeyT] | None:
    if candidate.format != query.format or not type_matches(query, candidate.types):
        return None
    if query.require_cryptographic_holder_binding and not candidate.holder_bound:
        return None
    if not authority_matches(
        query.trusted_authorities, key_identifiers=candidate.key_identifiers, memberships=candidate.memberships
    ):
        return None
    try:
        claim_set = satisfied_claims(query, candidate.tree)
    except ClaimsNotSatisfied:
        return None
    return _matched(query, candidate, claim_set)


def alternatives(match: Match[KeyT]) -> tuple[Match[KeyT], ...]:
    """The same credential by each claim set that it satisfies, the asker's favourite first (§6.4.1)."""
    tree = match.candidate.tree
    satisfied = (
        option for option in match.query.options if all(_failure(claim, tree) is None for claim in option.claims)
    )
    return tuple(_matched(match.query, match.candidate, option) for option in satisfied)


def _matched(query: CredentialQuery, candidate: Candidate[KeyT], claim_set: ClaimSet) -> Match[KeyT]:
    disclose = tuple(
        dict.fromkeys(position for claim in claim_set.claims for position in resolve_path(candidate.tree, claim.path))
    )
    return Match(query, candidate, claim_set, disclose)
