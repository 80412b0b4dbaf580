"""Wallets that others wrote, from their package registry: they collect from our issuer over HTTP."""
