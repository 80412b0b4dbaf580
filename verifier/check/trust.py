"""Whose word is it? The requested type decides who may speak for it, never what the wallet sent."""

from collections.abc import Callable
from functools import lru_cache

from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import (
    AnchorKind,
    CertificateError,
    CertificateProfile,
    ValidatedPath,
    current_path,
    paths_to_anchors,
)
from verifier.expectations import Policy, Trust, TrustDomain
from verifier.verdict import Refused

_REMEMBERED = 512  # chains that held


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
    chain: tuple[bytes, ...],
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
        try:
            paths = _paths(chain, domain, allowed_ekus, policy.allow_test_anchors, policy.allow_anchor_in_chain)
            return domain, current_path(paths, now=now, skew=policy.clock_skew)
        except CertificateError as error:
            if closest is None or closest.reason is ReasonCode.CERTIFICATE_UNTRUSTED:
                closest = error
    assert closest is not None  # `domains_for` gives at least one
    raise Refused(closest.reason, closest.detail)


def status_paths(
    chain: tuple[bytes, ...], domain: TrustDomain, test_anchors: bool, anchor_in_chain: bool
) -> tuple[ValidatedPath, ...]:
    """The paths of a status list's signer to a status anchor of the same domain that hold but for their dates.

    Raises:
        CertificateError: there is none.
    """
    return _paths(chain, domain, None, test_anchors, anchor_in_chain)


@lru_cache(maxsize=_REMEMBERED)
def _paths(
    chain: tuple[bytes, ...],
    domain: TrustDomain,
    allowed_ekus: Callable[[TrustDomain], frozenset[str] | None] | None,
    test_anchors: bool,
    anchor_in_chain: bool,
) -> tuple[ValidatedPath, ...]:
    """The paths to a domain's anchors that hold but for their dates; to its status anchors without `allowed_ekus`.

    What a chain is worth follows from its bytes, the domain and the two rules alone, and what raises is not remembered.
    """
    for_status = allowed_ekus is None
    anchors = domain.status_anchors if for_status else domain.anchors
    return paths_to_anchors(
        chain,
        anchors=[anchor for anchor in anchors if test_anchors or anchor.kind is not AnchorKind.PINNED_TEST],
        profile=CertificateProfile.STATUS if for_status else domain.profile,
        allowed_ekus=None if allowed_ekus is None else allowed_ekus(domain),
        anchor_in_chain_allowed=anchor_in_chain,
    )
