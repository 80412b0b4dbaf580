"""CBOR read strictly (RFC 8949): one item, each map key once, nothing behind it, no tag that changes what was said."""

import io
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TypeAlias, Union, cast

import cbor2

from specs.encoding import Malformed

CborValue: TypeAlias = Union[
    bool, int, float, str, bytes, "list[CborValue]", "dict[int | str | bytes, CborValue]", cbor2.CBORTag, None
]
CborMap: TypeAlias = dict[int | str | bytes, CborValue]

MAX_DEPTH = 32

# dates stay what they were on the wire; what builds shared, referenced, packed or huge values is refused
_KEPT_TAGS = (0, 1, 100, 1004)
_COSE_TAGS = (16, 17, 18, 61, 96, 97, 98)
_REFUSED_TAGS = (2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 256, 258, 260, 261, 43000, 55799)


def _keep(number: int, value: object, _immutable: bool) -> cbor2.CBORTag:
    return cbor2.CBORTag(number, value)


def _keep_structure(number: int, value: object, _immutable: bool) -> cbor2.CBORTag:
    # the decoder makes tuples and frozen maps of what a tag holds; a COSE structure is read as arrays and maps
    return cbor2.CBORTag(number, _thawed(value))


def _thawed(value: object) -> object:
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return value


def _refuse(_value: object, _immutable: bool) -> NoReturn:
    raise Malformed("a CBOR tag that has no place here")


_TAG_DECODERS: dict[int, Callable[[Any, bool], Any]] = {
    **{number: partial(_keep, number) for number in _KEPT_TAGS},
    **{number: partial(_keep_structure, number) for number in _COSE_TAGS},
    **dict.fromkeys(_REFUSED_TAGS, _refuse),
}


_MARK = secrets.token_bytes(16)
_MARKER = b"\x50" + _MARK  # as CBOR


def decode(data: bytes, *, max_depth: int = MAX_DEPTH) -> CborValue:
    """Read exactly one CBOR item.

    Tags come back as `cbor2.CBORTag`, dates among them. Indefinite lengths are read.
    max_depth: how many arrays, maps and tags may stand inside each other.

    Raises:
        Malformed: not well-formed, a repeated map key, a refused tag, nested too deeply, or bytes left over.
    """
    source = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(
            source, semantic_decoders=_TAG_DECODERS, max_depth=max_depth, allow_duplicate_keys=False
        ).decode()
    except cbor2.CBORDecodeError as error:  # whatever goes wrong inside the library comes out as this
        raise Malformed("not CBOR as we read it") from error
    if source.tell() != len(data):
        raise Malformed("bytes behind the CBOR item")
    return cast(CborValue, value)


def decode_each(items: Sequence[bytes], *, max_depth: int = MAX_DEPTH) -> list[CborValue]:
    """Read many encodings, each of them exactly one CBOR item, in one go: `decode` for each, in less time.

    Raises:
        Malformed: as `decode`, for any of them.
    """
    if len(items) < 2:
        return [decode(item, max_depth=max_depth) for item in items]
    # one array with a marker between each two, that nobody outside can know: so each item is one value
    array = head(4, 2 * len(items) - 1) + _MARKER.join(items)
    values = decode(array, max_depth=max_depth + 1)
    if type(values) is not list or values[1::2] != [_MARK] * (len(items) - 1):
        raise Malformed("an item ends elsewhere than its bytes")
    return values[::2]


def decode_map(data: bytes, *, max_depth: int = MAX_DEPTH) -> CborMap:
    """Read exactly one CBOR item that must be a map.

    Raises:
        Malformed: as `decode`, or the item is no map.
    """
    value = decode(data, max_depth=max_depth)
    if type(value) is not dict:
        raise Malformed("not a CBOR map")
    return value


def encode(value: object) -> bytes:
    """Write a value in the shortest form with definite lengths, map members in the order they stand in."""
    return cbor2.dumps(value)


def head(major: int, argument: int) -> bytes:
    """The shortest head of an item (RFC 8949 §3): major type 0 to 7 and its argument, below 2^64."""
    first = major << 5
    if argument < 24:
        return bytes((first | argument,))
    if argument < 0x100:
        return bytes((first | 24, argument))
    if argument < 0x10000:
        return bytes((first | 25,)) + argument.to_bytes(2, "big")
    if argument < 0x100000000:
        return bytes((first | 26,)) + argument.to_bytes(4, "big")
    return bytes((first | 27,)) + argument.to_bytes(8, "big")


def byte_string(data: bytes) -> bytes:
    """The encoding of a byte string."""
    return head(2, len(data)) + data


def tag24(item: bytes) -> bytes:
    """The encoding of #6.24(bstr .cbor item): an item that travels as it was signed (RFC 8949 §3.4.5.1)."""
    return tag24_head(len(item)) + item


def tag24_head(size: int) -> bytes:
    """The bytes before an item of `size` bytes inside tag 24."""
    if size < 24:
        return bytes((0xD8, 0x18, 0x40 | size))
    if size < 256:
        return bytes((0xD8, 0x18, 0x58, size))
    if size < 65536:
        return b"\xd8\x18\x59" + size.to_bytes(2, "big")
    return b"\xd8\x18" + head(2, size)
