"""Things that may happen once: one INSERT decides who was first, over all workers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.store.statements import Cells, Run, Statement, together
from issuer.store.tables import UsedJti, UsedNonce
from specs.protocols.key_proof import INVALID_NONCE
from specs.protocols.oauth import OAuthError


def _first(model: type[UsedNonce] | type[UsedJti]) -> Statement:
    """An INSERT that returns its row if nobody was faster; the count of rows is not told alike by all drivers.

    Whoever inserts several does so in one order everywhere, so that two requests never wait for each other.
    """
    names = list(model.model_fields)
    return Statement(
        *(
            dialect.insert(model)
            .values({name: bindparam(name) for name in names})
            .on_conflict_do_nothing()
            .returning(col(model.digest))
            for dialect in (postgresql, sqlite)
        )
    )


_NONCE_USED, _PROOF_SHOWN = _first(UsedNonce), _first(UsedJti)


class ProofPurpose(StrEnum):
    """Which kind of proof a `jti` was in."""

    DPOP = "dpop"
    ATTESTATION_POP = "attestation_pop"
    CLIENT_ASSERTION = "client_assertion"


@dataclass(frozen=True, slots=True)
class LiveNonce:
    """A nonce that we recognised as ours; expires_at in seconds since the epoch."""

    value: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class ShownProof:
    """A proof that was found good and must be the first of its kind.

    replay_key: what stands for its key and `jti`. remember_until: seconds since the epoch after which it is too old
    anyway. refusal: what the wallet is told if it was shown before.
    """

    purpose: ProofPurpose
    replay_key: bytes
    remember_until: int
    refusal: OAuthError


@dataclass(frozen=True, slots=True)
class Once:
    """Something that may happen once. run: returns a row if it happens now. refusal: what the wallet is told if not."""

    run: Run
    refusal: OAuthError


async def happen_first(session: AsyncSession, once: Sequence[Once], *others: Run) -> list[list[Cells]]:
    """Let all of it happen, in one step with other statements; what those select or return.

    Raises:
        OAuthError: the first refusal; the caller's transaction takes everything back, the other statements too.
    """
    happened = await together(session, *(each.run for each in once), *others)
    for each, rows in zip(once, happened, strict=False):
        if not rows:
            raise each.refusal
    return happened[len(once) :]


def nonces_used(tenant_id: str, nonces: Iterable[LiveNonce]) -> list[Once]:
    """Each distinct nonce of a request is used up, all or none (OpenID4VCI §8.2)."""
    distinct = {sha256(nonce.value.encode()).digest(): nonce.expires_at for nonce in nonces}
    refusal = OAuthError(INVALID_NONCE, "the nonce was used before")
    return [
        Once(_NONCE_USED.given(tenant_id=tenant_id, digest=digest, expires_at=distinct[digest]), refusal)
        for digest in sorted(distinct)
    ]


def proofs_shown(tenant_id: str, proofs: Iterable[ShownProof]) -> list[Once]:
    """The proofs of a request, noted in the transaction of what the request does (RFC 9449 §11.1)."""
    return [
        Once(
            _PROOF_SHOWN.given(
                tenant_id=tenant_id,
                purpose=proof.purpose.value,
                digest=proof.replay_key,
                expires_at=proof.remember_until,
            ),
            proof.refusal,
        )
        for proof in sorted(proofs, key=lambda proof: (proof.purpose, proof.replay_key))
    ]
