"""Runs mutants inside one pytest process: tests are collected once, each mutant is a forked child with changed code.

A mutant inside a function is put into the live function objects, so that nothing is imported again. Only the tests that
reach the changed lines are run, the quick ones first, until the first fails. What runs longer than its tests ever did
counts as noticed.
"""

import ast
import gc
import json
import os
import resource
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import _lru_cache_wrapper, partial
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType

import coverage
import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.reach import Memory, by_file

_CPU_SECONDS, _FACTOR = 10, 5  # a child may need this, and this many times what its tests needed unchanged
_SLOW = 0.25  # seconds of a test that waits until all others were asked
_ALONE = 120  # seconds for one test without any mutant
_WALL_FACTOR = 10  # where other processes want the processor too


@dataclass(frozen=True, slots=True)
class Reached:
    """What the tests reached without any mutant. lines: path → line → numbers of tests. seconds: of each test.

    rarity: how many tests reach the line that the fewest of those reach which a test reaches.
    """

    lines: Mapping[str, Mapping[int, Sequence[int]]]
    tests: Sequence[str]
    seconds: Sequence[float]
    rarity: Sequence[int]


@dataclass(frozen=True, slots=True)
class Result:
    """How a mutant ended. noticed_by: the test that failed first, or what else gave it away; "" if it survived."""

    mutant: Mutant
    noticed_by: str
    tests: int


@dataclass(frozen=True, slots=True)
class _Running:
    """A child that tries a mutant. deadline: of `time.monotonic`."""

    mutant: Mutant
    pid: int
    tests: int
    deadline: float

    def said(self, output: int) -> str | None:
        """What gave the mutant away; None if it could not be put in."""
        with os.fdopen(output, encoding="utf-8") as stream:
            said = stream.read()
        os.waitpid(self.pid, 0)
        noticed: str | None = json.loads(said)["noticed"] if said else "(the process ended)"
        return noticed

    def ended(self, output: int) -> str:
        """End a child that hangs, and what it started."""
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(output)
        return "(the time limit)"


class Plugin:
    """Takes the run over once everything is collected."""

    def __init__(self, root: Path, work: Callable[["Runner"], None]) -> None:
        self.root = root
        self.work = work
        self.failed: str | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do the work in place of the tests."""
        if session.testsfailed:
            raise session.Interrupted("the tests can't be collected")
        self.work(Runner(self, session))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the first failure."""
        if report.failed and self.failed is None:
            self.failed = report.nodeid


class Runner:
    """The collected tests, and how to run some of them in a child."""

    def __init__(self, plugin: Plugin, session: pytest.Session) -> None:
        self.root = plugin.root
        self._plugin = plugin
        self._items = session.items
        self._live: dict[str, list[FunctionType]] = {}
        self._sound: set[int] = set()  # tests seen to hold without any mutant in this run
        for each in gc.get_objects():
            if type(each) is FunctionType:
                self._live.setdefault(each.__code__.co_filename, []).append(each)
        gc.freeze()

    def reach(self, packages: Sequence[str], memory: Memory, *, jobs: int) -> Reached:
        """Run what the memory does not know yet, in children, and note which test reaches which line.

        Raises:
            RuntimeError: a test fails without any mutant.
        """
        by_path: dict[str, list[int]] = {}
        for number, item in enumerate(self._items):
            by_path.setdefault(os.path.relpath(item.path, self.root), []).append(number)
        names = [item.nodeid for item in self._items]
        new = [path for path, of in by_path.items() if not memory.is_known(path, [names[number] for number in of])]
        shares = [[number for path in new[share::jobs] for number in by_path[path]] for share in range(jobs)]
        children = [(share, self._fork(partial(self._record, packages, share))) for share in shares if share]
        for share, (pid, output) in children:
            with os.fdopen(output, encoding="utf-8") as stream:
                said = json.loads(stream.read() or "{}")
            os.waitpid(pid, 0)
            if "lines" not in said:
                raise RuntimeError(f"fails without any mutant: {said.get('failed', 'the run itself')}")
            items = [
                (os.path.relpath(self._items[number].path, self.root), names[number], seconds)
                for number, seconds in zip(share, said["seconds"], strict=True)
            ]
            lines = {
                path: {int(line): tests for line, tests in reached.items()} for path, reached in said["lines"].items()
            }
            memory.note(by_file(lines, items, root=self.root))
            self._sound.update(share)
        reached, seconds = memory.reached(names)
        return Reached(reached, names, seconds, rarity_of(reached, len(names)))

    def _record(self, packages: Sequence[str], share: Sequence[int]) -> Mapping[str, object]:
        """Lines with places in the share, and seconds of each of the share."""
        recording = coverage.Coverage(data_file=None, source=[str(self.root / each) for each in packages])
        remembering = [each for each in gc.get_objects() if type(each) is _lru_cache_wrapper]
        seconds = []
        recording.start()
        for place, number in enumerate(share):
            for cache in remembering:  # or a test would not be seen to reach what an earlier one left behind
                cache.cache_clear()
            recording.switch_context(str(place))
            begun = time.process_time()
            self._run(self._items[number], None)
            seconds.append(time.process_time() - begun)
            if self._plugin.failed:
                return {"failed": self._plugin.failed}
        recording.stop()
        found: dict[str, dict[int, list[int]]] = {}
        data = recording.get_data()
        for path in data.measured_files():
            contexts = data.contexts_by_lineno(path)
            found[os.path.relpath(path, self.root)] = {
                line: [int(each) for each in tests if each] for line, tests in contexts.items()
            }
        return {"lines": found, "seconds": seconds}

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def judge(
        self,
        mutants: Sequence[Mutant],
        reached: Reached,
        *,
        refusing: Mapping[str, Collection[tuple[str, int]]],
        jobs: int,
        until: float,
        test_seconds: float,
    ) -> Iterator[Result]:
        """Try each mutant; in the order in which they end. until: of `time.monotonic`, when no more is begun.

        refusing: as for `telling_tests`. test_seconds: of processor time, for the tests of one mutant; what is left out
        then can only make one survive.
        """
        running: dict[int, _Running] = {}  # by what can be read
        waiting = list(reversed(mutants))
        noticing: dict[tuple[str, str], set[int]] = {}
        number_of = {name: number for number, name in enumerate(reached.tests)}
        while waiting or running:
            while waiting and len(running) < jobs and time.monotonic() < until:
                mutant = waiting.pop()
                first = noticing.get((mutant.path, mutant.function), ())
                tests, spent = _within(
                    telling_tests(mutant, reached, first=first, refusing=refusing), reached, test_seconds
                )
                if not tests:
                    yield Result(mutant, "", 0)
                    continue
                limit = _CPU_SECONDS + _FACTOR * spent
                pid, output = self._fork(partial(self._try, mutant, tests, limit))
                running[output] = _Running(mutant, pid, len(tests), time.monotonic() + _WALL_FACTOR * limit)
            if not running:
                break
            ready, _, _ = select.select(list(running), [], [], 5)
            for output, child in list(running.items()):
                if output in ready:
                    noticed = child.said(output)
                elif time.monotonic() > child.deadline:
                    noticed = child.ended(output)
                else:
                    continue
                del running[output]
                if noticed is None:
                    continue
                if noticed in number_of:
                    self._check_that_it_holds(number_of[noticed])
                    noticing.setdefault((child.mutant.path, child.mutant.function), set()).add(number_of[noticed])
                yield Result(child.mutant, noticed, child.tests)

    def _check_that_it_holds(self, number: int) -> None:
        """See that a test does not fail anyway.

        Raises:
            RuntimeError: it does.
        """
        if number in self._sound:
            return
        pid, output = self._fork(partial(self._try, None, [number], float(_ALONE)))
        with os.fdopen(output, encoding="utf-8") as stream:
            said = json.loads(stream.read() or "{}")
        os.waitpid(pid, 0)
        if said.get("noticed") != "":
            raise RuntimeError(f"fails without any mutant: {said.get('noticed', 'the run itself')}")
        self._sound.add(number)

    def _try(self, mutant: Mutant | None, tests: Sequence[int], limit: float) -> Mapping[str, object]:
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 1))
        if mutant is not None and not self._put_in(mutant):
            return {"noticed": None}
        items = [self._items[number] for number in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._run(item, following)
            if self._plugin.failed:
                return {"noticed": self._plugin.failed}
        return {"noticed": ""}

    def _put_in(self, mutant: Mutant) -> bool:
        """Whether a live function is another now."""
        mutant.apply()
        filename = str(self.root / mutant.path)
        around = [each for each in mutant.tree.body if _is_around(each, mutant.line) or _is_future(each)]
        compiled = compile(ast.Module(around, []), filename, "exec")
        changed = {_name_of(code): code for code in _codes(compiled)}
        is_another = False
        for function in self._live.get(filename, []):
            code = changed.get(_name_of(function.__code__))
            if code is not None and not code.co_freevars:
                code = code.replace(co_freevars=function.__code__.co_freevars)  # a method that lost its only `super()`
            if code is not None and code.co_freevars == function.__code__.co_freevars:
                is_another = is_another or code != function.__code__
                function.__code__ = code
        return is_another

    def _fork(self, work: Callable[[], Mapping[str, object]]) -> tuple[int, int]:
        """Do work in a child; its process and what it says, as JSON, on a pipe."""
        output, say = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            os.close(say)
            return pid, output
        os.close(output)
        try:
            with open(os.devnull, "r+b") as nowhere:  # noqa: PTH123
                for stream in (0, 1, 2):
                    os.dup2(nowhere.fileno(), stream)
            os.setpgid(0, 0)
            said = work()
            self._items[0].session._setupstate.teardown_exact(None)  # servers that a test started end with it
            _write(say, json.dumps(said).encode())
        except BaseException as error:  # noqa: BLE001 - whatever breaks the run itself is a sign, and must not go on
            _write(say, json.dumps({"noticed": f"({type(error).__name__})", "failed": repr(error)}).encode())
        finally:
            os._exit(0)


def _is_around(statement: ast.stmt, line: int) -> bool:
    return statement.lineno <= line <= (statement.end_lineno or statement.lineno)


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _name_of(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _within(tests: Sequence[int], reached: Reached, seconds: float) -> tuple[list[int], float]:
    """As many of the tests, in their order, as need no more time than that, but one at least; and their time."""
    taken: list[int] = []
    spent = 0.0
    for number in tests:
        if taken and spent + reached.seconds[number] > seconds:
            continue
        taken.append(number)
        spent += reached.seconds[number]
    return taken, spent


def telling_tests(
    mutant: Mutant, reached: Reached, *, first: Collection[int], refusing: Mapping[str, Collection[tuple[str, int]]]
) -> list[int]:
    """The tests that reach a mutant's lines, those most likely to notice first.

    These are the ones that already noticed something in the same function, then those that went where the changed
    condition leads, then those that were refused by what is no longer called, or by the changed function. The rest by
    turns: one case of each test function before a second one of any, and those that reach what hardly another test
    reaches; slow tests last. refusing: where a function of that name refuses, itself or by what it calls.
    """
    lines = reached.lines.get(mutant.path, {})
    found = {test for line in range(mutant.line, mutant.last_line + 1) for test in lines.get(line, ())}
    branched = found.intersection(lines.get(mutant.branch, ())) if mutant.branch is not None else set()
    if mutant.needs_branch:
        found = branched
    refuses = refusing.get(mutant.calls or mutant.function.rpartition(".")[2], ())
    refused = (reached.lines.get(path, {}).get(line, ()) for path, line in refuses)
    refused_tests = found.intersection(chain.from_iterable(refused))
    by_time = sorted(found, key=lambda number: reached.seconds[number])
    cases: Counter[str] = Counter()
    case_of: dict[int, int] = {}
    for number in by_time:
        function = reached.tests[number].partition("[")[0]
        case_of[number] = cases[function]
        cases[function] += 1
    varied = sorted(by_time, key=lambda number: case_of[number])
    rare = sorted(by_time, key=lambda number: reached.rarity[number])
    turns: dict[int, int] = {}
    for number in chain.from_iterable(zip(varied, rare, strict=True)):
        turns.setdefault(number, len(turns))

    def place(number: int) -> tuple[bool, bool, bool, bool, int]:
        quick = reached.seconds[number] <= _SLOW
        return number not in first, number not in branched, not quick, number not in refused_tests, turns[number]

    return sorted(found, key=place)


def refusing_lines(
    functions: Mapping[str, Mapping[str, tuple[Collection[int], Collection[str]]]], *, depth: int = 3
) -> dict[str, set[tuple[str, int]]]:
    """Where each function refuses, itself or by what it calls, by its name. functions: `refusals_in` by path."""
    own: dict[str, set[tuple[str, int]]] = {}
    called: dict[str, set[str]] = {}
    for path, of_path in functions.items():
        for name, (lines, names) in of_path.items():
            own.setdefault(name, set()).update((path, line) for line in lines)
            called.setdefault(name, set()).update(names)
    found = {name: set(lines) for name, lines in own.items()}
    for _ in range(depth):
        found = {
            name: lines.union(*(found[each] for each in called[name] if each in found and each != name))
            for name, lines in found.items()
        }
    return found


def rarity_of(lines: Mapping[str, Mapping[int, Collection[int]]], tests: int) -> list[int]:
    """For each test, how many tests reach the line that the fewest of those reach which it reaches."""
    rarity = [tests] * tests
    for of_file in lines.values():
        for reaching in of_file.values():
            for number in reaching:
                rarity[number] = min(rarity[number], len(reaching))
    return rarity
