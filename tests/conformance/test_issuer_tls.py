"""The checks of TLS against servers of this machine that are too old, and one that is as it should be."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conformance.check import Check, Outcome, tried
from conformance.identity import SuiteIdentity
from conformance.issuer_target import IssuerTarget
from conformance.issuer_tls import TLS_CHECKS
from specs.keys.signer import generate_private_key
from specs.trust.certificates import build_tls_server_certificate

CHECKS: dict[str, Check[IssuerTarget]] = {check.id: check for check in TLS_CHECKS.checks}
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


@contextmanager
def _listening(folder: Path, newest: ssl.TLSVersion, oldest: ssl.TLSVersion, ciphers: str) -> Iterator[int]:
    """A server that shakes hands and hangs up; its port."""
    now, key, authority = int(time.time()), generate_private_key(), SuiteIdentity.fresh().tls
    leaf = build_tls_server_certificate(
        authority=authority, public_key=key.public_key(), serial=1, now=now, hosts=["127.0.0.1"]
    )
    file = folder / "server.pem"
    pem = x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = oldest, newest
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _outcomes(port: int) -> dict[str, Outcome]:
    def nothing(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={})

    with httpx.Client(transport=httpx.MockTransport(nothing)) as client:
        target = IssuerTarget(f"https://127.0.0.1:{port}", client)
        return {name: tried(check, target, profile="haip-1.0").outcome for name, check in CHECKS.items()}


def test_a_server_of_today_passes(tmp_path: Path) -> None:
    with _listening(tmp_path, ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM") as port:
        assert set(_outcomes(port).values()) == {Outcome.PASSED}


def test_a_server_of_yesterday_is_caught(tmp_path: Path) -> None:
    with _listening(tmp_path, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1, "ALL:!aNULL:@SECLEVEL=0") as port:
        assert _outcomes(port) == {
            "tls-old-versions": Outcome.FAILED,
            "tls-weak-suites": Outcome.FAILED,
            "tls-newest": Outcome.WARNED,
            "tls-newest-preferred": Outcome.SKIPPED,  # who can't do the newest can't prefer another
        }
