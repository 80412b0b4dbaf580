"""What the asker is and may ask: its access certificate and registration certificates, held, compared and watched.

A question that goes beyond the registration is not asked (`check_registration`); what ends, is withdrawn or does not
fit is told in time (`findings`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from specs.keys.jose import key_thumbprint
from specs.protocols.openid4vp import VerifierInfo
from specs.refusal import ReasonCode, Refusal
from specs.trust.parsed_certificate import CertificateError, ParsedCertificate, parse_certificate
from specs.trust.profiles import policies_of
from specs.trust.registration import (
    INFO_FORMAT,
    check_registered,
    check_times,
    parse_registration,
    verify_registration,
)
from specs.trust.registration_claims import Registration, RegistrationError
from specs.trust.x509 import CertificateProfile, TrustAnchor, validate_path
from verifier.ask import Procedure
from verifier.relying_party import RelyingParty

ACCESS_POLICIES = frozenset(f"0.4.0.194118.1.{kind}" for kind in (1, 2, 3, 4))  # ETSI TS 119 411-8 §5.3
WARN_DAYS = (60, 30, 7)
SHORT_LIVED_SECONDS = 7 * 24 * 60 * 60  # needs no place where its withdrawal stands
_DAY = 24 * 60 * 60


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # wallets refuse, or will
    WARNING = "warning"  # somebody must act, and has time


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about our own certificates that somebody must know. about: `access` or a procedure's id.

    seconds_left: until it ends, where it is about an end; negative once it ended.
    """

    severity: Severity
    about: str
    code: str
    detail: str = ""
    seconds_left: int | None = None


def check_registration(procedure: Procedure, relying_party: RelyingParty) -> None:
    """Check that a procedure asks for nothing that its registration certificates do not name.

    A question without any is none of this check's: a preset decides whether one must be there.

    Raises:
        RegistrationError: REGISTRATION_MALFORMED, REGISTRATION_MISMATCH, REQUEST_NOT_REGISTERED.
    """
    own = _identifier_of(relying_party)
    spoken_for: set[str] = set()
    for info in registration_certificates_of(procedure, relying_party):
        registration = _own(info)
        if registration.subject != own:
            raise RegistrationError(ReasonCode.REGISTRATION_MISMATCH, "the access certificate bears another identifier")
        ids = set(info.credential_ids or procedure.query.by_id)
        if ids & spoken_for:
            raise RegistrationError(ReasonCode.REGISTRATION_MALFORMED, "two certificates for one question (RPRC_19)")
        spoken_for |= ids
        check_registered(procedure.query, registration, credential_ids=info.credential_ids)
    if spoken_for and not spoken_for >= procedure.query.by_id.keys():
        raise RegistrationError(ReasonCode.REQUEST_NOT_REGISTERED, "a part that no certificate speaks for")


def findings(
    relying_party: RelyingParty,
    procedures: Mapping[str, Procedure],
    *,
    now: int,
    access_anchors: Sequence[TrustAnchor] = (),
    registrar_anchors: Sequence[TrustAnchor] = (),
) -> tuple[Finding, ...]:
    """All that is or will be wrong with our own certificates; errors first. now: seconds since the epoch.

    access_anchors, registrar_anchors: what wallets believe; without them a path is not judged.
    """
    found = list(_about_access(relying_party, anchors=access_anchors, now=now))
    for name, procedure in procedures.items():
        found += _about_procedure(name, procedure, relying_party, anchors=registrar_anchors, now=now)
    return tuple(sorted(found, key=lambda each: each.severity is Severity.WARNING))


def _about_access(relying_party: RelyingParty, *, anchors: Sequence[TrustAnchor], now: int) -> Iterator[Finding]:
    if relying_party.identity is None or not relying_party.identity.chain:
        return
    chain = relying_party.identity.chain
    try:
        leaf = parse_certificate(chain[0])
    except CertificateError as error:
        yield Finding(Severity.ERROR, "access", error.reason, error.detail)
        return
    if isinstance(leaf.key, rsa.RSAPublicKey) or key_thumbprint(leaf.key) != key_thumbprint(
        relying_party.identity.signer.public_key
    ):
        yield Finding(Severity.ERROR, "access", "key_mismatch", "the certificate is for another key")
    yield from _end("access", leaf.not_after, now=now)
    if leaf.not_before > now:
        yield Finding(Severity.ERROR, "access", "not_yet_valid")
    yield from _access_profile(leaf)
    if anchors:
        try:
            validate_path(chain, anchors=anchors, profile=CertificateProfile.ACCESS, now=now)
        except CertificateError as error:
            yield Finding(Severity.ERROR, "access", error.reason, error.detail)


def _access_profile(leaf: ParsedCertificate) -> Iterator[Finding]:
    """What ETSI TS 119 411-8 wants of an access certificate, and wallets may look at."""
    if leaf.is_self_signed():
        yield Finding(Severity.ERROR, "access", "self_signed")
    if leaf.names().organization_identifier is None:
        yield Finding(Severity.WARNING, "access", "no_identifier", "organizationIdentifier is missing in the subject")
    if not policies_of(leaf) & ACCESS_POLICIES:
        yield Finding(Severity.WARNING, "access", "no_policy", "none of the policies of access certificates")
    if not leaf.revocation_points().named and leaf.not_after - leaf.not_before > SHORT_LIVED_SECONDS:
        yield Finding(Severity.WARNING, "access", "no_revocation_place", "lives longer than seven days")
    usage = leaf.extension(x509.KeyUsage)
    if usage is None or not usage.critical or not usage.value.digital_signature:
        yield Finding(Severity.ERROR, "access", "key_usage", "not critical, or without digitalSignature")


def _about_procedure(
    name: str, procedure: Procedure, relying_party: RelyingParty, *, anchors: Sequence[TrustAnchor], now: int
) -> Iterator[Finding]:
    try:
        check_registration(procedure, relying_party)
        for info in registration_certificates_of(procedure, relying_party):
            registration = _own(info)
            check_times(registration, now=now)
            if registration.expires_at is not None:
                yield from _end(name, registration.expires_at, now=now)
            if anchors:
                verify_registration(
                    str(info.data), anchors=anchors, expected_subject=_identifier_of(relying_party), now=now
                )
    except Refusal as error:
        yield Finding(Severity.ERROR, name, error.reason, error.detail)


def _end(about: str, end: int, *, now: int) -> Iterator[Finding]:
    left = end - now
    if left <= 0:
        yield Finding(Severity.ERROR, about, "ended", seconds_left=left)
    elif left <= max(WARN_DAYS) * _DAY:
        days = min(days for days in WARN_DAYS if left <= days * _DAY)
        yield Finding(Severity.WARNING, about, f"ends_within_{days}_days", seconds_left=left)


def registration_certificates_of(procedure: Procedure, relying_party: RelyingParty) -> list[VerifierInfo]:
    """The registration certificates that travel with a procedure's question."""
    return [info for info in (*relying_party.verifier_info, *procedure.verifier_info) if info.format == INFO_FORMAT]


def _own(info: VerifierInfo) -> Registration:
    if not isinstance(info.data, str):
        raise RegistrationError(ReasonCode.REGISTRATION_MALFORMED, "a certificate in this place is a JWT")
    return _parsed(info.data)


@lru_cache(maxsize=256)
def _parsed(token: str) -> Registration:
    return parse_registration(token)


def _identifier_of(relying_party: RelyingParty) -> str | None:
    if relying_party.identity is None or not relying_party.identity.chain:
        return None
    return parse_certificate(relying_party.identity.chain[0]).names().organization_identifier
