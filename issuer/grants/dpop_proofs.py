"""DPoP proofs of requests to us: checked here, accepted once by whoever remembers them (RFC 9449 §4.3, §11.1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from issuer.grants.once import ProofPurpose, ShownProof
from specs.protocols.dpop import INVALID_DPOP_PROOF, verify_dpop_proof
from specs.protocols.oauth import OAuthError


@dataclass(frozen=True, slots=True)
class DpopRules:
    """How a tenant takes DPoP.

    required: no plain Bearer tokens. nonce_required: a proof names a nonce of ours (RFC 9449 §8). algs: JOSE
    algorithms. max_age, max_ahead: seconds.
    """

    required: bool
    nonce_required: bool
    algs: frozenset[str]
    max_age: int
    max_ahead: int


@dataclass(frozen=True, slots=True)
class BoundKey:
    """The key of a request. thumbprint: SHA-256, 32 bytes. shown: the proof, to be remembered."""

    thumbprint: bytes
    shown: ShownProof


def check_dpop_proof(
    rules: DpopRules,
    *,
    proofs: Sequence[str],
    method: str,
    url: str,
    check_nonce: Callable[[str], bool],
    now: int,
    access_token: str | None = None,
    expected_jkt: str | None = None,
) -> BoundKey:
    """Check the proof of one request; the caller remembers it in the transaction of what the request does.

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
        nonce_required=rules.nonce_required,
        allowed_algs=rules.algs,
        max_age=rules.max_age,
        max_ahead=rules.max_ahead,
    )
    refusal = OAuthError(INVALID_DPOP_PROOF, "the proof was used before", 400 if access_token is None else 401)
    return BoundKey(proof.thumbprint, ShownProof(ProofPurpose.DPOP, proof.replay_key, proof.remember_until, refusal))
