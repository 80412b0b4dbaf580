"""What a wallet keeps: its keys and credentials, in one SQLite file for its owner alone."""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from specs.credentials import mdoc
from specs.credentials.sd_jwt_present import parse_issued, read_as_holder
from specs.credentials.sd_jwt_vc import TYP, holder_key, parse_issuer_jwt, read_claims
from specs.encoding import base64url
from specs.keys.jose import PrivateKey, key_thumbprint
from specs.keys.signer import FileSigner
from specs.protocols.issuer_metadata import DC_SD_JWT, MSO_MDOC
from specs.trust.parsed_certificate import parse_certificate
from wallet_sim.labels import Labels

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS credential (
    id TEXT PRIMARY KEY, batch TEXT NOT NULL, format TEXT NOT NULL, type TEXT NOT NULL, name TEXT NOT NULL,
    issuer TEXT NOT NULL, content TEXT NOT NULL, key BLOB NOT NULL, collected_at INTEGER NOT NULL,
    shown INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS token_kept (
    id TEXT PRIMARY KEY, issuer TEXT NOT NULL, server TEXT NOT NULL, refresh_token TEXT NOT NULL,
    instance_key BLOB NOT NULL, dpop_key BLOB NOT NULL, anonymous INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS renewal (
    batch TEXT PRIMARY KEY, token_id TEXT NOT NULL, configuration TEXT NOT NULL, dataset TEXT, copies INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS label (batch TEXT PRIMARY KEY, labels TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS history (
    at INTEGER NOT NULL, kind TEXT NOT NULL, party TEXT NOT NULL, what TEXT NOT NULL
);
"""


class UnknownCredential(Exception):
    """The wallet has no such credential, or several."""


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A credential with the key that it is bound to.

    batch: the same for all copies of one credential. type: `vct` or `docType`. content: compact SD-JWT, or base64url of
    IssuerSigned. collected_at: seconds since the epoch. shown: how often it was presented.
    """

    id: str
    batch: str
    format: str
    type: str
    name: str
    issuer: str
    content: str
    key: PrivateKey
    collected_at: int
    shown: int = 0

    @property
    def signer(self) -> FileSigner:
        """The holder's key as a signer."""
        return FileSigner(self.key)


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A refresh token, and the keys that it is bound to (RFC 9449 §5, draft-07 §10.3). issuer, server: addresses."""

    id: str
    issuer: str
    server: str
    refresh_token: str
    instance_key: PrivateKey
    dpop_key: PrivateKey
    is_anonymous: bool


@dataclass(frozen=True, slots=True)
class Renewal:
    """How a credential is collected anew. dataset: its credential identifier, where the issuer tells them apart."""

    token: KeptToken
    configuration: str
    dataset: str | None
    copies: int


class EventKind(StrEnum):
    """What a wallet did."""

    COLLECTED = "collected"
    RENEWED = "renewed"
    PRESENTED = "presented"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a wallet did. at: seconds since the epoch. party: with whom. what: names, never values."""

    at: int
    kind: EventKind
    party: str
    what: str


class WalletStore:
    """One wallet's file; several wallets are several files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        with self._open() as connection:
            connection.executescript(_SCHEMA)

    def add(
        self, credentials: Iterable[StoredCredential], renewal: Renewal | None = None, labels: Labels | None = None
    ) -> None:
        """Keep credentials, all or none. renewal: how they are collected anew, where the issuer lets the wallet.

        labels: what people call their claims.
        """
        added = list(credentials)
        batches = {each.batch for each in added}
        with self._open() as connection:
            _insert(connection, added)
            if labels:
                text = json.dumps(labels)
                connection.executemany("INSERT INTO label VALUES (?, ?)", [(batch, text) for batch in batches])
            if renewal is None:
                return
            token = renewal.token
            keys = private_bytes(token.instance_key), private_bytes(token.dpop_key)
            connection.execute(
                "INSERT OR IGNORE INTO token_kept VALUES (?, ?, ?, ?, ?, ?, ?)",
                (token.id, token.issuer, token.server, token.refresh_token, *keys, token.is_anonymous),
            )
            connection.executemany(
                "INSERT INTO renewal VALUES (?, ?, ?, ?, ?)",
                [(batch, token.id, renewal.configuration, renewal.dataset, renewal.copies) for batch in batches],
            )

    def replace(self, batch: str, credentials: Iterable[StoredCredential]) -> None:
        """Keep credentials in the place of others, all or none."""
        with self._open() as connection:
            connection.execute("DELETE FROM credential WHERE batch = ?", (batch,))
            _insert(connection, credentials)

    def renewal(self, batch: str) -> Renewal | None:
        """How the copies of a credential are collected anew, if they can be."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT configuration, dataset, copies, id, issuer, server, refresh_token, instance_key, dpop_key,"
                " anonymous FROM renewal JOIN token_kept ON id = token_id WHERE batch = ?",
                (batch,),
            ).fetchone()
        if row is None:
            return None
        configuration, dataset, copies, token_id, issuer, server, refresh_token, instance, dpop, anonymous = row
        token = KeptToken(
            token_id, issuer, server, refresh_token, private_key(instance), private_key(dpop), bool(anonymous)
        )
        return Renewal(token, configuration, dataset, copies)

    def labels(self, batch: str) -> Labels:
        """What people call the claims of a credential."""
        with self._open() as connection:
            row = connection.execute("SELECT labels FROM label WHERE batch = ?", (batch,)).fetchone()
        return {} if row is None else dict(json.loads(row[0]))

    def rotate(self, token_id: str, refresh_token: str) -> None:
        """The issuer gave another refresh token for one that was used."""
        with self._open() as connection:
            connection.execute("UPDATE token_kept SET refresh_token = ? WHERE id = ?", (refresh_token, token_id))

    def credentials(self) -> tuple[StoredCredential, ...]:
        """All copies of all credentials, the oldest first."""
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM credential ORDER BY collected_at, rowid").fetchall()
        return tuple(
            StoredCredential(id_, batch, form, type_, name, issuer, content, private_key(key), collected_at, shown)
            for id_, batch, form, type_, name, issuer, content, key, collected_at, shown in rows
        )

    def freshest(self) -> tuple[StoredCredential, ...]:
        """Of each credential the copy that was shown least: two verifiers who compare what they saw learn nothing."""
        best: dict[str, StoredCredential] = {}
        for credential in self.credentials():
            if credential.batch not in best or credential.shown < best[credential.batch].shown:
                best[credential.batch] = credential
        return tuple(best.values())

    def count_shown(self, credential_ids: Iterable[str]) -> None:
        """Remember that these copies were presented."""
        with self._open() as connection:
            connection.executemany(
                "UPDATE credential SET shown = shown + 1 WHERE id = ?", [(each,) for each in credential_ids]
            )

    def find(self, id_or_prefix: str) -> StoredCredential:
        """The credential whose id begins so.

        Raises:
            UnknownCredential: none or several do.
        """
        found = [credential for credential in self.credentials() if credential.id.startswith(id_or_prefix)]
        if len(found) != 1:
            raise UnknownCredential(f"{len(found)} credentials have an id that begins with {id_or_prefix}")
        return found[0]

    def delete(self, credential_id: str) -> None:
        """Forget a credential and its key, and after the last copy how it is renewed."""
        with self._open() as connection:
            connection.execute("DELETE FROM credential WHERE id = ?", (credential_id,))
            connection.execute("DELETE FROM label WHERE batch NOT IN (SELECT batch FROM credential)")
            connection.execute("DELETE FROM renewal WHERE batch NOT IN (SELECT batch FROM credential)")
            connection.execute("DELETE FROM token_kept WHERE id NOT IN (SELECT token_id FROM renewal)")

    def remember(self, event: Event) -> None:
        """Write down what was done."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO history VALUES (?, ?, ?, ?)", (event.at, event.kind.value, event.party, event.what)
            )

    def history(self) -> tuple[Event, ...]:
        """What was done, the newest first."""
        with self._open() as connection:
            rows = connection.execute("SELECT at, kind, party, what FROM history ORDER BY rowid DESC").fetchall()
        return tuple(Event(at, EventKind(kind), party, what) for at, kind, party, what in rows)

    def clear_history(self) -> None:
        """Forget what was done."""
        with self._open() as connection:
            connection.execute("DELETE FROM history")

    def secret(self, name: str) -> bytes | None:
        """Something this wallet made for itself earlier."""
        with self._open() as connection:
            row = connection.execute("SELECT value FROM secret WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_secret(self, name: str, value: bytes) -> bytes:
        """Keep something unless it is there already; what is kept."""
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO secret VALUES (?, ?)", (name, value))
        kept = self.secret(name)
        assert kept is not None  # inserted above at the latest
        return kept

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def _insert(connection: sqlite3.Connection, credentials: Iterable[StoredCredential]) -> None:
    connection.executemany(
        "INSERT INTO credential VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                credential.id,
                credential.batch,
                credential.format,
                credential.type,
                credential.name,
                credential.issuer,
                credential.content,
                private_bytes(credential.key),
                credential.collected_at,
                credential.shown,
            )
            for credential in credentials
        ],
    )


def read_credential(content: str, key_pem: bytes, *, name: str) -> StoredCredential:
    """A credential from elsewhere with its holder's key. content: compact SD-JWT, or base64url of IssuerSigned.

    Raises:
        Refusal, Malformed, ValueError: it can't be read, or is bound to another key.
    """
    key = load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("the holder's key is of a kind that credentials are not bound to")
    if "~" in content:
        sd_jwt = parse_issued(content)
        credential = read_claims(read_as_holder(sd_jwt, expected_typ=TYP))
        form, type_, bound_to = DC_SD_JWT, credential.vct, holder_key(credential)
        chain = parse_issuer_jwt(sd_jwt).chain
    else:
        issuer_signed = mdoc.parse_issuer_signed(base64url.decode(content))
        mso = mdoc.parse_mso(issuer_signed)
        form, type_, bound_to, chain = MSO_MDOC, mso.doc_type, mso.device_key, mdoc.issuer_chain(issuer_signed)
    if key_thumbprint(key.public_key()) != key_thumbprint(bound_to):
        raise ValueError("the credential is bound to another key")
    issuer = parse_certificate(chain[0]).names().display_name
    return StoredCredential(secrets.token_hex(8), secrets.token_hex(16), form, type_, name, issuer, content, key, 0)


def private_bytes(key: PrivateKey) -> bytes:
    """A private key as PKCS #8 DER."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def private_key(der: bytes) -> PrivateKey:
    """The private key of PKCS #8 DER."""
    return load_der_private_key(der, None)  # type: ignore[return-value]  # written by private_bytes
