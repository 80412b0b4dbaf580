"""The fetcher that remembers, at its bounds: of time, of memory, and of what several want or hold at once."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.verifier.desk import Clock
from tests.verifier.test_cache import JWT, WORSE, Host, Kept, judged_by, revocation_list
from tests.verifier.world import NOW, STATUS_URI, World
from verifier import Fetched
from verifier.cache import CachingFetcher
from verifier.check.revocation import CRL_MEDIA_TYPE
from verifier.fetch import FetchFailed
from verifier.freshness import REVOCATION_SECONDS

CRL_URL = "http://crl.example"


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture
def kept(world: World) -> Kept:
    return Kept(world)


def several(world: World, number: int, **bounds: int) -> tuple[CachingFetcher, Host, list[str], int]:
    """A cache before as many lists, all of one size."""
    lists, host = Kept(world), Host(Clock(NOW))
    urls = [f"https://issuer.example/{number}" for number in range(number)]
    for url in urls:
        host.documents[url] = (lists.list(uri=url), JWT, 200)
    (size,) = {len(body) for body, _, _ in host.documents.values()}
    scaled = {name: size * bound if name == "max_bytes" else bound for name, bound in bounds.items()}
    return CachingFetcher(host, clock=host.clock, **scaled), host, urls, size


def fetched_anew(cache: CachingFetcher, host: Host, urls: list[str]) -> list[str]:
    """Those of the addresses that have to be asked again."""
    host.asked.clear()
    for url in urls:
        cache.fetch(url, accept=JWT)
    return host.asked


@pytest.mark.parametrize(("after", "older"), [(299, False), (300, True)])
def test_an_older_list_counts_from_the_second_in_which_the_newer_one_ended(after: int, older: bool, kept: Kept) -> None:
    good = kept.get()
    kept.clock.now += after
    WORSE["older"](kept)
    kept.cache.refresh()
    assert (kept.get() != good) is older


def test_a_copy_ends_with_the_second_that_it_names(kept: Kept) -> None:
    kept.get()
    kept.host.documents.clear()
    kept.clock.now += 300
    with pytest.raises(FetchFailed):
        kept.get()


@pytest.mark.parametrize(("after", "asked"), [(239, 1), (240, 2)])
def test_what_is_used_is_fetched_ahead_after_four_fifths_of_its_time(after: int, asked: int, kept: Kept) -> None:
    kept.get()
    kept.clock.now += after
    kept.cache.refresh()
    assert len(kept.host.asked) == asked


def test_a_host_that_is_gone_is_asked_ahead_once_for_each_use(kept: Kept) -> None:
    kept.get()
    kept.clock.now += 250
    kept.host.documents.clear()
    for _ in range(3):
        kept.cache.refresh()
    assert len(kept.host.asked) == 2
    kept.get()
    kept.cache.refresh()
    assert len(kept.host.asked) == 3


def test_one_host_that_is_gone_keeps_no_other_from_being_asked_ahead(world: World) -> None:
    cache, host, urls, _ = several(world, 3)
    fetched_anew(cache, host, urls)
    del host.documents[urls[0]]
    host.asked.clear()
    host.clock.now += 250
    assert cache.refresh() > 0
    assert host.asked == urls


def test_a_list_that_did_not_change_counts_from_when_it_came_again(kept: Kept) -> None:
    """Else it would be asked for at each answer from then on."""
    kept.put(revocation_list(), CRL_MEDIA_TYPE, url=CRL_URL)
    for after, asked in ((0, 1), (REVOCATION_SECONDS, 2), (1, 2), (REVOCATION_SECONDS, 3)):
        kept.clock.now += after
        kept.get(CRL_MEDIA_TYPE, CRL_URL)
        assert kept.host.asked.count(CRL_URL) == asked


def test_memory_is_full_only_beyond_its_bounds(world: World) -> None:
    for bounds in ({"max_bytes": 3}, {"max_documents": 3}):
        cache, host, urls, _ = several(world, 4, **bounds)
        assert fetched_anew(cache, host, urls[:3]) == urls[:3]
        assert fetched_anew(cache, host, urls[:3]) == []
        assert fetched_anew(cache, host, [urls[3], *urls[1:]]) == [urls[3]]
        assert fetched_anew(cache, host, urls[:1]) == urls[:1]


def test_what_is_too_large_for_all_of_memory_takes_nobodys_place(world: World) -> None:
    cache, host, urls, size = several(world, 3, max_bytes=2)
    body = Kept(world).list(uri=urls[2] + "/" + "a" * 2 * size)
    host.documents[f"{urls[2]}/{'a' * 2 * size}"] = (body, JWT, 200)
    fetched_anew(cache, host, urls[:2])
    cache.fetch(f"{urls[2]}/{'a' * 2 * size}", accept=JWT)
    assert fetched_anew(cache, host, urls[:2]) == []


def test_what_was_dropped_takes_no_memory(world: World) -> None:
    cache, host, urls, _ = several(world, 2, max_bytes=2)
    for _ in range(5):
        cache.settle(urls[0], cache.fetch(urls[0], accept=JWT), believed=False)
    fetched_anew(cache, host, urls)
    assert fetched_anew(cache, host, urls) == []


def test_what_was_exchanged_takes_no_memory(world: World) -> None:
    cache, host, urls, _ = several(world, 2, max_bytes=2)
    for _ in range(5):
        fetched_anew(cache, host, urls[:1])
        host.clock.now += 300
    assert fetched_anew(cache, host, urls) == urls
    assert fetched_anew(cache, host, urls) == []


def test_what_waits_behind_an_unproven_list_takes_memory_too(world: World) -> None:
    cache, host, urls, _ = several(world, 2, max_bytes=2)
    cache.settle(urls[0], cache.fetch(urls[0], accept=JWT), believed=True)
    host.clock.now += 250
    host.documents[urls[0]] = (Kept(world).list(uri=urls[0], issued_at=NOW + 250), JWT, 200)
    cache.refresh()
    assert fetched_anew(cache, host, urls) == [urls[1]]
    assert fetched_anew(cache, host, urls) == urls[:1], "two and one are more than two"


def test_a_believed_list_waits_behind_any_number_of_unproven_ones(kept: Kept) -> None:
    good = judged_by(kept, believed=True)
    for after in (10, 20):
        kept.clock.now = NOW + 240 + after
        kept.get()
        kept.put(kept.list(issued_at=NOW + 240 + after, ttl=11))
        kept.cache.refresh()
    slipped_in = kept.cache.fetch(STATUS_URI, accept=JWT)
    assert slipped_in.body != good.body
    kept.cache.settle(STATUS_URI, slipped_in, believed=False)
    assert kept.get() == good.body


def test_a_refusal_drops_its_own_document_and_no_other(kept: Kept) -> None:
    """A host may send one document, even one object, for several addresses."""
    document = Fetched(revocation_list(), 200, CRL_MEDIA_TYPE, NOW)
    urls = [f"{CRL_URL}/{number}" for number in range(3)]

    def same(url: str, *, accept: str) -> Fetched:
        kept.host.asked.append(url)
        return document if url != urls[0] else replace(document)

    kept.host.fetch = same  # type: ignore[method-assign]
    for url in urls:
        kept.get(CRL_MEDIA_TYPE, url)
    kept.cache.settle(urls[1], document, believed=False)
    kept.cache.settle(urls[0], document, believed=False)
    kept.host.asked.clear()
    for url in urls:
        kept.get(CRL_MEDIA_TYPE, url)
    assert kept.host.asked == [urls[1]]


def at_once(kept: Kept, first: Callable[[], None]) -> list[str]:
    """Why two get nothing who want one document: one whose fetch is under way, and one who waits for it."""
    begun, failures = threading.Event(), []
    real = kept.host.fetch

    def beginning(url: str, *, accept: str) -> Fetched:
        begun.set()
        return real(url, accept=accept)

    kept.host.fetch = beginning  # type: ignore[method-assign]

    def want() -> None:
        try:
            kept.get()
        except (FetchFailed, LookupError) as failure:
            failures.append(f"{type(failure).__name__}: {failure}")

    leading, waiting = threading.Thread(target=want), threading.Thread(target=want)
    leading.start()
    assert begun.wait(10)
    waiting.start()
    first()
    waiting.join(10)
    assert kept.host.gate is not None
    kept.host.gate.set()
    leading.join(10)
    assert not leading.is_alive()
    assert not waiting.is_alive()
    return failures


def test_whoever_waits_for_a_fetch_that_does_not_end_waits_no_longer(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.cache.WAIT_SECONDS", 0.01)
    kept.host.gate = threading.Event()
    assert at_once(kept, lambda: None) == ["FetchFailed: another fetch of the same document does not end"]
    assert kept.host.asked == [STATUS_URI]
    kept.get()
    assert kept.host.asked == [STATUS_URI]


def test_whoever_waits_for_a_fetcher_that_breaks_gets_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = kept.host.gate = threading.Event()
    waiting = threading.Event()
    real = threading.Event.wait

    def broken(url: str, *, accept: str) -> Fetched:
        assert real(gate, 10)
        raise LookupError(url)

    def telling(event: threading.Event, timeout: float | None = None) -> bool:
        if timeout == 29.0:
            waiting.set()
        return real(event, timeout)

    monkeypatch.setattr("verifier.cache.WAIT_SECONDS", 29.0)
    monkeypatch.setattr(threading.Event, "wait", telling)
    kept.host.fetch = broken  # type: ignore[method-assign]

    def release() -> None:
        assert real(waiting, 10)
        gate.set()

    failures = at_once(kept, release)
    assert sorted(failures) == ["FetchFailed: the fetcher broke", f"LookupError: {STATUS_URI}"]
