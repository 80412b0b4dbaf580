"""The certificates we make fit the profiles that we demand of others, and keep to their dates."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from specs.keys.signer import generate_private_key
from specs.refusal import ReasonCode
from specs.trust.certificates import (
    BEGINS_EARLIER,
    Authority,
    SubjectName,
    build_access_certificate,
    build_attestation_signer,
    build_attester,
    build_document_signer,
    build_iaca_root,
    build_reader_certificate,
    build_root_ca,
    build_self_signed_certificate,
    build_status_signer,
    build_sub_ca,
    build_tls_server_certificate,
    serial_number,
)
from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU
from specs.trust.x509 import AnchorKind, CertificateError, CertificateProfile, TrustAnchor, validate_path

NOW = 1_790_000_000
DAY = 86_400
KEY = generate_private_key()
PUBLIC = generate_private_key().public_key()
CITY = SubjectName("Stadt Leipzig Signer", country="DE", state_or_province="SN", organization="Stadt Leipzig")
ROOT = SubjectName("Stadt Leipzig Root", country="DE", state_or_province="SN", organization="Stadt Leipzig")
WEB = "https://leipzig.example"
CRL = "https://leipzig.example/1.crl"


def iaca(alg: str = "ES256") -> Authority:
    """A fresh IACA."""
    own = generate_private_key(alg)
    return Authority(build_iaca_root(key=own, subject=ROOT, serial=1, now=NOW, issuer_uri=WEB, crl_url=CRL), own)


def plain_root(*, path_length: int | None = 0) -> Authority:
    """A fresh CA of another kind."""
    return Authority(build_root_ca(key=KEY, subject=ROOT, serial=1, now=NOW, path_length=path_length), KEY)


def document_signer(authority: Authority) -> bytes:
    """A signer of mdocs."""
    return build_document_signer(
        authority=authority, public_key=PUBLIC, subject=CITY, serial=2, now=NOW, issuer_uri=WEB, crl_url=CRL
    )


def access(authority: Authority) -> bytes:
    """An access certificate."""
    return build_access_certificate(
        authority=authority,
        public_key=PUBLIC,
        subject=SubjectName("Stadt", organization_identifier="GOVDE-1"),
        serial=2,
        now=NOW,
        dns_names=["leipzig.example"],
        uris=[WEB],
        policies=["0.4.0.194118.1.2"],
    )


def reader(authority: Authority) -> bytes:
    """A reader's certificate."""
    return build_reader_certificate(
        authority=authority, public_key=PUBLIC, subject=CITY, serial=2, now=NOW, issuer_uri=WEB, crl_url=CRL
    )


def attestation(authority: Authority) -> bytes:
    """A signer of SD-JWT attestations."""
    return build_attestation_signer(authority=authority, public_key=PUBLIC, subject=CITY, serial=2, now=NOW, uris=[WEB])


def status(authority: Authority) -> bytes:
    """A signer of status lists."""
    return build_status_signer(authority=authority, public_key=PUBLIC, subject=CITY, serial=2, now=NOW, crl_url=CRL)


def attester(authority: Authority) -> bytes:
    """A wallet provider's signer."""
    return build_attester(authority=authority, public_key=PUBLIC, subject=CITY, serial=2, now=NOW)


@pytest.mark.parametrize(
    ("build", "authority", "profile"),
    [
        (document_signer, iaca, CertificateProfile.ISO_MDL),
        (document_signer, lambda: iaca("ES384"), CertificateProfile.ISO_MDL),
        (document_signer, lambda: iaca("ES512"), CertificateProfile.ISO_MDL),
        (document_signer, lambda: iaca("EdDSA"), CertificateProfile.EAA),
        (document_signer, iaca, CertificateProfile.EAA),
        (attestation, plain_root, CertificateProfile.EAA),
        (attestation, iaca, CertificateProfile.EAA),
        (status, plain_root, CertificateProfile.STATUS),
        (access, plain_root, CertificateProfile.ACCESS),
        (attester, plain_root, CertificateProfile.ATTESTER),
        (reader, plain_root, CertificateProfile.READER),
    ],
)
def test_what_we_build_fits_its_profile(
    build: Callable[[Authority], bytes], authority: Callable[[], Authority], profile: CertificateProfile
) -> None:
    above = authority()
    anchors = [TrustAnchor(AnchorKind.CA, above.certificate, "own")]
    path = validate_path([build(above)], anchors=anchors, profile=profile, now=NOW)
    assert path.leaf_key == PUBLIC
    assert path.not_before == NOW - BEGINS_EARLIER


def test_access_certificate_names_host_uri_and_organization() -> None:
    above = plain_root()
    anchors = [TrustAnchor(AnchorKind.CA, above.certificate, "own")]
    path = validate_path(
        [access(above)],
        anchors=anchors,
        profile=CertificateProfile.ACCESS,
        now=NOW,
        required_policies=frozenset({"0.4.0.194118.1.2"}),
    )
    assert path.leaf_names.dns_names == ("leipzig.example",)
    assert path.leaf_names.uris == (WEB,)
    assert path.leaf_names.organization_identifier == "GOVDE-1"


def test_sub_ca_may_certify_within_its_names() -> None:
    root, own = plain_root(path_length=1), generate_private_key()
    middle = build_sub_ca(
        authority=root,
        public_key=own.public_key(),
        subject=SubjectName("Sub"),
        serial=3,
        now=NOW,
        permitted_dns_names=["leipzig.example"],
    )
    anchors = [TrustAnchor(AnchorKind.CA, root.certificate, "own")]
    leaf = access(Authority(middle, own))
    validate_path([leaf, middle], anchors=anchors, profile=CertificateProfile.ACCESS, now=NOW)
    elsewhere = build_access_certificate(
        authority=Authority(middle, own),
        public_key=PUBLIC,
        subject=CITY,
        serial=4,
        now=NOW,
        dns_names=["dresden.example"],
        uris=[],
    )
    with pytest.raises(CertificateError) as refusal:
        validate_path([elsewhere, middle], anchors=anchors, profile=CertificateProfile.ACCESS, now=NOW)
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE


def test_no_certificate_outlives_its_authority() -> None:
    own = generate_private_key()
    root = Authority(build_root_ca(key=own, subject=ROOT, serial=1, now=NOW, days=30), own)
    leaf = x509.load_der_x509_certificate(status(root))
    assert leaf.not_valid_after_utc == x509.load_der_x509_certificate(root.certificate).not_valid_after_utc


def test_self_signed_certificate_serves_as_pinned_test_anchor_only() -> None:
    der = build_self_signed_certificate(
        key=KEY, subject=CITY, serial=5, now=NOW, dns_names=["leipzig.example"], uris=[WEB]
    )
    pinned = [TrustAnchor(AnchorKind.PINNED_TEST, der, "test")]
    assert validate_path([der], anchors=pinned, profile=CertificateProfile.EAA, now=NOW).anchor.name == "test"
    for kind in (AnchorKind.CA, AnchorKind.LISTED):
        with pytest.raises(CertificateError) as refusal:
            validate_path([der], anchors=[TrustAnchor(kind, der, "x")], profile=CertificateProfile.EAA, now=NOW)
        assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE


def test_tls_certificate_names_hosts_and_addresses() -> None:
    der = build_tls_server_certificate(
        authority=plain_root(), public_key=PUBLIC, serial=6, now=NOW, hosts=["localhost", "127.0.0.1", "::1"]
    )
    extensions = x509.load_der_x509_certificate(der).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]
    assert ExtendedKeyUsageOID.SERVER_AUTH in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value


def test_document_signer_is_no_reader() -> None:
    above = iaca()
    anchors = [TrustAnchor(AnchorKind.CA, above.certificate, "own")]
    with pytest.raises(CertificateError):
        validate_path([reader(above)], anchors=anchors, profile=CertificateProfile.ISO_MDL, now=NOW)
    with pytest.raises(CertificateError):
        validate_path(
            [reader(above)],
            anchors=anchors,
            profile=CertificateProfile.EAA,
            now=NOW,
            allowed_ekus=frozenset({MDOC_DOCUMENT_SIGNER_EKU}),
        )


def test_builders_refuse_what_no_profile_would_accept() -> None:
    above = iaca()
    nameless = SubjectName("Root")
    with pytest.raises(ValueError, match="country"):
        build_iaca_root(key=KEY, subject=nameless, serial=1, now=NOW, issuer_uri=WEB, crl_url=CRL)
    with pytest.raises(ValueError, match="20 years"):
        build_iaca_root(key=KEY, subject=ROOT, serial=1, now=NOW, issuer_uri=WEB, crl_url=CRL, days=7301)
    with pytest.raises(ValueError, match="country and state"):
        build_document_signer(
            authority=above, public_key=PUBLIC, subject=nameless, serial=2, now=NOW, issuer_uri=WEB, crl_url=CRL
        )
    with pytest.raises(ValueError, match="457 days"):
        build_document_signer(
            authority=above, public_key=PUBLIC, subject=CITY, serial=2, now=NOW, issuer_uri=WEB, crl_url=CRL, days=457
        )
    with pytest.raises(ValueError, match="1187 days"):
        build_reader_certificate(
            authority=above, public_key=PUBLIC, subject=CITY, serial=2, now=NOW, issuer_uri=WEB, crl_url=CRL, days=1187
        )
    with pytest.raises(ValueError, match="host or a URI"):
        build_access_certificate(
            authority=above, public_key=PUBLIC, subject=CITY, serial=2, now=NOW, dns_names=[], uris=[]
        )
    with pytest.raises(ValueError, match="names a host"):
        build_tls_server_certificate(authority=above, public_key=PUBLIC, serial=2, now=NOW, hosts=[])


@pytest.mark.parametrize("octets", [bytes(20), b"\xff" * 20])
def test_serial_numbers_are_positive_and_fit(octets: bytes) -> None:
    assert 0 < serial_number(octets) < 1 << 159
    with pytest.raises(ValueError, match="20 random octets"):
        serial_number(octets[1:])
