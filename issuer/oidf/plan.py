"""What the suite's plan configuration wants to know of this target: identifiers, test clients, attesters, logins."""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from issuer.oidf.attesters import TestAttester
from specs.encoding.strict_json import JsonObject, JsonValue
from verifier.adapters.oidf.identities import pem, private_jwk

USERNAME = PASSWORD = "oidf"  # noqa: S105 an invented person's
TX_CODE = "123456"
CLIENTS = ("oidf-client-1", "oidf-client-2")
ATTESTER_ISSUER = "https://client-attester.example.org/"

_CALLBACK = "https://*/test/a/*/callback*iss=*"  # with our answer: a request's address may hold the callback's, too
_FAPI = "fapi2-security-profile-final-"
_WAIT = 10  # seconds


@dataclass(frozen=True, slots=True)
class Target:
    """A running target. credentials, status: root certificates (DER) of credentials and of status lists."""

    issuer_url: str
    client_attester: TestAttester
    key_attester: TestAttester
    client_keys: Mapping[str, ec.EllipticCurvePrivateKey]
    credentials: bytes
    status: bytes


def plan_configuration(target: Target, *, alias: str, configuration_id: str) -> JsonObject:
    """The configuration of one plan. configuration_id: what its wallet asks for."""
    first, second = CLIENTS
    return {
        "alias": alias,
        "description": f"Stadtnachweis issuer, {configuration_id}",
        "vci": {
            "credential_issuer_url": target.issuer_url,
            "credential_configuration_id": configuration_id,
            "credential_proof_type_hint": "jwt",
            "authorization_server": target.issuer_url,
            "static_tx_code": TX_CODE,
        },
        "client": {"client_id": first, "jwks": _keys(private_jwk(target.client_keys[first]))},
        "client2": {"client_id": second, "jwks": _keys(private_jwk(target.client_keys[second]))},
        "client_attestation": {
            "issuer": ATTESTER_ISSUER,
            "attester_jwks": _keys(target.client_attester.private_jwk()),
            "key_attestation_jwks": _keys(target.key_attester.private_jwk()),
        },
        "credential": {
            "trust_anchor_pem": pem(target.credentials),
            "status_list_trust_anchor_pem": pem(target.status),
        },
        "browser": _browser(target),
        "override": _overrides(target),
        "options": {"browsercontrol_css_enable": False},
    }


def _overrides(target: Target) -> JsonObject:
    """Modules in which the person does something else than log in and agree."""
    refusing = _visit(target, _log_in(target), _decide(target, "deny"), _returned())
    looking = _visit(target, _task("look at the login form", f"{target.issuer_url}/login/*", [_wait_for("login")]))
    return {
        f"{_FAPI}user-rejects-authentication": {"browser": [refusing]},
        f"{_FAPI}par-ensure-reused-request-uri-prior-to-auth-completion-succeeds": {
            "browser": [{**looking, "match-limit": 1}, *_browser(target)]
        },
    }


def _browser(target: Target) -> list[JsonValue]:
    """Log in, agree and go back; or, where there is only an error page, take its picture."""
    seen: list[JsonValue] = ["wait", "id", "error", _WAIT, ".*", "update-image-placeholder-optional"]
    error = _task("see the error", f"{target.issuer_url}/authorize*", [seen])
    return [_visit(target, _log_in(target), _decide(target, "approve"), error, _returned())]


def _visit(target: Target, *tasks: JsonObject) -> JsonObject:
    return {"match": f"{target.issuer_url}/authorize*", "tasks": list(tasks)}


def _log_in(target: Target) -> JsonObject:
    commands: list[JsonValue] = [
        ["text", "id", "username", USERNAME],
        ["text", "id", "password", PASSWORD],
        ["click", "id", "login"],
    ]
    return _task("log in", f"{target.issuer_url}/login/*", commands)


def _decide(target: Target, decision: str) -> JsonObject:
    return _task(decision, f"{target.issuer_url}/consent/*", [["click", "id", decision]])


def _returned() -> JsonObject:
    return _task("back at the wallet", _CALLBACK, [_wait_for("submission_complete")])


def _wait_for(element: str) -> JsonValue:
    return ["wait", "id", element, _WAIT]


def _task(name: str, match: str, commands: list[JsonValue]) -> JsonObject:
    return {"task": name, "match": match, "optional": True, "commands": commands}


def _keys(key: JsonObject) -> JsonObject:
    return {"keys": [key]}
