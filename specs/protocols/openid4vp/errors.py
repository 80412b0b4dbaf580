"""The errors a wallet answers a question with (OpenID4VP 1.0 §8.5, RFC 6749 §4.1.2.1)."""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Values of `error`."""

    INVALID_REQUEST = "invalid_request"  # malformed, or a rule of the protocol is broken
    INVALID_SCOPE = "invalid_scope"
    INVALID_CLIENT = "invalid_client"  # metadata for a client that is already known
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    ACCESS_DENIED = "access_denied"  # nothing fits, or the holder did not want: indistinct on purpose
    VP_FORMATS_NOT_SUPPORTED = "vp_formats_not_supported"
    INVALID_REQUEST_URI_METHOD = "invalid_request_uri_method"
    INVALID_TRANSACTION_DATA = "invalid_transaction_data"
    WALLET_UNAVAILABLE = "wallet_unavailable"


@dataclass(frozen=True, slots=True)
class AnswerAddress:
    """Where an answer, or an error, is posted to, and the `state` that goes with it."""

    response_uri: str
    state: str | None


class RequestError(ValueError):
    """A question that a wallet must not fulfil. `error` goes on the wire; `description` is for developers only.

    answer_to: where to post the error; None unless the question is known to be the verifier's own.
    """

    def __init__(self, error: ErrorCode, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.answer_to: AnswerAddress | None = None


def invalid_request(description: str) -> RequestError:
    """The error for a malformed question or a broken rule."""
    return RequestError(ErrorCode.INVALID_REQUEST, description)
