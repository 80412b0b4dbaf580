"""JSON texts in base64url that came together, read in one go: each is what it is by itself, only sooner."""

import binascii
from collections.abc import Sequence
from typing import NamedTuple, cast

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonValue

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")  # what is standard base64 already must not pass

# base64url of a JSON array's begin and end, and of what stands between two texts in it: whole groups, so that the
# texts' groups stay where they are
_BEGIN, _BETWEEN, _END = b"WzAs", b"LCJ-fiIs", b"LDBd"  # `[0,` and `,"~~",` and `,0]`
# by length modulo four and last character: what completes a text's last group, so that spaces follow the text; each
# last character that is there has only zeros beyond the data
_LAST: tuple[dict[int, bytes], ...] = (
    {},
    {},
    dict(zip(b"AQgw", (b"CAg", b"SAg", b"iAg", b"yAg"), strict=True)),
    {last: bytes((last,)) + b"g" for last in b"AEIMQUYcgkosw048"},
)


class JsonTexts(NamedTuple):
    """What the texts say, in their order, and all of them as bytes, to be searched."""

    values: list[JsonValue]
    joined: bytes


def read_together(segments: Sequence[bytes], *, max_depth: int) -> JsonTexts | None:
    """Read base64url texts of JSON as one JSON array with a marker between each two; None: read them one by one.

    max_depth: how many arrays and objects may stand inside each other in each text.

    The markers occur as often as they were put, so that no text holds one, not even by an escape, and no other two
    characters of a text and a marker make one. The array's values alternate with them: so each text is one value. None
    is given for whatever `strict_json.parse` refuses.
    """
    try:
        filled = [
            segment[:-1] + _LAST[len(segment) & 3][segment[-1]] if len(segment) & 3 else segment for segment in segments
        ]
        encoded = b"".join((_BEGIN, _BETWEEN.join(filled), _END)).translate(_TO_STANDARD)
        joined = binascii.a2b_base64(encoded, strict_mode=True)
        # one array around them all
        values = cast("list[JsonValue]", strict_json.parse(joined, max_depth=max_depth + 1))
    except (KeyError, binascii.Error, Malformed):
        return None
    markers = len(segments) - 1
    # `\u007e` is a tilde: a text could say a marker and swallow the one behind it
    if b"\\" in joined and b"\\u007" in joined:
        return None
    if joined.count(b'"~~"') != markers or values[2:-1:2] != ["~~"] * markers:
        return None
    return JsonTexts(values[1::2], joined)
