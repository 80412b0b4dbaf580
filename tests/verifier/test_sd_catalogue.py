"""Every line of the catalogue for SD-JWT VC: the valid twin is accepted, the twin with one defect is refused for it."""

import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace

import pytest

from specs.credentials.status_list import StatusMediaType
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.defects import Defect, defects
from tests.verifier import (
    defects_sd_disclosures,
    defects_sd_form,
    defects_sd_holder,
    defects_sd_question,
    defects_sd_status,
    defects_sd_trust,
)
from tests.verifier.sd_presentation import Prepare, SdPresentation, valid_presentation, valid_twin
from tests.verifier.world import STATUS_URI, World
from verifier import ReasonCode, StatusRule
from verifier.fetch import FetchFailed, PolicedFetcher

MODULES = (
    defects_sd_disclosures,
    defects_sd_form,
    defects_sd_holder,
    defects_sd_question,
    defects_sd_status,
    defects_sd_trust,
)
CASES: list[Defect[SdPresentation]] = defects("sd")
LINES = {f"sd-{number:03}" for number in (*range(1, 152), *range(901, 905))}
CPU_SECONDS = 1.0
MORE_BYTES = 200 * 1024 * 1024


@pytest.fixture(scope="module")
def valid() -> SdPresentation:
    return valid_presentation(World())


def test_each_line_of_the_catalogue_is_here() -> None:
    assert len(MODULES) == 6
    assert {case.id[:6] for case in CASES} == LINES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_presentation_with_one_defect_is_refused(case: Defect[SdPresentation], valid: SdPresentation) -> None:
    good = valid_twin(case.apply, valid)
    verdict = good.judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    bad = case.apply(good)
    verify = bad.prepared()
    begin = time.process_time()
    verdict = verify()
    elapsed = time.process_time() - begin
    assert verdict.reason is case.refused_as
    assert not verdict.credentials
    assert elapsed < CPU_SECONDS
    assert {reference.url for reference in bad.references()} <= {STATUS_URI}


@pytest.mark.parametrize("case", [case for case in CASES if case.id[:6] <= "sd-004"], ids=str)
def test_what_is_huge_costs_little_memory(case: Defect[SdPresentation], valid: SdPresentation) -> None:
    verify = case.apply(valid_twin(case.apply, valid)).prepared()
    tracemalloc.start()
    try:
        verdict = verify()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert verdict.reason is case.refused_as
    assert peak < MORE_BYTES


def pinned(shown: SdPresentation) -> SdPresentation:
    """The domain's one certificate is a test domain's, and the settings let those count."""
    anchors = tuple(
        TrustAnchor(AnchorKind.PINNED_TEST, anchor.certificate, anchor.name) for anchor in shown.domain.anchors
    )
    return replace(shown, domain=replace(shown.domain, anchors=anchors)).under(allow_test_anchors=True)


RELAXED: Mapping[str, Prepare] = {
    "sd-018b": lambda shown: shown.under(allow_legacy_typ=True),
    "sd-026": lambda shown: shown.under(require_end_or_status=False),
    "sd-079": lambda shown: shown.under(clock_skew=600),
    "sd-101": lambda shown: shown.under(allow_anchor_in_chain=True),
    "sd-102": pinned,
    "sd-109": lambda shown: shown.under(status=StatusRule.OFF),
    "sd-111": lambda shown: shown.under(status=StatusRule.OFF),
    "sd-115": lambda shown: shown.under(status=StatusRule.OFF),
    "sd-116": lambda shown: shown.under(status=StatusRule.OFF),
}


@pytest.mark.parametrize("defect_id", RELAXED)
def test_a_rule_of_ours_alone_can_be_relaxed_by_its_setting(defect_id: str, valid: SdPresentation) -> None:
    case = next(case for case in CASES if case.id == defect_id)
    bad = case.apply(valid_twin(case.apply, valid))
    assert bad.judged().reason is case.refused_as
    verdict = RELAXED[defect_id](bad).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)


def test_a_pinned_certificate_counts_only_where_test_anchors_may(valid: SdPresentation) -> None:
    case = next(case for case in CASES if case.id == "sd-102")
    shown = pinned(case.apply(valid_twin(case.apply, valid)))
    assert shown.judged().credentials[0].anchor_kind is AnchorKind.PINNED_TEST
    assert shown.under(allow_test_anchors=False).judged().reason is ReasonCode.TRUST_NOT_CONFIGURED


@pytest.mark.parametrize(
    "address",
    [
        defects_sd_status.METADATA_SERVICE,
        "http://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/list",
        "https://[::ffff:169.254.169.254]/list",
        "https://10.0.0.5/list",
        "https://192.168.1.1:8443/list",
    ],
)
def test_no_address_inside_a_network_is_ever_named_to_a_fetcher(address: str, valid: SdPresentation) -> None:
    shown = replace(valid.pointing(uri=address).status_saying(sub=address), status_uri=address)
    assert shown.references() == ()
    assert shown.judged().reason is ReasonCode.STATUS_UNAVAILABLE


@pytest.mark.parametrize(
    "address",
    [defects_sd_status.METADATA_SERVICE, "https://2852039166/list", "https://0xA9FEA9FE/list", "http://localhost/list"],
)
def test_the_fetcher_connects_to_no_address_inside_a_network_however_it_is_written(address: str) -> None:
    with pytest.raises(FetchFailed):
        PolicedFetcher().fetch(address, accept=StatusMediaType.JWT)
