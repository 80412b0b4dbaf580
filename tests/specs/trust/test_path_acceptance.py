"""Paths that strict code often refuses wrongly, what a validated path tells, and what is remembered of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID, NameOID

from specs.refusal import ReasonCode
from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU
from specs.trust.x509 import (
    AnchorKind,
    CertificateError,
    CertificateProfile,
    TrustAnchor,
    anchors_from_pem,
    validate_path,
)
from specs.trust.x509 import _paths as remembered_paths
from tests.specs.trust.bending import subject_with_mail
from tests.specs.trust.drawing import (
    DAY,
    NOW,
    Drawing,
    Scene,
    authority,
    crl_point,
    draw_access,
    draw_ca,
    draw_leaf,
    draw_mdl,
    draw_three,
    draw_two,
    identifier,
    key,
    last_as_ca,
    name,
    usage,
)


def rooted_in(curve: str) -> Scene:
    """Leaf and root, both with a key of this kind."""
    leaf, root = key("leaf", curve), key("root", curve)
    return Scene((draw_leaf("Signer", leaf, by=root), draw_ca("Root", root, path_length=0)))


def leaf_is(kind: AnchorKind, scene: Scene) -> Scene:
    """The leaf itself is the anchor."""
    return replace(scene, believed=lambda chain: [TrustAnchor(kind, chain[0], kind)])


def self_signed(kind: AnchorKind, drawing: Drawing) -> Scene:
    """A certificate that certifies itself, sent and believed."""
    der = drawing.signed(drawing)
    return Scene((drawing,), sent=lambda _chain: [der], believed=lambda _chain: [TrustAnchor(kind, der, "own")])


def rolled_keys() -> Scene:
    """The root's name stands over an old key, an impostor's and the right one."""
    scene = draw_two()
    others = [draw_ca("Root", key(label), path_length=0) for label in ("old", "impostor")]
    ders = [drawing.signed(drawing) for drawing in others]
    return replace(
        scene,
        believed=lambda chain: [*[TrustAnchor(AnchorKind.CA, der, "other") for der in ders], scene.believed(chain)[0]],
    )


def renewed_root() -> Scene:
    """Two certificates of one root key, the older one at its end."""
    scene = draw_two()
    old = replace(scene.drawings[1], end=NOW - DAY, serial=1)
    der = old.signed(old)
    return replace(scene, believed=lambda chain: [TrustAnchor(AnchorKind.CA, der, "old"), scene.believed(chain)[0]])


def without_signing(drawing: Drawing) -> Drawing:
    """A CA that may not certify."""
    return drawing.having(usage(crls=True), critical=True)


def with_rsa(drawing: Drawing) -> Drawing:
    """A CA with a key of a kind that is not allowed."""
    return replace(drawing, key=key("rsa root", "RSA-2048"))


def also_believed() -> Scene:
    """The root without a right to certify is an anchor, too, and the first."""
    scene = draw_two()
    other = without_signing(scene.drawings[1])
    der = other.signed(other)
    return replace(scene, believed=lambda chain: [TrustAnchor(AnchorKind.CA, der, "first"), scene.believed(chain)[0]])


def five_long() -> Scene:
    """Three CAs under the root."""
    names = ("middle", "second middle", "third middle", "root")
    cas = tuple(
        draw_ca(label.capitalize(), key(label), path_length=below, by=key(above))
        for below, (label, above) in enumerate(zip(names, (*names[1:], "root"), strict=True))
    )
    return Scene((draw_leaf("Signer", key("leaf"), by=key("middle")), *cas))


def self_issued_middle() -> Scene:
    """A root's new key certified by its old one, under path length 0 (RFC 5280 §6.1.4 l)."""
    scene = draw_two()
    own = key("new root")
    middle = draw_ca("Root", own, path_length=0, by=key("root"))
    return replace(scene, drawings=(scene.drawings[0].having(authority(own)), middle, scene.drawings[1]))


def constrained(subtree: x509.GeneralName, bearing: x509.GeneralName) -> Scene:
    """An intermediate limited to a subtree, a leaf in it."""
    limited = draw_three().changed(1, lambda d: d.having(x509.NameConstraints([subtree], None), critical=True))
    return limited.changed(0, lambda d: d.having(x509.SubjectAlternativeName([bearing])))


def policy(drawing: Drawing, oid: str) -> Drawing:
    """With a certificate policy."""
    return drawing.having(x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None)]))


def eku(*oids: str) -> x509.ExtendedKeyUsage:
    """An extended key usage."""
    return x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in oids])


MDOC = frozenset({MDOC_DOCUMENT_SIGNER_EKU})

ACCEPTED: dict[str, Callable[[], Scene]] = {
    "three certificates": draw_three,
    "two certificates": draw_two,
    "driving licence": draw_mdl,
    "driving licence under P-384": lambda: draw_mdl().changed(-1, lambda d: replace(d, digest=hashes.SHA384())),
    "access under RSA": draw_access,
    "access under RSA-PSS": lambda: draw_access().changed(0, lambda d: replace(d, pss=True)),
    "P-384": lambda: rooted_in("P-384"),
    "P-521": lambda: rooted_in("P-521"),
    "Ed25519": lambda: rooted_in("Ed25519"),
    "status": lambda: replace(draw_two(), profile=CertificateProfile.STATUS),
    "attester": lambda: replace(draw_two(), profile=CertificateProfile.ATTESTER),
    "access": lambda: replace(draw_two(), profile=CertificateProfile.ACCESS),
    "extended usage absent": lambda: replace(draw_two(), allowed_ekus=MDOC),
    "extended usage not critical": lambda: replace(
        draw_two().changed(0, lambda d: d.having(eku(MDOC_DOCUMENT_SIGNER_EKU))), allowed_ekus=MDOC
    ),
    "one extended usage more": lambda: replace(
        draw_two().changed(0, lambda d: d.having(eku("1.2.3", MDOC_DOCUMENT_SIGNER_EKU))), allowed_ekus=MDOC
    ),
    "any extended usage": lambda: draw_two().changed(0, lambda d: d.having(eku("1.2.3"), critical=True)),
    "ca for all extended usages": lambda: replace(
        draw_three().changed(1, lambda d: d.having(eku(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string))),
        allowed_ekus=MDOC,
    ),
    "unknown extension that is not critical": lambda: draw_two().changed(
        0, lambda d: d.having(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"))
    ),
    "no key identifiers": lambda: (
        draw_two()
        .changed(0, lambda d: d.lacking(ExtensionOID.AUTHORITY_KEY_IDENTIFIER))
        .changed(1, lambda d: d.lacking(ExtensionOID.SUBJECT_KEY_IDENTIFIER))
    ),
    "basic constraints that say no ca": lambda: draw_two().changed(
        0, lambda d: d.having(x509.BasicConstraints(False, None), critical=True)
    ),
    "60 s beyond the end": lambda: draw_two().changed(0, lambda d: replace(d, end=NOW - 60)),
    "60 s before the begin": lambda: draw_two().changed(0, lambda d: replace(d, begin=NOW + 60)),
    "several keys under one name": rolled_keys,
    "renewed root": renewed_root,
    "anchor without key usage": lambda: draw_two().changed(1, lambda d: d.lacking(ExtensionOID.KEY_USAGE)),
    "an intermediate that is listed, too": lambda: replace(
        draw_three(),
        believed=lambda chain: [*last_as_ca(chain), TrustAnchor(AnchorKind.LISTED, chain[1], "listed")],
    ),
    "believed as listed, and as ca": lambda: replace(
        draw_two(), believed=lambda chain: [TrustAnchor(kind, chain[-1], kind) for kind in reversed(AnchorKind)]
    ),
    "an anchor that may not certify, before one that may": also_believed,
    "five certificates with the root, which is not sent": five_long,
    "self-issued intermediate": self_issued_middle,
    "listed leaf": lambda: leaf_is(AnchorKind.LISTED, draw_two()),
    "listed leaf with its issuer": lambda: leaf_is(AnchorKind.LISTED, draw_three()),
    "pinned leaf": lambda: leaf_is(AnchorKind.PINNED_TEST, draw_two()),
    "pinned self-signed leaf": lambda: self_signed(
        AnchorKind.PINNED_TEST, draw_leaf("Test", key("leaf"), by=key("leaf"))
    ),
    "pinned leaf without any profile": lambda: self_signed(
        AnchorKind.PINNED_TEST, Drawing(subject=name("Test"), key=key("leaf"), extensions=())
    ),
    "anchor in the chain where it may be": lambda: replace(
        draw_three(), sent=lambda chain: chain, anchor_in_chain_allowed=True
    ),
    "anchor after a single certificate where it may be": lambda: replace(
        draw_two(), sent=lambda chain: chain, anchor_in_chain_allowed=True
    ),
    "no anchor in the chain where it may be": lambda: replace(draw_three(), anchor_in_chain_allowed=True),
    "constraint that its own ca is outside of": lambda: draw_three().changed(
        1, lambda d: d.having(x509.NameConstraints([x509.DirectoryName(name("Signer"))], None), critical=True)
    ),
    "policy asserted": lambda: replace(
        draw_two().changed(0, lambda d: policy(d, "0.4.0.194118.1.2")),
        required_policies=frozenset({"0.4.0.194118.1.2", "0.4.0.194118.1.4"}),
    ),
    "policy under any policy": lambda: replace(
        draw_three().changed(0, lambda d: policy(d, "1.2.3")).changed(1, lambda d: policy(d, "2.5.29.32.0")),
        required_policies=frozenset({"1.2.3"}),
    ),
    "host name below a constraint": lambda: constrained(x509.DNSName("example"), x509.DNSName("a.b.EXAMPLE")),
    "host name under a leading dot": lambda: constrained(x509.DNSName(".example"), x509.DNSName("a.example")),
    "wildcard below a constraint": lambda: constrained(x509.DNSName("b.example"), x509.DNSName("*.b.example")),
    "mail below a leading dot": lambda: constrained(x509.RFC822Name(".b.example"), x509.RFC822Name("x@a.b.example")),
    "mail in the subject below a constraint": lambda: subject_with_mail("a@stadt.example")(
        constrained(x509.RFC822Name("stadt.example"), x509.DNSName("a.example"))
    ),
    "URI with port": lambda: constrained(
        x509.UniformResourceIdentifier("b.example"), x509.UniformResourceIdentifier("https://b.example:8443/x")
    ),
    "constraint on another kind of name": lambda: constrained(
        x509.DNSName("b.example"), x509.RFC822Name("x@y.example")
    ),
}


@pytest.mark.parametrize("scene", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_valid_path_is_accepted(scene: Callable[[], Scene]) -> None:
    drawn = scene()
    assert drawn.validate().leaf_key == drawn.drawings[0].key.public_key()


def test_reader_certificate_is_accepted() -> None:
    own, root = key("reader"), key("reader root")
    reader = Drawing(
        subject=name("Reader"),
        key=own,
        extensions=(
            (usage(sign=True), True),
            (eku("1.0.18013.5.1.6"), True),
            (identifier(own), False),
            (authority(root), False),
            (crl_point(), False),
        ),
    )
    scene = Scene((reader, draw_ca("Reader root", root, path_length=0)), profile=CertificateProfile.READER)
    assert scene.validate().leaf_names.common_name == "Reader"
    with pytest.raises(CertificateError) as refusal:
        scene.changed(0, lambda d: d.having(eku(MDOC_DOCUMENT_SIGNER_EKU), critical=True)).validate()
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE


def test_path_tells_what_callers_compare() -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "SN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Stadt"),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, "GOVDE-1"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Signer"),
        ]
    )
    ocsp = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example/")
    )
    scene = draw_three().changed(
        0,
        lambda d: (
            replace(d, subject=subject)
            .having(crl_point("http://crl.example/a"))
            .having(x509.AuthorityInformationAccess([ocsp]))
        ),
    )
    path = scene.validate()
    assert path.leaf_names.display_name == "Stadt"
    assert path.leaf_names.country == "DE"
    assert path.leaf_names.state_or_province == "SN"
    assert path.leaf_names.organization_identifier == "GOVDE-1"
    assert path.leaf_names.dns_names == ("signer.stadt.example",)
    assert path.aki_values == {identifier(key("middle")).digest, identifier(key("root")).digest}
    assert path.revocation[0].crl_urls == ("http://crl.example/a",)
    assert path.revocation[0].ocsp_urls == ("http://ocsp.example/",)
    assert not path.revocation[1].named
    assert len(path.chain) == 2
    assert (path.not_before, path.not_after) == (NOW - 10 * DAY, NOW + 90 * DAY)


def test_path_names_no_authority_that_its_certificates_do_not() -> None:
    scene = draw_two().changed(0, lambda d: d.lacking(ExtensionOID.AUTHORITY_KEY_IDENTIFIER))
    assert scene.validate().aki_values == frozenset()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ((without_signing, with_rsa), ReasonCode.CERTIFICATE_PROFILE),
        ((with_rsa, without_signing), ReasonCode.ALGORITHM_NOT_ALLOWED),
    ],
    ids=["usage first", "kind of key first"],
)
def test_of_several_anchors_of_the_name_the_first_says_why_none_will_do(
    changes: tuple[Callable[[Drawing], Drawing], ...], reason: ReasonCode
) -> None:
    leaf, root = draw_two().drawings
    anchors = [TrustAnchor(AnchorKind.CA, change(root).signed(change(root)), "root") for change in changes]
    with pytest.raises(CertificateError) as refusal:
        validate_path([leaf.signed(root)], anchors=anchors, profile=CertificateProfile.EAA, now=NOW)
    assert refusal.value.reason is reason


def test_dates_of_the_whole_path_are_the_narrowest() -> None:
    scene = draw_three().changed(1, lambda d: replace(d, begin=NOW - DAY, end=NOW + DAY))
    path = scene.validate()
    assert (path.path_not_before, path.path_not_after) == (NOW - DAY, NOW + DAY)
    assert (path.not_before, path.not_after) == (NOW - 10 * DAY, NOW + 90 * DAY)


def test_second_validation_does_no_certificate_work() -> None:
    scene = draw_three()
    certificates = scene.certificates()
    chain, anchors = scene.sent(certificates), tuple(scene.believed(certificates))
    first = validate_path(chain, anchors=anchors, profile=scene.profile, now=NOW)
    hits = remembered_paths.cache_info().hits
    copies = [bytes(bytearray(der)) for der in chain]
    assert validate_path(copies, anchors=list(anchors), profile=scene.profile, now=NOW) is first
    assert remembered_paths.cache_info().hits == hits + 1


def test_remembered_path_still_expires() -> None:
    scene = draw_three()
    certificates = scene.certificates()
    chain, anchors = scene.sent(certificates), scene.believed(certificates)
    for outside in (NOW + 91 * DAY, NOW - 11 * DAY):
        validate_path(chain, anchors=anchors, profile=scene.profile, now=NOW)
        with pytest.raises(CertificateError) as refusal:
            validate_path(chain, anchors=anchors, profile=scene.profile, now=outside)
        assert refusal.value.reason is ReasonCode.CERTIFICATE_EXPIRED


def test_remembered_path_holds_for_its_purpose_and_anchors_only() -> None:
    scene = draw_three()
    certificates = scene.certificates()
    chain, anchors = scene.sent(certificates), scene.believed(certificates)
    validate_path(chain, anchors=anchors, profile=CertificateProfile.EAA, now=NOW)
    others = (TrustAnchor(AnchorKind.LISTED, certificates[-1], "root"),)
    with pytest.raises(CertificateError):
        validate_path(chain, anchors=anchors, profile=CertificateProfile.ISO_MDL, now=NOW)
    with pytest.raises(CertificateError):
        validate_path(chain, anchors=others, profile=CertificateProfile.EAA, now=NOW)
    with pytest.raises(CertificateError):
        validate_path(
            chain, anchors=anchors, profile=CertificateProfile.EAA, now=NOW, required_policies=frozenset({"1.2"})
        )


def test_failures_are_not_remembered() -> None:
    scene = draw_two().changed(0, lambda d: replace(d, signer=key("stranger")))
    before = remembered_paths.cache_info().currsize
    for _ in range(3):
        with pytest.raises(CertificateError):
            scene.validate()
    assert remembered_paths.cache_info().currsize <= before
    assert remembered_paths.cache_info().maxsize is not None


def test_pem_bundle_becomes_anchors() -> None:
    ders = draw_two().certificates()
    pem = b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders)
    anchors = anchors_from_pem(pem, kind=AnchorKind.CA, name="list")
    assert [anchor.certificate for anchor in anchors] == ders
    assert [anchor.name for anchor in anchors] == ["list 1", "list 2"]
    (alone,) = anchors_from_pem(pem[: pem.index(b"-----END") + 26], kind=AnchorKind.CA, name="list")
    assert (alone.certificate, alone.name) == (ders[0], "list")


@pytest.mark.parametrize("broken", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_broken_pem_is_refused(broken: bytes) -> None:
    with pytest.raises(CertificateError) as refusal:
        anchors_from_pem(broken, kind=AnchorKind.CA, name="list")
    assert refusal.value.reason is ReasonCode.CERTIFICATE_MALFORMED


def test_the_kind_of_an_anchor_may_be_written_as_in_settings() -> None:
    root = draw_two().certificates()[-1]
    assert TrustAnchor(cast("AnchorKind", "ca"), root, "root").kind is AnchorKind.CA
    with pytest.raises(ValueError, match="believed"):
        TrustAnchor(cast("AnchorKind", "believed"), root, "root")


def test_broken_anchor_is_refused_where_it_is_made() -> None:
    with pytest.raises(CertificateError):
        TrustAnchor(AnchorKind.CA, b"\x30\x00", "broken")


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
def test_every_single_bit_of_a_chain_matters() -> None:
    scene = draw_two()
    certificates = scene.certificates()
    anchors = scene.believed(certificates)
    leaf = certificates[0]
    for position in range(len(leaf) * 8):
        bent = bytearray(leaf)
        bent[position // 8] ^= 1 << (position % 8)
        with pytest.raises(CertificateError):
            validate_path([bytes(bent)], anchors=anchors, profile=scene.profile, now=NOW)


def test_unused_bits_of_the_signature_are_refused() -> None:
    """One octet outside of what is signed let a stranger write a believed certificate in other bytes."""
    scene = draw_two()
    certificates = even_signature(scene)
    anchors = scene.believed(certificates)
    validate_path(certificates[:1], anchors=anchors, profile=scene.profile, now=NOW)
    signature = x509.load_der_x509_certificate(certificates[0]).signature
    bent = certificates[0].removesuffix(b"\x00" + signature) + b"\x01" + signature
    with pytest.raises(CertificateError) as refusal:
        validate_path([bent], anchors=anchors, profile=scene.profile, now=NOW)
    assert refusal.value.reason is ReasonCode.CERTIFICATE_MALFORMED


def even_signature(scene: Scene) -> list[bytes]:
    """The scene's certificates, the leaf signed until its signature ends in a zero bit, which can pass as unused."""
    return next(drawn for drawn in iter(scene.certificates, []) if drawn[0][-1] % 2 == 0)
