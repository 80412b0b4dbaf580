"""The verdict: accepted claims with their origin, or exactly one reason; never both, never neither."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from specs.encoding.strict_json import JsonValue
from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import AnchorKind


class Check(StrEnum):
    """What was found to hold for a credential."""

    SIGNATURE = "signature"
    TRUST = "trust"
    VALIDITY = "validity"
    TYPE = "type"
    DIGESTS = "digests"
    KEY_BINDING = "key_binding"
    DEVICE_AUTHENTICATION = "device_authentication"
    TRANSACTION_DATA = "transaction_data"
    STATUS = "status"
    REVOCATION = "revocation"
    QUERY = "query"
    SAME_PERSON = "same_person"


@dataclass(frozen=True, slots=True)
class AcceptedCredential:
    """Claims that may be relied on, and whose word they are.

    `claims`: for `dc+sd-jwt` the claims by name, for `mso_mdoc` the elements by name space; values as JSON (dates as
    text, byte strings as base64url). Only what was asked for, and what a credential always shows.
    """

    query_id: str
    format: str
    type: str  # `vct` or `docType` as presented
    issuer: str  # whom the certificate that signed names
    trust_domain: str
    anchor: str
    anchor_kind: AnchorKind
    checks: tuple[Check, ...]
    claims: Mapping[str, JsonValue]
    issuer_id: str | None = None  # of the trust domain's entity, where it has one that stays when its name changes


@dataclass(frozen=True, slots=True)
class Discarded:
    """A presentation that does not count, and why; it names no claim."""

    query_id: str
    position: int  # in the array of its query id
    reason: ReasonCode


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a caller may act on. Refused: no credential is in it, only the reason and where it arose.

    `where`: a query id with the position in its array, a query id alone, or "response". `over_disclosed`: names of
    claims that were shown but not asked for. `unneeded`: query ids of presentations that the question did not need.
    """

    accepted: bool
    credentials: tuple[AcceptedCredential, ...] = ()
    reason: ReasonCode | None = None
    where: str | None = None
    discarded: tuple[Discarded, ...] = ()
    over_disclosed: tuple[str, ...] = ()
    unneeded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.accepted != (self.reason is None) or (not self.accepted and self.credentials):
            raise ValueError("a verdict is accepted without a reason, or refused with one and without credentials")

    def claims(self, query_id: str) -> Mapping[str, JsonValue]:
        """The claims of the one credential that answered a query id.

        Raises:
            LookupError: the verdict is a refusal, or none or several answered.
        """
        found = [credential.claims for credential in self.credentials if credential.query_id == query_id]
        if len(found) != 1:
            raise LookupError(f"{len(found)} accepted credentials for this query id")
        return found[0]


class Refused(Refusal):
    """A check does not hold; `verify_presentation` turns it into a verdict."""

    def __init__(self, reason: ReasonCode, detail: str = "", *, where: str = "response") -> None:
        super().__init__(reason, detail)
        self.where = where


def refused(
    reason: ReasonCode, where: str, *, discarded: tuple[Discarded, ...] = (), over_disclosed: tuple[str, ...] = ()
) -> Verdict:
    """A verdict that says no."""
    return Verdict(False, reason=reason, where=where, discarded=discarded, over_disclosed=over_disclosed)
