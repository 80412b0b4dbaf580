"""What operators see: the doctor's findings, the command line, and what a probe of the service gets."""

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from specs.keys.signer import generate_private_key
from specs.trust.certificates import Authority, SubjectName, build_access_certificate, build_root_ca
from stadtnachweis.__main__ import main
from tests.verifier.desk import IDENTIFIER
from tests.verifier.serving import PARKING, Service, pem
from tests.verifier.world import DAY, World
from verifier.server import app as serving
from verifier.server import doctor
from verifier.server.app import app_from_environment
from verifier.server.doctor import Finding, Level, _about_list, examine
from verifier.server.service import build_service, prepare
from verifier.stores.sql import metadata
from verifier.trust_lists import ListEvent, ListEventKind, ListStanding, ListState

DESCRIPTION = Path(__file__).parents[2] / "docs" / "verifier-api.openapi.json"
URL = "https://lists.example/pid.jwt"
ASK = {"procedure": "parking", "flow": "same_device"}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    made = Service(tmp_path / "verifier", procedures=(PARKING,)).written()
    prepare(made.settings)
    return made


@pytest.fixture
def commanded(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The same, as the environment of a command describes it."""
    monkeypatch.setenv("VERIFIER_DATA_DIR", str(service.settings.data_dir))
    monkeypatch.setenv("VERIFIER_PUBLIC_URL", "https://verifier.example")
    return service


@pytest.fixture
def cut_off(service: Service) -> Iterator[Service]:
    """A service that runs, and then reaches its database no more, as the system says it."""
    service.app.state.service.engine.dispose()

    def refuse(*_arguments: object) -> None:
        raise ConnectionRefusedError

    event.listen(Engine, "do_connect", refuse)
    yield service
    event.remove(Engine, "do_connect", refuse)


def about(found: list[Finding], what: str) -> tuple[Level, str]:
    (one,) = (each for each in found if each.about == what)
    return one.level, one.sentence


def test_the_doctor_finds_nothing_wrong_with_a_good_installation(service: Service) -> None:
    found = examine(service.settings)
    assert about(found, "database") == (Level.FINE, "It answers.")
    assert Level.PROBLEM not in {each.level for each in found}
    assert {each.about.partition(":")[0] for each in found} == {"database", "leipzig", "halle"}


def test_the_doctor_leaves_nothing_open(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build_service(service.settings)
    before = built.engine.pool
    monkeypatch.setattr(doctor, "build_service", lambda _settings: built)
    examine(service.settings)
    assert built.engine.pool is not before


def test_the_doctor_tells_files_that_are_wrong(service: Service) -> None:
    (service.settings.effective_tenants_dir / "leipzig" / "access.key.pem").unlink()
    assert examine(service.settings) == [
        Finding(Level.PROBLEM, "files", "leipzig/access.key.pem: cannot be read (No such file or directory)")
    ]
    (service.settings.data_dir / "sealing.key").unlink()
    assert "verifier init" in about(examine(service.settings), "files")[1]


def test_the_doctor_tells_a_database_without_tables(service: Service) -> None:
    """It answered, so all was well; each call of the API failed."""
    engine = service.app.state.service.engine
    metadata.drop_all(engine)
    engine.dispose()
    assert about(examine(service.settings), "database") == (
        Level.PROBLEM,
        "It does not answer (OperationalError).",
    )


def test_the_doctor_tells_a_database_that_nobody_reaches(cut_off: Service) -> None:
    found = examine(cut_off.settings)
    assert about(found, "database") == (Level.PROBLEM, "It does not answer (ConnectionRefusedError).")
    assert {"leipzig", "halle"} <= {each.about.partition(":")[0] for each in found}


def test_the_doctor_tells_certificates_that_end_or_do_not_fit(service: Service) -> None:
    ended = Service(service.folder, procedures=(PARKING,), world=World(now=service.world.now - 400 * DAY))
    ended.write_tenant("leipzig")
    soon = Service(service.folder, procedures=(PARKING,), world=World(now=service.world.now - 360 * DAY))
    soon.write_tenant("halle")
    found = {(each.level, each.about, each.sentence.split()[0]) for each in examine(service.settings)}
    assert (Level.PROBLEM, "leipzig: access", "ended") in found
    assert (Level.WARNING, "halle: access", "ends_within_7_days") in found
    folders = service.settings.effective_tenants_dir
    (folders / "leipzig" / "access.key.pem").write_bytes((folders / "halle" / "access.key.pem").read_bytes())
    found = {(each.level, each.about, each.sentence) for each in examine(service.settings)}
    assert (Level.PROBLEM, "leipzig: access", "key_mismatch the certificate is for another key") in found


def test_the_doctor_finds_certificates_that_hold(service: Service) -> None:
    root_key, key = generate_private_key(), generate_private_key()
    now = service.world.now
    root = build_root_ca(key=root_key, subject=SubjectName("Access CA", "DE"), serial=1, now=now)
    certificate = build_access_certificate(
        authority=Authority(root, root_key),
        public_key=key.public_key(),
        subject=SubjectName("Stadt Leipzig", "DE", organization_identifier=IDENTIFIER),
        serial=2,
        now=now,
        dns_names=["verifier.example"],
        uris=["https://leipzig.example"],
        policies=["0.4.0.194118.1.2"],
        crl_url="http://ca.example/list.crl",
    )
    folder = service.settings.effective_tenants_dir / "leipzig"
    (folder / "access.crt.pem").write_bytes(pem(certificate))
    (folder / "access.key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert about(examine(service.settings), "leipzig") == (Level.FINE, "The certificates hold.")


UNREACHABLE = ListEvent(ListEventKind.UNREACHABLE, URL)


@pytest.mark.parametrize(
    ("standing", "level", "sentence"),
    [
        (
            ListStanding(URL, ListState.IN_FORCE, 5, 60, None),
            Level.FINE,
            "Number 5 is in force until 1970-01-01T00:01:00Z.",
        ),
        (
            ListStanding(URL, ListState.IN_FORCE, 5, 60, UNREACHABLE),
            Level.WARNING,
            "Number 5 is in force until 1970-01-01T00:01:00Z; the last fetch: unreachable.",
        ),
        (
            ListStanding(URL, ListState.EXPIRED, 5, 60, UNREACHABLE),
            Level.PROBLEM,
            "Number 5 ended at 1970-01-01T00:01:00Z: nobody of it is trusted; the last fetch: unreachable.",
        ),
        (
            ListStanding(URL, ListState.MISSING, None, None, None),
            Level.PROBLEM,
            "There is no list that is believed: nobody of it is trusted.",
        ),
    ],
)
def test_the_doctor_says_of_each_list_how_it_stands(standing: ListStanding, level: Level, sentence: str) -> None:
    assert _about_list("leipzig", standing) == Finding(level, f"leipzig: {URL}", sentence)


@pytest.mark.parametrize(("workers", "several"), [("1", False), ("2", True)])
def test_the_service_is_served_as_it_is_set(
    workers: str, several: bool, commanded: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several workers make the application each for itself; none logs addresses, or says what serves it."""
    served: list[tuple[object, dict[str, Any]]] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: served.append((app, options)))
    (commanded.settings.data_dir / "sealing.key").unlink()
    assert main(["verifier", "serve", "--workers", workers]) == 0
    ((app, options),) = served
    assert (options["factory"], options["workers"]) == (several, 2 if several else None)
    assert (options["host"], options["port"]) == ("127.0.0.1", 8703)
    assert (options["access_log"], options["server_header"], options["log_level"]) == (False, False, "warning")
    assert options["timeout_graceful_shutdown"] == 5
    assert app == "verifier.server.app:app_from_environment" if several else isinstance(app, FastAPI)


def test_what_is_wrong_with_the_files_of_several_workers_is_said_once(
    commanded: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (commanded.settings.effective_tenants_dir / "leipzig" / "access.key.pem").unlink()
    monkeypatch.setattr(uvicorn, "run", lambda *_arguments, **_options: pytest.fail("it was served"))
    assert main(["verifier", "serve", "--workers", "2"]) == 1
    said = capsys.readouterr().err
    assert said == "stadtnachweis verifier: leipzig/access.key.pem: cannot be read (No such file or directory)\n"


def test_the_application_is_made_of_the_environment_and_logs_what_happens(
    commanded: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured: list[dict[str, Any]] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **options: configured.append(options))
    made = app_from_environment()
    assert set(made.state.service.tenants) == {"leipzig", "halle"}
    assert [each["level"] for each in configured] == [logging.INFO]
    assert re.search(r"%\(message\)s$", configured[0]["format"])
    assert commanded.settings.data_dir == made.state.service.settings.data_dir


def test_lint_goes_through_all_files(commanded: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = commanded.settings.effective_tenants_dir / "leipzig" / "procedures" / "parking.yaml"
    latin, bad = tmp_path / "latin.yaml", tmp_path / "bad.yaml"
    latin.write_bytes(b"purpose: \xfc")
    bad.write_text("- a\n", encoding="utf-8")
    assert main(["verifier", "lint", str(good)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["verifier", "lint", str(tmp_path / "none"), str(latin), str(bad), str(good)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [f"{tmp_path / 'none'}: cannot be read", f"{latin}: cannot be read"]
    assert said[2].startswith(f"{bad}:1:1: ")
    for one in (tmp_path / "none", latin, bad):
        assert main(["verifier", "lint", str(one)]) == 1


def test_commands_say_what_they_did(commanded: Service, capsys: pytest.CaptureFixture[str]) -> None:
    folder = commanded.settings.data_dir
    assert main(["verifier", "init"]) == 0
    assert capsys.readouterr().out == f"ready: {folder}; tenants are read from {folder / 'tenants'}\n"
    assert main(["verifier", "add-key", "dresden", "--name", "portal"]) == 1
    assert capsys.readouterr().err == "stadtnachweis verifier: no tenant dresden; there are halle, leipzig\n"
    assert main(["verifier", "revoke-key", "0" * 16]) == 1
    assert capsys.readouterr().err == f"stadtnachweis verifier: no living key {'0' * 16}\n"
    assert main(["verifier", "openapi"]) == 0
    assert capsys.readouterr().out == DESCRIPTION.read_text(encoding="utf-8")


@pytest.mark.parametrize("way", ["doctor", "add-key"])
def test_a_database_that_fails_fails_a_command(
    way: str, commanded: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata.drop_all(commanded.app.state.service.engine)
    assert main(["verifier", way, *(["leipzig", "--name", "x"] if way == "add-key" else [])]) == 1
    said = capsys.readouterr()
    if way == "doctor":
        assert "✗ database: It does not answer (OperationalError).\n" in said.out
    else:
        assert said.err == "stadtnachweis verifier: the database does not answer (OperationalError)\n"


async def test_a_probe_learns_that_the_database_is_away(service: Service) -> None:
    async with service.client() as probe:
        found = await probe.get("/healthz")
        assert (found.status_code, found.json()["status"]) == (200, "ok")
        metadata.drop_all(service.app.state.service.engine)
        found = await probe.get("/healthz")
        assert (found.status_code, found.json()) == (503, {"status": "database unreachable"})


async def test_a_probe_learns_that_nobody_reaches_the_database(cut_off: Service) -> None:
    async with cut_off.client() as probe:
        assert (await probe.get("/healthz")).status_code == 503


async def test_a_call_while_the_database_is_away_may_be_made_again(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    key = service.key()
    metadata.drop_all(service.app.state.service.engine)
    async with service.client(key) as portal:
        answer = await portal.post("/api/v1/presentations", json=ASK)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert [each.getMessage() for each in caplog.records] == ["the database does not answer: OperationalError"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/api/v1/presentations/", "/t/leipzig/present"])
async def test_nothing_else_has_an_address(path: str, service: Service) -> None:
    async with service.client() as browser:
        assert (await browser.get(path)).status_code == 404


async def test_where_a_wallet_on_another_device_ends_nothing_is_kept(service: Service) -> None:
    async with service.client() as browser:
        done = await browser.get("/t/leipzig/present/done")
    assert (done.status_code, done.headers["cache-control"]) == (200, "no-store")
    assert done.headers["content-type"].startswith("text/plain")


async def test_a_sweep_that_failed_is_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The sweep erases personal data: one hiccup of the database must not be its end."""
    built = service.app.state.service
    waited: list[float] = []
    failures: list[Exception] = [OperationalError("DELETE", {}, Exception("secret")), OSError("secret")]
    swept: list[int] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 4:
            raise asyncio.CancelledError

    def sweep(*, now: int) -> None:
        swept.append(now)
        if failures:
            raise failures.pop(0)

    monkeypatch.setattr(asyncio, "sleep", wait)
    monkeypatch.setattr(type(built), "sweep", lambda _self, *, now: sweep(now=now))
    with pytest.raises(asyncio.CancelledError):
        await serving._keep_house(built)
    assert waited == [service.settings.housekeeping_interval] * 4
    assert all(abs(now - service.world.now) < 600 for now in swept)
    assert [each.getMessage() for each in caplog.records] == [
        "the sweep failed: OperationalError; it is tried again",
        "the sweep failed: OSError; it is tried again",
    ]


async def test_what_runs_beside_requests_ends_with_the_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = service.app.state.service
    kept: list[str] = []

    async def keep(of: object) -> None:
        assert of is built
        kept.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            kept.append("ended")

    monkeypatch.setattr(serving, "_keep_house", keep)
    before = built.engine.pool
    async with service.app.router.lifespan_context(service.app):
        await asyncio.sleep(0)
        assert kept == ["begun"]
        assert built.background._thread.is_alive()
    assert kept == ["begun", "ended"]
    assert not built.background._thread.is_alive()
    assert built.engine.pool is not before


async def test_a_sweep_that_broke_down_does_not_keep_the_service_open(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it broke down by came up again at the end, and went before what closes the rest."""

    async def broken(_of: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(serving, "_keep_house", broken)
    built = service.app.state.service
    before = built.engine.pool
    async with service.app.router.lifespan_context(service.app):
        await asyncio.sleep(0)
    assert not built.background._thread.is_alive()
    assert built.engine.pool is not before
