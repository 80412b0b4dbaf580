"""Our own issuer passes the suite, and with one defect it does not: the check that is there for the defect says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest

from conformance.check import GERMAN, Outcome, Result, tried
from conformance.identity import SuiteIdentity
from conformance.issuer_target import IssuerTarget
from conformance.run import issuer_checks, run_issuer
from tests.conformance.faults import Faulty, some
from tests.conformance.german_defects import GERMAN_DEFECTS
from tests.conformance.issuer_defects import ISSUER_DEFECTS
from tests.conformance.our_issuer import OurIssuer, running_issuer
from tests.conformance.published_defects import OFFER_DEFECTS, PUBLISHED_DEFECTS
from tests.conformance.sweeps import ISSUER_SWEEPS

CHECKS = {check.id: check for check in issuer_checks()}
NOT_TRIED = {  # what our issuer of the tests does not have, or what needs another target
    "oauth-details-type", "oauth-jwks", "tls-old-versions", "tls-weak-suites", "tls-newest", "tls-newest-preferred",
    "att-challenge-header", "token-details", "token-refresh", "token-refresh-no-client", "token-refresh-no-dpop",
    "token-refresh-other-client", "token-refresh-other-instance", "cred-deferred", "cred-key-attestation-expired",
    "cred-key-attestation-keys", "cred-key-attestation-missing", "cred-key-attestation-nonce",
    "cred-key-attestation-signature", "cred-key-attestation-typ", "cred-key-attestation-unsigned",
    "sdjwt-type-metadata", "mdoc-mdl-elements", "dpop-htu-port",
}  # fmt: skip
NOT_TRIED_BY_PROFILE = {
    "haip-1.0": set(),
    "de-2026-11": {"cred-deferred-unknown"},
    "plain-1.0": {"authz-without-par"},
}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurIssuer]:
    """The running issuer."""
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.mark.parametrize(
    ("tenant", "profile"),
    [
        ("leipzig", "haip-1.0"),
        pytest.param("bund", "de-2026-11", marks=pytest.mark.long),
        pytest.param("offen", "plain-1.0", marks=pytest.mark.long),
    ],
)
def test_our_issuer_passes_all_that_can_be_tried(tenant: str, profile: str, issuer: OurIssuer) -> None:
    with issuer.target(tenant) as target:
        report = run_issuer(target.url, profile=profile, allow_loopback_http=True, target=target)
    good = (Outcome.PASSED, Outcome.SKIPPED)
    assert [(each.id, each.expected, each.came) for each in report.results if each.outcome not in good] == []
    skipped = {each.id for each in report.results if each.outcome is Outcome.SKIPPED}
    of_others = {check.id for check in issuer_checks() if profile not in check.profiles or check.is_slow}
    assert skipped - of_others <= NOT_TRIED | NOT_TRIED_BY_PROFILE[profile]


@pytest.fixture(scope="module")
def faulty(issuer: OurIssuer) -> Iterator[tuple[IssuerTarget, Faulty]]:
    """The issuer behind a transport that can be told a fault; tokens are kept from one test to the next."""
    with _behind_faults(issuer, "leipzig") as found:
        yield found


@pytest.fixture(scope="module")
def german(issuer: OurIssuer) -> Iterator[tuple[IssuerTarget, Faulty]]:
    """The same for the tenant of the German profile."""
    with _behind_faults(issuer, "bund") as found:
        found[0].profile = GERMAN
        yield found


@contextmanager
def _behind_faults(issuer: OurIssuer, tenant: str) -> Iterator[tuple[IssuerTarget, Faulty]]:
    transport = Faulty()
    with issuer.target(tenant) as target, httpx.Client(transport=transport, timeout=15) as client:
        target.caller.client = client
        yield target, transport


def _tried(name: str, target: IssuerTarget) -> Result:
    """A check on a target of which nothing but sessions is known yet."""
    for kept in [kept for kept in target.kept if not kept.startswith("session")]:
        del target.kept[kept]
    for kept in ("metadata", "server"):
        vars(target).pop(kept, None)
    return tried(CHECKS[name], target, profile=target.profile)


@pytest.mark.parametrize("defect", some(ISSUER_DEFECTS))
def test_an_issuer_with_one_defect_is_caught_by_its_check(defect: str, faulty: tuple[IssuerTarget, Faulty]) -> None:
    (target, transport), (change, expected) = faulty, ISSUER_DEFECTS[defect]
    transport.use(None)
    assert _tried(expected, target).outcome is Outcome.PASSED
    transport.use(change)
    result = _tried(expected, target)
    assert result.outcome is Outcome.FAILED, result.came
    assert result.expected
    assert result.exchanges


@pytest.mark.parametrize("defect", some(PUBLISHED_DEFECTS))
def test_an_issuer_that_says_one_wrong_thing_is_caught(defect: str, faulty: tuple[IssuerTarget, Faulty]) -> None:
    (target, transport), (change, expected) = faulty, PUBLISHED_DEFECTS[defect]
    transport.use(None)
    assert _tried(expected, target).outcome is Outcome.PASSED
    transport.use(change)
    result = _tried(expected, target)
    assert result.outcome is (Outcome.WARNED if CHECKS[expected].is_advice else Outcome.FAILED), result.came


@pytest.mark.parametrize("defect", some(OFFER_DEFECTS))
def test_an_issuer_with_one_defect_in_its_offers_is_caught(defect: str, issuer: OurIssuer) -> None:
    change, expected = OFFER_DEFECTS[defect]
    with issuer.target() as target:
        offers = target.offers
        assert offers is not None
        assert _tried(expected, target).outcome is Outcome.PASSED
        target.offers = lambda wish: change(offers(wish))
        result = _tried(expected, target)
    assert result.outcome is (Outcome.WARNED if CHECKS[expected].is_advice else Outcome.FAILED), result.came


@pytest.mark.long
@pytest.mark.parametrize("sweep", ISSUER_SWEEPS)
def test_an_issuer_that_is_wrong_throughout_is_caught_by_each_check(
    sweep: str, faulty: tuple[IssuerTarget, Faulty]
) -> None:
    (target, transport), (change, expected) = faulty, ISSUER_SWEEPS[sweep]
    transport.use(None)
    assert [name for name in expected if _tried(name, target).outcome is not Outcome.PASSED] == []
    transport.use(change)
    wrong = (Outcome.FAILED, Outcome.WARNED)
    assert [name for name in expected if _tried(name, target).outcome not in wrong] == []


@pytest.mark.long
def test_an_issuer_that_takes_any_key_attestation_is_caught_by_each_check(issuer: OurIssuer) -> None:
    names = [name for name in CHECKS if name.startswith("cred-key-attestation")]
    with _behind_faults(issuer, "leipzig") as (target, transport):
        target.wanted = {"dc+sd-jwt": "pid_mock-sd-jwt"}
        assert [name for name in names if _tried(name, target).outcome is not Outcome.PASSED] == []
        transport.use(ISSUER_SWEEPS["takes everything"][0])
        assert [name for name in names if _tried(name, target).outcome is not Outcome.FAILED] == []


@pytest.mark.parametrize("defect", some(GERMAN_DEFECTS))
def test_an_issuer_that_misses_the_german_profile_is_caught(defect: str, german: tuple[IssuerTarget, Faulty]) -> None:
    (target, transport), (change, expected) = german, GERMAN_DEFECTS[defect]
    target.kept.clear()
    transport.use(None)
    assert _tried(expected, target).outcome is Outcome.PASSED
    target.kept.clear()
    transport.use(change)
    result = _tried(expected, target)
    assert result.outcome is (Outcome.WARNED if CHECKS[expected].is_advice else Outcome.FAILED), result.came
    assert result.expected


def test_each_check_of_the_german_profile_has_a_target_that_it_catches() -> None:
    of_profile = {check.id for check in issuer_checks() if check.profiles == {GERMAN}}
    assert of_profile == {expected for _, expected in GERMAN_DEFECTS.values()}


def test_an_issuer_that_believes_no_wallet_holds_to_nothing_about_wallets(issuer: OurIssuer) -> None:
    """An issuer that had not been told of the suite had refused each bad attestation and request as it should."""
    with issuer.target() as target:
        unknown = replace(target, identity=SuiteIdentity.fresh())
        report = run_issuer(target.url, allow_loopback_http=True, target=unknown, only=["att-*", "par-*"])
    passed = {each.id for each in report.results if each.outcome is Outcome.PASSED}
    assert passed == {"att-challenge", "par-post-only"}


@pytest.mark.parametrize(
    "name",
    ["token-code-other-client", "token-client-id-mismatch", "token-pkce-missing", "token-pkce-wrong",
     "token-redirect-uri-other"],
)  # fmt: skip
def test_an_issuer_that_redeems_no_code_refuses_no_bad_one(name: str, issuer: OurIssuer) -> None:
    with _behind_faults(issuer, "leipzig") as (target, transport):
        transport.use(
            lambda passing: (
                passing.with_json({"error": "invalid_grant"}, 400) if passing.path == "token" else passing.answer
            )
        )
        assert _tried(name, target).outcome is Outcome.SKIPPED
