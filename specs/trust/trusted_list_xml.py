"""National trusted lists in XML: qualified trust services and their certificates (ETSI TS 119 612 V2.4.1).

Read through lxml and signxml, which the extra `[trust]` brings. Only what the XAdES signature covers is looked at: the
content is taken from the canonical form that was verified, never from the document as it came. What is read becomes the
same `TrustList` as that of TS 119 602.
"""

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.xades.xades import XAdESSignatureConfiguration, XAdESVerifier

from specs.refusal import ReasonCode
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.trust_list import (
    MAX_SECONDS,
    MAX_SERVICES,
    ListedEntity,
    ListedService,
    TrustList,
    TrustListError,
    registration_in,
)

EU_GENERIC = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUgeneric"
QEAA_ISSUANCE = "http://uri.etsi.org/TrstSvc/Svctype/EAA/Q"
MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 300_000  # of which each takes half a kilobyte of memory before anybody knows who signed

_VERSIONS = frozenset({"5", "6"})
_TSL = "{http://uri.etsi.org/02231/v2#}"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_NUMBER = re.compile(r"0{0,9}[1-9][0-9]{0,8}")  # the first list has number 1
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z")
_UNREADABLE = (  # what signxml lets through from below where a signature is not what it should be
    SignXMLException,
    etree.LxmlError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
)
_CONFIGURATION = XAdESSignatureConfiguration(
    location="./",  # the list's own signature, not one that somebody put deeper into it
    expect_references=True,  # the list, what the signer says about the signature, and what else it likes to sign
    signature_methods=frozenset(
        {
            SignatureMethod.ECDSA_SHA256,
            SignatureMethod.ECDSA_SHA384,
            SignatureMethod.ECDSA_SHA512,
            SignatureMethod.RSA_SHA256,
            SignatureMethod.RSA_SHA384,
            SignatureMethod.RSA_SHA512,
            SignatureMethod.SHA256_RSA_MGF1,
            SignatureMethod.SHA384_RSA_MGF1,
            SignatureMethod.SHA512_RSA_MGF1,
        }
    ),
    digest_algorithms=frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512}),
    ignore_ambiguous_key_info=True,  # the key is the pinned certificate's, whatever else the signature names
)


def verify_trusted_list_xml(
    document: bytes,
    *,
    signers: Sequence[TrustAnchor],
    expected_territory: str,
    now: int,
    newest_known: tuple[int, int] | None = None,
    max_seconds: int = MAX_SECONDS,
    skew: int = 60,
) -> TrustList:
    """Read a national trusted list (TS 119 612 §5). signers: the certificates that may sign it, as pinned.

    expected_territory: whose list it is, such as DE. now, skew: seconds since the epoch; seconds. newest_known:
    sequence number and time of issue of the newest list seen so far. max_seconds: longest time to the next update.

    Raises:
        TrustListError: TRUST_LIST_UNTRUSTED, TRUST_LIST_MALFORMED, TRUST_LIST_EXPIRED, TRUST_LIST_OLDER; or
            LIMIT_EXCEEDED.
    """
    if len(document) > MAX_BYTES:
        raise TrustListError(ReasonCode.LIMIT_EXCEEDED, "a trusted list above the limit")
    trust_list = _read(_signed_content(_well_formed(document), signers=signers, now=now, skew=skew))
    if trust_list.territory != expected_territory:
        raise _malformed("another territory's list")
    if trust_list.issued_at > now + skew:
        raise TrustListError(ReasonCode.TRUST_LIST_EXPIRED, "issued in the future")
    if trust_list.next_update <= now - skew:
        raise TrustListError(ReasonCode.TRUST_LIST_EXPIRED, "past its next update")
    if not trust_list.issued_at < trust_list.next_update <= trust_list.issued_at + max_seconds:
        raise _malformed("the next update is before the issue or too far away")
    if newest_known is not None and (trust_list.sequence, trust_list.issued_at) < newest_known:
        raise TrustListError(ReasonCode.TRUST_LIST_OLDER, f"number {trust_list.sequence}")
    return trust_list


def _well_formed(document: bytes) -> etree._Element:
    """The document without entities, network and declarations of its own kind."""
    try:
        etree.fromstring(document, _parser(_Count()))
        root = etree.fromstring(document, _parser())
    except etree.LxmlError as error:
        raise _malformed("not XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise _malformed("a document type declaration")
    if root.tag != f"{_TSL}TrustServiceStatusList":
        raise _malformed("not a trusted list")
    return root


def _parser(target: "_Count | None" = None) -> etree.XMLParser:
    return etree.XMLParser(
        target=target,  # type: ignore[arg-type]  # the library asks a target only for what it has
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )


class _Count:
    """Counts the nodes of a document, of which nothing is kept, up to the limit."""

    def __init__(self) -> None:
        self.nodes = 0

    def start_ns(self, _prefix: str, _uri: str) -> None:
        self._add(1)

    def start(self, _tag: str, attributes: Mapping[str, str]) -> None:
        self._add(1 + len(attributes))

    def comment(self, _text: str) -> None:
        self._add(1)

    def pi(self, _target: str, _text: str | None) -> None:
        self._add(1)

    def close(self) -> int:
        return self.nodes

    def _add(self, count: int) -> None:
        self.nodes += count
        if self.nodes > MAX_NODES:
            raise TrustListError(ReasonCode.LIMIT_EXCEEDED, "nodes of a trusted list")


def _signed_content(root: etree._Element, *, signers: Sequence[TrustAnchor], now: int, skew: int) -> etree._Element:
    """What one of the signers signed, in its canonical form (XAdES baseline, enveloped; TS 119 612 §5.7)."""
    for signer in signers:
        pinned = parse_certificate(signer.certificate)
        if signer.kind is AnchorKind.CA or not pinned.not_before - skew <= now <= pinned.not_after + skew:
            continue
        content = _verified(root, pinned.certificate)
        if content is not None:
            return content
    raise TrustListError(ReasonCode.TRUST_LIST_UNTRUSTED, "signed by none of the pinned certificates")


def _verified(root: etree._Element, signer: x509.Certificate) -> etree._Element | None:
    """What this signer signed of the list, or None."""
    # the certificate's dates were asked before, with the skew and of the given time, not of this machine's clock
    configuration = replace(_CONFIGURATION, verification_time=signer.not_valid_before_utc)
    try:
        results = XAdESVerifier().verify(root, x509_cert=signer, expect_config=configuration)
    except _UNREADABLE:
        return None
    found = [each.signed_xml for each in results if each.signed_xml is not None and each.signed_xml.tag == root.tag]
    return found[0] if len(found) == 1 else None


def _read(root: etree._Element) -> TrustList:
    scheme = _one(root, "SchemeInformation")
    if _text(scheme, "TSLVersionIdentifier") not in _VERSIONS:
        raise _malformed("another version")
    number = _text(scheme, "TSLSequenceNumber")
    if not _NUMBER.fullmatch(number):
        raise _malformed("TSLSequenceNumber")
    if any(_is_critical(extension) for extension in scheme.iterfind(f"{_TSL}SchemeExtensions/*")):
        raise _malformed("a critical extension of the list")
    providers = root.iterfind(f"{_TSL}TrustServiceProviderList/{_TSL}TrustServiceProvider")
    entities = tuple(_entity(provider) for provider in providers)
    if sum(len(entity.services) for entity in entities) > MAX_SERVICES:
        raise TrustListError(ReasonCode.LIMIT_EXCEEDED, "services")
    return TrustList(
        type=_text(scheme, "TSLType"),
        operator=_name(_one(scheme, "SchemeOperatorName")),
        territory=_text(scheme, "SchemeTerritory"),
        sequence=int(number),
        issued_at=_time(_text(scheme, "ListIssueDateTime")),
        next_update=_time(_text(_one(scheme, "NextUpdate"), "dateTime")),
        entities=entities,
    )


def _entity(provider: etree._Element) -> ListedEntity:
    information = _one(provider, "TSPInformation")
    services = (
        _one(service, "ServiceInformation") for service in provider.iterfind(f"{_TSL}TSPServices/{_TSL}TSPService")
    )
    return ListedEntity(
        _name(_one(information, "TSPName")),
        tuple(_service(service) for service in services if not _has_unknown_critical(service)),
        registration_in(_content(name) for name in information.iterfind(f"{_TSL}TSPTradeName/{_TSL}Name")),
    )


def _service(service: etree._Element) -> ListedService:
    return ListedService(
        type=_text(service, "ServiceTypeIdentifier"),
        name=_name(_one(service, "ServiceName")),
        certificates=tuple(_certificates(service)),
        status=_text(service, "ServiceStatus"),
        since=_time(_text(service, "StatusStartingTime")),
    )


def _certificates(service: etree._Element) -> Iterator[bytes]:
    for found in service.iterfind(f"{_TSL}ServiceDigitalIdentity/{_TSL}DigitalId/{_TSL}X509Certificate"):
        try:
            yield binascii.a2b_base64("".join((found.text or "").split()).encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise _malformed("a certificate that is not base64") from error


def _has_unknown_critical(service: etree._Element) -> bool:
    """Whether the service is limited in a way that we don't understand; additional service information only adds."""
    for extension in service.iterfind(f"{_TSL}ServiceInformationExtensions/{_TSL}Extension"):
        known = [child.tag for child in extension] == [f"{_TSL}AdditionalServiceInformation"]
        if _is_critical(extension) and not known:
            return True
    return False


def _is_critical(extension: etree._Element) -> bool:
    """Whether an extension must be understood: unless it says no, in one of the two ways in which XML writes that."""
    return extension.get("Critical") not in ("false", "0")


def _one(parent: etree._Element, name: str) -> etree._Element:
    found = parent.findall(f"{_TSL}{name}")
    if len(found) != 1:
        raise _malformed(name)
    return found[0]


def _text(parent: etree._Element, name: str) -> str:
    element = _one(parent, name)
    text = _content(element)
    if not text or len(element):
        raise _malformed(name)
    return text


def _content(element: etree._Element) -> str:
    return (element.text or "").strip()


def _name(element: etree._Element) -> str:
    """A name for logs and verdicts: the English one if there is one, else the first."""
    names = [(each.get(_XML_LANG, ""), _content(each)) for each in element.iterfind(f"{_TSL}Name")]
    written = [(language, text) for language, text in names if text]
    if not written:
        raise _malformed("a name")
    return next((text for language, text in written if language.lower().startswith("en")), written[0][1])


def _time(text: str) -> int:
    if not _TIME.fullmatch(text):
        raise _malformed("a time")
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError as error:
        raise _malformed("a time") from error


def _malformed(detail: str) -> TrustListError:
    return TrustListError(ReasonCode.TRUST_LIST_MALFORMED, detail)
