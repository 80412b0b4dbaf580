"""Calls that the issuer makes to others: policed as the verifier's fetches, in threads of their own, each ending."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from verifier.expectations import Fetched
from verifier.fetch import FetchFailed, PolicedFetcher

_THREADS = 16
_GRACE = 0.5  # seconds for a name that resolves too slowly, which no socket deadline covers


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The one way out. allow_loopback_http: as in the settings."""

    allow_loopback_http: bool = False
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="outgoing"), repr=False
    )

    async def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str], deadline: float, max_bytes: int
    ) -> Fetched:
        """POST to an https address. deadline: seconds for all of it. max_bytes: of the answer.

        Raises:
            FetchFailed: no answer that may be used; `FetchForbidden` if another try would end alike.
        """
        fetcher = self._fetcher(deadline, max_bytes)
        return await self._run(lambda: fetcher.post(url, body, headers=headers), deadline)

    async def get(self, url: str, *, accept: str, deadline: float, max_bytes: int) -> Fetched:
        """GET from an https address. deadline: seconds for all of it. max_bytes: of the answer.

        Raises:
            FetchFailed: no answer that may be used; `FetchForbidden` if another try would end alike.
        """
        fetcher = self._fetcher(deadline, max_bytes)
        return await self._run(lambda: fetcher.fetch(url, accept=accept), deadline)

    def close(self) -> None:
        """Let go of the threads; calls under way end by their deadlines."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _fetcher(self, deadline: float, max_bytes: int) -> PolicedFetcher:
        return PolicedFetcher(
            allow_loopback_http=self.allow_loopback_http, deadline=deadline, max_bytes=max_bytes, tls=self.tls
        )

    async def _run(self, call: Callable[[], Fetched], deadline: float) -> Fetched:
        try:
            async with asyncio.timeout(deadline + _GRACE):
                return await asyncio.get_running_loop().run_in_executor(self.threads, call)
        except TimeoutError:
            raise FetchFailed("TimeoutError") from None
