"""What the holder is asked before anything is shown: who wants to know what, what for, and what can be chosen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from specs.encoding.strict_json import JsonValue
from specs.protocols.dcql import FORMAT_MDOC
from specs.protocols.dcql_match import Match, Selection, alternatives
from specs.protocols.openid4vp import AuthorizationRequest
from specs.refusal import Refusal
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.registration import INFO_FORMAT, check_registered, parse_registration, verify_registration
from specs.trust.x509 import TrustAnchor
from wallet_sim.device import ReaderShown
from wallet_sim.presentation import Held, claim_names

_COMMON = frozenset({"type", "credential_ids", "transaction_data_hashes_alg"})  # not the type's own (§5.1)


@dataclass(frozen=True, slots=True)
class ClaimShown:
    """A credential that would be shown, with the names of its claims."""

    credential: str
    claims: tuple[str, ...]


class RegistrationState(StrEnum):
    """What is known of what the asker is registered for."""

    NONE = "none"  # no registration certificate came along
    UNVERIFIED = "unverified"  # one came along, and this wallet knows no registrar
    VERIFIED = "verified"  # it holds, and covers the question
    INVALID = "invalid"  # it does not hold, or does not cover the question


@dataclass(frozen=True, slots=True)
class RegistrationShown:
    """What a registration certificate says. reason: why it does not hold. purpose: by language."""

    state: RegistrationState = RegistrationState.NONE
    reason: str = ""
    purpose: Mapping[str, str] = field(default_factory=dict)
    privacy_policy: str | None = None


@dataclass(frozen=True, slots=True)
class OptionShown:
    """A credential that could answer one query. credential_id: of the copy that would be shown.

    claims: what is shown of it. claim_sets: what could be, for each claim set that it satisfies; `claims` come first.
    """

    credential_id: str
    credential: str
    issuer: str
    format: str
    claims: tuple[str, ...]
    claim_sets: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class AgreementShown:
    """Transaction data that the holder would confirm (§8.4). members: its own, as paths with slashes and values."""

    type: str
    members: tuple[tuple[str, JsonValue], ...]


@dataclass(frozen=True, slots=True)
class SetShown:
    """One thing that is asked for: the queries of each way to satisfy it, the asker's favourite first."""

    required: bool
    options: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class QuestionShown:
    """What the holder is asked: who wants to know what. verifier: as its certificate names it.

    shown: what a plain yes shows. agreements: transaction data that the holder would confirm.
    options: by query, the credentials that fit. sets: what can be chosen among the queries. origin: of the page through
    which it was asked, as the browser says; empty where no page did.
    """

    verifier: str
    client_id: str
    shown: tuple[ClaimShown, ...]
    agreements: tuple[AgreementShown, ...] = ()
    registration: RegistrationShown = RegistrationShown()
    options: Mapping[str, tuple[OptionShown, ...]] = field(default_factory=dict)
    sets: tuple[SetShown, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A yes with choices. credentials: by query the id of a credential. sets: for each the option's index, or None.

    claim_sets: by query the index of one of the credential's. What is left out is as a plain yes has it.
    """

    credentials: Mapping[str, str] = field(default_factory=dict)
    sets: tuple[int | None, ...] | None = None
    claim_sets: Mapping[str, int] = field(default_factory=dict)


Consent = Callable[[QuestionShown], "bool | Chosen"]


class ChoiceInvalid(ValueError):
    """What was chosen was not there to be chosen."""


def chosen_matches(selection: Selection[Held], chosen: Chosen) -> list[Match[Held]]:
    """The credentials that a choice stands for.

    Raises:
        ChoiceInvalid: it names what was not offered, or leaves out what is required.
    """
    ids = list(selection.chosen)
    if chosen.sets is not None:
        if len(chosen.sets) != len(selection.choices):
            raise ChoiceInvalid("another number of sets")
        ids = []
        for choice, index in zip(selection.choices, chosen.sets, strict=True):
            if index is None and choice.required:
                raise ChoiceInvalid("what is required was left out")
            if index is not None:
                if not 0 <= index < len(choice.options):
                    raise ChoiceInvalid("an option that is not there")
                ids += choice.options[index]
    matches: list[Match[Held]] = []
    for query_id in dict.fromkeys(ids):
        wanted = chosen.credentials.get(query_id)
        fitting = selection.matches[query_id]
        found = [match for match in fitting if wanted in (None, match.candidate.key.stored.id)]
        if not found:
            raise ChoiceInvalid("a credential that does not answer")
        possible, index = alternatives(found[0]), chosen.claim_sets.get(query_id, 0)
        if not 0 <= index < len(possible):
            raise ChoiceInvalid("a claim set that is not there")
        matches.append(possible[index])
    return matches


def question_of(
    request: AuthorizationRequest,
    matches: Sequence[Match[Held]],
    selection: Selection[Held],
    *,
    by: tuple[str, str],
    registration: RegistrationShown,
    origin: str = "",
) -> QuestionShown:
    """What to ask the holder. by: who asks, for people, and the client identifier. origin: of the page, if one did."""
    return QuestionShown(
        *by,
        shown=tuple(ClaimShown(match.candidate.key.stored.name, claim_names(match)) for match in matches),
        agreements=tuple(
            AgreementShown(entry.type, tuple(_flat({k: v for k, v in entry.members.items() if k not in _COMMON})))
            for entry in request.transaction_data
        ),
        registration=registration,
        options={query_id: tuple(map(_option, fitting)) for query_id, fitting in selection.matches.items()},
        sets=tuple(SetShown(choice.required, choice.options) for choice in selection.choices),
        origin=origin,
    )


def question_of_reader(reader: ReaderShown, *, origin: str) -> QuestionShown:
    """What to ask the holder where a page asks by `org-iso-mdoc`: all of each document, or nothing."""
    shown = tuple(ClaimShown(each.credential, each.elements) for each in reader.shown)
    options = {
        str(number): (OptionShown(each.credential_id, each.credential, each.issuer, FORMAT_MDOC, each.elements),)
        for number, each in enumerate(reader.shown)
    }
    sets = tuple(SetShown(required=True, options=((name,),)) for name in options)
    name = reader.reader or origin
    return QuestionShown(name, origin, shown, options=options, sets=sets, origin=origin)


def registration_of(
    request: AuthorizationRequest, chain: Sequence[bytes], *, anchors: Sequence[TrustAnchor], now: int
) -> RegistrationShown:
    """What the asker's registration certificate says (OpenID4VP §5.11, ETSI TS 119 475). now: seconds.

    anchors: of registrars; without any what it says is shown as unverified.
    """
    entries = [entry for entry in request.verifier_info if entry.format == INFO_FORMAT and isinstance(entry.data, str)]
    if not entries:
        return RegistrationShown()
    token, covered = str(entries[0].data), entries[0].credential_ids
    try:
        registration = parse_registration(token)
    except Refusal as error:
        return RegistrationShown(RegistrationState.INVALID, error.reason.value)
    state, reason = RegistrationState.UNVERIFIED, ""
    if anchors:
        subject = parse_certificate(chain[0]).names().organization_identifier if chain else None
        try:
            verify_registration(token, anchors=anchors, expected_subject=subject, now=now)
            check_registered(request.query, registration, credential_ids=covered)
            state = RegistrationState.VERIFIED
        except Refusal as error:
            state, reason = RegistrationState.INVALID, error.reason.value
    return RegistrationShown(state, reason, registration.purpose, registration.privacy_policy)


def _option(match: Match[Held]) -> OptionShown:
    stored = match.candidate.key.stored
    claim_sets = tuple(map(claim_names, alternatives(match)))
    return OptionShown(stored.id, stored.name, stored.issuer, stored.format, claim_sets[0], claim_sets)


def _flat(value: JsonValue, path: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Each value with its path, names and positions with slashes."""
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in entries:
            yield from _flat(inner, f"{path}/{name}" if path else str(name))
    else:
        yield path, value
