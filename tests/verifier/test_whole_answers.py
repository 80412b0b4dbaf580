"""What concerns an answer as a whole: agreements to be confirmed, sets that show nothing, sessions side by side."""

from collections.abc import Mapping, Sequence

import pytest

from specs.credentials import key_binding, sd_jwt_present, sd_jwt_vc
from specs.credentials.sd_jwt_issue import Sd
from specs.credentials.status_list import StatusMediaType
from specs.credentials.type_metadata import integrity_of
from specs.encoding import base64url, cbor
from specs.encoding.strict_json import JsonValue
from specs.keys.jose import jwk_from_public_key
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp.transaction_data import build_transaction_data, hash_transaction_data
from tests.verifier.desk import MDOC, Desk
from tests.verifier.test_extended_types import CITY, REGION, document
from tests.verifier.world import (
    CLIENT_ID,
    DOC_TYPE,
    MDOC_QUERY,
    NAME_SPACE,
    NONCE,
    STATUS_URI,
    VCT,
    World,
)
from verifier import (
    Check,
    DirectPost,
    Fetched,
    Flow,
    Policy,
    ReasonCode,
    SameClaim,
    Verdict,
    verify_presentation,
)

FAMILY, GIVEN = ("family_name",), ("given_name",)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def asked(query_id: str, claim: tuple[str, ...], **members: JsonValue) -> dict[str, JsonValue]:
    """One credential that is asked for, by one claim."""
    return {
        "id": query_id,
        "format": "dc+sd-jwt",
        "meta": {"vct_values": [VCT]},
        "claims": [{"path": [*claim]}],
        **members,
    }


def question(*credentials: dict[str, JsonValue], sets: Sequence[JsonValue] = ()) -> DcqlQuery:
    """A question of these credentials."""
    return parse_dcql({"credentials": [*credentials], **({"credential_sets": [*sets]} if sets else {})})


def shown(world: World, claim: tuple[str, ...], *, agreed: Sequence[str] = (), idx: int = 7) -> str:
    """A presentation of one claim whose holder agreed to some transaction data."""
    issued = sd_jwt_present.parse_issued(world.sd_jwt(idx=idx))
    processed = sd_jwt_present.read_as_holder(issued, expected_typ=sd_jwt_vc.TYP)
    claims: dict[str, JsonValue] = {"transaction_data_hashes": [hash_transaction_data(entry) for entry in agreed]}
    bound = key_binding.build_key_binding(
        sd_jwt_present.select_disclosures(issued, processed, paths=[claim]),
        signer=world.holder,
        nonce=NONCE,
        audience=CLIENT_ID,
        issued_at=world.now,
        claims=claims if agreed else {},
    )
    return sd_jwt_present.serialize(bound)


def judged(
    world: World, vp_token: Mapping[str, object], query: DcqlQuery, *entries: str, policy: Policy | None = None
) -> Verdict:
    """The verdict on an answer to a question with transaction data."""
    return verify_presentation(
        vp_token,
        query=query,
        nonce=NONCE,
        client_id=CLIENT_ID,
        binding=world.binding,
        trust=world.trust,
        status_lists=world.status_lists(),
        policy=policy or Policy(),
        now=world.now,
        transaction_data=entries,
    )


def test_an_agreement_may_be_confirmed_by_one_of_the_credentials_that_it_names(world: World) -> None:
    entry = build_transaction_data("payment", credential_ids=["a", "b"], members={})
    query = question(asked("a", FAMILY), asked("b", GIVEN))
    one = {"a": [shown(world, FAMILY, agreed=[entry])], "b": [shown(world, GIVEN, idx=8)]}
    verdict = judged(world, one, query, entry)
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert [Check.TRANSACTION_DATA in credential.checks for credential in verdict.credentials] == [True, False]
    none = {"a": [shown(world, FAMILY)], "b": [shown(world, GIVEN, idx=8)]}
    assert judged(world, none, query, entry).reason is ReasonCode.TRANSACTION_DATA_MISMATCH


def test_an_agreement_that_no_shown_credential_confirms_refuses_the_answer(world: World) -> None:
    entry = build_transaction_data("payment", credential_ids=["b"], members={})
    query = question(
        asked("a", FAMILY),
        asked("b", GIVEN),
        sets=[{"options": [["a"]]}, {"options": [["b"]], "required": False}],
    )
    both = {"a": [shown(world, FAMILY)], "b": [shown(world, GIVEN, agreed=[entry], idx=8)]}
    assert judged(world, both, query, entry).accepted
    verdict = judged(world, {"a": [shown(world, FAMILY)]}, query, entry)
    assert verdict.reason is ReasonCode.TRANSACTION_DATA_MISMATCH


def test_an_answer_that_shows_nothing_is_none_even_where_all_is_optional(world: World) -> None:
    query = question(asked("a", FAMILY), sets=[{"options": [["a"]], "required": False}])
    assert judged(world, {"a": [shown(world, FAMILY)]}, query).accepted
    assert judged(world, {}, query).reason is ReasonCode.QUERY_NOT_SATISFIED
    assert judged(world, {"a": ["x.y.z~"]}, query).reason is not None


def test_persons_count_as_compared_only_if_two_credentials_were(world: World) -> None:
    query = question(
        asked("a", FAMILY),
        asked("b", FAMILY),
        sets=[{"options": [["a"]]}, {"options": [["b"]], "required": False}],
    )
    policy = Policy(same_person=(SameClaim({"a": FAMILY, "b": FAMILY}),))
    both = judged(world, {"a": [shown(world, FAMILY)], "b": [shown(world, FAMILY, idx=8)]}, query, policy=policy)
    assert all(Check.SAME_PERSON in credential.checks for credential in both.credentials)
    alone = judged(world, {"a": [shown(world, FAMILY)]}, query, policy=policy)
    assert alone.accepted
    assert Check.SAME_PERSON not in alone.credentials[0].checks


def test_who_is_in_no_rule_was_compared_with_nobody(world: World) -> None:
    query = question(asked("a", FAMILY), asked("b", FAMILY), asked("c", FAMILY))
    policy = Policy(same_person=(SameClaim({"a": FAMILY, "b": FAMILY}),))
    shown_by = {name: [shown(world, FAMILY, idx=idx)] for idx, name in enumerate("abc", start=7)}
    verdict = judged(world, shown_by, query, policy=policy)
    compared = {each.query_id for each in verdict.credentials if Check.SAME_PERSON in each.checks}
    assert (verdict.accepted, compared) == (True, {"a", "b"})


@pytest.mark.parametrize("device_auth", [{}, {"deviceSignature": None}, {"deviceSignature": [b"", {}, None]}, "none"])
def test_one_mdoc_whose_device_did_not_answer_refuses_those_beside_it(world: World, device_auth: object) -> None:
    query = parse_dcql(
        {
            "credentials": [
                {
                    "id": "pid",
                    "format": "mso_mdoc",
                    "multiple": True,
                    "meta": {"doctype_value": DOC_TYPE},
                    "claims": [{"path": [NAME_SPACE, "family_name"]}],
                }
            ]
        }
    )
    good = world.present_mdoc(world.mdoc(), disclose=[(NAME_SPACE, "family_name")])
    assert world.verify({"pid": [good]}, query=query).accepted
    response = cbor.decode_map(base64url.decode(good))
    documents = response["documents"]
    assert isinstance(documents, list)
    first = documents[0]
    assert isinstance(first, dict)
    signed = first["deviceSigned"]
    assert isinstance(signed, dict)
    signed["deviceAuth"] = device_auth  # type: ignore[assignment]  # whatever a wallet may send
    bad = base64url.encode(cbor.encode(response))
    verdict = world.verify({"pid": [good, bad]}, query=query)
    assert (verdict.accepted, verdict.where) == (False, "response")


def test_the_question_of_another_session_is_another_s(world: World) -> None:
    presentation = world.present_mdoc(world.mdoc())
    world_elsewhere = World()
    world_elsewhere.__dict__["binding"] = DirectPost("https://other.example/response", world.response_key_thumbprint)
    world_elsewhere.__dict__["trust"] = world.trust
    verdict = world_elsewhere.verify({"pid": [presentation]}, query=MDOC_QUERY, status_lists=world.status_lists())
    assert verdict.reason is ReasonCode.DEVICE_AUTHENTICATION_INVALID


def test_descriptions_of_a_type_are_fetched_one_after_the_other() -> None:
    world = World()
    region = document(REGION)
    city = document(CITY, extends=REGION, parent=region)
    world.trust["dc+sd-jwt", REGION] = (world.domain,)
    query = parse_dcql({"credentials": [{**asked("pid", FAMILY), "meta": {"vct_values": [REGION]}}]})
    desk = Desk(world, query=query)
    for vct, body in ((CITY, city), (REGION, region)):
        desk.shelf.documents[vct, "application/json"] = Fetched(body, 200, "application/json", world.now)
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    credential = sd_jwt_vc.build_sd_jwt_vc(
        {"family_name": Sd("LINDENAU")},
        issuer=sd_jwt_vc.vc_issuer(world.sd_jwt_identity),
        vct=CITY,
        vct_integrity=integrity_of(city),
        holder_jwk=jwk_from_public_key(world.holder.public_key),
        expires_at=world.now + 3600,
    )
    presentation = world.present_sd_jwt(credential, paths=[FAMILY], nonce=asking.nonce, audience=asking.client_id)
    receipt = desk.receive(asking, asking.encrypted({"vp_token": {"pid": [presentation]}, "state": asking.state}))
    assert receipt.status == 200, receipt.body
    assert desk.shelf.asked_for == [CITY, REGION]


def test_a_list_that_comes_in_its_other_form_counts_as_that(world: World) -> None:
    desk = Desk(world)
    jwt = desk.shelf.documents.pop((STATUS_URI, StatusMediaType.JWT))
    desk.shelf.documents[STATUS_URI, StatusMediaType.CWT] = jwt  # a host with one form only
    asking = desk.ask(MDOC, flow=Flow.CROSS_DEVICE)
    form = asking.encrypted({"vp_token": desk.mdoc_token(asking), "state": asking.state})
    assert desk.receive(asking, form).status == 200


@pytest.mark.parametrize("other", [{"nonce": "another-question-s-nonce"}, {"audience": "x509_hash:another"}])
def test_one_sd_jwt_of_another_question_refuses_those_beside_it(world: World, other: dict[str, str]) -> None:
    query = question(asked("pid", FAMILY, multiple=True))
    good = world.present_sd_jwt(world.sd_jwt(), paths=[FAMILY])
    assert world.verify({"pid": [good, good]}, query=query).accepted
    foreign = world.present_sd_jwt(world.sd_jwt(), paths=[FAMILY], **other)
    verdict = world.verify({"pid": [good, foreign]}, query=query)
    assert (verdict.accepted, verdict.where) == (False, "response")
    assert verdict.reason in (ReasonCode.NONCE_MISMATCH, ReasonCode.AUDIENCE_MISMATCH)
