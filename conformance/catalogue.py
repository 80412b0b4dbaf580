"""The catalogue of requirements: which clause is checked by what, and what is not checked, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

ROLES = ("issuer", "verifier", "wallet")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement. oidf: the modules or conditions of the Foundation's suite that ask the same. checks: ids of our
    checks, any of which failing breaks it; empty with a reason in `uncovered`."""

    id: str
    standard: str
    clause: str
    role: str
    text: str
    checks: tuple[str, ...]
    uncovered: str
    oidf: tuple[str, ...]


@cache
def catalogue() -> tuple[Requirement, ...]:
    """All requirements, in the order of their files."""
    found: list[Requirement] = []
    folder = resources.files("conformance") / "requirements"
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".yaml"):
            continue
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        for number, entry in enumerate(document["requirements"], 1):
            found.append(
                Requirement(
                    id=str(entry.get("id") or f"{document['id']}-{number:03}"),
                    standard=str(document["standard"]),
                    clause=str(entry["clause"]),
                    role=str(entry.get("role") or document["role"]),
                    text=str(entry["text"]),
                    checks=tuple(str(each) for each in entry.get("checks", ())),
                    uncovered=str(entry.get("uncovered", "")),
                    oidf=tuple(str(each) for each in entry.get("oidf", ())),
                )
            )
    return tuple(found)


def requirements_of(role: str) -> tuple[Requirement, ...]:
    """Those of one kind of target."""
    return tuple(each for each in catalogue() if each.role == role)


def uncovered(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Those that no check looks at."""
    return tuple(each for each in requirements if not each.checks)
