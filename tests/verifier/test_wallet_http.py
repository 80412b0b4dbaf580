"""What wallets and pages send, before any framework: sizes, types, and the same answers whatever is wrong."""

import json

import pytest

from specs.encoding import base64url, strict_json
from tests.verifier.desk import IN_PAGE, ORIGIN, Desk
from verifier import Flow, ReasonCode
from verifier.adapters.wallet_http import (
    MAX_REQUEST_FORM,
    ONLY_LOOKED,
    WalletAnswer,
    get_request_object,
    post_request_object,
    post_response,
    receive_dc_api,
)

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MOST = 100


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def refusal(answer: WalletAnswer) -> tuple[int, str]:
    """Status and reason of a refusal as wallets read it."""
    assert (answer.content_type, answer.headers) == (JSON, {"Cache-Control": "no-store"})
    body = json.loads(answer.body)
    assert body.keys() == {"error", "error_description"}
    assert body["error"] == "invalid_request"
    return answer.status, body["error_description"]


def test_whoever_only_looks_is_told_what_else_there_is() -> None:
    """RFC 9110 §15.5.6."""
    headers = {"Allow": "GET, POST", "Cache-Control": "no-store"}
    assert WalletAnswer(405, JSON, b"", headers) == ONLY_LOOKED


def test_a_question_is_the_same_by_get_and_by_post(desk: Desk) -> None:
    handle = desk.ask().request_handle
    posted = post_request_object(desk.verifier, handle, content_type=FORM, body=b"wallet_nonce=n-1")
    for answer, nonce in ((get_request_object(desk.verifier, handle), None), (posted, "n-1")):
        assert (answer.status, answer.content_type) == (200, "application/oauth-authz-req+jwt")
        assert answer.headers == {"Cache-Control": "no-store"}
        params = strict_json.parse_object(base64url.decode(answer.body.decode().split(".")[1]))
        assert params.get("wallet_nonce") == nonce
    gone = (
        get_request_object(desk.verifier, "never"),
        post_request_object(desk.verifier, "never", content_type=FORM, body=b"wallet_nonce=n-1"),
    )
    assert [refusal(answer) for answer in gone] == [(404, ReasonCode.TRANSACTION_UNKNOWN)] * 2


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (FORM, b"", 200),
        (f"{FORM.upper()} ;charset=utf-8", b"", 200),
        (FORM, b"a=" + b"a" * (MAX_REQUEST_FORM - 2), 200),
        (FORM, b"a=" + b"a" * (MAX_REQUEST_FORM - 1), 400),
        (JSON, b"", 400),
        (f"x{FORM}", b"", 400),
        ("", b"", 400),
        (FORM, b"wallet_nonce=", 400),
        (FORM, b"wallet_metadata=no", 400),
        (FORM, b"a=1&a=2", 400),
    ],
    ids=["empty", "capitals", "largest", "too large", "json", "another", "no type", "nonce", "metadata", "twice"],
)
def test_a_form_for_a_question_is_read_or_refused(content_type: str, body: bytes, status: int, desk: Desk) -> None:
    """OpenID4VP §5.10."""
    handle = desk.ask().request_handle
    answer = post_request_object(desk.verifier, handle, content_type=content_type, body=body)
    assert answer.status == status
    assert status == 200 or refusal(answer) == (400, ReasonCode.RESPONSE_MALFORMED)


@pytest.mark.parametrize(("content_type", "body"), [(FORM, b"a=1&a=2"), (FORM, b"\xff"), (JSON, b"a=1"), ("", b"a=1")])
def test_what_is_no_form_is_no_answer(content_type: str, body: bytes, desk: Desk) -> None:
    """OpenID4VP §8.2."""
    asking = desk.ask()
    answer = post_response(desk.verifier, asking.response_handle, content_type=content_type, body=body)
    assert refusal(answer) == (400, ReasonCode.RESPONSE_MALFORMED)


@pytest.mark.parametrize(("more", "reason"), [(0, ReasonCode.RESPONSE_MALFORMED), (1, ReasonCode.RESPONSE_TOO_LARGE)])
def test_an_answer_may_be_as_large_as_the_limit(
    more: int, reason: ReasonCode, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.adapters.wallet_http.MAX_FORM", MOST)
    asking = desk.ask()
    body = b"a=" + b"a" * (MOST - 2 + more)
    answer = post_response(desk.verifier, asking.response_handle, content_type=FORM, body=body)
    assert refusal(answer) == (413 if more else 400, reason)
    question = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)
    answer = receive_dc_api(
        desk.verifier, question.id, session_secret=question.session_secret, origin=ORIGIN, body=b" " * (MOST + more)
    )
    assert refusal(answer) == (413 if more else 400, reason)


@pytest.mark.parametrize(
    ("secret", "origin", "body", "reason"),
    [
        (True, ORIGIN, b"{}", ReasonCode.RESPONSE_MALFORMED),
        (True, ORIGIN, b"[]", ReasonCode.RESPONSE_MALFORMED),
        (True, ORIGIN, b"", ReasonCode.RESPONSE_MALFORMED),
        (True, ORIGIN, b"\xff", ReasonCode.RESPONSE_MALFORMED),
        (True, None, b"{}", ReasonCode.TRANSACTION_UNKNOWN),
        (False, ORIGIN, b"{}", ReasonCode.TRANSACTION_UNKNOWN),
        (True, "https://other.example", b"{}", ReasonCode.AUDIENCE_MISMATCH),
    ],
    ids=["nothing in it", "array", "empty", "no text", "no origin", "no session", "another page"],
)
def test_what_a_page_hands_over_is_json_of_its_own_session_and_origin(
    secret: bool, origin: str | None, body: bytes, reason: ReasonCode, desk: Desk
) -> None:
    """OpenID4VP §A.4."""
    question = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)
    answer = receive_dc_api(
        desk.verifier,
        question.id,
        session_secret=question.session_secret if secret else None,
        origin=origin,
        body=body,
    )
    assert refusal(answer) == (400, reason)
    assert not desk.verifier.is_answered(question.id)
