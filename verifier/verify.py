"""The one way to claims: a vp_token, all that is expected of it, and a clock become a verdict. Pure, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from specs.credentials.sd_jwt_vc import SdJwtVc
from specs.credentials.session_transcript import (
    dc_api_transcript,
    iso_mdoc_dc_api_transcript,
    openid4vp_transcript,
)
from specs.protocols.dcql import FORMAT_MDOC, DcqlQuery, parse_dcql
from specs.protocols.interactive_authorization import audience_of
from specs.protocols.openid4vp.metadata import ALL_FORMATS, SupportedFormats
from specs.protocols.openid4vp.transaction_data import (
    MdocTransactionType,
    TransactionData,
    parse_transaction_data,
)
from specs.refusal import ReasonCode, Refusal
from verifier.check import mdoc as mdoc_check
from verifier.check import sd_jwt_vc as sd_jwt_check
from verifier.check.authentic import Authentic
from verifier.check.query import Answer, Answering, check_agreed, check_claims, check_same_person, choose
from verifier.check.revocation import (
    CRL_MEDIA_TYPE,
    OCSP_MEDIA_TYPE,
    Place,
    Revocations,
    check_revocation,
    revocation_places,
)
from verifier.check.shape import Presentation, check_shape
from verifier.check.status import check_status, media_types, status_reference, status_signer
from verifier.check.types import TypeMetadata, TypeMetadataMissing, ancestors_of
from verifier.expectations import (
    Binding,
    DcApi,
    DirectPost,
    FailedPresentation,
    InteractiveAuthorization,
    IsoMdocDcApi,
    OverDisclosure,
    Policy,
    Proximity,
    StatusLists,
    Trust,
)
from verifier.verdict import AcceptedCredential, Check, Discarded, Refused, Verdict, refused

_NOTHING: Mapping[str, None] = MappingProxyType({})
_NO_LISTS: StatusLists = MappingProxyType({})
_DEFAULT_POLICY = Policy()
# what a credential passed, by whether its certificates' revocation and its own status were asked for
_CURRENT: Mapping[tuple[bool, bool], tuple[Check, ...]] = {
    (False, False): (),
    (False, True): (Check.STATUS,),
    (True, False): (Check.REVOCATION,),
    (True, True): (Check.REVOCATION, Check.STATUS),
}


class ReferenceKind(StrEnum):
    """Why a document is wanted."""

    STATUS_LIST = "status_list"  # or an identifier list, as the media type says
    REVOCATION_LIST = "revocation_list"
    OCSP = "ocsp"
    TYPE_METADATA = "type_metadata"


@dataclass(frozen=True, slots=True)
class Reference:
    """A document to fetch before an answer can be judged; any of the media types will do, the first is liked best."""

    kind: ReferenceKind
    url: str
    media_types: tuple[str, ...]


def verify_presentation(
    vp_token: object,
    *,
    query: DcqlQuery | Mapping[str, object],
    nonce: str,
    client_id: str | None,
    binding: Binding,
    trust: Trust,
    status_lists: StatusLists,
    policy: Policy = _DEFAULT_POLICY,
    now: int,
    transaction_data: Sequence[str] = (),
    transaction_types: Sequence[MdocTransactionType] = (),
    announced: SupportedFormats = ALL_FORMATS,
    type_metadata: TypeMetadata = _NOTHING,
    revocation: Revocations = _NOTHING,
) -> Verdict:
    """Judge an answer: accepted claims with their origin, or exactly one reason (OpenID4VP §8.6, §14.1; RFC 9901 §7).

    vp_token: as parsed from the opened response. query, nonce, client_id: of the question as it was asked; client_id
    is None for
    unsigned requests over the Digital Credentials API. binding: how the answer came. trust: (format, requested type)
    → domains.
    status_lists: (uri, media type) → fetched list, or None if it could not be had. now: seconds since the epoch.
    transaction_data: the texts that were sent. transaction_types: how mdocs confirm them.
    type_metadata, revocation: by address, as `references` named them.

    Raises:
        ValueError: the caller's own question is broken; nothing a wallet sends raises.
    """
    judge = Judge(
        vp_token,
        query=_parsed_query(query),
        nonce=nonce,
        client_id=client_id,
        binding=binding,
        trust=trust,
        policy=policy,
        now=now,
        transaction_data=transaction_data,
        transaction_types=transaction_types,
        announced=announced,
    )
    return judge.verdict(status_lists=status_lists, type_metadata=type_metadata, revocation=revocation)


def references(
    vp_token: object,
    *,
    query: DcqlQuery | Mapping[str, object],
    nonce: str,
    client_id: str | None,
    binding: Binding,
    trust: Trust,
    policy: Policy = _DEFAULT_POLICY,
    now: int,
    transaction_data: Sequence[str] = (),
    transaction_types: Sequence[MdocTransactionType] = (),
    announced: SupportedFormats = ALL_FORMATS,
    type_metadata: TypeMetadata = _NOTHING,
    status_lists: StatusLists = _NO_LISTS,
    revocation: Revocations = _NOTHING,
) -> tuple[Reference, ...]:
    """What must be fetched before judging: only of credentials whose signature, trust and dates already hold.

    Arguments as `verify_presentation`; what was fetched already may name more, such as the signer of a status list or
    the next place where a revocation stands. An answer that is refused anyway has no references.

    Raises:
        ValueError: the caller's own question is broken.
    """
    judge = Judge(
        vp_token,
        query=_parsed_query(query),
        nonce=nonce,
        client_id=client_id,
        binding=binding,
        trust=trust,
        policy=policy,
        now=now,
        transaction_data=transaction_data,
        transaction_types=transaction_types,
        announced=announced,
    )
    return judge.references(status_lists=status_lists, type_metadata=type_metadata, revocation=revocation)


def _parsed_query(query: DcqlQuery | Mapping[str, object]) -> DcqlQuery:
    return query if isinstance(query, DcqlQuery) else parse_dcql(dict(query))  # type: ignore[arg-type]


_Opened = sd_jwt_check.OpenedSdJwt | mdoc_check.OpenedMdoc


@dataclass(slots=True)
class Judge:
    """An answer and its expectations, held together while what it refers to is fetched and its checks run in order.

    What a credential shows by its own bytes and these expectations alone is found once: shape, signatures, trust,
    dates. now: seconds since the epoch, when the answer came; a document that was fetched later is judged by the time
    of its fetch.
    """

    vp_token: object
    query: DcqlQuery
    nonce: str
    client_id: str | None
    binding: Binding
    trust: Trust
    policy: Policy
    now: int
    transaction_data: Sequence[str] = ()
    transaction_types: Sequence[MdocTransactionType] = ()
    announced: SupportedFormats = ALL_FORMATS
    _opened_before: tuple[list[_Opened], list[Discarded]] | None = field(default=None, init=False)
    _found_before: dict[str, Authentic | Refusal] = field(default_factory=dict, init=False)

    def verdict(
        self,
        *,
        status_lists: StatusLists,
        type_metadata: TypeMetadata = _NOTHING,
        revocation: Revocations = _NOTHING,
    ) -> Verdict:
        """All checks, then the sets on what is left; arguments as `verify_presentation`.

        Raises:
            ValueError: the caller's own question is broken; nothing a wallet sends raises.
        """
        try:
            return self._verdict(status_lists=status_lists, type_metadata=type_metadata, revocation=revocation)
        except Refusal as error:
            return refused(error.reason, error.where if isinstance(error, Refused) else "response")

    def references(
        self,
        *,
        status_lists: StatusLists = _NO_LISTS,
        type_metadata: TypeMetadata = _NOTHING,
        revocation: Revocations = _NOTHING,
    ) -> tuple[Reference, ...]:
        """The documents that the remaining checks will look at; arguments as `references`.

        Raises:
            ValueError: the caller's own question is broken.
        """
        try:
            return self._references(status_lists=status_lists, type_metadata=type_metadata, revocation=revocation)
        except Refusal:
            return ()

    def _verdict(self, *, status_lists: StatusLists, type_metadata: TypeMetadata, revocation: Revocations) -> Verdict:
        found, misshapen = self._opened()
        discarded = [*misshapen]
        answering: list[Answering] = []
        for opened in found:
            try:
                credential = self._authentic(opened, type_metadata)
                checks = self._current(credential, status_lists=status_lists, revocation=revocation)
                answering.append(check_claims(credential, passed=checks))
            except Refusal as error:
                self._discard(opened.presentation, error, discarded)
        chosen = choose(self.query, answering)
        if chosen is None:
            first = self._first(discarded)
            if first is None:
                return refused(ReasonCode.QUERY_NOT_SATISFIED, "response")
            return refused(first.reason, f"{first.query_id}[{first.position}]", discarded=tuple(discarded))
        answers, unneeded = chosen
        check_agreed(answers, transaction_data=self.transaction_data)
        compared = check_same_person(answers, rules=self.policy.same_person)
        return self._accepted(answers, tuple(discarded), unneeded, same_person=compared)

    def _references(
        self, *, status_lists: StatusLists, type_metadata: TypeMetadata, revocation: Revocations
    ) -> tuple[Reference, ...]:
        found: dict[Reference, None] = {}
        for opened in self._opened()[0]:
            try:
                credential = self._authentic(opened, type_metadata)
                status = status_reference(credential, policy=self.policy)
            except TypeMetadataMissing as missing:
                found[Reference(ReferenceKind.TYPE_METADATA, missing.url, ("application/json",))] = None
                continue
            except Refusal:
                continue
            if status is not None:
                types = media_types(status, credential)
                found[Reference(ReferenceKind.STATUS_LIST, status.uri, types)] = None
            signer = status_signer(status, credential, lists=status_lists, policy=self.policy, now=self.now)
            for path in (credential.path, signer):
                if path is not None:
                    places = revocation_places(
                        path, domain=credential.domain, revocation=revocation, policy=self.policy, now=self.now
                    )
                    found |= {_place_reference(place): None for place in places}
        return tuple(found)

    def _opened(self) -> tuple[list[_Opened], list[Discarded]]:
        """Shape and binding come first: what is another question's answer refuses the whole (OpenID4VP §14.1)."""
        if self._opened_before is None:
            opened: list[_Opened] = []
            discarded: list[Discarded] = []
            for presentation in check_shape(self.vp_token, query=self.query, limits=self.policy.limits):
                try:
                    opened.append(self._open(presentation))
                except Refused:
                    raise
                except Refusal as error:
                    self._discard(presentation, error, discarded)
            self._opened_before = opened, discarded
        return self._opened_before

    def _open(self, presentation: Presentation) -> _Opened:
        if presentation.query.format == FORMAT_MDOC:
            return mdoc_check.open_mdoc(
                presentation,
                limits=self.policy.limits.of_mdoc,
                session_transcript=self._session_transcript(),
                mac_key=None if isinstance(self.binding, IsoMdocDcApi) else self.binding.mac_key,
                announced=self.announced,
            )
        return sd_jwt_check.open_sd_jwt(
            presentation,
            limits=self.policy.limits.of_sd_jwt,
            expected_nonce=self.nonce,
            expected_audience=self._audience(),
            announced=self.announced,
            allow_former_typ=self.policy.allow_legacy_typ,
        )

    def _authentic(self, opened: _Opened, type_metadata: TypeMetadata) -> Authentic:
        """Signature, trust, dates, type, holder; found once, unless descriptions of types had a say in it."""
        where = opened.presentation.where
        before = self._found_before.get(where)
        if before is None:
            types = _Types(type_metadata)
            try:
                before = self._authenticated(opened, types)
            except Refusal as error:
                before = error.with_traceback(None)
            if not types.asked:
                self._found_before[where] = before
        if isinstance(before, Refusal):
            raise before
        return before

    def _authenticated(self, opened: _Opened, types: "_Types") -> Authentic:
        bound_to = self._transaction_data_of(opened.presentation.query.id)
        if isinstance(opened, mdoc_check.OpenedMdoc):
            return mdoc_check.authenticate_mdoc(
                opened,
                trust=self.trust,
                policy=self.policy,
                transaction_data=bound_to,
                transaction_types=self.transaction_types,
                now=self.now,
            )
        return sd_jwt_check.authenticate_sd_jwt(
            opened,
            trust=self.trust,
            policy=self.policy,
            limits=self.policy.limits.of_sd_jwt,
            expected_nonce=self.nonce,
            expected_audience=self._audience(),
            transaction_data=bound_to,
            types_of=types.of,
            now=self.now,
        )

    def _current(
        self, credential: Authentic, *, status_lists: StatusLists, revocation: Revocations
    ) -> tuple[Check, ...]:
        clear = check_revocation(
            credential.path, domain=credential.domain, revocation=revocation, policy=self.policy, now=self.now
        )
        valid = check_status(credential, lists=status_lists, revocation=revocation, policy=self.policy, now=self.now)
        return _CURRENT[clear, valid]

    def _transaction_data_of(self, query_id: str) -> tuple[TransactionData, ...]:
        if not self.transaction_data:
            return ()
        entries = parse_transaction_data(list(self.transaction_data), query=self.query)
        return tuple(entry for entry in entries if query_id in entry.credential_ids)

    def _audience(self) -> str:
        binding = self.binding
        if isinstance(binding, DirectPost) and self.client_id is not None:
            return self.client_id
        if isinstance(binding, DcApi):
            return f"origin:{binding.origin}"
        if isinstance(binding, InteractiveAuthorization):
            return audience_of(binding.origin)
        raise Refused(
            ReasonCode.FORMAT_MISMATCH, "this way of answering carries mdocs only, or the question had no client_id"
        )

    def _session_transcript(self) -> bytes:
        binding = self.binding
        if isinstance(binding, DirectPost) and self.client_id is not None:
            return openid4vp_transcript(
                client_id=self.client_id,
                nonce=self.nonce,
                jwk_thumbprint=binding.key_thumbprint,
                response_uri=binding.response_uri,
            )
        if isinstance(binding, DcApi):
            return dc_api_transcript(origin=binding.origin, nonce=self.nonce, jwk_thumbprint=binding.key_thumbprint)
        if isinstance(binding, Proximity):
            return binding.session_transcript
        if isinstance(binding, IsoMdocDcApi):
            return iso_mdoc_dc_api_transcript(encryption_info=binding.encryption_info, origin=binding.origin)
        if isinstance(binding, InteractiveAuthorization):
            raise Refused(ReasonCode.FORMAT_MISMATCH, "mdocs are not asked for in an interactive authorization")
        raise ValueError("a question that is answered by POST has a client_id")

    def _discard(self, presentation: Presentation, error: Refusal, discarded: list[Discarded]) -> None:
        if self.policy.on_failed_presentation is FailedPresentation.REFUSE:
            raise Refused(error.reason, error.detail, where=presentation.where) from error
        discarded.append(Discarded(presentation.query.id, presentation.position, error.reason))

    def _first(self, discarded: Sequence[Discarded]) -> Discarded | None:
        order = {entry.id: index for index, entry in enumerate(self.query.credentials)}
        return min(discarded, key=lambda entry: (order[entry.query_id], entry.position), default=None)

    def _accepted(
        self,
        answers: Sequence[Answer],
        discarded: tuple[Discarded, ...],
        unneeded: tuple[str, ...],
        *,
        same_person: frozenset[str],
    ) -> Verdict:
        names: list[str] = []
        for answer in answers:
            if not answer.over_disclosed:
                continue
            presentation = answer.credential.presentation
            names += [f"{presentation.query.id}:{_name(position)}" for position in answer.over_disclosed]
            if self.policy.on_over_disclosure is OverDisclosure.REFUSE:
                return refused(ReasonCode.CLAIM_NOT_REQUESTED, presentation.where, over_disclosed=tuple(names))
        return Verdict(
            True,
            credentials=tuple([_credential(answer, same_person=same_person) for answer in answers]),
            discarded=discarded,
            over_disclosed=tuple(names),
            unneeded=unneeded,
        )


class _Types:
    """Descriptions of types, and whether anybody asked for them."""

    __slots__ = ("_documents", "asked")

    def __init__(self, documents: TypeMetadata) -> None:
        self._documents = documents
        self.asked = False

    def of(self, credential: SdJwtVc) -> frozenset[str]:
        """The types that a credential is of."""
        self.asked = True
        return ancestors_of(credential, documents=self._documents)


def _place_reference(place: Place) -> Reference:
    if place.is_list:
        return Reference(ReferenceKind.REVOCATION_LIST, place.url, (CRL_MEDIA_TYPE,))
    return Reference(ReferenceKind.OCSP, place.url, (OCSP_MEDIA_TYPE,))


def _credential(answer: Answer, *, same_person: frozenset[str]) -> AcceptedCredential:
    credential = answer.credential
    query_id = credential.presentation.query.id
    return AcceptedCredential(
        query_id=query_id,
        format=credential.presentation.query.format,
        type=credential.type,
        issuer=credential.path.leaf_names.display_name,
        trust_domain=credential.domain.name,
        anchor=credential.path.anchor.name,
        anchor_kind=credential.path.anchor.kind,
        checks=(*answer.checks, Check.SAME_PERSON) if query_id in same_person else answer.checks,
        claims=answer.claims,
        issuer_id=credential.domain.identifier,
    )


def _name(position: Sequence[str | int]) -> str:
    return "/".join(str(step) for step in position)
