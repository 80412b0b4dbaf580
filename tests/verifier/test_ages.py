"""A question for an age on the spot and by `org-iso-mdoc`: the nearest element that settles it counts."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding import base64url, cbor
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.iso_mdoc_dc_api import parse_request_data, seal_response
from specs.protocols.proximity import build_device_request, device_request_of, parse_device_request
from specs.refusal import ReasonCode, Refusal
from tests.verifier.desk import ISO_IN_PAGE, ORIGIN, Desk
from tests.verifier.test_iso_in_page import InPage
from tests.verifier.world import DOC_TYPE, NAME_SPACE, World
from verifier import Flow, NotAllowed, Verdict
from wallet_sim.device import Device, ReaderShown
from wallet_sim.store import StoredCredential, WalletStore

TRANSCRIPT = b"\x83\xf6\xf6\xf6"


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def asking(*ages: int, values: list[bool] | None = None) -> DcqlQuery:
    claims: list[dict[str, object]] = [{"path": [NAME_SPACE, f"age_over_{age:02}"]} for age in ages]
    for claim in claims:
        claim |= {} if values is None else {"values": values}
    return parse_dcql(
        {
            "credentials": [
                {"id": "pid", "format": "mso_mdoc", "meta": {"doctype_value": DOC_TYPE}, "claims": claims}  # type: ignore[dict-item]  # JSON
            ]
        }
    )


def verdict_on(world: World, query: DcqlQuery, held: Mapping[str, object], shown: tuple[str, ...]) -> Verdict:
    desk = Desk(world, by_reader=True)
    desk.procedures = {ISO_IN_PAGE: replace(desk.procedures[ISO_IN_PAGE], query=query)}
    question = desk.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE)
    answer = InPage(desk, question, *parse_request_data(question.dc_api[1].data))
    presented = world.present_mdoc(
        world.mdoc(**held),  # type: ignore[arg-type]  # elements
        disclose=[(NAME_SPACE, name) for name in shown],
        transcript=answer.transcript(ORIGIN),
    )
    data = seal_response(base64url.decode(presented), key=answer.info.key, session_transcript=answer.transcript(ORIGIN))
    answer.receipt(data)
    return desk.verifier.result(question.id, session_secret=question.session_secret).verdict


def test_the_nearest_age_answers_the_question(world: World) -> None:
    verdict = verdict_on(world, asking(16), {}, ("age_over_18",))
    assert verdict.accepted, verdict.reason
    assert verdict.claims("pid")[NAME_SPACE] == {"age_over_18": True}
    assert not verdict.over_disclosed


@pytest.mark.parametrize(
    ("query", "held", "shown"),
    [
        (asking(21), {"age_over_18": True}, "age_over_18"),
        (asking(16), {"age_over_18": False}, "age_over_18"),
        (asking(16), {"age_over_18": 1}, "age_over_18"),
        (asking(21, values=[True]), {"age_over_18": False}, "age_over_18"),
    ],
    ids=["reached an age below", "did not reach one above", "no truth value", "says the opposite of what was wanted"],
)
def test_an_age_that_settles_nothing_is_no_answer(
    query: DcqlQuery, held: Mapping[str, object], shown: str, world: World
) -> None:
    assert verdict_on(world, asking(18), {"age_over_18": True}, ("age_over_18",)).accepted
    verdict = verdict_on(world, query, held, (shown,))
    assert verdict.reason is ReasonCode.CLAIMS_MISSING


def test_an_age_not_reached_is_an_answer_where_no_value_was_wanted(world: World) -> None:
    verdict = verdict_on(world, asking(21), {"age_over_18": False}, ("age_over_18",))
    assert verdict.accepted
    assert verdict.claims("pid")[NAME_SPACE] == {"age_over_18": False}


def test_more_than_two_ages_are_neither_asked_for_nor_answered(world: World) -> None:
    """Several answers would narrow an age down."""
    desk = Desk(world, by_reader=True)
    desk.procedures = {ISO_IN_PAGE: replace(desk.procedures[ISO_IN_PAGE], query=asking(16, 18, 21))}
    with pytest.raises(NotAllowed, match="at most 2 ages"):
        desk.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE)
    with pytest.raises(ValueError, match="at most 2 ages"):
        device_request_of(asking(16, 18, 21), session_transcript=TRANSCRIPT)
    elements = {NAME_SPACE: {f"age_over_{age}": False for age in (16, 18, 21)}}
    with pytest.raises(Refusal) as refused:
        parse_device_request(build_device_request({DOC_TYPE: elements}, session_transcript=TRANSCRIPT))
    assert refused.value.reason is ReasonCode.LIMIT_EXCEEDED


def test_a_device_answers_with_the_nearest_age_and_its_holder_sees_which(world: World, tmp_path: Path) -> None:
    store = WalletStore(tmp_path / "wallet.db")
    content = base64url.encode(world.mdoc(age_over_21=False))
    key = world.holder._ec
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    store.add([StoredCredential("1", "1", "mso_mdoc", DOC_TYPE, "Card", "https://i.example", content, key, 1)])
    seen: list[tuple[str, ...]] = []

    def consent(reader: ReaderShown) -> bool:
        seen.append(reader.shown[0].elements)
        return True

    request = device_request_of(asking(16, 25), session_transcript=TRANSCRIPT)
    answer = Device(store).answer(
        request,
        session_transcript=TRANSCRIPT,
        consent=consent,
    )
    assert seen == [("age_over_18", "age_over_21")]
    assert cbor.decode_map(answer)["status"] == 0
