"""Sessions of the target: each asks one question in the way a plan wants it, and shows on a page what came of it."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from specs.encoding.strict_json import JsonObject
from specs.profiles import Profile
from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC, DcqlError, DcqlQuery, parse_dcql
from specs.protocols.openid4vp import ClientIdPrefix, RequestError, ResponseMode, parse_form
from specs.refusal import Refusal
from verifier.adapters.fastapi import wallet_router
from verifier.adapters.oidf.pinned import SUITE_SIGNER, signers_of
from verifier.ask import Choices, Endpoints, Flow, Procedure, RequestWay, digest
from verifier.expectations import Policy, TrustDomain
from verifier.outcome import Outcome
from verifier.relying_party import RelyingParty
from verifier.response import open_response
from verifier.service import Verifier
from verifier.stores.memory import MemoryStore
from verifier.transaction import Seal, from_row

PID_VCT, MDL_DOCTYPE = "urn:eudi:pid:1", "org.iso.18013.5.1.mDL"
_MDL_NAMESPACE = "org.iso.18013.5.1"
_QUESTIONS: Mapping[str, JsonObject] = {
    FORMAT_SD_JWT_VC: {
        "id": "pid",
        "format": FORMAT_SD_JWT_VC,
        "meta": {"vct_values": [PID_VCT]},
        "claims": [{"path": ["family_name"]}, {"path": ["given_name"]}],
    },
    FORMAT_MDOC: {
        "id": "mdl",
        "format": FORMAT_MDOC,
        "meta": {"doctype_value": MDL_DOCTYPE},
        "claims": [{"path": [_MDL_NAMESPACE, "family_name"]}, {"path": [_MDL_NAMESPACE, "given_name"]}],
    },
}
_WAYS = {
    ("request_uri", "get"): RequestWay.REQUEST_URI_GET,
    ("request_uri", "post"): RequestWay.REQUEST_URI_POST,
    ("query", "get"): RequestWay.PARAMETERS,
    ("query", "post"): RequestWay.PARAMETERS,
}


class SessionOrder(BaseModel):
    """What a driver wants to be asked, and how. dcql: instead of the format's own question."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str = FORMAT_SD_JWT_VC
    dcql: dict[str, object] | None = None
    client_id_prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH
    request_method: str = "request_uri"
    response_mode: ResponseMode = ResponseMode.DIRECT_POST_JWT
    request_uri_method: str = "get"
    wallet_endpoint: str = "openid4vp://"


@dataclass(frozen=True, slots=True)
class _Session:
    """One question on its way. trust: grows when the suite's signer is seen."""

    verifier: Verifier
    transaction: str
    secret: str = field(repr=False)
    store: MemoryStore = field(repr=False)
    seal: Seal = field(repr=False)
    mode: ResponseMode
    trust: dict[tuple[str, str], tuple[TrustDomain, ...]] = field(repr=False)


@dataclass
class Sessions:
    """All sessions of a target, and the routes to them. key: what a driver must send as Bearer token."""

    app: FastAPI = field(repr=False)
    url: str
    key: str = field(repr=False)
    relying_party: RelyingParty = field(repr=False)
    profile: Profile = field(repr=False)
    sd_jwt: TrustDomain
    mdoc: TrustDomain
    _open: dict[str, _Session] = field(default_factory=dict, repr=False)

    def router(self) -> APIRouter:
        """The driver's hook, and the pages."""
        router = APIRouter()
        router.add_api_route(
            "/admin/sessions", self.begin, methods=["POST"], status_code=201, dependencies=[Depends(self._authorized)]
        )
        router.add_api_route("/sessions/{session}/result", self.page, methods=["GET"], response_model=None)
        return router

    def _authorized(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.key}".encode()):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    async def begin(self, order: SessionOrder) -> dict[str, str]:
        """Ask: the answer holds the link that opens the wallet."""
        way = _WAYS.get((order.request_method, order.request_uri_method))
        query = _query(order)
        if way is None or query is None:
            raise HTTPException(422)
        name, sealing_key, store = secrets.token_urlsafe(16), secrets.token_bytes(32), MemoryStore()
        trust: dict[tuple[str, str], tuple[TrustDomain, ...]] = {
            key: (self.mdoc if key[0] == FORMAT_MDOC else self.sd_jwt,) for key in _types(query)
        }
        place = f"/sessions/{name}"
        try:
            verifier = Verifier(
                self.relying_party,
                procedures={
                    name: Procedure(
                        id=name,
                        query=query,
                        policy=Policy(allow_test_anchors=True),
                        return_url=f"{self.url}{place}/result",
                    )
                },
                trust=trust,
                store=store,
                sealing_key=sealing_key,
                endpoints=Endpoints(f"{self.url}{place}/request", f"{self.url}{place}/response"),
                profile=self.profile,
            )
            question = verifier.ask(
                name,
                flow=Flow.SAME_DEVICE,
                choices=Choices(
                    response_mode=order.response_mode,
                    request_way=way,
                    prefix=order.client_id_prefix,
                    wallet=order.wallet_endpoint,
                ),
            )
        except (ValueError, RequestError) as error:
            raise HTTPException(422, str(error)) from None
        self._open[name] = _Session(
            verifier, question.id, question.session_secret, store, Seal(sealing_key), order.response_mode, trust
        )
        self.app.include_router(
            wallet_router(verifier), prefix=f"/sessions/{name}", dependencies=[Depends(self._pin_signer)]
        )
        return {"id": name, "wallet_url": question.wallet_url}

    async def page(self, session: str, response_code: str = "") -> Response:
        """What came of a question, without script: an element `verdict` says accepted or refused, and why."""
        found = self._open.get(session)
        if found is None:
            raise HTTPException(404)
        try:
            outcome = found.verifier.result(
                found.transaction, session_secret=found.secret, response_code=response_code, idempotency_key=session
            )
        except Refusal:
            raise HTTPException(404) from None
        return HTMLResponse(_described(outcome), headers={"Cache-Control": "no-store"})

    async def _pin_signer(self, request: Request) -> None:
        """Before an mdoc is judged: pin its signer, if it is the suite's."""
        found = self._open.get(request.url.path.split("/")[2])
        handle = request.path_params.get("handle", "")
        if request.method != "POST" or found is None or "/response/" not in request.url.path:
            return
        row = found.store.by_response_handle(digest(handle), now=0)
        if row is None:
            return
        key = from_row(row, seal=found.seal).response_key
        try:
            opened = open_response(
                parse_form(await request.body()), keys={key.kid: key} if key else {}, expected_mode=found.mode
            )
        except Refusal:
            return
        for known, domains in found.trust.items():
            if known[0] == FORMAT_MDOC and (signers := signers_of(opened, fingerprints=(SUITE_SIGNER,))):
                found.trust[known] = tuple(TrustDomain(each.name, (*each.anchors, *signers)) for each in domains)


def _query(order: SessionOrder) -> DcqlQuery | None:
    asked: JsonObject | None = {"credentials": [_QUESTIONS[order.format]]} if order.format in _QUESTIONS else None
    try:
        return parse_dcql(order.dcql or asked or {})  # type: ignore[arg-type]
    except DcqlError:
        return None


def _types(query: DcqlQuery) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in query.credentials:
        meta = entry.meta
        found += [(entry.format, each) for each in getattr(meta, "vct_values", ())]
        found += [(entry.format, meta.doctype_value)] if hasattr(meta, "doctype_value") else []
    return found


def _described(outcome: Outcome) -> str:
    verdict = outcome.verdict
    word = "accepted" if verdict.accepted else "refused"
    names = sorted(name for credential in verdict.credentials for name in credential.claims)
    reason = escape(str(verdict.reason or outcome.wallet_error or ", ".join(names)))
    return (
        f'<!doctype html><html lang="en"><title>{word}</title>'
        f'<h1 id="verdict">{word}</h1><p id="reason">{reason}</p></html>'
    )
