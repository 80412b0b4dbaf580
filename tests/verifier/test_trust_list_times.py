"""When lists are fetched, from when and until when they count, and what operators hear of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from specs.trust.trust_list import PUB_EAA_NOTIFIED, ListedService, TrustList
from tests.specs.trust.lists import ISSUANCE, REVOCATION, Published, entity, plain_list
from tests.verifier.desk import Shelf
from tests.verifier.test_trust_lists import URL, Following
from tests.verifier.world import DAY, HOUR, World
from verifier import Fetched, ReasonCode
from verifier.stores.trust_lists import KeptList, MemoryTrustListStore
from verifier.trust_lists import (
    RETRY_SECONDS,
    ListEvent,
    ListEventKind,
    ListStanding,
    ListState,
    TrustLists,
)


def content(following: Following, **changed: object) -> Callable[[Published], Published]:
    """Another list of the same publisher."""
    return lambda published: replace(published, content=replace(following.content(), **changed))  # type: ignore[arg-type]


def standing(following: Following) -> ListStanding:
    (found,) = following.lists.standings(now=following.clock.now)
    return found


def test_trust_is_put_together_once_and_anew_for_an_earlier_time() -> None:
    following = Following()
    now = following.clock.now
    trust = following.lists.current(now=now)
    assert following.lists.current(now=now) is trust
    assert following.lists.current(now=now - 1) is not trust


def test_a_service_counts_from_the_second_its_status_begins() -> None:
    """It was trusted up to an hour late, as trust that was put together before was still at hand."""
    following = Following()
    now = following.clock.now
    own = ListedService(ISSUANCE, "s", (following.world.authority.certificate,), PUB_EAA_NOTIFIED, now + 100)
    entities = (replace(entity("Provider"), services=(own,)),)
    following.publishing(content(following, entities=entities, sequence=6)).later(HOUR)
    following.clock.now = now
    assert following.lists.current(now=now + 99) == {}
    begun = following.lists.current(now=now + 100)
    assert [domain.name for domains in begun.values() for domain in domains] == ["Provider", "Provider"]
    assert following.lists.current(now=now + 100) is begun


@pytest.mark.parametrize(("lives", "wait"), [(30 * DAY, HOUR), (1000, 500), (100, RETRY_SECONDS), (3 * HOUR, HOUR)])
def test_a_list_is_fetched_again_when_half_its_life_is_over_or_after_an_hour(lives: int, wait: int) -> None:
    following = Following()
    following.publishing(content(following, sequence=6, next_update=following.clock.now + HOUR + lives)).later(HOUR)
    assert following.events[-1].kind is ListEventKind.LOADED
    assert following.lists.refresh() == wait
    following.later(wait - 1)
    assert len(following.shelf.asked_for) == 2
    assert following.lists.refresh() == 1
    following.later(1)
    assert len(following.shelf.asked_for) == 3


@pytest.mark.parametrize(
    ("http_status", "kind"),
    [
        (199, ListEventKind.UNREACHABLE),
        (200, ListEventKind.LOADED),
        (299, ListEventKind.LOADED),
        (300, ListEventKind.UNREACHABLE),
        (404, ListEventKind.UNREACHABLE),
    ],
)
def test_a_list_is_what_comes_with_success(http_status: int, kind: ListEventKind) -> None:
    following = Following()
    newer = following.signed(content(following, sequence=6))
    following.publish(newer, http_status=http_status)
    assert following.later(HOUR).events[-1].kind is kind


def test_what_failed_is_tried_again_after_a_minute_and_operators_see_it_until_then() -> None:
    following = Following()
    following.publish(None)
    following.later(HOUR)
    asked = len(following.shelf.asked_for)
    trouble = ListEvent(ListEventKind.UNREACHABLE, URL)
    assert following.events[-1] == standing(following).trouble == trouble
    assert (standing(following).state, standing(following).sequence) == (ListState.IN_FORCE, 5)
    assert following.lists.refresh() == RETRY_SECONDS
    assert len(following.shelf.asked_for) == asked
    following.publish(following.signed())
    following.later(RETRY_SECONDS)
    assert len(following.shelf.asked_for) == asked + 1
    assert standing(following).trouble is None


@pytest.mark.parametrize("before_end", [1, 0])
def test_a_list_counts_until_the_second_of_its_next_update(before_end: int) -> None:
    following = Following()
    following.publish(None)
    following.clock.now = following.content().next_update - before_end
    following.lists.refresh()
    ended = before_end == 0
    assert (following.events[-1].kind is ListEventKind.EXPIRED) is ended
    assert standing(following).state is (ListState.EXPIRED if ended else ListState.IN_FORCE)
    assert bool(following.lists.current(now=following.clock.now)) is not ended


def test_a_list_of_the_same_number_is_not_exchanged_for_one_that_was_issued_before() -> None:
    following = Following()
    issued_at = following.content().issued_at
    following.publishing(content(following, issued_at=issued_at - 1)).later(HOUR)
    assert following.events[-1] == ListEvent(ListEventKind.REFUSED, URL, ReasonCode.TRUST_LIST_OLDER)
    assert following.lists.refresh() == RETRY_SECONDS  # nor is it fetched again at once, as if another had come


@pytest.mark.parametrize(("sequence", "later"), [(6, 0), (5, 1)])
def test_a_kept_list_that_is_older_than_it_was_when_it_was_kept_is_not_taken_up(sequence: int, later: int) -> None:
    """Somebody put an earlier list in its place in the store."""
    following = Following()
    issued_at = following.content().issued_at + later
    following.store = MemoryTrustListStore()
    following.store.keep(URL, KeptList(sequence, issued_at, following.signed().encode()))
    following.lists = following.started()
    assert following.events[-1] == ListEvent(ListEventKind.REFUSED, URL, ReasonCode.TRUST_LIST_OLDER)
    assert (standing(following).state, standing(following).sequence) == (ListState.MISSING, None)


class OvertakenStore(MemoryTrustListStore):
    """Another process keeps a list right before this one does."""

    other: KeptList | None = None

    def keep(self, url: str, kept: KeptList) -> bool:
        """Keep a list unless a newer one is known already."""
        if self.other is not None:
            super().keep(url, self.other)
        return super().keep(url, kept)


def test_of_two_lists_that_come_at_once_the_newer_one_is_in_force() -> None:
    store = OvertakenStore()
    following = Following(store=store)
    stranger = World(now=following.world.now)
    newest: TrustList = plain_list(
        entity("Another", stranger.authority.certificate), now=following.world.now, sequence=7
    )
    token = following.signed(lambda published: replace(published, content=newest)).encode()
    store.other = KeptList(7, newest.issued_at, token)
    following.publishing(content(following, sequence=6)).later(HOUR)
    assert following.events[-1] == ListEvent(ListEventKind.REFUSED, URL, ReasonCode.TRUST_LIST_OLDER)
    assert standing(following).sequence == 7
    assert following.judged().reason is ReasonCode.CERTIFICATE_UNTRUSTED


@dataclass
class Meddling(Shelf):
    """While it is asked for a list, somebody else refreshes, too."""

    lists: TrustLists | None = None
    waits: list[int] = field(default_factory=list)

    def fetch(self, url: str, *, accept: str) -> Fetched:
        """The document."""
        if self.lists is not None and len(self.waits) < 2:
            self.waits.append(self.lists.refresh())
        return super().fetch(url, accept=accept)


def test_who_comes_while_lists_are_refreshed_does_not_fetch_them_too() -> None:
    shelf = Meddling()
    following = Following(shelf=shelf)
    shelf.lists = following.lists
    asked = len(shelf.asked_for)
    following.later(HOUR)
    assert shelf.waits == [RETRY_SECONDS]
    assert len(shelf.asked_for) == asked + 1


def test_a_list_that_is_missing_keeps_no_other_from_being_in_force() -> None:
    following = Following()
    (followed,) = following.lists._lists
    both = [replace(followed, url="https://lists.example/missing"), followed]
    lists = TrustLists(both, store=MemoryTrustListStore(), fetcher=following.shelf, clock=following.clock)
    lists.refresh()
    assert [each.state for each in lists.standings(now=following.clock.now)] == [ListState.MISSING, ListState.IN_FORCE]
    assert lists.current(now=following.clock.now) == following.lists.current(now=following.clock.now)


def test_who_only_publishes_status_may_issue_nothing() -> None:
    following = Following()
    only_status = replace(
        entity("Status"),
        services=(ListedService(REVOCATION, "s", (following.world.status_authority.certificate,)),),
    )
    entities = (*following.content().entities, only_status)
    following.publishing(content(following, entities=entities, sequence=6)).later(HOUR)
    for domains in following.lists.current(now=following.clock.now).values():
        assert [domain.name for domain in domains] == ["Provider"]
