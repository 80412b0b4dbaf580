"""Each misbehaviour meets the documented reaction of our own issuer, verifier and reader; without it all goes well."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from specs.refusal import ReasonCode
from tests.wallet_sim.misbehaving import Stage, cases, running_stage
from wallet_sim.cli_misbehaviours import as_markdown
from wallet_sim.conduct import HONEST, Endpoint
from wallet_sim.misbehaviour import (
    Misbehaviour,
    Misconduct,
    Need,
    Phase,
    UnknownMisbehaviour,
    find_misbehaviour,
    misbehaviours,
)
from wallet_sim.transport import WalletFailure

AT_LEAST = 60
ISSUANCE_SCENES = list(dict.fromkeys(each.needs for each in misbehaviours(Phase.ISSUANCE)))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, provided: Path) -> Iterator[Stage]:
    """The issuer, verifier and reader that all misbehaving wallets meet."""
    with running_stage(tmp_path_factory.mktemp("stage"), provided) as running:
        yield running


@pytest.fixture
def filled(stage: Stage, tmp_path: Path) -> Path:
    """A wallet of its own with credentials."""
    file = tmp_path / "filled.db"
    shutil.copy(stage.filled, file)
    return file


def _name(value: object) -> str:
    return str(value)


@pytest.mark.parametrize("needs", ISSUANCE_SCENES, ids=_name)
def test_honest_wallet_collects_in_each_scene(stage: Stage, wallet_file: Path, needs: frozenset[Need]) -> None:
    assert stage.collect(wallet_file, HONEST, needs) == (2 if needs & {Need.TWO_CREDENTIALS, Need.TWO_COPIES} else 1)


@pytest.mark.parametrize("form", ["dc+sd-jwt", "mso_mdoc"])
@pytest.mark.parametrize(
    "needs", [frozenset(), frozenset({Need.EARLIER}), frozenset({Need.TRANSACTION_DATA})], ids=_name
)
def test_honest_wallet_presents_in_each_scene(stage: Stage, filled: Path, needs: frozenset[Need], form: str) -> None:
    stage.present(filled, HONEST, needs, form)


def test_honest_wallet_is_believed_on_the_spot(stage: Stage, filled: Path) -> None:
    assert stage.meet(filled, HONEST).accepted


_MINUTES = {"request-slow"}  # the wallet sends on to the last byte, though the answer came long before


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=str(case), marks=[pytest.mark.long] if case.id in _MINUTES else [])
        for case in misbehaviours(Phase.ISSUANCE)
    ],
)
def test_issuer_reacts_as_documented(stage: Stage, wallet_file: Path, case: Misbehaviour) -> None:
    conduct = Misconduct(case)
    with contextlib.suppress(WalletFailure):
        stage.collect(wallet_file, conduct, case.needs)

    assert conduct.is_done
    assert conduct.is_met(Phase.ISSUANCE), case.reaction.seen(conduct.exchanges)


@pytest.mark.parametrize(("case", "form"), cases(Phase.PRESENTATION))
def test_verifier_reacts_as_documented(stage: Stage, filled: Path, case: Misbehaviour, form: str) -> None:
    conduct = Misconduct(case)
    if case.reaction.is_refusal:
        with pytest.raises(WalletFailure, match="the answer was refused"):
            stage.present(filled, conduct, case.needs, form)
    else:
        stage.present(filled, conduct, case.needs, form)

    seen = case.reaction.seen(conduct.exchanges)
    assert conduct.is_done
    assert seen is not None
    assert case.reaction.reason in (None, seen.description)
    assert conduct.is_met(Phase.PRESENTATION)


@pytest.mark.parametrize("case", misbehaviours(Phase.PROXIMITY), ids=str)
def test_reader_reacts_as_documented(stage: Stage, filled: Path, case: Misbehaviour) -> None:
    conduct = Misconduct(case)
    verdict = stage.meet(filled, conduct)

    reaction = case.reaction_in(Phase.PROXIMITY)
    assert conduct.is_done
    assert verdict.accepted is not case.reaction.is_refusal
    if reaction.reason is not None:
        assert verdict.reason == reaction.reason
    assert reaction.at is Endpoint.READER
    assert conduct.is_met(Phase.PROXIMITY)


def test_the_table_in_the_documentation_is_the_list() -> None:
    """`stadtnachweis wallet misbehaviours --markdown` writes it."""
    assert (Path(__file__).parents[2] / "docs" / "misbehaviours.md").read_text(encoding="utf-8") == as_markdown()


def test_there_are_many_and_each_says_what_it_breaks() -> None:
    known = misbehaviours()
    assert len(known) >= AT_LEAST
    assert all(misbehaviours(phase) for phase in Phase)
    for each in known:
        assert each.clause
        assert each.sentence.endswith(".")
        assert each.reaction.statuses
        assert each.reaction.reason in (None, *ReasonCode)
        assert find_misbehaviour(each.id) is each


def test_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownMisbehaviour, match="no misbehaviour is called impolite"):
        find_misbehaviour("impolite")
