"""Where an mdoc's parts stand in the bytes that were received, for the rare sender who writes heads longer than needed.

Digests and device signatures are over bytes as sent (ISO/IEC 18013-5 §9.1.2.5, §9.1.3.4). Almost everybody sends the
shortest form, which can be written again from the value; only where that does not fit, the bytes are looked up here.
"""

from collections.abc import Iterator

from specs.encoding import Malformed, cbor

_TAG24 = 24
_INDEFINITE = 31
_BREAK = 0xFF


def items_as_received(issuer_signed: bytes) -> dict[str, tuple[bytes, ...]]:
    """The encodings of all IssuerSignedItemBytes, tag 24 and all, by namespace (ISO/IEC 18013-5 §8.3.2.1.2.2).

    issuer_signed: the encoding of one IssuerSigned, already read once without complaint.
    """
    name_spaces = member(issuer_signed, "nameSpaces")
    if name_spaces is None:
        return {}
    return {
        str(name): tuple(items[start:end] for start, end in _elements(items, 0))
        for name, items in _members(name_spaces)
    }


def part(data: bytes, *path: str | int) -> bytes | None:
    """The encoding of what stands at a path of member names and array positions, or None."""
    found: bytes | None = data
    for step in path:
        if found is None:
            return None
        if isinstance(step, str):
            found = member(found, step)
        else:
            spans = list(_elements(found, 0))
            found = found[spans[step][0] : spans[step][1]] if step < len(spans) else None
    return found


def member(data: bytes, name: str) -> bytes | None:
    """The encoding of one member of an encoded map, or None."""
    return next((value for key, value in _members(data) if key == name), None)


def _members(data: bytes) -> Iterator[tuple[cbor.CborValue, bytes]]:
    spans = list(_elements(data, 0, major=5))
    for (key_start, key_end), (start, end) in zip(spans[::2], spans[1::2], strict=True):
        yield cbor.decode(data[key_start:key_end]), data[start:end]


def _elements(data: bytes, at: int, *, major: int = 4) -> Iterator[tuple[int, int]]:
    """Begin and end of each element of an array (major 4), or of each key and value of a map (major 5)."""
    found, count, at = _head(data, at)
    if found != major:
        raise Malformed("another kind of CBOR item")
    left = None if count is None else count * (major - 3)
    while left != 0:
        if left is None:
            if data[at] == _BREAK:
                return
        else:
            left -= 1
        end = _end(data, at)
        yield at, end
        at = end


def _end(data: bytes, at: int) -> int:
    major, argument, after = _head(data, at)
    if major in (2, 3):
        if argument is not None:
            return after + argument
        while data[after] != _BREAK:
            after = _end(data, after)
        return after + 1
    if major in (4, 5):
        for _, end in _elements(data, at, major=major):
            after = end
        return after + (argument is None)
    return _end(data, after) if major == 6 else after


def _head(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Major type, argument (None: indefinite) and where the head ends (RFC 8949 §3)."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info < _TAG24:
        return major, info, at
    if info == _INDEFINITE:
        return major, None, at
    size = 1 << (info - _TAG24)
    return major, int.from_bytes(data[at : at + size], "big"), at + size
