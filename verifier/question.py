"""What the two sides get of a transaction: the asker its question, the wallet its receipt."""

from dataclasses import dataclass

from specs.encoding.strict_json import JsonObject
from specs.protocols.openid4vp import DcApiRequest
from specs.refusal import ReasonCode
from verifier.ask import Asked


@dataclass(frozen=True, slots=True)
class Question:
    """A transaction as its asker sees it. `session_secret` belongs into the asker's session, never to the wallet.

    wallet_url: opens the wallet; empty over the browser's API. page: for the page that waits: it gets fresh links and
    learns whether an answer came. dc_api: what that page hands to `navigator.credentials.get` as `digital.requests`.
    """

    id: str
    wallet_url: str
    session_secret: str
    expires_at: int  # seconds since the epoch
    page: str = ""
    dc_api: tuple[DcApiRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the wallet is told: HTTP status and JSON body (OpenID4VP §8.2)."""

    status: int
    body: JsonObject


def question_of(asked: Asked, url: str, requests: tuple[DcApiRequest, ...]) -> Question:
    """What the asker gets of a transaction that began."""
    return Question(asked.id, url, asked.session_secret, asked.expires_at, asked.page, requests)


def refusal_receipt(reason: ReasonCode) -> Receipt:
    """What the wallet is told of an answer that is refused."""
    return Receipt(400, {"error": "invalid_request", "error_description": reason.value})


def with_code(url: str, code: str) -> str:
    """The way back, with the code that redeems the verdict (OpenID4VP §8.2)."""
    return f"{url}{'&' if '?' in url else '?'}response_code={code}"
