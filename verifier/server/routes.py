"""The addresses of the API; each reads, calls one thing, answers."""

import asyncio
import re
import time
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from specs.encoding import Malformed, strict_json
from specs.refusal import Refusal
from verifier.rules import NotAllowed
from verifier.server.clients import Caller, NotAuthenticated
from verifier.server.idempotency import Call, OtherBody, once
from verifier.server.models import (
    AskAnswer,
    AskRequest,
    DcApiAnswer,
    ResultRequest,
    StateAnswer,
    VerdictAnswer,
    ask_answer,
    verdict_answer,
)
from verifier.server.problems import MEDIA_TYPE, Problem
from verifier.server.service import TenantVerifier, VerifierService

_KEY = re.compile(r"[\x21-\x7e]{8,200}")
_MAX_DEPTH = 64
ModelT = TypeVar("ModelT", bound=BaseModel)
_PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}}}
    for status, text in (
        (400, "The body is no JSON, the Idempotency-Key is malformed, or the wallet's answer is refused."),
        (401, "No API key, or one that does not hold."),
        (404, "Never asked, expired, handed out before, or not this session's."),
        (413, "The body is too large."),
        (415, "The body is not application/json."),
        (422, "The request does not fit; `errors` names the places."),
    )
}

router = APIRouter(prefix="/api/v1", tags=["Presentations"])


def _service_of(request: Request) -> VerifierService:
    service: VerifierService = request.app.state.service
    return service


Service = Annotated[VerifierService, Depends(_service_of)]


async def _caller_of(
    service: Service, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Caller:
    try:
        return await asyncio.to_thread(service.clients.authenticate, authorization)
    except NotAuthenticated:
        raise Problem(401, "not_authenticated") from None


Authenticated = Annotated[Caller, Depends(_caller_of)]


def _tenant_of(service: Service, caller: Authenticated) -> TenantVerifier:
    tenant = service.tenants.get(caller.tenant)
    if tenant is None:
        raise Problem(401, "not_authenticated")
    return tenant


Tenant = Annotated[TenantVerifier, Depends(_tenant_of)]
IdempotencyKey = Annotated[str | None, Header(description="Makes a repeat of the request safe.")]


def _takes(model: type[BaseModel]) -> dict[str, object]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    "/presentations",
    status_code=201,
    response_model=AskAnswer,
    responses={status: _PROBLEMS[status] for status in (400, 401, 413, 415, 422)},
    operation_id="ask",
    openapi_extra=_takes(AskRequest),
)
async def ask(
    request: Request,
    service: Service,
    caller: Authenticated,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Begin a question of a procedure."""
    body = await _body(request, service)
    asked = _parsed(AskRequest, body)
    if asked.procedure not in tenant.verifier.procedures:
        raise Problem(422, "unprocessable", errors=[("/procedure", "unknown", "no such procedure")])
    key = _checked(idempotency_key)

    def effect(connection: Connection | None) -> bytes:
        verifier = tenant.verifier
        if connection is not None:
            verifier = verifier.with_store(tenant.store.within(connection))
        return ask_answer(verifier.ask(asked.procedure, flow=asked.flow), pages=tenant.pages).model_dump_json().encode()

    def act() -> bytes:
        if key is None:
            return effect(None)
        return once(
            service.engine,
            Call(caller, key, body),
            effect,
            sealing_key=service.sealing_key,
            lifetime=service.settings.idempotency_lifetime,
            now=int(time.time()),
        )

    try:
        answer = await asyncio.to_thread(act)
    except OtherBody:
        raise Problem(422, "idempotency_key_reused", "the key came with another body before") from None
    except NotAllowed as error:
        raise Problem(422, "unprocessable", errors=[("/flow", "not_possible", str(error))]) from None
    return Response(answer, 201, headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.get(
    "/presentations/{presentation_id}",
    response_model=StateAnswer,
    responses={status: _PROBLEMS[status] for status in (401, 404)},
    operation_id="state",
)
async def state(presentation_id: str, tenant: Tenant, response: Response) -> StateAnswer:
    """Whether an answer came, and nothing else."""
    response.headers["Cache-Control"] = "no-store"
    try:
        answered = await asyncio.to_thread(tenant.verifier.is_answered, presentation_id)
    except Refusal as refusal:
        raise Problem(404, refusal.reason) from None
    return StateAnswer(id=presentation_id, state="answered" if answered else "pending")


@router.post(
    "/presentations/{presentation_id}/result",
    response_model=VerdictAnswer,
    responses=_PROBLEMS,
    operation_id="result",
    openapi_extra=_takes(ResultRequest),
)
async def result(
    presentation_id: str,
    request: Request,
    service: Service,
    tenant: Tenant,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> VerdictAnswer:
    """The verdict, once; again to the same Idempotency-Key for five minutes."""
    wanted = _parsed(ResultRequest, await _body(request, service))
    key = _checked(idempotency_key)
    response.headers["Cache-Control"] = "no-store"
    try:
        outcome = await asyncio.to_thread(
            tenant.verifier.result,
            presentation_id,
            session_secret=wanted.session_secret,
            response_code=wanted.response_code,
            idempotency_key=key,
        )
    except Refusal as refusal:
        raise Problem(404, refusal.reason) from None
    return verdict_answer(outcome)


@router.post(
    "/presentations/{presentation_id}/dc-api",
    response_model=StateAnswer,
    responses=_PROBLEMS,
    operation_id="dcApi",
    openapi_extra=_takes(DcApiAnswer),
)
async def dc_api(
    presentation_id: str, request: Request, service: Service, tenant: Tenant, response: Response
) -> StateAnswer:
    """Hand over what the Digital Credentials API gave to the page; the verdict is fetched by `result`."""
    handed = _parsed(DcApiAnswer, await _body(request, service))
    response.headers["Cache-Control"] = "no-store"
    receipt = await asyncio.to_thread(
        tenant.verifier.receive_dc_api,
        presentation_id,
        session_secret=handed.session_secret,
        origin=handed.origin,
        response=handed.response,
    )
    if receipt.status != 200:
        raise Problem(400, str(receipt.body["error_description"]))
    return StateAnswer(id=presentation_id, state="answered")


async def _body(request: Request, service: VerifierService) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "unsupported_media_type")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > service.settings.body_limit:
            raise Problem(413, "body_too_large")
    return bytes(body)


def _parsed(model: type[ModelT], body: bytes) -> ModelT:
    try:
        return model.model_validate(strict_json.parse(body, max_depth=_MAX_DEPTH))
    except Malformed:
        raise Problem(400, "malformed_json") from None
    except ValidationError as error:
        errors = [
            ("/" + "/".join(str(part) for part in item["loc"]), str(item["type"]), item["msg"])
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise Problem(422, "unprocessable", errors=errors) from None


def _checked(key: str | None) -> str | None:
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(400, "idempotency_key_malformed", "8 to 200 visible ASCII characters")
    return key
