"""Every line of the catalogue for mdoc: the valid twin is accepted, the twin with one defect is refused for it."""

import time
from pathlib import Path

import pytest

from tests.defects import Defect, defects
from tests.verifier import defects_md_device, defects_md_form, defects_md_issuer, defects_md_question
from tests.verifier.mdoc_presentation import MdocPresentation, valid_twin
from tests.verifier.world import STATUS_URI, World
from verifier import Check

MODULES = (defects_md_device, defects_md_form, defects_md_issuer, defects_md_question)
CASES: list[Defect[MdocPresentation]] = defects("md")
LINES = {f"md-{number:03}" for number in (*range(1, 94), 901, 902)}
HUGE = [case for case in CASES if case.id[:6] <= "md-006"]
CPU_SECONDS = 1.0
MORE_KIB = 200 * 1024


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_each_line_of_the_catalogue_is_here() -> None:
    assert len(MODULES) == 4
    assert {case.id[:6] for case in CASES} == LINES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_presentation_with_one_defect_is_refused(case: Defect[MdocPresentation], world: World) -> None:
    verdict = valid_twin(case.apply, world).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert all(Check.STATUS in credential.checks for credential in verdict.credentials)
    bad = case.apply(valid_twin(case.apply, world))
    verdict = bad.judged()
    assert verdict.reason is case.refused_as
    assert not verdict.credentials
    assert {reference.url for reference in bad.references()} <= {STATUS_URI}


@pytest.mark.parametrize("case", HUGE, ids=str)
def test_what_is_huge_costs_little(case: Defect[MdocPresentation], world: World) -> None:
    verify = case.apply(valid_twin(case.apply, world)).prepared()
    before, begin = start_of_peak(), time.process_time()
    verdict = verify()
    elapsed = time.process_time() - begin
    assert verdict.reason is case.refused_as
    assert elapsed < CPU_SECONDS
    assert memory("VmHWM") - before < MORE_KIB


def start_of_peak() -> int:
    """Forget the process's peak of memory; what it has now, in KiB. The decoder's memory is not Python's to count."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> int:
    """A figure of this process in KiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
