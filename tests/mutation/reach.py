"""Which test reaches which line, remembered in build/ so that only tests that are new or changed are looked at again.

Where code has changed since, its lines are found again by comparing the texts; a new line gets the tests of the lines
that it took the place of and of the line before. A test that this misses can only make a mutant survive.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from pathlib import Path

Lines = dict[str, dict[int, list[int]]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the tests of one file reached.

    digest: of the file. seconds: of each test. sources: digest of each module then. lines: path → line → places in
    `names`.
    """

    digest: str
    names: list[str]
    seconds: list[float]
    sources: dict[str, str]
    lines: Lines


class Memory:
    """What was recorded, by the file of tests; and the texts of the modules as they were then, by digest."""

    def __init__(self, file: Path, *, root: Path) -> None:
        self._file = file
        self._root = root
        kept = json.loads(gzip.decompress(file.read_bytes())) if file.is_file() else {"files": {}, "texts": {}}
        self._texts: dict[str, str] = kept["texts"]
        self._files = {
            path: Recorded(**{**each, "lines": _by_number(each["lines"])}) for path, each in kept["files"].items()
        }

    def is_known(self, path: str, names: Sequence[str]) -> bool:
        """Whether these tests, in a file as it is now, were recorded."""
        kept = self._files.get(path)
        return kept is not None and kept.digest == digest(self._root / path) and set(names) <= set(kept.names)

    def note(self, recorded: Mapping[str, Recorded]) -> None:
        """Remember, also for later runs."""
        self._files.update(recorded)
        for each in recorded.values():
            for path, as_it_was in each.sources.items():
                if as_it_was not in self._texts:
                    self._texts[as_it_was] = (self._root / path).read_text(encoding="utf-8")
        wanted = {each for recorded in self._files.values() for each in recorded.sources.values()}
        texts = {name: text for name, text in self._texts.items() if name in wanted}
        files = {path: asdict(each) for path, each in self._files.items()}
        self._file.parent.mkdir(exist_ok=True)
        self._file.write_bytes(gzip.compress(json.dumps({"files": files, "texts": texts}).encode(), 1))

    def reached(self, names: Sequence[str]) -> tuple[Lines, list[float]]:
        """Which of these tests reach which line of the present tree, and what each took."""
        number_of = {name: number for number, name in enumerate(names)}
        seconds = [0.0] * len(names)
        lines: dict[str, dict[int, set[int]]] = {}
        moves: dict[tuple[str, str], dict[int, list[int]]] = {}
        for recorded in self._files.values():
            numbers = [number_of.get(name) for name in recorded.names]
            for number, spent in zip(numbers, recorded.seconds, strict=True):
                if number is not None:
                    seconds[number] = spent
            for path, reached in recorded.lines.items():
                if not (self._root / path).is_file():
                    continue
                as_it_was = recorded.sources[path]
                if (path, as_it_was) not in moves:
                    moves[path, as_it_was] = self._moved(path, as_it_was)
                moved = moves[path, as_it_was]
                of_path = lines.setdefault(path, {})
                for line, tests in reached.items():
                    found = {number for each in tests if (number := numbers[each]) is not None}
                    for now in moved.get(line, ()):
                        of_path.setdefault(now, set()).update(found)
        return {path: {line: sorted(each) for line, each in of.items()} for path, of in lines.items()}, seconds

    def _moved(self, path: str, as_it_was: str) -> dict[int, list[int]]:
        before = self._texts[as_it_was].splitlines()
        return moved_lines(before, (self._root / path).read_text(encoding="utf-8").splitlines())


def moved_lines(before: Sequence[str], now: Sequence[str]) -> dict[int, list[int]]:
    """For each line of a text, counted from 1, the lines of the text as it is now that its tests may reach."""
    moved: dict[int, list[int]] = {number: [] for number in range(1, len(before) + 1)}
    for tag, first, end, now_first, now_end in SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if tag == "equal":
            for offset in range(end - first):
                moved[first + offset + 1].append(now_first + offset + 1)
            continue
        new = range(now_first + 1, now_end + 1)
        for number in range(max(first, 1), end + 1):  # the line before, and those that are replaced
            moved[number].extend(new)
    return moved


def digest(file: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _by_number(lines: Mapping[str, Mapping[str, list[int]]]) -> Lines:
    return {path: {int(line): tests for line, tests in reached.items()} for path, reached in lines.items()}


def by_file(
    lines: Mapping[str, Mapping[int, Iterable[int]]], items: Sequence[tuple[str, str, float]], *, root: Path
) -> dict[str, Recorded]:
    """What was recorded at one go, taken apart by the files of tests. items: file, name and seconds of each test."""
    recorded: dict[str, Recorded] = {}
    local = []
    for file, name, seconds in items:
        if file not in recorded:
            recorded[file] = Recorded(digest(root / file), [], [], {}, {})
        local.append(len(recorded[file].names))
        recorded[file].names.append(name)
        recorded[file].seconds.append(seconds)
    for path, reached in lines.items():
        as_it_is = digest(root / path)
        for line, tests in reached.items():
            for number in tests:
                each = recorded[items[number][0]]
                each.sources[path] = as_it_is
                each.lines.setdefault(path, {}).setdefault(line, []).append(local[number])
    return recorded
