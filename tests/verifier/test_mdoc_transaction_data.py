"""Transaction data that an mdoc confirms: an element of its type, signed by a device that may (OpenID4VP §B.2.1)."""

from collections.abc import Callable

import pytest

from specs.encoding.strict_json import JsonValue
from specs.protocols.dcql import parse_dcql
from specs.protocols.openid4vp import MdocTransactionType, build_transaction_data, parse_transaction_data
from tests.verifier.mdoc_presentation import MdocPresentation, Stage
from tests.verifier.world import CLIENT_ID, DOC_TYPE, MDOC_QUERY, NAME_SPACE, NONCE, World
from verifier import Check, OverDisclosure, Policy, ReasonCode, Verdict, verify_presentation

FEE_TYPE = MdocTransactionType("urn:example:leipzig:fee:1", "de.leipzig.confirmations.1", "fee")
FEE = build_transaction_data(FEE_TYPE.type, credential_ids=["pid"], members={"amount": "30.70 EUR"})
OTHER_FEE = build_transaction_data(FEE_TYPE.type, credential_ids=["pid"], members={"amount": "3.00 EUR"})
PATH: list[JsonValue] = [NAME_SPACE, "family_name"]
MISMATCH = ReasonCode.TRANSACTION_DATA_MISMATCH


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def hashed(text: str) -> bytes:
    return FEE_TYPE.value(parse_transaction_data([text], query=MDOC_QUERY, known_types=None)[0])


def confirming(world: World) -> MdocPresentation:
    """The device confirms the fee, and is authorized to."""
    shown = MdocPresentation(world, policy=Policy(on_over_disclosure=OverDisclosure.REFUSE))
    shown.transaction_data, shown.transaction_types = (FEE,), (FEE_TYPE,)
    shown.set(Stage.MSO, "deviceKeyInfo", "keyAuthorizations", to={"dataElements": {FEE_TYPE.name_space: ["fee"]}})
    return shown.set(Stage.DEVICE_NAME_SPACES, FEE_TYPE.name_space, to={"fee": hashed(FEE)})


def test_a_confirmed_entry_is_checked_and_is_no_claim(world: World) -> None:
    verdict = confirming(world).judged()
    assert verdict.accepted
    assert Check.TRANSACTION_DATA in verdict.credentials[0].checks
    assert FEE_TYPE.name_space not in verdict.claims("pid")
    assert verdict.over_disclosed == ()


def _says(value: object) -> Callable[[MdocPresentation], object]:
    return lambda shown: shown.set(Stage.DEVICE_NAME_SPACES, FEE_TYPE.name_space, to={"fee": value})


def _says_nothing(shown: MdocPresentation) -> None:
    shown.drop(Stage.DEVICE_NAME_SPACES, FEE_TYPE.name_space)


def _unknown_type(shown: MdocPresentation) -> None:
    shown.transaction_types = ()


def _two_of_a_type(shown: MdocPresentation) -> None:
    shown.transaction_data = (FEE, OTHER_FEE)


def _not_authorized(shown: MdocPresentation) -> None:
    shown.drop(Stage.MSO, "deviceKeyInfo", "keyAuthorizations")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_says(hashed(OTHER_FEE)), MISMATCH),
        (_says(FEE), MISMATCH),
        (_says(hashed(FEE).hex()), MISMATCH),
        (_says_nothing, MISMATCH),
        (_unknown_type, MISMATCH),
        (_two_of_a_type, MISMATCH),
        (_not_authorized, ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED),
    ],
    ids=["another fee", "the text", "hexadecimal", "nothing", "type not known", "two of a type", "not authorized"],
)
def test_what_does_not_confirm_the_entry_is_refused(
    change: Callable[[MdocPresentation], object], reason: ReasonCode, world: World
) -> None:
    assert confirming(world).judged().accepted
    shown = confirming(world)
    change(shown)
    verdict = shown.judged()
    assert (verdict.reason, verdict.where) == (reason, "pid[0]")  # the presentation itself does not hold


def test_an_element_that_nobody_asked_to_confirm_is_over_disclosed(world: World) -> None:
    shown = confirming(world)
    shown.transaction_data = ()
    assert shown.judged().reason is ReasonCode.CLAIM_NOT_REQUESTED


TAX_TYPE = MdocTransactionType("urn:example:leipzig:tax:1", "de.leipzig.confirmations.2", "tax")
TWO_QUERY = parse_dcql(
    {
        "credentials": [
            {"id": name, "format": "mso_mdoc", "meta": {"doctype_value": DOC_TYPE}, "claims": [{"path": PATH}]}
            for name in ("a", "b")
        ]
    }
)


def judged(world: World, entry: str, *answers: tuple[str, MdocPresentation]) -> Verdict:
    """The verdict on mdocs side by side that were asked to confirm an entry; two types are known."""
    return verify_presentation(
        {name: [shown.text()] for name, shown in answers},
        query=TWO_QUERY,
        nonce=NONCE,
        client_id=CLIENT_ID,
        binding=world.binding,
        trust=world.trust,
        status_lists=world.status_lists(),
        now=world.now,
        transaction_data=[entry],
        transaction_types=[TAX_TYPE, FEE_TYPE],
    )


def test_one_of_several_mdocs_confirms_what_names_them_all(world: World) -> None:
    entry = build_transaction_data(FEE_TYPE.type, credential_ids=["a", "b"], members={})
    value = FEE_TYPE.value(parse_transaction_data([entry], query=TWO_QUERY, known_types=None)[0])
    agreeing = confirming(world).set(Stage.DEVICE_NAME_SPACES, FEE_TYPE.name_space, to={"fee": value})
    silent = MdocPresentation(world)
    for order in ((agreeing, silent), (silent, agreeing)):
        verdict = judged(world, entry, *zip("ab", order, strict=True))
        assert (verdict.accepted, verdict.reason) == (True, None)
        named = [Check.TRANSACTION_DATA in each.checks for each in verdict.credentials]
        assert named == [shown is agreeing for shown in order]
    assert judged(world, entry, ("a", silent), ("b", silent)).reason is MISMATCH
    # what the device states where nobody asked is a claim that nobody asked for
    unasked = confirming(world).set(Stage.DEVICE_NAME_SPACES, TAX_TYPE.name_space, to={"tax": value})
    both = [FEE_TYPE.name_space, TAX_TYPE.name_space]
    unasked.set(Stage.MSO, "deviceKeyInfo", "keyAuthorizations", to={"nameSpaces": both})
    unasked.set(Stage.DEVICE_NAME_SPACES, FEE_TYPE.name_space, to={"fee": value})
    verdict = judged(world, entry, ("a", unasked), ("b", silent))
    assert verdict.accepted
    assert f"a:{TAX_TYPE.name_space}/tax" in verdict.over_disclosed


def test_a_device_that_states_what_is_not_its_to_state_spoils_its_own_document_alone(world: World) -> None:
    good, bad = MdocPresentation(world), confirming(world)
    _not_authorized(bad)
    query = parse_dcql(
        {
            "credentials": [
                {
                    "id": "pid",
                    "format": "mso_mdoc",
                    "meta": {"doctype_value": DOC_TYPE},
                    "multiple": True,
                    "claims": [{"path": PATH}],
                }
            ]
        }
    )
    verdict = world.verify({"pid": [bad.text(), good.text()]}, query=query)
    assert verdict.accepted
    assert [(each.position, each.reason) for each in verdict.discarded] == [(0, ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED)]
