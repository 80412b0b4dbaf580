"""Was a certificate of the path withdrawn? Its own revocation list answers; silence is a no (RFC 5280 §6.3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtensionOID

from specs.refusal import ReasonCode
from specs.trust.x509 import AnchorKind, ValidatedPath
from verifier.expectations import Fetched, Policy, RevocationRule, TrustDomain
from verifier.verdict import Refused

CRL_MEDIA_TYPE = "application/pkix-crl"

Revocations = Mapping[str, Fetched | None]
"""Revocation lists already fetched, by their address."""


def revocation_addresses(path: ValidatedPath, *, domain: TrustDomain) -> tuple[str, ...]:
    """The revocation lists that must be fetched before this path can be judged."""
    if domain.revocation is RevocationRule.OFF or path.anchor.kind is not AnchorKind.CA:
        return ()
    return tuple(url for points in path.revocation for url in points.crl_urls[:1])


def check_revocation(
    path: ValidatedPath, *, domain: TrustDomain, revocation: Revocations, policy: Policy, now: int
) -> bool:
    """Refuse a path with a withdrawn certificate. Whether any list was asked.

    Raises:
        Refused: a certificate is withdrawn, or names a revocation service that gave no usable answer.
    """
    if domain.revocation is RevocationRule.OFF or path.anchor.kind is not AnchorKind.CA:
        return False
    asked = False
    issuers = (*path.chain[1:], x509.load_der_x509_certificate(path.anchor.certificate))
    for certificate, issuer, points in zip(path.chain, issuers, path.revocation, strict=True):
        if not points.crl_urls and not points.ocsp_urls:
            continue
        asked = True
        fetched = next((found for url in points.crl_urls if (found := revocation.get(url)) is not None), None)
        if fetched is None or not 200 <= fetched.http_status < 300:
            raise Refused(ReasonCode.REVOCATION_UNKNOWN)
        _check(certificate, issuer, fetched.body, now=now, skew=policy.clock_skew)
    return asked


def _check(certificate: x509.Certificate, issuer: x509.Certificate, body: bytes, *, now: int, skew: int) -> None:
    revocation_list = _parse(body)
    key = issuer.public_key()
    if not isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey)):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "key of the issuer")
    if revocation_list.issuer != issuer.subject or not revocation_list.is_signature_valid(key):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "another issuer's list")
    for extension in revocation_list.extensions:
        if extension.critical and extension.oid != ExtensionOID.ISSUING_DISTRIBUTION_POINT:
            raise Refused(ReasonCode.REVOCATION_UNKNOWN, "a critical extension of the list")
    at = datetime.fromtimestamp(now, UTC)
    next_update = revocation_list.next_update_utc
    if next_update is None or next_update.timestamp() + skew < now:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "the list is past its next update")
    if revocation_list.last_update_utc.timestamp() > now + skew:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "the list is from the future")
    entry = revocation_list.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is not None and entry.revocation_date_utc <= at:
        raise Refused(ReasonCode.CERTIFICATE_REVOKED)


@lru_cache(maxsize=64)
def _parse(body: bytes) -> x509.CertificateRevocationList:
    try:
        if body.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_crl(body)
        return x509.load_der_x509_crl(body)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "not a revocation list") from error
