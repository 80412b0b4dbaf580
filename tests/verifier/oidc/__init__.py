"""The bridge for portals that speak only OpenID Connect."""
