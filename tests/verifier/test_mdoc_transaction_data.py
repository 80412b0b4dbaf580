"""Transaction data that an mdoc confirms: an element of its type, signed by a device that may (OpenID4VP §B.2.1)."""

from collections.abc import Callable

import pytest

from specs.protocols.openid4vp import MdocTransactionType, build_transaction_data, parse_transaction_data
from tests.verifier.mdoc_presentation import MdocPresentation, Stage
from tests.verifier.world import MDOC_QUERY, World
from verifier import Check, OverDisclosure, Policy, ReasonCode

FEE_TYPE = MdocTransactionType("urn:example:leipzig:fee:1", "de.leipzig.confirmations.1", "fee")
FEE = build_transaction_data(FEE_TYPE.type, credential_ids=["pid"], members={"amount": "30.70 EUR"})
OTHER_FEE = build_transaction_data(FEE_TYPE.type, credential_ids=["pid"], members={"amount": "3.00 EUR"})
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
    assert shown.judged().reason is reason


def test_an_element_that_nobody_asked_to_confirm_is_over_disclosed(world: World) -> None:
    shown = confirming(world)
    shown.transaction_data = ()
    assert shown.judged().reason is ReasonCode.CLAIM_NOT_REQUESTED
