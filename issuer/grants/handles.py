"""Strong secrets as wallets and browsers carry them; what is stored is `issuer.secrets_at_rest.digest` of them."""

import secrets

_BYTES = 32


def new_handle() -> str:
    """43 URL-safe characters of 256 random bits (FAPI 2.0 §5.4.1 asks for 128)."""
    return secrets.token_urlsafe(_BYTES)
