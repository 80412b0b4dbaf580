"""Signatures of webhooks as Standard Webhooks 1.0 has them: `v1` (HMAC-SHA-256) and `v1a` (Ed25519)."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET_PREFIX, PUBLIC_KEY_PREFIX = "whsec_", "whpk_"
SECRET_BYTES = 32  # the specification asks for 24 to 64


@dataclass(frozen=True, slots=True)
class WebhookKeys:
    """What one endpoint's webhooks are signed with."""

    secret: bytes = field(repr=False)
    signing_key: Ed25519PrivateKey | None = field(default=None, repr=False)

    @property
    def shared_secret(self) -> str:
        """The secret as the receiver's library takes it."""
        return SECRET_PREFIX + base64.b64encode(self.secret).decode()

    @property
    def public_key(self) -> str | None:
        """The key that verifies `v1a`, if there is one."""
        if self.signing_key is None:
            return None
        return PUBLIC_KEY_PREFIX + base64.b64encode(self.signing_key.public_key().public_bytes_raw()).decode()


def new_keys(*, asymmetric: bool) -> WebhookKeys:
    """Fresh keys for an endpoint."""
    return WebhookKeys(secrets.token_bytes(SECRET_BYTES), Ed25519PrivateKey.generate() if asymmetric else None)


def signed_headers(keys: WebhookKeys, *, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a webhook. timestamp: of this attempt, seconds since the epoch."""
    message = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [f"v1,{base64.b64encode(hmac.new(keys.secret, message, hashlib.sha256).digest()).decode()}"]
    if keys.signing_key is not None:
        signatures.append(f"v1a,{base64.b64encode(keys.signing_key.sign(message)).decode()}")
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
