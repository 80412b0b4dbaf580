"""The parameters of a question by each way it travels: what is read, and what one broken rule is answered with."""

from typing import Any

import pytest

from specs.keys.jwe import new_decryption_key
from specs.protocols.dcql import dcql_to_json
from specs.protocols.openid4vp import (
    HAIP_FORMATS,
    AuthorizationRequest,
    ClientIdPrefix,
    ErrorCode,
    RequestError,
    ResponseMode,
    VerifierInfo,
    build_authorization_request,
    build_client_metadata,
    build_transaction_data,
    parse_authorization_request,
    parse_client_id,
)
from tests.specs.protocols.asker import ORIGIN, QUERY, RESPONSE_URI, Json

CLIENT = "x509_san_dns:verifier.example.com"
METADATA = build_client_metadata(formats=HAIP_FORMATS, response_keys=[new_decryption_key("key-1").public_jwk()])
LONGEST = "Az09-._~" * 128  # 1024 characters


def posted(**members: Any) -> Json:
    """A question whose answer is posted; a member that is None is left out."""
    params = {
        "response_type": "vp_token",
        "response_mode": "direct_post.jwt",
        "client_id": CLIENT,
        "nonce": "n-1",
        "state": "st-1",
        "dcql_query": dcql_to_json(QUERY),
        "client_metadata": METADATA,
        "response_uri": RESPONSE_URI,
        **members,
    }
    return {name: value for name, value in params.items() if value is not None}


def redirected(**members: Any) -> Json:
    """A question whose answer goes back by the browser."""
    return posted(response_uri=None, response_mode="fragment", redirect_uri=f"{ORIGIN}/cb", **members)


def in_browser(**members: Any) -> Json:
    """A question over the Digital Credentials API."""
    return posted(**{"response_uri": None, "response_mode": "dc_api.jwt", "expected_origins": [ORIGIN], **members})


def read(params: Json, *, signed: bool = True, **expected: Any) -> AuthorizationRequest:
    """As somebody who can be asked by each way."""
    return parse_authorization_request(params, **{"signed": signed, "allowed_modes": list(ResponseMode), **expected})


def test_where_the_answer_goes_is_read_by_its_mode() -> None:
    for mode in ("direct_post", "direct_post.jwt"):
        request = read(posted(response_mode=mode))
        assert (request.response_mode, request.response_uri, request.redirect_uri) == (mode, RESPONSE_URI, None)
    # RFC 6749 §3.1: a parameter without a value is one that was left out
    left_out = {name: value for name, value in redirected().items() if name != "response_mode"}
    for params in (redirected(), left_out, left_out | {"response_mode": ""}):
        request = read(params)
        assert (request.response_mode, request.response_uri, request.redirect_uri) == ("fragment", None, f"{ORIGIN}/cb")
    request = read(in_browser())
    assert (request.response_uri, request.redirect_uri, request.expected_origins) == (None, None, (ORIGIN,))


def test_under_redirect_uri_the_identifier_is_the_address() -> None:
    app = "redirect_uri:org.example.app:/cb"
    for params, address in (
        (posted(client_id=f"redirect_uri:{RESPONSE_URI}", response_uri=None), RESPONSE_URI),
        (posted(client_id=f"redirect_uri:{RESPONSE_URI}"), RESPONSE_URI),
        ({**redirected(client_id=app), "redirect_uri": ""}, "org.example.app:/cb"),
        ({**redirected(client_id=app), "redirect_uri": "org.example.app:/cb"}, "org.example.app:/cb"),
    ):
        request = read(params, signed=False)
        assert (request.response_uri or request.redirect_uri) == address


def test_what_the_platform_says_itself_is_not_read_from_a_question_in_the_browser() -> None:
    """§A.2: `state` and the addresses have no meaning there, nor has an identifier that nobody signed."""
    strange = {"state": "a b", "response_uri": 1, "redirect_uri": "/r"}
    request = read(in_browser(**strange))
    assert (request.state, request.response_uri, request.redirect_uri) == (None, None, None)
    assert request.client_id == parse_client_id(CLIENT)
    unsigned = read(in_browser(**strange, client_id=1, expected_origins="x"), signed=False)
    assert (unsigned.client_id, unsigned.expected_origins) == (None, ())


def test_plain_http_to_this_machine_must_be_allowed() -> None:
    local = "http://127.0.0.1:8702/r"
    assert read(posted(client_id="city", response_uri=local), allow_loopback_http=True).response_uri == local
    by_redirect = redirected(client_id="city") | {"redirect_uri": local}
    assert read(by_redirect, allow_loopback_http=True).redirect_uri == local
    for params in (posted(client_id="city", response_uri=local), by_redirect):
        with pytest.raises(RequestError, match="https is demanded"):
            read(params)


def test_everything_else_is_read_as_it_was_sent() -> None:
    info = [
        {"format": "registration_cert", "data": "ey.J.x", "credential_ids": ["pid", "mdl"]},
        {"format": "", "data": {"x": 1}, "future": 1},
    ]
    request = read(posted(verifier_info=info, wallet_nonce="w", nonce=LONGEST, state=LONGEST, scope=None))
    assert request.verifier_info == (
        VerifierInfo("registration_cert", "ey.J.x", ("pid", "mdl")),
        VerifierInfo("", {"x": 1}),
    )
    assert [entry.to_json() for entry in request.verifier_info] == [info[0], {"format": "", "data": {"x": 1}}]
    assert (request.nonce, request.state, request.wallet_nonce) == (LONGEST, LONGEST, "w")
    plain = read(posted(response_mode="direct_post", client_metadata=None, state=None))
    assert (plain.client_metadata, plain.state, plain.wallet_nonce, plain.verifier_info) == (None, None, None, ())


def test_transaction_data_are_understood_or_the_question_is_not_answered() -> None:
    entry = build_transaction_data("pay", credential_ids=["pid"], members={})
    for params in (posted(transaction_data=[entry]), in_browser(transaction_data=[entry])):
        for known in (["pay"], None):
            (parsed,) = read(params, known_transaction_data=known).transaction_data
            assert parsed.encoded == entry
        with pytest.raises(RequestError) as caught:
            read(params)
        assert caught.value.error is ErrorCode.INVALID_TRANSACTION_DATA


INFO = {"format": "x", "data": "y"}
NO_KEY = "client_metadata.jwks: no key that an answer can be encrypted to"
BAD_INFO = "verifier_info: an entry has a format and data"
BAD_IDS = "verifier_info: credential_ids is a non-empty array"
WRONG_IDS = "verifier_info: credential_ids names what is not asked for"
BAD_ORIGIN = "expected_origins: holds something that is not a text"
NO_ORIGINS = "expected_origins: not a non-empty array"
REFUSED: tuple[tuple[str, Json], ...] = (
    ("request and request_uri stand in no request object", posted(request="a.b.c")),
    ("request and request_uri stand in no request object", in_browser(request_uri=RESPONSE_URI)),
    ("response_type: missing", posted(response_type=None)),
    ("response_type: not a text", posted(response_type=["vp_token"])),
    ("response_mode: not a text", posted(response_mode=1)),
    ("response_mode: not one that can be answered here", posted(response_mode="direct_post.JWT")),
    ("client_id: missing", posted(client_id=None)),
    ("client_id: missing", in_browser(client_id=None)),
    ("client_id: not a text", posted(client_id=1)),
    ("client_id: 1 to 2048 printable characters", posted(client_id="")),
    ("nonce: missing", posted(nonce=None)),
    ("nonce: missing", in_browser(nonce=None)),
    ("nonce: letters, digits and - . _ ~ only", posted(nonce=f"{LONGEST}a")),
    ("nonce: letters, digits and - . _ ~ only", posted(nonce="a\n")),
    ("state: letters, digits and - . _ ~ only", posted(state="")),
    ("state: not a text", posted(state=1)),
    ("state: not a text", posted() | {"state": None}),
    ("dcql_query: missing", posted(dcql_query=None)),
    ("dcql_query: credentials: not a non-empty array", posted(dcql_query={"credentials": []})),
    ("scope: not a text", posted(scope=1)),
    ("scope: stands beside dcql_query", posted(scope="pid")),
    ("redirect_uri: missing", redirected() | {"redirect_uri": ""}),
    ("redirect_uri: missing", posted(response_uri=None, response_mode="fragment")),
    ("redirect_uri: does not go with direct_post.jwt", posted(redirect_uri=RESPONSE_URI)),
    ("response_uri: missing", posted(response_uri=None)),
    ("response_uri: missing", posted(response_uri="")),
    ("response_uri: not a text", posted(response_uri=1)),
    ("response_uri: not an address", posted(response_uri=f"{RESPONSE_URI} ")),
    ("response_uri: does not go with fragment", redirected() | {"response_uri": RESPONSE_URI}),
    ("redirect_uri: https is demanded", redirected() | {"redirect_uri": "http://verifier.example.com/cb"}),
    (
        "redirect_uri: an absolute address without fragment, at which answers are taken",
        redirected(client_id="city") | {"redirect_uri": "javascript://verifier.example.com/%0aalert(1)"},
    ),
    (
        "the answer would go to an address that is not the client's",
        redirected() | {"redirect_uri": "https://other.example/cb"},
    ),
    ("client_metadata: not an object", posted() | {"client_metadata": None}),
    (NO_KEY, posted(client_metadata=None)),
    (NO_KEY, posted(client_metadata={})),
    (NO_KEY, in_browser(client_metadata=None)),
    (NO_KEY, in_browser(response_mode="ia_post.jwt", client_metadata={})),
    ("verifier_info: not a non-empty array", posted() | {"verifier_info": None}),
    ("verifier_info: not a non-empty array", posted(verifier_info=INFO)),
    ("verifier_info: not a non-empty array", posted(verifier_info=[])),
    ("verifier_info: not a non-empty array", posted(verifier_info=[INFO] * 21)),
    (BAD_INFO, posted(verifier_info=["x"])),
    (BAD_INFO, posted(verifier_info=[INFO, None])),
    (BAD_INFO, posted(verifier_info=[{"format": "x", "data": None}])),
    (BAD_INFO, posted(verifier_info=[{"format": "x", "data": ["y"]}])),
    (BAD_INFO, posted(verifier_info=[{"data": "y"}])),
    (BAD_INFO, posted(verifier_info=[{"format": 1, "data": "y"}])),
    (BAD_IDS, posted(verifier_info=[INFO | {"credential_ids": []}])),
    (BAD_IDS, posted(verifier_info=[INFO | {"credential_ids": "pid"}])),
    (BAD_IDS, posted(verifier_info=[INFO | {"credential_ids": {"pid": 1}}])),
    (BAD_IDS, posted(verifier_info=[INFO | {"credential_ids": None}])),
    (WRONG_IDS, posted(verifier_info=[INFO | {"credential_ids": ["pid", "other"]}])),
    (WRONG_IDS, posted(verifier_info=[INFO | {"credential_ids": ["pid", ["mdl"]]}])),
    (NO_ORIGINS, in_browser(expected_origins=None)),
    (NO_ORIGINS, in_browser(expected_origins=[])),
    (NO_ORIGINS, in_browser(expected_origins=ORIGIN)),
    (NO_ORIGINS, in_browser(expected_origins={ORIGIN: 1})),
    (BAD_ORIGIN, in_browser(expected_origins=[ORIGIN, 1])),
    (BAD_ORIGIN, in_browser(expected_origins=[ORIGIN, ""])),
    ("wallet_nonce: not a text", posted(wallet_nonce=1)),
)


@pytest.mark.parametrize(("description", "params"), REFUSED)
def test_a_broken_rule_is_named(description: str, params: Json) -> None:
    with pytest.raises(RequestError) as caught:
        read(params)
    assert (caught.value.error, caught.value.description) == (ErrorCode.INVALID_REQUEST, description)


@pytest.mark.parametrize(
    ("error", "params"),
    [
        (ErrorCode.UNSUPPORTED_RESPONSE_TYPE, posted(response_type="")),
        (ErrorCode.UNSUPPORTED_RESPONSE_TYPE, posted(response_type="vp_token id_token")),
        (ErrorCode.INVALID_SCOPE, posted(dcql_query=None, scope="pid")),
        (ErrorCode.INVALID_SCOPE, in_browser(dcql_query=None, scope="")),
    ],
)
def test_some_rules_have_an_error_of_their_own(error: ErrorCode, params: Json) -> None:
    """§8.5, RFC 6749 §4.1.2.1."""
    with pytest.raises(RequestError) as caught:
        read(params)
    assert caught.value.error is error


def test_twenty_attestations_about_the_verifier_are_read() -> None:
    assert len(read(posted(verifier_info=[INFO] * 20)).verifier_info) == 20


def test_only_modes_of_the_way_it_came_are_answered() -> None:
    """What comes by redirect is not answered as if it came through the platform."""
    for mode in ("fragment", "direct_post", "direct_post.jwt"):
        params = redirected() if mode == "fragment" else posted(response_mode=mode)
        assert parse_authorization_request(params, signed=True).response_mode == mode
    for params in (in_browser(), in_browser(response_mode="dc_api"), in_browser(response_mode="ia_post")):
        with pytest.raises(RequestError, match="response_mode: not one that can be answered here"):
            parse_authorization_request(params, signed=True)


@pytest.mark.parametrize("change", [{}, {"response_mode": "direct_post", "client_metadata": None}])
def test_without_holder_binding_a_state_binds_the_answer(change: Json) -> None:
    """§5.3; in the browser the platform does it."""
    credential = {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["t"]}}
    query = {"credentials": [credential | {"require_cryptographic_holder_binding": False}]}
    read(posted(dcql_query=query, **change))
    read(in_browser(dcql_query=query, state=None))
    read(posted(state=None, dcql_query={"credentials": [credential]}, **change))
    with pytest.raises(RequestError, match="state: demanded where holder binding is not"):
        read(posted(dcql_query=query, state=None, **change))


@pytest.mark.parametrize(
    ("client_id", "address", "attested", "is_allowed"),
    [
        ("verifier_attestation:v", RESPONSE_URI, [RESPONSE_URI], True),
        ("verifier_attestation:v", RESPONSE_URI, [ORIGIN], False),
        ("verifier_attestation:v", RESPONSE_URI, None, True),
        (CLIENT, "https://other.example/r", None, False),
    ],
)
def test_an_answer_goes_only_where_the_client_may_have_it(
    client_id: str, address: str, attested: list[str] | None, is_allowed: bool
) -> None:
    params = posted(client_id=client_id, response_uri=address)
    if is_allowed:
        assert read(params, attested_addresses=attested).response_uri == address
    else:
        with pytest.raises(RequestError, match="not the client's"):
            read(params, attested_addresses=attested)


@pytest.mark.parametrize(
    ("mode", "is_encrypted"),
    [
        (ResponseMode.FRAGMENT, False),
        (ResponseMode.DIRECT_POST, False),
        (ResponseMode.DIRECT_POST_JWT, True),
        (ResponseMode.DC_API, False),
        (ResponseMode.DC_API_JWT, True),
        (ResponseMode.IA_POST, False),
        (ResponseMode.IA_POST_JWT, True),
    ],
)
def test_a_mode_says_whether_the_answer_is_encrypted(mode: ResponseMode, is_encrypted: bool) -> None:
    assert mode.is_encrypted is is_encrypted


def build(**members: Any) -> Json:
    """Write a question; without members one whose answer is posted."""
    arguments: Json = {
        "client_id": parse_client_id(CLIENT),
        "response_mode": ResponseMode.DIRECT_POST_JWT,
        "nonce": "n-1",
        "query": QUERY,
        "client_metadata": METADATA,
        "response_uri": RESPONSE_URI,
        **members,
    }
    return build_authorization_request(**arguments)


IN_BROWSER: Json = {"response_mode": ResponseMode.DC_API_JWT, "response_uri": None}


def test_a_question_is_written_with_what_was_given_and_nothing_else() -> None:
    assert build(state="st-1") == posted()
    assert build() == posted(state=None)
    redirect: Json = {"response_uri": None, "redirect_uri": f"{ORIGIN}/cb", "response_mode": ResponseMode.FRAGMENT}
    assert build(**redirect, state="st-1") == redirected()
    assert build(**IN_BROWSER, expected_origins=[ORIGIN]) == in_browser(state=None)
    entry = build_transaction_data("pay", credential_ids=["pid"], members={})
    full = build(transaction_data=[entry], verifier_info=[VerifierInfo("x", "y")], trust_chain=["a.b.c"])
    assert full == posted(state=None, transaction_data=[entry], verifier_info=[INFO], trust_chain=["a.b.c"])
    assert build(response_mode=ResponseMode.DIRECT_POST, client_metadata=None) == posted(
        state=None, response_mode="direct_post", client_metadata=None
    )


@pytest.mark.parametrize(
    "members",
    [
        {"nonce": "a b"},
        {"response_uri": None},
        {"client_metadata": None},
        {"client_id": None},
        {**IN_BROWSER, "expected_origins": []},
        {**IN_BROWSER, "expected_origins": [f"{ORIGIN}/"]},
        {**IN_BROWSER, "expected_origins": [ORIGIN, "http://localhost:8702"]},
        {"signed": False},
        {"response_uri": "http://localhost:8702/r"},
        {"client_id": parse_client_id(f"redirect_uri:{RESPONSE_URI}"), "signed": True},
    ],
)
def test_a_question_that_a_wallet_would_refuse_is_not_written(members: Json) -> None:
    with pytest.raises(RequestError):
        build(**members)


def test_whether_a_question_is_signed_follows_from_who_asks() -> None:
    by_address = parse_client_id(f"redirect_uri:{RESPONSE_URI}")
    assert by_address.prefix is ClientIdPrefix.REDIRECT_URI
    assert build(client_id=by_address)["client_id"] == by_address.text
    assert "client_id" not in build(**IN_BROWSER, client_id=None)
    assert build(**IN_BROWSER, client_id=None, signed=False).get("expected_origins") is None
    with pytest.raises(RequestError, match="expected_origins"):
        build(**IN_BROWSER)


def test_a_demonstration_may_ask_from_this_machine() -> None:
    local = "http://localhost:8702"
    city = parse_client_id("city")
    assert build(client_id=city, response_uri=f"{local}/r", allow_loopback_http=True)["response_uri"] == f"{local}/r"
    asked = build(**IN_BROWSER, client_id=city, expected_origins=[local], allow_loopback_http=True)
    assert asked["expected_origins"] == [local]
