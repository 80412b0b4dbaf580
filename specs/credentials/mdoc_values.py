"""Values of mdoc elements: dates for the issuer to write, and a view in JSON terms to compare with a query."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime

import cbor2

from specs.encoding import base64url
from specs.encoding.cbor import CborValue
from specs.encoding.strict_json import JsonValue

_DATE_TIME, _FULL_DATE = 0, 1004


def full_date(day: date) -> cbor2.CBORTag:
    """A day without a time: `full-date`, tag 1004 (ISO/IEC 18013-5 §7.2.1, RFC 8943)."""
    return cbor2.CBORTag(_FULL_DATE, day.isoformat())


def tdate(seconds: int) -> cbor2.CBORTag:
    """A point in time: `tdate`, tag 0, UTC, whole seconds. seconds: since the epoch."""
    return cbor2.CBORTag(_DATE_TIME, tdate_text(seconds))


def tdate_text(seconds: int) -> str:
    """The text inside a `tdate`. seconds: since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def json_value(value: CborValue) -> JsonValue:
    """A CBOR value in JSON terms, to be compared with a query's `values` (RFC 8949 §6.1; OpenID4VP 1.0 §7.2).

    Byte strings become base64url without padding, tagged values their content, keys of maps text, what JSON has no word
    for null.
    """
    if type(value) in (str, bool, int):
        return value  # type: ignore[return-value]  # the check of the exact type is not seen as one
    if isinstance(value, bytes):
        return base64url.encode(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, cbor2.CBORTag):
        return json_value(value.value)
    if isinstance(value, Mapping):
        return {_key(key): json_value(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(element) for element in value]
    return None  # null, undefined and unassigned simple values


def _key(key: int | str | bytes) -> str:
    return base64url.encode(key) if isinstance(key, bytes) else str(key)
