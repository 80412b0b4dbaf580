"""Result files of the Foundation's suite: the archive that it exports of a plan, or what our driver wrote down.

An archive of `api/plan/export`, `api/plan/exporthtml` or `api/log/export` holds a log of each module as
`test-log-….json`, in the archive for certification below `test-logs/`. Beside them lie signatures, pages, the plan's
`index.json` and whatever a tester put in; none of that is read.
"""

import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from conformance.oidf.verdicts import Verdict, findings_of, load

MAX_LOG = 64 * 1024 * 1024  # bytes of one log


class NoResults(Exception):
    """A file holds no results; the message says which and why."""


def read_results(file: Path) -> Sequence[Verdict]:
    """The verdicts of a file: JSON of `conformance oidf`, or an archive of the suite.

    Raises:
        NoResults: it is neither.
    """
    if not file.exists():
        raise NoResults(f"{file}: there is no such file")
    try:
        if zipfile.is_zipfile(file):
            return _archive(file)
        return list(load(file).values())
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise NoResults(f"{file}: no results of the suite ({type(error).__name__})") from None


def _archive(file: Path) -> list[Verdict]:
    found: list[Verdict] = []
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = entry.filename.rpartition("/")[2]
            if not name.startswith("test-log-") or not name.endswith(".json"):
                continue
            if entry.file_size > MAX_LOG:
                raise NoResults(f"{file}: {entry.filename} is larger than {MAX_LOG} bytes")
            document = json.loads(archive.read(entry))
            info = document.get("testInfo") if isinstance(document, dict) else None
            if isinstance(info, dict):
                found.append(_verdict(document, info))
    if not found:
        raise NoResults(f"{file}: no log of a test in it")
    return found


def _verdict(document: dict[str, object], info: dict[str, object]) -> Verdict:
    results = document.get("results")
    log = [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []
    variant = info.get("variant")
    if isinstance(variant, dict):
        variant = ", ".join(f"{name}={value}" for name, value in variant.items())
    where, test = str(document.get("exportedFrom") or "").rstrip("/"), info.get("testId") or info.get("_id")
    unfinished = () if info.get("status") in (None, "FINISHED") else (f"its status is {info['status']}",)
    return Verdict(
        run=str(info.get("planId") or info.get("alias") or ""),
        module=str(info["testName"]),
        variant=str(variant or ""),  # old tests have a text
        result=str(info.get("result") or "UNKNOWN"),
        findings=(*unfinished, *findings_of(log)),
        log=f"{where}/log-detail.html?log={test}" if where and test else where,
        suite=str(document.get("exportedVersion") or ""),
        day=str(info.get("started") or "")[:10],
    )
