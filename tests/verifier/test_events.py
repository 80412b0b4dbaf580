"""What the host is told, and what it keeps: events without a word about the person, records that can be repeated."""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

from specs.keys.signer import FileSigner, generate_signer
from specs.refusal import Refusal
from tests.verifier.desk import MDOC, SD_JWT, Desk, code_of, reason_of
from verifier import Flow, ReasonCode
from verifier.events import AnswerJudged, OutcomeTaken, QuestionAsked, QuestionFetched, VerifierEvent
from verifier.evidence import FolderKeys, Recording, open_evidence
from verifier.transaction import TransactionStore


@dataclass
class Host:
    """A desk whose host listens and keeps records."""

    keys: FolderKeys
    signer: FileSigner = field(default_factory=generate_signer)
    told: list[VerifierEvent] = field(default_factory=list)
    records: dict[str, str] = field(default_factory=dict)

    @cached_property
    def desk(self) -> Desk:
        """The desk."""
        recording = Recording(self.signer, self.keys, self._write)
        return Desk(listener=self.told.append, recording=recording)

    def _write(self, record: str, transaction: str) -> None:
        self.records[transaction] = record


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(FolderKeys(tmp_path / "keys"))


@pytest.mark.parametrize("procedure", [SD_JWT, MDOC])
def test_each_step_is_told_and_an_accepted_answer_is_recorded(host: Host, procedure: str) -> None:
    desk = host.desk
    asking = desk.ask(procedure)
    token = desk.vp_token(asking) if procedure == SD_JWT else desk.mdoc_token(asking)
    receipt = desk.receive(asking, asking.encrypted({"vp_token": token, "state": asking.state}))
    desk.verifier.result(
        asking.question.id, session_secret=asking.question.session_secret, response_code=code_of(receipt)
    )

    now, transaction = int(desk.clock()), asking.question.id
    assert host.told == [
        QuestionAsked(transaction, procedure, "same_device", now),
        QuestionFetched(transaction, procedure, now),
        AnswerJudged(transaction, procedure, "same_device", None, ("pid",), now),
        OutcomeTaken(transaction, procedure, now),
    ]
    opened = open_evidence(host.records[transaction], signer=host.signer.public_key, keys=host.keys)
    assert opened.verdict.accepted
    assert opened.statement.procedure == procedure


def test_no_event_says_who_it_was(host: Host) -> None:
    desk = host.desk
    asking = desk.ask()
    desk.verifier.receive(asking.response_handle, desk.answer(asking))
    told = json.dumps([asdict(event) for event in host.told])
    for word in ("LINDENAU", "MILA", "LEIPZIG", asking.nonce, asking.question.session_secret):
        assert word not in told


def test_a_refusal_and_a_wallet_that_declines_are_told_apart(host: Host) -> None:
    desk = host.desk
    desk.shelf.documents.clear()
    refused, declined = desk.ask(), desk.ask()
    desk.verifier.receive(refused.response_handle, desk.answer(refused))
    desk.verifier.receive(declined.response_handle, {"error": "access_denied", "state": declined.state})
    judged = [event.reason for event in host.told if isinstance(event, AnswerJudged)]
    assert judged == [ReasonCode.STATUS_UNAVAILABLE, ReasonCode.WALLET_ERROR]
    assert set(host.records) == {refused.question.id}


def test_an_answer_that_came_second_leaves_nothing(host: Host) -> None:
    desk = host.desk
    asking = desk.ask()
    answer = desk.answer(asking)
    desk.verifier.receive(asking.response_handle, answer)
    desk.verifier.receive(asking.response_handle, answer)
    assert sum(isinstance(event, AnswerJudged) for event in host.told) == 1
    assert len(host.records) == 1


def test_no_verdict_is_had_without_its_record(tmp_path: Path, store: TransactionStore) -> None:
    """Where a record can't be kept, the question ends without a verdict; before it is kept, nothing is had."""
    seen: list[bool] = []

    def full(_record: str, transaction: str) -> None:
        seen.append(desk.verifier.is_answered(transaction))
        row = store.by_id(transaction, now=int(desk.clock()))
        assert row is not None
        assert row.outcome == b"", "nothing is there to be had"
        with pytest.raises(Refusal):
            desk.verifier.result(transaction, session_secret=asking.question.session_secret)
        raise OSError("no space left")

    signer, keys = generate_signer(), FolderKeys(tmp_path / "keys")
    desk = Desk(recording=Recording(signer, keys, full), store=store)
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    with pytest.raises(OSError, match="no space left"):
        desk.receive(asking, desk.answer(asking))
    assert seen == [False]
    with pytest.raises(Refusal) as refused:
        desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret)
    assert refused.value.reason is ReasonCode.TRANSACTION_UNKNOWN
    assert reason_of(desk.receive(asking, desk.answer(asking))) == ReasonCode.TRANSACTION_UNKNOWN
    kept: list[str] = []
    desk = Desk(recording=Recording(signer, keys, lambda record, _transaction: kept.append(record)), store=store)
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    assert reason_of(desk.receive(asking, desk.answer(asking))) is None
    assert desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret).verdict.accepted
    assert len(kept) == 1


def test_a_record_that_is_kept_too_late_brings_no_verdict(tmp_path: Path) -> None:
    """The question expired while its record was written: the wallet is told of no success, and nobody of a verdict."""

    def slow(_record: str, _transaction: str) -> None:
        desk.clock.now += 300

    told: list[VerifierEvent] = []
    recording = Recording(generate_signer(), FolderKeys(tmp_path / "keys"), slow)
    desk = Desk(recording=recording, listener=told.append)
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    assert reason_of(desk.receive(asking, desk.answer(asking))) == ReasonCode.TRANSACTION_UNKNOWN
    with pytest.raises(Refusal):
        desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret)
    assert not any(isinstance(event, AnswerJudged) for event in told)


def test_that_a_wallet_declined_is_had_where_records_are_kept_too(host: Host) -> None:
    """There is nothing to record."""
    asking = host.desk.ask(flow=Flow.CROSS_DEVICE)
    assert host.desk.receive(asking, {"error": "access_denied", "state": asking.state}).status == 200
    found = host.desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret)
    assert (found.wallet_error, host.records) == ("access_denied", {})
