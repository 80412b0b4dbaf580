"""Each target for some seconds, in a process of its own: no exception but ours, no hang, bounded memory."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.availability import missing
from tests.fuzz.targets import OUR_ERRORS, TARGETS, Target
from verifier import Verdict

SECONDS = os.environ.get("STADTNACHWEIS_FUZZ_SECONDS", "30")
MEGABYTES = 1024  # of the whole process, interpreter and instrumentation included
ONE_INPUT_SECONDS = 5


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_seeds_lead_where_they_should(target: Target) -> None:
    """No seed raises anything but our own errors, and at least one is read to its end; the first answer is accepted."""
    refused: list[Exception] = []
    for number, seed in enumerate(target.seeds):
        try:
            found = target.run(seed)
        except OUR_ERRORS as error:
            refused.append(error)
        else:
            assert number or not isinstance(found, Verdict) or found.accepted, found.reason
    assert len(refused) < len(target.seeds), refused


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_out(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        missing("atheris is not to be had for this Python")
    fuzzing = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz", name, str(tmp_path)),
            f"-max_total_time={SECONDS}",
            f"-timeout={ONE_INPUT_SECONDS}",
            f"-rss_limit_mb={MEGABYTES}",
            "-max_len=65536",
            "-verbosity=0",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert fuzzing.returncode == 0, fuzzing.stderr[-4000:]
