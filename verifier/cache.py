"""A fetcher that remembers: one fetch for many answers, at most one at a time for each address, within bounded memory.

What is kept is never exchanged for something worse: not for an older document, another one, or one that does not hold
together. What no accepted answer was judged by yet is dropped with the first refusal, and what it came in place of is
there again: nobody can slip something in that denies everybody service for as long as it claims to live. `refresh`
fetches what is used and ends soon, so that nobody waits for it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from verifier.expectations import Fetched
from verifier.fetch import Fetcher, FetchFailed
from verifier.freshness import Freshness, freshness_of

MAX_KEPT_BYTES = 64 * 1024 * 1024
MAX_KEPT = 1024
WAIT_SECONDS = 30.0  # longer than any fetch of the policed fetcher
REFRESH_SECONDS = 10.0

_Key = tuple[str, str]


@dataclass(slots=True)
class _Kept:
    fetched: Fetched
    freshness: Freshness
    used: bool = True
    believed: bool = False  # an accepted answer was judged by it
    before: "_Kept | None" = None  # the believed one that it came in place of

    def size(self) -> int:
        """Bytes of the bodies."""
        return len(self.fetched.body) + (0 if self.before is None else self.before.size())

    def due(self) -> float:
        """When it is worth fetching ahead: when four fifths of its time are over."""
        return self.fetched.fetched_at + 0.8 * (self.freshness.refetch_after - self.fetched.fetched_at)


@dataclass(slots=True)
class _Flight:
    """A fetch under way, and what came of it."""

    landed: threading.Event = field(default_factory=threading.Event)
    fetched: Fetched | None = None
    failure: FetchFailed | None = None


class CachingFetcher:
    """Remembers status lists, revocation lists and responders' answers; everything else is fetched each time.

    max_bytes: of all bodies together; the one that was not used for longest goes first.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        max_bytes: int = MAX_KEPT_BYTES,
        max_documents: int = MAX_KEPT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetcher = fetcher
        self._max_bytes = max_bytes
        self._max_documents = max_documents
        self._clock = clock
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._bytes = 0
        self._flights: dict[_Key, _Flight] = {}
        self._lock = threading.Lock()

    def fetch(self, url: str, *, accept: str) -> Fetched:
        """A document that is fresh enough, from memory or by a fetch that all who want it share.

        Raises:
            FetchFailed: there is none, and none could be had.
        """
        key = (url, accept)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                kept.used = True
                if self._clock() < kept.freshness.refetch_after:
                    return kept.fetched
        try:
            return self._shared(key)
        except FetchFailed:
            if kept is not None and self._clock() < kept.freshness.usable_until:
                return kept.fetched  # still in time by its own word
            raise

    def settle(self, url: str, fetched: Fetched, *, believed: bool) -> None:
        """Say what became of an answer that was judged by a document, as `fetch` gave it."""
        with self._lock:
            for key, kept in list(self._kept.items()):
                if key[0] != url or kept.fetched is not fetched or kept.believed:
                    continue
                self._drop(key)
                if believed:
                    self._keep(key, replace(kept, believed=True, before=None))
                elif kept.before is not None:
                    self._keep(key, kept.before)

    def refresh(self) -> float:
        """Fetch again what was used since it came and ends soon. Seconds until there may be more to do."""
        now = self._clock()
        with self._lock:
            due = [key for key, kept in self._kept.items() if kept.used and kept.due() <= now]
            for key in due:
                self._kept[key].used = False  # whoever uses it again gets it fetched again
        for key in due:
            try:
                self._shared(key)
            except FetchFailed:
                continue  # it is used until its end, and whoever needs it then asks himself
        return REFRESH_SECONDS

    def _shared(self, key: _Key) -> Fetched:
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if leads:
            self._fly(key, flight)
        elif not flight.landed.wait(WAIT_SECONDS):
            raise FetchFailed("another fetch of the same document does not end")
        if flight.failure is not None:
            raise FetchFailed(str(flight.failure)) from flight.failure
        assert flight.fetched is not None  # a flight lands with one of both
        return flight.fetched

    def _fly(self, key: _Key, flight: _Flight) -> None:
        try:
            fetched = self._fetcher.fetch(key[0], accept=key[1])
            flight.fetched = self._better(key, fetched)
        except FetchFailed as failure:
            flight.failure = failure
        finally:
            if flight.fetched is None and flight.failure is None:
                flight.failure = FetchFailed("the fetcher broke")  # nobody waits for ever
            with self._lock:
                del self._flights[key]
            flight.landed.set()

    def _better(self, key: _Key, fetched: Fetched) -> Fetched:
        """What came, or what is kept if that is better and still usable."""
        now = int(self._clock())
        freshness = freshness_of(fetched, url=key[0], now=now)
        with self._lock:
            kept = self._kept.get(key)
            usable = kept is not None and now < kept.freshness.usable_until
            if kept is not None and usable and (freshness is None or freshness.made_at < kept.freshness.made_at):
                return kept.fetched
            if freshness is not None:
                before = kept if kept is None or kept.believed else kept.before
                self._keep(key, _Kept(fetched, freshness, used=kept is None, before=before))
        return fetched

    def _keep(self, key: _Key, kept: _Kept) -> None:
        self._drop(key)
        if kept.size() > self._max_bytes:
            return
        self._kept[key] = kept
        self._bytes += kept.size()
        while self._bytes > self._max_bytes or len(self._kept) > self._max_documents:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._bytes -= gone.size()
