"""Which `age_over_NN` answers a question for another age (ISO/IEC 18013-5 §7.2.5)."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.credentials.age_attestation import age_asked, asks_too_much, is_over, nearest_answer


@pytest.mark.parametrize(
    ("asked", "held", "answer", "says"),
    [
        (18, {"age_over_18": True, "age_over_21": True}, "age_over_18", True),
        (18, {"age_over_18": False, "age_over_21": True}, "age_over_18", False),
        (16, {"age_over_18": True, "age_over_21": True}, "age_over_18", True),
        (16, {"age_over_18": False, "age_over_21": True}, "age_over_21", True),
        (21, {"age_over_14": False, "age_over_18": False}, "age_over_18", False),
        (21, {"age_over_18": True, "age_over_25": False}, None, None),
        (21, {"age_over_18": True, "age_over_25": True, "age_over_12": False}, "age_over_25", True),
        (5, {"age_over_05": True}, "age_over_05", True),
        (18, {"age_over_21": 1, "age_over_12": 0, "age_in_years": 30}, None, None),
        (18, {"age_over_18": "yes"}, "age_over_18", None),
        (18, {}, None, None),
    ],
)
def test_the_nearest_element_that_settles_the_question_answers_it(
    asked: int, held: Mapping[str, object], answer: str | None, says: bool | None
) -> None:
    assert nearest_answer(asked, held) == answer
    assert is_over(asked, held) is says


@given(st.integers(0, 99), st.integers(0, 99), st.sets(st.integers(0, 99), max_size=6))
def test_an_answer_never_says_more_than_is_so(age: int, asked: int, held: set[int]) -> None:
    """Whatever a holder of some age has, what its answer is taken for is true."""
    shown = {f"age_over_{each:02}": age >= each for each in held}
    assert is_over(asked, shown) in (None, age >= asked)


def test_only_two_digits_name_an_age() -> None:
    assert age_asked("age_over_18") == 18
    assert [age_asked(name) for name in ("age_over_1", "age_over_180", "age_over_1x", "AGE_OVER_18")] == [None] * 4


def test_two_ages_may_be_asked_for_and_no_third() -> None:
    assert not asks_too_much(["age_over_18", "age_over_21", "age_in_years"])
    assert asks_too_much(["age_over_18", "age_over_21", "age_over_65"])
