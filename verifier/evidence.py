"""Evidence for the case file: what was asked, shown and checked, against which trust, when, and with which verdict.

A record is a signed statement (`Statement`, no claim value in it) around a sealed examination. Anybody who has the
signer's key sees that nothing was altered; who has the record's key can repeat the examination offline. To erase what
was shown, the record's key is destroyed: the statement stays.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import JoseError, PublicKey, build_jws, parse_jws, thumbprint, verify_jws
from specs.keys.jose import jwk_from_public_key as jwk_of
from specs.keys.signer import Signer
from verifier.examination import Examination, examination_from_bytes, examination_to_bytes
from verifier.verdict import Verdict

TYP = "stadtnachweis-evidence+jwt"
KEY_BYTES = 32
_ID_BYTES, _NONCE_BYTES = 16, 12
_COMMITMENT = b"stadtnachweis evidence key\x00"


class EvidenceError(Exception):
    """A record can't be believed or read; the message says why."""


class EvidenceAltered(EvidenceError):
    """The record is not what its signer signed, or another one signed it."""


class EvidenceSealedOtherwise(EvidenceError):
    """The key is not the record's."""


class EvidenceErased(EvidenceError):
    """The record's key was destroyed: what was shown can't be read any more."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What stays readable: no claim value, no name. id: of the record and its key. at: seconds since the epoch.

    domains: by query id, in whose name the accepted credentials were signed.
    """

    id: str
    procedure: str
    at: int
    accepted: bool
    reason: str | None
    domains: Mapping[str, str]
    key_commitment: str


@dataclass(frozen=True, slots=True)
class OpenedEvidence:
    """A record with its key: the examination, and the verdict that follows from it when it is repeated."""

    statement: Statement
    examination: Examination
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Recording:
    """How a verifier keeps records. write: takes the record with the transaction's id, once the answer has counted.

    Only when `write` has returned can the verdict be had; what it raises ends the question without one.
    """

    signer: Signer
    keys: "EvidenceKeys"
    write: Callable[[str, str], None]

    def keep(
        self,
        examination: Examination,
        verdict: Verdict,
        *,
        procedure: str,
        transaction: str,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Make and write the record of an answer that counted. transaction: its id."""
        record = seal_evidence(
            examination, verdict, procedure=procedure, signer=self.signer, keys=self.keys, random=random
        )
        self.write(record, transaction)


class EvidenceKeys(Protocol):
    """Where the keys of records are kept, away from the records."""

    def keep(self, record_id: str, key: bytes) -> None:
        """Keep a new key."""
        ...

    def find(self, record_id: str) -> bytes | None:
        """The key, or None once it was destroyed."""
        ...

    def destroy(self, record_id: str) -> bool:
        """Erase what a record holds, for good. False: there was no key."""
        ...


def seal_evidence(
    examination: Examination,
    verdict: Verdict,
    *,
    procedure: str,
    signer: Signer,
    keys: EvidenceKeys,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> str:
    """Make the record of one examination: a compact JWS. Its key is kept before the record exists."""
    record_id, key = base64url.encode(random(_ID_BYTES)), random(KEY_BYTES)
    nonce = random(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, examination_to_bytes(examination), record_id.encode())
    payload: JsonObject = {
        "id": record_id,
        "procedure": procedure,
        "iat": examination.now,
        "accepted": verdict.accepted,
        "domains": _domains(verdict),
        "key_commitment": _commitment(record_id, key),
        "sealed": base64url.encode(sealed),
    }
    if verdict.reason is not None:
        payload["reason"] = verdict.reason.value
    keys.keep(record_id, key)
    return build_jws(
        strict_json.dumps(payload), signer=signer, typ=TYP, header={"kid": thumbprint(jwk_of(signer.public_key))}
    )


def read_statement(record: str, *, signer: PublicKey) -> Statement:
    """What a record says in clear, if its signer said so.

    Raises:
        EvidenceAltered: misshapen, altered, or signed by somebody else.
    """
    return _read(record, signer)[0]


def open_evidence(record: str, *, signer: PublicKey, keys: EvidenceKeys) -> OpenedEvidence:
    """Open a record and repeat its examination.

    Raises:
        EvidenceAltered: misshapen, altered, signed by somebody else, or the verdict does not follow from the rest.
        EvidenceSealedOtherwise: the key that is kept is another record's.
        EvidenceErased: the key was destroyed.
    """
    statement, sealed = _read(record, signer)
    key = keys.find(statement.id)
    if key is None:
        raise EvidenceErased("the key of this record was destroyed")
    if not compare_digest(statement.key_commitment.encode(), _commitment(statement.id, key).encode()):
        raise EvidenceSealedOtherwise("the key is not this record's")
    try:
        plain = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], statement.id.encode())
        examination = examination_from_bytes(plain)
        verdict = examination.verdict()
    except (InvalidTag, ValueError) as error:
        raise EvidenceAltered("the sealed part is not what was sealed") from error
    stated = (statement.accepted, statement.reason, statement.domains, statement.at)
    if (verdict.accepted, verdict.reason, _domains(verdict), examination.now) != stated:
        raise EvidenceAltered("the verdict does not follow from the examination")
    return OpenedEvidence(statement, examination, verdict)


class FolderKeys:
    """Keys of records in a folder that only this user can read, one file each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def keep(self, record_id: str, key: bytes) -> None:
        """Keep a new key."""
        path = self._path(record_id)
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(key)

    def find(self, record_id: str) -> bytes | None:
        """The key, or None once it was destroyed."""
        with suppress(FileNotFoundError):
            key = self._path(record_id).read_bytes()
            if len(key) == KEY_BYTES:
                return key
        return None

    def destroy(self, record_id: str) -> bool:
        """Overwrite and delete a key."""
        path = self._path(record_id)
        try:
            with path.open("r+b", buffering=0) as file:
                file.write(bytes(KEY_BYTES))
                os.fsync(file.fileno())  # else the old bytes may stay where they lie
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, record_id: str) -> Path:
        try:
            size = len(base64url.decode(record_id))
        except Malformed as error:
            raise EvidenceAltered("the record's id") from error
        if size != _ID_BYTES:
            raise EvidenceAltered("the record's id")
        return self._folder / record_id


def _read(record: str, signer: PublicKey) -> tuple[Statement, bytes]:
    try:
        jws = parse_jws(record, expected_typ=TYP)
        verify_jws(jws, signer)
        members = jws.claims()
        sealed = base64url.decode(_text(members, "sealed"))
    except (JoseError, Malformed) as error:
        raise EvidenceAltered("the record is not what its signer signed") from error
    at, accepted, domains = members.get("iat"), members.get("accepted"), members.get("domains")
    if type(at) is not int or type(accepted) is not bool or not isinstance(domains, dict):
        raise EvidenceAltered("the record is incomplete")
    return (
        Statement(
            id=_text(members, "id"),
            procedure=_text(members, "procedure"),
            at=at,
            accepted=accepted,
            reason=_text(members, "reason") if "reason" in members else None,
            domains={name: _text(domains, name) for name in domains},
            key_commitment=_text(members, "key_commitment"),
        ),
        sealed,
    )


def _text(members: JsonObject, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise EvidenceAltered("the record is incomplete")
    return value


def _domains(verdict: Verdict) -> dict[str, JsonValue]:
    return {credential.query_id: credential.trust_domain for credential in verdict.credentials}


def _commitment(record_id: str, key: bytes) -> str:
    # AES-GCM opens under more than one key for who looks for such; this binds the record to its own
    return base64url.encode(sha256(_COMMITMENT + record_id.encode() + key).digest())
