"""Token Status List: one compressed array of states for many credentials (draft-ietf-oauth-status-list).

A credential points into a list (`uri`, `idx`); the list is a signed token, as JWT or as CWT. Reading: §8.3. Publishing:
§4, §5, §9. Section numbers are draft 20's, the same as draft 14's.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

import cbor2

from specs.credentials.signed_list import (
    CWT_NAMES,
    JWT_NAMES,
    StatusListError,
    decode_claims,
    is_uri,
    members,
    not_believed,
    parse_list_cwt,
    read_claims,
    verified_payload,
)
from specs.encoding import Malformed, base64url, cbor, strict_json
from specs.keys.cose import SIGN1_TAG, TYP, X5CHAIN, CoseSign1, build_sign1, x5chain_value
from specs.keys.jose import (
    JoseError,
    Jws,
    PublicKey,
    build_jws,
    jwk_from_public_key,
    parse_jws,
    parse_x5c,
    verify_jws,
    x5c_header,
)
from specs.keys.signer import SigningIdentity
from specs.refusal import ReasonCode

JWT_TYP = "statuslist+jwt"
CWT_TYP = "application/statuslist+cwt"
BITS = (1, 2, 4, 8)
MAX_BYTES = 16 * 1024 * 1024  # of a decompressed list

_STATUS_LIST = 65533  # CWT claim (§5.2)


class StatusMediaType(StrEnum):
    """How a list travels (§8.1)."""

    JWT = "application/statuslist+jwt"
    CWT = "application/statuslist+cwt"


class Status(IntEnum):
    """The registered states (§7.1). 0x03 and 0x0C to 0x0F mean what an application says, all others nothing."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


class StatusReference(NamedTuple):
    """Where a credential's state stands (§6.2, §6.3)."""

    uri: str
    idx: int


@dataclass(frozen=True, slots=True)
class StatusList:
    """States of `len(self)` credentials, `bits` each (1, 2, 4 or 8), lowest bits first (§4.1)."""

    bits: int
    raw: bytes

    def __post_init__(self) -> None:
        if type(self.bits) is not int or self.bits not in BITS:
            raise ValueError("a state has 1, 2, 4 or 8 bits")

    def __len__(self) -> int:
        return len(self.raw) * 8 // self.bits

    def __getitem__(self, idx: int) -> int:
        """The state at an index (§4.1, §8.3).

        Raises:
            StatusListError: the index is negative or beyond the list, or no integer.
        """
        if type(idx) is not int or not 0 <= idx < len(self):
            raise StatusListError(ReasonCode.STATUS_INDEX_OUT_OF_RANGE)
        offset = idx * self.bits
        return (self.raw[offset >> 3] >> (offset & 7)) & ((1 << self.bits) - 1)


@dataclass(frozen=True, slots=True)
class SignedStatusList:
    """A list's token taken apart, believed by nobody yet. `chain`: DER, leaf first, for the caller to validate."""

    chain: tuple[bytes, ...]
    token: Jws | CoseSign1


@dataclass(frozen=True, slots=True)
class StatusListToken:
    """A status list whose signature, subject and dates held. Times: seconds since the epoch; ttl: seconds."""

    uri: str
    issued_at: float
    expires_at: float | None
    ttl: float | None
    aggregation_uri: str | None
    statuses: StatusList
    not_before: float | None = field(default=None, compare=False)


def parse_status_reference(status: object) -> StatusReference:
    """Read the member `status` of a credential, JSON or CBOR (§6.2, §6.3). Further members are ignored.

    Raises:
        StatusListError: no `status_list`, an index that is no integer from 0 on, or no URI.
    """
    reference = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(reference, dict):
        raise StatusListError(ReasonCode.STATUS_MALFORMED, "no mechanism that we know")
    idx, uri = reference.get("idx"), reference.get("uri")
    if type(idx) is not int or idx < 0:
        raise StatusListError(ReasonCode.STATUS_MALFORMED, "idx")
    if type(uri) is not str or not is_uri(uri):
        raise StatusListError(ReasonCode.STATUS_MALFORMED, "uri")
    return StatusReference(uri, idx)


def status_reference_claim(reference: StatusReference) -> dict[str, dict[str, int | str]]:
    """The value of `status` in a credential that points to this place (§6.2, §6.3)."""
    return {"status_list": {"idx": reference.idx, "uri": reference.uri}}


def parse_status_list_jwt(token: str | bytes) -> SignedStatusList:
    """Take a list in JWT form apart (§5.1); nothing is decompressed before `verify_status_list`.

    Raises:
        StatusListError: no such JWT, another `typ`, an algorithm that is no signature, no certificates (HAIP 1.0 §6.1).
    """
    try:
        jws = parse_jws(token, expected_typ=JWT_TYP)
        return SignedStatusList(parse_x5c(jws.header), jws)
    except JoseError as error:
        raise not_believed(error) from error


def parse_status_list_cwt(token: bytes) -> SignedStatusList:
    """Take a list in CWT form apart: COSE_Sign1 with tag 18, or without (§5.2); nothing is decompressed yet.

    Raises:
        StatusListError: no such CWT, another `typ`, an algorithm that is no signature, no certificates.
    """
    return SignedStatusList(*parse_list_cwt(token, expected_typ=CWT_TYP, chain_is_protected=False))


def verify_status_list(
    signed: SignedStatusList,
    *,
    key: PublicKey,
    expected_uri: str,
    now: int,
    max_bytes: int = MAX_BYTES,
    skew: int = 60,
) -> StatusListToken:
    """Check signature, subject, dates and encoding of a list, in this order (§8.3).

    key: of the leaf of the validated `signed.chain`. expected_uri: the credential's `uri`. now: seconds since the
    epoch. max_bytes: cap on the decompressed list. skew: seconds that our clock may be off.

    Raises:
        StatusListError: wrongly signed, a claim missing or misshapen, another list's, expired or from the future,
            not compressed as it should be, or too large.
    """
    is_jwt = isinstance(signed.token, Jws)
    names = JWT_NAMES if is_jwt else CWT_NAMES
    claims = _claims(signed.token, key=key)
    said = read_claims(claims, names, expected_uri=expected_uri, now=now, skew=skew)
    content = members(claims.get("status_list" if is_jwt else _STATUS_LIST))
    aggregation_uri = content.get("aggregation_uri")
    if not (type(aggregation_uri) is str or "aggregation_uri" not in content):
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "aggregation_uri")
    bits, lst = content.get("bits"), _compressed(content.get("lst"), jwt=is_jwt)
    if type(bits) is not int or bits not in BITS:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "bits")
    statuses = StatusList(bits, decompress(lst, max_bytes=max_bytes))
    return StatusListToken(
        uri=said.uri,
        issued_at=said.issued_at,
        expires_at=said.expires_at,
        ttl=said.ttl,
        aggregation_uri=aggregation_uri if type(aggregation_uri) is str else None,
        statuses=statuses,
        not_before=said.not_before,
    )


def decompress(data: bytes, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Inflate a list: one complete zlib stream, nothing behind it, not above the cap (§4.1, §8.3).

    Raises:
        StatusListError: not that.
    """
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "not a zlib stream") from error
    if len(raw) > max_bytes:
        raise StatusListError(ReasonCode.LIMIT_EXCEEDED, "status list")
    if not stream.eof or stream.unused_data:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "the zlib stream ends too early or too late")
    return raw


def compress(raw: bytes) -> bytes:
    """Deflate a list as zlib at the best level (§4.1)."""
    return zlib.compress(raw, 9)


def build_status_list(*, bits: int, size: int, statuses: Mapping[int, int]) -> StatusList:
    """A list for `size` credentials, VALID where nothing else is said; rounded up to whole bytes (§4.1).

    statuses: index → state.

    Raises:
        ValueError: bits, an index or a state out of range.
    """
    if bits not in BITS or size < 1:
        raise ValueError("bits or size")
    raw = bytearray((size * bits + 7) // 8)
    for idx, status in statuses.items():
        if not 0 <= idx < size or not 0 <= status < 1 << bits:
            raise ValueError("index or state out of range")
        offset = idx * bits
        raw[offset >> 3] |= status << (offset & 7)
    return StatusList(bits, bytes(raw))


def build_status_list_jwt(
    statuses: StatusList,
    *,
    identity: SigningIdentity,
    uri: str,
    issued_at: int,
    expires_at: int,
    ttl: int,
    aggregation_uri: str | None = None,
    jwk_header: bool = False,
) -> str:
    """Publish a list as JWT (§5.1) with the certificates in x5c (HAIP 1.0 §6.1).

    issued_at, expires_at: seconds since the epoch; ttl: seconds. jwk_header: also name the key as `jwk`, which testers
    ask for and nobody should believe.
    """
    content: dict[str, object] = {"bits": statuses.bits, "lst": base64url.encode(compress(statuses.raw))}
    if aggregation_uri is not None:
        content["aggregation_uri"] = aggregation_uri
    claims = {"sub": uri, "iat": issued_at, "exp": expires_at, "ttl": ttl, "status_list": content}
    header: dict[str, strict_json.JsonValue] = {"x5c": [*x5c_header(identity.chain)]}
    if jwk_header:
        header["jwk"] = {**jwk_from_public_key(identity.signer.public_key)}
    return build_jws(strict_json.dumps(claims), signer=identity.signer, typ=JWT_TYP, header=header)


def build_status_list_cwt(
    statuses: StatusList,
    *,
    identity: SigningIdentity,
    uri: str,
    issued_at: int,
    expires_at: int,
    ttl: int,
    aggregation_uri: str | None = None,
) -> bytes:
    """Publish a list as CWT: COSE_Sign1 with tag 18, certificates in x5chain (§5.2, §11.3). Units as above."""
    content: dict[str, object] = {"bits": statuses.bits, "lst": compress(statuses.raw)}
    if aggregation_uri is not None:
        content["aggregation_uri"] = aggregation_uri
    names = CWT_NAMES
    claims = {names.sub: uri, names.exp: expires_at, names.iat: issued_at, _STATUS_LIST: content, names.ttl: ttl}
    sign1 = build_sign1(
        cbor.encode(claims),
        signer=identity.signer,
        protected={TYP: CWT_TYP},
        unprotected={X5CHAIN: x5chain_value(identity.chain)},
    )
    return cbor.encode(cbor2.CBORTag(SIGN1_TAG, sign1))


def build_aggregation(uris: Iterable[str]) -> bytes:
    """The JSON document that names all lists of an issuer (§9.3)."""
    return strict_json.dumps({"status_lists": list(uris)})


def parse_aggregation(data: str | bytes, *, max_lists: int = 1000) -> tuple[str, ...]:
    """Read the document that names all lists of an issuer (§9.3).

    Raises:
        StatusListError: not that, or more lists than the limit.
    """
    try:
        uris = strict_json.parse_object(data).get("status_lists")
    except Malformed as error:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, str(error)) from error
    if not isinstance(uris, list) or not all(isinstance(uri, str) and is_uri(uri) for uri in uris):
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "status_lists")
    if len(uris) > max_lists:
        raise StatusListError(ReasonCode.LIMIT_EXCEEDED, "status_lists")
    return tuple(uri for uri in uris if isinstance(uri, str))


def _claims(token: Jws | CoseSign1, *, key: PublicKey) -> dict[object, object]:
    """What was signed, once the signature holds (§8.3 3.a)."""
    if not isinstance(token, Jws):
        return decode_claims(verified_payload(token, key=key))
    try:
        verify_jws(token, key)
        return members(token.claims())
    except JoseError as error:
        raise not_believed(error) from error


def _compressed(lst: object, *, jwt: bool) -> bytes:
    """`lst` as bytes: base64url text in a JWT, a byte string in a CWT (§4.2, §4.3)."""
    try:
        if jwt and type(lst) is str:
            return base64url.decode(lst)
    except Malformed as error:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "lst") from error
    if type(lst) is bytes:  # JSON has none
        return lst
    raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "lst")
