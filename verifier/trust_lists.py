"""Trust from published lists: fetched before it is needed, kept until its own end, never exchanged for something older.

`TrustLists.current` is what the verifier judges by and does no input or output; `refresh` fetches what is due, in the
background. What was seen last lies in a store, so that a restart forgets neither the lists nor their numbers.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from specs.refusal import ReasonCode
from specs.trust.trust_list import TrustList, TrustListError, trusted_services, verify_trust_list
from specs.trust.x509 import CertificateProfile, TrustAnchor
from verifier.expectations import RevocationRule, Trust, TrustDomain
from verifier.fetch import Fetcher, FetchFailed
from verifier.stores.trust_lists import KeptList, TrustListStore

MEDIA_TYPE = "application/jwt"
XML_MEDIA_TYPE = "application/vnd.etsi.tsl+xml"
REFRESH_SECONDS = 3600
RETRY_SECONDS = 60


class ListForm(StrEnum):
    """How a list is written."""

    JSON = "json"  # ETSI TS 119 602
    XML = "xml"  # ETSI TS 119 612; needs the extra [trust]


@dataclass(frozen=True, slots=True)
class ListedTrust:
    """A list that we follow, and what it may speak for.

    signers: certificates that may publish it, had from somewhere else. types: (format, requested type) of the
    credentials that its entities may issue. issuance, revocation: types of service whose certificates sign these
    credentials and their status. profile, sd_jwt_ekus, revocation_rule: as in `TrustDomain`, for every entity. form,
    territory: how the list is written; a national list in XML must be this territory's.
    """

    url: str
    signers: tuple[TrustAnchor, ...]
    list_type: str
    types: tuple[tuple[str, str], ...]
    issuance: str
    revocation: str
    profile: CertificateProfile = CertificateProfile.EAA
    sd_jwt_ekus: frozenset[str] | None = None
    revocation_rule: RevocationRule = RevocationRule.REQUIRED
    form: ListForm = ListForm.JSON
    territory: str | None = None

    def __post_init__(self) -> None:
        if not self.signers:
            raise ValueError("a list without a known signer is nobody's list")
        if (self.form is ListForm.XML) != (self.territory is not None):
            raise ValueError("a list in XML is a territory's, and no other is")

    @property
    def media_type(self) -> str:
        """What is asked for at its address."""
        return XML_MEDIA_TYPE if self.form is ListForm.XML else MEDIA_TYPE


class ListEventKind(StrEnum):
    """What became of a list."""

    LOADED = "loaded"  # a newer list is in force
    UNCHANGED = "unchanged"
    REFUSED = "refused"  # what came is not believed; the old list stays until its own end
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"  # there is no list in force: its entities are trusted no longer


@dataclass(frozen=True, slots=True)
class ListEvent:
    """Something that operators want to know; it holds no personal data."""

    kind: ListEventKind
    url: str
    reason: ReasonCode | None = None
    sequence: int | None = None


class ListState(StrEnum):
    """Whether a list speaks for anybody now."""

    IN_FORCE = "in_force"
    EXPIRED = "expired"  # its next update has passed
    MISSING = "missing"  # there never was one that is believed


@dataclass(frozen=True, slots=True)
class ListStanding:
    """How a list stands. next_update: seconds since the epoch. trouble: what became of the last fetch, if not good."""

    url: str
    state: ListState
    sequence: int | None
    next_update: int | None
    trouble: ListEvent | None


@dataclass(frozen=True, slots=True)
class _Built:
    """Trust as these very lists had it, from `begin` until `end` (exclusive); other lists make it worthless."""

    lists: Mapping[str, TrustList]
    begin: int
    end: int
    trust: Trust


class TrustLists:
    """Trust that comes from lists, beside trust that is configured.

    fixed: domains beside those of the lists. on_event: told of every refresh; called from the thread that refreshes.
    refresh_seconds: how often each list is fetched, however long it lives.
    """

    def __init__(
        self,
        lists: Sequence[ListedTrust],
        *,
        store: TrustListStore,
        fetcher: Fetcher,
        fixed: Trust | None = None,
        on_event: Callable[[ListEvent], None] = lambda _event: None,
        refresh_seconds: int = REFRESH_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lists = tuple(lists)
        self._store = store
        self._fetcher = fetcher
        self._fixed: Trust = dict(fixed or {})
        self._on_event = on_event
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._in_force: dict[str, TrustList] = {}
        self._due: dict[str, int] = {}
        self._troubles: dict[str, ListEvent] = {}
        self._built: _Built | None = None
        self._refreshing = threading.Lock()
        for followed in self._lists:
            self._load(followed, now=int(clock()))

    def current(self, *, now: int) -> Trust:
        """Whom to believe now: the domains of every list that is in force, one for each entity. now: in seconds."""
        built = self._built
        if built is None or built.lists is not self._in_force or not built.begin <= now < built.end:
            built = self._build(now)
            self._built = built
        return built.trust

    def standings(self, *, now: int) -> tuple[ListStanding, ...]:
        """How each list stands, for operators. now: in seconds."""
        return tuple(self._standing(followed.url, now=now) for followed in self._lists)

    def _standing(self, url: str, *, now: int) -> ListStanding:
        found, trouble = self._in_force.get(url), self._troubles.get(url)
        if found is None:
            return ListStanding(url, ListState.MISSING, None, None, trouble)
        state = ListState.IN_FORCE if now < found.next_update else ListState.EXPIRED
        return ListStanding(url, state, found.sequence, found.next_update, trouble)

    def refresh(self) -> int:
        """Fetch the lists that are due. Seconds until the next one is.

        A thread that comes while another one is at it does nothing.
        """
        if not self._refreshing.acquire(blocking=False):
            return RETRY_SECONDS
        try:
            for followed in self._lists:
                now = int(self._clock())
                if self._due[followed.url] <= now:
                    self._fetch(followed, now=now)
        finally:
            self._refreshing.release()
        now = int(self._clock())
        return max(1, min((due - now for due in self._due.values()), default=self._refresh_seconds))

    def _fetch(self, followed: ListedTrust, *, now: int) -> None:
        try:
            fetched = self._fetcher.fetch(followed.url, accept=followed.media_type)
        except FetchFailed:
            self._failed(followed, ListEventKind.UNREACHABLE, None, now=now)
            return
        if not 200 <= fetched.http_status < 300:
            self._failed(followed, ListEventKind.UNREACHABLE, None, now=now)
            return
        try:
            found = self._verified(followed, fetched.body, newest_known=self._newest_known(followed), now=now)
        except TrustListError as error:
            self._failed(followed, ListEventKind.REFUSED, error.reason, now=now)
            return
        if not self._store.keep(followed.url, KeptList(found.sequence, found.issued_at, fetched.body)):
            self._failed(followed, ListEventKind.REFUSED, ReasonCode.TRUST_LIST_OLDER, now=now)  # another was faster
            self._load(followed, now=now)
            return
        known = self._in_force.get(followed.url)
        self._put(followed, found, now=now)
        self._troubles.pop(followed.url, None)
        kind = ListEventKind.UNCHANGED if known == found else ListEventKind.LOADED
        self._on_event(ListEvent(kind, followed.url, sequence=found.sequence))

    def _failed(self, followed: ListedTrust, kind: ListEventKind, reason: ReasonCode | None, *, now: int) -> None:
        self._due[followed.url] = now + RETRY_SECONDS
        self._trouble(ListEvent(kind, followed.url, reason))
        known = self._in_force.get(followed.url)
        if known is None or known.next_update <= now:
            self._on_event(ListEvent(ListEventKind.EXPIRED, followed.url))

    def _load(self, followed: ListedTrust, *, now: int) -> None:
        """Take up what lies in the store; it is judged anew, for who may sign may have changed."""
        self._due[followed.url] = now
        kept = self._store.newest(followed.url)
        if kept is None:
            return
        try:
            found = self._verified(followed, kept.token, newest_known=(kept.sequence, kept.issued_at), now=now)
        except TrustListError as error:
            self._trouble(ListEvent(ListEventKind.REFUSED, followed.url, error.reason))
            return
        self._put(followed, found, now=now)
        self._due[followed.url] = now

    def _trouble(self, event: ListEvent) -> None:
        self._troubles[event.url] = event
        self._on_event(event)

    def _put(self, followed: ListedTrust, found: TrustList, *, now: int) -> None:
        self._in_force = {**self._in_force, followed.url: found}
        self._due[followed.url] = now + min(self._refresh_seconds, max(RETRY_SECONDS, (found.next_update - now) // 2))

    def _newest_known(self, followed: ListedTrust) -> tuple[int, int] | None:
        kept = self._store.newest(followed.url)
        return None if kept is None else (kept.sequence, kept.issued_at)

    def _verified(
        self, followed: ListedTrust, token: bytes, *, newest_known: tuple[int, int] | None, now: int
    ) -> TrustList:
        if followed.territory is not None:
            from specs.trust.trusted_list_xml import verify_trusted_list_xml  # behind the extra [trust]

            found = verify_trusted_list_xml(
                token,
                signers=followed.signers,
                expected_territory=followed.territory,
                newest_known=newest_known,
                now=now,
            )
            if found.type != followed.list_type:
                raise TrustListError(ReasonCode.TRUST_LIST_MALFORMED, "another type of list")
            return found
        return verify_trust_list(
            token, signers=followed.signers, expected_type=followed.list_type, newest_known=newest_known, now=now
        )

    def _build(self, now: int) -> "_Built":
        domains: dict[tuple[str, str], list[TrustDomain]] = {key: list(fixed) for key, fixed in self._fixed.items()}
        end = now + self._refresh_seconds
        in_force = self._in_force
        for followed in self._lists:
            found = in_force.get(followed.url)
            if found is None or found.next_update <= now:
                continue
            end = min(end, found.next_update, *_beginnings(found, after=now))
            for domain in _domains(found, followed, now=now):
                for key in followed.types:
                    domains.setdefault(key, []).append(domain)
        return _Built(in_force, now, end, {key: tuple(found) for key, found in domains.items()})


def _domains(found: TrustList, followed: ListedTrust, *, now: int) -> list[TrustDomain]:
    """One domain for each entity that may issue: its own anchors for credentials, and its own for their status."""
    domains: list[TrustDomain] = []
    for entity in found.entities:
        anchors = trusted_services(found, entity, service_type=followed.issuance, now=now)
        if anchors:
            status = trusted_services(found, entity, service_type=followed.revocation, now=now)
            domains.append(
                TrustDomain(
                    name=entity.name,
                    anchors=tuple(anchors),
                    status_anchors=tuple(status),
                    profile=followed.profile,
                    sd_jwt_ekus=followed.sd_jwt_ekus,
                    revocation=followed.revocation_rule,
                    identifier=entity.identifier,
                )
            )
    return domains


def _beginnings(found: TrustList, *, after: int) -> Iterator[int]:
    """When services of a list begin to count that don't yet."""
    for entity in found.entities:
        for service in entity.services:
            if service.since is not None and service.since > after:
                yield service.since
