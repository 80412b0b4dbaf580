"""Each reject condition of RFC 9901 §4, §7.1 and §7.3 as one change to a valid presentation, and the limits."""

import json
import re
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256

import pytest

from specs.credentials.key_binding import build_key_binding, parse_key_binding, verify_key_binding
from specs.credentials.sd_jwt import (
    UNDISCLOSED,
    Limits,
    Processed,
    SdJwtError,
    parse_sd_jwt,
    process_payload,
    verify_issuer_jwt,
)
from specs.credentials.sd_jwt_json import build_flattened_json, build_general_json, parse_sd_jwt_json
from specs.credentials.sd_jwt_present import parse_issued, serialize, with_disclosures
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import JoseError, jwk_from_public_key, parse_jws
from specs.keys.signer import FileSigner, generate_signer
from specs.refusal import ReasonCode, Refusal
from tests.specs.credentials.sd_jwt_drawing import (
    ADDRESS,
    AUDIENCE,
    CITY,
    GIVEN_NAME,
    HOLDER,
    ISSUER,
    NATION,
    NONCE,
    NOW,
    STRANGER,
    Drawn,
    b64,
    digest,
    disclosure,
    signed,
)


def verify(text: str, *, limits: Limits | None = None) -> Processed:
    """RFC 9901 §7.1 as our pieces do it."""
    limits = limits or Limits()
    sd_jwt = parse_sd_jwt(text, limits=limits)
    jws = parse_jws(sd_jwt.issuer_jwt, expected_typ="dc+sd-jwt")
    return process_payload(verify_issuer_jwt(jws, ISSUER.public_key, limits=limits), sd_jwt.disclosures, limits=limits)


def test_a_valid_presentation_says_what_was_disclosed_and_where() -> None:
    processed = verify(Drawn().text())

    assert processed.claims["given_name"] == "Erika"
    assert processed.claims["address"] == {"country": "DE", "locality": "Leipzig"}
    assert processed.claims["nationalities"] == ["DE", "FR"]
    assert processed.issued["nationalities"] == [UNDISCLOSED, "DE", "FR"]
    assert {(shown.path, shown.disclosure) for shown in processed.disclosed} == {
        (("given_name",), GIVEN_NAME),
        (("address",), ADDRESS),
        (("address", "locality"), CITY),
        (("nationalities", 1), NATION),
    }
    assert "_sd" not in json.dumps(processed.claims)


SPACED = b64(b' [ "salt" ,\n"m\\u00fcnze", {"a" : [1.50, null]} ] ')
TILDE = disclosure("salt", "tilde", '"~"')
MARKER = b64(b'["salt","marker","~"]')


@pytest.mark.parametrize("text", [SPACED, TILDE, MARKER], ids=["spaced", "quoted tilde", "tilde"])
def test_disclosures_are_hashed_as_received_however_they_are_written(text: str) -> None:
    processed = verify(Drawn().with_hidden(text).text())

    assert len(processed.disclosed) == 5


@pytest.mark.parametrize("alg", ["sha-256", "sha-384", "sha-512"])
def test_each_allowed_hash_is_understood(alg: str) -> None:
    name = digest(GIVEN_NAME, alg.replace("-", ""))

    processed = verify(Drawn(payload={"_sd_alg": alg, "_sd": [name]}, disclosures=(GIVEN_NAME,)).text())

    assert processed.claims == {"given_name": "Erika"}
    assert processed.sd_alg == alg


def test_without_disclosures_and_digests_the_payload_stands_as_it_is() -> None:
    assert verify(Drawn(payload={"a": None, "b": 0, "c": False, "d": "", "_sd": []}, disclosures=()).text()).claims == {
        "a": None,
        "b": 0,
        "c": False,
        "d": "",
    }


def _payload(**members: object) -> Callable[[Drawn], str]:
    return lambda drawn: drawn.with_payload(**members).text()


def _hidden(*disclosures: str) -> Callable[[Drawn], str]:
    return lambda drawn: drawn.with_hidden(*disclosures).text()


def _shown(*disclosures: str) -> Callable[[Drawn], str]:
    return lambda drawn: replace(drawn, disclosures=disclosures).text()


def _element(*disclosures: str) -> Callable[[Drawn], str]:
    def change(drawn: Drawn) -> str:
        elements = [{"...": digest(text)} for text in disclosures]
        changed = drawn.with_payload(more=elements)
        return replace(changed, disclosures=(*drawn.disclosures, *disclosures)).text()

    return change


def _raw(change: Callable[[str], str]) -> Callable[[Drawn], str]:
    return lambda drawn: replace(drawn, raw_payload=change(json.dumps(drawn.payload)).encode()).text()


PROCESSING: dict[str, tuple[ReasonCode, Callable[[Drawn], str]]] = {
    "§4 no tilde": (ReasonCode.SD_JWT_MALFORMED, lambda drawn: drawn.issuer_jwt()),
    "§4 last tilde removed": (ReasonCode.SD_JWT_MALFORMED, lambda drawn: drawn.text()[:-1]),
    "§4 empty disclosure": (ReasonCode.SD_JWT_MALFORMED, _shown(GIVEN_NAME, "", NATION)),
    "§4 two KB-JWTs": (ReasonCode.SD_JWT_MALFORMED, lambda drawn: drawn.text() + "a.b.c~a.b.c"),
    "§4 not ASCII": (ReasonCode.SD_JWT_MALFORMED, lambda drawn: drawn.text() + "ü"),
    "§4 white space between": (ReasonCode.DISCLOSURE_MALFORMED, _shown(GIVEN_NAME + "\n", NATION)),
    "§4 padding": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(b64(b'["s","n",12]') + "==")),
    "§4 standard alphabet": (
        ReasonCode.DISCLOSURE_MALFORMED,
        _hidden(b64(b'["s","n","\xc3\xbf"]').replace("_", "/") + "/"),
    ),
    "§4 bits behind the data": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(b64(b'["salt","n",1]')[:-1] + "1")),
    "§4 impossible length": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(b64(b'["s","na",12]') + "A" * 3)),
    "§7.1 2d _sd_alg unknown": (ReasonCode.HASH_ALGORITHM_NOT_ALLOWED, _payload(_sd_alg="sha-256-32")),
    "§7.1 2d _sd_alg in capitals": (ReasonCode.HASH_ALGORITHM_NOT_ALLOWED, _payload(_sd_alg="SHA-256")),
    "§7.1 2d _sd_alg a number": (ReasonCode.HASH_ALGORITHM_NOT_ALLOWED, _payload(_sd_alg=256)),
    "§7.1 2d _sd_alg null": (ReasonCode.HASH_ALGORITHM_NOT_ALLOWED, _payload(_sd_alg=None)),
    "§4.1.1 _sd_alg nested": (ReasonCode.CLAIM_NAME_FORBIDDEN, _payload(inner={"_sd_alg": "sha-256"})),
    "§4.1.1 _sd_alg in a disclosed value": (
        ReasonCode.CLAIM_NAME_FORBIDDEN,
        _hidden(disclosure("s", "n", {"_sd_alg": "sha-256"})),
    ),
    "§4.1.1 _sd_alg disclosed": (ReasonCode.CLAIM_NAME_FORBIDDEN, _hidden(disclosure("s", "_sd_alg", "sha-256"))),
    "§4.2.4.1 _sd an object": (ReasonCode.SD_JWT_MALFORMED, _payload(inner={"_sd": {"a": "b"}})),
    "§4.2.4.1 _sd text": (ReasonCode.SD_JWT_MALFORMED, _payload(inner={"_sd": "abc"})),
    "§4.2.4.1 _sd null": (ReasonCode.SD_JWT_MALFORMED, _payload(inner={"_sd": None})),
    "§4.2.4.1 _sd holds a number": (ReasonCode.SD_JWT_MALFORMED, _payload(inner={"_sd": [1]})),
    "§4.2.4.1 _sd holds an array": (ReasonCode.SD_JWT_MALFORMED, _payload(inner={"_sd": [["a"]]})),
    "§4.2.4.2 placeholder with a number": (ReasonCode.SD_JWT_MALFORMED, _payload(inner=[{"...": 1}])),
    "§4.2.4.2 placeholder with a further member": (
        ReasonCode.CLAIM_NAME_FORBIDDEN,
        _payload(inner=[{"...": digest("x"), "y": 1}]),
    ),
    "§4.1 ... outside an array": (ReasonCode.CLAIM_NAME_FORBIDDEN, _payload(inner={"...": digest("x")})),
    "§4.1 ... at the top": (ReasonCode.CLAIM_NAME_FORBIDDEN, _payload(**{"...": digest("x")})),
    "§4.1 a disclosed element is a placeholder": (
        ReasonCode.CLAIM_NAME_FORBIDDEN,
        _element(disclosure("s", {"...": digest("x")})),
    ),
    "§7.1 3c not JSON": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(b64(b'["s","n",'))),
    "§7.1 3c not UTF-8": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(b64(b'["s","n","\xff"]'))),
    "§7.1 3c an object": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(b64(b'{"s":"n"}'))),
    "§7.1 3c text of three characters": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(b64(b'"abc"'))),
    "§7.1 3c one element": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(disclosure("s"))),
    "§7.1 3c four elements": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(disclosure("s", "n", 1, 2))),
    "§7.1 3c two values": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(b64(b'["s","n",1],["s","m",1]'))),
    "§7.1 3c torn apart": (
        ReasonCode.DISCLOSURE_MALFORMED,
        _hidden(b64(b'["s","n",[1]'), b64(b"[2]]"), b64(b'["s","m",1],"~",["s","o",1]')),
    ),
    "§7.1 3c the marker in escapes": (
        ReasonCode.DISCLOSURE_MALFORMED,
        _hidden(b64(b'["s","n",[1]'), b64(b"[2]]"), b64(b'["s","m",1],"\\u007e",["s","o",1]')),
    ),
    "§7.1 3c.ii element's form among members": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(disclosure("s", 1))),
    "§7.1 3c.iii member's form among elements": (ReasonCode.DISCLOSURE_MALFORMED, _element(disclosure("s", "n", 1))),
    "§4.2.1 salt a number": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(disclosure(1, "n", 1))),
    "§4.2.1 salt null in an element": (ReasonCode.DISCLOSURE_MALFORMED, _element(disclosure(None, 1))),
    "§4.2.1 name a number": (ReasonCode.DISCLOSURE_MALFORMED, _hidden(disclosure("s", 1, 1))),
    "§7.1 3c.ii name _sd": (ReasonCode.CLAIM_NAME_FORBIDDEN, _hidden(disclosure("s", "_sd", []))),
    "§7.1 3c.ii name ...": (ReasonCode.CLAIM_NAME_FORBIDDEN, _hidden(disclosure("s", "...", "x"))),
    "§7.1 3c.ii name already there": (ReasonCode.CLAIM_COLLISION, _hidden(disclosure("s", "vct", "urn:other"))),
    "§7.1 3c.ii two of one name": (ReasonCode.CLAIM_COLLISION, _hidden(disclosure("s", "given_name", "Eva"))),
    "§7.1 4 digest twice in one _sd": (
        ReasonCode.DIGEST_REPEATED,
        _payload(_sd=[digest(GIVEN_NAME), digest(ADDRESS), digest(GIVEN_NAME)]),
    ),
    "§7.1 4 decoy at two places": (ReasonCode.DIGEST_REPEATED, _payload(inner={"_sd": [digest("decoy")]})),
    "§7.1 4 in _sd and in an array": (ReasonCode.DIGEST_REPEATED, _payload(inner=[{"...": digest("decoy")}])),
    "§7.1 4 in a disclosed value": (
        ReasonCode.DIGEST_REPEATED,
        _hidden(disclosure("s", "inner", {"_sd": [digest(GIVEN_NAME)]})),
    ),
    "§7.1 5 a disclosure of another credential": (
        ReasonCode.DISCLOSURE_UNREFERENCED,
        _shown(GIVEN_NAME, disclosure("s", "n", 1)),
    ),
    "§7.1 5 a disclosure changed": (
        ReasonCode.DISCLOSURE_UNREFERENCED,
        _shown(disclosure("2GLC42sKQveCfGfryNRN9w", "given_name", "Eva")),
    ),
    "§7.1 5 the same disclosure twice": (ReasonCode.DISCLOSURE_UNREFERENCED, _shown(GIVEN_NAME, GIVEN_NAME)),
    "§7.1 5 a child without its parent": (ReasonCode.DISCLOSURE_UNREFERENCED, _shown(GIVEN_NAME, CITY)),
    "RFC 8259 §4 a member twice in a disclosure": (
        ReasonCode.DISCLOSURE_MALFORMED,
        _hidden(b64(b'["s","n",{"a":1,"a":2}]')),
    ),
    "RFC 7519 §4 a claim twice": (
        ReasonCode.JWT_MALFORMED,
        _raw(lambda text: text.replace('"vct":', '"vct": "urn:x", "vct":', 1)),
    ),
    "RFC 8259 NaN": (ReasonCode.JWT_MALFORMED, _raw(lambda text: re.sub(r'"exp": \d+', '"exp": NaN', text))),
    "RFC 8259 Infinity": (ReasonCode.JWT_MALFORMED, _raw(lambda text: re.sub(r'"exp": \d+', '"exp": Infinity', text))),
    "RFC 8259 an overflowing number in a disclosure": (
        ReasonCode.DISCLOSURE_MALFORMED,
        _hidden(b64(b'["s","n",1e999]')),
    ),
    "the payload an array": (ReasonCode.JWT_MALFORMED, lambda drawn: replace(drawn, raw_payload=b"[]").text()),
    "§7.1 2b signed by a stranger": (
        ReasonCode.SIGNATURE_INVALID,
        lambda drawn: signed(json.dumps(drawn.payload).encode(), signer=STRANGER) + "~",
    ),
    "§7.1 2a alg none": (
        ReasonCode.ALGORITHM_NOT_ALLOWED,
        lambda drawn: replace(drawn, header={"alg": "none"}).text(),
    ),
}


@pytest.mark.parametrize("case", PROCESSING)
def test_a_presentation_with_one_defect_is_refused_for_it(case: str) -> None:
    reason, change = PROCESSING[case]
    assert verify(Drawn().text()).claims

    with pytest.raises(Refusal) as refused:
        verify(change(Drawn()))

    assert refused.value.reason is reason


def _bind(
    drawn: Drawn,
    claims: Mapping[str, object] | None = None,
    *,
    signer: FileSigner = HOLDER,
    header: dict[str, object] | None = None,
    without: str | None = None,
) -> str:
    """A presentation whose KB-JWT has members changed."""
    sd_jwt = parse_sd_jwt(drawn.text())
    valid: dict[str, object] = {
        "iat": NOW,
        "nonce": NONCE,
        "aud": AUDIENCE,
        "sd_hash": digest(sd_jwt.hashed_part.decode()),
    }
    valid.update(claims or {})
    valid.pop(without or "", None)
    return drawn.text() + signed(json.dumps(valid).encode(), signer=signer, header={"typ": "kb+jwt", **(header or {})})


def verify_bound(text: str) -> JsonObject:
    """RFC 9901 §7.1 and §7.3 as our pieces do it."""
    sd_jwt = parse_sd_jwt(text)
    processed = verify(sd_jwt.hashed_part.decode())
    assert sd_jwt.kb_jwt is not None
    bound = parse_key_binding(sd_jwt)
    verify_key_binding(
        bound,
        holder_key=HOLDER.public_key,
        hashed_part=sd_jwt.hashed_part,
        sd_alg=processed.sd_alg,
        expected_nonce=NONCE,
        expected_audience=AUDIENCE,
        now=NOW,
    )
    return bound.claims


BINDING: dict[str, tuple[ReasonCode, Callable[[Drawn], str]]] = {
    "5b alg none": (ReasonCode.ALGORITHM_NOT_ALLOWED, lambda drawn: _bind(drawn, header={"alg": "none"})),
    "5b alg HS256": (ReasonCode.ALGORITHM_NOT_ALLOWED, lambda drawn: _bind(drawn, header={"alg": "HS256"})),
    "5b alg of another curve": (ReasonCode.ALGORITHM_NOT_ALLOWED, lambda drawn: _bind(drawn, header={"alg": "ES384"})),
    "5c another key": (ReasonCode.KEY_BINDING_SIGNATURE_INVALID, lambda drawn: _bind(drawn, signer=STRANGER)),
    "5c another key in jwk": (
        ReasonCode.KEY_BINDING_SIGNATURE_INVALID,
        lambda drawn: _bind(drawn, signer=STRANGER, header={"jwk": jwk_from_public_key(STRANGER.public_key)}),
    ),
    "5c r = s = 0": (
        ReasonCode.KEY_BINDING_SIGNATURE_INVALID,
        lambda drawn: _bind(drawn).rpartition(".")[0] + "." + b64(bytes(64)),
    ),
    "5d typ JWT": (ReasonCode.TYP_MISMATCH, lambda drawn: _bind(drawn, header={"typ": "JWT"})),
    "5d typ an array": (ReasonCode.TYP_MISMATCH, lambda drawn: _bind(drawn, header={"typ": ["kb+jwt"]})),
    "RFC 7515 §4.1.11 crit": (
        ReasonCode.CRITICAL_HEADER_UNKNOWN,
        lambda drawn: _bind(drawn, header={"crit": ["x"], "x": 1}),
    ),
    "5e no iat": (ReasonCode.KEY_BINDING_MALFORMED, lambda drawn: _bind(drawn, without="iat")),
    "5e iat text": (ReasonCode.KEY_BINDING_MALFORMED, lambda drawn: _bind(drawn, {"iat": str(NOW)})),
    "5e iat true": (ReasonCode.KEY_BINDING_MALFORMED, lambda drawn: _bind(drawn, {"iat": True})),
    "5e iat too old": (ReasonCode.KEY_BINDING_EXPIRED, lambda drawn: _bind(drawn, {"iat": NOW - 301})),
    "5e iat too far ahead": (ReasonCode.KEY_BINDING_NOT_YET_VALID, lambda drawn: _bind(drawn, {"iat": NOW + 61})),
    "5f nonce of another session": (ReasonCode.NONCE_MISMATCH, lambda drawn: _bind(drawn, {"nonce": "other"})),
    "5f nonce with a space": (ReasonCode.NONCE_MISMATCH, lambda drawn: _bind(drawn, {"nonce": NONCE + " "})),
    "5f nonce missing": (ReasonCode.NONCE_MISMATCH, lambda drawn: _bind(drawn, without="nonce")),
    "5f nonce an array": (ReasonCode.NONCE_MISMATCH, lambda drawn: _bind(drawn, {"nonce": [NONCE]})),
    "5f aud of another": (
        ReasonCode.AUDIENCE_MISMATCH,
        lambda drawn: _bind(drawn, {"aud": "x509_san_dns:other.example"}),
    ),
    "5f aud a prefix": (ReasonCode.AUDIENCE_MISMATCH, lambda drawn: _bind(drawn, {"aud": AUDIENCE[:-1]})),
    "5f aud missing": (ReasonCode.AUDIENCE_MISMATCH, lambda drawn: _bind(drawn, without="aud")),
    "5f aud an array": (ReasonCode.AUDIENCE_MISMATCH, lambda drawn: _bind(drawn, {"aud": [AUDIENCE]})),
    "5g sd_hash wrong": (ReasonCode.SD_HASH_MISMATCH, lambda drawn: _bind(drawn, {"sd_hash": digest("x")})),
    "5g sd_hash missing": (ReasonCode.SD_HASH_MISMATCH, lambda drawn: _bind(drawn, without="sd_hash")),
    "5g sd_hash by another hash": (
        ReasonCode.SD_HASH_MISMATCH,
        lambda drawn: _bind(drawn, {"sd_hash": digest(drawn.text(), "sha512")}),
    ),
    "5g sd_hash without disclosures": (
        ReasonCode.SD_HASH_MISMATCH,
        lambda drawn: _bind(drawn, {"sd_hash": digest(drawn.text().partition("~")[0] + "~")}),
    ),
    "5g a disclosure removed later": (
        ReasonCode.SD_HASH_MISMATCH,
        lambda drawn: _bind(drawn).replace(GIVEN_NAME + "~", ""),
    ),
    "5h exp past": (ReasonCode.KEY_BINDING_EXPIRED, lambda drawn: _bind(drawn, {"exp": NOW - 60})),
    "5h exp null": (ReasonCode.KEY_BINDING_MALFORMED, lambda drawn: _bind(drawn, {"exp": None})),
    "5h nbf ahead": (ReasonCode.KEY_BINDING_NOT_YET_VALID, lambda drawn: _bind(drawn, {"nbf": NOW + 61})),
    "5h not a JWT": (ReasonCode.KEY_BINDING_MALFORMED, lambda drawn: drawn.text() + "!.!.!"),
}


@pytest.mark.parametrize("case", BINDING)
def test_a_key_binding_with_one_defect_is_refused_for_it(case: str) -> None:
    reason, change = BINDING[case]
    assert verify_bound(_bind(Drawn()))

    with pytest.raises(SdJwtError) as refused:
        verify_bound(change(Drawn()))

    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "claims", [{"iat": NOW + 30}, {"iat": NOW - 299.5}, {"other": [1]}, {"exp": NOW - 59, "nbf": NOW + 60}], ids=str
)
def test_a_key_binding_a_little_ahead_or_with_further_claims_is_accepted(claims: dict[str, object]) -> None:
    assert verify_bound(_bind(Drawn(), claims))["nonce"] == NONCE


def test_the_holders_own_key_binding_is_accepted_and_carries_further_claims() -> None:
    sd_jwt = parse_sd_jwt(Drawn().text())
    bound = build_key_binding(
        with_disclosures(sd_jwt, {GIVEN_NAME}),
        signer=HOLDER,
        nonce=NONCE,
        audience=AUDIENCE,
        issued_at=NOW,
        claims={"transaction_data_hashes": ["x"]},
    )

    assert verify_bound(serialize(bound))["transaction_data_hashes"] == ["x"]
    with pytest.raises(SdJwtError):
        build_key_binding(
            sd_jwt, signer=HOLDER, nonce=NONCE, audience=AUDIENCE, issued_at=NOW, claims={"nonce": "other"}
        )


@pytest.mark.parametrize("alg", ["ES384", "ES512", "EdDSA"])
def test_a_holder_may_sign_with_each_algorithm(alg: str) -> None:
    holder = generate_signer(alg)
    bound = build_key_binding(
        parse_sd_jwt(Drawn().text()), signer=holder, nonce=NONCE, audience=AUDIENCE, issued_at=NOW
    )
    assert bound.kb_jwt is not None

    verify_key_binding(
        parse_key_binding(bound),
        holder_key=holder.public_key,
        hashed_part=bound.hashed_part,
        sd_alg="sha-256",
        expected_nonce=NONCE,
        expected_audience=AUDIENCE,
        now=NOW,
    )


def test_an_issuer_that_sends_a_key_binding_is_refused_by_the_holder() -> None:
    """RFC 9901 §7.2."""
    assert parse_issued(Drawn().text()).disclosures

    with pytest.raises(SdJwtError) as refused:
        parse_issued(serialize(Drawn().bound()))

    assert refused.value.reason is ReasonCode.SD_JWT_MALFORMED


def _json_defects() -> dict[str, JsonObject]:
    bound = Drawn().bound()
    flat, general = build_flattened_json(bound), build_general_json(bound)
    signatures = general["signatures"]
    assert isinstance(signatures, list)
    return {
        "no payload": {name: value for name, value in flat.items() if name != "payload"},
        "no protected": {name: value for name, value in flat.items() if name != "protected"},
        "header an array": {**flat, "header": []},
        "disclosures text": {**flat, "header": {"disclosures": GIVEN_NAME}},
        "disclosures numbers": {**flat, "header": {"disclosures": [1]}},
        "a tilde in a disclosure": {**flat, "header": {"disclosures": [f"{GIVEN_NAME}~{NATION}"]}},
        "an empty disclosure": {**flat, "header": {"disclosures": [""]}},
        "kb_jwt null": {**flat, "header": {"disclosures": [], "kb_jwt": None}},
        "kb_jwt empty": {**flat, "header": {"disclosures": [], "kb_jwt": ""}},
        "crit unprotected": {**flat, "header": {"disclosures": [], "crit": ["x"]}},
        "alg in both headers": {**flat, "header": {"disclosures": [], "alg": "ES256"}},
        "flattened and general": {**flat, **general},
        "no signatures": {**general, "signatures": []},
        "a signature that is text": {**general, "signatures": ["x"]},
        "disclosures in the second header": {**general, "signatures": [*signatures, *signatures]},
    }


@pytest.mark.parametrize("case", _json_defects())
def test_a_json_serialisation_with_one_defect_is_refused(case: str) -> None:
    """RFC 9901 §8, RFC 7515 §7.2."""
    assert parse_sd_jwt_json(strict_json.dumps(build_flattened_json(Drawn().bound()))).kb_jwt

    with pytest.raises(SdJwtError) as refused:
        parse_sd_jwt_json(strict_json.dumps(_json_defects()[case]))

    assert refused.value.reason is ReasonCode.SD_JWT_MALFORMED


def _recursive(levels: int, leaf: str = "leaf") -> Drawn:
    inner = disclosure("s", "n", leaf)
    disclosures = [inner]
    for level in range(levels - 1):
        inner = disclosure(str(level), "n", {"_sd": [digest(inner)]})
        disclosures.append(inner)
    return Drawn(payload={"_sd": [digest(inner)]}, disclosures=tuple(disclosures))


def test_thirty_levels_of_recursive_disclosures_are_accepted() -> None:
    processed = verify(_recursive(30).text())

    assert max(len(shown.path) for shown in processed.disclosed) == 30


def test_a_portrait_of_120_kilobytes_is_accepted() -> None:
    portrait = "data:image/jpeg;base64," + "A" * 160_000

    assert verify(Drawn().with_hidden(disclosure("s", "picture", portrait)).text()).claims["picture"] == portrait


LOOSE = Limits(max_bytes=10**8, max_disclosures=10**6, max_depth=10**6)
EXHAUSTING: dict[str, tuple[Callable[[], str], Limits | None]] = {
    "100000 dots": (lambda: "." * 100_000 + "~", None),
    "100000 tildes": (lambda: Drawn().issuer_jwt() + "~" * 100_000, None),
    "30000 unreferenced": (
        lambda: "~".join((Drawn().issuer_jwt(), *(b64(b"x%d" % n) for n in range(30_000)), "")),
        None,
    ),
    "30000 unreferenced, loose": (
        lambda: "~".join((Drawn().issuer_jwt(), *(disclosure("s", "n", n) for n in range(30_000)), "")),
        LOOSE,
    ),
    "3000 recursive": (lambda: _recursive(3000).text(), None),
    "65 levels": (lambda: _recursive(65).text(), None),
    "501 disclosures": (lambda: Drawn(disclosures=tuple(disclosure(str(n), "n", n) for n in range(501))).text(), None),
    "257 KiB": (lambda: Drawn().with_hidden(disclosure("s", "n", "x" * 200_000)).text(), None),
    "33 arrays in a disclosure": (lambda: Drawn().with_hidden(b64(b'["s","n",' + b"[" * 32 + b"]" * 33)).text(), None),
    "33 arrays in the payload": (
        lambda: replace(Drawn(), raw_payload=b'{"a":' + b"[" * 32 + b"]" * 32 + b"}").text(),
        None,
    ),
    "100000 arrays in the payload": (
        lambda: replace(Drawn(), raw_payload=b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}").text(),
        Limits(max_bytes=10**6),
    ),
}


@pytest.mark.parametrize("case", EXHAUSTING)
def test_too_much_is_refused_and_neither_crashes_nor_exhausts(case: str) -> None:
    draw, limits = EXHAUSTING[case]
    text = draw()
    tracemalloc.start()

    with pytest.raises(Refusal):
        verify(text, limits=limits)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000


def test_a_presentation_may_be_as_long_as_the_limit_and_have_as_many_disclosures() -> None:
    text = "~".join(("a.b.c", "AA", "AB", "AC", ""))

    assert len(parse_sd_jwt(text, limits=Limits(max_bytes=len(text), max_disclosures=3)).disclosures) == 3
    for limits in (Limits(max_bytes=len(text) - 1), Limits(max_disclosures=2)):
        with pytest.raises(Refusal) as refusal:
            parse_sd_jwt(text, limits=limits)
        assert refusal.value.reason is ReasonCode.LIMIT_EXCEEDED


def test_presentations_are_equal_by_their_parts() -> None:
    one, other = (parse_sd_jwt(f"a.b.c~{last}~") for last in ("AA", "AB"))

    assert one == parse_sd_jwt("a.b.c~AA~")
    assert one not in (other, (one.parts, one.texts))


def test_as_many_disclosures_as_the_limit_are_put_in_and_no_more() -> None:
    texts = [disclosure("s", name, name) for name in "abc"]
    signed = {"_sd": [b64(sha256(text.encode()).digest()) for text in texts]}

    assert process_payload(dict(signed), texts, limits=Limits(max_disclosures=3)).claims == {n: n for n in "abc"}  # type: ignore[arg-type]
    with pytest.raises(Refusal) as refusal:
        process_payload(dict(signed), texts, limits=Limits(max_disclosures=2))  # type: ignore[arg-type]
    assert refusal.value.reason is ReasonCode.LIMIT_EXCEEDED


def test_3000_recursive_disclosures_are_read_without_recursion_where_the_limits_allow_them() -> None:
    processed = verify(_recursive(3000).text(), limits=LOOSE)

    assert len(processed.disclosed) == 3000


def test_errors_of_the_issuers_jwt_are_those_of_jose() -> None:
    with pytest.raises(JoseError):
        verify(signed(b"{}", header={"typ": "JWT"}) + "~")
