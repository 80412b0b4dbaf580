"""Our suite judges an issuer and a verifier that others wrote, and says truthfully where they part from the standards.

Both are made of the OpenWallet Foundation's JavaScript packages, and judge nothing that the packages judge; so each
deviation here is the packages' own, with its clause. A check that needs more than it is told is skipped, not passed.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from specs.encoding.strict_json import JsonObject
from tests.interop.elsewhere import running_foreign_issuer, running_foreign_verifier

pytestmark = pytest.mark.interop

ISSUER_DEVIATIONS = {
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
VERIFIER_DEVIATIONS = {
    "vp-issuer-typ": "SD-JWT VC §3.2.1: the type in the header is not looked at",
    "vp-critical": "RFC 7515 §4.1.11: critical headers are not looked at",
    "vp-answer-compressed": "OpenID4VP §8.3: jose inflates what nobody offered",
    "vp-answer-with-error": "OpenID4VP §8.5: an answer that is an error, too, is taken",
    "vp-answer-of-drafts": "OpenID4VP §8.1: a presentation without its array is taken",
    "vp-binding-stale": "RFC 9901 §7.3: the age of a key binding is not looked at",
    "vp-binding-future": "RFC 9901 §7.3: the age of a key binding is not looked at",
    "vp-disclosure-added": "RFC 9901 §7.1: a disclosure without a digest is ignored",
    "vp-disclosure-twice": "RFC 9901 §7.1: the same disclosure is taken twice",
    "vp-disclosure-deep": "RFC 8259 §9: nesting has no limit",
    "vp-status-list-of-another": "Token Status List §8.3: a list's subject is not compared with its address",
    "vp-status-list-typ": "Token Status List §5.1: a list's type is not looked at",
    "vp-status-list-undated": "Token Status List §5.1: a list without iat is taken",
}
ASKED: JsonObject = {
    "credentials": [
        {
            "id": "pid",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": ["urn:eudi:pid:1"]},
            "claims": [{"path": ["family_name"]}, {"path": ["given_name"]}],
        }
    ]
}


def judged(folder: Path, *arguments: str) -> dict[str, str]:
    """A run of the suite: each check's outcome."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "stadtnachweis", "conformance", "run", *arguments, "--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode in (0, 1), done.stderr
    return {each["id"]: each["outcome"] for each in json.loads(report.read_text(encoding="utf-8"))["results"]}


def settings(folder: Path, **members: object) -> str:
    """The settings' file; JSON is YAML, too."""
    path = folder / "target.yaml"
    path.write_text(json.dumps({"allow_loopback_http": True, **members}), encoding="utf-8")
    return str(path)


def failed(outcomes: Mapping[str, str]) -> set[str]:
    """The checks that failed."""
    return {name for name, outcome in outcomes.items() if outcome == "failed"}


def test_address_alone_lets_the_suite_judge_a_foreign_issuer(tmp_path: Path) -> None:
    with running_foreign_issuer(tmp_path) as issuer:
        outcomes = judged(tmp_path, "--issuer", issuer.url, "--allow-loopback-http")

    tried = {name for name in ISSUER_DEVIATIONS if outcomes[name] != "skipped"}
    assert failed(outcomes) == tried
    assert sum(outcome == "passed" for outcome in outcomes.values()) > 20


@pytest.mark.long
def test_foreign_issuer_deviates_here_and_nowhere_else(tmp_path: Path) -> None:
    with running_foreign_issuer(tmp_path) as issuer:
        (tmp_path / "root.pem").write_text(issuer.elsewhere.pem, encoding="ascii")
        wish = {"configuration": "{configuration}", "grant": "{grant}"}
        told = settings(
            tmp_path,
            issuer=issuer.url,
            offer={"http": {"url": issuer.offers, "send": wish, "member": "offer"}},
            login={"username": "", "password": ""},
            configurations={"dc+sd-jwt": "pass-sd-jwt", "mso_mdoc": "pass-mdoc"},
            credential_roots="root.pem",
        )
        outcomes = judged(tmp_path, "--settings", told)

    assert failed(outcomes) == set(ISSUER_DEVIATIONS)
    assert sum(outcome == "passed" for outcome in outcomes.values()) > 150


@pytest.mark.long
def test_foreign_verifier_deviates_here_and_nowhere_else(tmp_path: Path) -> None:
    identity = tmp_path / "suite"
    subprocess.run([sys.executable, "-m", "stadtnachweis", "conformance", "identity", str(identity)], check=True)
    roots = [
        (identity / f"{role}-root.pem").read_text(encoding="ascii") for role in ("credential-issuer", "status-issuer")
    ]
    with running_foreign_verifier(tmp_path, issuer_roots=roots) as verifier:
        root = load_der_x509_certificate(verifier.anchors[0].certificate)
        (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
        wish = {"query": ASKED, "mode": "direct_post.jwt"}
        told = settings(
            tmp_path,
            verifier=verifier.base,
            identity="suite",
            question={"http": {"url": f"{verifier.base}/questions", "send": wish, "member": "request"}},
            request_roots="root.pem",
        )
        outcomes = judged(tmp_path, "--settings", told)

    assert failed(outcomes) == set(VERIFIER_DEVIATIONS)
    assert sum(outcome == "passed" for outcome in outcomes.values()) > 60
