"""How an answer came must fit what it is: who asks by POST has a client_id, who made a MAC a key of its curve."""

import pytest

from specs.credentials.session_transcript import dc_api_transcript
from specs.encoding import cbor
from specs.encoding.cbor import CborValue
from specs.keys.cose import CoseError, cose_key_from_public_key, parse_mac0
from specs.keys.signer import generate_signer
from tests.verifier.mdoc_presentation import MdocPresentation, Stage, by_mac
from tests.verifier.sd_presentation import valid_presentation
from tests.verifier.world import CLIENT_ID, MDOC_QUERY, NONCE, QUERY, World
from verifier import DcApi, InteractiveAuthorization, Proximity, ReasonCode, Verdict, verify_presentation
from verifier.expectations import Binding


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def judged(world: World, text: str, binding: Binding, client_id: str | None, *, mdoc: bool) -> Verdict:
    """The verdict on one presentation that came in this way."""
    return verify_presentation(
        {"pid": [text]},
        query=MDOC_QUERY if mdoc else QUERY,
        nonce=NONCE,
        client_id=client_id,
        binding=binding,
        trust=world.trust,
        status_lists=world.status_lists(),
        now=world.now,
    )


def test_a_question_that_is_answered_by_post_has_a_client(world: World) -> None:
    shown = MdocPresentation(world)
    assert judged(world, shown.text(), world.binding, shown.client_id, mdoc=True).accepted
    with pytest.raises(ValueError, match="client_id"):
        judged(world, shown.text(), world.binding, None, mdoc=True)


def test_an_mdoc_is_no_answer_in_an_interactive_authorization(world: World) -> None:
    shown = MdocPresentation(world)
    binding = InteractiveAuthorization("https://city.example")
    assert judged(world, shown.text(), world.binding, shown.client_id, mdoc=True).accepted
    assert judged(world, shown.text(), binding, None, mdoc=True).reason is ReasonCode.FORMAT_MISMATCH


@pytest.mark.parametrize("client_id", [None, CLIENT_ID])
def test_the_way_of_the_answer_decides_whom_it_is_for_whatever_the_question_is_named(
    client_id: str | None, world: World
) -> None:
    """OpenID4VP §A.4, OpenID4VCI 1.1 App. A.3.5: where a page or a server asked, its origin is the audience."""
    origin = "https://city.example"
    shown = valid_presentation(world)
    for binding, audience in ((DcApi(origin), f"origin:{origin}"), (InteractiveAuthorization(origin), f"ia:{origin}")):
        for said, reason in ((audience, None), (CLIENT_ID, ReasonCode.AUDIENCE_MISMATCH)):
            text = shown.holder_saying(aud=said).text()
            assert judged(world, text, binding, client_id, mdoc=False).reason is reason
    for said in (f"origin:{origin}", f"ia:{origin}"):
        text = shown.holder_saying(aud=said).text()
        assert judged(world, text, world.binding, CLIENT_ID, mdoc=False).reason is ReasonCode.AUDIENCE_MISMATCH


@pytest.mark.parametrize("client_id", [None, CLIENT_ID])
def test_an_mdoc_is_bound_to_its_way_whatever_the_question_is_named(client_id: str | None, world: World) -> None:
    shown = MdocPresentation(world)
    for binding, transcript in (
        (Proximity(world.transcript), world.transcript),
        (
            DcApi("https://city.example"),
            dc_api_transcript(origin="https://city.example", nonce=NONCE, jwk_thumbprint=None),
        ),
    ):
        text = world.present_mdoc(world.mdoc(), transcript=transcript)
        assert judged(world, text, binding, client_id, mdoc=True).accepted
        assert judged(world, shown.text(), DcApi("https://city.example"), client_id, mdoc=True).reason is (
            ReasonCode.DEVICE_AUTHENTICATION_INVALID
        )


def test_an_sd_jwt_is_no_answer_where_nobody_could_be_its_audience(world: World) -> None:
    shown = valid_presentation(world)
    assert judged(world, shown.text(), world.binding, shown.client_id, mdoc=False).accepted
    for binding in (world.binding, Proximity(world.transcript)):
        assert judged(world, shown.text(), binding, None, mdoc=False).reason is ReasonCode.FORMAT_MISMATCH


@pytest.mark.parametrize("alg", ["EdDSA", "ES384"])
def test_a_mac_by_a_device_whose_key_can_not_agree_one_is_refused(alg: str, world: World) -> None:
    assert by_mac(MdocPresentation(world)).judged().accepted
    shown = by_mac(MdocPresentation(world))
    shown.set(Stage.MSO, "deviceKeyInfo", "deviceKey", to=cose_key_from_public_key(generate_signer(alg).public_key))
    assert shown.judged().reason is ReasonCode.DEVICE_AUTHENTICATION_INVALID


@pytest.mark.parametrize("number", [5.0, "5", None, 6, -7])
def test_a_mac_is_made_by_the_one_algorithm(number: CborValue) -> None:
    assert parse_mac0([cbor.encode({1: 5}), {}, None, bytes(32)]).tag == bytes(32)
    with pytest.raises(CoseError) as refused:
        parse_mac0([cbor.encode({1: number}), {}, None, bytes(32)])
    assert refused.value.reason is ReasonCode.ALGORITHM_NOT_ALLOWED


@pytest.mark.parametrize("number", [-7.0, "ES256", None, True])
def test_the_issuers_algorithm_is_a_whole_number(number: object, world: World) -> None:
    assert MdocPresentation(world).judged().accepted
    shown = MdocPresentation(world).set(Stage.ISSUER_PROTECTED, 1, to=number)
    assert not shown.judged().accepted
