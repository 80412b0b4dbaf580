"""The tests' own services work: a database per worker and per test, a browser that axe can look through."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import psycopg
import pytest
from playwright.sync_api import Browser

from tests.services.chromium import axe_findings

PAGE = b"""<!doctype html><html lang="en"><head><title>Counter</title></head>
<body><main><h1>Counter</h1><a href="/next">Go on</a></main></body></html>"""
BROKEN = PAGE.replace(b"Go on", b"").replace(b' lang="en"', b"")


class Pages(BaseHTTPRequestHandler):
    """A good page and a broken one, both under a strict policy."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.end_headers()
        self.wfile.write(BROKEN if self.path == "/broken" else PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def driver_url(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


@pytest.mark.postgres
def test_each_worker_has_a_database_and_each_test_may_have_its_own(postgres_url: str, fresh_postgres_url: str) -> None:
    assert postgres_url != fresh_postgres_url
    for url in (postgres_url, fresh_postgres_url):
        with psycopg.connect(driver_url(url)) as connection:
            row = connection.execute("SELECT current_database(), current_setting('listen_addresses')").fetchone()
        assert row == (url.rpartition("/")[2], "127.0.0.1")


@pytest.mark.browser
def test_axe_finds_nothing_on_a_good_page_despite_its_strict_policy(
    browser: Browser, address: str, axe_source: str
) -> None:
    page = browser.new_page()
    page.goto(address)
    assert page.title() == "Counter"
    assert axe_findings(page, axe_source) == []


@pytest.mark.browser
def test_axe_finds_what_is_wrong(browser: Browser, address: str, axe_source: str) -> None:
    page = browser.new_page()
    page.goto(address + "/broken")
    assert [each.partition(":")[0] for each in axe_findings(page, axe_source)] == ["html-has-lang", "link-name"]
