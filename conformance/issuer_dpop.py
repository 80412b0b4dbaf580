"""Checks of DPoP at the credential endpoint: each attempt is a complete credential request with one bent proof.

RFC 9449 §4.3, §7; the attempts are those of the Foundation's module `dpop-negative-tests` and a few more.
"""

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from conformance.bent_token import Bend, Token
from conformance.check import EVERYWHERE, Check, Failed, NotApplicable, Registry
from conformance.exchange import Answer
from conformance.issuer_peer import Bends, IssuerPeer
from conformance.issuer_session import Session, session
from conformance.issuer_target import IssuerTarget
from specs.encoding import base64url, strict_json
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import generate_signer
from specs.protocols.dpop import DPOP_HEADER, access_token_hash

DPOP_CHECKS: Registry[IssuerTarget] = Registry()
_CLAUSE = "RFC 9449 §4.3"
_HOUR = 3600


def _session(target: IssuerTarget) -> Session:
    current = session(target, "dpop")
    if not current.peer.is_bound:
        raise NotApplicable("tokens are not bound to keys by DPoP")
    return current


def _tried(target: IssuerTarget, bends: Bends, **how: str) -> Answer:
    current = _session(target)
    peer, grant = current.peer, current.grant
    return peer.credential(grant, peer.fresh_request(grant), bends, **how)  # type: ignore[arg-type]


def _refuses(
    name: str,
    title: str,
    bends: Callable[[IssuerTarget], Bends],
    *,
    clause: str = _CLAUSE,
    scheme: str | None = None,
    is_advice: bool = False,
) -> None:
    def run(target: IssuerTarget) -> str:
        answer = _tried(target, bends(target), **({"scheme": scheme} if scheme else {}))
        if answer.status not in (400, 401):
            raise Failed("400 or 401", answer.described)
        return answer.described

    DPOP_CHECKS.enter(Check(name, clause, title, run, EVERYWHERE, is_advice))


def _accepts(
    name: str,
    title: str,
    bends: Callable[[IssuerTarget], Bends],
    *,
    clause: str = _CLAUSE,
    scheme: str | None = None,
    is_advice: bool = False,
) -> None:
    def run(target: IssuerTarget) -> str:
        answer = _tried(target, bends(target), **({"scheme": scheme} if scheme else {}))
        if answer.status not in (200, 201, 202):
            raise Failed("200 with a credential", answer.described)
        return answer.described

    DPOP_CHECKS.enter(Check(name, clause, title, run, EVERYWHERE, is_advice))


def _proof(bend: Bend) -> Callable[[IssuerTarget], Bends]:
    return lambda _target: Bends(dpop=bend)


def _headers(make: Callable[[str], list[tuple[str, str]]]) -> Callable[[IssuerTarget], Bends]:
    return lambda _target: Bends(dpop_headers=make)


def _without(name: str) -> Callable[[IssuerTarget], Bends]:
    return _proof(lambda token: token.without(name))


def _shifted(seconds: int) -> Callable[[IssuerTarget], Bends]:
    return _proof(lambda token: token.claim(iat=int(str(token.claims["iat"])) + seconds))


def _private(token: Token) -> Token:
    numbers = token.signer._ec.private_numbers() if token.signer._ec is not None else None
    secret = numbers.private_value if numbers is not None else 1
    jwk = jwk_from_public_key(token.signer.public_key)
    return token.head(jwk={**jwk, "d": base64url.encode(secret.to_bytes(32, "big"))})


def _rs256(proof: str) -> list[tuple[str, str]]:
    """The same proof, signed by an RSA key with an algorithm that FAPI forbids."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = key.public_key().public_numbers()
    jwk = {
        "kty": "RSA",
        "n": base64url.encode(numbers.n.to_bytes(256, "big")),
        "e": base64url.encode(numbers.e.to_bytes(3, "big")),
    }
    header = {"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk}
    signing_input = f"{base64url.encode(strict_json.dumps(header))}.{proof.split('.')[1]}"
    signature = key.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
    return [(DPOP_HEADER, f"{signing_input}.{base64url.encode(signature)}")]


def _changed_url(change: Callable[[str], str]) -> Callable[[IssuerTarget], Bends]:
    return _proof(lambda token: token.claim(htu=change(str(token.claims["htu"]))))


def _upper(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.upper()}://{parts.netloc.upper()}{parts.path}"


def _with_port(url: str) -> str:
    parts = urlsplit(url)
    if parts.port is not None:
        raise NotApplicable("the address names its port already")
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"))


_accepts(
    "dpop-good", "A credential request with a right proof is served", lambda _target: Bends(), clause="RFC 9449 §7.1"
)
_accepts(
    "dpop-header-capitals",
    "The header's name may be written in capitals",
    _headers(lambda proof: [("DPOP", proof)]),
    clause="RFC 9110 §5.1",
    is_advice=True,
)
_accepts(
    "dpop-scheme-case",
    "The scheme may be written in any case",
    lambda _target: Bends(),
    clause="RFC 9110 §11.1",
    scheme="dpop",
)
_accepts("dpop-htu-query", "htu may carry a query and a fragment", _changed_url(lambda url: f"{url}?a=b#c"))
_accepts(
    "dpop-extra-members",
    "Further members of header and claims are ignored",
    _proof(lambda token: token.head(x_extra="a").claim(x_extra="b")),
)
_accepts(
    "dpop-iat-10-past",
    "iat of 10 s ago is taken",
    _shifted(-10),
    clause="FAPI 2.0 Security Profile §5.3.2.1; RFC 9449 §11.1",
)
_accepts(
    "dpop-iat-10-ahead",
    "iat 10 s ahead is taken",
    _shifted(10),
    clause="FAPI 2.0 Security Profile §5.3.2.1; RFC 9449 §11.1",
)
_accepts(
    "dpop-nbf-exp",
    "nbf and exp that hold do no harm",
    _proof(lambda token: token.claim(nbf=int(str(token.claims["iat"])) - 10, exp=int(str(token.claims["iat"])) + 300)),
)
_accepts("dpop-htu-upper", "Scheme and host of htu are compared without case", _changed_url(_upper), is_advice=True)
_accepts("dpop-htu-port", "The default port in htu does no harm", _changed_url(_with_port), is_advice=True)
_refuses("dpop-missing", "A bound token without proof is refused", _headers(lambda _proof: []), clause="RFC 9449 §7.1")
_refuses(
    "dpop-bearer",
    "A bound token as Bearer token is refused",
    _headers(lambda _proof: []),
    clause="RFC 9449 §7.2",
    scheme="Bearer",
)
_refuses(
    "dpop-twice",
    "Two proofs in one request are refused",
    _headers(lambda proof: [(DPOP_HEADER, proof), (DPOP_HEADER, proof)]),
)
_refuses("dpop-no-jwt", "What is no JWT is refused", _headers(lambda _proof: [(DPOP_HEADER, "no-token")]))
_refuses("dpop-no-typ", "A proof without typ is refused", _proof(lambda token: token.without_head("typ")))
_refuses("dpop-no-alg", "A proof without alg is refused", _proof(lambda token: token.without_head("alg")))
_refuses("dpop-no-jwk", "A proof without jwk is refused", _proof(lambda token: token.without_head("jwk")))
_refuses("dpop-no-jti", "A proof without jti is refused", _without("jti"))
_refuses("dpop-no-htm", "A proof without htm is refused", _without("htm"))
_refuses("dpop-no-htu", "A proof without htu is refused", _without("htu"))
_refuses("dpop-no-iat", "A DPoP proof without iat is refused", _without("iat"))
_refuses("dpop-no-ath", "A proof without ath is refused", _without("ath"), clause="RFC 9449 §7.1")
_refuses("dpop-typ", "A DPoP proof of another typ is refused", _proof(lambda token: token.head(typ="JWT")))
_refuses(
    "dpop-rs256",
    "A proof by RS256 is refused",
    _headers(_rs256),
    clause="HAIP 1.0 §7; FAPI 2.0 Security Profile §5.4.1",
)
_refuses("dpop-unsigned", "A DPoP proof with alg none is refused", _proof(Token.unsigned))
_refuses("dpop-signature", "A DPoP proof with a broken signature is refused", _proof(Token.spoilt))
_refuses("dpop-private-key", "A proof that gives the private key away is refused", _proof(_private))
_refuses("dpop-htm", "A proof for another method is refused", _proof(lambda token: token.claim(htm="PUT")))
_refuses("dpop-htu", "A proof for another address is refused", _changed_url(lambda url: f"{url}/elsewhere"))
_refuses(
    "dpop-ath",
    "A proof for another token is refused",
    _proof(lambda token: token.claim(ath=access_token_hash("another"))),
    clause="RFC 9449 §7.1",
)
_refuses("dpop-iat-hour-past", "iat of an hour ago is refused", _shifted(-_HOUR), clause="RFC 9449 §4.3, §11.1")
_refuses("dpop-iat-hour-ahead", "iat an hour ahead is refused", _shifted(_HOUR), clause="RFC 9449 §4.3, §11.1")
_check = DPOP_CHECKS.check


@_check("dpop-other-key", "RFC 9449 §7.1")
def other_key(target: IssuerTarget) -> str:
    """A proof by another key than the token's is refused."""
    current = _session(target)
    stranger = IssuerPeer(target, instance=current.peer.instance, dpop=generate_signer())
    answer = stranger.credential(current.grant, current.peer.fresh_request(current.grant))
    if answer.status not in (400, 401):
        raise Failed("400 or 401", answer.described)
    return answer.described


@_check("dpop-jti-used", "RFC 9449 §11.1", is_advice=True)
def jti_used(target: IssuerTarget) -> str:
    """A jti is taken once."""
    jti = secrets.token_urlsafe(12)
    first = _tried(target, Bends(dpop=lambda token: token.claim(jti=jti)))
    if not first.is_good:
        raise NotApplicable(f"it is refused the first time: {first.described}")
    second = _tried(target, Bends(dpop=lambda token: token.claim(jti=jti)))
    if second.status not in (400, 401):
        raise Failed("400 or 401 the second time", second.described)
    return second.described


@_check("dpop-challenge", "RFC 9449 §7.1; RFC 6750 §3")
def challenge(target: IssuerTarget) -> str:
    """A refused token comes back with WWW-Authenticate for DPoP."""
    answer = _tried(target, Bends(dpop_headers=lambda _proof: ()))
    said = answer.headers.get("www-authenticate", "")
    if answer.status == 401 and not said.lower().startswith("dpop"):
        raise Failed("WWW-Authenticate: DPoP …", said or "no such header")
    if answer.status == 200:
        raise Failed("401", answer.described)
    return said.partition(" ")[0] or str(answer.status)


@_check("dpop-good-in-the-end", "RFC 9449 §7.1")
def good_in_the_end(target: IssuerTarget) -> str:
    """After all refusals the token still works with a right proof."""
    answer = _tried(target, Bends())
    if answer.status not in (200, 201, 202):
        raise Failed("200 with a credential", answer.described)
    return answer.described
