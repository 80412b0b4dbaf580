"""Our own TLS, for who runs without a reverse proxy: 1.3 before 1.2, and of 1.2 only ECDHE with AES-GCM (BCP 195).

For development a certification authority of one's own is made once, and a certificate for the public host.
"""

import logging
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from issuer.secrets_at_rest import write_private_file
from specs.keys.jose import PrivateKey
from specs.keys.signer import generate_private_key
from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_root_ca,
    build_tls_server_certificate,
    serial_number,
)

TLS_1_2_SUITES = "ECDHE+AESGCM"
DEVELOPMENT_FOLDER = "tls-dev"
_RENEW_BEFORE = 30 * 86400  # seconds that a development certificate must still be good for
_CA_DAYS = 3650
_LOG = logging.getLogger("issuer")
Stamp: TypeAlias = tuple[tuple[int, int], ...]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class TlsError(Exception):
    """The certificate or key can't be used; the message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the server's certificates, leaf first, and its key."""

    certificate: Path
    key: Path


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """What a listener speaks with this certificate, and with the one that takes its place: each handshake looks.

    Raises:
        TlsError: a file can't be read, is no PEM, or the key is not the certificate's.
    """
    context = _context_of(files)
    context.sni_callback = _Renewal(files, _stamp(files)).look
    return context


class _Renewal:
    """Takes up a changed certificate; what can't be used leaves the one before in its place."""

    def __init__(self, files: TlsFiles, stamp: Stamp) -> None:
        self._files = files
        self._stamp = stamp
        self._renewed: ssl.SSLContext | None = None

    def look(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        """As `SSLContext.sni_callback` is asked, with or without a name."""
        stamp = _stamp(self._files)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._renewed = _context_of(self._files)
                _LOG.info("the TLS certificate was changed: new connections get it")
            except TlsError as error:
                _LOG.error("the TLS certificate stays as it was: %s", error)
        if self._renewed is not None:
            connection.context = self._renewed


def _stamp(files: TlsFiles) -> Stamp:
    """What changes with the files; half of a renewal is looked at again with the other half."""
    found: list[tuple[int, int]] = []
    for path in (files.certificate, files.key):
        try:
            found.append((path.stat().st_mtime_ns, path.stat().st_ino))
        except OSError:
            found.append((0, 0))
    return tuple(found)


def _context_of(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS_1_2_SUITES)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # a key with a passphrase would ask on the terminal of each worker
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "no certificate with its key"
        raise TlsError(f"{files.certificate} and {files.key} cannot be used for TLS: {reason}") from None
    return context


def context_factory(files: TlsFiles) -> Callable[[object, object], ssl.SSLContext]:
    """As uvicorn asks for it, in each of its processes."""
    return partial(_context_for_server, files)


def _context_for_server(files: TlsFiles, _config: object, _default: object) -> ssl.SSLContext:
    return server_context(files)


def development_tls(data_dir: Path, *, host: str, now: int) -> TlsFiles:
    """A certificate for a host, of an authority that is made once and kept; both stand in `tls-dev`.

    host: of the public address. now: seconds since the epoch.
    """
    folder = data_dir / DEVELOPMENT_FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = TlsFiles(folder / "server.crt.pem", folder / "server.key.pem")
    if _is_good(files.certificate, host=host, now=now):
        return files
    authority = _development_authority(folder, now=now)
    key = generate_private_key()
    certificate = build_tls_server_certificate(
        authority=authority,
        public_key=key.public_key(),
        serial=serial_number(secrets.token_bytes(SERIAL_BYTES)),
        now=now,
        hosts=list(dict.fromkeys((host, *_LOOPBACK))),
    )
    _replace(files.key, _pem(key))
    _replace(files.certificate, x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM))
    return files


def _is_good(path: Path, *, host: str, now: int) -> bool:
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {str(name.value) for name in names}
    return host in covered and certificate.not_valid_after_utc.timestamp() > now + _RENEW_BEFORE


def _development_authority(folder: Path, *, now: int) -> Authority:
    certificate_file, key_file = folder / "ca.crt.pem", folder / "ca.key.pem"
    if certificate_file.exists():
        certificate = x509.load_pem_x509_certificates(certificate_file.read_bytes())[0]
        key = load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, PrivateKey)
        return Authority(certificate.public_bytes(Encoding.DER), key)
    own = generate_private_key()
    der = build_root_ca(
        key=own,
        subject=SubjectName(common_name="Stadtnachweis development, this machine only"),
        serial=serial_number(secrets.token_bytes(SERIAL_BYTES)),
        now=now,
        days=_CA_DAYS,
    )
    _replace(key_file, _pem(own))
    _replace(certificate_file, x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    return Authority(der, own)


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_private_file(draft, content)
    draft.replace(path)
