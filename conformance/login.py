"""The person at an authorization server's pages: fills in plain forms, and presses the button that a check wants."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

from conformance.exchange import FORM, Answer, Caller, NoAnswer

MAX_PAGES = 20


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in. agree, refuse: ids or values of the buttons that consent and that refuse, the preferred ones first;
    without one of them on a page its first button is pressed (to agree), or none (to refuse)."""

    username: str
    password: str
    agree: tuple[str, ...] = ("approve", "login")
    refuse: tuple[str, ...] = ("deny", "cancel")


@dataclass(frozen=True, slots=True)
class Arrived:
    """Where a browser ended: at the wallet's address (`url`), or on a page that leads nowhere."""

    url: str | None
    page: Answer | None

    @property
    def described(self) -> str:
        """For reports."""
        return (
            "a redirect to the wallet"
            if self.url is not None
            else f"a page with status {self.page.status if self.page else '?'}"
        )


@dataclass
class Browser:
    """One browser without memory of others. redirect_uri: where it stops."""

    caller: Caller
    redirect_uri: str
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def open(self, url: str, login: Login | None, *, refuse: bool = False, pages: int = MAX_PAGES) -> Arrived:
        """Open an address and go on until the wallet's own, or a page without a form. login: None looks only at the
        first page. pages: stop after so many forms were sent.

        Raises:
            NoAnswer: a server can't be reached, or leads round in circles.
        """
        answer, sent = self._sent("GET", url), 0
        for _ in range(MAX_PAGES):
            location = answer.headers.get("location")
            if 300 <= answer.status < 400 and location is not None:
                url = urljoin(url, location)
                if url.partition("?")[0] == self.redirect_uri.partition("?")[0]:
                    return Arrived(url, None)
                answer = self._sent("GET", url)
                continue
            form = first_form(answer.body.decode("utf-8", "replace")) if answer.status == 200 else None
            if form is None or login is None or sent >= pages:
                return Arrived(None, answer)
            target = urljoin(url, form.action)
            if urlsplit(target).netloc != urlsplit(url).netloc:
                return Arrived(None, answer)
            filled = form.filled(login, refuse=refuse)
            if filled is None:
                return Arrived(None, answer)
            url, sent = target, sent + 1
            answer = self._sent("POST", url, filled)
        raise NoAnswer("the login leads through too many pages")

    def _sent(self, method: str, url: str, form: dict[str, str] | None = None) -> Answer:
        headers: list[tuple[str, str]] = [("Accept", "text/html")]
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if cookie:
            headers.append(("Cookie", cookie))
        body = None
        if form is not None:
            headers += [("Content-Type", FORM), ("Origin", "{0.scheme}://{0.netloc}".format(urlsplit(url)))]
            body = str(httpx.QueryParams(form)).encode()
        answer = self.caller.send(method, url, headers=headers, body=body)
        for value in answer.headers.get_list("set-cookie"):
            name, _, rest = value.partition("=")
            self.cookies.set(name.strip(), rest.partition(";")[0])
        return answer


@dataclass
class Form:
    """One form of a page: where it goes, what it holds, what is to be filled in (by kind of input), its buttons."""

    action: str
    values: dict[str, str] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # id, name, value

    def filled(self, login: Login, *, refuse: bool) -> dict[str, str] | None:
        """The form as it is sent; None if there is no button for what is wanted."""
        given = {"password": login.password}
        members = self.values | {name: given.get(kind, login.username) for name, kind in self.empty.items()}
        # who wants to refuse still has to log in first
        wanted = (*login.agree, *()) if self.empty and refuse else login.refuse if refuse else login.agree
        button = self._button(wanted)
        if button is None and (not refuse or self.empty) and self.buttons:
            button = self.buttons[0]
        if button is None:
            return None if self.buttons and refuse else members
        return members | ({button[1]: button[2]} if button[1] else {})

    def _button(self, wanted: Sequence[str]) -> tuple[str, str, str] | None:
        for each in wanted:
            for button in self.buttons:
                if each in (button[0], button[2]):
                    return button
        return None


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = found.get("method", "get").lower() == "post"
            if self._inside:
                self.forms.append(Form(found.get("action", "")))
        elif self._inside and tag in ("input", "button"):
            self._member(self.forms[-1], found.get("type", "submit" if tag == "button" else "text").lower(), found)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

    @staticmethod
    def _member(form: Form, kind: str, found: dict[str, str]) -> None:
        name, value = found.get("name", ""), found.get("value", "")
        if kind in ("submit", "image"):
            form.buttons.append((found.get("id", ""), name, value))
        elif name and kind in ("hidden", "checkbox"):
            form.values[name] = value
        elif name and kind in ("text", "email", "password"):
            form.empty[name] = kind


def first_form(page: str) -> Form | None:
    """The first form of a page that is sent by POST."""
    parser = _Forms()
    parser.feed(page)
    return parser.forms[0] if parser.forms else None
