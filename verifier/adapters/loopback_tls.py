"""A TLS listener for test targets: on this machine alone, under a certificate made for this run."""

import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI

from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_root_ca,
    build_tls_server_certificate,
    serial_number,
)

HOST, LISTEN = "localhost", "127.0.0.1"
_CIPHERS = "ECDHE+AESGCM"  # of TLS 1.2 (RFC 9325 §4.2)


@contextlib.contextmanager
def listening(port: int) -> Iterator[tuple[socket.socket, str]]:
    """A listening socket and the address it is reached under. port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LISTEN, port))
        listener.listen()  # who reads the address may come before a server has taken over
        yield listener, f"https://{HOST}:{listener.getsockname()[1]}"


def serve(app: FastAPI, listener: socket.socket, *, context: Callable[[object, object], ssl.SSLContext]) -> None:
    """Serve until Ctrl-C. context: makes what the listener speaks, as uvicorn asks for it."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        http="h11",
        ws="none",
        timeout_graceful_shutdown=2,
        ssl_context_factory=context,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listener])


def fresh_context(folder: Path, *, now: int) -> Callable[[object, object], ssl.SSLContext]:
    """TLS 1.3, or 1.2 with forward secrecy and AES-GCM, under a certificate for this machine and this run.

    folder: where certificate and key are kept. now: seconds since the epoch.
    """
    certificate, key = _identity(folder, now=now)

    def context(_config: object, _default: object) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(_CIPHERS)
        made.load_cert_chain(certificate, key)
        return made

    return context


def _identity(folder: Path, *, now: int) -> tuple[Path, Path]:
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = build_root_ca(key=root_key, subject=SubjectName("TEST TLS Root"), serial=_serial(), now=now)
    certificate = build_tls_server_certificate(
        authority=Authority(root, root_key),
        public_key=key.public_key(),
        serial=_serial(),
        now=now,
        hosts=[HOST, LISTEN],
    )
    files = folder / "tls.crt.pem", folder / "tls.key.pem"
    files[0].write_bytes(x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM))
    files[1].touch(mode=0o600)
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def _serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))
