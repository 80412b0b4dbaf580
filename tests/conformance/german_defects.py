"""Issuers that miss one thing of the German profile, as faults over our own, and the check that must catch each."""

from collections.abc import Callable
from typing import Any

import httpx

from specs.encoding import strict_json
from specs.keys.jose import build_jws, x5c_header
from specs.keys.signer import SigningIdentity
from tests.conformance.faults import Change, Passing, opened
from tests.conformance.published_defects import SERVER, answered, each_configuration, published
from tests.conformance.registrar import Registrar, access_identity


def _resigned(identity: SigningIdentity, *, with_root: bytes | None = None, **claims: object) -> Change:
    """Signed metadata that another signed. with_root: a trust anchor that comes along."""

    def change(passing: Passing) -> httpx.Response:
        if passing.answer.headers.get("content-type") != "application/jwt":
            return passing.answer
        header, said = opened(passing.answer.text)
        chain = identity.chain if with_root is None else (*identity.chain, with_root)
        token = build_jws(
            strict_json.dumps({**said, **claims}),
            signer=identity.signer,
            typ=header["typ"],
            header={"x5c": x5c_header(chain)},
        )
        return httpx.Response(200, headers={"content-type": "application/jwt"}, text=token)

    return change


def _policy(edit: Callable[[dict[str, Any]], object]) -> Change:
    return each_configuration(
        lambda configuration: edit(configuration["credential_metadata"]["credential_reuse_policy"])
    )


def _option(way: str, edit: Callable[[dict[str, Any]], object]) -> Change:
    """Options of one way of use with something else in them."""

    def change(policy: dict[str, Any]) -> None:
        for option in policy["options"]:
            if way in option["details"]:
                edit(option)

    return _policy(change)


def _proofs(edit: Callable[[dict[str, Any]], object]) -> Change:
    return each_configuration(lambda configuration: edit(configuration["proof_types_supported"]))


def _info(data: str, form: str = "registration_cert") -> Change:
    return published(lambda document: document.update(issuer_info=[{"format": form, "data": data}]))


def _refuses(path: str, when: Callable[[Passing], bool], error: str, status: int = 400) -> Change:
    """Refuses what must be taken, when it is of that kind."""

    def change(passing: Passing) -> httpx.Response:
        if passing.path != path or not when(passing):
            return passing.answer
        return httpx.Response(status, json={"error": error})

    return change


_STRANGER, _ROOT = access_identity()
_NAMELESS, _ = access_identity(identifier=None)
GERMAN_DEFECTS: dict[str, tuple[Change, str]] = {
    "serves no signed metadata": (
        lambda passing: (
            httpx.Response(200, json={}) if "jwt" in passing.answer.headers.get("content-type", "") else passing.answer
        ),
        "de-signed-metadata-offered",
    ),
    "says nothing of reuse": (each_configuration(lambda each: each.pop("credential_metadata")), "de-reuse-policy"),
    "says it beside the credential's metadata": (
        each_configuration(
            lambda each: each.update(credential_reuse_policy=each["credential_metadata"].pop("credential_reuse_policy"))
        ),
        "de-reuse-policy",
    ),
    "names no policy": (_policy(lambda policy: policy.pop("id")), "de-reuse-policy-form"),
    "gives no options": (_policy(lambda policy: policy.update(options=[])), "de-reuse-policy-form"),
    "invents a way of use": (
        _policy(lambda policy: policy["options"][0].update(details=["twice_only"])),
        "de-reuse-policy-form",
    ),
    "means both ways": (
        _policy(lambda policy: policy["options"][0].update(details=["once_only", "limited_time"])),
        "de-reuse-one-way",
    ),
    "means neither way": (
        _policy(lambda policy: policy["options"][0].update(details=["rotating-batch"])),
        "de-reuse-one-way",
    ),
    "gives single copies for single use": (
        _option("once_only", lambda option: option.update(batch_size=1)),
        "de-reuse-once-only",
    ),
    "renews before anything is used": (
        _option("once_only", lambda option: option.update(reissue_trigger_unused=10)),
        "de-reuse-once-only",
    ),
    "has no batches for its copies": (
        published(lambda document: document.pop("batch_credential_issuance")),
        "de-reuse-once-only",
    ),
    "does not say when to renew": (
        _option("limited_time", lambda option: option.pop("reissue_trigger_lifetime_left")),
        "de-reuse-limited-time",
    ),
    "gives a copy for each key": (
        answered("credential", lambda document: document.update(credentials=document["credentials"] * 2)),
        "de-copies",
    ),
    "says nothing of itself": (published(lambda document: document.pop("issuer_info")), "de-issuer-info"),
    "says it as an object": (
        published(lambda document: document.update(issuer_info=document["issuer_info"][0])),
        "de-issuer-info",
    ),
    "says it in a form of its own": (_info("a.b.c", "leaflet"), "de-issuer-info"),
    "is registered by nobody known": (_info(Registrar.fresh().certificate()), "de-registration"),
    "shows another's registration": (
        _info(Registrar.fresh().certificate(subject="NTRDE-HRB.99999")),
        "de-registration",
    ),
    "shows what ended": (
        _info(Registrar.fresh().certificate(begins=-400 * 86400, ends=-86400)),
        "de-registration",
    ),
    "offers what is not registered": (_info(Registrar.fresh().certificate()), "de-registration-types"),
    "signs metadata as a stranger": (_resigned(_STRANGER), "de-access-certificate"),
    "signs metadata without identifier": (_resigned(_NAMELESS), "de-access-certificate"),
    "sends its anchor along": (_resigned(_STRANGER, with_root=_ROOT.certificate), "de-access-certificate"),
    "signs other metadata": (
        _resigned(_STRANGER, credential_endpoint="https://other.example"),
        "de-signed-metadata-same",
    ),
    "wants attested keys for everything": (
        _proofs(lambda proofs: proofs["jwt"].update(key_attestations_required={"key_storage": ["iso_18045_high"]})),
        "de-key-attestation",
    ),
    "wants attested keys, says null": (
        _proofs(lambda proofs: proofs["jwt"].update(key_attestations_required=None)),
        "de-key-attestation",
    ),
    "takes attestations alone": (_proofs(lambda proofs: proofs.pop("jwt")), "de-key-attestation"),
    "signs by Ed25519 alone": (
        each_configuration(lambda each: each.update(credential_signing_alg_values_supported=["EdDSA"])),
        "de-credential-algs",
    ),
    "demands encryption": (
        published(lambda document: document["credential_response_encryption"].update(encryption_required=True)),
        "de-encryption-optional",
    ),
    "encrypts by A128GCM alone": (
        published(lambda document: document["credential_request_encryption"].update(enc_values_supported=["A128GCM"])),
        "de-encryption-optional",
    ),
    "calls a pass a PID": (
        published(
            lambda document: document["credential_configurations_supported"].update(
                {"eu.europa.ec.eudi.pid.1": document["credential_configurations_supported"].pop("leipzig_pass-sd-jwt")}
            )
        ),
        "de-configuration-ids",
    ),
    "issues later": (
        published(lambda document: document.update(deferred_credential_endpoint="https://a.example/later")),
        "de-no-deferral",
    ),
    "names aliases for mutual TLS": (
        published(lambda document: document.update(mtls_endpoint_aliases={}), SERVER),
        "de-no-mtls-aliases",
    ),
    "spells the token's type small": (
        answered("token", lambda document: document.update(token_type="dpop")),
        "de-token-type",
    ),
    "knows identifiers alone": (
        _refuses(
            "credential", lambda passing: "credential_configuration_id" in passing.sent, "invalid_credential_request"
        ),
        "de-configuration-id-accepted",
    ),
    "stumbles over a repeated state": (
        _refuses("authorize", lambda passing: "state" in passing.request.url.params, "invalid_request"),
        "de-state-repeated",
    ),
    "refuses notifications without proof": (
        _refuses("notification", lambda passing: "DPoP" not in passing.request.headers, "invalid_token", 401),
        "de-notification-bearer",
    ),
}
