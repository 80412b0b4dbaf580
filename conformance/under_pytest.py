"""A run as a pytest session: each check is an item, so that selection, JUnit XML and exit status are pytest's own."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.check import Check, Outcome, Recorded, Result, tried
from conformance.run import Report, report_of

_QUIET = (
    "--disable-plugin-autoload",
    "-s",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:terminal",
    "-p",
    "no:warnings",
    "--noconftest",
    "-c",
    os.devnull,
)


class CheckFailed(Exception):
    """How a failed check looks to pytest."""


class CheckItem(pytest.Item):
    """One check of one target."""

    def __init__(self, *, session_: "CheckSession", check: Check[Any], **given: Any) -> None:
        super().__init__(**given)
        self._session, self._check = session_, check
        self.user_properties.append(("clause", check.clause))

    def runtest(self) -> None:
        """Try it; a warning is a property of an item that passed."""
        result = self._session.try_one(self._check)
        if result.outcome is Outcome.SKIPPED:
            pytest.skip(result.came)
        if result.outcome is Outcome.WARNED:
            self.user_properties.append(("warning", f"expected {result.expected}, came {result.came}"))
        if result.outcome is Outcome.FAILED:
            raise CheckFailed(f"{result.title} ({result.clause})\nexpected: {result.expected}\ncame: {result.came}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """The sentence of a failed check, without a trace."""
        if isinstance(excinfo.value, CheckFailed):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where a report files it."""
        return Path("conformance"), None, self.name


class CheckSession:
    """The plugin: makes the items, and keeps what came of them."""

    def __init__(
        self,
        target: Recorded,
        checks: Sequence[Check[Any]],
        *,
        profile: str,
        with_slow: bool,
        tell: Callable[[Result, int, int], None],
    ) -> None:
        self._target, self._checks, self._profile, self._with_slow, self._tell = (
            target,
            checks,
            profile,
            with_slow,
            tell,
        )
        self.results: list[Result] = []

    def pytest_collection(self, session: pytest.Session) -> bool:
        """Our items are all there are."""
        session.items = [
            CheckItem.from_parent(session, name=check.id, session_=self, check=check) for check in self._checks
        ]
        session.testscollected = len(session.items)
        return True

    def try_one(self, check: Check[Any]) -> Result:
        """Try a check and tell about it."""
        result = tried(check, self._target, profile=self._profile, with_slow=self._with_slow)
        self.results.append(result)
        self._tell(result, len(self.results), len(self._checks))
        return result


def run_under_pytest(
    kind: str,
    url: str,
    target: Recorded,
    checks: Sequence[Check[Any]],
    *,
    profile: str,
    with_slow: bool = False,
    junit: Path | None = None,
    tell: Callable[[Result, int, int], None] = lambda _result, _done, _all: None,
) -> Report:
    """Judge a target. junit: where JUnit XML goes. tell: hears each result, how many are done, of how many.

    Raises:
        OSError: the file for JUnit XML can't be written.
        KeyboardInterrupt: somebody ended the run; half of the checks are no report.
    """
    session = CheckSession(target, checks, profile=profile, with_slow=with_slow, tell=tell)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stadtnachweis-conformance-") as folder:
        arguments = [*_QUIET, "--rootdir", folder, "--basetemp", str(Path(folder) / "tmp")]
        if junit is not None:
            junit.parent.mkdir(parents=True, exist_ok=True)
            junit.touch()
            arguments += ["--junitxml", str(junit.resolve()), "-o", f"junit_suite_name={kind}"]
        ended = pytest.main([*arguments, folder], plugins=[session])
    if ended == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    assert len(session.results) == len(checks), f"pytest ended with {ended}"
    return report_of(kind, url, target, profile, session.results, seconds=time.monotonic() - began)
