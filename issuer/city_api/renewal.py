"""Credentials that end soon, and the offer of further copies of one: what it stands for stays the same."""

from issuer.catalog.claims import Finding
from issuer.city_api.authentication import Caller
from issuer.city_api.idempotency import Answer, once
from issuer.city_api.models import ExpiringAnswer, ExpiringCredential, ExpiringRequest, OfferRequest, RenewalRequest
from issuer.city_api.operations import Call, armed_answer, claims_of, lifetime_of
from issuer.city_api.problems import Problem
from issuer.claims_source.at_issue import NO_SUCH_DATASET
from issuer.credentials import StatusConflict, credential_to_renew, expiring
from issuer.offers import NewCredential, NewOffer, create_offer
from issuer.service import IssuerService
from issuer.store.tables import CredentialStatus, Grant


async def list_expiring(service: IssuerService, caller: Caller, body: ExpiringRequest) -> ExpiringAnswer:
    """POST /credentials/expiring."""
    now = service.clock()
    async with service.store.reading() as session:
        found, cursor = await expiring(
            session,
            tenant_id=caller.tenant_id,
            until=now + body.within_days * 86400,
            after=body.cursor,
            limit=body.limit,
            now=now,
        )
    return ExpiringAnswer(credentials=[ExpiringCredential.of_renewable(each) for each in found], next_cursor=cursor)


async def renew(call: Call, credential_id: str, body: RenewalRequest) -> Answer:
    """POST /credentials/{id}/renew.

    Raises:
        CredentialNotFound, StatusConflict: there is none, or it is not valid any more.
        Problem, ClaimsRefused: as `make_offer`; `subject_mismatch` if the credential is another person's.
    """
    service, now = call.service, call.service.clock()
    tenant = await call.tenant()
    async with service.store.reading() as session:
        row = await credential_to_renew(session, tenant_id=tenant.id, credential_id=credential_id)
    if row.status != CredentialStatus.VALID:
        raise StatusConflict(row.status)
    configuration = service.catalog.configurations.get(row.configuration_id)
    if configuration is None or not tenant.issues(configuration):
        raise Problem(409, "type_not_issued", "the catalogue does not issue this type any more")
    subject = body.subject.reference
    if service.secrets.pseudonym(subject, tenant_id=tenant.id) != row.subject_pseudonym:
        finding = Finding("/subject/reference", "subject_mismatch", "the credential is another person's")
        raise Problem(422, "validation_failed", errors=[finding])
    kind = configuration.credential_type.type
    claims = await claims_of(service, tenant, _asked(body, kind, row.dataset), subject=subject, now=now)
    if claims and row.dataset not in claims[kind]:
        finding = Finding("/claims", NO_SUCH_DATASET, "the register has no such dataset of this person any more")
        raise Problem(422, "claims_refused", errors=[finding])
    new = NewOffer(
        credentials=[NewCredential(configuration, claims[kind][row.dataset] if claims else None, row.dataset)],
        grant=Grant.PRE_AUTHORIZED_CODE,
        delivery=body.delivery,
        locale=body.locale or tenant.locale,
        expires_at=now + lifetime_of(service, body.expires_in),
        subject=subject,
        tx_code_length=service.settings.tx_code_length if body.tx_code else 0,
        client_id=call.caller.client_id,
        keep_subject=tenant.arranged.source_of(kind) is not None,
        renews=credential_id,
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
            return armed_answer(service, tenant, armed, status=201)

        return await once(session, call.idempotent(), effect, lifetime=service.settings.idempotency_lifetime, now=now)


def _asked(body: RenewalRequest, kind: str, dataset: str) -> OfferRequest:
    """The offer of the one credential that is renewed."""
    if body.claims is None:
        return OfferRequest(credential_types=[kind], subject=body.subject)
    if dataset:
        return OfferRequest(credential_types=[kind], subject=body.subject, datasets={kind: {dataset: body.claims}})
    return OfferRequest(credential_types=[kind], subject=body.subject, claims={kind: body.claims})
