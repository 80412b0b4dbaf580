"""The fetcher that remembers (vf-013): fetched once for many, never exchanged for something worse, bounded."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from specs.credentials.identifier_list import IDENTIFIER_LIST_CWT, build_identifier_list
from specs.credentials.status_list import (
    JWT_TYP,
    StatusMediaType,
    build_status_list,
    build_status_list_cwt,
    build_status_list_jwt,
    compress,
)
from specs.encoding import base64url, strict_json
from specs.keys.jose import build_jws, x5c_header
from tests.specs.trust.drawing import draw_two
from tests.specs.trust.test_ocsp import Reply
from tests.verifier.desk import Clock, Desk, reason_of
from tests.verifier.world import DAY, HOUR, NOW, STATUS_URI, World
from verifier import Fetched
from verifier.background import Background
from verifier.cache import CachingFetcher
from verifier.check.revocation import CRL_MEDIA_TYPE, OCSP_MEDIA_TYPE
from verifier.fetch import FetchFailed
from verifier.freshness import REVOCATION_SECONDS, STATUS_SECONDS

JWT, CWT = StatusMediaType.JWT, StatusMediaType.CWT


@dataclass
class Host:
    """Somebody's server: what lies there, and how often it was asked."""

    clock: Clock
    documents: dict[str, tuple[bytes, str, int]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gate: threading.Event | None = None

    def fetch(self, url: str, *, accept: str) -> Fetched:
        """The document."""
        self.asked.append(url)
        if self.gate is not None:
            assert self.gate.wait(10)
        if url not in self.documents:
            raise FetchFailed("nobody there")
        body, media_type, status = self.documents[url]
        return Fetched(body, status, media_type, self.clock.now)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@dataclass
class Kept:
    """A cache before a host with a status list."""

    world: World
    clock: Clock = field(default_factory=lambda: Clock(NOW))

    def __post_init__(self) -> None:
        self.host = Host(self.clock)
        self.cache = CachingFetcher(self.host, clock=self.clock)
        self.put(self.list())

    def list(
        self, *, issued_at: int = NOW, ttl: int = 300, expires_at: int = NOW + DAY, uri: str = STATUS_URI
    ) -> bytes:
        """A list in JWT form."""
        statuses = build_status_list(bits=1, size=1000, statuses={})
        identity = self.world.status_identity
        return build_status_list_jwt(
            statuses, identity=identity, uri=uri, issued_at=issued_at, expires_at=expires_at, ttl=ttl
        ).encode()

    def put(self, body: bytes, media_type: str = JWT, *, status: int = 200, url: str = STATUS_URI) -> None:
        """This lies at an address."""
        self.host.documents[url] = (body, media_type, status)

    def get(self, accept: str = JWT, url: str = STATUS_URI) -> bytes:
        """What an answer is judged by."""
        return self.cache.fetch(url, accept=accept).body


@pytest.fixture
def kept(world: World) -> Kept:
    return Kept(world)


def test_an_identifier_list_is_fetched_once_until_its_ttl_ends(kept: Kept) -> None:
    def published(at: int) -> bytes:
        return build_identifier_list(
            [b"1"], identity=kept.world.status_identity, uri=STATUS_URI, issued_at=at, expires_at=NOW + DAY, ttl=100
        )

    first, newer = published(NOW), published(NOW + 100)
    kept.put(first, IDENTIFIER_LIST_CWT)
    assert kept.get(IDENTIFIER_LIST_CWT) == first
    kept.put(newer, IDENTIFIER_LIST_CWT)
    kept.clock.now += 99
    assert kept.get(IDENTIFIER_LIST_CWT) == first
    kept.clock.now += 1
    assert kept.get(IDENTIFIER_LIST_CWT) == newer
    assert kept.host.asked == [STATUS_URI] * 2


def test_a_list_is_fetched_once_until_its_ttl_ends(kept: Kept) -> None:
    first = kept.get()
    for _ in range(5):
        assert kept.get() == first
    kept.clock.now += 299
    kept.get()
    assert kept.host.asked == [STATUS_URI]
    kept.clock.now += 1
    newer = kept.list(issued_at=NOW + 300)
    kept.put(newer)
    assert kept.get() == newer
    assert len(kept.host.asked) == 2


def test_the_time_of_the_fetch_stays_with_the_copy(kept: Kept) -> None:
    kept.get()
    kept.clock.now += 200
    assert kept.cache.fetch(STATUS_URI, accept=JWT).fetched_at == NOW


def test_the_end_of_a_list_counts_where_it_is_earlier_than_its_ttl(kept: Kept) -> None:
    kept.put(kept.list(expires_at=NOW + 100))
    kept.get()
    kept.clock.now += 100
    newer = kept.list(issued_at=NOW + 100)
    kept.put(newer)
    assert kept.get() == newer


WORSE: dict[str, Callable[[Kept], None]] = {
    "older": lambda kept: kept.put(kept.list(issued_at=NOW - 60)),
    "another list's": lambda kept: kept.put(kept.list(issued_at=NOW + 250, uri="https://issuer.example/other")),
    "expired": lambda kept: kept.put(kept.list(issued_at=NOW + 250, expires_at=NOW + 1)),
    "from the future": lambda kept: kept.put(kept.list(issued_at=NOW + HOUR)),
    "altered": lambda kept: kept.put(kept.list(issued_at=NOW + 250)[:-6] + b"AAAAAA"),
    "no list": lambda kept: kept.put(b"<html>"),
    "empty": lambda kept: kept.put(b""),
    "of another kind": lambda kept: kept.put(kept.list(issued_at=NOW + 250), "text/html"),
    "an error": lambda kept: kept.put(b"gone", status=503),
    "nothing": lambda kept: kept.host.documents.clear(),
}


@pytest.mark.parametrize("worse", WORSE.values(), ids=WORSE.keys())
def test_what_is_kept_is_never_exchanged_for_something_worse(worse: Callable[[Kept], None], kept: Kept) -> None:
    good = kept.get()
    kept.clock.now += 250
    worse(kept)
    kept.cache.refresh()
    assert len(kept.host.asked) == 2, "it was fetched ahead"
    assert kept.get() == good
    kept.clock.now += 49
    assert kept.get() == good, "and stays until its own end"


@pytest.mark.parametrize(
    "worse", [WORSE["older"], WORSE["altered"], WORSE["an error"]], ids=["older", "altered", "error"]
)
def test_beyond_its_own_end_nothing_is_clung_to(worse: Callable[[Kept], None], kept: Kept) -> None:
    good = kept.get()
    kept.clock.now += 301
    worse(kept)
    assert kept.get() != good


def test_a_host_that_is_gone_is_told_of_once_the_copy_ended(kept: Kept) -> None:
    kept.get()
    kept.host.documents.clear()
    kept.clock.now += 301
    with pytest.raises(FetchFailed):
        kept.get()


def test_a_list_that_names_no_end_is_not_used_once_it_can_not_be_asked_for_again(kept: Kept, world: World) -> None:
    content = {"bits": 1, "lst": base64url.encode(compress(bytes(125)))}
    claims = {"sub": STATUS_URI, "iat": NOW, "status_list": content}
    identity = world.status_identity
    header = {"x5c": x5c_header(identity.chain)}
    endless = build_jws(strict_json.dumps(claims), signer=identity.signer, typ=JWT_TYP, header=header).encode()
    kept.put(endless)
    assert kept.get() == endless
    kept.host.documents.clear()
    kept.clock.now += STATUS_SECONDS - 1
    assert kept.get() == endless
    kept.clock.now += 1
    with pytest.raises(FetchFailed):
        kept.get()


def test_a_list_without_ttl_is_asked_for_again_and_used_until_its_end(kept: Kept, world: World) -> None:
    statuses = build_status_list(bits=1, size=1000, statuses={})
    cwt = build_status_list_cwt(
        statuses, identity=world.status_identity, uri=STATUS_URI, issued_at=NOW, expires_at=NOW + HOUR, ttl=300
    )
    kept.put(cwt, CWT)
    assert kept.get(CWT) == cwt
    crl = revocation_list()
    kept.put(crl, CRL_MEDIA_TYPE, url="http://crl.example")
    assert kept.get(CRL_MEDIA_TYPE, "http://crl.example") == crl
    kept.clock.now += REVOCATION_SECONDS
    kept.host.documents.clear()
    assert kept.get(CRL_MEDIA_TYPE, "http://crl.example") == crl, "in time by its own word"
    assert kept.host.asked.count("http://crl.example") == 2
    kept.clock.now += DAY
    with pytest.raises(FetchFailed):
        kept.get(CRL_MEDIA_TYPE, "http://crl.example")


def revocation_list(*, updated: int = NOW - HOUR) -> bytes:
    """A list of withdrawals."""
    root = draw_two().drawings[1]
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.subject)
    builder = builder.last_update(datetime.fromtimestamp(updated, UTC))
    builder = builder.next_update(datetime.fromtimestamp(updated + DAY, UTC))
    return builder.sign(root.key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_answers_of_responders_are_kept_too(kept: Kept) -> None:
    leaf, root = draw_two().drawings
    answer = Reply(leaf, root).signed(NOW)
    url = "http://ocsp.example/q"
    kept.put(answer, OCSP_MEDIA_TYPE, url=url)
    assert kept.get(OCSP_MEDIA_TYPE, url) == answer
    assert kept.get(OCSP_MEDIA_TYPE, url) == answer
    assert kept.host.asked == [url]
    kept.put(b"tryLater", OCSP_MEDIA_TYPE, url="http://ocsp.example/other")
    for _ in range(2):
        kept.get(OCSP_MEDIA_TYPE, "http://ocsp.example/other")
    assert kept.host.asked.count("http://ocsp.example/other") == 2, "what does not hold is not kept"


def test_what_has_no_known_life_is_fetched_each_time(kept: Kept) -> None:
    kept.put(b"{}", "application/json", url="https://a.example")
    for _ in range(3):
        kept.get("application/json", "https://a.example")
    assert len(kept.host.asked) == 3


def test_many_who_want_one_list_share_one_fetch(kept: Kept) -> None:
    kept.host.gate = threading.Event()
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(kept.get())) for _ in range(16)]
    for thread in threads:
        thread.start()
    kept.host.gate.set()
    for thread in threads:
        thread.join()
    assert len(got) == 16
    assert len(set(got)) == 1
    assert kept.host.asked == [STATUS_URI]


def test_a_fetch_that_fails_fails_for_all_and_is_tried_again(kept: Kept) -> None:
    document = kept.host.documents.pop(STATUS_URI)
    kept.host.gate = threading.Event()
    failures: list[str] = []

    def want() -> None:
        try:
            kept.get()
        except FetchFailed as failure:
            failures.append(str(failure))

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    kept.host.gate.set()
    for thread in threads:
        thread.join()
    assert set(failures) == {"nobody there"}
    kept.host.documents[STATUS_URI] = document
    assert kept.get() == document[0]


def test_a_fetcher_that_breaks_keeps_nobody_waiting(kept: Kept) -> None:
    def broken(url: str, *, accept: str) -> Fetched:
        raise LookupError(url)

    kept.host.fetch = broken  # type: ignore[method-assign]
    with pytest.raises(LookupError):
        kept.get()
    with pytest.raises(LookupError):
        kept.get()


def test_memory_is_bounded_by_bytes_and_by_number(world: World) -> None:
    clock = Clock(NOW)
    host = Host(clock)
    lists = Kept(world)
    urls = [f"https://issuer.example/{number}" for number in range(4)]
    for url in urls:
        host.documents[url] = (lists.list(uri=url), JWT, 200)
    size = len(host.documents[urls[0]][0])
    for cache in (
        CachingFetcher(host, max_bytes=size * 2 + 50, clock=clock),
        CachingFetcher(host, max_documents=2, clock=clock),
    ):
        host.asked.clear()
        for url in (*urls[:2], urls[0], urls[2], urls[0], urls[1]):
            cache.fetch(url, accept=JWT)
        assert host.asked == [urls[0], urls[1], urls[2], urls[1]], "the one not used for longest went"
    tiny = CachingFetcher(host, max_bytes=10, clock=clock)
    host.asked.clear()
    for _ in range(2):
        tiny.fetch(urls[0], accept=JWT)
    assert len(host.asked) == 2


def test_what_is_used_is_fetched_ahead_and_what_is_not_lapses(kept: Kept) -> None:
    kept.get()
    kept.clock.now += 200
    kept.cache.refresh()
    assert len(kept.host.asked) == 1, "too early"
    kept.clock.now += 45
    kept.put(kept.list(issued_at=NOW + 245))
    kept.cache.refresh()
    assert len(kept.host.asked) == 2
    kept.clock.now += 250
    kept.cache.refresh()
    assert len(kept.host.asked) == 2, "nobody used it since"
    assert STATUS_SECONDS == 300


def test_the_service_fetches_a_list_once_for_many_answers_in_the_background_too() -> None:
    desk = Desk()
    clock = desk.clock
    cache = CachingFetcher(desk.shelf, clock=clock)
    desk.fetcher = cache
    for _ in range(3):
        asking = desk.ask()
        assert reason_of(desk.receive(asking, desk.answer(asking))) is None
    assert desk.shelf.asked_for == [STATUS_URI]
    clock.now += 250
    fetched = threading.Event()
    real = desk.shelf.fetch

    def telling(url: str, *, accept: str) -> Fetched:
        try:
            return replace(real(url, accept=accept), fetched_at=clock.now)
        finally:
            fetched.set()

    desk.shelf.fetch = telling  # type: ignore[method-assign]
    with Background([cache.refresh]):
        assert fetched.wait(10)
    assert desk.shelf.asked_for == [STATUS_URI, STATUS_URI]


def judged_by(kept: Kept, *, believed: bool) -> Fetched:
    """An answer is judged by what the cache gives."""
    fetched = kept.cache.fetch(STATUS_URI, accept=JWT)
    kept.cache.settle(STATUS_URI, fetched, believed=believed)
    return fetched


def test_what_no_accepted_answer_was_judged_by_goes_with_the_first_refusal(kept: Kept) -> None:
    """One injected document would else deny everybody service for as long as it claims to live."""
    good = kept.host.documents[STATUS_URI]
    kept.put(kept.list(issued_at=NOW - 5))
    judged_by(kept, believed=False)
    kept.host.documents[STATUS_URI] = good
    assert judged_by(kept, believed=True).body == good[0]
    assert len(kept.host.asked) == 2
    judged_by(kept, believed=False)
    assert judged_by(kept, believed=True).body == good[0], "a refusal for other reasons drops nothing that was believed"
    assert len(kept.host.asked) == 2


def test_a_believed_document_comes_back_in_place_of_one_that_was_slipped_in(kept: Kept) -> None:
    good = judged_by(kept, believed=True)
    kept.clock.now += 250
    kept.put(kept.list(issued_at=NOW + 250, ttl=3600))
    kept.cache.refresh()
    assert judged_by(kept, believed=False).body != good.body
    assert kept.get() == good.body
    kept.host.documents.clear()
    kept.clock.now += 40
    assert kept.get() == good.body


def test_a_document_of_a_refused_answer_is_fetched_anew_for_the_next(world: World) -> None:
    """The service tells its cache: a list by a key of nobody's refuses one answer, not those of a whole day."""
    desk = Desk(world)
    cache = CachingFetcher(desk.shelf, clock=desk.clock)
    desk.fetcher = cache
    good = desk.shelf.documents[STATUS_URI, JWT]
    injected = Kept(World()).list()
    desk.shelf.documents[STATUS_URI, JWT] = Fetched(injected, 200, JWT, NOW)
    asking = desk.ask()
    assert reason_of(desk.receive(asking, desk.answer(asking))) is not None
    desk.shelf.documents[STATUS_URI, JWT] = good
    for _ in range(2):
        asking = desk.ask()
        assert reason_of(desk.receive(asking, desk.answer(asking))) is None
    assert desk.shelf.asked_for == [STATUS_URI, STATUS_URI]
