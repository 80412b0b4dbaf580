"""Which names lie in the tree of a name constraint, and which certificates are held against it (RFC 5280 §4.2.1.10)."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from specs.refusal import ReasonCode
from specs.trust.name_constraints import MAX_COMPARISONS, check_name_constraints
from specs.trust.parsed_certificate import CertificateError, ParsedCertificate, parse_certificate
from tests.specs.trust.drawing import Drawing, draw_ca, draw_leaf, draw_two, key, name

LEAF, ROOT = draw_two().drawings
NAMELESS = x509.Name([])


def dns(value: str) -> x509.DNSName:
    return x509.DNSName(value)


def mail(value: str) -> x509.RFC822Name:
    """A mail address, misshapen ones too, as it is read from a certificate."""
    return x509.RFC822Name._init_without_validation(value)


def uri(value: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(value)


def folder(common_name: str, number: bytes | None = None) -> x509.DirectoryName:
    """A directory name, perhaps with a number, which is no text."""
    numbers = (
        []
        if number is None
        else [x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00" + number, _ASN1Type.BitString)]
    )
    return x509.DirectoryName(x509.Name([*name(common_name), *numbers]))


def parsed(drawing: Drawing, issuer: Drawing = ROOT) -> ParsedCertificate:
    return parse_certificate(drawing.signed(issuer))


def constraining(
    *, permitted: Sequence[x509.GeneralName] = (), excluded: Sequence[x509.GeneralName] = ()
) -> ParsedCertificate:
    """The root, limited to names."""
    return parsed(ROOT.having(x509.NameConstraints(permitted or None, excluded or None), critical=True))


def bearing(*names: x509.GeneralName, subject: x509.Name = NAMELESS) -> ParsedCertificate:
    """A leaf of these alternative names."""
    return parsed(replace(LEAF, subject=subject).having(x509.SubjectAlternativeName(list(names))))


def holds(issuer: ParsedCertificate, *below: ParsedCertificate) -> bool:
    try:
        check_name_constraints(issuer=issuer, below=below)
    except CertificateError as refusal:
        if refusal.reason is not ReasonCode.CERTIFICATE_PROFILE:
            raise
        return False
    return True


INSIDE: list[tuple[x509.GeneralName, x509.GeneralName]] = [
    (dns("stadt.example"), dns("stadt.example")),
    (dns("example"), dns("a.b.EXAMPLE")),
    (dns(""), dns("stadt.example")),
    (dns(".example"), dns("a.example")),
    (dns(".example"), dns("*.example")),
    (dns("b.example"), dns("*.b.example")),
    (mail("a@stadt.example"), mail("a@Stadt.example")),
    (mail("stadt.example"), mail("a@stadt.example")),
    (mail(".stadt.example"), mail("a@b.stadt.example")),
    (mail(""), mail("a@stadt.example")),
    (uri("stadt.example"), uri("https://stadt.example:8443/~a")),
    (uri(".stadt.example"), uri("https://a.stadt.example/")),
    (uri(""), uri("https://stadt.example/")),
    (folder("Stadt"), folder(" STADT", b"7")),
    (folder("Stadt", b"7"), folder("Stadt", b"7")),
    (x509.IPAddress(IPv4Network("192.0.2.0/24")), x509.IPAddress(IPv4Address("192.0.2.255"))),
    (x509.IPAddress(IPv6Network("2001:db8::/32")), x509.IPAddress(IPv6Address("2001:db8::1"))),
]
OUTSIDE: list[tuple[x509.GeneralName, x509.GeneralName]] = [
    (dns("stadt.example"), dns("vorstadt.example")),
    (dns("inner.stadt.example"), dns("stadt.example")),
    (dns("other.example"), dns("*.stadt.example")),
    (dns(".example"), dns("example")),
    (dns(".stadt.example"), dns("*.other.example")),
    (mail("a@stadt.example"), mail("A@stadt.example")),
    (mail("a@stadt.example"), mail("a@other.example")),
    (mail("stadt.example"), mail("a@b.stadt.example")),
    (mail(".stadt.example"), mail("a@stadt.example")),
    (uri("stadt.example"), uri("https://a.stadt.example/")),
    (uri(".stadt.example"), uri("https://stadt.example/")),
    (uri("stadt.example"), uri("https://other.example/stadt.example")),
    (folder("Stadt", b"7"), folder("Stadt")),
    (folder("Stadt", b"7"), folder("Stadt", b"8")),
    (x509.IPAddress(IPv4Network("192.0.2.0/24")), x509.IPAddress(IPv4Address("192.0.3.0"))),
    (x509.IPAddress(IPv6Network("::/0")), x509.IPAddress(IPv4Address("192.0.2.1"))),
]
UNCLEAR: list[tuple[x509.GeneralName, x509.GeneralName]] = [
    (dns("inner.stadt.example"), dns("*.stadt.example")),  # partly inside
    (dns("stadt.example"), dns("a b.stadt.example")),
    (dns("other example"), dns("stadt.example")),
    (mail("stadt.example"), mail("stadt.example")),
    (mail("stadt.example"), mail("@stadt.example")),
    (mail(".stadt.example"), mail("a@b c.stadt.example")),
    (mail("other example"), mail("a@stadt.example")),
    (mail("@stadt.example"), mail("a@stadt.example")),  # all of the host, or nobody
    (mail("a@other example"), mail("a@stadt.example")),
    (uri("other.example"), uri("https://stadt.example\\@other.example/")),
    (uri("stadt.example"), uri("https://stadt.example/ a")),
    (uri("stadt.example"), uri("https://stadt.example/\x7f")),
    (uri("stadt.example"), uri("https://[stadt.example/")),
    (uri(".stadt.example"), uri("https://a,b.stadt.example/")),
    (uri("other example"), uri("https://stadt.example/")),
    (uri(""), uri("urn:example:stadt")),
    (uri(""), uri("https://192.0.2.1/")),
    (x509.IPAddress(IPv4Network("192.0.2.0/24")), x509.IPAddress(IPv4Network("192.0.2.0/25"))),
]


@pytest.mark.parametrize(("constraint", "borne"), INSIDE, ids=str)
def test_a_name_inside_a_constraint_is_permitted_or_excluded_by_it(
    constraint: x509.GeneralName, borne: x509.GeneralName
) -> None:
    assert holds(constraining(permitted=[constraint]), bearing(borne))
    assert not holds(constraining(excluded=[constraint]), bearing(borne))


@pytest.mark.parametrize(("constraint", "borne"), OUTSIDE, ids=str)
def test_a_name_outside_a_constraint_is_neither_permitted_nor_excluded_by_it(
    constraint: x509.GeneralName, borne: x509.GeneralName
) -> None:
    assert not holds(constraining(permitted=[constraint]), bearing(borne))
    assert holds(constraining(excluded=[constraint]), bearing(borne))


@pytest.mark.parametrize(("constraint", "borne"), UNCLEAR, ids=str)
def test_a_name_of_which_nobody_can_tell_is_not_permitted_and_excluded(
    constraint: x509.GeneralName, borne: x509.GeneralName
) -> None:
    assert not holds(constraining(permitted=[constraint]), bearing(borne))
    assert not holds(constraining(excluded=[constraint]), bearing(borne))


def test_a_refusal_tells_which_kind_of_name_it_is_about() -> None:
    for issuer, detail in (
        (constraining(permitted=[dns("stadt.example")]), "a DNSName outside the permitted names"),
        (constraining(excluded=[dns("other.example")]), "a DNSName among the excluded names"),
    ):
        with pytest.raises(CertificateError) as refusal:
            check_name_constraints(issuer=issuer, below=[bearing(dns("other.example"))])
        assert refusal.value.detail == detail


def with_mail(address: str) -> x509.Name:
    return x509.Name([*name("Signer"), x509.NameAttribute(NameOID.EMAIL_ADDRESS, address)])


def test_a_mail_address_of_the_subject_counts_only_where_no_alternative_name_holds_one() -> None:
    issuer = constraining(permitted=[mail("stadt.example")])
    assert not holds(issuer, bearing(dns("a.example"), subject=with_mail("a@other.example")))
    assert holds(issuer, bearing(mail("a@stadt.example"), subject=with_mail("a@other.example")))


def test_a_subject_without_parts_is_no_directory_name() -> None:
    issuer = constraining(permitted=[folder("Signer")])
    assert not holds(issuer, bearing(dns("a.example"), subject=name("Another")))
    assert holds(issuer, bearing(dns("a.example")))


SIGNER, SELF_ISSUED = parsed(LEAF), parsed(draw_ca("Root", key("new root"), path_length=0, by=key("root")))
STRANGER = parsed(draw_ca("Stranger", key("stranger"), path_length=0, by=key("root")))
SELF_ISSUED_LEAF = parsed(draw_leaf("Root", key("leaf"), by=key("root")))


@pytest.mark.parametrize(
    ("below", "held"),
    [
        ((SIGNER,), True),
        ((SIGNER, SELF_ISSUED), True),
        ((SIGNER, STRANGER), False),
        ((SELF_ISSUED_LEAF,), False),
        ((SIGNER, SELF_ISSUED, STRANGER), False),
    ],
    ids=["a leaf", "under a self-issued CA", "under another CA", "a self-issued leaf", "under one and the other"],
)
def test_self_issued_authorities_alone_are_excepted(below: tuple[ParsedCertificate, ...], held: bool) -> None:
    assert holds(constraining(permitted=[folder("Signer")]), *below) is held


@pytest.mark.parametrize(
    ("permitted", "excluded", "borne", "held"),
    [(128, 0, 64, True), (64, 64, 64, True), (65, 64, 64, False), (64, 65, 64, False), (128, 0, 65, False)],
)
def test_names_times_constraints_are_counted_to_the_limit(
    permitted: int, excluded: int, borne: int, held: bool
) -> None:
    assert MAX_COMPARISONS == 64 * 128
    issuer = constraining(permitted=[dns("stadt.example")] * permitted, excluded=[dns("other.example")] * excluded)
    leaf = bearing(*[dns("stadt.example")] * borne)
    if held:
        check_name_constraints(issuer=issuer, below=[leaf])
    else:
        with pytest.raises(CertificateError) as refusal:
            check_name_constraints(issuer=issuer, below=[leaf])
        assert refusal.value.reason is ReasonCode.LIMIT_EXCEEDED
