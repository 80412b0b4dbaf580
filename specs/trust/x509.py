"""Certification paths: from the certificates that came with a credential to an anchor that we believe (RFC 5280 §6.1).

The chain is a stranger's: at most four certificates of 16 KiB, leaf first, each certifying the one before. Success is
remembered for the same bytes, anchors and purpose; dates are compared anew at each call, and a failure is never
remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from specs.keys.jose import MAX_CERTIFICATES, PublicKey
from specs.refusal import ReasonCode
from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem
from specs.trust.name_constraints import check_name_constraints
from specs.trust.parsed_certificate import (
    CertificateError,
    CertificateNames,
    ParsedCertificate,
    RevocationPoints,
    parse_certificate,
)
from specs.trust.policies import check_policies
from specs.trust.profiles import (
    MDOC_DOCUMENT_SIGNER_EKU,
    MDOC_READER_EKU,
    CertificateProfile,
    check_authority,
    check_authority_ekus,
    check_leaf,
    rsa_allowed,
    wanted_ekus,
)

__all__ = [
    "MDOC_DOCUMENT_SIGNER_EKU",
    "MDOC_READER_EKU",
    "AnchorKind",
    "CertificateError",
    "CertificateNames",
    "CertificateProfile",
    "RevocationPoints",
    "TrustAnchor",
    "ValidatedPath",
    "anchors_from_pem",
    "current_path",
    "paths_to_anchors",
    "validate_path",
]

_REMEMBERED_PATHS = 512


@dataclass(frozen=True, slots=True, eq=False)  # a path is remembered, and then itself what others are remembered by
class ValidatedPath:
    """A leaf certificate that an anchor speaks for, and what callers need of it. Times: seconds since the epoch.

    not_before, not_after: of the leaf. path_not_before, path_not_after: within all certificates of the path, the
    anchor's too. chain: as it came, leaf first, without an anchor. aki_values: key identifiers of the authorities that
    the chain's certificates name (OpenID4VP 1.0 §6.1.1.1). revocation: one for each certificate of the chain.
    names_revocation: whether any of them says where to ask.
    """

    leaf: x509.Certificate
    leaf_der: bytes
    leaf_key: PublicKey
    leaf_names: CertificateNames
    anchor: TrustAnchor
    chain: tuple[x509.Certificate, ...]
    not_before: int
    not_after: int
    path_not_before: int
    path_not_after: int
    aki_values: frozenset[bytes]
    revocation: tuple[RevocationPoints, ...]
    names_revocation: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names_revocation", any(points.named for points in self.revocation))


@dataclass(frozen=True, slots=True)
class _Purpose:
    """What the path is for, and what may be in it."""

    profile: CertificateProfile
    allowed_ekus: frozenset[str] | None
    required_policies: frozenset[str]
    anchor_in_chain_allowed: bool


def validate_path(
    chain: Sequence[bytes],
    *,
    anchors: Sequence[TrustAnchor],
    profile: CertificateProfile,
    now: int,
    skew: int = 60,
    allowed_ekus: frozenset[str] | None = None,
    required_policies: frozenset[str] = frozenset(),
    anchor_in_chain_allowed: bool = False,
) -> ValidatedPath:
    """Check that an anchor speaks for the first certificate of `chain`, for this purpose, now (RFC 5280 §6.1).

    chain: DER, leaf first. now, skew: seconds since the epoch; seconds by which each date may be missed. allowed_ekus:
    extended usages of which the leaf must have one, if it has the extension; None is any. required_policies: policies
    of which the path must assert one. anchor_in_chain_allowed: the chain may end with an anchor of kind `ca`, which is
    then passed over.

    Raises:
        CertificateError: `.reason` is TRUST_NOT_CONFIGURED without anchors, ISSUER_KEY_MISSING for an empty chain,
            LIMIT_EXCEEDED for one too long, CERTIFICATE_MALFORMED or KEY_INVALID for what can't be read,
            ALGORITHM_NOT_ALLOWED for a signature by a weak algorithm, CERTIFICATE_UNTRUSTED without a path to an
            anchor, CERTIFICATE_PROFILE for one that breaks a rule, CERTIFICATE_EXPIRED outside its dates.
    """
    paths = paths_to_anchors(
        chain,
        anchors=anchors,
        profile=profile,
        allowed_ekus=allowed_ekus,
        required_policies=required_policies,
        anchor_in_chain_allowed=anchor_in_chain_allowed,
    )
    return current_path(paths, now=now, skew=skew)


def paths_to_anchors(
    chain: Sequence[bytes],
    *,
    anchors: Sequence[TrustAnchor],
    profile: CertificateProfile,
    allowed_ekus: frozenset[str] | None = None,
    required_policies: frozenset[str] = frozenset(),
    anchor_in_chain_allowed: bool = False,
) -> tuple[ValidatedPath, ...]:
    """All of `validate_path` but the dates, which `current_path` compares: for callers who remember paths.

    Raises:
        CertificateError: as `validate_path`, but for CERTIFICATE_EXPIRED.
    """
    if not anchors:
        raise CertificateError(ReasonCode.TRUST_NOT_CONFIGURED, "no anchors")
    if not chain:
        raise CertificateError(ReasonCode.ISSUER_KEY_MISSING, "an empty chain")
    if len(chain) > MAX_CERTIFICATES:
        raise CertificateError(ReasonCode.LIMIT_EXCEEDED, f"a chain of {len(chain)} certificates")
    return _paths(tuple(chain), tuple(anchors), profile, allowed_ekus, required_policies, anchor_in_chain_allowed)


def current_path(paths: Sequence[ValidatedPath], *, now: int, skew: int) -> ValidatedPath:
    """The first path whose certificates are all within their dates. now, skew: seconds since the epoch; seconds.

    Raises:
        CertificateError: CERTIFICATE_EXPIRED: there is none.
    """
    for path in paths:
        if path.path_not_before <= now + skew and now - skew <= path.path_not_after:
            return path
    raise CertificateError(
        ReasonCode.CERTIFICATE_EXPIRED, "a certificate of the path is past its end or before its begin"
    )


@lru_cache(maxsize=_REMEMBERED_PATHS)
def _paths(
    chain: tuple[bytes, ...],
    anchors: tuple[TrustAnchor, ...],
    profile: CertificateProfile,
    allowed_ekus: frozenset[str] | None,
    required_policies: frozenset[str],
    anchor_in_chain_allowed: bool,
) -> tuple[ValidatedPath, ...]:
    """Every path that holds but for its dates, at least one; what raises is not remembered."""
    purpose = _Purpose(profile, allowed_ekus, required_policies, anchor_in_chain_allowed)
    certificates = [parse_certificate(der) for der in chain]
    _check_links(certificates, allow_rsa=rsa_allowed(profile))
    leaf = certificates[0]
    named = {anchor.kind: anchor for anchor in anchors if anchor.certificate == leaf.der}
    if AnchorKind.PINNED_TEST in named:
        return (_validated(certificates, anchor=named[AnchorKind.PINNED_TEST], dated=[leaf]),)
    if named and leaf.is_self_signed():
        raise CertificateError(ReasonCode.CERTIFICATE_PROFILE, "a self-signed leaf")
    if AnchorKind.LISTED in named:
        check_leaf(
            leaf,
            issuer=None,
            profile=purpose.profile,
            allowed_ekus=purpose.allowed_ekus,
            required_policies=purpose.required_policies,
        )
        return (_validated(certificates, anchor=named[AnchorKind.LISTED], dated=[leaf]),)
    certificates = _without_anchor(certificates, anchors=anchors, purpose=purpose)
    return _paths_to_authorities(certificates, anchors=anchors, purpose=purpose)


def _paths_to_authorities(
    certificates: list[ParsedCertificate], *, anchors: tuple[TrustAnchor, ...], purpose: _Purpose
) -> tuple[ValidatedPath, ...]:
    """Try each `ca` anchor of the right name: several bear it after a change of keys, or by an impostor's will."""
    found: list[ValidatedPath] = []
    first_refusal: CertificateError | None = None
    for anchor in anchors:
        if anchor.kind is not AnchorKind.CA:
            continue
        authority = parse_certificate(anchor.certificate)
        try:
            if not certificates[-1].is_certified_by(authority, rsa_allowed=rsa_allowed(purpose.profile)):
                continue
            _check_path(certificates, authority=authority, purpose=purpose)
        except CertificateError as refusal:
            first_refusal = first_refusal or refusal
            continue
        found.append(_validated(certificates, anchor=anchor, dated=[*certificates, authority]))
    if found:
        return tuple(found)
    raise first_refusal or CertificateError(ReasonCode.CERTIFICATE_UNTRUSTED, "no anchor certifies the chain")


def _without_anchor(
    certificates: list[ParsedCertificate], *, anchors: tuple[TrustAnchor, ...], purpose: _Purpose
) -> list[ParsedCertificate]:
    """The chain without an anchor at its end, where that may be; no other self-signed certificate has a place in it."""
    authorities = {anchor.certificate for anchor in anchors if anchor.kind is AnchorKind.CA}
    if purpose.anchor_in_chain_allowed and len(certificates) > 1 and certificates[-1].der in authorities:
        certificates = certificates[:-1]
    for certificate in certificates:
        if certificate.der in authorities:
            raise CertificateError(ReasonCode.CERTIFICATE_PROFILE, "the chain contains the trust anchor")
        if certificate.is_self_signed():
            raise CertificateError(ReasonCode.CERTIFICATE_UNTRUSTED, "a self-signed certificate that is no anchor")
    return certificates


def _check_links(certificates: list[ParsedCertificate], *, allow_rsa: bool) -> None:
    """Each certificate certifies the one before it (RFC 7515 §4.1.6); nothing else may travel along."""
    for certified, issuer in pairwise(certificates):
        if not certified.is_certified_by(issuer, rsa_allowed=allow_rsa):
            raise CertificateError(ReasonCode.CERTIFICATE_UNTRUSTED, "a certificate does not certify the one before it")


def _check_path(certificates: list[ParsedCertificate], *, authority: ParsedCertificate, purpose: _Purpose) -> None:
    """All rules of the path but signatures and dates, from the anchor down to the leaf."""
    leaf, intermediates = certificates[0], certificates[1:]
    wanted = wanted_ekus(purpose.profile, purpose.allowed_ekus)
    counted = 0
    for intermediate in intermediates:
        check_authority(intermediate, intermediates_below=counted, profile=purpose.profile, is_anchor=False)
        check_authority_ekus(intermediate, wanted=wanted)
        counted += not intermediate.is_self_issued
    check_authority(authority, intermediates_below=counted, profile=purpose.profile, is_anchor=True)
    check_leaf(
        leaf,
        issuer=intermediates[0] if intermediates else authority,
        profile=purpose.profile,
        allowed_ekus=purpose.allowed_ekus,
        required_policies=purpose.required_policies,
    )
    check_policies(certificates, authority=authority, required=purpose.required_policies)
    check_name_constraints(issuer=authority, below=certificates)
    for position, intermediate in enumerate(intermediates, start=1):
        check_name_constraints(issuer=intermediate, below=certificates[:position])


def _validated(
    certificates: list[ParsedCertificate], *, anchor: TrustAnchor, dated: list[ParsedCertificate]
) -> ValidatedPath:
    leaf = certificates[0]
    if isinstance(leaf.key, rsa.RSAPublicKey):
        raise CertificateError(ReasonCode.KEY_INVALID, "an RSA key in a leaf certificate")
    identifiers = (certificate.authority_key_identifier for certificate in certificates)
    return ValidatedPath(
        leaf=leaf.certificate,
        leaf_der=leaf.der,
        leaf_key=leaf.key,
        leaf_names=leaf.names(),
        anchor=anchor,
        chain=tuple(certificate.certificate for certificate in certificates),
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        path_not_before=max(certificate.not_before for certificate in dated),
        path_not_after=min(certificate.not_after for certificate in dated),
        aki_values=frozenset(identifier for identifier in identifiers if identifier is not None),
        revocation=tuple(certificate.revocation_points() for certificate in certificates),
    )
