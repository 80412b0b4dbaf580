"""What strict code likes to refuse and must not: every kind of mdoc presentation that is as it should be."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import cbor2
import pytest

from specs.credentials.mdoc_values import full_date, tdate
from specs.credentials.session_transcript import openid4vp_transcript
from specs.credentials.status_list import StatusMediaType
from specs.encoding import cbor
from specs.keys.cose import ALG, build_sign1
from specs.protocols.dcql import parse_dcql
from tests.specs.trust.drawing import Scene, draw_ca, draw_leaf, draw_mdl, draw_three, draw_two, key
from tests.verifier.defects_md_device import SELF_SIGNED, with_elements_of_the_device
from tests.verifier.mdoc_presentation import (
    MDL_NAME_SPACE,
    OTHER_NAME_SPACE,
    MdocPresentation,
    Prepare,
    Stage,
    Tree,
    by_mac,
    driving_licence,
    in_clear,
    over_dc_api,
    roomy,
)
from tests.verifier.world import (
    CLIENT_ID,
    DOC_TYPE,
    HOUR,
    MDOC_QUERY,
    NAME_SPACE,
    NONCE,
    RESPONSE_URI,
    STATUS_URI,
    World,
)
from verifier import AnchorKind, Fetched, Limits, ReasonCode, StatusRule, TrustAnchor, Verdict
from verifier.verify import verify_presentation

CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
FULLY_SPECIFIED = {"ES256": -9, "ES384": -51, "ES512": -52, "EdDSA": -19}


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def accepted(shown: MdocPresentation) -> Verdict:
    verdict = shown.judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    return verdict


def two_name_spaces(shown: MdocPresentation) -> MdocPresentation:
    shown.elements[OTHER_NAME_SPACE] = {"district": "MITTE"}
    shown.shown = ("family_name", "resident_city", "district")
    return shown


def large_portrait(shown: MdocPresentation) -> MdocPresentation:
    shown.elements[NAME_SPACE]["portrait"] = secrets.token_bytes(60 * 1024)
    shown.shown = ("family_name", "resident_city", "portrait")
    return shown


def many_elements_with_scattered_ids(shown: MdocPresentation) -> MdocPresentation:
    shown.elements[NAME_SPACE].update({f"element_{number}": number for number in range(120)})
    shown.shown = ()

    def scatter(items: Tree) -> None:
        for position, item in enumerate(items[NAME_SPACE]):
            item["digestID"] = position * 7919 % 100_003

    return shown.at(Stage.ITEMS, scatter)


def highest_digest_id(shown: MdocPresentation) -> MdocPresentation:
    return shown.set(Stage.ITEMS, NAME_SPACE, 0, "digestID", to=2**31 - 1)


def shortest_random(shown: MdocPresentation) -> MdocPresentation:
    return shown.set(Stage.ITEMS, NAME_SPACE, 0, "random", to=bytes(range(16)))


def members_in_another_order(shown: MdocPresentation) -> MdocPresentation:
    return shown.at(
        Stage.ITEMS,
        lambda items: {name: [dict(reversed(item.items())) for item in members] for name, members in items.items()},
    )


def items_with_longer_heads(shown: MdocPresentation) -> MdocPresentation:
    """Indefinite-length maps: the digest is over the bytes as sent, not as we would write them."""

    def lengthen(encoded: Tree) -> Tree:
        return {name: [b"\xbf" + item[1:] + b"\xff" for item in items] for name, items in encoded.items()}

    return shown.at(Stage.ENCODED, lengthen)


def decoy_digests(shown: MdocPresentation) -> MdocPresentation:
    def add(mso: Tree) -> None:
        mso["valueDigests"][NAME_SPACE].update({1000 + number: secrets.token_bytes(32) for number in range(10)})
        mso["valueDigests"]["de.leipzig.hidden.1"] = {0: secrets.token_bytes(32)}

    return shown.at(Stage.MSO, add)


def valid_from_now(shown: MdocPresentation) -> MdocPresentation:
    return shown.set(Stage.MSO, "validityInfo", "validFrom", to=tdate(shown.now))


def within_the_skew(shown: MdocPresentation) -> MdocPresentation:
    return shown.set(Stage.MSO, "validityInfo", "validUntil", to=tdate(shown.now - 60))


def expected_update(shown: MdocPresentation) -> MdocPresentation:
    return shown.set(Stage.MSO, "validityInfo", "expectedUpdate", to=tdate(shown.now + HOUR))


def without_status(shown: MdocPresentation) -> MdocPresentation:
    return shown.drop(Stage.MSO, "status")


def unknown_members(shown: MdocPresentation) -> MdocPresentation:
    shown.set(Stage.MSO, "x-unknown", to=[1, {"a": b"b"}])
    shown.set(Stage.DOCUMENT, "errors", to={NAME_SPACE: {"portrait": 0}})
    shown.set(Stage.ISSUER_AUTH, 1, -70001, to="unknown")
    return shown.set(Stage.RESPONSE, "documentErrors", to=[{"org.iso.18013.5.1.mDL": 0}])


def chain_as_array(shown: MdocPresentation) -> MdocPresentation:
    return shown.set(Stage.ISSUER_AUTH, 1, 33, to=[shown.identity.chain[0]])


def version_1_1(shown: MdocPresentation) -> MdocPresentation:
    return shown.set(Stage.RESPONSE, "version", to="1.1")


ALL: tuple[Prepare, ...] = (
    two_name_spaces,
    large_portrait,
    many_elements_with_scattered_ids,
    highest_digest_id,
    shortest_random,
    members_in_another_order,
    items_with_longer_heads,
    decoy_digests,
    valid_from_now,
    within_the_skew,
    expected_update,
    without_status,
    unknown_members,
    chain_as_array,
    version_1_1,
    in_clear,
    over_dc_api,
    by_mac,
    roomy,
    with_elements_of_the_device,
    lambda shown: shown.drawn(draw_three()),
    lambda shown: shown.drawn(draw_mdl()),
)


@pytest.mark.parametrize("prepare", ALL, ids=lambda prepare: prepare.__name__)
def test_a_valid_presentation_is_accepted(prepare: Prepare, world: World) -> None:
    verdict = accepted(prepare(MdocPresentation(world)))
    assert verdict.claims("pid")[NAME_SPACE] == {"family_name": "LINDENAU", "resident_city": "LEIPZIG"}


def test_elements_of_the_device_are_handed_on_where_they_are_asked_for(world: World) -> None:
    shown = with_elements_of_the_device(MdocPresentation(world))
    shown.asking({"path": [NAME_SPACE, "family_name"]}, {"path": [SELF_SIGNED, "nickname"]})
    assert accepted(shown).claims("pid") == {NAME_SPACE: {"family_name": "LINDENAU"}, SELF_SIGNED: {"nickname": "Mila"}}


@pytest.mark.parametrize("fully_specified", [False, True])
@pytest.mark.parametrize("alg", CURVES)
def test_every_algorithm_is_accepted_of_issuers_and_holders(alg: str, fully_specified: bool) -> None:
    world = World(holder_alg=alg)
    leaf, root = key("signer", CURVES[alg]), key("root")
    shown = MdocPresentation(world).drawn(
        Scene((draw_leaf("Signer", leaf, by=root), draw_ca("Root", root, path_length=0)))
    )
    if fully_specified:
        shown.set(Stage.ISSUER_PROTECTED, ALG, to=FULLY_SPECIFIED[alg])
        shown.set(Stage.DEVICE_PROTECTED, ALG, to=FULLY_SPECIFIED[alg])
    accepted(shown)


@pytest.mark.parametrize("digest_algorithm", ["SHA-256", "SHA-384", "SHA-512"])
def test_every_digest_is_accepted(digest_algorithm: str, world: World) -> None:
    accepted(MdocPresentation(world, digest_algorithm=digest_algorithm))


def test_every_type_of_value_is_handed_on_as_json(world: World) -> None:
    shown = MdocPresentation(world).asking({"path": [NAME_SPACE, "family_name"]}, {"path": [NAME_SPACE, "all"]})
    shown.elements[NAME_SPACE] = {
        "family_name": "Žižek-Ğölçük 李",
        "all": [
            full_date(date(1991, 3, 7)),
            tdate(0),
            {"category": "B", "codes": [1, -2, None]},
            b"\x00\xff",
            True,
            2**40,
        ],
    }
    shown.shown = ()
    assert accepted(shown).claims("pid")[NAME_SPACE] == {
        "family_name": "Žižek-Ğölçük 李",
        "all": [
            "1991-03-07",
            "1970-01-01T00:00:00Z",
            {"category": "B", "codes": [1, -2, None]},
            "AP8",
            True,
            2**40,
        ],
    }


def test_two_mdocs_are_accepted_as_two_device_responses(world: World) -> None:
    entry = {
        "id": "pid",
        "format": "mso_mdoc",
        "multiple": True,
        "meta": {"doctype_value": DOC_TYPE},
        "claims": [{"path": [NAME_SPACE, "family_name"]}],
    }
    shown = MdocPresentation(world, query=parse_dcql({"credentials": [entry]}))  # type: ignore[list-item]  # JSON
    second = MdocPresentation(world).text()
    verdict = accepted(shown.at(Stage.VP_TOKEN, lambda token: {"pid": [*token["pid"], second]}))
    assert [credential.query_id for credential in verdict.credentials] == ["pid", "pid"]


@pytest.mark.parametrize("media_type", [StatusMediaType.JWT, StatusMediaType.CWT])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_status_list_is_read_in_both_forms_and_all_widths_to_its_last_index(
    media_type: StatusMediaType, bits: int, world: World
) -> None:
    presentation = {"pid": [world.present_mdoc(world.mdoc(idx=999))]}

    def with_list(state: int) -> Verdict:
        fetched = world.status_lists(bits=bits, states={999: state})
        only: dict[tuple[str, str], Fetched | None] = {(STATUS_URI, media_type): fetched[STATUS_URI, media_type]}
        return world.verify(presentation, query=MDOC_QUERY, status_lists=only)

    assert with_list(0).accepted
    assert with_list(1).reason is ReasonCode.STATUS_REVOKED


def test_a_demanded_status_must_be_there(world: World) -> None:
    shown = without_status(MdocPresentation(world))
    accepted(shown)
    shown.policy = replace(shown.policy, status=StatusRule.REQUIRED)
    assert shown.judged().reason is ReasonCode.STATUS_MISSING


def test_indefinite_lengths_around_the_response_are_read(world: World) -> None:
    """RFC 8949 §3.2: our own transcript, and a response whose outer map and arrays are of indefinite length."""
    shown = MdocPresentation(world)
    text = shown.at(Stage.BYTES, lambda data: b"\xbf" + data[1:] + b"\xff").text()
    transcript = openid4vp_transcript(
        client_id=CLIENT_ID, nonce=NONCE, jwk_thumbprint=world.response_key_thumbprint, response_uri=RESPONSE_URI
    )
    assert transcript == world.transcript
    verdict = verify_presentation(
        {"pid": [text]},
        query=MDOC_QUERY,
        nonce=NONCE,
        client_id=CLIENT_ID,
        binding=world.binding,
        trust=world.trust,
        status_lists=world.status_lists(),
        now=world.now,
    )
    assert (verdict.accepted, verdict.reason) == (True, None)


def test_a_procedure_can_raise_the_nesting(world: World) -> None:
    """Of an element's value, and of what an issuer adds to the MSO: each itself one of so many."""
    deep: object = "core"
    for _ in range(39):
        deep = [deep]
    shown = MdocPresentation(world).set(Stage.MSO, "later", to=deep)
    shown.elements[NAME_SPACE]["resident_city"] = deep
    assert shown.judged().reason is ReasonCode.MSO_MALFORMED
    shown.policy = replace(shown.policy, limits=Limits(nesting=40))
    accepted(shown)


@pytest.mark.parametrize(
    "places",
    [
        {"issuing_country": "DE", "issuing_jurisdiction": "DE-SN"},
        {"issuing_country": "DE"},
        {"issuing_jurisdiction": "DE-SN"},
        {},
    ],
    ids=["both", "country", "jurisdiction", "neither"],
)
def test_a_driving_licence_may_show_where_it_was_issued(places: Mapping[str, str], world: World) -> None:
    """ISO/IEC 18013-5 §9.3.1: only what was shown is compared with the signer's certificate."""
    shown = driving_licence(MdocPresentation(world))
    shown.shown = ("family_name", *places)
    accepted(shown.asking(*({"path": [MDL_NAME_SPACE, name]} for name in shown.shown)))


def test_a_jurisdiction_is_not_compared_with_a_certificate_that_names_none(world: World) -> None:
    shown = driving_licence(MdocPresentation(world)).drawn(draw_two())
    shown.elements[MDL_NAME_SPACE]["issuing_jurisdiction"] = "DE-BY"
    accepted(shown)


def test_only_a_driving_licence_must_come_from_where_its_signer_does(world: World) -> None:
    """The elements of its name space may stand in another document, too."""
    shown = driving_licence(MdocPresentation(world))
    shown.elements[MDL_NAME_SPACE]["issuing_country"] = "FR"
    shown.doc_type = DOC_TYPE
    accepted(shown.asking({"path": [MDL_NAME_SPACE, "issuing_country"]}))


def test_a_pinned_certificate_may_name_another_country(world: World) -> None:
    """Contract: it is believed by its bytes, for tests; no profile tells what it must say."""
    shown = driving_licence(MdocPresentation(world))
    shown.elements[MDL_NAME_SPACE]["issuing_country"] = "UT"
    pinned = TrustAnchor(AnchorKind.PINNED_TEST, shown.identity.chain[0], "test issuer")
    shown.policy = replace(shown.policy, allow_test_anchors=True)
    accepted(shown.identified(shown.identity, pinned))


def test_device_name_spaces_with_a_longer_head_are_signed_as_sent(world: World) -> None:
    """ISO/IEC 18013-5 §9.1.3.4: the device signs the bytes that it sends, whatever their length's form."""
    shown = MdocPresentation(world)
    longer = b"\xd8\x18\x58\x01\xa0"

    def sign(auth: Tree) -> None:
        auth["deviceSignature"] = build_sign1(shown.device_payload(longer), signer=shown.holder, detached=True)

    plain = cbor.encode("nameSpaces") + cbor.encode(cbor2.CBORTag(24, b"\xa0"))
    sent = cbor.encode("nameSpaces") + longer
    lengthened = shown.at(Stage.DEVICE_AUTH, sign).at(Stage.BYTES, lambda data: data.replace(plain, sent))
    accepted(lengthened)
    # the shorter form somewhere else in the answer changes nothing
    accepted(lengthened.set(Stage.RESPONSE, "note", to=cbor2.CBORTag(24, b"\xa0")))
