"""Publishes status lists: what the rows say now, signed, as JWT or CWT (Token Status List §5, §8).

A worker keeps what it signed until an entry changed or the token's `ttl` is over; the list's version in the database
decides, so no worker shows an old state.
"""

from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.store.tables import Credential, CredentialCopy, CredentialStatus, StatusListRow
from specs.credentials.status_list import (
    Status,
    StatusMediaType,
    build_status_list,
    build_status_list_cwt,
    build_status_list_jwt,
)
from specs.keys.signer import SigningIdentity

_STATE = {CredentialStatus.REVOKED.value: Status.INVALID, CredentialStatus.SUSPENDED.value: Status.SUSPENDED}


@dataclass(frozen=True, slots=True)
class PublishedList:
    """A signed list. Times: seconds since the epoch."""

    body: bytes
    media_type: StatusMediaType
    issued_at: int
    version: int


class StatusPublisher:
    """Signs the lists of one tenant.

    ttl, lifetime: seconds. jwk_header: also name the key as `jwk` in the JWT, which testers ask for.
    """

    def __init__(
        self, identity: SigningIdentity, *, tenant_id: str, issuer_url: str, ttl: int, lifetime: int, jwk_header: bool
    ) -> None:
        self._identity = identity
        self._tenant_id = tenant_id
        self._issuer_url = issuer_url
        self._ttl = ttl
        self._lifetime = lifetime
        self._jwk_header = jwk_header
        self._signed: dict[tuple[str, StatusMediaType], PublishedList] = {}

    def left(self, published: PublishedList, *, now: int) -> int:
        """Seconds that a list may still be kept before it should be asked for again."""
        return max(published.issued_at + self._ttl - now, 0)

    @property
    def aggregation_uri(self) -> str:
        """The address of the document that names all lists (§9)."""
        return f"{self._issuer_url}/status"

    def uri(self, list_id: str) -> str:
        """The address of a list, for credentials and for `sub`."""
        return f"{self._issuer_url}/status/{list_id}"

    async def publish(
        self, session: AsyncSession, *, list_id: str, media_type: StatusMediaType, now: int
    ) -> PublishedList | None:
        """The list as it stands; None if the tenant has no such list. now: seconds since the epoch."""
        row = (
            await session.exec(
                select(StatusListRow.version, StatusListRow.bits, StatusListRow.size).where(
                    StatusListRow.id == list_id, StatusListRow.tenant_id == self._tenant_id
                )
            )
        ).first()
        if row is None:
            return None
        version, bits, size = row
        kept = self._signed.get((list_id, media_type))
        if kept is not None and kept.version == version and kept.issued_at <= now < kept.issued_at + self._ttl:
            return kept
        # read after the version: a change in between is shown early and signed again, never missed
        changed = await session.exec(
            select(CredentialCopy.idx, Credential.status)
            .join(Credential, col(CredentialCopy.credential_id) == col(Credential.id))
            .where(
                CredentialCopy.status_list_id == list_id,
                CredentialCopy.tenant_id == self._tenant_id,
                Credential.status != CredentialStatus.VALID,
            )
        )
        statuses = build_status_list(bits=bits, size=size, statuses={idx: _STATE[status] for idx, status in changed})
        uri, expires_at = self.uri(list_id), now + self._lifetime
        if media_type is StatusMediaType.CWT:
            body = build_status_list_cwt(
                statuses,
                identity=self._identity,
                uri=uri,
                issued_at=now,
                expires_at=expires_at,
                ttl=self._ttl,
                aggregation_uri=self.aggregation_uri,
            )
        else:
            body = build_status_list_jwt(
                statuses,
                identity=self._identity,
                uri=uri,
                issued_at=now,
                expires_at=expires_at,
                ttl=self._ttl,
                aggregation_uri=self.aggregation_uri,
                jwk_header=self._jwk_header,
            ).encode("ascii")
        published = PublishedList(body, media_type, now, version)
        self._signed[list_id, media_type] = published
        return published
