"""base64url without padding (RFC 4648 §5, RFC 7515 §2): one text for one sequence of bytes, and no other."""

import binascii

from specs.encoding import Malformed

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", None, b"==", b"=")
# the last character of a partial group carries bits that are not data; only zeros are canonical
_LAST_OF_TWO = frozenset(b"AQgw")
_LAST_OF_THREE = frozenset(b"AEIMQUYcgkosw048")


def encode(data: bytes) -> str:
    """Write bytes as base64url text without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode(text: str | bytes) -> bytes:
    """Read base64url text: no padding, no white space, no other alphabet, no bits set beyond the data.

    Raises:
        Malformed: the text is not the one canonical encoding.
    """
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
        if b"+" in raw or b"/" in raw or b"=" in raw:
            raise Malformed("not the base64url alphabet")
        rest = len(raw) & 3
        padding = _PADDING[rest]
        if padding is None:
            raise Malformed("impossible length for base64url")
        if (rest == 2 and raw[-1] not in _LAST_OF_TWO) or (rest == 3 and raw[-1] not in _LAST_OF_THREE):
            raise Malformed("base64url with bits beyond the data")
        return binascii.a2b_base64(raw.translate(_TO_STANDARD) + padding, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Malformed("not base64url") from error
