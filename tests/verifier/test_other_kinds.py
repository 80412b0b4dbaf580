"""Values of another kind in the places that decide: each is refused by its own reason, and nothing else is raised."""

import pytest

from specs.encoding import base64url, strict_json
from specs.keys.signer import generate_signer
from tests.verifier.mdoc_presentation import MdocPresentation, Stage
from tests.verifier.sd_presentation import SdPresentation, digest, disclosure, held_by, valid_presentation
from tests.verifier.world import NAME_SPACE, World
from verifier import ReasonCode

OF_ANY_KIND: dict[str, object] = {
    "null": None,
    "true": True,
    "number": 7,
    "text": "x",
    "empty text": "",
    "list": ["x"],
    "empty list": [],
    "list of a list": [["x"]],
    "map": {"x": 1},
    "empty map": {},
}
MALFORMED, MSO_MALFORMED = ReasonCode.MDOC_MALFORMED, ReasonCode.MSO_MALFORMED
NO_HASH = ReasonCode.HASH_ALGORITHM_NOT_ALLOWED
PLACES: dict[str, tuple[Stage, tuple[object, ...], ReasonCode]] = {
    "documents": (Stage.RESPONSE, ("documents",), MALFORMED),
    "nameSpaces": (Stage.DOCUMENT, ("issuerSigned", "nameSpaces"), MALFORMED),
    "items of a name space": (Stage.DOCUMENT, ("issuerSigned", "nameSpaces", NAME_SPACE), MALFORMED),
    "digestAlgorithm": (Stage.MSO, ("digestAlgorithm",), NO_HASH),
    "valueDigests": (Stage.MSO, ("valueDigests",), MSO_MALFORMED),
    "digests of a name space": (Stage.MSO, ("valueDigests", NAME_SPACE), MSO_MALFORMED),
    "keyAuthorizations": (Stage.MSO, ("deviceKeyInfo", "keyAuthorizations"), MSO_MALFORMED),
    "authorized name spaces": (Stage.MSO, ("deviceKeyInfo", "keyAuthorizations"), MSO_MALFORMED),
    "elements of a device's name space": (Stage.DEVICE_NAME_SPACES, (NAME_SPACE,), MALFORMED),
}
FITTING = {  # what may stand there
    ("nameSpaces", "empty map"),  # nothing is shown, which the query finds out
    ("keyAuthorizations", "empty map"),
    ("keyAuthorizations", "map"),
    ("authorized name spaces", "list"),
    ("authorized name spaces", "empty list"),
    ("elements of a device's name space", "map"),  # which the device may not state
}


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def shown(world: World) -> SdPresentation:
    return valid_presentation(world)


@pytest.mark.parametrize("kind", OF_ANY_KIND)
@pytest.mark.parametrize("place", PLACES)
def test_a_place_of_an_mdoc_takes_its_own_kind_alone(place: str, kind: str, world: World) -> None:
    stage, path, reason = PLACES[place]
    value = OF_ANY_KIND[kind]
    to = {"nameSpaces": value} if place == "authorized name spaces" else value
    assert MdocPresentation(world).judged().accepted
    verdict = MdocPresentation(world).set(stage, *path, to=to).judged()
    if (place, kind) not in FITTING:
        assert verdict.reason is reason


@pytest.mark.parametrize("kind", OF_ANY_KIND)
def test_a_hash_algorithm_is_a_known_name(kind: str, shown: SdPresentation) -> None:
    assert shown.judged().accepted
    assert shown.issuer_saying(_sd_alg=OF_ANY_KIND[kind]).judged().reason is NO_HASH


@pytest.mark.parametrize("content", ["xy", {"salt": 1, "value": 2}, {"0": "s", "1": "v"}, 12, None, True])
def test_an_element_is_disclosed_by_a_list_of_two(content: object, shown: SdPresentation) -> None:
    text = disclosure(["salt", "DE"]) if content is None else _written(content)
    bent = shown.issuer_saying(nationalities=[{"...": digest(text)}]).showing(text)
    verdict = bent.judged()
    assert verdict.accepted is (content is None)
    assert verdict.accepted or verdict.reason is ReasonCode.DISCLOSURE_MALFORMED


def _written(content: object) -> str:
    return base64url.encode(strict_json.dumps(content))


@pytest.mark.parametrize("alg", ["ES384", "ES512", "EdDSA"])
def test_the_holder_may_sign_by_another_algorithm_than_the_issuer(alg: str, shown: SdPresentation) -> None:
    assert held_by(shown, generate_signer(alg)).judged().accepted
