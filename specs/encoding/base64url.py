"""base64url without padding (RFC 4648 §5, RFC 7515 §2): one text for one sequence of bytes, and no other."""

import binascii
from collections.abc import Iterable

from specs.encoding import Malformed

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")  # what is standard base64 already must not pass
_TO_URL = bytes.maketrans(b"+/", b"-_")
# by length modulo four, of which one is none: the padding, and the last characters with only zeros beyond the data
_ENDINGS = ((b"", b""), (b"", b""), (b"==", b"AQgw"), (b"=", b"AEIMQUYcgkosw048"))


def encode(data: bytes) -> str:
    """Write bytes as base64url text without padding."""
    return encode_as_bytes(data).decode("ascii")


def encode_as_bytes(data: bytes) -> bytes:
    """The same text as ASCII, for those who join it with others."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=")


def encode_each(items: Iterable[bytes], *, between: bytes) -> bytes:
    """Write many, with a separator between each two that base64url leaves alone."""
    return between.join([binascii.b2a_base64(item, newline=False) for item in items]).translate(_TO_URL, b"=")


def decode(text: str | bytes) -> bytes:
    """Read base64url text: no padding, no white space, no other alphabet, no bits set beyond the data.

    Raises:
        Malformed: the text is not the one canonical encoding.
    """
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
        rest = len(raw) & 3
        if not rest:
            return binascii.a2b_base64(raw.translate(_TO_STANDARD), strict_mode=True)
        padding, last = _ENDINGS[rest]
        if raw[-1] not in last:
            raise Malformed("base64url of an impossible length, or with bits beyond the data")
        return binascii.a2b_base64(raw.translate(_TO_STANDARD) + padding, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Malformed("not base64url") from error
