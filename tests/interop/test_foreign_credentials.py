"""Credentials that other people's packages sign, shown by other people's wallet: our verifier believes them."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from fastapi import FastAPI

from specs.protocols.dcql import parse_dcql
from specs.refusal import ReasonCode
from specs.trust.anchors import TrustAnchor
from tests.interop.elsewhere import CLAIMS, DOC_TYPE, ELEMENTS, VCT, Elsewhere
from tests.interop.foreign_wallet import ForeignWallet
from tests.wallet_sim.city import relying_party
from tests.wallet_sim.serving import served
from verifier import Flow, MemoryStore, Procedure, RevocationRule, TrustDomain, Verdict, Verifier
from verifier.adapters.fastapi import wallet_router
from verifier.ask import Endpoints

pytestmark = pytest.mark.interop
QUERY = parse_dcql(
    json.dumps(
        {
            "credentials": [
                {
                    "id": "sd_jwt",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [VCT]},
                    "claims": [{"path": ["given_name"]}, {"path": ["address", "locality"]}],
                },
                {
                    "id": "mdoc",
                    "format": "mso_mdoc",
                    "meta": {"doctype_value": DOC_TYPE},
                    "claims": [{"path": [DOC_TYPE, "given_name"]}, {"path": [DOC_TYPE, "number"]}],
                },
            ]
        }
    )
)


@dataclass(frozen=True, slots=True)
class Counter:
    """Our verifier, and what it takes to believe it."""

    verifier: Verifier
    anchor: TrustAnchor

    def judge(self, wallet: ForeignWallet) -> Verdict:
        """Ask the wallet, and judge what it shows."""
        question = self.verifier.ask("pass", flow=Flow.CROSS_DEVICE)
        root = load_der_x509_certificate(self.anchor.certificate).public_bytes(Encoding.PEM).decode("ascii")
        read = wallet.do("open", request=question.wallet_url, anchors=[root])
        wallet.do("present", question=read["question"])
        return self.verifier.result(question.id, session_secret=question.session_secret).verdict


@pytest.fixture(scope="module")
def elsewhere() -> Elsewhere:
    """Who issues."""
    return Elsewhere()


@pytest.fixture(scope="module")
def counter(elsewhere: Elsewhere) -> Iterator[Counter]:
    """A verifier that believes that authority, and nobody else."""
    domain = TrustDomain("elsewhere", elsewhere.anchors, revocation=RevocationRule.OFF)
    asker, anchor = relying_party()
    made: list[Verifier] = []

    def make(url: str) -> FastAPI:
        url = url.replace("127.0.0.1", "localhost")  # a name that an access certificate can carry
        verifier = Verifier(
            asker,
            procedures={"pass": Procedure("pass", QUERY)},
            trust={("dc+sd-jwt", VCT): (domain,), ("mso_mdoc", DOC_TYPE): (domain,)},
            store=MemoryStore(),
            sealing_key=secrets.token_bytes(32),
            endpoints=Endpoints(f"{url}/request", f"{url}/response"),
            allow_loopback_http=True,
        )
        made.append(verifier)
        app = FastAPI()
        app.include_router(wallet_router(verifier))
        return app

    with served(make):
        yield Counter(made[0], anchor)


def fill(wallet: ForeignWallet, issued_by: Elsewhere, **mdoc: object) -> None:
    """The wallet has one credential in each format, made by other packages under an authority."""
    disclosable = {"_sd": ["given_name", "number", "address"], "address": {"_sd": ["locality"]}}
    sd_jwt = {"signer": issued_by.sd_jwt_signer().to_json(), "vct": VCT, "claims": CLAIMS, "disclosable": disclosable}
    document = {
        "signer": issued_by.document_signer().to_json(),
        "docType": DOC_TYPE,
        "nameSpaces": {DOC_TYPE: ELEMENTS},
    }
    made = wallet.do("issue", sdJwt=sd_jwt, mdoc=document | mdoc)["made"]
    assert wallet.do("hold", credentials=made)["holds"] == [VCT, DOC_TYPE]


def test_credentials_of_other_packages_are_believed(
    counter: Counter, wallet: ForeignWallet, elsewhere: Elsewhere
) -> None:
    fill(wallet, elsewhere)

    verdict = counter.judge(wallet)

    assert verdict.accepted, verdict
    assert verdict.claims("sd_jwt")["address"] == CLAIMS["address"]
    assert verdict.claims("mdoc") == {DOC_TYPE: ELEMENTS}


def test_credentials_under_another_authority_are_not(counter: Counter, wallet: ForeignWallet) -> None:
    fill(wallet, Elsewhere())

    assert counter.judge(wallet).reason is ReasonCode.CERTIFICATE_UNTRUSTED


def test_digest_ids_of_32_bits_are_not_believed(counter: Counter, wallet: ForeignWallet, elsewhere: Elsewhere) -> None:
    """ISO/IEC 18013-5 §9.1.2.4, §9.1.2.5: at most 2³¹ - 1; @owf/mdoc draws half of its ids above, unless it is kept."""
    fill(wallet, elsewhere, withLargeIds=True)

    assert counter.judge(wallet).reason is ReasonCode.DISCLOSURE_MALFORMED
