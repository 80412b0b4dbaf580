"""Checks of what the authorization server says about itself (RFC 8414, HAIP 1.0 §4, FAPI 2.0)."""

import re

from conformance.check import HIGH_ASSURANCE, Failed, NotApplicable, Registry
from conformance.issuer_target import IssuerTarget, shown
from specs.encoding import Malformed
from specs.protocols.oauth import AUTHORIZATION_CODE, PRE_AUTHORIZED_CODE, InvalidAnswer
from specs.protocols.oauth_metadata import check_url

SERVER_CHECKS: Registry[IssuerTarget] = Registry()
_check = SERVER_CHECKS.check
_FAPI_ALGS = frozenset({"ES256", "PS256", "EdDSA", "Ed25519", "ES384", "ES512"})
_MEMBERS = frozenset(
    {"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint", "scopes_supported",
     "response_types_supported", "response_modes_supported", "grant_types_supported", "service_documentation",
     "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported",
     "ui_locales_supported", "op_policy_uri", "op_tos_uri", "revocation_endpoint", "introspection_endpoint",
     "revocation_endpoint_auth_methods_supported", "introspection_endpoint_auth_methods_supported",
     "code_challenge_methods_supported", "signed_metadata", "pushed_authorization_request_endpoint",
     "require_pushed_authorization_requests", "authorization_response_iss_parameter_supported",
     "dpop_signing_alg_values_supported", "authorization_details_types_supported", "mtls_endpoint_aliases",
     "tls_client_certificate_bound_access_tokens", "client_attestation_signing_alg_values_supported",
     "client_attestation_pop_signing_alg_values_supported", "challenge_endpoint", "require_signed_request_object",
     "request_object_signing_alg_values_supported", "pre-authorized_grant_anonymous_access_supported",
     "request_parameter_supported", "request_uri_parameter_supported", "client_registration_types_supported",
     "authorization_challenge_endpoint", "interactive_authorization_endpoint",
     "require_interactive_authorization_request", "protected_resources", "subject_types_supported",
     "status_list_aggregation_endpoint",
     "id_token_signing_alg_values_supported", "userinfo_endpoint", "claims_supported", "device_authorization_endpoint"}
)  # fmt: skip


@_check("oauth-endpoints-https", "RFC 8414 §2")
def endpoints_https(target: IssuerTarget) -> str:
    """Endpoints of the authorization server are https URLs."""
    names = [name for name in target.server if name.endswith(("_endpoint", "jwks_uri"))]
    for name in names:
        try:
            check_url(target.server[name], allow_loopback_http=target.allow_loopback_http)
        except InvalidAnswer as error:
            raise Failed(f"{name} is an https URL", f"{shown(target.server[name])}: {error}") from None
    return f"{len(names)} endpoints"


@_check("oauth-metadata-members", "RFC 8414 §2", is_advice=True)
def metadata_members(target: IssuerTarget) -> str:
    """The authorization server's metadata hold nothing that no registry knows."""
    unknown = sorted(target.server.keys() - _MEMBERS)
    if unknown:
        raise Failed("registered members alone", ", ".join(unknown))
    return f"{len(target.server)} members"


@_check("oauth-grant-types", "RFC 8414 §2; OpenID4VCI 1.0 §4.1.1")
def grant_types(target: IssuerTarget) -> str:
    """The grant types fit the endpoints."""
    named = target.server.get("grant_types_supported")
    if named is None:
        return "by default: authorization_code and implicit"
    if not isinstance(named, list) or not {AUTHORIZATION_CODE, PRE_AUTHORIZED_CODE} & {str(each) for each in named}:
        raise Failed("authorization_code or the pre-authorized code", shown(named))
    if AUTHORIZATION_CODE in named and "authorization_endpoint" not in target.server:
        raise Failed("an authorization_endpoint", "none")
    return shown(named)


@_check("haip-attestation-method", "HAIP 1.0 §4.4.1; draft-07 §13.1", profiles=HIGH_ASSURANCE)
def attestation_method(target: IssuerTarget) -> str:
    """Clients are authenticated by attestation, with the algorithms named."""
    if not target.supports("token_endpoint_auth_methods_supported", "attest_jwt_client_auth"):
        raise Failed("attest_jwt_client_auth", shown(target.server.get("token_endpoint_auth_methods_supported")))
    for name in (
        "client_attestation_signing_alg_values_supported",
        "client_attestation_pop_signing_alg_values_supported",
    ):
        if not target.supports(name, "ES256"):
            raise Failed(f"{name} with ES256", shown(target.server.get(name)))
    return "with ES256"


@_check("haip-dpop-algs", "HAIP 1.0 §4, §7; RFC 9449 §5.1; FAPI 2.0 Security Profile §5.4.1", profiles=HIGH_ASSURANCE)
def dpop_algs(target: IssuerTarget) -> str:
    """DPoP is offered, with algorithms that FAPI allows, ES256 among them."""
    algs = target.server.get("dpop_signing_alg_values_supported")
    if not isinstance(algs, list) or "ES256" not in algs or not all(alg in _FAPI_ALGS for alg in algs):
        raise Failed("dpop_signing_alg_values_supported with ES256, none that FAPI forbids", shown(algs))
    return shown(algs)


@_check("oauth-details-type", "OpenID4VCI 1.0 §5.1.1, §12.3; RFC 9396 §10")
def details_type(target: IssuerTarget) -> str:
    """Where a configuration has no scope, authorization_details of openid_credential are taken."""
    if all("scope" in each for each in target.configurations.values()):
        raise NotApplicable("each configuration has a scope")
    if not target.supports("authorization_details_types_supported", "openid_credential"):
        raise Failed("openid_credential", shown(target.server.get("authorization_details_types_supported")))
    return "openid_credential"


@_check("oauth-jwks", "RFC 8414 §2; RFC 7517 §5")
def jwks(target: IssuerTarget) -> str:
    """Published keys are public, strong enough, each with a kid."""
    if "jwks_uri" not in target.server:
        raise NotApplicable("no keys are published")
    answer = target.get(target.endpoint(target.server, "jwks_uri"))
    try:
        keys = answer.json_object().get("keys")
    except Malformed:
        raise Failed("a JWK Set", answer.described) from None
    if answer.status != 200 or not isinstance(keys, list):
        raise Failed("200 with keys", answer.described)
    for key in keys:
        if not isinstance(key, dict) or key.get("kty") == "oct" or key.keys() & {"d", "p", "q"}:
            raise Failed("public keys", "a private or symmetric one")
        if not isinstance(key.get("kid"), str):
            raise Failed("a kid at each key", shown(sorted(key)))
        if key.get("kty") == "RSA" and len(str(key.get("n"))) < 340:
            raise Failed("RSA keys of 2048 bits or more", "a shorter one")
    return f"{len(keys)} keys"


@_check("oauth-lists-syntax", "RFC 8414 §2; RFC 6749 §3.3; BCP 47")
def lists_syntax(target: IssuerTarget) -> str:
    """Scopes are words and locales are language tags."""
    patterns = {
        "scopes_supported": r"[\x21\x23-\x5b\x5d-\x7e]+",
        "ui_locales_supported": r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*",
    }
    for name, pattern in patterns.items():
        values = target.server.get(name, [])
        if not isinstance(values, list) or not all(
            isinstance(each, str) and re.fullmatch(pattern, each) for each in values
        ):
            raise Failed(f"{name}, a list of {'words' if name[0] == 's' else 'language tags'}", shown(values))
    return "well formed"
