"""Our own verifier as the suite meets it: running, asking for the suite's credentials, believing the suite's issuer."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx
from fastapi import FastAPI, Request, Response

from conformance.check import GERMAN, HAIP, PLAIN
from conformance.exchange import Recorder
from conformance.identity import SuiteIdentity
from conformance.page_question import OPENID4VP, PageQuestion
from conformance.settings import HttpHook, PageSource, TestCredential
from conformance.sources import fetched_page
from conformance.suite_server import SuiteServer
from conformance.verifier_target import QuestionWish, VerifierTarget
from issuer.presets import load_preset
from specs.protocols.openid4vp import ClientIdPrefix, DcApiProtocol, ResponseMode, VerifierInfo
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.registration import INFO_FORMAT
from specs.trust.registration_claims import RegisteredClaim, RegisteredCredential
from tests.conformance.registrar import Registrar, access_identity
from tests.wallet_sim.city import query
from tests.wallet_sim.serving import served
from verifier import Procedure, RelyingParty, TrustDomain, Verifier
from verifier.adapters.fastapi import browser_router, wallet_router
from verifier.ask import Choices, Endpoints, Flow, RequestWay
from verifier.fetch import PolicedFetcher
from verifier.stores.memory import MemoryStore

VCT, DOC_TYPE = "urn:example:leipzig:leipzig_pass:1", "de.leipzig.leipzig_pass.1"
CREDENTIAL = TestCredential(
    vct=VCT,
    claims={"entitled": True, "given_name": "Mila"},
    doctype=DOC_TYPE,
    elements={DOC_TYPE: {"entitled": True, "given_name": "Mila"}},
)
ASKED = (
    RegisteredCredential("dc+sd-jwt", (VCT,), (RegisteredClaim(("entitled",)), RegisteredClaim(("given_name",)))),
    RegisteredCredential("mso_mdoc", (DOC_TYPE,), (RegisteredClaim((DOC_TYPE,)),)),
)
ORIGIN = "https://city.example"
WAYS = {"get": RequestWay.REQUEST_URI_GET, "post": RequestWay.REQUEST_URI_POST}


@dataclass(frozen=True, slots=True)
class OurVerifier:
    """The verifier by a profile, who the suite is to it, and the roots of its certificates."""

    verifier: Verifier
    profile: str
    identity: SuiteIdentity
    anchor: TrustAnchor
    registrar: Registrar
    url: str

    def question(self, wish: QuestionWish) -> str:
        """A fresh question's link."""
        choices = Choices(request_way=WAYS[wish.method])
        return self.verifier.ask(wish.format, flow=Flow.SAME_DEVICE, choices=choices).wallet_url

    def page(self, wish: QuestionWish) -> PageQuestion:
        """A fresh question of the page, by way of the settings' hook."""
        hook = HttpHook(url=f"{self.url}/page?format={{format}}")
        with httpx.Client() as http:
            return fetched_page(PageSource(http=hook, origin=ORIGIN), {"format": wish.format}, http=http)

    @contextmanager
    def target(self, transport: httpx.BaseTransport | None = None) -> Iterator[VerifierTarget]:
        """The verifier as a target of the suite."""
        recorder = Recorder()
        with httpx.Client(timeout=15, transport=transport) as client, SuiteServer(recorder) as server:
            yield VerifierTarget(
                "http://localhost",
                client,
                self.question,
                self.identity,
                credential=CREDENTIAL,
                anchors=(self.anchor,),
                registrar_anchors=(self.registrar.anchor,),
                allow_loopback_http=True,
                profile=self.profile,
                server=server,
                pages=self.page,
                recorder=recorder,
            )


@contextmanager
def running_verifier(profile: str = HAIP) -> Iterator[OurVerifier]:
    """Start it. profile: its preset; the plain one is known by its host and takes answers in clear."""
    identity, registrar = SuiteIdentity.fresh(), Registrar.fresh()
    signer, anchor = access_identity()
    asker = RelyingParty(signer, prefix=ClientIdPrefix.X509_SAN_DNS if profile == PLAIN else ClientIdPrefix.X509_HASH)
    if profile == GERMAN:
        asker = replace(asker, verifier_info=(VerifierInfo(INFO_FORMAT, registrar.certificate(credentials=ASKED)),))
    mode = ResponseMode.DIRECT_POST if profile == PLAIN else ResponseMode.DIRECT_POST_JWT
    issuers = (TrustAnchor(AnchorKind.CA, identity.issuer.root, "suite"),)
    domain = TrustDomain("suite", issuers, (TrustAnchor(AnchorKind.CA, identity.status.root, "suite"),))
    made: list[Verifier] = []

    def make(url: str) -> FastAPI:
        url = url.replace("127.0.0.1", "localhost")
        made.append(
            Verifier(
                asker,
                procedures={
                    "dc+sd-jwt": _procedure("dc+sd-jwt", [["entitled"], ["given_name"]], mode),
                    "mso_mdoc": _procedure("mso_mdoc", [[DOC_TYPE, "entitled"], [DOC_TYPE, "given_name"]], mode),
                },
                trust={("dc+sd-jwt", VCT): (domain,), ("mso_mdoc", DOC_TYPE): (domain,)},
                store=MemoryStore(),
                sealing_key=secrets.token_bytes(32),
                endpoints=Endpoints(f"{url}/request", f"{url}/response"),
                fetcher=PolicedFetcher(allow_loopback_http=True),
                allow_loopback_http=True,
                profile=load_preset(profile),
                co_signers=(RelyingParty(access_identity()[0]),),
            )
        )
        app = FastAPI()
        app.include_router(wallet_router(made[0]))
        _add_page(app, made[0], profile, url)
        return app

    with served(make) as url:
        yield OurVerifier(made[0], profile, identity, anchor, registrar, url)


def _add_page(app: FastAPI, verifier: Verifier, profile: str, url: str) -> None:
    """A page that asks over the Digital Credentials API; the cookie tells whose question it is."""
    mode = ResponseMode.DC_API if profile == PLAIN else ResponseMode.DC_API_JWT
    protocols = (DcApiProtocol.SIGNED,) if profile == GERMAN else tuple(OPENID4VP)
    choices = Choices(response_mode=mode, origins=(ORIGIN,), dc_api=protocols)
    sessions: dict[str, str] = {}

    @app.get("/page")
    def page(format: str, response: Response) -> dict[str, object]:
        question = verifier.ask(format, flow=Flow.SAME_DEVICE, choices=choices)
        session = secrets.token_urlsafe(16)
        sessions[session] = question.session_secret
        response.set_cookie("session", session, httponly=True)
        return {
            "digital": {"requests": [each.to_json() for each in question.dc_api]},
            "answer": f"{url}/dc-api/{question.id}",
        }

    def secret(request: Request, _question: str) -> str | None:
        return sessions.get(request.cookies.get("session", ""))

    app.include_router(browser_router(verifier, session_secret=secret))


def _procedure(form: str, paths: list[list[str]], mode: ResponseMode) -> Procedure:
    return Procedure(
        id=form,
        query=query(("pass", form, paths)),
        response_mode=mode,
        return_url="https://city.example/back",
    )
