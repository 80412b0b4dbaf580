"""Who asks: the client identifier and its prefix (OpenID4VP 1.0 §5.9).

The prefix says how a wallet learns that a question is the verifier's own. The text with its prefix is the identifier
and the audience everywhere (§5.9.1, §14.8).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from specs.encoding import Malformed, base64url
from specs.protocols.openid4vp.addresses import host_of
from specs.protocols.openid4vp.errors import invalid_request
from specs.trust.parsed_certificate import CertificateError, parse_certificate


class ClientIdPrefix(StrEnum):
    """The prefixes of §5.9.3, and `pre-registered` for identifiers without one (§5.9.2)."""

    REDIRECT_URI = "redirect_uri"
    X509_SAN_DNS = "x509_san_dns"
    X509_HASH = "x509_hash"
    VERIFIER_ATTESTATION = "verifier_attestation"
    DECENTRALIZED_IDENTIFIER = "decentralized_identifier"
    OPENID_FEDERATION = "openid_federation"
    PRE_REGISTERED = "pre-registered"


ALL_PREFIXES = frozenset(ClientIdPrefix)
_WRITTEN = {prefix.value: prefix for prefix in ClientIdPrefix if prefix is not ClientIdPrefix.PRE_REGISTERED}
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_DID = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]+")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


@dataclass(frozen=True, slots=True)
class ClientId:
    """`text` is the whole identifier, `identifier` what stands behind the prefix."""

    text: str
    prefix: ClientIdPrefix
    identifier: str

    @property
    def is_signed(self) -> bool:
        """Whether a question under this prefix must be signed (§5.9.3)."""
        return self.prefix not in (ClientIdPrefix.REDIRECT_URI, ClientIdPrefix.PRE_REGISTERED)


def parse_client_id(text: str, *, supported: Collection[ClientIdPrefix] = ALL_PREFIXES) -> ClientId:
    """Read a client identifier (§5.9.1, §5.9.2). What stands before the first colon counts only if it is known.

    Raises:
        RequestError: empty, `origin:` (reserved), an unsupported prefix, or an identifier unfit for its prefix.
    """
    if not text or len(text) > 2048 or not text.isprintable():
        raise invalid_request("client_id: 1 to 2048 printable characters")
    word, colon, rest = text.partition(":")
    if colon and word == "origin":
        raise invalid_request("client_id: the prefix origin is reserved")
    prefix = _WRITTEN.get(word, ClientIdPrefix.PRE_REGISTERED) if colon else ClientIdPrefix.PRE_REGISTERED
    if prefix not in supported:
        raise invalid_request(f"client_id: the prefix {prefix} is not supported")
    if prefix is ClientIdPrefix.PRE_REGISTERED:
        return ClientId(text, prefix, text)
    if not _fits(prefix, rest):
        raise invalid_request(f"client_id: not an identifier for the prefix {prefix}")
    return ClientId(text, prefix, rest)


def _fits(prefix: ClientIdPrefix, identifier: str) -> bool:
    match prefix:
        case ClientIdPrefix.X509_HASH:
            try:
                return len(base64url.decode(identifier)) == sha256().digest_size
            except Malformed:
                return False
        case ClientIdPrefix.X509_SAN_DNS:
            return _DNS_NAME.fullmatch(identifier) is not None
        case ClientIdPrefix.DECENTRALIZED_IDENTIFIER:
            return _DID.fullmatch(identifier) is not None
        case ClientIdPrefix.OPENID_FEDERATION:
            return identifier.startswith("https://") and host_of(identifier) != ""
        case ClientIdPrefix.REDIRECT_URI:
            return _ABSOLUTE_URI.fullmatch(identifier) is not None
        case _:
            return identifier != ""


def x509_hash_client_id(leaf: bytes) -> ClientId:
    """The identifier that stands for an access certificate: the hash of its DER (§5.9.3)."""
    digest = base64url.encode(sha256(leaf).digest())
    return ClientId(f"x509_hash:{digest}", ClientIdPrefix.X509_HASH, digest)


def x509_san_dns_client_id(leaf: bytes, *, dns_name: str | None = None) -> ClientId:
    """The identifier that stands for a DNS name of an access certificate, its first one by default (§5.9.3).

    Raises:
        RequestError: the certificate does not carry the name, or none; or the name is a wildcard, which names no one.
    """
    names = dns_names(leaf)
    name = dns_name or (names[0] if names else None)
    if name is None or name.lower() not in {known.lower() for known in names}:
        raise invalid_request("client_id: not a DNS name of the certificate")
    return parse_client_id(f"x509_san_dns:{name}")


def dns_names(leaf: bytes) -> tuple[str, ...]:
    """The dNSName entries of a certificate's subject alternative name.

    Raises:
        RequestError: not a certificate, or one of a kind that we don't verify with.
    """
    try:
        return parse_certificate(leaf).names().dns_names
    except CertificateError as error:
        raise invalid_request("x5c: not a certificate") from error


def check_certificate(client_id: ClientId, leaf: bytes) -> None:
    """Check that a certificate is the one an `x509_…` identifier stands for (§5.9.3). A wildcard names no one.

    Raises:
        RequestError: it is another's.
    """
    if client_id.prefix is ClientIdPrefix.X509_HASH:
        held = base64url.encode(sha256(leaf).digest()) == client_id.identifier
    else:
        held = client_id.identifier.lower() in {name.lower() for name in dns_names(leaf)}
    if not held:
        raise invalid_request("client_id: the certificate is another's")


def check_answer_address(client_id: ClientId, address: str, *, attested: Collection[str] | None = None) -> None:
    """Check that an answer may go to `response_uri` or `redirect_uri` under the rule of the prefix (§5.9.3, §8.2).

    attested: `redirect_uris` of the verifier attestation, None if it has none.

    Raises:
        RequestError: it may not.
    """
    match client_id.prefix:
        case ClientIdPrefix.REDIRECT_URI:
            allowed = address == client_id.identifier
        case ClientIdPrefix.X509_SAN_DNS:
            allowed = host_of(address) == client_id.identifier.lower()
        case ClientIdPrefix.VERIFIER_ATTESTATION:
            allowed = attested is None or address in attested
        case _:
            allowed = True
    if not allowed:
        raise invalid_request("the answer would go to an address that is not the client's")
