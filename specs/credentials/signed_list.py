"""The token that a list of states travels in: who signed it, which list it is, and from when until when it counts.

Status lists (draft-ietf-oauth-status-list, JWT or CWT) and identifier lists (ISO/IEC 18013-5 2nd edition §12.3.6, CWT)
are judged alike, in the order of the draft's §8.3. Section numbers are draft 20's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import cbor2

from specs.encoding import Malformed, cbor
from specs.keys.cose import TYP, X5CHAIN, CoseError, CoseSign1, parse_sign1, parse_x5chain, verify_sign1
from specs.keys.jose import JoseError, PublicKey
from specs.refusal import ReasonCode, Refusal

MAX_URI_LENGTH = 2048


class StatusListError(Refusal):
    """A reference to a list of states, or a list, does not hold."""


class ListDates(Protocol):
    """When a list counts. Times: seconds since the epoch."""

    @property
    def issued_at(self) -> float: ...
    @property
    def not_before(self) -> float | None: ...
    @property
    def expires_at(self) -> float | None: ...


class ListClaims(NamedTuple):
    """What a list's token says of itself, once subject and dates held. Times: seconds since the epoch; ttl: seconds."""

    uri: str
    issued_at: float
    expires_at: float | None
    not_before: float | None
    ttl: float | None


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """What the claims are called in one of the two forms."""

    sub: str | int
    iat: str | int
    exp: str | int
    nbf: str | int
    ttl: str | int


JWT_NAMES = ClaimNames("sub", "iat", "exp", "nbf", "ttl")
CWT_NAMES = ClaimNames(sub=2, iat=6, exp=4, nbf=5, ttl=65534)  # RFC 8392 §3.1, §5.2


def parse_list_cwt(token: bytes, *, expected_typ: str, chain_is_protected: bool) -> tuple[tuple[bytes, ...], CoseSign1]:
    """Take a list in CWT form apart, into its chain (DER, leaf first) and a COSE_Sign1 with tag 18 or without (§5.2).

    chain_is_protected: whether the certificates must stand in the protected header; else either will do.

    Raises:
        StatusListError: no such CWT, another `typ`, an algorithm that is no signature, no certificates.
    """
    try:
        value = cbor.decode(token)
        sign1 = parse_sign1(value, tagged=isinstance(value, cbor2.CBORTag))
        if sign1.protected_header.get(TYP) != expected_typ:
            raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "typ")
        is_protected = chain_is_protected or X5CHAIN in sign1.protected_header
        return parse_x5chain(sign1.protected_header if is_protected else sign1.unprotected), sign1
    except Malformed as error:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, str(error)) from error
    except CoseError as error:
        raise not_believed(error) from error


def verified_payload(sign1: CoseSign1, *, key: PublicKey) -> bytes:
    """The encoded claims of a CWT whose signature holds (§8.3 3.a).

    Raises:
        StatusListError: wrongly signed, or nothing was.
    """
    try:
        verify_sign1(sign1, key=key)
    except CoseError as error:
        raise not_believed(error) from error
    assert sign1.payload is not None  # `verify_sign1` knows it
    return sign1.payload


def decode_claims(payload: bytes) -> dict[object, object]:
    """The claims of a CWT (RFC 8392 §3).

    Raises:
        StatusListError: they are no map.
    """
    try:
        return members(cbor.decode_map(payload))
    except Malformed as error:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, str(error)) from error


def read_claims(
    claims: Mapping[object, object], names: ClaimNames, *, expected_uri: str, now: int, skew: int
) -> ListClaims:
    """Check subject and dates, in this order (§8.3). now: seconds since the epoch; skew: seconds.

    Raises:
        StatusListError: a claim missing or misshapen, another list's, expired or from the future.
    """
    sub = claims.get(names.sub)
    if type(sub) is not str:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "sub")
    if sub != expected_uri:
        raise StatusListError(ReasonCode.STATUS_LIST_MISMATCH)
    issued_at = _seconds(claims.get(names.iat))
    expires_at, not_before, ttl = (
        _seconds(claims[name]) if name in claims else None for name in (names.exp, names.nbf, names.ttl)
    )
    _check_dates(issued_at, not_before, expires_at, now=now, skew=skew)
    if ttl is not None and ttl <= 0:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "ttl")
    return ListClaims(sub, issued_at, expires_at, not_before, ttl)


def check_list_dates(token: ListDates, *, now: int, skew: int = 60) -> None:
    """Is a list that was verified before still of this time (§8.3)? now: seconds since the epoch. skew: seconds.

    Raises:
        StatusListError: expired, or from the future.
    """
    _check_dates(token.issued_at, token.not_before, token.expires_at, now=now, skew=skew)


def members(value: object) -> dict[object, object]:
    """The members of an object, JSON or CBOR.

    Raises:
        StatusListError: it is none.
    """
    if not isinstance(value, dict):
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "not an object")
    return value


@lru_cache(maxsize=256)
def is_uri(text: str) -> bool:
    """Whether a text can be the address of a list."""
    if len(text) > MAX_URI_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False


def not_believed(error: JoseError | CoseError) -> StatusListError:
    """A form that does not hold is the list's fault; a key, algorithm or signature that does not is its signer's."""
    signer = (
        ReasonCode.ISSUER_KEY_MISSING,
        ReasonCode.CERTIFICATE_MALFORMED,
        ReasonCode.ALGORITHM_NOT_ALLOWED,
        ReasonCode.SIGNATURE_INVALID,
    )
    reason = ReasonCode.STATUS_LIST_UNTRUSTED if error.reason in signer else ReasonCode.STATUS_LIST_MALFORMED
    return StatusListError(reason, f"{error.reason}: {error.detail}")


def _check_dates(issued_at: float, not_before: float | None, expires_at: float | None, *, now: int, skew: int) -> None:
    if issued_at > now + skew or (not_before is not None and not_before > now + skew):
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "from the future")
    if expires_at is not None and expires_at <= now - skew:
        raise StatusListError(ReasonCode.STATUS_LIST_EXPIRED)


def _seconds(value: object) -> float:
    """A NumericDate or a number of seconds (RFC 7519 §2, RFC 8392 §2)."""
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "not a number of seconds")
