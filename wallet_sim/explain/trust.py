"""Does somebody vouch for it whom the asker trusts? Only where trust anchors are given."""

from collections.abc import Sequence

from specs.refusal import Refusal
from specs.trust.parsed_certificate import CertificateError, ParsedCertificate, parse_certificate
from specs.trust.x509 import CertificateProfile, validate_path
from wallet_sim.explain.certificates import explain_chain
from wallet_sim.explain.explanation import Explanation, Judging

_CLAUSE = "RFC 5280 §6.1"


def explain_vouching(
    chain: tuple[bytes, ...], said: Explanation, *, profile: CertificateProfile | None, judging: Judging
) -> None:
    """The certificates that came along, and whether they lead to a trust anchor.

    profile: what its signer's certificate must be for; None: for any of what we know.
    """
    is_list = profile is CertificateProfile.TRUST_LIST
    said.parts += explain_chain(chain, now=judging.now, may_be_pinned=is_list)
    if not judging.anchors:
        return
    pinned = next((each for each in judging.anchors if is_list and chain[:1] == (each.certificate,)), None)
    if pinned is not None:
        said.fact("trust", pinned.name)
        return
    failure: CertificateError | None = None
    for each in (profile,) if profile is not None else CertificateProfile:
        try:
            path = validate_path(chain, anchors=judging.anchors, profile=each, now=judging.now)
        except CertificateError as error:
            failure = failure or error
        else:
            said.fact("trust", path.anchor.name)
            return
    assert failure is not None
    said.wrong("untrusted", f"{failure.reason.value}{f': {failure.detail}' if failure.detail else ''}", _CLAUSE)


def explain_lone_certificates(certificates: Sequence[bytes], said: Explanation, *, judging: Judging) -> None:
    """Whether a certificate leads to a trust anchor, maybe through others that came along; whatever it is for."""
    if not judging.anchors:
        return
    try:
        current, *others = [parse_certificate(each) for each in certificates]
        known = {each.certificate: each.name for each in judging.anchors}
        authorities = [(parse_certificate(each.certificate), each.name) for each in judging.anchors]
    except (Refusal, ValueError):
        return  # said of the certificate itself
    if certificates[0] in known:
        said.fact("trust", known[certificates[0]])
        return
    while True:
        found = [name for authority, name in authorities if _certified(current, authority)]
        if found:
            said.fact("trust", found[0])
            return
        above = next((each for each in others if _certified(current, each)), None)
        if above is None:
            said.wrong("untrusted", current.names().display_name, _CLAUSE)
            return
        others.remove(above)
        current = above


def _certified(lower: ParsedCertificate, upper: ParsedCertificate) -> bool:
    try:
        return lower.is_certified_by(upper, rsa_allowed=True)
    except CertificateError:
        return False
