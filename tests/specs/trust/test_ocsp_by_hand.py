"""OCSP answers that no builder writes: several parts in one, doubled extensions, wrong names of algorithms."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp

from specs.refusal import ReasonCode
from specs.trust.ocsp import MAX_RESPONSE_BYTES
from tests.specs.trust.drawing import DAY, key
from tests.specs.trust.test_ocsp import (
    HOUR,
    UNKNOWN,
    Reply,
    other_leaf,
    outcome,
    unknown,
    valid,
    with_key,
)

ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
RSA_PSS_SHA256 = bytes.fromhex(
    "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
)
REVOKED = replace(valid(), status=ocsp.OCSPCertStatus.REVOKED)


def tlv(tag: int, *content: bytes) -> bytes:
    """DER by hand, as long as needed here."""
    inside = b"".join(content)
    size = (len(inside).bit_length() + 7) // 8
    length = bytes([len(inside)]) if len(inside) < 128 else bytes([0x80 | size]) + len(inside).to_bytes(size, "big")
    return bytes([tag]) + length + inside


def elements(der: bytes) -> list[bytes]:
    """What stands in a constructed value."""
    found, rest = [], der[2 + (der[1] & 127 if der[1] & 128 else 0) :]
    while rest:
        size = rest[1] if rest[1] < 128 else int.from_bytes(rest[2 : 2 + (rest[1] & 127)], "big")
        end = 2 + (rest[1] & 127 if rest[1] & 128 else 0) + size
        found.append(rest[:end])
        rest = rest[end:]
    return found


def said(reply: Reply) -> list[bytes]:
    """What of an answer is signed: who answers, when, the parts about certificates, and perhaps extensions."""
    return elements(ocsp.load_der_ocsp_response(reply.signed()).tbs_response_bytes)


def about(reply: Reply) -> bytes:
    """The one part of an answer that is about a certificate."""
    (single,) = elements(said(reply)[2])
    return single


def assembled(signed: bytes, algorithm: bytes, signature: bytes, *certificates: bytes) -> bytes:
    """An answer of its parts."""
    chain = [tlv(0xA0, tlv(0x30, *certificates))] if certificates else []
    basic = tlv(0x30, signed, algorithm, tlv(0x03, b"\x00", signature), *chain)
    return tlv(0x30, b"\x0a\x01\x00", tlv(0xA0, tlv(0x30, bytes.fromhex("06092b0601050507300101"), tlv(0x04, basic))))


def by_authority(*data: bytes) -> bytes:
    """An answer with these things said, signed by the authority."""
    own = valid().issuer.key
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    signed = tlv(0x30, *data)
    return assembled(signed, ECDSA_SHA256, own.sign(signed, ec.ECDSA(hashes.SHA256())))


def with_parts(*singles: bytes) -> bytes:
    """An answer by the authority about several certificates."""
    return by_authority(*said(valid())[:2], tlv(0x30, *singles))


def extension(*, critical: bool = False) -> bytes:
    """An extension that nobody knows."""
    return tlv(0x30, b"\x06\x02\x2a\x03", b"\x01\x01\xff" if critical else b"", b"\x04\x02\x05\x00")


def about_with(*extensions: bytes) -> bytes:
    """A good part with extensions of its own."""
    return tlv(0x30, *elements(about(valid())), tlv(0xA1, tlv(0x30, *extensions)))


def test_an_extension_about_the_one_certificate_must_be_understood_if_it_is_critical() -> None:
    assert outcome(with_parts(about_with(extension()))) is None
    assert outcome(with_parts(about_with(extension(critical=True)))) is UNKNOWN


OLD, STALE = replace(valid(), this_update=-DAY), replace(valid(), this_update=-DAY, next_update=-HOUR)


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ([replace(valid(), subject=other_leaf()), valid()], None),
        ([valid(), replace(REVOKED, subject=other_leaf())], None),
        ([valid(), REVOKED], ReasonCode.CERTIFICATE_REVOKED),
        ([REVOKED, valid()], ReasonCode.CERTIFICATE_REVOKED),
        ([OLD, REVOKED], ReasonCode.CERTIFICATE_REVOKED),
        ([valid(), OLD], None),
        ([valid(), STALE], UNKNOWN),
        ([STALE, valid()], UNKNOWN),
        ([replace(valid(), subject=other_leaf())] * 2, UNKNOWN),
    ],
    ids=[
        "good, behind another's",
        "good, before another's that is revoked",
        "revoked behind good",
        "revoked before good",
        "revoked, and good earlier",
        "good twice",
        "good, and past its next update behind",
        "good, and past its next update before",
        "another's alone",
    ],
)
def test_of_several_parts_about_the_certificate_the_worst_counts(
    replies: list[Reply], reason: ReasonCode | None
) -> None:
    assert outcome(with_parts(*(about(reply) for reply in replies))) is reason


def test_a_doubled_extension_clears_nobody() -> None:
    data = said(valid())
    assert outcome(by_authority(*data, tlv(0xA1, tlv(0x30, extension())))) is None
    assert outcome(by_authority(*data, tlv(0xA1, tlv(0x30, extension(), extension())))) is UNKNOWN
    assert outcome(with_parts(about_with(extension(), extension()))) is UNKNOWN


@pytest.mark.parametrize(
    ("kind", "value"),
    [("551d1d", "3004a502a100"), ("551d15", "0a0107")],
    ids=["a name of a kind that the library does not read", "a reason that there is not"],
)
def test_an_extension_that_cannot_be_read_clears_nobody(kind: str, value: str) -> None:
    """It is met before any signature is checked: whoever stands on the way could write it."""
    unreadable = tlv(0x30, tlv(0x06, bytes.fromhex(kind)), tlv(0x04, bytes.fromhex(value)))
    assert outcome(with_parts(about_with(unreadable))) is UNKNOWN


def test_a_responders_name_that_is_no_text_clears_nobody() -> None:
    who, *rest = said(valid())
    assert outcome(by_authority(who, *rest)) is None
    assert b"\x0c\x04Root" in who
    assert outcome(by_authority(who.replace(b"\x0c\x04Root", b"\x03\x04\x00oot"), *rest)) is UNKNOWN


def signed_with_rsa(algorithm: bytes) -> bytes:
    """An answer of a responder, signed by RSA as of old, with a name for the algorithm."""
    reply = with_key("rsa leaf", "RSA-2048")
    own = key("rsa leaf", "RSA-2048")
    assert isinstance(own, rsa.RSAPrivateKey)
    assert reply.delegate is not None
    signed = tlv(0x30, *said(reply))
    signature = own.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return assembled(signed, algorithm, signature, reply.delegate.signed(reply.issuer))


def test_a_signature_counts_only_under_the_name_of_its_own_algorithm() -> None:
    """RFC 5280 §4.1.1.2, RFC 8410 §3: the identifier outside of what is signed must still be the right one."""
    assert outcome(signed_with_rsa(RSA_SHA256)) is None
    assert outcome(signed_with_rsa(RSA_PSS_SHA256)) is UNKNOWN
    edwards = with_key("ed responder", "Ed25519").signed()
    assert outcome(edwards) is None
    signed = ocsp.load_der_ocsp_response(edwards).tbs_response_bytes
    ed25519, ed448 = signed + bytes.fromhex("300506032b6570"), signed + bytes.fromhex("300506032b6571")
    assert ed25519 in edwards
    assert outcome(edwards.replace(ed25519, ed448)) is UNKNOWN


def of_length(length: int) -> bytes:
    """A good answer of so many bytes; some signatures are a byte or two longer than others."""
    missing = length - len(replace(valid(), extension=unknown(60_000), is_critical=False).signed())
    longer = replace(valid(), extension=unknown(60_000 + missing), is_critical=False)
    return next(body for body in iter(longer.signed, b"") if len(body) == length)


def test_an_answer_of_64_kib_is_read_and_none_that_is_longer() -> None:
    assert outcome(of_length(MAX_RESPONSE_BYTES)) is None
    assert outcome(of_length(MAX_RESPONSE_BYTES + 1)) is UNKNOWN
