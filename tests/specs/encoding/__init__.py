"""Strict reading: each ambiguity refused."""
