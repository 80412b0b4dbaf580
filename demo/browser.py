"""A browser without scripts: opens pages, fills in their forms, keeps cookies. It plays the person in the story."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from demo.servers import DemoFailed


@dataclass
class Page:
    """A page that was opened."""

    url: str
    status: int
    html: str
    ids: dict[str, str] = field(default_factory=dict)  # id → text
    links: dict[str, str] = field(default_factory=dict)  # id → address
    action: str | None = None
    hidden: dict[str, str] = field(default_factory=dict)

    def text(self, element_id: str) -> str:
        """The text of an element.

        Raises:
            DemoFailed: the page does not have it.
        """
        if element_id not in self.ids:
            raise DemoFailed(f"{self.url} shows no {element_id} (status {self.status})")
        return " ".join(self.ids[element_id].split())


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._open: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._page.action = urljoin(self._page.url, given.get("action") or "")
        if tag == "input" and given.get("type") == "hidden":
            self._page.hidden[given.get("name") or ""] = given.get("value") or ""
        element_id = given.get("id")
        if element_id:
            self._page.ids.setdefault(element_id, "")
            if tag == "a":
                self._page.links[element_id] = urljoin(self._page.url, given.get("href") or "")
        if tag not in ("input", "img", "meta", "link", "br", "hr"):
            self._open.append((tag, element_id))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, element_id in self._open:
            if element_id:
                self._page.ids[element_id] += data


class Browser:
    """One browser with its cookies."""

    def __init__(self) -> None:
        self._client = httpx.Client(timeout=15, follow_redirects=False, headers={"Accept-Language": "de"})

    def open(self, url: str, *, stop_at: str | None = None) -> Page:
        """Open an address and follow redirects; an address that begins with `stop_at` is not opened, only returned."""
        return self._arrived(self._client.get(url), stop_at)

    def submit(self, page: Page, fields: Mapping[str, str], *, stop_at: str | None = None) -> Page:
        """Fill in the form of a page and send it."""
        if page.action is None:
            raise DemoFailed(f"{page.url} has no form (status {page.status})")
        return self._arrived(self._client.post(page.action, data={**page.hidden, **fields}), stop_at)

    def _arrived(self, response: httpx.Response, stop_at: str | None) -> Page:
        for _ in range(10):
            if not response.is_redirect:
                page = Page(str(response.url), response.status_code, response.text)
                _Reader(page).feed(response.text)
                return page
            target = urljoin(str(response.url), response.headers["location"])
            if stop_at is not None and target.startswith(stop_at):
                return Page(target, response.status_code, "")
            response = self._client.get(target)
        raise DemoFailed(f"{response.url} redirects without end")
