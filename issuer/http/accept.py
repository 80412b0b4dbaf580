"""Which of our media types does a client like best? `Accept` by RFC 9110 §12.5.1."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T", bound=str)


def preferred(accept: str | None, offered: Sequence[T]) -> T | None:
    """The offered type with the highest quality, the earlier one on a tie; None if none is acceptable.

    A missing header accepts all. A range that can't be read is passed over.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept.split(",")]
    best, best_quality = None, 0.0
    for media_type in offered:
        quality = _quality(media_type, [each for each in ranges if each is not None])
        if quality > best_quality:
            best, best_quality = media_type, quality
    return best


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality that the most specific matching range gives."""
    kind = media_type.partition("/")[0]
    for pattern in (media_type, f"{kind}/*", "*/*"):
        found = [quality for each, quality in ranges if each == pattern]
        if found:
            return max(found)
    return 0.0


def _range(part: str) -> tuple[str, float] | None:
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = float(parameter[2:])
            except ValueError:
                return None
    return (media_range, quality) if "/" in media_range and 0.0 <= quality <= 1.0 else None
