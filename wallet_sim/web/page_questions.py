"""Questions that web pages ask through the browser (OpenID4VP 1.0 App. A): for `assets/dc-api.js`, which pages load.

The script posts `digital.requests` here and opens the page on which a person decides; then it fetches the answer. Who
asks is what the browser says in `Origin`; only that origin gets the answer.
"""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from wallet_sim.question import Consent
from wallet_sim.web.flows import Decision, Flow, Flows, Stage
from wallet_sim.web.forms import form_of
from wallet_sim.web.pages import asset, render, shown_of
from wallet_sim.web.settings import Served

MAX_BODY = 1 << 20
MAX_QUESTIONS = 100
_PATIENCE = 8.0  # seconds
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass
class _Question:
    """What a page asks. flow: once it is clear which wallet answers."""

    origin: str
    requests: list[JsonValue]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    flow: Flow | None = None


def page_question_router(served: Served, flows: Flows, *, unattended: bool) -> APIRouter:
    """The script, its three addresses, and the page that asks which wallet is meant.

    unattended: nobody is asked; a wallet that is not named is the first.
    """
    router = APIRouter(include_in_schema=False)
    desk = _Desk(served, flows, unattended=unattended)

    @router.get("/dc-api.js")
    async def script() -> Response:
        """What a page loads."""
        headers = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "cross-origin"}
        return Response(asset("dc-api.js"), media_type="text/javascript; charset=utf-8", headers=headers)

    @router.options("/dc-api/questions")
    @router.options("/dc-api/questions/{question_id}")
    async def preflight(request: Request) -> Response:
        """May this page ask?"""
        headers = desk.shared_with(desk.origin_of(request))
        allowed = {"Access-Control-Allow-Methods": "GET, POST, DELETE", "Access-Control-Allow-Headers": "content-type"}
        return Response(status_code=204, headers=headers | allowed)

    @router.post("/dc-api/questions")
    async def ask(request: Request) -> Response:
        """`{"wallet": …, "digital": {"requests": […]}}`: where a person decides, if one does."""
        origin = desk.origin_of(request)
        question = await run_in_threadpool(desk.asked, origin, await _json(request))
        body = {"id": question.id, "decide": None if unattended else f"/page-questions/{question.id}"}
        return JSONResponse(body, 201, headers=desk.shared_with(origin))

    @router.get("/dc-api/questions/{question_id}")
    async def answer(request: Request, question_id: str) -> Response:
        """What came of it, or that nobody has decided yet."""
        origin = desk.origin_of(request)
        question = desk.question(question_id, origin=origin)
        return JSONResponse(_told(question), headers=desk.shared_with(origin))

    @router.delete("/dc-api/questions/{question_id}")
    async def withdraw(request: Request, question_id: str) -> Response:
        """The page does not want to know any more."""
        origin = desk.origin_of(request)
        question = desk.question(question_id, origin=origin)
        if question.flow is not None:
            question.flow.say(Decision(agreed=False))
        desk.forget(question)
        return Response(status_code=204, headers=desk.shared_with(origin))

    @router.get("/page-questions/{question_id}")
    def which(request: Request, question_id: str) -> Response:
        """For the person: which wallet is to answer; where that is clear, the question itself."""
        question = desk.question(question_id)
        if question.flow is not None:
            return RedirectResponse(f"/flows/{question.flow.id}", 303, {"Cache-Control": "no-store"})
        values = {"question": question.id, "origin": question.origin, "names": list(served.wallets)}
        return render("which.html", shown_of(request), values=values)

    @router.post("/page-questions/{question_id}")
    async def chosen(request: Request, question_id: str) -> Response:
        """This one."""
        form = await form_of(request)
        flow = await run_in_threadpool(desk.begun, desk.question(question_id), form.get("wallet", ""))
        return RedirectResponse(f"/flows/{flow.id}", 303, {"Cache-Control": "no-store"})

    return router


class _Desk:
    def __init__(self, served: Served, flows: Flows, *, unattended: bool) -> None:
        self._served = served
        self._flows = flows
        self._consent: Consent | None = (lambda _question: True) if unattended else None
        self._questions: dict[str, _Question] = {}
        self._dropping = threading.Lock()

    def origin_of(self, request: Request) -> str:
        """The page that asks, as the browser says.

        Raises:
            HTTPException: it is none of those that may.
        """
        origin = request.headers.get("origin", "")
        settings = self._served.settings
        is_local = settings.allow_loopback_http and _is_loopback(origin)
        if not is_local and origin not in settings.page_origins:
            raise HTTPException(403, "pages of this origin may not ask this wallet")
        return origin

    def shared_with(self, origin: str) -> dict[str, str]:
        """Headers by which a browser lets that page alone read an answer."""
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin", "Cache-Control": "no-store"}

    def asked(self, origin: str, body: Mapping[str, JsonValue]) -> _Question:
        """Keep a question; it begins where it is clear which wallet answers."""
        digital, name = body.get("digital"), body.get("wallet")
        requests = digital.get("requests") if isinstance(digital, dict) else None
        if not isinstance(requests, list) or not requests:
            raise HTTPException(400, "digital.requests is needed")
        question = _Question(origin, requests)
        with self._dropping:
            while len(self._questions) >= MAX_QUESTIONS:
                del self._questions[next(iter(self._questions))]
            self._questions[question.id] = question
        names = list(self._served.wallets)
        if name is not None or len(names) == 1 or self._consent is not None:
            self.begun(question, str(name) if name is not None else names[0])
        return question

    def begun(self, question: _Question, name: str) -> Flow:
        """Have a wallet answer."""
        if name not in self._served.wallets:
            raise HTTPException(404, "there is no wallet of this name")
        if question.flow is None:
            question.flow = self._flows.keep(Flow(name))
            wallet = self._served.wallets[name]
            question.flow.answer_page(wallet, question.requests, origin=question.origin, consent=self._consent)
            question.flow.wait(_PATIENCE)
        return question.flow

    def question(self, question_id: str, *, origin: str | None = None) -> _Question:
        """A question that was asked; origin: by this page, if a page wants to know."""
        question = self._questions.get(question_id)
        if question is None or origin not in (None, question.origin):
            raise HTTPException(404, "this has ended, or never was")
        return question

    def forget(self, question: _Question) -> None:
        """Nobody wants to know any more."""
        self._questions.pop(question.id, None)


def _told(question: _Question) -> JsonObject:
    """What the page is told."""
    standing = question.flow.wait(0) if question.flow is not None else None
    if standing is None or standing.stage not in (Stage.PRESENTED, Stage.REFUSED):
        return {"state": "open"}
    if standing.answer is not None:
        return {"state": "answered", "answer": standing.answer}
    assert standing.refused is not None
    return {"state": "refused", "error": standing.refused.code, "error_description": standing.refused.sentence}


def _is_loopback(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname in _LOOPBACK


async def _json(request: Request) -> JsonObject:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, "the question is too large")
    try:
        return strict_json.parse_object(bytes(body))
    except Malformed:
        raise HTTPException(400, "this is no JSON object") from None
