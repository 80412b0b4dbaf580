"""Credentials: published vectors, peers, and each rule broken once."""
