"""Check docs/requirements-*.md: each requirement has a line, and each test that a line names exists.

Where the brief that numbers the requirements lies beside the checkout, none of its numbers may be missing either.
"""

import ast
import re
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    ("requirements-issuer.md", "I", "issuance.md"),
    ("requirements-wallet.md", "W", "issuance.md"),
    ("requirements-verifier.md", "V", "presentation.md"),
    ("requirements-verifier.md", "H", "presentation.md"),
)
BRIEFS = ROOT.parent / "shared" / "briefs"
LINE = re.compile(r"^\| ([A-Z]-[0-9]{3}) \| ([^|]+) \| ([^|]*) \|$")
TEST = re.compile(r"`(tests/[\w/.-]+\.py)::(\w+)`")


@cache
def tests_of(path: Path) -> frozenset[str]:
    """Names of the functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def findings(page: Path, *, letter: str, brief: Path) -> list[str]:
    """What is wrong with a page."""
    found: list[str] = []
    numbers: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith(f"| {letter}-"):
            continue
        row = LINE.fullmatch(line)
        if row is None:
            found.append(f"{page.name}:{number}: not a line of three columns")
            continue
        numbers.append(row[1])
        named = TEST.findall(row[3])
        if not named:
            found.append(f"{page.name}:{number}: {row[1]} names no test")
        for file, test in named:
            path = ROOT / file
            if not path.is_file() or test not in tests_of(path):
                found.append(f"{page.name}:{number}: {row[1]}: there is no {file}::{test}")
    found += [f"{page.name}: {name} stands twice" for name in sorted({n for n in numbers if numbers.count(n) > 1})]
    if brief.is_file():
        wanted = set(re.findall(rf"^- ({letter}-[0-9]{{3}}) ", brief.read_text(encoding="utf-8"), re.MULTILINE))
        found += [f"{page.name}: {name} has no line" for name in sorted(wanted - set(numbers))]
    return found


def main() -> int:
    """0 if nothing is wrong."""
    found = [
        sentence
        for page, letter, brief in PAGES
        if (ROOT / "docs" / page).is_file()
        for sentence in findings(ROOT / "docs" / page, letter=letter, brief=BRIEFS / brief)
    ]
    print("\n".join(found) or "requirements: each has a test that exists")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
