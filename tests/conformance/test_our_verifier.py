"""Our own verifier passes the suite; with one defect it does not, and the check that is there for it says so."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.check import Outcome, tried
from conformance.run import run_verifier, verifier_checks
from conformance.verifier_target import QuestionWish
from stadtnachweis.__main__ import main
from tests.conformance.faults import Faulty, some
from tests.conformance.our_verifier import OurVerifier, running_verifier
from tests.conformance.verifier_defects import ANSWER_DEFECTS, REQUEST_DEFECTS, SWITCHES, resigned

CHECKS = {check.id: check for check in verifier_checks()}
NOT_TRIED = {  # what our verifier of the tests does not do, or what its question gives no occasion for
    "vp-client-id-response-uri", "vp-verifier-info", "vp-credential-status-removed",
    "vp-binding-transaction-data-missing", "vp-binding-transaction-data-other",
}  # fmt: skip


@pytest.fixture(scope="module")
def verifier() -> Iterator[OurVerifier]:
    """The running verifier."""
    with running_verifier() as running:
        yield running


def test_our_verifier_passes_all_that_can_be_tried(verifier: OurVerifier) -> None:
    with verifier.target() as target:
        report = run_verifier(target, profile="haip-1.0")
    good = (Outcome.PASSED, Outcome.SKIPPED)
    assert [(each.id, each.expected, each.came) for each in report.results if each.outcome not in good] == []
    skipped = {each.id for each in report.results if each.outcome is Outcome.SKIPPED}
    assert skipped - {"de-verifier-info"} <= NOT_TRIED


@pytest.mark.parametrize("defect", some(REQUEST_DEFECTS))
def test_a_verifier_with_one_defect_in_its_request_is_caught(defect: str, verifier: OurVerifier) -> None:
    (edit, expected), transport = REQUEST_DEFECTS[defect], Faulty()
    with verifier.target(transport) as target:
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.PASSED
        target.kept.clear()
        target.anchors = ()
        transport.use(resigned(edit, verifier.identity.verifier.identity))
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.FAILED


@pytest.mark.parametrize("defect", some(ANSWER_DEFECTS))
def test_a_verifier_with_one_defect_in_its_answers_is_caught(defect: str, verifier: OurVerifier) -> None:
    (change, expected), transport = ANSWER_DEFECTS[defect], Faulty()
    with verifier.target(transport) as target:
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.PASSED
        target.kept = {name: each for name, each in target.kept.items() if name.startswith("accepted")}
        transport.use(change)
        result = tried(CHECKS[expected], target, profile="haip-1.0")
    assert result.outcome is Outcome.FAILED, result.came
    assert result.exchanges


@pytest.mark.parametrize("defect", some(SWITCHES))
def test_a_verifier_that_skips_one_check_is_caught(
    defect: str, verifier: OurVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch, expected = SWITCHES[defect]
    with verifier.target() as target:
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.PASSED
        switch(monkeypatch)
        result = tried(CHECKS[expected], target, profile="haip-1.0")
    assert result.outcome is Outcome.FAILED, result.came


def test_a_verifier_is_judged_from_settings(
    verifier: OurVerifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, report = tmp_path / "target.yaml", tmp_path / "report.json"
    links = json.dumps(verifier.question(QuestionWish()))
    settings.write_text(
        f"verifier: https://verifier.example\nallow_loopback_http: true\nidentity: suite\nquestion: {{uri: {links}}}\n",
        encoding="utf-8",
    )
    arguments = [
        "--settings",
        str(settings),
        "--only",
        "vp-nonce",
        "--only",
        "vp-response-uri",
        "--only",
        "vp-response-type",
        "--only",
        "vp-response-mode",
        "--json",
        str(report),
    ]
    assert main(["conformance", "run", *arguments]) == 0
    results = json.loads(report.read_text(encoding="utf-8"))["results"]
    assert {each["id"]: each["outcome"] for each in results} == {
        "vp-response-uri": "passed",
        "vp-response-type": "passed",
        "vp-response-mode": "passed",
        "vp-nonce": "passed",
    }
    assert "✓ vp-nonce" in capsys.readouterr().out
