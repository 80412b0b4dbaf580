"""A tenant's keys and certificates as files, loaded at start and whenever they changed.

Under `<data_dir>/keys/<tenant>/` stand, each with its key (`….key.pem`, for the issuer's user alone, or `….key.uri` for
one in a security module) and its certificate (`….crt.pem`): the roots `iaca` (credentials), `status-ca` (status lists)
and `access-ca` (access certificates), and the signers `document-signer.<alg>`, `sd-jwt-signer.<alg>`, `status-signer`
and `access`. A city with a certification authority of its own puts its certificates in their place. The roots' keys are
needed to certify anew only; they may be moved elsewhere. The registrar's `registration-certificate.jwt` lies beside
them, where there is one.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from issuer.catalog.schema import CredentialFormat, SigningAlgorithm
from issuer.keys.token_keys import Module, TokenError, TokenSigner, load_token_signer, parse_key_uri
from issuer.settings import IssuerSettings
from specs.keys.jose import JoseError, PublicKey, parse_jws, verify_signature
from specs.keys.signer import Signer, SigningIdentity, load_signer

TENANT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
REGISTRATION_CERTIFICATE = "registration-certificate.jwt"
REGISTRATION_CERTIFICATE_TYP = "rc-wrp+jwt"
_TRIAL = b"does the key belong to the certificate?"
SIGNER_OF = {CredentialFormat.SD_JWT_VC: "sd-jwt-signer", CredentialFormat.MDOC: "document-signer"}


class KeysError(Exception):
    """A tenant's keys are missing or not usable; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class CredentialSigner:
    """A signing identity with the time its certificate covers, in seconds since the epoch."""

    identity: SigningIdentity
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key of SD-JWT VCs that signs no more, or not yet; not_after: seconds since the epoch."""

    public_key: PublicKey
    alg: SigningAlgorithm
    not_after: int


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """Everything one tenant signs with."""

    credential_signers: Mapping[tuple[CredentialFormat, SigningAlgorithm], CredentialSigner]
    status: SigningIdentity
    access: SigningIdentity
    crl: bytes  # DER, of the credentials' root
    other_keys: tuple[PublishedKey, ...] = ()
    registration_certificate: str | None = None  # ETSI TS 119 475 §5.2, a compact JWS of the registrar

    def credential_signer(self, form: CredentialFormat, alg: SigningAlgorithm) -> CredentialSigner:
        """The signer of a format and algorithm.

        Raises:
            KeysError: the tenant has none.
        """
        try:
            return self.credential_signers[form, alg]
        except KeyError:
            raise KeysError(f"the tenant has no {SIGNER_OF[form]}.{alg}") from None


def tenant_folder(data_dir: Path, tenant_id: str) -> Path:
    """Where a tenant's keys stand.

    Raises:
        KeysError: no tenant can be called so (the name becomes part of a path).
    """
    if not TENANT_ID.fullmatch(tenant_id):
        raise KeysError("a tenant's id has lower-case letters, digits and hyphens, 63 at most")
    return data_dir / "keys" / tenant_id


def load_module(settings: IssuerSettings) -> Module | None:
    """The security module of the settings; None where keys are in files alone.

    Raises:
        KeysError: its PIN can't be read, or others can read it too.
    """
    if settings.pkcs11_library is None:
        return None
    if settings.pkcs11_pin_file is None:
        raise KeysError("ISSUER_PKCS11_LIBRARY needs the PIN in ISSUER_PKCS11_PIN_FILE")
    return Module(settings.pkcs11_library, read_private(settings.pkcs11_pin_file).decode("utf-8").strip())


def load_tenant_keys(data_dir: Path, tenant_id: str, *, module: Module | None = None) -> TenantKeys:
    """Load a tenant's keys. module: where those are that are not in files.

    Raises:
        KeysError: a file is missing, unreadable, open to others, or a key doesn't belong to its certificate.
    """
    folder = tenant_folder(data_dir, tenant_id)
    if not folder.is_dir():
        raise KeysError(f"{folder} is missing; `stadtnachweis issuer tenant add` makes a tenant with its keys")
    signers = {
        (form, alg): _load_credential_signer(folder, f"{role}.{alg}", module)
        for form, role in SIGNER_OF.items()
        for alg in SigningAlgorithm
        if has_key(folder, f"{role}.{alg}") or (folder / f"{role}.{alg}.crt.pem").exists()
    }
    return TenantKeys(
        credential_signers=MappingProxyType(signers),
        status=load_identity(folder, "status-signer", module),
        access=load_identity(folder, "access", module),
        crl=_read(folder / "iaca.crl"),
        other_keys=tuple(_other_keys(folder)),
        registration_certificate=_load_registration_certificate(folder / REGISTRATION_CERTIFICATE),
    )


def has_key(folder: Path, name: str) -> bool:
    """Whether there is a key of this name, in a file or in a security module."""
    return (folder / f"{name}.key.pem").exists() or (folder / f"{name}.key.uri").exists()


def load_identity(folder: Path, name: str, module: Module | None) -> SigningIdentity:
    """A key with its certificates.

    Raises:
        KeysError: one can't be read or used, or they don't belong together.
    """
    chain = load_chain(folder / f"{name}.crt.pem")
    reference = folder / f"{name}.key.uri"
    in_token = reference.exists()
    path = reference if in_token else folder / f"{name}.key.pem"
    signer: Signer
    try:
        signer = _load_token_signer(path, chain[0], module) if in_token else load_signer(read_private(path))
    except (JoseError, TokenError) as error:
        raise KeysError(f"{path}: {error}") from None
    if chain[0].public_key() != signer.public_key:
        raise KeysError(f"{path} does not belong to its certificate")
    return SigningIdentity(signer, tuple(certificate.public_bytes(Encoding.DER) for certificate in chain))


def load_chain(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file.

    Raises:
        KeysError: it can't be read, or holds none.
    """
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        raise KeysError(f"{path} holds no certificate") from None


def read_private(path: Path) -> bytes:
    """A file that its owner alone may read.

    Raises:
        KeysError: it can't be read, or others can read it too.
    """
    content = _read(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise KeysError(f"{path} can be read by others; `chmod 600` it")
    return content


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """The key of a certificate.

    Raises:
        KeysError: of a kind that we don't sign with.
    """
    key = certificate.public_key()
    if not isinstance(key, PublicKey):
        raise KeysError("a certificate of a key that nothing is signed with")
    return key


def _load_token_signer(reference: Path, certificate: x509.Certificate, module: Module | None) -> TokenSigner:
    if module is None:
        raise TokenError("it is in a security module, and ISSUER_PKCS11_LIBRARY names none")
    signer = load_token_signer(
        module, parse_key_uri(_read(reference).decode("utf-8", "replace")), public_key=public_key_of(certificate)
    )
    verify_signature(signer.alg, signer.public_key, _TRIAL, signer.sign(_TRIAL))
    return signer


def _load_credential_signer(folder: Path, name: str, module: Module | None) -> CredentialSigner:
    leaf = load_chain(folder / f"{name}.crt.pem")[0]
    return CredentialSigner(
        identity=load_identity(folder, name, module),
        not_before=int(leaf.not_valid_before_utc.timestamp()),
        not_after=int(leaf.not_valid_after_utc.timestamp()),
    )


def _other_keys(folder: Path) -> Iterator[PublishedKey]:
    """Those that were signed with before, and those that will be (see `issuer.keys.rotation`)."""
    role = SIGNER_OF[CredentialFormat.SD_JWT_VC]
    for alg in SigningAlgorithm:
        prepared, retired = folder.glob(f"next/{role}.{alg}.crt.pem"), folder.glob(f"retired/{role}.{alg}.*.crt.pem")
        for path in sorted([*prepared, *retired]):
            leaf = load_chain(path)[0]
            yield PublishedKey(public_key_of(leaf), alg, int(leaf.not_valid_after_utc.timestamp()))


def _load_registration_certificate(path: Path) -> str | None:
    """What the registrar says about who issues here; it is published as it is, if it is there."""
    if not path.exists():
        return None
    try:
        token = _read(path).decode("ascii").strip()
        parse_jws(token, expected_typ=REGISTRATION_CERTIFICATE_TYP)
    except (UnicodeDecodeError, JoseError):
        raise KeysError(
            f"{path} holds no registration certificate (a JWT of typ {REGISTRATION_CERTIFICATE_TYP})"
        ) from None
    return token


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from None
