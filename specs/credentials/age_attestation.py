"""`age_over_NN`: whether somebody is NN years old or older, and which other answer says so (ISO/IEC 18013-5 §7.2.5).

A holder's mdoc has some of the hundred possible elements. Who is asked for another one answers with the nearest that
settles it: an age above that was reached, or one below that was not.
"""

import re
from collections.abc import Iterable, Mapping

MAX_ASKED = 2  # of one name space in a request
_ELEMENT = re.compile(r"age_over_([0-9]{2})")


def age_asked(element: str) -> int | None:
    """The years of an `age_over_NN`; None for any other element."""
    found = _ELEMENT.fullmatch(element)
    return int(found[1]) if found is not None else None


def asks_too_much(elements: Iterable[str]) -> bool:
    """Whether a request wants more of one name space than may be asked: several answers narrow an age down."""
    return sum(age_asked(element) is not None for element in elements) > MAX_ASKED


def nearest_answer(asked: int, held: Mapping[str, object]) -> str | None:
    """The element that answers a question for `age_over_NN`, of those that are held; None: none settles it.

    The element itself; else the lowest age above that was reached; else the highest age below that was not.
    """
    ages = {age: value for name, value in held.items() if (age := age_asked(name)) is not None}
    if asked in ages:
        return _name(asked)
    reached = [age for age, value in ages.items() if age > asked and value is True]
    if reached:
        return _name(min(reached))
    not_reached = [age for age, value in ages.items() if age < asked and value is False]
    return _name(max(not_reached)) if not_reached else None


def is_over(asked: int, shown: Mapping[str, object]) -> bool | None:
    """What shown elements say about an age: reached, not reached, or nothing."""
    answer = nearest_answer(asked, shown)
    value = None if answer is None else shown[answer]
    return value if isinstance(value, bool) else None


def _name(age: int) -> str:
    return f"age_over_{age:02}"
