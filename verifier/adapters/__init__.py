"""The verifier inside web frameworks; each adapter behind its own extra."""
