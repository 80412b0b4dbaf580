"""What the target's tenant has arranged: the suite's wallets as clients, at home wherever it runs, and a register."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from issuer.oidf.register import URL
from issuer.tenant_file import Register, TenantFile
from issuer.wallet_clients import RegisteredClient
from specs.keys.jose import PublicKey, jwk_from_public_key, thumbprint


class SuiteClient(RegisteredClient):
    """A wallet that a module of the suite plays, under the address of its plan's alias."""

    def may_go_to(self, redirect_uri: str) -> bool:
        """Any `…/callback`, with or without a query: the suite and the alias are not known beforehand."""
        parts = urlsplit(redirect_uri)
        return parts.scheme == "https" and parts.path.endswith("/callback")


def arranged(clients: Mapping[str, ec.EllipticCurvePrivateKey], *, register_key: PublicKey) -> TenantFile:
    """What the target's tenant has arranged: its wallets, by client_id, and the register of its renewable type."""
    return TenantFile(
        registers={"oidf": Register(url=URL, key=jwk_from_public_key(register_key))},
        claims_sources={"pid_attested": "oidf"},
        wallet_clients=tuple(_client(client_id, key) for client_id, key in clients.items()),
    )


def _client(client_id: str, key: ec.EllipticCurvePrivateKey) -> SuiteClient:
    public = jwk_from_public_key(key.public_key())
    return SuiteClient(client_id=client_id, keys=({**public, "kid": thumbprint(public)},))
