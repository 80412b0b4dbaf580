"""A portal that embeds the verifier, once for each web framework: the least that works, to begin from."""
