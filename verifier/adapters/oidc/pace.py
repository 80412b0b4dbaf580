"""How many logins may begin in a minute: anybody may begin one, and each is kept for a while."""

import threading

WINDOW_SECONDS = 60


class Pace:
    """Counts what began in the present minute of this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._window = self._begun = 0
        self._lock = threading.Lock()

    def allows(self, *, now: int) -> bool:
        """Count one more, if there may be one. now: seconds since the epoch."""
        with self._lock:
            if now // WINDOW_SECONDS != self._window:
                self._window, self._begun = now // WINDOW_SECONDS, 0
            self._begun += 1
            return self._begun <= self._most
