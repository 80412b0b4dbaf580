"""Certificates that we make ourselves: roots, signers of each kind, a server's for development (RFC 5280).

Everything a certificate depends on is an argument: keys, serial number, time. `now` is in seconds since the epoch,
`days` count from it; a certificate begins a day before `now`, so that a signer can date what it signs back to the full
hour, and never outlives its CA.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from specs.keys.jose import PrivateKey, PublicKey
from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU, MDOC_READER_EKU

BEGINS_EARLIER = 24 * 60 * 60  # seconds
SERIAL_BYTES = 20

_Extension: TypeAlias = tuple[x509.ExtensionType, bool]


@dataclass(frozen=True, slots=True)
class SubjectName:
    """Whom a certificate is for.

    country: ISO 3166-1 alpha-2, capitals. organization_identifier: in the spelling of ETSI EN 319 412-1 §5.1.4.
    """

    common_name: str
    country: str | None = None
    state_or_province: str | None = None
    organization: str | None = None
    organization_identifier: str | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that certifies others: its certificate (DER) and the private key that belongs to it."""

    certificate: bytes
    key: PrivateKey


def serial_number(random: bytes) -> int:
    """A positive serial number from 20 random octets: 158 of their bits, so that it fits RFC 5280 §4.1.2.2.

    Raises:
        ValueError: other than 20 octets.
    """
    if len(random) != SERIAL_BYTES:
        raise ValueError("a serial number needs 20 random octets")
    return int.from_bytes(random, "big") >> 2 | 1 << 157


def build_iaca_root(
    *,
    key: PrivateKey,
    subject: SubjectName,
    serial: int,
    now: int,
    issuer_uri: str,
    crl_url: str,
    days: int = 3650,
) -> bytes:
    """A root of document signers (ISO/IEC 18013-5 B.1.2). issuer_uri: where its owner is found. Returns DER.

    Raises:
        ValueError: the subject lacks a country, or the root would live longer than 20 years.
    """
    if subject.country is None:
        raise ValueError("an IACA root needs a country")
    if days > 20 * 365:
        raise ValueError("an IACA root lives 20 years at most")
    return _self_signed(
        key,
        subject,
        serial,
        now,
        days,
        [
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (_key_usage(certificate_sign=True), True),
            _issuer_alternative_name(issuer_uri),
            _crl_points(crl_url),
        ],
    )


def build_root_ca(
    *,
    key: PrivateKey,
    subject: SubjectName,
    serial: int,
    now: int,
    path_length: int | None = 0,
    crl_url: str | None = None,
    days: int = 3650,
) -> bytes:
    """A root of any other kind: of access certificates, of a wallet provider, of attestation signers. Returns DER."""
    return _self_signed(
        key,
        subject,
        serial,
        now,
        days,
        [
            (x509.BasicConstraints(ca=True, path_length=path_length), True),
            (_key_usage(certificate_sign=True), True),
            *_optional_crl_points(crl_url),
        ],
    )


def build_sub_ca(
    *,
    authority: Authority,
    public_key: PublicKey,
    subject: SubjectName,
    serial: int,
    now: int,
    path_length: int = 0,
    permitted_dns_names: Sequence[str] = (),
    crl_url: str | None = None,
    days: int = 1825,
) -> bytes:
    """A CA under another one, if wanted limited to host names (RFC 5280 §4.2.1.10). Returns DER."""
    constraints: list[_Extension] = []
    if permitted_dns_names:
        permitted = [x509.DNSName(name) for name in permitted_dns_names]
        constraints.append((x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), True))
    return _certified(
        authority,
        public_key,
        subject,
        serial,
        now,
        days,
        [
            (x509.BasicConstraints(ca=True, path_length=path_length), True),
            (_key_usage(certificate_sign=True), True),
            *constraints,
            *_optional_crl_points(crl_url),
        ],
    )


def build_document_signer(
    *,
    authority: Authority,
    public_key: PublicKey,
    subject: SubjectName,
    serial: int,
    now: int,
    issuer_uri: str,
    crl_url: str,
    days: int = 365,
) -> bytes:
    """A signer of mdocs (ISO/IEC 18013-5 B.1.4); fits `iso-mdl` and `eaa`. Returns DER.

    Raises:
        ValueError: it would live longer than 457 days, or its country or state are not its root's.
    """
    if days > 456:
        raise ValueError("a document signer lives 457 days at most, of which one lies before its making")
    issuer = x509.load_der_x509_certificate(authority.certificate).subject
    for oid, own in (
        (NameOID.COUNTRY_NAME, subject.country),
        (NameOID.STATE_OR_PROVINCE_NAME, subject.state_or_province),
    ):
        if [attribute.value for attribute in issuer.get_attributes_for_oid(oid)] != ([own] if own else []):
            raise ValueError("country and state of a document signer are its root's")
    return _certified(
        authority,
        public_key,
        subject,
        serial,
        now,
        days,
        [
            (_key_usage(), True),
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier(MDOC_DOCUMENT_SIGNER_EKU)]), True),
            _issuer_alternative_name(issuer_uri),
            _crl_points(crl_url),
        ],
    )


def build_attestation_signer(
    *,
    authority: Authority,
    public_key: PublicKey,
    subject: SubjectName,
    serial: int,
    now: int,
    uris: Sequence[str] = (),
    crl_url: str | None = None,
    days: int = 365,
) -> bytes:
    """A signer of SD-JWT attestations (profile `eaa`). uris: its alternative names. Returns DER."""
    return _certified(
        authority,
        public_key,
        subject,
        serial,
        now,
        days,
        [(_key_usage(), True), *_alternative_names(uris=uris), *_optional_crl_points(crl_url)],
    )


def build_status_signer(
    *,
    authority: Authority,
    public_key: PublicKey,
    subject: SubjectName,
    serial: int,
    now: int,
    crl_url: str | None = None,
    days: int = 365,
) -> bytes:
    """A signer of status lists (profile `status`). Returns DER."""
    return _certified(
        authority, public_key, subject, serial, now, days, [(_key_usage(), True), *_optional_crl_points(crl_url)]
    )


def build_access_certificate(
    *,
    authority: Authority,
    public_key: PublicKey,
    subject: SubjectName,
    serial: int,
    now: int,
    dns_names: Sequence[str],
    uris: Sequence[str],
    policies: Sequence[str] = (),
    crl_url: str | None = None,
    days: int = 365,
) -> bytes:
    """A relying party's or issuer's access certificate (profile `access`). policies: dotted identifiers. Returns DER.

    Raises:
        ValueError: neither a host name nor a URI.
    """
    if not dns_names and not uris:
        raise ValueError("an access certificate names a host or a URI")
    asserted: list[_Extension] = []
    if policies:
        information = [x509.PolicyInformation(x509.ObjectIdentifier(policy), None) for policy in policies]
        asserted.append((x509.CertificatePolicies(information), False))
    return _certified(
        authority,
        public_key,
        subject,
        serial,
        now,
        days,
        [
            (_key_usage(), True),
            *_alternative_names(dns_names=dns_names, uris=uris),
            *asserted,
            *_optional_crl_points(crl_url),
        ],
    )


def build_attester(
    *,
    authority: Authority,
    public_key: PublicKey,
    subject: SubjectName,
    serial: int,
    now: int,
    crl_url: str | None = None,
    days: int = 365,
) -> bytes:
    """A wallet provider's signer of client and key attestations (profile `attester`). Returns DER."""
    return _certified(
        authority, public_key, subject, serial, now, days, [(_key_usage(), True), *_optional_crl_points(crl_url)]
    )


def build_reader_certificate(
    *,
    authority: Authority,
    public_key: PublicKey,
    subject: SubjectName,
    serial: int,
    now: int,
    issuer_uri: str,
    crl_url: str,
    days: int = 365,
) -> bytes:
    """A reader's certificate for proximity requests (ISO/IEC 18013-5 B.1.7). Returns DER.

    Raises:
        ValueError: it would live longer than 1187 days.
    """
    if days > 1186:
        raise ValueError("a reader certificate lives 1187 days at most, of which one lies before its making")
    return _certified(
        authority,
        public_key,
        subject,
        serial,
        now,
        days,
        [
            (_key_usage(), True),
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier(MDOC_READER_EKU)]), True),
            _issuer_alternative_name(issuer_uri),
            _crl_points(crl_url),
        ],
    )


def build_tls_server_certificate(
    *,
    authority: Authority,
    public_key: PublicKey,
    serial: int,
    now: int,
    hosts: Sequence[str],
    days: int = 90,
) -> bytes:
    """A web server's certificate for development. hosts: host names and IP addresses. Returns DER.

    Raises:
        ValueError: no host.
    """
    if not hosts:
        raise ValueError("a server certificate names a host")
    names = [_host_name(host) for host in hosts]
    return _certified(
        authority,
        public_key,
        SubjectName(common_name=hosts[0]),
        serial,
        now,
        days,
        [
            (_key_usage(), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectAlternativeName(names), False),
        ],
    )


def build_self_signed_certificate(
    *,
    key: PrivateKey,
    subject: SubjectName,
    serial: int,
    now: int,
    dns_names: Sequence[str] = (),
    uris: Sequence[str] = (),
    days: int = 365,
) -> bytes:
    """An end entity that certifies itself: for anchors of kind `pinned_test`, and for nothing else. Returns DER."""
    return _self_signed(
        key,
        subject,
        serial,
        now,
        days,
        [(_key_usage(), True), *_alternative_names(dns_names=dns_names, uris=uris)],
    )


def _self_signed(
    key: PrivateKey, subject: SubjectName, serial: int, now: int, days: int, extensions: Sequence[_Extension]
) -> bytes:
    name, public_key = _name(subject), key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return _signed(
        key,
        public_key,
        subject=name,
        issuer=name,
        serial=serial,
        begin=_begin(now),
        end=_end(now, days),
        extensions=[*extensions, (identifier, False)],
    )


def _certified(
    authority: Authority,
    public_key: PublicKey,
    subject: SubjectName,
    serial: int,
    now: int,
    days: int,
    extensions: Sequence[_Extension],
) -> bytes:
    issuer = x509.load_der_x509_certificate(authority.certificate)
    issuer_identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return _signed(
        authority.key,
        public_key,
        subject=_name(subject),
        issuer=issuer.subject,
        serial=serial,
        begin=max(_begin(now), issuer.not_valid_before_utc),
        end=min(_end(now, days), issuer.not_valid_after_utc),
        extensions=[
            *extensions,
            (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
            (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_identifier), False),
        ],
    )


def _signed(
    key: PrivateKey,
    public_key: PublicKey,
    *,
    subject: x509.Name,
    issuer: x509.Name,
    serial: int,
    begin: datetime,
    end: datetime,
    extensions: Sequence[_Extension],
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, _hash_for(key)).public_bytes(Encoding.DER)


def _hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if key.curve.name == ec.SECP384R1.name:
        return hashes.SHA384()
    return hashes.SHA512() if key.curve.name == ec.SECP521R1.name else hashes.SHA256()


def _name(subject: SubjectName) -> x509.Name:
    parts = (
        (NameOID.COUNTRY_NAME, subject.country),
        (NameOID.STATE_OR_PROVINCE_NAME, subject.state_or_province),
        (NameOID.ORGANIZATION_NAME, subject.organization),
        (NameOID.ORGANIZATION_IDENTIFIER, subject.organization_identifier),
        (NameOID.COMMON_NAME, subject.common_name),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value is not None])


def _begin(now: int) -> datetime:
    return datetime.fromtimestamp(now - BEGINS_EARLIER, UTC)


def _end(now: int, days: int) -> datetime:
    return datetime.fromtimestamp(now, UTC) + timedelta(days=days)


def _key_usage(*, certificate_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificate_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificate_sign,
        crl_sign=certificate_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_alternative_name(uri: str) -> _Extension:
    return x509.IssuerAlternativeName([x509.UniformResourceIdentifier(uri)]), False


def _crl_points(url: str) -> _Extension:
    point = x509.DistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)], relative_name=None, reasons=None, crl_issuer=None
    )
    return x509.CRLDistributionPoints([point]), False


def _optional_crl_points(url: str | None) -> list[_Extension]:
    return [] if url is None else [_crl_points(url)]


def _alternative_names(*, dns_names: Sequence[str] = (), uris: Sequence[str] = ()) -> list[_Extension]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
    names += [x509.UniformResourceIdentifier(uri) for uri in uris]
    return [(x509.SubjectAlternativeName(names), False)] if names else []


def _host_name(host: str) -> x509.GeneralName:
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return x509.DNSName(host)
    return x509.IPAddress(address)
