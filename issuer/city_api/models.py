"""The bodies of the City API. Ours to define, so unknown members are refused."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from issuer.catalog.schema import CredentialFormat
from issuer.credentials import CredentialView, RenewableView
from issuer.datasets import MOST, DatasetName
from issuer.grants.deferred import DeferredState, DeferredView
from issuer.offers import OfferView
from issuer.store.tables import CredentialStatus, Delivery, Grant, OfferState


class Body(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _no_control_characters(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not contain control characters")
    return value


TypeName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_control_characters)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_control_characters)]


class Subject(Body):
    """Whom an offer is for."""

    reference: Reference = Field(description="The city's own handle for the person; only a keyed pseudonym is kept.")


class OfferRequest(Body):
    """An offer to be made."""

    credential_types: list[TypeName] = Field(min_length=1, max_length=20)
    formats: list[Annotated[CredentialFormat, Field(strict=False)]] | None = Field(
        default=None, min_length=1, max_length=2, description="Default: every format of the types."
    )
    grant: Annotated[Grant, Field(strict=False)] = Grant.PRE_AUTHORIZED_CODE
    subject: Subject | None = None
    claims: dict[TypeName, dict[str, JsonValue]] | None = Field(
        default=None,
        description="By credential type. Without them the claims are those known of the subject.",
    )
    datasets: (
        dict[TypeName, Annotated[dict[DatasetName, dict[str, JsonValue]], Field(min_length=1, max_length=MOST)]] | None
    ) = Field(
        default=None,
        description="Claims by credential type and name, for types of which a person may have several datasets. The "
        "names are the city's own and hold no personal data.",
    )
    tx_code: bool = Field(default=False, description="Protect the offer by a transaction code sent another way.")
    delivery: Annotated[Delivery, Field(strict=False)] = Delivery.REFERENCE
    expires_in: int | None = Field(default=None, ge=60, description="Seconds; the service has a default and a limit.")
    locale: Literal["de", "en"] | None = None
    scheme: Literal["openid-credential-offer", "haip-vci"] | None = Field(
        default=None, description="Of the link; default: the first one of the tenant's preset."
    )


class RearmRequest(Body):
    """An offer that gets a new code, transaction code and address."""

    expires_in: int | None = Field(default=None, ge=60, description="Seconds that the offer shall live from now on.")


class StatusRequest(Body):
    """Why a credential's state changes."""

    reason: Reason


class SearchRequest(Body):
    """Whose credentials are looked for."""

    subject_reference: Reference
    cursor: Annotated[str, StringConstraints(max_length=64), AfterValidator(_no_control_characters)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class ExpiringRequest(Body):
    """Which credentials end soon."""

    within_days: int = Field(default=14, ge=1, le=366)
    cursor: Annotated[str, StringConstraints(max_length=64), AfterValidator(_no_control_characters)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class RenewalRequest(Body):
    """An offer of further copies of a credential."""

    subject: Subject
    claims: dict[str, JsonValue] | None = Field(default=None, description="Default: those of the register.")
    tx_code: bool = False
    delivery: Annotated[Delivery, Field(strict=False)] = Delivery.REFERENCE
    expires_in: int | None = Field(default=None, ge=60)
    locale: Literal["de", "en"] | None = None


class QrAddresses(Body):
    """Where the picture of the offer's link is."""

    svg: str
    png: str


class CredentialAnswer(Body):
    """A credential: one dataset of a type in one format, all copies together."""

    id: str
    type: str
    format: CredentialFormat
    dataset: str | None = Field(default=None, description="Its name, where a person may have several of the type.")
    status: CredentialStatus

    @classmethod
    def of(cls, view: CredentialView) -> "CredentialAnswer":
        """From the domain's view."""
        return cls(
            id=view.id,
            type=view.type,
            format=CredentialFormat(view.format),
            dataset=view.dataset or None,
            status=CredentialStatus(view.status),
        )


class ExpiringCredential(CredentialAnswer):
    """A credential and when its newest copy ends."""

    expires_at: str

    @classmethod
    def of_renewable(cls, view: RenewableView) -> "ExpiringCredential":
        """From the domain's view."""
        shown = CredentialAnswer.of(view.credential)
        return cls(**shown.model_dump(), expires_at=timestamp(view.expires_at))


class ExpiringAnswer(Body):
    """A page of credentials that end soon and that no open offer renews."""

    credentials: list[ExpiringCredential]
    next_cursor: str | None = None


class ArmedOfferAnswer(Body):
    """A new or newly armed offer. Its transaction code is shown here and never again."""

    id: str
    state: OfferState
    expires_at: str
    offer_uri: str
    page: str
    qr: QrAddresses
    tx_code: str | None = None


class OfferAnswer(Body):
    """What became of an offer."""

    id: str
    state: OfferState
    reason: str | None = None
    expires_at: str
    credentials: list[CredentialAnswer]

    @classmethod
    def of(cls, view: OfferView) -> "OfferAnswer":
        """From the domain's view."""
        return cls(
            id=view.id,
            state=view.state,
            reason=view.reason,
            expires_at=timestamp(view.expires_at),
            credentials=[CredentialAnswer.of(credential) for credential in view.credentials],
        )


class DenialRequest(Body):
    """Why a credential that was asked for is not issued."""

    reason: Reason


class DeferredAnswer(Body):
    """A credential that a wallet waits for."""

    id: str
    offer_id: str
    type: str
    format: CredentialFormat
    dataset: str | None = None
    state: DeferredState
    created_at: str
    expires_at: str

    @classmethod
    def of(cls, view: DeferredView) -> "DeferredAnswer":
        """From the domain's view."""
        return cls(
            id=view.id,
            offer_id=view.offer_id,
            type=view.type,
            format=CredentialFormat(view.format),
            dataset=view.dataset or None,
            state=view.state,
            created_at=timestamp(view.created_at),
            expires_at=timestamp(view.expires_at),
        )


class DeferredListAnswer(Body):
    """A page of credentials that wait for the city's approval."""

    deferred: list[DeferredAnswer]
    next_cursor: str | None = None


class SearchAnswer(Body):
    """A page of credentials."""

    credentials: list[CredentialAnswer]
    next_cursor: str | None = None


class TokenAnswer(Body):
    """A token for the City API (RFC 6749 §5.1)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 a token type
    expires_in: int


class ProblemError(Body):
    """One mistake in a request."""

    pointer: str = Field(description="JSON Pointer (RFC 6901) into the request's body.")
    code: str
    detail: str


class ProblemAnswer(Body):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[ProblemError] | None = None


def timestamp(seconds: int) -> str:
    """RFC 3339 in UTC. seconds: since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
