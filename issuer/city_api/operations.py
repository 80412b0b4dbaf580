"""What the City API does, each function one call of an application back end, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from issuer.caps import cap_of, has_place
from issuer.catalog.claims import ClaimsRefused, Finding, check_claims
from issuer.catalog.loader import Configuration
from issuer.catalog.schema import CredentialFormat, Datasets
from issuer.city_api.authentication import Caller
from issuer.city_api.idempotency import Answer, IdempotentRequest, once
from issuer.city_api.models import (
    ArmedOfferAnswer,
    CredentialAnswer,
    OfferAnswer,
    OfferRequest,
    QrAddresses,
    RearmRequest,
    SearchAnswer,
    SearchRequest,
    StatusRequest,
    timestamp,
)
from issuer.city_api.problems import Problem
from issuer.claims_source import SourceRefused, SourceUnavailable, SourceUntrustworthy
from issuer.claims_source.at_issue import ask_register
from issuer.claims_source.pull import CITY_TIME
from issuer.credentials import StatusChange, change_status, find_credential, search_by_subject
from issuer.datasets import UNNAMED
from issuer.offers import ArmedOffer, NewCredential, NewOffer, cancel_offer, create_offer, rearm_offer, show_offer
from issuer.service import IssuerService
from issuer.store.tables import Delivery, Grant
from issuer.tenants import ActiveTenant
from issuer.wallet_api.rules import never_issued
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.profiles import Deferred
from specs.protocols.credential_offer import (
    CredentialOffer,
    OfferedAuthorizationCode,
    OfferedPreAuthorizedCode,
    TxCode,
    offer_reference_link,
)
from specs.protocols.credential_offer import offer_link as offer_by_value_link

ClaimsByType: TypeAlias = Mapping[str, Mapping[str, JsonObject]]  # by credential type and dataset


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated call. key: the Idempotency-Key, if there was one. raw: the body as it came."""

    service: IssuerService
    caller: Caller
    method: str
    path: str
    key: str | None = field(repr=False)
    raw: bytes = field(repr=False)

    def idempotent(self) -> IdempotentRequest:
        """What makes this call the same as another one."""
        return IdempotentRequest(caller=self.caller, method=self.method, path=self.path, key=self.key, body=self.raw)

    async def tenant(self) -> ActiveTenant:
        """The caller's tenant; clients exist for tenants that do."""
        tenant = await self.service.tenants.find(self.caller.tenant_id)
        assert tenant is not None
        return tenant


async def make_offer(call: Call, body: OfferRequest) -> Answer:
    """POST /offers.

    Raises:
        Problem, ClaimsRefused: the request doesn't fit the catalogue, or its key was used otherwise.
    """
    service, now = call.service, call.service.clock()
    tenant = await call.tenant()
    subject = None if body.subject is None else body.subject.reference
    _check_scheme(tenant, body.scheme)
    configurations = _configurations(service, tenant, body)
    claims = await claims_of(service, tenant, body, subject=subject, now=now)
    await _check_places(service, tenant, configurations, claims, subject=subject, now=now)
    new = NewOffer(
        credentials=new_credentials(configurations, claims),
        grant=body.grant,
        delivery=body.delivery,
        locale=body.locale or tenant.locale,
        expires_at=now + lifetime_of(service, body.expires_in),
        subject=subject,
        tx_code_length=service.settings.tx_code_length if body.tx_code else 0,
        client_id=call.caller.client_id,
        keep_subject=any(tenant.arranged.source_of(name) is not None for name in body.credential_types),
    )
    async with service.store.transaction() as session:

        async def effect() -> Answer:
            armed = await create_offer(
                session,
                new,
                sealer=tenant.sealer,
                secrets_at_rest=service.secrets,
                code_lifetime=service.settings.code_lifetime,
                now=now,
            )
            return armed_answer(service, tenant, armed, status=201, scheme=body.scheme)

        return await once(session, call.idempotent(), effect, lifetime=service.settings.idempotency_lifetime, now=now)


async def rearm(call: Call, offer_id: str, body: RearmRequest) -> Answer:
    """POST /offers/{id}/rearm.

    Raises:
        OfferNotFound, OfferConflict, Problem: as `rearm_offer` and `once`.
    """
    service, now = call.service, call.service.clock()
    tenant = await call.tenant()
    lifetime = lifetime_of(service, body.expires_in)
    async with service.store.transaction() as session:

        async def effect() -> Answer:
            armed = await rearm_offer(
                session,
                tenant_id=tenant.id,
                offer_id=offer_id,
                secrets_at_rest=service.secrets,
                code_lifetime=service.settings.code_lifetime,
                lifetime=lifetime,
                now=now,
            )
            return armed_answer(service, tenant, armed, status=200)

        return await once(session, call.idempotent(), effect, lifetime=service.settings.idempotency_lifetime, now=now)


async def get_offer(service: IssuerService, caller: Caller, offer_id: str) -> OfferAnswer:
    """GET /offers/{id}."""
    async with service.store.reading() as session:
        return OfferAnswer.of(
            await show_offer(session, tenant_id=caller.tenant_id, offer_id=offer_id, now=service.clock())
        )


async def cancel(service: IssuerService, caller: Caller, offer_id: str) -> OfferAnswer:
    """DELETE /offers/{id}."""
    async with service.store.transaction() as session:
        return OfferAnswer.of(
            await cancel_offer(session, tenant_id=caller.tenant_id, offer_id=offer_id, now=service.clock())
        )


async def get_credential(service: IssuerService, caller: Caller, credential_id: str) -> CredentialAnswer:
    """GET /credentials/{id}."""
    async with service.store.reading() as session:
        return CredentialAnswer.of(
            await find_credential(session, tenant_id=caller.tenant_id, credential_id=credential_id)
        )


async def search(service: IssuerService, caller: Caller, body: SearchRequest) -> SearchAnswer:
    """POST /credentials/search."""
    pseudonym = service.secrets.pseudonym(body.subject_reference, tenant_id=caller.tenant_id)
    async with service.store.reading() as session:
        found, cursor = await search_by_subject(
            session, tenant_id=caller.tenant_id, pseudonym=pseudonym, after=body.cursor, limit=body.limit
        )
    return SearchAnswer(credentials=[CredentialAnswer.of(each) for each in found], next_cursor=cursor)


async def set_status(call: Call, credential_id: str, change: StatusChange, body: StatusRequest) -> Answer:
    """POST /credentials/{id}/revoke, /suspend, /reinstate.

    Raises:
        CredentialNotFound, StatusConflict, Problem: as `change_status` and `once`.
    """
    service, now = call.service, call.service.clock()
    async with service.store.transaction() as session:

        async def effect() -> Answer:
            view = await change_status(
                session,
                tenant_id=call.caller.tenant_id,
                credential_id=credential_id,
                change=change,
                reason=body.reason,
                now=now,
            )
            return Answer(200, CredentialAnswer.of(view).model_dump_json(exclude_none=True).encode())

        return await once(session, call.idempotent(), effect, lifetime=service.settings.idempotency_lifetime, now=now)


def offer_link(tenant: ActiveTenant, reference: str, *, scheme: str | None = None) -> str:
    """The deep link to an offer by reference (OpenID4VCI §4.1.3). scheme: the preset's first one, unless another."""
    return offer_reference_link(f"{tenant.issuer_url}/offers/{reference}", endpoint=_endpoint(tenant, scheme))


def _configurations(service: IssuerService, tenant: ActiveTenant, body: OfferRequest) -> list[Configuration]:
    """Every configuration that the request names: the types in their order, each in the formats asked for."""
    if body.grant is Grant.AUTHORIZATION_CODE and (body.subject is None or body.tx_code):
        raise Problem(
            422,
            "validation_failed",
            errors=[
                Finding("/subject", "missing", "needed, because the person who logs in must be the subject")
                if body.subject is None
                else Finding("/tx_code", "not_allowed", "a transaction code belongs to a pre-authorized code")
            ],
        )
    findings: list[Finding] = []
    found: list[Configuration] = []
    for number, name in enumerate(body.credential_types):
        kind = service.catalog.types.get(name)
        if kind is None or name in body.credential_types[:number]:
            code = "unknown_type" if kind is None else "duplicate"
            findings.append(Finding(f"/credential_types/{number}", code, "must be a type of the catalogue, once"))
            continue
        if never_issued(tenant, kind):
            detail = "is issued after approval, for which the tenant's preset has no way"
            findings.append(Finding(f"/credential_types/{number}", "deferral_not_possible", detail))
        for form in dict.fromkeys(body.formats or kind.formats):
            configuration = service.catalog.configuration(name, CredentialFormat(form))
            if configuration is None:
                findings.append(Finding("/formats", "unknown_format", f"{name} does not come as {form}"))
            elif not tenant.issues(configuration):
                detail = f"{tenant.profile.name} does not allow {kind.alg} signatures"
                findings.append(Finding(f"/credential_types/{number}", "not_issued", detail))
            else:
                found.append(configuration)
    if findings:
        raise Problem(422, "validation_failed", errors=findings)
    return found


def new_credentials(configurations: Sequence[Configuration], claims: ClaimsByType) -> list[NewCredential]:
    """One for each dataset in each configuration; one without claims where they come later."""
    return [
        NewCredential(each, known, dataset)
        for each in configurations
        for dataset, known in claims.get(each.credential_type.type, {UNNAMED: None}).items()
    ]


async def claims_of(
    service: IssuerService, tenant: ActiveTenant, body: OfferRequest, *, subject: str | None, now: int
) -> ClaimsByType:
    """The claims of each type: as sent, as known of the subject, or of a register, asked now or when it is issued."""
    given = await _given(service, body, subject=subject)
    today = datetime.fromtimestamp(now, CITY_TIME).date()
    findings = [
        Finding(pointer, "unknown_type", "claims of a type that is not offered")
        for name, (pointer, _) in given.items()
        if name not in body.credential_types
    ]
    both = set(body.claims or {}) & set(body.datasets or {})
    findings += [
        Finding(f"/datasets/{name}", "duplicate", "the type stands in claims already") for name in sorted(both)
    ]
    checked: dict[str, dict[str, JsonObject]] = {}
    at_register: list[str] = []
    for name in body.credential_types:
        kind = service.catalog.types[name]
        if name not in given:
            if subject is not None and tenant.arranged.source_of(name) is not None:
                at_register.append(name)
            elif body.grant is Grant.PRE_AUTHORIZED_CODE:
                findings.append(Finding(f"/claims/{name}", "missing", "the claims of this type are needed"))
            continue
        pointer, known = given[name]
        for dataset, claims in known.items():
            if (dataset == UNNAMED) is (kind.datasets is Datasets.SEVERAL):
                detail = "a person may have several of it: send datasets" if dataset == UNNAMED else "there is only one"
                findings.append(Finding(pointer, "dataset_mismatch", detail))
                break
            place = f"{pointer}/{dataset}" if dataset else pointer
            try:
                known_good = check_claims(claims, credential_type=kind, today=today, pointer=place)
                checked.setdefault(name, {})[dataset] = known_good
            except ClaimsRefused as refused:
                findings.extend(refused.findings)
    if findings:
        raise ClaimsRefused(tuple(findings))
    # where nothing may come later, the claims are there before the offer is; a login gets its own before it ends
    if body.grant is Grant.PRE_AUTHORIZED_CODE and subject is not None:
        for name in at_register:
            if tenant.profile.deferred is Deferred.NONE or service.catalog.types[name].datasets is Datasets.SEVERAL:
                checked[name] = dict(await _pulled(service, tenant, name, subject=subject, now=now))
    return checked


async def _given(
    service: IssuerService, body: OfferRequest, *, subject: str | None
) -> Mapping[str, tuple[str, Mapping[str, Mapping[str, JsonValue]]]]:
    """The claims that are at hand, by type: where they stand in the body, and what they are by dataset."""
    found: dict[str, tuple[str, Mapping[str, Mapping[str, JsonValue]]]] = {
        name: (f"/claims/{name}", {UNNAMED: claims}) for name, claims in (body.claims or {}).items()
    }
    found |= {name: (f"/datasets/{name}", named) for name, named in (body.datasets or {}).items()}
    if body.claims is None and body.datasets is None and subject is not None and service.login is not None:
        person = await service.login.person(subject)
        for name in () if person is None else body.credential_types:
            if known := person.known_of(name):  # type: ignore[union-attr]
                found[name] = (f"/claims/{name}", known)
    return found


async def _check_places(
    service: IssuerService,
    tenant: ActiveTenant,
    configurations: list[Configuration],
    claims: ClaimsByType,
    *,
    subject: str | None,
    now: int,
) -> None:
    """Say at once what would be refused when it is collected; a type with a limit needs to know for whom it is."""
    limited = [each for each in configurations if cap_of(tenant, each)]
    if limited and subject is None:
        finding = Finding("/subject", "missing", "needed, because a person may hold so many of this type only")
        raise Problem(422, "validation_failed", errors=[finding])
    async with service.store.reading() as session:
        for each in limited:
            pseudonym = service.secrets.pseudonym(subject or "", tenant_id=tenant.id)
            if not await has_place(
                session,
                tenant_id=tenant.id,
                pseudonym=pseudonym,
                configuration_id=each.id,
                cap=cap_of(tenant, each),
                wanted=len(claims.get(each.credential_type.type, {})) or 1,
                now=now,
            ):
                detail = f"the person holds as many live credentials of {each.credential_type.type} as the city allows"
                raise Problem(409, "cap_reached", detail)


async def _pulled(
    service: IssuerService, tenant: ActiveTenant, credential_type: str, *, subject: str, now: int
) -> Mapping[str, JsonObject]:
    kind = service.catalog.types[credential_type]
    try:
        return await ask_register(service, tenant, kind, subject=subject, now=now)
    except SourceUnavailable as error:
        headers = {"Retry-After": str(error.retry_after)}
        raise Problem(503, "claims_source_unavailable", "the register does not answer", headers=headers) from None
    except SourceRefused as error:
        finding = Finding(f"/claims/{credential_type}", "refused_by_register", f"the register says: {error.reason}")
        raise Problem(422, "claims_refused", errors=[finding]) from None
    except SourceUntrustworthy:
        raise Problem(502, "claims_source_invalid", "the register's answer can't be used") from None


def lifetime_of(service: IssuerService, expires_in: int | None) -> int:
    """Seconds that an offer lives.

    Raises:
        Problem: longer than the service allows.
    """
    longest = service.settings.offer_lifetime_max
    if expires_in is not None and expires_in > longest:
        finding = Finding("/expires_in", "out_of_range", f"must be {longest} seconds at most")
        raise Problem(422, "validation_failed", errors=[finding])
    return service.settings.offer_lifetime if expires_in is None else expires_in


def armed_answer(
    service: IssuerService, tenant: ActiveTenant, armed: ArmedOffer, *, status: int, scheme: str | None = None
) -> Answer:
    """What the maker of an offer gets: its secrets are shown here and never again."""
    page = f"{service.settings.public_url}/collect/{armed.reference}"
    answer = ArmedOfferAnswer(
        id=armed.offer_id,
        state=armed.state,
        expires_at=timestamp(armed.expires_at),
        offer_uri=offer_uri(tenant, armed, scheme=scheme),
        page=page,
        qr=QrAddresses(svg=f"{page}/qr.svg", png=f"{page}/qr.png"),
        tx_code=armed.tx_code,
    )
    return Answer(status, answer.model_dump_json(exclude_none=True).encode(), armed.offer_id)


def offer_uri(tenant: ActiveTenant, armed: ArmedOffer, *, scheme: str | None = None) -> str:
    """The deep link to an offer, by value or by reference as it is to be delivered (OpenID4VCI §4.1)."""
    if armed.delivery is Delivery.REFERENCE:
        return offer_link(tenant, armed.reference, scheme=scheme)
    by_login = by_code = None
    if armed.grant is Grant.AUTHORIZATION_CODE:
        by_login = OfferedAuthorizationCode(armed.issuer_state)
    else:
        assert armed.code is not None, "an offer by value carries its code"
        tx_code = TxCode(length=armed.tx_code_length) if armed.tx_code_length else None
        by_code = OfferedPreAuthorizedCode(armed.code, tx_code)
    offer = CredentialOffer(tenant.issuer_url, armed.configuration_ids, by_login, by_code)
    return offer_by_value_link(offer, endpoint=_endpoint(tenant, scheme))


def _endpoint(tenant: ActiveTenant, scheme: str | None) -> str:
    return f"{scheme or tenant.profile.offer_schemes[0]}://"


def _check_scheme(tenant: ActiveTenant, scheme: str | None) -> None:
    if scheme is not None and scheme not in tenant.profile.offer_schemes:
        finding = Finding("/scheme", "not_allowed", f"{tenant.profile.name} does not know this scheme")
        raise Problem(422, "validation_failed", errors=[finding])
