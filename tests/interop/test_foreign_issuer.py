"""Our wallet collects from an issuer of the OpenWallet Foundation's JavaScript packages."""

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
