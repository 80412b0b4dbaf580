"""What the issuer says today of the time of a record (Token Status List §8.4)."""

from dataclasses import replace

import pytest

from specs.credentials.identifier_list import IDENTIFIER_LIST_CWT, build_identifier_list
from specs.credentials.status_history import covers, history_url
from specs.credentials.status_list import (
    StatusListToken,
    StatusMediaType,
    build_status_list,
    build_status_list_cwt,
    build_status_list_jwt,
)
from specs.keys.signer import SigningIdentity, generate_signer
from tests.specs.trust.drawing import draw_ca, draw_leaf, key
from tests.verifier.desk import Shelf
from tests.verifier.test_evidence import examination
from tests.verifier.world import DAY, STATUS_URI, World
from verifier import Fetched, ReasonCode, Verdict
from verifier.status_history import with_status_history

JWT = StatusMediaType.JWT
YEARS = 3 * 365 * DAY


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def listed(
    world: World,
    *,
    issued: int = -600,
    ends: int = DAY,
    state: int = 0,
    uri: str = STATUS_URI,
    signer: World | None = None,
) -> bytes:
    """A list, its times counted from the record's."""
    return build_status_list_jwt(
        build_status_list(bits=2, size=1000, statuses={7: state}),
        identity=(signer or world).status_identity,
        uri=uri,
        issued_at=world.now + issued,
        expires_at=world.now + ends,
        ttl=300,
    ).encode()


def then(world: World, body: bytes | None, *, status: int = 200) -> Verdict:
    """The verdict by what is had years later at the address of that time."""
    there = history_url(STATUS_URI, time=world.now)
    fetched = None if body is None else Fetched(body, status, JWT, world.now + YEARS)
    shelf = Shelf({(there, JWT): fetched})
    return with_status_history(examination(world), fetcher=shelf).verdict()


def test_the_verdict_follows_from_what_the_issuer_says_of_that_time(world: World) -> None:
    assert examination(world).verdict().accepted
    assert then(world, listed(world)).accepted
    assert then(world, listed(world, state=1)).reason is ReasonCode.STATUS_REVOKED
    assert then(world, listed(world, state=2)).reason is ReasonCode.STATUS_SUSPENDED


@pytest.mark.parametrize(
    ("issued", "ends"),
    [(1, DAY), (YEARS, YEARS + DAY), (-DAY, -1)],
    ids=["made a second later", "the list of today", "ended a second before"],
)
def test_a_list_that_does_not_speak_of_that_time_is_none(world: World, issued: int, ends: int) -> None:
    """V-093: the time lies between `iat` and `exp`, and no tolerance of clocks makes it so."""
    assert (
        then(world, listed(world, issued=0, ends=0)).accepted or then(world, listed(world, issued=0, ends=1)).accepted
    )
    assert then(world, listed(world, issued=issued, ends=ends)).reason is ReasonCode.STATUS_UNAVAILABLE


@pytest.mark.parametrize(("status", "had"), [(200, True), (299, True), (300, False), (199, False), (404, False)])
@pytest.mark.parametrize("media_type", [JWT, StatusMediaType.CWT])
def test_a_list_of_then_takes_the_place_of_the_recorded_one(
    media_type: StatusMediaType, status: int, had: bool, world: World
) -> None:
    """Its time to live counts from then."""
    form = "dc+sd-jwt" if media_type == JWT else "mso_mdoc"
    recorded = examination(world, form=form)
    recorded = replace(recorded, status_lists={(STATUS_URI, media_type): None})
    body = listed(world) if media_type == JWT else listed_as_cwt(world)
    fetched = Fetched(body, status, media_type, world.now + YEARS)
    shelf = Shelf({(history_url(STATUS_URI, time=world.now), media_type): fetched})
    found = with_status_history(recorded, fetcher=shelf)
    expected = replace(fetched, fetched_at=world.now) if had else None
    assert found == replace(recorded, status_lists={(STATUS_URI, media_type): expected})
    assert found.verdict().accepted is had


def listed_as_cwt(world: World) -> bytes:
    """The same list in the other form."""
    return build_status_list_cwt(
        build_status_list(bits=2, size=1000, statuses={}),
        identity=world.status_identity,
        uri=STATUS_URI,
        issued_at=world.now - 600,
        expires_at=world.now + DAY,
        ttl=300,
    )


def test_a_list_by_a_certificate_that_is_none_or_has_another_kind_of_key_is_none(world: World) -> None:
    root = key("root")
    rsa = draw_leaf("Signer", key("rsa leaf", "RSA-2048"), by=root).signed(draw_ca("Root", root, path_length=0))
    for certificate in (b"\x30\x03\x02\x01\x01", rsa):
        other = World()
        other.status_identity = SigningIdentity(world.status_identity.signer, (certificate,))
        assert then(world, listed(world, signer=other)).reason is ReasonCode.STATUS_UNAVAILABLE


def test_what_is_no_list_of_this_issuers_is_none(world: World) -> None:
    assert then(world, None).reason is ReasonCode.STATUS_UNAVAILABLE
    assert then(world, listed(world), status=501).reason is ReasonCode.STATUS_UNAVAILABLE
    assert then(world, b"no list").reason is ReasonCode.STATUS_UNAVAILABLE
    assert then(world, listed(world, uri=f"{STATUS_URI}?time=1")).reason is ReasonCode.STATUS_UNAVAILABLE
    assert not then(world, listed(world, signer=World())).accepted


def found(world: World, body: bytes, media_type: str, *, status: int = 200) -> Fetched | None:
    """What takes the place of a recorded list of this media type."""
    there = history_url(STATUS_URI, time=world.now)
    shelf = Shelf({(there, media_type): Fetched(body, status, media_type, world.now + YEARS)})
    recorded = replace(examination(world), status_lists={(STATUS_URI, media_type): None})
    return with_status_history(recorded, fetcher=shelf).status_lists[STATUS_URI, media_type]


def identifiers(identity: SigningIdentity, *, issued_at: int, expires_at: int) -> bytes:
    """An identifier list."""
    return build_identifier_list(
        [], identity=identity, uri=STATUS_URI, issued_at=issued_at, expires_at=expires_at, ttl=300
    )


@pytest.mark.parametrize(
    ("issued", "ends", "speaks"),
    [(0, 1, True), (-DAY, 0, True), (1, DAY, False), (-DAY, -1, False)],
)
def test_an_identifier_list_is_asked_for_as_it_was(world: World, issued: int, ends: int, speaks: bool) -> None:
    """ISO/IEC 18013-5 2nd edition §12.3.6.3: all that Token Status List says of a list's token holds for it, too."""
    body = identifiers(world.status_identity, issued_at=world.now + issued, expires_at=world.now + ends)
    then_had = Fetched(body, 200, IDENTIFIER_LIST_CWT, world.now)
    assert found(world, body, IDENTIFIER_LIST_CWT) == (then_had if speaks else None)


@pytest.mark.parametrize(("status", "counts"), [(199, False), (200, True), (299, True), (300, False), (301, False)])
def test_only_a_good_answer_tells_of_that_time(world: World, status: int, counts: bool) -> None:
    assert (found(world, listed(world), JWT, status=status) is not None) is counts


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_a_list_by_a_certificate_that_is_none_or_has_an_rsa_key_tells_nothing(world: World, alg: str) -> None:
    root = key("root")
    rsa = draw_leaf("Signer", key("rsa leaf", "RSA-2048"), by=root).signed(draw_ca("Root", root, path_length=0))
    for certificate in (b"\x30\x03\x02\x01\x01", rsa):
        identity = SigningIdentity(generate_signer(alg), (certificate,))
        body = identifiers(identity, issued_at=world.now, expires_at=world.now + DAY)
        assert found(world, body, IDENTIFIER_LIST_CWT) is None


def test_the_time_stands_in_the_address_beside_what_is_there() -> None:
    assert history_url("https://i.example/1", time=5) == "https://i.example/1?time=5"
    assert history_url("https://i.example/1?a=b", time=5) == "https://i.example/1?a=b&time=5"


@pytest.mark.parametrize(("time", "speaks"), [(9, False), (10, True), (15, True), (20, True), (21, False)])
def test_a_list_speaks_of_its_own_time(time: int, speaks: bool) -> None:
    token = StatusListToken(STATUS_URI, 10, 20, None, None, build_status_list(bits=1, size=8, statuses={}))
    assert covers(token, time=time) is speaks
    assert not covers(replace(token, expires_at=None), time=time), "it says no end"
