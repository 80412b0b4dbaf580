"""Our own verifier passes the suite; with one defect it does not, and the check that is there for it says so."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conformance.check import GERMAN, Outcome, tried
from conformance.run import run_verifier, verifier_checks
from conformance.verifier_answers import ANSWER_CHECKS
from conformance.verifier_status import STATUS_CHECKS
from conformance.verifier_target import QuestionWish
from stadtnachweis.__main__ import main
from tests.conformance.faults import Faulty, Passing, some
from tests.conformance.our_verifier import OurVerifier, running_verifier
from tests.conformance.page_defects import PAGE_ANSWER_DEFECTS, QUESTION_DEFECTS
from tests.conformance.sweeps import VERIFIER_SWEEPS
from tests.conformance.verifier_defects import (
    ANSWER_DEFECTS,
    GERMAN_REQUEST_DEFECTS,
    LINK_DEFECTS,
    REQUEST_DEFECTS,
    SIGNER,
    SWITCHES,
    resigned,
)

CHECKS = {check.id: check for check in verifier_checks()}
ACCEPTING = {  # of the checks of answers; all others are refusals
    "vp-accepts-sd-jwt", "vp-accepts-mdoc", "vp-accepts-posted-request", "vp-answer-json", "vp-answer-members",
    "vp-answer-redirect", "vp-status-valid",
}  # fmt: skip
NOT_TRIED = {  # what our verifier of the tests does not do, or what its question gives no occasion for
    "vp-client-id-response-uri", "vp-binding-transaction-data-missing", "vp-binding-transaction-data-other",
}  # fmt: skip
NOT_TRIED_BY_PROFILE = {
    "haip-1.0": {"vp-verifier-info"},
    "de-2026-11": {"de-pid-type", "de-pid-signs-nothing", "dc-unsigned-nameless"},
    "plain-1.0": {
        "vp-verifier-info", "vp-encryption-keys", "vp-encryption-key-fresh", "vp-answer-encrypted-to-old-key",
        "vp-answer-encrypted-to-other-key", "vp-answer-in-clear", "vp-answer-ciphertext", "vp-answer-compressed",
        "vp-answer-deep", "dc-answer-in-clear",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def verifier() -> Iterator[OurVerifier]:
    """The running verifier."""
    with running_verifier() as running:
        yield running


@pytest.mark.parametrize(
    "profile",
    ["haip-1.0", pytest.param("de-2026-11", marks=pytest.mark.long), pytest.param("plain-1.0", marks=pytest.mark.long)],
)
def test_our_verifier_passes_all_that_can_be_tried(profile: str) -> None:
    with running_verifier(profile) as verifier, verifier.target() as target:
        report = run_verifier(target, profile=profile)
    good = (Outcome.PASSED, Outcome.SKIPPED)
    assert [(each.id, each.expected, each.came) for each in report.results if each.outcome not in good] == []
    skipped = {each.id for each in report.results if each.outcome is Outcome.SKIPPED}
    of_others = {check.id for check in verifier_checks() if profile not in check.profiles}
    assert skipped - of_others <= NOT_TRIED | NOT_TRIED_BY_PROFILE[profile]


@pytest.mark.parametrize("defect", some(REQUEST_DEFECTS))
def test_a_verifier_with_one_defect_in_its_request_is_caught(defect: str, verifier: OurVerifier) -> None:
    (edit, expected), transport = REQUEST_DEFECTS[defect], Faulty()
    with verifier.target(transport) as target:
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.PASSED
        target.kept.clear()
        target.anchors = ()
        transport.use(resigned(edit, verifier.identity.verifier.identity))
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is _caught(expected)


@pytest.mark.parametrize("defect", some(LINK_DEFECTS))
def test_a_verifier_with_one_defect_in_its_link_is_caught(defect: str, verifier: OurVerifier) -> None:
    edit, expected = LINK_DEFECTS[defect]
    with verifier.target() as target:
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.PASSED
        target.kept.clear()
        target.questions = lambda wish: edit(verifier.question(wish))
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is _caught(expected)


@pytest.mark.parametrize(
    ("answers_at", "outcome"),
    [("https://verifier.example/a", Outcome.PASSED), ("https://verifier.example/b", Outcome.FAILED)],
)
def test_a_verifier_known_by_its_address_answers_there(
    answers_at: str, outcome: Outcome, verifier: OurVerifier
) -> None:
    link = f"openid4vp://?client_id=redirect_uri%3Ahttps://verifier.example/a&response_uri={answers_at}&nonce=a"
    with verifier.target() as target:
        target.questions = lambda _wish: link
        assert tried(CHECKS["vp-client-id-response-uri"], target, profile="plain-1.0").outcome is outcome


def _caught(name: str) -> Outcome:
    """How a check ends that catches something."""
    return Outcome.WARNED if CHECKS[name].is_advice else Outcome.FAILED


@pytest.mark.parametrize("defect", some(ANSWER_DEFECTS))
def test_a_verifier_with_one_defect_in_its_answers_is_caught(defect: str, verifier: OurVerifier) -> None:
    (change, expected), transport = ANSWER_DEFECTS[defect], Faulty()
    with verifier.target(transport) as target:
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.PASSED
        target.kept = {name: each for name, each in target.kept.items() if name.startswith("accepted")}
        transport.use(change)
        result = tried(CHECKS[expected], target, profile="haip-1.0")
    assert result.outcome is _caught(expected), result.came
    assert result.exchanges


@pytest.mark.long
@pytest.mark.parametrize("sweep", VERIFIER_SWEEPS)
def test_a_verifier_that_is_wrong_throughout_is_caught_by_each_check(sweep: str, verifier: OurVerifier) -> None:
    (change, is_meant), transport = VERIFIER_SWEEPS[sweep], Faulty()
    refusals = [check for check in (*ANSWER_CHECKS.checks, *STATUS_CHECKS.checks) if check.id not in ACCEPTING]
    with verifier.target(transport) as target:
        expected = [
            check
            for check in refusals
            if is_meant(check.id) and tried(check, target, profile="haip-1.0").outcome is Outcome.PASSED
        ]
        transport.use(change)
        assert expected
        missed = [each.id for each in expected if tried(each, target, profile="haip-1.0").outcome is not Outcome.FAILED]
    assert missed == []


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


@pytest.fixture(scope="module")
def german() -> Iterator[OurVerifier]:
    """The running verifier under the German profile."""
    with running_verifier(GERMAN) as running:
        yield running


@pytest.mark.parametrize("defect", some(GERMAN_REQUEST_DEFECTS))
def test_a_verifier_that_misses_the_german_profile_is_caught(defect: str, german: OurVerifier) -> None:
    (edit, expected, good), transport = GERMAN_REQUEST_DEFECTS[defect], Faulty()
    with german.target(transport) as target:
        target.anchors = ()
        transport.use(resigned(good, SIGNER))
        assert tried(CHECKS[expected], target, profile=GERMAN).outcome is Outcome.PASSED
        target.kept.clear()
        transport.use(resigned(edit, SIGNER))
        result = tried(CHECKS[expected], target, profile=GERMAN)
    assert result.outcome is (Outcome.WARNED if CHECKS[expected].is_advice else Outcome.FAILED), result.came


def test_a_verifier_whose_links_open_no_wallet_is_caught(german: OurVerifier) -> None:
    with german.target() as target:
        ask = target.questions
        target.questions = lambda wish: ask(wish).replace("openid4vp://", "mywallet://")
        assert tried(CHECKS["de-request-scheme"], target, profile=GERMAN).outcome is Outcome.FAILED


def test_a_verifier_that_wants_its_media_type_named_is_caught(german: OurVerifier) -> None:
    def strict(passing: Passing) -> httpx.Response:
        is_named = "oauth-authz-req" in passing.request.headers.get("accept", "")
        return passing.answer if is_named else httpx.Response(406)

    transport = Faulty()
    transport.use(strict)
    with german.target(transport) as target:
        assert tried(CHECKS["de-post-without-accept"], target, profile=GERMAN).outcome is Outcome.WARNED


def test_each_german_check_of_a_verifier_has_a_target_that_it_catches() -> None:
    elsewhere = {"de-request-scheme", "de-post-without-accept"}
    of_profile = {check.id for check in verifier_checks() if check.profiles == {GERMAN}}
    assert of_profile <= {expected for _, expected, _ in GERMAN_REQUEST_DEFECTS.values()} | elsewhere


def test_each_check_of_statuses_has_a_target_that_it_catches() -> None:
    caught = {expected for _, expected in (*SWITCHES.values(), *ANSWER_DEFECTS.values())}
    assert {check.id for check in verifier_checks() if check.id.startswith("vp-status")} <= caught


@pytest.mark.parametrize("defect", some(QUESTION_DEFECTS))
def test_a_page_with_one_defect_in_its_question_is_caught(defect: str, verifier: OurVerifier) -> None:
    bend, expected = QUESTION_DEFECTS[defect]
    with verifier.target() as target:
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.PASSED
        target.kept.clear()
        target.anchors = ()
        target.pages = lambda wish: bend(verifier.page(wish))
        result = tried(CHECKS[expected], target, profile="haip-1.0")
    assert result.outcome is Outcome.FAILED, result.came


@pytest.mark.parametrize("defect", some(PAGE_ANSWER_DEFECTS))
def test_a_page_with_one_defect_in_its_answers_is_caught(defect: str, verifier: OurVerifier) -> None:
    (change, expected), transport = PAGE_ANSWER_DEFECTS[defect], Faulty()
    with verifier.target(transport) as target:
        assert tried(CHECKS[expected], target, profile="haip-1.0").outcome is Outcome.PASSED
        transport.use(change)
        result = tried(CHECKS[expected], target, profile="haip-1.0")
    assert result.outcome is Outcome.FAILED, result.came
    assert result.exchanges


def test_each_check_of_pages_has_a_target_that_it_catches() -> None:
    caught = {expected for _, expected in (*QUESTION_DEFECTS.values(), *PAGE_ANSWER_DEFECTS.values())}
    assert {check.id for check in verifier_checks() if check.id.startswith("dc-")} == caught


def test_a_verifier_is_judged_from_settings(
    verifier: OurVerifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, report = tmp_path / "target.yaml", tmp_path / "report.json"
    links = json.dumps(verifier.question(QuestionWish()))
    settings.write_text(
        f"verifier: https://verifier.example\nallow_loopback_http: true\nidentity: suite\nquestion: {{uri: {links}}}\n"
        f"page: {{http: {{url: '{verifier.url}/page?format={{format}}'}}, origin: https://city.example}}\n",
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
        "--only",
        "dc-expected-origins",
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
        "dc-expected-origins": "passed",
    }
    assert "✓ vp-nonce" in capsys.readouterr().out
