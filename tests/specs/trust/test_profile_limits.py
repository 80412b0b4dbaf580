"""Certificate profiles where they end: what just holds, beside what just does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from specs.trust.parsed_certificate import CertificateError, ParsedCertificate, parse_certificate
from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU, MDOC_READER_EKU, CertificateProfile, check_iaca, is_authority
from specs.trust.x509 import AnchorKind
from tests.specs.trust.bending import (
    PROFILE,
    SERIAL,
    STADT,
    at,
    believed,
    both,
    ekus,
    having,
    lacking,
    leaf,
    root,
    scene_with,
    uri,
    written,
)
from tests.specs.trust.drawing import (
    DAY,
    Drawing,
    Scene,
    authority,
    crl_point,
    draw_access,
    draw_ca,
    draw_mdl,
    draw_three,
    draw_two,
    identifier,
    key,
    name,
    usage,
)

Bend = Callable[[Scene], Scene]
SIGNER = frozenset({MDOC_DOCUMENT_SIGNER_EKU})


def lasting(seconds: int) -> Callable[[Drawing], Drawing]:
    return lambda drawing: replace(drawing, end=drawing.begin + seconds)


def from_states(signer: str, iaca: str) -> Bend:
    """Signer and root are of one country and of these states."""

    def state(common_name: str, value: str) -> Callable[[Drawing], Drawing]:
        there = x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, value)
        return lambda drawing: replace(drawing, subject=x509.Name([*name(common_name), there]))

    return both(leaf(state("Document signer", signer)), root(state("IACA", iaca)))


def stateless(common_name: str) -> x509.Name:
    """A name without a country."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def without_country(scene: Scene) -> Scene:
    """Signer and root agree in naming no country."""
    signer = scene.changed(0, lambda drawing: replace(drawing, subject=stateless("Document signer")))
    return signer.changed(-1, lambda drawing: replace(drawing, subject=stateless("IACA")))


def point(
    full_name: list[x509.GeneralName] | None = None,
    *,
    relative: x509.RelativeDistinguishedName | None = None,
    issuer: list[x509.GeneralName] | None = None,
) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints([x509.DistributionPoint(full_name, relative, None, issuer)])


def alternative(*names: x509.GeneralName) -> x509.IssuerAlternativeName:
    return x509.IssuerAlternativeName(list(names))


def draw_reader() -> Scene:
    """A reader's certificate by ISO/IEC 18013-5 B.1.7, which needs neither country nor issuer's alternative name."""
    own, top = key("reader"), key("reader root")
    reader = Drawing(
        subject=stateless("Reader"),
        key=own,
        extensions=(
            (usage(sign=True), True),
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier(MDOC_READER_EKU)]), True),
            (identifier(own), False),
            (authority(top), False),
            (crl_point(), False),
        ),
    )
    return Scene((reader, draw_ca("Reader root", top, path_length=0)), profile=CertificateProfile.READER)


def draw_reader_below_two() -> Scene:
    """The same with a CA in between."""
    reader, top = draw_reader().drawings
    middle = draw_ca("Reader CA", key("middle"), path_length=0, by=top.key).having(crl_point())
    drawings = (
        reader.having(authority(middle.key)),
        middle,
        replace(top, extensions=draw_three().drawings[-1].extensions),
    )
    return Scene(drawings, profile=CertificateProfile.READER)


def limited_to(*usages: str) -> Callable[[], Scene]:
    """A CA of these extended usages above a leaf that signs licences."""
    return scene_with(lambda: replace(draw_three(), allowed_ekus=SIGNER), at(1, ekus(*usages)))


SERVER = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
RELATIVE = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "CRL")])
WEB, MAIL = uri("https://iaca.example"), x509.RFC822Name("iaca@stadt.example")

CASES: dict[str, tuple[Callable[[], Scene], Bend, Bend]] = {
    "mdl: 457 days": (draw_mdl, leaf(lasting(457 * DAY)), leaf(lasting(457 * DAY + 1))),
    "iaca: 20 years": (draw_mdl, root(lasting(7305 * DAY)), root(lasting(7305 * DAY + 1))),
    "reader: 1187 days": (draw_reader, leaf(lasting(1187 * DAY)), leaf(lasting(1187 * DAY + 1))),
    "mdl: serial number 1": (draw_mdl, written(SERIAL, b"\x02\x01\x01"), written(SERIAL, b"\x02\x01\x00")),
    "mdl: serial number of 20 octets": (
        draw_mdl,
        written(SERIAL, b"\x02\x14\x7f" + b"\xff" * 19),
        written(SERIAL, b"\x02\x15\x00\x80" + bytes(19)),
    ),
    "mdl: country": (draw_mdl, lambda scene: scene, without_country),
    "mdl: state": (
        draw_mdl,
        from_states("SN", "SN"),
        from_states("BY", "SN"),
    ),
    "mdl: CRL point of the issuer": (
        draw_mdl,
        leaf(having(point([uri("http://crl.example/1")]))),
        leaf(having(point([uri("http://crl.example/1")], issuer=[x509.DirectoryName(name("Another"))]))),
    ),
    "mdl: CRL point with an address": (
        draw_mdl,
        leaf(having(point([uri("http://crl.example/1"), uri("http://crl.example/2")]))),
        leaf(having(point(relative=RELATIVE))),
    ),
    "mdl: CRL point with addresses alone": (
        draw_mdl,
        leaf(having(point([uri("http://crl.example/1"), uri("ldap://crl.example/2")]))),
        leaf(having(point([uri("http://crl.example/1"), x509.DirectoryName(name("CRL"))]))),
    ),
    "mdl: issuer alternative name": (
        draw_mdl,
        leaf(having(alternative(STADT, MAIL))),
        leaf(having(alternative(STADT))),
    ),
    "reader: issuer alternative name": (
        draw_reader,
        leaf(having(alternative(WEB))),
        leaf(having(alternative(STADT))),
    ),
    "iaca: key usage": (draw_mdl, lambda scene: scene, root(lacking(ExtensionOID.KEY_USAGE))),
    "iaca: key usage critical": (draw_mdl, lambda scene: scene, root(having(usage(certificates=True, crls=True)))),
    "iaca: one key usage more": (
        draw_mdl,
        lambda scene: scene,
        root(having(usage(certificates=True, crls=True, sign=True), critical=True)),
    ),
    "access: alternative name": (
        draw_access,
        leaf(having(x509.SubjectAlternativeName([STADT]))),
        leaf(having(x509.SubjectAlternativeName([]))),
    ),
    "access: a subject is not needed": (
        draw_access,
        leaf(lambda drawing: replace(drawing, subject=x509.Name([]))),
        both(
            leaf(lambda drawing: replace(drawing, subject=x509.Name([]))),
            leaf(lacking(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)),
        ),
    ),
    "list: extended usage": (
        lambda: replace(draw_two(), profile=CertificateProfile.TRUST_LIST),
        leaf(ekus("0.4.0.2231.3.0")),
        lambda scene: scene,
    ),
    "ca for one of the wanted usages": (
        limited_to(),
        at(1, ekus(SERVER, MDOC_DOCUMENT_SIGNER_EKU)),
        at(1, ekus(SERVER)),
    ),
    "reader: ca of the profile's usage": (
        draw_reader_below_two,
        at(1, ekus(SERVER, MDOC_READER_EKU)),
        at(1, ekus(SERVER, MDOC_DOCUMENT_SIGNER_EKU)),
    ),
    "mdl: country of a listed signer": (
        scene_with(draw_mdl, believed((AnchorKind.LISTED, 0))),
        leaf(lambda drawing: replace(drawing, subject=name("Document signer", "FR"))),
        leaf(lambda drawing: replace(drawing, subject=stateless("Document signer"))),
    ),
    "ca of some usages where any will do": (
        draw_three,
        at(1, ekus(SERVER)),
        lambda scene: replace(scene.changed(1, ekus(SERVER)), allowed_ekus=SIGNER),
    ),
}


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@pytest.mark.parametrize(("scene", "held", "refused"), CASES.values(), ids=CASES.keys())
def test_a_profile_holds_to_its_limit_and_no_further(scene: Callable[[], Scene], held: Bend, refused: Bend) -> None:
    drawn = held(scene())
    assert drawn.validate().leaf_key == drawn.drawings[0].key.public_key()
    with pytest.raises(CertificateError) as refusal:
        refused(scene()).validate()
    assert refusal.value.reason is PROFILE


def draw_linked() -> Scene:
    """A signer under an IACA's new key, which the old one certifies."""
    signer, iaca = draw_mdl().drawings
    link = replace(iaca, key=key("new iaca"), serial=7).having(identifier(key("new iaca")))
    return replace(draw_mdl(), drawings=(signer.having(authority(link.key)), link.having(authority(iaca.key)), iaca))


@pytest.mark.parametrize(
    "bend",
    [
        at(1, lacking(ExtensionOID.CRL_DISTRIBUTION_POINTS)),
        at(1, having(x509.BasicConstraints(True, 1), critical=True)),
    ],
    ids=["no CRL point", "path length 1"],
)
def test_a_link_to_a_new_key_has_its_roots_profile(bend: Bend) -> None:
    """A link that lacked what ISO/IEC 18013-5 Annex B asks of it passed, since only the anchor was looked at."""
    assert draw_linked().validate().leaf_names.common_name == "Document signer"
    with pytest.raises(CertificateError) as refusal:
        bend(draw_linked()).validate()
    assert refusal.value.reason is PROFILE


def parsed(drawing: Drawing) -> ParsedCertificate:
    return parse_certificate(drawing.signed(drawing))


@pytest.mark.parametrize(
    "change",
    [
        lambda iaca: replace(iaca, subject=stateless("IACA")),
        lacking(ExtensionOID.BASIC_CONSTRAINTS),
        having(x509.BasicConstraints(False, None), critical=True),
    ],
    ids=["no country", "no basic constraints", "no CA"],
)
def test_an_iaca_is_a_ca_of_a_country(change: Callable[[Drawing], Drawing]) -> None:
    iaca = draw_mdl().drawings[-1]
    check_iaca(parsed(iaca))
    with pytest.raises(CertificateError) as refusal:
        check_iaca(parsed(change(iaca)))
    assert refusal.value.reason is PROFILE


def test_an_authority_says_so_of_itself() -> None:
    signer, ca = draw_two().drawings
    assert is_authority(parsed(ca))
    assert not is_authority(parsed(signer))
    assert not is_authority(parsed(signer.having(x509.BasicConstraints(False, None))))
