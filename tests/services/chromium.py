"""Headless Chromium from the system, driven through Playwright; it calls nobody but the pages under test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from playwright.sync_api import Browser, Error, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """The path of the system's Chromium, if there is one."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def running_browser(executable: str) -> Iterator[Browser]:
    """A browser with a fresh profile, closed at the end."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=list(FLAGS), timeout=60_000)
        try:
            yield browser
        finally:
            browser.close()


def read_axe() -> str:
    """The source of axe-core, as the package axe-playwright-python brings it."""
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


_RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
_TRIES = 5


def _violations(page: Page, axe_source: str, *, tries: int = _TRIES) -> list[dict[str, Any]]:
    try:
        page.evaluate(axe_source)
        found: list[dict[str, Any]] = page.evaluate(_RUN)
    except Error as error:
        if "context was destroyed" not in str(error) or tries == 1:
            raise
        page.wait_for_load_state()  # a page that waits loads anew now and then
        return _violations(page, axe_source, tries=tries - 1)
    return found


def axe_findings(page: Page, axe_source: str) -> list[str]:
    """What axe-core finds wrong on the page as it stands: `rule: sentence (elements)`; empty is good.

    The script is evaluated by the debugger, so that a page's strict Content-Security-Policy stays as it is.
    """
    violations = _violations(page, axe_source)
    return [
        f"{each['id']}: {each['help']} ({'; '.join(' '.join(map(str, node['target'])) for node in each['nodes'])})"
        for each in violations
    ]
