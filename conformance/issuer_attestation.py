"""Checks of client attestation: who is no attested wallet gets no further (draft-07; HAIP 1.0 §4.4.1)."""

from collections.abc import Callable

from conformance.bent_token import Token
from conformance.check import EVERYWHERE, Check, Failed, NotApplicable, Registry
from conformance.exchange import JSON, Answer
from conformance.issuer_peer import Bends, IssuerPeer
from conformance.issuer_session import kept, refused
from conformance.issuer_target import IssuerTarget, OfferWish, shown
from specs.keys.jose import x5c_header
from specs.keys.signer import FileSigner, generate_signer
from specs.protocols.client_attestation import ATTESTATION_CHALLENGE_HEADER, ATTESTATION_HEADER, ATTESTATION_POP_HEADER
from specs.protocols.oauth import PRE_AUTHORIZED_CODE, new_code_verifier

ATTESTATION_CHECKS: Registry[IssuerTarget] = Registry()
_check = ATTESTATION_CHECKS.check
_ERRORS = ("invalid_client", "invalid_request", "invalid_client_attestation", "use_fresh_attestation")
_SIGNATURES = "draft-ietf-oauth-attestation-based-client-auth-07 §9"
_HOUR = 3600


@_check("att-challenge", "draft-ietf-oauth-attestation-based-client-auth-07 §8")
def challenge(target: IssuerTarget) -> str:
    """A challenge endpoint, if there is one, gives a fresh challenge that is never cached."""
    where = target.endpoint(target.server, "challenge_endpoint")
    answers = [target.send("POST", where, headers={"Accept": JSON}, body=b"") for _ in range(2)]
    values = [answer.json_object().get("attestation_challenge") for answer in answers if answer.status == 200]
    if len(values) < 2 or not all(isinstance(value, str) and value for value in values):
        raise Failed("200 with attestation_challenge, a text", answers[0].described)
    if values[0] == values[1]:
        raise Failed("a fresh challenge each time", "the same one twice")
    if not answers[0].is_never_stored:
        raise Failed("Cache-Control: no-store", answers[0].headers.get("cache-control", "no Cache-Control"))
    return "two different ones"


@_check("att-challenge-header", "draft-ietf-oauth-attestation-based-client-auth-07 §8.1")
def challenge_header(target: IssuerTarget) -> str:
    """A challenge in a header comes once, in base64url characters."""
    answer = _authenticated(target, Bends())
    values = answer.headers.get_list(ATTESTATION_CHALLENGE_HEADER, split_commas=True)
    if not values:
        raise NotApplicable("no challenge comes in a header")
    if len(values) > 1 or not values[0].replace("-", "").replace("_", "").isalnum():
        raise Failed("one value of base64url characters", shown(list(values)))
    return "one value"


@_check("att-accepted", "HAIP 1.0 §4.4.1; draft-07 §9")
def accepted(target: IssuerTarget) -> str:
    """A wallet whose attestation is right is let in, with further claims in both tokens."""
    answer = _authenticated(
        target, Bends(attestation=lambda token: token.claim(wallet_version="1", nbf=token.claims["iat"]))
    )
    if answer.status not in (200, 201):
        raise Failed("200 or 201", answer.described)
    return answer.described


def _authenticated(target: IssuerTarget, bends: Bends, *, client_id: str = "") -> Answer:
    """A request with client authentication: pushed where that is possible, else for a token."""
    peer = IssuerPeer(target)
    if not peer.is_attested:
        raise NotApplicable("the authorization server takes no client attestations")
    if "pushed_authorization_request_endpoint" in target.server:
        form = peer.authorization_form(
            new_code_verifier(), configuration=target.first_configuration, state="s", issuer_state=None
        )
        return peer.push(form | ({"client_id": client_id} if client_id else {}), bends)
    form, _ = peer.pre_authorized_form(OfferWish(target.first_configuration, PRE_AUTHORIZED_CODE))
    return peer.token(form | ({"client_id": client_id} if client_id else {}), bends)


def _good_first(target: IssuerTarget) -> None:
    """Where even a right attestation is refused, a refusal says nothing."""
    answer = kept(target, "attested", lambda: _authenticated(target, Bends()))
    if not answer.is_good:
        raise NotApplicable(f"not even a right attestation is taken: {answer.described}")


def _enter(
    name: str, title: str, bends: Callable[[IssuerTarget], Bends], *, clause: str = _SIGNATURES, client_id: str = ""
) -> None:
    def run(target: IssuerTarget) -> str:
        _good_first(target)
        answer = _authenticated(target, bends(target), client_id=client_id)
        return refused(answer, statuses=(400, 401), errors=_ERRORS)

    ATTESTATION_CHECKS.enter(Check(name, clause, title, run, EVERYWHERE))


def _pop(bend: Callable[[Token], Token]) -> Callable[[IssuerTarget], Bends]:
    return lambda _target: Bends(pop=bend)


def _attestation(bend: Callable[[Token], Token]) -> Callable[[IssuerTarget], Bends]:
    return lambda _target: Bends(attestation=bend)


def _by_stranger(target: IssuerTarget) -> Bends:
    stranger = target.wallet.stranger.identity
    signer = stranger.signer
    assert isinstance(signer, FileSigner)
    return Bends(attestation=lambda token: token.head(x5c=list(x5c_header(stranger.chain))).by(signer))


def _without(name: str) -> Callable[[IssuerTarget], Bends]:
    return lambda _target: Bends(attestation_headers=lambda pairs: [pair for pair in pairs if pair[0] != name])


def _twice(name: str) -> Callable[[IssuerTarget], Bends]:
    return lambda _target: Bends(
        attestation_headers=lambda pairs: [*pairs, *(pair for pair in pairs if pair[0] == name)]
    )


def _earlier(token: Token, *names: str) -> Token:
    return token.claim(**{name: int(str(token.claims[name])) - _HOUR for name in names if name in token.claims})


_enter("att-signature", "An attestation with a broken signature is refused", _attestation(Token.spoilt))
_enter("att-unsigned", "An attestation with alg none is refused", _attestation(Token.unsigned))
_enter("att-untrusted", "An attestation by a provider that nobody trusts is refused", _by_stranger)
_enter(
    "att-expired", "An attestation that has ended is refused", _attestation(lambda token: _earlier(token, "iat", "exp"))
)
_enter("att-no-sub", "An attestation without sub is refused", _attestation(lambda token: token.without("sub")))
_enter("att-no-exp", "An attestation without exp is refused", _attestation(lambda token: token.without("exp")))
_enter("att-no-cnf", "An attestation that binds no key is refused", _attestation(lambda token: token.without("cnf")))
_enter("att-typ", "An attestation of another typ is refused", _attestation(lambda token: token.head(typ="JWT")))
_enter(
    "att-no-x5c",
    "An attestation that does not say by its certificate who signed it is refused",
    _attestation(lambda token: token.without_head("x5c")),
    clause="HAIP 1.0 §4.4.1",
)
_enter(
    "att-other-client",
    "An attestation for another client_id is refused",
    lambda _target: Bends(),
    client_id="https://another.example",
)
_enter("att-missing", "A wallet without attestation is refused", _without(ATTESTATION_HEADER), clause="HAIP 1.0 §4.4.1")
_enter("att-twice", "Two attestations in one request are refused", _twice(ATTESTATION_HEADER))
_enter("att-pop-signature", "A proof of possession with a broken signature is refused", _pop(Token.spoilt))
_enter(
    "att-pop-key",
    "A proof of possession by another key than the attested one is refused",
    _pop(lambda token: token.by(generate_signer())),
)
_enter(
    "att-pop-audience",
    "A proof of possession for another server is refused",
    _pop(lambda token: token.claim(aud="https://other.example")),
)
_enter("att-pop-no-jti", "A proof of possession without jti is refused", _pop(lambda token: token.without("jti")))
_enter("att-pop-typ", "A proof of possession of another typ is refused", _pop(lambda token: token.head(typ="JWT")))
_enter("att-pop-unsigned", "A proof of possession with alg none is refused", _pop(Token.unsigned))
_enter(
    "att-pop-old",
    "A proof of possession of an hour ago is refused",
    _pop(lambda token: _earlier(token, "iat", "nbf", "exp")),
)
_enter("att-pop-missing", "An attestation without proof of possession is refused", _without(ATTESTATION_POP_HEADER))
_enter("att-pop-twice", "Two proofs of possession in one request are refused", _twice(ATTESTATION_POP_HEADER))


@_check("att-pop-replayed", "draft-ietf-oauth-attestation-based-client-auth-07 §9", is_advice=True)
def pop_replayed(target: IssuerTarget) -> str:
    """A proof of possession that was used already is refused."""
    seen: list[list[tuple[str, str]]] = []

    def keep(pairs: "list[tuple[str, str]]") -> "list[tuple[str, str]]":
        seen.append(list(pairs))
        return seen[0]

    bends = Bends(attestation_headers=keep)  # type: ignore[arg-type]
    first = _authenticated(target, bends)
    if not first.is_good:
        raise NotApplicable(f"it is refused the first time: {first.described}")
    return refused(_authenticated(target, bends), statuses=(400, 401))
