"""What a machine lacks: a skip with its reason at home, a failure in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
CASES = """
import pytest
from tests.availability import missing
from tests.vectors import vectors_path

def test_service(): missing("no such service")
def test_vectors(): vectors_path("no", "such", "file")
def test_plain_skip(): pytest.skip("this machine is too small")
def test_case(): pytest.skip("not applicable: this format has no array")
@pytest.mark.xfail(reason="a known bug of a peer", strict=True)
def test_known(): raise AssertionError
"""
MODULE = "import pytest\npytest.importorskip('not_installed_here')\n"


@pytest.mark.parametrize(
    ("ci", "status", "outcome"),
    [("", 0, "5 skipped, 1 xfailed"), ("true", 2, "1 error"), ("false", 0, "5 skipped, 1 xfailed")],
)
def test_a_module_that_skips_itself(ci: str, status: int, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text(MODULE)
    (tmp_path / "test_cases.py").write_text(CASES)
    done = run_pytest(tmp_path, ci)
    assert done.returncode == status, done.stdout
    assert outcome in done.stdout


def test_in_ci_only_what_is_not_applicable_may_be_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    done = run_pytest(tmp_path, "true")
    assert done.returncode == 1
    assert "3 failed, 1 skipped, 1 xfailed" in done.stdout
    assert "missing in CI: no such service" in done.stdout


def run_pytest(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")} | {"CI": ci}
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider",
        "--rootdir", str(folder), "-c", os.devnull, str(folder),
    ]  # fmt: skip
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
