"""One code and one sentence for whatever the wallet refuses, or is refused."""

from dataclasses import dataclass

from specs.protocols.oauth import InvalidAnswer, OAuthError
from specs.protocols.openid4vp import RequestError
from specs.refusal import Refusal
from wallet_sim.store import UnknownCredential
from wallet_sim.transport import WalletFailure

EXPECTED = (WalletFailure, UnknownCredential, InvalidAnswer, OAuthError, RequestError, Refusal, ValueError)


@dataclass(frozen=True, slots=True)
class Refused:
    """code: for machines. sentence: for people, in English, as the standards' terms are."""

    code: str
    sentence: str


def refusal_of(error: Exception) -> Refused:
    """What one of the `EXPECTED` errors means."""
    if isinstance(error, RequestError):
        return Refused(error.error.value, str(error))
    if isinstance(error, OAuthError):
        return Refused(error.error, str(error))
    if isinstance(error, Refusal):
        return Refused(error.reason.value, str(error))
    if isinstance(error, InvalidAnswer):
        return Refused("invalid_answer", str(error))
    if isinstance(error, WalletFailure):
        return Refused("wallet_failure", str(error))
    return Refused("invalid_request", str(error))
