"""The pages of requirements: each line names a test that exists, and the script notices when one does not."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_requirements", ROOT / "scripts" / "check_requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_requirement_names_a_test_that_exists(script: ModuleType) -> None:
    for party in ("issuer", "verifier", "wallet"):
        assert (ROOT / "docs" / f"requirements-{party}.md").is_file()
    assert script.main() == 0


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("| V-001 | typ | `tests/test_requirements.py::test_that_is_gone` |", "there is no"),
        ("| V-001 | typ | `tests/gone.py::test_that_is_gone` |", "there is no"),
        ("| V-001 | typ | later |", "names no test"),
        ("| V-001 | typ |", "not a line of three columns"),
    ],
)
def test_a_line_without_its_test_is_found(line: str, finding: str, script: ModuleType, tmp_path: Path) -> None:
    good = "| V-001 | typ | `tests/test_requirements.py::test_a_line_without_its_test_is_found` |"
    page = tmp_path / "requirements-verifier.md"
    for text, expected in ((good, None), (f"{good}\n{good}", "stands twice"), (line, finding)):
        page.write_text(text, encoding="utf-8")
        found = script.findings(page, letter="V", brief=tmp_path / "none.md")
        assert bool(found) == (expected is not None)
        assert expected is None or expected in found[0]
