"""`stadtnachweis conformance …` as a tester types it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.check import Outcome, Result
from conformance.report import line
from conformance.run import issuer_checks
from stadtnachweis.__main__ import main
from tests.wallet_sim.city import City, running_city
from wallet_sim.wallet import Wallet


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Our own issuer, behind a real port."""
    anchor = Wallet(tmp_path_factory.mktemp("wallet") / "wallet.db").provider.anchor_pem()
    with running_city(tmp_path_factory.mktemp("issuer"), anchor) as running:
        yield running


def test_a_good_issuer_is_status_0_with_a_report(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    status = main(
        ["conformance", "run", "--issuer", f"{city.url}/t/leipzig", "--allow-loopback-http", "--json", str(file)]
    )
    shown = capsys.readouterr().out
    report = json.loads(file.read_text(encoding="utf-8"))
    assert status == 0
    assert "✗" not in shown
    assert shown.count("✓") == report["passed"] >= 15
    assert report["failed"] == 0
    assert report["target"] == f"{city.url}/t/leipzig"
    assert [each["id"] for each in report["results"]] == [check.id for check in issuer_checks()]


def test_what_does_not_exist_is_status_1_with_the_clause(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "run", "--issuer", f"{city.url}/t/halle", "--allow-loopback-http"]) == 1
    shown = capsys.readouterr().out
    assert "✗ vci-metadata-location" in shown
    assert "§12.2.2" in shown
    assert "came:     404" in shown


def test_an_address_in_clear_is_wrong_usage(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "run", "--issuer", f"{city.url}/t/leipzig"]) == 2
    assert "cannot be an issuer" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_a_sentence(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["conformance", "run", "--issuer", f"{city.url}/t/leipzig", "--allow-loopback-http"]
    assert main([*arguments, "--json", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_list_names_every_check_and_its_clause(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{check.id}\t{check.clause}\t{check.title}" in shown for check in issuer_checks())


@pytest.mark.parametrize(("outcome", "sign"), [(Outcome.PASSED, "✓"), (Outcome.FAILED, "✗"), (Outcome.SKIPPED, "–")])
def test_a_line_shows_how_a_check_ended(outcome: Outcome, sign: str) -> None:
    told = line(Result("id-1", "RFC 1 §1", "A rule holds", outcome, "this", "that"))
    assert told.startswith(f"{sign} id-1")
    assert "RFC 1 §1" in told
    assert ("expected: this" in told) is (outcome is Outcome.FAILED)
