"""Files to and from the Foundation's suite: configurations of its plans, and the archives that it exports."""

import json
import zipfile
from pathlib import Path

import pytest

from conformance.identity import SuiteIdentity
from conformance.oidf.results import NoResults, read_results
from conformance.report_html import html_page
from stadtnachweis.__main__ import main

ISSUER = """\
issuer: https://issuer.example/t/city
identity: suite
tx_code: "123456"
login: {username: mila, password: einfach}
configurations: {dc+sd-jwt: pass-sd-jwt, mso_mdoc: pass-mdoc}
credential_roots: root.pem
status_roots: root.pem
"""
VERIFIER = "verifier: https://verifier.example\nidentity: suite\nrequest_roots: root.pem\n"
WALLET = "wallet: https://wallet.example/authorize\nidentity: suite\nwallet_provider_roots: root.pem\n"


def exported(settings: str, folder: Path) -> dict[str, dict[str, object]]:
    """The configurations that the command writes, by file name."""
    (folder / "root.pem").write_bytes(SuiteIdentity.fresh().issuer.root_pem)
    (folder / "target.yaml").write_text(settings, encoding="utf-8")
    assert main(["conformance", "export", "--settings", str(folder / "target.yaml"), str(folder / "out")]) == 0
    return {file.name: json.loads(file.read_text()) for file in (folder / "out").iterdir()}


def test_an_issuer_gets_a_configuration_for_each_credential(tmp_path: Path) -> None:
    found = exported(ISSUER, tmp_path)
    assert set(found) == {"issuer-dc-sd-jwt.json", "issuer-mso_mdoc.json"}
    plan = found["issuer-dc-sd-jwt.json"]
    assert plan["vci"] == {
        "credential_issuer_url": "https://issuer.example/t/city",
        "credential_configuration_id": "pass-sd-jwt",
        "credential_proof_type_hint": "jwt",
        "static_tx_code": "123456",
    }
    [key] = plan["client_attestation"]["attester_jwks"]["keys"]  # type: ignore[index]
    assert {"d", "x", "y", "x5c", "kid"} <= key.keys()
    assert plan["client"]["client_id"] != plan["client2"]["client_id"]  # type: ignore[index]
    assert str(plan["credential"]["trust_anchor_pem"]).startswith("-----BEGIN CERTIFICATE-----")  # type: ignore[index]
    assert ["text", "id", "username", "mila"] in plan["browser"][0]["tasks"][0]["commands"]  # type: ignore[index]
    assert (tmp_path / "out" / "issuer-mso_mdoc.json").stat().st_mode & 0o077 == 0


def test_a_verifier_and_a_wallet_get_theirs(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "w").mkdir()
    [plan] = exported(VERIFIER, tmp_path / "v").values()
    assert plan["credential"]["signing_jwk"]["x5c"]  # type: ignore[index]
    wallet = exported(WALLET, tmp_path / "w")
    assert wallet["wallet-vp.json"]["server"] == {"authorization_endpoint": "https://wallet.example/authorize"}
    assert wallet["wallet-vci.json"]["client_attestation"]["trust_anchor"]  # type: ignore[index]


def test_what_a_plan_needs_and_is_missing_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "target.yaml").write_text("issuer: https://a.example\nidentity: suite\n", encoding="utf-8")
    assert main(["conformance", "export", "--settings", str(tmp_path / "target.yaml"), str(tmp_path / "out")]) == 2
    assert "configurations" in capsys.readouterr().err


def test_an_archive_of_the_suite_is_read_into_the_page(tmp_path: Path) -> None:
    log = {
        "exportedFrom": "https://localhost:8443",
        "testInfo": {"testName": "metadata-test", "planId": "p1", "result": "WARNING", "started": "2026-11-28T10:00"},
        "results": [{"src": "CheckSomething", "result": "WARNING", "msg": "odd"}, {"src": "Fine", "result": "SUCCESS"}],
    }
    with zipfile.ZipFile(tmp_path / "plan.zip", "w") as archive:
        archive.writestr("test-log-metadata-test-x.json", json.dumps(log))
        archive.writestr("test-log-metadata-test-x.sig", "signature")
    [verdict] = read_results(tmp_path / "plan.zip")
    assert (verdict.module, verdict.result, verdict.findings) == (
        "metadata-test",
        "WARNING",
        ("WARNING CheckSomething: odd",),
    )
    report = {"kind": "issuer", "target": "t", "profile": "p", "at": "now", "results": [], "requirements": []}
    assert "CheckSomething: odd" in html_page(report, foundation=[verdict])  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"[1]", b"<html>"])
def test_what_is_no_result_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(NoResults):
        read_results(tmp_path / "file")
