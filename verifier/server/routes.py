"""The addresses of the API; each reads, calls one thing, answers."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Iterator
from inspect import signature
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from specs.encoding import Malformed, strict_json
from specs.refusal import Refusal
from verifier.adapters.direct_routes import DirectRoute
from verifier.rules import NotAllowed
from verifier.server.clients import Caller, NotAuthenticated, is_api_key
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


class DescribedRoute(APIRoute):
    """A route whose function gets the request as it came; what FastAPI reads of its signature only describes it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Path and Idempotency-Key by name, and nothing else in between."""
        endpoint = self.endpoint
        takes_key = "idempotency_key" in signature(endpoint).parameters

        async def handle(request: Request) -> Response:
            given = dict(request.path_params)
            if takes_key:
                given["idempotency_key"] = request.headers.get("idempotency-key")
            answer: Response = await endpoint(request, **given)
            return answer

        return handle


router = APIRouter(prefix="/api/v1", tags=["Presentations"], route_class=DescribedRoute)
_TAKES: dict[type[BaseModel], dict[str, object]] = {
    model: {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
        }
    }
    for model in (AskRequest, ResultRequest, DcApiAnswer)
}
IdempotencyKey = Annotated[str | None, Header(description="Makes a repeat of the request safe.")]
_NO_STORE = {"Cache-Control": "no-store"}


def direct_routes(described: APIRouter) -> Iterator[DirectRoute]:
    """The routes of a router of `DescribedRoute`s, without the framework."""
    for route in described.routes:
        assert isinstance(route, DescribedRoute)
        for method in route.methods or ():
            yield DirectRoute(method, route.path, route.get_route_handler())


@router.post(
    "/presentations",
    status_code=201,
    response_model=AskAnswer,
    responses={status: _PROBLEMS[status] for status in (400, 401, 413, 415, 422)},
    operation_id="ask",
    openapi_extra=_TAKES[AskRequest],
)
async def ask(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """Begin a question of a procedure."""
    service, authorization = _service(request), _authorization(request)
    body = await _body(request, service)
    return await asyncio.to_thread(_ask, service, authorization, body, idempotency_key)


def _ask(service: VerifierService, authorization: str, body: bytes, key: str | None) -> Response:
    caller, tenant = _authenticated(service, authorization)
    asked, key = _parsed(AskRequest, body), _checked(key)
    if asked.procedure not in tenant.verifier.procedures:
        raise Problem(422, "unprocessable", errors=[("/procedure", "unknown", "no such procedure")])

    def effect(connection: Connection | None) -> bytes:
        verifier = tenant.verifier
        if connection is not None:
            verifier = verifier.with_store(tenant.store.within(connection))
        return ask_answer(verifier.ask(asked.procedure, flow=asked.flow), pages=tenant.pages).model_dump_json().encode()

    try:
        if key is None:
            return _json(effect(None), 201)
        answer = once(
            service.engine,
            Call(caller, key, body),
            effect,
            sealing_key=service.sealing_key,
            lifetime=service.settings.idempotency_lifetime,
            now=int(time.time()),
        )
    except OtherBody:
        raise Problem(422, "idempotency_key_reused", "the key came with another body before") from None
    except NotAllowed as error:
        raise Problem(422, "unprocessable", errors=[("/flow", "not_possible", str(error))]) from None
    return _json(answer, 201)


@router.get(
    "/presentations/{presentation_id}",
    response_model=StateAnswer,
    responses={status: _PROBLEMS[status] for status in (401, 404)},
    operation_id="state",
)
async def state(request: Request, presentation_id: str) -> Response:
    """Whether an answer came, and nothing else."""
    return await asyncio.to_thread(_state, _service(request), _authorization(request), presentation_id)


def _state(service: VerifierService, authorization: str, presentation_id: str) -> Response:
    _, tenant = _authenticated(service, authorization)
    try:
        answered = tenant.verifier.is_answered(presentation_id)
    except Refusal as refusal:
        raise Problem(404, refusal.reason) from None
    return _json_of(StateAnswer(id=presentation_id, state="answered" if answered else "pending"))


@router.post(
    "/presentations/{presentation_id}/result",
    response_model=VerdictAnswer,
    responses=_PROBLEMS,
    operation_id="result",
    openapi_extra=_TAKES[ResultRequest],
)
async def result(request: Request, presentation_id: str, idempotency_key: IdempotencyKey = None) -> Response:
    """The verdict, once; again to the same Idempotency-Key for five minutes."""
    service, authorization = _service(request), _authorization(request)
    body = await _body(request, service)
    return await asyncio.to_thread(_result, service, authorization, presentation_id, body, idempotency_key)


def _result(
    service: VerifierService, authorization: str, presentation_id: str, body: bytes, key: str | None
) -> Response:
    _, tenant = _authenticated(service, authorization)
    wanted, key = _parsed(ResultRequest, body), _checked(key)
    try:
        outcome = tenant.verifier.result(
            presentation_id,
            session_secret=wanted.session_secret,
            response_code=wanted.response_code,
            idempotency_key=key,
        )
    except Refusal as refusal:
        raise Problem(404, refusal.reason) from None
    return _json_of(verdict_answer(outcome))


@router.post(
    "/presentations/{presentation_id}/dc-api",
    response_model=StateAnswer,
    responses=_PROBLEMS,
    operation_id="dcApi",
    openapi_extra=_TAKES[DcApiAnswer],
)
async def dc_api(request: Request, presentation_id: str) -> Response:
    """Hand over what the Digital Credentials API gave to the page; the verdict is fetched by `result`."""
    service, authorization = _service(request), _authorization(request)
    body = await _body(request, service)
    return await asyncio.to_thread(_dc_api, service, authorization, presentation_id, body)


def _dc_api(service: VerifierService, authorization: str, presentation_id: str, body: bytes) -> Response:
    _, tenant = _authenticated(service, authorization)
    handed = _parsed(DcApiAnswer, body)
    receipt = tenant.verifier.receive_dc_api(
        presentation_id, session_secret=handed.session_secret, origin=handed.origin, response=handed.response
    )
    if receipt.status != 200:
        raise Problem(400, str(receipt.body["error_description"]))
    return _json_of(StateAnswer(id=presentation_id, state="answered"))


def _service(request: Request) -> VerifierService:
    service: VerifierService = request.app.state.service
    return service


def _authorization(request: Request) -> str:
    """The header, before anything is read of who has none that could hold."""
    value = request.headers.get("authorization")
    if value is None or not is_api_key(value):
        raise Problem(401, "not_authenticated")
    return value


def _authenticated(service: VerifierService, authorization: str) -> tuple[Caller, TenantVerifier]:
    try:
        caller = service.clients.authenticate(authorization)
    except NotAuthenticated:
        raise Problem(401, "not_authenticated") from None
    tenant = service.tenants.get(caller.tenant)
    if tenant is None:
        raise Problem(401, "not_authenticated")
    return caller, tenant


def _json_of(model: BaseModel) -> Response:
    return _json(model.model_dump_json().encode(), 200)


def _json(body: bytes, status: int) -> Response:
    return Response(body, status, headers=_NO_STORE, media_type="application/json")


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
        errors = [(_pointer(item["loc"]), item["type"], item["msg"]) for item in error.errors()]
        raise Problem(422, "unprocessable", errors=errors) from None


def _pointer(location: tuple[int | str, ...]) -> str:
    """A place as a JSON pointer (RFC 6901 §3)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _checked(key: str | None) -> str | None:
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(400, "idempotency_key_malformed", "8 to 200 visible ASCII characters")
    return key
