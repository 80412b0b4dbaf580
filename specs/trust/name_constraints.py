"""Name constraints: which names the certificates below a CA may carry (RFC 5280 §4.2.1.10).

Host names, addresses of mail, web and IP, and directory names are understood. A constraint on any other kind of name
refuses the path, critical or not: what is not understood is not waved through.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from specs.refusal import ReasonCode
from specs.trust.parsed_certificate import CertificateError, ParsedCertificate

MAX_COMPARISONS = 8192  # names times constraints, so that a large certificate stays cheap

_UNDERSTOOD = (
    x509.DNSName,
    x509.RFC822Name,
    x509.UniformResourceIdentifier,
    x509.IPAddress,
    x509.DirectoryName,
)
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_PLAIN_URI = re.compile(r"[!-\[\]-~]+")  # neither spaces nor a backslash, on which readers of URIs disagree
_IPV4_LIKE = re.compile(r"[0-9.]+")


def check_name_constraints(*, issuer: ParsedCertificate, below: Sequence[ParsedCertificate]) -> None:
    """Check every name of the certificates below `issuer` against its constraints, if any (RFC 5280 §6.1.3 b, c).

    below: leaf first. Self-issued intermediates are excepted, as the RFC orders; the leaf never is.

    Raises:
        CertificateError: a name is outside what is permitted or inside what is excluded, or a constraint is not
            understood.
    """
    found = issuer.extension(x509.NameConstraints)
    if found is None:
        return
    constraints = found.value
    if constraints.public_bytes() not in issuer.certificate.tbs_certificate_bytes:
        raise _refused("a name constraint with minimum or maximum")  # lost in reading, so seen by writing it again
    permitted, excluded = list(constraints.permitted_subtrees or ()), list(constraints.excluded_subtrees or ())
    for constraint in permitted + excluded:
        if not isinstance(constraint, _UNDERSTOOD):
            raise _refused(f"a name constraint on {type(constraint).__name__}")
    for position, certificate in enumerate(below):
        if position > 0 and certificate.is_self_issued:
            continue
        names = _constrained_names(certificate)
        if len(names) * (len(permitted) + len(excluded)) > MAX_COMPARISONS:
            raise CertificateError(ReasonCode.LIMIT_EXCEEDED, "more names and name constraints than we compare")
        for name in names:
            _check_name(name, permitted=permitted, excluded=excluded)


def _check_name(
    name: x509.GeneralName, *, permitted: Iterable[x509.GeneralName], excluded: Iterable[x509.GeneralName]
) -> None:
    kind = type(name)
    same_kind = [constraint for constraint in permitted if type(constraint) is kind]
    if same_kind and not any(_lies_in(name, constraint, unclear=False) for constraint in same_kind):
        raise _refused(f"a {kind.__name__} outside the permitted names")
    if any(_lies_in(name, constraint, unclear=True) for constraint in excluded if type(constraint) is kind):
        raise _refused(f"a {kind.__name__} among the excluded names")


def _constrained_names(certificate: ParsedCertificate) -> list[x509.GeneralName]:
    """The alternative names, the subject, and the mail addresses of the subject where no alternative name holds one."""
    alternative = certificate.extension(x509.SubjectAlternativeName)
    names: list[x509.GeneralName] = list(alternative.value) if alternative is not None else []
    subject = certificate.certificate.subject
    if not any(isinstance(name, x509.RFC822Name) for name in names):
        for attribute in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
            if not isinstance(attribute.value, str) or not attribute.value.isascii():
                raise _refused("a mail address in the subject that is not ASCII")
            names.append(x509.RFC822Name(attribute.value))
    if list(subject):
        names.append(x509.DirectoryName(subject))
    return names


def _lies_in(name: x509.GeneralName, constraint: x509.GeneralName, *, unclear: bool) -> bool:
    """Whether a name lies in the tree of a constraint of its kind; `unclear` is the answer where nobody can tell."""
    match name, constraint:
        case x509.DNSName(value=host), x509.DNSName(value=base):
            return _host_name_lies_in(host.lower(), base.lower(), unclear=unclear)
        case x509.RFC822Name(value=address), x509.RFC822Name(value=base):
            return _email_lies_in(address, base, unclear=unclear)
        case x509.UniformResourceIdentifier(value=uri), x509.UniformResourceIdentifier(value=base):
            of_uri = _host_of(uri)  # RFC 5280 §4.2.1.10: without a host name nothing satisfies a constraint
            return unclear if of_uri is None else _host_lies_in(of_uri, base.lower(), unclear=unclear)
        case x509.DirectoryName(value=own), x509.DirectoryName(value=above):
            whole, start = _comparable(own), _comparable(above)
            return whole[: len(start)] == start
        case (
            x509.IPAddress(value=(IPv4Address() | IPv6Address()) as ip),
            x509.IPAddress(value=(IPv4Network() | IPv6Network()) as network),
        ):
            return ip in network
    return unclear


def _host_name_lies_in(host: str, base: str, *, unclear: bool) -> bool:
    """Host name constraints take in the names below them; a wildcard stands for every label."""
    wildcard = host.startswith("*.")
    host = host.removeprefix("*.")
    if base == "":
        return True
    if not _HOST.fullmatch(host) or not _HOST.fullmatch(base.removeprefix(".")):
        return unclear
    if wildcard and unclear and base.endswith("." + host):
        return True  # the wildcard would reach into the excluded tree
    if base.startswith("."):
        return host.endswith(base) or (wildcard and host == base[1:])
    return host == base or host.endswith("." + base)


def _email_lies_in(address: str, base: str, *, unclear: bool) -> bool:
    """Mail constraints are one mailbox, all mailboxes of one host, or with a leading dot those of the hosts below."""
    local, _, host = address.rpartition("@")
    if not local or not _HOST.fullmatch(host.lower()):
        return unclear
    base_local, base_at, base_host = base.rpartition("@")
    if base_at:
        if not base_local or not _HOST.fullmatch(base_host.lower()):
            return unclear
        return local == base_local and host.lower() == base_host.lower()
    return _host_lies_in(host.lower(), base.lower(), unclear=unclear)


def _host_lies_in(host: str, base: str, *, unclear: bool) -> bool:
    if base == "":
        return True
    if not _HOST.fullmatch(base.removeprefix(".")):
        return unclear
    return host.endswith(base) if base.startswith(".") else host == base


def _host_of(uri: str) -> str | None:
    if not _PLAIN_URI.fullmatch(uri):
        return None
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        return None
    if not host or _IPV4_LIKE.fullmatch(host) or not _HOST.fullmatch(host):
        return None
    return host


def _comparable(name: x509.Name) -> list[frozenset[tuple[str, str | bytes]]]:
    """RDNs in order, texts without regard to case and runs of spaces (RFC 5280 §7.1)."""
    return [frozenset((part.oid.dotted_string, _comparable_value(part.value)) for part in rdn) for rdn in name.rdns]


def _comparable_value(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def _refused(detail: str) -> CertificateError:
    return CertificateError(ReasonCode.CERTIFICATE_PROFILE, detail)
