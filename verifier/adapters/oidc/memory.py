"""Entries of the bridge in this process's memory: for one process, tests and small services."""

import threading

from verifier.adapters.oidc.logins import Kind


class MemoryLogins:
    """Keeps entries until they expire or the process ends."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Kind, str], tuple[bytes, int]] = {}
        self._lock = threading.Lock()

    def put(self, kind: Kind, key: str, content: bytes, *, expires_at: int) -> None:
        """Keep an entry."""
        with self._lock:
            self._entries[kind, key] = (content, expires_at)

    def find(self, kind: Kind, key: str, *, now: int) -> bytes | None:
        """An entry that has not expired."""
        with self._lock:
            content, expires_at = self._entries.get((kind, key), (None, 0))
            return content if expires_at > now else None

    def take(self, kind: Kind, key: str, *, now: int) -> bytes | None:
        """An entry that has not expired, once."""
        with self._lock:
            content, expires_at = self._entries.pop((kind, key), (None, 0))
            return content if expires_at > now else None

    def purge(self, *, now: int) -> int:
        """Delete what has expired."""
        with self._lock:
            gone = [key for key, (_, expires_at) in self._entries.items() if expires_at <= now]
            for key in gone:
                del self._entries[key]
            return len(gone)
