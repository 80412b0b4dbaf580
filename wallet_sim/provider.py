"""The wallet's own provider: attests to issuers what wallet this is and where its keys live (OpenID4VCI App. D, E)."""

import secrets
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from specs.keys.jose import PrivateKey, PublicKey
from specs.keys.signer import FileSigner, Signer, SigningIdentity, generate_private_key
from specs.protocols.client_attestation import build_client_attestation
from specs.protocols.key_attestation import build_key_attestation
from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_attester,
    build_root_ca,
    serial_number,
)
from wallet_sim.store import WalletStore, private_bytes, private_key

CLIENT_ID = "https://wallet.example/stadtnachweis-simulator"
ATTESTATION_SECONDS = 3600
HIGH = ("iso_18045_high",)


class WalletProvider:
    """Attests for one simulated wallet; its root is in `anchor_pem`, for issuers to trust."""

    def __init__(self, root: bytes, identity: SigningIdentity) -> None:
        self._root = root
        self._identity = identity

    @classmethod
    def of(cls, store: WalletStore, *, now: int) -> "WalletProvider":
        """The provider of a wallet's file; made at the first call. now: seconds since the epoch."""
        root_key = _key(store, "provider-root-key")
        attester_key = _key(store, "provider-attester-key")
        root = store.secret("provider-root") or store.keep_secret("provider-root", _root(root_key, now))
        attester = store.secret("provider-attester") or store.keep_secret(
            "provider-attester", _attester(Authority(root, root_key), attester_key, now)
        )
        return cls(root, SigningIdentity(FileSigner(attester_key), (attester,)))

    def anchor_pem(self) -> bytes:
        """The root certificate, for an issuer's list of trusted wallet providers."""
        return x509.load_der_x509_certificate(self._root).public_bytes(Encoding.PEM)

    @property
    def signer(self) -> Signer:
        """Signs what is attested."""
        return self._identity.signer

    def client_attestation(self, instance_key: PublicKey, *, now: int) -> str:
        """What wallet this is; a fresh one for each issuer (HAIP §4.4.1)."""
        return build_client_attestation(
            attester=self._identity,
            client_id=CLIENT_ID,
            instance_key=instance_key,
            now=now,
            lifetime=ATTESTATION_SECONDS,
            attester_name="https://wallet.example",
            wallet_name="Stadtnachweis simulator",
        )

    def key_attestation(self, keys: Sequence[PublicKey], *, nonce: str | None, now: int) -> str:
        """Where keys live: as safe as anything, says the simulator."""
        return build_key_attestation(
            attester=self._identity,
            keys=keys,
            now=now,
            lifetime=ATTESTATION_SECONDS,
            nonce=nonce,
            key_storage=HIGH,
            user_authentication=HIGH,
        )


def _key(store: WalletStore, name: str) -> PrivateKey:
    kept = store.secret(name) or store.keep_secret(name, private_bytes(generate_private_key()))
    return private_key(kept)


def _serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))


def _root(key: PrivateKey, now: int) -> bytes:
    subject = SubjectName(common_name="Simulated Wallet Provider Root", country="DE")
    return build_root_ca(key=key, subject=subject, serial=_serial(), now=now)


def _attester(authority: Authority, key: PrivateKey, now: int) -> bytes:
    return build_attester(
        authority=authority,
        public_key=key.public_key(),
        subject=SubjectName(common_name="Simulated Wallet Provider", country="DE"),
        serial=_serial(),
        now=now,
    )
