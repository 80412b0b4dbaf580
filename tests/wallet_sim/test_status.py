"""What the wallet knows about what it holds, and how issuers learn whom to trust about it."""

import shutil
import time
from pathlib import Path

import httpx
import pytest

from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem
from specs.trust.trust_list import WALLET_PROVIDERS, TrustListError, trusted_services, verify_trust_list
from stadtnachweis.__main__ import main
from tests.wallet_sim.city import ACCEPTING, City
from wallet_sim.explain.thing import explain
from wallet_sim.provider import WALLET_ISSUANCE
from wallet_sim.status import CredentialState, StatusReader
from wallet_sim.transport import Transport
from wallet_sim.wallet import Wallet


@pytest.fixture(scope="module")
def filled(city: City, provided: Path) -> Path:
    """A wallet's file with a pass in both formats."""
    path = provided.with_name("status.db")
    shutil.copy(provided, path)
    city.wallet(path).collect(city.offer()[0], holder=ACCEPTING)
    return path


def states(file: Path, reader: StatusReader) -> set[CredentialState]:
    """Of all credentials."""
    return {reader.state(each) for each in Wallet(file).credentials()}


def loopback() -> Transport:
    """May talk to the city."""
    return Transport(allow_loopback_http=True)


def test_list_of_the_issuer_says_that_credentials_are_good(city: City, filled: Path) -> None:
    assert states(filled, StatusReader(loopback(), city.anchors("status-ca"))) == {CredentialState.GOOD}
    assert states(filled, StatusReader(loopback())) == {CredentialState.GOOD}


def test_list_that_comes_only_in_cbor_is_read_too(city: City, filled: Path) -> None:
    """Token Status List §8.1: whichever form there is."""

    def in_cbor(request: httpx.Request) -> httpx.Response:
        answer = httpx.get(request.url, headers={"Accept": "application/statuslist+cwt"})
        return httpx.Response(200, content=answer.content, headers={"Content-Type": answer.headers["content-type"]})

    only_cbor = Transport(allow_loopback_http=True, client=httpx.Client(transport=httpx.MockTransport(in_cbor)))
    assert states(filled, StatusReader(only_cbor, city.anchors("status-ca"))) == {CredentialState.GOOD}
    assert states(filled, StatusReader(only_cbor, city.anchors("iaca"))) == {CredentialState.UNKNOWN}


def test_dates_count_before_the_list(filled: Path) -> None:
    later, earlier = time.time() + 400 * 86400, time.time() - 400 * 86400
    assert states(filled, StatusReader(loopback(), clock=lambda: later)) == {CredentialState.EXPIRED}
    assert states(filled, StatusReader(loopback(), clock=lambda: earlier)) == {CredentialState.NOT_YET_VALID}


def test_list_that_can_not_be_believed_says_nothing(city: City, filled: Path) -> None:
    unreachable = Transport(client=httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(500))))
    unreachable.allow_loopback_http = True
    for reader in (
        StatusReader(unreachable),
        StatusReader(Transport()),  # plain http is not asked
        StatusReader(loopback(), city.anchors("iaca")),  # not who may sign it
    ):
        assert states(filled, reader) == {CredentialState.UNKNOWN}


def test_status_on_the_command_line(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wallet", "status", "--file", str(filled), "--allow-loopback-http"]) == 0
    assert capsys.readouterr().out.count("  good ") == 2
    assert main(["wallet", "status", "--file", str(filled)]) == 1
    assert capsys.readouterr().out.count("  unknown ") == 2


def test_trust_list_of_the_provider_leads_to_its_root(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = int(time.time())
    assert main(["wallet", "provider-list", "--file", str(filled)]) == 0
    token = capsys.readouterr().out.strip()
    assert main(["wallet", "provider-list", "--signer", "--file", str(filled)]) == 0
    signers = anchors_from_pem(capsys.readouterr().out.encode(), kind=AnchorKind.PINNED_TEST, name="list")

    listed = verify_trust_list(token, signers=signers, expected_type=WALLET_PROVIDERS, now=now)

    (entity,) = listed.entities
    (anchor,) = trusted_services(listed, entity, service_type=WALLET_ISSUANCE, now=now)
    root = anchors_from_pem(Wallet(filled).provider.anchor_pem(), kind=AnchorKind.CA, name="root")[0]
    assert anchor.certificate == root.certificate
    assert explain(token.encode(), now=now).kind == "trust_list"
    with pytest.raises(TrustListError):
        verify_trust_list(
            token,
            signers=(TrustAnchor(AnchorKind.PINNED_TEST, root.certificate, "another"),),
            expected_type=WALLET_PROVIDERS,
            now=now,
        )
