"""What application back ends of a city call under /api/v1: offers, credentials, and a token for both."""
