"""Pre-authorized codes that nobody stores: a MAC says for which arming of which offer one is good, and until when.

Whether an offer was redeemed, armed anew or cancelled, its own row says; a code adds nothing to that but its end.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from specs.encoding import Malformed, base64url

_OFFER, _GENERATION, _EXPIRY, _FLAG, _RANDOM, _MAC = 16, 4, 5, 1, 6, 22  # bytes; 176 bits can't be guessed
_HEAD = _OFFER + _GENERATION + _EXPIRY + _FLAG + _RANDOM
GENERATIONS_AFTER_RESTORE = 1 << 16
"""By so many an offer is ahead of its backup, in which it may have been armed less often than it was: codes live for an
hour, and nobody arms an offer so often in that time."""


@dataclass(frozen=True, slots=True)
class ArmedCode:
    """What a code is good for. generation: of the offer's secrets. expires_at: seconds since the epoch."""

    offer_id: str
    generation: int
    expires_at: int
    asks_tx_code: bool


def mint_code(armed: ArmedCode, *, tenant_id: str, key: bytes) -> str:
    """A further code of an offer. key: 32 random bytes, the same in all workers, outside the database."""
    head = (
        base64url.decode(armed.offer_id)
        + armed.generation.to_bytes(_GENERATION, "big")
        + armed.expires_at.to_bytes(_EXPIRY, "big")
        + bytes([armed.asks_tx_code])
        + secrets.token_bytes(_RANDOM)
    )
    return base64url.encode(head + _mac(head, tenant_id=tenant_id, key=key))


def read_code(code: str, *, tenant_id: str, key: bytes, now: int) -> ArmedCode | None:
    """What a code is good for; None if this tenant did not make it, or it is over. now: seconds since the epoch."""
    try:
        raw = base64url.decode(code)
    except Malformed:
        return None
    head, mac = raw[:_HEAD], raw[_HEAD:]
    if not hmac.compare_digest(mac, _mac(head, tenant_id=tenant_id, key=key)):
        return None
    generation_at, expiry_at = _OFFER + _GENERATION, _OFFER + _GENERATION + _EXPIRY
    expires_at = int.from_bytes(head[generation_at:expiry_at], "big")
    if expires_at <= now:
        return None
    return ArmedCode(
        base64url.encode(head[:_OFFER]),
        int.from_bytes(head[_OFFER:generation_at], "big"),
        expires_at,
        bool(head[expiry_at]),
    )


def _mac(head: bytes, *, tenant_id: str, key: bytes) -> bytes:
    return hmac.digest(key, tenant_id.encode() + b"\x00" + head, hashlib.sha256)[:_MAC]
