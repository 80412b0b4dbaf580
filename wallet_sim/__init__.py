"""A simulated wallet: it behaves, or misbehaves on request."""
