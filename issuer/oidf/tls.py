"""The listener's own certificate, made for this machine and this run."""

import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from issuer.secrets_at_rest import write_private_file
from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_root_ca,
    build_tls_server_certificate,
    serial_number,
)


def tls_identity(folder: Path, *, host: str, now: int) -> tuple[Path, Path]:
    """Certificate and key as PEM files. now: seconds since the epoch."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = build_root_ca(key=root_key, subject=SubjectName("TEST TLS Root"), serial=_serial(), now=now)
    certificate = build_tls_server_certificate(
        authority=Authority(root, root_key),
        public_key=key.public_key(),
        serial=_serial(),
        now=now,
        hosts=[host, "127.0.0.1"],
    )
    files = folder / "tls.crt.pem", folder / "tls.key.pem"
    write_private_file(files[0], x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM))
    write_private_file(files[1], key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def _serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))
