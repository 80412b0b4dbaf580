"""SessionTranscript: what both sides know of their exchange, so that a device's answer fits no other one.

ISO/IEC 18013-5 §9.1.5.1, with the handovers of OpenID4VP 1.0 §B.2.6 and ISO/IEC TS 18013-7 Annex C.5. Each function
returns the transcript as the bytes of the bare CBOR array.
"""

from hashlib import sha256

from specs.encoding import cbor

_NO_ENGAGEMENT = b"\x83\xf6\xf6"  # an array of three: no DeviceEngagementBytes, no EReaderKeyBytes, then the handover
_NULL = b"\xf6"
_THUMBPRINT_SIZE = 32


def openid4vp_transcript(*, client_id: str, nonce: str, jwk_thumbprint: bytes | None, response_uri: str) -> bytes:
    """The transcript of an answer by redirect or `direct_post` (OpenID4VP 1.0 §B.2.6.1, OpenID4VPHandover).

    client_id: with its prefix. jwk_thumbprint: the 32 bytes of the RFC 7638 SHA-256 thumbprint of the key that the
    response was encrypted to, None if it was not encrypted. response_uri: `response_uri` or `redirect_uri`.

    Raises:
        ValueError: the thumbprint is not 32 bytes.
    """
    info = b"\x84" + _text(client_id) + _text(nonce) + _thumbprint(jwk_thumbprint) + _text(response_uri)
    return _NO_ENGAGEMENT + _hashed_handover("OpenID4VPHandover", info)


def dc_api_transcript(*, origin: str, nonce: str, jwk_thumbprint: bytes | None) -> bytes:
    """The transcript of an answer through the Digital Credentials API (OpenID4VP 1.0 §B.2.6.2, OpenID4VPDCAPIHandover).

    origin: without the prefix `origin:`. jwk_thumbprint: as in `openid4vp_transcript`.

    Raises:
        ValueError: the thumbprint is not 32 bytes.
    """
    info = b"\x83" + _text(origin) + _text(nonce) + _thumbprint(jwk_thumbprint)
    return _NO_ENGAGEMENT + _hashed_handover("OpenID4VPDCAPIHandover", info)


def iso_mdoc_dc_api_transcript(*, encryption_info: str, origin: str) -> bytes:
    """The transcript of an `org-iso-mdoc` answer (ISO/IEC TS 18013-7 Annex C.5).

    encryption_info: the base64url text exactly as it was sent.
    """
    return _NO_ENGAGEMENT + _hashed_handover("dcapi", b"\x82" + _text(encryption_info) + _text(origin))


def proximity_transcript(
    *, device_engagement: bytes, reader_key: bytes, nfc_handover: tuple[bytes, bytes | None] | None = None
) -> bytes:
    """The transcript of an exchange on the spot (ISO/IEC 18013-5 §9.1.5.1).

    device_engagement: the encoding of DeviceEngagement inside its tag 24, exactly as transmitted; reader_key: the same
    of the EReaderKey. nfc_handover: handover select message and, if there was one, handover request message; None after
    engagement by QR code.
    """
    handover = _NULL
    if nfc_handover is not None:
        select, request = nfc_handover
        handover = b"\x82" + cbor.byte_string(select) + (_NULL if request is None else cbor.byte_string(request))
    return b"\x83" + cbor.tag24(device_engagement) + cbor.tag24(reader_key) + handover


def _hashed_handover(name: str, info: bytes) -> bytes:
    return b"\x82" + _text(name) + b"\x58\x20" + sha256(info).digest()


def _thumbprint(thumbprint: bytes | None) -> bytes:
    if thumbprint is None:
        return _NULL
    if len(thumbprint) != _THUMBPRINT_SIZE:
        raise ValueError("a JWK thumbprint is 32 bytes, not text")
    return cbor.byte_string(thumbprint)


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    return cbor.head(3, len(data)) + data
