"""OCSP answers that no library writes: whatever stands in one, it clears nobody and breaks nothing (RFC 6960 §4.2)."""

import pytest

from specs.refusal import ReasonCode
from specs.trust.ocsp import verify_ocsp_response
from specs.trust.parsed_certificate import CertificateError
from tests.specs.trust.drawing import NOW, draw_two

SEQUENCE, OID, OCTETS, BITS, NUMBER, ENUMERATED, TIME = 0x30, 0x06, 0x04, 0x03, 0x02, 0x0A, 0x18
BASIC, SHA_1, ECDSA, CERTIFICATE_ISSUER, REASON = (
    bytes.fromhex(text) for text in ("2b0601050507300101", "2b0e03021a", "2a8648ce3d040302", "551d1d", "551d15")
)
EDI_PARTY_NAME = 0xA5  # a name that the library has no class for


def der(tag: int, *parts: bytes) -> bytes:
    """One value, of up to 255 bytes."""
    content = b"".join(parts)
    return bytes([tag, *([0x81] if len(content) > 127 else []), len(content)]) + content


def answer(extension: bytes) -> bytes:
    """An answer about some certificate, signed by nobody, with an extension beside its date."""
    date = der(TIME, b"20260921000000Z")
    about = der(SEQUENCE, der(SEQUENCE, der(OID, SHA_1)), *[der(OCTETS, bytes(20))] * 2, der(NUMBER, b"\x05"))
    single = der(SEQUENCE, about, der(0x80), date, der(0xA1, der(SEQUENCE, extension)))
    signed = der(SEQUENCE, der(0xA2, der(OCTETS, bytes(20))), date, der(SEQUENCE, single))
    basic = der(SEQUENCE, signed, der(SEQUENCE, der(OID, ECDSA)), der(BITS, bytes(9)))
    return der(SEQUENCE, der(ENUMERATED, b"\x00"), der(0xA0, der(SEQUENCE, der(OID, BASIC), der(OCTETS, basic))))


@pytest.mark.parametrize(
    "extension",
    [
        der(
            SEQUENCE,
            der(OID, CERTIFICATE_ISSUER),
            der(OCTETS, der(SEQUENCE, der(EDI_PARTY_NAME, der(0xA1, der(0x0C))))),
        ),
        der(SEQUENCE, der(OID, REASON), der(OCTETS, der(ENUMERATED, b"\x07"))),
    ],
    ids=["a name of a kind that the library does not read", "a reason that there is not"],
)
def test_an_answer_with_an_extension_that_cannot_be_read_clears_nobody(extension: bytes) -> None:
    """Before any signature is checked, so that whoever stands on the way could once break the verdict."""
    leaf, root = draw_two().certificates()
    with pytest.raises(CertificateError) as refused:
        verify_ocsp_response(answer(extension), certificate=leaf, issuer=root, now=NOW)
    assert refused.value.reason is ReasonCode.REVOCATION_UNKNOWN
