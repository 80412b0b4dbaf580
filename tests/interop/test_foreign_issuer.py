"""An issuer of the OpenWallet Foundation's JavaScript packages meets our wallet, our verifier and our suite.

Where the packages part from the standards, so does their issuer; each deviation stands here with its clause.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.elsewhere import DOC_TYPE, VCT, ForeignIssuer, running_foreign_issuer
from tests.wallet_sim.city import ACCEPTING
from wallet_sim.browser import FormBrowser
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet

pytestmark = pytest.mark.interop

DEVIATIONS = {
    "haip-attestation-method": "HAIP 1.0 §4.4.1: here no wallet authenticates; why, says a test below",
    "par-request-uri-inside": "RFC 9126 §2.1: refused, but as invalid_request_uri",
    "token-code-other-client": "RFC 6749 §5.2: refused, but as invalid_dpop_proof",
    "cred-proof-unsigned": "OpenID4VCI §8.3.1.2: refused, but as invalid_credential_request",
    "cred-proof-old": "OpenID4VCI Appendix F.4: a proof's age is not looked at",
    "cred-proof-ahead": "OpenID4VCI Appendix F.4: a proof's age is not looked at",
    "cred-proof-iss": "OpenID4VCI Appendix F.1: after an anonymous token any iss is taken",
    "cred-unknown-configuration": "OpenID4VCI §8.3.1.2: refused, but as invalid_credential_request",
    "dpop-scheme-case": "RFC 9110 §11.1: the scheme is compared with its case",
    "dpop-htu-query": "RFC 9449 §4.3: a query in htu is not left out",
    "dpop-iat-hour-past": "RFC 9449 §4.3: a proof's age is not looked at",
    "dpop-iat-hour-ahead": "RFC 9449 §4.3: a proof's age is not looked at",
}
"""Checks that this issuer fails. One that is not run, because it needs more than an address, deviates nowhere."""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignIssuer]:
    """One whose wallets do not authenticate."""
    with running_foreign_issuer(tmp_path_factory.mktemp("foreign")) as running:
        yield running


def wallet_of(issuer: ForeignIssuer, folder: Path) -> Wallet:
    """A fresh simulated wallet that believes this issuer, its credentials and its signed metadata."""
    roots = issuer.elsewhere.anchors
    return Wallet(folder / "wallet.db", issuer_anchors=roots, metadata_anchors=roots, allow_loopback_http=True)


def test_our_wallet_collects_batches_in_both_formats(issuer: ForeignIssuer, tmp_path: Path) -> None:
    offer, tx_code = issuer.offer(txCode=True)
    wallet = wallet_of(issuer, tmp_path)

    assert tx_code is not None

    collected = wallet.collect(offer, holder=replace(ACCEPTING, tx_code=lambda: tx_code), copies=3)

    assert sorted(each.type for each in collected) == [DOC_TYPE] * 3 + [VCT] * 3


def test_our_wallet_logs_in_there(issuer: ForeignIssuer, tmp_path: Path) -> None:
    """PAR, PKCE and DPoP; the wallet compares `iss` and `state`."""
    offer, _ = issuer.offer(grant="authorization_code", configuration="pass-sd-jwt")
    browser = FormBrowser(username="", password="", allow_loopback_http=True)

    collected = wallet_of(issuer, tmp_path).collect(offer, holder=replace(ACCEPTING, authorize=browser))

    assert [each.type for each in collected] == [VCT]


def test_packages_take_no_proof_of_possession_as_the_draft_has_it(tmp_path: Path) -> None:
    """draft-ietf-oauth-attestation-based-client-auth-07 §5.2 has no `exp`; the packages demand one, with 500."""
    anchor = Wallet(tmp_path / "wallet.db").provider.anchor_pem().decode("ascii")
    with running_foreign_issuer(tmp_path, provider_anchors=[anchor]) as issuer:
        offer, _ = issuer.offer()

        with pytest.raises(WalletFailure, match="500: server_error"):
            wallet_of(issuer, tmp_path).collect(offer, holder=ACCEPTING)


def test_our_suite_reports_this_issuer_truthfully(issuer: ForeignIssuer, tmp_path: Path) -> None:
    """Each failed check is one of the packages' deviations, and each deviation that was tried is found."""
    report = tmp_path / "report.json"
    command = ["conformance", "run", "--issuer", issuer.url, "--allow-loopback-http", "--json", str(report)]

    done = subprocess.run(
        [sys.executable, "-m", "stadtnachweis", *command], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode in (0, 1), done.stderr
    results = {each["id"]: each["outcome"] for each in json.loads(report.read_text(encoding="utf-8"))["results"]}
    tried = {name for name in DEVIATIONS if results.get(name, "skipped") != "skipped"}
    assert {name for name, outcome in results.items() if outcome == "failed"} == tried
    assert sum(outcome == "passed" for outcome in results.values()) > 20
