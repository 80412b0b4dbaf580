"""What a tenant says about itself, made once in a while and not at each request; what is signed, signed as rarely."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Kept:
    body: bytes
    made_at: int  # seconds since the epoch


class Published:
    """The statements of one tenant in this process. max_age: seconds after which one is made anew."""

    def __init__(self, *, max_age: int) -> None:
        self.max_age = max_age
        self._kept: dict[str, _Kept] = {}

    def get(self, name: str, make: Callable[[], bytes], *, now: int) -> bytes:
        """The statement of this name, made by `make` unless there is a fresh one. now: seconds since the epoch."""
        kept = self._kept.get(name)
        if kept is None or not kept.made_at <= now < kept.made_at + self.max_age:
            self._kept[name] = kept = _Kept(make(), now)
        return kept.body
