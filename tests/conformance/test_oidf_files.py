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


def _log(module: str, *, variant: object, result: str | None, status: str = "FINISHED") -> dict[str, object]:
    """A module's log as the suite's `TestExportInfo` writes it, nulls and all."""
    entries = [
        {"_id": "a-1", "testId": "a", "src": "-START-BLOCK-", "blockId": "b1", "startBlock": True, "msg": "Step"},
        {"_id": "a-2", "testId": "a", "src": "CheckSomething", "result": "WARNING", "msg": "odd", "blockId": "b1"},
        {"_id": "a-3", "testId": "a", "src": "Fine", "result": "SUCCESS", "msg": "so", "time": 1795946400000},
    ]
    info = {
        "_id": "a",
        "testId": "a",
        "testName": module,
        "variant": variant,
        "started": "2026-11-28T10:00:00.123456Z",
        "config": {"alias": "city"},
        "description": None,
        "alias": "city",
        "owner": {"sub": "developer", "iss": "https://developer.com"},
        "planId": "p1",
        "status": status,
        "version": "5.2.4",
        "summary": "What it does",
        "publish": None,
        "result": result,
    }
    return {
        "exportedAt": "Nov 28, 2026, 10:05:00 AM",
        "exportedFrom": "https://suite.example:8443/",
        "exportedBy": {"sub": "developer", "iss": "https://developer.com"},
        "exportedVersion": "5.2.4",
        "testInfo": info,
        "results": entries if result == "WARNING" else [],
    }


@pytest.mark.parametrize("folder", ["", "test-logs/"])
def test_an_archive_of_the_suite_is_read_into_the_page(folder: str, tmp_path: Path) -> None:
    """As `LogApi` puts it together: pages and signatures beside the logs; for certification all below a folder."""
    logs = {
        "metadata-test-a": _log("metadata-test", variant={"client_auth_type": "mtls", "vp": "x"}, result="WARNING"),
        "old-test-b": _log("old-test", variant="mtls", result="PASSED"),
        "stuck-test-c": _log("stuck-test", variant={}, result=None, status="INTERRUPTED"),
    }
    with zipfile.ZipFile(tmp_path / "plan.zip", "w") as archive:
        archive.writestr(f"{folder}index.html", "<html>")
        archive.writestr(f"{folder}index.json", json.dumps({"_id": "p1", "planName": "a plan", "modules": []}))
        archive.writestr("client-data/test-log.json", "no JSON at all")
        for name, log in logs.items():
            archive.writestr(f"{folder}test-log-{name}.html", "<html>")
            archive.writestr(f"{folder}test-log-{name}.json", json.dumps(log))
            archive.writestr(f"{folder}test-log-{name}.json.sig", "signature")
    first, old, stuck = read_results(tmp_path / "plan.zip")
    assert (first.run, first.module, first.result, first.day) == ("p1", "metadata-test", "WARNING", "2026-11-28")
    assert first.variant == "client_auth_type=mtls, vp=x"
    assert first.findings == ("WARNING CheckSomething: odd",)
    assert first.log == "https://suite.example:8443/log-detail.html?log=a"
    assert (old.variant, old.is_good) == ("mtls", True)
    assert (stuck.result, stuck.findings, stuck.is_good) == ("UNKNOWN", ("its status is INTERRUPTED",), False)
    report = {"kind": "issuer", "target": "t", "profile": "p", "at": "now", "results": [], "requirements": []}
    assert "CheckSomething: odd" in html_page(report, foundation=[first])  # type: ignore[arg-type]


def test_an_archive_without_logs_is_a_sentence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "plan.zip", "w") as archive:
        archive.writestr("index.html", "<html>")
    with pytest.raises(NoResults, match="no log"):
        read_results(tmp_path / "plan.zip")


def test_an_archive_that_is_locked_is_a_sentence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "plan.zip", "w") as archive:
        archive.writestr("test-log-a.json", "{}")
    packed = bytearray((tmp_path / "plan.zip").read_bytes())
    packed[6] |= 1  # encrypted, say the entry and the directory
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "plan.zip").write_bytes(packed)
    with pytest.raises(NoResults, match="RuntimeError"):
        read_results(tmp_path / "plan.zip")


@pytest.mark.parametrize("content", [b"", b"[1]", b"<html>"])
def test_what_is_no_result_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(NoResults):
        read_results(tmp_path / "file")
