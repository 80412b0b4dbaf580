"""What the suite's plan configurations want to know of this wallet: addresses, whom it trusts, who vouches for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding.strict_json import JsonObject, JsonValue
from wallet_sim.collect import REDIRECT_URI
from wallet_sim.oidf.credentials import questions
from wallet_sim.oidf.identities import HOST, Party, pem, private_jwk
from wallet_sim.provider import ATTESTER_NAME, CLIENT_ID

HAIP, PLAIN, COLLECTING, DETAILS = "haip", "plain", "collecting", "details"  # what a run is about
_PATHS = {HAIP: "/haip", PLAIN: "", COLLECTING: "/wallets/collecting", DETAILS: "/details/wallets/collecting"}
_WAIT = 10  # seconds


@dataclass(frozen=True, slots=True)
class Target:
    """A running wallet. provider: the root (PEM) of its attestations. server_key: of the authorization server.

    issuer, verifiers: whom the suite plays.
    """

    url: str
    issuer: Party
    verifiers: Sequence[Party]
    server_key: ec.EllipticCurvePrivateKey
    provider: str

    def at(self, part: str) -> str:
        """Where the wallet is that a run is about."""
        return self.url + _PATHS[part]


def plan_configuration(target: Target) -> JsonObject:
    """The configuration of a plan that asks for an SD-JWT VC under HAIP.

    Its member of our own says what is different in other plans: by part, and by question.
    """
    ours: JsonObject = {
        "role": "wallet",
        "parts": {part: _part(target, part) for part in _PATHS},
        "questions": dict(questions()),
        "endpoints": {
            "collect": {part: f"{target.at(part)}/collect" for part in (COLLECTING, DETAILS)},
            "dc_api": {part: f"{target.at(part)}/dc-api" for part in (HAIP, PLAIN)},
        },
    }
    first = _part(target, HAIP)
    client = first["client"]
    assert isinstance(client, dict)
    return {
        "alias": "stadtnachweis-wallet",
        "description": "Stadtnachweis wallet",
        **first,
        "client": {**client, "dcql": questions()["sd_jwt_vc"]},
        "client2": {"client_id": HOST, "jwks": _keys(target.verifiers[1].private_jwk())},
        "credential": {
            "signing_jwk": target.issuer.private_jwk(),
            "trust_anchor_pem": pem(target.issuer.root),
            "status_list_trust_anchor_pem": pem(target.issuer.root),
        },
        "client_attestation": {
            "issuer": ATTESTER_NAME,
            "trust_anchor": target.provider,
            "key_attestation_trust_anchor_pem": target.provider,
        },
        "vci": {"credential_offer_endpoint": f"{target.at(COLLECTING)}/credential_offer"},
        "browser": _browser(target),
        "options": {"browsercontrol_css_enable": False},
        "waitTimeoutSeconds": 5,
        "maxWaitForAdditionalRequestSeconds": 5,
        "maxWaitForNotificationSeconds": 10,
        "stadtnachweis": ours,
    }


def _part(target: Target, part: str) -> JsonObject:
    """Who the suite is: a verifier at the wallet's address, or an authorization server that knows the wallet."""
    if part in (COLLECTING, DETAILS):
        client: JsonObject = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI}
        return {"server": {"jwks": _keys(private_jwk(target.server_key))}, "client": client}
    return {
        "server": {"authorization_endpoint": f"{target.at(part)}/authorize"},
        "client": {"client_id": HOST, "jwks": _keys(target.verifiers[0].private_jwk())},
    }


def _browser(target: Target) -> list[JsonValue]:
    """Look at what the wallet shows, and take its picture where one is wanted; or go on where the verifier says."""
    look: list[JsonValue] = ["wait", "xpath", "//*", _WAIT, ".*", "update-image-placeholder-optional"]
    shown: JsonObject = {"task": "see the page", "match": f"{target.url}/*", "optional": True, "commands": [look]}
    back: JsonObject = {
        "task": "back at the verifier",
        "match": "https://*/test/a/*/callback*",
        "optional": True,
        "commands": [["wait", "id", "submission_complete", _WAIT]],
    }
    return [{"match": f"{target.url}/*", "tasks": [shown, back]}]


def _keys(key: JsonObject) -> JsonObject:
    return {"keys": [key]}
