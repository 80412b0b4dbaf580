"""Server nonces that nobody stores: a MAC says who made one, for what, and until when.

One format serves the `c_nonce` of key proofs (OpenID4VCI 1.0 §7), the DPoP nonce (RFC 9449 §8) and the challenge of the
client attestation (draft-ietf-oauth-attestation-based-client-auth §8). Tenant and purpose are inside the MAC, so that a
nonce of one is worth nothing to another. Whether one was used before is the business of whoever redeems it.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from specs.encoding import Malformed, base64url

_RANDOM_BYTES = 16
_EXPIRY_BYTES = 8
_MAC_BYTES = 32
_LENGTH = _EXPIRY_BYTES + _RANDOM_BYTES + _MAC_BYTES


class NoncePurpose(StrEnum):
    """What a nonce is good for."""

    KEY_PROOF = "c_nonce"
    DPOP = "dpop"
    CLIENT_ATTESTATION = "client_attestation"


class NonceRefused(Exception):
    """A nonce that we did not make for this tenant and purpose, or that is past its end."""


@dataclass(frozen=True, slots=True)
class Nonces:
    """Makes and recognises nonces.

    key: at least 32 random bytes, the same in all workers, outside the database. lifetime: seconds.
    """

    key: bytes = field(repr=False)
    lifetime: int = 300

    def fresh(self, *, tenant: str, purpose: NoncePurpose, now: int) -> str:
        """A new, unpredictable nonce (OpenID4VCI §7.2). now: seconds since the epoch."""
        head = (now + self.lifetime).to_bytes(_EXPIRY_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
        return base64url.encode(head + self._mac(head, tenant=tenant, purpose=purpose))

    def check(self, value: str, *, tenant: str, purpose: NoncePurpose, now: int) -> int:
        """The second since the epoch at which this nonce ends.

        Raises:
            NonceRefused: not made by us, for another tenant or purpose, or over.
        """
        try:
            raw = base64url.decode(value)
        except Malformed as error:
            raise NonceRefused("not a nonce of ours") from error
        if len(raw) != _LENGTH:
            raise NonceRefused("not a nonce of ours")
        head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(head, tenant=tenant, purpose=purpose)):
            raise NonceRefused("not a nonce of ours")
        expires_at = int.from_bytes(head[:_EXPIRY_BYTES], "big")
        if expires_at <= now:
            raise NonceRefused("the nonce is over")
        return expires_at

    def _mac(self, head: bytes, *, tenant: str, purpose: NoncePurpose) -> bytes:
        label = f"{purpose}\x00{tenant}\x00".encode()
        return hmac.new(self.key, label + head, hashlib.sha256).digest()
