"""The suite's two wallets as registered clients: with keys of their own, at home wherever the suite runs."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from issuer.tenant_file import TenantFile
from issuer.wallet_clients import RegisteredClient
from specs.keys.jose import jwk_from_public_key, thumbprint


class SuiteClient(RegisteredClient):
    """A wallet that a module of the suite plays, under the address of its plan's alias."""

    def may_go_to(self, redirect_uri: str) -> bool:
        """Any `…/callback`, with or without a query: the suite and the alias are not known beforehand."""
        parts = urlsplit(redirect_uri)
        return parts.scheme == "https" and parts.path.endswith("/callback")


def known_clients(keys: Mapping[str, ec.EllipticCurvePrivateKey]) -> TenantFile:
    """What the target's tenant has arranged: its wallets, by client_id."""
    return TenantFile(wallet_clients=tuple(_client(client_id, key) for client_id, key in keys.items()))


def _client(client_id: str, key: ec.EllipticCurvePrivateKey) -> SuiteClient:
    public = jwk_from_public_key(key.public_key())
    return SuiteClient(client_id=client_id, keys=({**public, "kid": thumbprint(public)},))
