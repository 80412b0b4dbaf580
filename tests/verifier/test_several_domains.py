"""Several trust domains for one type, several types in one question: who speaks for what, and which reason is told."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.verifier.sd_presentation import SdPresentation, valid_presentation
from tests.verifier.world import VCT, World
from verifier import Policy, ReasonCode, TrustDomain, Verdict, verify_presentation

OTHER_VCT = "urn:example:other:1"


@pytest.fixture(scope="module")
def shown() -> SdPresentation:
    return valid_presentation(World())


@pytest.fixture(scope="module")
def stranger() -> TrustDomain:
    return replace(World().domain, name="stranger")


def judged(shown: SdPresentation, trust: Mapping[str, tuple[TrustDomain, ...]], *, now: int | None = None) -> Verdict:
    """The verdict where these domains speak for these types."""
    return verify_presentation(
        shown.vp_token(),
        query=shown.query,
        nonce=shown.nonce,
        client_id=shown.client_id,
        binding=shown.binding,
        trust={("dc+sd-jwt", vct): domains for vct, domains in trust.items()},
        status_lists=shown.fetched(),
        policy=Policy(),
        now=shown.world.now if now is None else now,
    )


def test_any_domain_of_the_type_may_believe(shown: SdPresentation, stranger: TrustDomain) -> None:
    for domains in ((shown.domain, stranger), (stranger, shown.domain)):
        verdict = judged(shown, {VCT: domains})
        assert (verdict.accepted, verdict.credentials[0].trust_domain) == (True, shown.domain.name)
    assert judged(shown, {VCT: (stranger, stranger)}).reason is ReasonCode.CERTIFICATE_UNTRUSTED


def test_the_reason_is_that_of_the_domain_that_came_closest(shown: SdPresentation, stranger: TrustDomain) -> None:
    later = shown.world.now + 1000 * 24 * 3600
    alone = judged(shown, {VCT: (shown.domain,)}, now=later).reason
    assert alone is ReasonCode.CERTIFICATE_EXPIRED
    for domains in ((shown.domain, stranger), (stranger, shown.domain), (stranger, shown.domain, stranger)):
        assert judged(shown, {VCT: domains}, now=later).reason is alone


def test_of_several_types_the_one_that_is_shown_decides_who_is_believed(
    shown: SdPresentation, stranger: TrustDomain
) -> None:
    several = replace(shown, vcts=(OTHER_VCT, VCT)).asking({"path": ["family_name"]})
    assert judged(several, {OTHER_VCT: (stranger,), VCT: (shown.domain,)}).accepted
    # who speaks for the other type alone does not speak for this one
    swapped = judged(several, {OTHER_VCT: (shown.domain,), VCT: (stranger,)})
    assert swapped.reason is ReasonCode.CERTIFICATE_UNTRUSTED
    missing = judged(several, {OTHER_VCT: (shown.domain,)})
    assert missing.reason is ReasonCode.TRUST_NOT_CONFIGURED


def test_a_type_that_is_none_of_several_is_refused(shown: SdPresentation, stranger: TrustDomain) -> None:
    several = replace(shown, vcts=(OTHER_VCT, "urn:example:third:1")).asking({"path": ["family_name"]})
    trust = dict.fromkeys((OTHER_VCT, "urn:example:third:1"), (shown.domain,))
    assert judged(several.issuer_saying(vct=OTHER_VCT), trust).accepted
    assert judged(several, trust).reason is ReasonCode.TYPE_MISMATCH
