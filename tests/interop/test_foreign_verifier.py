"""A verifier of the OpenWallet Foundation's JavaScript packages asks our simulated wallet.

`@openid4vc/openid4vp` asks and reads the answer, `@sd-jwt/sd-jwt-vc` and `@owf/mdoc` verify what is shown, `dcql`
compares it with the question.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from specs.encoding.strict_json import JsonObject
from specs.refusal import ReasonCode, Refusal
from tests.interop.elsewhere import (
    CLAIMS,
    DOC_TYPE,
    ELEMENTS,
    VCT,
    ForeignIssuer,
    ForeignVerifier,
    running_foreign_issuer,
    running_foreign_verifier,
)
from tests.wallet_sim.city import ACCEPTING
from wallet_sim.question import QuestionShown
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet

pytestmark = pytest.mark.interop
SD_JWT: JsonObject = {
    "id": "sd_jwt",
    "format": "dc+sd-jwt",
    "meta": {"vct_values": [VCT]},
    "claims": [{"path": ["given_name"]}, {"path": ["address", "locality"]}],
}
MDOC: JsonObject = {
    "id": "mdoc",
    "format": "mso_mdoc",
    "meta": {"doctype_value": DOC_TYPE},
    "claims": [{"path": [DOC_TYPE, "number"]}],
}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignIssuer]:
    """Where the wallet's credentials come from."""
    with running_foreign_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory, issuer: ForeignIssuer) -> Iterator[ForeignVerifier]:
    """A verifier that believes that issuer."""
    with running_foreign_verifier(tmp_path_factory.mktemp("verifier"), issuer_roots=[issuer.elsewhere.pem]) as running:
        yield running


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, issuer: ForeignIssuer) -> Path:
    """The file of a wallet with a credential in each format."""
    path = tmp_path_factory.mktemp("wallet") / "wallet.db"
    offer, _ = issuer.offer()
    Wallet(path, issuer_anchors=issuer.elsewhere.anchors, allow_loopback_http=True).collect(offer, holder=ACCEPTING)
    return path


@pytest.fixture
def wallet(filled: Path, verifier: ForeignVerifier) -> Wallet:
    """Our simulated wallet, which lets that verifier ask."""
    return Wallet(filled, verifier_anchors=verifier.anchors, allow_loopback_http=True)


def _agree(_question: QuestionShown) -> bool:
    return True


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("mode", ["direct_post.jwt", "direct_post"])
def test_answer_in_both_formats_is_accepted(verifier: ForeignVerifier, wallet: Wallet, mode: str, method: str) -> None:
    """Signed question by GET, and by POST with the wallet's nonce; the answer encrypted and in clear."""
    question, link = verifier.ask({"credentials": [SD_JWT, MDOC]}, mode=mode, method=method)

    wallet.present(link, consent=_agree)

    accepted = verifier.result(question)["accepted"]
    assert isinstance(accepted, dict)
    (sd_jwt,), (mdoc,) = accepted["sd_jwt"], accepted["mdoc"]  # type: ignore[misc, str-unpack]
    assert isinstance(sd_jwt, dict)
    assert isinstance(mdoc, dict)
    claims = sd_jwt["claims"]
    assert isinstance(claims, dict)
    assert (claims["given_name"], claims["address"]) == (CLAIMS["given_name"], CLAIMS["address"])
    assert "number" not in claims
    assert mdoc["namespaces"] == {DOC_TYPE: {"number": ELEMENTS["number"]}}


def test_wallet_answers_nobody_whom_it_does_not_believe(verifier: ForeignVerifier, filled: Path) -> None:
    question, link = verifier.ask({"credentials": [SD_JWT]})

    with pytest.raises(Refusal) as refused:
        Wallet(filled, allow_loopback_http=True).present(link, consent=_agree)

    assert refused.value.reason is ReasonCode.TRUST_NOT_CONFIGURED
    assert verifier.result(question) == {}


def test_what_nobody_has_is_not_answered(verifier: ForeignVerifier, wallet: Wallet) -> None:
    question, link = verifier.ask({"credentials": [SD_JWT | {"meta": {"vct_values": ["urn:example:other"]}}]})

    with pytest.raises(WalletFailure):
        wallet.present(link, consent=_agree)

    assert "accepted" not in verifier.result(question)
