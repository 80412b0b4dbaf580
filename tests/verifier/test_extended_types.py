"""A credential may be of a type that extends the one asked for, if its issuer signed for that and nobody else can."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from specs.credentials.type_metadata import integrity_of
from specs.encoding import strict_json
from tests.verifier.sd_presentation import SdPresentation, valid_presentation
from tests.verifier.world import VCT, World
from verifier import Fetched, ReasonCode, Reference, ReferenceKind, verify_presentation
from verifier.verify import references

CITY = "https://types.example/city-pass"
REGION = "https://types.example/region-pass"


@pytest.fixture(scope="module")
def valid() -> SdPresentation:
    return valid_presentation(World())


def document(vct: str, *, extends: str | None = None, parent: bytes | None = None) -> bytes:
    """Type metadata, naming its parent by hash."""
    members: dict[str, object] = {"vct": vct}
    if extends is not None:
        members["extends"] = extends
    if parent is not None:
        members["extends#integrity"] = integrity_of(parent)
    return strict_json.dumps(members)


BASE = document(VCT)
MIDDLE = document(REGION, extends=VCT, parent=BASE)
CHILD = document(CITY, extends=REGION, parent=MIDDLE)


def extended(shown: SdPresentation) -> SdPresentation:
    """A city's pass, which extends a region's, which extends the type asked for."""
    documents = {CITY: CHILD, REGION: MIDDLE, VCT: BASE}
    return fetched(shown.issuer_saying(**{"vct": CITY, "vct#integrity": integrity_of(CHILD)}), documents)


def fetched(shown: SdPresentation, documents: dict[str, bytes], *, status: int = 200) -> SdPresentation:
    """These documents were fetched."""
    now = shown.world.now
    return replace(
        shown, type_metadata={vct: Fetched(body, status, "application/json", now) for vct, body in documents.items()}
    )


def test_a_type_that_extends_the_one_asked_for_is_accepted(valid: SdPresentation) -> None:
    verdict = extended(valid).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert verdict.credentials[0].type == CITY


def test_each_document_is_asked_for_when_the_one_before_is_there(valid: SdPresentation) -> None:
    shown = replace(extended(valid), type_metadata={})
    first = Reference(ReferenceKind.TYPE_METADATA, CITY, ("application/json",))
    assert shown.references() == (first,)
    assert shown.judged().reason is ReasonCode.TYPE_MISMATCH
    second = Reference(ReferenceKind.TYPE_METADATA, REGION, ("application/json",))
    assert fetched(shown, {CITY: CHILD}).references() == (second,)


STRANGE = "urn:example:strange:1"


@pytest.mark.parametrize("requested", [(VCT, STRANGE), (STRANGE, VCT)])
def test_one_of_several_requested_types_is_enough(requested: tuple[str, str], valid: SdPresentation) -> None:
    shown = replace(extended(valid), vcts=requested).asking({"path": ["family_name"]})
    assert shown.judged().accepted
    neither = replace(shown, vcts=(STRANGE, "urn:example:strange:2")).asking({"path": ["family_name"]})
    assert neither.judged().reason is ReasonCode.TYPE_MISMATCH


@pytest.mark.parametrize(
    ("requested", "reason"),
    [((VCT, STRANGE), ReasonCode.TYPE_MISMATCH), ((STRANGE, VCT), ReasonCode.TRUST_NOT_CONFIGURED)],
)
def test_the_first_requested_type_says_why_none_fits(
    requested: tuple[str, str], reason: ReasonCode, valid: SdPresentation
) -> None:
    shown = _vouched(replace(extended(valid), vcts=requested), document(CITY)).asking({"path": ["family_name"]})
    verdict = verify_presentation(
        shown.vp_token(),
        query=shown.query,
        nonce=shown.nonce,
        client_id=shown.client_id,
        binding=shown.binding,
        trust={("dc+sd-jwt", VCT): (shown.domain,)},  # nobody is believed about the other
        status_lists=shown.fetched(),
        now=shown.world.now,
        type_metadata=shown.type_metadata,
    )
    assert verdict.reason is reason


def test_a_document_that_is_missing_for_one_requested_type_is_wanted_whatever_speaks_against_the_other(
    valid: SdPresentation,
) -> None:
    for requested in ((VCT, STRANGE), (STRANGE, VCT)):
        shown = replace(extended(valid), vcts=requested).asking({"path": ["family_name"]})
        found = references(
            shown.vp_token(),
            query=shown.query,
            nonce=shown.nonce,
            client_id=shown.client_id,
            binding=shown.binding,
            trust={("dc+sd-jwt", VCT): (shown.domain,)},  # nobody is believed about the other
            now=shown.world.now,
        )
        assert [each.url for each in found] == [CITY]


def test_a_document_that_is_not_there_hides_no_other_presentation(valid: SdPresentation) -> None:
    missing = replace(extended(valid), type_metadata={})
    alone = valid.references()
    wanted = {*missing.references(), *alone}
    assert len(wanted) == len(missing.references()) + len(alone) == 2
    several = valid.asking({"path": ["family_name"]}, multiple=True)
    for texts in ([missing.text(), valid.text()], [valid.text(), missing.text()]):
        assert {*replace(several, entries=lambda _, sent=texts: {"pid": sent}).references()} == wanted  # type: ignore[misc]


def test_a_type_that_is_no_address_is_not_fetched(valid: SdPresentation) -> None:
    shown = replace(extended(valid).issuer_saying(vct="urn:example:other:1"), type_metadata={})
    assert shown.references() == ()
    assert shown.judged().reason is ReasonCode.TYPE_MISMATCH


@pytest.mark.parametrize(("status", "accepted"), [(199, False), (200, True), (299, True), (300, False)])
def test_a_document_counts_beside_a_status_that_says_it_is_one(
    status: int, accepted: bool, valid: SdPresentation
) -> None:
    documents = {CITY: CHILD, REGION: MIDDLE, VCT: BASE}
    assert fetched(extended(valid), documents, status=status).judged().accepted is accepted


def test_a_strangers_type_is_never_fetched(valid: SdPresentation) -> None:
    shown = replace(extended(valid), domain=World().domain, type_metadata={})
    assert shown.references() == ()
    assert replace(extended(valid), type_metadata={}).issuer_signing(lambda _data: bytes(64)).references() == ()


OTHER = document(CITY, extends=VCT, parent=BASE)
CIRCLE = document(CITY, extends=CITY)

BROKEN: dict[str, tuple[Callable[[SdPresentation], SdPresentation], ReasonCode]] = {
    "the issuer signed for no document": (
        lambda shown: shown.issuer_lacking("vct#integrity"),
        ReasonCode.TYPE_MISMATCH,
    ),
    "the publisher changed the document": (
        lambda shown: fetched(shown, {CITY: OTHER, REGION: MIDDLE, VCT: BASE}),
        ReasonCode.TYPE_METADATA_INVALID,
    ),
    "a parent was changed": (
        lambda shown: fetched(shown, {CITY: CHILD, REGION: document(REGION, extends=VCT), VCT: BASE}),
        ReasonCode.TYPE_METADATA_INVALID,
    ),
    "a parent is named without its hash": (
        lambda shown: _vouched(shown, document(CITY, extends=VCT)),
        ReasonCode.TYPE_METADATA_INVALID,
    ),
    "the document is another type's": (
        lambda shown: _vouched(shown, document(REGION, extends=VCT, parent=BASE)),
        ReasonCode.TYPE_METADATA_INVALID,
    ),
    "its type is no address and not described": (
        lambda shown: shown.issuer_saying(vct="urn:example:other:1"),
        ReasonCode.TYPE_MISMATCH,
    ),
    "it extends something else": (
        lambda shown: _vouched(shown, document(CITY)),
        ReasonCode.TYPE_MISMATCH,
    ),
    "it extends itself": (
        lambda shown: _vouched(shown, CIRCLE),
        ReasonCode.TYPE_METADATA_INVALID,
    ),
    "the document is no JSON": (
        lambda shown: _vouched(shown, b"<html>"),
        ReasonCode.TYPE_METADATA_INVALID,
    ),
    "the hash is no hash": (
        lambda shown: shown.issuer_saying(**{"vct#integrity": "sha256-"}),
        ReasonCode.TYPE_METADATA_INVALID,
    ),
    "the answer was 404": (
        lambda shown: fetched(shown, {CITY: CHILD, REGION: MIDDLE, VCT: BASE}, status=404),
        ReasonCode.TYPE_MISMATCH,
    ),
}


@pytest.mark.parametrize(("bend", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_what_nobody_vouches_for_is_of_no_other_type(
    bend: Callable[[SdPresentation], SdPresentation], reason: ReasonCode, valid: SdPresentation
) -> None:
    good = extended(valid)
    assert good.judged().accepted
    assert bend(good).judged().reason is reason


def test_who_speaks_for_the_child_does_not_speak_for_the_type_asked_for(valid: SdPresentation) -> None:
    """The signer must be one of those who may issue what was asked for, whatever its own type says it extends."""
    stranger = valid_presentation(World())
    shown = extended(stranger)
    assert shown.judged().accepted
    assert replace(shown, domain=valid.domain).judged().reason is ReasonCode.CERTIFICATE_UNTRUSTED


def _vouched(shown: SdPresentation, changed: bytes) -> SdPresentation:
    signed = shown.issuer_saying(**{"vct#integrity": integrity_of(changed)})
    return fetched(signed, {CITY: changed, REGION: MIDDLE, VCT: BASE})
