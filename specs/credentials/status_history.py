"""A status list as it was at some time: how to ask for it, and when the answer may be used (Token Status List §8.4)."""

from urllib.parse import urlsplit, urlunsplit

from specs.credentials.signed_list import ListDates

TIME_PARAMETER = "time"


def history_url(uri: str, *, time: int) -> str:
    """Where the list of a `uri` is had as it was at a time, in seconds since the epoch."""
    parts = urlsplit(uri)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}{TIME_PARAMETER}={time}"))


def covers(token: ListDates, *, time: int) -> bool:
    """Whether a list speaks of that time: made by then, and not ended yet; one without an end speaks of no other time.

    time: seconds since the epoch. A host that knows no history sends the list of today, which was made later.
    """
    return token.expires_at is not None and token.issued_at <= time <= token.expires_at
