"""How long a fetched document may be kept: what it says of itself, read once when it comes.

A document that does not hold together is not worth keeping. Whether it is believed, and whether it is still in time, is
judged anew at each answer; this decides only when it is fetched again.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp

from specs.credentials.signed_list import StatusListError
from specs.credentials.status_list import MAX_BYTES
from specs.keys.jose import PublicKey
from specs.trust import ocsp
from specs.trust.parsed_certificate import CertificateError, parse_certificate
from verifier.check.listed import LIST_MEDIA_TYPES, parse_list, verify_list
from verifier.check.revocation import CRL_MEDIA_TYPE
from verifier.expectations import Fetched

STATUS_SECONDS = 300  # until a list without `ttl` is fetched again
REVOCATION_SECONDS = 3600  # until a revocation list or a responder's answer is fetched again, however long it lives
MAX_SECONDS = 24 * 60 * 60  # longer than any document is kept


@dataclass(frozen=True, slots=True)
class Freshness:
    """Times in seconds since the epoch. made_at: by its maker. refetch_after ≤ usable_until, by what it says itself."""

    made_at: float
    refetch_after: float
    usable_until: float


def freshness_of(fetched: Fetched, *, url: str, now: int) -> Freshness | None:
    """How long a document may be kept; None: not at all. now: seconds since the epoch."""
    media_type = fetched.content_type.partition(";")[0].strip().lower()
    if not 200 <= fetched.http_status < 300:
        return None
    try:
        if media_type in LIST_MEDIA_TYPES:
            return _of_status_list(fetched, media_type, url=url, now=now)
        if media_type == CRL_MEDIA_TYPE:
            crl = x509.load_der_x509_crl(fetched.body)
            end = crl.next_update_utc
            return _revocation(fetched, crl.last_update_utc.timestamp(), None if end is None else end.timestamp())
        if media_type == ocsp.MEDIA_TYPE:
            answer = x509_ocsp.load_der_ocsp_response(fetched.body)
            end = answer.next_update_utc
            return _revocation(fetched, answer.this_update_utc.timestamp(), None if end is None else end.timestamp())
    except (StatusListError, CertificateError, ValueError, x509.InvalidVersion):
        return None
    return None


def _of_status_list(fetched: Fetched, media_type: str, *, url: str, now: int) -> Freshness | None:
    """`ttl` and `exp` outrank what HTTP says (Token Status List §8.2); both are kept within sane bounds (§11.5)."""
    signed = parse_list(fetched.body, media_type)
    key = parse_certificate(signed.chain[0]).key
    if not isinstance(key, PublicKey):
        return None
    found = verify_list(signed, key=key, expected_uri=url, now=now, max_bytes=MAX_BYTES)
    at = fetched.fetched_at
    ends: list[float] = [at + MAX_SECONDS]
    if found.ttl is not None:
        ends.append(at + found.ttl)
    if found.expires_at is not None:
        ends.append(found.expires_at)
    again = STATUS_SECONDS if found.ttl is None else found.ttl
    if found.ttl is None and found.expires_at is None:
        ends.append(at + again)  # it does not say how long it may be used without asking
    return Freshness(found.issued_at, min(at + again, *ends), min(ends))


def _revocation(fetched: Fetched, made_at: float, next_update: float | None) -> Freshness:
    end: float = fetched.fetched_at + MAX_SECONDS
    if next_update is not None:
        end = min(end, next_update)
    return Freshness(made_at, min(fetched.fetched_at + REVOCATION_SECONDS, end), end)
