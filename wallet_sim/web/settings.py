"""The settings of a wallet that is served: a YAML file, in which unknown members are errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict, Field

from specs.encoding.placed_yaml import FileInvalid, parse_model
from specs.keys.jose import PublicKey
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import AnchorKind, TrustAnchor, anchors_from_pem
from wallet_sim.conduct import HONEST, Conduct
from wallet_sim.misbehaviour import Misconduct, find_misbehaviour
from wallet_sim.present import Habits
from wallet_sim.store import read_credential
from wallet_sim.transport import Transport, new_client
from wallet_sim.wallet import Wallet

Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")]
WalletName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeptCredential(_Model):
    """A credential that is put into a wallet at the start, unless it is there.

    file: compact SD-JWT, or an mdoc's IssuerSigned in base64url. key: the holder's private key (PEM). name: what people
    call it.
    """

    file: Path
    key: Path
    name: str = "Credential"


class WalletEntry(_Model):
    """One wallet. name: in its addresses. file: its keys and credentials. credentials: what it holds from the start."""

    name: WalletName
    file: Path
    credentials: tuple[KeptCredential, ...] = ()


class Login(_Model):
    """With what an unattended wallet logs in at an authorization server."""

    username: str
    password: str


class WalletSettings(_Model):
    """All that a served wallet is told. Paths are relative to the file.

    wallets: at least one; the first answers at the addresses without a name. issuer_anchors: PEM files with roots of
    those who may issue (none: whoever does). verifier_anchors: of access certificates of those who may ask (none:
    nobody). metadata_anchors: of access certificates of issuers; with some, signed metadata are asked for.
    known_verifiers: certificates (PEM) of verifiers that were told to the wallet beforehand, by their client
    identifier. registrar_anchors: of those who say what a verifier may ask. status_anchors: of those who sign status
    lists (none: whoever does). reader_anchors: of readers that may ask on the spot (none: any). transaction_types:
    kinds of transaction data that can be agreed to. answers_unsigned: also questions that nobody signed.
    registered_only: deal with registered issuers and verifiers alone, as the German wallet. tells_mistakes: who asks
    wrongly is told so. haip: hold each question to HAIP 1.0. page_origins: pages that may ask by the page script.
    allow_loopback_http: talk plain http to this machine, and let its pages ask, too. loopback_tls_unchecked: take
    whatever certificate a server of this machine shows. by_details: ask by authorization details, even for what has a
    scope. copies: of each credential. tx_code, login: what an unattended wallet types in. redirect_uri: where its login
    comes back to. tls_certificate, tls_key: serve https with these (PEM). misbehave: one thing that it does wrong.
    """

    wallets: Annotated[tuple[WalletEntry, ...], Field(min_length=1)]
    issuer_anchors: tuple[Path, ...] = ()
    verifier_anchors: tuple[Path, ...] = ()
    known_verifiers: Mapping[str, Path] = Field(default_factory=dict)
    metadata_anchors: tuple[Path, ...] = ()
    registrar_anchors: tuple[Path, ...] = ()
    status_anchors: tuple[Path, ...] = ()
    reader_anchors: tuple[Path, ...] = ()
    transaction_types: tuple[str, ...] = ()
    answers_unsigned: bool = False
    registered_only: bool = False
    tells_mistakes: bool = True
    haip: bool = False
    page_origins: tuple[Origin, ...] = ()
    allow_loopback_http: bool = False
    loopback_tls_unchecked: bool = False
    by_details: bool = False
    copies: Annotated[int, Field(ge=1, le=100)] = 1
    tx_code: str | None = None
    login: Login | None = None
    redirect_uri: str = "https://wallet.example/callback"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    misbehave: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """The wallets of one settings file, ready. transport: with the conduct that all of them have."""

    settings: WalletSettings
    wallets: Mapping[str, Wallet]
    conduct: Conduct
    status_anchors: tuple[TrustAnchor, ...] = ()
    reader_anchors: tuple[TrustAnchor, ...] = ()

    @property
    def first(self) -> Wallet:
        """The one at the addresses without a name."""
        return self.wallets[self.settings.wallets[0].name]


def read_settings(path: Path) -> WalletSettings:
    """Read a settings file; paths in it become absolute.

    Raises:
        FileInvalid: one finding a line.
        OSError: there is no such file.
    """
    settings = parse_model(path.read_text(encoding="utf-8"), name=path.name, model=WalletSettings)
    names = [entry.name for entry in settings.wallets]
    if len({*names}) != len(names):
        raise FileInvalid(f"{path.name}:1:1: two wallets of one name")
    return _placed(settings, path.parent)


def open_wallets(settings: WalletSettings) -> Served:
    """Open the wallets' files, and put in what they hold from the start.

    Raises:
        OSError, ValueError: a file is missing, or no PEM.
        Refusal, Malformed: a credential that can't be read.
        UnknownMisbehaviour: there is none of this name.
    """
    conduct = HONEST if settings.misbehave is None else Misconduct(find_misbehaviour(settings.misbehave))
    client = new_client(loopback_tls_unchecked=settings.loopback_tls_unchecked)
    transport = Transport(allow_loopback_http=settings.allow_loopback_http, client=client, conduct=conduct)
    wallets: dict[str, Wallet] = {}
    for entry in settings.wallets:
        wallet = Wallet(
            entry.file,
            issuer_anchors=_anchors(settings.issuer_anchors),
            verifier_anchors=_anchors(settings.verifier_anchors),
            metadata_anchors=_anchors(settings.metadata_anchors),
            registrar_anchors=_anchors(settings.registrar_anchors),
            transport=transport,
            by_details=settings.by_details,
            habits=Habits(
                settings.transaction_types,
                registered={client_id: _key(path) for client_id, path in settings.known_verifiers.items()},
                answers_unsigned=settings.answers_unsigned,
                registered_only=settings.registered_only,
                tells_mistakes=settings.tells_mistakes,
            ),
        )
        known = {each.content for each in wallet.credentials()}
        kept = [
            read_credential(each.file.read_text(encoding="ascii").strip(), each.key.read_bytes(), name=each.name)
            for each in entry.credentials
        ]
        wallet.store.add(each for each in kept if each.content not in known)
        wallets[entry.name] = wallet
    return Served(settings, wallets, conduct, _anchors(settings.status_anchors), _anchors(settings.reader_anchors))


def _anchors(paths: tuple[Path, ...]) -> tuple[TrustAnchor, ...]:
    return tuple(
        anchor for path in paths for anchor in anchors_from_pem(path.read_bytes(), kind=AnchorKind.CA, name=path.name)
    )


def _key(path: Path) -> PublicKey:
    """The key of a certificate."""
    key = parse_certificate(x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)).key
    if isinstance(key, rsa.RSAPublicKey):
        raise ValueError(f"{path.name}: a kind of key that questions are not signed with")
    return key


def _placed(settings: WalletSettings, folder: Path) -> WalletSettings:
    def placed(path: Path | None) -> Path | None:
        return None if path is None else folder / path

    def placed_all(paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(folder / path for path in paths)

    wallets = tuple(
        entry.model_copy(
            update={
                "file": folder / entry.file,
                "credentials": tuple(
                    each.model_copy(update={"file": folder / each.file, "key": folder / each.key})
                    for each in entry.credentials
                ),
            }
        )
        for entry in settings.wallets
    )
    return settings.model_copy(
        update={
            "wallets": wallets,
            "issuer_anchors": placed_all(settings.issuer_anchors),
            "verifier_anchors": placed_all(settings.verifier_anchors),
            "known_verifiers": {name: folder / path for name, path in settings.known_verifiers.items()},
            "metadata_anchors": placed_all(settings.metadata_anchors),
            "registrar_anchors": placed_all(settings.registrar_anchors),
            "status_anchors": placed_all(settings.status_anchors),
            "reader_anchors": placed_all(settings.reader_anchors),
            "tls_certificate": placed(settings.tls_certificate),
            "tls_key": placed(settings.tls_key),
        }
    )
