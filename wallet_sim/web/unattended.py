"""The wallet without a person: addresses that a test suite calls, which agree to whatever a trusted party asks.

For the OpenID Foundation's wallet plans: `/authorize` is the plan's `server.authorization_endpoint`,
`/credential_offer` its `vci.credential_offer_endpoint`, `/collect` starts a flow from the wallet's side, and `/dc-api`
answers what a page would ask through the browser. What is refused is answered with status 400: a page with the element
`error`, or JSON for who accepts only that.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.credential_offer import CredentialOffer, OfferedAuthorizationCode, offer_link
from wallet_sim.browser import FormBrowser
from wallet_sim.collect import Holder
from wallet_sim.conduct import Exchange
from wallet_sim.misbehaviour import Misconduct
from wallet_sim.transport import new_client
from wallet_sim.wallet import Wallet
from wallet_sim.web.pages import Shown, answer_page, error_page, shown_of
from wallet_sim.web.refusals import EXPECTED, Refused, refusal_of
from wallet_sim.web.settings import Served

_JSON = "application/json"
_NO_STORE = {"Cache-Control": "no-store"}
MAX_BODY = 1 << 20


class _NoSuchWallet(Exception):
    pass


def unattended_router(served: Served) -> APIRouter:
    """The addresses, for the first wallet at the top and for each under `/wallets/{name}`."""
    router = APIRouter(include_in_schema=False)
    machine = _Machine(served)

    for prefix in ("", "/wallets/{name}"):

        @router.get(f"{prefix}/authorize")
        def authorize(request: Request, name: str | None = None) -> Response:
            """OpenID4VP §5: the parameters of a question, as at an authorization endpoint."""
            return machine.answered(request, lambda: machine.present(request, name))

        @router.get(f"{prefix}/credential_offer")
        def credential_offer(request: Request, name: str | None = None) -> Response:
            """OpenID4VCI §4.1: an offer by value or by reference."""
            return machine.answered(request, lambda: machine.collect(request, name, _offer_link(request)))

        @router.get(f"{prefix}/collect")
        def collect(request: Request, name: str | None = None) -> Response:
            """OpenID4VCI §3.3: begin from the wallet's side; `credential_issuer`, `credential_configuration_ids`."""
            return machine.answered(request, lambda: machine.collect(request, name, _own_link(request)))

        @router.post(f"{prefix}/dc-api")
        async def dc_api(request: Request, name: str | None = None) -> Response:
            """OpenID4VP App. A: `{"origin": …, "request": {"digital": {"requests": […]}}}` → `{protocol, data}`."""
            body = await _body(request)
            return await run_in_threadpool(machine.answered, request, lambda: machine.answer_dc_api(body, name))

    @router.get("/reactions")
    def reactions() -> Response:
        """What came back so far to a wallet that misbehaves: the newest last."""
        return JSONResponse(machine.reactions(), headers=_NO_STORE)

    return router


class _Machine:
    """What a person would do."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def answered(self, request: Request, work: Callable[[], Response]) -> Response:
        """The work's answer, or why there is none."""
        try:
            return work()
        except _NoSuchWallet:
            return _refused(request, Refused("not_found", "there is no wallet of this name"), 404)
        except EXPECTED as error:
            return _refused(request, refusal_of(error), 400)

    def present(self, request: Request, name: str | None) -> Response:
        scheme = "haip-vp" if self._served.settings.haip else "openid4vp"
        link = f"{scheme}://?{request.url.query}"
        presented = self._wallet(name).present(link, consent=lambda _question: True)
        if presented.redirect_uri is not None and not _wants_json(request):
            return RedirectResponse(
                presented.redirect_uri, 303, headers={**_NO_STORE, "Referrer-Policy": "no-referrer"}
            )
        names = [each.credential for each in presented.shown]
        if _wants_json(request):
            body = {"result": "presented", "credentials": names, "redirect_uri": presented.redirect_uri}
            return JSONResponse(body, headers=_NO_STORE)
        return answer_page(self._shown(request), "presented", names)

    def collect(self, request: Request, name: str | None, link: str) -> Response:
        collected = self._wallet(name).collect(link, holder=self._holder(), copies=self._served.settings.copies)
        names = [each.name for each in collected]
        if _wants_json(request):
            return JSONResponse({"result": "collected", "credentials": names}, headers=_NO_STORE)
        return answer_page(self._shown(request), "collected", names)

    def answer_dc_api(self, body: JsonObject, name: str | None) -> Response:
        origin, request = body.get("origin"), body.get("request")
        digital = request.get("digital") if isinstance(request, dict) else None
        requests = digital.get("requests") if isinstance(digital, dict) else None
        if not isinstance(origin, str) or not isinstance(requests, list):
            raise ValueError("origin and request.digital.requests are needed")
        answer = self._wallet(name).answer_page(requests, origin=origin, consent=lambda _question: True)
        return JSONResponse(answer.members, headers=_NO_STORE)

    def reactions(self) -> JsonObject:
        conduct = self._served.conduct
        if not isinstance(conduct, Misconduct):
            return {"misbehaviour": None, "exchanges": []}
        case = conduct.misbehaviour
        return {
            "misbehaviour": case.id,
            "done": conduct.is_done,
            "met": {phase.value: conduct.is_met(phase) for phase in case.phases},
            "exchanges": [_exchange(each) for each in conduct.exchanges],
        }

    def _wallet(self, name: str | None) -> Wallet:
        if name is None:
            return self._served.first
        if name not in self._served.wallets:
            raise _NoSuchWallet
        return self._served.wallets[name]

    def _holder(self) -> Holder:
        settings = self._served.settings
        tx_code, login = settings.tx_code, settings.login
        browser = FormBrowser(
            username=login.username if login else "",
            password=login.password if login else "",
            redirect_uri=settings.redirect_uri,
            allow_loopback_http=settings.allow_loopback_http,
            client=new_client(loopback_tls_unchecked=settings.loopback_tls_unchecked),
        )
        return Holder(
            accept=lambda _offer: True,
            tx_code=None if tx_code is None else lambda: tx_code,
            authorize=browser,
            redirect_uri=settings.redirect_uri,
        )

    def _shown(self, request: Request) -> Shown:
        return shown_of(request)


def _refused(request: Request, refused: Refused, status: int) -> Response:
    if _wants_json(request):
        body = {"error": refused.code, "error_description": refused.sentence}
        return JSONResponse(body, status, headers=_NO_STORE)
    page: HTMLResponse = error_page(shown_of(request), refused, status=status)
    return page


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return request.method == "POST" or (_JSON in accept and "text/html" not in accept)


def _offer_link(request: Request) -> str:
    return f"openid-credential-offer://?{request.url.query}"


def _own_link(request: Request) -> str:
    """An offer as the issuer might have made it, without anything that only it could know."""
    issuer = request.query_params.get("credential_issuer", "")
    names = request.query_params.getlist("credential_configuration_ids")
    if not urlsplit(issuer).netloc or not names:
        raise ValueError("credential_issuer and credential_configuration_ids are needed")
    offer = CredentialOffer(issuer, tuple(names), authorization_code=OfferedAuthorizationCode(None))
    return offer_link(offer)


async def _body(request: Request) -> JsonObject:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            break
    try:
        return strict_json.parse_object(bytes(body[: MAX_BODY + 1]))
    except Malformed:
        return {}


def _exchange(exchange: Exchange) -> JsonObject:
    status = exchange.status if exchange.status is not None else 0
    return {"to": exchange.to.value, "status": status, "error": exchange.error or ""}
