"""Targets that are wrong in one way throughout: they take everything, refuse everything, or send garbage.

Each check that is there for such a thing must notice; one run of them all is much cheaper than a target for each.
"""

import json
from collections.abc import Callable

import httpx

from tests.conformance.faults import Change, Passing
from tests.conformance.issuer_defects import CREDENTIAL, PUSHED, TOKEN

_LIKE: dict[str, object] = {
    "par": PUSHED,
    "token": TOKEN,
    "credential": CREDENTIAL,
    "notification": {},
    "deferred_credential": CREDENTIAL,
    "nonce": {"c_nonce": "a" * 22},
}


def _takes_everything(passing: Passing) -> httpx.Response:
    """What was refused is answered as the last good request was."""
    if passing.path == "authorize" and passing.answer.status_code >= 400:
        return httpx.Response(302, headers={"location": "https://wallet.example/callback?code=taken-all-the-same"})
    if passing.path not in _LIKE:
        return passing.answer
    if passing.answer.is_success:
        passing.memory[passing.path] = passing.answer.content
        return passing.answer
    content = passing.memory.get(passing.path) or json.dumps(_LIKE[passing.path]).encode()
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return httpx.Response(201 if passing.path == "par" else 200, headers=headers, content=content)


def _refuses_everything(passing: Passing) -> httpx.Response:
    is_it = passing.path in _LIKE and passing.path != "nonce" and passing.answer.is_success
    return httpx.Response(400, json={"error": "invalid_request"}) if is_it else passing.answer


def _issues(make: Callable[[str], str]) -> Change:
    def change(passing: Passing) -> httpx.Response:
        is_json = "json" in passing.answer.headers.get("content-type", "")
        if passing.path != "credential" or not passing.answer.is_success or not is_json:
            return passing.answer
        document = passing.body
        for entry in document.get("credentials", []):
            entry["credential"] = make(entry["credential"])
        return passing.with_json(document)

    return change


ISSUER_SWEEPS: dict[str, tuple[Change, tuple[str, ...]]] = {
    "takes everything": (
        _takes_everything,
        (
            "att-untrusted", "att-no-exp", "att-other-client", "att-twice", "att-pop-signature", "att-pop-key",
            "att-pop-typ", "att-pop-unsigned", "att-pop-twice", "att-pop-replayed", "par-post-only", "par-no-client",
            "authz-request-uri-used", "authz-request-uri-other-client", "authz-request-uri-unknown",
            "authz-without-par", "token-code-reuse-revokes", "token-code-other-client", "token-client-id-mismatch",
            "token-redirect-uri-other", "token-dpop-other-key", "token-error-form", "cred-proof-signature",
            "cred-proof-other-key", "cred-proof-no-key", "cred-proof-two-keys", "cred-proof-no-iat", "cred-proof-old",
            "cred-proof-ahead", "cred-proof-iss", "cred-proof-critical", "cred-proof-no-nonce", "cred-nonce-used",
            "cred-proof-type-unknown", "cred-both-names", "cred-error-members", "cred-no-json", "cred-token-invented",
            "cred-deferred-unknown", "cred-two-wallets", "batch-too-many", "batch-one-bad", "cred-encryption-unknown",
            "cred-encrypted-error", "cred-clear-for-encrypted", "dpop-bearer", "dpop-twice", "dpop-no-jwt",
            "dpop-no-typ", "dpop-no-alg", "dpop-no-jwk", "dpop-no-htm", "dpop-no-htu", "dpop-no-iat", "dpop-typ",
            "dpop-unsigned", "dpop-signature", "dpop-ath", "dpop-iat-hour-ahead", "dpop-other-key", "dpop-jti-used",
            "dpop-challenge",
        ),
    ),
    "refuses everything": (
        _refuses_everything,
        (
            "att-accepted", "par-lifetime", "par-dpop-proof", "cred-answer-members", "cred-no-store",
            "cred-unknown-members", "cred-again", "cred-encrypted", "cred-encrypted-compressed", "dpop-good",
            "dpop-header-capitals", "dpop-scheme-case", "dpop-htu-query", "dpop-extra-members", "dpop-iat-10-past",
            "dpop-iat-10-ahead", "dpop-nbf-exp", "dpop-htu-upper", "dpop-good-in-the-end",
        ),
    ),
    "issues garbage": (
        _issues(lambda credential: "no.credential.at-all~" if "~" in credential else "AAAA"),
        (
            "sdjwt-vct", "sdjwt-dates", "sdjwt-cnf", "sdjwt-cnf-minimal", "sdjwt-salts", "sdjwt-certificates",
            "sdjwt-hidden-claims", "credential-ends", "mdoc-certificates", "mdoc-digests", "mdoc-doctype",
            "mdoc-device-key", "mdoc-dates", "mdoc-salts", "mdoc-status-mechanism", "status-valid",
            "status-certificates", "status-no-cookies", "credential-times-linkable", "batch-complete",
            "batch-same-data", "batch-salts", "batch-times", "batch-status-distinct", "batch-status-unpredictable",
            "batch-status-one-list",
        ),
    ),
}  # fmt: skip


def _in_answer(status: int) -> Change:
    def change(passing: Passing) -> httpx.Response:
        is_it = "/response/" in passing.request.url.path
        return httpx.Response(status, json={}) if is_it else passing.answer

    return change


# what a verifier takes in the end, because it drops what it did not ask for
_DROPPED = ("vp-disclosure-of-everything", "vp-element-unasked")
VERIFIER_SWEEPS: dict[str, tuple[Change, Callable[[str], bool]]] = {
    "says thanks to everything": (_in_answer(200), lambda name: name not in _DROPPED),
    "breaks at everything": (_in_answer(500), lambda name: name in _DROPPED),
}
