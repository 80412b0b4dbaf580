"""Behind a real nginx, set up as in deploy/, and in front of each hop that may lie about who asked."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from issuer.app import create_app
from issuer.http.proxies import TrustedProxies
from issuer.http.tls import TlsFiles, development_tls
from issuer.settings import SettingsError, load_settings
from tests.availability import missing
from tests.issuer.http.test_tls import V1_2, V1_3, Listener, client
from tests.issuer.test_cli import free_port
from tests.issuer.wallet_api.world import Wallet, build_world
from tests.services.nginx import find_nginx, running_nginx

SITE = Path(__file__).parents[3] / "deploy" / "nginx" / "stadtnachweis.conf"
PRIVATE = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


async def probe(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what a router would see."""
    request = Request(scope)
    seen = {
        "client": None if request.client is None else request.client.host,
        "url": str(request.url),
        "headers": sorted(name for name in request.headers if "forward" in name or name == "x-real-ip"),
    }
    await JSONResponse(seen)(scope, receive, send)


async def seen(headers: list[tuple[str, str]], *, peer: str, https: bool = True) -> httpx.Response:
    """The probe's answer to a request from an address."""
    app = TrustedProxies(probe, networks=PRIVATE, https=https)
    transport = httpx.ASGITransport(app, client=(peer, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://inner:8701") as http:
        return await http.get("/where", headers=headers)


STATED = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "nachweis.example.org"),
    ("Forwarded", "for=203.0.113.8;proto=https"),
    ("X-Real-IP", "203.0.113.8"),
]


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.9.8.7", "::ffff:10.1.1.1", "fd00::1"])
async def test_what_a_trusted_proxy_says_holds(peer: str) -> None:
    answer = await seen(STATED, peer=peer)
    assert answer.json() == {"client": "203.0.113.9", "url": "https://nachweis.example.org/where", "headers": []}


@pytest.mark.parametrize("peer", ["203.0.113.1", "2001:db8::1", "11.0.0.1"])
async def test_what_anybody_else_says_is_not_even_seen(peer: str) -> None:
    answer = await seen(STATED, peer=peer)
    assert answer.json() == {"client": peer, "url": "http://inner:8701/where", "headers": []}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),  # a client's own word before the proxy's
        (["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),  # two proxies of ours
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["2001:db8::7"], "2001:db8::7"),
        (["10.0.0.3"], "10.0.0.3"),  # from inside
        (["203.0.113.9, unknown"], "10.0.0.1"),
        (["203.0.113.9, "], "10.0.0.1"),
        (["203.0.113.9, <script>, 10.0.0.2"], "10.0.0.2"),
    ],
)
async def test_the_client_is_the_nearest_address_that_is_no_proxy_of_ours(values: list[str], expected: str) -> None:
    answer = await seen([("X-Forwarded-For", value) for value in values], peer="10.0.0.1")
    assert answer.json()["client"] == expected


@pytest.mark.parametrize(
    ("proto", "https", "status"),
    [
        ("https", True, 200),
        ("HTTPS", True, 200),
        ("http", True, 400),
        ("https, http", True, 400),
        ("ftp", True, 400),
        ("http", False, 200),
        ("gopher", False, 400),
    ],
)
async def test_what_reached_the_proxy_by_plain_http_is_refused_where_https_is_public(
    proto: str, https: bool, status: int
) -> None:
    answer = await seen([("X-Forwarded-Proto", proto)], peer="10.0.0.1", https=https)
    assert answer.status_code == status


@pytest.mark.parametrize("value", ["nginx", "10.0.0.1/8", "127.0.0.1;10.0.0.1", "*"])
def test_a_proxy_that_is_no_address_is_an_error_of_the_settings(value: str) -> None:
    with pytest.raises(SettingsError, match="ISSUER_TRUSTED_PROXIES"):
        load_settings({"ISSUER_PUBLIC_URL": "https://issuer.example", "ISSUER_TRUSTED_PROXIES": value})


async def test_no_answer_sends_a_client_to_a_host_that_it_named_itself(tmp_path: Path) -> None:
    world = await build_world(tmp_path, public_url="http://127.0.0.1:8701")
    app = create_app(world.settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://evil.example") as http:
        for path in ("/t/leipzig/status/", "/healthz/", "/.well-known/openid-credential-issuer/t/leipzig/"):
            answer = await http.get(path, headers={"X-Forwarded-Host": "evil.example"})
            assert answer.status_code == 404
            assert "location" not in answer.headers
        metadata = await http.get("/.well-known/openid-credential-issuer/t/leipzig")
        assert "evil" not in metadata.text
    await app.state.service.store.close()


@dataclass(frozen=True)
class Proxy:
    """Nginx in front of somebody."""

    url: str
    port: int
    tls: TlsFiles

    @property
    def trusting(self) -> ssl.SSLContext:
        """A client's context that knows the development CA."""
        return client(V1_2, V1_3, authority=self.tls.certificate.with_name("ca.crt.pem"))


@contextmanager
def proxied(folder: Path, *, port: int, inner: int) -> Iterator[Proxy]:
    """The site of deploy/ on a port of this machine, in front of another port."""
    executable = find_nginx() or missing("no nginx: as root, make test installs Debian's package nginx")
    folder.mkdir()
    tls = development_tls(folder, host="localhost", now=int(time.time()))
    site = SITE.read_text(encoding="utf-8")
    for of_site, of_test in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("http://127.0.0.1:8701;", f"http://127.0.0.1:{inner};"),
        ("/etc/letsencrypt/live/nachweis.example.org/fullchain.pem", str(tls.certificate)),
        ("/etc/letsencrypt/live/nachweis.example.org/privkey.pem", str(tls.key)),
        ("nachweis.example.org", "localhost"),
    ):
        assert of_site in site
        site = site.replace(of_site, of_test)
    with running_nginx(executable, folder, site=site, port=port):
        yield Proxy(f"https://localhost:{port}", port, tls)


@contextmanager
def served(app: object, *, port: int) -> Iterator[None]:
    """An application on a port, as `issuer serve` runs it."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_level="warning", proxy_headers=False, http="h11", ws="none")  # type: ignore[arg-type]
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield
    server.should_exit = True
    thread.join()


def test_through_a_real_proxy_its_word_holds_and_the_clients_does_not(tmp_path: Path) -> None:
    inner = free_port()
    app = TrustedProxies(probe, networks=[ip_network("127.0.0.1")], https=True)
    with served(app, port=inner), proxied(tmp_path / "nginx", port=free_port(), inner=inner) as proxy:
        with httpx.Client(verify=proxy.trusting) as http:
            lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}
            answer = http.get(f"{proxy.url}/where", headers=lies)
        assert answer.json() == {"client": "127.0.0.1", "url": f"{proxy.url}/where", "headers": []}
        assert Listener(proxy.port).handshake(proxy.trusting)[0] == "TLSv1.3"
        for suite in ("ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256"):
            with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
                Listener(proxy.port).handshake(client(V1_2, V1_2, f"{suite}:@SECLEVEL=0"))


async def test_a_wallet_collects_through_a_real_proxy(tmp_path: Path) -> None:
    """Attestation, DPoP and key proofs name the public address, although the issuer itself hears plain http."""
    inner, port = free_port(), free_port()
    world = await build_world(tmp_path, public_url=f"https://localhost:{port}")
    settings = world.settings.model_copy(update={"trusted_proxies": "127.0.0.1"})
    with served(create_app(settings), port=inner), proxied(tmp_path / "nginx", port=port, inner=inner) as proxy:
        async with httpx.AsyncClient(verify=proxy.trusting, timeout=30) as http:
            wallet = Wallet(http, world.issuer_url(), world.provider)
            token = await wallet.access_token(world)
            issued = await wallet.credential(token, await wallet.request_body(copies=3))
            assert issued.status_code == 200, issued.text
            assert len(issued.json()["credentials"]) == 3
        async with httpx.AsyncClient() as http:
            direct = await http.get(
                f"http://127.0.0.1:{inner}/.well-known/openid-credential-issuer/t/leipzig",
                headers={"X-Forwarded-Proto": "http"},
            )
            assert (direct.status_code, direct.json()["error_description"]) == (400, "https required")
