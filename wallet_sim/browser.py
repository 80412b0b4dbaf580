"""Browsers for the login at an authorization server: the person's own, or one that fills in plain forms by itself.

Each is called with the address to open and returns the address that the browser was sent to in the end.
"""

import http.server
import secrets
import threading
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from specs.protocols.oauth_metadata import check_url
from wallet_sim.collect import REDIRECT_URI
from wallet_sim.transport import TIMEOUT_SECONDS, WalletFailure

MAX_PAGES = 20
LOGIN_SECONDS = 300
_DONE = b"<!doctype html><html lang=en><meta charset=utf-8><title>Wallet</title><p>Go back to the wallet."


class FormBrowser:
    """Logs in and agrees on plain pages: fills in name and password, and takes each page's first button.

    redirect_uri: where it stops. client: keeps the cookies.
    """

    def __init__(
        self,
        *,
        username: str,
        password: str,
        redirect_uri: str = REDIRECT_URI,
        allow_loopback_http: bool = False,
        client: httpx.Client | None = None,
    ) -> None:
        self._fields = {"text": username, "email": username, "password": password}
        self._redirect_uri = redirect_uri
        self._allow_loopback_http = allow_loopback_http
        self._client = client or httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)

    def __call__(self, url: str) -> str:
        """Open an address and go on until the wallet's own is reached.

        Raises:
            WalletFailure: a page refuses, has no form, or there are too many.
        """
        host = urlsplit(url).netloc
        answer = self._sent("GET", url)
        for _ in range(MAX_PAGES):
            location = answer.headers.get("location")
            if answer.is_redirect and location is not None:
                url = urljoin(url, location)
                if url.partition("?")[0] == self._redirect_uri:
                    return url
                answer = self._sent("GET", url)
            elif answer.status_code == 200 and (form := _first_form(answer.text)) is not None:
                url = urljoin(url, form.action)
                if urlsplit(url).netloc != host:
                    raise WalletFailure("the login leads to another host, which gets no password from here")
                answer = self._sent("POST", url, form.filled(self._fields))
            else:
                raise WalletFailure(f"the login was refused with status {answer.status_code}")
        raise WalletFailure("the login leads through too many pages")

    def _sent(self, method: str, url: str, form: dict[str, str] | None = None) -> httpx.Response:
        check_url(url, allow_loopback_http=self._allow_loopback_http)
        try:
            return self._client.request(method, url, data=form)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WalletFailure(f"the login can't be reached ({type(error).__name__})") from error


class LoopbackBrowser:
    """The person's own browser, which comes back to a port of this machine while this is open (RFC 8252 §7.3).

    show: tells the person which address to open. seconds: how long to wait.
    """

    def __init__(self, *, show: Callable[[str], None], seconds: float = LOGIN_SECONDS) -> None:
        self._show = show
        self._seconds = seconds
        self._path = f"/{secrets.token_urlsafe(16)}"
        self._arrived: list[str] = []
        self._done = threading.Event()
        self._server = http.server.HTTPServer(("127.0.0.1", 0), self._handler())

    def __enter__(self) -> Self:
        """Listen already."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Give the port back."""
        self._server.server_close()

    @property
    def redirect_uri(self) -> str:
        """Where the browser comes back to."""
        return f"http://127.0.0.1:{self._server.server_port}{self._path}"

    def __call__(self, url: str) -> str:
        """Show an address and wait until the browser is back.

        Raises:
            WalletFailure: nobody came.
        """
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            self._show(url)
            if not self._done.wait(self._seconds):
                raise WalletFailure("the browser did not come back in time")
        finally:
            self._server.shutdown()
            thread.join()
        return self._arrived[0]

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        browser = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_ours = self.path.partition("?")[0] == browser._path
                self.send_response(200 if is_ours else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                if is_ours:
                    self.wfile.write(_DONE)
                    browser._arrived.append(f"{browser.redirect_uri}{self.path[len(browser._path) :]}")
                    browser._done.set()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: addresses hold codes."""

        return Handler


class _Form:
    """One form of a page: where it goes, what it holds, and what is to be filled in (by kind of input)."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.values: dict[str, str] = {}
        self.open: dict[str, str] = {}
        self.has_button = False

    def filled(self, fields: dict[str, str]) -> dict[str, str]:
        return self.values | {name: fields[kind] for name, kind in self.open.items()}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = found.get("method", "get").lower() == "post"
            if self._inside:
                self.forms.append(_Form(found.get("action", "")))
        elif self._inside and "name" in found and tag in ("input", "button"):
            self._member(self.forms[-1], tag, found)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

    def _member(self, form: _Form, tag: str, found: dict[str, str]) -> None:
        kind = found.get("type", "submit" if tag == "button" else "text").lower()
        if kind == "hidden":
            form.values[found["name"]] = found.get("value", "")
        elif kind in ("text", "email", "password"):
            form.open[found["name"]] = kind
        elif kind == "submit" and not form.has_button:
            form.has_button = True
            form.values[found["name"]] = found.get("value", "")


def _first_form(page: str) -> _Form | None:
    parser = _Forms()
    parser.feed(page)
    return parser.forms[0] if parser.forms else None
