"""Pages of the city service: templates, texts in each language, and the headers that keep strangers out."""

from collections.abc import Mapping
from importlib.resources import files

import yaml
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

LANGUAGES: Mapping[str, str] = {"de": "Deutsch", "en": "English"}

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Pages:
    """Renders a template in the reader's language."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("demo.city"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self.texts = {
            language: yaml.safe_load(files("demo.city").joinpath(f"texts/{language}.yaml").read_text(encoding="utf-8"))
            for language in LANGUAGES
        }

    def render(
        self, request: Request, template: str, *, status: int = 200, title: str, **values: object
    ) -> HTMLResponse:
        """A page. title: key of its title among the texts of the template's section."""
        language = language_of(request)
        text = self.texts[language]
        links = [
            {
                "code": code,
                "name": name,
                "href": str(request.url.include_query_params(lang=code).replace(scheme="", netloc="")),
            }
            for code, name in LANGUAGES.items()
        ]
        page = self._templates.get_template(template).render(
            text=text, language=language, links=links, title=title, **values
        )
        return HTMLResponse(page, status_code=status)


def language_of(request: Request) -> str:
    """The language asked for: by the link, the cookie that the link set, the browser; else German."""
    for wanted in (request.query_params.get("lang"), request.cookies.get("lang")):
        if wanted in LANGUAGES:
            return str(wanted)
    preferred = request.headers.get("accept-language", "de").split(",")[0].partition("-")[0].strip().lower()
    return preferred if preferred in LANGUAGES else "de"
