"""A withdrawn signer signs nothing more: the lists that its certificates name are asked, and silence is a no."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.specs.trust.drawing import (
    Drawing,
    Key,
    Scene,
    crl_point,
    draw_ca,
    draw_leaf,
    draw_three,
    key,
    rewritten,
    usage,
)
from tests.verifier.sd_presentation import SdPresentation, valid_presentation
from tests.verifier.world import DAY, HOUR, World
from verifier import Check, Fetched, ReasonCode, Reference, ReferenceKind, RevocationRule

LEAF_URL, MIDDLE_URL = "http://crl.example/leaf.crl", "http://crl.example/middle.crl"
TYPE = "application/pkix-crl"


@pytest.fixture(scope="module")
def valid() -> SdPresentation:
    return valid_presentation(World())


def scene() -> Scene:
    """Leaf and intermediate each name a list."""
    return (
        draw_three()
        .changed(0, lambda leaf: replace(leaf.having(crl_point(LEAF_URL)), serial=1001))
        .changed(1, lambda middle: replace(middle.having(crl_point(MIDDLE_URL)), serial=1002))
    )


@dataclass(frozen=True)
class Crl:
    """A revocation list before it is signed. Times: seconds from now."""

    issuer: Drawing
    signer: Key
    serials: tuple[int, ...] = (5, 6)
    updated: int = -HOUR
    next_update: int = DAY
    withdrawn: int = -HOUR
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = field(default=())

    def signed(self, now: int) -> bytes:
        """The DER list."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issuer.subject)
            .last_update(datetime.fromtimestamp(now + self.updated, UTC))
            .next_update(datetime.fromtimestamp(now + self.next_update, UTC))
        )
        for serial in self.serials:
            when = datetime.fromtimestamp(now + self.withdrawn, UTC)
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
            builder = builder.add_revoked_certificate(entry)
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical=critical)
        digest = None if isinstance(self.signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.signer, digest).public_bytes(Encoding.DER)


def lists(
    leaf: Callable[[Crl], Crl] = lambda crl: crl, middle: Callable[[Crl], Crl] = lambda crl: crl
) -> dict[str, Crl]:
    """The intermediate's list for the leaf, the root's list for the intermediate."""
    _, intermediate, root = scene().drawings
    return {
        LEAF_URL: leaf(Crl(intermediate, intermediate.key)),
        MIDDLE_URL: middle(Crl(root, root.key)),
    }


def with_lists(shown: SdPresentation, crls: dict[str, Crl]) -> SdPresentation:
    """A domain that asks, and what was fetched for it."""
    now = shown.world.now
    drawn = shown.drawn(scene())
    fetched = {url: Fetched(crl.signed(now), 200, TYPE, now) for url, crl in crls.items()}
    return replace(drawn, domain=replace(drawn.domain, revocation=RevocationRule.REQUIRED), revocation=dict(fetched))


def scope(**only: object) -> Callable[[Crl], Crl]:
    """The list says for which certificates it speaks."""
    said = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
        **only,
    }
    point = x509.IssuingDistributionPoint(**said)  # type: ignore[arg-type]  # as the class takes them
    return lambda crl: replace(crl, extensions=((point, True),))


IDP = ExtensionOID.ISSUING_DISTRIBUTION_POINT
OTHER_NUMBER = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), b"\x02\x01\x07")


def extended(oid: x509.ObjectIdentifier, der: str) -> Callable[[Crl], Crl]:
    """A list with an extension as its bytes, in hex."""
    return lambda crl: replace(crl, extensions=((x509.UnrecognizedExtension(oid, bytes.fromhex(der)), True),))


def at(url: str) -> list[x509.UniformResourceIdentifier]:
    return [x509.UniformResourceIdentifier(url)]


def below(common_name: str) -> x509.RelativeDistinguishedName:
    """A name relative to the issuer's."""
    return x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def test_who_is_in_no_list_is_accepted_and_the_check_is_named(valid: SdPresentation) -> None:
    shown = with_lists(valid, lists())
    verdict = shown.judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert Check.REVOCATION in verdict.credentials[0].checks
    wanted = {reference.url for reference in shown.references() if reference.kind is ReferenceKind.REVOCATION_LIST}
    assert wanted == {LEAF_URL, MIDDLE_URL}
    assert Reference(ReferenceKind.REVOCATION_LIST, LEAF_URL, (TYPE,)) in shown.references()


WITHDRAWN: dict[str, dict[str, Crl]] = {
    "leaf": lists(leaf=lambda crl: replace(crl, serials=(5, 1001))),
    "intermediate": lists(middle=lambda crl: replace(crl, serials=(1002,))),
}


@pytest.mark.parametrize("crls", WITHDRAWN.values(), ids=WITHDRAWN.keys())
def test_who_is_withdrawn_is_refused(crls: dict[str, Crl], valid: SdPresentation) -> None:
    shown = with_lists(valid, crls)
    assert shown.judged().reason is ReasonCode.CERTIFICATE_REVOKED
    off = replace(shown, domain=replace(shown.domain, revocation=RevocationRule.OFF))
    assert off.judged().accepted


SPOKEN_FOR: dict[str, dict[str, Crl]] = {
    "by its address": lists(leaf=scope(full_name=at(LEAF_URL))),
    "by kind, for end entities": lists(leaf=scope(only_contains_user_certs=True)),
    "by kind, for authorities": lists(middle=scope(only_contains_ca_certs=True)),
    "by one of several addresses": lists(leaf=scope(full_name=[*at("http://crl.example/other.crl"), *at(LEAF_URL)])),
    "past its next update by our clock's tolerance": lists(
        leaf=lambda crl: replace(crl, updated=-2 * DAY, next_update=-60)
    ),
    "ahead by our clock's tolerance": lists(leaf=lambda crl: replace(crl, updated=60)),
    "by an extension that need not be understood": lists(
        leaf=lambda crl: replace(crl, extensions=((x509.CRLNumber(7), False),))
    ),
}


@pytest.mark.parametrize("crls", SPOKEN_FOR.values(), ids=SPOKEN_FOR.keys())
def test_a_list_that_speaks_for_this_certificate_counts(crls: dict[str, Crl], valid: SdPresentation) -> None:
    verdict = with_lists(valid, crls).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)


USELESS: dict[str, dict[str, Crl]] = {
    "signed by another key": lists(leaf=lambda crl: replace(crl, signer=key("thief"))),
    "signed by another kind of key": lists(leaf=lambda crl: replace(crl, signer=key("thief", "P-384"))),
    "signed with RSA": lists(leaf=lambda crl: replace(crl, signer=key("rsa root", "RSA-2048"))),
    "of another issuer": lists(leaf=lambda crl: replace(crl, issuer=scene().drawings[2])),
    "past its next update": lists(leaf=lambda crl: replace(crl, updated=-2 * DAY, next_update=-HOUR)),
    "from the future": lists(leaf=lambda crl: replace(crl, updated=HOUR)),
    "another part of all lists": lists(leaf=scope(full_name=at("http://crl.example/other.crl"))),
    "another part, named below its issuer": lists(leaf=scope(relative_name=below("other"))),
    "ending 61 s ago": lists(leaf=lambda crl: replace(crl, updated=-2 * DAY, next_update=-61)),
    "made in 61 s": lists(leaf=lambda crl: replace(crl, updated=61)),
    "for authorities only": lists(leaf=scope(only_contains_ca_certs=True)),
    "for end entities only": lists(middle=scope(only_contains_user_certs=True)),
    "for attribute certificates only": lists(leaf=scope(only_contains_attribute_certs=True)),
    "for some reasons only": lists(leaf=scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))),
    "for others' certificates": lists(leaf=scope(indirect_crl=True)),
    "of changes only": lists(leaf=lambda crl: replace(crl, extensions=((x509.DeltaCRLIndicator(3), True),))),
    "with a number that is none": lists(
        leaf=lambda crl: replace(
            crl, extensions=((x509.UnrecognizedExtension(ExtensionOID.CRL_NUMBER, b"\x05\x00"), False),)
        )
    ),
    "at a name of a kind that the library does not read": lists(leaf=extended(IDP, "300aa008a006a504a1020c00")),
    "at a name with bits for its text": lists(leaf=extended(IDP, "3017a015a013a411300f310d300b0603550403030400616263")),
    "for the leaf missing": {MIDDLE_URL: lists()[MIDDLE_URL]},
    "for the intermediate missing": {LEAF_URL: lists()[LEAF_URL]},
}


@pytest.mark.parametrize("crls", USELESS.values(), ids=USELESS.keys())
def test_a_list_that_proves_nothing_is_silence(crls: dict[str, Crl], valid: SdPresentation) -> None:
    """Of parts of a list, whoever stands between could hand out the one in which the signer is not."""
    assert with_lists(valid, crls).judged().reason is ReasonCode.REVOCATION_UNKNOWN


@pytest.mark.parametrize(
    "body", [b"", b"not a list", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", b"\x30\x80"]
)
def test_what_is_no_list_is_silence(body: bytes, valid: SdPresentation) -> None:
    shown = with_lists(valid, lists())
    now = valid.world.now
    silent = replace(shown, revocation={**shown.revocation, LEAF_URL: Fetched(body, 200, TYPE, now)})
    assert silent.judged().reason is ReasonCode.REVOCATION_UNKNOWN
    body = lists()[LEAF_URL].signed(now)
    for status in (100, 199, 300, 404, 500):
        failed = replace(shown, revocation={**shown.revocation, LEAF_URL: Fetched(body, status, TYPE, now)})
        assert failed.judged().reason is ReasonCode.REVOCATION_UNKNOWN
    for status in (200, 299):
        answered = replace(shown, revocation={**shown.revocation, LEAF_URL: Fetched(body, status, TYPE, now)})
        assert answered.judged().accepted


LATE = 30 * 365 * DAY  # a date so far off is written with all four digits of its year
MISSPELT: dict[str, tuple[Callable[[Crl], Crl], bytes, bytes]] = {
    "made in the year 0": (lambda crl: replace(crl, updated=LATE, next_update=2 * LATE), b"\x0f2056", b"\x0f0000"),
    "ending in the year 0": (lambda crl: replace(crl, next_update=LATE), b"\x0f2056", b"\x0f0000"),
    "with a number twice": (
        lambda crl: replace(crl, extensions=((x509.CRLNumber(7), False), (OTHER_NUMBER, False))),
        b"\x55\x1d\x63",
        b"\x55\x1d\x14",
    ),
}


@pytest.mark.parametrize(("change", "old", "new"), MISSPELT.values(), ids=MISSPELT.keys())
def test_a_list_that_its_own_authority_misspelt_is_silence(
    change: Callable[[Crl], Crl], old: bytes, new: bytes, valid: SdPresentation
) -> None:
    """A year 0 is well-formed DER and no date that the library knows: it was once an error instead of a verdict."""
    issuer, now = scene().drawings[1], valid.world.now
    shown = with_lists(valid, lists())

    def judged(crl: Crl, old: bytes) -> ReasonCode | None:
        body = rewritten(crl.signed(now), signer=issuer.key, old=old, new=new, digest=hashes.SHA256())
        return replace(shown, revocation={**shown.revocation, LEAF_URL: Fetched(body, 200, TYPE, now)}).judged().reason

    good = Crl(issuer, issuer.key)
    assert judged(good, new) is None
    assert judged(change(good), old) is ReasonCode.REVOCATION_UNKNOWN


def test_who_is_withdrawn_in_a_year_0_is_withdrawn(valid: SdPresentation) -> None:
    issuer, now = scene().drawings[1], valid.world.now
    written = Crl(issuer, issuer.key, serials=(1001,), withdrawn=LATE).signed(now)
    body = rewritten(written, signer=issuer.key, old=b"\x0f2056", new=b"\x0f0000", digest=hashes.SHA256())
    shown = with_lists(valid, lists())
    shown = replace(shown, revocation={**shown.revocation, LEAF_URL: Fetched(body, 200, TYPE, now)})
    assert shown.judged().reason is ReasonCode.CERTIFICATE_REVOKED


def asked_of(shown: SdPresentation, drawn: Scene, crls: dict[str, Crl]) -> SdPresentation:
    """Who signs is the leaf of this scene, in a domain that asks for these lists."""
    now = shown.world.now
    fetched = {url: Fetched(crl.signed(now), 200, TYPE, now) for url, crl in crls.items()}
    moved = shown.drawn(drawn)
    return replace(moved, domain=replace(moved.domain, revocation=RevocationRule.REQUIRED), revocation=dict(fetched))


@pytest.mark.parametrize("kind", ["Ed25519", "P-384"])
def test_a_list_by_an_authority_with_another_kind_of_key_counts(kind: str, valid: SdPresentation) -> None:
    leaf, root = key("leaf"), key(f"root {kind}", kind)
    signer = replace(draw_leaf("Signer", leaf, by=root).having(crl_point(LEAF_URL)), serial=1001)
    drawn = Scene((signer, draw_ca("Root", root, path_length=0)))
    for serials, reason in (((5,), None), ((1001,), ReasonCode.CERTIFICATE_REVOKED)):
        crl = Crl(drawn.drawings[1], root, serials=serials)
        assert asked_of(valid, drawn, {LEAF_URL: crl}).judged().reason is reason


def test_a_root_that_does_not_say_what_its_key_is_for_may_sign_lists(valid: SdPresentation) -> None:
    """RFC 5280 §6.3.3 f: key usage, if it is there, lists crlSign."""
    leaf, root = key("leaf"), key("root")
    signer = draw_leaf("Signer", leaf, by=root).having(crl_point(LEAF_URL))
    above = draw_ca("Root", root, path_length=0)
    for authority, reason in (
        (above.lacking(x509.KeyUsage.oid), None),
        (above.having(usage(certificates=True), critical=True), ReasonCode.REVOCATION_UNKNOWN),
    ):
        drawn = Scene((signer, authority))
        crl = Crl(drawn.drawings[1], root)
        assert asked_of(valid, drawn, {LEAF_URL: crl}).judged().reason is reason


@pytest.mark.parametrize("position", [0, 1])
def test_a_certificate_that_names_no_place_is_not_asked_about_beside_one_that_does(
    position: int, valid: SdPresentation
) -> None:
    url = (LEAF_URL, MIDDLE_URL)[position]
    drawn = draw_three().changed(position, lambda drawing: replace(drawing.having(crl_point(url)), serial=1001))
    issuer = drawn.drawings[position + 1]
    for serials, reason in (((5,), None), ((1001,), ReasonCode.CERTIFICATE_REVOKED)):
        shown = asked_of(valid, drawn, {url: Crl(issuer, issuer.key, serials=serials)})
        assert shown.judged().reason is reason


def test_no_further_place_is_asked_once_one_has_answered(valid: SdPresentation) -> None:
    first, second = "http://crl.example/1.crl", "http://crl.example/2.crl"
    points = x509.CRLDistributionPoints([x509.DistributionPoint(at(url), None, None, None) for url in (first, second)])
    drawn = draw_three().changed(0, lambda leaf: leaf.having(points))
    issuer = drawn.drawings[1]

    def wanted(revocation: dict[str, Crl]) -> list[str]:
        shown = asked_of(valid, drawn, revocation)
        return [each.url for each in shown.further_references() if each.kind is ReferenceKind.REVOCATION_LIST]

    assert wanted({}) == [first]
    assert wanted({first: Crl(issuer, issuer.key)}) == []
    assert wanted({first: Crl(issuer, key("thief"))}) == [second]


def test_no_broken_list_is_believed_or_raises(valid: SdPresentation) -> None:
    shown = with_lists(valid, lists(leaf=scope(full_name=at(LEAF_URL))))
    fetched = shown.revocation[LEAF_URL]
    assert fetched is not None
    chance = random.Random(4)
    for _ in range(300):
        broken = bytearray(fetched.body)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        broken_list = replace(fetched, body=bytes(broken))
        verdict = replace(shown, revocation={**shown.revocation, LEAF_URL: broken_list}).judged()
        assert verdict.reason is ReasonCode.REVOCATION_UNKNOWN


def test_a_listed_signer_is_withdrawn_by_its_trust_list_alone(valid: SdPresentation) -> None:
    listed = replace(scene(), believed=lambda chain: [TrustAnchor(AnchorKind.LISTED, chain[0], "listed")])
    shown = valid.drawn(listed)
    shown = replace(shown, domain=replace(shown.domain, revocation=RevocationRule.REQUIRED))
    verdict = shown.judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert Check.REVOCATION not in verdict.credentials[0].checks
