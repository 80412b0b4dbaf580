"""Checks of what an issuer answers: nonces, the authorization server's metadata, tokens and credentials refused."""

from conformance.check import HIGH_ASSURANCE, Failed, NotApplicable, Registry
from conformance.issuer_target import JSON, Answer, IssuerTarget, shown, unknown_name
from specs.encoding.strict_json import JsonObject
from specs.protocols.oauth import PRE_AUTHORIZED_CODE

ENDPOINT_CHECKS: Registry[IssuerTarget] = Registry()
_check = ENDPOINT_CHECKS.check


@_check("haip-nonce-offered", "HAIP 1.0 §4.1", profiles=HIGH_ASSURANCE)
def nonce_offered(target: IssuerTarget) -> str:
    """There is a nonce endpoint, if credentials are bound to keys."""
    if not target.binds_keys:
        raise NotApplicable("no credential is bound to a key")
    if "nonce_endpoint" not in target.metadata:
        raise Failed("a nonce_endpoint", "none")
    return shown(target.metadata["nonce_endpoint"])


@_check("vci-nonce-fresh", "OpenID4VCI 1.0 §7.2")
def nonce_fresh(target: IssuerTarget) -> str:
    """POST to the nonce endpoint brings a new c_nonce each time."""
    first, second = (_nonce(_nonce_answer(target)) for _ in range(2))
    if first == second:
        raise Failed("a c_nonce that can't be foreseen", "the same one twice")
    return "two different ones"


@_check("vci-nonce-no-store", "OpenID4VCI 1.0 §7.2")
def nonce_no_store(target: IssuerTarget) -> str:
    """A nonce is never cached."""
    answer = _nonce_answer(target)
    if not answer.is_never_stored:
        raise Failed("Cache-Control: no-store", answer.headers.get("cache-control", "no Cache-Control"))
    return "no-store"


@_check("vci-nonce-post-only", "OpenID4VCI 1.0 §7.1")
def nonce_post_only(target: IssuerTarget) -> str:
    """GET brings no nonce."""
    answer = target.get(target.endpoint(target.metadata, "nonce_endpoint"))
    if answer.status < 400:
        raise Failed("a refusal, such as 405", answer.described)
    return str(answer.status)


@_check("oauth-metadata", "RFC 8414 §3.1, §3.2; HAIP 1.0 §4.1")
def server_metadata(target: IssuerTarget) -> str:
    """The authorization server's metadata lie where they must."""
    _ = target.metadata
    answer = target.server_answer
    if answer.status != 200 or answer.media_type != JSON:
        raise Failed(f"200 {JSON}", answer.described)
    answer.json_object()
    return answer.described


@_check("oauth-identity", "RFC 8414 §3.3")
def server_identity(target: IssuerTarget) -> str:
    """The authorization server's issuer is the identifier that was asked for."""
    named = target.server.get("issuer")
    if named != target.authorization_server:
        raise Failed(f"issuer {target.authorization_server}, character by character", shown(named))
    return target.authorization_server


@_check("haip-par", "HAIP 1.0 §4; RFC 9126 §5", profiles=HIGH_ASSURANCE)
def pushed_requests(target: IssuerTarget) -> str:
    """Authorization requests are pushed, and must be."""
    server = _with_authorization(target)
    if "pushed_authorization_request_endpoint" not in server:
        raise Failed("a pushed_authorization_request_endpoint", "none")
    if server.get("require_pushed_authorization_requests") is not True:
        raise Failed(
            "require_pushed_authorization_requests true", shown(server.get("require_pushed_authorization_requests"))
        )
    return "required"


@_check("haip-pkce", "HAIP 1.0 §4; RFC 7636 §4.2", profiles=HIGH_ASSURANCE)
def pkce(target: IssuerTarget) -> str:
    """PKCE is offered with S256."""
    methods = _with_authorization(target).get("code_challenge_methods_supported")
    if not isinstance(methods, list) or "S256" not in methods:
        raise Failed("code_challenge_methods_supported with S256", shown(methods))
    return shown(methods)


@_check("haip-iss", "HAIP 1.0 §4; RFC 9207 §3", profiles=HIGH_ASSURANCE)
def issuer_parameter(target: IssuerTarget) -> str:
    """Authorization answers name their issuer."""
    said = _with_authorization(target).get("authorization_response_iss_parameter_supported")
    if said is not True:
        raise Failed("authorization_response_iss_parameter_supported true", shown(said))
    return "true"


@_check("vci-credential-no-token", "OpenID4VCI 1.0 §8.3.1.1; RFC 6750 §3")
def credential_without_token(target: IssuerTarget) -> str:
    """No credential without an access token."""
    where = target.endpoint(target.metadata, "credential_endpoint")
    answer = target.send("POST", where, headers={"Content-Type": JSON}, body=b"{}")
    if answer.status != 401:
        raise Failed("401", answer.described)
    challenge = answer.headers.get("www-authenticate", "")
    if not challenge:
        raise Failed("WWW-Authenticate", "no such header")
    return f"401, WWW-Authenticate: {challenge.partition(' ')[0]}"


@_check("oauth-token-unknown-code", "OpenID4VCI 1.0 §6.3; RFC 6749 §5.2")
def token_for_unknown_code(target: IssuerTarget) -> str:
    """A code that nobody gave out brings no token."""
    answer = _token_refusal(target)
    if answer.status not in (400, 401):
        raise Failed("400 or 401", answer.described)
    if answer.media_type != JSON:
        raise Failed(JSON, answer.media_type or "no content type")
    error = answer.json_object().get("error")
    if not isinstance(error, str) or not error:
        raise Failed("a JSON object with error", shown(error))
    return f"{answer.status} {error}"


@_check("oauth-token-no-store", "RFC 6749 §5.1, §5.2")
def token_no_store(target: IssuerTarget) -> str:
    """What the token endpoint answers is never cached."""
    answer = _token_refusal(target)
    if not answer.is_never_stored:
        raise Failed("Cache-Control: no-store", answer.headers.get("cache-control", "no Cache-Control"))
    return "no-store"


def _nonce_answer(target: IssuerTarget) -> Answer:
    return target.send("POST", target.endpoint(target.metadata, "nonce_endpoint"), headers={"Accept": JSON})


def _nonce(answer: Answer) -> str:
    if not 200 <= answer.status < 300 or answer.media_type != JSON:
        raise Failed(f"2xx {JSON}", answer.described)
    nonce = answer.json_object().get("c_nonce")
    if not isinstance(nonce, str) or not nonce:
        raise Failed("c_nonce, a text", shown(nonce))
    return nonce


def _with_authorization(target: IssuerTarget) -> JsonObject:
    if "authorization_endpoint" not in target.server:
        raise NotApplicable("there is no authorization endpoint")
    return target.server


def _token_refusal(target: IssuerTarget) -> Answer:
    where = target.endpoint(target.server, "token_endpoint")
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": unknown_name(), "client_id": unknown_name()}
    return target.post_form(where, form)
