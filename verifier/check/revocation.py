"""Was a certificate of the path withdrawn? Its own revocation list answers; silence is a no (RFC 5280 §6.3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

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
        url = next((url for url in points.crl_urls if revocation.get(url) is not None), "")
        fetched = revocation.get(url)
        if fetched is None or not 200 <= fetched.http_status < 300:
            raise Refused(ReasonCode.REVOCATION_UNKNOWN)
        _check(certificate, issuer, _parse(fetched.body), url=url, now=now, skew=policy.clock_skew)
    return asked


def _check(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    revocation_list: x509.CertificateRevocationList,
    *,
    url: str,
    now: int,
    skew: int,
) -> None:
    key = issuer.public_key()
    if not isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey)):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "key of the issuer")
    if revocation_list.issuer != issuer.subject or not revocation_list.is_signature_valid(key):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "another issuer's list")
    for extension in revocation_list.extensions:
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            _check_scope(extension.value, certificate, url=url)
        elif extension.critical:
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


def _check_scope(scope: x509.IssuingDistributionPoint, certificate: x509.Certificate, *, url: str) -> None:
    """A list may speak for some certificates only; a part that does not speak for this one clears it of nothing."""
    partial = scope.indirect_crl or scope.only_contains_attribute_certs or scope.only_some_reasons is not None
    other_kind = scope.only_contains_user_certs if _is_authority(certificate) else scope.only_contains_ca_certs
    named = scope.full_name is not None or scope.relative_name is not None
    if partial or other_kind or (named and x509.UniformResourceIdentifier(url) not in (scope.full_name or ())):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "a list for other certificates")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


@lru_cache(maxsize=64)
def _parse(body: bytes) -> x509.CertificateRevocationList:
    try:
        is_text = body.lstrip().startswith(b"-----BEGIN")
        revocation_list = x509.load_pem_x509_crl(body) if is_text else x509.load_der_x509_crl(body)
        # the library reads these only when they are looked at
        _ = revocation_list.extensions, revocation_list.issuer, revocation_list.next_update_utc
        return revocation_list
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "not a revocation list") from error
