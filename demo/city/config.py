"""What the city service is told at its start: a JSON file, read once."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from verifier import AnchorKind, TrustDomain, anchors_from_pem


class DomainConfig(BaseModel):
    """Who may issue a type, and publish its status: PEM files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    credentials: Path
    status: Path

    def load(self) -> TrustDomain:
        """The trust domain of the files."""
        return TrustDomain(
            name=self.name,
            anchors=anchors_from_pem(
                self.credentials.read_bytes(), kind=AnchorKind.CA, name=f"{self.name}: credentials"
            ),
            status_anchors=anchors_from_pem(self.status.read_bytes(), kind=AnchorKind.CA, name=f"{self.name}: status"),
        )


class CityConfig(BaseModel):
    """Settings of the city service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    public_url: str  # scheme, host and port
    database: Path  # SQLite file of its transactions
    access_key: Path  # PEM, private key of the access certificate
    access_chain: Path  # PEM, the access certificate and intermediates, leaf first
    pid: DomainConfig
    leipzig_pass: DomainConfig
    wallet_link: str  # scheme that opens a wallet, such as openid4vp://
