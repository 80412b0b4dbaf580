"""Identifier list: the identifiers of all revoked credentials of an issuer (ISO/IEC 18013-5 2nd edition §12.3.6.4).

An mdoc names the list and its own identifier (`uri`, `id`); the list is a signed CWT. Who is in it is revoked, who is
not is good. All else is as for status lists (`signed_list`); the identifiers stand there as they are, not compressed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import cbor2

from specs.credentials.signed_list import (
    CWT_NAMES,
    StatusListError,
    decode_claims,
    is_uri,
    members,
    parse_list_cwt,
    read_claims,
    verified_payload,
)
from specs.encoding import cbor
from specs.keys.cose import SIGN1_TAG, TYP, X5CHAIN, CoseSign1, build_sign1, x5chain_value
from specs.keys.jose import PublicKey
from specs.keys.signer import SigningIdentity
from specs.refusal import ReasonCode

IDENTIFIER_LIST_CWT = "application/identifierlist+cwt"  # and its `typ`
MAX_BYTES = 2 * 1024 * 1024  # of the claims: a hundred thousand identifiers of 16 bytes, which take ten times that here

_IDENTIFIER_LIST, _STATUS_LIST = 65530, 65533  # CWT claims


class IdentifierReference(NamedTuple):
    """Where a credential's identifier stands once it is revoked (§12.3.6.2)."""

    uri: str
    id: bytes


@dataclass(frozen=True, slots=True)
class SignedIdentifierList:
    """A list's token taken apart, believed by nobody yet. `chain`: DER, leaf first, for the caller to validate."""

    chain: tuple[bytes, ...]
    token: CoseSign1


@dataclass(frozen=True, slots=True)
class IdentifierListToken:
    """An identifier list whose signature, subject and dates held. Times: seconds since the epoch; ttl: seconds."""

    uri: str
    issued_at: float
    expires_at: float
    ttl: float | None
    identifiers: frozenset[bytes]
    not_before: float | None = field(default=None, compare=False)

    def is_listed(self, reference: IdentifierReference) -> bool:
        """Whether the credential with this reference was revoked (§12.3.6.4)."""
        return reference.id in self.identifiers


def parse_identifier_reference(value: object) -> IdentifierReference:
    """Read the member `identifier_list` of an MSO's status (§12.3.6.2).

    Further members are ignored, among them `certificate`: whom to believe is not the credential's to say.

    Raises:
        StatusListError: not a map, an identifier that is no byte string, or no URI.
    """
    if not isinstance(value, dict):
        raise StatusListError(ReasonCode.STATUS_MALFORMED, "identifier_list")
    identifier, uri = value.get("id"), value.get("uri")
    if type(identifier) is not bytes:
        raise StatusListError(ReasonCode.STATUS_MALFORMED, "id")
    if type(uri) is not str or not is_uri(uri):
        raise StatusListError(ReasonCode.STATUS_MALFORMED, "uri")
    return IdentifierReference(uri, identifier)


def parse_identifier_list(token: bytes) -> SignedIdentifierList:
    """Take a list apart: its certificates stand in the protected header (§12.3.6.3); its claims are not read yet.

    Raises:
        StatusListError: no such CWT, another `typ`, an algorithm that is no signature, no certificates.
    """
    return SignedIdentifierList(*parse_list_cwt(token, expected_typ=IDENTIFIER_LIST_CWT, chain_is_protected=True))


def verify_identifier_list(
    signed: SignedIdentifierList,
    *,
    key: PublicKey,
    expected_uri: str,
    now: int,
    max_bytes: int = MAX_BYTES,
    skew: int = 60,
) -> IdentifierListToken:
    """Check signature, size, subject, dates and content of a list, in this order (§12.3.6.3, §12.3.6.4).

    key: of the leaf of the validated `signed.chain`. expected_uri: the credential's `uri`. now: seconds since the
    epoch. max_bytes: cap on the claims, and so on the number of identifiers, up to `MAX_BYTES`. skew: seconds that our
    clock may be off.

    Raises:
        StatusListError: wrongly signed, too large, a claim missing or misshapen, another list's, expired or from the
            future, without an end, or a status list as well.
    """
    payload = verified_payload(signed.token, key=key)
    if len(payload) > min(max_bytes, MAX_BYTES):
        raise StatusListError(ReasonCode.LIMIT_EXCEEDED, "identifier list")
    claims = decode_claims(payload)
    said = read_claims(claims, CWT_NAMES, expected_uri=expected_uri, now=now, skew=skew)
    if said.expires_at is None:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "exp")
    if _STATUS_LIST in claims:
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "a status list, too")
    return IdentifierListToken(
        uri=said.uri,
        issued_at=said.issued_at,
        expires_at=said.expires_at,
        ttl=said.ttl,
        identifiers=_identifiers(members(claims.get(_IDENTIFIER_LIST)).get("identifiers")),
        not_before=said.not_before,
    )


def build_identifier_list(
    identifiers: Iterable[bytes],
    *,
    identity: SigningIdentity,
    uri: str,
    issued_at: int,
    expires_at: int,
    ttl: int,
) -> bytes:
    """Publish a list: COSE_Sign1 with tag 18, certificates in the protected header (§12.3.6.3, §12.3.6.4).

    issued_at, expires_at: seconds since the epoch; ttl: seconds.
    """
    names = CWT_NAMES
    listed: dict[bytes, dict[str, object]] = {each: {} for each in identifiers}
    claims = {names.sub: uri, names.exp: expires_at, names.iat: issued_at, names.ttl: ttl}
    claims[_IDENTIFIER_LIST] = {"identifiers": listed}
    sign1 = build_sign1(
        cbor.encode(claims),
        signer=identity.signer,
        protected={TYP: IDENTIFIER_LIST_CWT, X5CHAIN: x5chain_value(identity.chain)},
    )
    return cbor.encode(cbor2.CBORTag(SIGN1_TAG, sign1))


def _identifiers(value: object) -> frozenset[bytes]:
    """The keys; what else is said of a credential stands in a map beside each, and nobody needs it."""
    listed = members(value)
    if not {bytes}.issuperset(map(type, listed)) or not {dict}.issuperset(map(type, listed.values())):
        raise StatusListError(ReasonCode.STATUS_LIST_MALFORMED, "identifiers")
    return frozenset(listed)  # type: ignore[arg-type]  # each key was looked at above
