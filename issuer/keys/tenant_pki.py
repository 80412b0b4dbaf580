"""A tenant's keys and certificates as files: made once, loaded at start (ISO/IEC 18013-5 Annex B for the mdoc side).

Under `<data_dir>/keys/<tenant>/` stand, each with its key (`….key.pem`, for the issuer's user alone) and its
certificate (`….crt.pem`): the roots `iaca` (credentials), `status-ca` (status lists) and `access-ca` (access
certificates), and the signers `document-signer.<alg>`, `sd-jwt-signer.<alg>`, `status-signer` and `access`. A city with
a certification authority of its own puts its certificates in their place. The roots' keys are needed to certify anew
only; they may be moved elsewhere. The registrar's `registration-certificate.jwt` lies beside them, where there is one.
"""

import os
import re
import secrets
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from issuer.catalog.schema import CredentialFormat, SigningAlgorithm
from issuer.secrets_at_rest import write_private_file
from specs.keys.jose import JoseError, PrivateKey, parse_jws
from specs.keys.signer import SigningIdentity, generate_private_key, load_signer
from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_access_certificate,
    build_attestation_signer,
    build_document_signer,
    build_iaca_root,
    build_root_ca,
    build_status_signer,
    serial_number,
)

TENANT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
REGISTRATION_CERTIFICATE = "registration-certificate.jwt"
REGISTRATION_CERTIFICATE_TYP = "rc-wrp+jwt"
CRL_LIFETIME = 90 * 86400  # seconds
_SIGNER_OF = {CredentialFormat.SD_JWT_VC: "sd-jwt-signer", CredentialFormat.MDOC: "document-signer"}


class KeysError(Exception):
    """A tenant's keys are missing or not usable; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class CredentialSigner:
    """A signing identity with the time its certificate covers, in seconds since the epoch."""

    identity: SigningIdentity
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """Everything one tenant signs with."""

    credential_signers: Mapping[tuple[CredentialFormat, SigningAlgorithm], CredentialSigner]
    status: SigningIdentity
    access: SigningIdentity
    crl: bytes  # DER, of the credentials' root
    registration_certificate: str | None = None  # ETSI TS 119 475 §5.2, a compact JWS of the registrar

    def credential_signer(self, form: CredentialFormat, alg: SigningAlgorithm) -> CredentialSigner:
        """The signer of a format and algorithm.

        Raises:
            KeysError: the tenant has none.
        """
        try:
            return self.credential_signers[form, alg]
        except KeyError:
            raise KeysError(f"the tenant has no {_SIGNER_OF[form]}.{alg}") from None


@dataclass(frozen=True, slots=True)
class TenantIdentity:
    """What certificates say about a tenant. issuer_url: its credential issuer identifier."""

    tenant_id: str
    name: str
    country: str
    issuer_url: str


def tenant_folder(data_dir: Path, tenant_id: str) -> Path:
    """Where a tenant's keys stand.

    Raises:
        KeysError: no tenant can be called so (the name becomes part of a path).
    """
    if not TENANT_ID.fullmatch(tenant_id):
        raise KeysError("a tenant's id has lower-case letters, digits and hyphens, 63 at most")
    return data_dir / "keys" / tenant_id


def create_tenant_keys(
    data_dir: Path, identity: TenantIdentity, *, algorithms: Collection[SigningAlgorithm], now: int
) -> None:
    """Make all keys and certificates of a tenant, or none: the folder appears complete. now: seconds since the epoch.

    Raises:
        KeysError: the tenant has keys already.
    """
    folder = tenant_folder(data_dir, identity.tenant_id)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    draft.mkdir(mode=0o700)
    try:
        _write_all(draft, identity, algorithms=algorithms, now=now)
        if folder.exists():
            raise KeysError(f"{folder} exists already; keys are never overwritten")
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def load_tenant_keys(data_dir: Path, tenant_id: str) -> TenantKeys:
    """Load a tenant's keys.

    Raises:
        KeysError: a file is missing, unreadable, open to others, or a key doesn't belong to its certificate.
    """
    folder = tenant_folder(data_dir, tenant_id)
    if not folder.is_dir():
        raise KeysError(f"{folder} is missing; `stadtnachweis issuer tenant add` makes a tenant with its keys")
    signers = {
        (form, alg): _load_credential_signer(folder, f"{role}.{alg}")
        for form, role in _SIGNER_OF.items()
        for alg in SigningAlgorithm
        if (folder / f"{role}.{alg}.key.pem").exists()
    }
    return TenantKeys(
        credential_signers=MappingProxyType(signers),
        status=_load_identity(folder, "status-signer"),
        access=_load_identity(folder, "access"),
        crl=_read(folder / "iaca.crl"),
        registration_certificate=_load_registration_certificate(folder / REGISTRATION_CERTIFICATE),
    )


def renew_crl(data_dir: Path, tenant_id: str, *, now: int) -> None:
    """Sign the credentials' root's revocation list anew, for 90 days. now: seconds since the epoch.

    Raises:
        KeysError: the root's key isn't there.
    """
    folder = tenant_folder(data_dir, tenant_id)
    authority = _load_authority(folder, "iaca")
    draft = folder / f".iaca.crl.{secrets.token_hex(4)}"
    write_private_file(draft, _build_crl(authority, now=now))
    draft.replace(folder / "iaca.crl")


def _write_all(folder: Path, identity: TenantIdentity, *, algorithms: Collection[SigningAlgorithm], now: int) -> None:
    def subject(role: str) -> SubjectName:
        return SubjectName(
            common_name=f"{identity.name} {role}"[:64], country=identity.country, organization=identity.name[:64]
        )

    def fresh_serial() -> int:
        return serial_number(secrets.token_bytes(SERIAL_BYTES))

    parts = urlsplit(identity.issuer_url)
    crl_url = f"{identity.issuer_url}/pki/iaca.crl"
    root_key, status_ca_key, access_ca_key = (generate_private_key() for _ in range(3))
    root = Authority(
        build_iaca_root(
            key=root_key,
            subject=subject("Credential Root"),
            serial=fresh_serial(),
            now=now,
            issuer_uri=identity.issuer_url,
            crl_url=crl_url,
        ),
        root_key,
    )
    status_ca = Authority(
        build_root_ca(key=status_ca_key, subject=subject("Status Root"), serial=fresh_serial(), now=now), status_ca_key
    )
    access_ca = Authority(
        build_root_ca(key=access_ca_key, subject=subject("Access Root"), serial=fresh_serial(), now=now), access_ca_key
    )
    for name, authority in (("iaca", root), ("status-ca", status_ca), ("access-ca", access_ca)):
        _write(folder, name, authority.key, authority.certificate)
    write_private_file(folder / "iaca.crl", _build_crl(root, now=now))

    for alg in sorted(set(algorithms)):
        key = generate_private_key(alg)
        document_signer = build_document_signer(
            authority=root,
            public_key=key.public_key(),
            subject=subject("Document Signer"),
            serial=fresh_serial(),
            now=now,
            issuer_uri=identity.issuer_url,
            crl_url=crl_url,
        )
        _write(folder, f"document-signer.{alg}", key, document_signer)
        key = generate_private_key(alg)
        sd_jwt_signer = build_attestation_signer(
            authority=root,
            public_key=key.public_key(),
            subject=subject("Attestation Signer"),
            serial=fresh_serial(),
            now=now,
            uris=[identity.issuer_url],
        )
        _write(folder, f"sd-jwt-signer.{alg}", key, sd_jwt_signer)
    key = generate_private_key()
    status_signer = build_status_signer(
        authority=status_ca,
        public_key=key.public_key(),
        subject=subject("Status Signer"),
        serial=fresh_serial(),
        now=now,
    )
    _write(folder, "status-signer", key, status_signer)
    key = generate_private_key()
    access = build_access_certificate(
        authority=access_ca,
        public_key=key.public_key(),
        subject=subject("Access"),
        serial=fresh_serial(),
        now=now,
        dns_names=[parts.hostname or ""],
        uris=[identity.issuer_url],
    )
    _write(folder, "access", key, access)


def _write(folder: Path, name: str, key: PrivateKey, certificate: bytes) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private_file(folder / f"{name}.key.pem", pem)
    readable = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
    write_private_file(folder / f"{name}.crt.pem", readable)


def _build_crl(authority: Authority, *, now: int) -> bytes:
    """An empty revocation list (RFC 5280 §5.1); revoked signers would be entered here."""
    if not isinstance(authority.key, ec.EllipticCurvePrivateKey):
        raise KeysError("a root's key is an elliptic curve key")
    certificate = x509.load_der_x509_certificate(authority.certificate)
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    begin = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(begin)
        .next_update(begin + timedelta(seconds=CRL_LIFETIME))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.CRLNumber(now), critical=False)
        .sign(authority.key, SHA256())
        .public_bytes(Encoding.DER)
    )


def _load_authority(folder: Path, name: str) -> Authority:
    certificate = _load_chain(folder / f"{name}.crt.pem")[0]
    path = folder / f"{name}.key.pem"
    key = load_pem_private_key(_read_key(path), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeysError(f"{path} is no elliptic curve key")
    return Authority(certificate.public_bytes(Encoding.DER), key)


def _load_credential_signer(folder: Path, name: str) -> CredentialSigner:
    leaf = _load_chain(folder / f"{name}.crt.pem")[0]
    return CredentialSigner(
        identity=_load_identity(folder, name),
        not_before=int(leaf.not_valid_before_utc.timestamp()),
        not_after=int(leaf.not_valid_after_utc.timestamp()),
    )


def _load_identity(folder: Path, name: str) -> SigningIdentity:
    path = folder / f"{name}.key.pem"
    try:
        signer = load_signer(_read_key(path))
    except JoseError as error:
        raise KeysError(f"{path}: {error}") from None
    chain = _load_chain(folder / f"{name}.crt.pem")
    if chain[0].public_key() != signer.public_key:
        raise KeysError(f"{path} does not belong to its certificate")
    return SigningIdentity(signer, tuple(certificate.public_bytes(Encoding.DER) for certificate in chain))


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


def _load_chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        raise KeysError(f"{path} holds no certificate") from None


def _read_key(path: Path) -> bytes:
    content = _read(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise KeysError(f"{path} can be read by others; `chmod 600` it")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from None
