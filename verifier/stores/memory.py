"""Transactions in this process: for one process, tests and small services."""

import threading
from dataclasses import replace

from verifier.transaction import Link, Row, State


class MemoryStore:
    """Keeps transactions in memory; what decides happens under one lock."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._links: dict[str, Link] = {}  # by digest
        self._fetched: set[str] = set()
        self._by_response_handle: dict[str, str] = {}  # digest → id, as the next one
        self._by_page: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, row: Row, link: Link | None) -> None:
        """Keep a new transaction and its first link."""
        with self._lock:
            self._rows[row.id] = row
            self._by_response_handle[row.response_handle_digest] = row.id
            self._by_page[row.page_digest] = row.id
            if link is not None:
                self._links[link.digest] = link

    def add_link(self, link: Link, *, most: int, now: int) -> bool:
        """Keep a further link."""
        with self._lock:
            row = self._open(link.transaction_id, now)
            if row is None or row.links >= most:
                return False
            self._rows[row.id] = replace(row, links=row.links + 1)
            self._links[link.digest] = link
            return True

    def by_link(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a request handle."""
        with self._lock:
            link = self._links.get(digest)
            if link is None or (link.fetch_by <= now and digest not in self._fetched):
                return None
            self._fetched.add(digest)
            return self._open(link.transaction_id, now)

    def by_response_handle(self, digest: str, *, now: int) -> Row | None:
        """The open transaction of a response address."""
        with self._lock:
            return self._open(self._by_response_handle.get(digest, ""), now)

    def by_page(self, digest: str, *, now: int) -> Row | None:
        """The unexpired transaction of a page."""
        with self._lock:
            return self._unexpired(self._by_page.get(digest, ""), now)

    def by_id(self, transaction_id: str, *, now: int) -> Row | None:
        """An unexpired transaction in any state."""
        with self._lock:
            return self._unexpired(transaction_id, now)

    def end(
        self,
        transaction_id: str,
        *,
        outcome: bytes,
        response_code_digest: str | None,
        now: int,
        expires_at: int,
        state: State = State.ANSWERED,
    ) -> bool:
        """Answer an open transaction, once."""
        with self._lock:
            row = self._open(transaction_id, now)
            if row is None:
                return False
            self._rows[transaction_id] = replace(
                row,
                state=state,
                sealed=b"",
                outcome=outcome,
                response_code_digest=response_code_digest,
                expires_at=expires_at,
            )
            return True

    def reveal(self, transaction_id: str, *, outcome: bytes, now: int) -> bool:
        """Let the outcome of a recorded transaction be had."""
        with self._lock:
            row = self._unexpired(transaction_id, now)
            if row is None or row.state is not State.RECORDING:
                return False
            self._rows[transaction_id] = replace(row, state=State.ANSWERED, outcome=outcome)
            return True

    def take(
        self,
        transaction_id: str,
        *,
        response_code_digest: str | None,
        taken_by: str,
        kept: bytes,
        now: int,
        expires_at: int,
    ) -> bool:
        """Let one caller have the outcome."""
        with self._lock:
            row = self._unexpired(transaction_id, now)
            if row is None or row.state is not State.ANSWERED or row.taken_by is not None:
                return False
            if row.response_code_digest != response_code_digest:
                return False
            self._rows[transaction_id] = replace(row, taken_by=taken_by, outcome=kept, expires_at=expires_at)
            return True

    def purge(self, *, now: int) -> int:
        """Delete what has expired."""
        with self._lock:
            for link in [link for link in self._links.values() if link.expires_at <= now]:
                del self._links[link.digest]
                self._fetched.discard(link.digest)
            gone = [row for row in self._rows.values() if row.expires_at <= now]
            for row in gone:
                del self._rows[row.id]
                del self._by_response_handle[row.response_handle_digest]
                del self._by_page[row.page_digest]
            return len(gone)

    def _unexpired(self, transaction_id: str, now: int) -> Row | None:
        row = self._rows.get(transaction_id)
        return row if row is not None and row.expires_at > now else None

    def _open(self, transaction_id: str, now: int) -> Row | None:
        row = self._unexpired(transaction_id, now)
        return row if row is not None and row.state is State.ASKED else None
