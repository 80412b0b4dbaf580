"""What the bridge remembers: logins under way, codes and tokens. Each is sealed, short-lived, and found by a secret."""

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from verifier.ask import digest
from verifier.transaction import Seal

LOGIN_SECONDS = 600
CODE_SECONDS = 60
TOKEN_SECONDS = 300


class Kind(StrEnum):
    """What an entry is."""

    LOGIN = "login"
    CODE = "code"
    SPENT_CODE = "spent_code"
    TOKEN = "token"  # noqa: S105 - the name of a kind


class LoginStore(Protocol):
    """Where entries are kept. Each method is one atomic statement; keys are digests, contents sealed."""

    def put(self, kind: Kind, key: str, content: bytes, *, expires_at: int) -> None:
        """Keep an entry, in place of an older one under the same key."""
        ...

    def find(self, kind: Kind, key: str, *, now: int) -> bytes | None:
        """An entry that has not expired."""
        ...

    def take(self, kind: Kind, key: str, *, now: int) -> bytes | None:
        """An entry that has not expired, once: whoever comes second gets None."""
        ...

    def purge(self, *, now: int) -> int:
        """Delete what has expired; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the two questions of a login, as its asker keeps it."""

    transaction: str
    session_secret: str
    wallet_url: str
    page: str


@dataclass(frozen=True, slots=True)
class Login:
    """A request of a portal that a person answers now. parameters: as the portal sent them.

    here: the question for a wallet on this device; phone: the one for another device.
    """

    parameters: str
    client_id: str
    here: Asked
    phone: Asked


@dataclass(frozen=True, slots=True)
class Granted:
    """What a code stands for, as authlib asks for it. claims: `sub` and those of the scopes. auth_time: seconds."""

    client_id: str
    redirect_uri: str
    scope: str
    claims: JsonObject
    auth_time: int
    nonce: str | None = None
    acr: str | None = None
    code_challenge: str = ""
    code_challenge_method: str = "S256"
    code: str = ""

    def get_redirect_uri(self) -> str:
        """RFC 6749 §4.1.3."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What was granted."""
        return self.scope

    def get_nonce(self) -> str | None:
        """OpenID Connect Core §2."""
        return self.nonce

    def get_auth_time(self) -> int:
        """When the wallet answered."""
        return self.auth_time

    def get_acr(self) -> str | None:
        """What the login amounts to."""
        return self.acr

    def get_amr(self) -> None:
        """No registered method says wallet (RFC 8176)."""


class Logins:
    """The store as the bridge uses it: secrets in, objects out."""

    def __init__(
        self,
        store: LoginStore,
        *,
        sealing_key: bytes,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """sealing_key: 32 bytes, kept outside the store."""
        self._store, self._seal = store, Seal(sealing_key, random=random)
        self._clock, self._random = clock, random

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return int(self._clock())

    def begin(self, login: Login) -> str:
        """Keep a login; the secret for the person's cookie."""
        secret = self.new_secret()
        self._put(Kind.LOGIN, secret, asdict(login), LOGIN_SECONDS)
        return secret

    def login(self, secret: str) -> Login | None:
        """The login of a cookie."""
        found = self._found(Kind.LOGIN, secret, self._store.find)
        if found is None:
            return None
        return Login(found["parameters"], found["client_id"], Asked(**found["here"]), Asked(**found["phone"]))

    def end(self, secret: str) -> bool:
        """End a login, once."""
        return self._found(Kind.LOGIN, secret, self._store.take) is not None

    def grant(self, code: str, granted: Granted) -> None:
        """Keep what a code stands for."""
        self._put(Kind.CODE, code, asdict(granted), CODE_SECONDS)

    def redeem(self, code: str, *, client_id: str) -> Granted | None:
        """What a code stands for, once. Should it come again, its token ends (RFC 6749 §4.1.2)."""
        content = self._found(Kind.CODE, code, self._store.find)
        if content is not None and content["client_id"] != client_id:
            return None
        found = self._found(Kind.CODE, code, self._store.take)
        if found is not None:
            return Granted(**{**found, "code": code})
        spent = self._found(Kind.SPENT_CODE, code, self._store.find)
        if spent is not None and spent["client_id"] == client_id:
            self._found(Kind.TOKEN, str(spent["token"]), self._store.take)
        return None

    def issue(self, token: str, granted: Granted) -> None:
        """Keep an access token, and which code it came from."""
        self._put(Kind.TOKEN, token, {"claims": granted.claims}, TOKEN_SECONDS)
        self._put(Kind.SPENT_CODE, granted.code, {"token": token, "client_id": granted.client_id}, TOKEN_SECONDS)

    def claims(self, token: str) -> JsonObject | None:
        """The claims that an access token opens."""
        found = self._found(Kind.TOKEN, token, self._store.find)
        return None if found is None else found["claims"]

    def new_secret(self) -> str:
        """256 random bits."""
        return base64url.encode(self._random(32))

    def purge(self) -> int:
        """Delete what has expired."""
        return self._store.purge(now=self.now)

    def _put(self, kind: Kind, secret: str, content: JsonObject, seconds: int) -> None:
        key = digest(secret)
        sealed = self._seal.close(strict_json.dumps(content), bound_to=f"{kind}:{key}")
        self._store.put(kind, key, sealed, expires_at=self.now + seconds)

    def _found(self, kind: Kind, secret: str, look: Callable[..., bytes | None]) -> Any:
        key = digest(secret)
        sealed = look(kind, key, now=self.now)
        return None if sealed is None else strict_json.parse(self._seal.open(sealed, bound_to=f"{kind}:{key}"))
