"""One X.509 certificate, read from its bytes once (RFC 5280 §4): keys, dates as integers, names, extensions.

Nothing here believes a certificate; `specs.trust.x509` does. Reading is strict DER through pyca/cryptography, and
whatever that library can't make sense of is refused as a whole.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID, SignatureAlgorithmOID

from specs.keys.jose import MAX_CERTIFICATE_BYTES, PublicKey
from specs.refusal import ReasonCode, Refusal

AnyPublicKey: TypeAlias = PublicKey | rsa.RSAPublicKey

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192
_SIGNATURES_BY_CURVE_KEYS = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ED25519,
    }
)
_SIGNATURES_BY_RSA_KEYS = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.RSASSA_PSS,
    }
)
_RSA_HASHES = frozenset({"sha256", "sha384", "sha512"})

E = TypeVar("E", bound=x509.ExtensionType)


class CertificateError(Refusal):
    """A certificate, or the path from it to an anchor, does not hold."""


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """Whom a certificate names: parts of its subject, alternative names by kind. Absent ones are None or empty."""

    common_name: str | None
    country: str | None
    state_or_province: str | None
    organization: str | None
    organization_identifier: str | None
    dns_names: tuple[str, ...]
    uris: tuple[str, ...]
    emails: tuple[str, ...]

    @property
    def display_name(self) -> str:
        """What a person would call the owner: organization, else common name, else host name, else nothing."""
        return self.organization or self.common_name or (self.dns_names[0] if self.dns_names else "")


@dataclass(frozen=True, slots=True)
class RevocationPoints:
    """Where a certificate says that its revocation can be looked up (RFC 5280 §4.2.1.13, §4.2.2.1)."""

    serial_number: int
    crl_urls: tuple[str, ...]
    ocsp_urls: tuple[str, ...]

    @property
    def named(self) -> bool:
        """Whether the certificate names any place at all."""
        return bool(self.crl_urls or self.ocsp_urls)


@dataclass(frozen=True, slots=True, eq=False)
class ParsedCertificate:
    """A certificate taken apart. Times are seconds since the epoch, `issuer` and `subject` the encoded names."""

    der: bytes
    certificate: x509.Certificate
    key: AnyPublicKey
    extensions: x509.Extensions
    issuer: bytes
    subject: bytes
    not_before: int
    not_after: int

    def extension(self, kind: type[E]) -> x509.Extension[E] | None:
        """The extension of this kind, or None."""
        try:
            return self.extensions.get_extension_for_class(kind)
        except x509.ExtensionNotFound:
            return None

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same name (RFC 5280 §6.1)."""
        return self.issuer == self.subject

    @property
    def subject_key_identifier(self) -> bytes | None:
        """The octets of the subject key identifier (RFC 5280 §4.2.1.2), or None."""
        found = self.extension(x509.SubjectKeyIdentifier)
        return found.value.digest if found is not None else None

    @property
    def authority_key_identifier(self) -> bytes | None:
        """The octets of the authority's key identifier (RFC 5280 §4.2.1.1), or None."""
        found = self.extension(x509.AuthorityKeyIdentifier)
        return found.value.key_identifier if found is not None else None

    def is_certified_by(self, issuer: "ParsedCertificate", *, rsa_allowed: bool) -> bool:
        """Whether `issuer` is the one named here and its key verifies this certificate (RFC 5280 §6.1.3 a).

        Raises:
            CertificateError: the signature's algorithm is not allowed, so that it is not even tried.
        """
        if self.issuer != issuer.subject:
            return False
        self._check_signature_algorithm(issuer.key, rsa_allowed=rsa_allowed)
        try:
            self.certificate.verify_directly_issued_by(issuer.certificate)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
            return False
        return True

    def is_self_signed(self) -> bool:
        """Whether its own key verifies it; where the names agree, an algorithm that we don't know counts as yes."""
        try:
            return self.is_certified_by(self, rsa_allowed=True)
        except CertificateError:
            return True

    def names(self) -> CertificateNames:
        """The parts of the subject and of the subject alternative name that callers compare or show."""
        alternative = self.extension(x509.SubjectAlternativeName)
        names = alternative.value if alternative is not None else None
        return CertificateNames(
            common_name=self.subject_part(NameOID.COMMON_NAME),
            country=self.subject_part(NameOID.COUNTRY_NAME),
            state_or_province=self.subject_part(NameOID.STATE_OR_PROVINCE_NAME),
            organization=self.subject_part(NameOID.ORGANIZATION_NAME),
            organization_identifier=self.subject_part(NameOID.ORGANIZATION_IDENTIFIER),
            dns_names=tuple(names.get_values_for_type(x509.DNSName)) if names is not None else (),
            uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names is not None else (),
            emails=tuple(names.get_values_for_type(x509.RFC822Name)) if names is not None else (),
        )

    def subject_part(self, oid: x509.ObjectIdentifier) -> str | None:
        """The first attribute of this kind in the subject, if it is text."""
        for attribute in self.certificate.subject.get_attributes_for_oid(oid):
            if isinstance(attribute.value, str):
                return attribute.value
        return None

    def revocation_points(self) -> RevocationPoints:
        """The http(s) addresses of CRLs and OCSP responders, as written in the certificate; nothing is fetched."""
        points = self.extension(x509.CRLDistributionPoints)
        access = self.extension(x509.AuthorityInformationAccess)
        crls = [name for point in points.value for name in point.full_name or ()] if points is not None else []
        responders = (
            [d.access_location for d in access.value if d.access_method == AuthorityInformationAccessOID.OCSP]
            if access is not None
            else []
        )
        return RevocationPoints(
            serial_number=self.certificate.serial_number, crl_urls=_urls(crls), ocsp_urls=_urls(responders)
        )

    def _check_signature_algorithm(self, key: AnyPublicKey, *, rsa_allowed: bool) -> None:
        oid = self.certificate.signature_algorithm_oid
        if isinstance(key, rsa.RSAPublicKey):
            if not rsa_allowed:
                raise CertificateError(ReasonCode.ALGORITHM_NOT_ALLOWED, "RSA signatures are not allowed here")
            if oid not in _SIGNATURES_BY_RSA_KEYS:
                raise CertificateError(ReasonCode.ALGORITHM_NOT_ALLOWED, f"signature algorithm {oid.dotted_string}")
            try:
                digest = self.certificate.signature_hash_algorithm
            except UnsupportedAlgorithm:  # RSA-PSS names its hash apart
                digest = None
            if digest is None or digest.name not in _RSA_HASHES:
                raise CertificateError(ReasonCode.ALGORITHM_NOT_ALLOWED, "hash of an RSA signature")
            if not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
                raise CertificateError(ReasonCode.ALGORITHM_NOT_ALLOWED, f"RSA key of {key.key_size} bits")
        elif oid not in _SIGNATURES_BY_CURVE_KEYS:
            raise CertificateError(ReasonCode.ALGORITHM_NOT_ALLOWED, f"signature algorithm {oid.dotted_string}")


@lru_cache(maxsize=512)
def parse_certificate(der: bytes) -> ParsedCertificate:
    """Read one DER certificate of at most 16 KiB; the latest 512 that could be read are remembered.

    Raises:
        CertificateError: too large, malformed, an extension twice, or a key of a kind that we don't verify with.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise CertificateError(ReasonCode.LIMIT_EXCEEDED, f"a certificate of {len(der)} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        if not der.endswith(b"\x00" + certificate.signature):
            # the library passes over the count of unused bits, which is not signed: only its one right value is DER
            raise CertificateError(ReasonCode.CERTIFICATE_MALFORMED, "a signature with unused bits")
        return ParsedCertificate(
            der=der,
            certificate=certificate,
            key=_supported_key(certificate),
            extensions=certificate.extensions,
            issuer=certificate.issuer.public_bytes(),
            subject=certificate.subject.public_bytes(),
            not_before=int(certificate.not_valid_before_utc.timestamp()),
            not_after=int(certificate.not_valid_after_utc.timestamp()),
        )
    except UnsupportedAlgorithm as error:
        raise CertificateError(ReasonCode.KEY_INVALID, "a key of an unsupported kind") from error
    except (ValueError, TypeError, OverflowError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        # never the library's words: they can quote the certificate's content
        raise CertificateError(ReasonCode.CERTIFICATE_MALFORMED, type(error).__name__) from error
    except x509.InvalidVersion as error:
        raise CertificateError(ReasonCode.CERTIFICATE_MALFORMED, "unknown version") from error


def _supported_key(certificate: x509.Certificate) -> AnyPublicKey:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, (ed25519.Ed25519PublicKey, rsa.RSAPublicKey)):
        return key
    raise CertificateError(ReasonCode.KEY_INVALID, "a key that is neither P-256, P-384, P-521, Ed25519 nor RSA")


def _urls(names: list[x509.GeneralName]) -> tuple[str, ...]:
    return tuple(
        name.value
        for name in names
        if isinstance(name, x509.UniformResourceIdentifier) and name.value.lower().startswith(("http://", "https://"))
    )
