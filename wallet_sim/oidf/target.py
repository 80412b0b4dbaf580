"""Starts the wallet as a target: one command makes who issues, who asks and a TLS listener, and says what it made.

Everything lives in a folder of this run. The listener takes connections of this machine alone, where the suite is, too.
"""

import contextlib
import json
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn
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
from wallet_sim.oidf.credentials import identity_credentials
from wallet_sim.oidf.identities import HOST, new_issuer, new_verifiers, pem
from wallet_sim.oidf.plan import Target, plan_configuration
from wallet_sim.web.app import create_app
from wallet_sim.web.settings import Served, WalletEntry, WalletSettings, open_wallets

_LISTEN = "127.0.0.1"
_CIPHERS = "ECDHE+AESGCM"  # of TLS 1.2 (RFC 9325 §4.2)
TX_CODE = "123456"  # the suite's own
_COPIES = 3


def run_target(*, port: int) -> int:
    """Serve until Ctrl-C. The plan configuration goes to standard output once the target answers. port: 0 takes any.

    Raises:
        OSError: the port is taken.
    """
    with _listening(port) as listener, tempfile.TemporaryDirectory(prefix="stadtnachweis-oidf-") as name:
        folder = Path(name)
        app, target = prepare(folder, url=f"https://{HOST}:{listener.getsockname()[1]}")
        certificate, key = _tls(folder, now=int(time.time()))
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            ssl_ciphers=_CIPHERS,
        )
        sys.stdout.write(json.dumps(plan_configuration(target), indent=2) + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listener])
    return 0


def prepare(folder: Path, *, url: str) -> tuple[FastAPI, Target]:
    """Make everything in an empty folder. url: where the target will be reached.

    One wallet presents: at the top to whoever is trusted, under `/haip` to those who keep to HAIP 1.0. Another one
    collects, so that what it is given answers no question; under `/details` it asks by authorization details.
    """
    now = int(time.time())
    issuer, verifiers = new_issuer(now=now), new_verifiers(2, now=now)
    (folder / "issuers.pem").write_text(pem(issuer.root), "ascii")
    (folder / "verifiers.pem").write_text(pem(verifiers[0].root), "ascii")
    (folder / "verifier.pem").write_text(pem(verifiers[0].certificate), "ascii")
    plain = WalletSettings(
        wallets=tuple(WalletEntry(name=name, file=folder / f"{name}.sqlite3") for name in ("presenting", "collecting")),
        issuer_anchors=(folder / "issuers.pem",),
        verifier_anchors=(folder / "verifiers.pem",),
        known_verifiers={HOST: folder / "verifier.pem"},
        answers_unsigned=True,
        tells_mistakes=False,
        loopback_tls_unchecked=True,
        copies=_COPIES,
        tx_code=TX_CODE,
    )
    served = open_wallets(plain)
    served.first.store.add(identity_credentials(issuer.identity, now=now))
    app = create_app(served)
    app.mount("/haip", create_app(_strict(plain)))
    app.mount("/details", create_app(open_wallets(plain.model_copy(update={"by_details": True}))))
    provider = served.wallets["collecting"].provider.anchor_pem().decode("ascii")
    return app, Target(url, issuer, verifiers, ec.generate_private_key(ec.SECP256R1()), provider)


def _strict(settings: WalletSettings) -> Served:
    """The same wallets, held to HAIP."""
    return open_wallets(settings.model_copy(update={"haip": True, "answers_unsigned": False}))


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_LISTEN, port))
        listener.listen()  # who reads the address may come before a server has taken over
        yield listener


def _tls(folder: Path, *, now: int) -> tuple[Path, Path]:
    """A certificate for this machine and this run, with its key."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = build_root_ca(key=root_key, subject=SubjectName("TEST TLS Root"), serial=_serial(), now=now)
    certificate = build_tls_server_certificate(
        authority=Authority(root, root_key),
        public_key=key.public_key(),
        serial=_serial(),
        now=now,
        hosts=[HOST, _LISTEN],
    )
    files = folder / "tls.crt.pem", folder / "tls.key.pem"
    files[0].write_text(pem(certificate), "ascii")
    files[1].touch(mode=0o600)
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def _serial() -> int:
    return serial_number(secrets.token_bytes(SERIAL_BYTES))
