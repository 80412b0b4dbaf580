"""The example portals, each behind a real port: a browser asks, the simulated wallet answers, the page shows it."""

import re
import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from socketserver import ThreadingMixIn
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
import httpx
import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.urls import clear_url_caches

from demo.portals import django_portal, fastapi_portal, flask_portal
from specs.trust.x509 import TrustAnchor
from tests.wallet_sim.city import ACCEPTING, City, procedures, relying_party, running_city, verifier_at
from tests.wallet_sim.serving import served
from verifier import ResponseMode, Verifier
from wallet_sim.wallet import Wallet

HOSTS = ["localhost"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing is written while tests run."""


@contextmanager
def _wsgi(make: Callable[[str], Any]) -> Iterator[str]:
    """A WSGI application behind a port, built for its own address."""
    applications: list[Any] = []
    server = make_server(
        "127.0.0.1", 0, lambda *call: applications[0](*call), server_class=_Server, handler_class=_Quiet
    )
    url = f"http://127.0.0.1:{server.server_port}"
    applications.append(make(url))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


def _django(verifier: Verifier) -> WSGIHandler:
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=HOSTS, SECRET_KEY=secrets.token_hex())
        django.setup()
    settings.ALLOWED_HOSTS = HOSTS
    urls = ModuleType(f"urls_{secrets.token_hex(8)}")
    urls.urlpatterns = django_portal.portal_urls(verifier, "sd-jwt", secure=False)  # type: ignore[attr-defined]  # made here
    sys.modules[urls.__name__] = urls
    settings.ROOT_URLCONF = urls.__name__
    clear_url_caches()
    return WSGIHandler()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, Path]]:
    """An issuer, and the file of a wallet that collected from it."""
    path = tmp_path_factory.mktemp("wallet") / "wallet.db"
    with running_city(tmp_path_factory.mktemp("city"), Wallet(path).provider.anchor_pem()) as running:
        link, _ = running.offer()
        running.wallet(path).collect(link, holder=ACCEPTING)
        yield running, path


def _verifier(city: City, url: str, anchors: list[TrustAnchor]) -> Verifier:
    asker, anchor = relying_party()
    anchors.append(anchor)
    url = url.replace("127.0.0.1", "localhost")  # a name that an access certificate can carry
    asked = procedures(mode=ResponseMode.DIRECT_POST_JWT, return_url=f"{url}/return")
    return verifier_at(city, f"{url}/wallet", relying_party=asker, procedures=asked)


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
def test_a_portal_shows_what_the_wallet_answered(city: tuple[City, Path], framework: str, tmp_path: Path) -> None:
    issuer, filled = city
    anchors: list[TrustAnchor] = []
    serving = {
        "fastapi": lambda: served(
            lambda url: fastapi_portal.create_portal(_verifier(issuer, url, anchors), "sd-jwt", secure=False)
        ),
        "flask": lambda: _wsgi(
            lambda url: flask_portal.create_portal(_verifier(issuer, url, anchors), "sd-jwt", secure=False)
        ),
        "django": lambda: _wsgi(lambda url: _django(_verifier(issuer, url, anchors))),
    }
    shutil.copy(filled, tmp_path / "wallet.db")
    with serving[framework]() as url, httpx.Client(base_url=url.replace("127.0.0.1", "localhost")) as browser:
        found = re.search(r'id="wallet" href="([^"]+)"', browser.get("/").text)
        assert found is not None
        wallet = issuer.wallet(tmp_path / "wallet.db", verifier_anchors=tuple(anchors))
        presented = wallet.present(unescape(found[1]), consent=lambda _question: True)
        assert presented.redirect_uri is not None
        page = browser.get(presented.redirect_uri)
    assert page.status_code == 200
    assert "<li>given_name: Mila</li>" in page.text
