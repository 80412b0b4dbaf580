"""`stadtnachweis verifier --profile oidf`: asks in every way of a plan, and judges while the wallet waits."""

import base64
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.key_binding import build_key_binding
from specs.credentials.sd_jwt import parse_sd_jwt
from specs.credentials.sd_jwt_issue import Sd
from specs.credentials.sd_jwt_present import serialize
from specs.credentials.sd_jwt_vc import build_sd_jwt_vc, vc_issuer
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import PublicKey, jwk_from_public_key
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer
from specs.protocols.openid4vp import (
    AuthorizationRequest,
    RequestByReference,
    RequestTrust,
    build_response,
    form_fields,
    parse_and_verify_request_object,
    parse_request_link,
)
from specs.trust.anchors import AnchorKind, anchors_from_pem
from specs.trust.x509 import CertificateProfile, validate_path

WALLET = "https://suite.example/test/a/x/authorize"


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
    def issuer(self) -> SigningIdentity:
        """The test issuer, made of the private key that is printed for the suite."""
        key = self.at("credential", "signing_jwk")
        chain = key["x5c"]
        assert isinstance(chain, list)
        secret = int.from_bytes(base64url.decode(str(key["d"])), "big")
        signer = FileSigner(ec.derive_private_key(secret, ec.SECP256R1()))
        return SigningIdentity(signer, (base64.b64decode(str(chain[0])),))

    def ask(self, http: httpx.Client, **order: str) -> httpx.Response:
        """Ask the hook to begin a session."""
        admin = self.at("stadtnachweis", "admin")
        return http.post(
            str(admin["sessions"]),
            json={"wallet_endpoint": WALLET, **order},
            headers={"Authorization": f"Bearer {admin['key']}"},
        )

    def question(self, http: httpx.Client, **order: str) -> AuthorizationRequest:
        """A question, as a wallet reads it."""
        begun = self.ask(http, **order)
        assert begun.status_code == 201, begun.text
        link = begun.json()["wallet_url"]
        assert link.startswith(f"{WALLET}?")
        received = parse_request_link(link.replace(WALLET, "openid4vp://", 1))
        if not isinstance(received, RequestByReference):
            assert isinstance(received, AuthorizationRequest)
            return received
        fetched = http.get(received.request_uri)
        assert fetched.headers["content-type"] == "application/oauth-authz-req+jwt"
        root = str(self.at("client")["request_object_trust_anchor_pem"]).encode()
        anchors, now = anchors_from_pem(root, kind=AnchorKind.CA, name="asker"), int(time.time())

        def leaf_key(chain: tuple[bytes, ...]) -> PublicKey:
            return validate_path(chain, anchors=anchors, profile=CertificateProfile.ACCESS, now=now).leaf_key

        return parse_and_verify_request_object(
            fetched.text, expected_client_id=received.client_id.text, trust=RequestTrust(leaf_key), now=now
        ).request


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """The running target, on a free port."""
    command = [sys.executable, "-m", "stadtnachweis", "verifier", "--profile", "oidf", "--port", "0"]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, text=True)
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


def presentation(target: Target, request: AuthorizationRequest, *, nonce: str | None = None) -> str:
    """A PID of the test issuer, bound to the question, with the two claims that it asks for."""
    holder, now = generate_signer(), int(time.time())
    issued = build_sd_jwt_vc(
        {"family_name": Sd("Dupont"), "given_name": Sd("Jean")},
        issuer=vc_issuer(target.issuer),
        vct="urn:eudi:pid:1",
        holder_jwk=jwk_from_public_key(holder.public_key),
        issued_at=now - 60,
        expires_at=now + 3600,
    )
    sd_jwt = parse_sd_jwt(issued)
    assert request.client_id is not None
    bound = build_key_binding(
        sd_jwt, signer=holder, nonce=nonce or request.nonce, audience=request.client_id.text, issued_at=now
    )
    return serialize(bound)


def answer(http: httpx.Client, request: AuthorizationRequest, presented: str) -> httpx.Response:
    """Send it, as the question wants it sent."""
    assert request.response_uri is not None
    return http.post(request.response_uri, data=form_fields(build_response(request, {"pid": [presented]})))


WAYS: Mapping[str, dict[str, str]] = {
    "haip": {},
    "post": {"request_uri_method": "post"},
    "san-dns": {"client_id_prefix": "x509_san_dns", "response_mode": "direct_post"},
    "redirect-uri": {"client_id_prefix": "redirect_uri", "request_method": "query"},
    "redirect-uri-clear": {
        "client_id_prefix": "redirect_uri",
        "request_method": "query",
        "response_mode": "direct_post",
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_good_answer_is_accepted_and_shown_on_a_page(target: Target, http: httpx.Client, way: str) -> None:
    request = target.question(http, **WAYS[way])
    taken = answer(http, request, presentation(target, request))
    assert taken.status_code == 200, taken.text
    assert set(taken.json()) == {"redirect_uri"}
    page = http.get(taken.json()["redirect_uri"])
    assert '<h1 id="verdict">accepted</h1>' in page.text
    assert "Dupont" not in page.text


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_answer_is_refused_at_once(target: Target, http: httpx.Client, way: str) -> None:
    request = target.question(http, **WAYS[way])
    refused = answer(http, request, presentation(target, request, nonce="another-question"))
    assert refused.status_code == 400
    assert set(refused.json()) == {"error", "error_description"}


def test_an_mdl_is_asked_for_by_its_doctype(target: Target, http: httpx.Client) -> None:
    request = target.question(http, format="mso_mdoc")
    [entry] = request.query.credentials
    assert entry.format == "mso_mdoc"


@pytest.mark.parametrize(
    "order",
    [
        {"format": "jwt_vc_json"},
        {"request_method": "query"},  # x509_hash must be signed
        {"client_id_prefix": "redirect_uri"},  # can't be signed
        {"unknown": "member"},
    ],
    ids=["format", "unsigned", "signed", "unknown"],
)
def test_what_no_plan_asks_for_is_refused(target: Target, http: httpx.Client, order: dict[str, str]) -> None:
    assert target.ask(http, **order).status_code == 422


def test_the_hook_is_behind_its_key(target: Target, http: httpx.Client) -> None:
    url = str(target.at("stadtnachweis", "admin")["sessions"])
    assert http.post(url, json={}).status_code == 401
    assert http.post(url, json={}, headers={"Authorization": "Bearer guessed"}).status_code == 401
