"""A target for the OpenID Foundation's conformance suite: a test tenant that the suite can drive without a person."""
