"""Our own listener's TLS by real handshakes: which versions and suites it takes, and what it says to the others."""

import contextlib
import os
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from issuer.http.tls import TlsError, TlsFiles, development_tls, server_context
from tests.issuer.test_cli import ROOT, environment, free_port, issuer

NOW = int(time.time())
V1_0, V1_1, V1_2, V1_3 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")
WEAKER = (
    "ECDHE-ECDSA-AES128-SHA256",  # CBC
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-CHACHA20-POLY1305",  # good, but not on the list
    "ECDHE-ECDSA-AES128-CCM",
    "AES128-GCM-SHA256",  # no forward secrecy
    "AES256-SHA",
    "DHE-RSA-AES128-GCM-SHA256",
)


def client(
    least: ssl.TLSVersion, most: ssl.TLSVersion, suites: str = "ALL:@SECLEVEL=0", authority: Path | None = None
) -> ssl.SSLContext:
    """A client that offers so much and no more. authority: whom it trusts; nobody is asked without one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(authority)
    context.minimum_version = least
    context.maximum_version = most
    context.set_ciphers(suites)
    return context


@dataclass(frozen=True)
class Listener:
    """Somebody who speaks TLS on this machine."""

    port: int

    def handshake(self, context: ssl.SSLContext) -> tuple[str | None, str]:
        """Version and suite that were agreed on."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as agreed,
        ):
            cipher = agreed.cipher()
            assert cipher is not None
            return agreed.version(), cipher[0]


@contextlib.contextmanager
def listening(files: TlsFiles) -> Iterator[Listener]:
    """Our context behind a bare socket."""
    context = server_context(files)
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def accept() -> None:
            while not stopped.is_set():
                connection, _ = server.accept()
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
                    pass

        thread = threading.Thread(target=accept)
        thread.start()
        yield Listener(server.getsockname()[1])
        stopped.set()
        socket.create_connection(server.getsockname()).close()
        thread.join()


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return development_tls(tmp_path_factory.mktemp("data"), host="issuer.example", now=NOW)


@pytest.fixture(scope="module")
def listener(development: TlsFiles) -> Iterator[Listener]:
    with listening(development) as running:
        yield running


def test_renewed_certificate_is_taken_up_by_the_next_connection(tmp_path: Path) -> None:
    """A certificate of 90 days would otherwise end a service that nobody restarts."""

    def shown(port: int) -> bytes:
        context = client(V1_2, V1_3)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain) as agreed,  # without a name: it is looked for all the same
        ):
            return agreed.getpeercert(binary_form=True) or b""

    files = development_tls(tmp_path, host="issuer.example", now=NOW)
    other = development_tls(tmp_path / "other", host="issuer.example", now=NOW)
    with listening(files) as running:
        before = shown(running.port)
        assert shown(running.port) == before
        other.certificate.replace(files.certificate)
        assert shown(running.port) == before, "a certificate without its key is half a renewal"
        other.key.replace(files.key)
        after = shown(running.port)
        assert after != before
        files.certificate.unlink()
        assert shown(running.port) == after


def test_both_ends_of_today_agree_on_1_3(listener: Listener) -> None:
    assert listener.handshake(client(V1_2, V1_3))[0] == "TLSv1.3"


@pytest.mark.parametrize("suite", SUITES)
def test_1_2_with_ephemeral_keys_and_gcm_is_spoken(suite: str, listener: Listener) -> None:
    assert listener.handshake(client(V1_2, V1_2, suite)) == ("TLSv1.2", suite)


@pytest.mark.parametrize("suite", WEAKER)
def test_other_suites_of_1_2_are_refused(suite: str, listener: Listener) -> None:
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        listener.handshake(client(V1_2, V1_2, f"{suite}:@SECLEVEL=0"))
    assert listener.handshake(client(V1_2, V1_2, f"{suite}:{SUITES[0]}:@SECLEVEL=0"))[1] == SUITES[0]


@pytest.mark.parametrize("version", [V1_0, V1_1])
def test_older_versions_are_refused(version: ssl.TLSVersion, listener: Listener) -> None:
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        listener.handshake(client(version, version))
    assert listener.handshake(client(version, V1_2))[0] == "TLSv1.2"


def test_an_rsa_certificate_works_with_the_same_kind_of_suites(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer.example")])
    begin = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .sign(key, SHA256())
    )
    files = TlsFiles(tmp_path / "crt.pem", tmp_path / "key.pem")
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with listening(files) as running:
        for suite in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"):
            assert running.handshake(client(V1_2, V1_2, suite)) == ("TLSv1.2", suite)
        for suite in ("AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES256-GCM-SHA384"):
            with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
                running.handshake(client(V1_2, V1_2, f"{suite}:@SECLEVEL=0"))


def test_a_development_certificate_is_kept_until_it_ends_or_the_host_changes(tmp_path: Path) -> None:
    first = development_tls(tmp_path, host="issuer.example", now=NOW).certificate.read_bytes()
    authority = (tmp_path / "tls-dev" / "ca.crt.pem").read_bytes()
    assert development_tls(tmp_path, host="issuer.example", now=NOW + 59 * 86400).certificate.read_bytes() == first
    renewed = development_tls(tmp_path, host="issuer.example", now=NOW + 61 * 86400).certificate.read_bytes()
    other = development_tls(tmp_path, host="other.example", now=NOW + 61 * 86400).certificate.read_bytes()
    assert len({first, renewed, other}) == 3
    assert (tmp_path / "tls-dev" / "ca.crt.pem").read_bytes() == authority
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "tls-dev").iterdir()} == {0}


def test_files_that_are_no_certificate_and_key_are_named(tmp_path: Path, development: TlsFiles) -> None:
    (tmp_path / "no.pem").write_text("no", encoding="ascii")
    other = development_tls(tmp_path, host="other.example", now=NOW)
    for files in (
        TlsFiles(tmp_path / "nowhere.pem", development.key),
        TlsFiles(tmp_path / "no.pem", development.key),
        TlsFiles(development.certificate, tmp_path / "no.pem"),
        TlsFiles(development.certificate, other.key),
    ):
        with pytest.raises(TlsError, match="cannot be used for TLS"):
            server_context(files)


@pytest.mark.parametrize(
    ("arguments", "public_url", "sentence"),
    [
        (("--tls-dev",), "http://127.0.0.1:8701", "the public address is https"),
        (("--tls-cert", "a.pem"), "https://localhost:8701", "--tls-cert and --tls-key belong together"),
        (("--tls-key", "a.pem"), "https://localhost:8701", "--tls-cert and --tls-key belong together"),
        (("--tls-dev", "--tls-key", "a.pem"), "https://localhost:8701", "--tls-dev makes a certificate of its own"),
        (("--tls-cert", "a.pem", "--tls-key", "a.pem"), "https://localhost:8701", "cannot be used for TLS"),
    ],
)
def test_serving_does_not_begin_without_what_tls_needs(
    arguments: tuple[str, ...], public_url: str, sentence: str, tmp_path: Path
) -> None:
    assert issuer(tmp_path, "init", ISSUER_PUBLIC_URL=public_url).returncode == 0
    refused = issuer(tmp_path, "serve", "--port", "0", *arguments, ISSUER_PUBLIC_URL=public_url)
    assert refused.returncode == 1
    assert sentence in refused.stderr


def test_the_issuer_serves_https_with_several_workers(tmp_path: Path) -> None:
    port = free_port()
    url = f"https://localhost:{port}"
    settings = {"ISSUER_PUBLIC_URL": url}
    assert issuer(tmp_path, "init", **settings).returncode == 0
    assert issuer(tmp_path, "tenant", "add", "leipzig", "--name", "Stadt Leipzig", **settings).returncode == 0
    command = [sys.executable, "-m", "stadtnachweis", "issuer", "serve", "--tls-dev", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--workers", "2"],
        cwd=ROOT,
        env=environment(tmp_path, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "ca.crt.pem" in process.stdout.readline()
        assert f":{port} for {url}" in process.stdout.readline()
        authority = tmp_path / "tls-dev" / "ca.crt.pem"
        with httpx.Client(verify=client(V1_2, V1_3, authority=authority), timeout=30) as http:
            answer = first_answer(http, f"{url}/.well-known/openid-credential-issuer/t/leipzig")
        assert answer.json()["credential_issuer"] == f"{url}/t/leipzig"
        assert "date" in answer.headers
        assert "strict-transport-security" not in answer.headers  # of this machine, it would close its other ports
        assert Listener(port).handshake(client(V1_2, V1_3, authority=authority))[0] == "TLSv1.3"
        with pytest.raises(ssl.SSLError):  # the event loop cuts the connection without saying why
            Listener(port).handshake(client(V1_2, V1_2, WEAKER[0]))
    finally:
        process.terminate()
        process.communicate(timeout=20)


def first_answer(http: httpx.Client, url: str) -> httpx.Response:
    """The answer as soon as somebody listens."""
    for _ in range(300):
        try:
            return http.get(url, headers={"X-Try": secrets.token_hex(4)})
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError(f"nobody listens; {os.getpid()}")
