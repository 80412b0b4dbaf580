"""The driver of the OpenID Foundation's suite, against the interface that a running suite has."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import respx

from conformance.oidf.plans import all_runs
from conformance.oidf.verdicts import load
from stadtnachweis.__main__ import main

SUITE, TARGET = "https://suite.example:8443", "https://issuer.example:9443"
RUN = "issuer-haip-sd-jwt-offer"
GOOD, BAD = "oid4vci-1_0-issuer-happy-flow", "oid4vci-1_0-issuer-fail-invalid-nonce"


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The played suite does at once what the real one needs a while for."""
    monkeypatch.setattr("conformance.oidf.driver._PAUSE", 0.01)


@dataclass
class PlayedSuite:
    """A suite with one plan. results: by module. It waits `offers` times for an offer in each module."""

    results: Mapping[str, str]
    offers: int = 1
    plans: list[dict[str, object]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    brought: list[str] = field(default_factory=list)
    orders: list[dict[str, object]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the suite does."""
        path, query = (
            request.url.path,
            {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()},
        )
        match request.method, path.split("/")[1:]:
            case "GET", ["api", "server"]:
                return httpx.Response(200, json={"version": "5.2.4", "revision": "abc"})
            case "POST", ["api", "plan"]:
                self.plans.append({**query, "configuration": json.loads(request.content)})
                modules = [
                    {"testModule": name, "variant": {"vci_credential_encryption": "plain"}} for name in self.results
                ]
                return httpx.Response(201, json={"id": "plan", "modules": modules})
            case "POST", ["api", "runner"]:
                self.started.append(query["test"])
                return httpx.Response(201, json={"id": query["test"]})
            case "GET", ["api", "runner", _, "wait-state"]:
                return httpx.Response(200, json={"state": "FINISHED" if self._is_over else "WAITING"})
            case "GET", ["api", "runner", _]:
                return httpx.Response(
                    200, json={"exposed": {"credential_offer_endpoint": f"{SUITE}/test/a/x/credential_offer"}}
                )
            case "GET", ["test", "a", "x", "credential_offer"]:
                self.brought.append(query["credential_offer_uri"])
                return httpx.Response(200)
            case "GET", ["api", "info", test]:
                return httpx.Response(200, json={"status": "FINISHED", "result": self.results[test]})
            case "GET", ["api", "log", test]:
                waited = self.offers * (len(self.started) - 1)
                waits = min(len(self.brought) - waited + 1, self.offers)
                entries: list[dict[str, object]] = [{"src": "VCIWaitForCredentialOffer"}] * waits
                if self.results[test] != "PASSED":
                    entries.append({"src": "EnsureSomething", "result": "FAILURE", "msg": "it did not"})
                return httpx.Response(200, json=entries)
        raise AssertionError(f"{request.method} {request.url}")

    @property
    def _is_over(self) -> bool:
        return len(self.brought) >= self.offers * len(self.started)

    def make_offer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the target's hook does."""
        assert request.headers["authorization"] == "Bearer secret"
        self.orders.append(json.loads(request.content))
        uri = f"openid-credential-offer://?credential_offer_uri={TARGET}/offers/{len(self.orders)}"
        return httpx.Response(201, json={"offer_uri": uri})


@dataclass
class PlayedVerifier:
    """A suite with one module that meets a wallet. asks: through the browser. waits_for_picture: of a refusal."""

    asks: bool
    waits_for_picture: bool = False
    configurations: list[dict[str, object]] = field(default_factory=list)
    answers: list[dict[str, object]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    looks: int = 0
    is_over: bool = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the suite does."""
        match request.method, request.url.path.split("/")[1:]:
            case "GET", ["api", "server"]:
                return httpx.Response(200, json={"version": "5.2.4", "revision": "abc"})
            case "POST", ["api", "plan"]:
                self.configurations.append(json.loads(request.content))
                modules = [{"testModule": "asking", "variant": {"request_method": "request_uri_signed"}}]
                return httpx.Response(201, json={"id": "plan", "modules": modules})
            case "POST", ["api", "runner"]:
                return httpx.Response(201, json={"id": "asking"})
            case "GET", ["api", "runner", _, "wait-state"]:
                return httpx.Response(200, json={"state": "FINISHED" if self.is_over else "WAITING"})
            case "GET", ["api", "runner", _]:
                asked = [{"request": {"digital": {}}, "submitUrl": f"{SUITE}/submit"}] if self.asks else []
                return httpx.Response(
                    200, json={"exposed": {"credential_issuer": SUITE}, "browser": {"browserApiRequests": asked}}
                )
            case "POST", ["submit"]:
                self.answers.append(json.loads(request.content))
                self.is_over = not self.waits_for_picture
                return httpx.Response(204)
            case "POST", ["api", "log", _, "images", "place"]:
                self.pictures.append(request.content.decode())
                self.is_over = True
                return httpx.Response(200)
            case "GET", ["api", "info", _]:
                self.looks += 1  # what has ended is written down a moment later
                return httpx.Response(
                    200, json={"status": "FINISHED" if self.looks > 1 else "WAITING", "result": "PASSED"}
                )
            case "GET", ["api", "log", _]:
                page = '<p class="alarm" id="error">invalid_request</p>'
                entries = [{"src": "WebRunner", "response_content": page}, {"src": "Expect", "upload": "place"}]
                return httpx.Response(200, json=entries if self.waits_for_picture else [])
        raise AssertionError(f"{request.method} {request.url}")


def drive_wallet(
    network: respx.MockRouter, folder: Path, suite: PlayedVerifier, run: str, said: httpx.Response | httpx.HTTPError
) -> respx.Route:
    """The command against a wallet that says one thing; what it was asked."""
    network.route(host="suite.example").mock(side_effect=suite.answer)

    def collected(_request: httpx.Request) -> httpx.Response:
        suite.is_over = True
        if isinstance(said, httpx.HTTPError):
            raise said
        return said

    network.get(f"{TARGET}/collect").mock(side_effect=collected)
    asked = network.post(f"{TARGET}/haip/dc-api").mock(side_effect=[said])
    target = {
        "client": {"client_id": "any"},
        "stadtnachweis": {
            "role": "wallet",
            "parts": {"haip": {"client": {"client_id": "verifier"}}, "collecting": {"client": {"client_id": "wallet"}}},
            "questions": {"sd_jwt_vc": {"credentials": []}},
            "endpoints": {"collect": {"collecting": f"{TARGET}/collect"}, "dc_api": {"haip": f"{TARGET}/haip/dc-api"}},
        },
    }
    (folder / "wallet.json").write_text(json.dumps(target), encoding="utf-8")
    fixed = ["--suite", SUITE, "--target", str(folder / "wallet.json"), "--results", str(folder / "results.json")]
    assert main(["conformance", "oidf", *fixed, "--run", run]) == 0
    return asked


@pytest.fixture
def network() -> Iterator[respx.MockRouter]:
    """Suite and target are other people's hosts."""
    with respx.mock(assert_all_called=False) as router:
        yield router


def drive(network: respx.MockRouter, folder: Path, suite: PlayedSuite, *arguments: str) -> int:
    """The command, as a tester types it."""
    network.route(host="suite.example").mock(side_effect=suite.answer)
    network.post(f"{TARGET}/admin/offers").mock(side_effect=suite.make_offer)
    target = {
        "alias": "any",
        "vci": {"credential_issuer_url": TARGET, "credential_configuration_id": "any"},
        "stadtnachweis": {"role": "issuer", "admin": {"offers": f"{TARGET}/admin/offers", "key": "secret"}},
    }
    (folder / "target.json").write_text(json.dumps(target), encoding="utf-8")
    fixed = ["--suite", SUITE, "--target", str(folder / "target.json"), "--results", str(folder / "results.json")]
    return main(["conformance", "oidf", *fixed, "--run", RUN, *arguments])


def test_a_run_brings_each_module_its_offer_and_passes(network: respx.MockRouter, tmp_path: Path) -> None:
    suite = PlayedSuite({GOOD: "PASSED", BAD: "REVIEW"}, offers=2)
    assert drive(network, tmp_path, suite) == 0
    assert suite.started == [GOOD, BAD]
    assert [urlsplit(uri).path for uri in suite.brought] == [f"/offers/{number}" for number in (1, 2, 3, 4)]
    assert suite.orders[0] == {"configuration_id": "pid_attested-sd-jwt", "grant": "authorization_code", "by": "value"}
    [plan] = suite.plans
    assert plan["planName"] == "oid4vci-1_0-issuer-haip-test-plan"
    configuration = plan["configuration"]
    assert isinstance(configuration, dict)
    assert configuration["alias"] == f"stadtnachweis-{RUN}"
    assert configuration["vci"]["credential_configuration_id"] == "pid_attested-sd-jwt"
    assert "stadtnachweis" not in configuration


@pytest.mark.parametrize("result", ["FAILED", "WARNING", "SKIPPED", "UNKNOWN"])
def test_what_did_not_pass_is_status_1_with_the_suites_words(
    network: respx.MockRouter, tmp_path: Path, capsys: pytest.CaptureFixture[str], result: str
) -> None:
    assert drive(network, tmp_path, PlayedSuite({GOOD: "PASSED", BAD: result})) == 1
    shown = capsys.readouterr().out
    assert "EnsureSomething: it did not" in shown
    assert shown.endswith("1 passed, 1 failed\n")


def test_what_is_allowed_to_fail_does_not_count(network: respx.MockRouter, tmp_path: Path) -> None:
    assert drive(network, tmp_path, PlayedSuite({GOOD: "PASSED", BAD: "SKIPPED"}), "--allow", f"{RUN}/{BAD}") == 0


def test_nothing_to_run_is_wrong_usage(network: respx.MockRouter, tmp_path: Path) -> None:
    assert drive(network, tmp_path, PlayedSuite({GOOD: "PASSED"}), "--module", "unknown") == 1
    assert main(["conformance", "oidf", "--suite", SUITE]) == 2


def test_again_runs_what_has_not_passed_and_keeps_the_rest(network: respx.MockRouter, tmp_path: Path) -> None:
    assert drive(network, tmp_path, PlayedSuite({GOOD: "PASSED", BAD: "FAILED"})) == 1
    network.clear()
    later = PlayedSuite({GOOD: "PASSED", BAD: "PASSED"})
    assert drive(network, tmp_path, later, "--again") == 0
    assert later.started == [BAD]
    assert {verdict.module: verdict.result for verdict in load(tmp_path / "results.json").values()} == {
        GOOD: "PASSED",
        BAD: "PASSED",
    }


def test_the_table_stands_between_its_marks(network: respx.MockRouter, tmp_path: Path) -> None:
    document = tmp_path / "conformance.md"
    document.write_text("before\n<!-- results: begin -->\nold\n<!-- results: end -->\nafter\n", encoding="utf-8")
    drive(network, tmp_path, PlayedSuite({GOOD: "PASSED", BAD: "WARNING"}), "--table", str(document))
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert f"| {RUN} | 2 | 1 | 1 | 0 | 0 | 5.2.4 (abc) |" in text
    assert f"| {BAD} | plain | WARNING |" in text
    assert f"- {BAD}: FAILURE EnsureSomething: it did not ({RUN})" in text


def test_a_question_through_the_browser_reaches_the_wallet_and_its_answer_the_suite(
    network: respx.MockRouter, tmp_path: Path
) -> None:
    suite = PlayedVerifier(asks=True)
    said = httpx.Response(200, json={"protocol": "openid4vp-v1-signed", "data": {"response": "x"}})
    asked = drive_wallet(network, tmp_path, suite, "wallet-vp-haip-sd-jwt-dc-api-jwt", said)
    [configuration] = suite.configurations
    assert configuration["client"] == {"client_id": "verifier", "dcql": {"credentials": []}}
    assert json.loads(asked.calls.last.request.content) == {"origin": SUITE, "request": {"digital": {}}}
    assert suite.answers == [{"protocol": "openid4vp-v1-signed", "data": {"response": "x"}}]
    assert set(load(tmp_path / "results.json")) == {"wallet-vp-haip-sd-jwt-dc-api-jwt/asking/request_uri_signed"}


def test_what_the_wallet_refuses_is_an_exception_of_the_browser_and_a_picture(
    network: respx.MockRouter, tmp_path: Path
) -> None:
    suite = PlayedVerifier(asks=True, waits_for_picture=True)
    said = httpx.Response(400, json={"error": "invalid_request", "error_description": "nonce: missing"})
    drive_wallet(network, tmp_path, suite, "wallet-vp-haip-sd-jwt-dc-api-jwt", said)
    assert suite.answers == [{"exception": {"name": "invalid_request", "message": "nonce: missing"}}]
    [picture] = suite.pictures
    assert picture.startswith("data:image/png;base64,iVBORw0KGgo")


def test_what_the_suites_own_browser_saw_refused_is_pictured(network: respx.MockRouter, tmp_path: Path) -> None:
    suite = PlayedVerifier(asks=False, waits_for_picture=True)
    drive_wallet(network, tmp_path, suite, "wallet-vp-haip-sd-jwt-direct-post-jwt", httpx.Response(200))
    assert len(suite.pictures) == 1


def test_a_wallet_that_takes_too_long_ends_no_run(network: respx.MockRouter, tmp_path: Path) -> None:
    """A slow answer to one module lost all further runs."""
    suite = PlayedVerifier(asks=False)
    drive_wallet(network, tmp_path, suite, "wallet-vci-haip-mdoc", httpx.ReadTimeout("slow"))
    assert [verdict.result for verdict in load(tmp_path / "results.json").values()] == ["PASSED"]


def test_a_wallet_that_is_to_begin_by_itself_is_told_to_once(network: respx.MockRouter, tmp_path: Path) -> None:
    suite = PlayedVerifier(asks=False)
    drive_wallet(network, tmp_path, suite, "wallet-vci-haip-mdoc", httpx.Response(200, json={}))
    [begun] = [call.request for call in network.calls if call.request.url.path == "/collect"]
    assert dict(begun.url.params) == {
        "credential_issuer": SUITE,
        "credential_configuration_ids": "eu.europa.ec.eudi.pid.mdoc.1",
    }
    assert suite.configurations[0]["client"] == {"client_id": "wallet"}


def test_the_matrix_has_every_variant_that_the_plans_know() -> None:
    runs = all_runs()
    assert len({run.id for run in runs}) == len(runs)
    haip = [run for run in runs if run.plan == "oid4vci-1_0-issuer-haip-test-plan"]
    assert len({tuple(sorted(run.variant.items())) for run in haip}) == 4
    plain = [run for run in runs if run.plan == "oid4vp-1final-verifier-test-plan"]
    assert len({tuple(sorted(run.variant.items())) for run in plain}) == 12
    assert {run.variant["credential_format"] for run in plain} == {"sd_jwt_vc", "iso_mdl"}
    wallet = [run for run in runs if run.role == "wallet" and "haip" in run.plan]
    assert len({(run.plan, *sorted(run.variant.items())) for run in wallet}) == len(wallet) == 10
