"""A status list that was verified before is compared again with what each credential and each moment expects of it."""

from dataclasses import replace

import pytest

from tests.verifier.sd_presentation import SdPresentation, valid_presentation
from tests.verifier.world import DAY, World
from verifier import Limits, ReasonCode

OTHER = "https://issuer.example/status/other"


def fixed(shown: SdPresentation) -> SdPresentation:
    """The same bytes come each time."""
    return replace(shown, http=replace(shown.http, body=shown.status_list.text().encode()))


@pytest.fixture
def seen() -> SdPresentation:
    """A presentation whose list is known by now."""
    shown = fixed(valid_presentation(World()))
    assert shown.judged().accepted
    return shown


def test_a_known_list_is_not_another_address_list(seen: SdPresentation) -> None:
    """Token Status List §8.3 4.a: `sub` is compared also where the same bytes were believed for their own address."""
    elsewhere = replace(seen.pointing(uri=OTHER), status_uri=OTHER)
    assert elsewhere.judged().reason is ReasonCode.STATUS_LIST_MISMATCH
    assert seen.judged().accepted
    assert fixed(elsewhere.status_saying(sub=OTHER)).judged().accepted


def test_a_known_list_is_still_too_large_where_less_is_allowed(seen: SdPresentation) -> None:
    tight = seen.under(limits=Limits(status_list_bytes=1))
    assert tight.judged().reason is ReasonCode.LIMIT_EXCEEDED
    assert seen.judged().accepted


def test_a_known_list_ends(seen: SdPresentation) -> None:
    """Token Status List §8.3 4.c."""
    ended = seen.world.now + DAY + 61
    later = seen.issuer_saying(exp=ended + DAY).holder_saying(iat=ended)
    listed = {place: replace(each, fetched_at=ended) for place, each in seen.fetched().items() if each is not None}
    partial = later.prepared()
    verdict = partial.func(*partial.args, **{**partial.keywords, "now": ended, "status_lists": listed})
    assert verdict.reason is ReasonCode.STATUS_LIST_EXPIRED


@pytest.mark.parametrize(("after", "reason"), [(89, ReasonCode.STATUS_LIST_MALFORMED), (90, None)])
def test_a_list_made_since_the_answer_came_is_of_the_time_of_its_fetch(
    after: int, reason: ReasonCode | None, seen: SdPresentation
) -> None:
    now = seen.world.now
    shown = fixed(seen.status_saying(iat=now + 150))
    listed = {
        place: replace(each, fetched_at=now + after) for place, each in shown.fetched().items() if each is not None
    }
    partial = shown.prepared()
    assert partial.func(*partial.args, **{**partial.keywords, "status_lists": listed}).reason is reason


@pytest.mark.parametrize(("age", "reason"), [(360, None), (361, ReasonCode.STATUS_LIST_EXPIRED)])
def test_a_copy_counts_for_its_ttl_and_our_clocks_tolerance(
    age: int, reason: ReasonCode | None, seen: SdPresentation
) -> None:
    shown = fixed(seen.status_saying(ttl=300))
    listed = {
        place: replace(each, fetched_at=seen.world.now - age)
        for place, each in shown.fetched().items()
        if each is not None
    }
    partial = shown.prepared()
    assert partial.func(*partial.args, **{**partial.keywords, "status_lists": listed}).reason is reason
