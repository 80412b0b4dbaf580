"""One question from asked to answered: used once, kept sealed, ended by whoever comes first.

A store keeps rows; what is secret or personal in them is sealed under a key that the store does not have.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from verifier.iso_mdoc import MdocExchange

_NONCE_BYTES = 12


class State(StrEnum):
    """What a transaction is waiting for."""

    ASKED = "asked"
    RECORDING = "recording"  # an answer counted; its verdict waits for the record to be kept
    ANSWERED = "answered"  # a verdict lies ready, or was fetched


@dataclass(frozen=True, slots=True)
class Transaction:
    """A question that is open. Secrets are digests; the response key exists in memory and sealed only."""

    id: str
    procedure: str
    flow: str
    state: State
    response_handle_digest: str
    page_digest: str
    session_digest: str
    created_at: int  # seconds since the epoch, as all times here
    expires_at: int
    nonce: str
    wallet_state: str
    response_uri: str
    response_key: DecryptionKey | None
    mdoc_exchange: MdocExchange | None  # where the question is also asked as `org-iso-mdoc`
    client_id: str | None  # as it was sent; None over the browser's API, where the origin is the audience
    choices: Mapping[str, object]  # what this question does otherwise than its procedure
    fingerprint: str  # of the query as it was asked


@dataclass(frozen=True, slots=True)
class Link:
    """The handle of one `request_uri`: each picture has its own. fetch_by: until when its first fetch must come."""

    digest: str
    transaction_id: str
    fetch_by: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Row:
    """A transaction as it is stored. `sealed` holds what opens the answer, `outcome` the sealed verdict.

    links: how many handles were made. taken_by: None until the outcome is handed out; then the digest of the
    Idempotency-Key that may have it again, or nothing.
    """

    id: str
    procedure: str
    flow: str
    state: State
    response_handle_digest: str
    page_digest: str
    session_digest: str
    response_code_digest: str | None
    created_at: int
    expires_at: int
    links: int
    sealed: bytes
    outcome: bytes
    taken_by: str | None


class TransactionStore(Protocol):
    """Where transactions are kept. Whatever decides between two callers is one atomic statement."""

    def add(self, row: Row, link: Link | None) -> None:
        """Keep a new transaction and its first link."""
        ...

    def add_link(self, link: Link, *, most: int, now: int) -> bool:
        """Keep a further link of an open transaction. False: it is open no more, or has `most` of them."""
        ...

    def by_link(self, digest: str, *, now: int) -> Row | None:
        """The open transaction whose request is fetched with this handle, which counts as fetched from now on."""
        ...

    def by_response_handle(self, digest: str, *, now: int) -> Row | None:
        """The open, unexpired transaction that this response address belongs to."""
        ...

    def by_page(self, digest: str, *, now: int) -> Row | None:
        """The unexpired transaction, in any state, that this page waits for."""
        ...

    def by_id(self, transaction_id: str, *, now: int) -> Row | None:
        """An unexpired transaction in any state."""
        ...

    def end(
        self,
        transaction_id: str,
        *,
        outcome: bytes,
        response_code_digest: str | None,
        now: int,
        expires_at: int,
        state: State = State.ANSWERED,
    ) -> bool:
        """Answer an open transaction: keep the outcome, forget the key. False: another was first, or it expired."""
        ...

    def reveal(self, transaction_id: str, *, outcome: bytes, now: int) -> bool:
        """Let the outcome of a transaction that was being recorded be had. False: there is no such one."""
        ...

    def take(
        self,
        transaction_id: str,
        *,
        response_code_digest: str | None,
        taken_by: str,
        kept: bytes,
        now: int,
        expires_at: int,
    ) -> bool:
        """Let one caller have the outcome, and keep `kept` in its place. False: another code, or taken before."""
        ...

    def purge(self, *, now: int) -> int:
        """Delete what has expired; how many transactions."""
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
    key, exchange = transaction.response_key, transaction.mdoc_exchange
    secret = {
        "nonce": transaction.nonce,
        "state": transaction.wallet_state,
        "response_uri": transaction.response_uri,
        "client_id": transaction.client_id,
        "choices": dict(transaction.choices),
        "fingerprint": transaction.fingerprint,
        "kid": key.kid if key else None,
        "key": base64url.encode(_private_bytes(key.private)) if key else None,
        "encryption_info": exchange.encryption_info if exchange else None,
        "mdoc_key": base64url.encode(_private_bytes(exchange.key)) if exchange else None,
    }
    return Row(
        id=transaction.id,
        procedure=transaction.procedure,
        flow=transaction.flow,
        state=transaction.state,
        response_handle_digest=transaction.response_handle_digest,
        page_digest=transaction.page_digest,
        session_digest=transaction.session_digest,
        response_code_digest=None,
        created_at=transaction.created_at,
        expires_at=transaction.expires_at,
        links=1,
        sealed=seal.close(json.dumps(secret).encode(), bound_to=f"transaction:{transaction.id}"),
        outcome=b"",
        taken_by=None,
    )


def from_row(row: Row, *, seal: Seal) -> Transaction:
    """The transaction that a row keeps.

    Raises:
        ValueError: the row was altered, or sealed under another key.
    """
    secret = json.loads(seal.open(row.sealed, bound_to=f"transaction:{row.id}"))
    key, mdoc_key = secret["key"], secret["mdoc_key"]
    return Transaction(
        id=row.id,
        procedure=row.procedure,
        flow=row.flow,
        state=row.state,
        response_handle_digest=row.response_handle_digest,
        page_digest=row.page_digest,
        session_digest=row.session_digest,
        created_at=row.created_at,
        expires_at=row.expires_at,
        nonce=secret["nonce"],
        wallet_state=secret["state"],
        response_uri=secret["response_uri"],
        response_key=DecryptionKey(secret["kid"], _private_key(base64url.decode(key))) if key else None,
        mdoc_exchange=MdocExchange(_private_key(base64url.decode(mdoc_key)), secret["encryption_info"])
        if mdoc_key
        else None,
        client_id=secret["client_id"],
        choices=secret["choices"],
        fingerprint=secret["fingerprint"],
    )


def _private_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _private_key(der: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(der, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a response key")
    return key
