"""Browser sessions of the city service: a random cookie, and what is remembered behind it for fifteen minutes."""

import secrets
import time
from dataclasses import dataclass, field

from demo.city.procedures import Applicant

LIFETIME = 900  # seconds
MAX_SESSIONS = 10_000


@dataclass
class Started:
    """A question that this browser asked: its transaction and the secret that alone gets the verdict.

    page: for pictures and for whether an answer came.
    """

    transaction: str
    session_secret: str
    wallet_url: str
    page: str


@dataclass
class Session:
    """One browser. csrf_token: stands in each form of its pages."""

    csrf_token: str
    expires_at: float
    started: dict[str, Started] = field(default_factory=dict)  # by flow, or "counter"
    applicant: Applicant | None = None


class Sessions:
    """All browsers, in memory: nothing of them outlives the process."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def get(self, cookie: str | None) -> Session | None:
        """The session of a cookie, unless it has expired."""
        session = self._sessions.get(cookie or "")
        return session if session is not None and session.expires_at > time.time() else None

    def begin(self) -> tuple[str, Session]:
        """A new session and its cookie."""
        now = time.time()
        if len(self._sessions) >= MAX_SESSIONS:
            self._sessions = {key: kept for key, kept in self._sessions.items() if kept.expires_at > now}
        cookie = secrets.token_urlsafe(32)
        session = Session(secrets.token_urlsafe(32), now + LIFETIME)
        self._sessions[cookie] = session
        return cookie, session
