"""OAuth messages: forms, PKCE, pushed and token requests, answers, and the way back to the client."""

from urllib.parse import urlencode

import pytest

from specs.encoding import strict_json
from specs.protocols.oauth import (
    AUTHORIZATION_CODE,
    PRE_AUTHORIZED_CODE,
    AuthorizationCodeGrant,
    AuthorizationRequest,
    InvalidAnswer,
    OAuthError,
    PreAuthorizedCodeGrant,
    PushedAnswer,
    RefreshTokenGrant,
    TokenAnswer,
    TokenRequest,
    authorization_answer_url,
    authorization_error_url,
    build_pushed_answer,
    build_pushed_request,
    build_token_answer,
    build_token_request,
    code_challenge,
    is_redirect_uri,
    new_code_verifier,
    parse_authorization_answer,
    parse_error,
    parse_form,
    parse_pushed_answer,
    parse_pushed_request,
    parse_token_answer,
    parse_token_request,
    verify_code_verifier,
)

ISS = "https://issuer.example/t/leipzig"
CALLBACK = "https://wallet.example/callback?dummy1=lorem&dummy2=ipsum"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 App. B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PUSHED = {
    "response_type": "code",
    "client_id": "https://wallet.example",
    "redirect_uri": CALLBACK,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "scope": "leipzig_pass-sd-jwt other leipzig_pass-sd-jwt",
    "state": "s",
}


def _body(form: dict[str, str]) -> bytes:
    return urlencode(form).encode()


def test_description_keeps_to_the_allowed_characters() -> None:
    error = OAuthError("invalid_request", 'say "ü" \\ \n', 400)

    assert error.body() == {"error": "invalid_request", "error_description": "say '?' ? ?"}


def test_error_code_keeps_to_the_allowed_characters() -> None:
    with pytest.raises(ValueError, match="not an OAuth error code"):
        OAuthError('invalid"request')


@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"a=&a=1", b"a=%zz", b"a=%", b"a=%ff", "a=ü".encode(), b"&".join([b"a=1"] * 101)]
)
def test_form_with_two_meanings_is_refused(body: bytes) -> None:
    with pytest.raises(OAuthError, match="invalid_request"):
        parse_form(body)


def test_form_is_read() -> None:
    assert parse_form(b"a=1+2&b=%C3%BC&c=&d") == {"a": "1 2", "b": "ü"}


def test_too_large_form_is_refused() -> None:
    with pytest.raises(OAuthError) as refused:
        parse_form(b"a=" + b"1" * 1024 * 1024)

    assert refused.value.status == 413


def test_second_resource_is_no_target_of_ours() -> None:
    with pytest.raises(OAuthError, match="invalid_target"):
        parse_form(b"resource=a&resource=b")


def test_pkce_knows_the_published_pair() -> None:
    assert code_challenge(VERIFIER) == CHALLENGE
    verify_code_verifier(VERIFIER, expected_challenge=CHALLENGE)
    fresh = new_code_verifier()
    verify_code_verifier(fresh, expected_challenge=code_challenge(fresh))


@pytest.mark.parametrize("verifier", [None, "", CHALLENGE, VERIFIER + "a", VERIFIER[:42], VERIFIER + "é", "a" * 129])
def test_another_verifier_is_refused(verifier: str | None) -> None:
    with pytest.raises(OAuthError, match="invalid_grant"):
        verify_code_verifier(verifier, expected_challenge=CHALLENGE)


def test_pushed_request_is_read_and_unknown_members_are_ignored() -> None:
    request = parse_pushed_request(_body(PUSHED | {"unknown": "x", "dpop_jkt": CHALLENGE}))

    assert request == AuthorizationRequest(
        client_id="https://wallet.example",
        redirect_uri=CALLBACK,
        code_challenge=CHALLENGE,
        scope=("leipzig_pass-sd-jwt", "other"),
        state="s",
        dpop_jkt=CHALLENGE,
    )


def test_pushed_request_is_read_as_written() -> None:
    request = AuthorizationRequest(
        client_id="c",
        redirect_uri="http://127.0.0.1:1234/cb",
        code_challenge=CHALLENGE,
        authorization_details=({"type": "openid_credential"},),
        issuer_state="i",
        resource=ISS,
    )

    assert parse_pushed_request(_body(build_pushed_request(request))) == request


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"redirect_uri": "http://wallet.example/cb"}, "invalid_request"),
        ({"redirect_uri": "javascript:alert(1)"}, "invalid_request"),
        ({"client_id": ""}, "invalid_request"),
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"dpop_jkt": "x"}, "invalid_request"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": "[1]"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"a":1,"a":2}]'}, "invalid_authorization_details"),
    ],
)
def test_pushed_request_with_one_defect_is_refused(changes: dict[str, str], error: str) -> None:
    with pytest.raises(OAuthError) as refused:
        parse_pushed_request(_body(PUSHED | changes))

    assert (refused.value.error, refused.value.status) == (error, 400)


@pytest.mark.parametrize(
    "uri",
    [
        "https://w.example/cb",
        "http://127.0.0.1:80/cb",
        "http://localhost/cb",
        "http://[::1]/cb",
        "eu.w.app:/cb",
        "eudi-openid4ci://authorize",
    ],
)
def test_redirect_address_of_a_wallet_is_taken(uri: str) -> None:
    assert is_redirect_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "cb",
        "/cb",
        "//w.example/cb",
        "https:///cb",
        "https://w.example/cb#f",
        "https://u:p@w.example/cb",
        "https://w.example\\@thief.example/",
        "https://w.example/ cb",
        "https://w.example/cb\n",
        "https://[::1",
        "http://localhost.thief.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://w.example/" + "a" * 3000,
    ],
)
def test_other_redirect_address_is_refused(uri: str) -> None:
    assert not is_redirect_uri(uri)


def test_pushed_answer_is_read_as_written() -> None:
    answer = PushedAnswer("urn:ietf:params:oauth:request_uri:abc", 60)

    assert parse_pushed_answer(strict_json.dumps(build_pushed_answer(answer))) == answer


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"request_uri":"a"}', b'{"request_uri":"a","expires_in":true}'])
def test_broken_pushed_answer_is_not_used(data: bytes) -> None:
    with pytest.raises(InvalidAnswer):
        parse_pushed_answer(data)


@pytest.mark.parametrize(
    "request_",
    [
        TokenRequest(AuthorizationCodeGrant("c", CALLBACK, VERIFIER), "client"),
        TokenRequest(AuthorizationCodeGrant("c", CALLBACK, None)),
        TokenRequest(PreAuthorizedCodeGrant("c", "123456"), "client", ({"type": "openid_credential"},), ISS),
        TokenRequest(PreAuthorizedCodeGrant("c")),
        TokenRequest(RefreshTokenGrant("r", ("a", "b"))),
    ],
)
def test_token_request_is_read_as_written(request_: TokenRequest) -> None:
    assert parse_token_request(_body(build_token_request(request_) | {"unknown": "x"})) == request_


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": AUTHORIZATION_CODE, "redirect_uri": CALLBACK}, "invalid_request"),
        ({"grant_type": AUTHORIZATION_CODE, "code": "c"}, "invalid_request"),
        ({"grant_type": AUTHORIZATION_CODE, "code": "c", "redirect_uri": "u", "tx_code": "1"}, "invalid_request"),
        ({"grant_type": PRE_AUTHORIZED_CODE}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "r", "tx_code": "1"}, "invalid_request"),
        (
            {"grant_type": "refresh_token", "refresh_token": "r", "authorization_details": "x"},
            "invalid_authorization_details",
        ),
    ],
)
def test_token_request_with_one_defect_is_refused(form: dict[str, str], error: str) -> None:
    with pytest.raises(OAuthError) as refused:
        parse_token_request(_body(form))

    assert (refused.value.error, refused.value.status) == (error, 400)


def test_token_answer_is_read_as_written() -> None:
    answer = TokenAnswer("t", "DPoP", 600, "r", ("a", "b"), ({"type": "openid_credential"},))

    assert parse_token_answer(strict_json.dumps(build_token_answer(answer) | {"unknown": 1})) == answer
    assert parse_token_answer(b'{"access_token":"t","token_type":"Bearer"}') == TokenAnswer("t", "Bearer")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"access_token":"t"}',
        b'{"access_token":1,"token_type":"DPoP"}',
        b'{"access_token":"t","token_type":"DPoP","expires_in":"600"}',
        b'{"access_token":"t","token_type":"DPoP","authorization_details":{}}',
        b'{"access_token":"t","access_token":"u","token_type":"DPoP"}',
    ],
)
def test_broken_token_answer_is_not_used(data: bytes) -> None:
    with pytest.raises(InvalidAnswer):
        parse_token_answer(data)


def test_error_is_read_as_written() -> None:
    error = parse_error(strict_json.dumps(OAuthError("invalid_grant", "used", 400).body()), status=400)

    assert (error.error, error.description, error.status) == ("invalid_grant", "used", 400)
    for broken in (b"<html>", b"{}", b'{"error": 1}', b'{"error": "a b\\n"}'):
        with pytest.raises(InvalidAnswer):
            parse_error(broken, status=400)


def test_code_comes_back_with_iss_and_state_and_the_address_keeps_its_query() -> None:
    url = authorization_answer_url(CALLBACK, code="c&d", iss=ISS, state="s t")

    assert url.startswith(CALLBACK + "&code=c%26d&iss=https%3A%2F%2F")
    code = parse_authorization_answer(url, expected_redirect_uri=CALLBACK, expected_iss=ISS, expected_state="s t")
    assert code == "c&d"
    assert authorization_answer_url("a.b:/cb", code="c", iss="i", state=None) == "a.b:/cb?code=c&iss=i"


def test_error_comes_back_as_the_servers_error() -> None:
    url = authorization_error_url(CALLBACK, error=OAuthError("access_denied"), iss=ISS, state="s")

    with pytest.raises(OAuthError, match="access_denied"):
        parse_authorization_answer(url, expected_redirect_uri=CALLBACK, expected_iss=ISS, expected_state="s")


@pytest.mark.parametrize(
    "url",
    [
        CALLBACK + "&code=c&state=s",
        CALLBACK + "&code=c&state=s&iss=https%3A%2F%2Fother.example",
        CALLBACK + f"&code=c&iss={ISS}",
        CALLBACK + f"&code=c&iss={ISS}&state=other",
        CALLBACK + f"&code=c&code=d&iss={ISS}&state=s",
        CALLBACK + f"&iss={ISS}&state=s",
        CALLBACK + f"&error=e&code=c&iss={ISS}&state=s",
        CALLBACK + f"#code=c&iss={ISS}&state=s",
        f"https://wallet.example/callback?code=c&iss={ISS}&state=s",
        f"https://other.example/callback?dummy1=lorem&dummy2=ipsum&code=c&iss={ISS}&state=s",
    ],
)
def test_answer_that_is_not_for_us_is_not_used(url: str) -> None:
    with pytest.raises(InvalidAnswer):
        parse_authorization_answer(url, expected_redirect_uri=CALLBACK, expected_iss=ISS, expected_state="s")
