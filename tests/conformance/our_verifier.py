"""Our own verifier as the suite meets it: running, asking for the suite's credentials, believing the suite's issuer."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from conformance.identity import SuiteIdentity
from conformance.settings import TestCredential
from conformance.verifier_target import QuestionWish, VerifierTarget
from specs.protocols.openid4vp import ResponseMode
from specs.trust.anchors import AnchorKind, TrustAnchor
from tests.wallet_sim.city import query, relying_party
from tests.wallet_sim.serving import served
from verifier import Procedure, TrustDomain, Verifier
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
WAYS = {"get": RequestWay.REQUEST_URI_GET, "post": RequestWay.REQUEST_URI_POST}


@dataclass(frozen=True, slots=True)
class OurVerifier:
    """The verifier, who the suite is to it, and the root of its access certificate."""

    verifier: Verifier
    identity: SuiteIdentity
    anchor: TrustAnchor

    def question(self, wish: QuestionWish) -> str:
        """A fresh question's link."""
        choices = Choices(request_way=WAYS[wish.method])
        return self.verifier.ask(wish.format, flow=Flow.SAME_DEVICE, choices=choices).wallet_url

    @contextmanager
    def target(self, transport: httpx.BaseTransport | None = None) -> Iterator[VerifierTarget]:
        """The verifier as a target of the suite."""
        with httpx.Client(timeout=15, transport=transport) as client:
            yield VerifierTarget(
                "http://localhost",
                client,
                self.question,
                self.identity,
                credential=CREDENTIAL,
                anchors=(self.anchor,),
                allow_loopback_http=True,
            )


@contextmanager
def running_verifier() -> Iterator[OurVerifier]:
    """Start it."""
    identity = SuiteIdentity.fresh()
    asker, anchor = relying_party()
    domain = TrustDomain("suite", (TrustAnchor(AnchorKind.CA, identity.issuer.root, "suite"),), ())
    made: list[Verifier] = []

    def make(url: str) -> FastAPI:
        url = url.replace("127.0.0.1", "localhost")
        made.append(
            Verifier(
                asker,
                procedures={
                    "dc+sd-jwt": _procedure("dc+sd-jwt", [["entitled"], ["given_name"]]),
                    "mso_mdoc": _procedure("mso_mdoc", [[DOC_TYPE, "entitled"], [DOC_TYPE, "given_name"]]),
                },
                trust={("dc+sd-jwt", VCT): (domain,), ("mso_mdoc", DOC_TYPE): (domain,)},
                store=MemoryStore(),
                sealing_key=secrets.token_bytes(32),
                endpoints=Endpoints(f"{url}/request", f"{url}/response"),
                fetcher=PolicedFetcher(allow_loopback_http=True),
                allow_loopback_http=True,
            )
        )
        app = FastAPI()
        app.include_router(wallet_router(made[0]))
        return app

    with served(make):
        yield OurVerifier(made[0], identity, anchor)


def _procedure(form: str, paths: list[list[str]]) -> Procedure:
    return Procedure(
        id=form,
        query=query(("pass", form, paths)),
        response_mode=ResponseMode.DIRECT_POST_JWT,
        return_url="https://city.example/back",
    )
