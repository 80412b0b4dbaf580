"""Who signed a national trusted list, when, and what of it; a bent signature is nobody's (ETSI TS 119 612 §5.7)."""

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from specs.refusal import ReasonCode
from specs.trust.anchors import AnchorKind
from tests.specs.trust.drawing import DAY, NOW, Key, draw_leaf, draw_two, key
from tests.specs.trust.test_trusted_list_xml import (
    DS,
    VALID,
    ListSigner,
    at,
    document,
    pin,
    read,
    reason_of,
    signed,
    signer,
)

UNTRUSTED = ReasonCode.TRUST_LIST_UNTRUSTED
LONG_AGO = NOW - 3000 * DAY


def dated(begin: int, end: int) -> tuple[Key, x509.Certificate]:
    """Who signs lists, with a certificate of these dates."""
    own, ca = key("tl signer", "RSA-2048"), draw_two().drawings[1]
    drawing = replace(draw_leaf("TL signer", own, by=ca.key), begin=begin, end=end)
    return own, x509.load_der_x509_certificate(drawing.signed(ca))


def test_only_the_time_that_is_given_counts() -> None:
    """The signer's certificate was held against the clock of the machine, too, so that no skew was left."""
    by = dated(LONG_AGO - DAY, LONG_AGO + DAY)
    old = document(issued=at(LONG_AGO - DAY), next_update=f"<dateTime>{at(LONG_AGO + 90 * DAY)}</dateTime>")
    assert read(signed(old, by), pinned=by[1], now=LONG_AGO).sequence == 71
    assert reason_of(signed(document(), by), pinned=by[1]) is UNTRUSTED


@pytest.mark.parametrize(
    ("begin", "end", "holds"),
    [
        (NOW + 60, NOW + DAY, True),
        (NOW + 61, NOW + DAY, False),
        (NOW - DAY, NOW - 60, True),
        (NOW - DAY, NOW - 61, False),
    ],
    ids=["just begun", "not begun", "just ended", "ended"],
)
def test_a_signers_certificate_holds_from_its_begin_to_its_end(begin: int, end: int, holds: bool) -> None:
    by = dated(begin, end)
    body = signed(document(), by)
    if holds:
        assert read(body, pinned=by[1]).sequence == 71
    else:
        assert reason_of(body, pinned=by[1]) is UNTRUSTED


def key_value(der: bytes) -> bytes:
    """A public key as a signature may name it."""
    opened = b'<DEREncodedKeyValue xmlns="http://www.w3.org/2009/xmldsig11#">'
    return opened + b64encode(der) + b"</DEREncodedKeyValue>"


def certificate_value(text: bytes) -> bytes:
    """A certificate as a signature may name it."""
    return b"<ds:X509Data><ds:X509Certificate>" + text + b"</ds:X509Certificate></ds:X509Data>"


def key_info(content: bytes) -> bytes:
    """The list with this in what its signature says about the key, which nobody signed."""
    return VALID.replace(b"</ds:KeyInfo>", content + b"</ds:KeyInfo>")


P256 = key("another").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NO_KIND = P256.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0207"))
V3, V6 = bytes.fromhex("a003020102"), bytes.fromhex("a003020105")


@pytest.mark.parametrize("named", [P256, NO_KIND, b"none"], ids=["another's", "of no kind", "none"])
def test_the_key_is_the_pinned_certificates_whatever_key_the_signature_names(named: bytes) -> None:
    """Whoever stands between us and the list could stop the follower with a key of another kind in it."""
    assert read(key_info(key_value(named))) == read(VALID)


@pytest.mark.parametrize(
    ("curve", "method", "reason"),
    [
        ("RSA-2048", SignatureMethod.RSA_SHA512, None),
        ("RSA-2048", SignatureMethod.SHA256_RSA_MGF1, None),
        ("P-256", SignatureMethod.ECDSA_SHA384, None),
        ("RSA-2048", SignatureMethod.RSA_SHA224, UNTRUSTED),
        ("P-256", SignatureMethod.ECDSA_SHA224, UNTRUSTED),
    ],
)
def test_a_list_is_signed_with_a_method_of_today(
    curve: str, method: SignatureMethod, reason: ReasonCode | None
) -> None:
    """A list with RSASSA-PSS that names its key beside the certificate could not be read at all."""
    by = signer(f"tl {curve}", curve)
    body = signed(document(), by, method=method)
    if reason is None:
        assert read(body, pinned=by[1]).sequence == 71
    else:
        assert reason_of(body, pinned=by[1]) is reason


BENT: dict[str, bytes] = {
    "a certificate of no version": key_info(
        certificate_value(b64encode(signer()[1].public_bytes(Encoding.DER).replace(V3, V6)))
    ),
    "a certificate that is none": key_info(certificate_value(b"AAAA")),
    "an empty certificate": key_info(certificate_value(b"")),
    "a comment before the value": VALID.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue><!-- -->"),
    "an unknown method": VALID.replace(b"#rsa-sha256", b"#rsa-sha255"),
}


@pytest.mark.parametrize("body", BENT.values(), ids=BENT.keys())
def test_what_cannot_be_read_as_a_signature_is_nobodys(body: bytes) -> None:
    """Each of these stands outside of what is signed, so that anybody on the way can put it there."""
    assert body != VALID
    assert reason_of(body) is UNTRUSTED


def test_each_of_the_pinned_certificates_is_asked() -> None:
    before = [pin(signer()[1], AnchorKind.CA), pin(dated(NOW - 2 * DAY, NOW - DAY)[1]), pin(signer("another")[1])]
    assert read(VALID, signers=[*before, pin(signer()[1])]) == read(VALID)
    assert reason_of(VALID, signers=before) is UNTRUSTED


SEALED = b"\x00 not XML"
SEAL = f"<SchemeName Id='seal'>{b64encode(SEALED).decode()}</SchemeName>"


class SealingSigner(ListSigner):
    """Signs some bytes beside the list, too: those that stand in its element `seal`."""

    def _add_reference_to_signed_info(
        self, sig_root: etree._Element, node_to_reference: etree._Element, **attrs: str
    ) -> None:
        super()._add_reference_to_signed_info(sig_root, node_to_reference, **attrs)
        if attrs:
            references = sig_root.findall(f".//{{{DS}}}Reference")
            references[-1].addnext(etree.fromstring(self.seal()))

    def seal(self) -> str:
        """The reference to the bytes."""
        digest = b64encode(sha256(SEALED).digest()).decode()
        return (
            f'<Reference xmlns="{DS}" URI="#seal"><Transforms><Transform Algorithm="{DS}base64"/></Transforms>'
            f'<DigestMethod Algorithm="{DigestAlgorithm.SHA256.value}"/><DigestValue>{digest}</DigestValue></Reference>'
        )


def test_a_signer_may_sign_something_beside_the_list() -> None:
    sealed = document().replace("<SchemeTerritory>", f"{SEAL}<SchemeTerritory>")
    assert read(signed(sealed, kind=SealingSigner)) == read(VALID)


def test_a_signature_of_a_part_is_none_of_the_list() -> None:
    text = document().replace("<SchemeInformation>", '<SchemeInformation Id="part">')
    assert read(signed(text)) == read(VALID)
    assert reason_of(signed(text, part="#part")) is UNTRUSTED
