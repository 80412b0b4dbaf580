"""`stadtnachweis conformance …` as a tester types it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.check import Outcome, Result
from conformance.oidf.verdicts import Verdict, save
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


def test_settings_lead_to_offers_and_a_login(city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, page, junit = (tmp_path / name for name in ("target.yaml", "report.html", "report.xml"))
    link, _ = city.offer()
    settings.write_text(
        f"issuer: {city.url}/t/leipzig\nallow_loopback_http: true\nidentity: suite\n"
        f"offer:\n  command: [{sys.executable}, -c, \"print('{link}')\"]\n",
        encoding="utf-8",
    )
    arguments = ["--settings", str(settings), "--only", "offer-*", "--html", str(page), "--junit", str(junit)]
    save(tmp_path / "foundation.json", [Verdict("run-1", "happy-flow", "plain", "FAILED", ("odd",), "", "5", "now")])
    arguments += ["--json", str(tmp_path / "report.json"), "--oidf-results", str(tmp_path / "foundation.json")]
    assert main(["conformance", "run", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "0 of 1 modules are good\n  FAILED   run-1 happy-flow plain" in shown
    assert json.loads((tmp_path / "report.json").read_text())["foundation"][0]["findings"] == ["odd"]
    assert "✓ offer-form" in shown
    assert "requirements were covered" in shown
    assert 'name="offer-form"' in junit.read_text(encoding="utf-8")
    html = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    assert "OpenID4VCI 1.0 §4.1.1" in html
    assert "pre-authorized_code=" not in html


@pytest.mark.parametrize(
    ("text", "word"),
    [("issuer: a\nunknown: b\n", "unknown"), ("- a list\n", "members"), ("issuer: a\nwallet: b\n", "one of")],
)
def test_settings_that_are_not_understood_are_wrong_usage(
    text: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "target.yaml"
    file.write_text(text, encoding="utf-8")
    assert main(["conformance", "run", "--settings", str(file)]) == 2
    assert word in capsys.readouterr().err


def test_two_reports_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    before.write_text(json.dumps({"results": [{"id": "x", "outcome": "passed"}, {"id": "y", "outcome": "failed"}]}))
    after.write_text(json.dumps({"results": [{"id": "x", "outcome": "failed"}, {"id": "y", "outcome": "passed"}]}))
    assert main(["conformance", "compare", str(before), str(after)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"✗ {'x':<30} passed → failed",
        f"✓ {'y':<30} failed → passed",
        "1 worse, 1 better, new or untried",
    ]
    assert main(["conformance", "compare", str(after), str(after)]) == 0
    assert main(["conformance", "compare", str(after), str(tmp_path / "none.json")]) == 2


def test_runs_of_different_targets_say_so_and_of_different_kinds_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{number}.json" for number in range(3)]
    runs = [("issuer", "https://a.example"), ("issuer", "https://b.example"), ("wallet", "https://a.example")]
    for file, (kind, target) in zip(files, runs, strict=True):
        results = [{"id": "x", "outcome": "passed"}]
        file.write_text(json.dumps({"kind": kind, "target": target, "profile": "haip-1.0", "results": results}))
    assert main(["conformance", "compare", str(files[0]), str(files[1])]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "another target: https://a.example → https://b.example"
    assert main(["conformance", "compare", str(files[0]), str(files[2])]) == 2
    assert "of a wallet" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--html", "--junit", "--oidf-results"])
def test_file_that_cannot_be_is_said_before_anything_is_tried(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--issuer", "https://issuer.invalid", option, str(tmp_path / "none" / "file")]
    assert main(["conformance", "run", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "none" in said.err


def test_name_of_no_check_is_said_beside_one_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--issuer", "https://issuer.example", "--only", "vci-metadata-location", "--only", "vci-nothing"]
    assert main(["conformance", "run", *arguments]) == 2
    assert "no check is called vci-nothing" in capsys.readouterr().err


def test_what_is_not_tried_any_more_is_not_called_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    before.write_text(json.dumps({"results": [{"id": "x", "outcome": "failed"}]}))
    after.write_text(json.dumps({"results": [{"id": "x", "outcome": "skipped"}]}))
    assert main(["conformance", "compare", str(before), str(after)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"– {'x':<30} failed → skipped",
        "0 worse, 1 better, new or untried",
    ]


def test_the_suites_identity_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "identity", str(tmp_path)]) == 0
    made = (tmp_path / "verifier-root.pem").read_bytes()
    assert main(["conformance", "identity", str(tmp_path)]) == 0
    assert (tmp_path / "verifier-root.pem").read_bytes() == made
    assert "wallet-provider-root.pem" in capsys.readouterr().out
    assert (tmp_path / "verifier.key.pem").stat().st_mode & 0o077 == 0
