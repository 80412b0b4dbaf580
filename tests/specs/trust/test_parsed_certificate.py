"""What is read from one certificate, and whether another certified it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from specs.refusal import ReasonCode
from specs.trust.parsed_certificate import CertificateError, CertificateNames, ParsedCertificate, parse_certificate
from tests.specs.trust.bending import RSA_SHA1, RSA_SHA256
from tests.specs.trust.drawing import Drawing, draw_ca, draw_two, key, name, rewritten

LEAF, ROOT = draw_two().drawings
NOBODY = CertificateNames(None, None, None, None, None, (), (), ())


def parsed(drawing: Drawing, issuer: Drawing = ROOT) -> ParsedCertificate:
    return parse_certificate(drawing.signed(issuer))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (replace(NOBODY, organization="Stadt", common_name="Signer", dns_names=("a.example",)), "Stadt"),
        (replace(NOBODY, common_name="Signer", dns_names=("a.example",)), "Signer"),
        (replace(NOBODY, dns_names=("a.example", "b.example")), "a.example"),
        (replace(NOBODY, uris=("https://a.example",), emails=("a@a.example",)), ""),
    ],
    ids=["organization", "common name", "first host name", "none"],
)
def test_an_owner_is_shown_by_organization_else_common_name_else_host(names: CertificateNames, shown: str) -> None:
    assert names.display_name == shown


def test_alternative_names_are_told_by_kind() -> None:
    names: list[x509.GeneralName] = [
        x509.RFC822Name("a@stadt.example"),
        x509.DNSName("stadt.example"),
        x509.UniformResourceIdentifier("https://stadt.example"),
    ]
    read = parsed(LEAF.having(x509.SubjectAlternativeName(names))).names()
    assert read.emails == ("a@stadt.example",)
    assert read.dns_names == ("stadt.example",)
    assert read.uris == ("https://stadt.example",)
    none = parsed(LEAF.lacking(x509.SubjectAlternativeName.oid)).names()
    assert (none.emails, none.dns_names, none.uris) == ((), (), ())


def test_a_part_of_the_subject_that_is_no_text_is_none() -> None:
    number = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x007", _ASN1Type.BitString)
    read = parsed(replace(LEAF, subject=x509.Name([*LEAF.subject, number])))
    assert read.subject_part(NameOID.X500_UNIQUE_IDENTIFIER) is None
    assert read.subject_part(NameOID.COMMON_NAME) == "Signer"


def uri(value: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(value)


def test_revocation_is_asked_at_web_addresses_of_lists_and_responders_alone() -> None:
    """CRL points and access locations may be other names, relative ones too, or lead to the issuer's certificate."""
    below = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "CRL")])
    lists = [
        x509.DistributionPoint([x509.DirectoryName(name("CRL")), uri("ldap://crl.example/")], None, None, None),
        x509.DistributionPoint(None, below, None, None),
        x509.DistributionPoint([uri("HTTPS://crl.example/1"), uri("http://crl.example/2")], None, None, None),
    ]
    access = [
        x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, uri("http://ca.example/root.cer")),
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.DNSName("http://ocsp.example/host")),
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri("https://ocsp.example/")),
    ]
    points = parsed(
        LEAF.having(x509.CRLDistributionPoints(lists)).having(x509.AuthorityInformationAccess(access))
    ).revocation_points()
    assert points.crl_urls == ("HTTPS://crl.example/1", "http://crl.example/2")
    assert points.ocsp_urls == ("https://ocsp.example/",)
    assert points.named
    assert points.serial_number == LEAF.serial


RSA_ROOT = draw_ca("Root", key("rsa root", "RSA-2048"), path_length=0)
BEGIN, END = (datetime.fromtimestamp(at, UTC) for at in (RSA_ROOT.begin, RSA_ROOT.end))


def test_another_name_certifies_nothing_whatever_its_key() -> None:
    """Its algorithm is no matter then: an anchor with an RSA key must not turn "untrusted" into "not allowed"."""
    leaf = parsed(LEAF)
    assert leaf.is_certified_by(parsed(ROOT), rsa_allowed=False)
    another = replace(RSA_ROOT, subject=name("Another"))
    assert not leaf.is_certified_by(parsed(another, another), rsa_allowed=False)
    with pytest.raises(CertificateError) as refusal:
        leaf.is_certified_by(parsed(RSA_ROOT, RSA_ROOT), rsa_allowed=False)
    assert refusal.value.reason is ReasonCode.ALGORITHM_NOT_ALLOWED


def with_rsa_key_of(bits: int) -> bytes:
    """A CA certificate in the root's name for a key of which nobody holds the other half."""
    public = rsa.RSAPublicNumbers(65537, (1 << bits - 1) + 1).public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(RSA_ROOT.subject)
        .issuer_name(RSA_ROOT.subject)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    return builder.sign(RSA_ROOT.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("bits", "tried"), [(2047, False), (2048, True), (8192, True), (8193, False)], ids=lambda value: str(value)
)
def test_rsa_keys_of_2048_to_8192_bits_are_tried(bits: int, tried: bool) -> None:
    leaf, issuer = parsed(LEAF, RSA_ROOT), parse_certificate(with_rsa_key_of(bits))
    if tried:
        assert not leaf.is_certified_by(issuer, rsa_allowed=True)
    else:
        with pytest.raises(CertificateError) as refusal:
            leaf.is_certified_by(issuer, rsa_allowed=True)
        assert refusal.value.reason is ReasonCode.ALGORITHM_NOT_ALLOWED


def by_sha1(drawing: Drawing) -> ParsedCertificate:
    """Certified by its own RSA key with a hash that is not allowed."""
    der = drawing.signed(drawing)
    digest = hashes.SHA1()  # noqa: S303
    return parse_certificate(rewritten(der, signer=drawing.key, old=RSA_SHA256, new=RSA_SHA1, digest=digest))


def test_who_certifies_himself_is_told_by_the_key_and_in_doubt_by_the_name() -> None:
    assert parsed(ROOT, ROOT).is_self_signed()
    assert parsed(RSA_ROOT, RSA_ROOT).is_self_signed()
    assert by_sha1(RSA_ROOT).is_self_signed()
    assert not parsed(LEAF, ROOT).is_self_signed()
    renewed = replace(RSA_ROOT, key=key("rsa leaf", "RSA-2048"))
    assert parsed(renewed, RSA_ROOT).is_self_issued
    assert not parsed(renewed, RSA_ROOT).is_self_signed()


@pytest.mark.parametrize("strange", ["3002a300", "3004a5020500"], ids=["X.400 address", "EDI party name"])
def test_a_certificate_with_a_kind_of_name_that_nobody_reads_is_malformed(strange: str) -> None:
    raw = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes.fromhex(strange))
    with pytest.raises(CertificateError) as refusal:
        parsed(LEAF.having(raw))
    assert refusal.value.reason is ReasonCode.CERTIFICATE_MALFORMED
