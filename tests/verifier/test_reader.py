"""A reader at a counter, from the code to the verdict: over a line to a phone in the same process."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from specs.credentials.mdoc import Validity
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.status_list import StatusReference
from specs.protocols.proximity import SessionStatus, build_session_data, parse_device_engagement, parse_session_data
from tests.verifier.desk import Clock, Shelf
from tests.verifier.test_proximity import Phone
from tests.verifier.world import DOC_TYPE, ELEMENTS, HOUR, MDOC_QUERY, NAME_SPACE, World
from verifier import Policy, Procedure, ReasonCode, StatusRule, Verdict
from verifier.cache import CachingFetcher
from verifier.fetch import Fetcher
from verifier.proximity import DeviceUnreachable
from verifier.reader import Reader


@dataclass
class PhoneLine:
    """What the reader sends is heard by the phone, which answers its first message. hears: how many it stays for."""

    phone: Phone
    hears: int = 2
    change: Callable[[bytes], bytes] = lambda sealed: sealed
    heard: list[bytes] = field(default_factory=list)

    def send(self, message: bytes) -> None:
        """Hear a message, if the phone is still there."""
        if len(self.heard) >= self.hears:
            raise DeviceUnreachable("gone")
        self.heard.append(message)

    def receive(self) -> bytes:
        """The phone's answer."""
        channel, transcript = self.phone.session(self.heard[0])
        return build_session_data(data=self.change(channel.seal(self.phone.response(transcript))))

    def farewell(self) -> int | None:
        """The status by which the reader ended the session."""
        (_, last) = self.heard
        return parse_session_data(last).status


class Inside(World):
    """A world whose cards say that their status is told inside the verifier's own network."""

    def mdoc(self, *, idx: int = 7, **elements: object) -> bytes:
        """The encoded IssuerSigned."""
        return build_issuer_signed(
            mdoc_identity(self.mdoc_identity),
            doc_type=DOC_TYPE,
            claims={NAME_SPACE: {**ELEMENTS, **elements}},
            device_key=self.holder.public_key,
            validity=Validity(signed=self.now - HOUR, valid_from=self.now - HOUR, valid_until=self.now + HOUR),
            status=StatusReference("https://127.0.0.1/status", idx),
        )


def cut_short(sealed: bytes) -> bytes:
    return sealed[:-1]


def shelf_of(world: World) -> Shelf:
    return Shelf(dict(world.status_lists()))


def reader(world: World, fetcher: Fetcher | None, *, policy: Policy | None = None) -> Reader:
    asked = Procedure(id="card", query=MDOC_QUERY, policy=policy or Policy(status=StatusRule.REQUIRED))
    return Reader(procedures={"card": asked}, trust=world.trust, fetcher=fetcher, clock=Clock(world.now))


def read(world: World, line: PhoneLine, fetcher: Fetcher | None = None) -> Verdict:
    engagement = parse_device_engagement(line.phone.engagement)
    return reader(world, fetcher or shelf_of(world)).read("card", engagement, line)


@pytest.fixture
def world() -> World:
    return World()


def test_a_card_is_read_and_its_holder_told_that_it_is_over(world: World) -> None:
    line = PhoneLine(Phone(world))
    verdict = read(world, line)
    assert verdict.accepted, verdict.reason
    assert verdict.claims("pid")[NAME_SPACE] == {"family_name": "LINDENAU", "resident_city": "LEIPZIG"}
    assert line.farewell() == SessionStatus.TERMINATION


def test_a_revoked_card_is_found_out(world: World) -> None:
    revoked = Shelf(dict(world.status_lists(states={7: 1})))
    assert read(world, PhoneLine(Phone(world)), revoked).reason is ReasonCode.STATUS_REVOKED


def test_an_answer_that_does_not_open_is_refused_and_the_device_told_why(world: World) -> None:
    line = PhoneLine(Phone(world), change=cut_short)
    verdict = read(world, line)
    assert (verdict.reason, verdict.where) == (ReasonCode.DECRYPTION_FAILED, "response")
    assert line.farewell() == SessionStatus.ENCRYPTION_ERROR


def test_a_device_that_goes_after_its_answer_has_answered(world: World) -> None:
    """It may end the session as soon as it has said all; its answer was lost with the farewell."""
    assert read(world, PhoneLine(Phone(world), hears=1)).accepted
    broken = read(world, PhoneLine(Phone(world), hears=1, change=cut_short))
    assert broken.reason is ReasonCode.DECRYPTION_FAILED


def test_a_device_that_goes_before_it_was_asked_is_unreachable(world: World) -> None:
    with pytest.raises(DeviceUnreachable):
        read(world, PhoneLine(Phone(world), hears=0))


def test_a_procedure_that_is_none_is_not_asked(world: World) -> None:
    line = PhoneLine(Phone(world))
    with pytest.raises(KeyError):
        reader(world, None).read("another", parse_device_engagement(line.phone.engagement), line)
    assert not line.heard


def test_a_list_that_a_card_was_refused_by_is_fetched_again(world: World) -> None:
    """Nobody can slip a list in that denies everybody service for as long as it claims to live."""
    shelf = Shelf(dict(world.status_lists(states={7: 1})))
    remembering = CachingFetcher(shelf, clock=Clock(world.now))
    assert read(world, PhoneLine(Phone(world)), remembering).reason is ReasonCode.STATUS_REVOKED
    shelf.documents = dict(world.status_lists())
    assert read(world, PhoneLine(Phone(world)), remembering).accepted


def test_without_a_fetcher_of_the_hosts_nothing_inside_its_network_is_fetched(world: World) -> None:
    """A card names where its status is told; the default fetcher goes to public addresses alone."""
    inside = Inside(now=world.now)
    line = PhoneLine(Phone(inside))
    verdict = reader(inside, None).read("card", parse_device_engagement(line.phone.engagement), line)
    assert verdict.reason is ReasonCode.STATUS_UNAVAILABLE
