"""Questions as messages: a wallet reads what a verifier writes, and refuses each single broken rule."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from specs.encoding import base64url, strict_json
from specs.keys.jose import build_jws, jwk_from_public_key, x5c_header
from specs.keys.jwe import new_decryption_key
from specs.keys.signer import SigningIdentity, generate_signer
from specs.protocols.dcql import parse_dcql
from specs.protocols.haip import check_haip_request
from specs.protocols.openid4vp import (
    ClientId,
    ClientIdPrefix,
    ErrorCode,
    RequestByReference,
    RequestByValue,
    RequestEncryption,
    RequestError,
    RequestTrust,
    RequestUriMethod,
    ResponseMode,
    VerifierInfo,
    build_authorization_request,
    build_client_metadata,
    build_request_link,
    build_request_object,
    build_request_uri_post,
    build_transaction_data,
    build_unsigned_link,
    cose_alg_announced,
    jose_alg_announced,
    parse_and_verify_request_object,
    parse_authorization_request,
    parse_client_id,
    parse_client_metadata,
    parse_request_link,
    parse_request_uri_post,
    x509_hash_client_id,
    x509_san_dns_client_id,
)
from specs.protocols.openid4vp.metadata import ALL_FORMATS, HAIP_FORMATS, check_formats
from specs.protocols.openid4vp.request_object import VerifiedRequest
from specs.refusal import ReasonCode, Refusal
from tests.specs.protocols.asker import NOW, QUERY, RESPONSE_URI, Asker, Json, new_asker
from tests.vectors import vectors_path

NONCE = "n-0S6_WzA2Mj.~"


@pytest.fixture(scope="module")
def asker() -> Asker:
    return new_asker()


def question(asker: Asker, client_id: ClientId | None = None) -> Json:
    return build_authorization_request(
        client_id=client_id or x509_hash_client_id(asker.identity.chain[0]),
        response_mode=ResponseMode.DIRECT_POST_JWT,
        nonce=NONCE,
        query=QUERY,
        client_metadata=asker.metadata(),
        response_uri=RESPONSE_URI,
        state="st-1",
        verifier_info=[VerifierInfo("registration_cert", "ey.J.x", ("pid",))],
    )


def sign(asker: Asker, params: Json, **claims: Any) -> str:
    token = {"aud": "https://self-issued.me/v2", "iat": NOW, "exp": NOW + 300, **params, **claims}
    return build_jws(
        strict_json.dumps(token),
        signer=asker.identity.signer,
        typ="oauth-authz-req+jwt",
        header={"x5c": x5c_header(asker.identity.chain)},
    )


def read(asker: Asker, token: str, **expected: Any) -> VerifiedRequest:
    arguments: Json = {
        "expected_client_id": x509_hash_client_id(asker.identity.chain[0]).text,
        "trust": asker.trust,
        "now": NOW + 10,
        **expected,
    }
    return parse_and_verify_request_object(token, **arguments)


def test_a_signed_question_is_read_as_it_was_meant(asker: Asker) -> None:
    token = build_request_object(
        question(asker), identity=asker.identity, issued_at=NOW, lifetime=300, wallet_nonce="w1"
    )
    verified = read(asker, token, expected_wallet_nonce="w1")
    request = verified.request
    assert request.query == QUERY
    assert (request.nonce, request.state, request.response_uri) == (NONCE, "st-1", RESPONSE_URI)
    assert request.verifier_info == (VerifierInfo("registration_cert", "ey.J.x", ("pid",)),)
    assert request.client_metadata is not None
    assert request.client_metadata.formats == HAIP_FORMATS
    assert request.client_metadata.encryption_key() == asker.response_key.public_jwk()
    assert verified.chain == asker.identity.chain
    check_haip_request(request, chain=verified.chain, anchors=[asker.anchor])


def test_a_dns_name_can_stand_for_the_certificate(asker: Asker) -> None:
    client_id = x509_san_dns_client_id(asker.identity.chain[0])
    assert client_id.text == "x509_san_dns:verifier.example.com"
    token = build_request_object(question(asker, client_id), identity=asker.identity, issued_at=NOW, lifetime=300)
    verified = read(asker, token, expected_client_id=client_id.text)
    with pytest.raises(RequestError, match="x509_hash"):
        check_haip_request(verified.request, chain=verified.chain)


def change(**members: Any) -> Callable[[Json], None]:
    return lambda params: params.update(members)


def without(name: str) -> Callable[[Json], None]:
    return lambda params: params.pop(name)


def in_metadata(**members: Any) -> Callable[[Json], None]:
    return lambda params: params["client_metadata"].update(members)


def in_key(**members: Any) -> Callable[[Json], None]:
    return lambda params: params["client_metadata"]["jwks"]["keys"][0].update(members)


BROKEN: dict[str, tuple[ErrorCode, Callable[[Json], None]]] = {
    "response_type missing": (ErrorCode.INVALID_REQUEST, without("response_type")),
    "response_type code": (ErrorCode.UNSUPPORTED_RESPONSE_TYPE, change(response_type="code")),
    "response_mode missing means fragment": (ErrorCode.INVALID_REQUEST, without("response_mode")),
    "response_mode unknown": (ErrorCode.INVALID_REQUEST, change(response_mode="query")),
    "response_mode of the browser's API": (ErrorCode.INVALID_REQUEST, change(response_mode="dc_api.jwt")),
    "nonce missing": (ErrorCode.INVALID_REQUEST, without("nonce")),
    "nonce empty": (ErrorCode.INVALID_REQUEST, change(nonce="")),
    "nonce with a plus": (ErrorCode.INVALID_REQUEST, change(nonce="a+b")),
    "nonce a number": (ErrorCode.INVALID_REQUEST, change(nonce=1)),
    "state with a space": (ErrorCode.INVALID_REQUEST, change(state="a b")),
    "state null": (ErrorCode.INVALID_REQUEST, change(state=None)),
    "question missing": (ErrorCode.INVALID_REQUEST, without("dcql_query")),
    "question and scope": (ErrorCode.INVALID_REQUEST, change(scope="pid")),
    "question broken": (ErrorCode.INVALID_REQUEST, change(dcql_query={"credentials": []})),
    "response_uri missing": (ErrorCode.INVALID_REQUEST, without("response_uri")),
    "response_uri in plain http": (ErrorCode.INVALID_REQUEST, change(response_uri="http://verifier.example.com/r")),
    "response_uri with a fragment": (ErrorCode.INVALID_REQUEST, change(response_uri=RESPONSE_URI + "#x")),
    "response_uri with a user": (ErrorCode.INVALID_REQUEST, change(response_uri="https://a@verifier.example.com/r")),
    "response_uri relative": (ErrorCode.INVALID_REQUEST, change(response_uri="/r")),
    "redirect_uri beside response_uri": (ErrorCode.INVALID_REQUEST, change(redirect_uri=RESPONSE_URI)),
    "request inside": (ErrorCode.INVALID_REQUEST, change(request="a.b.c")),
    "request_uri inside": (ErrorCode.INVALID_REQUEST, change(request_uri="https://verifier.example.com/q")),
    "metadata missing": (ErrorCode.INVALID_REQUEST, without("client_metadata")),
    "metadata a text": (ErrorCode.INVALID_REQUEST, change(client_metadata="{}")),
    "keys missing": (ErrorCode.INVALID_REQUEST, lambda params: params["client_metadata"].pop("jwks")),
    "keys empty": (ErrorCode.INVALID_REQUEST, in_metadata(jwks={"keys": []})),
    "key without alg": (ErrorCode.INVALID_REQUEST, in_key(alg=None)),
    "key without kid": (ErrorCode.INVALID_REQUEST, in_key(kid=None)),
    "key for signatures": (ErrorCode.INVALID_REQUEST, in_key(use="sig")),
    "key private": (ErrorCode.INVALID_REQUEST, in_key(d="AAAA")),
    "kid twice": (
        ErrorCode.INVALID_REQUEST,
        lambda params: params["client_metadata"]["jwks"]["keys"].append({"kty": "EC", "kid": "key-1"}),
    ),
    "encs empty": (ErrorCode.INVALID_REQUEST, in_metadata(encrypted_response_enc_values_supported=[])),
    "formats empty": (ErrorCode.INVALID_REQUEST, in_metadata(vp_formats_supported={})),
    "algorithms empty": (
        ErrorCode.INVALID_REQUEST,
        in_metadata(vp_formats_supported={"dc+sd-jwt": {"sd-jwt_alg_values": []}}),
    ),
    "algorithms of mdoc as text": (
        ErrorCode.INVALID_REQUEST,
        in_metadata(vp_formats_supported={"mso_mdoc": {"issuerauth_alg_values": ["ES256"]}}),
    ),
    "algorithms of mdoc as true": (
        ErrorCode.INVALID_REQUEST,
        in_metadata(vp_formats_supported={"mso_mdoc": {"issuerauth_alg_values": [True]}}),
    ),
    "verifier_info empty": (ErrorCode.INVALID_REQUEST, change(verifier_info=[])),
    "verifier_info an object": (ErrorCode.INVALID_REQUEST, change(verifier_info={"format": "x", "data": "y"})),
    "verifier_info without data": (ErrorCode.INVALID_REQUEST, change(verifier_info=[{"format": "x"}])),
    "verifier_info for nothing asked": (
        ErrorCode.INVALID_REQUEST,
        change(verifier_info=[{"format": "x", "data": "y", "credential_ids": ["nobody"]}]),
    ),
    "transaction data unknown": (
        ErrorCode.INVALID_TRANSACTION_DATA,
        change(transaction_data=[build_transaction_data("pay", credential_ids=["pid"], members={})]),
    ),
    "audience another": (ErrorCode.INVALID_REQUEST, change(aud="https://wallet.example.com")),
    "audience missing": (ErrorCode.INVALID_REQUEST, without("aud")),
    "over": (ErrorCode.INVALID_REQUEST, change(exp=NOW - 60)),
    "end a text": (ErrorCode.INVALID_REQUEST, change(exp=str(NOW + 60))),
    "end true": (ErrorCode.INVALID_REQUEST, change(exp=True)),
    "not begun": (ErrorCode.INVALID_REQUEST, change(nbf=NOW + 100)),
    "made tomorrow": (ErrorCode.INVALID_REQUEST, change(iat=NOW + 86400)),
    "client_id another's": (ErrorCode.INVALID_REQUEST, change(client_id="x509_hash:" + base64url.encode(bytes(32)))),
    "client_id missing": (ErrorCode.INVALID_REQUEST, without("client_id")),
    "wallet_nonce another": (ErrorCode.INVALID_REQUEST, change(wallet_nonce="w2")),
    "wallet_nonce missing": (ErrorCode.INVALID_REQUEST, without("wallet_nonce")),
}


@pytest.mark.parametrize(("error", "mutation"), BROKEN.values(), ids=BROKEN.keys())
def test_a_question_that_breaks_one_rule_is_refused(
    asker: Asker, error: ErrorCode, mutation: Callable[[Json], None]
) -> None:
    params = {
        **copy.deepcopy(question(asker)),
        "aud": "https://self-issued.me/v2",
        "iat": NOW,
        "exp": NOW + 300,
        "wallet_nonce": "w1",
    }

    def token() -> str:
        header = {"x5c": x5c_header(asker.identity.chain)}
        return build_jws(
            strict_json.dumps(params), signer=asker.identity.signer, typ="oauth-authz-req+jwt", header=header
        )

    read(asker, token(), expected_wallet_nonce="w1")
    mutation(params)
    with pytest.raises(RequestError) as caught:
        read(asker, token(), expected_wallet_nonce="w1")
    assert caught.value.error is error


def test_an_error_knows_where_to_go_once_the_asker_is_known(asker: Asker) -> None:
    with pytest.raises(RequestError) as caught:
        read(asker, sign(asker, question(asker), scope="x"))
    assert caught.value.answer_to is not None
    assert (caught.value.answer_to.response_uri, caught.value.answer_to.state) == (RESPONSE_URI, "st-1")
    with pytest.raises(RequestError) as caught:
        read(asker, sign(asker, question(asker), scope="x", response_uri="http://10.0.0.1/"))
    assert caught.value.answer_to is None


def test_unknown_parameters_and_the_issuer_are_ignored(asker: Asker) -> None:
    assert read(asker, sign(asker, question(asker), iss="anybody", future={"x": 1})).request.query == QUERY


def test_who_signs_must_be_who_asks(asker: Asker) -> None:
    params = question(asker)
    stranger = new_asker()
    header = {"x5c": x5c_header(asker.identity.chain)}
    claims = {**params, "aud": "https://self-issued.me/v2"}
    payload = strict_json.dumps(claims)

    def refused(reason: ReasonCode, token: str, **expected: Any) -> None:
        with pytest.raises(Refusal) as caught:
            read(asker, token, **expected)
        assert caught.value.reason is reason

    by_another_key = build_jws(payload, signer=stranger.identity.signer, typ="oauth-authz-req+jwt", header=header)
    refused(ReasonCode.SIGNATURE_INVALID, by_another_key)
    wrong_typ = build_jws(payload, signer=asker.identity.signer, typ="JWT", header=header)
    refused(ReasonCode.TYP_MISMATCH, wrong_typ)
    no_chain = build_jws(payload, signer=asker.identity.signer, typ="oauth-authz-req+jwt")
    refused(ReasonCode.ISSUER_KEY_MISSING, no_chain)
    own = sign(stranger, question(stranger))
    refused(
        ReasonCode.CERTIFICATE_UNTRUSTED,
        own,
        expected_client_id=x509_hash_client_id(stranger.identity.chain[0]).text,
    )
    foreign_chain = build_jws(
        payload,
        signer=stranger.identity.signer,
        typ="oauth-authz-req+jwt",
        header={"x5c": x5c_header(stranger.identity.chain)},
    )
    with pytest.raises(RequestError, match="another's"):
        read(asker, foreign_chain)


def test_an_answer_goes_to_the_host_of_the_certificate_only(asker: Asker) -> None:
    client_id = x509_san_dns_client_id(asker.identity.chain[0])
    params = {**question(asker, client_id), "response_uri": "https://elsewhere.example.com/r"}
    with pytest.raises(RequestError, match="not the client's"):
        read(asker, sign(asker, params), expected_client_id=client_id.text)


def attestation(attester: SigningIdentity, key: Any, **claims: Any) -> str:
    body = {
        "iss": "https://attester.example.com",
        "sub": "verifier-7",
        "exp": NOW + 600,
        "cnf": {"jwk": jwk_from_public_key(key)},
        "redirect_uris": [RESPONSE_URI],
        **claims,
    }
    return build_jws(strict_json.dumps(body), signer=attester.signer, typ="verifier-attestation+jwt")


def test_a_verifier_attestation_vouches_for_its_key(asker: Asker) -> None:
    attester = SigningIdentity(generate_signer(), ())
    client_id = parse_client_id("verifier_attestation:verifier-7")
    trust = replace(asker.trust, attesters={"https://attester.example.com": attester.signer.public_key})
    params = question(asker, client_id)
    key = asker.identity.signer.public_key

    def attempt(voucher: str, given: RequestTrust = trust) -> VerifiedRequest:
        token = build_request_object(params, identity=asker.identity, issued_at=NOW, lifetime=300, attestation=voucher)
        return read(asker, token, expected_client_id=client_id.text, trust=given)

    assert attempt(attestation(attester, key)).request.client_id == client_id
    for broken in (
        attestation(attester, key, sub="verifier-8"),
        attestation(attester, key, exp=NOW - 100),
        attestation(attester, key, exp=None),
        attestation(attester, key, iss="https://nobody.example.com"),
        attestation(attester, key, redirect_uris=["https://elsewhere.example.com/"]),
    ):
        with pytest.raises(RequestError):
            attempt(broken)
    for untrusted in (
        attestation(SigningIdentity(generate_signer(), ()), key),
        attestation(attester, generate_signer().public_key),
        attestation(attester, key, cnf={}),
    ):
        with pytest.raises(Refusal):
            attempt(untrusted)
    with pytest.raises(RequestError):
        attempt(attestation(attester, key), asker.trust)


def test_a_registered_client_signs_with_its_registered_key(asker: Asker) -> None:
    client_id = parse_client_id("city-hall")
    token = build_request_object(question(asker, client_id), identity=asker.identity, issued_at=NOW, lifetime=300)
    trust = replace(asker.trust, registered={"city-hall": asker.identity.signer.public_key})
    assert read(asker, token, expected_client_id="city-hall", trust=trust).request.client_id == client_id
    with pytest.raises(RequestError, match="nobody known"):
        read(asker, token, expected_client_id="city-hall")


@pytest.mark.parametrize(
    ("text", "prefix", "identifier"),
    [
        ("x509_san_dns:client.example.org", ClientIdPrefix.X509_SAN_DNS, "client.example.org"),
        ("x509_hash:" + base64url.encode(bytes(32)), ClientIdPrefix.X509_HASH, base64url.encode(bytes(32))),
        ("redirect_uri:https://c.example/cb", ClientIdPrefix.REDIRECT_URI, "https://c.example/cb"),
        ("verifier_attestation:v", ClientIdPrefix.VERIFIER_ATTESTATION, "v"),
        ("decentralized_identifier:did:example:123", ClientIdPrefix.DECENTRALIZED_IDENTIFIER, "did:example:123"),
        ("openid_federation:https://f.example", ClientIdPrefix.OPENID_FEDERATION, "https://f.example"),
        ("plain", ClientIdPrefix.PRE_REGISTERED, "plain"),
        ("https://c.example", ClientIdPrefix.PRE_REGISTERED, "https://c.example"),
        ("pre-registered:x", ClientIdPrefix.PRE_REGISTERED, "pre-registered:x"),
    ],
)
def test_client_identifiers_are_read_by_prefix(text: str, prefix: ClientIdPrefix, identifier: str) -> None:
    client_id = parse_client_id(text)
    assert (client_id.text, client_id.prefix, client_id.identifier) == (text, prefix, identifier)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin:https://c.example",
        "x509_hash:",
        "x509_hash:abc",
        "x509_hash:" + base64url.encode(bytes(32)) + "=",
        "x509_san_dns:",
        "x509_san_dns:*.example.org",
        "x509_san_dns:a..b",
        "decentralized_identifier:example",
        "openid_federation:http://f.example",
        "redirect_uri:callback",
        "verifier_attestation:",
        "with\nline",
    ],
)
def test_unfit_client_identifiers_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse_client_id(text)


def test_an_unsupported_prefix_is_refused() -> None:
    with pytest.raises(RequestError, match="not supported"):
        parse_client_id("x509_san_dns:a.example", supported=[ClientIdPrefix.X509_HASH])


def test_what_must_be_signed_is_not_taken_unsigned_and_the_other_way_round(asker: Asker) -> None:
    with pytest.raises(RequestError, match="must be signed"):
        parse_authorization_request(question(asker), signed=False)
    params = {**question(asker), "client_id": f"redirect_uri:{RESPONSE_URI}"}
    assert parse_authorization_request(params, signed=False).response_uri == RESPONSE_URI
    with pytest.raises(RequestError, match="can't be signed"):
        parse_authorization_request(params, signed=True)
    with pytest.raises(RequestError, match="can't be signed"):
        build_request_object(params, identity=asker.identity, issued_at=NOW, lifetime=60)
    del params["response_uri"]
    assert parse_authorization_request(params, signed=False).response_uri == RESPONSE_URI
    with pytest.raises(RequestError, match="not the client's"):
        parse_authorization_request({**params, "response_uri": "https://other.example/"}, signed=False)


def test_without_holder_binding_a_state_is_demanded(asker: Asker) -> None:
    credential = {
        "id": "x",
        "format": "dc+sd-jwt",
        "meta": {"vct_values": ["t"]},
        "require_cryptographic_holder_binding": False,
    }
    params = {**question(asker), "dcql_query": {"credentials": [credential]}}
    del params["verifier_info"]
    parse_authorization_request(params, signed=True)
    del params["state"]
    with pytest.raises(RequestError, match="state"):
        parse_authorization_request(params, signed=True)


def test_links_lead_to_the_question(asker: Asker) -> None:
    client_id = x509_hash_client_id(asker.identity.chain[0])
    reference = RequestByReference(client_id, "https://verifier.example.com/q/1", RequestUriMethod.POST)
    link = build_request_link(reference)
    assert link.startswith("openid4vp://?client_id=x509_hash%3A")
    assert parse_request_link(link) == reference
    for wallet in ("haip-vp://", "https://wallet.example.com/ask?v=1"):
        assert parse_request_link(build_request_link(reference, wallet=wallet)) == reference
    value = RequestByValue(client_id, "a.b.c")
    assert parse_request_link(build_request_link(value)) == value
    unsigned = {**question(asker), "client_id": f"redirect_uri:{RESPONSE_URI}"}
    parsed = parse_request_link(build_unsigned_link(unsigned))
    assert parsed == parse_authorization_request(unsigned, signed=False)
    local = "openid4vp://?client_id=c&request_uri=http%3A%2F%2F127.0.0.1%3A8702%2Fq"
    assert isinstance(parse_request_link(local, allow_loopback_http=True), RequestByReference)
    with pytest.raises(RequestError):
        parse_request_link(local)


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ("openid4vp://", "invalid_request"),
        ("mailto:x?client_id=c&request_uri=https%3A%2F%2Fv.example%2Fq", "invalid_request"),
        ("openid4vp://?client_id=c&client_id=c&request_uri=https%3A%2F%2Fv.example%2Fq", "invalid_request"),
        ("openid4vp://?client_id=c&request_uri=https%3A%2F%2Fv.example%2Fq&request=a.b.c", "invalid_request"),
        ("openid4vp://?client_id=c&request_uri=http%3A%2F%2Fv.example%2Fq", "invalid_request"),
        ("openid4vp://?client_id=c&request_uri=q", "invalid_request"),
        ("openid4vp://?request_uri=https%3A%2F%2Fv.example%2Fq", "invalid_request"),
        ("openid4vp://?client_id=c&request=a.b.c&request_uri_method=get", "invalid_request"),
        (
            "openid4vp://?client_id=c&request_uri=https%3A%2F%2Fv.example%2Fq&request_uri_method=POST",
            "invalid_request_uri_method",
        ),
        ("openid4vp://?client_id=c&response_type=vp_token&dcql_query=%7B", "invalid_request"),
    ],
)
def test_broken_links_are_refused(link: str, error: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request_link(link)
    assert caught.value.error.value == error


def test_a_wallet_tells_of_itself_when_it_fetches() -> None:
    form = build_request_uri_post(wallet_nonce="w", formats=HAIP_FORMATS, prefixes=("x509_hash",))
    post = parse_request_uri_post({**form, "unknown": "x"})
    assert (post.wallet_nonce, post.formats, post.client_id_prefixes) == ("w", HAIP_FORMATS, ("x509_hash",))
    assert parse_request_uri_post({}).client_id_prefixes == ("pre-registered",)
    for broken in ({"wallet_nonce": ""}, {"wallet_metadata": "[]"}, {"wallet_metadata": "{}"}):
        with pytest.raises(RequestError):
            parse_request_uri_post(broken)


def test_a_wallet_that_wants_its_question_hidden_gets_it_so_or_not_at_all() -> None:
    """OpenID4VP §5.10: to a key of the wallet's, by an encryption that both know."""
    key = new_decryption_key("wallet-1")
    form = build_request_uri_post(
        wallet_nonce="w", formats=HAIP_FORMATS, prefixes=("x509_hash",), encryption_key=key.public_jwk()
    )
    assert parse_request_uri_post(form).encryption == RequestEncryption(dict(key.public_jwk()), "A256GCM")
    metadata = json.loads(form["wallet_metadata"])
    enc = "request_object_encryption_enc_values_supported"
    one = {**form, "wallet_metadata": json.dumps({**metadata, enc: ["A128GCM"]})}
    assert parse_request_uri_post(one).encryption == RequestEncryption(dict(key.public_jwk()), "A128GCM")
    jwk = metadata["jwks"]["keys"][0]
    unusable: tuple[Json, ...] = (
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{**jwk, "alg": "RSA-OAEP-256"}]}},
        {"jwks": {"keys": [{**jwk, "use": "sig"}]}},
        {"jwks": {"keys": [{**jwk, "x": jwk["y"]}]}},
        {"jwks": {"keys": [jwk, jwk]}},
        {enc: ["A256CBC-HS512"]},
        {enc: "A256GCM"},
    )
    for changed in unusable:
        with pytest.raises(RequestError):
            parse_request_uri_post({**form, "wallet_metadata": json.dumps({**metadata, **changed})})


def test_algorithms_match_what_was_announced() -> None:
    assert jose_alg_announced("ES256", ["ES256"])
    assert jose_alg_announced("EdDSA", ["Ed25519"])
    assert jose_alg_announced("Ed25519", ["EdDSA"])
    assert jose_alg_announced("ES512", None)
    assert not jose_alg_announced("ES384", ["ES256", "Ed25519"])
    assert cose_alg_announced(-7, "P-256", [-9])
    assert cose_alg_announced(-9, "P-256", [-9])
    assert cose_alg_announced(-7, "P-384", [-7])
    assert cose_alg_announced(-35, "P-384", [-51])
    assert cose_alg_announced(-8, "Ed25519", [-19])
    assert cose_alg_announced(-7, "P-256", None)
    assert not cose_alg_announced(-7, "P-384", [-9])
    assert not cose_alg_announced(-9, "P-256", [-7])
    assert not cose_alg_announced(-35, "P-384", [-50])


def test_metadata_say_exactly_what_the_formats_define() -> None:
    metadata = build_client_metadata(formats=ALL_FORMATS, response_keys=[])
    assert metadata.keys() == {"vp_formats_supported"}
    formats: Any = metadata["vp_formats_supported"]
    assert formats["dc+sd-jwt"].keys() == {"sd-jwt_alg_values", "kb-jwt_alg_values"}
    assert formats["mso_mdoc"].keys() == {"issuerauth_alg_values", "deviceauth_alg_values"}
    assert parse_client_metadata(metadata).formats == ALL_FORMATS


@pytest.mark.parametrize(
    ("name", "known"),
    [("sd_jwt_vc", "dc+sd-jwt"), ("mso_mdoc", "mso_mdoc"), ("w3c_jwt", "jwt_vc_json"), ("w3c_ldp", "ldp_vc")],
)
def test_published_metadata_are_read(name: str, known: str) -> None:
    text = vectors_path("openid4vp", "client_metadata", f"{name}_verifier_metadata.json").read_text()
    formats = parse_client_metadata(json.loads(text)).formats
    assert formats is not None
    check_formats([known], supported=formats)
    with pytest.raises(RequestError) as caught:
        check_formats(["future"], supported=formats)
    assert caught.value.error is ErrorCode.VP_FORMATS_NOT_SUPPORTED


def test_the_published_question_under_a_did_is_read() -> None:
    text = vectors_path("openid4vp", "request", "request_object_client_id_did.json").read_text()
    question_text = vectors_path("openid4vp", "query_lang", "simple.json").read_text()
    params = json.loads(text.replace("{ ... }", question_text))
    request = parse_authorization_request(params, signed=True)
    assert request.client_id == ClientId(
        "decentralized_identifier:did:example:123", ClientIdPrefix.DECENTRALIZED_IDENTIFIER, "did:example:123"
    )
    assert request.response_mode is ResponseMode.FRAGMENT
    assert request.redirect_uri == "https://client.example.org/callback"


def test_the_profile_refuses_what_plain_openid4vp_allows(asker: Asker) -> None:
    good = parse_authorization_request(question(asker), signed=True)
    chain = asker.identity.chain
    check_haip_request(good, chain=chain, anchors=[asker.anchor])
    assert good.client_metadata is not None
    broken = [
        replace(good, response_mode=ResponseMode.DIRECT_POST),
        replace(good, client_metadata=replace(good.client_metadata, encs=("A256GCM",))),
        replace(good, client_metadata=replace(good.client_metadata, encryption_keys=())),
        replace(good, client_metadata=None),
        replace(good, client_id=None),
        replace(good, query=parse_dcql({"credentials": [{"id": "x", "format": "future", "meta": {}}]})),
    ]
    for request in broken:
        with pytest.raises(RequestError):
            check_haip_request(request, chain=chain, anchors=[asker.anchor])
    for bad_chain in ((), (asker.anchor,), (*chain, asker.anchor), (b"no certificate",)):
        with pytest.raises(RequestError, match="x5c"):
            check_haip_request(good, chain=bad_chain, anchors=[asker.anchor])


def test_a_wallet_of_the_profile_answers_who_lists_one_encryption_that_it_can_use(asker: Asker) -> None:
    """HAIP §5 has a verifier list both; the OpenID Foundation's suite, as a verifier, lists one."""
    good = parse_authorization_request(question(asker), signed=True)
    assert good.client_metadata is not None
    one = replace(good, client_metadata=replace(good.client_metadata, encs=("A256GCM",)))
    check_haip_request(one, chain=asker.identity.chain, anchors=[asker.anchor], every_enc=False)
    for encs in ((), ("A128CBC-HS256",)):
        other = replace(good, client_metadata=replace(good.client_metadata, encs=encs))
        with pytest.raises(RequestError, match="HAIP wants"):
            check_haip_request(other, chain=asker.identity.chain, anchors=[asker.anchor], every_enc=False)
