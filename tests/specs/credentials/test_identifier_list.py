"""Identifier lists: read as they are published, refused with one defect, judged in the order of status lists."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cbor2
import pytest

from specs.credentials.identifier_list import (
    IDENTIFIER_LIST_CWT,
    MAX_BYTES,
    IdentifierListToken,
    IdentifierReference,
    SignedIdentifierList,
    build_identifier_list,
    parse_identifier_list,
    parse_identifier_reference,
    verify_identifier_list,
)
from specs.credentials.mdoc import parse_mso_status
from specs.credentials.signed_list import MAX_URI_LENGTH, check_list_dates
from specs.credentials.status_list import (
    CWT_TYP,
    StatusReference,
    build_status_list,
    build_status_list_cwt,
    parse_status_list_cwt,
)
from specs.encoding import cbor
from specs.keys.cose import ALG, TYP, X5CHAIN, build_sign1, signature_input
from specs.keys.jose import PublicKey
from specs.keys.signer import SigningIdentity, generate_signer
from specs.refusal import ReasonCode, Refusal

URI = "https://city.example/identifiers/1"
NOW = 1_795_500_000
CERTIFICATE, AUTHORITY = b"\x30\x03\x02\x01\x05", b"\x30\x03\x02\x01\x06"
SIGNER, STRANGER = generate_signer(), generate_signer()
IDENTITY = SigningIdentity(SIGNER, (CERTIFICATE,))
LISTED, OTHER = bytes(range(16)), bytes(16)
MALFORMED = ReasonCode.STATUS_LIST_MALFORMED
SUB, EXP, NBF, IAT, IDENTIFIER_LIST, STATUS_LIST, TTL = 2, 4, 5, 6, 65530, 65533, 65534


def refused(act: Callable[[], object]) -> ReasonCode:
    with pytest.raises(Refusal) as refusal:
        act()
    return refusal.value.reason


@dataclass(frozen=True)
class Listing:
    """A list in the making."""

    protected: dict[object, object]
    claims: dict[object, Any]
    unprotected: dict[object, object]

    def saying(self, **claims: object) -> "Listing":
        """With these claims, by the names of this module; `...` leaves one out."""
        labels = {globals()[name.upper()]: value for name, value in claims.items()}
        return replace(self, claims={k: v for k, v in (self.claims | labels).items() if v is not ...})

    def holding(self, identifiers: object) -> "Listing":
        """With these identifiers."""
        return self.saying(identifier_list={"identifiers": identifiers})

    def headed(self, header: dict[object, object]) -> "Listing":
        """With this protected header beside `alg`."""
        return replace(self, protected=header)

    def payload(self) -> bytes:
        """The encoded claims."""
        return cbor.encode(self.claims)

    def token(self, payload: bytes | None = None) -> bytes:
        """What is fetched."""
        signed = self.payload() if payload is None else payload
        sign1 = build_sign1(signed, signer=SIGNER, protected=self.protected, unprotected=self.unprotected)  # type: ignore[arg-type]
        return cbor.encode(cbor2.CBORTag(18, sign1))


VALID = Listing(
    {TYP: IDENTIFIER_LIST_CWT, X5CHAIN: CERTIFICATE},
    {
        SUB: URI,
        IAT: NOW,
        EXP: NOW + 10,
        TTL: 300,
        IDENTIFIER_LIST: {"identifiers": {LISTED: {}}, "aggregation_uri": "https://city.example/identifiers"},
    },
    {},
)


def verified(
    signed: SignedIdentifierList, *, key: PublicKey = SIGNER.public_key, max_bytes: int = 1000
) -> IdentifierListToken:
    return verify_identifier_list(signed, key=key, expected_uri=URI, now=NOW, max_bytes=max_bytes)


def judged(listing: Listing) -> IdentifierListToken:
    return verified(parse_identifier_list(listing.token()))


# the reference


@pytest.mark.parametrize(
    "more", [{}, {"certificate": CERTIFICATE}, {"certificate": "core"}, {"later": 1}], ids=["", "pin", "text", "rfu"]
)
def test_a_reference_is_an_identifier_and_an_address(more: dict[str, object]) -> None:
    """§12.3.6.2: `certificate` may name an authority; whom we believe is ours to say."""
    member = {"id": LISTED, "uri": URI, **more}
    assert parse_identifier_reference(member) == IdentifierReference(URI, LISTED)
    assert parse_mso_status({"identifier_list": member, "later": 1}) == IdentifierReference(URI, LISTED)


@pytest.mark.parametrize(
    "member",
    [
        None,
        [],
        "core",
        {},
        {"id": LISTED},
        {"uri": URI},
        {"id": "core", "uri": URI},
        {"id": 7, "uri": URI},
        {"id": None, "uri": URI},
        {"id": LISTED, "uri": URI.encode()},
        {"id": LISTED, "uri": "/identifiers/1"},
        {"id": LISTED, "uri": ""},
        {"id": LISTED, "uri": URI + "x" * MAX_URI_LENGTH},
        {"id": LISTED, "uri": URI + "\x7f"},
        {"id": LISTED, "uri": URI + " 2"},
        {"id": LISTED, "uri": URI + "ä"},
        {"id": LISTED, "uri": "https://[city.example/1"},
    ],
)
def test_a_misshapen_reference_is_refused(member: object) -> None:
    assert refused(lambda: parse_identifier_reference(member)) is ReasonCode.STATUS_MALFORMED
    assert refused(lambda: parse_mso_status({"identifier_list": member})) is ReasonCode.STATUS_MALFORMED


def test_an_mso_names_one_mechanism() -> None:
    """HAIP 1.0 §5.3.1: one of the two; which of both would count is nobody's to guess."""
    in_status_list, among_identifiers = {"idx": 7, "uri": URI}, {"id": LISTED, "uri": URI}
    assert parse_mso_status({"status_list": in_status_list}) == StatusReference(URI, 7)
    misshapen: tuple[object, ...] = (
        {"status_list": in_status_list, "identifier_list": among_identifiers},
        {"status_list": None, "identifier_list": among_identifiers},
        {"oracle": among_identifiers},
        {},
        [],
        "identifier_list",
        None,
    )
    for status in misshapen:
        assert refused(lambda: parse_mso_status(status)) is ReasonCode.STATUS_MALFORMED  # noqa: B023


# the list


@pytest.mark.parametrize("chain", [(CERTIFICATE,), (CERTIFICATE, AUTHORITY)])
def test_a_list_is_read_as_it_was_published(chain: tuple[bytes, ...]) -> None:
    token = build_identifier_list(
        [LISTED, b""],
        identity=SigningIdentity(SIGNER, chain),
        uri=URI,
        issued_at=NOW,
        expires_at=NOW + 86400,
        ttl=300,
    )
    signed = parse_identifier_list(token)
    assert signed.chain == chain
    found = verified(signed)
    assert found == IdentifierListToken(URI, NOW, NOW + 86400, 300, frozenset([LISTED, b""]))
    assert found.not_before is None
    for listed in (LISTED, b""):
        assert found.is_listed(IdentifierReference(URI, listed))
    for absent in (OTHER, LISTED[:-1], LISTED + b"\x00"):
        assert not found.is_listed(IdentifierReference(URI, absent))


def test_a_published_list_is_what_the_standard_says() -> None:
    """§12.3.6.4: the header's members are protected; nothing stands in the other header."""
    token = build_identifier_list([LISTED], identity=IDENTITY, uri=URI, issued_at=NOW, expires_at=NOW + 86400, ttl=300)
    tagged = cbor2.loads(token)
    protected, unprotected, payload, _ = tagged.value
    assert tagged.tag == 18
    assert cbor2.loads(protected) == {ALG: -7, TYP: "application/identifierlist+cwt", X5CHAIN: CERTIFICATE}
    assert unprotected == {}
    assert cbor2.loads(payload) == {2: URI, 4: NOW + 86400, 6: NOW, 65534: 300, 65530: {"identifiers": {LISTED: {}}}}


@pytest.mark.parametrize(
    ("bent", "reason"),
    [
        (VALID.saying(sub=...), MALFORMED),
        (VALID.saying(sub=5), MALFORMED),
        (VALID.saying(sub=URI + "/"), ReasonCode.STATUS_LIST_MISMATCH),
        (VALID.saying(iat=...), MALFORMED),
        (VALID.saying(iat=str(NOW)), MALFORMED),
        (VALID.saying(iat=True), MALFORMED),
        (VALID.saying(iat=float("nan")), MALFORMED),
        (VALID.saying(iat=NOW + 61), MALFORMED),
        (VALID.saying(nbf=NOW + 61), MALFORMED),
        (VALID.saying(exp=...), MALFORMED),
        (VALID.saying(exp=None), MALFORMED),
        (VALID.saying(exp=float("inf")), MALFORMED),
        (VALID.saying(exp=NOW - 60), ReasonCode.STATUS_LIST_EXPIRED),
        (VALID.saying(ttl=0), MALFORMED),
        (VALID.saying(ttl=None), MALFORMED),
        (VALID.saying(status_list={"bits": 1, "lst": b""}), MALFORMED),
        (VALID.saying(status_list=None), MALFORMED),
        (VALID.saying(identifier_list=...), MALFORMED),
        (VALID.saying(identifier_list=[]), MALFORMED),
        (VALID.saying(identifier_list={}), MALFORMED),
        (VALID.holding([LISTED]), MALFORMED),
        (VALID.holding(None), MALFORMED),
        (VALID.holding({"core": {}}), MALFORMED),
        (VALID.holding({LISTED: {}, 7: {}}), MALFORMED),
        (VALID.holding({LISTED: None}), MALFORMED),
        (VALID.holding({LISTED: {}, OTHER: []}), MALFORMED),
        (VALID.holding({bytes([each, 0]): {} for each in range(255)}), ReasonCode.LIMIT_EXCEEDED),
    ],
)
def test_a_list_with_one_defect_is_refused(bent: Listing, reason: ReasonCode) -> None:
    assert judged(VALID).identifiers == {LISTED}
    assert refused(lambda: judged(bent)) is reason


@pytest.mark.parametrize(
    "edge",
    [
        VALID.saying(ttl=...),
        VALID.saying(ttl=1),
        VALID.saying(iat=NOW + 60),
        VALID.saying(iat=NOW - 0.5),
        VALID.saying(nbf=NOW + 60),
        VALID.saying(exp=NOW - 59),
        VALID.holding({LISTED: {"reason": "lost", 7: {}}}),
        VALID.saying(identifier_list={"identifiers": {LISTED: {}}, "later": 1, 7: 1}),
        replace(VALID, unprotected={4: b"1"}),
    ],
)
def test_a_list_at_the_edge_of_what_is_allowed_is_accepted(edge: Listing) -> None:
    assert judged(edge).identifiers == {LISTED}
    assert parse_identifier_list(edge.token()).chain == (CERTIFICATE,)


def test_a_list_of_nobody_is_a_list() -> None:
    assert judged(VALID.holding({})).identifiers == frozenset()


def test_a_verified_list_counts_for_as_long_as_a_clock_may_be_off() -> None:
    found = judged(VALID.saying(nbf=NOW + 10, exp=NOW + 100))
    assert (found.not_before, found.ttl) == (NOW + 10, 300)
    for now in (NOW + 10 - 60, NOW + 100 + 59):
        check_list_dates(found, now=now)
    for now, reason in ((NOW + 10 - 61, MALFORMED), (NOW + 100 + 60, ReasonCode.STATUS_LIST_EXPIRED)):
        assert refused(lambda: check_list_dates(found, now=now)) is reason  # noqa: B023


@pytest.mark.parametrize("skew", [0, 5])
def test_a_clock_may_be_off_by_what_the_caller_says(skew: int) -> None:
    def ending(end: int) -> IdentifierListToken:
        signed = parse_identifier_list(VALID.saying(exp=end).token())
        return verify_identifier_list(signed, key=SIGNER.public_key, expected_uri=URI, now=NOW, skew=skew)

    assert ending(NOW - skew + 1).identifiers == {LISTED}
    assert refused(lambda: ending(NOW - skew)) is ReasonCode.STATUS_LIST_EXPIRED


def test_a_list_may_be_as_large_as_the_cap() -> None:
    signed, size = parse_identifier_list(VALID.token()), len(VALID.payload())
    assert verified(signed, max_bytes=size).identifiers == {LISTED}
    assert refused(lambda: verified(signed, max_bytes=size - 1)) is ReasonCode.LIMIT_EXCEEDED


def test_a_list_has_two_mebibytes_at_most_whatever_the_caller_allows() -> None:
    def of_size(size: int) -> SignedIdentifierList:
        filled = replace(VALID, claims=VALID.claims | {99: bytes(100_000)})
        missing = size - len(filled.payload())
        return parse_identifier_list(replace(VALID, claims=VALID.claims | {99: bytes(100_000 + missing)}).token())

    assert verified(of_size(MAX_BYTES), max_bytes=2 * MAX_BYTES).identifiers == {LISTED}
    assert refused(lambda: verified(of_size(MAX_BYTES + 1), max_bytes=2 * MAX_BYTES)) is ReasonCode.LIMIT_EXCEEDED


@pytest.mark.parametrize("payload", [bytes(1001), b"\xff" * 1001])
def test_what_is_too_large_is_not_read_and_a_strangers_is_not_measured(payload: bytes) -> None:
    signed = parse_identifier_list(VALID.token(payload))
    assert refused(lambda: verified(signed)) is ReasonCode.LIMIT_EXCEEDED
    stranger = STRANGER.public_key
    assert refused(lambda: verified(signed, key=stranger)) is ReasonCode.STATUS_LIST_UNTRUSTED


@pytest.mark.parametrize("payload", [b"", b"\xa0\x00", cbor.encode([URI]), VALID.payload()[:-1]])
def test_a_signed_cwt_that_holds_no_claims_is_refused(payload: bytes) -> None:
    assert refused(lambda: verified(parse_identifier_list(VALID.token(payload)))) is MALFORMED


def test_a_detached_list_is_none() -> None:
    sign1 = [*cbor2.loads(VALID.token()).value]
    sign1[2] = None
    assert refused(lambda: verified(parse_identifier_list(cbor.encode(sign1)))) is MALFORMED


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({X5CHAIN: CERTIFICATE}, MALFORMED),
        ({TYP: "identifierlist+cwt", X5CHAIN: CERTIFICATE}, MALFORMED),
        ({TYP: CWT_TYP, X5CHAIN: CERTIFICATE}, MALFORMED),
        ({TYP: IDENTIFIER_LIST_CWT}, ReasonCode.STATUS_LIST_UNTRUSTED),
        ({TYP: IDENTIFIER_LIST_CWT, X5CHAIN: []}, ReasonCode.STATUS_LIST_UNTRUSTED),
        ({TYP: IDENTIFIER_LIST_CWT, X5CHAIN: [CERTIFICATE, 5]}, ReasonCode.STATUS_LIST_UNTRUSTED),
        ({TYP: IDENTIFIER_LIST_CWT, X5CHAIN: CERTIFICATE, 2: [7], 7: 1}, MALFORMED),
    ],
    ids=["no typ", "short", "of a status list", "no chain", "empty chain", "number in chain", "crit"],
)
def test_a_list_with_another_protected_header_is_refused(header: dict[object, object], reason: ReasonCode) -> None:
    """§12.3.6.3: the certificates stand there; those in the other header are nobody's."""
    elsewhere: dict[object, object] = {} if X5CHAIN in header else {X5CHAIN: CERTIFICATE}
    bent = replace(VALID.headed(header), unprotected=elsewhere)
    assert refused(lambda: parse_identifier_list(bent.token())) is reason


def bare(sign1: list[Any], header: bytes) -> list[Any]:
    """With this protected header, signed anew."""
    return [header, {}, sign1[2], SIGNER.sign(signature_input("Signature1", header, b"", sign1[2]))]


@pytest.mark.parametrize(
    ("wrap", "reason"),
    [
        (lambda sign1: cbor.encode(cbor2.CBORTag(61, cbor2.CBORTag(18, sign1))), MALFORMED),
        (lambda sign1: cbor.encode(cbor2.CBORTag(17, sign1)), MALFORMED),
        (lambda sign1: cbor.encode([*sign1, b""]), MALFORMED),
        (lambda sign1: cbor.encode(sign1) + b"\x00", MALFORMED),
        (lambda sign1: cbor.encode(sign1)[:-1], MALFORMED),
        (lambda _: b"", MALFORMED),
        (lambda _: b"<html>", MALFORMED),
        (lambda _: b"\x81" * 5000, MALFORMED),
        (lambda _: b"\x9a\xff\xff\xff\xff", MALFORMED),
        (lambda sign1: cbor.encode(bare(sign1, b"")), ReasonCode.STATUS_LIST_UNTRUSTED),
        (lambda sign1: cbor.encode(bare(sign1, b"\xa1\x01\x05")), ReasonCode.STATUS_LIST_UNTRUSTED),
    ],
    ids=["tag 61", "mac", "five", "trailing", "cut", "empty", "html", "deep", "long", "no alg", "hmac"],
)
def test_bytes_that_nobody_may_have_signed_are_refused(wrap: Callable[[list[Any]], bytes], reason: ReasonCode) -> None:
    sign1 = [*cbor2.loads(VALID.token()).value]
    assert verified(parse_identifier_list(cbor.encode(sign1))).identifiers == {LISTED}, "tag 18 may be missing"
    assert refused(lambda: parse_identifier_list(wrap(sign1))) is reason


def test_each_changed_byte_is_noticed() -> None:
    token = VALID.token()
    for place in range(len(token)):
        changed = token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :]
        try:
            signed = parse_identifier_list(changed)
        except Refusal:
            continue
        if signed.chain == (CERTIFICATE,):
            refused(lambda: verified(signed))  # noqa: B023


def test_neither_kind_of_list_is_the_other() -> None:
    statuses = build_status_list(bits=1, size=8, statuses={})
    other = build_status_list_cwt(statuses, identity=IDENTITY, uri=URI, issued_at=NOW, expires_at=NOW + 10, ttl=300)
    assert refused(lambda: parse_identifier_list(other)) is MALFORMED
    assert refused(lambda: parse_status_list_cwt(VALID.token())) is MALFORMED
