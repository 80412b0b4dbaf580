"""`stadtnachweis doctor --public`: the running issuer as the outside sees it, by real connections of this machine."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from issuer.app import create_app
from issuer.departures import Finding, Level
from issuer.http.tls import TlsFiles, development_tls
from issuer.keys.tenant_pki import REGISTRATION_CERTIFICATE
from issuer.public_address import examine_public_address, examine_tls
from issuer.service import build_service
from issuer.settings import IssuerSettings
from specs.encoding import strict_json
from specs.keys.jose import build_jws
from specs.keys.signer import generate_signer
from tests.issuer.http.test_tls import V1_2, V1_3, client, listening
from tests.issuer.test_doctor import DAY, Installation, installation  # noqa: F401  # a fixture
from tests.issuer.wallet_api.world import World, build_world
from tests.wallet_sim.serving import served

HOST = "localhost"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running issuer of one tenant."""
    worlds: list[World] = []

    def make(url: str) -> FastAPI:
        world = asyncio.run(
            build_world(tmp_path_factory.mktemp("data"), public_url=url, tenants={"leipzig": "haip-1.0"})
        )
        worlds.append(world)
        return create_app(world.settings)

    with served(make):
        yield worlds[0]


def seen(settings: IssuerSettings, *, now: int | None = None) -> list[Finding]:
    """What is found from outside."""

    async def look() -> list[Finding]:
        service = build_service(settings)
        try:
            return await examine_public_address(service, now=int(time.time()) if now is None else now)
        finally:
            service.outgoing.close()
            await service.store.close()

    return asyncio.run(look())


def test_running_issuer_is_reached_and_is_itself(world: World) -> None:
    (finding,) = seen(world.settings)
    assert (finding.level, finding.sentence) == (Level.FINE, "The metadata of leipzig come from here.")


def test_other_metadata_than_ours_are_somebody_elses(world: World) -> None:
    """An old cache, or a second installation behind the same name."""
    (finding,) = seen(world.settings.model_copy(update={"batch_limit": 3}))
    assert (finding.level, finding.setting) == (Level.PROBLEM, "ISSUER_PUBLIC_URL")
    assert "other metadata" in finding.sentence


def test_address_that_does_not_answer_is_a_problem(world: World) -> None:
    (finding,) = seen(world.settings.model_copy(update={"public_url": "http://127.0.0.1:1"}))
    assert finding.level is Level.PROBLEM
    assert "does not answer (ConnectionRefusedError)" in finding.sentence


@pytest.mark.parametrize(("away", "level"), [(0, None), (-15, Level.WARNING), (120, Level.PROBLEM)])
def test_clock_is_held_against_what_the_address_says(world: World, away: int, level: Level | None) -> None:
    found = [each for each in seen(world.settings, now=int(time.time()) + away) if "apart" in each.sentence]
    assert [each.level for each in found] == ([] if level is None else [level])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate for this machine, by an authority of its own."""
    return development_tls(tmp_path_factory.mktemp("tls"), host=HOST, now=int(time.time()))


def tls(files: TlsFiles, *, trusts: bool = True, days: int = 0, most: object = V1_3) -> list[Finding]:
    """What is found of a listener. days: from now."""
    authority = files.certificate.with_name("ca.crt.pem") if trusts else None
    context = client(V1_2, most, authority=authority or files.certificate)  # type: ignore[arg-type]
    if not trusts:
        context = ssl.create_default_context()
    with listening(files) as listener:
        return list(examine_tls(HOST, listener.port, context=context, now=int(time.time()) + days * DAY))


def test_version_chain_and_days_of_the_listener_are_named(files: TlsFiles) -> None:
    version, days = tls(files)
    assert (version.level, days.level) == (Level.FINE, Level.FINE)
    left = int(days.sentence.split(" good for ")[1].split()[0])
    assert "TLS 1.3" in version.sentence
    assert left > 14
    assert tls(files, days=left - 10)[1].level is Level.WARNING
    older = tls(files, most=V1_2)[0]
    assert (older.level, older.clause) == (Level.WARNING, "BCP 195")


def test_certificate_that_nobody_believes_is_a_problem(files: TlsFiles) -> None:
    (finding,) = tls(files, trusts=False)
    assert finding.level is Level.PROBLEM
    assert "is not believed" in finding.sentence


def test_closed_port_is_a_problem() -> None:
    (finding,) = examine_tls("127.0.0.1", 1, context=client(V1_2, V1_3), now=0)
    assert (finding.level, "No TLS connection" in finding.sentence) == (Level.PROBLEM, True)


def test_end_of_the_registration_certificate_is_told_in_time(installation: Installation) -> None:  # noqa: F811
    now = int(time.time())
    path: Path = installation.folder / "keys" / "bund" / REGISTRATION_CERTIFICATE

    def told(level: Level) -> list[str]:
        return [each.sentence for each in installation.found(level) if REGISTRATION_CERTIFICATE in each.sentence]

    for end, level, sentence in (
        (now + 100 * DAY + 60, Level.FINE, "is good for 100 days"),
        (now + 30 * DAY + 60, Level.WARNING, "ends in 30 days"),
        (now - 1, Level.PROBLEM, "has ended"),
    ):
        path.write_text(build_jws(strict_json.dumps({"exp": end}), signer=generate_signer(), typ="rc-wrp+jwt"))
        assert [sentence in each for each in told(level)] == [True]
    path.write_text("nothing of the kind")
    assert len(told(Level.PROBLEM)) == 1
