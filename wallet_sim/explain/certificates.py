"""X.509 certificates in plain words."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from specs.keys.jose import PublicKey
from specs.refusal import ReasonCode, Refusal
from specs.trust.parsed_certificate import CertificateError, ParsedCertificate, parse_certificate
from wallet_sim.explain.explanation import Explanation, moment


def explain_certificate(der: bytes, *, now: int, in_chain: bool = False) -> Explanation:
    """One certificate. in_chain: it came along with a token, where anchors have no place (HAIP 1.0 §4.5, §6.1.1)."""
    said = Explanation("certificate")
    try:
        certificate = parse_certificate(der)
        names = certificate.names()
        said.fact("subject", names.display_name or "–")
        if names.organization_identifier:
            said.fact("identifier", names.organization_identifier)
        if names.dns_names:
            said.fact("dns", ", ".join(names.dns_names))
        said.fact("not_before", moment(certificate.not_before))
        said.fact("not_after", moment(certificate.not_after))
        _usages(certificate, said)
        if certificate.not_after < now:
            said.wrong("expired", moment(certificate.not_after), "RFC 5280 §4.1.2.5")
        if certificate.not_before > now:
            said.wrong("not_yet", moment(certificate.not_before), "RFC 5280 §4.1.2.5")
        if in_chain and certificate.is_self_signed():
            said.wrong("anchor_in_chain", names.display_name, "HAIP 1.0 §4.5.1, §6.1.1")
    except Refusal as error:
        said.refused(error, "RFC 5280")
    except ValueError as error:
        said.wrong("unreadable", type(error).__name__, "RFC 5280")
    return said


def explain_chain(chain: Sequence[bytes], *, now: int, may_be_pinned: bool = False) -> list[Explanation]:
    """The certificates that came along with a token, leaf first; each must have certified the one before.

    may_be_pinned: the signer's own certificate may be what readers believe, as for lists of trusted entities.
    """
    said = [explain_certificate(each, now=now, in_chain=not may_be_pinned) for each in chain]
    for lower, upper, told in zip(chain, chain[1:], said, strict=False):
        try:
            if not parse_certificate(lower).is_certified_by(parse_certificate(upper), rsa_allowed=True):
                told.wrong("chain_broken", "", "RFC 7515 §4.1.6")
        except (Refusal, ValueError):
            continue  # said of the certificate itself
    return said


def signing_key(der: bytes) -> PublicKey:
    """The key of a certificate that tokens are verified with.

    Raises:
        CertificateError: it can't be read, or its key is of a kind that no token may be signed with.
    """
    key = parse_certificate(der).key
    if isinstance(key, rsa.RSAPublicKey):
        raise CertificateError(ReasonCode.ALGORITHM_NOT_ALLOWED, "RSA")
    return key


def _usages(certificate: ParsedCertificate, said: Explanation) -> None:
    extended = certificate.extension(x509.ExtendedKeyUsage)
    if extended is not None:
        said.fact("usages", ", ".join(each.dotted_string for each in extended.value))
    points = certificate.revocation_points()
    if points.named:
        said.fact("revocation", ", ".join((*points.crl_urls, *points.ocsp_urls)))
