"""What happens to questions, as typed events: for counters, dashboards and webhooks of the host. No personal data.

An event names the transaction by its id, which opens nothing, the procedure, and how it went; never a claim, a holder's
key or an address. Times are seconds since the epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from specs.refusal import ReasonCode


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """A transaction began. flow: same_device, cross_device or app."""

    transaction: str
    procedure: str
    flow: str
    at: int


@dataclass(frozen=True, slots=True)
class QuestionFetched:
    """A wallet has the question; it may fetch it again."""

    transaction: str
    procedure: str
    at: int


@dataclass(frozen=True, slots=True)
class AnswerJudged:
    """An answer ended the transaction. reason: None if it was accepted; WALLET_ERROR if the holder declined."""

    transaction: str
    procedure: str
    flow: str
    reason: ReasonCode | None
    trust_domains: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class OutcomeTaken:
    """Who asked has the verdict; it is erased here."""

    transaction: str
    procedure: str
    at: int


VerifierEvent: TypeAlias = QuestionAsked | QuestionFetched | AnswerJudged | OutcomeTaken
Listener: TypeAlias = Callable[[VerifierEvent], None]
"""Called after the effect is stored, in the thread of the call; it must not raise and should not wait."""


def nobody(_event: VerifierEvent) -> None:
    """Nobody listens."""
