"""Credentials that end soon, and the offer of further copies of one: what it stands for stays the same."""

from issuer.catalog.claims import Finding
from issuer.city_api.authentication import Caller
from issuer.city_api.idempotency import Answer, once
from issuer.city_api.models import ExpiringAnswer, ExpiringCredential, ExpiringRequest, OfferRequest, RenewalRequest
from issuer.city_api.operations import Call, armed_answer, claims_of, lifetime_of
from issuer.city_api.problems import Problem
from issuer.credentials import StatusConflict, credential_to_renew, expiring
from issuer.offers import NewOffer, create_offer
from issuer.service import IssuerService
from issuer.store.tables import CredentialStatus


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
    asked = OfferRequest(
        credential_types=[kind], subject=body.subject, claims=None if body.claims is None else {kind: body.claims}
    )
    claims = await claims_of(service, tenant, asked, subject=subject, now=now)
    new = NewOffer(
        configurations=[(configuration, claims.get(kind))],
        grant=asked.grant,
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
