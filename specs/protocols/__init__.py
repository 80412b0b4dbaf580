"""Which exchange? OAuth, OpenID4VCI, OpenID4VP and DCQL as messages."""
