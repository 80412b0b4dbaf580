"""Where the newest known trust lists lie: one for each address, and never an older one in place of a newer one."""

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list as it was published, with its number and time of issue (seconds since the epoch)."""

    sequence: int
    issued_at: int
    token: bytes

    @property
    def age(self) -> tuple[int, int]:
        """What decides which of two lists is newer."""
        return self.sequence, self.issued_at


class TrustListStore(Protocol):
    """Keeps the newest list of each address."""

    def newest(self, url: str) -> KeptList | None:
        """The newest list known of an address."""
        ...

    def keep(self, url: str, kept: KeptList) -> bool:
        """Keep a list unless a newer one is known already; whether it was kept. One atomic step."""
        ...


class MemoryTrustListStore:
    """Keeps lists in this process: a restart forgets their numbers. For tests and demonstrations."""

    def __init__(self) -> None:
        self._lists: dict[str, KeptList] = {}
        self._lock = threading.Lock()

    def newest(self, url: str) -> KeptList | None:
        """The newest list known of an address."""
        return self._lists.get(url)

    def keep(self, url: str, kept: KeptList) -> bool:
        """Keep a list unless a newer one is known already."""
        with self._lock:
            known = self._lists.get(url)
            if known is not None and kept.age < known.age:
                return False
            self._lists[url] = kept
            return True


class FolderTrustListStore:
    """Keeps lists as files of a folder, for all processes of a machine.

    A file's first line has number and time of issue, the rest is the list as it was published. It is exchanged as a
    whole, under a lock, so that a crash leaves the old one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def newest(self, url: str) -> KeptList | None:
        """The newest list known of an address.

        Raises:
            ValueError: the file is none of ours; somebody must look before anything is believed.
        """
        try:
            head, end, token = self._file(url).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        if not end:
            raise ValueError("a file that is none of ours: its first line has no end")
        sequence, _, issued_at = head.partition(b" ")
        return KeptList(int(sequence), int(issued_at), token)

    def keep(self, url: str, kept: KeptList) -> bool:
        """Keep a list unless a newer one is known already."""
        with self._locked():
            known = self.newest(url)
            if known is not None and kept.age < known.age:
                return False
            file = self._file(url)
            draft = file.with_suffix(".draft")
            with draft.open("wb") as out:
                out.write(b"%d %d\n" % kept.age + kept.token)
                out.flush()
                os.fsync(out.fileno())
            draft.replace(file)
            return True

    def _file(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()}.list"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
