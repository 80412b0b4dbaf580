"""Our own verifier as the suite meets it: running, asking for the suite's credentials, believing the suite's issuer."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx
from fastapi import FastAPI

from conformance.check import GERMAN, HAIP, PLAIN
from conformance.exchange import Recorder
from conformance.identity import SuiteIdentity
from conformance.settings import TestCredential
from conformance.suite_server import SuiteServer
from conformance.verifier_target import QuestionWish, VerifierTarget
from issuer.presets import load_preset
from specs.protocols.openid4vp import ClientIdPrefix, ResponseMode, VerifierInfo
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.registration import INFO_FORMAT
from specs.trust.registration_claims import RegisteredClaim, RegisteredCredential
from tests.conformance.registrar import Registrar, access_identity
from tests.wallet_sim.city import query
from tests.wallet_sim.serving import served
from verifier import Procedure, RelyingParty, TrustDomain, Verifier
from verifier.adapters.fastapi import wallet_router
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
WAYS = {"get": RequestWay.REQUEST_URI_GET, "post": RequestWay.REQUEST_URI_POST}


@dataclass(frozen=True, slots=True)
class OurVerifier:
    """The verifier by a profile, who the suite is to it, and the roots of its certificates."""

    verifier: Verifier
    profile: str
    identity: SuiteIdentity
    anchor: TrustAnchor
    registrar: Registrar

    def question(self, wish: QuestionWish) -> str:
        """A fresh question's link."""
        choices = Choices(request_way=WAYS[wish.method])
        return self.verifier.ask(wish.format, flow=Flow.SAME_DEVICE, choices=choices).wallet_url

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
            )
        )
        app = FastAPI()
        app.include_router(wallet_router(made[0]))
        return app

    with served(make):
        yield OurVerifier(made[0], profile, identity, anchor, registrar)


def _procedure(form: str, paths: list[list[str]], mode: ResponseMode) -> Procedure:
    return Procedure(
        id=form,
        query=query(("pass", form, paths)),
        response_mode=mode,
        return_url="https://city.example/back",
    )
