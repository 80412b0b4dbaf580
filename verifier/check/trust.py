"""Whose word is it? The requested type decides who may speak for it, never what the wallet sent."""

from collections.abc import Callable, Collection, Sequence

from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import AnchorKind, CertificateError, CertificateProfile, TrustAnchor, ValidatedPath, validate_path
from verifier.expectations import Policy, Trust, TrustDomain
from verifier.verdict import Refused


def domains_for(credential_format: str, requested_type: str, *, trust: Trust) -> tuple[TrustDomain, ...]:
    """The trust domains of a requested type.

    Raises:
        Refused: none is configured.
    """
    domains = trust.get((credential_format, requested_type), ())
    if not domains:
        raise Refused(ReasonCode.TRUST_NOT_CONFIGURED)
    return domains


def find_path(
    chain: Sequence[bytes],
    *,
    domains: tuple[TrustDomain, ...],
    allowed_ekus: Callable[[TrustDomain], frozenset[str] | None],
    policy: Policy,
    now: int,
) -> tuple[TrustDomain, ValidatedPath]:
    """The first domain that believes the chain, and the path to its anchor.

    Raises:
        Refused: none does; the reason is the one that came closest, which is any other than "no path at all".
    """
    closest: Refusal | None = None
    for domain in domains:
        anchors = usable(domain.anchors, policy=policy)
        try:
            return domain, validate_path(
                chain,
                anchors=anchors,
                profile=domain.profile,
                now=now,
                skew=policy.clock_skew,
                allowed_ekus=allowed_ekus(domain),
                anchor_in_chain_allowed=policy.allow_anchor_in_chain,
            )
        except CertificateError as error:
            if closest is None or closest.reason is ReasonCode.CERTIFICATE_UNTRUSTED:
                closest = error
    assert closest is not None  # `domains_for` gives at least one
    raise Refused(closest.reason, closest.detail)


def find_status_path(chain: Sequence[bytes], *, domain: TrustDomain, policy: Policy, now: int) -> ValidatedPath:
    """The path of a status list's signer to a status anchor of the same domain.

    Raises:
        CertificateError: there is none.
    """
    return validate_path(
        chain,
        anchors=usable(domain.status_anchors, policy=policy),
        profile=CertificateProfile.STATUS,
        now=now,
        skew=policy.clock_skew,
        anchor_in_chain_allowed=policy.allow_anchor_in_chain,
    )


def usable(anchors: Collection[TrustAnchor], *, policy: Policy) -> tuple[TrustAnchor, ...]:
    """The anchors that this policy lets count: those of test domains only where it says so."""
    if policy.allow_test_anchors:
        return tuple(anchors)
    return tuple([anchor for anchor in anchors if anchor.kind is not AnchorKind.PINNED_TEST])
