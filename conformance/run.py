"""A run of the suite against one target: the results of all checks, in order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import httpx

from conformance.check import HAIP, Check, Outcome, Recorded, Result, Target, chosen, tried
from conformance.exchange import TIMEOUT_SECONDS
from conformance.issuer_attestation import ATTESTATION_CHECKS
from conformance.issuer_authorization import AUTHORIZATION_CHECKS
from conformance.issuer_batch import BATCH_CHECKS
from conformance.issuer_content import CONTENT_CHECKS
from conformance.issuer_credential import CREDENTIAL_CHECKS
from conformance.issuer_dpop import DPOP_CHECKS
from conformance.issuer_endpoints import ENDPOINT_CHECKS
from conformance.issuer_german import GERMAN_CHECKS
from conformance.issuer_metadata import METADATA_CHECKS
from conformance.issuer_metadata_form import FORM_CHECKS
from conformance.issuer_offer import OFFER_CHECKS
from conformance.issuer_server import SERVER_CHECKS
from conformance.issuer_target import IssuerTarget
from conformance.issuer_tls import TLS_CHECKS
from conformance.issuer_token import TOKEN_CHECKS
from conformance.verifier_answers import ANSWER_CHECKS
from conformance.verifier_german import GERMAN_CHECKS as GERMAN_VERIFIER_CHECKS
from conformance.verifier_page import PAGE_CHECKS
from conformance.verifier_request import REQUEST_CHECKS
from conformance.verifier_status import STATUS_CHECKS
from conformance.verifier_target import VerifierTarget
from conformance.wallet_collecting import COLLECTING_CHECKS
from conformance.wallet_page import PAGE_CHECKS as WALLET_PAGE_CHECKS
from conformance.wallet_presenting import PRESENTING_CHECKS
from conformance.wallet_target import WalletTarget
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
    registries = (
        METADATA_CHECKS,
        FORM_CHECKS,
        ENDPOINT_CHECKS,
        SERVER_CHECKS,
        TLS_CHECKS,
        OFFER_CHECKS,
        ATTESTATION_CHECKS,
        AUTHORIZATION_CHECKS,
        TOKEN_CHECKS,
        CREDENTIAL_CHECKS,
        CONTENT_CHECKS,
        BATCH_CHECKS,
        DPOP_CHECKS,
        GERMAN_CHECKS,
    )
    return tuple(check for registry in registries for check in registry.checks)


def judge(
    kind: str,
    url: str,
    target: Target,
    checks: Sequence[Check[Target]],
    *,
    profile: str,
    with_slow: bool = False,
    tell: Callable[[Result], None] = lambda _result: None,
) -> Report:
    """Try checks on a target, one after another. tell: hears each result as it comes."""
    began = time.monotonic()
    results: list[Result] = []
    for check in checks:
        results.append(tried(check, target, profile=profile, with_slow=with_slow))
        tell(results[-1])
    return report_of(kind, url, target, profile, results, seconds=time.monotonic() - began)


def report_of(
    kind: str, url: str, target: Recorded, profile: str, results: Sequence[Result], *, seconds: float
) -> Report:
    """A report of results."""
    return Report(kind, url, profile, tuple(results), target.recorder.requests, seconds)


def verifier_checks() -> Sequence[Check[VerifierTarget]]:
    """All checks of a verifier, in their order."""
    registries = (REQUEST_CHECKS, GERMAN_VERIFIER_CHECKS, ANSWER_CHECKS, STATUS_CHECKS, PAGE_CHECKS)
    return tuple(check for registry in registries for check in registry.checks)


def wallet_checks() -> Sequence[Check[WalletTarget]]:
    """All checks of a wallet, in their order: what it collects is what it is asked for afterwards."""
    return (*COLLECTING_CHECKS.checks, *PRESENTING_CHECKS.checks, *WALLET_PAGE_CHECKS.checks)


def run_wallet(
    target: WalletTarget,
    *,
    profile: str = HAIP,
    only: Sequence[str] = (),
    tell: Callable[[Result], None] = lambda _result: None,
) -> Report:
    """Judge a wallet. only, tell: as `run_issuer`."""
    target.profile = profile
    return judge("wallet", target.url, target, chosen(wallet_checks(), only), profile=profile, tell=tell)


def run_verifier(
    target: VerifierTarget,
    *,
    profile: str = HAIP,
    only: Sequence[str] = (),
    tell: Callable[[Result], None] = lambda _result: None,
) -> Report:
    """Judge a verifier. only, tell: as `run_issuer`."""
    target.profile = profile
    return judge("verifier", target.url, target, chosen(verifier_checks(), only), profile=profile, tell=tell)


def run_issuer(
    url: str,
    *,
    profile: str = HAIP,
    allow_loopback_http: bool = False,
    client: httpx.Client | None = None,
    target: IssuerTarget | None = None,
    only: Sequence[str] = (),
    with_slow: bool = False,
    tell: Callable[[Result], None] = lambda _result: None,
) -> Report:
    """Judge an issuer by its credential issuer identifier.

    target: what the suite is told of it beside its address, if anything. only: ids of checks, `part-*` for all that
    begin so. tell: hears each result as it comes.

    Raises:
        InvalidAnswer: the URL is no identifier of an issuer (https, no query, no fragment).
    """
    check_identifier(url, allow_loopback_http=allow_loopback_http)
    with client or httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as talking:
        known = target or IssuerTarget(url, talking, allow_loopback_http)
        known = replace(known, profile=profile)
        return judge(
            "issuer",
            url,
            known,
            chosen(issuer_checks(), only),
            profile=profile,
            with_slow=with_slow,
            tell=tell,
        )
