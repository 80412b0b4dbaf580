"""DPoP: a token that only works together with a key, and the proof that this key sent this request (RFC 9449).

Building is the wallet's side (§4.2), verifying the server's (§4.3). Whether a `jti` was seen before is the caller's
business: store `replay_key` until `remember_until` and refuse what is there already (§11.1).
"""

import hmac
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from urllib.parse import urlsplit

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import SIGNATURE_ALGS, PublicKey, build_jws, jwk_from_public_key, parse_jws, verify_jws
from specs.keys.signer import Signer
from specs.protocols.jwt_claims import (
    MAX_AGE,
    MAX_AHEAD,
    ClaimError,
    check_freshness,
    check_validity,
    optional_string,
    public_key,
    required_string,
    required_time,
    usable_algs,
)
from specs.protocols.oauth import OAuthError
from specs.refusal import ReasonCode, Refusal

DPOP_TYP = "dpop+jwt"
DPOP_HEADER = "DPoP"
DPOP_NONCE_HEADER = "DPoP-Nonce"
INVALID_DPOP_PROOF = "invalid_dpop_proof"
USE_DPOP_NONCE = "use_dpop_nonce"

_MAX_PROOF_CHARACTERS = 16 * 1024
_DEFAULT_PORTS = {"https": 443, "http": 80}
_NO_URL_CHARACTER = re.compile(r"[^\x21-\x7e]|%(?![0-9A-Fa-f]{2})")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class DpopProof:
    """A proof that holds.

    thumbprint: 32 bytes; jkt: the same as text, what a token is bound to. replay_key: 32 bytes that stand for this
    `jti` of this key at this URL, to be refused a second time until `remember_until` (seconds since the epoch).
    """

    key: PublicKey
    thumbprint: bytes
    jkt: str
    jti: str
    issued_at: float
    nonce: str | None
    replay_key: bytes
    remember_until: int


def build_dpop_proof(
    *,
    signer: Signer,
    method: str,
    url: str,
    now: int,
    jti: str | None = None,
    access_token: str | None = None,
    nonce: str | None = None,
) -> str:
    """A proof for one request (RFC 9449 §4.2).

    url: the request's; query and fragment are left out. now: seconds since the epoch. jti: a fresh random one by
    default.
    access_token: the token that goes with the request (§7). nonce: the newest `DPoP-Nonce` of this server (§8).
    """
    claims: JsonObject = {
        "jti": jti or secrets.token_urlsafe(16),
        "htm": method,
        "htu": url.partition("#")[0].partition("?")[0],
        "iat": now,
    }
    if access_token is not None:
        claims["ath"] = access_token_hash(access_token)
    if nonce is not None:
        claims["nonce"] = nonce
    header: JsonObject = {"jwk": dict(jwk_from_public_key(signer.public_key))}
    return build_jws(strict_json.dumps(claims), signer=signer, typ=DPOP_TYP, header=header)


def verify_dpop_proof(
    proofs: Sequence[str],
    *,
    expected_method: str,
    expected_url: str,
    now: int,
    access_token: str | None = None,
    expected_jkt: str | None = None,
    check_nonce: Callable[[str], bool] | None = None,
    nonce_required: bool = False,
    allowed_algs: Collection[str] = SIGNATURE_ALGS,
    max_age: int = MAX_AGE,
    max_ahead: int = MAX_AHEAD,
) -> DpopProof:
    """Check the proof of one request (RFC 9449 §4.3, §7.1, §8, §11.1).

    proofs: all values of the request's `DPoP` header, as they came. access_token, expected_jkt: at a resource server
    the token sent along and the thumbprint it is bound to; at the token endpoint None and, for a bound code or refresh
    token, its thumbprint.
    check_nonce: says whether a nonce is one of ours and still live; None if this server gives none. A live nonce
    decides how fresh the proof is, in place of `iat`; its life must not be longer than `max_age`. now, max_age,
    max_ahead: seconds.

    Raises:
        OAuthError: `invalid_dpop_proof` or `use_dpop_nonce` (the caller adds a fresh `DPoP-Nonce`); status 400 at the
            authorization server, 401 where an access token came along (§7.1).
    """
    status = 400 if access_token is None else 401
    if len(proofs) != 1:
        raise OAuthError(INVALID_DPOP_PROOF, "exactly one DPoP header is needed", status)
    try:
        return _verify(
            proofs[0],
            expected_method=expected_method,
            expected_url=expected_url,
            now=now,
            access_token=access_token,
            expected_jkt=expected_jkt,
            check_nonce=check_nonce,
            nonce_required=nonce_required,
            allowed_algs=allowed_algs,
            max_age=max_age,
            max_ahead=max_ahead,
        )
    except Refusal as refusal:
        if refusal.reason is ReasonCode.NONCE_MISMATCH:
            raise OAuthError(USE_DPOP_NONCE, "a fresh nonce is needed in the DPoP proof", status) from refusal
        raise OAuthError(INVALID_DPOP_PROOF, f"the DPoP proof does not hold: {refusal}", status) from refusal


def access_token_hash(access_token: str) -> str:
    """The value of `ath` (RFC 9449 §4.2)."""
    return base64url.encode(sha256(access_token.encode("utf-8")).digest())


def dpop_challenge(*, error: str | None = None, description: str = "", algs: Collection[str] = SIGNATURE_ALGS) -> str:
    """The value of `WWW-Authenticate` of a resource server; no `error` if no token came at all (RFC 9449 §7.1)."""
    parts = [f'error="{error}"'] if error else []
    if error and description:
        parts.append(f'error_description="{description}"')
    parts.append(f'algs="{" ".join(sorted(algs))}"')
    return "DPoP " + ", ".join(parts)


@lru_cache(maxsize=256)
def normalised_url(url: str) -> str:
    """A URL in its one form, without query and fragment (RFC 3986 §6.2.2, §6.2.3; RFC 9449 §4.3).

    Raises:
        ClaimError: not an absolute http(s) URL.
    """
    if _NO_URL_CHARACTER.search(url) or "\\" in url:
        raise ClaimError(ReasonCode.CLAIM_INVALID, "htu is no URL")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ClaimError(ReasonCode.CLAIM_INVALID, "htu is no URL") from error
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        raise ClaimError(ReasonCode.CLAIM_INVALID, "htu is no absolute URL")
    name = f"[{host}]" if ":" in host else _PERCENT.sub(_normalised_percent, host).lower()
    place = name if port in (None, _DEFAULT_PORTS[scheme]) else f"{name}:{port}"
    return f"{scheme}://{place}{_without_dots(_PERCENT.sub(_normalised_percent, parts.path))}"


def _verify(
    proof: str,
    *,
    expected_method: str,
    expected_url: str,
    now: int,
    access_token: str | None,
    expected_jkt: str | None,
    check_nonce: Callable[[str], bool] | None,
    nonce_required: bool,
    allowed_algs: Collection[str],
    max_age: int,
    max_ahead: int,
) -> DpopProof:
    if len(proof) > _MAX_PROOF_CHARACTERS:
        raise ClaimError(ReasonCode.LIMIT_EXCEEDED, "too long")
    jws = parse_jws(proof, expected_typ=DPOP_TYP, allowed_algs=usable_algs(allowed_algs))
    key, thumbprint = public_key(jws.header.get("jwk"))
    verify_jws(jws, key)
    claims = jws.claims()
    jti = required_string(claims, "jti")
    issued_at = required_time(claims, "iat")
    if required_string(claims, "htm") != expected_method:
        raise ClaimError(ReasonCode.CLAIM_INVALID, "htm is another method")
    url = normalised_url(expected_url)
    htu = required_string(claims, "htu")
    if htu != url and normalised_url(htu) != url:
        raise ClaimError(ReasonCode.AUDIENCE_MISMATCH, "htu is another address")
    jkt = base64url.encode(thumbprint)
    if access_token is not None and not _same(required_string(claims, "ath"), access_token_hash(access_token)):
        raise ClaimError(ReasonCode.CLAIM_INVALID, "ath is another token")
    if expected_jkt is not None and not _same(jkt, expected_jkt):
        raise ClaimError(ReasonCode.KEY_INVALID, "another key than the bound one")
    check_validity(claims, now=now, skew=max_ahead)
    nonce = optional_string(claims, "nonce")
    if check_nonce is None or (nonce is None and not nonce_required):
        check_freshness(issued_at, now=now, max_age=max_age, max_ahead=max_ahead)
        remember_until = int(issued_at) + max_age + 1
    elif nonce is not None and check_nonce(nonce):
        remember_until = now + max_age + 1
    else:
        raise ClaimError(ReasonCode.NONCE_MISMATCH, "nonce")
    replay_key = sha256(b"\x00".join((thumbprint, url.encode(), jti.encode()))).digest()
    return DpopProof(key, thumbprint, jkt, jti, issued_at, nonce, replay_key, remember_until)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _normalised_percent(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else f"%{match[1].upper()}"


def _without_dots(path: str) -> str:
    """Remove `.` and `..` segments (RFC 3986 §5.2.4)."""
    if "/." not in path:
        return path or "/"
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
