"""The city service as a web application: pages for citizens and the counter, and the addresses that wallets call."""

import re
import secrets
from collections.abc import Mapping
from typing import Annotated

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from fastapi import APIRouter, FastAPI, Form, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy import create_engine
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.base import RequestResponseEndpoint

from demo.city.config import CityConfig
from demo.city.pages import LANGUAGES, SECURITY_HEADERS, Pages, language_of
from demo.city.procedures import (
    COUNTER,
    PARKING,
    PASS_DOCTYPE,
    PASS_VCT,
    PID_DOCTYPE,
    PID_VCT,
    applicant_of,
    pass_of,
    procedures,
)
from demo.city.sessions import LIFETIME, Session, Sessions, Started
from specs.keys.signer import SigningIdentity, load_signer
from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC
from specs.refusal import ReasonCode, Refusal
from verifier import AsyncVerifier, Flow, RelyingParty, Verifier
from verifier.adapters.fastapi import wallet_router
from verifier.adapters.fastapi_pages import event_stream
from verifier.ask import Endpoints
from verifier.outcome import Outcome
from verifier.request import qr_svg
from verifier.stores.sql import SqlStore
from verifier.texts import Audience, sentence
from verifier.waiting import events

PLATE = re.compile(r"[A-ZÄÖÜ]{1,3}[- ][A-Z]{1,2} ?[1-9][0-9]{0,3}[EH]?")
COOKIE = "city_session"


def create_city(config: CityConfig) -> FastAPI:
    """The application for one configuration; its database is made if it is not there."""
    pages, sessions = Pages(), Sessions()
    verifier = _verifier(config, pages)
    city = City(
        verifier=AsyncVerifier(verifier), pages=pages, sessions=sessions, secure=config.public_url[:5] == "https"
    )
    app = FastAPI(title="Stadtnachweis demo city", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(wallet_router(verifier), prefix="/present")
    app.include_router(city.router())
    app.mount("/assets", StaticFiles(packages=[("demo.city", "assets")]))

    @app.middleware("http")
    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.url.path.startswith("/assets/"):
            response.headers["Cache-Control"] = "no-store"
        if (wanted := request.query_params.get("lang")) in LANGUAGES:
            response.set_cookie("lang", str(wanted), samesite="lax", httponly=True, secure=city.secure)
        return response

    @app.exception_handler(StarletteHTTPException)
    async def failed(request: Request, error: StarletteHTTPException) -> Response:
        return pages.render(request, "error.html", status=error.status_code, title="error", kind=str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def not_ours(request: Request, _error: RequestValidationError) -> Response:
        return pages.render(request, "error.html", status=422, title="error", kind="forged")

    return app


def _verifier(config: CityConfig, pages: Pages) -> Verifier:
    engine = create_engine(f"sqlite:///{config.database}", connect_args={"timeout": 10})
    store = SqlStore(engine)
    store.create_tables()
    pid, leipzig_pass = config.pid.load(), config.leipzig_pass.load()
    chain = load_pem_x509_certificates(config.access_chain.read_bytes())
    purposes = {
        procedure: {language: pages.texts[language]["purposes"][procedure] for language in LANGUAGES}
        for procedure in (PARKING, COUNTER)
    }
    return Verifier(
        RelyingParty(
            SigningIdentity(
                load_signer(config.access_key.read_bytes()),
                tuple(certificate.public_bytes(Encoding.DER) for certificate in chain),
            )
        ),
        procedures=procedures(parking_return=f"{config.public_url}/parking/return", purposes=purposes),
        trust={
            (FORMAT_SD_JWT_VC, PID_VCT): (pid,),
            (FORMAT_MDOC, PID_DOCTYPE): (pid,),
            (FORMAT_SD_JWT_VC, PASS_VCT): (leipzig_pass,),
            (FORMAT_MDOC, PASS_DOCTYPE): (leipzig_pass,),
        },
        store=store,
        sealing_key=secrets.token_bytes(32),
        endpoints=Endpoints(f"{config.public_url}/present/request", f"{config.public_url}/present/response"),
        scheme=config.wallet_link,
        allow_loopback_http=config.public_url.startswith("http://"),
    )


class City:
    """The routes of the pages."""

    def __init__(self, *, verifier: AsyncVerifier, pages: Pages, sessions: Sessions, secure: bool) -> None:
        self._verifier = verifier
        self._pages = pages
        self._sessions = sessions
        self.secure = secure

    def router(self) -> APIRouter:
        """All pages."""
        router = APIRouter()
        for path, page in (
            ("/", self.home),
            ("/parking", self.parking),
            ("/parking/identify", self.identify),
            ("/parking/identify/qr.svg", self.parking_qr),
            ("/parking/identify/events", self.parking_events),
            ("/parking/return", self.parking_return),
            ("/parking/result", self.parking_result),
            ("/parking/form", self.parking_form),
            ("/counter", self.counter),
            ("/counter/check", self.counter_check),
            ("/counter/check/qr.svg", self.counter_qr),
            ("/counter/check/events", self.counter_events),
            ("/counter/result", self.counter_result),
        ):
            router.add_api_route(path, page, methods=["GET"], response_model=None)
        router.add_api_route("/parking", self.start_parking, methods=["POST"], response_model=None)
        router.add_api_route("/parking/form", self.submit_parking, methods=["POST"], response_model=None)
        router.add_api_route("/counter", self.start_counter, methods=["POST"], response_model=None)
        return router

    async def home(self, request: Request) -> Response:
        """What this service offers."""
        return self._pages.render(request, "home.html", title="home")

    # resident parking: explain, ask, prefill, receive

    async def parking(self, request: Request) -> Response:
        """What will be asked, why, and what happens without a wallet."""
        cookie, session = self._session_or_new(request)
        page = self._pages.render(request, "parking.html", title="parking", csrf_token=session.csrf_token)
        return self._with_cookie(page, cookie)

    async def start_parking(self, request: Request, csrf_token: Annotated[str, Form()]) -> Response:
        """Ask: one question for this device, one for a phone."""
        session = self._session(request, csrf_token)
        for flow in (Flow.SAME_DEVICE, Flow.CROSS_DEVICE):
            session.started[flow] = await self._ask(PARKING, flow)
        return RedirectResponse("/parking/identify", status_code=303)

    async def identify(self, request: Request) -> Response:
        """The link for this device and the picture for a phone."""
        session = self._session(request)
        same, cross = self._started(session, Flow.SAME_DEVICE), self._started(session, Flow.CROSS_DEVICE)
        if await self._answered(cross):
            return RedirectResponse("/parking/result", status_code=303)
        return self._pages.render(
            request,
            "ask.html",
            title="identify",
            wallet_url=same.wallet_url,
            phone_url=await self._link(cross),
            qr="/parking/identify/qr.svg",
            events="/parking/identify/events",
            proceed="/parking/result",
            back="/parking",
        )

    async def parking_qr(self, request: Request) -> Response:
        """The picture for a phone."""
        return await self._picture(self._started(self._session(request), Flow.CROSS_DEVICE))

    async def parking_events(self, request: Request) -> Response:
        """Fresh pictures, and whether the phone has answered."""
        return self._events(self._started(self._session(request), Flow.CROSS_DEVICE))

    async def parking_return(self, request: Request, response_code: str = "") -> Response:
        """The wallet on this device sends its holder back."""
        session = self._session(request)
        outcome = await self._outcome(self._started(session, Flow.SAME_DEVICE), response_code)
        return self._identified(request, session, outcome)

    async def parking_result(self, request: Request) -> Response:
        """The phone has answered."""
        session = self._session(request)
        started = self._started(session, Flow.CROSS_DEVICE)
        if not await self._answered(started):
            return RedirectResponse("/parking/identify", status_code=303)
        return self._identified(request, session, await self._outcome(started, None))

    def _identified(self, request: Request, session: Session, outcome: Outcome) -> Response:
        session.started.clear()
        if not outcome.verdict.accepted:
            return self._refused(request, outcome, retry="/parking")
        session.applicant = applicant_of(outcome.verdict)
        return RedirectResponse("/parking/form", status_code=303)

    async def parking_form(self, request: Request) -> Response:
        """The application, filled in with what the wallet said."""
        session = self._session(request)
        return self._form(request, session, plate="", problems={})

    def _form(
        self, request: Request, session: Session, *, plate: str, problems: Mapping[str, str], status: int = 200
    ) -> Response:
        if session.applicant is None:
            return RedirectResponse("/parking", status_code=303)
        return self._pages.render(
            request,
            "form.html",
            status=status,
            title="form",
            csrf_token=session.csrf_token,
            applicant=session.applicant,
            plate=plate,
            problems=problems,
        )

    async def submit_parking(
        self, request: Request, csrf_token: Annotated[str, Form()], plate: Annotated[str, Form()] = ""
    ) -> Response:
        """Take the application; this demonstration keeps nothing of it."""
        session = self._session(request, csrf_token)
        plate = " ".join(plate.upper().split())
        if not PLATE.fullmatch(plate):
            return self._form(request, session, plate=plate[:20], problems={"plate": "plate"}, status=422)
        session.applicant = None
        return self._pages.render(request, "received.html", title="received", plate=plate)

    # the counter: ask for a Leipzig-Pass, show whether it holds

    async def counter(self, request: Request) -> Response:
        """The start of a check."""
        cookie, session = self._session_or_new(request)
        page = self._pages.render(request, "counter.html", title="counter", csrf_token=session.csrf_token)
        return self._with_cookie(page, cookie)

    async def start_counter(self, request: Request, csrf_token: Annotated[str, Form()]) -> Response:
        """Ask the wallet of the person at the counter."""
        session = self._session(request, csrf_token)
        session.started[COUNTER] = await self._ask(COUNTER, Flow.CROSS_DEVICE)
        return RedirectResponse("/counter/check", status_code=303)

    async def counter_check(self, request: Request) -> Response:
        """The picture for the phone at the counter."""
        started = self._started(self._session(request), COUNTER)
        if await self._answered(started):
            return RedirectResponse("/counter/result", status_code=303)
        return self._pages.render(
            request,
            "ask.html",
            title="check",
            wallet_url=None,
            phone_url=await self._link(started),
            qr="/counter/check/qr.svg",
            events="/counter/check/events",
            proceed="/counter/result",
            back="/counter",
        )

    async def counter_qr(self, request: Request) -> Response:
        """The picture for the phone at the counter."""
        return await self._picture(self._started(self._session(request), COUNTER))

    async def counter_events(self, request: Request) -> Response:
        """Fresh pictures, and whether the phone has answered."""
        return self._events(self._started(self._session(request), COUNTER))

    async def counter_result(self, request: Request) -> Response:
        """Valid or not, and nothing else."""
        session = self._session(request)
        started = self._started(session, COUNTER)
        if not await self._answered(started):
            return RedirectResponse("/counter/check", status_code=303)
        outcome = await self._outcome(started, None)
        session.started.clear()
        if not outcome.verdict.accepted:
            return self._refused(request, outcome, retry="/counter")
        return self._pages.render(
            request,
            "pass.html",
            title="pass",
            shown=pass_of(outcome.verdict),
            credential=outcome.verdict.credentials[0],
        )

    # what the pages share

    async def _ask(self, procedure: str, flow: Flow) -> Started:
        question = await self._verifier.ask(procedure, flow=flow)
        return Started(question.id, question.session_secret, question.wallet_url, question.page)

    async def _answered(self, started: Started) -> bool:
        try:
            return await self._verifier.is_answered(started.transaction)
        except Refusal:
            raise HTTPException(410, "expired") from None

    async def _link(self, started: Started) -> str:
        try:
            return await self._verifier.fresh_link(started.page)
        except Refusal:
            raise HTTPException(410, "expired") from None

    async def _picture(self, started: Started) -> Response:
        return Response(qr_svg(await self._link(started)), media_type="image/svg+xml")

    def _events(self, started: Started) -> Response:
        return event_stream(events(self._verifier, started.page, pictures=True))

    async def _outcome(self, started: Started, response_code: str | None) -> Outcome:
        try:
            return await self._verifier.result(
                started.transaction, session_secret=started.session_secret, response_code=response_code
            )
        except Refusal:
            raise HTTPException(410, "expired") from None

    def _refused(self, request: Request, outcome: Outcome, *, retry: str) -> Response:
        reason = outcome.verdict.reason or ReasonCode.QUERY_NOT_SATISFIED
        language = language_of(request)
        return self._pages.render(
            request,
            "refused.html",
            title="refused",
            reason=reason.value,
            citizen=sentence(reason, language=language),
            caseworker=sentence(reason, language=language, audience=Audience.CASEWORKER),
            retry=retry,
        )

    def _session_or_new(self, request: Request) -> tuple[str | None, Session]:
        session = self._sessions.get(request.cookies.get(COOKIE))
        return (None, session) if session is not None else self._sessions.begin()

    def _session(self, request: Request, csrf_token: str | None = None) -> Session:
        session = self._sessions.get(request.cookies.get(COOKIE))
        if session is None:
            raise HTTPException(410, "expired")
        if csrf_token is not None and not secrets.compare_digest(csrf_token.encode(), session.csrf_token.encode()):
            raise HTTPException(403, "forged")
        return session

    def _started(self, session: Session, key: str) -> Started:
        if key not in session.started:
            raise HTTPException(410, "expired")
        return session.started[key]

    def _with_cookie(self, page: Response, cookie: str | None) -> Response:
        if cookie is not None:
            page.set_cookie(COOKIE, cookie, max_age=LIFETIME, httponly=True, samesite="lax", secure=self.secure)
        return page
