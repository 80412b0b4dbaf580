"""Makes a tenant's keys and certificates (ISO/IEC 18013-5 Annex B for the mdoc side), all at once or one anew."""

import secrets
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from issuer.catalog.schema import SigningAlgorithm
from issuer.keys.tenant_pki import KeysError, load_chain, read_private, tenant_folder
from issuer.keys.token_keys import Module, TokenError, generate_in_token
from issuer.secrets_at_rest import write_private_file
from specs.keys.jose import PrivateKey, PublicKey
from specs.keys.signer import generate_private_key
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

CRL_LIFETIME = 90 * 86400  # seconds
AUTHORITY_OF = {
    "document-signer": "iaca",
    "sd-jwt-signer": "iaca",
    "status-signer": "status-ca",
    "access": "access-ca",
}


@dataclass(frozen=True, slots=True)
class TenantIdentity:
    """What certificates say about a tenant. issuer_url: its credential issuer identifier."""

    tenant_id: str
    name: str
    country: str
    issuer_url: str

    def subject(self, role: str) -> SubjectName:
        """Its name in one role."""
        return SubjectName(common_name=f"{self.name} {role}"[:64], country=self.country, organization=self.name[:64])


@dataclass(frozen=True, slots=True)
class TokenHome:
    """Keys are made in a token of a security module, and stay there. label: of the token."""

    module: Module
    label: str


def create_tenant_keys(
    data_dir: Path,
    identity: TenantIdentity,
    *,
    algorithms: Collection[SigningAlgorithm],
    now: int,
    home: TokenHome | None = None,
) -> None:
    """Make all keys and certificates of a tenant, or none: the folder appears complete.

    now: seconds since the epoch. home: where signers' keys are made; None: in files. The roots' are in files always,
    for they sign seldom and can be moved away.

    Raises:
        KeysError: the tenant has keys already, or the security module can't make one.
    """
    folder = tenant_folder(data_dir, identity.tenant_id)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    draft.mkdir(mode=0o700)
    try:
        _write_roots(draft, identity, now=now)
        for name in signer_names(algorithms):
            make_signer(draft, name, identity, into=draft, now=now, home=home)
        if folder.exists():
            raise KeysError(f"{folder} exists already; keys are never overwritten")
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def signer_names(algorithms: Collection[SigningAlgorithm]) -> list[str]:
    """The names of all signers of a tenant that signs credentials with these algorithms."""
    roles = ("document-signer", "sd-jwt-signer")
    of_credentials = [f"{role}.{alg}" for alg in sorted(set(algorithms)) for role in roles]
    return [*of_credentials, "status-signer", "access"]


def make_signer(
    folder: Path, name: str, identity: TenantIdentity, *, into: Path, now: int, home: TokenHome | None = None
) -> None:
    """Make a key and certify it by the tenant's own root. folder: of the roots. into: where both are put.

    Raises:
        KeysError: the root's key isn't there, or the security module can't make a key.
    """
    public_key = make_key(into, name, identity.tenant_id, home=home)
    write_certificate(into, name, certify(folder, name, identity, public_key=public_key, now=now))


def make_key(into: Path, name: str, tenant_id: str, *, home: TokenHome | None) -> PublicKey:
    """Make a key of the algorithm in its name, ES256 if there is none.

    Raises:
        KeysError: the security module can't.
    """
    alg = name.partition(".")[2] or SigningAlgorithm.ES256.value
    if home is None:
        key = generate_private_key(alg)
        write_private_file(into / f"{name}.key.pem", _pem(key))
        return key.public_key()
    try:
        uri, public_key = generate_in_token(home.module, token=home.label, label=f"{tenant_id}/{name}", alg=alg)
    except TokenError as error:
        raise KeysError(f"{name}: {error}") from None
    write_private_file(into / f"{name}.key.uri", f"{uri}\n".encode())
    return public_key


def write_certificate(into: Path, name: str, *chain: bytes) -> None:
    """Write certificates (DER, leaf first) as PEM."""
    pem = b"".join(x509.load_der_x509_certificate(each).public_bytes(Encoding.PEM) for each in chain)
    write_private_file(into / f"{name}.crt.pem", pem)


def certify(folder: Path, name: str, identity: TenantIdentity, *, public_key: PublicKey, now: int) -> bytes:
    """A certificate of the tenant's own root for a signer, as DER. now: seconds since the epoch.

    Raises:
        KeysError: the root's key isn't there.
    """
    role = name.partition(".")[0]
    authority, url = load_authority(folder, AUTHORITY_OF[role]), identity.issuer_url
    serial = _fresh_serial()
    match role:
        case "document-signer":
            return build_document_signer(
                authority=authority,
                public_key=public_key,
                subject=identity.subject("Document Signer"),
                serial=serial,
                now=now,
                issuer_uri=url,
                crl_url=f"{url}/pki/iaca.crl",
            )
        case "sd-jwt-signer":
            subject = identity.subject("Attestation Signer")
            return build_attestation_signer(
                authority=authority, public_key=public_key, subject=subject, serial=serial, now=now, uris=[url]
            )
        case "status-signer":
            subject = identity.subject("Status Signer")
            return build_status_signer(
                authority=authority, public_key=public_key, subject=subject, serial=serial, now=now
            )
        case _:
            return build_access_certificate(
                authority=authority,
                public_key=public_key,
                subject=identity.subject("Access"),
                serial=serial,
                now=now,
                dns_names=[urlsplit(url).hostname or ""],
                uris=[url],
            )


def load_authority(folder: Path, name: str) -> Authority:
    """A root with its key.

    Raises:
        KeysError: one of them isn't there.
    """
    certificate = load_chain(folder / f"{name}.crt.pem")[0]
    path = folder / f"{name}.key.pem"
    key = load_pem_private_key(read_private(path), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeysError(f"{path} is no elliptic curve key")
    return Authority(certificate.public_bytes(Encoding.DER), key)


def renew_crl(data_dir: Path, tenant_id: str, *, now: int) -> None:
    """Sign the credentials' root's revocation list anew, for 90 days. now: seconds since the epoch.

    Raises:
        KeysError: the root's key isn't there.
    """
    folder = tenant_folder(data_dir, tenant_id)
    authority = load_authority(folder, "iaca")
    draft = folder / f".iaca.crl.{secrets.token_hex(4)}"
    write_private_file(draft, _build_crl(authority, now=now))
    draft.replace(folder / "iaca.crl")


def _write_roots(folder: Path, identity: TenantIdentity, *, now: int) -> None:
    keys = {name: generate_private_key() for name in ("iaca", "status-ca", "access-ca")}
    certificates = {
        "iaca": build_iaca_root(
            key=keys["iaca"],
            subject=identity.subject("Credential Root"),
            serial=_fresh_serial(),
            now=now,
            issuer_uri=identity.issuer_url,
            crl_url=f"{identity.issuer_url}/pki/iaca.crl",
        ),
        "status-ca": build_root_ca(
            key=keys["status-ca"], subject=identity.subject("Status Root"), serial=_fresh_serial(), now=now
        ),
        "access-ca": build_root_ca(
            key=keys["access-ca"], subject=identity.subject("Access Root"), serial=_fresh_serial(), now=now
        ),
    }
    for name, key in keys.items():
        write_private_file(folder / f"{name}.key.pem", _pem(key))
        write_certificate(folder, name, certificates[name])
    write_private_file(folder / "iaca.crl", _build_crl(Authority(certificates["iaca"], keys["iaca"]), now=now))


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _fresh_serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))


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
