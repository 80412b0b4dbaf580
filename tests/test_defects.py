"""The registry of defects: ids are unique over the whole source, and a suite can't pass by being empty."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.defects import ID_FORM, DuplicateDefect, defect, defects

TESTS = Path(__file__).resolve().parent


def registered_ids() -> Iterator[tuple[str, str]]:
    for path in sorted(TESTS.rglob("*.py")):
        if path.name in {"defects.py", "test_defects.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "defect":
                first = node.args[0]
                assert isinstance(first, ast.Constant), (
                    f"{path.name}:{node.lineno}: the id is written out, so that grep finds it"
                )
                yield str(first.value), path.name


def test_each_id_is_written_once_in_the_source() -> None:
    counted = Counter(defect_id for defect_id, _ in registered_ids())
    assert [each for each, times in counted.items() if times > 1] == []


def test_each_id_has_the_form_of_the_catalogue() -> None:
    assert [each for each, _ in registered_ids() if not re.fullmatch(ID_FORM, each)] == []


def test_an_id_is_given_once_and_its_function_names_the_clause() -> None:
    @defect("zz-001", refused_as="nonce_mismatch")
    def wrong(text: str) -> str:
        """A made-up clause."""
        return text + "!"

    [case] = defects("zz")
    assert (case.id, case.refused_as, case.apply("a"), case.clause) == (
        "zz-001",
        "nonce_mismatch",
        "a!",
        "A made-up clause.",
    )
    with pytest.raises(DuplicateDefect):
        defect("zz-001", refused_as="nonce_mismatch")(wrong)
    with pytest.raises(ValueError, match="docstring"):
        defect("zz-002", refused_as="nonce_mismatch")(lambda text: text)


@pytest.mark.parametrize("wrong", ["sd-1", "sd013", "SD-013", "sd-013bb", ""])
def test_an_id_of_another_form_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        defect(wrong, refused_as="x")


def test_an_empty_catalogue_is_an_error() -> None:
    with pytest.raises(LookupError):
        defects("none")
