"""Where the newest known trust lists lie: none goes back, and what a folder holds is ours or nobody's."""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from verifier.stores.trust_lists import FolderTrustListStore, KeptList, MemoryTrustListStore, TrustListStore

URL = "https://lists.example/pid.jwt"
KNOWN = KeptList(6, 10, b"six\nand more\n")


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TrustListStore:
    """An empty store."""
    return MemoryTrustListStore() if request.param == "memory" else FolderTrustListStore(tmp_path / "far" / "lists")


@pytest.mark.parametrize(
    ("sequence", "issued_at", "kept"),
    [(5, 99, False), (6, 9, False), (6, 10, True), (6, 11, True), (7, 1, True)],
)
def test_no_list_takes_the_place_of_a_newer_one(
    store: TrustListStore, sequence: int, issued_at: int, kept: bool
) -> None:
    """Its number decides, then its time of issue; the same one may come again."""
    assert store.newest(URL) is None
    assert store.keep(URL, KNOWN)
    other = KeptList(sequence, issued_at, b"another")
    assert store.keep(URL, other) is kept
    assert store.newest(URL) == (other if kept else KNOWN)


def test_each_address_has_its_own_list(store: TrustListStore) -> None:
    assert store.keep(URL, KNOWN)
    assert store.newest(f"{URL}?") is None
    first = KeptList(1, 1, b"")
    assert store.keep(f"{URL}?", first)
    assert (store.newest(URL), store.newest(f"{URL}?")) == (KNOWN, first)


def test_a_folder_that_is_there_is_used_on(tmp_path: Path) -> None:
    FolderTrustListStore(tmp_path).keep(URL, KNOWN)
    assert FolderTrustListStore(tmp_path).newest(URL) == KNOWN


@pytest.mark.parametrize("found", [b"", b"6 10", b"6\ntoken", b"six 10\ntoken", b"6 ten\ntoken", b"6 10 2\ntoken"])
def test_a_file_that_is_none_of_ours_is_not_believed_and_not_replaced(tmp_path: Path, found: bytes) -> None:
    """One that was cut off after its numbers was a list without content."""
    store = FolderTrustListStore(tmp_path)
    store.keep(URL, KNOWN)
    (file,) = tmp_path.glob("*.list")
    file.write_bytes(found)
    with pytest.raises(ValueError, match=r"none of ours|invalid literal"):
        store.newest(URL)
    with pytest.raises(ValueError, match=r"none of ours|invalid literal"):
        store.keep(URL, KeptList(7, 11, b"seven"))
    assert file.read_bytes() == found


def test_a_list_lies_on_the_disk_before_it_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a crash leaves the old one, or the new one as a whole; and one process at a time looks and writes."""
    store = FolderTrustListStore(tmp_path)
    store.keep(URL, KNOWN)
    seen: list[object] = []
    lock, sync = fcntl.flock, os.fsync

    def locked(file: BinaryIO, how: int) -> None:
        seen.append(("locked", os.fstat(file.fileno()).st_ino == (tmp_path / "lock").stat().st_ino, how))
        lock(file, how)

    def synced(file: int) -> None:
        seen.append(("written", os.fstat(file).st_size, store.newest(URL)))
        sync(file)

    monkeypatch.setattr(fcntl, "flock", locked)
    monkeypatch.setattr(os, "fsync", synced)
    assert store.keep(URL, KeptList(7, 11, b"seven"))
    assert seen == [("locked", True, fcntl.LOCK_EX), ("written", len(b"7 11\nseven"), KNOWN)]
    assert store.newest(URL) == KeptList(7, 11, b"seven")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".list"]
