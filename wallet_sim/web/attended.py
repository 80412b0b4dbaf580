"""The wallet's pages for a person: home, an offer or a question on its way, a credential, what was done so far."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from urllib.parse import parse_qsl, quote, urlsplit

import qrcode
from fastapi import APIRouter, Request
from qrcode.image.svg import SvgPathFillImage
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from specs.protocols.credential_offer import OFFER_SCHEMES
from specs.protocols.dcql import FORMAT_MDOC
from wallet_sim.labels import Labels, labelled
from wallet_sim.pictures import PictureUnreadable, read_qr_code
from wallet_sim.presentation import claims_of, held
from wallet_sim.question import QuestionShown
from wallet_sim.status import CredentialState, StatusReader
from wallet_sim.store import StoredCredential
from wallet_sim.wallet import Wallet
from wallet_sim.web.flows import Decision, Flow, Flows, Stage, chosen_of
from wallet_sim.web.forms import MAX_FORM, form_of, picture_of
from wallet_sim.web.pages import error_page, render, shown_of
from wallet_sim.web.refusals import Refused
from wallet_sim.web.settings import Served

OWN_SCHEME = "web+wallet"  # what a browser lets a page register; letters alone may follow the plus
_PATIENCE = 8.0  # seconds that a page waits before it shows that it waits
_LANGUAGE = re.compile("&?lang=(de|en)$")  # of this page, not of the question


@dataclass(frozen=True, slots=True)
class Held:
    """A credential as pages show it, whatever number of copies there is."""

    batch: str
    name: str
    issuer: str
    format: str
    copies: int
    times_shown: int
    state: CredentialState


def attended_router(served: Served, flows: Flows) -> APIRouter:
    """The pages; each wallet has its own under `/wallets/{name}`."""
    router = APIRouter(include_in_schema=False)
    pages = _Pages(served, flows)

    @router.get("/")
    def start(request: Request) -> Response:
        """Which wallet; where there is one, its home."""
        return pages.start(request)

    @router.get("/wallets/{name}")
    def home(request: Request, name: str) -> Response:
        """What is in the wallet, and a place for a link."""
        return pages.home(request, name)

    @router.get("/open")
    @router.get("/authorize")
    @router.get("/credential_offer")
    def arrive(request: Request) -> Response:
        """Opened by a link: the page's own form of `openid4vp://` and `openid-credential-offer://`, or a handler's."""
        return pages.arrive(request)

    @router.post("/wallets/{name}/open")
    async def begin(request: Request, name: str) -> Response:
        """A link was typed in, scanned, or came from another page."""
        form = await form_of(request)
        return await run_in_threadpool(pages.begin, request, name, form.get("link", "").strip())

    @router.post("/wallets/{name}/picture")
    async def picture(request: Request, name: str) -> Response:
        """A picture of a QR code was chosen, dropped, pasted, or taken by a camera."""
        taken = await picture_of(request)
        return await run_in_threadpool(pages.picture, request, name, taken)

    @router.post("/wallets/{name}/meet")
    async def meet(request: Request, name: str) -> Response:
        """Wait for a reader on the spot."""
        await form_of(request)
        return await run_in_threadpool(pages.meet, name)

    @router.get("/flows/{flow_id}/engagement.svg")
    def engagement(flow_id: str) -> Response:
        """What the reader's camera must see."""
        return pages.engagement(flow_id)

    @router.get("/flows/{flow_id}")
    def flow(request: Request, flow_id: str) -> Response:
        """Where a flow stands."""
        return pages.flow(request, flow_id)

    @router.post("/flows/{flow_id}")
    async def decide(request: Request, flow_id: str) -> Response:
        """Yes or no."""
        form = await form_of(request)
        return await run_in_threadpool(pages.decide, request, flow_id, form)

    @router.get("/callback/{flow_id}")
    def callback(request: Request, flow_id: str) -> Response:
        """The browser is back from its login (RFC 6749 §4.1.2)."""
        return pages.callback(request, flow_id)

    @router.get("/wallets/{name}/credentials/{batch}")
    def credential(request: Request, name: str, batch: str) -> Response:
        """One credential."""
        return pages.credential(request, name, batch)

    @router.post("/wallets/{name}/credentials/{batch}/delete")
    async def delete(request: Request, name: str, batch: str) -> Response:
        """Forget a credential."""
        await form_of(request)
        return await run_in_threadpool(pages.delete, name, batch)

    @router.post("/wallets/{name}/credentials/{batch}/renew")
    async def renew(request: Request, name: str, batch: str) -> Response:
        """Collect a credential anew."""
        await form_of(request)
        return await run_in_threadpool(pages.renew, name, batch)

    @router.get("/wallets/{name}/history")
    def history(request: Request, name: str) -> Response:
        """What was done."""
        return pages.history(request, name)

    @router.post("/wallets/{name}/history/delete")
    async def forget(request: Request, name: str) -> Response:
        """Forget what was done."""
        await form_of(request)
        return await run_in_threadpool(pages.forget, name)

    return router


class _Pages:
    def __init__(self, served: Served, flows: Flows) -> None:
        self._served = served
        self._flows = flows

    def start(self, request: Request) -> Response:
        names = list(self._served.wallets)
        if len(names) == 1:
            return _sent(f"/wallets/{names[0]}")
        return render("wallets.html", shown_of(request), values={"names": names, "link": None})

    def home(self, request: Request, name: str) -> Response:
        reader = self._status()
        credentials = [_held(copies, reader) for copies in _batches(self._wallet(name)).values()]
        base = str(request.base_url).rstrip("/")
        values = {
            "name": name,
            "credentials": credentials,
            "several": len(self._served.wallets) > 1,
            "link": request.query_params.get("link", "")[:MAX_FORM],
            "base": base,
            "scheme": OWN_SCHEME,
        }
        return render("home.html", shown_of(request), values=values)

    def arrive(self, request: Request) -> Response:
        """A link that opened this page only fills in the form: nothing is fetched before a person says so."""
        if request.url.path == "/open":
            link = _own(request.query_params.get("link", ""))
        else:
            scheme = "openid4vp" if request.url.path == "/authorize" else "openid-credential-offer"
            link = f"{scheme}://?{_LANGUAGE.sub('', request.url.query)}"
        names = list(self._served.wallets)
        if len(names) == 1:
            return _sent(f"/wallets/{names[0]}?link={quote(link, safe='')}")
        targets = [(name, f"/wallets/{name}?link={quote(link, safe='')}") for name in names]
        return render("wallets.html", shown_of(request), values={"names": names, "link": targets})

    def begin(self, request: Request, name: str, link: str) -> Response:
        wallet = self._wallet(name)
        link = _own(link)
        base = str(request.base_url).rstrip("/")
        flow = self._flows.keep(Flow(name, callback=f"{base}/callback"))
        if _is_offer(link):
            flow.collect(wallet, link, copies=self._served.settings.copies)
        else:
            flow.present(wallet, link)
        flow.wait(_PATIENCE)
        return _sent(f"/flows/{flow.id}")

    def picture(self, request: Request, name: str, taken: bytes) -> Response:
        """What its code says fills in the form; nothing is fetched before a person says so."""
        self._wallet(name)
        wants_json = "application/json" in request.headers.get("accept", "")
        try:
            link = read_qr_code(taken)
        except PictureUnreadable as error:
            refused = Refused("no_qr_code", str(error))
            if wants_json:
                return JSONResponse({"error": refused.code}, 400, headers={"Cache-Control": "no-store"})
            return error_page(shown_of(request), refused, status=400, back=f"/wallets/{name}")
        if wants_json:
            return JSONResponse({"link": link}, headers={"Cache-Control": "no-store"})
        return _sent(f"/wallets/{name}?link={quote(link, safe='')}")

    def meet(self, name: str) -> Response:
        flow = self._flows.keep(Flow(name)).meet(self._wallet(name), reader_anchors=self._served.reader_anchors)
        flow.wait(_PATIENCE)
        return _sent(f"/flows/{flow.id}")

    def engagement(self, flow_id: str) -> Response:
        link = self._flow(flow_id).wait(0).engagement
        if link is None:
            raise HTTPException(404, "nobody waits for a reader here")
        picture = BytesIO()
        qrcode.make(link, image_factory=SvgPathFillImage).save(picture)
        headers = {"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"}  # the page looks again
        return Response(picture.getvalue(), media_type="image/svg+xml", headers=headers)

    def flow(self, request: Request, flow_id: str) -> Response:
        flow = self._flow(flow_id)
        standing = flow.wait(0)
        values = {
            "flow": flow.id,
            "standing": standing,
            "home": f"/wallets/{flow.wallet}",
            "from_page": flow.from_page,
            "named": self._names(self._wallet(flow.wallet), shown_of(request).locale),
        }
        shown = shown_of(request)
        if standing.stage is Stage.REFUSED:
            assert standing.refused is not None
            values["refused"] = standing.refused
            return render("refused.html", shown, values=values)
        if standing.stage is Stage.QUESTION:
            assert standing.question is not None
            values["certain"] = _certain(standing.question)
            values["states"] = self._states(self._wallet(flow.wallet), standing.question)
            values["purpose"] = _purpose(standing.question.registration.purpose, shown.locale)
        refresh = {Stage.WORKING: 1, Stage.MEETING: 3}.get(standing.stage)
        return render(f"{standing.stage}.html", shown, refresh=refresh, values=values)

    def decide(self, request: Request, flow_id: str, form: Mapping[str, str]) -> Response:
        flow = self._flow(flow_id)
        standing = flow.wait(0)
        agreed = form.get("answer") == "yes"
        if standing.question is not None:
            flow.say(Decision(agreed, chosen=chosen_of(standing.question, form)))
        elif standing.offer is not None:
            flow.say(Decision(agreed, tx_code=form.get("tx_code", ""), shows=form.get("way") == "show"))
        elif standing.reader is not None:
            flow.say(Decision(agreed))
        elif standing.datasets is not None:
            found = standing.datasets.identifiers
            wanted = tuple(each for number, each in enumerate(found) if f"dataset-{number}" in form)
            flow.say(Decision(agreed, datasets=wanted))
        flow.wait(_PATIENCE)
        return _sent(f"/flows/{flow.id}")

    def callback(self, request: Request, flow_id: str) -> Response:
        flow = self._flow(flow_id)
        flow.say(f"{flow.callback}?{request.url.query}")
        flow.wait(_PATIENCE)
        return _sent(f"/flows/{flow.id}")

    def credential(self, request: Request, name: str, batch: str) -> Response:
        copies = self._batch(name, batch)
        values = {
            "name": name,
            "credential": _held(copies, self._status()),
            "claims": list(_flat(_own_claims(copies[0]))),
            "collected": _day(copies[0].collected_at),
            "named": self._names(self._wallet(name), shown_of(request).locale),
            "credential_id": copies[0].id,
            "can_be_renewed": self._wallet(name).store.renewal(batch) is not None,
        }
        return render("credential.html", shown_of(request), values=values)

    def delete(self, name: str, batch: str) -> Response:
        self._wallet(name).forget([each.id for each in self._batch(name, batch)])
        return _sent(f"/wallets/{name}")

    def renew(self, name: str, batch: str) -> Response:
        self._batch(name, batch)
        flow = self._flows.keep(Flow(name)).renew(self._wallet(name), batch)
        flow.wait(_PATIENCE)
        return _sent(f"/flows/{flow.id}")

    def history(self, request: Request, name: str) -> Response:
        events = [
            {"at": _minute(each.at), "kind": each.kind.value, "party": each.party, "what": each.what}
            for each in self._wallet(name).store.history()
        ]
        return render("history.html", shown_of(request), values={"name": name, "events": events})

    def forget(self, name: str) -> Response:
        self._wallet(name).store.clear_history()
        return _sent(f"/wallets/{name}/history")

    def _states(self, wallet: Wallet, question: QuestionShown) -> dict[str, CredentialState]:
        """Whether what could be shown is still good, by the credential's id."""
        ids = {option.credential_id for options in question.options.values() for option in options}
        reader = self._status()
        return {each.id: reader.state(each) for each in wallet.credentials() if each.id in ids}

    def _names(self, wallet: Wallet, locale: str) -> Callable[[str, str], str]:
        """What people call a claim of a credential, by the credential's id."""
        batches = {each.id: each.batch for each in wallet.credentials()}
        known: dict[str, Labels] = {}

        def named(credential_id: str, claim: str) -> str:
            if credential_id not in known:
                known[credential_id] = wallet.store.labels(batches.get(credential_id, ""))
            return labelled(claim, known[credential_id], locale=locale)

        return named

    def _wallet(self, name: str) -> Wallet:
        if name not in self._served.wallets:
            raise HTTPException(404, "there is no wallet of this name")
        return self._served.wallets[name]

    def _flow(self, flow_id: str) -> Flow:
        flow = self._flows.find(flow_id)
        if flow is None:
            raise HTTPException(404, "this has ended, or never was")
        return flow

    def _batch(self, name: str, batch: str) -> list[StoredCredential]:
        found = _batches(self._wallet(name)).get(batch)
        if not found:
            raise HTTPException(404, "there is no such credential in this wallet")
        return found

    def _status(self) -> StatusReader:
        return StatusReader(self._served.first.transport, self._served.status_anchors)


def _own(link: str) -> str:
    """The link inside one that a browser handed over for the registered scheme, or under an address of this page."""
    prefix = f"{OWN_SCHEME}:"
    if link.startswith(prefix):
        link = link.removeprefix(prefix).removeprefix("//")
    return link


def _is_offer(link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme in OFFER_SCHEMES:
        return True
    names = {name for name, _ in parse_qsl(parts.query)}
    return not names.isdisjoint({"credential_offer", "credential_offer_uri"})


def _batches(wallet: Wallet) -> dict[str, list[StoredCredential]]:
    batches: dict[str, list[StoredCredential]] = {}
    for credential in wallet.credentials():
        batches.setdefault(credential.batch, []).append(credential)
    return batches


def _held(copies: Sequence[StoredCredential], reader: StatusReader) -> Held:
    first, states = copies[0], [reader.state(each) for each in copies]
    worst = next((each for each in states if each is not CredentialState.GOOD), CredentialState.GOOD)
    shown = sum(each.shown for each in copies)
    return Held(first.batch, first.name, first.issuer, first.format, len(copies), shown, worst)


def _own_claims(stored: StoredCredential) -> object:
    """All that it says; of an mdoc the elements, whatever their name space."""
    claims = claims_of(held(stored))
    if stored.format != FORMAT_MDOC:
        return claims
    return {
        name: value for elements in claims.values() if isinstance(elements, dict) for name, value in elements.items()
    }


def _flat(value: object, path: str = "") -> "Sequence[tuple[str, str]]":
    if isinstance(value, dict):
        return [row for name, inner in value.items() for row in _flat(inner, f"{path}/{name}" if path else str(name))]
    if isinstance(value, list):
        return [row for number, inner in enumerate(value) for row in _flat(inner, f"{path}/{number}")]
    return [(path, str(value))]


def _certain(question: QuestionShown) -> set[str]:
    """The queries that are answered whatever is chosen."""
    certain = [each.options[0] for each in question.sets if each.required and len(each.options) == 1]
    return {query_id for option in certain for query_id in option}


def _purpose(by_language: Mapping[str, str], locale: str) -> str | None:
    return by_language.get(locale) or next(iter(by_language.values()), None)


def _sent(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _minute(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
