"""Tests of the messages between issuer, wallet and verifier."""
