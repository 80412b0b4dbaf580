"""The signed question: who vouches for its key, when it holds, for whom it is, and where its errors go."""

from dataclasses import replace
from typing import Any

import pytest

from specs.encoding import strict_json
from specs.keys.jose import JoseError, PublicKey, build_jws, jwk_from_public_key, parse_jws, x5c_header
from specs.keys.jwe import decrypt, encrypt, new_decryption_key
from specs.keys.signer import SigningIdentity, generate_signer
from specs.protocols.dcql import dcql_to_json
from specs.protocols.openid4vp import (
    RequestError,
    RequestTrust,
    build_request_object,
    decrypt_request_object,
    encrypt_request_object,
    parse_and_verify_request_object,
    parse_client_id,
    x509_hash_client_id,
    x509_san_dns_client_id,
)
from specs.protocols.openid4vp.request_object import VerifiedRequest, check_times, request_header
from specs.refusal import ReasonCode, Refusal
from tests.specs.protocols.asker import NOW, QUERY, RESPONSE_URI, Json, new_asker

ASKER = new_asker()
LEAF = ASKER.identity.chain[0]
CITY = SigningIdentity(generate_signer(), ())
ATTESTER = SigningIdentity(generate_signer(), ())
US = "https://self-issued.me/v2"
TIMES = ("exp", "nbf", "iat")
TRUST = RequestTrust(
    ASKER.trust.validate_chain,
    attesters={"https://attester.example": ATTESTER.signer.public_key},
    registered={"city": CITY.signer.public_key, "town": CITY.signer.public_key},
)


def question(**claims: Any) -> Json:
    """The claims of a question by a registered client; one that is None is left out."""
    members = {
        "client_id": "city",
        "response_type": "vp_token",
        "response_mode": "direct_post",
        "nonce": "n-1",
        "state": "st-1",
        "dcql_query": dcql_to_json(QUERY),
        "response_uri": RESPONSE_URI,
        "aud": US,
        **claims,
    }
    return {name: value for name, value in members.items() if value is not None}


def sign(claims: Json, *, by: SigningIdentity = CITY, **header: Any) -> str:
    return build_jws(strict_json.dumps(claims), signer=by.signer, typ="oauth-authz-req+jwt", header=header)


def read(token: str, **expected: Any) -> VerifiedRequest:
    return parse_and_verify_request_object(
        token, **{"expected_client_id": "city", "trust": TRUST, "now": NOW, **expected}
    )


def attestation(**claims: Any) -> str:
    """By the trusted attester for the client `v` and the city's key; a claim that is None is left out."""
    members = {
        "iss": "https://attester.example",
        "sub": "v",
        "exp": NOW + 600,
        "cnf": {"jwk": jwk_from_public_key(CITY.signer.public_key)},
        **claims,
    }
    payload = {name: value for name, value in members.items() if value is not None}
    return build_jws(strict_json.dumps(payload), signer=ATTESTER.signer, typ="verifier-attestation+jwt")


ATTESTED: Json = {"client_id": "verifier_attestation:v"}
CLIENT_V: Json = {"expected_client_id": "verifier_attestation:v"}


@pytest.mark.parametrize(("exp", "nbf", "iat"), [(1, 0, 0), (0.5, -0.5, None), (None, 60, 60), (-59, None, None)])
def test_times_hold_up_to_the_clocks_skew(exp: float | None, nbf: float | None, iat: float | None) -> None:
    """As seconds from now; the skew is 60 seconds."""
    times = {"exp": exp, "nbf": nbf, "iat": iat}
    claims: Json = {name: NOW + value for name, value in times.items() if value is not None}
    check_times(claims, now=NOW, skew=60)
    assert read(sign(question(**claims))).claims["aud"] == US


@pytest.mark.parametrize(
    ("claims", "description"),
    [
        ({"exp": NOW - 60}, "exp: the question is over"),
        ({"exp": NOW - 60.5}, "exp: the question is over"),
        ({"nbf": NOW + 61}, "the question has not begun"),
        ({"iat": NOW + 61}, "the question has not begun"),
        ({"iat": NOW + 60.5}, "the question has not begun"),
        ({"nbf": NOW, "iat": NOW + 61}, "the question has not begun"),
        ({"nbf": NOW + 61, "iat": NOW}, "the question has not begun"),
        *[({name: True}, f"{name}: not a number") for name in TIMES],
        *[({name: str(NOW)}, f"{name}: not a number") for name in TIMES],
        *[({name: [NOW]}, f"{name}: not a number") for name in TIMES],
    ],
)
def test_a_question_at_another_time_is_refused(claims: Json, description: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_times(claims, now=NOW, skew=60)
    assert caught.value.description == description
    with pytest.raises(RequestError) as caught:
        read(sign(question(**claims)))
    assert (caught.value.description, caught.value.answer_to) == (description, None)


def test_null_is_no_time_and_no_time_is_no_matter() -> None:
    for name in TIMES:
        with pytest.raises(RequestError, match=f"{name}: not a number"):
            check_times({name: None}, now=NOW, skew=60)
    check_times({}, now=0, skew=0)
    check_times({"nbf": 0}, now=0, skew=0)
    check_times({"iat": 0}, now=0, skew=0)


@pytest.mark.parametrize("audience", [US, [US], ["https://other.example", US]])
def test_a_question_for_this_wallet_is_read(audience: Any) -> None:
    assert read(sign(question(aud=audience))).request.nonce == "n-1"


@pytest.mark.parametrize("audience", [None, "", 1, [], [[US]], {US: 1}, f"{US} https://other.example", US[:-1]])
def test_a_question_for_another_wallet_is_refused(audience: Any) -> None:
    with pytest.raises(RequestError) as caught:
        read(sign(question(aud=audience)))
    assert caught.value.description == "aud: the question is for somebody else"
    with pytest.raises(RequestError, match="somebody else"):
        read(sign(question()), expected_audience="https://wallet.example")


def test_a_wallets_nonce_must_come_back_if_it_sent_one() -> None:
    answered = sign(question(wallet_nonce="w1"))
    for expected in ("w1", None):
        assert read(answered, expected_wallet_nonce=expected).request.wallet_nonce == "w1"
    for token, expected in ((answered, "w2"), (answered, ""), (sign(question()), "w1"), (sign(question()), "")):
        with pytest.raises(RequestError) as caught:
            read(token, expected_wallet_nonce=expected)
        assert caught.value.description == "wallet_nonce: not the one that was sent"


@pytest.mark.parametrize("client_id", ["town", None, "City"])
def test_the_client_outside_and_inside_is_one(client_id: str | None) -> None:
    """§5.10.1: also where both are known and have one key."""
    assert read(sign(question(client_id="town")), expected_client_id="town").request.client_id is not None
    with pytest.raises(RequestError) as caught:
        read(sign(question(client_id=client_id)))
    assert caught.value.description == "client_id: not the same inside the request object"


@pytest.mark.parametrize(
    "client_id", ["village", "decentralized_identifier:did:web:v.example", "openid_federation:https://f.example"]
)
def test_nobody_known_vouches_for_others(client_id: str) -> None:
    with pytest.raises(RequestError, match="client_id: nobody known vouches"):
        read(sign(question(client_id=client_id)), expected_client_id=client_id)


def test_a_request_object_has_its_own_type() -> None:
    payload = strict_json.dumps(question())
    with pytest.raises(Refusal) as caught:
        read(build_jws(payload, signer=CITY.signer, typ="JWT"))
    assert caught.value.reason is ReasonCode.TYP_MISMATCH
    with pytest.raises(Refusal) as caught:
        read(sign(question(), by=ATTESTER))
    assert caught.value.reason is ReasonCode.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("claims", "address"),
    [
        ({}, RESPONSE_URI),
        ({"redirect_uris": [RESPONSE_URI]}, RESPONSE_URI),
        ({"redirect_uris": [1, RESPONSE_URI]}, RESPONSE_URI),
        ({"exp": NOW - 59, "nbf": NOW + 60}, RESPONSE_URI),
        ({"redirect_uris": []}, None),
        ({"redirect_uris": "https://verifier.example.com/response/1"}, None),
        ({"redirect_uris": {RESPONSE_URI: 1}}, None),
        ({"redirect_uris": [RESPONSE_URI + "/"]}, None),
    ],
)
def test_an_attestation_vouches_for_the_addresses_it_lists(claims: Json, address: str | None) -> None:
    """§12: a list of a shape that is none allows no address at all."""
    token = sign(question(**ATTESTED), jwt=attestation(**claims))
    if address is not None:
        assert read(token, **CLIENT_V).request.response_uri == address
        return
    with pytest.raises(RequestError, match="not the client's") as caught:
        read(token, **CLIENT_V)
    assert caught.value.answer_to is None


@pytest.mark.parametrize(
    ("voucher", "description"),
    [
        (None, "jwt: the attestation is missing"),
        (1, "jwt: the attestation is missing"),
        ([attestation()], "jwt: the attestation is missing"),
        (attestation(iss=None), "jwt: the attestation is by nobody who is trusted"),
        (attestation(iss=""), "jwt: the attestation is by nobody who is trusted"),
        (attestation(iss=["https://attester.example"]), "jwt: the attestation is by nobody who is trusted"),
        (attestation(iss="https://other.example"), "jwt: the attestation is by nobody who is trusted"),
        (attestation(exp=None), "jwt: the attestation has no end"),
        (attestation(exp=NOW - 60), "exp: the question is over"),
        (attestation(nbf=NOW + 61), "the question has not begun"),
        (attestation(sub=None), "jwt: the attestation is another's"),
        (attestation(sub="verifier_attestation:v"), "jwt: the attestation is another's"),
        (attestation(sub=["v"]), "jwt: the attestation is another's"),
    ],
)
def test_an_attestation_that_does_not_vouch_for_the_client_is_refused(voucher: Any, description: str) -> None:
    header = {"jwt": voucher} if voucher is not None else {}
    with pytest.raises(RequestError) as caught:
        read(sign(question(**ATTESTED), **header), **CLIENT_V)
    assert caught.value.description == description
    assert caught.value.answer_to is None


def _jwk(key: PublicKey) -> Json:
    return dict(jwk_from_public_key(key))


@pytest.mark.parametrize(
    ("voucher", "reason"),
    [
        ("a.b", ReasonCode.JWT_MALFORMED),
        (sign({"iss": "https://attester.example"}, by=ATTESTER), ReasonCode.TYP_MISMATCH),
        (attestation(cnf=None), ReasonCode.KEY_INVALID),
        (attestation(cnf="key"), ReasonCode.KEY_INVALID),
        (attestation(cnf={"kid": "1"}), ReasonCode.KEY_INVALID),
        (attestation(cnf={"jwk": _jwk(ATTESTER.signer.public_key)}), ReasonCode.SIGNATURE_INVALID),
        (attestation()[:-4] + "AAAA", ReasonCode.SIGNATURE_INVALID),
    ],
)
def test_an_attestation_that_does_not_hold_is_refused(voucher: str, reason: ReasonCode) -> None:
    with pytest.raises(Refusal) as caught:
        read(sign(question(**ATTESTED), jwt=voucher), **CLIENT_V)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, (RESPONSE_URI, "st-1")),
        ({"response_mode": "direct_post.jwt"}, (RESPONSE_URI, "st-1")),
        ({"state": 1}, (RESPONSE_URI, None)),
        ({"state": None}, (RESPONSE_URI, None)),
        ({"response_mode": None}, None),
        ({"response_mode": "fragment"}, None),
        ({"response_mode": "dc_api"}, None),
        ({"response_mode": ["direct_post"]}, None),
        ({"response_mode": {}}, None),
        ({"response_uri": None}, None),
        ({"response_uri": [RESPONSE_URI]}, None),
        ({"response_uri": "http://verifier.example.com/r"}, None),
        ({"response_uri": "http://localhost:8702/r"}, None),
    ],
)
def test_an_error_is_told_only_where_answers_are_wanted(claims: Json, expected: tuple[str, str | None] | None) -> None:
    """A `response_mode` that is an array or an object ended the wallet's look with an exception."""
    with pytest.raises(RequestError) as caught:
        read(sign(question(**{"scope": "x", **claims})))
    told = caught.value.answer_to
    assert (None if told is None else (told.response_uri, told.state)) == expected


def test_an_error_is_told_to_this_machine_only_where_that_is_allowed() -> None:
    token = sign(question(scope="x", response_uri="http://localhost:8702/r"))
    with pytest.raises(RequestError) as caught:
        read(token, allow_loopback_http=True)
    assert caught.value.answer_to is not None


def test_an_error_is_not_told_to_an_address_of_another_client() -> None:
    client_id = x509_san_dns_client_id(LEAF).text
    for address, is_told in ((RESPONSE_URI, True), ("https://other.example/r", False)):
        claims = question(client_id=client_id, scope="x", response_uri=address)
        token = sign(claims, by=ASKER.identity, x5c=x5c_header(ASKER.identity.chain))
        with pytest.raises(RequestError, match="scope") as caught:
            read(token, expected_client_id=client_id)
        assert (caught.value.answer_to is not None) is is_told


def test_errors_before_the_asker_is_known_are_told_to_nobody() -> None:
    with pytest.raises(RequestError) as caught:
        read(sign(question(client_id="town", scope="x")))
    assert caught.value.answer_to is None


def test_a_request_object_says_who_asks_whom_and_how_long() -> None:
    params = question(aud=None)
    plain = parse_jws(
        build_request_object(params, identity=CITY, issued_at=NOW, lifetime=300), expected_typ="oauth-authz-req+jwt"
    )
    assert plain.claims() == {**params, "iss": "city", "aud": US, "iat": NOW, "exp": NOW + 300}
    assert plain.header.keys() == {"alg", "typ"}
    full = parse_jws(
        build_request_object(
            params,
            identity=CITY,
            issued_at=NOW,
            lifetime=300,
            wallet_nonce="w1",
            kid="key-1",
            audience="https://wallet.example",
        ),
        expected_typ="oauth-authz-req+jwt",
    )
    assert (full.claims()["aud"], full.claims()["wallet_nonce"]) == ("https://wallet.example", "w1")
    assert full.header["kid"] == "key-1"
    with pytest.raises(RequestError, match="client_id: missing"):
        build_request_object(question(client_id=None), identity=CITY, issued_at=NOW, lifetime=300)


@pytest.mark.parametrize(
    ("client_id", "given", "header"),
    [
        (x509_hash_client_id(LEAF).text, {}, {"x5c": x5c_header((LEAF,))}),
        (x509_san_dns_client_id(LEAF).text, {}, {"x5c": x5c_header((LEAF,))}),
        ("verifier_attestation:v", {"attestation": "a.b.c"}, {"jwt": "a.b.c"}),
        ("decentralized_identifier:did:web:v.example", {"kid": "did:web:v.example#1"}, {"kid": "did:web:v.example#1"}),
        ("openid_federation:https://f.example", {}, {}),
        ("openid_federation:https://f.example", {"kid": "1"}, {"kid": "1"}),
        ("city", {}, {}),
        ("city", {"kid": "1"}, {"kid": "1"}),
    ],
    ids=["hash", "name", "attested", "did", "federated", "federated, by kid", "registered", "registered, by kid"],
)
def test_a_header_names_what_the_prefix_needs(client_id: str, given: Json, header: Json) -> None:
    assert request_header(parse_client_id(client_id), identity=ASKER.identity, **given) == header


@pytest.mark.parametrize(
    ("client_id", "identity", "given", "description"),
    [
        (x509_hash_client_id(LEAF).text, CITY, {}, "x5c: no certificate to sign with"),
        (x509_san_dns_client_id(LEAF).text, CITY, {}, "x5c: no certificate to sign with"),
        (x509_hash_client_id(b"other").text, ASKER.identity, {}, "client_id: the certificate is another's"),
        ("x509_san_dns:other.example", ASKER.identity, {}, "client_id: the certificate is another's"),
        (
            "verifier_attestation:v",
            CITY,
            {"kid": "1"},
            "client_id: a question under verifier_attestation can't be signed so",
        ),
        (
            "decentralized_identifier:did:web:v.example",
            CITY,
            {"attestation": "a.b.c"},
            "client_id: a question under decentralized_identifier can't be signed so",
        ),
        (
            f"redirect_uri:{RESPONSE_URI}",
            CITY,
            {"kid": "1"},
            "client_id: a question under redirect_uri can't be signed so",
        ),
    ],
    ids=["hash", "name", "another's hash", "another's name", "attested", "did", "address"],
)
def test_without_what_the_prefix_needs_nothing_is_signed(
    client_id: str, identity: SigningIdentity, given: Json, description: str
) -> None:
    with pytest.raises(RequestError) as caught:
        request_header(parse_client_id(client_id), identity=identity, **given)
    assert caught.value.description == description


def test_a_closed_question_is_opened_by_its_wallet_alone() -> None:
    """§5.10.1, RFC 9101 §6.1: a signed token inside an encrypted one, and both say so."""
    key = new_decryption_key("wallet-1")
    token = sign(question())
    closed = encrypt_request_object(token, jwk=dict(key.public_jwk()), enc="A256GCM")
    header = decrypt(closed, keys={"wallet-1": key}).header
    assert (header["typ"], header["cty"], header["enc"]) == ("oauth-authz-req+jwt", "JWT", "A256GCM")
    assert decrypt_request_object(closed, key=key) == token
    with pytest.raises(JoseError):
        decrypt_request_object(closed, key=replace(key, kid="wallet-2"))
    with pytest.raises(JoseError):
        decrypt_request_object(closed, key=new_decryption_key("wallet-1"))


@pytest.mark.parametrize("cty", ["JWT", "jwt", "oauth-authz-req+jwt"])
def test_what_is_inside_may_be_named_in_three_ways(cty: str) -> None:
    key = new_decryption_key("wallet-1")
    closed = encrypt(b"a.b.c", jwk=key.public_jwk(), enc="A128GCM", header={"cty": cty})
    assert decrypt_request_object(closed, key=key) == "a.b.c"


@pytest.mark.parametrize("header", [{}, {"cty": "json"}, {"cty": ["JWT"]}, {"cty": None}, {"typ": "JWT"}])
def test_what_is_not_a_signed_token_inside_is_refused(header: Json) -> None:
    key = new_decryption_key("wallet-1")
    with pytest.raises(Refusal) as caught:
        decrypt_request_object(encrypt(b"a.b.c", jwk=key.public_jwk(), enc="A128GCM", header=header), key=key)
    assert caught.value.reason is ReasonCode.TYP_MISMATCH


def test_bytes_that_are_no_text_inside_are_no_token() -> None:
    key = new_decryption_key("wallet-1")
    closed = encrypt(b"\xff.\xff.\xff", jwk=key.public_jwk(), enc="A128GCM", header={"cty": "JWT"})
    with pytest.raises(Refusal) as caught:
        read(decrypt_request_object(closed, key=key))
    assert caught.value.reason is ReasonCode.JWT_MALFORMED
