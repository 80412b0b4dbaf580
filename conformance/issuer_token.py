"""Checks of the token endpoint: codes, pre-authorized codes, refresh tokens (RFC 6749 §4 to §6, OpenID4VCI 1.0 §6)."""

import re
import time

from conformance.check import Failed, NotApplicable, Registry
from conformance.exchange import JSON, Answer
from conformance.issuer_authorization import OTHER_CLIENT, entropy
from conformance.issuer_peer import Bends, Grant, IssuerPeer
from conformance.issuer_session import Session, kept, refused
from conformance.issuer_target import IssuerTarget, OfferWish, shown
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import generate_signer
from specs.protocols.oauth import new_code_verifier

TOKEN_CHECKS: Registry[IssuerTarget] = Registry()
_check = TOKEN_CHECKS.check
_GRANT = ("invalid_grant",)
_DPOP = ("invalid_grant", "invalid_dpop_proof", "invalid_request")
_CLIENT = ("invalid_client", "invalid_grant", "invalid_request", "invalid_client_attestation")
_CODE_SECONDS = 62


def _granted(target: IssuerTarget) -> Session:
    def make() -> Session:
        peer = IssuerPeer(target)
        return Session(peer, peer.granted(target.first_configuration))

    return kept(target, "token", make)


@_check("token-answer", "RFC 6749 §5.1; OpenID4VCI 1.0 §6.2")
def token_answer(target: IssuerTarget) -> str:
    """A token answer holds a token that can't be guessed, its type and its life, and no id_token."""
    current = _granted(target)
    answer = current.grant.answer
    wanted = "dpop" if current.peer.is_bound else "bearer"
    if str(answer.get("token_type")).lower() != wanted:
        raise Failed(f"token_type {wanted}", shown(answer.get("token_type")))
    ends = answer.get("expires_in")
    if not isinstance(ends, (int, float)) or isinstance(ends, bool) or ends <= 0:
        raise Failed("expires_in, a positive number", shown(ends))
    if "id_token" in answer:
        raise Failed("no id_token", "one")
    return f"{wanted}, {ends} s"


@_check("token-entropy", "FAPI 2.0 Security Profile §5.4.1; RFC 6749 §10.10")
def token_entropy(target: IssuerTarget) -> str:
    """Access and refresh tokens have 128 bits or more, of characters that are allowed."""
    answer = _granted(target).grant.answer
    for name in ("access_token", "refresh_token"):
        token = answer.get(name)
        if token is None and name == "refresh_token":
            continue
        if not isinstance(token, str) or len(token) < 22 or entropy(token) < 80:
            raise Failed(f"{name} of 128 bits or more", f"{len(str(token or ''))} characters")
        if not re.fullmatch(r"[\x20-\x7e]+", token):
            raise Failed(f"{name} of printable ASCII characters (RFC 6749 App. A)", "others")
    return "long enough"


@_check("token-details", "OpenID4VCI 1.0 §6.2")
def token_details(target: IssuerTarget) -> str:
    """authorization_details in a token answer say what they are for, with identifiers."""
    grant = _granted(target).grant
    details = grant.answer.get("authorization_details")
    if details is None:
        raise NotApplicable("the token answer has none")
    if not isinstance(details, list) or not details:
        raise Failed("a list of objects", shown(details))
    for each in details:
        _checked_detail(each)
    return f"{len(details)} entries"


def _checked_detail(detail: object) -> None:
    if not isinstance(detail, dict) or detail.get("type") != "openid_credential":
        raise Failed("type openid_credential", "something else")
    names = detail.get("credential_identifiers")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise Failed("credential_identifiers, a list of texts that is not empty", shown(names))
    if not isinstance(detail.get("credential_configuration_id"), str):
        raise Failed("credential_configuration_id", "none")


@_check("token-details-returned", "OpenID4VCI 1.0 §5.1.1, §6.2")
def token_details_returned(target: IssuerTarget) -> str:
    """Who asked with authorization_details gets them back, with identifiers."""
    configuration = target.first_configuration
    peer = IssuerPeer(target)
    if not target.supports("authorization_details_types_supported", "openid_credential"):
        raise NotApplicable("the authorization server takes no authorization_details")
    asked = f'[{{"type":"openid_credential","credential_configuration_id":"{configuration}"}}]'
    form = peer.code_form(configuration, authorization_details=asked, scope="")
    answer = peer.token(form)
    if answer.status != 200:
        raise Failed("200", answer.described)
    details = answer.json_object().get("authorization_details")
    if not isinstance(details, list) or not details:
        raise Failed("authorization_details", shown(details))
    for each in details:
        _checked_detail(each)
    return f"{len(details)} entries"


# authorization codes


def _code(target: IssuerTarget) -> tuple[IssuerPeer, dict[str, str]]:
    peer = IssuerPeer(target)
    return peer, peer.code_form(target.first_configuration)


def _good_first(target: IssuerTarget) -> None:
    """Where even a good code brings no token, a refusal says nothing."""

    def redeemed() -> Answer:
        peer, form = _code(target)
        return peer.token(form)

    answer = kept(target, "redeemed code", redeemed)
    if not answer.is_good:
        raise NotApplicable(f"not even a good code is redeemed: {answer.described}")


@_check("token-code-reused", "RFC 6749 §4.1.2; FAPI 2.0 Security Profile §5.3.2.2")
def code_reused(target: IssuerTarget) -> str:
    """A code is redeemed once."""
    peer, form = _code(target)
    _must_work(peer.token(form))
    time.sleep(1)  # what is sent again at once may be taken for a duplicate on the way
    return refused(peer.token(form), errors=_GRANT)


@_check("token-code-reuse-revokes", "RFC 6749 §4.1.2", is_advice=True)
def code_reuse_revokes(target: IssuerTarget) -> str:
    """When a code is used again, the token made of it ends."""
    peer, form = _code(target)
    first = _must_work(peer.token(form))
    time.sleep(1)
    peer.token(form)
    grant = Grant(target.first_configuration, first)
    answer = peer.credential(grant, peer.fresh_request(grant))
    if answer.status != 401:
        raise Failed("401 for the token", answer.described)
    return "401 for the token"


@_check("token-code-other-client", "RFC 6749 §4.1.3, §5.2")
def code_other_client(target: IssuerTarget) -> str:
    """A code is redeemed by the client that it was given to, and no other."""
    _good_first(target)
    _, form = _code(target)
    other = IssuerPeer(target, client_id=OTHER_CLIENT)
    return refused(other.token(form), statuses=(400, 401), errors=("invalid_grant", "invalid_client"))


@_check("token-client-id-mismatch", "RFC 6749 §3.2.1; HAIP 1.0 §4.4.1")
def client_id_mismatch(target: IssuerTarget) -> str:
    """client_id of another client than the one that authenticates is refused."""
    peer = IssuerPeer(target)
    if not peer.is_attested:
        raise NotApplicable("clients are not authenticated")
    _good_first(target)
    form = peer.code_form(target.first_configuration)
    return refused(peer.token(form | {"client_id": OTHER_CLIENT}), statuses=(400, 401))


@_check("token-pkce-missing", "RFC 7636 §4.6")
def pkce_missing(target: IssuerTarget) -> str:
    """A code without its verifier is refused."""
    _good_first(target)
    peer, form = _code(target)
    del form["code_verifier"]
    return refused(peer.token(form), errors=("invalid_grant", "invalid_request"))


@_check("token-pkce-wrong", "RFC 7636 §4.6")
def pkce_wrong(target: IssuerTarget) -> str:
    """A code with another verifier is refused."""
    _good_first(target)
    peer, form = _code(target)
    return refused(peer.token(form | {"code_verifier": new_code_verifier()}), errors=_GRANT)


@_check("token-redirect-uri-other", "RFC 6749 §4.1.3")
def redirect_uri_other(target: IssuerTarget) -> str:
    """A code with another redirect_uri is refused."""
    _good_first(target)
    peer, form = _code(target)
    return refused(
        peer.token(form | {"redirect_uri": "https://wallet.example/elsewhere"}),
        errors=("invalid_grant", "invalid_request"),
    )


@_check("token-no-dpop", "HAIP 1.0 §4; RFC 9449 §5")
def token_no_dpop(target: IssuerTarget) -> str:
    """Where tokens are bound, a token request without proof is refused."""
    peer, form = _code(target)
    if not peer.is_bound:
        raise NotApplicable("tokens are not bound to keys by DPoP")
    answer = peer.token(form, Bends(dpop_headers=lambda _proof: ()))
    if answer.status == 200 and str(answer.json_object().get("token_type")).lower() == "bearer":
        raise NotApplicable("the server gives a Bearer token to who brings no proof; HAIP forbids it elsewhere")
    return refused(answer, statuses=(400, 401), errors=_DPOP)


@_check("token-dpop-other-key", "RFC 9449 §10")
def dpop_other_key(target: IssuerTarget) -> str:
    """A code bound to a key by the pushed request's proof is not redeemed with another key."""
    peer, form = _code(target)
    if not peer.is_bound:
        raise NotApplicable("tokens are not bound to keys by DPoP")
    peer.dpop = generate_signer()
    return refused(peer.token(form), errors=_DPOP)


@_check("token-code-expired", "RFC 6749 §4.1.2; FAPI 2.0 Security Profile §5.3.2.2", is_slow=True)
def code_expired(target: IssuerTarget) -> str:
    """A code is worth nothing after a minute."""
    peer, form = _code(target)
    time.sleep(_CODE_SECONDS)
    return refused(peer.token(form), errors=_GRANT)


# pre-authorized codes


@_check("token-preauth-reused", "OpenID4VCI 1.0 §6.3, §13.7")
def preauth_reused(target: IssuerTarget) -> str:
    """A pre-authorized code is redeemed once."""
    peer = IssuerPeer(target)
    form, _ = peer.pre_authorized_form(OfferWish(target.first_configuration))
    _must_work(peer.token(form))
    return refused(peer.token(form), errors=_GRANT)


@_check("token-tx-code-wrong", "OpenID4VCI 1.0 §6.3")
def tx_code_wrong(target: IssuerTarget) -> str:
    """A wrong transaction code is refused, and the right one works afterwards."""
    peer, form = _with_tx_code(target)
    wrong = "".join(str((int(each) + 1) % 10) if each.isdigit() else "x" for each in form["tx_code"])
    said = refused(peer.token(form | {"tx_code": wrong}), errors=_GRANT)
    _must_work(peer.token(form))
    return said


@_check("token-tx-code-missing", "OpenID4VCI 1.0 §6.3")
def tx_code_missing(target: IssuerTarget) -> str:
    """A missing transaction code is refused."""
    peer, form = _with_tx_code(target)
    without = {name: value for name, value in form.items() if name != "tx_code"}
    return refused(peer.token(without), errors=("invalid_request", "invalid_grant"))


def _with_tx_code(target: IssuerTarget) -> tuple[IssuerPeer, dict[str, str]]:
    peer = IssuerPeer(target)
    form, _ = peer.pre_authorized_form(OfferWish(target.first_configuration))
    if "tx_code" not in form:
        raise NotApplicable("the offer wants no transaction code")
    return peer, form


# refresh tokens


def _refreshing(target: IssuerTarget) -> tuple[IssuerPeer, dict[str, str]]:
    current = _granted(target)
    token = current.grant.answer.get("refresh_token")
    if not isinstance(token, str):
        raise NotApplicable("no refresh token was given")
    return current.peer, {"grant_type": "refresh_token", "refresh_token": token}


@_check("token-refresh-other-client", "RFC 6749 §6, §10.4")
def refresh_other_client(target: IssuerTarget) -> str:
    """A refresh token of another client is refused."""
    _, form = _refreshing(target)
    return refused(IssuerPeer(target, client_id=OTHER_CLIENT).token(form), statuses=(400, 401), errors=_CLIENT)


@_check("token-refresh-other-instance", "draft-ietf-oauth-attestation-based-client-auth-07 §10.3")
def refresh_other_instance(target: IssuerTarget) -> str:
    """A refresh token of another wallet instance is refused."""
    peer, form = _refreshing(target)
    if not peer.is_attested:
        raise NotApplicable("clients are not attested")
    other = IssuerPeer(target, dpop=peer.dpop)
    return refused(other.token(form), statuses=(400, 401), errors=_CLIENT)


@_check("token-refresh-no-client", "RFC 6749 §6")
def refresh_no_client(target: IssuerTarget) -> str:
    """A refresh token without client authentication is refused."""
    peer, form = _refreshing(target)
    if not peer.is_attested:
        raise NotApplicable("clients are not authenticated")
    nobody = Bends(attestation_headers=lambda _pairs: ())
    return refused(peer.token(form, nobody), statuses=(400, 401), errors=_CLIENT)


@_check("token-refresh-no-dpop", "RFC 9449 §5")
def refresh_no_dpop(target: IssuerTarget) -> str:
    """A refresh token without proof of the key is refused, where tokens are bound."""
    peer, form = _refreshing(target)
    if not peer.is_bound:
        raise NotApplicable("tokens are not bound to keys by DPoP")
    return refused(
        peer.token(form, Bends(dpop_headers=lambda _proof: ())), statuses=(400, 401), errors=(*_CLIENT, *_DPOP)
    )


@_check("token-refresh", "RFC 6749 §6; OpenID4VCI 1.0 §6.2")
def refresh(target: IssuerTarget) -> str:
    """A refresh token brings a new access token, with the same credential identifiers."""
    peer, form = _refreshing(target)
    answer = _must_work(peer.token(form))
    before = _granted(target).grant
    after = Grant(before.configuration, answer)
    if after.identifier is not None and before.identifier is not None and after.identifier != before.identifier:
        raise Failed("unchanged credential_identifiers", "others")
    return "a new access token"


@_check("token-grant-types", "RFC 8414 §2", is_advice=True)
def grant_types(target: IssuerTarget) -> str:
    """Who gives refresh tokens names them in grant_types_supported."""
    given = "refresh_token" in _granted(target).grant.answer
    named = target.supports("grant_types_supported", "refresh_token")
    if given and not named:
        raise Failed("refresh_token in grant_types_supported", "not named, though one was given")
    return "named" if named else "not named, and none given"


@_check("token-error-form", "RFC 6749 §5.2")
def error_form(target: IssuerTarget) -> str:
    """An error of the token endpoint keeps to the characters that are allowed."""
    answer = IssuerPeer(target).token({"grant_type": "unknown-grant"})
    said = refused(answer, statuses=(400, 401))
    body = answer.json_object()
    for name in ("error", "error_description"):
        text = body.get(name, "")
        if not isinstance(text, str) or not re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*", text):
            raise Failed(f"{name} of printable ASCII without quotation mark and backslash", shown(text))
    return said


def _must_work(answer: Answer) -> JsonObject:
    if answer.status != 200 or answer.media_type != JSON:
        raise Failed(f"200 {JSON} for what is right", answer.described)
    return answer.json_object()
