"""What a test needs of its machine: absent, it is skipped with the reason; in CI, where all must be there, it fails."""

import os
from typing import NoReturn

import pytest

NOT_APPLICABLE = "not applicable: "
"""A skip whose reason begins so is about the case, not about the machine, and stays a skip in CI."""


def in_ci() -> bool:
    """Whether CI=true: nothing may be skipped for its environment."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def missing(reason: str) -> NoReturn:
    """Leave the running test because the machine lacks something: a skip, or a failure in CI."""
    if in_ci():
        pytest.fail(f"missing in CI: {reason}", pytrace=False)
    pytest.skip(reason)
