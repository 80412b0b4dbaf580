"""A wallet collects from an issuer that takes every liberty the standards leave it, and from one that errs."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx

from specs.encoding import strict_json
from specs.protocols.credential_offer import offer_link, parse_credential_offer
from tests.wallet_sim.city import ACCEPTING
from tests.wallet_sim.foreign_issuer import OFFER, ForeignIssuer
from wallet_sim.store import StoredCredential
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet

LINK = offer_link(parse_credential_offer(strict_json.dumps(OFFER)))


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    """Hosts that are not ours."""
    with respx.mock(assert_all_called=False) as mock:
        yield mock


@pytest.fixture
def issuer(router: respx.MockRouter, tmp_path: Path) -> ForeignIssuer:
    """An issuer that trusts the wallet's provider."""
    issuer = ForeignIssuer(Wallet(tmp_path / "wallet.db").provider.anchor_pem())
    issuer.mount(router)
    return issuer


def _collect(issuer: ForeignIssuer, folder: Path, *, waited: list[float] | None = None) -> list[StoredCredential]:
    wallet = Wallet(
        folder / "wallet.db",
        issuer_anchors=issuer.anchors,
        sleep=(lambda _seconds: None) if waited is None else waited.append,
    )
    return list(wallet.collect(LINK, holder=ACCEPTING, copies=5))


def test_nonces_challenges_and_identifiers_are_followed(issuer: ForeignIssuer, tmp_path: Path) -> None:
    """Batch size caps the copies; a challenge is used once; a c_nonce that ended is replaced once."""
    collected = _collect(issuer, tmp_path)

    assert len(collected) == 3
    assert issuer.seen == [
        "challenge []",
        "challenge ['challenge-1']",
        "challenge ['challenge-2']",
        "3 keys",
        "credential_accepted",
    ]


@pytest.mark.parametrize("proof", ["attestation", "attested"])
def test_key_attestation_speaks_for_all_keys(issuer: ForeignIssuer, tmp_path: Path, proof: str) -> None:
    issuer.proof = proof

    assert len(_collect(issuer, tmp_path)) == 3


def test_deferred_credentials_are_asked_for_at_the_issuers_pace(issuer: ForeignIssuer, tmp_path: Path) -> None:
    issuer.is_deferred = True
    waited: list[float] = []

    collected = _collect(issuer, tmp_path, waited=waited)

    assert len(collected) == 3
    assert waited == [7, 9]
    assert issuer.seen[-3:] == ["deferred", "deferred", "credential_accepted"]


@pytest.mark.parametrize("is_deferred", [False, True], ids=["at once", "deferred"])
def test_messages_are_encrypted_both_ways(issuer: ForeignIssuer, tmp_path: Path, is_deferred: bool) -> None:
    issuer.is_encrypted, issuer.is_deferred = True, is_deferred

    assert len(_collect(issuer, tmp_path)) == 3


@pytest.mark.parametrize(
    ("defect", "sentence"),
    [("binds_to_another", "a key that is not ours"), ("vct", "another type")],
)
def test_one_bad_credential_spoils_the_batch_and_is_reported(
    issuer: ForeignIssuer, tmp_path: Path, defect: str, sentence: str
) -> None:
    setattr(issuer, defect, True if defect == "binds_to_another" else "urn:example:other")

    with pytest.raises(WalletFailure, match=sentence):
        _collect(issuer, tmp_path)

    assert issuer.seen[-1] == "credential_failure"
    assert Wallet(tmp_path / "wallet.db").credentials() == ()


def test_token_that_is_not_bound_is_not_used(issuer: ForeignIssuer, tmp_path: Path) -> None:
    issuer.token_type = "Bearer"

    with pytest.raises(WalletFailure, match="a token of the type Bearer"):
        _collect(issuer, tmp_path)


def test_oversized_answer_and_unreachable_host_are_said(
    issuer: ForeignIssuer, router: respx.MockRouter, tmp_path: Path
) -> None:
    metadata = "https://issuer.example/.well-known/openid-credential-issuer"
    router.get(metadata).mock(return_value=httpx.Response(200, content=b" " * (8 * 1024 * 1024 + 1)))
    with pytest.raises(WalletFailure, match=r"issuer\.example answers with more than"):
        _collect(issuer, tmp_path)

    router.get(metadata).mock(side_effect=httpx.ConnectError("no"))
    with pytest.raises(WalletFailure, match=r"issuer\.example can't be reached"):
        _collect(issuer, tmp_path)
