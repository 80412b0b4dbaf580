"""Issuers that say or offer one wrong thing, as faults over our own, and the check that must catch each."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from conformance.issuer_target import Offered
from tests.conformance.faults import Change, Passing

METADATA = "/.well-known/openid-credential-issuer"
SERVER = "/.well-known/oauth-authorization-server"


def published(edit: Callable[[dict[str, Any]], object], at: str = METADATA) -> Change:
    """Metadata with something else in them; what is signed stays."""

    def change(passing: Passing) -> httpx.Response:
        is_it = passing.request.url.path.startswith(at)
        if not is_it or "application/json" not in passing.answer.headers["content-type"]:
            return passing.answer
        document = passing.body
        edit(document)
        return passing.with_json(document)

    return change


def each_configuration(edit: Callable[[dict[str, Any]], object]) -> Change:
    """Each configuration with something else in it."""

    def change(document: dict[str, Any]) -> None:
        for configuration in document["credential_configurations_supported"].values():
            edit(configuration)

    return published(change)


def answered(path: str, edit: Callable[[dict[str, Any]], object]) -> Change:
    """Good answers at a path with something else in them."""

    def change(passing: Passing) -> httpx.Response:
        if passing.path != path or not passing.answer.is_success:
            return passing.answer
        document = passing.body
        edit(document)
        return passing.with_json(document)

    return change


def _says(**members: object) -> Change:
    return published(lambda document: document.update(members))


def _serves(**members: object) -> Change:
    return published(lambda document: document.update(members), SERVER)


def _encryption(name: str, **members: object) -> Change:
    return published(lambda document: document[name].update(members))


def _demands_encryption_of_answers_alone(document: dict[str, Any]) -> None:
    document["credential_response_encryption"]["encryption_required"] = True
    del document["credential_request_encryption"]


def _keys_without_kid(document: dict[str, Any]) -> None:
    del document["credential_request_encryption"]["jwks"]["keys"][0]["kid"]


def _to_wallet(edit: Callable[[str], str]) -> Change:
    """Another redirect to the wallet."""

    def change(passing: Passing) -> httpx.Response:
        location = passing.answer.headers.get("location", "")
        if not location.startswith("https://wallet.example/callback"):
            return passing.answer
        return passing.with_headers(location=edit(location))

    return change


def _opens_once(passing: Passing) -> httpx.Response:
    """A second look at a request is refused."""
    if passing.path != "authorize" or passing.request.method != "GET":
        return passing.answer
    seen = passing.memory.setdefault("seen", set())
    uri = passing.request.url.params.get("request_uri")
    if uri in seen:
        return httpx.Response(400, text="used")
    seen.add(uri)
    return passing.answer


def _uses_the_state_outside(passing: Passing) -> httpx.Response:
    """The state of the address, not the pushed one."""
    if passing.path == "authorize" and "state" in passing.request.url.params:
        passing.memory["state"] = passing.request.url.params["state"]
    location = passing.answer.headers.get("location", "")
    if not location.startswith("https://wallet.example/callback") or "state" not in passing.memory:
        return passing.answer
    members = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    members["state"] = passing.memory["state"]
    query = "&".join(f"{name}={quote(value)}" for name, value in members.items())
    return passing.with_headers(location=f"https://wallet.example/callback?{query}")


def _forgets_issuer_state(passing: Passing) -> httpx.Response:
    is_it = passing.path == "par" and "issuer_state" in passing.form
    return httpx.Response(400, json={"error": "invalid_request"}) if is_it else passing.answer


def _same_challenge(passing: Passing) -> httpx.Response:
    if passing.path != "challenge":
        return passing.answer
    first = passing.memory.setdefault("first", passing.answer.content)
    return httpx.Response(200, headers=passing.answer.headers, content=first)


PUBLISHED_DEFECTS: dict[str, tuple[Change, str]] = {
    "says what nobody knows": (_says(x_unknown=1), "vci-metadata-members"),
    "names no server in its list": (_says(authorization_servers=[]), "vci-authorization-servers"),
    "signs by RS1": (
        each_configuration(lambda each: each.update(credential_signing_alg_values_supported=["RS1"])),
        "vci-credential-algs",
    ),
    "wants keys attested at no level": (
        each_configuration(
            lambda each: each["proof_types_supported"]["jwt"].update(key_attestations_required={"key_storage": []})
        ),
        "vci-key-attestation-levels",
    ),
    "has scopes of two words": (each_configuration(lambda each: each.update(scope="two words")), "vci-scope-syntax"),
    "says German twice": (
        _says(display=[{"name": "a", "locale": "de"}, {"name": "b", "locale": "DE"}]),
        "vci-display-locales",
    ),
    "writes languages in capitals": (_says(display=[{"name": "a", "locale": "DE"}]), "vci-display-locales-canonical"),
    "names keys without kid": (published(_keys_without_kid), "vci-request-encryption"),
    "encrypts by RSA1_5": (
        _encryption("credential_response_encryption", alg_values_supported=["RSA1_5"]),
        "vci-response-encryption",
    ),
    "compresses by GZ": (_encryption("credential_response_encryption", zip_values_supported=["GZ"]), "vci-zip-values"),
    "demands encryption of answers alone": (
        published(_demands_encryption_of_answers_alone),
        "vci-encryption-both-ways",
    ),
    "encrypts answers alone": (
        published(lambda document: document.pop("credential_request_encryption")),
        "vci-encryption-offered-both-ways",
    ),
    "offers an old format": (each_configuration(lambda each: each.update(format="vc+sd-jwt")), "vci-old-format"),
    "offers a format of its own": (each_configuration(lambda each: each.update(format="x")), "vci-formats-known"),
    "gives tokens in clear": (_serves(token_endpoint="http://a.example/token"), "oauth-endpoints-https"),
    "serves what nobody knows": (_serves(x_unknown=1), "oauth-metadata-members"),
    "grants implicitly": (_serves(grant_types_supported=["implicit"]), "oauth-grant-types"),
    "asks nobody who he is": (_serves(token_endpoint_auth_methods_supported=["none"]), "haip-attestation-method"),
    "takes DPoP by RS256 alone": (_serves(dpop_signing_alg_values_supported=["RS256"]), "haip-dpop-algs"),
    "has scopes with blanks": (_serves(scopes_supported=["two words"]), "oauth-lists-syntax"),
    "gives refresh tokens that it does not name": (
        answered("token", lambda document: document.update(refresh_token="r" * 40)),
        "token-grant-types",
    ),
    "forgets the details": (
        answered("token", lambda document: document.pop("authorization_details", None)),
        "token-details-returned",
    ),
    "gives the same challenge": (_same_challenge, "att-challenge"),
    "cuts long states": (
        _to_wallet(lambda location: location.replace("&state=", "&state=cut")),
        "authz-long-state",
    ),
    "loses the wallet's query": (
        _to_wallet(lambda location: "https://wallet.example/callback?" + location.partition("&")[2]),
        "authz-redirect-query",
    ),
    "uses the state outside": (_uses_the_state_outside, "authz-state-outside"),
    "opens requests once": (_opens_once, "authz-request-uri-again"),
    "does not know its offers": (_forgets_issuer_state, "authz-issuer-state"),
}


def offering(edit: Callable[[dict[str, Any]], object]) -> Callable[[Offered], Offered]:
    """An offer by value with something else in it."""

    def change(offered: Offered) -> Offered:
        scheme, _, query = offered.link.partition("?")
        members = parse_qs(query)
        if "credential_offer" not in members:
            return Offered(f"{scheme}?credential_offer_uri={quote('https://localhost:1/gone')}", offered.tx_code)
        document = json.loads(members["credential_offer"][0])
        edit(document)
        return Offered(f"{scheme}?credential_offer={quote(json.dumps(document))}", offered.tx_code)

    return change


def _tells_the_code(document: dict[str, Any]) -> None:
    for grant in document["grants"].values():
        grant["tx_code"] = "123456"


OFFER_DEFECTS: dict[str, tuple[Callable[[Offered], Offered], str]] = {
    "offers what it does not know": (
        offering(lambda document: document.update(credential_configuration_ids=["unknown"])),
        "offer-form",
    ),
    "offers with more members": (offering(lambda document: document.update(x_unknown=1)), "offer-members"),
    "offers what is not there": (offering(lambda _document: None), "offer-reference"),
    "tells the transaction code": (offering(_tells_the_code), "offer-pre-authorized-code"),
}
