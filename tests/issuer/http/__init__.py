"""What stands between the network and the issuer's routers: TLS, reverse proxies."""
