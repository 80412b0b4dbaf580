"""`stadtnachweis doctor` on installations that are fine, that depart from their preset, and that are broken."""

import asyncio
import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from unittest import mock

import pytest

from issuer.departures import Finding, Level
from issuer.examination import examine
from issuer.service import system_clock
from issuer.settings import load_settings
from specs.keys.jose import build_jws
from specs.keys.signer import generate_signer
from stadtnachweis.__main__ import main
from tests.issuer.wallet_api.world import build_world

DAY = 86400
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Installation:
    """A folder in which everything is as it should be, with four tenants of three presets."""

    folder: Path

    def settings(self, **changed: str) -> dict[str, str]:
        """The environment of a service for the public."""
        return {
            "ISSUER_DATA_DIR": str(self.folder),
            "ISSUER_PUBLIC_URL": "https://issuer.example",
            "ISSUER_WALLET_PROVIDER_ANCHORS": str(self.folder / "providers.pem"),
            **changed,
        }

    def run(self, *arguments: str, **changed: str) -> tuple[int, str]:
        """Status and output of the command."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("ISSUER_")}
        output = io.StringIO()
        with mock.patch.dict(os.environ, own | self.settings(**changed), clear=True), redirect_stdout(output):
            status = main(["doctor", *arguments])
        return status, output.getvalue()

    def found(self, level: Level, changed: Mapping[str, str] = NOTHING, *, after: int = 0) -> list[Finding]:
        """The findings of one level. after: seconds from now."""
        settings = load_settings({**self.settings(), **changed})
        findings = asyncio.run(examine(settings, now=system_clock() + after))
        return [finding for finding in findings if finding.level is level]

    def tenant(self, name: str) -> Path:
        """A file of the tenant leipzig."""
        return self.folder / "keys" / "leipzig" / name


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """An installation after the first steps."""
    asyncio.run(build_world(tmp_path, public_url="https://issuer.example"))
    certificate = build_jws(b"{}", signer=generate_signer(), typ="rc-wrp+jwt")
    (tmp_path / "keys" / "bund" / "registration-certificate.jwt").write_text(certificate, encoding="ascii")
    tmp_path.chmod(0o700)
    return Installation(tmp_path)


def test_an_installation_without_fault_is_status_0(installation: Installation) -> None:
    status, shown = installation.run()
    assert status == 0, shown
    assert "✗" not in shown
    assert "!" not in shown
    assert "tenant leipzig: Its preset is haip-1.0." in shown
    assert "iaca.crt.pem is good for" in shown
    assert "The revocation list is good for" in shown


def test_the_same_as_json(installation: Installation) -> None:
    status, shown = installation.run("--json")
    report = json.loads(shown)
    assert status == 0
    assert report["fine"]
    assert {finding["level"] for finding in report["findings"]} == {"fine"}


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("ISSUER_ALLOW_TEST_TYPES", "true", "Credential types for tests are issued"),
        ("ISSUER_DEMO_LOGIN", "true", "Invented citizens can log in"),
        ("ISSUER_ALLOW_LOOPBACK_HTTP", "true", "Plain http on this machine is allowed"),
        ("ISSUER_ALLOW_PUBLIC_CLIENTS", "true", "Departs from de-2026-11: wallets without attestation are served."),
        ("ISSUER_BATCH_LIMIT", "5", "Departs from haip-1.0: 5 copies at most instead of 20."),
    ],
)
def test_a_departure_from_the_preset_is_a_sentence_with_its_setting(
    setting: str, value: str, sentence: str, installation: Installation
) -> None:
    status, shown = installation.run(**{setting: value})
    said = [line for line in shown.splitlines() if sentence in line]
    assert status == 0
    assert said
    assert all(line.startswith("! ") and line.endswith(f"[{setting}]") for line in said)


def test_what_a_city_arranged_is_looked_at(installation: Installation) -> None:
    folder = installation.folder / "tenants"
    folder.mkdir()
    file = folder / "leipzig.yaml"
    changed = {"ISSUER_TENANT_DIR": str(folder)}
    register = "registers:\n  amt: {url: 'http://register.example/claims', key: {kty: OKP, crv: Ed25519, x: %s}}\n"
    file.write_text(register % "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", encoding="utf-8")
    (finding,) = installation.found(Level.WARNING, changed)
    assert (finding.sentence, finding.setting) == (
        "The register amt of leipzig is asked over plain http.",
        "ISSUER_TENANT_DIR",
    )
    file.write_text("claims_sources: {leipzig_pass: nobody}\n", encoding="utf-8")
    (problem,) = installation.found(Level.PROBLEM, changed)
    assert "there is no register nobody" in problem.sentence
    file.write_text("registers:\n  amt: {url: here}\n", encoding="utf-8")
    assert any("leipzig.yaml:2:" in each.sentence for each in installation.found(Level.PROBLEM, changed))


def test_plain_http_is_named_beside_what_allows_it(installation: Installation) -> None:
    found = installation.found(
        Level.WARNING, {"ISSUER_PUBLIC_URL": "http://127.0.0.1:8701", "ISSUER_ALLOW_LOOPBACK_HTTP": "true"}
    )
    assert {finding.setting for finding in found} == {"ISSUER_PUBLIC_URL", "ISSUER_ALLOW_LOOPBACK_HTTP"}


@pytest.mark.parametrize(
    ("changed", "setting"),
    [
        ({"ISSUER_CATALOG_DIR": "nowhere"}, "ISSUER_CATALOG_DIR"),
        ({"ISSUER_WALLET_PROVIDER_ANCHORS": "nowhere.pem"}, "ISSUER_WALLET_PROVIDER_ANCHORS"),
        ({"ISSUER_DATABASE_URL": "sqlite+aiosqlite:///nowhere.db"}, "ISSUER_DATABASE_URL"),
        ({"ISSUER_DATABASE_URL": "nowhere"}, "ISSUER_DATABASE_URL"),
        ({"ISSUER_DATABASE_URL": "postgresql+psycopg://127.0.0.1:1/none"}, "ISSUER_DATABASE_URL"),
    ],
)
def test_a_setting_that_leads_nowhere_is_named(
    changed: dict[str, str], setting: str, installation: Installation
) -> None:
    assert [finding.setting for finding in installation.found(Level.PROBLEM, changed)] == [setting]
    assert installation.run(**changed)[0] == 1
    assert not Path("nowhere.db").exists()


def test_settings_that_cannot_be_read_are_the_only_finding(installation: Installation) -> None:
    status, shown = installation.run(ISSUER_PROT="1")
    assert status == 1
    assert shown == "✗ settings: The settings cannot be used: unknown setting: ISSUER_PROT.\n"


def test_attested_wallets_need_a_trusted_provider(installation: Installation) -> None:
    settings = load_settings(
        {"ISSUER_DATA_DIR": str(installation.folder), "ISSUER_PUBLIC_URL": "https://issuer.example"}
    )
    found = [
        finding for finding in asyncio.run(examine(settings, now=system_clock())) if finding.level is Level.PENDING
    ]
    assert {finding.about for finding in found} == {"tenant leipzig", "tenant dresden", "tenant bund"}
    assert {finding.setting for finding in found} == {"ISSUER_WALLET_PROVIDER_ANCHORS"}


def _remove(name: str) -> Callable[[Installation], None]:
    return lambda installation: (installation.folder / name).unlink()


def _open(name: str) -> Callable[[Installation], None]:
    return lambda installation: (installation.folder / name).chmod(0o644)


def _forget_tables(installation: Installation) -> None:
    (installation.folder / "issuer.db").write_bytes(b"")
    for rest in installation.folder.glob("issuer.db-*"):
        rest.unlink()


def _another_master_key(installation: Installation) -> None:
    (installation.folder / "secrets" / "master.key").write_text("00" * 32)


def _another_key(installation: Installation) -> None:
    installation.tenant("access.key.pem").write_bytes(installation.tenant("status-signer.key.pem").read_bytes())


def _another_root_s_list(installation: Installation) -> None:
    other = installation.folder / "keys" / "dresden" / "iaca.crl"
    installation.tenant("iaca.crl").write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (_remove("secrets/mac.key"), "mac.key is missing"),
        (_open("secrets/master.key"), "master.key is open to others; `chmod 600"),
        (_forget_tables, "lacks this version's tables"),
        (_another_master_key, "Its data key does not open"),
        (_open("keys/leipzig/access.key.pem"), "access.key.pem can be read by others"),
        (_open("keys/leipzig/iaca.key.pem"), "iaca.key.pem is open to others"),
        (_another_key, "does not belong to its certificate"),
        (_remove("keys/leipzig/document-signer.ES256.key.pem"), "document-signer.ES256.key.pem cannot be read"),
        (_another_root_s_list, "The revocation list is not signed by iaca.crt.pem"),
    ],
)
def test_what_is_broken_is_a_sentence_and_status_1(
    broken: Callable[[Installation], None], sentence: str, installation: Installation
) -> None:
    broken(installation)
    status, shown = installation.run()
    assert status == 1
    assert any(sentence in line for line in shown.splitlines() if line.startswith("✗"))


def test_certificates_near_their_end_are_a_warning_and_ended_ones_a_problem(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = system_clock()
    # the days left are counted twice; a second that passes in between may take one away
    monkeypatch.setattr(f"{__name__}.system_clock", lambda: today)
    far = [finding.sentence for finding in installation.found(Level.PROBLEM, after=4000 * DAY)]
    assert any("ended on" in sentence for sentence in far)
    lifetimes = [finding.sentence for finding in installation.found(Level.FINE) if "status-signer" in finding.sentence]
    days = int(lifetimes[0].rpartition(" for ")[2].split()[0])
    assert not any("status-signer" in each.sentence for each in installation.found(Level.WARNING))
    near = installation.found(Level.WARNING, after=(days - 59) * DAY)
    assert any(each.sentence.startswith("status-signer.crt.pem ends in 59 days") for each in near)


@pytest.mark.parametrize(("after", "level"), [(80, Level.WARNING), (91, Level.PROBLEM)])
def test_an_old_revocation_list_names_the_command_that_renews_it(
    after: int, level: Level, installation: Installation
) -> None:
    found = [each for each in installation.found(level, after=after * DAY) if "revocation list" in each.sentence]
    assert {each.about for each in found} == {f"tenant {name}" for name in ("leipzig", "dresden", "offen", "bund")}
    assert all("stadtnachweis issuer tenant crl" in each.sentence for each in found)


def test_looking_changes_nothing(installation: Installation) -> None:
    def content() -> dict[Path, bytes]:
        return {
            path: path.read_bytes()
            for path in installation.folder.rglob("*")
            if path.is_file() and not path.name.startswith("issuer.db-")
        }

    before = content()
    installation.run()
    assert content() == before


def test_what_is_still_to_do_says_so_with_the_clause_and_the_setting(installation: Installation) -> None:
    """Right after the first steps no wallet provider is trusted, and nobody should have to guess that."""
    settings = installation.settings()
    del settings["ISSUER_WALLET_PROVIDER_ANCHORS"]
    findings = asyncio.run(examine(load_settings(settings), now=system_clock()))
    todo = [finding for finding in findings if finding.level is Level.PENDING]
    assert {finding.about for finding in todo} == {"tenant leipzig", "tenant dresden", "tenant bund"}
    for finding in todo:
        assert finding.sentence.startswith("Still to do before a wallet can collect")
        assert (finding.setting, finding.clause) == ("ISSUER_WALLET_PROVIDER_ANCHORS", "HAIP 1.0 §4.4.1")
    assert not [finding for finding in findings if finding.level is Level.PROBLEM]


def test_a_preset_that_wants_a_registration_certificate_misses_it(installation: Installation) -> None:
    (installation.folder / "keys" / "bund" / "registration-certificate.jwt").unlink()
    (finding,) = installation.found(Level.WARNING)
    assert finding.about == "tenant bund"
    assert "no registration certificate is published" in finding.sentence
    assert finding.clause == "ETSI TS 119 472-3 §4.2.3"


def test_a_type_that_the_preset_does_not_allow_to_be_signed_so_is_named(installation: Installation) -> None:
    types = installation.folder / "types"
    types.mkdir()
    shipped = resources.files("issuer.catalog") / "types" / "leipzig_pass.yaml"
    text = shipped.read_text(encoding="utf-8").replace("alg: ES256", "alg: ES384")
    (types / "leipzig_pass.yaml").write_text(text, encoding="utf-8")
    changed = {"ISSUER_CATALOG_DIR": str(types)}
    said = {finding.about for finding in installation.found(Level.WARNING, changed) if "ES384" in finding.sentence}
    assert said == {"tenant leipzig", "tenant dresden", "tenant bund"}
    missing = installation.found(Level.PROBLEM, changed)
    assert {finding.about for finding in missing} == {"tenant offen"}
