"""Fixtures that all tests share, and the rule that CI skips nothing for its environment."""

import os
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Browser

from tests.availability import NOT_APPLICABLE, in_ci, missing
from tests.services import chromium, postgresql

RUN_FOLDER = "STADTNACHWEIS_TEST_RUN"
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder that its workers share."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN_FOLDER] = tempfile.mkdtemp(prefix="stadtnachweis-run-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what the run started."""
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(RUN_FOLDER))
        postgresql.stop_shared_server(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _failed_if_skipped(report: Report) -> Report:
    """A skip becomes a failure in CI, unless its reason says that the case, not the machine, is at fault."""
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    is_xfail = getattr(report, "wasxfail", None) is not None
    if in_ci() and report.outcome == "skipped" and not is_xfail and NOT_APPLICABLE not in reason:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at each test's outcome."""
    return _failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at modules that skip themselves."""
    return _failed_if_skipped((yield))


@pytest.fixture(scope="session")
def postgres_server() -> postgresql.Server:
    """The run's PostgreSQL server."""
    try:
        return postgresql.shared_server(Path(os.environ[RUN_FOLDER]))
    except postgresql.Unavailable as reason:
        missing(str(reason))


@pytest.fixture(scope="session")
def postgres_url(postgres_server: postgresql.Server) -> Iterator[str]:
    """A database for the tests of this worker, as `postgresql+psycopg://…`."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with postgresql.database(postgres_server, f"test_{worker}") as url:
        yield url


@pytest.fixture
def fresh_postgres_url(postgres_server: postgresql.Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database for one test alone."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    test = re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40]
    with postgresql.database(postgres_server, f"test_{worker}_{test}") as url:
        yield url


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The system's Chromium."""
    return chromium.find_chromium() or missing("no Chromium: as root, make test installs Debian's package chromium")


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A headless browser for the tests of one module; none may be a coroutine, since Playwright runs its own loop."""
    with chromium.running_browser(chromium_path) as running:
        yield running


@pytest.fixture(scope="session")
def axe_source() -> str:
    """axe-core, for `axe_findings(page, axe_source)`."""
    return chromium.read_axe()
