"""Certificate profiles: what a certificate must say about itself to be used for one purpose.

`iso-mdl` and `reader` follow ISO/IEC 18013-5 Annex B to the letter; the others ask for what RFC 5280 and the contract
of the purpose demand and no more, because deployed issuers differ in the rest.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID

from specs.refusal import ReasonCode
from specs.trust.parsed_certificate import CertificateError, ParsedCertificate

MDOC_DOCUMENT_SIGNER_EKU = "1.0.18013.5.1.2"  # ISO/IEC 18013-5 Table B.3
MDOC_READER_EKU = "1.0.18013.5.1.6"  # ISO/IEC 18013-5 Table B.7
ANY_EKU = "2.5.29.37.0"
ANY_POLICY = "2.5.29.32.0"

_DAY = 24 * 60 * 60
_MAX_IACA_SECONDS = (20 * 365 + 5) * _DAY
_COUNTRY = re.compile(r"[A-Z]{2}")

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)
_FORBIDDEN_BY_ISO = (
    ExtensionOID.POLICY_MAPPINGS,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.POLICY_CONSTRAINTS,
    ExtensionOID.INHIBIT_ANY_POLICY,
    ExtensionOID.FRESHEST_CRL,
)
_NOTHING = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}
_SIGNS = x509.KeyUsage(**{**_NOTHING, "digital_signature": True})
_SIGNS_CERTIFICATES = x509.KeyUsage(**{**_NOTHING, "key_cert_sign": True, "crl_sign": True})
_ECDSA = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)


class CertificateProfile(StrEnum):
    """What a leaf certificate is used for."""

    ISO_MDL = "iso-mdl"  # signs mobile driving licences (ISO/IEC 18013-5 B.1.4), under an IACA (B.1.2)
    EAA = "eaa"  # signs any other attestation, in either format
    STATUS = "status"  # signs status lists
    ACCESS = "access"  # signs requests and issuer metadata (WRPAC, ETSI TS 119 411-8)
    ATTESTER = "attester"  # a wallet provider's signer of client and key attestations
    TRUST_LIST = "trust-list"  # signs lists of trusted entities (ETSI TS 119 612 §5.7.1)
    REGISTRATION = "registration"  # signs registration certificates of relying parties (WRPRC, ETSI TS 119 475)
    READER = "reader"  # signs proximity requests (ISO/IEC 18013-5 B.1.7)


@dataclass(frozen=True, slots=True)
class _IsoLimits:
    """Where the leaf profiles of Annex B differ from each other."""

    eku: str
    max_seconds: int
    country_required: bool
    issuer_alternative_name_required: bool


_ISO = {
    CertificateProfile.ISO_MDL: _IsoLimits(MDOC_DOCUMENT_SIGNER_EKU, 457 * _DAY, True, True),
    CertificateProfile.READER: _IsoLimits(MDOC_READER_EKU, 1187 * _DAY, False, False),
}


def rsa_allowed(profile: CertificateProfile) -> bool:
    """Whether CAs may sign with RSA: only those of access certificates, which public CAs issue."""
    return profile is CertificateProfile.ACCESS


def check_every_certificate(certificate: ParsedCertificate) -> None:
    """Check that a certificate is of version 3 and has no critical extension unknown to us (RFC 5280 §6.1.4 o).

    Raises:
        CertificateError: it does not hold.
    """
    if certificate.certificate.version is not x509.Version.v3:
        raise _refused("not a version 3 certificate")
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise _refused(f"critical extension {extension.oid.dotted_string} is not understood")


def check_authority(
    certificate: ParsedCertificate, *, intermediates_below: int, profile: CertificateProfile, is_anchor: bool
) -> None:
    """Check that a certificate may certify others at its place in the path (RFC 5280 §6.1.4 k–n).

    intermediates_below: CA certificates between this one and the leaf, self-issued ones not counted.

    Raises:
        CertificateError: no CA, its path length is used up, its key may not sign certificates, or its kind of key is
            not allowed.
    """
    check_every_certificate(certificate)
    constraints = certificate.extension(x509.BasicConstraints)
    if constraints is None or not constraints.value.ca:
        raise _refused("an issuer in the path is no CA")
    path_length = constraints.value.path_length
    if path_length is not None and intermediates_below > path_length:
        raise _refused("more CA certificates than the path length allows")
    usage = certificate.extension(x509.KeyUsage)
    if usage is None and not is_anchor:
        raise _refused("a CA certificate without key usage")
    if usage is not None and not usage.value.key_cert_sign:
        raise _refused("a CA key that may not sign certificates")
    if profile is CertificateProfile.ISO_MDL:
        check_iaca(certificate)


def is_authority(certificate: ParsedCertificate) -> bool:
    """Whether a certificate says of itself that it is a CA's."""
    constraints = certificate.extension(x509.BasicConstraints)
    return constraints is not None and constraints.value.ca


def check_authority_ekus(certificate: ParsedCertificate, *, wanted: frozenset[str] | None) -> None:
    """Check that a CA limited to extended usages is not limited to others than wanted. wanted: None is any.

    Raises:
        CertificateError: none of the wanted usages is among the CA's.
    """
    own = _ekus(certificate)
    if wanted is not None and own is not None and ANY_EKU not in own and not own & wanted:
        raise _refused("a CA certificate for other extended usages")


def check_leaf(
    leaf: ParsedCertificate,
    *,
    issuer: ParsedCertificate | None,
    profile: CertificateProfile,
    allowed_ekus: frozenset[str] | None,
    required_policies: frozenset[str],
) -> None:
    """Check a leaf certificate for its purpose.

    issuer: who certified it, None for a listed certificate. allowed_ekus: its extended usages, where it has any, must
    contain one of these; None is any. required_policies: it must assert one of these; empty is none.

    Raises:
        CertificateError: CERTIFICATE_PROFILE; the detail says what does not fit.
    """
    check_every_certificate(leaf)
    constraints = leaf.extension(x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise _refused("a CA certificate as leaf")
    usage = leaf.extension(x509.KeyUsage)
    if usage is None or not usage.value.digital_signature:
        raise _refused("the key usage lacks digitalSignature")
    if usage.value.key_cert_sign:
        raise _refused("a leaf that may sign certificates")
    own = _ekus(leaf)
    if allowed_ekus is not None and own is not None and not own & allowed_ekus:
        raise _refused("extended key usage for another purpose")
    if profile is CertificateProfile.TRUST_LIST and own is None:
        raise _refused("a signer of lists without extended key usage")
    if required_policies and not policies_of(leaf) & required_policies:
        raise _refused("none of the required certificate policies")
    if profile in _ISO:
        _check_iso_leaf(leaf, issuer=issuer, limits=_ISO[profile])
    elif profile is CertificateProfile.ACCESS:
        alternative = leaf.extension(x509.SubjectAlternativeName)
        if alternative is None or not list(alternative.value):
            raise _refused("an access certificate without subject alternative name")
    elif not list(leaf.certificate.subject):
        raise _refused("a signer without a name")


def check_iaca(certificate: ParsedCertificate) -> None:
    """Check a root of mobile driving licences, or its link to a new key, against ISO/IEC 18013-5 B.1.2.

    Raises:
        CertificateError: CERTIFICATE_PROFILE; the detail names the field.
    """
    _check_iso_every(certificate, max_seconds=_MAX_IACA_SECONDS)
    _check_country(certificate)
    if not certificate.is_self_issued:
        raise _refused("IACA: issuer and subject differ")
    constraints = certificate.extension(x509.BasicConstraints)
    if constraints is None or not constraints.critical or constraints.value.path_length != 0:  # which only a CA has
        raise _refused("IACA: basic constraints")
    _check_exact_key_usage(certificate, _SIGNS_CERTIFICATES)
    _check_issuer_alternative_name(certificate, required=True)


def policies_of(certificate: ParsedCertificate) -> frozenset[str]:
    """The certificate policies it asserts, as dotted identifiers (RFC 5280 §4.2.1.4)."""
    found = certificate.extension(x509.CertificatePolicies)
    if found is None:
        return frozenset()
    return frozenset(policy.policy_identifier.dotted_string for policy in found.value)


def wanted_ekus(profile: CertificateProfile, allowed_ekus: frozenset[str] | None) -> frozenset[str] | None:
    """The extended usages that a path of this profile is for, None if any."""
    return frozenset({_ISO[profile].eku}) if profile in _ISO else allowed_ekus


def _check_iso_leaf(leaf: ParsedCertificate, *, issuer: ParsedCertificate | None, limits: _IsoLimits) -> None:
    _check_iso_every(leaf, max_seconds=limits.max_seconds)
    _check_exact_key_usage(leaf, _SIGNS)
    usages = leaf.extension(x509.ExtendedKeyUsage)
    if usages is None or not usages.critical or _ekus(leaf) != frozenset({limits.eku}):
        raise _refused("extended key usage must be critical and exactly the profile's")
    if limits.country_required:
        _check_country(leaf)
    _check_issuer_alternative_name(leaf, required=limits.issuer_alternative_name_required)
    if leaf.authority_key_identifier is None:
        raise _refused("no authority key identifier")
    if issuer is None:
        return
    if leaf.authority_key_identifier != issuer.subject_key_identifier:
        raise _refused("the authority key identifier is not the issuer's")
    if limits.country_required and any(
        leaf.subject_part(part) != issuer.subject_part(part)
        for part in (NameOID.COUNTRY_NAME, NameOID.STATE_OR_PROVINCE_NAME)
    ):
        raise _refused("country or state differ from the issuer's")


def _check_iso_every(certificate: ParsedCertificate, *, max_seconds: int) -> None:
    """What B.1.2, B.1.4 and B.1.7 have in common."""
    serial = certificate.certificate.serial_number
    if serial <= 0 or serial.bit_length() > 159:
        raise _refused("serial number is not positive or too long")
    if certificate.not_after - certificate.not_before > max_seconds:
        raise _refused("valid for longer than the profile allows")
    # the library reads compressed points and written-out curves too; the profile wants neither
    plain_key = certificate.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if plain_key not in certificate.certificate.tbs_certificate_bytes:
        raise _refused("the public key is not an uncompressed point on a named curve")
    if certificate.certificate.signature_algorithm_oid not in _ECDSA:
        raise _refused("not signed with ECDSA")
    if not certificate.subject_part(NameOID.COMMON_NAME):
        raise _refused("no common name")
    if certificate.subject_key_identifier is None:
        raise _refused("no subject key identifier")
    present = {extension.oid for extension in certificate.extensions}
    if any(oid in present for oid in _FORBIDDEN_BY_ISO):
        raise _refused("an extension that the profile forbids")
    points = certificate.extension(x509.CRLDistributionPoints)
    if points is None:
        raise _refused("no CRL distribution point")
    for point in points.value:
        if point.reasons is not None or point.crl_issuer is not None or not point.full_name:
            raise _refused("a CRL distribution point with reasons, another issuer or no address")
        if not all(isinstance(name, x509.UniformResourceIdentifier) for name in point.full_name):
            raise _refused("a CRL distribution point that is no URI")


def _check_country(certificate: ParsedCertificate) -> None:
    country = certificate.subject_part(NameOID.COUNTRY_NAME)
    if country is None or not _COUNTRY.fullmatch(country):
        raise _refused("no country code of two capital letters")


def _check_issuer_alternative_name(certificate: ParsedCertificate, *, required: bool) -> None:
    found = certificate.extension(x509.IssuerAlternativeName)
    if found is None:
        if required:
            raise _refused("no issuer alternative name")
        return
    if found.critical or not any(isinstance(n, (x509.RFC822Name, x509.UniformResourceIdentifier)) for n in found.value):
        raise _refused("issuer alternative name is critical or neither mail address nor URI")


def _check_exact_key_usage(certificate: ParsedCertificate, wanted: x509.KeyUsage) -> None:
    found = certificate.extension(x509.KeyUsage)
    if found is None or not found.critical:
        raise _refused("no critical key usage")
    if found.value != wanted:
        raise _refused("key usage is not exactly the profile's")


def _ekus(certificate: ParsedCertificate) -> frozenset[str] | None:
    found = certificate.extension(x509.ExtendedKeyUsage)
    return frozenset(usage.dotted_string for usage in found.value) if found is not None else None


def _refused(detail: str) -> CertificateError:
    return CertificateError(ReasonCode.CERTIFICATE_PROFILE, detail)
