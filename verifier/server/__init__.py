"""The verifier as a service of its own, for portals not written in Python: an HTTP API over `verifier.Verifier`."""
