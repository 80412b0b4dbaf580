"""The pure entry point: what is accepted, and what the caller gets of it."""

from collections.abc import Mapping

import pytest

from specs.encoding.strict_json import JsonObject
from specs.protocols.dcql import parse_dcql
from tests.verifier.world import CLIENT_ID, DOC_TYPE, MDOC_QUERY, NAME_SPACE, NONCE, QUERY, VCT, World
from verifier import OverDisclosure, Policy, ReasonCode, SameClaim, StatusRule
from verifier.verify import ReferenceKind, references, verify_presentation


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_sd_jwt_vc_is_accepted_with_its_origin(world: World) -> None:
    verdict = world.verify({"pid": [world.present_sd_jwt(world.sd_jwt())]})
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert verdict.claims("pid")["family_name"] == "LINDENAU"
    assert verdict.claims("pid")["address"] == {"locality": "LEIPZIG"}
    assert "given_name" not in verdict.claims("pid")
    credential = verdict.credentials[0]
    assert (credential.type, credential.trust_domain, credential.issuer) == (VCT, "pid", "PID Signer")


def test_mdoc_is_accepted_with_its_origin(world: World) -> None:
    verdict = world.verify({"pid": [world.present_mdoc(world.mdoc())]}, query=MDOC_QUERY)
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert verdict.claims("pid") == {NAME_SPACE: {"family_name": "LINDENAU", "resident_city": "LEIPZIG"}}
    assert verdict.credentials[0].type == DOC_TYPE


def test_a_revoked_credential_is_refused(world: World) -> None:
    presentation = world.present_sd_jwt(world.sd_jwt(idx=9))
    assert world.verify({"pid": [presentation]}, status_lists=world.status_lists(states={9: 0})).accepted
    assert world.verify({"pid": [presentation]}, status_lists=world.status_lists(states={9: 1})).reason is (
        ReasonCode.STATUS_REVOKED
    )
    assert world.verify({"pid": [presentation]}, status_lists={}).reason is ReasonCode.STATUS_UNAVAILABLE


def test_nothing_is_trusted_without_anchors(world: World) -> None:
    stranger = World()
    presentation = stranger.present_sd_jwt(stranger.sd_jwt())
    assert stranger.verify({"pid": [presentation]}).accepted
    assert world.verify({"pid": [presentation]}).reason is ReasonCode.CERTIFICATE_UNTRUSTED
    world_without = World()
    world_without.trust.clear()
    presentation = world_without.present_sd_jwt(world_without.sd_jwt())
    assert world_without.verify({"pid": [presentation]}).reason is ReasonCode.TRUST_NOT_CONFIGURED


def test_what_was_not_asked_is_dropped_and_named_or_refused(world: World) -> None:
    paths = (("family_name",), ("address", "locality"), ("given_name",), ("address", "postal_code"))
    token = {"pid": [world.present_sd_jwt(world.sd_jwt(), paths=paths)]}
    verdict = world.verify(token)
    assert verdict.accepted
    assert sorted(verdict.over_disclosed) == ["pid:address/postal_code", "pid:given_name"]
    assert "given_name" not in verdict.claims("pid")
    assert verdict.claims("pid")["address"] == {"locality": "LEIPZIG"}
    modest = world.present_sd_jwt(world.sd_jwt(), paths=(("family_name",),))
    named = world.verify({"first": [modest], "second": token["pid"]}, query=parse_dcql(TWO)).over_disclosed
    assert {name.partition(":")[0] for name in named} == {"second"}
    strict = world.verify(token, policy=Policy(on_over_disclosure=OverDisclosure.REFUSE))
    assert strict.reason is ReasonCode.CLAIM_NOT_REQUESTED


def test_references_name_the_list_of_a_believed_credential_only(world: World) -> None:
    def of(vp_token: Mapping[str, object]) -> tuple[ReferenceKind, ...]:
        found = references(
            vp_token,
            query=QUERY,
            nonce=NONCE,
            client_id=CLIENT_ID,
            binding=world.binding,
            trust=world.trust,
            now=world.now,
        )
        return tuple(reference.kind for reference in found)

    good = world.present_sd_jwt(world.sd_jwt())
    assert of({"pid": [good]}) == (ReferenceKind.STATUS_LIST,)
    stranger = World()
    assert of({"pid": [stranger.present_sd_jwt(stranger.sd_jwt())]}) == ()


TWO: JsonObject = {
    "credentials": [
        {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [{"path": ["family_name"]}]}
        for name in ("first", "second")
    ]
}


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_references_name_the_list_of_a_believed_credential_beside_one_that_is_not(
    order: tuple[str, str], world: World
) -> None:
    stranger = World()
    bad, good = (each.present_sd_jwt(each.sd_jwt(), paths=(("family_name",),)) for each in (stranger, world))
    found = references(
        {order[0]: [bad], order[1]: [good]},
        query=parse_dcql(TWO),
        nonce=NONCE,
        client_id=CLIENT_ID,
        binding=world.binding,
        trust=world.trust,
        now=world.now,
    )
    assert [reference.kind for reference in found] == [ReferenceKind.STATUS_LIST]


def test_a_question_may_be_given_as_it_is_written(world: World) -> None:
    shown = world.present_sd_jwt(world.sd_jwt(), paths=(("family_name",),))
    for query in (TWO, parse_dcql(TWO)):
        verdict = verify_presentation(
            {"first": [shown], "second": [shown]},
            query=query,
            nonce=NONCE,
            client_id=CLIENT_ID,
            binding=world.binding,
            trust=world.trust,
            status_lists=world.status_lists(),
            now=world.now,
        )
        assert verdict.accepted


def test_an_answer_that_shows_nothing_is_refused_as_a_whole(world: World) -> None:
    verdict = world.verify({})
    assert (verdict.reason, verdict.where) == (ReasonCode.QUERY_NOT_SATISFIED, "response")


def test_what_another_query_asks_of_the_same_credential_is_not_too_much(world: World) -> None:
    """OpenID4VP §6.4: both are one credential's answer, however little the two presentations share."""
    entries = (("first", "family_name"), ("second", "given_name"))
    query = parse_dcql(
        {
            "credentials": [
                {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [{"path": [claim]}]}
                for name, claim in entries
            ]
        }
    )
    credential, another = world.sd_jwt(), world.sd_jwt()
    both = world.present_sd_jwt(credential, paths=(("family_name",), ("given_name",)))
    for shown, named in ((credential, ()), (another, ("first:given_name",))):
        verdict = world.verify(
            {"first": [both], "second": [world.present_sd_jwt(shown, paths=(("given_name",),))]}, query=query
        )
        assert (verdict.accepted, verdict.over_disclosed) == (True, named)


def test_two_credentials_of_two_persons_are_refused_where_one_is_demanded(world: World) -> None:
    """vf-010: the procedure wants one person, whatever the case of the letters."""
    query = parse_dcql(TWO)
    policy = Policy(same_person=(SameClaim({"first": ("family_name",), "second": ("family_name",)}),))
    first = world.present_sd_jwt(world.sd_jwt(family_name="GROSS"), paths=(("family_name",),))
    same = world.present_sd_jwt(world.sd_jwt(family_name="Groß"), paths=(("family_name",),))
    other = world.present_sd_jwt(world.sd_jwt(family_name="KLEIN"), paths=(("family_name",),))
    assert world.verify({"first": [first], "second": [same]}, query=query, policy=policy).accepted
    verdict = world.verify({"first": [first], "second": [other]}, query=query, policy=policy)
    assert verdict.reason is ReasonCode.DIFFERENT_PERSONS
    assert not verdict.credentials
    empty: tuple[object, ...] = (None, "", "  ", [], {})
    for nothing in empty:
        # two who leave it open are not one person
        shown = [world.present_sd_jwt(world.sd_jwt(family_name=nothing), paths=(("family_name",),)) for _ in range(2)]
        verdict = world.verify({"first": [shown[0]], "second": [shown[1]]}, query=query, policy=policy)
        assert verdict.reason is ReasonCode.DIFFERENT_PERSONS


def test_a_status_can_be_demanded_or_left_alone(world: World) -> None:
    token = {"pid": [world.present_sd_jwt(world.sd_jwt())]}
    assert world.verify(token, status_lists={}, policy=Policy(status=StatusRule.OFF)).accepted
    assert world.verify(token, policy=Policy(status=StatusRule.REQUIRED)).accepted
