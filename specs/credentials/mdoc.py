"""ISO mdoc: a credential whose data elements an issuer signed as digests, so that each can be shown without the others.

Reading and judging the issuer's side (ISO/IEC 18013-5 §8.3.2.1.2.2, §9.1.2.4, §9.1.2.5, §9.3.1). The steps stand in the
order in which a verifier takes them; the holder's side is in `mdoc_device`, minting in `mdoc_issue`.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, cast

import cbor2

from specs.credentials import mdoc_raw
from specs.credentials.identifier_list import IdentifierReference, parse_identifier_reference
from specs.credentials.signed_list import StatusListError
from specs.credentials.status_list import StatusReference, parse_status_reference
from specs.encoding import Malformed, cbor
from specs.encoding.cbor import CborMap, CborValue
from specs.keys.cose import CoseError, CoseSign1, parse_cose_key, parse_sign1, parse_x5chain, verify_sign1
from specs.keys.jose import PublicKey
from specs.refusal import ReasonCode, Refusal

DIGESTS: Mapping[str, Callable[[bytes], "hashlib._Hash"]] = {
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}
MDL_DOC_TYPE, MDL_NAME_SPACE = "org.iso.18013.5.1.mDL", "org.iso.18013.5.1"
MAX_DIGEST_ID = 2**31 - 1
MIN_RANDOM_BYTES = 16

_RESPONSE_VERSION = re.compile(r"1\.[0-9]{1,4}")
_TDATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_ENCODED_CBOR, _DATE_TIME = 24, 0
_TAG24_HEADS = tuple(cbor.tag24_head(size) for size in range(256))
_BYTES, _INT = {bytes}, {int}


class MdocError(Refusal):
    """An mdoc, or the response that carries it, does not hold."""


@dataclass(frozen=True, slots=True)
class MdocLimits:
    """How much is read. max_bytes: of a response; max_items: elements of a document; max_depth: nesting."""

    max_bytes: int = 256 * 1024
    max_items: int = 500
    max_depth: int = cbor.MAX_DEPTH


DEFAULT_LIMITS = MdocLimits()


class IssuerSigned(NamedTuple):
    """What an issuer made, taken apart, believed by nobody yet (§8.3.2.1.2.2).

    name_spaces: for each the encodings of its IssuerSignedItems, as they stand inside tag 24. source, path: the bytes
    they were read from, and where in them.
    """

    name_spaces: Mapping[str, tuple[bytes, ...]]
    issuer_auth: CoseSign1
    source: bytes
    path: tuple[str | int, ...]

    def items_as_received(self) -> dict[str, tuple[bytes, ...]]:
        """The IssuerSignedItemBytes exactly as they were read, tag 24 and all."""
        encoded = mdoc_raw.part(self.source, *self.path)
        return {} if encoded is None else mdoc_raw.items_as_received(encoded)


class Document(NamedTuple):
    """One mdoc of a response (§8.3.2.1.2.2). `device_signed` is judged by `mdoc_device.verify_device_auth`."""

    doc_type: str
    issuer_signed: IssuerSigned
    device_signed: CborValue
    position: int


class DeviceResponse(NamedTuple):
    """A wallet's answer: mdocs, taken apart (§8.3.2.1.2.2)."""

    version: str
    documents: tuple[Document, ...]
    source: bytes


class Validity(NamedTuple):
    """validityInfo of an MSO in seconds since the epoch (§9.1.2.4)."""

    signed: int
    valid_from: int
    valid_until: int
    expected_update: int | None = None


@dataclass(frozen=True, slots=True)
class KeyAuthorizations:
    """What the device key may sign by itself: whole name spaces, or single elements (§9.1.2.4)."""

    name_spaces: frozenset[str] = frozenset()
    data_elements: frozenset[tuple[str, str]] = frozenset()

    def allows(self, name_space: str, element: str) -> bool:
        """Whether the device key may sign this element."""
        return name_space in self.name_spaces or (name_space, element) in self.data_elements


NO_AUTHORIZATIONS = KeyAuthorizations()


class Mso(NamedTuple):
    """A mobile security object, read (§9.1.2.4); it counts from `verify_issuer_signature` on.

    status: the member as it stands, for `parse_mso_status`; None if there is none.
    """

    doc_type: str
    digest_algorithm: str
    value_digests: Mapping[str, Mapping[int, bytes]]
    device_key: PublicKey
    key_authorizations: KeyAuthorizations
    validity: Validity
    status: CborValue


class IssuedElements(NamedTuple):
    """Elements whose digests the MSO holds, as CBOR values: name space → element → value."""

    claims: dict[str, dict[str, CborValue]]

    @property
    def disclosed(self) -> tuple[tuple[str, str], ...]:
        """Name space and element of each that was shown, in the order of the response."""
        return tuple((name_space, element) for name_space, elements in self.claims.items() for element in elements)


def parse_device_response(data: bytes, *, limits: MdocLimits = DEFAULT_LIMITS) -> DeviceResponse:
    """Take a DeviceResponse apart (§8.3.2.1.2.2; OpenID4VP 1.0 §B.2.5): version 1.x, status 0, at least one document.

    Unknown members are ignored; documentErrors and errors only tell what the wallet left out.

    Raises:
        MdocError: above a limit, not CBOR as we read it, another version, an error status, no or misshapen documents.
        CoseError: an issuerAuth is no untagged COSE_Sign1 of a known algorithm.
    """
    response = _decode_map(data, limits)
    version = response.get("version")
    if type(version) is not str or not _RESPONSE_VERSION.fullmatch(version):
        raise MdocError(ReasonCode.VERSION_NOT_SUPPORTED, "DeviceResponse")
    status = response.get("status")
    if type(status) is not int:
        raise MdocError(ReasonCode.MDOC_MALFORMED, "status")
    if status != 0:
        raise MdocError(ReasonCode.WALLET_ERROR, f"DeviceResponse status {status}")
    documents = response.get("documents")
    if type(documents) is not list or not documents:
        raise MdocError(ReasonCode.MDOC_MALFORMED, "documents")
    return DeviceResponse(
        version,
        tuple([_document(document, position, data, limits) for position, document in enumerate(documents)]),
        data,
    )


def sole_document(response: DeviceResponse) -> Document:
    """The one document of a response: each mdoc comes in a DeviceResponse of its own (HAIP 1.0 §5.3.1).

    Raises:
        MdocError: there are more.
    """
    if len(response.documents) != 1:
        raise MdocError(ReasonCode.TOO_MANY_PRESENTATIONS, "documents in one DeviceResponse")
    return response.documents[0]


def parse_issuer_signed(data: bytes, *, limits: MdocLimits = DEFAULT_LIMITS) -> IssuerSigned:
    """Take an IssuerSigned apart, as an issuer hands it out (OpenID4VCI 1.0 A.2.4).

    Raises:
        MdocError, CoseError: as `parse_device_response`.
    """
    return _issuer_signed(_decode_map(data, limits), data, (), limits)


def issuer_chain(issuer_signed: IssuerSigned) -> tuple[bytes, ...]:
    """The document signer's certificates: DER, leaf first, from the unprotected header (§9.1.2.4, RFC 9360).

    Raises:
        CoseError: absent, misshapen, too many or too large.
    """
    return parse_x5chain(issuer_signed.issuer_auth.unprotected)


def parse_mso(issuer_signed: IssuerSigned, *, limits: MdocLimits = DEFAULT_LIMITS) -> Mso:
    """Read the MSO that issuerAuth carries (§9.1.2.4). Nothing in it counts before `verify_issuer_signature`.

    Raises:
        MdocError: not an MSO of version 1.0, a digest that is not SHA-2, dates that are no tdate (tag 0, UTC `Z`, whole
            seconds) or out of order, no device key or not a public one.
    """
    mso = _mso_map(issuer_signed.issuer_auth.payload, limits)
    if mso.get("version") != "1.0":
        raise MdocError(ReasonCode.VERSION_NOT_SUPPORTED, "MSO")
    algorithm = mso.get("digestAlgorithm")
    if type(algorithm) is not str or algorithm not in DIGESTS:
        raise MdocError(ReasonCode.HASH_ALGORITHM_NOT_ALLOWED, "digestAlgorithm")
    doc_type = mso.get("docType")
    if type(doc_type) is not str:
        raise MdocError(ReasonCode.MSO_MALFORMED, "docType")
    if "status" in mso and mso["status"] is None:
        raise MdocError(ReasonCode.STATUS_MALFORMED, "status is null")
    device_key, authorizations = _device_key_info(mso.get("deviceKeyInfo"))
    return Mso(
        doc_type,
        algorithm,
        _value_digests(mso.get("valueDigests")),
        device_key,
        authorizations,
        _validity(mso.get("validityInfo")),
        mso.get("status"),
    )


def parse_mso_status(status: object) -> StatusReference | IdentifierReference:
    """Read the member `status` of an MSO: a place in a status list or in an identifier list (2nd edition §12.3.6).

    Raises:
        StatusListError: neither, both (HAIP 1.0 §5.3.1: one of the two), or a misshapen one.
    """
    if not isinstance(status, dict) or "identifier_list" not in status:
        return parse_status_reference(status)
    if "status_list" in status:
        raise StatusListError(ReasonCode.STATUS_MALFORMED, "two mechanisms")
    return parse_identifier_reference(status["identifier_list"])


def verify_issuer_signature(issuer_signed: IssuerSigned, *, key: PublicKey) -> None:
    """Check that the document signer made this MSO (§9.1.2.4, RFC 9052 §4.4).

    key: of the leaf of a validated path from `issuer_chain`, never one found in a header.

    Raises:
        CoseError: the signature does not hold, or its algorithm is not the key's.
    """
    verify_sign1(issuer_signed.issuer_auth, key=key)


def check_mso(
    mso: Mso, *, expected_doc_type: str, signer_not_before: int, signer_not_after: int, now: int, skew: int = 60
) -> None:
    """Check type and dates of an MSO (§9.3.1): signed while the certificate was valid, and valid now.

    signer_not_before, signer_not_after: of the document signer's certificate; these and now: seconds since the epoch.
    skew: seconds that our clock may be off.

    Raises:
        MdocError: another type, signed outside the certificate's time, expired, or not yet valid.
    """
    if mso.doc_type != expected_doc_type:
        raise MdocError(ReasonCode.TYPE_MISMATCH, "docType of the MSO")
    validity = mso.validity
    if not signer_not_before <= validity.signed <= signer_not_after:
        raise MdocError(ReasonCode.CLAIM_INVALID, "signed outside the time of the signer's certificate")
    if now > validity.valid_until + skew:
        raise MdocError(ReasonCode.CREDENTIAL_EXPIRED, "validUntil")
    if now < validity.valid_from - skew:
        raise MdocError(ReasonCode.CREDENTIAL_NOT_YET_VALID, "validFrom")


def verify_elements(issuer_signed: IssuerSigned, mso: Mso, *, limits: MdocLimits = DEFAULT_LIMITS) -> IssuedElements:
    """Check each element against its digest, over the bytes as they were sent (§9.1.2.5, §9.3.1).

    Whoever handed an item on may have written a longer head before it than the issuer: the shortest one counts, too.
    Digests of elements that were not shown are of no interest; there may be decoys.

    Raises:
        MdocError: an item is misshapen, has no digest or another one, or an element or digest id comes twice.
    """
    try:
        items_of_all = [item for items in issuer_signed.name_spaces.values() for item in items]
        decoded = cbor.decode_each(items_of_all, max_depth=limits.max_depth)
    except Malformed as error:
        raise MdocError(ReasonCode.CBOR_MALFORMED, f"IssuerSignedItem: {error}") from error
    values = iter(cast("list[CborMap]", decoded))  # an item that is no map is found out where its members are read
    digest_of = DIGESTS[mso.digest_algorithm]
    as_received: dict[str, tuple[bytes, ...]] | None = None
    claims: dict[str, dict[str, CborValue]] = {}
    for name_space, items in issuer_signed.name_spaces.items():
        digests = mso.value_digests.get(name_space)
        if digests is None:
            raise MdocError(ReasonCode.DIGEST_MISSING, "name space")
        elements: dict[str, CborValue] = {}
        digest_ids: set[int] = set()
        for item, members in zip(items, values, strict=False):
            try:
                digest_id, random = members["digestID"], members["random"]
                element, value = members["elementIdentifier"], members["elementValue"]
            except (KeyError, TypeError):
                raise MdocError(ReasonCode.DISCLOSURE_MALFORMED, "a member is missing") from None
            if type(element) is not str or type(random) is not bytes or len(random) < MIN_RANDOM_BYTES:
                raise MdocError(ReasonCode.DISCLOSURE_MALFORMED, "random or elementIdentifier")
            if type(digest_id) is not int or not 0 <= digest_id <= MAX_DIGEST_ID:
                raise MdocError(ReasonCode.DISCLOSURE_MALFORMED, "digestID")
            digest = digests.get(digest_id)
            if digest is None:
                raise MdocError(ReasonCode.DIGEST_MISSING, "digestID")
            size = len(item)
            head = _TAG24_HEADS[size] if size < 256 else cbor.tag24_head(size)
            if digest_of(head + item).digest() != digest:
                as_received = as_received or issuer_signed.items_as_received()
                if digest_of(as_received[name_space][items.index(item)]).digest() != digest:
                    raise MdocError(ReasonCode.DIGEST_MISMATCH)
            digest_ids.add(digest_id)
            elements[element] = value
        if not len(digest_ids) == len(elements) == len(items):
            raise MdocError(ReasonCode.ELEMENT_REPEATED)
        claims[name_space] = elements
    return IssuedElements(claims)


def check_mdl_origin(issued: IssuedElements, *, country: str | None, state_or_province: str | None) -> None:
    """Check that a driving licence comes from where its signer does (§9.3.1): what it says of that, if it was shown.

    country, state_or_province: of the document signer's certificate, as its subject has them; None: it has none.

    Raises:
        MdocError: CLAIM_INVALID: `issuing_country` or `issuing_jurisdiction` is another.
    """
    elements = issued.claims.get(MDL_NAME_SPACE, {})
    for name, certified in (("issuing_country", country), ("issuing_jurisdiction", state_or_province)):
        if certified is not None and name in elements and elements[name] != certified:
            raise MdocError(ReasonCode.CLAIM_INVALID, f"{name} is not the signer's")


def parse_item(item: bytes) -> tuple[str, CborValue]:
    """Element name and value of one IssuerSignedItem as it stands inside tag 24; for the holder, who checks no digest.

    Raises:
        MdocError: not that.
    """
    try:
        members = cbor.decode_map(item)
        element, value = members["elementIdentifier"], members["elementValue"]
    except (Malformed, KeyError) as error:
        raise MdocError(ReasonCode.DISCLOSURE_MALFORMED, "IssuerSignedItem") from error
    if type(element) is not str:
        raise MdocError(ReasonCode.DISCLOSURE_MALFORMED, "elementIdentifier")
    return element, value


def _decode_map(data: bytes, limits: MdocLimits) -> CborMap:
    if len(data) > limits.max_bytes:
        raise MdocError(ReasonCode.LIMIT_EXCEEDED, "bytes")
    try:
        return cbor.decode_map(data, max_depth=limits.max_depth)
    except Malformed as error:
        raise MdocError(ReasonCode.CBOR_MALFORMED, str(error)) from error


def _document(value: CborValue, position: int, source: bytes, limits: MdocLimits) -> Document:
    if type(value) is not dict:
        raise MdocError(ReasonCode.MDOC_MALFORMED, "document")
    doc_type, issuer_signed = value.get("docType"), value.get("issuerSigned")
    if type(doc_type) is not str or type(issuer_signed) is not dict:
        raise MdocError(ReasonCode.MDOC_MALFORMED, "docType or issuerSigned")
    path = ("documents", position, "issuerSigned")
    return Document(doc_type, _issuer_signed(issuer_signed, source, path, limits), value.get("deviceSigned"), position)


def _issuer_signed(value: CborMap, source: bytes, path: tuple[str | int, ...], limits: MdocLimits) -> IssuerSigned:
    name_spaces: dict[str, tuple[bytes, ...]] = {}
    count = 0
    found = value.get("nameSpaces", {})
    if type(found) is not dict:
        raise MdocError(ReasonCode.MDOC_MALFORMED, "nameSpaces")
    for name_space, items in found.items():
        if type(name_space) is not str or type(items) is not list:
            raise MdocError(ReasonCode.MDOC_MALFORMED, "nameSpaces")
        count += len(items)
        if count > limits.max_items:
            raise MdocError(ReasonCode.LIMIT_EXCEEDED, "issuer-signed elements")
        try:
            inner = tuple([item.value for item in items if item.tag == _ENCODED_CBOR])  # type: ignore[union-attr]
        except AttributeError:
            inner = ()
        if len(inner) != len(items) or set(map(type, inner)) != _BYTES:
            raise MdocError(ReasonCode.MDOC_MALFORMED, "no items, or one is not CBOR data inside tag 24")
        name_spaces[name_space] = inner
    return IssuerSigned(name_spaces, parse_sign1(value.get("issuerAuth")), source, path)


def encoded_cbor(value: CborValue) -> bytes:
    """What stands inside #6.24(bstr .cbor …) (RFC 8949 §3.4.5.1).

    Raises:
        MdocError: it is something else.
    """
    if type(value) is cbor2.CBORTag and value.tag == _ENCODED_CBOR:
        inner = value.value
        if type(inner) is bytes:
            return inner
    raise MdocError(ReasonCode.MDOC_MALFORMED, "not CBOR data inside tag 24")


def _mso_map(payload: bytes | None, limits: MdocLimits) -> CborMap:
    if payload is None:
        raise MdocError(ReasonCode.MSO_MALFORMED, "the MSO is detached")
    try:
        if payload == cbor.tag24(payload[5:]):  # a length in two bytes, as nearly always
            return cbor.decode_map(payload[5:], max_depth=limits.max_depth)
        return cbor.decode_map(encoded_cbor(cbor.decode(payload)), max_depth=limits.max_depth)
    except Malformed as error:
        raise MdocError(ReasonCode.MSO_MALFORMED, str(error)) from error
    except MdocError as error:
        raise MdocError(ReasonCode.MSO_MALFORMED, error.detail) from error


def _value_digests(value: CborValue) -> dict[str, dict[int, bytes]]:
    if type(value) is not dict or not value:
        raise MdocError(ReasonCode.MSO_MALFORMED, "valueDigests")
    for name_space, digests in value.items():
        if type(name_space) is not str or type(digests) is not dict:
            raise MdocError(ReasonCode.MSO_MALFORMED, "valueDigests")
        if set(map(type, digests)) != _INT or set(map(type, digests.values())) != _BYTES:
            raise MdocError(ReasonCode.MSO_MALFORMED, "valueDigests")
    return value  # type: ignore[return-value]  # each key and value was looked at above


def _device_key_info(value: CborValue) -> tuple[PublicKey, KeyAuthorizations]:
    if type(value) is not dict or "deviceKey" not in value:
        raise MdocError(ReasonCode.HOLDER_KEY_MISSING, "deviceKeyInfo")
    try:
        key = parse_cose_key(value["deviceKey"])
    except CoseError as error:
        raise MdocError(ReasonCode.HOLDER_KEY_INVALID, error.detail) from error
    if "keyAuthorizations" not in value:
        return key, NO_AUTHORIZATIONS
    return key, _key_authorizations(value["keyAuthorizations"])


def _key_authorizations(value: CborValue) -> KeyAuthorizations:
    if type(value) is not dict:
        raise MdocError(ReasonCode.MSO_MALFORMED, "keyAuthorizations")
    name_spaces = _names(value.get("nameSpaces", []))
    by_name_space = value.get("dataElements", {})
    if type(by_name_space) is not dict:
        raise MdocError(ReasonCode.MSO_MALFORMED, "keyAuthorizations")
    data_elements: set[tuple[str, str]] = set()
    for name_space, elements in by_name_space.items():
        if type(name_space) is not str or name_space in name_spaces:
            raise MdocError(ReasonCode.MSO_MALFORMED, "keyAuthorizations")
        data_elements.update((name_space, element) for element in _names(elements))
    return KeyAuthorizations(name_spaces, frozenset(data_elements))


def _names(value: CborValue) -> frozenset[str]:
    if type(value) is not list:
        raise MdocError(ReasonCode.MSO_MALFORMED, "keyAuthorizations")
    names = frozenset(name for name in value if type(name) is str)
    if len(names) != len(value):
        raise MdocError(ReasonCode.MSO_MALFORMED, "keyAuthorizations")
    return names


def _validity(value: CborValue) -> Validity:
    if type(value) is not dict:
        raise MdocError(ReasonCode.MSO_MALFORMED, "validityInfo")
    signed = _tdate(value.get("signed"))
    valid_from = _tdate(value.get("validFrom"))
    valid_until = _tdate(value.get("validUntil"))
    expected_update = _tdate(value["expectedUpdate"]) if "expectedUpdate" in value else None
    if valid_from < signed or valid_until <= valid_from:
        raise MdocError(ReasonCode.MSO_MALFORMED, "validityInfo is out of order")
    return Validity(signed, valid_from, valid_until, expected_update)


def _tdate(value: CborValue) -> int:
    if type(value) is cbor2.CBORTag and value.tag == _DATE_TIME and type(value.value) is str:
        return _seconds(value.value)
    raise MdocError(ReasonCode.MSO_MALFORMED, "not a tdate")


@lru_cache(maxsize=1024)
def _seconds(text: str) -> int:
    if not _TDATE.fullmatch(text):
        raise MdocError(ReasonCode.MSO_MALFORMED, "not a tdate in UTC with whole seconds")
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise MdocError(ReasonCode.MSO_MALFORMED, "no such date") from error
