"""An mdoc whose status is an identifier list: accepted while it is not listed, refused as by a status list."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cbor2
import pytest

from specs.credentials import identifier_list
from specs.credentials.identifier_list import IDENTIFIER_LIST_CWT
from specs.credentials.status_list import StatusMediaType
from specs.encoding import cbor
from specs.keys.cose import ALG, ALG_OF_JOSE_NAME, TYP, X5CHAIN, signature_input, x5chain_value
from specs.keys.signer import generate_signer
from tests.verifier.mdoc_presentation import MdocPresentation, Stage, Tree
from tests.verifier.sd_presentation import valid_presentation
from tests.verifier.world import DAY, HOUR, STATUS_URI, World
from verifier import Fetched, Limits, ReasonCode, StatusRule
from verifier.check import listed as listed_check
from verifier.verdict import Check
from verifier.verify import Reference, ReferenceKind

ID, OTHER_ID = bytes(range(16)), bytes(16)
OTHER_URI = "https://issuer.example/t/pid/identifiers/2"
METADATA_SERVICE = "https://169.254.169.254/latest/meta-data/"
SUB, EXP, IAT, IDENTIFIER_LIST, STATUS_LIST, TTL = 2, 4, 6, 65530, 65533, 65534
PLACE = (STATUS_URI, IDENTIFIER_LIST_CWT)


@dataclass
class Identified(MdocPresentation):
    """A presentation whose MSO names an identifier list, in which another credential's identifier stands."""

    http_status: int = 200
    content_type: str = IDENTIFIER_LIST_CWT

    def __post_init__(self) -> None:
        super().__post_init__()
        self.list_identity = self.world.status_identity
        self.set(Stage.MSO, "status", to={"identifier_list": {"id": ID, "uri": STATUS_URI}})

    def fetched(self) -> dict[tuple[str, str], Fetched | None]:
        """The identifier list."""
        claims = {SUB: STATUS_URI, IAT: self.now - 60, EXP: self.now + DAY, TTL: 300}
        claims[IDENTIFIER_LIST] = {"identifiers": {OTHER_ID: {}}}
        payload = cbor.encode(self._changed(Stage.STATUS_CLAIMS, claims))
        header: Tree = {
            ALG: ALG_OF_JOSE_NAME[self.list_identity.signer.alg],
            TYP: IDENTIFIER_LIST_CWT,
            X5CHAIN: x5chain_value(self.list_identity.chain),
        }
        protected = cbor.encode(self._changed(Stage.STATUS_PROTECTED, header))
        signature = self.status_sign(signature_input("Signature1", protected, b"", payload))
        body = cbor.encode(cbor2.CBORTag(18, [protected, {}, payload, signature]))
        return {PLACE: Fetched(body, self.http_status, self.content_type, self.fetched_at)}

    def saying(self, label: int, value: object) -> "Identified":
        """The list says this."""
        self.set(Stage.STATUS_CLAIMS, label, to=value)
        return self

    def lacking(self, label: int) -> "Identified":
        """The list does not say this."""
        self.drop(Stage.STATUS_CLAIMS, label)
        return self

    def pointing(self, status: object) -> "Identified":
        """The MSO's status is this."""
        self.set(Stage.MSO, "status", to=status)
        return self

    def by(self, other: World) -> "Identified":
        """Another world's authority vouches for who signs the list."""
        self.list_identity = other.status_identity
        self.status_sign = self.list_identity.signer.sign
        return self

    def under(self, **rules: object) -> "Identified":
        """The procedure has these rules."""
        self.policy = replace(self.policy, **rules)  # type: ignore[arg-type]  # as in Policy
        return self


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def with_key(shown: Identified, sign: Callable[[bytes], bytes]) -> Identified:
    shown.status_sign = sign
    return shown


def by_the_issuer(shown: Identified) -> Identified:
    shown.list_identity = shown.world.mdoc_identity
    return with_key(shown, shown.list_identity.signer.sign)


def without_anchors(shown: Identified) -> Identified:
    shown.domain = replace(shown.domain, status_anchors=())
    return shown


def fetched_before(seconds: int) -> Callable[[Identified], Identified]:
    def change(shown: Identified) -> Identified:
        shown.fetched_at = shown.now - seconds
        return shown

    return change


def heading(label: int, value: object) -> Callable[[Identified], Identified]:
    def change(shown: Identified) -> Identified:
        shown.set(Stage.STATUS_PROTECTED, label, to=value)
        return shown

    return change


def headless(label: int) -> Callable[[Identified], Identified]:
    def change(shown: Identified) -> Identified:
        shown.drop(Stage.STATUS_PROTECTED, label)
        return shown

    return change


IN_BOTH = {"status_list": {"idx": 7, "uri": STATUS_URI}, "identifier_list": {"id": ID, "uri": STATUS_URI}}

DEFECTS: dict[str, tuple[Callable[[Identified], Identified], ReasonCode]] = {
    "listed": (
        lambda shown: shown.saying(IDENTIFIER_LIST, {"identifiers": {OTHER_ID: {}, ID: {}}}),
        ReasonCode.STATUS_REVOKED,
    ),
    "HTTP 404": (lambda shown: replace_http(shown, 404), ReasonCode.STATUS_UNAVAILABLE),
    "of a status list's content type": (
        lambda shown: replace_http(shown, 200, StatusMediaType.CWT),
        ReasonCode.STATUS_UNAVAILABLE,
    ),
    "of no typ": (headless(TYP), ReasonCode.STATUS_LIST_MALFORMED),
    "of a status list's typ": (heading(TYP, StatusMediaType.CWT), ReasonCode.STATUS_LIST_MALFORMED),
    "without a chain": (headless(X5CHAIN), ReasonCode.STATUS_LIST_UNTRUSTED),
    "of another address": (lambda shown: shown.saying(SUB, OTHER_URI), ReasonCode.STATUS_LIST_MISMATCH),
    "of no address": (lambda shown: shown.lacking(SUB), ReasonCode.STATUS_LIST_MALFORMED),
    "without an end": (lambda shown: shown.lacking(EXP), ReasonCode.STATUS_LIST_MALFORMED),
    "ended": (lambda shown: shown.saying(EXP, shown.now - 60), ReasonCode.STATUS_LIST_EXPIRED),
    "without a date": (lambda shown: shown.lacking(IAT), ReasonCode.STATUS_LIST_MALFORMED),
    "of tomorrow": (lambda shown: shown.saying(IAT, shown.now + 61), ReasonCode.STATUS_LIST_MALFORMED),
    "outlived": (fetched_before(361), ReasonCode.STATUS_LIST_EXPIRED),
    "a status list, too": (lambda shown: shown.saying(STATUS_LIST, {}), ReasonCode.STATUS_LIST_MALFORMED),
    "without identifiers": (lambda shown: shown.saying(IDENTIFIER_LIST, {}), ReasonCode.STATUS_LIST_MALFORMED),
    "of a stranger": (lambda shown: shown.by(World()), ReasonCode.STATUS_LIST_UNTRUSTED),
    "of who issues credentials": (by_the_issuer, ReasonCode.STATUS_LIST_UNTRUSTED),
    "of another key": (lambda shown: with_key(shown, generate_signer().sign), ReasonCode.STATUS_LIST_UNTRUSTED),
    "of a domain without anchors": (without_anchors, ReasonCode.STATUS_LIST_UNTRUSTED),
    "too large": (lambda shown: shown.under(limits=Limits(status_list_bytes=50)), ReasonCode.LIMIT_EXCEEDED),
    "named beside a status list": (lambda shown: shown.pointing(IN_BOTH), ReasonCode.STATUS_MALFORMED),
    "of an unknown kind": (lambda shown: shown.pointing({"oracle": {"id": ID}}), ReasonCode.STATUS_MALFORMED),
    "pointed to by text": (
        lambda shown: shown.pointing({"identifier_list": {"id": "7", "uri": STATUS_URI}}),
        ReasonCode.STATUS_MALFORMED,
    ),
    "at no address": (lambda shown: shown.pointing({"identifier_list": {"id": ID}}), ReasonCode.STATUS_MALFORMED),
    "inside a network": (
        lambda shown: shown.pointing({"identifier_list": {"id": ID, "uri": METADATA_SERVICE}}),
        ReasonCode.STATUS_UNAVAILABLE,
    ),
    "not fetched": (
        lambda shown: shown.pointing({"identifier_list": {"id": ID, "uri": OTHER_URI}}),
        ReasonCode.STATUS_UNAVAILABLE,
    ),
}


def replace_http(shown: Identified, status: int, content_type: str = IDENTIFIER_LIST_CWT) -> Identified:
    shown.http_status, shown.content_type = status, content_type
    return shown


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_presentation_whose_identifier_list_has_one_defect_is_refused(defect: str, world: World) -> None:
    bend, reason = DEFECTS[defect]
    assert Identified(world).judged().accepted
    verdict = bend(Identified(world)).judged()
    assert verdict.reason is reason
    assert not verdict.credentials


@pytest.mark.parametrize(
    "edge",
    [
        lambda shown: shown,
        lambda shown: shown.saying(IDENTIFIER_LIST, {"identifiers": {}}),
        lambda shown: shown.saying(IDENTIFIER_LIST, {"identifiers": {ID[:-1]: {}, ID + b"\x00": {}}}),
        lambda shown: shown.saying(EXP, shown.now - 59),
        lambda shown: shown.saying(IAT, shown.now + 60),
        lambda shown: shown.lacking(TTL),
        fetched_before(360),
        lambda shown: shown.pointing(
            {"identifier_list": {"id": ID, "uri": STATUS_URI, "certificate": shown.list_identity.chain[0]}}
        ),
        lambda shown: replace_http(shown, 200, "Application/IdentifierList+CWT; charset=binary"),
    ],
    ids=["plain", "of nobody", "of near identifiers", "exp", "iat", "no ttl", "ttl", "certificate", "content type"],
)
def test_an_mdoc_that_its_identifier_list_does_not_name_is_accepted(
    edge: Callable[[Identified], Identified], world: World
) -> None:
    """It was once refused, whatever its list said: a false refusal of what HAIP 1.0 §5.3.1 lets issuers do."""
    verdict = edge(Identified(world)).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert Check.STATUS in verdict.credentials[0].checks


def test_the_list_is_asked_for_by_its_media_type(world: World) -> None:
    wanted = Reference(ReferenceKind.STATUS_LIST, STATUS_URI, (IDENTIFIER_LIST_CWT,))
    assert Identified(world).references() == (wanted,)


def test_a_procedure_that_does_not_care_asks_no_list(world: World) -> None:
    shown = Identified(world).under(status=StatusRule.OFF).saying(IDENTIFIER_LIST, {"identifiers": {ID: {}}})
    assert shown.judged().accepted
    assert shown.references() == ()
    assert Identified(world).under(status=StatusRule.REQUIRED).judged().accepted


def test_one_address_may_serve_both_kinds_each_to_its_own_credentials(world: World) -> None:
    """An mdoc that points into a status list is not judged by an identifier list, nor the other way round."""
    pointing, identified = MdocPresentation(world), Identified(world)
    both = {**pointing.fetched(), **identified.fetched()}
    for shown, own in ((pointing, (STATUS_URI, StatusMediaType.CWT)), (identified, PLACE)):
        partial = shown.prepared()
        for lists, accepted in ((both, True), ({place: each for place, each in both.items() if place != own}, False)):
            verdict = partial.func(*partial.args, **{**partial.keywords, "status_lists": lists})  # type: ignore[attr-defined]
            assert verdict.accepted is accepted
            assert verdict.reason is (None if accepted else ReasonCode.STATUS_UNAVAILABLE)


def test_an_sd_jwt_vc_has_no_identifier_list() -> None:
    """Its status is a JWT's (SD-JWT VC §3.2.2.2); beside a status list, a further member is ignored."""
    shown = valid_presentation(World())
    entry = {"id": "AAECAw", "uri": STATUS_URI}
    assert shown.issuer_saying(status={"identifier_list": entry}).judged().reason is ReasonCode.STATUS_MALFORMED
    both = {"status_list": {"idx": 7, "uri": STATUS_URI}, "identifier_list": entry}
    assert shown.issuer_saying(status=both).judged().accepted


def test_a_known_list_is_verified_once_and_its_dates_compared_each_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[object] = []
    verify = identifier_list.verify_identifier_list

    def counting(*given: object, **named: object) -> object:
        verified.append(given)
        return verify(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(listed_check, "verify_identifier_list", counting)
    shown = Identified(world).saying(EXP, world.now + HOUR).lacking(TTL)
    revoked = Identified(world).pointing({"identifier_list": {"id": OTHER_ID, "uri": STATUS_URI}})
    lists = shown.fetched()
    fetched = lists[PLACE]
    assert fetched is not None

    def judged(presentation: Identified, *, at: int) -> ReasonCode | None:
        partial = presentation.prepared()
        later = {PLACE: replace(fetched, fetched_at=at)}
        return partial.func(*partial.args, **{**partial.keywords, "now": at, "status_lists": later}).reason  # type: ignore[attr-defined, no-any-return]

    assert judged(shown, at=world.now) is None
    assert judged(revoked, at=world.now) is ReasonCode.STATUS_REVOKED
    assert judged(shown, at=world.now + HOUR + 59) is None
    assert judged(shown, at=world.now + HOUR + 60) is ReasonCode.STATUS_LIST_EXPIRED
    assert judged(shown, at=world.now - 121) is ReasonCode.STATUS_LIST_MALFORMED
    elsewhere = Identified(world).pointing({"identifier_list": {"id": ID, "uri": OTHER_URI}})
    partial = elsewhere.prepared()
    there = {(OTHER_URI, IDENTIFIER_LIST_CWT): fetched}
    verdict = partial.func(*partial.args, **{**partial.keywords, "status_lists": there})  # type: ignore[attr-defined]
    assert verdict.reason is ReasonCode.STATUS_LIST_MISMATCH
    assert len(verified) == 2
