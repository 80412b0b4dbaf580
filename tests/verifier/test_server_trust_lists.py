"""The service follows trust lists (vf-014): whatever is wrong with one leaves nobody of it trusted, and is reported."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from fastapi import FastAPI

from specs.encoding.placed_yaml import FileInvalid
from specs.keys.signer import SigningIdentity
from specs.trust.trust_list import PID_PROVIDERS
from specs.trust.trusted_list_xml import EU_GENERIC, QEAA_ISSUANCE
from tests.specs.trust.drawing import draw_two
from tests.specs.trust.lists import ISSUANCE, REVOCATION, Published, entity, plain_list, publisher
from tests.verifier.serving import Service
from tests.verifier.test_server import ACROSS, answered
from tests.verifier.world import DAY, DOC_TYPE, VCT
from verifier import ReasonCode
from verifier.server import cli
from verifier.server.app import create_app
from verifier.server.doctor import Level, examine
from verifier.server.service import NotPrepared
from verifier.trust_lists import RETRY_SECONDS


@dataclass
class Shelf:
    """A host that publishes one list over HTTP; None: it is gone."""

    body: bytes | None = None
    url: str = ""
    asked: int = 0

    def __post_init__(self) -> None:
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shelf.asked += 1
                self.send_response(404 if shelf.body is None else 200)
                self.send_header("Content-Type", "application/jwt")
                self.end_headers()
                self.wfile.write(shelf.body or b"")

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/list.jwt"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    yield made
    made.server.shutdown()
    made.server.server_close()


@dataclass
class Following:
    """A service whose tenant believes a list, and nobody else."""

    service: Service
    shelf: Shelf
    identity: SigningIdentity = field(default_factory=lambda: publisher(int(time.time())))

    def __post_init__(self) -> None:
        folder = self.service.write_tenant("leipzig", trust=[], trust_lists=[self.described()])
        (folder / "operator.pem").write_bytes(pem(self.identity.chain[0]))
        self.publish(self.published())

    def described(self, **changes: object) -> dict[str, object]:
        """The list in tenant.yaml."""
        return {
            "url": self.shelf.url,
            "signers": ["operator.pem"],
            "list_type": PID_PROVIDERS,
            "issuance": ISSUANCE,
            "revocation": REVOCATION,
            "revocation_rule": "off",
            "types": {"dc+sd-jwt": [VCT], "mso_mdoc": [DOC_TYPE]},
            **changes,
        }

    def published(self, *, sequence: int = 5) -> Published:
        """The list as it should be."""
        world = self.service.world
        own = entity("Provider", world.authority.certificate, status=(world.status_authority.certificate,))
        return Published(self.identity, plain_list(own, now=world.now, sequence=sequence))

    def publish(self, published: Published | None) -> None:
        """This lies at the list's address from now on."""
        self.shelf.body = None if published is None else published.text().encode()

    def refresh(self, *, later: int = 0) -> None:
        """What the background thread does, some seconds later."""
        lists = self.service.app.state.service.tenants["leipzig"].lists
        lists._clock = lambda: time.time() + later
        lists._due = dict.fromkeys(lists._due, 0)
        lists.refresh()

    async def verdict(self, *, app: FastAPI | None = None) -> str | None:
        """Why an answer is refused, if it is."""
        async with self.service.client(self.service.key(), app) as portal, self.service.client(app=app) as wallet:
            asked = (await portal.post("/api/v1/presentations", json=ACROSS)).json()
            posted = await answered(self.service, wallet, asked)
        assert posted.status_code in (200, 400)
        return None if posted.status_code == 200 else str(posted.json()["error_description"])

    async def health(self) -> Mapping[str, Any]:
        """What a probe gets."""
        async with self.service.client() as probe:
            found = await probe.get("/healthz")
        assert found.status_code == 200
        said: Mapping[str, Any] = found.json()
        return said


def pem(der: bytes) -> bytes:
    return load_der_x509_certificate(der).public_bytes(Encoding.PEM)


@pytest.fixture
def following(tmp_path: Path, shelf: Shelf) -> Following:
    return Following(Service(tmp_path / "verifier", allow_loopback_http=True), shelf)


async def test_whom_a_list_names_is_believed_from_the_first_fetch_on(following: Following) -> None:
    assert await following.verdict() == ReasonCode.TRUST_NOT_CONFIGURED
    health = await following.health()
    assert (health["status"], health["trust_lists"][0]["state"]) == ("degraded", "missing")
    following.refresh()
    assert await following.verdict() is None
    health = await following.health()
    (standing,) = health["trust_lists"]
    assert health["status"] == "ok"
    assert standing["tenant"] == "leipzig"
    assert (standing["state"], standing["sequence"], standing["trouble"]) == ("in_force", 5, None)


async def test_the_background_fetches_by_itself_while_the_service_runs(following: Following) -> None:
    running = following.service.app.state.service
    async with following.service.app.router.lifespan_context(following.service.app):
        lists = running.tenants["leipzig"].lists
        while not (standing := lists.standings(now=int(time.time()))[0]).sequence and not standing.trouble:
            lists._refreshing.acquire()  # the first fetch is under way: wait for its end
            lists._refreshing.release()
        assert await following.verdict() is None
    assert not running.background._thread.is_alive()


async def test_a_list_past_its_next_update_speaks_for_nobody(following: Following) -> None:
    following.refresh()
    assert await following.verdict() is None
    content = replace(following.published().content, next_update=int(time.time()) + 2, sequence=6)
    following.publish(Published(following.identity, content))
    following.refresh()
    tenant = following.service.app.state.service.tenants["leipzig"]
    assert tenant.lists.current(now=content.next_update - 1)
    assert not tenant.lists.current(now=content.next_update)
    ((standing,), far) = (tenant.lists.standings(now=content.next_update), content.next_update)
    assert (standing.state, far) == ("expired", standing.next_update)


async def test_an_expired_list_is_refused_when_it_is_fetched(following: Following) -> None:
    now = following.service.world.now
    content = replace(following.published().content, issued_at=now - 40 * DAY, next_update=now - DAY)
    following.publish(Published(following.identity, content))
    following.refresh()
    assert await following.verdict() == ReasonCode.TRUST_NOT_CONFIGURED
    assert (await following.health())["trust_lists"][0]["trouble"] == ReasonCode.TRUST_LIST_EXPIRED


async def test_a_number_that_goes_back_is_refused_also_after_a_restart(following: Following) -> None:
    """The older list names somebody who was taken off since."""
    following.refresh()
    newer = replace(
        following.published().content, sequence=6, entities=(entity("Other", draw_two().certificates()[-1]),)
    )
    following.publish(Published(following.identity, newer))
    following.refresh()
    assert await following.verdict() == ReasonCode.CERTIFICATE_UNTRUSTED
    following.publish(following.published(sequence=5))
    following.refresh()
    assert await following.verdict() == ReasonCode.CERTIFICATE_UNTRUSTED
    (standing,) = (await following.health())["trust_lists"]
    assert (standing["state"], standing["sequence"]) == ("in_force", 6)
    assert standing["trouble"] == ReasonCode.TRUST_LIST_OLDER
    restarted = following.service.worker()
    restarted.state.service.tenants["leipzig"].lists.refresh()
    assert await following.verdict(app=restarted) == ReasonCode.CERTIFICATE_UNTRUSTED


async def test_a_list_that_another_signed_is_nobodys(following: Following) -> None:
    following.publish(replace(following.published(), identity=publisher(following.service.world.now)))
    following.refresh()
    assert await following.verdict() == ReasonCode.TRUST_NOT_CONFIGURED
    (standing,) = (await following.health())["trust_lists"]
    assert (standing["state"], standing["trouble"]) == ("missing", ReasonCode.TRUST_LIST_UNTRUSTED)


async def test_a_list_with_a_broken_signature_leaves_the_old_one_in_force(following: Following) -> None:
    following.refresh()
    broken = following.published(sequence=6).text()
    following.shelf.body = (broken[:-4] + ("AAAA" if broken[-4:] != "AAAA" else "BBBB")).encode()
    following.refresh()
    assert await following.verdict() is None
    (standing,) = (await following.health())["trust_lists"]
    assert (standing["sequence"], standing["trouble"]) == (5, ReasonCode.TRUST_LIST_UNTRUSTED)


async def test_a_list_that_is_gone_speaks_until_its_own_end(following: Following) -> None:
    following.refresh()
    following.publish(None)
    following.refresh(later=RETRY_SECONDS)
    assert await following.verdict() is None
    assert (await following.health())["trust_lists"][0]["trouble"] == "unreachable"
    tenant = following.service.app.state.service.tenants["leipzig"]
    assert not tenant.lists.current(now=following.published().content.next_update)


def test_the_doctor_says_how_each_list_stands(
    following: Following, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It fetches nothing: what counts is what the running service left."""
    _ = following.service.app
    settings = following.service.settings
    asked = following.shelf.asked
    assert [each.level for each in examine(settings) if following.shelf.url in each.about] == [Level.PROBLEM]
    assert following.shelf.asked == asked
    following.refresh()
    (found,) = (each for each in examine(settings) if following.shelf.url in each.about)
    assert (found.level, found.sentence[:20]) == (Level.FINE, "Number 5 is in force")
    monkeypatch.setattr(cli, "load_settings", lambda: settings)
    assert cli.run(_Arguments()) == cli.DONE  # type: ignore[arg-type]
    assert "✓ leipzig: http://127.0.0.1" in capsys.readouterr().out
    (settings.data_dir / "sealing.key").unlink()
    assert cli.run(_Arguments()) == cli.FAILED  # type: ignore[arg-type]


@dataclass
class _Arguments:
    service_command: str = "doctor"


def test_a_kept_list_that_somebody_changed_keeps_the_service_down(following: Following) -> None:
    following.refresh()
    (file,) = (following.service.settings.data_dir / "trust-lists" / "leipzig").glob("*.list")
    file.write_bytes(b"x")
    with pytest.raises(NotPrepared, match="not as it was written"):
        create_app(following.service.settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://lists.example/pid.jwt"}, "https is demanded"),
        ({"signers": []}, "signers"),
        ({"form": "xml"}, "territory"),
        ({"territory": "DE"}, "territory"),
        ({"types": {"dc+sd-jwt": ["urn:other"]}}, "nobody is trusted"),
        ({"signer_kind": "pinned_test"}, "signer_kind"),
        ({"every": 5}, "every"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_list_that_is_not_described_as_it_should_be_keeps_the_service_down(
    changes: dict[str, object], said: str, tmp_path: Path, shelf: Shelf
) -> None:
    following = Following(Service(tmp_path / "verifier"), shelf)
    good = following.described(url="https://lists.example/pid.jwt")
    following.service.write_tenant("leipzig", trust=[], trust_lists=[good])
    following.service.worker()
    following.service.write_tenant("leipzig", trust=[], trust_lists=[{**good, **changes}])
    with pytest.raises(FileInvalid, match=said):
        following.service.worker()


def test_nobody_at_all_and_the_same_list_twice_are_refused(following: Following) -> None:
    for lists, said in (([], "whom to believe"), ([following.described(), following.described()], "twice")):
        following.service.write_tenant("leipzig", trust=[], trust_lists=lists)
        with pytest.raises(FileInvalid, match=said):
            following.service.worker()


def test_a_national_list_in_xml_is_followed_by_its_own_media_type(following: Following) -> None:
    """ETSI TS 119 612; `test_trust_lists` has its content judged."""
    national = following.described(
        form="xml", territory="DE", list_type=EU_GENERIC, issuance=QEAA_ISSUANCE, revocation="none"
    )
    following.service.write_tenant("leipzig", trust=[], trust_lists=[national])
    app = following.service.worker()
    tenant = app.state.service.tenants["leipzig"]
    tenant.lists.refresh()
    (standing,) = tenant.lists.standings(now=int(time.time()))
    assert standing.trouble is not None
    assert standing.trouble.reason is ReasonCode.TRUST_LIST_MALFORMED  # what is published there is no XML
