"""What our issuer of the tests does not have, its `oidf` target has: attested keys, refresh tokens, deferral, TLS.

Judged by the command, with settings alone: an HTTP hook for offers, roots for TLS, the suite's identity in a folder.
"""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from conformance.build import issuer_target
from conformance.check import Outcome, chosen, tried
from conformance.identity import SuiteIdentity
from conformance.run import issuer_checks
from conformance.settings import read_settings
from stadtnachweis.__main__ import main
from tests.conformance.faults import Change, Faulty, Passing
from tests.conformance.published_defects import answered
from tests.conformance.sweeps import ISSUER_SWEEPS

ONLY = ("token-refresh*", "token-details*", "cred-key-attestation-*", "cred-deferred", "tls-*", "sdjwt-certificates")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Settings for the running target."""
    folder = tmp_path_factory.mktemp("target")
    SuiteIdentity.of(folder / "suite")
    root = folder / "suite" / "wallet-provider-root.pem"
    command = [sys.executable, "-m", "stadtnachweis", "issuer", "--profile", "oidf", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ISSUER_")}
    process = subprocess.Popen(
        [*command, "--attester-root", str(root)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.fullmatch(r"}\s*", line):
            break
    try:
        yield _written(folder, json.loads("".join(lines)))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
        process.stdout.close()


def _written(folder: Path, printed: dict[str, dict[str, str]]) -> Path:
    issuer, credential = printed["vci"]["credential_issuer_url"], printed["credential"]
    admin: dict[str, str] = printed["stadtnachweis"]["admin"]  # type: ignore[assignment]
    parts = urlsplit(issuer)
    assert parts.port is not None
    (folder / "tls.pem").write_text(ssl.get_server_certificate(("localhost", parts.port)))
    (folder / "roots.pem").write_text(credential["trust_anchor_pem"])
    (folder / "status.pem").write_text(credential["status_list_trust_anchor_pem"])
    hook = {
        "url": admin["offers"],
        "headers": {"Authorization": f"Bearer {admin['key']}"},
        "send": {"configuration_id": "{configuration}", "grant": "{grant}", "by": "{by}"},
        "member": "offer_uri",
    }
    settings = {
        "issuer": issuer,
        "identity": "suite",
        "tls_roots": "tls.pem",
        "offer": {"http": hook},
        "tx_code": "123456",
        "login": {"username": "oidf", "password": "oidf"},
        "configurations": {"dc+sd-jwt": "pid_attested-sd-jwt", "deferred": "pid_deferred-sd-jwt"},
        "credential_roots": "roots.pem",
        "status_roots": "status.pem",
    }
    (folder / "target.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder / "target.yaml"


def test_attested_keys_renewal_deferral_and_tls_hold(settings: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    chosen = [word for each in ONLY for word in ("--only", each)]
    assert main(["conformance", "run", "--settings", str(settings), *chosen, "--json", str(report)]) == 0
    results = json.loads(report.read_text(encoding="utf-8"))["results"]
    assert [(each["id"], each["came"]) for each in results if each["outcome"] != "passed"] == []
    assert len(results) >= 19


def _forgets(document: dict[str, Any]) -> None:
    for detail in document.get("authorization_details", []):
        del detail["credential_identifiers"]


def _refuses_renewal(passing: Passing) -> httpx.Response:
    is_it = passing.path == "token" and passing.form.get("grant_type") == "refresh_token"
    return httpx.Response(400, json={"error": "invalid_grant"}) if is_it else passing.answer


def _never_ready(passing: Passing) -> httpx.Response:
    is_it = passing.path.startswith("deferred")
    return httpx.Response(400, json={"error": "invalid_transaction_id"}) if is_it else passing.answer


TARGET_DEFECTS: dict[str, Change] = {
    "token-details": answered("token", _forgets),
    "token-refresh": _refuses_renewal,
    "token-refresh-other-client": ISSUER_SWEEPS["takes everything"][0],
    "token-refresh-other-instance": ISSUER_SWEEPS["takes everything"][0],
    "token-refresh-no-client": ISSUER_SWEEPS["takes everything"][0],
    "token-refresh-no-dpop": ISSUER_SWEEPS["takes everything"][0],
    "cred-deferred": _never_ready,
}


@pytest.mark.long
def test_without_them_each_check_catches_it(settings: Path) -> None:
    read = read_settings(settings, {})
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(settings.parent / "tls.pem")
    missed: list[str] = []
    for check in chosen(issuer_checks(), list(TARGET_DEFECTS)):
        transport = Faulty(verify=context)
        with httpx.Client(transport=transport, timeout=15) as client:
            assert tried(check, issuer_target(read, client), profile="haip-1.0").outcome is Outcome.PASSED
            transport.use(TARGET_DEFECTS[check.id])
            result = tried(check, issuer_target(read, client), profile="haip-1.0")
            missed += [f"{check.id}: {result.came}"] if result.outcome is not Outcome.FAILED else []
    assert missed == []
