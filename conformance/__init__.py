"""The suite that judges any issuer, verifier or wallet, known by URL only."""
