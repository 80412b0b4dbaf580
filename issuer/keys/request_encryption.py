"""The keys that wallets encrypt credential requests to (OpenID4VCI 1.0 §10): derived, so that all workers have them.

A tenant's key changes every 30 days. The one before is taken for a day longer, because metadata that somebody kept
still name it; an older one opens nothing.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from specs.keys.jwe import DecryptionKey

PERIOD = 30 * 86400  # seconds
OVERLAP = 86400  # seconds; as long as signed metadata may be kept
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_DERIVED_BYTES = 40  # 64 bits more than the order, so that no value is likelier (FIPS 186-5 §A.2.1)


@dataclass(frozen=True, slots=True)
class RequestKeys:
    """The request keys of one tenant. root: 32 random bytes outside the database, the same in all workers."""

    root: bytes = field(repr=False)
    tenant_id: str

    def current(self, *, now: int) -> DecryptionKey:
        """The key to publish. now: seconds since the epoch."""
        return _derived(self.root, self.tenant_id, now // PERIOD)

    def accepted(self, *, now: int) -> dict[str, DecryptionKey]:
        """The keys that open a request now, by `kid`: the published one, for a while also the one before."""
        keys = [self.current(now=now)]
        if now % PERIOD < OVERLAP:
            keys.append(_derived(self.root, self.tenant_id, now // PERIOD - 1))
        return {key.kid: key for key in keys}


@lru_cache(maxsize=1024)
def _derived(root: bytes, tenant_id: str, period: int) -> DecryptionKey:
    info = b"stadtnachweis request encryption\x00" + tenant_id.encode() + b"\x00" + str(period).encode()
    material = HKDF(algorithm=SHA256(), length=_DERIVED_BYTES, salt=None, info=info).derive(root)
    secret = int.from_bytes(material, "big") % (_ORDER - 1) + 1
    return DecryptionKey(f"request-{period}", ec.derive_private_key(secret, ec.SECP256R1()))
