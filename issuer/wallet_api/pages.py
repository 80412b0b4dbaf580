"""The pages that a citizen meets on the way to a credential: login, consent, errors; German and English, no script."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import urlsplit

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

Texts: TypeAlias = "Mapping[str, str | Texts]"

LANGUAGES = {"de": "Deutsch", "en": "English"}
_ENVIRONMENT = Environment(
    loader=PackageLoader("issuer.wallet_api"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_SOURCE = re.compile(r"[a-z][a-z0-9+.-]*:(//[A-Za-z0-9.\[\]:-]+)?")


@dataclass(frozen=True, slots=True)
class Page:
    """What every page of a tenant shares.

    here: path of this page, for the links to its other language; none if the page can't be fetched again.
    """

    tenant_path: str
    issuer_name: str
    locale: str
    here: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentCredential:
    """One credential on the consent page, and the names of its claims in the reader's language."""

    name: str
    claims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoginWays:
    """How people can log in on this page."""

    password: bool
    openid: bool
    pid: bool


def login_page(
    page: Page, *, action: str, csrf_token: str, targets: tuple[str, ...], ways: LoginWays, failed: bool
) -> HTMLResponse:
    """The login form; `failed` says that the last try was wrong. targets: where its answer may lead."""
    return _render(
        "login.html",
        page,
        status=401 if failed else 200,
        form_targets=targets,
        values={
            "action": action,
            "csrf_token": csrf_token,
            "failed": failed,
            "password": ways.password,
            "openid": ways.openid,
            "pid": ways.pid,
        },
    )


def pid_page(page: Page, *, link: str, picture: str, here: str) -> HTMLResponse:
    """Where a person shows a PID: the wallet's link, the picture for another device, and this page again."""
    return _render(
        "pid.html", page, status=200, form_targets=(), values={"link": link, "picture": picture, "again": here}
    )


def consent_page(
    page: Page,
    *,
    action: str,
    csrf_token: str,
    redirect_uri: str,
    wallet: str,
    credentials: Sequence[ConsentCredential],
) -> HTMLResponse:
    """What is about to go into which wallet, claim by claim, with a yes and a no (OpenID4VCI §15.1)."""
    return _render(
        "consent.html",
        page,
        status=200,
        form_targets=(redirect_uri,),
        values={"action": action, "csrf_token": csrf_token, "wallet": wallet, "credentials": tuple(credentials)},
    )


def error_page(page: Page, *, code: str, status: int) -> HTMLResponse:
    """What happened, what it means, what to do next. code: a key of the catalogue's `messages`."""
    messages = texts(page.locale)["messages"]
    if isinstance(messages, str):
        raise TypeError("messages must be a table of texts")
    return _render("error.html", page, status=status, form_targets=(), values={"code": code, "message": messages[code]})


def stylesheet() -> bytes:
    """The one stylesheet of these pages."""
    return (resources.files("issuer.wallet_api") / "assets" / "pages.css").read_bytes()


@lru_cache
def texts(locale: str) -> Texts:
    """The catalogue of one language."""
    source = resources.files("issuer.wallet_api") / "texts" / f"{locale}.yaml"
    return _frozen(yaml.safe_load(source.read_text(encoding="utf-8")))


def choose_locale(*, asked: str | None, accept_language: str | None, default: str) -> str:
    """The language of a page: the one clicked on, else the browser's first that we speak, else the tenant's."""
    if asked in LANGUAGES:
        return asked
    for part in (accept_language or "").split(","):
        language = part.split(";")[0].strip().split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return default if default in LANGUAGES else "en"


def _render(
    template: str,
    page: Page,
    *,
    status: int,
    form_targets: tuple[str, ...],
    values: "Mapping[str, str | bool | Texts | tuple[ConsentCredential, ...]]",
) -> HTMLResponse:
    languages = (
        ()
        if page.here is None
        else tuple({"code": code, "name": name, "href": f"{page.here}?lang={code}"} for code, name in LANGUAGES.items())
    )
    body = _ENVIRONMENT.get_template(template).render(
        text=texts(page.locale),
        locale=page.locale,
        issuer_name=page.issuer_name,
        stylesheet=f"{page.tenant_path}/pages.css",
        languages=languages,
        **values,
    )
    return HTMLResponse(body, status_code=status, headers=_headers(page.locale, form_targets))


def _headers(locale: str, form_targets: tuple[str, ...]) -> dict[str, str]:
    # browsers hold form-action against the redirect that follows a form as well, so the wallet's address is named
    targets = " ".join(("'self'", *(source for target in form_targets if (source := _csp_source(target)))))
    policy = (
        f"default-src 'none'; style-src 'self'; form-action {targets}; "
        "frame-ancestors 'none'; base-uri 'none'; img-src 'self'"
    )
    return {
        "Content-Security-Policy": policy,
        "Content-Language": locale,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


def _csp_source(redirect_uri: str) -> str:
    """What names a redirect address in a policy: origin for http(s), scheme for an app's own."""
    parts = urlsplit(redirect_uri)
    source = f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"
    return source if _SOURCE.fullmatch(source) else ""


def _frozen(value: object) -> Texts:
    if not isinstance(value, dict):
        raise TypeError("a catalogue of texts is a table")
    return MappingProxyType(
        {str(name): text if isinstance(text, str) else _frozen(text) for name, text in value.items()}
    )
