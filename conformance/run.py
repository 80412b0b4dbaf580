"""A run of the suite against one target: the results of all checks, in order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from conformance.check import HAIP, Check, Outcome, Result, tried
from conformance.issuer_endpoints import ENDPOINT_CHECKS
from conformance.issuer_metadata import METADATA_CHECKS
from conformance.issuer_target import TIMEOUT_SECONDS, IssuerTarget
from specs.protocols.oauth_metadata import check_identifier


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found. seconds: how long it took. requests: how many the target answered or did not."""

    kind: str
    target: str
    profile: str
    results: tuple[Result, ...]
    requests: int
    seconds: float

    def count(self, outcome: Outcome) -> int:
        """How many checks ended so."""
        return sum(1 for result in self.results if result.outcome is outcome)

    @property
    def is_good(self) -> bool:
        """Whether something was checked and nothing failed."""
        return self.count(Outcome.FAILED) == 0 and self.count(Outcome.PASSED) > 0


def issuer_checks() -> Sequence[Check[IssuerTarget]]:
    """All checks of an issuer, in their order."""
    return (*METADATA_CHECKS.checks, *ENDPOINT_CHECKS.checks)


def run_issuer(
    url: str,
    *,
    profile: str = HAIP,
    allow_loopback_http: bool = False,
    client: httpx.Client | None = None,
    tell: Callable[[Result], None] = lambda _result: None,
) -> Report:
    """Judge an issuer by its credential issuer identifier. tell: hears each result as it comes.

    Raises:
        InvalidAnswer: the URL is no identifier of an issuer (https, no query, no fragment).
    """
    check_identifier(url, allow_loopback_http=allow_loopback_http)
    began = time.monotonic()
    results: list[Result] = []
    with client or httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as talking:
        target = IssuerTarget(url, talking, allow_loopback_http)
        for check in issuer_checks():
            results.append(tried(check, target, profile=profile))
            tell(results[-1])
    return Report("issuer", url, profile, tuple(results), target.requests, time.monotonic() - began)
