"""What the API takes and gives, as JSON; unknown members are refused."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from verifier.ask import Flow
from verifier.outcome import Outcome
from verifier.question import Question
from verifier.texts import LANGUAGES, Audience, sentence
from verifier.trust_lists import ListStanding

Secret = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AskRequest(_Model):
    """Ask a wallet what a procedure asks."""

    procedure: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    flow: Flow


class Picture(_Model):
    """Where the QR code is; each fetch draws one with a link of its own, good for twenty seconds."""

    svg: str


class AskAnswer(_Model):
    """A question that waits. `session_secret` is shown this once: only with it the verdict is had.

    `wallet_url` opens the wallet on this device or from an app; across devices show `qr` and draw it anew every ten
    seconds, or follow `events` (server-sent events: picture, answered, expired). `dc_api`: `digital.requests` for
    `navigator.credentials.get`.
    """

    id: str
    wallet_url: str
    qr: Picture | None
    events: str
    expires_at: str
    session_secret: str
    dc_api: list[dict[str, Any]] | None = None


class StateAnswer(_Model):
    """Whether an answer came."""

    id: str
    state: Literal["pending", "answered"]


class ResultRequest(_Model):
    """Fetch the verdict. `response_code`: what the wallet brought back (same_device, app)."""

    session_secret: Secret
    response_code: Secret | None = None


class DcApiAnswer(_Model):
    """What the browser gave to the page. `origin`: from the browser's own `Origin` header."""

    session_secret: Secret
    origin: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    response: dict[str, Any]


class CredentialAnswer(_Model):
    """Claims that may be relied on, and whose word they are."""

    query_id: str
    format: str
    type: str
    issuer: str
    trust_domain: str
    anchor: str
    anchor_kind: str
    checks: list[str]
    claims: dict[str, Any]


class DiscardedAnswer(_Model):
    """A presentation that does not count, and why."""

    query_id: str
    position: int
    reason: str


class VerdictAnswer(_Model):
    """Accepted credentials, or exactly one reason with its sentence for citizen and caseworker by language."""

    accepted: bool
    reason: str | None
    where: str | None
    wallet_error: str | None
    sentences: dict[str, dict[str, str]] | None
    credentials: list[CredentialAnswer]
    discarded: list[DiscardedAnswer]
    over_disclosed: list[str]
    unneeded: list[str]


class ProblemError(_Model):
    """One mistake in a body."""

    pointer: str
    code: str
    detail: str = ""


class ProblemAnswer(_Model):
    """An error (RFC 9457). `code` is a stable word."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    errors: list[ProblemError] = Field(default_factory=list)


def list_answer(standing: ListStanding) -> dict[str, object]:
    """How a trust list stands, for `/healthz` and `doctor`."""
    trouble = standing.trouble
    return {
        "url": standing.url,
        "state": standing.state.value,
        "sequence": standing.sequence,
        "next_update": None if standing.next_update is None else _time(standing.next_update),
        "trouble": None if trouble is None else str(trouble.reason or trouble.kind),
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ask_answer(question: Question, *, pages: str) -> AskAnswer:
    """A question as its asker gets it. pages: address of the tenant's pages."""
    over_dc_api = bool(question.dc_api)
    return AskAnswer(
        id=question.id,
        wallet_url=question.wallet_url,
        qr=None if over_dc_api else Picture(svg=f"{pages}/picture/{question.page}"),
        events=f"{pages}/events/{question.page}",
        expires_at=_time(question.expires_at),
        session_secret=question.session_secret,
        dc_api=[request.to_json() for request in question.dc_api] if over_dc_api else None,
    )


def verdict_answer(outcome: Outcome) -> VerdictAnswer:
    """An outcome as its asker gets it."""
    verdict = outcome.verdict
    reason = verdict.reason
    return VerdictAnswer(
        accepted=verdict.accepted,
        reason=reason,
        where=verdict.where,
        wallet_error=outcome.wallet_error,
        sentences=None
        if reason is None
        else {
            language: {audience.value: sentence(reason, language=language, audience=audience) for audience in Audience}
            for language in LANGUAGES
        },
        credentials=[
            CredentialAnswer(
                query_id=each.query_id,
                format=each.format,
                type=each.type,
                issuer=each.issuer,
                trust_domain=each.trust_domain,
                anchor=each.anchor,
                anchor_kind=each.anchor_kind.value,
                checks=[check.value for check in each.checks],
                claims=dict(each.claims),
            )
            for each in verdict.credentials
        ],
        discarded=[
            DiscardedAnswer(query_id=each.query_id, position=each.position, reason=each.reason)
            for each in verdict.discarded
        ],
        over_disclosed=list(verdict.over_disclosed),
        unneeded=list(verdict.unneeded),
    )
