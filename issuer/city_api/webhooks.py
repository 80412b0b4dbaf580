"""Where a city is told what happens: endpoints, their secrets, and what could not be delivered."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Response
from pydantic import Field, StringConstraints

from issuer.catalog.claims import Finding
from issuer.city_api.idempotency import Answer, once
from issuer.city_api.models import Body, timestamp
from issuer.city_api.operations import Call
from issuer.city_api.problems import Problem
from issuer.city_api.routes import PROBLEMS, Changing, Cursor, Operator, Reader, answered
from issuer.events.endpoints import (
    DeadLetter,
    EndpointView,
    add_endpoint,
    dead_letters,
    disable_endpoint,
    list_endpoints,
    redeliver,
)
from issuer.events.outbox import EventType
from issuer.http.dependencies import Service
from issuer.http.strict_json_route import StrictJsonRoute

router = APIRouter(prefix="/api/v1/webhooks", route_class=StrictJsonRoute, tags=["City API"])


class EndpointRequest(Body):
    """An address that wants to be told."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,490}$")]
    event_types: list[Annotated[EventType, Field(strict=False)]] = Field(default=[], description="Default: all.")
    signature: Literal["v1", "v1+v1a"] = Field(default="v1", description="v1a adds an Ed25519 signature.")


class EndpointAnswer(Body):
    """An endpoint."""

    id: str
    url: str
    event_types: list[EventType]
    created_at: str

    @classmethod
    def of(cls, view: EndpointView) -> "EndpointAnswer":
        """From the domain's view."""
        return cls(
            id=view.id,
            url=view.url,
            event_types=[EventType(each) for each in view.event_types],
            created_at=timestamp(view.created_at),
        )


class NewEndpointAnswer(EndpointAnswer):
    """An endpoint just made. Its secret is shown here and never again."""

    secret: str
    public_key: str | None = None


class EndpointListAnswer(Body):
    """The endpoints that are told."""

    endpoints: list[EndpointAnswer]


class DeadLetterAnswer(Body):
    """A webhook that nobody tries any more."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: EventType
    attempts: int
    last_failure: str | None = None
    ended_at: str

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterAnswer":
        """From the domain's view."""
        return cls(
            id=letter.id,
            endpoint_id=letter.endpoint_id,
            event_id=letter.event_id,
            event_type=EventType(letter.event_type),
            attempts=letter.attempts,
            last_failure=letter.last_failure,
            ended_at=timestamp(letter.ended_at),
        )


class DeadLetterListAnswer(Body):
    """A page of dead letters."""

    dead_letters: list[DeadLetterAnswer]
    next_cursor: str | None = None


@router.post(
    "", status_code=201, responses={**PROBLEMS, 201: {"model": NewEndpointAnswer}}, operation_id="createWebhook"
)
async def create(body: EndpointRequest, call: Changing) -> Response:
    """Have an address told by webhooks in the form of Standard Webhooks 1.0."""
    return answered(await _create(call, body))


@router.get("", responses=PROBLEMS, operation_id="listWebhooks")
async def show_all(service: Service, caller: Reader) -> EndpointListAnswer:
    """The addresses that are told."""
    async with service.store.reading() as session:
        found = await list_endpoints(session, tenant_id=caller.tenant_id)
    return EndpointListAnswer(endpoints=[EndpointAnswer.of(each) for each in found])


@router.get("/dead-letters", responses=PROBLEMS, response_model_exclude_none=True, operation_id="listDeadLetters")
async def show_dead_letters(
    service: Service, caller: Reader, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> DeadLetterListAnswer:
    """The webhooks that could not be delivered."""
    async with service.store.reading() as session:
        page, following = await dead_letters(session, tenant_id=caller.tenant_id, after=cursor, limit=limit)
    return DeadLetterListAnswer(dead_letters=[DeadLetterAnswer.of(each) for each in page], next_cursor=following)


@router.post(
    "/dead-letters/{delivery_id}/redeliver", status_code=204, responses=PROBLEMS, operation_id="redeliverDeadLetter"
)
async def try_again(delivery_id: str, service: Service, caller: Operator) -> Response:
    """Try to deliver a dead letter anew."""
    async with service.store.transaction() as session:
        await redeliver(session, tenant_id=caller.tenant_id, delivery_id=delivery_id, now=service.clock())
    return Response(status_code=204)


@router.delete("/{endpoint_id}", status_code=204, responses=PROBLEMS, operation_id="deleteWebhook")
async def remove(endpoint_id: str, service: Service, caller: Operator) -> Response:
    """Tell an address no more."""
    async with service.store.transaction() as session:
        await disable_endpoint(session, tenant_id=caller.tenant_id, endpoint_id=endpoint_id, now=service.clock())
    return Response(status_code=204)


async def _create(call: Call, body: EndpointRequest) -> Answer:
    service, now = call.service, call.service.clock()
    plain = urlsplit(body.url).scheme == "http"
    if plain and not service.settings.allow_loopback_http:
        raise Problem(422, "validation_failed", errors=[Finding("/url", "https_only", "must be an https address")])
    tenant = await call.tenant()
    async with service.store.transaction() as session:

        async def effect() -> Answer:
            made = await add_endpoint(
                session,
                sealer=tenant.sealer,
                url=body.url,
                event_types=body.event_types,
                asymmetric=body.signature == "v1+v1a",
                now=now,
            )
            shown = EndpointAnswer.of(made.view)
            answer = NewEndpointAnswer(
                **shown.model_dump(), secret=made.keys.shared_secret, public_key=made.keys.public_key
            )
            return Answer(201, answer.model_dump_json(exclude_none=True).encode())

        return await once(session, call.idempotent(), effect, lifetime=service.settings.idempotency_lifetime, now=now)
