"""Registration certificates: both forms, both spellings, one defect each, and what a question may ask (TS 119 475)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import pytest

from specs.credentials.status_list import StatusReference
from specs.encoding import base64url, cbor, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.cose import build_sign1
from specs.keys.jose import build_jws, x5c_header
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer
from specs.protocols.dcql import parse_dcql
from specs.refusal import ReasonCode
from specs.trust.registration import (
    MAX_BYTES,
    MAX_SECONDS,
    MAX_SECONDS_WITHOUT_STATUS,
    SERVICE_PROVIDER,
    build_registration_cwt,
    build_registration_jwt,
    check_registered,
    check_times,
    parse_registration,
    verify_registration,
)
from specs.trust.registration_claims import (
    MAX_CREDENTIALS,
    RegisteredClaim,
    RegisteredCredential,
    Registration,
    RegistrationError,
    write_registration,
)
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.specs.trust.drawing import DAY, NOW, draw_ca, draw_leaf, key

SUBJECT, VCT, DOC_TYPE = "VATDE-1", "urn:eudi:pid:de:1", "eu.europa.ec.eudi.pid.1"
OTHER = "urn:example:other"
MALFORMED, UNTRUSTED = ReasonCode.REGISTRATION_MALFORMED, ReasonCode.REGISTRATION_UNTRUSTED
EXPIRED, MISMATCH = ReasonCode.REGISTRATION_EXPIRED, ReasonCode.REGISTRATION_MISMATCH
NOT_REGISTERED = ReasonCode.REQUEST_NOT_REGISTERED


def drawn() -> tuple[SigningIdentity, TrustAnchor]:
    """A registrar and its root."""
    own, ca = key("registrar"), key("registrar root")
    above = draw_ca("Registrar root", ca, path_length=0)
    chain = (draw_leaf("Registrar", own, by=ca).signed(above),)
    signer = FileSigner(own)  # type: ignore[arg-type]  # a P-256 key
    return SigningIdentity(signer, chain), TrustAnchor(AnchorKind.CA, above.signed(above), "registrar")


IDENTITY, ANCHOR = drawn()
VALID = Registration(
    subject=SUBJECT,
    name="Stadt Leipzig",
    entitlements=frozenset({SERVICE_PROVIDER}),
    issued_at=NOW - DAY,
    expires_at=NOW + 300 * DAY,
    credentials=(
        RegisteredCredential(
            "dc+sd-jwt",
            (VCT,),
            (
                RegisteredClaim(("family_name",)),
                RegisteredClaim(("address",)),
                RegisteredClaim(("nationalities", None)),
                RegisteredClaim(("addresses", None, "locality")),
                RegisteredClaim(("degrees", 0)),
                RegisteredClaim(("sex",), (1, 2)),
                RegisteredClaim(("married",), (1, True)),
            ),
        ),
        RegisteredCredential("mso_mdoc", (DOC_TYPE,)),
    ),
    provides=(RegisteredCredential("dc+sd-jwt", ("urn:example:leipzig:pass:1",)),),
    purpose={"de": "Bewohnerparken", "en": "Resident parking"},
    privacy_policy="https://city.example/privacy",
    support_uri="https://city.example/erase",
    intermediary="VATDE-2",
    public_body=True,
    status=StatusReference("https://registrar.example/1", 4),
)


def verified(token: str | bytes, *, now: int = NOW, subject: str | None = SUBJECT) -> Registration:
    """What a wallet reads."""
    return verify_registration(token, anchors=[ANCHOR], expected_subject=subject, now=now)


def reason_of(token: str | bytes, *, now: int = NOW, subject: str | None = SUBJECT) -> ReasonCode:
    """Why a wallet does not believe it."""
    with pytest.raises(RegistrationError) as refusal:
        verified(token, now=now, subject=subject)
    return refusal.value.reason


def test_what_a_registrar_writes_is_read_in_both_forms() -> None:
    assert verified(build_registration_jwt(VALID, identity=IDENTITY)) == VALID
    assert verified(build_registration_cwt(VALID, identity=IDENTITY)) == VALID
    short = replace(VALID, status=None, issued_at=NOW - 10, expires_at=NOW + DAY - 10)
    assert verified(build_registration_jwt(short, identity=IDENTITY)) == short
    assert parse_registration(build_registration_jwt(VALID, identity=IDENTITY)) == VALID


@dataclass(frozen=True)
class Token:
    """A certificate by hand."""

    claims: JsonObject
    typ: str = "rc-wrp+jwt"
    identity: SigningIdentity = IDENTITY
    x5c: bool = True

    def text(self) -> str:
        """The signed JWT."""
        header = {"x5c": x5c_header(self.identity.chain)} if self.x5c else {}
        return build_jws(strict_json.dumps(self.claims), signer=self.identity.signer, typ=self.typ, header=header)


PLAIN = Token(write_registration(VALID))


def saying(**members: object) -> Callable[[Token], Token]:
    """The claims say this; "absent" takes one away."""

    def change(token: Token) -> Token:
        said: JsonObject = {**token.claims, **members}  # type: ignore[dict-item]  # JSON
        return replace(token, claims={name: value for name, value in said.items() if value != "absent"})

    return change


def credential(**members: object) -> Callable[[Token], Token]:
    """One registered credential, written so."""
    entry = {"format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, **members}
    return saying(credentials=[{name: value for name, value in entry.items() if value != "absent"}])


SPELLINGS: dict[str, tuple[Callable[[Token], Token], Callable[[Registration], object], object]] = {
    "subject as object": (saying(sub={"legal_name": "x", "id": SUBJECT}), lambda r: r.subject, SUBJECT),
    "purpose by content": (saying(purpose=[{"lang": "de", "content": "x"}]), lambda r: r.purpose, {"de": "x"}),
    "purpose nested": (saying(purpose=[[{"lang": "de", "value": "x"}]]), lambda r: r.purpose, {"de": "x"}),
    "addresses as lists": (
        saying(privacy_policy=["https://a.example"]),
        lambda r: r.privacy_policy,
        "https://a.example",
    ),
    "intermediary as act": (saying(intermediary="absent", act={"sub": "X"}), lambda r: r.intermediary, "X"),
    "provided": (
        saying(
            provides_attestations="absent",
            provided_attestations=[{"format": "mso_mdoc", "meta": {"doctype_value": "a.b"}}],
        ),
        lambda r: r.provides,
        (RegisteredCredential("mso_mdoc", ("a.b",)),),
    ),
    "claims": (
        credential(claims=[{"path": ["a", "b"]}]),
        lambda r: r.credentials[0].claims,
        (RegisteredClaim(("a", "b")),),
    ),
    "no list at all": (credential(), lambda r: r.credentials[0].claims, None),
    "an empty list": (credential(claim=[]), lambda r: r.credentials[0].claims, ()),
    "further members": (saying(country="DE", dpa={"email": "a@b.example"}), lambda r: r.subject, SUBJECT),
}


@pytest.mark.parametrize(("change", "look", "expected"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_each_spelling_of_the_standard_is_read(
    change: Callable[[Token], Token], look: Callable[[Registration], object], expected: object
) -> None:
    assert look(verified(change(PLAIN).text())) == expected


def by_stranger(token: Token) -> Token:
    """Another key signs, with the registrar's certificate."""
    return replace(token, identity=SigningIdentity(generate_signer(), IDENTITY.chain))


def by_a_party(token: Token) -> Token:
    """Somebody signs with a certificate of another root."""
    own, ca = key("party"), key("other root")
    above = draw_ca("Registrar root", ca, path_length=0)
    chain = (draw_leaf("Registrar", own, by=ca).signed(above),)
    return replace(token, identity=SigningIdentity(FileSigner(own), chain))  # type: ignore[arg-type]


REFUSED: dict[str, tuple[Callable[[Token], Token], ReasonCode]] = {
    "another kind of token": (lambda t: replace(t, typ="JWT"), MALFORMED),
    "no chain": (lambda t: replace(t, x5c=False), MALFORMED),
    "another key": (by_stranger, UNTRUSTED),
    "another root": (by_a_party, UNTRUSTED),
    "no subject": (saying(sub="absent"), MALFORMED),
    "no name": (saying(name=""), MALFORMED),
    "no entitlement": (saying(entitlements=[]), MALFORMED),
    "no time": (saying(iat="absent"), MALFORMED),
    "time as text": (saying(iat="2026"), MALFORMED),
    "both spellings": (saying(provided_attestations=[]), MALFORMED),
    "attributes under an unknown name": (credential(claim_list=[]), MALFORMED),
    "attributes under both names": (credential(claim=[], claims=[]), MALFORMED),
    "attributes that are no list": (credential(claim={}), MALFORMED),
    "a path that is text": (credential(claim=[{"path": "a.b"}]), MALFORMED),
    "an empty path": (credential(claim=[{"path": []}]), MALFORMED),
    "a step true": (credential(claim=[{"path": [True]}]), MALFORMED),
    "values that are objects": (credential(claim=[{"path": ["a"], "values": [{}]}]), MALFORMED),
    "no type": (credential(meta={}), MALFORMED),
    "no format": (credential(format="absent"), MALFORMED),
    "too many credentials": (
        saying(credentials=[{"format": "x", "meta": {"vct_values": ["y"]}}] * (MAX_CREDENTIALS + 1)),
        MALFORMED,
    ),
    "a status of another kind": (saying(status={"x": 1}), MALFORMED),
    "from the future": (saying(iat=NOW + 61), EXPIRED),
    "past its end": (saying(exp=NOW - 61), EXPIRED),
    "for more than a year": (saying(exp=NOW + 366 * DAY), EXPIRED),
    "for long without a status": (saying(status="absent"), EXPIRED),
    "for ever without a status": (saying(status="absent", exp="absent"), EXPIRED),
    "another party's": (saying(sub="VATDE-9"), MISMATCH),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_certificate_with_one_defect_is_refused(change: Callable[[Token], Token], reason: ReasonCode) -> None:
    assert verified(PLAIN.text()) == VALID
    assert reason_of(change(PLAIN).text()) is reason


def test_a_party_without_an_identifier_has_no_registration() -> None:
    assert reason_of(PLAIN.text(), subject=None) is MISMATCH


@pytest.mark.parametrize(
    ("members", "holds"),
    [
        ({"issued_at": NOW + 60}, True),
        ({"issued_at": NOW + 61}, False),
        ({"expires_at": NOW - 59}, True),
        ({"expires_at": NOW - 60}, False),
        ({"expires_at": VALID.issued_at + MAX_SECONDS}, True),
        ({"expires_at": VALID.issued_at + MAX_SECONDS + 1}, False),
        ({"expires_at": VALID.issued_at + MAX_SECONDS_WITHOUT_STATUS, "status": None}, True),
        ({"expires_at": VALID.issued_at + MAX_SECONDS_WITHOUT_STATUS + 1, "status": None}, False),
        ({"expires_at": None}, True),
    ],
)
def test_a_certificate_holds_at_its_limits_and_not_a_second_beyond(members: dict[str, object], *, holds: bool) -> None:
    changed = replace(VALID, **members)  # type: ignore[arg-type]  # members of the class
    if holds:
        check_times(changed, now=NOW)
    else:
        with pytest.raises(RegistrationError) as refusal:
            check_times(changed, now=NOW)
        assert refusal.value.reason is EXPIRED


@pytest.mark.parametrize("token", ["", "a.b", "x" * (MAX_BYTES + 1), b"", b"\x80", b"\xd2\x80"])
def test_what_is_no_certificate_is_refused(token: str | bytes) -> None:
    assert reason_of(token) is MALFORMED


LABELLED: dict[int | str, object] = {
    {"sub": 2, "exp": 4, "iat": 6, "status": 65535}.get(name, name): value
    for name, value in write_registration(VALID).items()
}


def cwt(claims: Mapping[int | str, object], *, typ: str = "rc-wrp+cwt", protected_chain: bool = False) -> bytes:
    """A CWT by hand."""
    certified: dict[int, object] = {33: IDENTITY.chain[0]}
    sign1 = build_sign1(
        cbor.encode(dict(claims)),
        signer=IDENTITY.signer,
        protected={16: typ, **(certified if protected_chain else {})},
        unprotected={} if protected_chain else certified,
    )
    return cbor.encode(sign1)


def test_a_cwt_holds_what_json_could_hold_and_says_what_it_is() -> None:
    assert verified(cwt(LABELLED)) == VALID
    with pytest.raises(RegistrationError, match=f"^{MALFORMED}: typ$"):
        verified(cwt(LABELLED, typ="application/cwt"))
    assert reason_of(cwt({**LABELLED, 7: b"id"})) is MALFORMED
    for value in (b"bytes", [b"bytes"], {"y": b"bytes"}, {1: "y"}, [{None: "y"}], float("nan"), float("inf"), -(2**64)):
        assert reason_of(cwt({**LABELLED, "x": value})) is MALFORMED
    assert verified(cwt({**LABELLED, "x": {"y": [None, True, 1.5, 2**64 - 1]}})) == VALID


def test_the_chain_of_a_cwt_may_stand_in_either_header() -> None:
    """RFC 9360 §2: a chain that is checked against an anchor needs no protection."""
    assert verified(cwt(LABELLED, protected_chain=True)) == verified(cwt(LABELLED)) == VALID


def test_a_certificate_may_be_64_kibibytes_long_and_no_longer() -> None:
    def token(length: int) -> bytes:
        return cwt({**LABELLED, "more": "x" * length})

    length = 40_000 + MAX_BYTES - len(token(40_000))
    assert len(token(length)) == MAX_BYTES
    assert verified(token(length)) == VALID
    assert reason_of(token(length + 1)) is MALFORMED
    assert reason_of(saying(more="x" * MAX_BYTES)(PLAIN).text()) is MALFORMED


def question(*claims: Mapping[str, object], **members: object) -> JsonObject:
    """A question for the PID."""
    entry: dict[str, object] = {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, **members}
    if claims:
        entry["claims"] = list(claims)
    return {"credentials": [entry]}  # type: ignore[list-item]


def mdoc_question(*claims: Mapping[str, object]) -> JsonObject:
    """The same for the mdoc."""
    return question(*claims, format="mso_mdoc", meta={"doctype_value": DOC_TYPE})


WITHIN: dict[str, JsonObject] = {
    "a registered claim": question({"path": ["family_name"]}),
    "what lies below one": question({"path": ["address", "locality"]}),
    "every element": question({"path": ["nationalities", None]}),
    "one element of all": question({"path": ["nationalities", 0]}),
    "a member of every element": question({"path": ["addresses", None, "locality"]}),
    "a member of one element": question({"path": ["addresses", 3, "locality"]}),
    "the registered element": question({"path": ["degrees", 0]}),
    "a registered value": question({"path": ["sex"], "values": [1]}),
    "each registered value": question({"path": ["sex"], "values": [2, 1]}),
    "true where one is registered, too": question({"path": ["married"], "values": [True]}),
    "an unlimited credential": mdoc_question({"path": [DOC_TYPE, "portrait"]}),
    "an unlimited credential, whole": mdoc_question(),
}
BEYOND: dict[str, tuple[JsonObject, str]] = {
    "another claim": (question({"path": ["birthdate"]}), "pid: birthdate"),
    "one of two": (question({"path": ["family_name"]}, {"path": ["birthdate"]}), "pid: birthdate"),
    "what lies above": (question({"path": ["nationalities"]}), "pid: nationalities"),
    "a member where elements are registered": (question({"path": ["nationalities", "x"]}), "pid: nationalities/x"),
    "another member of every element": (
        question({"path": ["addresses", None, "street"]}),
        "pid: addresses/None/street",
    ),
    "another element": (question({"path": ["degrees", 1]}), "pid: degrees/1"),
    "every element where one is registered": (question({"path": ["degrees", None]}), "pid: degrees/None"),
    "no claims named": (question(), "pid: no claims are named, and not all are registered"),
    "any value of a limited one": (question({"path": ["sex"]}), "pid: sex"),
    "another value": (question({"path": ["sex"], "values": [1, 3]}), "pid: sex"),
    "a value of another kind": (question({"path": ["sex"], "values": [True]}), "pid: sex"),
    "a value below a limited one": (question({"path": ["sex", "x"], "values": [1]}), "pid: sex/x"),
    "another type": (question({"path": ["family_name"]}, meta={"vct_values": [OTHER]}), f"pid: {OTHER}"),
    "one type of two": (question({"path": ["family_name"]}, meta={"vct_values": [VCT, OTHER]}), f"pid: {OTHER}"),
    "a type of another format": (
        question({"path": ["family_name"]}, meta={"vct_values": [DOC_TYPE]}),
        f"pid: {DOC_TYPE}",
    ),
    "another format": (
        question({"path": ["a", "family_name"]}, format="mso_mdoc", meta={"doctype_value": "org.example.other"}),
        "pid: org.example.other",
    ),
    "a format that nobody knows": (
        question({"path": ["family_name"]}, format="ldp_vc", meta={"type_values": [["x"]]}),
        "pid: ldp_vc",
    ),
}


@pytest.mark.parametrize("asked", WITHIN.values(), ids=WITHIN.keys())
def test_a_question_within_the_registration_may_be_asked(asked: JsonObject) -> None:
    check_registered(parse_dcql(asked), VALID)


@pytest.mark.parametrize(("asked", "named"), BEYOND.values(), ids=BEYOND.keys())
def test_a_question_beyond_the_registration_may_not(asked: JsonObject, named: str) -> None:
    with pytest.raises(RegistrationError) as refusal:
        check_registered(parse_dcql(asked), VALID)
    assert (refusal.value.reason, refusal.value.detail) == (NOT_REGISTERED, named)


def test_a_certificate_speaks_for_the_queries_it_names() -> None:
    entries = [question({"path": [path]}, id=name)["credentials"] for name, path in (("a", "birthdate"), ("b", "sex"))]
    asked = parse_dcql({"credentials": [*chain.from_iterable(entries)]})  # type: ignore[arg-type]  # lists
    check_registered(asked, VALID, credential_ids=["other"])
    for name in ("a", "b"):
        with pytest.raises(RegistrationError, match=f"{name}: "):
            check_registered(asked, VALID, credential_ids=[name])


def test_an_issuer_that_is_not_registered_to_ask_may_ask_nothing() -> None:
    issuer = replace(VALID, entitlements=frozenset({"https://uri.etsi.org/19475/Entitlement/Non_Q_EAA_Provider"}))
    with pytest.raises(RegistrationError) as refusal:
        check_registered(parse_dcql(WITHIN["a registered claim"]), issuer)
    assert refusal.value.reason is NOT_REGISTERED


def test_a_broken_signature_is_no_registrars() -> None:
    head, body, tail = PLAIN.text().split(".")
    bent = bytearray(base64url.decode(tail))
    bent[5] ^= 1
    assert reason_of(f"{head}.{body}.{base64url.encode(bytes(bent))}") is UNTRUSTED
    as_cwt = bytearray(cwt(LABELLED))
    as_cwt[-5] ^= 1
    assert reason_of(bytes(as_cwt)) is UNTRUSTED
