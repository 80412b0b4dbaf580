"""What a city decides about credentials that wallets wait for: the list, approval and denial."""

from issuer.city_api.authentication import Caller
from issuer.city_api.idempotency import Answer, once
from issuer.city_api.models import DeferredAnswer, DeferredListAnswer, DenialRequest
from issuer.city_api.operations import Call
from issuer.grants.deferred import approve, deny, list_deferred
from issuer.service import IssuerService


async def waiting(service: IssuerService, caller: Caller, *, cursor: str | None, limit: int) -> DeferredListAnswer:
    """GET /deferred."""
    async with service.store.reading() as session:
        page, following = await list_deferred(
            session, tenant_id=caller.tenant_id, after=cursor, limit=limit, now=service.clock()
        )
    return DeferredListAnswer(deferred=[DeferredAnswer.of(each) for each in page], next_cursor=following)


async def decide(call: Call, deferred_id: str, denial: DenialRequest | None) -> Answer:
    """POST /deferred/{id}/approve, /deny.

    Raises:
        DeferredNotFound, DeferredConflict, Problem: as `approve`, `deny` and `once`.
    """
    service, now = call.service, call.service.clock()
    tenant_id = call.caller.tenant_id
    async with service.store.transaction() as session:

        async def effect() -> Answer:
            if denial is None:
                view = await approve(session, tenant_id=tenant_id, deferred_id=deferred_id, now=now)
            else:
                view = await deny(session, tenant_id=tenant_id, deferred_id=deferred_id, reason=denial.reason, now=now)
            return Answer(200, DeferredAnswer.of(view).model_dump_json().encode(), view.offer_id)

        return await once(session, call.idempotent(), effect, lifetime=service.settings.idempotency_lifetime, now=now)
