"""The city's side of the issuer: registers, deferral, caps, renewal, webhooks, logins."""
