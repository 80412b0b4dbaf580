"""Checks of the authorization request: pushed, seen by a person, agreed to or not (RFC 9126, RFC 6749, RFC 9207)."""

import math
import secrets
import time
from collections import Counter
from collections.abc import Mapping

from conformance.check import EVERYWHERE, Check, Failed, NotApplicable, Registry
from conformance.exchange import JSON, Answer
from conformance.issuer_peer import BY_THE_BOOK, Bends, IssuerPeer, members_of
from conformance.issuer_session import kept, refused
from conformance.issuer_target import IssuerTarget, OfferWish, shown
from conformance.login import Arrived
from specs.keys.jose import jwk_from_public_key, thumbprint
from specs.keys.signer import generate_signer
from specs.protocols.oauth import AUTHORIZATION_CODE, code_challenge, new_code_verifier

AUTHORIZATION_CHECKS: Registry[IssuerTarget] = Registry()
_check = AUTHORIZATION_CHECKS.check
_MAX_WAIT = 120  # seconds that a check waits for an end
OTHER_CLIENT = "https://wallet.example/another"


@_check("par-accepted", "RFC 9126 §2.2")
def par_accepted(target: IssuerTarget) -> str:
    """A pushed request brings a request_uri, 201, in JSON, for a time; members it does not know are ignored."""
    answer = _pushed(target, {"x_unknown": "to be ignored"})
    if answer.status != 201 or answer.media_type != JSON:
        raise Failed(f"201 {JSON}", answer.described)
    body = answer.json_object()
    ends = body.get("expires_in")
    if not isinstance(ends, int) or isinstance(ends, bool) or ends < 5:
        raise Failed("expires_in, a number of seconds, 5 or more", shown(ends))
    if entropy(str(body.get("request_uri", ""))) < 96:
        raise Failed("a request_uri that can't be guessed", "one of little entropy")
    return f"201, for {ends} s"


@_check("par-lifetime", "FAPI 2.0 Security Profile §5.3.2.2", is_advice=True)
def par_lifetime(target: IssuerTarget) -> str:
    """A request_uri ends after 10 minutes at the latest."""
    answer = _pushed(target, {})
    ends = answer.json_object().get("expires_in") if answer.status == 201 else None
    if not isinstance(ends, int) or ends > 600:
        raise Failed("expires_in of 600 or less", shown(ends))
    return f"{ends} s"


@_check("par-post-only", "RFC 9126 §2.1, §2.3")
def par_post_only(target: IssuerTarget) -> str:
    """Requests are pushed by POST alone."""
    where = IssuerPeer(target).endpoint("pushed_authorization_request_endpoint")
    for method in ("GET", "PUT"):
        answer = target.send(method, where)
        if answer.status < 400:
            raise Failed(f"a refusal of {method}", answer.described)
    return "GET and PUT refused"


def _pushed(
    target: IssuerTarget, changes: Mapping[str, str | None], bends: Bends = BY_THE_BOOK, peer: IssuerPeer | None = None
) -> Answer:
    peer = peer or IssuerPeer(target)
    verifier = new_code_verifier()
    form: dict[str, str | None] = dict(
        peer.authorization_form(verifier, configuration=target.first_configuration, state="state", issuer_state=None)
    )
    form |= changes
    return peer.push({name: value for name, value in form.items() if value is not None}, bends)


def _good_first(target: IssuerTarget) -> None:
    """Where even a good request can't be pushed, a refusal says nothing."""
    answer = kept(target, "pushed", lambda: _pushed(target, {}))
    if not answer.is_good:
        raise NotApplicable(f"not even a good request can be pushed: {answer.described}")


def _refused_at_par(
    name: str, title: str, changes: Mapping[str, str | None], errors: tuple[str, ...], clause: str
) -> None:
    def run(target: IssuerTarget) -> str:
        _good_first(target)
        return refused(_pushed(target, changes), statuses=(400,), errors=errors)

    AUTHORIZATION_CHECKS.enter(Check(name, clause, title, run, EVERYWHERE))


_INVALID = ("invalid_request",)
_OBJECT = ("invalid_request", "invalid_request_object")
_TYPES = ("unsupported_response_type", "invalid_request", "unauthorized_client")
_refused_at_par(
    "par-pkce-required",
    "A pushed request without PKCE is refused",
    {"code_challenge": None, "code_challenge_method": None},
    _INVALID,
    "HAIP 1.0 §4; RFC 7636 §4.4.1",
)
_refused_at_par(
    "par-plain-pkce",
    "PKCE by `plain` is refused",
    {"code_challenge_method": "plain", "code_challenge": "a" * 43},
    _INVALID,
    "HAIP 1.0 §4; FAPI 2.0 Security Profile §5.3.2.2",
)
_refused_at_par(
    "par-redirect-uri-required",
    "A pushed request without redirect_uri is refused",
    {"redirect_uri": None},
    _OBJECT,
    "FAPI 2.0 Security Profile §5.3.2.2",
)
_refused_at_par(
    "par-response-type-id-token",
    "response_type `code id_token` is refused",
    {"response_type": "code id_token"},
    _TYPES,
    "FAPI 2.0 Security Profile §5.3.2.2",
)
_refused_at_par(
    "par-response-type-token",
    "response_type `token` is refused",
    {"response_type": "token"},
    _TYPES,
    "FAPI 2.0 Security Profile §5.3.2.2",
)
_refused_at_par(
    "par-request-uri-inside",
    "A pushed request that names a request_uri is refused",
    {"request_uri": "urn:ietf:params:oauth:request_uri:x"},
    (*_OBJECT, "request_uri_not_supported"),
    "RFC 9126 §2.1",
)


@_check("par-no-client", "RFC 9126 §2; HAIP 1.0 §4.4.1")
def par_no_client(target: IssuerTarget) -> str:
    """A pushed request by nobody is refused."""
    if not IssuerPeer(target).is_attested:
        raise NotApplicable("the authorization server takes wallets that nobody vouches for")
    _good_first(target)
    nobody = Bends(attestation_headers=lambda _pairs: ())
    return refused(_pushed(target, {}, nobody), statuses=(400, 401))


@_check("par-dpop-jkt", "RFC 9449 §10.1")
def par_dpop_jkt(target: IssuerTarget) -> str:
    """dpop_jkt of another key than the DPoP proof's is refused."""
    _needs_dpop(target)
    _good_first(target)
    other = thumbprint(jwk_from_public_key(generate_signer().public_key))
    return refused(_pushed(target, {"dpop_jkt": other}), errors=("invalid_request", "invalid_dpop_proof"))


@_check("par-dpop-proof", "RFC 9449 §10.1")
def par_dpop_proof(target: IssuerTarget) -> str:
    """A DPoP proof at the pushed request is taken, with dpop_jkt of its key, and iat 10 s back or ahead."""
    _needs_dpop(target)
    for shift in (0, -10, 10):
        peer = IssuerPeer(target)
        bends = Bends(dpop=lambda token, by=shift: token.claim(iat=int(str(token.claims["iat"])) + by))  # type: ignore[misc]
        jkt = thumbprint(jwk_from_public_key(peer.dpop.public_key))
        answer = _pushed(target, {"dpop_jkt": jkt}, bends, peer)
        if answer.status != 201:
            raise Failed(f"201 for iat {shift:+d} s", answer.described)
    return "201 each time"


def _needs_dpop(target: IssuerTarget) -> None:
    if not IssuerPeer(target).is_bound:
        raise NotApplicable("tokens are not bound to keys by DPoP")


# at the authorization endpoint


def _visited(
    target: IssuerTarget,
    *,
    state: str | None = "state",
    refuse: bool = False,
    outside: Mapping[str, str] | None = None,
    changes: Mapping[str, str] | None = None,
) -> Arrived:
    peer = IssuerPeer(target)
    peer.needs_login()
    answer = _pushed(target, {"state": state, **(changes or {})}, peer=peer)
    if answer.status != 201:
        raise NotApplicable(f"the pushed request was refused: {answer.described}")
    query = {"client_id": peer.client_id, "request_uri": str(answer.json_object()["request_uri"])}
    return peer.visit(query | dict(outside or {}), refuse=refuse)


def _answered(arrived: Arrived) -> dict[str, str]:
    if arrived.url is None:
        raise Failed("a redirect to the wallet", arrived.described)
    return members_of(arrived.url)


@_check("authz-answer", "RFC 6749 §4.1.2; RFC 9207 §2; FAPI 2.0 Security Profile §5.3.2.2")
def authz_answer(target: IssuerTarget) -> str:
    """After login and consent the wallet gets code, state and iss in the query, and nothing else."""
    state = secrets.token_urlsafe(12)
    arrived = _visited(target, state=state)
    members = _answered(arrived)
    if arrived.url is not None and "#" in arrived.url:
        raise Failed("nothing in the fragment", "a fragment")
    if members.get("state") != state:
        raise Failed("the state of the request", "another" if "state" in members else "none")
    if members.get("iss") != target.server.get("issuer"):
        raise Failed(f"iss {shown(target.server.get('issuer'))}", shown(members.get("iss")))
    if entropy(members.get("code", "")) < 96 or len(members["code"]) < 22:
        raise Failed("a code of 128 bits or more", f"{len(members.get('code', ''))} characters")
    unknown = sorted(members.keys() - {"code", "state", "iss", "session_state"})
    if unknown:
        raise Failed("code, state and iss alone", f"also {', '.join(unknown)}")
    return "code, state, iss"


@_check("authz-no-state", "RFC 6749 §4.1.2")
def authz_no_state(target: IssuerTarget) -> str:
    """Without a state in the request there is none in the answer."""
    members = _answered(_visited(target, state=None))
    if "state" in members or "code" not in members:
        raise Failed("a code without state", ", ".join(sorted(members)))
    return "a code without state"


@_check("authz-long-state", "RFC 6749 §4.1.2; FAPI 2.0 Security Profile §5.3.2.2")
def authz_long_state(target: IssuerTarget) -> str:
    """A long state comes back as it was sent."""
    state = secrets.token_urlsafe(280)
    members = _answered(_visited(target, state=state))
    if members.get("state") != state:
        raise Failed("the state, character by character", f"{len(members.get('state', ''))} characters")
    return f"{len(state)} characters"


@_check("authz-state-outside", "RFC 9126 §4; RFC 9101 §6.3")
def authz_state_outside(target: IssuerTarget) -> str:
    """A state beside the request_uri is not used, whether one was pushed or not."""
    for pushed in ("inside", None):
        arrived = _visited(target, state=pushed, outside={"state": "outside"})
        if arrived.url is None:
            continue  # refusing such a request is right, too
        members = members_of(arrived.url)
        if "error" not in members and members.get("state") != pushed:
            raise Failed(f"the pushed state ({pushed})", members.get("state", "none"))
    return "not used"


@_check("authz-denied", "RFC 6749 §4.1.2.1; RFC 9207 §2")
def authz_denied(target: IssuerTarget) -> str:
    """Who refuses sends the wallet access_denied with state and iss."""
    members = _answered(_visited(target, state="refusing", refuse=True))
    wanted = {"error": "access_denied", "state": "refusing", "iss": str(target.server.get("issuer"))}
    for name, value in wanted.items():
        if members.get(name) != value:
            raise Failed(f"{name} {value}", members.get(name, "none"))
    return "access_denied"


@_check("authz-redirect-query", "RFC 6749 §3.1.2")
def authz_redirect_query(target: IssuerTarget) -> str:
    """A query in the redirect_uri stays in the answer."""
    where = f"{target.redirect_uri}?dummy1=lorem&dummy2=ipsum"
    peer = IssuerPeer(target)
    peer.needs_login()
    if not _pushed(target, {"redirect_uri": where}, peer=peer).is_good:
        raise NotApplicable("the server takes no redirect_uri with a query from this wallet")
    members = _answered(_visited(target, changes={"redirect_uri": where}))
    if members.get("dummy1") != "lorem" or members.get("dummy2") != "ipsum" or "code" not in members:
        raise Failed("dummy1=lorem and dummy2=ipsum beside the code", ", ".join(sorted(members)))
    return "kept"


@_check("authz-request-uri-again", "RFC 9126 §4; FAPI 2.0 Security Profile §5.3.2.2")
def authz_request_uri_again(target: IssuerTarget) -> str:
    """A request that was only looked at can be opened again, and asks for a login again."""
    peer, query = _ready(target)
    looked = peer.visit(query, looks_only=True)
    if looked.url is not None:
        raise Failed("a page that asks for a login", "a redirect to the wallet at once")
    if "code" not in members_of(peer.visit(query).url or ""):
        raise Failed("a code at the second visit", "none")
    return "a code at the second visit"


def _ready(target: IssuerTarget) -> tuple[IssuerPeer, dict[str, str]]:
    peer = IssuerPeer(target)
    peer.needs_login()
    answer = _pushed(target, {}, peer=peer)
    if answer.status != 201:
        raise NotApplicable(f"the pushed request was refused: {answer.described}")
    return peer, {"client_id": peer.client_id, "request_uri": str(answer.json_object()["request_uri"])}


def _not_served(arrived: Arrived) -> str:
    """An error page, or an error at the wallet's address; never a code and never a login."""
    if arrived.url is not None:
        members = members_of(arrived.url)
        if "code" in members or "error" not in members:
            raise Failed("an error", "a code" if "code" in members else "neither code nor error")
        return f"a redirect with {members['error']}"
    assert arrived.page is not None
    if arrived.page.status < 400 and b"<form" in arrived.page.body.lower():
        raise Failed("an error page", "a page that goes on")
    return f"a page with status {arrived.page.status}"


@_check("authz-request-uri-used", "RFC 9126 §4, §7.3", is_advice=True)
def authz_request_uri_used(target: IssuerTarget) -> str:
    """A request_uri whose code was given out is worth nothing any more."""
    peer, query = _ready(target)
    if "code" not in members_of(peer.visit(query).url or ""):
        raise NotApplicable("the first visit brought no code")
    return _not_served(peer.visit(query))


@_check("authz-request-uri-other-client", "RFC 9126 §2.2, §7.2")
def authz_request_uri_other_client(target: IssuerTarget) -> str:
    """A request_uri serves the client that pushed it, and no other."""
    peer, query = _ready(target)
    return _not_served(peer.visit(query | {"client_id": OTHER_CLIENT}))


@_check("authz-request-uri-unknown", "RFC 9126 §4")
def authz_request_uri_unknown(target: IssuerTarget) -> str:
    """A request_uri that nobody was given opens nothing."""
    peer = IssuerPeer(target)
    peer.needs_login()
    unknown = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(24)}"
    return _not_served(peer.visit({"client_id": peer.client_id, "request_uri": unknown}))


@_check("authz-request-uri-expired", "RFC 9126 §2.2, §4", is_slow=True)
def authz_request_uri_expired(target: IssuerTarget) -> str:
    """A request_uri whose time is over opens nothing."""
    peer = IssuerPeer(target)
    peer.needs_login()
    answer = _pushed(target, {}, peer=peer)
    body = answer.json_object()
    ends = body.get("expires_in")
    if not isinstance(ends, int) or ends > _MAX_WAIT:
        raise NotApplicable(f"it lives for {shown(ends)} s, longer than a check waits")
    time.sleep(ends + 1)
    return _not_served(peer.visit({"client_id": peer.client_id, "request_uri": str(body["request_uri"])}))


@_check("authz-without-par", "HAIP 1.0 §4; RFC 9126 §5")
def authz_without_par(target: IssuerTarget) -> str:
    """Where requests must be pushed, one that was not is refused."""
    if target.server.get("require_pushed_authorization_requests") is not True:
        raise NotApplicable("requests need not be pushed")
    peer = IssuerPeer(target)
    form = peer.authorization_form(
        new_code_verifier(), configuration=target.first_configuration, state="s", issuer_state=None
    )
    return _not_served(peer.visit(form))


@_check("authz-issuer-state", "OpenID4VCI 1.0 §5.1.3")
def authz_issuer_state(target: IssuerTarget) -> str:
    """An offer's issuer_state leads from the offer to a code."""
    peer = IssuerPeer(target)
    peer.needs_login()
    _, offer = peer.offer(OfferWish(target.first_configuration, AUTHORIZATION_CODE))
    if offer.authorization_code is None or offer.authorization_code.issuer_state is None:
        raise NotApplicable("the offer carries no issuer_state")
    try:
        arrived = _visited(target, changes={"issuer_state": offer.authorization_code.issuer_state})
    except NotApplicable as reason:
        _visited(target)  # where this is refused, too, it says nothing
        raise Failed("a code", str(reason)) from None
    if "code" not in _answered(arrived):
        raise Failed("a code", ", ".join(sorted(members_of(arrived.url or ""))))
    return "a code"


def entropy(text: str) -> float:
    """Bits of a text by how often its characters come, as the Foundation's suite estimates them (Shannon)."""
    if not text:
        return 0.0

    return -sum(n * math.log2(n / len(text)) for n in Counter(text).values())


__all__ = ["AUTHORIZATION_CHECKS", "OTHER_CLIENT", "code_challenge", "entropy"]
