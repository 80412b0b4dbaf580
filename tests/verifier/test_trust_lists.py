"""Trust from published lists (vf-014): a refused one leaves the old one in force until its end, then nobody."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from specs.trust.trust_list import PID_PROVIDERS, TrustList
from specs.trust.trusted_list_xml import EU_GENERIC, QEAA_ISSUANCE
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.defects import Defect, defect, defects
from tests.specs.trust.drawing import NOW as XML_NOW
from tests.specs.trust.lists import ISSUANCE, REVOCATION, Published, entity, plain_list, publisher
from tests.specs.trust.test_trusted_list_xml import document as xml_document
from tests.specs.trust.test_trusted_list_xml import signed as xml_signed
from tests.specs.trust.test_trusted_list_xml import signer as xml_signer
from tests.verifier.desk import Clock, Desk, Shelf, reason_of
from tests.verifier.world import CLIENT_ID, DAY, DOC_TYPE, HOUR, NONCE, QUERY, VCT, World
from verifier import Fetched, ReasonCode, RevocationRule, Verdict
from verifier.background import Background
from verifier.expectations import Trust
from verifier.outcome import outcome_from_bytes
from verifier.stores.trust_lists import FolderTrustListStore, KeptList, MemoryTrustListStore, TrustListStore
from verifier.trust_lists import (
    MEDIA_TYPE,
    RETRY_SECONDS,
    XML_MEDIA_TYPE,
    ListedTrust,
    ListEvent,
    ListEventKind,
    ListForm,
    TrustLists,
)
from verifier.verify import verify_presentation

URL = "https://lists.example/pid.jwt"
TYPES = (("dc+sd-jwt", VCT), ("mso_mdoc", DOC_TYPE))


@dataclass
class Following:
    """A list that is followed, who publishes it, and a clock."""

    world: World = field(default_factory=World)
    store: TrustListStore = field(default_factory=MemoryTrustListStore)
    shelf: Shelf = field(default_factory=Shelf)
    events: list[ListEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Clock(self.world.now)
        self.identity = publisher(self.world.now)
        self.publish(self.signed())
        self.lists = self.started()
        self.lists.refresh()

    def content(self) -> TrustList:
        """The list: one provider, whose authority and status authority are the world's."""
        own = entity("Provider", self.world.authority.certificate, status=(self.world.status_authority.certificate,))
        return plain_list(own, now=self.world.now)

    def signed(self, change: Callable[[Published], Published] = lambda published: published) -> str:
        """The list as it is published."""
        return change(Published(self.identity, self.content())).text()

    def publish(self, text: str | None, *, http_status: int = 200) -> None:
        """This lies at the list's address from now on; None: nothing."""
        found = None if text is None else Fetched(text.encode(), http_status, MEDIA_TYPE, self.clock.now)
        self.shelf.documents[URL, MEDIA_TYPE] = found

    def publishing(self, change: Callable[[Published], Published]) -> "Following":
        """Something else is published."""
        self.publish(self.signed(change))
        return self

    def started(self) -> TrustLists:
        """A follower that begins now."""
        followed = ListedTrust(
            URL,
            (TrustAnchor(AnchorKind.LISTED, self.identity.chain[0], "operator"),),
            PID_PROVIDERS,
            TYPES,
            ISSUANCE,
            REVOCATION,
            revocation_rule=RevocationRule.OFF,
        )
        return TrustLists(
            [followed], store=self.store, fetcher=self.shelf, on_event=self.events.append, clock=self.clock
        )

    def later(self, seconds: int) -> "Following":
        """Time passes, and the lists are refreshed where that is due."""
        self.clock.now += seconds
        self.lists.refresh()
        return self

    def judged(self) -> Verdict:
        """A presentation, judged by the lists now."""
        moved = replace(self.world, now=self.clock.now)
        moved.__dict__.update({name: value for name, value in self.world.__dict__.items() if name != "now"})
        return verify_presentation(
            {"pid": [moved.present_sd_jwt(moved.sd_jwt())]},
            query=QUERY,
            nonce=NONCE,
            client_id=CLIENT_ID,
            binding=moved.binding,
            trust=self.lists.current(now=self.clock.now),
            status_lists=moved.status_lists(),
            now=self.clock.now,
        )


@defect("vf-014", refused_as=ReasonCode.TRUST_LIST_UNTRUSTED)
def unsigned(case: Following) -> Following:
    """TS 119 602: a list without a signature is nobody's."""
    return case.publishing(lambda published: replace(published, header={"alg": "none"}))


@defect("vf-014b", refused_as=ReasonCode.TRUST_LIST_UNTRUSTED)
def signed_by_another(case: Following) -> Following:
    """TS 119 602: another operator of the same name."""
    return case.publishing(lambda published: replace(published, identity=publisher(case.world.now)))


@defect("vf-014c", refused_as=ReasonCode.TRUST_LIST_OLDER)
def number_goes_back(case: Following) -> Following:
    """TS 119 602: an earlier list, played again."""
    return case.publishing(lambda published: replace(published, content=replace(published.content, sequence=4)))


@defect("vf-014d", refused_as=ReasonCode.TRUST_LIST_EXPIRED)
def past_its_next_update(case: Following) -> Following:
    """TS 119 602: a list that ended."""
    now = case.clock.now
    ended = replace(case.content(), sequence=6, issued_at=now - 9 * DAY, next_update=now - HOUR)
    return case.publishing(lambda published: replace(published, content=ended))


@defect("vf-014e", refused_as=ReasonCode.TRUST_LIST_MALFORMED)
def of_another_type(case: Following) -> Following:
    """TS 119 602: wallet providers vouch for no PID."""
    other = PID_PROVIDERS.replace("PID", "Wallet")
    return case.publishing(lambda published: replace(published, content=replace(published.content, type=other)))


CASES: list[Defect[Following]] = [case for case in defects("vf") if case.apply.__module__ == __name__]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_list_that_is_refused_leaves_the_old_one_in_force_until_its_end(case: Defect[Following]) -> None:
    following = Following()
    assert following.judged().accepted
    following.clock.now += HOUR
    case.apply(following).later(0)
    assert following.events[-1] == ListEvent(ListEventKind.REFUSED, URL, case.refused_as)  # type: ignore[arg-type]
    assert following.judged().accepted, "the old list stays"
    following.later(30 * DAY)
    assert following.judged().reason is ReasonCode.TRUST_NOT_CONFIGURED
    assert following.events[-1] == ListEvent(ListEventKind.EXPIRED, URL)


def test_a_host_that_is_down_for_a_week_stops_nothing() -> None:
    following = Following()
    following.publish(None)
    for _ in range(7):
        assert following.later(DAY).judged().accepted
    assert following.events[-1] == ListEvent(ListEventKind.UNREACHABLE, URL)
    following.publish("nobody", http_status=503)
    assert following.later(DAY).events[-1].kind is ListEventKind.UNREACHABLE
    following.publish(following.signed())
    assert following.later(RETRY_SECONDS).events[-1].kind is ListEventKind.UNCHANGED


def test_who_is_removed_is_trusted_no_longer_at_once() -> None:
    following = Following()
    assert following.judged().accepted
    other = World(now=following.world.now)
    without = plain_list(entity("Another", other.authority.certificate), now=following.world.now, sequence=6)
    following.publish(following.signed(lambda published: replace(published, content=without)))
    following.later(HOUR)
    assert following.events[-1] == ListEvent(ListEventKind.LOADED, URL, sequence=6)
    assert following.judged().reason is ReasonCode.CERTIFICATE_UNTRUSTED


def test_who_is_removed_while_trust_is_being_put_together_is_not_trusted_for_longer() -> None:
    following = Following()
    other = World(now=following.world.now)
    without = plain_list(entity("Another", other.authority.certificate), now=following.world.now, sequence=6)
    following.publish(following.signed(lambda published: replace(published, content=without)))
    following.clock.now += HOUR
    lists = following.lists
    building = lists._build

    def overtaken(now: int) -> object:
        built = building(now)
        lists.refresh()  # as another thread does, between the building and its end
        return built

    lists._build = overtaken  # type: ignore[assignment,method-assign]
    lists.current(now=following.clock.now)
    lists._build = building  # type: ignore[method-assign]

    assert following.events[-1] == ListEvent(ListEventKind.LOADED, URL, sequence=6)
    assert following.judged().reason is ReasonCode.CERTIFICATE_UNTRUSTED


def test_each_entity_has_a_domain_of_its_own_so_that_nobody_vouches_for_anothers_status() -> None:
    following = Following()
    other = World(now=following.world.now)
    mixed = plain_list(
        entity("Provider", following.world.authority.certificate, status=(other.status_authority.certificate,)),
        entity("Other", other.authority.certificate, status=(following.world.status_authority.certificate,)),
        now=following.world.now,
        sequence=6,
    )
    following.publish(following.signed(lambda published: replace(published, content=mixed)))
    assert following.later(HOUR).judged().reason is ReasonCode.STATUS_LIST_UNTRUSTED


def test_a_list_speaks_for_its_types_alone() -> None:
    following = Following()
    trust = following.lists.current(now=following.clock.now)
    assert set(trust) == set(TYPES)
    (domain,) = trust[TYPES[0]]
    assert (domain.name, domain.anchors[0].name) == ("Provider", "Provider")


def refusals(following: Following) -> list[ReasonCode | None]:
    """Why lists were refused, in order."""
    return [event.reason for event in following.events if event.kind is ListEventKind.REFUSED]


@pytest.mark.parametrize("kind", [MemoryTrustListStore, FolderTrustListStore])
def test_a_restart_forgets_neither_the_list_nor_its_number(kind: type[TrustListStore], tmp_path: Path) -> None:
    store = FolderTrustListStore(tmp_path / "lists") if kind is FolderTrustListStore else MemoryTrustListStore()
    following = Following(store=store)
    following.publish(None)
    following.lists = following.started()
    assert following.judged().accepted, "before anything is fetched"
    number_goes_back(following).later(0)
    assert refusals(following)[-1] is ReasonCode.TRUST_LIST_OLDER
    following.identity = publisher(following.world.now)
    following.lists = following.started()
    assert refusals(following)[-1] is ReasonCode.TRUST_LIST_UNTRUSTED, "another signer is believed now"
    number_goes_back(following).later(0)
    assert refusals(following)[-1] is ReasonCode.TRUST_LIST_OLDER, "and still no list goes back"


def test_of_two_processes_the_newer_list_wins(tmp_path: Path) -> None:
    one, other = FolderTrustListStore(tmp_path), FolderTrustListStore(tmp_path)
    assert one.keep(URL, KeptList(6, 10, b"six"))
    assert not other.keep(URL, KeptList(5, 20, b"five"))
    assert not other.keep(URL, KeptList(6, 9, b"earlier six"))
    assert other.keep(URL, KeptList(6, 10, b"six again"))
    assert one.newest(URL) == KeptList(6, 10, b"six again")
    assert one.newest("https://other.example") is None


def test_many_threads_keep_the_newest(tmp_path: Path) -> None:
    store = FolderTrustListStore(tmp_path)
    threads = [
        threading.Thread(target=store.keep, args=(URL, KeptList(number, 1, b"%d" % number))) for number in range(1, 33)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.newest(URL) == KeptList(32, 1, b"32")


def test_a_list_is_fetched_long_before_it_ends_and_not_at_each_question() -> None:
    following = Following()
    asked = len(following.shelf.asked_for)
    wait = following.lists.refresh()
    assert len(following.shelf.asked_for) == asked
    assert 0 < wait <= HOUR
    following.later(wait)
    assert len(following.shelf.asked_for) == asked + 1
    first = following.lists.current(now=following.clock.now)
    assert following.lists.current(now=following.clock.now + 1) is first, "built once"


def test_trust_that_is_configured_stands_beside_that_of_lists() -> None:
    following = Following()
    world = following.world
    fixed: Trust = {("dc+sd-jwt", "urn:example:other"): (world.domain,), TYPES[0]: (world.domain,)}
    lists = TrustLists([], store=following.store, fetcher=following.shelf, fixed=fixed, clock=following.clock)
    assert lists.current(now=world.now) == fixed
    assert lists.refresh() > 0


def test_a_list_without_a_known_signer_is_nobodys() -> None:
    with pytest.raises(ValueError, match="signer"):
        ListedTrust(URL, (), PID_PROVIDERS, TYPES, ISSUANCE, REVOCATION)


def test_lists_are_refreshed_in_the_background() -> None:
    following = Following()
    loaded = threading.Event()
    lists = following.started()
    lists._on_event = lambda event: loaded.set() if event.kind is ListEventKind.UNCHANGED else None
    with Background([lists.refresh]) as background:
        assert loaded.wait(10)
    assert not background._thread.is_alive()


def test_a_task_that_fails_is_told_of_and_stops_no_other() -> None:
    told: list[Exception] = []
    ran = threading.Event()

    def failing() -> float:
        raise LookupError("gone")

    def working() -> float:
        ran.set()
        return 60

    with Background([failing, working], on_error=told.append):
        assert ran.wait(10)
    assert [type(error) for error in told] == [LookupError]


def test_the_service_judges_by_the_lists_as_they_are_when_the_answer_comes() -> None:
    following = Following()
    desk = Desk(following.world)
    desk.trust = following.lists
    asking = desk.ask()
    assert reason_of(desk.receive(asking, desk.answer(asking))) is None
    asking = desk.ask()
    without = plain_list(entity("Another", World().authority.certificate), now=following.world.now, sequence=6)
    following.publish(following.signed(lambda published: replace(published, content=without)))
    following.later(HOUR)
    assert reason_of(desk.receive(asking, desk.answer(asking))) == ReasonCode.CERTIFICATE_UNTRUSTED


def test_a_national_list_in_xml_is_followed_too() -> None:
    """ETSI TS 119 612: what a qualified provider's CA certifies."""
    body = xml_signed(xml_document())
    clock, shelf = Clock(XML_NOW), Shelf()
    events: list[ListEvent] = []
    shelf.documents[URL, XML_MEDIA_TYPE] = Fetched(body, 200, XML_MEDIA_TYPE, XML_NOW)
    pinned = TrustAnchor(AnchorKind.LISTED, xml_signer()[1].public_bytes(Encoding.DER), "agency")
    followed = ListedTrust(
        URL, (pinned,), EU_GENERIC, (("dc+sd-jwt", "urn:example:qeaa"),), QEAA_ISSUANCE, "none",
        form=ListForm.XML, territory="DE",
    )  # fmt: skip
    for following, kind in (
        (followed, ListEventKind.LOADED),
        (replace(followed, territory="FR"), ListEventKind.EXPIRED),
        (replace(followed, list_type="http://x"), ListEventKind.EXPIRED),
    ):
        lists = TrustLists(
            [following], store=MemoryTrustListStore(), fetcher=shelf, on_event=events.append, clock=clock
        )
        lists.refresh()
        assert events[-1].kind is kind
    lists = TrustLists([followed], store=MemoryTrustListStore(), fetcher=shelf, clock=clock)
    lists.refresh()
    ((domain,),) = lists.current(now=XML_NOW).values()
    assert (domain.name, domain.anchors[0].kind) == ("Provider", AnchorKind.CA)
    with pytest.raises(ValueError, match="territory"):
        replace(followed, territory=None)


def test_an_entity_is_known_by_its_registration_when_its_name_changes() -> None:
    """ETSI TS 119 602: a trade name with the official registration (EN 319 412-1 §5.1.4) comes into the verdict."""
    following = Following()
    for name in ("Stadt Leipzig", "Stadt Leipzig, Bürgerdienste"):
        own = replace(following.content().entities[0], name=name, identifier="VATDE-123456789")
        newer = replace(following.content(), entities=(own,), sequence=following.content().sequence + len(name))
        following.publish(Published(following.identity, newer).text())
        following.later(HOUR)
        desk = Desk(following.world, trust=following.lists)
        asking = desk.ask()
        assert reason_of(desk.receive(asking, desk.answer(asking))) is None
        row = desk.store.by_id(asking.question.id, now=following.world.now)
        assert row is not None
        outcome = outcome_from_bytes(desk.verifier._seal.open(row.outcome, bound_to=f"outcome:{row.id}"))
        (credential,) = outcome.verdict.credentials
        assert (credential.trust_domain, credential.issuer_id) == (name, "VATDE-123456789")
