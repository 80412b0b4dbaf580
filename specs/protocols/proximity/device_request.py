"""DeviceRequest: which elements of which documents a reader asks for, and who it is (ISO/IEC 18013-5 §8.3.2.1.2.1).

A question in DCQL is written as a device request, and the answer read as a `vp_token`, so that one judge serves both.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from specs.credentials import mdoc_raw
from specs.credentials.age_attestation import MAX_ASKED, asks_too_much
from specs.credentials.mdoc import DEFAULT_LIMITS, MdocError, MdocLimits, encoded_cbor, parse_device_response
from specs.credentials.mdoc_device import build_device_response
from specs.encoding import Malformed, base64url, cbor
from specs.encoding.cbor import CborValue
from specs.keys.cose import X5CHAIN, CoseSign1, build_sign1, parse_sign1, parse_x5chain, verify_sign1, x5chain_value
from specs.keys.signer import SigningIdentity
from specs.protocols.dcql import CredentialQuery, DcqlQuery, MdocMeta
from specs.protocols.proximity.engagement import cbor_tag24
from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import CertificateProfile, TrustAnchor, ValidatedPath, validate_path

ElementsAsked: TypeAlias = Mapping[str, Mapping[str, bool]]
"""Name space → element → whether the reader intends to keep it."""

MAX_DOC_REQUESTS = 20
MAX_ELEMENTS = 300
_VERSION = re.compile(r"1\.[0-9]{1,2}")
_READER_AUTHENTICATION = b"\x83\x74ReaderAuthentication"  # an array of three that begins with this text


@dataclass(frozen=True, slots=True)
class DocRequest:
    """One document that is asked for. encoded: its ItemsRequest inside tag 24, as sent; `reader_auth` signs it."""

    doc_type: str
    elements: ElementsAsked
    encoded: bytes
    reader_auth: CoseSign1 | None = None


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A request, taken apart; who asks is not believed before `verify_reader_auth`."""

    doc_requests: tuple[DocRequest, ...]


def device_request_of(query: DcqlQuery, *, session_transcript: bytes, reader: SigningIdentity | None = None) -> bytes:
    """A DCQL question as a device request, signed by the reader if it has an identity (§9.1.4).

    Of `claim_sets` the first is asked for; values and sets of credentials are compared in the answer.

    Raises:
        ValueError: a question that can't be put this way: another format, no claims, one document type twice, more than
            two ages of one name space.
    """
    return build_device_request(documents_asked(query), session_transcript=session_transcript, reader=reader)


def documents_asked(query: DcqlQuery) -> dict[str, ElementsAsked]:
    """The documents that a DCQL question asks for, by document type.

    Raises:
        ValueError: as `device_request_of`.
    """
    asked: dict[str, ElementsAsked] = {}
    for entry in query.credentials:
        doc_type, elements = _elements_of(entry)
        if doc_type in asked:
            raise ValueError(f"{entry.id}: a document type can be asked for once")
        asked[doc_type] = elements
        if _ask_too_much(asked.values()):
            raise ValueError(f"{entry.id}: of one name space at most {MAX_ASKED} ages may be asked for")
    return asked


def build_device_request(
    documents: Mapping[str, ElementsAsked], *, session_transcript: bytes, reader: SigningIdentity | None = None
) -> bytes:
    """Write a device request (§8.3.2.1.2.1). documents: by document type. session_transcript: encoded."""
    requests: list[dict[str, object]] = []
    for doc_type, elements in documents.items():
        items = cbor.encode({"docType": doc_type, "nameSpaces": {name: dict(each) for name, each in elements.items()}})
        request: dict[str, object] = {"itemsRequest": cbor_tag24(items)}
        if reader is not None:
            request["readerAuth"] = build_sign1(
                reader_authentication_bytes(session_transcript, items),
                signer=reader.signer,
                unprotected={X5CHAIN: x5chain_value(reader.chain)},
                detached=True,
            )
        requests.append(request)
    return cbor.encode({"version": "1.0", "docRequests": requests})


def parse_device_request(data: bytes) -> DeviceRequest:
    """Read a device request (§8.3.2.1.2.1): version 1.x; unknown members are ignored.

    Raises:
        Refusal: not CBOR, another version, not that structure, more than the limits allow.
        CoseError: a readerAuth that is no COSE_Sign1 of a known algorithm.
    """
    try:
        members = cbor.decode_map(data)
    except Malformed as error:
        raise Refusal(ReasonCode.CBOR_MALFORMED, "device request") from error
    version = members.get("version")
    if type(version) is not str or not _VERSION.fullmatch(version):
        raise Refusal(ReasonCode.VERSION_NOT_SUPPORTED, "device request")
    requests = members.get("docRequests")
    if type(requests) is not list or not requests:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "docRequests")
    if len(requests) > MAX_DOC_REQUESTS:
        raise Refusal(ReasonCode.LIMIT_EXCEEDED, "docRequests")
    found = tuple(_doc_request(request) for request in requests)
    if _ask_too_much(asked.elements for asked in found):
        raise Refusal(ReasonCode.LIMIT_EXCEEDED, "age_over_NN")
    return DeviceRequest(found)


def verify_reader_auth(
    request: DocRequest, *, session_transcript: bytes, anchors: Sequence[TrustAnchor], now: int
) -> ValidatedPath:
    """Check who asks for a document: its signature in this session, and a path to an anchor (§9.1.4, B.1.7).

    session_transcript: encoded. now: seconds since the epoch.

    Raises:
        Refusal: nobody signed, the signature is of another session or request, or the reader is not trusted.
    """
    if request.reader_auth is None:
        raise Refusal(ReasonCode.ISSUER_KEY_MISSING, "the reader does not say who it is")
    path = validate_path(
        parse_x5chain(request.reader_auth.unprotected), anchors=anchors, profile=CertificateProfile.READER, now=now
    )
    payload = reader_authentication_bytes(session_transcript, request.encoded)
    verify_sign1(request.reader_auth, key=path.leaf_key, detached_payload=payload)
    return path


def reader_authentication_bytes(session_transcript: bytes, items_request: bytes) -> bytes:
    """ReaderAuthenticationBytes, the detached payload of `readerAuth` (§9.1.4). Both arguments encoded."""
    return cbor.tag24(_READER_AUTHENTICATION + session_transcript + cbor.tag24(items_request))


def vp_token_of(
    device_response: bytes, *, query: DcqlQuery, limits: MdocLimits = DEFAULT_LIMITS
) -> dict[str, list[str]]:
    """A DeviceResponse of any number of documents as a `vp_token`: each in a response of its own, by query id.

    A response without documents is an empty one: the holder showed nothing.

    Raises:
        MdocError: not a DeviceResponse, another version, an error status, or a document that nobody asked for.
    """
    if _is_empty(device_response, limits):
        return {}
    response = parse_device_response(device_response, limits=limits)
    query_ids = {entry.meta.doctype_value: entry.id for entry in query.credentials if isinstance(entry.meta, MdocMeta)}
    token: dict[str, list[str]] = {}
    for document in response.documents:
        query_id = query_ids.get(document.doc_type)
        if query_id is None:
            raise MdocError(ReasonCode.QUERY_ID_UNKNOWN, "a document that was not asked for")
        encoded = mdoc_raw.part(device_response, "documents", document.position)
        assert encoded is not None  # it was parsed from there
        token.setdefault(query_id, []).append(base64url.encode(build_device_response([encoded])))
    return token


def _is_empty(device_response: bytes, limits: MdocLimits) -> bool:
    if len(device_response) > limits.max_bytes:
        return False
    try:
        members = cbor.decode_map(device_response, max_depth=limits.max_depth)
    except Malformed:
        return False
    if "documents" in members or members.get("status") != 0:
        return False
    version = members.get("version")
    return type(version) is str and _VERSION.fullmatch(version) is not None


def _elements_of(entry: CredentialQuery) -> tuple[str, ElementsAsked]:
    if not isinstance(entry.meta, MdocMeta):
        raise ValueError(f"{entry.id}: only mdocs are shown on the spot")
    claims = entry.options[0].claims
    if not claims:
        raise ValueError(f"{entry.id}: on the spot, elements are asked for by name")
    elements: dict[str, dict[str, bool]] = {}
    for claim in claims:
        name_space, element = claim.path[0], claim.path[1]
        assert isinstance(name_space, str)
        assert isinstance(element, str)  # DCQL's grammar for mdoc
        elements.setdefault(name_space, {})[element] = bool(claim.intent_to_retain)
    return entry.meta.doctype_value, elements


def _ask_too_much(documents: Iterable[ElementsAsked]) -> bool:
    """Whether a whole request, however it is divided, asks for more ages of one name space than it may (§7.2.5)."""
    elements: dict[str, set[str]] = {}
    for document in documents:
        for name_space, asked in document.items():
            elements.setdefault(name_space, set()).update(asked)
    return any(map(asks_too_much, elements.values()))


def _doc_request(value: CborValue) -> DocRequest:
    if type(value) is not dict:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "docRequests")
    try:
        encoded = encoded_cbor(value.get("itemsRequest"))
        items = cbor.decode_map(encoded)
    except (Malformed, MdocError) as error:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "itemsRequest") from error
    doc_type = items.get("docType")
    if type(doc_type) is not str:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "docType")
    reader_auth = parse_sign1(value["readerAuth"]) if "readerAuth" in value else None
    if reader_auth is not None and reader_auth.payload is not None:
        raise Refusal(ReasonCode.COSE_MALFORMED, "readerAuth: the payload is not detached")
    return DocRequest(doc_type, _elements_asked(items.get("nameSpaces")), encoded, reader_auth)


def _elements_asked(value: CborValue) -> ElementsAsked:
    if type(value) is not dict or not value:
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "nameSpaces")
    asked: dict[str, dict[str, bool]] = {}
    for name_space, elements in value.items():
        if type(name_space) is not str or type(elements) is not dict or not elements:
            raise Refusal(ReasonCode.RESPONSE_MALFORMED, "nameSpaces")
        if len(elements) > MAX_ELEMENTS:
            raise Refusal(ReasonCode.LIMIT_EXCEEDED, "elements")
        for element, retain in elements.items():
            if type(element) is not str or type(retain) is not bool:
                raise Refusal(ReasonCode.RESPONSE_MALFORMED, "nameSpaces")
            asked.setdefault(name_space, {})[element] = retain
    return asked
