"""Our own wallet passes the suite; with one defect it does not, and the check that is there for it says so."""

from pathlib import Path

import pytest

from conformance.check import GERMAN, Outcome, tried
from conformance.run import run_wallet, wallet_checks
from specs.keys.signer import Signer
from tests.conformance.credulous_wallet import running_credulous_wallet
from tests.conformance.faults import some
from tests.conformance.our_wallet import running_wallet
from tests.conformance.wallet_defects import MISCONDUCT, SWITCHES
from wallet_sim.conduct import KEY_BINDING, Conduct, Endpoint, Jwt, Piece, jwt_of
from wallet_sim.misbehaviour import Misconduct, find_misbehaviour

CHECKS = {check.id: check for check in wallet_checks()}


@pytest.mark.parametrize(
    "profile",
    ["haip-1.0", pytest.param("de-2026-11", marks=pytest.mark.long), pytest.param("plain-1.0", marks=pytest.mark.long)],
)
def test_our_wallet_passes_everything(profile: str, tmp_path: Path) -> None:
    with running_wallet(tmp_path, profile=profile) as target:
        report = run_wallet(target, profile=profile)
    of_profile = {check.id for check in wallet_checks() if profile in check.profiles}
    amiss = [each for each in report.results if each.outcome is not Outcome.PASSED and each.id in of_profile]
    assert [(each.id, each.came) for each in amiss] == []
    assert report.is_good


@pytest.mark.parametrize("name", [check.id for check in wallet_checks() if check.profiles == {GERMAN}])
def test_a_wallet_that_deals_with_whoever_comes_is_caught(name: str, tmp_path: Path) -> None:
    with running_wallet(tmp_path, profile=GERMAN, registered_only=False) as target:
        result = tried(CHECKS[name], target, profile=GERMAN)
    assert result.outcome is Outcome.FAILED, result.came


@pytest.mark.parametrize("profile", ["haip-1.0", "de-2026-11", "plain-1.0"])
def test_each_check_catches_a_wallet_that_believes_everything_or_does_nothing(profile: str) -> None:
    """None but those that do nothing when there is nothing to refuse pass unseen by one of the two."""
    caught: set[str] = set()
    passed: dict[bool, set[str]] = {}
    for does_nothing in (False, True):
        with running_credulous_wallet(profile=profile, does_nothing=does_nothing) as target:
            results = run_wallet(target, profile=profile).results
        caught |= {each.id for each in results if each.outcome in (Outcome.FAILED, Outcome.WARNED)}
        passed[does_nothing] = {each.id for each in results if each.outcome is Outcome.PASSED}
    assert {check.id for check in wallet_checks() if profile in check.profiles} - caught == set()
    assert passed[True] == set()


class _Talkative(Conduct):
    """Says more in its key binding than anybody knows."""

    def signed(self, piece: Piece[Jwt], token: str, signer: Signer, *, to: Endpoint) -> str:
        """See `Conduct`."""
        return jwt_of(token, signer).claiming(x_more="said").token() if piece is KEY_BINDING else token


def test_a_wallet_whose_key_binding_says_more_is_warned_about(tmp_path: Path) -> None:
    with running_wallet(tmp_path, conduct=_Talkative()) as target:
        result = tried(CHECKS["wp-binding-members"], target, profile="haip-1.0")
    assert (result.outcome, result.came) == (Outcome.WARNED, "x_more")


@pytest.mark.parametrize("name", some(MISCONDUCT))
def test_a_wallet_that_misbehaves_is_caught(name: str, tmp_path: Path) -> None:
    conduct = Misconduct(find_misbehaviour(name))
    with running_wallet(tmp_path, conduct=conduct) as target:
        result = tried(CHECKS[MISCONDUCT[name]], target, profile="haip-1.0")
    assert conduct.is_done
    assert result.outcome is Outcome.FAILED, result.came
    assert any(each.came_in for each in result.exchanges)


@pytest.mark.parametrize("name", some(SWITCHES))
def test_a_wallet_that_skips_one_check_is_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch, expected = SWITCHES[name]
    switch(monkeypatch)
    with running_wallet(tmp_path) as target:
        result = tried(CHECKS[expected], target, profile="haip-1.0")
    assert result.outcome is Outcome.FAILED, result.came
