"""The wallet's own provider: attests to issuers what wallet this is and where its keys live (OpenID4VCI App. D, E)."""

import secrets
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
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
    build_self_signed_certificate,
    serial_number,
)
from specs.trust.trust_list import (
    SERVICE_TYPES,
    WALLET_PROVIDERS,
    ListedEntity,
    ListedService,
    TrustList,
    build_trust_list,
)
from wallet_sim.store import WalletStore, private_bytes, private_key

CLIENT_ID = "https://wallet.example/stadtnachweis-simulator"
ATTESTER_NAME = "https://wallet.example"
ATTESTATION_SECONDS = 3600
LIST_SECONDS = 30 * 86400
WALLET_ISSUANCE = f"{SERVICE_TYPES}WalletSolution/Issuance"
HIGH = ("iso_18045_high",)


class WalletProvider:
    """Attests for one simulated wallet; issuers trust its root, from `anchor_pem` or from its own `trust_list`."""

    def __init__(self, root: bytes, identity: SigningIdentity, publisher: SigningIdentity) -> None:
        self._root = root
        self._identity = identity
        self._publisher = publisher

    @classmethod
    def of(cls, store: WalletStore, *, now: int) -> "WalletProvider":
        """The provider of a wallet's file; made at the first call. now: seconds since the epoch."""
        root_key = _key(store, "provider-root-key")
        attester_key = _key(store, "provider-attester-key")
        root = store.secret("provider-root") or store.keep_secret("provider-root", _root(root_key, now))
        attester = store.secret("provider-attester") or store.keep_secret(
            "provider-attester", _attester(Authority(root, root_key), attester_key, now)
        )
        list_key = _key(store, "provider-list-key")
        publisher = store.secret("provider-list") or store.keep_secret("provider-list", _publisher(list_key, now))
        return cls(
            root,
            SigningIdentity(FileSigner(attester_key), (attester,)),
            SigningIdentity(FileSigner(list_key), (publisher,)),
        )

    def anchor_pem(self) -> bytes:
        """The root certificate, for an issuer's list of trusted wallet providers."""
        return _pem(self._root)

    def publisher_pem(self) -> bytes:
        """The certificate that signs the trust list, for whoever reads it to pin."""
        return _pem(self._publisher.chain[0])

    def trust_list(self, *, now: int) -> str:
        """A signed list of wallet providers with this one alone (ETSI TS 119 602 Annex E). now: seconds."""
        name = "Simulated Wallet Provider"
        service = ListedService(WALLET_ISSUANCE, name, (self._root,))
        listed = TrustList(
            type=WALLET_PROVIDERS,
            operator=name,
            territory="DE",
            sequence=now,  # grows with each list
            issued_at=now,
            next_update=now + LIST_SECONDS,
            entities=(ListedEntity(name, (service,)),),
        )
        return build_trust_list(listed, identity=self._publisher)

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
            attester_name=ATTESTER_NAME,
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


def _publisher(key: PrivateKey, now: int) -> bytes:
    subject = SubjectName(common_name="Simulated Wallet Provider List", country="DE")
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # as `_key` makes them
    return build_self_signed_certificate(key=key, subject=subject, serial=_serial(), now=now)


def _pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


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
