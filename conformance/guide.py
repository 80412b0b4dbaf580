"""The guide: where a target can't be called by a program, a page asks a person, one step after another.

The page is this machine's alone, behind an address that can't be guessed; it loads nothing but its own style and
script. While the suite works, the script looks whether there is something to do; without it, a link does.
"""

import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib import resources
from typing import Annotated, Self

import qrcode
import qrcode.image.svg
import uvicorn
import yaml
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from qrcode.exceptions import DataOverflowError

from conformance.check import NotApplicable

LANGUAGES = ("en", "de")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root{color-scheme:light dark}body{font:18px/1.5 system-ui,sans-serif;max-width:44rem;margin:0 auto;padding:1rem}
textarea{width:100%;min-height:6rem;font:inherit;box-sizing:border-box}
button{font:inherit;padding:.6rem 1.2rem;margin:.6rem .6rem 0 0}:focus-visible{outline:3px solid #1a73e8}
code{overflow-wrap:anywhere}svg{max-width:16rem;background:#fff}
html{background:#fff;color:#1b1b1b}a{color:#0b57d0}
@media (prefers-color-scheme:dark){html{background:#121212;color:#eee}a{color:#8ab4f8}}
"""
_SCRIPT = """
const at = document.body.dataset;
setInterval(async () => {
  const answer = await fetch(at.state);
  if (answer.ok && (await answer.text()) !== at.step) location.reload();
}, 1000);
"""
DONE, REFUSED = "done", "refused"


@dataclass
class _Step:
    """What a person is asked. link: what is to be opened; without one a link is to be brought."""

    what: str
    wish: Mapping[str, str]
    link: str | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(8))
    answer: str | None = None
    is_answered: threading.Event = field(default_factory=threading.Event)


@dataclass
class Guide:
    """The page and who waits for it. seconds: how long a person may take for a step."""

    seconds: float = 900
    port: int = 0
    said: str = ""
    step: _Step | None = None
    is_over: bool = False

    def __post_init__(self) -> None:
        self.secret, self.csrf = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/{self.secret}"
        self._server = uvicorn.Server(uvicorn.Config(self.app(), log_level="error", access_log=False))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)

    def __enter__(self) -> Self:
        """Serve the page."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        return self

    def __exit__(self, *exception: object) -> None:
        """Say that it is over, and end."""
        self.is_over = True
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    # what the suite asks

    def ask(self, what: str, wish: Mapping[str, str]) -> str:
        """A link that a person brings. what: `offer` or `question`.

        Raises:
            NotApplicable: the person skipped the step, or did not come.
        """
        return self._wait(_Step(what, wish))

    def show(self, what: str, link: str) -> bool:
        """Have a person open a link in the wallet; whether the wallet showed an error in the end.

        Raises:
            NotApplicable: as `ask`.
        """
        return self._wait(_Step(what, {}, link)) == REFUSED

    def _wait(self, step: _Step) -> str:
        self.step = step
        if not step.is_answered.wait(self.seconds):
            self.step = None
            raise NotApplicable("nobody came to do this step")
        if not step.answer:
            raise NotApplicable("the person skipped this step")
        return step.answer

    # the page

    def app(self) -> FastAPI:
        """The page's application."""
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

        @app.get("/{secret}")
        def page(secret: str, request: Request, lang: str = "") -> HTMLResponse:
            """The present step."""
            self._checked(secret)
            chosen = lang if lang in LANGUAGES else _preferred(request.headers.get("accept-language", ""))
            return HTMLResponse(self._page(chosen), headers=_HEADERS)

        @app.get("/{secret}/style.css")
        def style(secret: str) -> Response:
            """The page's style."""
            self._checked(secret)
            return Response(_STYLE, media_type="text/css", headers=_HEADERS)

        @app.get("/{secret}/wait.js")
        def script(secret: str) -> Response:
            """What looks whether there is something to do."""
            self._checked(secret)
            return Response(_SCRIPT, media_type="text/javascript", headers=_HEADERS)

        @app.get("/{secret}/state")
        def state(secret: str) -> Response:
            """Which step there is."""
            self._checked(secret)
            return Response(self._state, media_type="text/plain", headers=_HEADERS)

        @app.post("/{secret}")
        def answered(
            secret: str,
            csrf: Annotated[str, Form()],
            step: Annotated[str, Form()],
            choice: Annotated[str, Form()],
            lang: Annotated[str, Form()] = "en",
            link: Annotated[str, Form()] = "",
        ) -> RedirectResponse:
            """What the person did."""
            self._checked(secret)
            if not secrets.compare_digest(csrf, self.csrf):
                raise HTTPException(403)
            current = self.step
            if current is not None and current.id == step:
                given = link.strip() if current.link is None else choice
                current.answer = "" if choice == "skip" else given
                self.step = None  # before the page is shown again
                current.is_answered.set()
            where = lang if lang in LANGUAGES else "en"
            return RedirectResponse(f"/{self.secret}?lang={where}", 303, headers=_HEADERS)

        return app

    def _checked(self, secret: str) -> None:
        if not secrets.compare_digest(secret.encode(), self.secret.encode()):
            raise HTTPException(404)

    @property
    def _state(self) -> str:
        step = self.step
        return step.id if step is not None else "over" if self.is_over else "working"

    def _page(self, lang: str) -> str:
        texts, step, state = _texts()[lang], self.step, self._state
        others = " ".join(
            f'<a href="?lang={each}" hreflang="{each}" lang="{each}">{_texts()[each]["name"]}</a>'
            for each in LANGUAGES
            if each != lang
        )
        script = f'<script src="/{self.secret}/wait.js" defer></script>' if state == "working" else ""
        again = f'<p><a href="?lang={lang}">{escape(texts["again"])}</a></p>' if state == "working" else ""
        body = f'<p role="status">{escape(texts[state])}</p>{again}' if step is None else self._form(step, texts, lang)
        return (
            f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">{script}'
            f'<meta name="viewport" content="width=device-width"><title>{escape(texts["title"])}</title>'
            f'<link rel="stylesheet" href="/{self.secret}/style.css"></head>'
            f'<body data-state="/{self.secret}/state" data-step="{state}"><header>{others}</header><main>'
            f"<h1>{escape(texts['title'])}</h1>{body}<p>{escape(self.said)}</p></main></body></html>"
        )

    def _form(self, step: _Step, texts: Mapping[str, str], lang: str) -> str:
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{value}">'
            for name, value in (("csrf", self.csrf), ("step", step.id), ("lang", lang))
        )
        wishes = "".join(f"<li>{escape(name)}: <code>{escape(value)}</code></li>" for name, value in step.wish.items())
        if step.link is None:
            inside = (
                f'<label for="link">{escape(texts["paste"])}</label>'
                f'<textarea id="link" name="link" autofocus required spellcheck="false"></textarea>'
                f'<button name="choice" value="{DONE}">{escape(texts["go_on"])}</button>'
            )
        else:
            inside = (
                f'<p><a href="{escape(step.link)}">{escape(texts["open"])}</a></p>{_picture(step.link)}'
                f'<button name="choice" value="{DONE}">{escape(texts["agreed"])}</button>'
                f'<button name="choice" value="{REFUSED}">{escape(texts["refused"])}</button>'
            )
        skip = f'<button name="choice" value="skip" formnovalidate>{escape(texts["skip"])}</button>'
        return (
            f"<h2>{escape(texts[step.what])}</h2><ul>{wishes}</ul>"
            f'<form method="post" action="/{self.secret}">{hidden}{inside}{skip}</form>'
        )


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    loaded: Mapping[str, Mapping[str, str]] = yaml.safe_load(
        (resources.files("conformance") / "guide_texts.yaml").read_text(encoding="utf-8")
    )
    return loaded


def _preferred(accepted: str) -> str:
    """The first language of a browser's list that there is; q-values are as good as always in order."""
    for each in accepted.lower().split(","):
        if each.strip()[:2] in LANGUAGES:
            return each.strip()[:2]
    return LANGUAGES[0]


def _picture(link: str) -> str:
    """The link as a QR code; none where it is too long for one."""
    try:
        image = qrcode.make(link, image_factory=qrcode.image.svg.SvgPathImage, border=2)
    except (ValueError, DataOverflowError):
        return ""
    return str(image.to_string(encoding="unicode"))
