"""National trusted lists in XML: what is signed is read, and nothing else (ETSI TS 119 612)."""

import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from textwrap import wrap

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureMethod
from signxml.xades.xades import XAdESSigner

from specs.refusal import ReasonCode
from specs.trust.trust_list import (
    MAX_SECONDS,
    MAX_SERVICES,
    QUALIFIED_GRANTED,
    TrustList,
    TrustListError,
    trusted_services,
)
from specs.trust.trusted_list_xml import EU_GENERIC, MAX_BYTES, MAX_NODES, QEAA_ISSUANCE, verify_trusted_list_xml
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.specs.trust.drawing import DAY, NOW, Drawing, Key, draw_leaf, draw_two, key

MALFORMED, UNTRUSTED = ReasonCode.TRUST_LIST_MALFORMED, ReasonCode.TRUST_LIST_UNTRUSTED
EXPIRED, OLDER = ReasonCode.TRUST_LIST_EXPIRED, ReasonCode.TRUST_LIST_OLDER
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
CA = draw_two().certificates()[-1]
TEXT = binascii.b2a_base64(CA).decode()


def at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(
    *,
    version: str = "6",
    number: str = "71",
    territory: str = "DE",
    issued: str = at(NOW - DAY),
    next_update: str = f"<dateTime>{at(NOW + 90 * DAY)}</dateTime>",
    status: str = QUALIFIED_GRANTED,
    certificate: str = TEXT,
    extension: str = "",
    scheme_extension: str = "",
    name: str = '<Name xml:lang="de">Aussteller</Name><Name xml:lang="en">Provider</Name>',
    trade_name: str = "",
) -> str:
    """A national list with one qualified provider."""
    return f"""<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#" Id="list"
 TSLTag="http://uri.etsi.org/19612/TSLTag">
<SchemeInformation><TSLVersionIdentifier>{version}</TSLVersionIdentifier>
<TSLSequenceNumber>{number}</TSLSequenceNumber><TSLType>{EU_GENERIC}</TSLType>
<SchemeOperatorName><Name xml:lang="en">Agency</Name></SchemeOperatorName>
<SchemeTerritory>{territory}</SchemeTerritory><ListIssueDateTime>{issued}</ListIssueDateTime>
<NextUpdate>{next_update}</NextUpdate>{scheme_extension}</SchemeInformation>
<TrustServiceProviderList><TrustServiceProvider>
<TSPInformation><TSPName>{name}</TSPName>{trade_name}</TSPInformation>
<TSPServices><TSPService><ServiceInformation>
<ServiceTypeIdentifier>{QEAA_ISSUANCE}</ServiceTypeIdentifier>
<ServiceName><Name xml:lang="en">Attestations</Name></ServiceName>
<ServiceDigitalIdentity><DigitalId><X509Certificate>{certificate}</X509Certificate></DigitalId></ServiceDigitalIdentity>
<ServiceStatus>{status}</ServiceStatus><StatusStartingTime>{at(NOW - 9 * DAY)}</StatusStartingTime>
{extension}</ServiceInformation></TSPService></TSPServices>
</TrustServiceProvider></TrustServiceProviderList></TrustServiceStatusList>"""


class ListSigner(XAdESSigner):
    """Signs as member states do: each reference says that it is in exclusive canonical form, none is to the key."""

    def _add_reference_to_signed_info(
        self, sig_root: etree._Element, node_to_reference: etree._Element, **attrs: str
    ) -> None:
        if node_to_reference.tag == f"{{{DS}}}KeyInfo":
            return
        super()._add_reference_to_signed_info(sig_root, node_to_reference, **attrs)  # type: ignore[no-untyped-call]
        reference = sig_root.findall(f".//{{{DS}}}Reference")[-1]
        transforms = etree.Element(f"{{{DS}}}Transforms")
        etree.SubElement(transforms, f"{{{DS}}}Transform", Algorithm=EXCLUSIVE.value)
        reference.insert(0, transforms)


@cache
def signer(label: str = "tl signer", curve: str = "RSA-2048") -> tuple[Key, x509.Certificate]:
    """Who signs lists, as member states do mostly: RSA."""
    own = key(label, curve)
    ca: Drawing = draw_two().drawings[1]
    return own, x509.load_der_x509_certificate(draw_leaf("TL signer", own, by=ca.key).signed(ca))


def signed(
    text: str,
    by: tuple[Key, x509.Certificate] | None = None,
    *,
    method: SignatureMethod | None = None,
    kind: type[XAdESSigner] = ListSigner,
    part: str | None = None,
) -> bytes:
    """The list with its enveloped signature. part: an identifier, if not all of the list is signed."""
    own, certificate = by or signer()
    usual = SignatureMethod.RSA_SHA256 if isinstance(own, rsa.RSAPrivateKey) else SignatureMethod.ECDSA_SHA256
    made = kind(signature_algorithm=method or usual, c14n_algorithm=EXCLUSIVE)
    root = made.sign(etree.fromstring(text), key=own, cert=[certificate], reference_uri=part)  # type: ignore[arg-type]
    return etree.tostring(root)


def pin(certificate: x509.Certificate, kind: AnchorKind = AnchorKind.LISTED) -> TrustAnchor:
    """A certificate that may sign lists."""
    return TrustAnchor(kind, certificate.public_bytes(Encoding.DER), "operator")


def read(
    body: bytes,
    *,
    newest_known: tuple[int, int] | None = None,
    pinned: x509.Certificate | None = None,
    signers: Sequence[TrustAnchor] = (),
    now: int = NOW,
) -> TrustList:
    """The list as its follower reads it."""
    return verify_trusted_list_xml(
        body,
        signers=signers or [pin(pinned or signer()[1])],
        expected_territory="DE",
        now=now,
        newest_known=newest_known,
    )


def reason_of(body: bytes, **expected: object) -> ReasonCode:
    """Why a list is refused."""
    with pytest.raises(TrustListError) as refusal:
        read(body, **expected)  # type: ignore[arg-type]
    return refusal.value.reason


VALID = signed(document())


@pytest.mark.parametrize("curve", ["RSA-2048", "P-256"])
def test_services_become_anchors(curve: str) -> None:
    by = signer(f"tl {curve}", curve)
    found = read(signed(document(), by), pinned=by[1])
    assert (found.sequence, found.territory, found.operator) == (71, "DE", "Agency")
    (entity,) = found.entities
    assert entity.name == "Provider"
    (anchor,) = trusted_services(found, entity, service_type=QEAA_ISSUANCE, now=NOW)
    assert (anchor.kind, anchor.certificate) == (AnchorKind.CA, CA)


def extended(content: str, critical: str = "") -> dict[str, str]:
    """A service with one extension."""
    extension = f"<Extension{critical}>{content}</Extension>"
    return {"extension": f"<ServiceInformationExtensions>{extension}</ServiceInformationExtensions>"}


ADDITIONAL = "<AdditionalServiceInformation><URI>http://x</URI></AdditionalServiceInformation>"
TRUE, FALSE = ' Critical="true"', ' Critical="false"'


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"status": QUALIFIED_GRANTED.replace("granted", "withdrawn")}, 0),
        ({}, 1),
        (extended("<Limits/>", TRUE), 0),
        (extended("<Limits/>", ' Critical="1"'), 0),
        (extended("<Limits/>"), 0),
        (extended("<Limits/>", FALSE), 1),
        (extended("<Limits/>", ' Critical="0"'), 1),
        (extended(ADDITIONAL, TRUE), 1),
        (extended(ADDITIONAL + "<Limits/>", TRUE), 0),
    ],
    ids=[
        "withdrawn", "granted", "limited", "limited as 1", "perhaps limited", "with a remark", "with a remark as 0",
        "with additional information", "with additional information and limited",
    ],
)  # fmt: skip
def test_only_a_granted_service_without_limits_that_we_do_not_know_counts(change: dict[str, str], count: int) -> None:
    found = read(signed(document(**change)))
    services = [
        anchor for e in found.entities for anchor in trusted_services(found, e, service_type=QEAA_ISSUANCE, now=NOW)
    ]
    assert len(services) == count


def scheme_extension(critical: str) -> dict[str, str]:
    """A list with one extension."""
    return {"scheme_extension": f"<SchemeExtensions><Extension{critical}/></SchemeExtensions>"}


@pytest.mark.parametrize("critical", [FALSE, ' Critical="0"'])
def test_an_extension_of_the_list_that_need_not_be_understood_is_passed_over(critical: str) -> None:
    assert read(signed(document(**scheme_extension(critical)))) == read(VALID)


@pytest.mark.parametrize(("written", "number"), [("1", 1), ("999999999", 999_999_999), (" 007\n", 7)])
def test_the_number_of_a_list(written: str, number: int) -> None:
    assert read(signed(document(number=written))).sequence == number


@pytest.mark.parametrize("number", ["0", "000", "-1", "7x", "7.0", "1000000000", "\u0667\u0661", ""])
def test_a_number_that_no_list_has_is_refused(number: str) -> None:
    """A list with number 0 was read, though the first has number 1 (§5.3.2)."""
    with pytest.raises(TrustListError) as refusal:
        read(signed(document(number=number)))
    assert (refusal.value.reason, refusal.value.detail) == (MALFORMED, "TSLSequenceNumber")


GERMAN, FRENCH = '<Name xml:lang="de">Aussteller</Name>', '<Name xml:lang="fr">Fournisseur</Name>'


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (GERMAN + '<Name xml:lang="en">Provider</Name>', "Provider"),
        (GERMAN + '<Name xml:lang="EN-GB"> Provider </Name>', "Provider"),
        (FRENCH + GERMAN, "Fournisseur"),
        (GERMAN + '<Name xml:lang="en"> </Name>', "Aussteller"),
        ('<Name xml:lang="de"/>' + FRENCH, "Fournisseur"),
        (GERMAN + '<Name xml:lang="de">Nochmals</Name>', "Aussteller"),
        ("<Name>One</Name><Name>Two</Name>", "One"),
    ],
)
def test_a_name_is_the_english_one_or_the_first(names: str, chosen: str) -> None:
    """Of several in one language the last was taken."""
    assert read(signed(document(name=names))).entities[0].name == chosen


CONTENT: dict[str, tuple[dict[str, str], ReasonCode]] = {
    "another version": ({"version": "4"}, MALFORMED),
    "another territory": ({"territory": "FR"}, MALFORMED),
    "no next update": ({"next_update": ""}, MALFORMED),
    "ended": ({"issued": at(NOW - 90 * DAY), "next_update": f"<dateTime>{at(NOW - DAY)}</dateTime>"}, EXPIRED),
    "from the future": ({"issued": at(NOW + DAY)}, EXPIRED),
    "for years": ({"next_update": f"<dateTime>{at(NOW + 900 * DAY)}</dateTime>"}, MALFORMED),
    "a time with a zone": ({"issued": "2026-09-01T00:00:00+02:00"}, MALFORMED),
    "no such day": ({"issued": "2026-02-31T00:00:00Z"}, MALFORMED),
    "an unknown character in a certificate": ({"certificate": "-" + TEXT}, MALFORMED),
    "a foreign letter in a certificate": ({"certificate": "\u00e4" + TEXT}, MALFORMED),
    "an empty status": ({"status": ""}, MALFORMED),
    "a status with more in it": ({"status": QUALIFIED_GRANTED + "<URI/>"}, MALFORMED),
    "a provider without a name": ({"name": ""}, MALFORMED),
    "a name without text": ({"name": '<Name xml:lang="en"/>'}, MALFORMED),
    "a critical extension": (scheme_extension(TRUE), MALFORMED),
    "an extension that does not say": (scheme_extension(""), MALFORMED),
}


@pytest.mark.parametrize(("change", "reason"), CONTENT.values(), ids=CONTENT.keys())
def test_list_with_one_defect_is_refused(change: dict[str, str], reason: ReasonCode) -> None:
    read(VALID)
    assert reason_of(signed(document(**change))) is reason


def wrapped(body: bytes) -> bytes:
    """The signed list deeper inside another one (signature wrapping)."""
    outer = etree.fromstring(document(number="99"))
    outer.append(etree.fromstring(body))
    return etree.tostring(outer)


def moved(body: bytes) -> bytes:
    """A forged list that carries the genuine one's signature."""
    signature = etree.fromstring(body)[-1]
    forged = etree.fromstring(document(number="99"))
    forged.append(signature)
    return etree.tostring(forged)


def filled(body: bytes, size: int) -> bytes:
    """The list with so many remarks after it that it has this size."""
    remarks, rest = divmod(size - len(body), 1000)
    return body + b"<!--%993s-->" % b"" * remarks + b" " * rest


BROKEN: dict[str, tuple[Callable[[bytes], bytes], ReasonCode]] = {
    "unsigned": (lambda _: document().encode(), UNTRUSTED),
    "altered": (lambda body: body.replace(b">71<", b">72<"), UNTRUSTED),
    "signed by another": (lambda _: signed(document(), signer("another")), UNTRUSTED),
    "wrapped": (wrapped, UNTRUSTED),
    "signature moved to a forged list": (moved, UNTRUSTED),
    "not XML": (lambda _: b"<html", MALFORMED),
    "empty": (lambda _: b"", MALFORMED),
    "another document": (lambda _: b"<a/>", MALFORMED),
    "entities": (
        lambda body: b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + body.replace(b"Agency", b"&b;"),
        MALFORMED,
    ),
    "an external entity": (lambda body: b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + body, MALFORMED),
    "above the limit": (lambda body: filled(body, MAX_BYTES + 1), ReasonCode.LIMIT_EXCEEDED),
    "too deep": (lambda body: body.replace(b"</Trust", b"<a>" * 300 + b"</a>" * 300 + b"</Trust"), MALFORMED),
}


@pytest.mark.parametrize(("bend", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_document_with_one_defect_is_refused(bend: Callable[[bytes], bytes], reason: ReasonCode) -> None:
    read(VALID)
    assert reason_of(bend(VALID)) is reason


def test_a_list_may_be_as_large_as_the_limit() -> None:
    assert read(filled(VALID, MAX_BYTES)) == read(VALID)


def nodes_of(body: bytes) -> int:
    """How many elements, attributes, declared names and remarks there are."""
    elements = list(etree.fromstring(body).iter())
    return len(elements) + sum(len(each.attrib) for each in elements) + body.count(b"xmlns")


def with_all_nodes(body: bytes) -> bytes:
    """The list with so many remarks after it that it has as many nodes as the limit."""
    return body + b"<!---->" * (MAX_NODES - nodes_of(body))


def test_a_list_may_have_as_many_nodes_as_the_limit() -> None:
    """Sixteen megabytes of small elements, signed by nobody, took two gigabytes of memory."""
    full = with_all_nodes(VALID)
    assert read(full[:-7] + b"<?a?>") == read(VALID)
    assert reason_of(full + b"<?a?>") is ReasonCode.LIMIT_EXCEEDED


@pytest.mark.parametrize("node", [b"<a/>", b'<a b=""/>', b'<a xmlns:b="c"/>'], ids=["element", "attribute", "name"])
def test_each_node_of_a_list_counts(node: bytes) -> None:
    full = with_all_nodes(VALID.replace(b"</TrustServiceStatusList>", node + b"</TrustServiceStatusList>"))
    assert reason_of(full) is UNTRUSTED
    assert reason_of(full + b"<!---->") is ReasonCode.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY a SYSTEM "{}">]>',
        '<!DOCTYPE x [<!ENTITY a "a"><!ENTITY % b SYSTEM "{}"> %b;]>',
        '<!DOCTYPE x SYSTEM "{}" [<!ENTITY a "a">]>',
    ],
    ids=["an entity", "an entity of the declaration", "a type"],
)
def test_nothing_that_a_document_names_is_opened(declaration: str, tmp_path: Path) -> None:
    """Were the file opened, the list would not be XML."""
    file = tmp_path / "broken"
    file.write_text("<")
    body = declaration.format(file.as_uri()).encode() + VALID.replace(b"Agency", b"&a;")
    with pytest.raises(TrustListError) as refusal:
        read(body)
    assert (refusal.value.reason, refusal.value.detail) == (MALFORMED, "a document type declaration")


def test_a_comment_cannot_cut_what_was_signed() -> None:
    """Comments are not signed: whoever puts one into a name must not change how the name reads."""
    found = read(VALID.replace(b">DE<", b">D<!-- -->E<"))
    assert found == read(VALID)


def test_a_list_never_goes_back() -> None:
    read(VALID, newest_known=(71, NOW - DAY))
    assert reason_of(VALID, newest_known=(72, 0)) is OLDER


def until(seconds: int) -> str:
    """When the next list comes."""
    return f"<dateTime>{at(seconds)}</dateTime>"


@pytest.mark.parametrize(
    ("issued", "next_update", "reason"),
    [
        (NOW + 60, NOW + DAY, None),
        (NOW + 61, NOW + DAY, EXPIRED),
        (NOW - DAY, NOW - 59, None),
        (NOW - DAY, NOW - 60, EXPIRED),
        (NOW - DAY, NOW - DAY + MAX_SECONDS, None),
        (NOW - DAY, NOW - DAY + MAX_SECONDS + 1, MALFORMED),
        (NOW, NOW + 1, None),
        (NOW, NOW, MALFORMED),
    ],
)
def test_a_list_holds_from_its_issue_until_the_next(issued: int, next_update: int, reason: ReasonCode | None) -> None:
    body = signed(document(issued=at(issued), next_update=until(next_update)))
    if reason is None:
        found = read(body)
        assert (found.issued_at, found.next_update) == (issued, next_update)
    else:
        assert reason_of(body) is reason


@pytest.mark.parametrize("written", ["Z", ".0Z", ".999999999Z"])
def test_parts_of_a_second_count_for_nothing(written: str) -> None:
    assert read(signed(document(issued=at(NOW - DAY).replace("Z", written)))).issued_at == NOW - DAY


@pytest.mark.parametrize(
    ("written", "certificate"),
    [("\n".join(wrap(TEXT, 64)) + "\n ", CA), ("", b"")],
    ids=["in lines", "empty, which is no certificate"],
)
def test_a_certificate_is_written_in_base64(written: str, certificate: bytes) -> None:
    found = read(signed(document(certificate=written))).entities[0]
    assert found.services[0].certificates == (certificate,)


@pytest.mark.parametrize(
    ("names", "identifier"),
    [
        ("", None),
        ("<TSPTradeName><Name>Shop</Name></TSPTradeName>", None),
        ("<TSPTradeName><Name>Shop</Name><Name>VATDE-123456789</Name></TSPTradeName>", "VATDE-123456789"),
        ("<TSPTradeName>\n<Name/>\n<Name>\nVATDE-123456789\n</Name></TSPTradeName>", "VATDE-123456789"),
    ],
)
def test_a_provider_is_known_by_its_registration(names: str, identifier: str | None) -> None:
    assert read(signed(document(trade_name=names))).entities[0].identifier == identifier


def repeated(text: str, element: str, count: int) -> str:
    """The list with this element so often in place of once."""
    closing = f"</{element}>"
    one = text[text.index(f"<{element}>") : text.index(closing)] + closing
    return text.replace(one, one * count)


def test_a_list_holds_ten_thousand_services_and_no_more() -> None:
    small = document(certificate="", status="x").replace(QEAA_ISSUANCE, "x")
    found = read(signed(repeated(small, "TSPService", MAX_SERVICES)))
    assert len(found.entities[0].services) == MAX_SERVICES
    assert reason_of(signed(repeated(small, "TSPService", MAX_SERVICES + 1))) is ReasonCode.LIMIT_EXCEEDED


def test_no_provider_of_a_list_is_left_out() -> None:
    """Those after the ten thousandth were, however few services there were before them."""
    named = "<TSPInformation><TSPName><Name>A</Name></TSPName></TSPInformation>"
    before = f"<TrustServiceProvider>{named}</TrustServiceProvider>" * MAX_SERVICES
    opening = "<TrustServiceProviderList>"
    found = read(signed(document().replace(opening, opening + before)))
    assert [entity.name for entity in found.entities[MAX_SERVICES:]] == ["Provider"]
