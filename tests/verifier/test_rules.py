"""What a preset says of one way says nothing of another: each rule counts where its way is taken."""

from dataclasses import replace

import pytest

from specs.protocols.openid4vp import VerifierInfo
from specs.protocols.openid4vp.metadata import GCM_ENCS
from specs.trust.registration import INFO_FORMAT
from tests.verifier.desk import IN_PAGE, MDOC, Desk
from tests.verifier.registrar import REGISTRATION, certificate
from tests.verifier.world import World
from verifier import DcApiProtocol, Flow, NotAllowed, RequestWay, ResponseMode
from verifier.rules import encs_under
from verifier.server.tenant_file import load_preset

REGISTERED = VerifierInfo(INFO_FORMAT, certificate(REGISTRATION))


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_how_a_link_would_carry_the_question_does_not_matter_in_a_page(world: World) -> None:
    """HAIP §5.1 asks for signed requests by reference over redirects; over the browser's API nothing is linked."""
    for mode, allowed in ((ResponseMode.DC_API_JWT, True), (ResponseMode.DIRECT_POST_JWT, False)):
        desk = Desk(world, profile=load_preset("haip-1.0"))
        asked = replace(desk.procedures[IN_PAGE], request_way=RequestWay.PARAMETERS, response_mode=mode)
        desk.procedures = {IN_PAGE: asked}
        if allowed:
            assert desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE).dc_api
            continue
        with pytest.raises(NotAllowed):
            desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)


def test_what_a_page_would_offer_does_not_matter_over_a_link(world: World) -> None:
    """org-iso-mdoc carries no registration certificate, and is no protocol of a link."""
    desk = Desk(world, by_reader=True, profile=load_preset("de-2026-11"))
    asked = replace(desk.procedures[MDOC], dc_api=(DcApiProtocol.ISO_MDOC,), verifier_info=(REGISTERED,))
    desk.procedures = {MDOC: asked}
    assert desk.verifier.ask(MDOC, flow=Flow.APP).wallet_url


def test_the_encryptions_that_a_question_offers_are_those_of_its_preset() -> None:
    rule = replace(load_preset("haip-1.0").presentations, encryption_encs=("A256GCM",))
    assert encs_under(rule) == ("A256GCM",)
    assert encs_under(None) == GCM_ENCS
