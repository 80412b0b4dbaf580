"""JSON read strictly (RFC 8259): one meaning for one text, or none.

Refused: repeated member names, NaN and Infinity, integers beyond 64 bits, invalid UTF-8, lone surrogates, deep nesting.
"""

import json
from typing import NoReturn, TypeAlias, Union, cast

import pydantic_core

from specs.encoding import Malformed

JsonValue: TypeAlias = Union[bool, int, float, str, "list[JsonValue]", "dict[str, JsonValue]", None]
JsonObject: TypeAlias = dict[str, JsonValue]

MAX_DEPTH = 32

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19  # may be beyond 64 bits
_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**64 - 1


def parse(data: str | bytes, *, max_depth: int = MAX_DEPTH) -> JsonValue:
    """Read one JSON text.

    max_depth: how many arrays and objects may stand inside each other.

    Raises:
        Malformed: it is not JSON, or JSON that two readers could understand differently.
    """
    try:
        raw = data.encode("utf-8") if isinstance(data, str) else data
        # what was read may be personal: no string of it stays in the reader's cache
        value = cast(JsonValue, pydantic_core.from_json(raw, allow_inf_nan=False, cache_strings="none"))
    except ValueError as error:
        raise Malformed("not JSON") from error
    if raw.count(b"[") + raw.count(b"{") > max_depth:
        _check_depth(value, max_depth)
    if not _says_all(value, raw) or _LONG_NUMBER in raw.translate(_DIGITS_TO_ZERO):
        return _parse_each_member(raw)
    return value


def _says_all(value: JsonValue, raw: bytes) -> bool:
    """Whether no member was lost because its name came again, and no number was; False also where that can't be told.

    Without escapes a quotation mark is a string's begin or end, and a lost member has lost its name. A number beyond
    the range of a double is written as Infinity.
    """
    written = pydantic_core.to_json(value)
    return written == raw or (
        b"\\" not in raw and b"Infinity" not in written and written.count(b'"') == raw.count(b'"')
    )


def parse_object(data: str | bytes, *, max_depth: int = MAX_DEPTH) -> JsonObject:
    """Read one JSON text that must be an object.

    Raises:
        Malformed: as `parse`, or the value is no object.
    """
    value = parse(data, max_depth=max_depth)
    if type(value) is not dict:
        raise Malformed("not a JSON object")
    return value


def dumps(value: object) -> bytes:
    """Write a value as compact UTF-8 JSON, members in the order they stand in."""
    return pydantic_core.to_json(value, inf_nan_mode="constants")


def _parse_each_member(raw: bytes) -> JsonValue:
    try:
        return cast(
            JsonValue,
            json.loads(
                raw.decode("utf-8"),
                object_pairs_hook=_object,
                parse_int=_integer,
                parse_float=_number,
                parse_constant=_no_constant,
            ),
        )
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error) if isinstance(error, Malformed) else "not JSON") from error


def _object(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a member name is repeated")
    return members


def _integer(digits: str) -> int:
    if len(digits) > 20 or not _SMALLEST_INT <= int(digits) <= _LARGEST_INT:
        raise Malformed("an integer beyond 64 bits")
    return int(digits)


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Malformed("a number beyond the range of a double")
    return number


def _no_constant(_name: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON")


def _check_depth(value: JsonValue, max_depth: int) -> None:
    level: list[JsonValue] = [value]
    for _ in range(max_depth + 1):
        containers = [item for item in level if isinstance(item, (list, dict))]
        if not containers:
            return
        level = [inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)]
    raise Malformed("nested too deeply")
