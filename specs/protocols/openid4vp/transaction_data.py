"""What a holder agrees to beside showing a credential: `transaction_data` (OpenID4VP 1.0 §5.1, §8.4, §B.2.1, B.3.3)."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.dcql import FORMAT_SD_JWT_VC, DcqlQuery
from specs.protocols.openid4vp.errors import ErrorCode, RequestError

DEFAULT_HASH = "sha-256"
_HASHES = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}

_MAX_ENTRIES = 20
_MAX_ENTRY = 64 * 1024


@dataclass(frozen=True, slots=True)
class TransactionData:
    """One entry. `encoded` is the text that was sent: hashes are over it, never over its content (§B.3.3.1)."""

    encoded: str
    type: str
    credential_ids: tuple[str, ...]
    hash_algs: tuple[str, ...] | None
    members: JsonObject


@dataclass(frozen=True, slots=True)
class MdocTransactionType:
    """The data element by which a device confirms transaction data of one type (§B.2.1).

    The device signs the SHA-256 of the entry's text as it was sent, a byte string, as this element; the issuer must
    have authorized its key to (`keyAuthorizations`). One mdoc so confirms one entry of a type.
    """

    type: str
    name_space: str
    element: str

    def value(self, entry: TransactionData) -> bytes:
        """The element's value for an entry."""
        return hashlib.sha256(entry.encoded.encode()).digest()


def build_transaction_data(
    type_: str,
    *,
    credential_ids: Sequence[str],
    members: Mapping[str, JsonValue],
    hash_algs: Sequence[str] | None = None,
) -> str:
    """Write one entry (§5.1). members: what the type defines beside the common members."""
    entry: JsonObject = {"type": type_, "credential_ids": list(credential_ids)}
    if hash_algs is not None:
        entry["transaction_data_hashes_alg"] = list(hash_algs)
    return base64url.encode(strict_json.dumps({**entry, **members}))


def parse_transaction_data(
    value: JsonValue, *, query: DcqlQuery, known_types: Collection[str] | None = None
) -> tuple[TransactionData, ...]:
    """Read `transaction_data` (§5.1, §8.4). What a type's own members must be is for who knows the type.

    known_types: of the wallet; None: any, for a verifier that reads its own question again.

    Raises:
        RequestError: `invalid_transaction_data`.
    """
    if not isinstance(value, list) or not value or len(value) > _MAX_ENTRIES:
        raise _invalid("not a non-empty array")
    return tuple(_entry(item, query=query, known_types=known_types) for item in value)


def _entry(encoded: JsonValue, *, query: DcqlQuery, known_types: Collection[str] | None) -> TransactionData:
    if not isinstance(encoded, str) or len(encoded) > _MAX_ENTRY:
        raise _invalid("an entry is a text")
    try:
        members = strict_json.parse_object(base64url.decode(encoded))
    except Malformed as error:
        raise _invalid("an entry is the base64url of a JSON object") from error
    type_, ids = members.get("type"), members.get("credential_ids")
    if not isinstance(type_, str) or (known_types is not None and type_ not in known_types):
        raise _invalid("type")
    if not isinstance(ids, list) or not ids:
        raise _invalid("credential_ids")
    for name in ids:
        credential = query.by_id.get(name) if isinstance(name, str) else None
        if credential is None:
            raise _invalid("credential_ids names a credential that is not asked for")
        # §B.3.3: without a proof of possession there is nothing that could carry the consent
        if credential.format == FORMAT_SD_JWT_VC and not credential.require_cryptographic_holder_binding:
            raise _invalid("transaction data needs holder binding")
    hash_algs: tuple[str, ...] | None = None
    if "transaction_data_hashes_alg" in members:
        listed = members["transaction_data_hashes_alg"]
        if not isinstance(listed, list) or not listed or not all(isinstance(alg, str) for alg in listed):
            raise _invalid("transaction_data_hashes_alg")
        hash_algs = tuple(alg for alg in listed if isinstance(alg, str))
    return TransactionData(encoded, type_, tuple(name for name in ids if isinstance(name, str)), hash_algs, members)


def choose_hash(entries: Sequence[TransactionData]) -> str:
    """The hash algorithm that serves all entries of one key binding (§B.3.3.1); the first entry's favourite first.

    Raises:
        RequestError: `invalid_transaction_data`, there is none that we know.
    """
    allowed = [entry.hash_algs or (DEFAULT_HASH,) for entry in entries]
    for alg in allowed[0] if allowed else (DEFAULT_HASH,):
        if alg in _HASHES and all(alg in others for others in allowed):
            return alg
    raise _invalid("no common hash algorithm")


def hash_transaction_data(encoded: str, *, alg: str = DEFAULT_HASH) -> str:
    """The hash of one entry as it was sent, base64url (§B.3.3.1).

    Raises:
        RequestError: `invalid_transaction_data`, an algorithm we don't know.
    """
    if alg not in _HASHES:
        raise _invalid("hash algorithm")
    return base64url.encode(hashlib.new(_HASHES[alg], encoded.encode()).digest())


def _invalid(description: str) -> RequestError:
    return RequestError(ErrorCode.INVALID_TRANSACTION_DATA, f"transaction_data: {description}")
