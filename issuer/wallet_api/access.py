"""The access token that protects a request, and the proof that its key sent it (RFC 6750 §2.1, RFC 9449 §7.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request

from issuer.grants.dpop_proofs import check_dpop_proof
from issuer.grants.once import ShownProof
from issuer.grants.tokens import LiveToken, find_live_token
from issuer.nonces import NoncePurpose
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.rules import dpop_rules
from issuer.wallet_api.wire import NoToken, nonce_check
from specs.encoding import base64url
from specs.protocols.dpop import DPOP_HEADER
from specs.protocols.oauth import INVALID_TOKEN, OAuthError

_MAX_TOKEN_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Access:
    """A request that may be answered. shown: to be remembered in the transaction of what the request does."""

    token: LiveToken
    shown: tuple[ShownProof, ...]


async def authorized(service: IssuerService, tenant: ActiveTenant, request: Request, *, path: str, now: int) -> Access:
    """The token of a request, proven by its key. path: of the endpoint, below the issuer's identifier.

    Raises:
        OAuthError: 401, `invalid_token`, `invalid_dpop_proof` or `use_dpop_nonce`; `NoToken` without any.
    """
    scheme, access_token = parse_authorization(request.headers.getlist("authorization"))
    async with service.store.reading() as session:
        token = await find_live_token(session, tenant_id=tenant.id, access_token=access_token, now=now)
    if token is None:
        raise OAuthError(INVALID_TOKEN, "the access token is not, or no longer, valid", 401)
    if scheme != ("bearer" if token.dpop_jkt is None else "dpop"):
        raise OAuthError(INVALID_TOKEN, "the access token belongs to another scheme", 401)
    if token.dpop_jkt is None:
        return Access(token, ())
    key = check_dpop_proof(
        dpop_rules(tenant, service.settings),
        proofs=request.headers.getlist(DPOP_HEADER),
        method="POST",
        url=f"{tenant.issuer_url}{path}",
        check_nonce=nonce_check(service, tenant, NoncePurpose.DPOP, now=now),
        now=now,
        access_token=access_token,
        expected_jkt=base64url.encode(token.dpop_jkt),
    )
    return Access(token, (key.shown,))


def parse_authorization(values: Sequence[str]) -> tuple[str, str]:
    """Scheme (lower case) and token of the `Authorization` header.

    Raises:
        OAuthError: 401, there is not exactly one of the two schemes we know.
    """
    if not values:
        raise NoToken
    scheme, _, access_token = values[0].strip().partition(" ")
    if len(values) != 1 or scheme.lower() not in ("dpop", "bearer") or len(access_token) > _MAX_TOKEN_CHARACTERS:
        raise OAuthError(INVALID_TOKEN, "exactly one access token is needed", 401)
    return scheme.lower(), access_token.strip()
