"""Certificate policies: under which rules a path was issued (RFC 5280 §6.1.3 d–f, §6.1.4 h–j, §6.1.5; RFC 9618).

Policies are kept as a set from the anchor down to the leaf, which is all that is needed without mappings. Mappings are
not understood: a critical one refuses the path like any extension that we don't know, and where a policy is demanded
none may be there at all.
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from specs.refusal import ReasonCode
from specs.trust.parsed_certificate import CertificateError, ParsedCertificate
from specs.trust.profiles import ANY_POLICY, policies_of


def check_policies(
    certificates: Sequence[ParsedCertificate], *, authority: ParsedCertificate, required: frozenset[str]
) -> None:
    """Check that the path was issued under a policy wherever somebody in it, or the caller, demands one.

    certificates: leaf first, without the anchor. authority: the anchor; its constraints bind, its policies do not
    count (RFC 5937 §3.2). required: of these the leaf must assert one, and every CA above it must allow it.

    Raises:
        CertificateError: no policy is left that all agree on, or a mapping stands where a policy is demanded.
    """
    explicit = 0 if required else len(certificates) + 1
    inhibit_any = len(certificates) + 1
    explicit, inhibit_any = _tightened(authority, explicit, inhibit_any)
    valid: frozenset[str] | None = None  # None: any
    for depth, certificate in enumerate(reversed(certificates), start=1):
        is_leaf = depth == len(certificates)
        asserted = policies_of(certificate)
        any_counts = inhibit_any > 0 or (not is_leaf and certificate.is_self_issued)
        if not (ANY_POLICY in asserted and any_counts):
            asserted -= {ANY_POLICY}
            valid = asserted if valid is None else valid & asserted
        if not is_leaf:
            if not certificate.is_self_issued:
                explicit, inhibit_any = explicit - 1, inhibit_any - 1
            explicit, inhibit_any = _tightened(certificate, explicit, inhibit_any)
    own = certificates[0].extension(x509.PolicyConstraints)
    # `explicit` never grows and `valid` regains nothing: what an issuer above left is still seen here
    if explicit <= 1 or (own is not None and own.value.require_explicit_policy == 0):
        if any(_maps(certificate) for certificate in certificates[1:]):
            raise _refused("a policy mapping where a policy is demanded")
        if valid is not None and not valid:
            raise _refused("no certificate policy is valid for the whole path")
    if required and not policies_of(certificates[0]) & (required if valid is None else required & valid):
        raise _refused("none of the required certificate policies")


def _maps(certificate: ParsedCertificate) -> bool:
    return any(found.oid == ExtensionOID.POLICY_MAPPINGS for found in certificate.extensions)


def _tightened(certificate: ParsedCertificate, explicit: int, inhibit_any: int) -> tuple[int, int]:
    """How many more certificates may lack a policy, and how many may say "any", after this one."""
    constraints = certificate.extension(x509.PolicyConstraints)
    if constraints is not None and constraints.value.require_explicit_policy is not None:
        explicit = min(explicit, constraints.value.require_explicit_policy)
    inhibited = certificate.extension(x509.InhibitAnyPolicy)
    if inhibited is not None:
        inhibit_any = min(inhibit_any, inhibited.value.skip_certs)
    return explicit, inhibit_any


def _refused(detail: str) -> CertificateError:
    return CertificateError(ReasonCode.CERTIFICATE_PROFILE, detail)
