"""The mutants that a check has, how explanations are held against them, and that a gap in the tests is found."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.explained import read_explanations, stale
from tests.mutation.mutants import Mutant, mutants_of, refusals_in
from tests.mutation.reach import Memory, by_file, moved_lines
from tests.mutation.report import NOTICED, SURVIVED, UNTRIED, Tried, is_refusal_gone
from tests.mutation.running import Reached, Result, refusing_lines, telling_tests
from tests.mutation.scope import ROOT, modules

CHECK = '''"""A check."""


def check(age, *, limit=18):
    """Sentences are left alone."""
    if age is None or age < limit:
        raise ValueError("too young, or not said")
    note(age)
    for _ in range(3):
        continue
    return not age and age in (1, 2)
'''


def mutants(folder: Path, text: str = CHECK) -> list[Mutant]:
    """The mutants of a module with this text."""
    path = folder / "check.py"
    path.write_text(text, encoding="utf-8")
    return mutants_of(path, root=folder)


def test_a_check_is_bent_in_each_way(tmp_path: Path) -> None:
    found = {(mutant.before, mutant.after) for mutant in mutants(tmp_path)}
    refusal = "raise ValueError('too young, or not said')"
    whole = "age is None or age < limit"
    assert found == {
        ("18", "19"),
        (f"if {whole}: {refusal}", f"if False: {refusal}"),
        (f"if {whole}: {refusal}", f"if True: {refusal}"),
        (whole, "age < limit"),
        (whole, "age is None"),
        ("age is None", "age is not None"),
        ("age < limit", "age <= limit"),
        ("note(age)", "pass"),
        ("3", "4"),
        ("continue", "break"),
        ("not age and age in (1, 2)", "age in (1, 2)"),
        ("not age and age in (1, 2)", "not age"),
        ("not age", "age"),
        ("age in (1, 2)", "age not in (1, 2)"),
        ("(1, 2)", "(2,)"),
        ("(1, 2)", "(1,)"),
        ("1", "2"),
        ("2", "3"),
    }


def test_sentences_are_left_alone_wherever_they_stand(tmp_path: Path) -> None:
    text = 'def check(age, fail):\n    if not age:\n        fail("of no age", "age")\n'
    found = {mutant.before for mutant in mutants(tmp_path, text)}
    assert "'age'" in found
    assert "'of no age'" not in found


def test_a_check_that_is_gone_is_known_as_such(tmp_path: Path) -> None:
    gone = [mutant for mutant in mutants(tmp_path) if is_refusal_gone(mutant) and "False" in mutant.after]
    assert len(gone) == 1
    assert (gone[0].line, gone[0].branch, gone[0].needs_branch, gone[0].in_body) == (6, 7, True, True)


def test_only_tests_that_were_not_refused_can_tell_that_everybody_is(tmp_path: Path) -> None:
    always = [mutant for mutant in mutants(tmp_path) if is_refusal_gone(mutant) and "True" in mutant.after]
    assert [(mutant.line, mutant.branch, mutant.needs_branch) for mutant in always] == [(6, 8, True)]


def test_a_mutant_is_named_by_its_text_wherever_it_stands(tmp_path: Path) -> None:
    before = [mutant.key for mutant in mutants(tmp_path)]
    moved = CHECK.replace('"""A check."""\n', '"""A check."""\n\nLIMIT = None\n')
    assert [mutant.key for mutant in mutants(tmp_path, moved)] == before
    assert len(set(before)) == len(before)


def test_only_tests_that_went_there_can_tell_that_a_refusal_is_gone(tmp_path: Path) -> None:
    gone = next(mutant for mutant in mutants(tmp_path) if mutant.needs_branch)
    reached = Reached({"check.py": {6: [0, 1, 2], 7: [2]}}, ["a", "b", "c"], [0.1, 0.1, 0.1], [3, 3, 1])
    assert telling_tests(gone, reached, first=(), refusing={}) == [2]


def test_the_tests_that_noticed_before_come_first_then_one_of_each_function(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in mutants(tmp_path) if mutant.before == "note(age)")
    names = ["t.py::a[1]", "t.py::a[2]", "t.py::b", "t.py::c", "t.py::d"]
    reached = Reached({"check.py": {8: [0, 1, 2, 3, 4]}}, names, [0.1, 0.11, 0.12, 0.13, 9.0], [5, 5, 5, 5, 1])
    assert telling_tests(mutant, reached, first={3}, refusing={})[0] == 3
    order = telling_tests(mutant, reached, first=(), refusing={})
    assert order.index(2) < order.index(1)
    assert order[-1] == 4  # it takes long


def test_the_tests_that_a_call_refused_come_first_where_it_is_gone(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in mutants(tmp_path) if mutant.before == "note(age)")
    (tmp_path / "other.py").write_text("def note(age):\n    inner(age)\n\n\ndef inner(age):\n    raise ValueError\n")
    refusing = refusing_lines({"other.py": refusals_in(tmp_path / "other.py")})
    assert refusing["note"] == {("other.py", 6)}
    names = ["t.py::a", "t.py::b", "t.py::c"]
    reached = Reached({"check.py": {8: [0, 1, 2]}, "other.py": {6: [2]}}, names, [0.1, 0.2, 0.2], [3, 3, 3])
    assert telling_tests(mutant, reached, first=(), refusing=refusing)[0] == 2


def test_an_explanation_is_stale_without_its_mutant_or_once_a_test_notices(tmp_path: Path) -> None:
    one, other, *_ = found = mutants(tmp_path)
    gone = ("check.py", "check", "x", "y", 1)
    reasons = {one.key: "equal", other.key: "equal", gone: "equal"}
    assert stale(reasons, all_mutants=found, noticed=[other]) == [other.key, gone]


@pytest.mark.parametrize(
    "text",
    [
        "- {place: 'a.py::f', before: x, after: y}",
        "- {place: 'a.py::f', before: x, after: y, why: ' '}",
        "- {place: 'a.py::f', before: x, after: y, why: z, because: z}",
        "- &a {place: 'a.py::f', before: x, after: y, why: z}\n- *a",
        "- word",
    ],
)
def test_a_misshapen_explanation_is_an_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "explained.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"explained\.yaml"):
        read_explanations(file)


def test_each_explanation_names_a_mutant_that_is_there() -> None:
    everything = [mutant for path in modules() for mutant in mutants_of(path, root=ROOT)]
    assert stale(read_explanations(), all_mutants=everything, noticed=[]) == []


def tried(folder: Path, *texts: str) -> list[str]:
    """How each mutant of the last text ended, if the first mutant of the one before was noticed and the second not."""
    file = folder / "tried.txt"
    for text in texts[:-1]:
        found = [mutant for mutant in mutants(folder, text) if mutant.in_body]
        Tried(found, file=file).note([Result(found[0], "a_test", 1), Result(found[1], "", 1)])
    found = [mutant for mutant in mutants(folder, texts[-1]) if mutant.in_body]
    known = Tried(found, file=file)
    return [known[mutant] for mutant in found]


def test_what_was_tried_adds_up_over_runs_wherever_the_function_moves(tmp_path: Path) -> None:
    assert set(tried(tmp_path, CHECK)) == {UNTRIED}
    assert tried(tmp_path, CHECK, CHECK)[:3] == [NOTICED, SURVIVED, UNTRIED]
    moved = CHECK.replace('"""A check."""\n', '"""A check."""\n\nLIMIT = None\n').replace("Sentences", "Words")
    assert tried(tmp_path, CHECK, moved)[:3] == [NOTICED, SURVIVED, UNTRIED]


def test_what_was_tried_of_another_source_says_nothing(tmp_path: Path) -> None:
    assert set(tried(tmp_path, CHECK, CHECK.replace("age < limit", "age < limit + 0"))) == {UNTRIED}
    assert set(tried(tmp_path, CHECK, CHECK.replace("note(age)", "note(limit)"))) == {UNTRIED}


def test_lines_are_found_again_in_a_changed_text() -> None:
    before = ["def f():", "    a()", "    b()", "    return 1"]
    now = ["# new", "def f():", "    a()", "    if c:", "        d()", "    return 1"]
    assert moved_lines(before, now) == {1: [2], 2: [3, 4, 5], 3: [4, 5], 4: [6]}


def test_only_new_or_changed_tests_are_looked_at_again(tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text("def check(age):\n    return age\n", encoding="utf-8")
    (tmp_path / "test_a.py").write_text("", encoding="utf-8")
    file = tmp_path / "build" / "reached.json.gz"
    items = [("test_a.py", "test_a.py::one", 0.5), ("test_a.py", "test_a.py::two", 0.25)]
    Memory(file, root=tmp_path).note(by_file({"check.py": {1: [0], 2: [0, 1]}}, items, root=tmp_path))

    memory = Memory(file, root=tmp_path)
    assert memory.is_known("test_a.py", ["test_a.py::two"])
    assert not memory.is_known("test_a.py", ["test_a.py::three"])
    (tmp_path / "check.py").write_text("import sys\n\n\ndef check(age):\n    return age\n", encoding="utf-8")
    lines, seconds = memory.reached(["test_a.py::two", "test_a.py::one"])
    assert (lines, seconds) == ({"check.py": {4: [1], 5: [0, 1]}}, [0.25, 0.5])
    (tmp_path / "test_a.py").write_text("# another", encoding="utf-8")
    assert not memory.is_known("test_a.py", ["test_a.py::two"])


RUN = """
import sys
from pathlib import Path
import pytest
from tests.mutation.mutants import mutants_of
from tests.mutation.reach import Memory
from tests.mutation.running import Plugin

root = Path(sys.argv[1])
mutants = mutants_of(root / "check.py", root=root)

def work(runner):
    reached = runner.reach(["."], Memory(root / "reached.json.gz", root=root), jobs=1)
    for result in runner.judge(mutants, reached, refusing={}, jobs=2, until=float("inf"), test_seconds=60):
        print("RESULT", result.mutant.before, "|", result.mutant.after, "|", result.noticed_by)

sys.path.insert(0, str(root))
arguments = ["-q", "-s", "-p", "no:cacheprovider", "--rootdir", str(root), "-c", str(root / "pytest.ini"), str(root)]
sys.exit(pytest.main(arguments, plugins=[Plugin(root, work)]))
"""
TESTS = """
import pytest
from check import TooYoung, check

def test_told():
    assert str(TooYoung(age=17)) == "17"

def test_young():
    with pytest.raises(ValueError):
        check(17, limit=18)

def test_old():
    assert check(30, limit=18) == 30
"""
SUBJECT = '''"""A check."""
from functools import lru_cache


@lru_cache
def check(age, *, limit):
    """Decorated as many of ours are."""
    if age < limit:
        raise ValueError(age)
    while age < 0:
        age = age - 1
    return age


class TooYoung(ValueError):
    def __init__(self, age):
        super().__init__(age)
'''


def test_what_the_tests_notice_and_what_they_do_not_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(SUBJECT, encoding="utf-8")
    (tmp_path / "test_check.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    lines = [
        line.removeprefix("RESULT ").split(" | ") for line in run.stdout.splitlines() if line.startswith("RESULT ")
    ]
    ended = {(before, after): noticed for before, after, noticed in lines}
    refusal = "raise ValueError(age)"
    assert ended[f"if age < limit: {refusal}", f"if False: {refusal}"] == "test_check.py::test_young"
    assert ended[f"if age < limit: {refusal}", f"if True: {refusal}"] == "test_check.py::test_old"
    assert ended["super().__init__(age)", "pass"] == "test_check.py::test_told"
    assert ended["age < limit", "age <= limit"] == ""  # nobody looked at the bound itself
