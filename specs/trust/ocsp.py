"""OCSP: one signed answer about one certificate (RFC 6960; the shape of requests by RFC 5019).

Pure: requests are bytes and addresses, answers are bytes. An answer counts if it names this very certificate, is signed
by the authority that issued it or by a responder which that authority certified for the purpose, and is fresh.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from specs.refusal import ReasonCode
from specs.trust.parsed_certificate import AnyPublicKey, CertificateError, ParsedCertificate, parse_certificate

MEDIA_TYPE = "application/ocsp-response"
MAX_RESPONSE_BYTES = 64 * 1024
MAX_RESPONDER_CERTIFICATES = 4
MAX_AGE_WITHOUT_NEXT_UPDATE = 24 * 60 * 60  # seconds
MIN_NONCE_BYTES, MAX_NONCE_BYTES = 1, 128  # RFC 9654 §2.1

_CERT_ID_HASHES = (hashes.SHA1, hashes.SHA256)  # names the certificate, protects nothing: responders know SHA-1 best
_DIGESTS = ("sha256", "sha384", "sha512")
_MIN_RSA_BITS = 2048
_UNDERSTOOD_IN_RESPONDERS = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.SubjectKeyIdentifier.oid,
        x509.AuthorityKeyIdentifier.oid,
        x509.SubjectAlternativeName.oid,
        x509.CertificatePolicies.oid,
        x509.OCSPNoCheck.oid,
    }
)


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """A certificate is good. Times: seconds since the epoch; next_update is None where newer news may come any time."""

    this_update: int
    next_update: int | None


def build_ocsp_request(certificate: bytes, *, issuer: bytes, nonce: bytes | None = None) -> bytes:
    """Ask about one certificate (RFC 6960 §4.1). certificate, issuer: DER. nonce: 1 to 128 octets. Returns DER.

    Raises:
        CertificateError: a certificate can't be read.
        ValueError: a nonce of another length (RFC 9654 §2.1).
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        parse_certificate(certificate).certificate,
        parse_certificate(issuer).certificate,
        hashes.SHA1(),  # noqa: S303
    )
    if nonce is not None:
        if not MIN_NONCE_BYTES <= len(nonce) <= MAX_NONCE_BYTES:
            raise ValueError("a nonce has 1 to 128 octets")
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def ocsp_url(responder: str, *, request: bytes) -> str:
    """Where GET answers a request, so that answers can be cached on the way (RFC 6960 A.1, RFC 5019 §5)."""
    return f"{responder.rstrip('/')}/{quote(b64encode(request), safe='')}"


def verify_ocsp_response(
    body: bytes,
    *,
    certificate: bytes,
    issuer: bytes,
    now: int,
    skew: int = 60,
    expected_nonce: bytes | None = None,
) -> OcspAnswer:
    """Read what a responder says about `certificate` (RFC 6960 §3.2, §4.2).

    certificate, issuer: DER; the issuer is validated already. now, skew: seconds since the epoch; seconds.
    expected_nonce: as it was sent; an answer that carries another is refused, one that carries none is judged by its
    times (RFC 9654 §2.1 lets responders answer from stock).

    Raises:
        CertificateError: CERTIFICATE_REVOKED, or REVOCATION_UNKNOWN for every answer that clears nobody.
    """
    if len(body) > MAX_RESPONSE_BYTES:
        raise _unknown("an answer above the limit")
    try:
        response = ocsp.load_der_ocsp_response(body)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise _unknown(f"the responder says {response.response_status.name}")
        subject, authority = parse_certificate(certificate), parse_certificate(issuer)
        _check_extensions(response, expected_nonce=expected_nonce)
        _check_signature(response, authority=authority, now=now, skew=skew)
        return _judged(_about(response, subject=subject, authority=authority), now=now, skew=skew)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise _unknown("not an OCSP answer that can be read") from error
    except x509.UnsupportedGeneralNameType as error:
        raise _unknown("an answer with a name that can't be read") from error


def _check_extensions(response: ocsp.OCSPResponse, *, expected_nonce: bytes | None) -> None:
    for extension in response.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            if expected_nonce is not None and extension.value.nonce != expected_nonce:
                raise _unknown("an answer to another question")
        elif extension.critical:
            raise _unknown("a critical extension of the answer")
    if len(list(response.responses)) == 1 and any(extension.critical for extension in response.single_extensions):
        raise _unknown("a critical extension of the answer")


def _about(
    response: ocsp.OCSPResponse, *, subject: ParsedCertificate, authority: ParsedCertificate
) -> ocsp.OCSPSingleResponse:
    """The part of the answer that names this certificate: number, issuer's name and issuer's key (§4.1.1)."""
    wanted = {
        kind.name: ocsp.OCSPRequestBuilder().add_certificate(subject.certificate, authority.certificate, kind()).build()
        for kind in _CERT_ID_HASHES
    }
    found: list[ocsp.OCSPSingleResponse] = []
    for single in response.responses:
        ours = wanted.get(single.hash_algorithm.name)
        if ours is not None and (ours.serial_number, ours.issuer_name_hash, ours.issuer_key_hash) == (
            single.serial_number,
            single.issuer_name_hash,
            single.issuer_key_hash,
        ):
            found.append(single)
    if not found:
        raise _unknown("an answer about other certificates")
    revoked = [single for single in found if single.certificate_status is ocsp.OCSPCertStatus.REVOKED]
    return revoked[0] if revoked else min(found, key=lambda single: single.this_update_utc)


def _judged(single: ocsp.OCSPSingleResponse, *, now: int, skew: int) -> OcspAnswer:
    this_update = _seconds(single.this_update_utc)
    next_update = None if single.next_update_utc is None else _seconds(single.next_update_utc)
    if this_update > now + skew:
        raise _unknown("an answer from the future")
    end = this_update + MAX_AGE_WITHOUT_NEXT_UPDATE if next_update is None else next_update
    if end < now - skew:
        raise _unknown("an answer past its next update")
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        raise CertificateError(ReasonCode.CERTIFICATE_REVOKED)
    if single.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise _unknown("the responder does not know the certificate")
    return OcspAnswer(this_update, next_update)


def _check_signature(response: ocsp.OCSPResponse, *, authority: ParsedCertificate, now: int, skew: int) -> None:
    """Find the responder that the answer names among those who may speak (§4.2.2.2), and verify with its key."""
    if len(response.certificates) > MAX_RESPONDER_CERTIFICATES:
        raise _unknown("too many certificates")
    candidates = [authority]
    for certificate in response.certificates:
        try:
            responder = parse_certificate(certificate.public_bytes(Encoding.DER))
            if _is_delegated(responder, authority=authority, now=now, skew=skew):
                candidates.append(responder)
        except CertificateError:
            continue  # a certificate that can't be read, or an algorithm that is not allowed, delegates nothing
    for candidate in candidates:
        if _is_named(response, candidate) and _verifies(response, candidate.key):
            return
    raise _unknown("signed by nobody who may")


def _is_delegated(responder: ParsedCertificate, *, authority: ParsedCertificate, now: int, skew: int) -> bool:
    """Whether the authority itself certified this responder to speak of its certificates, now (§4.2.2.2).

    Nobody asks whether the responder was withdrawn: it says that this need not be asked (`id-pkix-ocsp-nocheck`), or
    names nobody to ask.
    """
    usages = responder.extension(x509.ExtendedKeyUsage)
    usage = responder.extension(x509.KeyUsage)
    constraints = responder.extension(x509.BasicConstraints)
    return (
        usages is not None
        and ExtendedKeyUsageOID.OCSP_SIGNING in usages.value
        and (usage is None or usage.value.digital_signature)
        and (constraints is None or not constraints.value.ca)
        and responder.not_before - skew <= now <= responder.not_after + skew
        and all(not found.critical or found.oid in _UNDERSTOOD_IN_RESPONDERS for found in responder.extensions)
        and (responder.extension(x509.OCSPNoCheck) is not None or not responder.revocation_points().named)
        and responder.is_certified_by(authority, rsa_allowed=True)
    )


def _is_named(response: ocsp.OCSPResponse, candidate: ParsedCertificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name.public_bytes() == candidate.subject
    own = x509.SubjectKeyIdentifier.from_public_key(candidate.key).digest  # SHA-1 of the key's bits, as §4.2.1 orders
    return response.responder_key_hash == own


def _verifies(response: ocsp.OCSPResponse, key: AnyPublicKey) -> bool:
    signed, signature = response.tbs_response_bytes, response.signature
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            if response.signature_algorithm_oid != SignatureAlgorithmOID.ED25519:
                return False
            key.verify(signature, signed)
            return True
        digest = response.signature_hash_algorithm
        if digest is None or digest.name not in _DIGESTS:
            return False
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))
            return True
        if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS or key.key_size < _MIN_RSA_BITS:
            return False
        key.verify(signature, signed, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _unknown(detail: str) -> CertificateError:
    return CertificateError(ReasonCode.REVOCATION_UNKNOWN, detail)
