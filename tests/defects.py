"""The catalogue of attacks as code: each line is a valid thing with exactly one defect, and the refusal it must meet.

    @defect("sd-008", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
    def alg_none(presentation: Presentation) -> Presentation: ...

    @pytest.mark.parametrize("case", defects("sd"), ids=str)
    def test_presentation_with_one_defect_is_refused(case: Defect[Presentation], valid: Presentation) -> None: ...

An id stands once in the whole source, so that a search for it finds the one test that keeps it out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Subject = TypeVar("Subject")
ID_FORM = re.compile(r"(?P<catalogue>[a-z]+)-(?P<number>[0-9]{3})(?P<variant>[a-z]?)")


@dataclass(frozen=True, slots=True)
class Defect(Generic[Subject]):
    """One line of the catalogue: `apply` makes the defective twin of a valid subject."""

    id: str
    refused_as: str
    apply: Callable[[Subject], Subject]
    clause: str

    def __str__(self) -> str:
        """The id, as pytest shows it."""
        return self.id


class DuplicateDefect(Exception):
    """Two defects claim one id."""


_registered: dict[str, Defect[Any]] = {}


def defect(
    defect_id: str, *, refused_as: str
) -> Callable[[Callable[[Subject], Subject]], Callable[[Subject], Subject]]:
    """Register the decorated function under its id (`sd-013`; a further variant of the same line is `sd-013b`).

    refused_as: the ReasonCode, or the `error` of a protocol, that the defect must meet.
    The function's docstring names the clause.

    Raises:
        ValueError: the id has another form, or the function has no docstring.
        DuplicateDefect: the id is taken.
    """
    if not ID_FORM.fullmatch(defect_id):
        raise ValueError(f"{defect_id!r} is no id such as sd-013 or sd-013b")

    def register(apply: Callable[[Subject], Subject]) -> Callable[[Subject], Subject]:
        if not apply.__doc__:
            raise ValueError(f"{defect_id}: the docstring must name the clause")
        if defect_id in _registered:
            raise DuplicateDefect(defect_id)
        _registered[defect_id] = Defect(defect_id, refused_as, apply, apply.__doc__)
        return apply

    return register


def defects(catalogue: str) -> list[Defect[Any]]:
    """The registered defects of one catalogue (`sd`, `md`, `jwe`, `proof`, `dpop`, `att`, `vf`, `is`), by id.

    The test that is parametrized with them says which subject they change.

    Raises:
        LookupError: none is registered, so that a suite can't pass by being empty.
    """
    found = [each for each in _registered.values() if each.id.startswith(f"{catalogue}-")]
    if not found:
        raise LookupError(
            f"no defect of the catalogue {catalogue!r} is registered; import the modules that define them first"
        )
    return sorted(found, key=lambda each: each.id)
