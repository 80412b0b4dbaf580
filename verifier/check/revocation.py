"""Was a certificate of the path withdrawn? A list or a responder answers, silence is a no (RFC 5280 §6.3, RFC 6960).

A certificate may name several places: lists are asked before responders, because one list answers for many; the first
place with a usable answer decides.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from specs.refusal import ReasonCode, Refusal
from specs.trust import ocsp
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import AnchorKind, RevocationPoints, ValidatedPath
from verifier.expectations import Fetched, Policy, RevocationRule, TrustDomain
from verifier.verdict import Refused

CRL_MEDIA_TYPE = "application/pkix-crl"
OCSP_MEDIA_TYPE = ocsp.MEDIA_TYPE

Revocations = Mapping[str, Fetched | None]
"""Revocation lists and responders' answers already fetched, by their address; None: it could not be had."""

_OFF, _CA = RevocationRule.OFF, AnchorKind.CA  # a member of an enumeration is looked up slowly
_MAX_PLACES = 2  # of each kind that a certificate names
_DIGESTS = ("sha256", "sha384", "sha512")
_IS_CRITICAL = b"\x01\x01\xff\x04"  # in an extension: true, and the beginning of its value (RFC 5280 §4.1)
_UNREADABLE = (  # what the library raises where a list is not what it should be
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_UNDERSTOOD_IN_ENTRIES = (x509.CRLReason, x509.InvalidityDate)
_MAX_PARSED_BYTES = 32 * 1024 * 1024  # of lists that stay parsed; parsed, a list takes about its bytes once more


@dataclass(frozen=True, slots=True)
class Place:
    """Where to ask about one certificate. is_list: a revocation list; else a responder, with the question inside."""

    url: str
    is_list: bool


@dataclass(frozen=True, slots=True)
class _Question:
    """One certificate of the path and who issued it."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    places: tuple[Place, ...]


def revocation_places(
    path: ValidatedPath, *, domain: TrustDomain, revocation: Revocations, policy: Policy, now: int
) -> tuple[Place, ...]:
    """What must be fetched before this path can be judged: for each certificate the next place, while none answered."""
    wanted: dict[Place, None] = {}
    for question in _questions(path, domain=domain):
        for place in question.places:
            if place.url not in revocation:
                wanted[place] = None
                break
            try:
                _ask(question, place, revocation, policy=policy, now=now)
                break
            except Refusal as error:
                if error.reason is ReasonCode.CERTIFICATE_REVOKED:
                    break
    return tuple(wanted)


def check_revocation(
    path: ValidatedPath, *, domain: TrustDomain, revocation: Revocations, policy: Policy, now: int
) -> bool:
    """Refuse a path with a withdrawn certificate. Whether any place was asked.

    Raises:
        Refused: a certificate is withdrawn, or names places of which none gave a usable answer.
    """
    if not _is_asked_about(path, domain):
        return False
    asked = False
    for question in _questions(path, domain=domain):
        asked = True
        _check(question, revocation, policy=policy, now=now)
    return asked


def _is_asked_about(path: ValidatedPath, domain: TrustDomain) -> bool:
    return path.names_revocation and domain.revocation is not _OFF and path.anchor.kind is _CA


def _questions(path: ValidatedPath, *, domain: TrustDomain) -> Iterator[_Question]:
    """Every certificate of the path that names a place; anchors are withdrawn by whoever lists them."""
    if not _is_asked_about(path, domain):
        return
    issuers = (*path.chain[1:], parse_certificate(path.anchor.certificate).certificate)
    for certificate, issuer, points in zip(path.chain, issuers, path.revocation, strict=True):
        if points.named:
            yield _Question(certificate, issuer, _places(certificate, issuer, points))


def _places(certificate: x509.Certificate, issuer: x509.Certificate, points: RevocationPoints) -> tuple[Place, ...]:
    lists = [Place(url, is_list=True) for url in points.crl_urls[:_MAX_PLACES]]
    if not points.ocsp_urls:
        return tuple(lists)
    request = ocsp.build_ocsp_request(_der(certificate), issuer=_der(issuer))
    responders = [Place(ocsp.ocsp_url(url, request=request), is_list=False) for url in points.ocsp_urls[:_MAX_PLACES]]
    return (*lists, *responders)


def _check(question: _Question, revocation: Revocations, *, policy: Policy, now: int) -> None:
    closest: Refusal | None = None
    for place in question.places:
        try:
            _ask(question, place, revocation, policy=policy, now=now)
            return
        except Refusal as error:
            if error.reason is ReasonCode.CERTIFICATE_REVOKED:
                raise Refused(error.reason, error.detail) from error
            closest = closest or error
    raise Refused(ReasonCode.REVOCATION_UNKNOWN, closest.detail if closest is not None else "no place to ask")


def _ask(question: _Question, place: Place, revocation: Revocations, *, policy: Policy, now: int) -> None:
    """Nothing, if the place clears the certificate.

    Raises:
        Refusal: CERTIFICATE_REVOKED, or REVOCATION_UNKNOWN for any answer that clears nobody.
    """
    fetched = revocation.get(place.url)
    if fetched is None or not 200 <= fetched.http_status < 300:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "no answer")
    now = max(now, fetched.fetched_at)
    if place.is_list:
        found = _LISTS.get(fetched.body)
        _check_list(question.certificate, question.issuer, found, url=place.url, now=now, skew=policy.clock_skew)
    else:
        ocsp.verify_ocsp_response(
            fetched.body,
            certificate=_der(question.certificate),
            issuer=_der(question.issuer),
            now=now,
            skew=policy.clock_skew,
        )


def _check_list(
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
    digest = revocation_list.signature_hash_algorithm  # Ed25519 has none
    if digest is not None and digest.name not in _DIGESTS:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "hash of the list's signature")
    if revocation_list.issuer != issuer.subject or not revocation_list.is_signature_valid(key):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "another issuer's list")
    if not _may_sign_lists(issuer):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "a list by a key that may not sign lists")
    for extension in revocation_list.extensions:
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            _check_scope(extension.value, certificate, url=url)
        elif extension.critical:
            raise Refused(ReasonCode.REVOCATION_UNKNOWN, "a critical extension of the list")
    if _has_unknown_entries(revocation_list):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "a critical extension of an entry")
    next_update = revocation_list.next_update_utc
    if next_update is None or next_update.timestamp() + skew < now:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "the list is past its next update")
    if revocation_list.last_update_utc.timestamp() > now + skew:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "the list is from the future")
    if revocation_list.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
        raise Refused(ReasonCode.CERTIFICATE_REVOKED)


def _check_scope(scope: x509.IssuingDistributionPoint, certificate: x509.Certificate, *, url: str) -> None:
    """A list may speak for some certificates only; a part that does not speak for this one clears it of nothing."""
    partial = scope.indirect_crl or scope.only_contains_attribute_certs or scope.only_some_reasons is not None
    other_kind = scope.only_contains_user_certs if _is_authority(certificate) else scope.only_contains_ca_certs
    named = scope.full_name is not None or scope.relative_name is not None
    if partial or other_kind or (named and x509.UniformResourceIdentifier(url) not in (scope.full_name or ())):
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "a list for other certificates")


def _has_unknown_entries(revocation_list: x509.CertificateRevocationList) -> bool:
    """Whether an entry has a critical extension that we don't know: then the list clears nobody (RFC 5280 §5.3)."""
    of_list = sum(extension.critical for extension in revocation_list.extensions)
    if revocation_list.tbs_certlist_bytes.count(_IS_CRITICAL) <= of_list:
        return False  # long lists need not be walked through
    try:
        return any(
            extension.critical and not isinstance(extension.value, _UNDERSTOOD_IN_ENTRIES)
            for entry in revocation_list
            for extension in entry.extensions
        )
    except _UNREADABLE:
        return True  # an extension that can't be read is not understood


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    """RFC 5280 §6.3.3 f."""
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


class _ParsedLists:
    """Lists that were parsed, by their bytes: `max_bytes` of them at most; the one not used for longest goes first."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[bytes, x509.CertificateRevocationList] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, body: bytes) -> x509.CertificateRevocationList:
        """The list of some bytes.

        Raises:
            Refused: they are none.
        """
        with self._lock:
            if (found := self._kept.get(body)) is not None:
                self._kept.move_to_end(body)
                return found
        parsed = _parsed(body)
        with self._lock:
            if body not in self._kept and len(body) <= self._max_bytes:
                self._kept[body] = parsed
                self._bytes += len(body)
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[0])
        return parsed


_LISTS = _ParsedLists(max_bytes=_MAX_PARSED_BYTES)


def _parsed(body: bytes) -> x509.CertificateRevocationList:
    try:
        is_text = body.lstrip().startswith(b"-----BEGIN")
        revocation_list = x509.load_pem_x509_crl(body) if is_text else x509.load_der_x509_crl(body)
        # the library reads these only when they are looked at
        _ = revocation_list.extensions, revocation_list.issuer, revocation_list.signature_hash_algorithm
        _ = revocation_list.last_update_utc, revocation_list.next_update_utc
        return revocation_list
    except _UNREADABLE as error:
        raise Refused(ReasonCode.REVOCATION_UNKNOWN, "not a revocation list") from error
