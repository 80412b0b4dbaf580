"""A report shows how traffic was built, and nothing of whom it was about or what opens anything."""

import json

import httpx
import pytest

from conformance.exchange import Answer, exchange
from conformance.redaction import shown_body, shown_headers, shown_url

SECRET, PERSON = "kT7sQeR2vB9xLmN4", "Lindenau"
TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJmYW1pbHlfbmFtZSI6IkxpbmRlbmF1In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (json.dumps({"access_token": SECRET, "family_name": PERSON, "age": 41}), "application/json"),
        (json.dumps({"credentials": [{"credential": TOKEN}], "x": {"y": [PERSON]}}), "application/json"),
        (f"pre-authorized_code={SECRET}&tx_code=4711&name={PERSON}", "application/x-www-form-urlencoded"),
        (TOKEN, "application/jwt"),
        (f"<html>{PERSON} {SECRET}", "text/html"),
        (f"{{broken {PERSON}", "application/json"),
    ],
)
def test_bodies_show_no_person_and_no_secret(body: str, media_type: str) -> None:
    shown = shown_body(body.encode(), media_type)
    assert shown
    for hidden in (SECRET, PERSON, "4711", "41", TOKEN):
        assert hidden not in shown


def test_names_and_protocol_matters_stay() -> None:
    shown = shown_body(json.dumps({"error": "invalid_nonce", "access_token": SECRET}).encode(), "application/json")
    assert json.loads(shown) == {"error": "invalid_nonce", "access_token": "‹16 characters›"}
    assert "family_name" in shown_body(TOKEN.encode(), "application/jwt")


def test_addresses_and_headers_show_no_secret() -> None:
    assert SECRET not in shown_url(f"https://wallet.example/cb?code={SECRET}&state={SECRET}")
    headers = httpx.Headers([("Authorization", f"DPoP {SECRET}"), ("DPoP", TOKEN), ("Cookie", SECRET)])
    shown = dict(shown_headers(headers))
    assert shown["authorization"] == "DPoP ‹16 characters›"
    assert SECRET not in str(shown)
    assert PERSON not in str(shown)
    assert "cookie" not in shown


def test_what_a_service_publishes_is_shown_as_it_is() -> None:
    answer = Answer(200, httpx.Headers({"content-type": "application/json"}), b'{"issuer": "https://a.example"}')
    url = "https://a.example/.well-known/openid-credential-issuer"
    assert exchange("GET", url, httpx.Headers(), b"", answer).answer == '{"issuer": "https://a.example"}'
