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


@pytest.mark.parametrize(
    "segment", ["R2RN-0v2o28txL9tRSD2NZjjWq4drMWsPf1eFZwV-yo", "c9e1d117ade1d5c69d14", "aBcDeFgHiJkLmNoPq"]
)
def test_addresses_show_no_step_that_opens_something(segment: str) -> None:
    """Whoever read the report could fetch the offer that it named, and redeem it."""
    shown = shown_url(f"https://issuer.example/t/leipzig/offers/{segment}?lang=de")
    assert segment not in shown
    assert shown.startswith("https://issuer.example/t/leipzig/offers/‹")


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-credential-issuer/t/leipzig", "/oauth2/deferred_credential", "/cb"]
)
def test_addresses_that_a_service_publishes_stay(path: str) -> None:
    assert shown_url(f"https://issuer.example{path}") == f"https://issuer.example{path}"


def test_challenges_keep_their_error_alone() -> None:
    described = f'DPoP algs="ES256", error="invalid_token", error_description="not \\"{SECRET}\\" of {PERSON}"'
    [(_, shown)] = shown_headers(httpx.Headers({"WWW-Authenticate": described}))
    assert 'algs="ES256", error="invalid_token"' in shown
    assert SECRET not in shown
    assert PERSON not in shown


def test_what_a_service_publishes_is_shown_as_it_is() -> None:
    answer = Answer(200, httpx.Headers({"content-type": "application/json"}), b'{"issuer": "https://a.example"}')
    url = "https://a.example/.well-known/openid-credential-issuer"
    assert exchange("GET", url, httpx.Headers(), b"", answer).answer == '{"issuer": "https://a.example"}'
