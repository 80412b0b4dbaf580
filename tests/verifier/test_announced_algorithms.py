"""Only the formats and algorithms that the question announced are an answer to it (OpenID4VP §B.2.2, §B.3.4)."""

from dataclasses import replace

import pytest

from specs.protocols.openid4vp.metadata import ALL_FORMATS, MdocAlgorithms, SdJwtAlgorithms, SupportedFormats
from tests.verifier.mdoc_presentation import MdocPresentation
from tests.verifier.sd_presentation import SdPresentation, valid_presentation
from tests.verifier.world import World
from verifier import ReasonCode

NOT_ALLOWED = ReasonCode.ALGORITHM_NOT_ALLOWED
WORLDS = {"P-256": World(), "mixed": World(alg="ES384", holder_alg="EdDSA"), "Ed25519": World(alg="EdDSA")}


@pytest.fixture(scope="module")
def shown() -> SdPresentation:
    return valid_presentation(WORLDS["mixed"])


def sd_jwt(issuer: tuple[str, ...] | None, key_binding: tuple[str, ...] | None) -> SupportedFormats:
    """Nothing but SD-JWT VC with these."""
    return SupportedFormats(sd_jwt=SdJwtAlgorithms(issuer, key_binding))


@pytest.mark.parametrize("announced", [sd_jwt(("ES384",), ("Ed25519",)), sd_jwt(None, None), ALL_FORMATS])
def test_an_sd_jwt_by_announced_algorithms_is_accepted(announced: SupportedFormats, shown: SdPresentation) -> None:
    verdict = replace(shown, announced=announced).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)


@pytest.mark.parametrize(
    "announced",
    [
        sd_jwt(("ES256",), ("Ed25519",)),
        sd_jwt(("ES384",), ("ES384",)),
        sd_jwt(None, ("ES256",)),
        SupportedFormats(mdoc=MdocAlgorithms()),
    ],
    ids=["another issuer's", "another holder's", "another holder's alone", "no SD-JWT at all"],
)
def test_an_sd_jwt_by_another_algorithm_is_refused(announced: SupportedFormats, shown: SdPresentation) -> None:
    assert replace(shown, announced=announced).judged().reason is NOT_ALLOWED


def test_what_proves_nothing_needs_no_algorithm_of_a_proof(shown: SdPresentation) -> None:
    unbound = replace(shown, announced=sd_jwt(("ES384",), ("ES256",))).asking(
        {"path": ["family_name"]}, require_cryptographic_holder_binding=False
    )
    assert unbound.judged().reason is NOT_ALLOWED
    assert unbound.unbound().judged().accepted


def mdoc(world: str, issuer: tuple[int, ...] | None, device: tuple[int, ...] | None) -> MdocPresentation:
    """An mdoc where the question announced nothing but mdocs with these."""
    shown = MdocPresentation(WORLDS[world])
    shown.announced = SupportedFormats(mdoc=MdocAlgorithms(issuer, device))
    return shown


@pytest.mark.parametrize(
    ("world", "issuer", "device"),
    [
        ("P-256", (-7,), (-7,)),
        ("P-256", (-9,), (-9,)),
        ("P-256", None, None),
        ("mixed", (-35,), (-8,)),
        ("mixed", (-51,), (-19,)),
        ("mixed", None, (-8,)),
        ("mixed", (-35,), None),
        ("Ed25519", (-8,), (-7,)),
        ("Ed25519", (-19,), (-7,)),
    ],
)
def test_an_mdoc_by_announced_algorithms_is_accepted(
    world: str, issuer: tuple[int, ...] | None, device: tuple[int, ...] | None
) -> None:
    verdict = mdoc(world, issuer, device).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)


@pytest.mark.parametrize(
    ("world", "issuer", "device"),
    [
        ("P-256", (-35,), (-7,)),
        ("P-256", (-7,), (-35,)),
        ("P-256", (-7,), (-51,)),
        ("mixed", (-9, -7), (-8,)),
        ("mixed", (-35,), (-7, -9)),
        ("mixed", None, (-9,)),
        ("Ed25519", (-7, -9), (-7,)),
    ],
)
def test_an_mdoc_by_another_algorithm_is_refused(
    world: str, issuer: tuple[int, ...] | None, device: tuple[int, ...] | None
) -> None:
    assert mdoc(world, issuer, device).judged().reason is NOT_ALLOWED


def test_an_mdoc_is_refused_where_none_was_announced() -> None:
    shown = mdoc("P-256", None, None)
    assert shown.judged().accepted
    shown.announced = sd_jwt(None, None)
    assert shown.judged().reason is NOT_ALLOWED
