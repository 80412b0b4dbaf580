"""One question from asked to answered: used once, kept sealed, ended by whoever comes first.

A store keeps rows; what is secret or personal in them is sealed under a key that the store does not have.
"""

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from specs.encoding import base64url
from specs.keys.jwe import DecryptionKey

_NONCE_BYTES = 12


class State(StrEnum):
    """What a transaction is waiting for."""

    ASKED = "asked"
    ANSWERED = "answered"  # a verdict lies ready, or was fetched


@dataclass(frozen=True, slots=True)
class Transaction:
    """A question that is open. Secrets are digests; the response key exists in memory and sealed only."""

    id: str
    procedure: str
    flow: str
    state: State
    request_handle_digest: str
    response_handle_digest: str
    session_digest: str
    created_at: int  # seconds since the epoch, as all times here
    expires_at: int
    nonce: str
    wallet_state: str
    response_uri: str
    response_key: DecryptionKey | None


@dataclass(frozen=True, slots=True)
class Row:
    """A transaction as it is stored. `sealed` holds what opens the answer, `outcome` the sealed verdict."""

    id: str
    procedure: str
    flow: str
    state: State
    request_handle_digest: str
    response_handle_digest: str
    session_digest: str
    response_code_digest: str | None
    created_at: int
    expires_at: int
    sealed: bytes
    outcome: bytes


class TransactionStore(Protocol):
    """Where transactions are kept. Each method is one atomic statement."""

    def add(self, row: Row) -> None:
        """Keep a new transaction."""
        ...

    def by_request_handle(self, digest: str, *, now: int) -> Row | None:
        """The open, unexpired transaction whose request may be fetched with this handle."""
        ...

    def by_response_handle(self, digest: str, *, now: int) -> Row | None:
        """The open, unexpired transaction that this response address belongs to."""
        ...

    def by_id(self, transaction_id: str, *, now: int) -> Row | None:
        """An unexpired transaction in any state."""
        ...

    def end(
        self, transaction_id: str, *, outcome: bytes, response_code_digest: str | None, now: int, expires_at: int
    ) -> bool:
        """Answer an open transaction: keep the outcome, forget the key. False: another was first, or it expired."""
        ...

    def take(self, transaction_id: str, *, response_code_digest: str | None, now: int) -> bytes | None:
        """Hand the outcome out, once, and erase it. None: nothing to take, another code, or taken before."""
        ...

    def purge(self, *, now: int) -> int:
        """Delete what has expired; how many rows."""
        ...


class Seal:
    """Seals what a store must not read: AES-256-GCM under a key that lives outside it. key: 32 bytes."""

    def __init__(self, key: bytes, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if len(key) != 32:
            raise ValueError("a sealing key has 32 bytes")
        self._aead = AESGCM(key)
        self._random = random

    def close(self, plain: bytes, *, bound_to: str) -> bytes:
        """Seal bytes; they open only for the same `bound_to`."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, bound_to.encode())

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """Open what `close` sealed.

        Raises:
            ValueError: altered, sealed under another key, or bound to something else.
        """
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise ValueError("the seal does not open") from error


def to_row(transaction: Transaction, *, seal: Seal) -> Row:
    """A transaction as it is stored."""
    key = transaction.response_key
    secret = {
        "nonce": transaction.nonce,
        "state": transaction.wallet_state,
        "response_uri": transaction.response_uri,
        "kid": key.kid if key else None,
        "key": base64url.encode(_private_bytes(key)) if key else None,
    }
    return Row(
        id=transaction.id,
        procedure=transaction.procedure,
        flow=transaction.flow,
        state=transaction.state,
        request_handle_digest=transaction.request_handle_digest,
        response_handle_digest=transaction.response_handle_digest,
        session_digest=transaction.session_digest,
        response_code_digest=None,
        created_at=transaction.created_at,
        expires_at=transaction.expires_at,
        sealed=seal.close(json.dumps(secret).encode(), bound_to=f"transaction:{transaction.id}"),
        outcome=b"",
    )


def from_row(row: Row, *, seal: Seal) -> Transaction:
    """The transaction that a row keeps.

    Raises:
        ValueError: the row was altered, or sealed under another key.
    """
    secret = json.loads(seal.open(row.sealed, bound_to=f"transaction:{row.id}"))
    key = secret["key"]
    return Transaction(
        id=row.id,
        procedure=row.procedure,
        flow=row.flow,
        state=row.state,
        request_handle_digest=row.request_handle_digest,
        response_handle_digest=row.response_handle_digest,
        session_digest=row.session_digest,
        created_at=row.created_at,
        expires_at=row.expires_at,
        nonce=secret["nonce"],
        wallet_state=secret["state"],
        response_uri=secret["response_uri"],
        response_key=DecryptionKey(secret["kid"], _private_key(base64url.decode(key))) if key else None,
    )


def _private_bytes(key: DecryptionKey) -> bytes:
    return key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _private_key(der: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(der, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a response key")
    return key


class MemoryStore:
    """Keeps transactions in this process; for one process, tests and small services."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._by_request_handle: dict[str, str] = {}  # digest → id, as the next one
        self._by_response_handle: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, row: Row) -> None:
        """Keep a new transaction."""
        with self._lock:
            self._rows[row.id] = row
            self._by_request_handle[row.request_handle_digest] = row.id
            self._by_response_handle[row.response_handle_digest] = row.id

    def by_request_handle(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a request handle."""
        return self._open_one(self._by_request_handle, digest, now)

    def by_response_handle(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a response address."""
        return self._open_one(self._by_response_handle, digest, now)

    def by_id(self, transaction_id: str, *, now: int) -> Row | None:
        """An unexpired transaction in any state."""
        with self._lock:
            row = self._rows.get(transaction_id)
            return row if row is not None and row.expires_at > now else None

    def end(
        self, transaction_id: str, *, outcome: bytes, response_code_digest: str | None, now: int, expires_at: int
    ) -> bool:
        """Answer an open transaction, once."""
        with self._lock:
            row = self._rows.get(transaction_id)
            if row is None or row.state is not State.ASKED or row.expires_at <= now:
                return False
            self._rows[transaction_id] = replace(
                row,
                state=State.ANSWERED,
                sealed=b"",
                outcome=outcome,
                response_code_digest=response_code_digest,
                expires_at=expires_at,
            )
            return True

    def take(self, transaction_id: str, *, response_code_digest: str | None, now: int) -> bytes | None:
        """Hand the outcome out, once."""
        with self._lock:
            row = self._rows.get(transaction_id)
            if row is None or row.expires_at <= now or not row.outcome:
                return None
            if row.response_code_digest != response_code_digest:
                return None
            self._rows[transaction_id] = replace(row, outcome=b"")
            return row.outcome

    def purge(self, *, now: int) -> int:
        """Delete what has expired."""
        with self._lock:
            gone = [row for row in self._rows.values() if row.expires_at <= now]
            for row in gone:
                del self._rows[row.id]
                del self._by_request_handle[row.request_handle_digest]
                del self._by_response_handle[row.response_handle_digest]
            return len(gone)

    def _open_one(self, index: dict[str, str], digest: str, now: int) -> Row | None:
        with self._lock:
            row = self._rows.get(index.get(digest, ""))
            return row if row is not None and row.state is State.ASKED and row.expires_at > now else None
