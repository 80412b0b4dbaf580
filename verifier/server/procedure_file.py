"""A municipal procedure as a file: what is asked, why, and by which rules the answer is judged.

id: resident_parking
purpose: {de: "Bewohnerparkausweis", en: "Resident parking permit"}
return_url: https://portal.example.org/parking/return
query:
  credentials:
    - {id: pid, format: dc+sd-jwt, meta: {vct_values: [urn:eudi:pid:de:1]}, claims: [{path: [family_name]}]}
policy: {status: required}
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from specs.encoding.placed_yaml import FileInvalid, parse_model
from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC, DcqlQuery, parse_dcql
from specs.protocols.openid4vp import DcApiProtocol, MdocTransactionType, RequestError, ResponseMode
from specs.protocols.openid4vp.addresses import check_https, check_origin
from verifier.ask import LIFETIME_SECONDS, Procedure, RequestWay
from verifier.expectations import FailedPresentation, OverDisclosure, Policy, SameClaim, StatusRule

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
ALWAYS_SHOWN = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"})

_MEMBERS: Mapping[str, frozenset[str]] = {
    "": frozenset({"credentials", "credential_sets"}),
    "credentials": frozenset(
        {
            "id", "format", "multiple", "meta", "trusted_authorities", "require_cryptographic_holder_binding",
            "claims", "claim_sets",
        }
    ),
    "credential_sets": frozenset({"options", "required"}),
    "meta": frozenset({"vct_values", "doctype_value"}),
    "trusted_authorities": frozenset({"type", "values"}),
    "claims": frozenset({"id", "path", "values", "intent_to_retain"}),
}  # fmt: skip


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicyFile(_Model):
    """What a procedure may change of `Policy`; seconds where a number is a time.

    same_person: for each property of a person, where each credential has it: query id → path.
    """

    status: StatusRule = StatusRule.WHEN_PRESENT
    on_over_disclosure: OverDisclosure = OverDisclosure.DROP
    on_failed_presentation: FailedPresentation = FailedPresentation.DISCARD
    same_person: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    require_end_or_status: bool = True
    key_binding_max_age: int = Field(default=300, ge=10, le=300)

    def policy(self, *, allow_test_anchors: bool) -> Policy:
        """The rules as the verifier takes them."""
        return Policy(
            status=self.status,
            on_over_disclosure=self.on_over_disclosure,
            on_failed_presentation=self.on_failed_presentation,
            same_person=tuple(SameClaim(dict(paths)) for paths in self.same_person),
            require_end_or_status=self.require_end_or_status,
            key_binding_max_age=self.key_binding_max_age,
            allow_test_anchors=allow_test_anchors,
        )


class TransactionTypeFile(_Model):
    """How an mdoc confirms transaction data of a type."""

    type: Text
    name_space: Text
    element: Text


class ProcedureFile(_Model):
    """One procedure. lifetime: seconds that a question waits for its answer.

    registration_certificates: of this intended use, files in the tenant's folder.
    """

    id: Name
    purpose: Mapping[Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Za-z-]{2,20})?$")], Text] = Field(
        min_length=1
    )
    return_url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,500}$")] | None = None
    response_mode: ResponseMode = ResponseMode.DIRECT_POST_JWT
    request_way: RequestWay = RequestWay.REQUEST_URI_GET
    origins: tuple[Text, ...] = ()
    dc_api: tuple[DcApiProtocol, ...] = (DcApiProtocol.SIGNED,)
    lifetime: int = Field(default=LIFETIME_SECONDS, ge=60, le=900)
    query: dict[str, Any]
    policy: PolicyFile = PolicyFile()
    transaction_types: tuple[TransactionTypeFile, ...] = ()
    registration_certificates: tuple[Text, ...] = ()

    @field_validator("query")
    @classmethod
    def _is_a_careful_question(cls, value: dict[str, Any]) -> dict[str, Any]:
        for where, member in unknown_members(value):
            raise ValueError(f"{where or 'query'}: a question has no member {member}")
        for finding in findings(parse_dcql(value)):
            raise ValueError(finding)
        return value

    @model_validator(mode="after")
    def _same_person_is_asked(self) -> Self:
        query = parse_dcql(self.query)
        for paths in self.policy.same_person:
            if len(paths) < 2:
                raise ValueError("policy.same_person: one property is compared between two credentials or more")
            for query_id, path in paths.items():
                entry = query.by_id.get(query_id)
                if entry is None or path not in {claim.path for claim in entry.claims}:
                    raise ValueError(f"policy.same_person: {query_id} does not ask for {'/'.join(path)}")
        return self

    def procedure(self, *, allow_test_anchors: bool = False) -> Procedure:
        """The procedure as the verifier asks it."""
        return Procedure(
            id=self.id,
            query=parse_dcql(self.query),
            policy=self.policy.policy(allow_test_anchors=allow_test_anchors),
            purpose=dict(self.purpose),
            return_url=self.return_url,
            response_mode=self.response_mode,
            lifetime=self.lifetime,
            request_way=self.request_way,
            origins=self.origins,
            dc_api=self.dc_api,
            transaction_types=tuple(
                MdocTransactionType(each.type, each.name_space, each.element) for each in self.transaction_types
            ),
        )


def parse_procedure(text: str, *, name: str, allow_loopback_http: bool = False) -> ProcedureFile:
    """Read one file. name: what errors call it.

    Raises:
        FileInvalid: one finding a line, each with line and column.
    """
    found = parse_model(text, name=name, model=ProcedureFile)
    try:
        if found.return_url is not None:
            check_https(found.return_url.partition("#")[0], name="return_url", allow_loopback_http=allow_loopback_http)
        for origin in found.origins:
            check_origin(origin, allow_loopback_http=allow_loopback_http)
    except RequestError as error:
        raise FileInvalid(f"{name}:1:1: {error.description}") from None
    return found


def findings(query: DcqlQuery) -> Iterator[str]:
    """What a careful question does not do, although the standard lets it (contract 2)."""
    for entry in query.credentials:
        if entry.format not in (FORMAT_SD_JWT_VC, FORMAT_MDOC):
            yield f"{entry.id}: the format {entry.format} can't be checked here"
        for claim in entry.claims:
            if any(type(step) is int for step in claim.path):
                yield f"{entry.id}: an index in {list(claim.path)}: the issuer decides what stands where; use null"
            if entry.format == FORMAT_SD_JWT_VC and claim.path[0] in ALWAYS_SHOWN:
                yield f"{entry.id}: {claim.path[0]} is always shown and need not be asked for"


def unknown_members(value: object, at: str = "", kind: str = "") -> Iterator[tuple[str, str]]:
    """Members that no question has, with where they stand: a wallet ignores them, so they would ask nothing."""
    if not isinstance(value, dict):
        return
    for name, member in value.items():
        if name not in _MEMBERS[kind]:
            yield at, str(name)
        elif name in _MEMBERS:
            items = [(f"[{n}]", item) for n, item in enumerate(member)] if isinstance(member, list) else [("", member)]
            for index, item in items:
                yield from unknown_members(item, f"{at}.{name}{index}".lstrip("."), name)
