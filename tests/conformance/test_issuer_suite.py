"""The suite passes who does everything right, and catches each defect with exactly the check that is there for it."""

import json
from collections.abc import Callable

import httpx
import pytest

from conformance.check import PROFILES, Outcome
from conformance.issuer_endpoints import ENDPOINT_CHECKS
from conformance.issuer_metadata import METADATA_CHECKS
from conformance.issuer_metadata_form import FORM_CHECKS
from conformance.run import Report, issuer_checks, run_issuer
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.oauth import InvalidAnswer
from tests.conformance.targets import ISSUER, METADATA, SERVER, TinyIssuer
from tests.verifier.world import World

Break = Callable[[TinyIssuer], None]


def failed(report: Report) -> list[str]:
    """The ids of the checks that failed."""
    return [result.id for result in report.results if result.outcome is Outcome.FAILED]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_tiny_issuer_that_does_everything_right_passes(profile: str) -> None:
    report = run_issuer(ISSUER, profile=profile, client=TinyIssuer().client())
    assert failed(report) == []
    assert report.is_good


def _forget(name: str) -> Break:
    return lambda target: target.metadata.__delitem__(name)


def _publish(name: str, value: JsonValue) -> Break:
    return lambda target: target.metadata.__setitem__(name, value)


def _configure(name: str, value: str | None) -> Break:
    def broken(target: TinyIssuer) -> None:
        configuration = target.configuration()
        if value is None:
            del configuration[name]
        else:
            configuration[name] = value

    return broken


def _serve(name: str, value: JsonValue) -> Break:
    return lambda target: target.server.__setitem__(name, value)


def _answer(method: str, path: str, **members: object) -> Break:
    return lambda target: target.alter(method, path, **members)


def _same_nonce(target: TinyIssuer) -> None:
    target.alter("POST", "/t/city/nonce", body=b'{"c_nonce": "always"}')


def _signed(**claims: str | int) -> Break:
    return lambda target: target.signed_claims.update(claims)


def _no_algorithms(target: TinyIssuer) -> None:
    target.configuration()["proof_types_supported"] = {"jwt": {"proof_signing_alg_values_supported": []}}


def _another_signer(target: TinyIssuer) -> None:
    target.signed_chain = World().sd_jwt_identity.chain


def _another_typ(target: TinyIssuer) -> None:
    target.signed_typ = "JWT"


DEFECTS: dict[str, tuple[Break, list[str]]] = {
    "metadata elsewhere": (_answer("GET", METADATA, status=404), ["vci-metadata-location"]),
    "metadata that are no JSON": (_answer("GET", METADATA, body=b"<html>"), ["vci-metadata-location"]),
    "metadata with a member twice": (_answer("GET", METADATA, body=b'{"a": 1, "a": 2}'), ["vci-metadata-location"]),
    "metadata as text": (_answer("GET", METADATA, media_type="text/plain"), ["vci-metadata-media-type"]),
    "no credential endpoint": (_forget("credential_endpoint"), ["vci-metadata-endpoints"]),
    "an endpoint in clear": (
        _publish("notification_endpoint", "http://issuer.example/notification"),
        ["vci-metadata-endpoints"],
    ),
    "no configurations": (_publish("credential_configurations_supported", {}), ["vci-configurations"]),
    "no format": (_configure("format", None), ["vci-configurations"]),
    "no vct": (_configure("vct", None), ["vci-configuration-type"]),
    "no scope": (_configure("scope", None), ["haip-configuration-scope"]),
    "binding without proofs": (_configure("proof_types_supported", None), ["vci-binding-and-proofs"]),
    "proofs without binding": (
        _configure("cryptographic_binding_methods_supported", None),
        ["vci-binding-and-proofs"],
    ),
    "proofs without algorithms": (_no_algorithms, ["vci-binding-and-proofs", "vci-proof-algs"]),
    "a batch of one": (_publish("batch_credential_issuance", {"batch_size": 1}), ["vci-batch-size"]),
    "signed about another": (_signed(sub="https://other.example"), ["vci-signed-metadata"]),
    "signed and expired": (_signed(exp=1_700_000_000), ["vci-signed-metadata"]),
    "signed by another key": (_another_signer, ["haip-signed-metadata-key"]),
    "no nonce endpoint": (_forget("nonce_endpoint"), ["haip-nonce-offered"]),
    "the same nonce": (_same_nonce, ["vci-nonce-fresh"]),
    "a nonce to keep": (_answer("POST", "/t/city/nonce", headers={}), ["vci-nonce-no-store"]),
    "a nonce by GET": (_answer("GET", "/t/city/nonce", status=200), ["vci-nonce-post-only"]),
    "no server metadata": (_answer("GET", SERVER, status=404), ["oauth-metadata"]),
    "another server": (_serve("issuer", "https://issuer.example"), ["oauth-identity"]),
    "pushing is a choice": (_serve("require_pushed_authorization_requests", False), ["haip-par"]),
    "plain PKCE": (_serve("code_challenge_methods_supported", ["plain"]), ["haip-pkce"]),
    "answers without iss": (_serve("authorization_response_iss_parameter_supported", False), ["haip-iss"]),
    "credentials for anybody": (_answer("POST", "/t/city/credential", status=200), ["vci-credential-no-token"]),
    "401 without a challenge": (_answer("POST", "/t/city/credential", headers={}), ["vci-credential-no-token"]),
    "a token for nothing": (_answer("POST", "/t/city/token", status=200), ["oauth-token-unknown-code"]),
    "an error page": (_answer("POST", "/t/city/token", media_type="text/html"), ["oauth-token-unknown-code"]),
    "an error without error": (_answer("POST", "/t/city/token", body=b"{}"), ["oauth-token-unknown-code"]),
    "a token error to keep": (_answer("POST", "/t/city/token", headers={}), ["oauth-token-no-store"]),
    "a server that breaks": (_answer("POST", "/t/city/token", status=500), ["oauth-token-unknown-code"]),
}


@pytest.mark.parametrize(("broken", "caught"), DEFECTS.values(), ids=DEFECTS)
def test_a_target_with_one_defect_is_caught_by_exactly_its_check(broken: Break, caught: list[str]) -> None:
    target = TinyIssuer()
    broken(target)
    report = run_issuer(ISSUER, client=target.client())
    assert failed(report) == caught
    assert not report.is_good


def test_metadata_of_another_issuer_are_caught_signed_or_not() -> None:
    """The identity is a member of both forms; the signed one's own rules are about `sub`, which is right here."""
    target = TinyIssuer()
    target.metadata["credential_issuer"] = "https://other.example"
    assert failed(run_issuer(ISSUER, client=target.client())) == ["vci-metadata-identity"]


def test_signed_metadata_of_another_type_say_nothing() -> None:
    target = TinyIssuer()
    _another_typ(target)
    report = run_issuer(ISSUER, client=target.client())
    assert failed(report) == ["vci-signed-metadata", "haip-signed-metadata-key"]


def test_unsigned_metadata_are_a_failure_in_germany_only() -> None:
    assert failed(run_issuer(ISSUER, client=TinyIssuer(identity=None).client())) == []
    german = run_issuer(ISSUER, profile="de-2026-11", client=TinyIssuer(identity=None).client())
    assert failed(german) == ["de-signed-metadata-offered"]


def test_an_issuer_that_knows_everybody_is_caught() -> None:
    target = TinyIssuer()
    respond = target._respond

    def any_issuer(request: httpx.Request) -> httpx.Response:
        is_unknown = request.url.path.startswith("/.well-known/openid-credential-issuer/no-such-")
        return httpx.Response(200, json={}) if is_unknown else respond(request)

    report = run_issuer(ISSUER, client=httpx.Client(transport=httpx.MockTransport(any_issuer)))
    assert failed(report) == ["vci-unknown-issuer"]


def test_rules_of_high_assurance_are_no_rules_of_the_plain_profile() -> None:
    target = TinyIssuer()
    target.server["require_pushed_authorization_requests"] = False
    del target.configuration()["scope"]
    assert failed(run_issuer(ISSUER, profile="plain-1.0", client=target.client())) == []


def _only(target: TinyIssuer, name: str) -> Outcome:
    [result] = run_issuer(ISSUER, client=target.client(), only=[name]).results
    return result.outcome


def test_what_has_no_scope_needs_authorization_details() -> None:
    target = TinyIssuer()
    del target.configuration()["scope"]
    assert _only(target, "oauth-details-type") is Outcome.PASSED
    target.server["authorization_details_types_supported"] = ["other"]
    assert _only(target, "oauth-details-type") is Outcome.FAILED


@pytest.mark.parametrize("wrong", [{"kty": "oct", "k": "AAAA"}, {"d": "AAAA"}, {"kid": None}, {"kty": "RSA", "n": "A"}])
def test_published_keys_are_public_and_strong(wrong: dict[str, str | None]) -> None:
    keys: JsonObject = {"keys": [{"kty": "EC", "crv": "P-256", "x": "A", "y": "A", "kid": "1"}]}
    target = TinyIssuer()
    target.server["jwks_uri"] = f"{ISSUER}/jwks"
    target.alter("GET", "/t/city/jwks", status=200, body=json.dumps(keys).encode())
    assert _only(target, "oauth-jwks") is Outcome.PASSED
    keys["keys"][0].update(wrong)  # type: ignore[index, union-attr]
    target.alter("GET", "/t/city/jwks", status=200, body=json.dumps(keys).encode())
    assert _only(target, "oauth-jwks") is Outcome.FAILED


def test_nobody_at_the_address_is_a_failure_not_a_trace() -> None:
    def absent(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    report = run_issuer(ISSUER, client=httpx.Client(transport=httpx.MockTransport(absent)))
    assert failed(report)[0] == "vci-metadata-location"
    assert report.count(Outcome.PASSED) == 0
    assert not report.is_good


@pytest.mark.parametrize(
    "url", ["issuer.example", "http://issuer.example", "http://127.0.0.1:8701", "https://issuer.example/?a=b"]
)
def test_what_is_no_issuer_s_identifier_is_not_tried(url: str) -> None:
    with pytest.raises(InvalidAnswer):
        run_issuer(url)


def test_each_check_has_an_id_a_clause_and_a_title_of_its_own() -> None:
    checks = issuer_checks()
    assert len({check.id for check in checks}) == len(checks) >= 15
    assert len({check.title for check in checks}) == len(checks)
    assert all(any(sign in check.clause for sign in ("§", "App.", "ARF", "German profile")) for check in checks)


def test_each_check_of_what_is_published_is_caught_failing_by_a_test() -> None:
    by_defects = {name for _, caught in DEFECTS.values() for name in caught}
    elsewhere = {"vci-metadata-identity", "vci-unknown-issuer", "de-signed-metadata-offered"}
    form = {check.id for check in FORM_CHECKS.checks}
    published = {check.id for check in (*METADATA_CHECKS.checks, *ENDPOINT_CHECKS.checks)}
    assert published == (by_defects | elsewhere) - form
