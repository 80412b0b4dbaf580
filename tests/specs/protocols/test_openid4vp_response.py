"""Answers as messages: forms, encryption, errors, the shape of `vp_token`, and the browser's API both ways."""

import json
from dataclasses import replace
from typing import Any

import pytest

from specs.encoding import base64url, strict_json
from specs.keys.jose import build_jws
from specs.keys.jwe import decrypt
from specs.keys.signer import SigningIdentity, generate_signer
from specs.protocols.haip import check_haip_request
from specs.protocols.openid4vp import (
    AuthorizationResponse,
    CoSigner,
    DcApiProtocol,
    EncryptedResponse,
    ErrorCode,
    ErrorResponse,
    RequestError,
    ResponseError,
    ResponseMode,
    VerifierInfo,
    build_authorization_request,
    build_dc_api_response,
    build_endpoint_answer,
    build_error_response,
    build_multi_signed_request,
    build_request_object,
    build_response,
    build_signed_request,
    build_unsigned_request,
    form_fields,
    parse_authorization_request,
    parse_client_id,
    parse_dc_api_request,
    parse_dc_api_response,
    parse_endpoint_answer,
    parse_form,
    parse_response_form,
    parse_response_members,
    parse_response_payload,
    x509_hash_client_id,
)
from specs.protocols.openid4vp.request import AuthorizationRequest
from specs.refusal import ReasonCode, Refusal
from tests.specs.protocols.asker import NOW, ORIGIN, QUERY, RESPONSE_URI, Asker, Json, new_asker
from tests.vectors import vectors_path

TOKEN: dict[str, Any] = {"pid": ["a~b~"], "mdl": ["AA", "AB"]}


@pytest.fixture(scope="module")
def asker() -> Asker:
    return new_asker()


def asked(asker: Asker, mode: ResponseMode) -> AuthorizationRequest:
    params = build_authorization_request(
        client_id=x509_hash_client_id(asker.identity.chain[0]),
        response_mode=mode,
        nonce="n1",
        query=QUERY,
        client_metadata=asker.metadata(),
        response_uri=RESPONSE_URI,
        state="s1",
    )
    return parse_authorization_request(params, signed=True)


@pytest.mark.parametrize("encs", [("A128GCM",), ("A256GCM",), ("A128GCM", "A256GCM")])
def test_an_encrypted_answer_opens_with_the_key_that_was_sent(asker: Asker, encs: tuple[str, ...]) -> None:
    request = asked(asker, ResponseMode.DIRECT_POST_JWT)
    assert request.client_metadata is not None
    request = replace(request, client_metadata=replace(request.client_metadata, encs=encs))
    fields = form_fields(build_response(request, TOKEN, apu=b"anything"))
    assert fields.keys() == {"response"}
    received = parse_response_form(fields, expected_mode=request.response_mode)
    assert isinstance(received, EncryptedResponse)
    opened = decrypt(received.jwe, keys={"key-1": asker.response_key})
    assert opened.header["kid"] == "key-1"
    assert opened.header["enc"] == encs[-1]
    assert parse_response_payload(opened.payload) == AuthorizationResponse(TOKEN, "s1")


def test_an_answer_in_clear_is_read_from_its_form(asker: Asker) -> None:
    request = asked(asker, ResponseMode.DIRECT_POST)
    fields = form_fields(build_response(request, TOKEN))
    assert json.loads(fields["vp_token"]) == TOKEN
    body = b"vp_token=%7B%22pid%22%3A%5B%22a~b~%22%5D%7D&state=s1&unknown=%C3%A4"
    assert parse_response_form(parse_form(body), expected_mode=ResponseMode.DIRECT_POST) == AuthorizationResponse(
        {"pid": ["a~b~"]}, "s1"
    )


@pytest.mark.parametrize(
    "body",
    [b"vp_token", b"state=a&state=b", b"state=%FF", b"state=%zz", "state=ä".encode(), b"&".join([b"a=b"] * 60)],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(ResponseError) as caught:
        parse_form(body)
    assert caught.value.reason is ReasonCode.RESPONSE_MALFORMED


def test_a_field_may_be_empty_but_is_there() -> None:
    assert parse_form(b"state=&error=x") == {"state": "", "error": "x"}
    with pytest.raises(ResponseError, match="twice"):
        parse_form(b"state=&state=s1")


def test_a_form_beyond_the_limit_is_refused() -> None:
    assert parse_form(b"a=" + b"x" * (8 * 1024 * 1024 - 2))
    with pytest.raises(ResponseError) as caught:
        parse_form(b"a=" + b"x" * (8 * 1024 * 1024 - 1))
    assert caught.value.reason is ReasonCode.RESPONSE_TOO_LARGE


JWE = "a.b.c.d.e"


@pytest.mark.parametrize(
    ("mode", "fields", "reason"),
    [
        (ResponseMode.DIRECT_POST_JWT, {"vp_token": "{}"}, ReasonCode.RESPONSE_NOT_ENCRYPTED),
        (ResponseMode.DIRECT_POST_JWT, {"response": "a.b.c"}, ReasonCode.RESPONSE_NOT_ENCRYPTED),
        (ResponseMode.DIRECT_POST_JWT, {"response": JWE, "vp_token": "{}"}, ReasonCode.RESPONSE_MALFORMED),
        (ResponseMode.DIRECT_POST_JWT, {"response": JWE, "error": "x"}, ReasonCode.RESPONSE_MALFORMED),
        (ResponseMode.DIRECT_POST_JWT, {}, ReasonCode.RESPONSE_MALFORMED),
        (ResponseMode.DIRECT_POST, {"response": JWE}, ReasonCode.RESPONSE_MALFORMED),
        (ResponseMode.DIRECT_POST, {"vp_token": "a~b~"}, ReasonCode.VP_TOKEN_MALFORMED),
        (ResponseMode.DIRECT_POST, {"vp_token": "{}", "error": "access_denied"}, ReasonCode.RESPONSE_MALFORMED),
        (ResponseMode.DIRECT_POST, {"error": ""}, ReasonCode.RESPONSE_MALFORMED),
        (ResponseMode.DIRECT_POST, {"state": "s1"}, ReasonCode.RESPONSE_MALFORMED),
    ],
)
def test_an_answer_of_another_form_is_refused(mode: ResponseMode, fields: dict[str, str], reason: ReasonCode) -> None:
    with pytest.raises(ResponseError) as caught:
        parse_response_form(fields, expected_mode=mode)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"x"',
        b"a.b.c",
        b"{}",
        b'{"vp_token":{},"vp_token":{"pid":["x"]}}',
        b'{"vp_token":{},"state":7}',
        b'{"vp_token":{},"state":"s","error":"x"}',
        b'{"error":7}',
    ],
)
def test_a_payload_that_is_no_answer_is_refused(payload: bytes) -> None:
    with pytest.raises(ResponseError) as caught:
        parse_response_payload(payload)
    assert caught.value.reason is ReasonCode.RESPONSE_MALFORMED


@pytest.mark.parametrize("response", [7, None, ["a.b.c.d.e"], {}])
def test_an_encrypted_answer_is_a_text(response: Any) -> None:
    with pytest.raises(ResponseError) as caught:
        parse_response_members({"response": response}, expected_mode=ResponseMode.DC_API_JWT)
    assert caught.value.reason is ReasonCode.RESPONSE_MALFORMED


def test_a_wallet_does_not_answer_in_clear_because_nothing_was_offered_to_encrypt_with(asker: Asker) -> None:
    request = asked(asker, ResponseMode.DIRECT_POST_JWT)
    assert request.client_metadata is not None
    with pytest.raises(RequestError, match=r"client_metadata: missing$"):
        build_response(replace(request, client_metadata=None), TOKEN)
    for encs in ((), ("A128CBC-HS256",)):
        with pytest.raises(RequestError, match="none that we can use"):
            build_response(replace(request, client_metadata=replace(request.client_metadata, encs=encs)), TOKEN)


def test_an_answer_says_nothing_that_there_is_not(asker: Asker) -> None:
    """§8.1, §8.2, §8.5: what is optional is left out, not null."""
    request = replace(asked(asker, ResponseMode.DIRECT_POST), state=None)
    assert build_response(request, TOKEN) == {"vp_token": TOKEN}
    assert build_error_response(ErrorCode.ACCESS_DENIED) == {"error": "access_denied"}
    assert build_endpoint_answer(None) == {}


def test_an_error_may_come_in_clear_and_is_cut_off() -> None:
    fields = form_fields(build_error_response(ErrorCode.ACCESS_DENIED, description="x" * 10_000, state="s1"))
    received = parse_response_form(fields, expected_mode=ResponseMode.DIRECT_POST_JWT)
    assert received == ErrorResponse("access_denied", "x" * 500, "s1")
    text = vectors_path("openid4vp", "digital_credentials_api", "error_invalid_request.json").read_text()
    assert parse_response_members(json.loads(text), expected_mode=ResponseMode.DC_API_JWT) == ErrorResponse(
        "invalid_request"
    )


def test_the_endpoint_says_where_to_go_on() -> None:
    for target in (None, "https://verifier.example.com/done#response_code=x"):
        assert parse_endpoint_answer(strict_json.dumps(build_endpoint_answer(target))) == target
    for broken in (b"", b"[]", b'{"redirect_uri":7}'):
        with pytest.raises(ResponseError):
            parse_endpoint_answer(broken)


# the browser's API


def api_question(asker: Asker, *, signed: bool, **changes: Any) -> Json:
    params: Json = build_authorization_request(
        client_id=x509_hash_client_id(asker.identity.chain[0]) if signed else None,
        response_mode=ResponseMode.DC_API_JWT,
        nonce="n1",
        query=QUERY,
        client_metadata=asker.metadata(),
        expected_origins=["https://other.example", ORIGIN] if signed else [],
    )
    return {**params, **changes}


def look(asker: Asker, protocol: str, data: Json, origin: str = ORIGIN, now: int = NOW) -> AuthorizationRequest:
    return parse_dc_api_request(protocol, data, origin=origin, trust=asker.trust, now=now)


def test_an_unsigned_question_over_the_api_has_no_client(asker: Asker) -> None:
    entry = build_unsigned_request(api_question(asker, signed=False)).to_json()
    assert entry["protocol"] == "openid4vp-v1-unsigned"
    data: Any = entry["data"]
    request = look(asker, "openid4vp-v1-unsigned", {**data, "client_id": "anybody", "expected_origins": 7})
    assert (request.client_id, request.query, request.expected_origins) == (None, QUERY, ())
    check_haip_request(request)
    assert "client_id" not in build_unsigned_request(api_question(asker, signed=True)).data


def signed_data(asker: Asker, **changes: Any) -> Json:
    token = build_request_object(
        api_question(asker, signed=True, **changes), identity=asker.identity, issued_at=NOW, lifetime=300
    )
    return build_signed_request(token).data


def test_a_signed_question_over_the_api_names_its_origins(asker: Asker) -> None:
    assert look(asker, "openid4vp-v1-signed", signed_data(asker)).query == QUERY
    for origin in (ORIGIN + "/", "https://evil.example", ORIGIN.upper()):
        with pytest.raises(RequestError, match="expected_origins"):
            look(asker, "openid4vp-v1-signed", signed_data(asker), origin)
    for broken in ([], ORIGIN, [7], None):
        with pytest.raises(RequestError, match="expected_origins"):
            look(asker, "openid4vp-v1-signed", signed_data(asker, expected_origins=broken))
    with pytest.raises(RequestError, match="response_mode"):
        look(asker, "openid4vp-v1-signed", signed_data(asker, response_mode="direct_post.jwt"))
    with pytest.raises(RequestError, match="protocol"):
        look(asker, "openid4vp", signed_data(asker))
    with pytest.raises(Refusal):
        look(new_asker(), "openid4vp-v1-signed", signed_data(asker))


@pytest.mark.parametrize("token", [None, 7, {"payload": "e30"}, ["a.b.c"]])
def test_a_signed_question_over_the_api_is_one_compact_text(asker: Asker, token: object) -> None:
    assert look(asker, "openid4vp-v1-signed", signed_data(asker)).query == QUERY
    with pytest.raises(RequestError, match="compact"):
        look(asker, "openid4vp-v1-signed", {"request": token})


def co_signed(asker: Asker, *others: CoSigner, **changes: Any) -> Json:
    """A question that the asker signs last."""
    params = api_question(asker, signed=True, **changes)
    del params["client_id"]
    own = CoSigner(x509_hash_client_id(asker.identity.chain[0]), asker.identity)
    return build_multi_signed_request(params, signers=[*others, own]).data


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (-61, "has not begun"),
        (-60, None),
        (300 + 59, None),
        (300 + 60, "is over"),
    ],
)
def test_a_signed_question_over_the_api_has_its_time(asker: Asker, at: int, said: str | None) -> None:
    for protocol, data in (
        ("openid4vp-v1-signed", signed_data(asker)),
        ("openid4vp-v1-multisigned", co_signed(asker, iat=NOW, exp=NOW + 300)),
    ):
        if said is None:
            assert look(asker, protocol, data, now=NOW + at).query == QUERY
            continue
        with pytest.raises(RequestError, match=said):
            look(asker, protocol, data, now=NOW + at)


BROKEN_SIGNATURES: list[object] = [
    "text",
    None,
    {},
    {"protected": 1},
    {"protected": 1, "signature": "AAAA"},
    {"protected": "e30", "signature": None},
]


@pytest.mark.parametrize("broken", BROKEN_SIGNATURES)
def test_a_broken_signature_beside_a_good_one_refuses_the_question(asker: Asker, broken: object) -> None:
    data: Any = co_signed(asker)
    assert look(asker, "openid4vp-v1-multisigned", data).query == QUERY
    data["request"]["signatures"].append(broken)
    with pytest.raises(RequestError, match="protected header"):
        look(asker, "openid4vp-v1-multisigned", data)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": None},
        {"payload": 7},
        {"signatures": None},
        {"signatures": 7},
        {"signatures": []},
        {"signatures": {"protected": "e30", "signature": "AAAA"}},
    ],
)
def test_a_question_with_signatures_is_a_payload_and_a_list(asker: Asker, change: Json) -> None:
    """RFC 7515 §7.2.1."""
    data: Any = co_signed(asker)
    with pytest.raises(RequestError, match="not a JWS with signatures"):
        look(asker, "openid4vp-v1-multisigned", {"request": {**data["request"], **change}})


def test_ten_signatures_are_tried_and_no_more(asker: Asker) -> None:
    data: Any = co_signed(asker)
    (own,) = data["request"]["signatures"]
    foreign = {**own, "signature": "AAAA"}

    def among(others: int) -> Json:
        return {"request": {**data["request"], "signatures": [*[foreign] * others, own]}}

    assert look(asker, "openid4vp-v1-multisigned", among(9)).query == QUERY
    with pytest.raises(RequestError, match="not a JWS with signatures"):
        look(asker, "openid4vp-v1-multisigned", among(10))


def test_a_client_of_a_kind_that_is_not_known_does_not_spoil_the_next(asker: Asker) -> None:
    """§A.3.2.2: a wallet takes the first signature whose client it can verify."""
    other = CoSigner(parse_client_id("decentralized_identifier:did:example:1"), asker.identity, kid="did:example:1#0")
    request = look(asker, "openid4vp-v1-multisigned", co_signed(asker, other))
    assert request.client_id == x509_hash_client_id(asker.identity.chain[0])


def test_a_question_with_signatures_has_one_and_names_its_clients_there(asker: Asker) -> None:
    params = api_question(asker, signed=True)
    own = CoSigner(x509_hash_client_id(asker.identity.chain[0]), asker.identity)
    named = {name: value for name, value in params.items() if name != "client_id"}
    for broken, signers in ((params, [own]), ({**named, "verifier_info": []}, [own]), (named, [])):
        with pytest.raises(RequestError, match="each signature"):
            build_multi_signed_request(broken, signers=signers)


def test_one_trusted_signature_of_several_is_enough(asker: Asker) -> None:
    stranger = new_asker()
    params = api_question(asker, signed=True)
    del params["client_id"]
    signers = [
        CoSigner(x509_hash_client_id(other.identity.chain[0]), other.identity, (VerifierInfo("f", "d"),))
        for other in (stranger, asker)
    ]
    data = build_multi_signed_request(params, signers=signers).data
    request = look(asker, "openid4vp-v1-multisigned", data)
    assert request.client_id == signers[1].client_id
    assert request.verifier_info == (VerifierInfo("f", "d"),)
    as_text = {"request": json.dumps(data["request"])}
    assert look(asker, "openid4vp-v1-multisigned", as_text) == request
    alone = build_multi_signed_request(params, signers=signers[:1]).data
    with pytest.raises(Refusal):
        look(asker, "openid4vp-v1-multisigned", alone)
    tampered: Any = json.loads(json.dumps(data))
    tampered["request"]["payload"] = base64url.encode(strict_json.dumps({**params, "nonce": "n2"}))
    with pytest.raises(Refusal):
        look(asker, "openid4vp-v1-multisigned", tampered)
    malformed: list[Json] = [{}, {"request": {}}, {"request": "{"}]
    for broken in malformed:
        with pytest.raises(RequestError):
            look(asker, "openid4vp-v1-multisigned", broken)


def test_a_client_in_the_shared_payload_is_refused(asker: Asker) -> None:
    payload = strict_json.dumps(api_question(asker, signed=True))
    token = build_jws(payload, signer=asker.identity.signer, typ="oauth-authz-req+jwt")
    protected, body, signature = token.split(".")
    data: Json = {"request": {"payload": body, "signatures": [{"protected": protected, "signature": signature}]}}
    with pytest.raises(RequestError, match="belong to each signature"):
        look(asker, "openid4vp-v1-multisigned", data)


def test_an_answer_over_the_api_is_of_the_protocol_asked_with(asker: Asker) -> None:
    request = look(asker, "openid4vp-v1-signed", signed_data(asker))
    answer = build_dc_api_response(DcApiProtocol.SIGNED, build_response(request, TOKEN))
    received = parse_dc_api_response(
        answer, expected_protocol=DcApiProtocol.SIGNED, expected_mode=ResponseMode.DC_API_JWT
    )
    assert isinstance(received, EncryptedResponse)
    payload = decrypt(received.jwe, keys={"key-1": asker.response_key}).payload
    assert parse_response_payload(payload) == AuthorizationResponse(TOKEN, None)
    with pytest.raises(ResponseError):
        parse_dc_api_response(answer, expected_protocol=DcApiProtocol.UNSIGNED, expected_mode=ResponseMode.DC_API_JWT)
    with pytest.raises(ResponseError):
        parse_dc_api_response(
            {**answer, "data": "x"}, expected_protocol=DcApiProtocol.SIGNED, expected_mode=ResponseMode.DC_API_JWT
        )


@pytest.mark.parametrize("name", ["signed_request_payload", "signed_request_payload_compact"])
def test_published_questions_over_the_api_are_read(name: str) -> None:
    text = vectors_path("openid4vp", "digital_credentials_api", f"{name}.json").read_text()
    query = vectors_path("openid4vp", "query_lang", "simple.json").read_text()
    params = {"client_id": "x509_san_dns:rp.example.com", **json.loads(text.replace("{...}", query))}
    request = parse_authorization_request(params, signed=True, allowed_modes=[ResponseMode.DC_API])
    assert request.expected_origins == ("https://origin1.example.com", "https://origin2.example.com")
    with pytest.raises(RequestError, match="jwks"):
        # the printed key lacks `alg`, so an answer can't be encrypted to it (§8.3)
        parse_authorization_request(
            {**params, "response_mode": "dc_api.jwt"}, signed=True, allowed_modes=[ResponseMode.DC_API_JWT]
        )


def test_a_key_without_certificate_signs_for_no_certificate(asker: Asker) -> None:
    bare = SigningIdentity(generate_signer(), ())
    with pytest.raises(RequestError, match="x5c"):
        build_request_object(api_question(asker, signed=True), identity=bare, issued_at=NOW, lifetime=60)
    with pytest.raises(RequestError):
        build_request_object(
            {"client_id": parse_client_id("verifier_attestation:v").text}, identity=bare, issued_at=NOW, lifetime=60
        )
