"""Links that open a wallet, and what a wallet says of itself when it fetches the question: each at its limits."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding import strict_json
from specs.keys.jose import jwk_from_public_key
from specs.keys.jwe import new_decryption_key
from specs.protocols.openid4vp import (
    HAIP_FORMATS,
    ErrorCode,
    RequestByReference,
    RequestByValue,
    RequestEncryption,
    RequestError,
    RequestUriMethod,
    build_request_link,
    build_request_uri_post,
    build_unsigned_link,
    parse_authorization_request,
    parse_client_id,
    parse_request_link,
    parse_request_uri_post,
)
from tests.specs.protocols.asker import QUERY, RESPONSE_URI, Json
from tests.specs.protocols.test_openid4vp_parameters import METADATA, posted

CITY = parse_client_id("city")
WHERE = "https://v.example/q"
REFERENCE = RequestByReference(CITY, WHERE)
UNSIGNED = posted(client_id=f"redirect_uri:{RESPONSE_URI}")
"""A question that nobody signs."""


def link(wallet: str = "openid4vp://?", **params: str) -> str:
    return wallet + urlencode(params)


@pytest.mark.parametrize("scheme", ["openid4vp", "haip-vp", "eudi-openid4vp", "OpenID4VP"])
def test_wallets_are_opened_by_several_schemes(scheme: str) -> None:
    assert parse_request_link(link(f"{scheme}://?", client_id="city", request_uri=WHERE)) == REFERENCE
    assert parse_request_link(link(f"{scheme}:?", client_id="city", request_uri=WHERE, future="x")) == REFERENCE


def test_a_link_is_written_with_its_parameters_each_once() -> None:
    assert build_request_link(REFERENCE) == (
        "openid4vp://?client_id=city&request_uri=https%3A%2F%2Fv.example%2Fq&request_uri_method=get"
    )
    posting = RequestByReference(CITY, WHERE, RequestUriMethod.POST)
    assert parse_request_link(build_request_link(posting, wallet="haip-vp://")) == posting
    by_value = RequestByValue(CITY, "a.b.c")
    assert build_request_link(by_value, wallet="https://w.example/ask") == (
        "https://w.example/ask?client_id=city&request=a.b.c"
    )
    assert build_request_link(by_value, wallet="https://w.example/ask?v=1") == (
        "https://w.example/ask?v=1&client_id=city&request=a.b.c"
    )
    assert build_unsigned_link({"nonce": "n", "dcql_query": {"credentials": []}}) == (
        "openid4vp://?nonce=n&dcql_query=%7B%22credentials%22%3A%5B%5D%7D"
    )


def test_an_unsigned_question_travels_in_the_link() -> None:
    assert parse_request_link(build_unsigned_link(UNSIGNED)) == parse_authorization_request(UNSIGNED, signed=False)
    local = posted(client_id="redirect_uri:http://localhost:8702/r", response_uri="http://localhost:8702/r")
    read = parse_request_link(build_unsigned_link(local), allow_loopback_http=True)
    assert read == parse_authorization_request(local, signed=False, allow_loopback_http=True)
    with pytest.raises(RequestError, match="https is demanded"):
        parse_request_link(build_unsigned_link(local))
    with pytest.raises(RequestError, match="must be signed"):
        parse_request_link(build_unsigned_link(posted()))


def _padded(length: int) -> str:
    """A good link of so many characters."""
    start = link(client_id="city", request_uri=WHERE, future="")
    return start + "x" * (length - len(start))


def test_a_link_may_be_64_kib_long() -> None:
    assert parse_request_link(_padded(64 * 1024)) == REFERENCE
    with pytest.raises(RequestError, match="not a link with parameters"):
        parse_request_link(_padded(64 * 1024 + 1))


def test_a_link_may_have_fifty_parameters() -> None:
    others = {f"p{number}": "x" for number in range(48)}
    assert parse_request_link(link(client_id="city", request_uri=WHERE, **others)) == REFERENCE
    with pytest.raises(RequestError, match="not a link with parameters"):
        parse_request_link(link(client_id="city", request_uri=WHERE, **others, one_more="x"))


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("openid4vp://[?client_id=city", "not a link with parameters"),
        ("openid4vp://?client_id=city&request=%ff", "not a link with parameters"),
        ("openid4vp://?client_id=city&request", "not a link with parameters"),
        ("openid4vp://?client_id=city&request=a.b.c&&", "not a link with parameters"),
        ("openid4vp://?client_id=city&client_id=&request=a.b.c", "not a link with parameters, each once"),
        ("openid4vp://?client_id=city&request=a.b.c&future=1&future=2", "not a link with parameters, each once"),
        ("mailto:?client_id=city&request=a.b.c", "not a link with parameters, each once"),
        ("http://w.example/?client_id=city&request=a.b.c", "not a link with parameters, each once"),
        ("?client_id=city&request=a.b.c", "not a link with parameters, each once"),
        (link(client_id="city", request_uri_method="post"), "request_uri_method: stands without request_uri"),
        (
            link(client_id="city", request="a.b.c", request_uri_method="post"),
            "request_uri_method: stands without request_uri",
        ),
        (link(client_id="city", request="a.b.c", request_uri=WHERE), "request: stands beside request_uri"),
        (link(request="a.b.c"), "client_id: missing"),
        (link(request_uri=WHERE), "client_id: missing"),
        (link(client_id="", request="a.b.c"), "client_id: 1 to 2048 printable characters"),
        (link(client_id="city", request_uri=""), "request_uri: not an address"),
        (link(client_id="city", request_uri="http://localhost:8702/q"), "request_uri: https is demanded"),
    ],
)
def test_a_link_that_hands_over_no_question_is_refused(text: str, description: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request_link(text)
    assert (caught.value.error, caught.value.description) == (ErrorCode.INVALID_REQUEST, description)


@pytest.mark.parametrize("method", ["", "GET", "Post", "put"])
def test_a_way_to_fetch_that_is_none_has_its_own_error(method: str) -> None:
    for known in RequestUriMethod:
        found = parse_request_link(link(client_id="city", request_uri=WHERE, request_uri_method=known.value))
        assert found == RequestByReference(CITY, WHERE, known)
    with pytest.raises(RequestError) as caught:
        parse_request_link(link(client_id="city", request_uri=WHERE, request_uri_method=method))
    assert caught.value.error is ErrorCode.INVALID_REQUEST_URI_METHOD


@pytest.mark.parametrize("name", ["dcql_query", "client_metadata", "transaction_data", "verifier_info"])
def test_an_object_in_a_link_is_json(name: str) -> None:
    for text in ("", "{", '{"a":1,"a":1}'):
        with pytest.raises(RequestError) as caught:
            parse_request_link(build_unsigned_link(UNSIGNED | {name: text}))
        assert caught.value.description == f"{name}: not JSON"


def test_each_object_in_a_link_is_read() -> None:
    info = [{"format": "x", "data": "y"}]
    request = parse_request_link(build_unsigned_link(UNSIGNED | {"verifier_info": info}))
    assert not isinstance(request, RequestByReference | RequestByValue)
    assert (request.query, len(request.verifier_info)) == (QUERY, 1)
    assert request.client_metadata is not None
    with pytest.raises(RequestError) as caught:
        parse_request_link(build_unsigned_link(UNSIGNED | {"transaction_data": ["x"]}))
    assert caught.value.error is ErrorCode.INVALID_TRANSACTION_DATA


def form(**metadata: Any) -> dict[str, str]:
    """What a wallet posts that reads SD-JWT VCs; a member that is None is left out."""
    members = {"vp_formats_supported": METADATA["vp_formats_supported"], **metadata}
    return {"wallet_metadata": json.dumps({name: value for name, value in members.items() if value is not None})}


def test_a_wallet_says_what_it_was_asked_to_say() -> None:
    key = new_decryption_key("wallet-1").public_jwk()
    posting = build_request_uri_post(wallet_nonce="w", formats=HAIP_FORMATS, prefixes=("x509_hash",))
    assert posting["wallet_nonce"] == "w"
    said = strict_json.parse_object(posting["wallet_metadata"])
    assert said == {
        "vp_formats_supported": METADATA["vp_formats_supported"],
        "client_id_prefixes_supported": ["x509_hash"],
    }
    closed = build_request_uri_post(wallet_nonce="w", formats=HAIP_FORMATS, prefixes=("x509_hash",), encryption_key=key)
    assert strict_json.parse_object(closed["wallet_metadata"]) == said | {
        "jwks": {"keys": [key]},
        "request_object_encryption_enc_values_supported": ["A128GCM", "A256GCM"],
    }


def test_a_wallets_nonce_has_at_most_1024_characters() -> None:
    for nonce in ("w", "w" * 1024):
        assert parse_request_uri_post({"wallet_nonce": nonce}).wallet_nonce == nonce
        assert parse_request_uri_post({"wallet_nonce": nonce} | form()).wallet_nonce == nonce
    assert parse_request_uri_post(form()).wallet_nonce is None
    for nonce in ("", "w" * 1025):
        with pytest.raises(RequestError, match="wallet_nonce"):
            parse_request_uri_post({"wallet_nonce": nonce})


def test_what_a_wallet_does_not_say_is_the_default() -> None:
    silent = parse_request_uri_post({})
    assert (silent.wallet_nonce, silent.formats, silent.encryption) == (None, None, None)
    said = parse_request_uri_post(form(future=1))
    assert (said.formats, said.client_id_prefixes, said.encryption) == (HAIP_FORMATS, ("pre-registered",), None)
    several = parse_request_uri_post(form(client_id_prefixes_supported=["x509_hash", "pre-registered"]))
    assert several.client_id_prefixes == ("x509_hash", "pre-registered")


@pytest.mark.parametrize(
    ("posting", "description"),
    [
        ({"wallet_metadata": ""}, "wallet_metadata: not a JSON object"),
        ({"wallet_metadata": "\ud800"}, "wallet_metadata: not a JSON object"),
        ({"wallet_metadata": '{"a":1,"a":1}'}, "wallet_metadata: not a JSON object"),
        (form(vp_formats_supported=None), "vp_formats_supported: not a non-empty object"),
        (form(client_id_prefixes_supported=[]), "client_id_prefixes_supported: not a non-empty array"),
        (form(client_id_prefixes_supported="x509_hash"), "client_id_prefixes_supported: not a non-empty array"),
        (
            form(client_id_prefixes_supported=["x509_hash", 1]),
            "client_id_prefixes_supported: holds something that is not a text",
        ),
        ({"wallet_metadata": form()["wallet_metadata"][:-1] + ',"jwks":null}'}, "jwks: not a set of keys"),
    ],
)
def test_metadata_of_a_wallet_that_are_none_are_refused(posting: dict[str, str], description: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request_uri_post(posting)
    assert caught.value.description == description


ENCS = "request_object_encryption_enc_values_supported"
KEY: Json = dict(new_decryption_key("wallet-1").public_jwk())
WRAPPED, OTHER = KEY | {"kid": "wrapped", "alg": "ECDH-ES+A128KW"}, KEY | {"kid": "other"}
P384: Json = KEY | {"kid": "p-384"} | jwk_from_public_key(ec.generate_private_key(ec.SECP384R1()).public_key())


@pytest.mark.parametrize(
    ("keys", "encs", "expected"),
    [
        ([KEY], None, "A256GCM"),
        ([KEY], ["A128GCM"], "A128GCM"),
        ([KEY], ["A256GCM", "A128GCM"], "A256GCM"),
        ([KEY], ["A128GCM", "A256GCM"], "A256GCM"),
        ([KEY], ["A256CBC-HS512", "A128GCM"], "A128GCM"),
        ([WRAPPED, P384, KEY, OTHER], None, "A256GCM"),
    ],
)
def test_the_best_encryption_and_the_first_key_that_we_can_use_are_taken(
    keys: list[Json], encs: list[str] | None, expected: str
) -> None:
    posting = form(jwks={"keys": keys}, **{ENCS: encs})
    assert parse_request_uri_post(posting).encryption == RequestEncryption(KEY, expected)


@pytest.mark.parametrize(
    ("keys", "encs"), [([WRAPPED, P384], None), ([KEY], ["A256CBC-HS512"]), ([KEY | {"d": "AA"}], None)]
)
def test_a_question_that_we_cannot_hide_is_not_sent(keys: list[Json], encs: list[str] | None) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request_uri_post(form(jwks={"keys": keys}, **{ENCS: encs}))
    assert caught.value.description == ("wallet_metadata: no key or encryption for the request object that we can use")
