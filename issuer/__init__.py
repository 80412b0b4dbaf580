"""The service that mints credentials: application back ends call its City API, wallets talk OpenID4VCI to it."""
