"""A target for the verifier plans of the OpenID Foundation's conformance suite: it asks, the suite answers."""
