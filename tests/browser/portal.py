"""A verifier with pages of its own, and wallets behind theirs: what a town needs to ask and to be answered."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI, Request
from playwright.sync_api import Page
from starlette.responses import HTMLResponse, JSONResponse, Response

from issuer.datasets import UNNAMED
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import SigningIdentity
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp import ResponseMode, build_transaction_data
from specs.trust.x509 import TrustAnchor
from tests.wallet_sim.city import (
    ACCEPTING,
    DOC_TYPE,
    MDOC_QUERY,
    VCT,
    City,
    procedures,
    reader_identity,
    relying_party,
    running_city,
    verifier_at,
)
from tests.wallet_sim.serving import served
from verifier import (
    Choices,
    DcApiProtocol,
    Flow,
    Procedure,
    RelyingParty,
    RevocationRule,
    TrustDomain,
    Verifier,
)
from verifier.adapters.fastapi import browser_router, wallet_router
from verifier.fetch import PolicedFetcher
from verifier.reader import Reader
from wallet_sim.wallet import Wallet
from wallet_sim.web.app import create_app
from wallet_sim.web.settings import Served, WalletEntry, WalletSettings, open_wallets

FEE, STRANGE = "urn:example:leipzig:fee:1", "urn:example:strange:1"
_PAGE = """<!doctype html><html lang=en><meta charset=utf-8><title>Counter</title>{script}
<script src=/page.js defer></script><h1>Counter</h1><button id=ask>Ask</button><p id=result></p></html>"""
_SCRIPT = """
document.getElementById("ask").addEventListener("click", async () => {
  const result = document.getElementById("result");
  const question = await (await fetch(`/ask${location.search}`)).json();
  try {
    const credential = await navigator.credentials.get({ digital: { requests: question.requests } });
    const { protocol, data } = credential;
    result.dataset.kind = String(credential instanceof DigitalCredential);
    const answer = await fetch(`/dc-api/${question.id}`, { method: "POST", body: JSON.stringify({ protocol, data }) });
    result.textContent = `${question.id} ${answer.status}`;
  } catch (error) {
    result.textContent = `${question.id} ${error.name}`;
  }
});
"""


@dataclass(frozen=True)
class Portal:
    """A verifier with pages of its own. secrets: of its questions, as its session would keep them."""

    url: str
    verifier: Verifier
    secrets: dict[str, str]
    questions: dict[str, list[dict[str, Any]]]

    def outcome(self, page: Page) -> Any:
        """What came of the question that the page shows."""
        question_id = str(page.locator("#result").text_content()).split()[0]
        return self.verifier.result(question_id, session_secret=self.secrets[question_id])


def _portal(city: City, url: str, asker: RelyingParty, wallet_url: str) -> tuple[FastAPI, Portal]:
    url = url.replace("127.0.0.1", "localhost")
    asked = procedures(mode=ResponseMode.DIRECT_POST_JWT) | _choices()
    portal = Portal(url, verifier_at(city, url, relying_party=asker, procedures=asked), {}, {})
    app = FastAPI()

    @app.get("/")
    def page(request: Request) -> Response:
        """Strict, and open to the wallet's script alone; `native` does without."""
        address = request.query_params.get("at", wallet_url)
        script = f"<script src={address}/dc-api.js{_attribute(request)}></script>"
        body = _PAGE.format(script="" if "native" in request.query_params else script)
        policy = f"default-src 'none'; script-src 'self' {address}; connect-src 'self' {address}"
        headers = {"Content-Security-Policy": policy, "Cross-Origin-Opener-Policy": "same-origin"}
        return HTMLResponse(body, headers=headers)

    @app.get("/page.js")
    def script() -> Response:
        """The portal's own."""
        return Response(_SCRIPT, media_type="text/javascript")

    @app.get("/ask")
    def ask(protocol: str, origin: str = url) -> Response:
        """A question; origin: for which page it is signed."""
        choices = Choices(response_mode=ResponseMode.DC_API_JWT, origins=(origin,), dc_api=(DcApiProtocol(protocol),))
        question = portal.verifier.ask("mdoc", flow=Flow.SAME_DEVICE, choices=choices)
        portal.secrets[question.id] = question.session_secret
        requests = [each.to_json() for each in question.dc_api]
        portal.questions[question.id] = requests
        return JSONResponse({"id": question.id, "requests": requests})

    app.include_router(wallet_router(portal.verifier))
    app.include_router(browser_router(portal.verifier, session_secret=lambda _request, id_: portal.secrets.get(id_)))
    return app, portal


def _sd_jwt(name: str, *claims: str, **more: object) -> dict[str, object]:
    asked = [{"id": claim, "path": [claim]} for claim in claims]
    return {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": asked, **more}


def _choices() -> dict[str, Procedure]:
    """Questions that leave a choice, or want consent to more than showing."""
    claims = [{"path": [DOC_TYPE, "entitled"]}]
    mdoc = {"id": "mdoc", "format": "mso_mdoc", "meta": {"doctype_value": DOC_TYPE}, "claims": claims}
    sets = [["entitled"], ["given_name", "birthdate"]]
    queries: dict[str, dict[str, object]] = {
        "claim-sets": {"credentials": [_sd_jwt("pass", "entitled", "given_name", "birthdate", claim_sets=sets)]},
        "optional": {
            "credentials": [_sd_jwt("must", "entitled"), _sd_jwt("may", "birthdate")],
            "credential_sets": [{"options": [["must"]]}, {"options": [["may"]], "required": False}],
        },
        "either": {
            "credentials": [_sd_jwt("sd-jwt", "entitled"), mdoc],
            "credential_sets": [{"options": [["sd-jwt"], ["mdoc"]]}],
        },
        "fee": {"credentials": [_sd_jwt("pass", "entitled")]},
        "strange": {"credentials": [_sd_jwt("pass", "entitled")]},
    }
    fee: JsonObject = {"amount": "30.70 EUR", "payee": {"name": "Stadt Leipzig"}, "urgent": False}
    agreements: dict[str, tuple[str, ...]] = {
        "fee": (build_transaction_data(FEE, credential_ids=["pass"], members=fee),),
        "strange": (build_transaction_data(STRANGE, credential_ids=["pass"], members=fee),),
    }
    return {name: _procedure(name, parse_dcql(json.dumps(query)), agreements) for name, query in queries.items()}


def _procedure(name: str, query: DcqlQuery, agreements: dict[str, tuple[str, ...]]) -> Procedure:
    data = agreements.get(name, ())
    return Procedure(id=name, query=query, response_mode=ResponseMode.DIRECT_POST_JWT, transaction_data=data)


def _attribute(request: Request) -> str:
    name = request.query_params.get("wallet")
    return f" data-wallet={name}" if name else ""


@dataclass(frozen=True)
class Town:
    """A portal, and wallets behind their pages.

    offer: makes one of these datasets; its link. reader: meets wallets on the spot.
    """

    portal: Portal
    wallets: Served
    wallet_url: str
    offer: Callable[[tuple[str, ...]], str]
    reader: Reader


@contextmanager
def running_town(folder: Path) -> Iterator[Town]:
    """Mila's wallet holds two passes in both formats, jon's none; pages of this machine may ask."""
    for name in ("mila", "jon"):
        file = folder / f"{name}.db"
        Wallet(file) if name == "mila" else shutil.copy(folder / "mila.db", file)
    asker, access = relying_party()
    reader, readers = reader_identity()
    asker = replace(asker, reader=reader)
    (folder / "askers.pem").write_bytes(_pem(access) + _pem(readers))
    (folder / "city").mkdir()
    starting = running_city(folder / "city", Wallet(folder / "mila.db").provider.anchor_pem())
    with ThreadPoolExecutor(1) as elsewhere, ExitStack() as running:  # Playwright's loop runs in this thread
        city = elsewhere.submit(starting.__enter__).result()
        running.push(starting)

        def offer_of(datasets: tuple[str, ...]) -> str:
            return elsewhere.submit(city.offer, datasets=datasets).result()[0]

        for _ in range(2):
            city.wallet(folder / "mila.db").collect(offer_of((UNNAMED,)), holder=ACCEPTING)
        wallets = open_wallets(
            WalletSettings(
                wallets=tuple(WalletEntry(name=name, file=folder / f"{name}.db") for name in ("mila", "jon")),
                verifier_anchors=(folder / "askers.pem",),
                reader_anchors=(folder / "askers.pem",),
                allow_loopback_http=True,
                transaction_types=(FEE,),
            )
        )
        portals: list[Portal] = []
        with served(lambda _url: create_app(wallets, unattended=False)) as wallet_url:

            def make(url: str) -> FastAPI:
                app, portal = _portal(city, url, asker, wallet_url)
                portals.append(portal)
                return app

            with served(make):
                yield Town(portals[0], wallets, wallet_url, offer_of, _reader(city, reader))


def _reader(city: City, identity: SigningIdentity) -> Reader:
    domain = TrustDomain("leipzig", city.anchors("iaca"), city.anchors("status-ca"), revocation=RevocationRule.OFF)
    return Reader(
        procedures={"pass": Procedure(id="pass", query=MDOC_QUERY)},
        trust={("mso_mdoc", DOC_TYPE): (domain,)},
        identity=identity,
        fetcher=PolicedFetcher(allow_loopback_http=True),
    )


def _pem(anchor: TrustAnchor) -> bytes:
    return x509.load_der_x509_certificate(anchor.certificate).public_bytes(Encoding.PEM)
