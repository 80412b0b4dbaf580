"""Whatever a wallet sends, the verifier answers with a verdict: no exception, no accident, no wait."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from specs.encoding import base64url
from specs.keys.jose import x5c_header
from specs.refusal import ReasonCode
from tests.verifier.defects_sd_question import FAMILY_NAME
from tests.verifier.sd_presentation import SdPresentation, dcql, valid_presentation
from tests.verifier.world import DOC_TYPE, NAME_SPACE, VCT, World
from verifier import Policy, StatusRule, Verdict
from verifier.verify import references, verify_presentation

ROUNDS = 400


@pytest.fixture(scope="module")
def valid() -> SdPresentation:
    return valid_presentation(World())


BOTH_FORMATS = dcql(
    {
        "credentials": [
            {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [FAMILY_NAME]},
            {
                "id": "mdoc",
                "format": "mso_mdoc",
                "meta": {"doctype_value": DOC_TYPE},
                "claims": [{"path": [NAME_SPACE, "family_name"]}],
            },
        ]
    }
)


def judged(shown: SdPresentation, vp_token: object) -> Verdict:
    """The verdict on anything, within a second, and what would be fetched for it: nothing."""
    expected = {
        "query": BOTH_FORMATS,
        "nonce": shown.nonce,
        "client_id": shown.client_id,
        "binding": shown.binding,
        "trust": shown.world.trust,
        "now": shown.world.now,
    }
    begin = time.process_time()
    verdict = verify_presentation(vp_token, status_lists={}, **expected)  # type: ignore[arg-type]  # as in the signature
    assert references(vp_token, **expected) == ()  # type: ignore[arg-type]  # as in the signature
    assert time.process_time() - begin < 2
    assert not verdict.accepted
    return verdict


def deep(levels: int) -> object:
    """Arrays inside arrays, more than Python's stack."""
    value: object = "core"
    for _ in range(levels):
        value = [value]
    return value


def circular() -> object:
    """An array that holds itself: no JSON, but a caller may have got it elsewhere."""
    value: list[object] = []
    value.append(value)
    return value


SCALARS: dict[str, object] = {
    "null": None,
    "true": True,
    "zero": 0,
    "large number": 10**400,
    "infinity": float("inf"),
    "not a number": float("nan"),
    "empty text": "",
    "bytes": b"~.",
    "object": {},
    "array": [],
    "set": {"pid"},
    "tuple": ("a~b",),
    "deep": deep(100_000),
    "circular": circular(),
    "a tilde": "~",
    "tildes": "~" * 1000,
    "dots": "." * 1000,
    "lone surrogate": "\ud800",
    "lone surrogate in a token": "\udfff.a.b~",
    "lone surrogate in a key binding": "a.b.c~\ud800.\ud800.\ud800",
    "null character": "\x00.\x00.\x00~",
    "non-ASCII": "ä.ö.ü~ß~",
    "right to left": "\u202ea.b.c~",
    "a megabyte": "A" * 1_000_000,
    "ten megabytes with tildes": "~" * 10_000_000,
    "a quarter of a megabyte of tildes": "~" * (256 * 1024),
    "a quarter of a megabyte of dots and a tilde": "." * (256 * 1024 - 1) + "~",
    "empty parts": "..~",
    "empty parts and a key binding": "..~..",
    "braces": base64url.encode(b"{}") + ".." + "~",
    "deep JSON header": base64url.encode(b"[" * 60_000) + ".e30.~",
    "deep JSON header, whole": base64url.encode(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}") + ".e30.~",
    "many digits": base64url.encode(b'{"alg":' + b"9" * 60_000 + b"}") + ".e30.~",
    "many digits in an exponent": base64url.encode(b'{"alg":1e' + b"9" * 60_000 + b"}") + ".e30.~",
    "CBOR null": "9g",
    "CBOR with a huge length": base64url.encode(b"\x5b" + b"\xff" * 8),
    "CBOR, deep": base64url.encode(b"\x81" * 100_000),
    "CBOR shared reference": base64url.encode(b"\xd8\x1c\x81\xd8\x1d\x00"),
    "CBOR bignum": base64url.encode(b"\xc2\x5a\x00\x01\x00\x00" + b"\xff" * 65536),
    "CBOR break": "_w",
    "CBOR map of a map": base64url.encode(b"\xa1\xa1\x01\x02\x03"),
}
SHAPES: dict[str, Callable[[object], object]] = {
    "alone": lambda value: value,
    "for pid": lambda value: {"pid": value},
    "in pid": lambda value: {"pid": [value]},
    "in mdoc": lambda value: {"mdoc": [value]},
    "in both": lambda value: {"pid": [value], "mdoc": [value]},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("value", SCALARS.values(), ids=SCALARS.keys())
def test_anything_gets_a_verdict(value: object, shape: Callable[[object], object], valid: SdPresentation) -> None:
    judged(valid, shape(value))


@pytest.mark.parametrize(
    "name", [None, 1, True, b"pid", ("pid",), "", "\ud800", "PID", "pid ", "pid\x00", "x" * 1_000_000]
)
def test_an_entry_of_any_other_name_is_refused(name: object, valid: SdPresentation) -> None:
    assert judged(valid, {name: ["a.b.c~"]}).reason is ReasonCode.QUERY_ID_UNKNOWN


JSON_VALUES: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**64 - 1,
    -(2**63),
    1e308,
    "",
    "text",
    "ü\u0000\u202e",
    "x" * 10_000,
    [],
    [None],
    [[]],
    [{}],
    ["text", 1],
    {},
    {"": None},
    {"...": "text"},
    {"_sd": []},
    {"_sd": ["text"]},
    {"jwk": None},
    {"jwk": {"kty": "EC", "crv": ["P-256"], "x": 1}},
    {"jwk": {"kty": "EC", "crv": "P-256", "x": "", "y": ""}},
    {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}},
    {"status_list": None},
    {"status_list": {"idx": 2**64 - 1, "uri": "https://[::1"}},
    {"status_list": {"idx": 0, "uri": "https://\u00e4"}},
    {"status_list": {"idx": 0, "uri": "x" * 5000}},
)
ISSUER_HEADER = ("alg", "typ", "x5c", "crit", "kid", "jwk", "jku", "b64")
ISSUER_CLAIMS = (
    "vct", "vct#integrity", "aka_vcts", "iss", "iat", "nbf", "exp", "cnf", "status", "_sd_alg", "_sd", "...", "sub",
    "address", "nationalities", "age_equal_or_over", "family_name",
)  # fmt: skip
HOLDER_CLAIMS = (
    "iat", "nbf", "exp", "aud", "nonce", "sd_hash", "transaction_data_hashes", "transaction_data_hashes_alg",
)  # fmt: skip
LIST_CLAIMS = ("sub", "iat", "exp", "nbf", "ttl", "status_list")
ANY_REASON = set(ReasonCode)


def bent(shown: SdPresentation) -> Iterator[SdPresentation]:
    """Each member that we read, with each value that it should not have, signed by who should."""
    for value in JSON_VALUES:
        for name in ISSUER_HEADER:
            yield shown.issuer_heading(**{name: value})
            yield replace(shown, status_list=shown.status_list.heading(**{name: value}))
        for name in ISSUER_CLAIMS:
            yield shown.issuer_saying(**{name: value})
        for name in ("alg", "typ", "crit"):
            yield shown.holder_heading(**{name: value})
        for name in HOLDER_CLAIMS:
            yield shown.holder_saying(**{name: value})
        for name in LIST_CLAIMS:
            yield shown.status_saying(**{name: value})
        for name in ("bits", "lst", "aggregation_uri"):
            content = shown.status_list.claims["status_list"]
            assert isinstance(content, dict)
            yield shown.status_saying(status_list={**content, name: value})


def test_each_member_may_have_any_value_and_there_is_a_verdict(valid: SdPresentation) -> None:
    for shown in bent(valid):
        verdict = shown.judged()
        assert verdict.accepted or verdict.reason in ANY_REASON
        shown.references()


def test_a_payload_and_a_disclosure_may_be_any_value_and_there_is_a_verdict(valid: SdPresentation) -> None:
    for raw in (b"null", b"[]", b"1", b'"text"', b"{", b"", b"\xff", b"[" * 10_000, b'{"a":1}{}', b"\xef\xbb\xbf{}"):
        assert valid.issuer_writing(lambda _payload, raw=raw: raw).judged().reason is ReasonCode.JWT_MALFORMED  # type: ignore[misc]
        shown = valid.holder(lambda jwt, raw=raw: replace(jwt, raw_claims=raw))  # type: ignore[misc]
        assert shown.judged().reason is ReasonCode.KEY_BINDING_MALFORMED
        shown = replace(valid, status_list=replace(valid.status_list, raw_claims=raw))
        assert shown.judged().reason is ReasonCode.STATUS_LIST_MALFORMED
        if raw:
            shown = valid.hiding_texts(base64url.encode(raw))
            assert shown.judged().reason is ReasonCode.DISCLOSURE_MALFORMED


def test_no_single_changed_character_is_accepted(valid: SdPresentation) -> None:
    """A signature, a digest or a hash covers each character; a text has one spelling."""
    text = valid.text()
    chance = random.Random(1)
    for _ in range(ROUNDS):
        at = chance.randrange(len(text))
        other = chance.choice([each for each in "AQgw019-_+/=.~ \n" if each != text[at]])
        for changed in (text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + other + text[at:]):
            assert not replace(valid, entries=lambda _text, changed=changed: {"pid": [changed]}).judged().accepted  # type: ignore[misc]


def test_no_broken_certificate_raises(valid: SdPresentation) -> None:
    """Bytes of a certificate change at will: its names, dates, extensions and keys may then be anything."""
    [der] = valid.world.sd_jwt_identity.chain
    chance = random.Random(2)
    for _ in range(ROUNDS):
        broken = bytearray(der)
        for _ in range(chance.choice((1, 1, 2, 8))):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        if chance.random() < 0.2:
            del broken[chance.randrange(len(broken)) :]
        if broken == der:
            continue
        header = x5c_header([bytes(broken)])
        assert not valid.issuer_heading(x5c=header).judged().accepted
        shown = replace(valid, status_list=valid.status_list.heading(x5c=header))
        assert not shown.judged().accepted


def test_no_broken_list_raises(valid: SdPresentation) -> None:
    body = valid.status_list.text().encode()
    chance = random.Random(3)
    for _ in range(ROUNDS):
        broken = bytearray(body)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        assert not replace(valid, http=replace(valid.http, body=bytes(broken))).judged().accepted


def test_what_one_question_accepted_another_does_not(valid: SdPresentation) -> None:
    """A second look at the same bytes, which caches may remember, is as strict as the first."""
    assert valid.judged().accepted
    text = valid.text()
    again = replace(valid, entries=lambda _text: {"pid": [text]})
    assert again.judged().accepted
    assert replace(again, nonce="another").judged().reason is ReasonCode.NONCE_MISMATCH
    assert replace(again, client_id="x509_hash:other").judged().reason is ReasonCode.AUDIENCE_MISMATCH
    assert replace(again, domain=World().domain).judged().reason is ReasonCode.CERTIFICATE_UNTRUSTED
    late = World(now=valid.world.now + 400)
    assert replace(again, world=late).judged().reason is ReasonCode.KEY_BINDING_EXPIRED
    assert again.status_listing(b"\x00\x40" + bytes(98), bits=2).judged().reason is ReasonCode.STATUS_REVOKED


def test_a_list_that_was_believed_ends_for_the_next_who_asks(valid: SdPresentation) -> None:
    """Its signature is remembered, its end is not."""
    body = valid.status_list.text().encode()
    shown = replace(valid, http=replace(valid.http, body=body))
    assert shown.judged().accepted
    for hours, reason in ((0, None), (25, ReasonCode.STATUS_LIST_EXPIRED)):
        later = World(now=valid.world.now + hours * 3600)
        verdict = replace(shown.holder_saying(iat=later.now), world=later).judged()
        assert verdict.reason is reason


def test_a_holder_cannot_move_a_claim_to_another_place(valid: SdPresentation) -> None:
    """A digest stands at one place; what it discloses is there and nowhere else."""
    shown = valid.asking({"path": ["locality"]})
    assert shown.judged().reason is ReasonCode.CLAIMS_MISSING
    assert valid.asking({"path": ["address", "family_name"]}).judged().reason is ReasonCode.CLAIMS_MISSING


def test_names_that_programs_treat_specially_are_names(valid: SdPresentation) -> None:
    names = ("__proto__", "__class__", "constructor", "", "a/b", "a~1b", "*", "0", "null", "ﬀ", "family_name\u200b")
    shown = valid.hiding(*([f"salt of {name}", name, "value"] for name in names))
    for name in names:
        verdict = shown.asking({"path": [name], "values": ["value"]}).judged()
        assert (verdict.accepted, verdict.reason) == (True, None)
        assert verdict.claims("pid")[name] == "value"


def test_a_look_alike_name_is_another_name(valid: SdPresentation) -> None:
    shown = replace(valid, disclosures=valid.disclosures[1:])
    for name in ("Family_name", "family_name ", "family_nаme", "family_name\u0301"):
        assert shown.hiding(["salt", name, "LINDENAU"]).judged().reason is ReasonCode.CLAIMS_MISSING


def test_without_any_status_a_credential_that_ends_is_enough_unless_one_is_demanded(valid: SdPresentation) -> None:
    shown = valid.issuer_lacking("status")
    assert shown.judged().accepted
    assert replace(shown, policy=Policy(status=StatusRule.REQUIRED)).judged().reason is ReasonCode.STATUS_MISSING
