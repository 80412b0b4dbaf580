"""The suite as a publisher of a status list: one list, by the book or with one thing wrong, as JWT or CWT as asked."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.bent_token import Bend, opened, straight
from conformance.suite_server import Incoming, Reply
from specs.credentials.status_list import (
    StatusMediaType,
    StatusReference,
    build_status_list,
    build_status_list_cwt,
    build_status_list_jwt,
)
from specs.keys.signer import FileSigner, SigningIdentity

VALID, REVOKED, SUSPENDED = 0, 1, 2
INDEX = 7  # of the credential that is shown
SIZE = 1 << 10  # entries
LIFE = 3600  # seconds


@dataclass
class StatusScene:
    """A list under an address. states: by index. subject: what the list says it is of; its address unless another.

    status: of the HTTP answer. ends: seconds from now. bend: of the JWT. fetches: what came.
    """

    url: str
    identity: SigningIdentity
    state: int = VALID
    bits: int = 2
    index: int = INDEX
    size: int = SIZE
    subject: str | None = None
    status: int = 200
    ends: int = LIFE
    bend: Bend = straight
    fetches: list[Incoming] = field(default_factory=list)

    @property
    def reference(self) -> StatusReference:
        """What the credential says."""
        return StatusReference(self.url, self.index)

    def answer(self, incoming: Incoming) -> Reply:
        """See `Scene`."""
        self.fetches.append(incoming)
        if self.status != 200:
            return Reply(self.status)
        states: Mapping[int, int] = {self.index: self.state} if self.index < self.size else {}
        statuses = build_status_list(bits=self.bits, size=self.size, statuses=states)
        now = int(time.time())
        uri, begins = self.subject or self.url, min(now, now + self.ends) - 60
        if StatusMediaType.CWT in incoming.headers.get("accept", ""):
            body = build_status_list_cwt(
                statuses, identity=self.identity, uri=uri, issued_at=begins, expires_at=now + self.ends, ttl=LIFE
            )
            return Reply(200, body, StatusMediaType.CWT)
        token = build_status_list_jwt(
            statuses, identity=self.identity, uri=uri, issued_at=begins, expires_at=now + self.ends, ttl=LIFE
        )
        assert isinstance(self.identity.signer, FileSigner)
        return Reply(200, str(self.bend(opened(token, self.identity.signer))).encode(), StatusMediaType.JWT)
