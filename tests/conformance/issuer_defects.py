"""Issuers with one defect each, as faults over our own, and the check that must catch each."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from tests.conformance.faults import Change, Passing, edited, lenient

ATTESTATION, POP, DPOP = "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP", "DPoP"
PUSHED = {"request_uri": "urn:ietf:params:oauth:request_uri:0123456789abcdefghijklmnopqrstuv", "expires_in": 60}
TOKEN = {"access_token": "a" * 40, "token_type": "DPoP", "expires_in": 600}
CREDENTIAL = {"credentials": [{"credential": "a.b.c~"}]}


def _ignores_in_par(test: Callable[[dict[str, Any], dict[str, Any]], bool], header: str) -> Change:
    return lenient("par", lambda passing: test(*passing.token(header)), PUSHED)


def _ignores_in_dpop(test: Callable[[dict[str, Any], dict[str, Any]], bool]) -> Change:
    return lenient("credential", lambda passing: test(*passing.token(DPOP)), CREDENTIAL)


def _ignores_in_proof(test: Callable[[dict[str, Any], dict[str, Any]], bool]) -> Change:
    return lenient("credential", lambda passing: test(*passing.proof), CREDENTIAL)


def _says(path: str, error: str, instead: str) -> Change:
    def edit(document: Any) -> Any:
        if document.get("error") == error:
            document["error"] = instead

    return edited(path, edit, when_good=False)


def _redirect(edit: Callable[[dict[str, str]], dict[str, str]]) -> Change:
    """Another answer at the wallet's address."""

    def change(passing: Passing) -> httpx.Response:
        location = passing.answer.headers.get("location", "")
        if not location.startswith("https://wallet.example/callback"):
            return passing.answer
        parts = urlsplit(location)
        members = dict(pair.split("=", 1) for pair in parts.query.split("&"))
        return passing.with_headers(location=f"https://wallet.example/callback?{urlencode(edit(members), safe='%')}")

    return change


def _without(*names: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda members: {name: value for name, value in members.items() if name not in names}


def _first_of_each(name: str) -> Change:
    """Answers a batch with the same credential again and again."""

    def edit(document: Any) -> Any:
        entries = document.get(name, [])
        if len(entries) > 1:
            document[name] = [entries[0]] * len(entries)

    return edited("credential", edit)


def _status(path: str, before: int, after: int) -> Change:
    def change(passing: Passing) -> httpx.Response:
        is_it = passing.path == path and passing.answer.status_code == before
        return (
            httpx.Response(after, headers=passing.answer.headers, content=passing.answer.content)
            if is_it
            else passing.answer
        )

    return change


def _header(path: str, **changes: str | None) -> Change:
    return lambda passing: passing.with_headers(**changes) if passing.path == path else passing.answer


def _status_list(**changes: str | None) -> Change:
    def change(passing: Passing) -> httpx.Response:
        is_it = passing.answer.headers.get("content-type") == "application/statuslist+jwt"
        return passing.with_headers(**changes) if is_it else passing.answer

    return change


def _cut_credentials(edit: Callable[[str], str]) -> Change:
    def change_all(document: Any) -> Any:
        for entry in document.get("credentials", []):
            entry["credential"] = edit(entry["credential"])

    return edited("credential", change_all)


def _other_signature(text: str) -> str:
    """An SD-JWT VC whose signature is of something else."""
    jwt, tilde, rest = text.partition("~")
    if not tilde:
        return text
    head, body, signature = jwt.split(".")
    return f"{head}.{body}.{signature[:-6]}AAAAAA~{rest}"


def _same_salts(text: str) -> str:
    jwt, tilde, rest = text.partition("~")
    return f"{jwt}~{rest.split('~')[0]}~{rest}" if tilde else text


def _mdoc_padded(text: str) -> str:
    return text if "~" in text else f"{text}=="


def _broken_mdoc(text: str) -> str:
    """An mdoc one character of whose signature differs."""
    return text if "~" in text else f"{text[:-8]}AAAAAAAA"


_NOW = time.time
ISSUER_DEFECTS: dict[str, tuple[Change, str]] = {
    # client attestation
    "takes any attestation signature": (
        _ignores_in_par(lambda _head, claims: "sub" in claims, ATTESTATION),
        "att-signature",
    ),
    "takes alg none in attestations": (
        _ignores_in_par(lambda head, _claims: head.get("alg") == "none", ATTESTATION),
        "att-unsigned",
    ),
    "takes attestations that ended": (
        _ignores_in_par(lambda _head, claims: claims.get("exp", 0) < _NOW(), ATTESTATION),
        "att-expired",
    ),
    "takes attestations about nobody": (
        _ignores_in_par(lambda _head, claims: "sub" not in claims, ATTESTATION),
        "att-no-sub",
    ),
    "takes attestations of no key": (
        _ignores_in_par(lambda _head, claims: "cnf" not in claims, ATTESTATION),
        "att-no-cnf",
    ),
    "takes attestations of any typ": (
        _ignores_in_par(lambda head, _claims: head.get("typ") == "JWT", ATTESTATION),
        "att-typ",
    ),
    "takes attestations without certificate": (
        _ignores_in_par(lambda head, _claims: "x5c" not in head, ATTESTATION),
        "att-no-x5c",
    ),
    "takes proofs for another server": (
        _ignores_in_par(lambda _head, claims: "other" in str(claims.get("aud")), POP),
        "att-pop-audience",
    ),
    "takes proofs without jti": (_ignores_in_par(lambda _head, claims: "jti" not in claims, POP), "att-pop-no-jti"),
    "takes old proofs": (
        _ignores_in_par(lambda _head, claims: claims.get("iat", 0) < _NOW() - 900, POP),
        "att-pop-old",
    ),
    "takes wallets without attestation": (
        lenient("par", lambda passing: ATTESTATION not in passing.request.headers, PUSHED),
        "att-missing",
    ),
    "takes attestations without proof": (
        lenient("par", lambda passing: POP not in passing.request.headers, PUSHED),
        "att-pop-missing",
    ),
    # the pushed request
    "takes requests without PKCE": (
        lenient("par", lambda passing: "code_challenge" not in passing.form, PUSHED),
        "par-pkce-required",
    ),
    "takes plain PKCE": (
        lenient("par", lambda passing: passing.form.get("code_challenge_method") == "plain", PUSHED),
        "par-plain-pkce",
    ),
    "takes requests without address": (
        lenient("par", lambda passing: "redirect_uri" not in passing.form, PUSHED),
        "par-redirect-uri-required",
    ),
    "takes the implicit flow": (
        lenient("par", lambda passing: passing.form["response_type"] == "token", PUSHED),
        "par-response-type-token",
    ),
    "takes the hybrid flow": (
        lenient("par", lambda passing: "id_token" in passing.form["response_type"], PUSHED),
        "par-response-type-id-token",
    ),
    "takes a request in a request": (
        lenient("par", lambda passing: "request_uri" in passing.form, PUSHED),
        "par-request-uri-inside",
    ),
    "takes dpop_jkt of another key": (
        lenient("par", lambda passing: "dpop_jkt" in passing.form, PUSHED),
        "par-dpop-jkt",
    ),
    "answers pushed requests with 200": (_status("par", 201, 200), "par-accepted"),
    "says nothing about the end": (
        edited("par", lambda document: {"request_uri": document["request_uri"]}),
        "par-accepted",
    ),
    "gives addresses that can be guessed": (
        edited("par", lambda document: {**document, "request_uri": "urn:1"}),
        "par-accepted",
    ),
    "forgets iss": (_redirect(_without("iss")), "authz-answer"),
    "forgets state": (_redirect(_without("state")), "authz-answer"),
    "gives short codes": (_redirect(lambda members: members | {"code": "12345678"}), "authz-answer"),
    "calls a refusal something else": (
        _redirect(lambda members: {**members, "error": "server_error"} if "error" in members else members),
        "authz-denied",
    ),
    "invents a state": (_redirect(lambda members: {"state": "made-up", **members}), "authz-no-state"),
    # tokens
    "gives Bearer tokens": (edited("token", lambda document: {**document, "token_type": "Bearer"}), "token-answer"),
    "says nothing about the token's life": (
        edited("token", lambda document: {name: each for name, each in document.items() if name != "expires_in"}),
        "token-answer",
    ),
    "gives short tokens": (edited("token", lambda document: {**document, "access_token": "abc"}), "token-entropy"),
    "redeems codes twice": (
        lenient("token", lambda passing: passing.form.get("grant_type") == "authorization_code", TOKEN),
        "token-code-reused",
    ),
    "redeems codes without verifier": (
        lenient("token", lambda passing: "code_verifier" not in passing.form, TOKEN),
        "token-pkce-missing",
    ),
    "redeems codes with any verifier": (
        lenient("token", lambda passing: "code_verifier" in passing.form, TOKEN),
        "token-pkce-wrong",
    ),
    "redeems without proof of the key": (
        lenient("token", lambda passing: DPOP not in passing.request.headers, TOKEN),
        "token-no-dpop",
    ),
    "redeems offers twice": (
        lenient("token", lambda passing: "pre-authorized_code" in passing.form, TOKEN),
        "token-preauth-reused",
    ),
    "takes any transaction code": (
        lenient("token", lambda passing: "tx_code" in passing.form, TOKEN),
        "token-tx-code-wrong",
    ),
    "needs no transaction code": (
        lenient("token", lambda passing: "tx_code" not in passing.form, TOKEN),
        "token-tx-code-missing",
    ),
    # DPoP
    "takes DPoP for another method": (_ignores_in_dpop(lambda _head, claims: claims.get("htm") == "PUT"), "dpop-htm"),
    "takes DPoP for another address": (
        _ignores_in_dpop(lambda _head, claims: "elsewhere" in str(claims.get("htu"))),
        "dpop-htu",
    ),
    "takes DPoP without ath": (
        _ignores_in_dpop(lambda _head, claims: bool(claims) and "ath" not in claims),
        "dpop-no-ath",
    ),
    "takes DPoP without jti": (
        _ignores_in_dpop(lambda _head, claims: bool(claims) and "jti" not in claims),
        "dpop-no-jti",
    ),
    "takes DPoP of an hour ago": (
        _ignores_in_dpop(lambda _head, claims: claims.get("iat", _NOW()) < _NOW() - 900),
        "dpop-iat-hour-past",
    ),
    "takes DPoP with a private key": (
        _ignores_in_dpop(lambda head, _claims: "d" in head.get("jwk", {})),
        "dpop-private-key",
    ),
    "takes DPoP by RS256": (_ignores_in_dpop(lambda head, _claims: head.get("alg") == "RS256"), "dpop-rs256"),
    "takes bound tokens without proof": (
        lenient("credential", lambda passing: DPOP not in passing.request.headers, CREDENTIAL),
        "dpop-missing",
    ),
    # the credential endpoint
    "takes proofs for other issuers": (
        _ignores_in_proof(lambda _head, claims: "other" in str(claims.get("aud"))),
        "cred-proof-audience",
    ),
    "takes proofs of any typ": (_ignores_in_proof(lambda head, _claims: head.get("typ") == "JWT"), "cred-proof-typ"),
    "takes proofs with alg none": (
        _ignores_in_proof(lambda head, _claims: head.get("alg") == "none"),
        "cred-proof-unsigned",
    ),
    "takes any nonce": (
        lenient("credential", lambda passing: passing.body.get("error") == "invalid_nonce", CREDENTIAL),
        "cred-nonce-invented",
    ),
    "needs no proof": (
        lenient("credential", lambda passing: "proofs" not in passing.sent, CREDENTIAL),
        "cred-proof-missing",
    ),
    "calls a wrong nonce a wrong proof": (_says("credential", "invalid_nonce", "invalid_proof"), "cred-nonce-invented"),
    "calls all mistakes one": (
        _says("credential", "unknown_credential_configuration", "invalid_credential_request"),
        "cred-unknown-configuration",
    ),
    "does not know its own identifiers": (
        _says("credential", "unknown_credential_identifier", "invalid_credential_request"),
        "cred-unknown-identifier",
    ),
    "takes tokens in the query": (
        lenient("credential", lambda passing: "access_token" in passing.request.url.params, CREDENTIAL),
        "cred-token-in-query",
    ),
    "has no date": (_header("credential", date=None), "cred-date"),
    "answers with one credential as it was": (
        edited("credential", lambda _document: {"credential": "a.b.c~"}),
        "cred-answer",
    ),
    "knows every notification": (lenient("notification", lambda _passing: True), "cred-notification-unknown"),
    "refuses notifications": (_status("notification", 204, 500), "cred-notification"),
    # what it issues
    "signs badly": (_cut_credentials(_other_signature), "sdjwt-form"),
    "sends a disclosure twice": (_cut_credentials(_same_salts), "sdjwt-form"),
    "pads mdocs": (_cut_credentials(_mdoc_padded), "mdoc-form"),
    "spoils digests": (_cut_credentials(_broken_mdoc), "mdoc-signature"),
    "issues one credential many times": (_first_of_each("credentials"), "batch-count"),
    "serves status lists as text": (_status_list(content_type="text/plain"), "status-list"),
}
