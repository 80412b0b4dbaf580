"""What wallets call under https://HOST/t/{tenant}: metadata, authorization, token, nonce, credential, notification."""
