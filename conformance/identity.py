"""Who the suite is when it acts: a wallet with a provider, an issuer of test credentials, a verifier; and their roots.

A target that is to believe the suite is given the roots (`stadtnachweis conformance identity FOLDER` writes them). The
same folder makes the same identity again.
"""

import secrets
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from specs.keys.jose import PrivateKey
from specs.keys.signer import FileSigner, SigningIdentity, generate_private_key
from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_access_certificate,
    build_attestation_signer,
    build_attester,
    build_iaca_root,
    build_root_ca,
    build_status_signer,
    build_tls_server_certificate,
    serial_number,
)

CLIENT_ID = "https://wallet.example/conformance"
CREDENTIAL_ISSUER_URI = "https://issuer.example"
HOST = "localhost"  # whose name the suite's access certificate carries
IDENTIFIER = "NTRDE-CONFORMANCE.1"  # by which the suite's access certificate and its registration name it
_ROLES = ("wallet-provider", "credential-issuer", "status-issuer", "verifier", "registrar")
_TLS = "suite-tls"
_NAMES = {
    _TLS: "Conformance Suite TLS",
    "wallet-provider": "Conformance Wallet Provider",
    "credential-issuer": "Conformance Credential Issuer",
    "status-issuer": "Conformance Status Issuer",
    "verifier": "Conformance Verifier",
    "registrar": "Conformance Registrar",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One role: its root certificate (DER), and who signs below it. document: signs mdocs, of the same root."""

    root: bytes
    identity: SigningIdentity
    document: SigningIdentity | None = None

    @property
    def root_pem(self) -> bytes:
        """The root, to be trusted."""
        return x509.load_der_x509_certificate(self.root).public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class SuiteIdentity:
    """The suite's members, and one that nobody trusts: `stranger` vouches for what must be refused. tls: the root of
    its web server's certificates.
    """

    provider: Member
    issuer: Member
    status: Member
    verifier: Member
    registrar: Member
    stranger: Member
    tls: Authority
    client_id: str = CLIENT_ID

    @classmethod
    def fresh(cls) -> "SuiteIdentity":
        """A new identity that lives in memory."""
        return _identity(lambda _name: generate_private_key(), lambda _name, make: make())

    @classmethod
    def of(cls, folder: Path) -> "SuiteIdentity":
        """The identity of a folder; made at the first call. Beside keys it holds each role's root as `ROLE-root.pem`.

        Raises:
            OSError: the folder can't be read or written.
        """
        folder.mkdir(parents=True, exist_ok=True)

        def key(name: str) -> PrivateKey:
            file = folder / f"{name}.key.pem"
            if not file.exists():
                fresh = generate_private_key()
                file.touch(mode=0o600)
                file.write_bytes(fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            return load_pem_private_key(file.read_bytes(), password=None)  # type: ignore[return-value]  # we wrote it

        def certificate(name: str, make: Callable[[], bytes]) -> bytes:
            file = folder / f"{name}.pem"
            if not file.exists():
                file.write_bytes(x509.load_der_x509_certificate(make()).public_bytes(Encoding.PEM))
            return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)

        return _identity(key, certificate)

    @property
    def roots(self) -> dict[str, bytes]:
        """What targets must trust, as PEM by role."""
        members = (self.provider, self.issuer, self.status, self.verifier, self.registrar)
        found = {role: member.root_pem for role, member in zip(_ROLES, members, strict=True)}
        return found | {_TLS: x509.load_der_x509_certificate(self.tls.certificate).public_bytes(Encoding.PEM)}

    def tls_context(self, hosts: Sequence[str]) -> ssl.SSLContext:
        """TLS 1.2 and 1.3 as a server, under a fresh certificate for these names."""
        key = generate_private_key()
        leaf = build_tls_server_certificate(
            authority=self.tls, public_key=key.public_key(), serial=_serial(), now=int(time.time()), hosts=hosts
        )
        with tempfile.TemporaryDirectory(prefix="stadtnachweis-conformance-") as folder:
            file = Path(folder) / "server.pem"
            file.touch(mode=0o600)
            certificate = x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM)
            file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
            return server_context(file, file)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 as a server, with the certificates and the key of PEM files.

    Raises:
        OSError: they can't be read, or don't belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM")
    context.load_cert_chain(certificate, key)
    return context


_Keys = Callable[[str], PrivateKey]
_Certificates = Callable[[str, Callable[[], bytes]], bytes]


def _identity(key: _Keys, certificate: _Certificates) -> SuiteIdentity:
    now = int(time.time())
    provider, issuer, status, verifier, registrar = (_member(role, key, certificate, now) for role in _ROLES)
    stranger = _member("wallet-provider", lambda _name: generate_private_key(), lambda _name, make: make(), now)
    tls_key = key(f"{_TLS}-root")
    tls = certificate(f"{_TLS}-root", lambda: _root(_TLS, tls_key, now))
    return SuiteIdentity(provider, issuer, status, verifier, registrar, stranger, Authority(tls, tls_key))


def _member(role: str, key: _Keys, certificate: _Certificates, now: int) -> Member:
    root_key, leaf_key = key(f"{role}-root"), key(role)
    root = certificate(f"{role}-root", lambda: _root(role, root_key, now))
    authority = Authority(root, root_key)
    leaf = certificate(role, lambda: _leaf(role, authority, leaf_key, now))
    document = None
    if role == "credential-issuer":
        document_key = key("document-signer")
        signer = certificate("document-signer", lambda: _document_signer(authority, document_key, now))
        document = SigningIdentity(FileSigner(document_key), (signer,))
    return Member(root, SigningIdentity(FileSigner(leaf_key), (leaf,)), document)


def _root(role: str, key: PrivateKey, now: int) -> bytes:
    subject = SubjectName(common_name=f"{_NAMES[role]} Root", country="DE")
    if role == "credential-issuer":
        crl = f"{CREDENTIAL_ISSUER_URI}/crl"
        return build_iaca_root(
            key=key, subject=subject, serial=_serial(), now=now, issuer_uri=CREDENTIAL_ISSUER_URI, crl_url=crl
        )
    return build_root_ca(key=key, subject=subject, serial=_serial(), now=now)


def _leaf(role: str, authority: Authority, key: PrivateKey, now: int) -> bytes:
    identifier = IDENTIFIER if role == "verifier" else None
    subject = SubjectName(common_name=_NAMES[role], country="DE", organization_identifier=identifier)
    made = {"authority": authority, "public_key": key.public_key(), "subject": subject, "serial": _serial(), "now": now}
    if role == "wallet-provider":
        return build_attester(**made)  # type: ignore[arg-type]
    if role in ("credential-issuer", "registrar"):
        return build_attestation_signer(**made)  # type: ignore[arg-type]
    if role == "status-issuer":
        return build_status_signer(**made)  # type: ignore[arg-type]
    return build_access_certificate(**made, dns_names=[HOST], uris=[])  # type: ignore[arg-type]


def _document_signer(authority: Authority, key: PrivateKey, now: int) -> bytes:
    """Without a place to look up revocation: there is none that a verifier could fetch from."""
    return build_attestation_signer(
        authority=authority,
        public_key=key.public_key(),
        subject=SubjectName(common_name="Conformance Document Signer", country="DE"),
        serial=_serial(),
        now=now,
    )


def _serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))
