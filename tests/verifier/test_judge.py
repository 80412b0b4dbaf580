"""A judge looks at what does not change once, and at what was fetched each time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.verifier.sd_presentation import SdPresentation, valid_presentation
from tests.verifier.test_extended_types import BASE, CHILD, CITY, MIDDLE, REGION, extended
from tests.verifier.world import CLIENT_ID, MDOC_QUERY, NONCE, QUERY, VCT, World
from verifier import Fetched, Policy, ReasonCode
from verifier.check import mdoc, sd_jwt_vc
from verifier.verify import Judge, ReferenceKind


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def judge(world: World, vp_token: object, **members: Any) -> Judge:
    """Of an answer to this world's question."""
    expectations: dict[str, Any] = {
        "query": QUERY,
        "nonce": NONCE,
        "client_id": CLIENT_ID,
        "binding": world.binding,
        "trust": world.trust,
        "policy": Policy(),
        "now": world.now,
    }
    return Judge(vp_token, **(expectations | members))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each look at a credential of its own, by format."""
    seen: list[str] = []

    def counted(name: str, check: Callable[..., Any]) -> Callable[..., Any]:
        def look(*arguments: Any, **options: Any) -> Any:
            seen.append(name)
            return check(*arguments, **options)

        return look

    for module, name in ((sd_jwt_vc, "open_sd_jwt"), (sd_jwt_vc, "authenticate_sd_jwt"), (mdoc, "authenticate_mdoc")):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    return seen


def test_signatures_are_checked_once_for_references_and_verdict(world: World, looks: list[str]) -> None:
    judging = judge(world, {"pid": [world.present_sd_jwt(world.sd_jwt())]})

    first, again = judging.references(), judging.references(status_lists=world.status_lists())
    verdict = judging.verdict(status_lists=world.status_lists())

    assert [each.kind for each in first] == [each.kind for each in again] == [ReferenceKind.STATUS_LIST]
    assert verdict.accepted
    assert looks == ["open_sd_jwt", "authenticate_sd_jwt"]


def test_mdoc_is_looked_at_once_too(world: World, looks: list[str]) -> None:
    judging = judge(world, {"pid": [world.present_mdoc(world.mdoc())]}, query=MDOC_QUERY)

    judging.references()

    assert judging.verdict(status_lists=world.status_lists()).accepted
    assert looks == ["authenticate_mdoc"]


def test_what_was_fetched_decides_each_time(world: World) -> None:
    judging = judge(world, {"pid": [world.present_sd_jwt(world.sd_jwt(idx=9))]})

    assert judging.verdict(status_lists=world.status_lists(states={9: 0})).accepted
    assert judging.verdict(status_lists=world.status_lists(states={9: 1})).reason is ReasonCode.STATUS_REVOKED
    assert judging.verdict(status_lists={}).reason is ReasonCode.STATUS_UNAVAILABLE
    assert judging.verdict(status_lists=world.status_lists(states={9: 0})).accepted


def test_refusal_stays_the_same(world: World, looks: list[str]) -> None:
    stranger = World()
    judging = judge(world, {"pid": [stranger.present_sd_jwt(stranger.sd_jwt())]})

    assert judging.references() == ()
    for _ in range(2):
        assert judging.verdict(status_lists=world.status_lists()).reason is ReasonCode.CERTIFICATE_UNTRUSTED
    assert looks == ["open_sd_jwt", "authenticate_sd_jwt"]


def test_type_is_judged_anew_with_each_description(looks: list[str]) -> None:
    shown: SdPresentation = replace(extended(valid_presentation(World())), type_metadata={})
    judging = judge(
        shown.world,
        shown.vp_token(),
        query=shown.query,
        trust={("dc+sd-jwt", vct): (shown.domain,) for vct in shown.vcts},
    )
    there: dict[str, Fetched | None] = {VCT: Fetched(BASE, 200, "application/json", shown.world.now)}  # no address
    for address, body in ((CITY, CHILD), (REGION, MIDDLE)):
        assert [each.url for each in judging.references(type_metadata=there)][:1] == [address]
        assert judging.verdict(status_lists=shown.fetched(), type_metadata=there).reason is ReasonCode.TYPE_MISMATCH
        there[address] = Fetched(body, 200, "application/json", shown.world.now)

    assert judging.verdict(status_lists=shown.fetched(), type_metadata=there).accepted
    assert looks.count("open_sd_jwt") == 1
