"""Verifiers with one defect each: answers changed, requests signed anew, one check of ours switched off."""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from specs.credentials import key_binding, mdoc, sd_jwt_vc, signed_list, status_list
from specs.credentials.status_list import Status
from specs.encoding import base64url, strict_json
from specs.keys.jose import Jws, build_jws, x5c_header
from specs.keys.signer import SigningIdentity
from tests.conformance.faults import Change, Passing, opened
from tests.conformance.registrar import DAY, Registrar, access_identity
from verifier import verify
from verifier.check import listed, status

Edit = Callable[[dict[str, Any], dict[str, Any]], object]
Switch = Callable[[pytest.MonkeyPatch], None]


def resigned(edit: Edit, identity: SigningIdentity) -> Change:
    """Request objects that another signed, after an edit of header and claims."""

    def change(passing: Passing) -> httpx.Response:
        if "oauth-authz-req" not in passing.answer.headers.get("content-type", ""):
            return passing.answer
        header, claims = opened(passing.answer.text)
        header["x5c"] = list(x5c_header(identity.chain))
        edit(header, claims)
        typ = header.pop("typ")
        del header["alg"]
        token = build_jws(strict_json.dumps(claims), signer=identity.signer, typ=typ, header=header)
        return httpx.Response(200, headers={"content-type": passing.answer.headers["content-type"]}, text=token)

    return change


def _claims(**changes: object) -> Edit:
    return lambda _header, claims: claims.update(changes)


def _metadata(**changes: object) -> Edit:
    return lambda _header, claims: claims["client_metadata"].update(changes)


def _without(name: str) -> Edit:
    return lambda _header, claims: claims.pop(name)


def _first_key(edit: Callable[[dict[str, Any]], object]) -> Edit:
    return lambda _header, claims: edit(claims["client_metadata"]["jwks"]["keys"][0])


def _typ(header: dict[str, Any], _claims: dict[str, Any]) -> None:
    header["typ"] = "JWT"


def _no_chain(header: dict[str, Any], _claims: dict[str, Any]) -> None:
    del header["x5c"]


def _query(edit: Callable[[dict[str, Any]], object]) -> Edit:
    return lambda _header, claims: edit(claims["dcql_query"]["credentials"][0])


def _one_claim_in_no_set(entry: dict[str, Any]) -> None:
    for number, claim in enumerate(entry["claims"]):
        claim["id"] = f"claim-{number}"
    entry["claim_sets"] = [["claim-0"]]


LINK_DEFECTS: dict[str, tuple[Callable[[str], str], str]] = {
    "a parameter of its own": (lambda link: f"{link}&x_unknown=1", "vp-link-parameters"),
    "a method that there is not": (
        lambda link: link.replace("request_uri_method=get", "request_uri_method=put"),
        "vp-request-uri-method",
    ),
    "a request_uri with fragment": (
        lambda link: re.sub(r"(request_uri=[^&]+)", r"\1%23part", link, count=1),
        "vp-request-uri",
    ),
    "a request_uri where nothing is": (
        lambda link: re.sub(r"request_uri=[^&]+", "request_uri=https%3A%2F%2Flocalhost%3A1%2Fa", link, count=1),
        "vp-question",
    ),
}
REQUEST_DEFECTS: dict[str, tuple[Edit, str]] = {
    "typ is JWT": (_typ, "vp-object-type"),
    "no certificate": (_no_chain, "vp-object-signature"),
    "exp is over": (_claims(exp=1_700_000_000), "vp-object-dates"),
    "iat is a text": (_claims(iat="now"), "vp-object-dates"),
    "response_type is code": (_claims(response_type="code"), "vp-response-type"),
    "answers in clear": (_claims(response_mode="direct_post"), "vp-response-mode"),
    "asks by presentation_definition": (_claims(presentation_definition={}), "vp-no-drafts"),
    "names a client_id_scheme": (_claims(client_id_scheme="x509_hash"), "vp-no-drafts"),
    "redirect_uri beside response_uri": (_claims(redirect_uri="https://a.example"), "vp-no-drafts"),
    "no nonce": (_without("nonce"), "vp-nonce"),
    "nonce with spaces": (_claims(nonce="not for URLs"), "vp-nonce"),
    "always the same nonce": (_claims(nonce="always-the-same-nonce-of-this-verifier"), "vp-nonce-fresh"),
    "answers in clear text": (_claims(response_uri="http://verifier.example/answer"), "vp-response-uri"),
    "another client_id inside": (_claims(client_id="x509_hash:other"), "vp-client-id-same"),
    "a hash of another certificate": (_claims(), "vp-client-id-certificate"),
    "no formats": (_metadata(vp_formats_supported={}), "vp-formats"),
    "algorithms are numbers": (
        _metadata(vp_formats_supported={"dc+sd-jwt": {"sd-jwt_alg_values": [-7]}}),
        "vp-formats",
    ),
    "keys without kid": (_first_key(lambda key: key.pop("kid")), "vp-encryption-keys"),
    "the private key": (_first_key(lambda key: key.update(d="AAAA")), "vp-encryption-keys"),
    "no keys": (_metadata(jwks={"keys": []}), "vp-encryption-keys"),
    "one encryption": (_metadata(encrypted_response_enc_values_supported=["A128GCM"]), "vp-encryption-haip"),
    "an old algorithm": (_first_key(lambda key: key.update(alg="RSA-OAEP")), "vp-encryption-haip"),
    "always the same key": (_first_key(lambda key: key.update(x="A" * 43)), "vp-encryption-key-fresh"),
    "no query": (_without("dcql_query"), "dcql-form"),
    "claims without path": (_query(lambda entry: entry["claims"][0].pop("path")), "dcql-form"),
    "an unasked wallet_nonce": (_claims(wallet_nonce="a"), "vp-no-wallet-nonce"),
    "the posted wallet_nonce is forgotten": (
        lambda _header, claims: claims.pop("wallet_nonce", None),
        "vp-wallet-nonce",
    ),
    "another nonce at each fetch": (
        lambda _header, claims: claims.update(nonce=secrets.token_urlsafe(32)),
        "vp-fetched-twice",
    ),
    "for one wallet": (_claims(aud="https://wallet.example"), "vp-object-audience"),
    "by another issuer": (_claims(iss="https://other.example"), "vp-object-issuer"),
    "known by a host": (_claims(client_id="x509_san_dns:localhost"), "vp-client-id-hash"),
    "a parameter of its own": (_claims(x_unknown=1), "vp-known-parameters"),
    "a short nonce": (_claims(nonce="abc"), "vp-nonce-strong"),
    "metadata of its own": (_metadata(x_unknown=1), "vp-metadata-members"),
    "a query of its own": (_query(lambda entry: entry.update(x_unknown=1)), "dcql-members"),
    "asks for the type": (_query(lambda entry: entry["claims"].append({"path": ["vct"]})), "dcql-permanent-claims"),
    "a claim in no set": (_query(_one_claim_in_no_set), "dcql-unreferenced-claims"),
}


def _info(certificate: str, count: int = 1) -> Edit:
    return _claims(verifier_info=[{"format": "registration_cert", "data": certificate}] * count)


def _whole_chain(header: dict[str, Any], _claims: dict[str, Any]) -> None:
    header["x5c"] = [*header["x5c"], *x5c_header((ROOT.certificate,))]


def _transaction_data(_header: dict[str, Any], claims: dict[str, Any]) -> None:
    claims["dcql_query"]["credentials"][0]["meta"] = {"vct_values": ["urn:eudi:pid:de:1"]}
    entry = {"type": "urn:example:payment", "credential_ids": [claims["dcql_query"]["credentials"][0]["id"]]}
    claims["transaction_data"] = [base64url.encode(strict_json.dumps(entry))]


def _about_a_pass(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """What is allowed: transaction data that another credential confirms."""
    _transaction_data(header, claims)
    claims["dcql_query"]["credentials"][0]["meta"] = {"vct_values": ["urn:example:pass:1"]}


def _asks_for(*types: str) -> Edit:
    return _query(lambda entry: entry["meta"].update(vct_values=list(types)))


SIGNER, ROOT = access_identity()  # who signs what was changed, under the German profile
_HOLDING = Registrar.fresh()
# edits of a request that is right by the German profile; where that needs an edit, too, the second one makes it
GERMAN_REQUEST_DEFECTS: dict[str, tuple[Edit, str, Edit]] = {
    "info as an object": (_claims(verifier_info={"format": "x"}), "vp-verifier-info", _claims()),
    "no registration": (_without("verifier_info"), "de-verifier-info", _claims()),
    "two registrations": (_info(_HOLDING.certificate(), 2), "de-verifier-info", _claims()),
    "a registration as an object": (
        _claims(verifier_info={"format": "registration_cert"}),
        "de-verifier-info",
        _claims(),
    ),
    "a registration by a stranger": (_info(_HOLDING.certificate()), "de-registration-holds", _claims()),
    "another's registration": (
        _info(_HOLDING.certificate(subject="NTRDE-HRB.99999")),
        "de-registration-holds",
        _claims(),
    ),
    "a registration that has ended": (
        _info(_HOLDING.certificate(begins=-400 * DAY, ends=-DAY)),
        "de-registration-holds",
        _claims(),
    ),
    "more than is registered": (
        _query(lambda entry: entry["claims"].append({"path": ["birthdate"]})),
        "de-registration-covers",
        _claims(),
    ),
    "the whole chain": (_whole_chain, "de-request-chain", _claims()),
    "a life of a day": (lambda _header, claims: claims.update(exp=claims["iat"] + DAY), "de-request-life", _claims()),
    "keys without use": (_first_key(lambda key: key.pop("use")), "de-key-use", _claims()),
    "other algorithms": (
        _metadata(vp_formats_supported={"dc+sd-jwt": {"sd-jwt_alg_values": ["EdDSA"], "kb-jwt_alg_values": ["EdDSA"]}}),
        "de-algorithms",
        _claims(),
    ),
    "whatever there is": (_query(lambda entry: entry.pop("claims")), "de-claims-named", _claims()),
    "the PID's base type": (_asks_for("urn:eudi:pid:1"), "de-pid-type", _asks_for("urn:eudi:pid:de:1")),
    "a payment by PID": (_transaction_data, "de-pid-signs-nothing", _about_a_pass),
}


def _nothing(*_arguments: object, **_named: object) -> None:
    return None


def off(module: object, name: str) -> Switch:
    """One check of the standards' modules does nothing."""
    return lambda patch: patch.setattr(module, name, _nothing)


def _takes(state: str) -> Switch:
    """Whoever is in this state counts as valid."""
    return lambda patch: patch.setattr(status, "_VALID", Status[state])


def _takes_any_address(patch: pytest.MonkeyPatch) -> None:
    verify_list = status_list.verify_status_list

    def lenient(signed: status_list.SignedStatusList, **given: Any) -> object:
        claims = signed.token.claims() if isinstance(signed.token, Jws) else {}
        address = claims.get("sub", "https://status.example/other")
        token = verify_list(signed, **{**given, "expected_uri": str(address)})
        return replace(token, uri=given["expected_uri"])

    patch.setattr(listed, "verify_status_list", lenient)


def _reads_one_bit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(status_list.StatusList, "__getitem__", lambda statuses, idx: statuses.raw[idx >> 3] >> (idx & 7) & 1)


SWITCHES: dict[str, tuple[Switch, str]] = {
    "believes what has ended": (off(sd_jwt_vc, "check_validity"), "vp-expired"),
    "believes what is not valid yet": (off(sd_jwt_vc, "check_validity"), "vp-not-yet"),
    "takes any key binding": (off(key_binding, "verify_key_binding"), "vp-binding-signature"),
    "takes old key bindings": (off(key_binding, "verify_key_binding"), "vp-binding-stale"),
    "takes key bindings of other disclosures": (off(key_binding, "verify_key_binding"), "vp-binding-other-disclosures"),
    "takes any issuer's signature on mdocs": (off(mdoc, "verify_issuer_signature"), "vp-document-issuer-signature"),
    "believes mdocs that have ended": (off(mdoc, "check_mso"), "vp-mdoc-expired"),
    "asks no status list": (off(verify, "check_status"), "vp-status-revoked"),
    "does not mind a suspension": (_takes("SUSPENDED"), "vp-status-suspended"),
    "takes what it can't find out": (off(verify, "check_status"), "vp-status-unreachable"),
    "takes missing lists for good": (off(verify, "check_status"), "vp-status-list-missing"),
    "takes lists of strangers": (off(verify, "check_status"), "vp-status-list-untrusted"),
    "takes lists that have ended": (off(signed_list, "_check_dates"), "vp-status-list-expired"),
    "takes lists of other addresses": (_takes_any_address, "vp-status-list-of-another"),
    "takes what no list holds": (off(verify, "check_status"), "vp-status-outside"),
    "takes badly signed lists": (off(status_list, "verify_jws"), "vp-status-list-signature"),
    "takes unsigned lists": (off(verify, "check_status"), "vp-status-list-unsigned"),
    "takes lists of any typ": (off(verify, "check_status"), "vp-status-list-typ"),
    "takes lists without a date": (off(verify, "check_status"), "vp-status-list-undated"),
    "reads lists by one bit": (_reads_one_bit, "vp-status-bits"),
    "does not mind that the status was cut out": (off(sd_jwt_vc, "verify_jws"), "vp-credential-status-removed"),
}


def _answered(change: Callable[[Passing], httpx.Response]) -> Change:
    return lambda passing: change(passing) if "/response" in passing.request.url.path else passing.answer


def _as(status: int, body: object, media_type: str = "application/json") -> Callable[[Passing], httpx.Response]:
    content = strict_json.dumps(body) if media_type == "application/json" else b"<p>thanks"
    return lambda _passing: httpx.Response(status, headers={"content-type": media_type}, content=content)


ANSWER_DEFECTS: dict[str, tuple[Change, str]] = {
    "says thanks to everything": (_answered(_as(200, {})), "vp-binding-nonce-wrong"),
    "says thanks to what is replayed": (_answered(_as(200, {})), "vp-answer-replayed"),
    "breaks at what is wrong": (
        _answered(lambda passing: passing.answer if passing.answer.is_success else _as(500, {})(passing)),
        "vp-credential-self-made",
    ),
    "takes unencrypted answers": (
        _answered(lambda passing: _as(200, {})(passing) if b"vp_token" in passing.request.content else passing.answer),
        "vp-answer-in-clear",
    ),
    "refuses SD-JWT VCs": (_answered(_as(400, {"error": "invalid_request"})), "vp-accepts-sd-jwt"),
    "refuses whoever has a status": (_answered(_as(400, {"error": "invalid_request"})), "vp-status-valid"),
    "refuses mdocs": (_answered(_as(400, {"error": "invalid_request"})), "vp-accepts-mdoc"),
    "refuses who posted for the request": (
        _answered(_as(400, {"error": "invalid_request"})),
        "vp-accepts-posted-request",
    ),
    "says more than where to go on": (_answered(_as(200, {"x_unknown": 1})), "vp-answer-members"),
    "tells nobody where to go on": (_answered(_as(200, {})), "vp-answer-redirect"),
    "sends people to plain http": (_answered(_as(200, {"redirect_uri": "http://a.example"})), "vp-answer-json"),
    "thanks in HTML": (_answered(_as(200, None, "text/html")), "vp-answer-json"),
    "serves requests as text": (
        lambda passing: (
            passing.with_headers(content_type="text/plain")
            if "/request" in passing.request.url.path
            else passing.answer
        ),
        "vp-object-type",
    ),
}
