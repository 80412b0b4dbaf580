"""NumericDate (RFC 7519 §2): a moment as seconds since the epoch, whole or with a fraction."""

from math import isfinite

from specs.encoding import Malformed


def parse(value: object) -> int | float:
    """Read a NumericDate.

    Raises:
        Malformed: not a finite JSON number; true, false, null and text are none.
    """
    if type(value) is int:
        return value
    if type(value) is float and isfinite(value):
        return value
    raise Malformed("not a NumericDate")
