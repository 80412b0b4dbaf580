"""An OpenID Provider for portals that speak only OpenID Connect: a login is a presentation, judged by the verifier.

A portal, or a Keycloak, adds it as an identity provider (authorization code, PKCE). Each client gets the claims of its
scopes and a pseudonym of its own; a question asks for nothing more than the scopes of the request need.
"""

from verifier.adapters.oidc.app import OidcBridge, oidc_router
from verifier.adapters.oidc.clients import ClaimSource, OidcClient, bridge_procedures
from verifier.adapters.oidc.memory import MemoryLogins

__all__ = ["ClaimSource", "MemoryLogins", "OidcBridge", "OidcClient", "bridge_procedures", "oidc_router"]
