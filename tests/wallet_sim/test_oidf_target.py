"""`stadtnachweis wallet --profile oidf`: a wallet for the OpenID Foundation's suite, known by what it printed."""

import json
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.sd_jwt import parse_sd_jwt
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import FileSigner
from stadtnachweis.__main__ import main
from wallet_sim.conduct import Jwt

ORIGIN = "https://suite.example"


@dataclass(frozen=True, slots=True)
class Target:
    """What the target printed."""

    printed: JsonObject

    def at(self, *names: str) -> JsonObject:
        """A member, by its way down."""
        value = self.printed
        for name in names:
            inner = value[name]
            assert isinstance(inner, dict)
            value = inner
        return value

    @property
    def verifier(self) -> FileSigner:
        """The verifier that the suite plays, by the key that is printed for it."""
        keys = self.at("client", "jwks")["keys"]
        assert isinstance(keys, list)
        assert isinstance(keys[0], dict)
        secret = int.from_bytes(base64url.decode(str(keys[0]["d"])), "big")
        return FileSigner(ec.derive_private_key(secret, ec.SECP256R1()))

    def asked(
        self, http: httpx.Client, part: str, *, signed_as: str | None = None, **members: object
    ) -> httpx.Response:
        """What comes of a question that a page asks through the browser; unsigned, or by the printed verifier."""
        question: dict[str, Any] = {
            "response_type": "vp_token",
            "response_mode": "dc_api",
            "nonce": "n-0S6_WzA2Mj-n-0S6_WzA2Mj",
            "dcql_query": self.at("stadtnachweis", "questions", "sd_jwt_vc"),
            "client_metadata": {"vp_formats_supported": {"dc+sd-jwt": {}}},
            **members,
        }
        protocol = "openid4vp-v1-unsigned"
        if signed_as is not None:
            claims = question | {
                "client_id": signed_as,
                "expected_origins": [ORIGIN],
                "aud": "https://self-issued.me/v2",
            }
            header: JsonObject = {"alg": "ES256", "typ": "oauth-authz-req+jwt"}
            question = {"request": Jwt(header, claims, self.verifier).token()}
            protocol = "openid4vp-v1-signed"
        asked = {"digital": {"requests": [{"protocol": protocol, "data": question}]}}
        where = str(self.at("stadtnachweis", "endpoints", "dc_api")[part])
        return http.post(where, json={"origin": ORIGIN, "request": asked})


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """The running target, on a free port."""
    command = [sys.executable, "-m", "stadtnachweis", "wallet", "--profile", "oidf", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.fullmatch(r"}\s*", line):
            break
    try:
        yield Target(json.loads("".join(lines)))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
        process.stdout.close()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client that does not look at the certificate, as the suite's doesn't."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with httpx.Client(verify=context) as client:
        yield client


def test_what_is_printed_has_what_both_kinds_of_plan_want(target: Target) -> None:
    assert str(target.at("server")["authorization_endpoint"]).endswith("/haip/authorize")
    assert str(target.at("vci")["credential_offer_endpoint"]).endswith("/wallets/collecting/credential_offer")
    assert {"issuer", "trust_anchor", "key_attestation_trust_anchor_pem"} == set(target.at("client_attestation"))
    assert "x5c" in target.at("credential", "signing_jwk")
    parts = target.at("stadtnachweis", "parts")
    assert set(parts) == {"haip", "plain", "collecting", "details"}
    assert set(target.at("stadtnachweis", "parts", "collecting", "client")) == {"client_id", "redirect_uri"}


def test_a_question_is_answered_with_what_it_asks_for(target: Target, http: httpx.Client) -> None:
    answer = target.asked(http, "plain")
    assert answer.status_code == 200, answer.text
    [presentation] = answer.json()["data"]["vp_token"]["pid"]
    shown = parse_sd_jwt(presentation)
    assert len(shown.disclosures) == 2


def test_a_verifier_that_it_knows_beforehand_needs_no_certificate(target: Target, http: httpx.Client) -> None:
    assert target.asked(http, "plain", signed_as="localhost").status_code == 200
    assert target.asked(http, "plain", signed_as="somebody").status_code == 400


def test_a_mistake_in_a_question_is_shown_and_not_answered(target: Target, http: httpx.Client) -> None:
    """The suite takes whatever comes back to it for an answer, an error of the protocol too."""
    answer = target.asked(http, "plain", nonce=None)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


def test_a_link_that_leads_nowhere_gets_a_page_with_the_element_that_the_suite_looks_for(
    target: Target, http: httpx.Client
) -> None:
    page = http.get(str(target.at("server")["authorization_endpoint"]), params={"client_id": "x509_hash:a"})
    assert page.status_code == 400
    assert 'id="error"' in page.text


def test_without_command_or_profile_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wallet"]) == 2
    assert "stadtnachweis wallet --help" in capsys.readouterr().err
