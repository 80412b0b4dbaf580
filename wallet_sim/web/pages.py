"""How the wallet's pages look: templates, texts in German and English, strict headers; nothing inline."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from urllib.parse import urlencode

import yaml
from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from wallet_sim.web.refusals import Refused

LANGUAGES = {"de": "Deutsch", "en": "English"}
CSRF_COOKIE = "wallet-csrf"
_LANGUAGE_COOKIE = "wallet-language"
_ENVIRONMENT = Environment(
    loader=PackageLoader("wallet_sim.web"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; manifest-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action "
)


@dataclass(frozen=True, slots=True)
class Shown:
    """For whom a page is rendered. locale: de or en. here: its address up to the language, for the other one's link.

    csrf_token: also in the browser's cookie; a form without it is refused. is_new: whether the cookie must be set.
    is_chosen: whether the language was clicked on. is_encrypted: whether it came by https.
    """

    locale: str
    here: str
    csrf_token: str
    is_new: bool
    is_chosen: bool
    is_encrypted: bool


def shown_of(request: Request) -> Shown:
    """The language that was clicked on, else the one chosen earlier, else the browser's first that we speak."""
    asked = request.query_params.get("lang") or ""
    locale = asked if asked in LANGUAGES else request.cookies.get(_LANGUAGE_COOKIE, "")
    if locale not in LANGUAGES:
        locale = _preferred(request.headers.get("accept-language", ""))
    known = request.cookies.get(CSRF_COOKIE, "")
    token = known or secrets.token_urlsafe(24)
    others = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "lang"])
    here = f"{request.url.path}?{others}&" if others else f"{request.url.path}?"
    return Shown(locale, here, token, not known, asked in LANGUAGES, request.url.scheme == "https")


def render(
    template: str,
    shown: Shown,
    *,
    status: int = 200,
    form_targets: Sequence[str] = (),
    languages: bool = True,
    refresh: int | None = None,
    values: Mapping[str, object] | None = None,
) -> HTMLResponse:
    """A page. form_targets: origins where its forms may lead in the end. languages: whether it can be fetched again.

    refresh: seconds after which the browser looks again.
    """
    body = _ENVIRONMENT.get_template(template).render(
        text=texts(shown.locale),
        locale=shown.locale,
        csrf_token=shown.csrf_token,
        plain_words=lambda path: plain_words(path, shown.locale),
        languages=[(code, name, f"{shown.here}lang={code}") for code, name in LANGUAGES.items()] if languages else [],
        **(values or {}),
    )
    headers = {
        "Content-Security-Policy": _POLICY + " ".join(("'self'", *form_targets)),
        "Content-Language": shown.locale,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    }
    if refresh is not None:
        headers["Refresh"] = str(refresh)
    response = HTMLResponse(body, status, headers)
    if shown.is_new:
        response.set_cookie(CSRF_COOKIE, shown.csrf_token, httponly=True, samesite="strict", secure=shown.is_encrypted)
    if shown.is_chosen:
        response.set_cookie(_LANGUAGE_COOKIE, shown.locale, httponly=True, samesite="lax")
    return response


def answer_page(shown: Shown, outcome: str, credentials: Sequence[str]) -> HTMLResponse:
    """It is done. outcome: presented or collected."""
    return render("done.html", shown, languages=False, values={"outcome": outcome, "credentials": list(credentials)})


def error_page(shown: Shown, refused: Refused, *, status: int, back: str | None = None) -> HTMLResponse:
    """What was refused and why."""
    return render("error.html", shown, status=status, languages=False, values={"refused": refused, "back": back})


@lru_cache
def texts(locale: str) -> Mapping[str, str]:
    """The catalogue of one language."""
    source = resources.files("wallet_sim.web") / "texts" / f"{locale}.yaml"
    found: dict[str, str] = yaml.safe_load(source.read_text(encoding="utf-8"))
    return found


def plain_words(path: str, locale: str) -> str:
    """What people call a member of transaction data: each step of its path that the catalogue knows, in their words."""
    known = texts(locale)
    return " – ".join(known.get(f"member_{step}", step) for step in path.split("/"))


def asset(name: str) -> bytes:
    """A file that pages load."""
    return (resources.files("wallet_sim.web") / "assets" / name).read_bytes()


def _preferred(accept_language: str) -> str:
    for part in accept_language.split(","):
        language = part.split(";")[0].strip().split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return "en"
