"""Is the credential still valid? The list that it names answers; silence is a no unless the procedure does not care."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import TypeAlias
from urllib.parse import urlsplit

from specs.credentials.identifier_list import IDENTIFIER_LIST_CWT, IdentifierListToken, IdentifierReference
from specs.credentials.mdoc import parse_mso_status
from specs.credentials.signed_list import StatusListError, check_list_dates
from specs.credentials.status_list import Status, StatusMediaType, StatusReference, parse_status_reference
from specs.protocols.dcql import FORMAT_MDOC
from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import CertificateError, ValidatedPath, current_path
from verifier.check.authentic import Authentic
from verifier.check.listed import ListToken, SignedList, parse_list, verify_list
from verifier.check.revocation import Revocations, check_revocation
from verifier.check.trust import status_paths
from verifier.expectations import Fetched, Policy, StatusLists, StatusRule, TrustDomain
from verifier.verdict import Refused

Reference: TypeAlias = StatusReference | IdentifierReference

# SD-JWT VC demands the JWT form; an mdoc's status list may come in either, an identifier list has one
_JWT = (StatusMediaType.JWT,)
_EITHER = (StatusMediaType.CWT, StatusMediaType.JWT)
_IDENTIFIERS = (IDENTIFIER_LIST_CWT,)

_REASON_OF: Mapping[int, ReasonCode] = {
    Status.INVALID: ReasonCode.STATUS_REVOKED,
    Status.SUSPENDED: ReasonCode.STATUS_SUSPENDED,
}
# a member of an enumeration is looked up slowly
_VALID, _INVALID = int(Status.VALID), int(Status.INVALID)
_REQUIRED, _OFF = StatusRule.REQUIRED, StatusRule.OFF

_REMEMBERED_LISTS = 8  # up to some 20 MiB each


def media_types(reference: Reference, credential: Authentic) -> tuple[str, ...]:
    """The forms in which the credential's list may come, the one to ask for first."""
    if type(reference) is IdentifierReference:
        return _IDENTIFIERS
    return _EITHER if credential.presentation.query.format == FORMAT_MDOC else _JWT


def status_reference(credential: Authentic, *, policy: Policy) -> Reference | None:
    """Where the credential's state stands, as far as the procedure cares.

    Raises:
        Refusal: the procedure demands a status and there is none; the credential never ends at all; the reference is
        unusable, or names an address inside somebody's network.
    """
    if credential.status is None:
        if policy.status is _REQUIRED:
            raise Refused(ReasonCode.STATUS_MISSING)
        if policy.require_end_or_status and not credential.ends:
            raise Refused(ReasonCode.VALIDITY_UNBOUNDED)
        return None
    if policy.status is _OFF:
        return None
    is_mdoc = credential.presentation.query.format == FORMAT_MDOC
    reference = parse_mso_status(credential.status) if is_mdoc else parse_status_reference(credential.status)
    if _is_inside_a_network(reference.uri):
        raise Refused(ReasonCode.STATUS_UNAVAILABLE, "not a public address")
    return reference


def status_signer(
    reference: Reference | None, credential: Authentic, *, lists: StatusLists, policy: Policy, now: int
) -> ValidatedPath | None:
    """The path of who signed the list, once it was fetched and holds; whom to ask about a withdrawal stands there."""
    if reference is None:
        return None
    try:
        return _list_of(reference, credential, lists=lists, policy=policy, now=now)[1]
    except Refusal:
        return None


def check_status(
    credential: Authentic, *, lists: StatusLists, revocation: Revocations, policy: Policy, now: int
) -> bool:
    """Refuse a credential that is not VALID in its list. Whether a list was asked.

    Raises:
        Refusal: as `status_reference`; the list is not there, not believed, not this one, too old; its signer was
        withdrawn, or nobody says whether; the state is any other.
    """
    reference = status_reference(credential, policy=policy)
    if reference is None:
        return False
    token, signer = _list_of(reference, credential, lists=lists, policy=policy, now=now)
    check_revocation(signer, domain=credential.domain, revocation=revocation, policy=policy, now=now)
    state = _state(token, reference)
    if state != _VALID:
        raise Refused(_REASON_OF.get(state, ReasonCode.STATUS_UNKNOWN))
    return True


def _state(token: ListToken, reference: Reference) -> int:
    # the reference's kind chose the media type, and that the list's kind
    if isinstance(token, IdentifierListToken):
        return _INVALID if token.is_listed(reference) else _VALID  # type: ignore[arg-type]
    return token.statuses[reference.idx]  # type: ignore[union-attr]


@lru_cache(maxsize=256)
def _is_inside_a_network(uri: str) -> bool:
    """Whether the host is written as an address that is neither public nor this machine's own.

    Names are looked at by who fetches, after resolving them; a metadata service is not even named to a host's fetcher.
    """
    try:
        address = ip_address(urlsplit(uri).hostname or "")
    except ValueError:
        return False
    return not (address.is_global or address.is_loopback)


def _list_of(
    reference: Reference, credential: Authentic, *, lists: StatusLists, policy: Policy, now: int
) -> tuple[ListToken, ValidatedPath]:
    for media_type in media_types(reference, credential):
        fetched = lists.get((reference.uri, media_type))
        if fetched is not None:
            return _believed(fetched, media_type, reference, credential, policy=policy, now=now)
    raise Refused(ReasonCode.STATUS_UNAVAILABLE)


def _believed(
    fetched: Fetched,
    media_type: str,
    reference: Reference,
    credential: Authentic,
    *,
    policy: Policy,
    now: int,
) -> tuple[ListToken, ValidatedPath]:
    if not (200 <= fetched.http_status < 300 and _is_of(fetched.content_type, media_type)):
        raise Refused(ReasonCode.STATUS_UNAVAILABLE, "HTTP status or content type")
    skew = policy.clock_skew
    now = max(now, fetched.fetched_at)
    try:
        known = _known_list(
            fetched.body, media_type, credential.domain, policy.allow_test_anchors, policy.allow_anchor_in_chain
        )
        path = current_path(known.paths, now=now, skew=skew)
    except CertificateError as error:
        raise Refused(ReasonCode.STATUS_LIST_UNTRUSTED, f"{error.reason}: {error.detail}") from error
    token = known.read(path, uri=reference.uri, max_bytes=policy.limits.status_list_bytes, now=now, skew=skew)
    if token.ttl is not None and fetched.fetched_at + token.ttl < now - skew:
        raise StatusListError(ReasonCode.STATUS_LIST_EXPIRED, "the copy outlived its ttl")
    return token, path


@lru_cache(maxsize=16)
def _is_of(content_type: str, media_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == media_type


class _KnownList:
    """A list whose signer somebody believes: its signature is checked and its content is read once for all.

    One list answers for many credentials. Dates, the list's own and those of the path, are compared each time.
    """

    __slots__ = ("_max_bytes", "_signed", "_token", "paths")

    def __init__(self, signed: SignedList, paths: tuple[ValidatedPath, ...]) -> None:
        self._signed = signed
        self.paths = paths
        self._max_bytes = -1
        self._token: ListToken | None = None

    def read(self, path: ValidatedPath, *, uri: str, max_bytes: int, now: int, skew: int) -> ListToken:
        token = self._token
        if token is not None and token.uri == uri and self._max_bytes == max_bytes:
            check_list_dates(token, now=now, skew=skew)
            return token
        # all paths begin with the same leaf: what one of them opens, each of them opens
        token = verify_list(self._signed, key=path.leaf_key, expected_uri=uri, now=now, max_bytes=max_bytes, skew=skew)
        self._token, self._max_bytes = token, max_bytes
        return token


@lru_cache(maxsize=_REMEMBERED_LISTS)
def _known_list(
    body: bytes, media_type: str, domain: TrustDomain, test_anchors: bool, anchor_in_chain: bool
) -> _KnownList:
    signed = parse_list(body, media_type)
    return _KnownList(signed, status_paths(signed.chain, domain, test_anchors, anchor_in_chain))
