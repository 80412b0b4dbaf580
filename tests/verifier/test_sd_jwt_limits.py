"""Limits of what a wallet may send: the largest that passes, and one more."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from cryptography import x509

from specs.encoding import base64url
from specs.keys.jose import MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.specs.trust.drawing import Drawing, Scene, draw_ca, draw_leaf, draw_two, key
from tests.verifier.defects_sd_question import FAMILY_NAME
from tests.verifier.defects_sd_status import bomb
from tests.verifier.sd_presentation import SdPresentation, digest, disclosure, valid_presentation
from tests.verifier.world import VCT, World
from verifier import FailedPresentation, Limits, ReasonCode

SALT = "salt-of-something------"
DEFAULTS = Limits()


@pytest.fixture(scope="module")
def valid() -> SdPresentation:
    return valid_presentation(World())


def of_size(shown: SdPresentation, size: int) -> SdPresentation:
    """A presentation of so many characters: one claim is as long as need be."""
    named = shown.asking(FAMILY_NAME)

    def with_text(length: int, name: str) -> SdPresentation:
        return named.hiding([SALT, name, "x" * length])

    # the digest has one length, so only the disclosure grows: by four characters for three, or by less for a name
    base = len(with_text(0, "n").text())
    for name in ("n", "na", "nam", "name"):
        length = (size - base) * 3 // 4 - 8
        while len(with_text(length, name).text()) < size:
            length += 1
        found = with_text(length, name)
        if len(found.text()) == size:
            return found
    raise AssertionError("no length gives this size")


def with_disclosures(shown: SdPresentation, count: int) -> SdPresentation:
    """So many disclosures, all of the issuer."""
    more = [disclosure([f"salt {number}", f"claim {number}", number]) for number in range(count - 2)]
    return shown.hiding_texts(*more)


def of_depth(shown: SdPresentation, depth: int) -> SdPresentation:
    """A payload with so many objects and arrays inside each other."""
    value: object = "core"
    for _ in range(depth - 1):
        value = [value]
    return shown.issuer_saying(deep=value)


def bound_of_depth(shown: SdPresentation, depth: int) -> SdPresentation:
    """A key binding with so many objects and arrays inside each other, itself one of them."""
    value: object = "core"
    for _ in range(depth - 1):
        value = [value]
    return shown.holder_saying(deep=value)


def a_text_at_a_time(shown: SdPresentation) -> SdPresentation:
    """What the reader puts between the texts that it reads together stands in one of them; of two types, either."""
    several = shown.asking(FAMILY_NAME, meta={"vct_values": [VCT, "urn:example:other:1"]})
    return several.holder_saying(mark="~~")


def disclosed_of_depth(shown: SdPresentation, depth: int) -> SdPresentation:
    """A disclosure with so many arrays inside each other, itself one of them."""
    value: object = "core"
    for _ in range(depth - 1):
        value = [value]
    return shown.hiding([SALT, "deep", value])


def with_integer(shown: SdPresentation, number: int) -> SdPresentation:
    """A large integer among the claims, by its digits."""
    return shown.issuer_writing(lambda payload: payload[:-1] + b',"n":%d}' % number)


def of_certificates(shown: SdPresentation, count: int) -> SdPresentation:
    """A chain of so many certificates below the root."""
    keys = [key(f"level {level}") for level in range(count + 1)]
    authorities = [
        draw_ca(f"CA {level}", keys[level], path_length=None, by=keys[level + 1] if level < count else None)
        for level in range(1, count + 1)
    ]
    return shown.drawn(Scene((draw_leaf("Signer", keys[0], by=keys[1]), *authorities)))


def of_certificate_bytes(shown: SdPresentation, size: int) -> SdPresentation:
    """A signer's certificate of exactly so many bytes."""
    scene = draw_two()
    certificates = scene.certificates()
    length = size - len(certificates[0]) - 30
    while (
        len(certificates[0]) != size
    ):  # an ECDSA signature has 70 to 72 bytes, so the same length may need another try
        filler = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.2"), bytes(length))
        certificates = scene.changed(0, partial(Drawing.having, extension=filler)).certificates()
        length += size - len(certificates[0])
    return with_certificates(shown, scene, certificates)


def with_certificates(shown: SdPresentation, scene: Scene, certificates: list[bytes]) -> SdPresentation:
    """These very certificates, signed once."""
    anchors = [TrustAnchor(AnchorKind.CA, certificates[1], "root")]
    return shown.drawn(replace(scene, sent=lambda _chain: certificates[:1], believed=lambda _chain: anchors))


def with_list(shown: SdPresentation, raw_bytes: int) -> SdPresentation:
    """A status list that inflates to so many bytes."""
    return shown.status_saying(status_list={"bits": 1, "lst": base64url.encode(zlib.compress(bytes(raw_bytes), 9))})


def presented(shown: SdPresentation, count: int) -> SdPresentation:
    """So many presentations of one answer."""
    return replace(shown.asking(FAMILY_NAME, multiple=True), entries=lambda text: {"pid": [text] * count})


Sized = Callable[[SdPresentation, int], SdPresentation]
LIMITS: dict[str, tuple[Sized, int, ReasonCode]] = {
    "bytes of a presentation": (of_size, DEFAULTS.presentation_bytes, ReasonCode.LIMIT_EXCEEDED),
    "disclosures": (with_disclosures, DEFAULTS.disclosures, ReasonCode.LIMIT_EXCEEDED),
    "nesting of the payload": (of_depth, DEFAULTS.nesting, ReasonCode.JWT_MALFORMED),
    "nesting of a disclosure": (disclosed_of_depth, DEFAULTS.nesting, ReasonCode.DISCLOSURE_MALFORMED),
    "integers": (with_integer, 2**64 - 1, ReasonCode.JWT_MALFORMED),
    "certificates": (of_certificates, MAX_CERTIFICATES, ReasonCode.LIMIT_EXCEEDED),
    "bytes of the status list": (with_list, DEFAULTS.status_list_bytes, ReasonCode.LIMIT_EXCEEDED),
    "presentations": (presented, DEFAULTS.presentations, ReasonCode.TOO_MANY_PRESENTATIONS),
}


@pytest.mark.parametrize(("sized", "limit", "reason"), LIMITS.values(), ids=LIMITS.keys())
def test_the_largest_passes_and_one_more_does_not(
    sized: Sized, limit: int, reason: ReasonCode, valid: SdPresentation
) -> None:
    verdict = sized(valid, limit).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert sized(valid, limit + 1).judged().reason is reason


def test_a_certificate_of_16_kib_passes_and_one_byte_more_does_not(valid: SdPresentation) -> None:
    assert of_certificate_bytes(valid, MAX_CERTIFICATE_BYTES).judged().accepted
    verdict = of_certificate_bytes(valid, MAX_CERTIFICATE_BYTES + 1).judged()
    assert verdict.reason is ReasonCode.LIMIT_EXCEEDED


SETTINGS: dict[str, tuple[dict[str, int], Callable[[SdPresentation], SdPresentation]]] = {
    "presentation_bytes": ({"presentation_bytes": 300_000}, lambda shown: of_size(shown, 300_000)),
    "disclosures": ({"disclosures": 501}, lambda shown: with_disclosures(shown, 501)),
    "nesting": ({"nesting": 40}, lambda shown: of_depth(shown, 40)),
    "nesting, a text at a time": ({"nesting": 40}, lambda shown: a_text_at_a_time(of_depth(shown, 40))),
    "nesting of the key binding": ({"nesting": 40}, lambda shown: a_text_at_a_time(bound_of_depth(shown, 40))),
    "status_list_bytes": ({"status_list_bytes": 2**24 + 1}, lambda shown: with_list(shown, 2**24 + 1)),
    "presentations": ({"presentations": 21}, lambda shown: presented(shown, 21)),
}


@pytest.mark.parametrize(("setting", "shown"), SETTINGS.values(), ids=SETTINGS.keys())
def test_a_procedure_can_raise_a_limit(
    setting: dict[str, int], shown: Callable[[SdPresentation], SdPresentation], valid: SdPresentation
) -> None:
    verdict = shown(valid).under(limits=Limits(**setting)).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)


def test_disclosures_inside_each_other_end_before_the_stack_does(valid: SdPresentation) -> None:
    value: object = "core"
    texts: list[str] = []
    for level in range(62):
        texts.append(disclosure([f"salt {level}", "in", value]))
        value = {"_sd": [digest(texts[-1])]}
    assert valid.digesting(texts[-1]).showing(*texts).judged().accepted
    deeper = disclosure(["salt", "in", value])
    for _ in range(3):
        texts.append(deeper)
        deeper = disclosure(["salt", "in", {"_sd": [digest(deeper)]}])
    assert valid.digesting(texts[-1]).showing(*texts).judged().reason is ReasonCode.LIMIT_EXCEEDED


def test_a_list_of_ten_million_credentials_is_read(valid: SdPresentation) -> None:
    raw = bytearray(10_000_000 // 8)
    raw[-1] = 0x7F
    shown = valid.pointing(idx=9_999_999).status_listing(bytes(raw), bits=1)
    assert shown.judged().accepted
    raw[-1] = 0x80
    assert valid.pointing(idx=9_999_999).status_listing(bytes(raw), bits=1).judged().reason is ReasonCode.STATUS_REVOKED


def test_one_failure_can_be_final_or_be_left_out(valid: SdPresentation) -> None:
    shown = valid.asking(FAMILY_NAME, multiple=True)
    wrong = shown.issuer_saying(exp=0)
    both = replace(shown, entries=lambda text: {"pid": [wrong.text(), text]})
    verdict = both.judged()
    assert verdict.accepted
    assert [(each.position, each.reason) for each in verdict.discarded] == [(0, ReasonCode.CREDENTIAL_EXPIRED)]
    strict = both.under(on_failed_presentation=FailedPresentation.REFUSE).judged()
    assert (strict.reason, strict.where) == (ReasonCode.CREDENTIAL_EXPIRED, "pid[0]")


def test_a_bomb_that_is_within_the_limit_for_bytes_is_no_bomb(valid: SdPresentation) -> None:
    shown = valid.status_saying(status_list={"bits": 1, "lst": base64url.encode(bomb(16))})
    assert shown.judged().accepted
