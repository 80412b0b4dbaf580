"""DPoP proofs of requests to us: checked, and each accepted once (RFC 9449 §4.3, §11.1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from issuer.grants.once import ProofPurpose, remember_proof
from issuer.store.engine import Store
from specs.protocols.dpop import INVALID_DPOP_PROOF, DpopProof, verify_dpop_proof
from specs.protocols.oauth import OAuthError


@dataclass(frozen=True, slots=True)
class DpopRules:
    """How a tenant takes DPoP. required: no plain Bearer tokens. algs: JOSE algorithms. max_age, max_ahead: seconds."""

    required: bool
    algs: frozenset[str]
    max_age: int
    max_ahead: int


async def check_dpop_proof(
    store: Store,
    rules: DpopRules,
    *,
    tenant_id: str,
    proofs: Sequence[str],
    method: str,
    url: str,
    check_nonce: Callable[[str], bool],
    now: int,
    access_token: str | None = None,
    expected_jkt: str | None = None,
) -> DpopProof:
    """Check the proof of one request and remember it.

    proofs: all values of the `DPoP` header. url: the address that wallets know. now: seconds since the epoch.

    Raises:
        OAuthError: `invalid_dpop_proof` or `use_dpop_nonce`, 400 or, with an access token, 401.
    """
    proof = verify_dpop_proof(
        proofs,
        expected_method=method,
        expected_url=url,
        now=now,
        access_token=access_token,
        expected_jkt=expected_jkt,
        check_nonce=check_nonce,
        allowed_algs=rules.algs,
        max_age=rules.max_age,
        max_ahead=rules.max_ahead,
    )
    async with store.transaction() as session:
        is_first = await remember_proof(
            session,
            tenant_id=tenant_id,
            purpose=ProofPurpose.DPOP,
            replay_key=proof.replay_key,
            remember_until=proof.remember_until,
        )
    if not is_first:
        raise OAuthError(INVALID_DPOP_PROOF, "the proof was used before", 400 if access_token is None else 401)
    return proof
