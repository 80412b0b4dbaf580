"""The issuer's own secrets: two files outside the database, from which every other key is derived or unwrapped.

`master.key` wraps the data keys of the tenants, so a copy of the database alone opens nothing. `mac.key` is the root of
the keys behind short or repeatable secrets (transaction codes, nonces, pseudonyms). Both belong in the operator's
backup, apart from that of the database.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
MASTER_FILE = "master.key"
MAC_FILE = "mac.key"


class SecretsError(Exception):
    """The files of secrets are missing or not as they were written; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys that a running issuer holds in memory; each has one purpose."""

    wrapping_key: bytes = field(repr=False)  # data keys of the tenants
    code_key: bytes = field(repr=False)  # pre-authorized codes
    tx_code_key: bytes = field(repr=False)
    nonce_key: bytes = field(repr=False)
    pseudonym_key: bytes = field(repr=False)
    issuer_state_key: bytes = field(repr=False)
    city_token_key: bytes = field(repr=False)
    presentation_key: bytes = field(repr=False)  # seals what the embedded verifier keeps
    session_key: bytes = field(repr=False)  # anti-forgery values of the login pages
    refresh_key: bytes = field(repr=False)  # which refresh token follows which
    request_encryption_key: bytes = field(repr=False)  # what wallets encrypt credential requests to

    def tx_code_mac(self, code: str, *, tenant_id: str, offer_id: str) -> bytes:
        """What is stored of a transaction code: an HMAC over it, its tenant and its offer."""
        return _mac(self.tx_code_key, tenant_id, offer_id, code)

    def pseudonym(self, reference: str, *, tenant_id: str) -> bytes:
        """What stays of a person after collection: an HMAC over the city's reference for them."""
        return _mac(self.pseudonym_key, tenant_id, reference)

    def issuer_state(self, *, tenant_id: str, offer_id: str, generation: int) -> bytes:
        """The `issuer_state` of an offer, the same at each fetch, gone with the generation (OpenID4VCI §4.1.1)."""
        return _mac(self.issuer_state_key, tenant_id, offer_id, str(generation))


def create_secrets(folder: Path) -> None:
    """Write both files with fresh random keys, readable by this user alone; files that exist stay as they are."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (MASTER_FILE, MAC_FILE):
        write_private_file(folder / name, secrets.token_bytes(KEY_BYTES).hex().encode(), keep_existing=True)


def load_secrets(folder: Path) -> Secrets:
    """Read both files and derive the keys.

    Raises:
        SecretsError: a file is missing, unreadable or not 32 bytes in hexadecimal.
    """
    root = _read(folder / MAC_FILE)
    return Secrets(
        wrapping_key=_read(folder / MASTER_FILE),
        code_key=_derive(root, b"pre_authorized_code"),
        tx_code_key=_derive(root, b"tx_code"),
        nonce_key=_derive(root, b"nonce"),
        pseudonym_key=_derive(root, b"pseudonym"),
        issuer_state_key=_derive(root, b"issuer_state"),
        city_token_key=_derive(root, b"city_token"),
        presentation_key=_derive(root, b"presentation"),
        session_key=_derive(root, b"session"),
        refresh_key=_derive(root, b"refresh"),
        request_encryption_key=_derive(root, b"request_encryption"),
    )


def write_private_file(path: Path, content: bytes, *, keep_existing: bool = False) -> bool:
    """Write a file that only this user may read, unless there is one; returns whether it was written.

    Raises:
        FileExistsError: the file exists and `keep_existing` is off.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if keep_existing:
            return False
        raise
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return True


def digest(secret: str) -> bytes:
    """What is stored of a strong secret: its SHA-256."""
    return hashlib.sha256(secret.encode()).digest()


def _read(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise SecretsError(f"{path} is missing; `stadtnachweis issuer init` writes it once") from None
    except (OSError, ValueError):
        raise SecretsError(f"{path} cannot be read as a key") from None
    if len(key) != KEY_BYTES:
        raise SecretsError(f"{path} does not hold {KEY_BYTES} bytes")
    return key


def _derive(root: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"stadtnachweis issuer " + purpose).derive(root)


def _mac(key: bytes, *parts: str) -> bytes:
    """HMAC-SHA-256 over the parts, each preceded by its length, so that no two lists of parts look alike."""
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(key, message, hashlib.sha256).digest()
