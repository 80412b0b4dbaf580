"""Tests of what wallets call."""
