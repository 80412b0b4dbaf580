"""The target as a process of its own, started by the one command and known by what it printed."""

import base64
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.signer import FileSigner, SigningIdentity
from tests.issuer.wallet_api.world import Provider, Wallet


@dataclass(frozen=True, slots=True)
class Target:
    """What the target printed."""

    printed: JsonObject

    def at(self, *names: str) -> JsonObject:
        """A member, by its way down."""
        value = self.printed
        for name in names:
            inner = value[name]
            assert isinstance(inner, dict)
            value = inner
        return value

    @property
    def issuer_url(self) -> str:
        """The credential issuer identifier."""
        return str(self.at("vci")["credential_issuer_url"])

    @property
    def address(self) -> tuple[str, int]:
        """Where its listener is."""
        parts = urlsplit(self.issuer_url)
        assert parts.port is not None
        return "127.0.0.1", parts.port

    @property
    def admin(self) -> dict[str, str]:
        """The driver's hooks."""
        return {name: str(value) for name, value in self.at("stadtnachweis", "admin").items()}

    def identity(self, name: str) -> SigningIdentity:
        """One of the attesters, made of the private key that is printed for the suite."""
        key = strict_members(self.at("client_attestation", name)["keys"])
        chain = key["x5c"]
        assert isinstance(chain, list)
        secret = int.from_bytes(base64url.decode(str(key["d"])), "big")
        signer = FileSigner(ec.derive_private_key(secret, ec.SECP256R1()))
        return SigningIdentity(signer, (base64.b64decode(str(chain[0])),))


def strict_members(values: JsonValue) -> JsonObject:
    """The one object of a list."""
    assert isinstance(values, list)
    [value] = values
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """The running target, on a free port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ISSUER_")}
    command = [sys.executable, "-m", "stadtnachweis", "issuer", "--profile", "oidf", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.fullmatch(r"}\s*", line):
            break
    try:
        yield Target(json.loads("".join(lines)))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
        process.stdout.close()


@pytest.fixture
async def http(target: Target) -> AsyncIterator[httpx.AsyncClient]:
    """A client that does not look at the certificate, as the suite's doesn't."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with httpx.AsyncClient(verify=context) as client:
        yield client


@pytest.fixture
def wallet(target: Target, http: httpx.AsyncClient) -> Wallet:
    """A wallet that the target's attester vouches for."""
    return Wallet(http, target.issuer_url, Provider(target.identity("attester_jwks")), client_id="oidf-client-1")
