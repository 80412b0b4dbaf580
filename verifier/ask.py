"""What we ask: a procedure's question, why it is asked, and by which rules the answer is judged."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from specs.encoding import base64url
from specs.keys.jwe import new_decryption_key
from specs.protocols.dcql import DcqlQuery
from specs.protocols.openid4vp import ResponseMode
from verifier.expectations import Policy
from verifier.transaction import State, Transaction

LIFETIME_SECONDS = 300
RANDOM_BYTES = 32  # more than the 128 bits that OpenID4VP §5.3 and §13.3 ask for


class Flow(StrEnum):
    """Where the wallet is, seen from the page that asks (contract: same device, cross device, app)."""

    SAME_DEVICE = "same_device"
    CROSS_DEVICE = "cross_device"
    APP = "app"

    @property
    def returns(self) -> bool:
        """Whether the wallet comes back with a `response_code`; across devices it can't."""
        return self is not Flow.CROSS_DEVICE


@dataclass(frozen=True, slots=True)
class Procedure:
    """A municipal procedure's question.

    purpose: why, by language tag. return_url: where the wallet sends the person afterwards (same device and app).
    transaction_data: what the holder confirms, each entry already as the base64url text that travels (OpenID4VP §8.4).
    """

    id: str
    query: DcqlQuery
    policy: Policy = field(default_factory=Policy)
    purpose: Mapping[str, str] = field(default_factory=dict)
    return_url: str | None = None
    response_mode: ResponseMode = ResponseMode.DIRECT_POST_JWT
    transaction_data: tuple[str, ...] = ()
    lifetime: int = LIFETIME_SECONDS


@dataclass(frozen=True, slots=True)
class Asked:
    """What the asker keeps. `session_secret` is shown this once: only who holds it gets the verdict."""

    id: str
    session_secret: str
    request_uri: str
    expires_at: int  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where wallets reach this verifier: each takes the transaction's handle as its last path segment."""

    request_uri: str  # prefix, without the trailing slash
    response_uri: str


def ask(
    procedure: Procedure,
    *,
    flow: Flow,
    endpoints: Endpoints,
    now: int,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[Asked, Transaction]:
    """Begin a transaction: fresh nonce, state, handles and response key (OpenID4VP §5.2, §5.3, §13.3; HAIP §5).

    now: seconds since the epoch.
    """
    transaction_id, request_handle, response_handle, session_secret, nonce, state = (
        base64url.encode(random(RANDOM_BYTES)) for _ in range(6)
    )
    transaction = Transaction(
        id=transaction_id,
        procedure=procedure.id,
        flow=flow.value,
        state=State.ASKED,
        request_handle_digest=digest(request_handle),
        response_handle_digest=digest(response_handle),
        session_digest=digest(session_secret),
        created_at=now,
        expires_at=now + procedure.lifetime,
        nonce=nonce,
        wallet_state=state,
        response_uri=f"{endpoints.response_uri}/{response_handle}",
        response_key=new_decryption_key(base64url.encode(random(16))) if procedure.response_mode.is_encrypted else None,
    )
    asked = Asked(
        id=transaction_id,
        session_secret=session_secret,
        request_uri=f"{endpoints.request_uri}/{request_handle}",
        expires_at=transaction.expires_at,
    )
    return asked, transaction


def digest(secret: str) -> str:
    """How a strong secret is kept: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(digest_kept: str, secret: str) -> bool:
    """Whether a presented secret is the one whose digest was kept, in constant time."""
    return hmac.compare_digest(digest_kept, digest(secret))
