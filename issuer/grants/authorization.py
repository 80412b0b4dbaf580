"""The authorization code flow: a pushed request, one browser's login and consent, and the code that comes of it.

A pushed request may be viewed as often as its minute allows; each view opens a login of its own, and the first one
that is completed, by approval or refusal, spends the request (RFC 9126 §4, FAPI 2.0 §5.3.2.2 note 3).
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.events.outbox import offer_state, tell
from issuer.grants.handles import new_handle
from issuer.login import Person, person_from_json, person_to_json
from issuer.sealing import Sealer
from issuer.secrets_at_rest import digest
from issuer.store.tables import (
    AuthorizationCode,
    Grant,
    LoginSession,
    Offer,
    OfferConfiguration,
    OfferState,
    PushedRequest,
)
from specs.encoding.strict_json import JsonObject

REQUEST_URI_PREFIX = "urn:ietf:params:oauth:request_uri:"
_OPEN = (OfferState.CREATED, OfferState.OPENED)
_PASSWORD_TRIES = 5


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a wallet asked for by a pushed request, after all checks of its form.

    dpop_jkt, instance_jkt: SHA-256 thumbprints of the DPoP key and of the client attestation's key, where there is one.
    """

    tenant_id: str
    client_id: str
    redirect_uri: str
    state: str | None
    code_challenge: str
    configuration_ids: tuple[str, ...]
    scope: str | None
    detailed: bool
    offer_id: str | None
    dpop_jkt: bytes | None
    instance_jkt: bytes | None


@dataclass(frozen=True, slots=True)
class BrowserLogin:
    """What one browser holds: the cookie, and the two values that follow from it."""

    cookie: str = field(repr=False)

    @property
    def handle(self) -> str:
        """Names the login in addresses and in the cookie's name; worth nothing by itself."""
        return hashlib.sha256(b"handle\x00" + self.cookie.encode()).hexdigest()[:20]

    @property
    def csrf_token(self) -> str:
        """What a form of ours carries and a foreign page can't know."""
        return urlsafe_b64encode(hashlib.sha256(b"csrf\x00" + self.cookie.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class OpenLogin:
    """A login under way. person: who logged in, none before."""

    browser: BrowserLogin
    request_digest: bytes
    request: AuthorizationRequest
    person: Person | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CollectableConfiguration:
    """One credential that a person may let a wallet collect. claims: as minted; none where a register is asked."""

    configuration_id: str
    credential_type: str
    format: str
    claims: JsonObject | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class WalletOffer:
    """What a person who logged in lets a wallet collect. expires_at: seconds since the epoch."""

    configurations: tuple[CollectableConfiguration, ...]
    locale: str
    expires_at: int


async def push_request(session: AsyncSession, request: AuthorizationRequest, *, now: int, lifetime: int) -> str:
    """Store a request; its request_uri (RFC 9126 §2.2). now, lifetime: seconds."""
    request_uri = REQUEST_URI_PREFIX + new_handle()
    session.add(
        PushedRequest(
            digest=digest(request_uri),
            tenant_id=request.tenant_id,
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            state=request.state,
            code_challenge=request.code_challenge,
            configuration_ids=list(request.configuration_ids),
            scope=request.scope,
            detailed=request.detailed,
            offer_id=request.offer_id,
            dpop_jkt=request.dpop_jkt,
            instance_jkt=request.instance_jkt,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()
    return request_uri


async def open_by_issuer_state(session: AsyncSession, *, tenant_id: str, issuer_state: str, now: int) -> str | None:
    """The open offer that this issuer_state belongs to; the value may be anybody's invention (OpenID4VCI §5.1.3)."""
    opened = await session.exec(
        update(Offer)
        .where(
            col(Offer.tenant_id) == tenant_id,
            col(Offer.issuer_state_digest) == digest(issuer_state),
            col(Offer.grant) == Grant.AUTHORIZATION_CODE,
            col(Offer.expires_at) > now,
            col(Offer.redeemed_at).is_(None),
            col(Offer.state).in_(_OPEN),
        )
        .values(state=OfferState.OPENED)
        .returning(col(Offer.id), col(Offer.generation))
        .execution_options(synchronize_session=False)
    )
    row = opened.first()
    if row is None:
        return None
    offer_id, generation = row
    happening = offer_state(offer_id, OfferState.OPENED, generation=generation)
    await tell(session, tenant_id=tenant_id, happenings=[happening], now=now)
    return str(offer_id)


async def begin_login(
    session: AsyncSession, *, tenant_id: str, client_id: str, request_uri: str, now: int, lifetime: int
) -> BrowserLogin | None:
    """Open a login for a request that is this client's, live and not completed; None if there is no such request."""
    request_digest = (
        await session.exec(
            select(PushedRequest.digest).where(
                PushedRequest.digest == digest(request_uri),
                PushedRequest.tenant_id == tenant_id,
                PushedRequest.client_id == client_id,
                PushedRequest.expires_at > now,
                col(PushedRequest.completed_at).is_(None),
            )
        )
    ).first()
    if request_digest is None:
        return None
    browser = BrowserLogin(new_handle())
    session.add(
        LoginSession(
            digest=digest(browser.cookie),
            tenant_id=tenant_id,
            request_digest=request_digest,
            csrf_digest=digest(browser.csrf_token),
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()
    return browser


async def find_login(
    session: AsyncSession, *, tenant_id: str, cookie: str, sealer: Sealer, now: int
) -> OpenLogin | None:
    """The login of this cookie, if it is under way and its request not completed by another one."""
    found = (
        await session.exec(
            select(LoginSession, PushedRequest).where(
                LoginSession.digest == digest(cookie),
                LoginSession.tenant_id == tenant_id,
                LoginSession.expires_at > now,
                col(LoginSession.completed_at).is_(None),
                LoginSession.failures < _PASSWORD_TRIES,
                PushedRequest.digest == LoginSession.request_digest,
                col(PushedRequest.completed_at).is_(None),
            )
        )
    ).first()
    if found is None:
        return None
    login, pushed = found
    person = (
        None
        if login.sealed_subject is None
        else person_from_json(sealer.open_json(login.sealed_subject, place=_subject_place(login.digest)))
    )
    return OpenLogin(
        browser=BrowserLogin(cookie), request_digest=pushed.digest, request=_request_of(pushed), person=person
    )


async def count_failed_login(session: AsyncSession, login: OpenLogin) -> None:
    """Count a wrong password; after five the login is over."""
    await session.exec(
        update(LoginSession)
        .where(
            col(LoginSession.digest) == digest(login.browser.cookie),
            col(LoginSession.tenant_id) == login.request.tenant_id,
        )
        .values(failures=LoginSession.failures + 1)
        .execution_options(synchronize_session=False)
    )


async def log_in(
    session: AsyncSession, login: OpenLogin, *, person: Person, sealer: Sealer, now: int
) -> BrowserLogin | None:
    """Note who logged in, under a new cookie, so that a cookie planted before is worth nothing after."""
    browser = BrowserLogin(new_handle())
    new_digest = digest(browser.cookie)
    changed = await session.exec(
        update(LoginSession)
        .where(
            *_under_way(login, now=now),
        )
        .values(
            digest=new_digest,
            csrf_digest=digest(browser.csrf_token),
            sealed_subject=sealer.seal_json(person_to_json(person), place=_subject_place(new_digest)),
            sealed_upstream=None,
        )
        .execution_options(synchronize_session=False)
    )
    return browser if changed.rowcount == 1 else None


async def begin_upstream(
    session: AsyncSession, login: OpenLogin, *, upstream: JsonObject, sealer: Sealer, now: int
) -> bool:
    """Keep what must come back from where the browser is sent; a new try takes the place of an older one."""
    kept = await session.exec(
        update(LoginSession)
        .where(*_under_way(login, now=now))
        .values(sealed_upstream=sealer.seal_json(upstream, place=_upstream_place(login)))
        .execution_options(synchronize_session=False)
    )
    return kept.rowcount == 1


async def see_upstream(session: AsyncSession, login: OpenLogin, *, sealer: Sealer, now: int) -> JsonObject | None:
    """What must come back, as long as nobody has logged in; who may hand it out once is somebody else's rule."""
    sealed = (await session.exec(select(LoginSession.sealed_upstream).where(*_under_way(login, now=now)))).first()
    return None if sealed is None else sealer.open_json(sealed, place=_upstream_place(login))


async def take_upstream(session: AsyncSession, login: OpenLogin, *, sealer: Sealer, now: int) -> JsonObject | None:
    """What must have come back, once: of two answers at one time the other one finds nothing."""
    sealed = (
        await session.exec(
            select(LoginSession.sealed_upstream).where(
                *_under_way(login, now=now), col(LoginSession.sealed_upstream).is_not(None)
            )
        )
    ).first()
    if sealed is None:
        return None
    taken = await session.exec(
        update(LoginSession)
        .where(*_under_way(login, now=now), col(LoginSession.sealed_upstream) == sealed)
        .values(sealed_upstream=None)
        .execution_options(synchronize_session=False)
    )
    return sealer.open_json(sealed, place=_upstream_place(login)) if taken.rowcount == 1 else None


async def is_offered_to(session: AsyncSession, *, tenant_id: str, offer_id: str, pseudonym: bytes) -> bool:
    """Whether the city made this offer for the person behind this pseudonym."""
    found = await session.exec(
        select(Offer.id).where(Offer.id == offer_id, Offer.tenant_id == tenant_id, Offer.subject_pseudonym == pseudonym)
    )
    return found.first() is not None


async def complete(session: AsyncSession, login: OpenLogin, *, now: int) -> bool:
    """Spend the request by the first completion. False (roll back): another one was first, or it is over."""
    request = await session.exec(
        update(PushedRequest)
        .where(
            col(PushedRequest.digest) == login.request_digest,
            col(PushedRequest.tenant_id) == login.request.tenant_id,
            col(PushedRequest.completed_at).is_(None),
        )
        .values(completed_at=now)
        .execution_options(synchronize_session=False)
    )
    session_row = await session.exec(
        update(LoginSession)
        .where(
            col(LoginSession.digest) == digest(login.browser.cookie),
            col(LoginSession.tenant_id) == login.request.tenant_id,
            col(LoginSession.completed_at).is_(None),
            col(LoginSession.expires_at) > now,
        )
        .values(completed_at=now, sealed_subject=None)
        .execution_options(synchronize_session=False)
    )
    return request.rowcount == 1 and session_row.rowcount == 1


async def spend_offer(session: AsyncSession, *, tenant_id: str, offer_id: str, pseudonym: bytes, now: int) -> bool:
    """Let a completed login spend the city's offer, if it is still open and this person's."""
    spent = await session.exec(
        update(Offer)
        .where(
            col(Offer.id) == offer_id,
            col(Offer.tenant_id) == tenant_id,
            col(Offer.subject_pseudonym) == pseudonym,
            col(Offer.redeemed_at).is_(None),
            col(Offer.expires_at) > now,
            col(Offer.state).in_(_OPEN),
        )
        .values(redeemed_at=now, state=OfferState.AUTHORIZED)
        .returning(col(Offer.generation))
        .execution_options(synchronize_session=False)
    )
    row = spent.first()
    if row is None:
        return False
    happening = offer_state(offer_id, OfferState.AUTHORIZED, generation=row[0])
    await tell(session, tenant_id=tenant_id, happenings=[happening], now=now)
    return True


async def record_wallet_offer(
    session: AsyncSession,
    offer: WalletOffer,
    *,
    offer_id: str,
    pseudonym: bytes,
    subject: str | None,
    sealer: Sealer,
    now: int,
) -> None:
    """Keep what a person let a wallet collect without an offer of the city, sealed as any offer's claims.

    subject: the person's reference, where a register will be asked about them.
    """
    session.add(
        Offer(
            id=offer_id,
            tenant_id=sealer.tenant_id,
            origin="wallet",
            state=OfferState.AUTHORIZED,
            grant=Grant.AUTHORIZATION_CODE,
            locale=offer.locale,
            created_at=now,
            expires_at=offer.expires_at,
            subject_pseudonym=pseudonym,
            sealed_subject=None
            if subject is None
            else sealer.seal(subject.encode(), place=f"offers.sealed_subject/{offer_id}"),
            redeemed_at=now,
        )
    )
    await session.flush()
    for each in offer.configurations:
        session.add(
            OfferConfiguration(
                offer_id=offer_id,
                configuration_id=each.configuration_id,
                tenant_id=sealer.tenant_id,
                credential_type=each.credential_type,
                format=each.format,
                sealed_claims=None
                if each.claims is None
                else sealer.seal_json(each.claims, place=_claims_place(offer_id, each.configuration_id)),
            )
        )
    await session.flush()
    states = (OfferState.CREATED, OfferState.AUTHORIZED)
    happenings = [offer_state(offer_id, state, generation=0) for state in states]
    await tell(session, tenant_id=sealer.tenant_id, happenings=happenings, now=now)


async def fill_claims(
    session: AsyncSession, collectable: CollectableConfiguration, *, offer_id: str, sealer: Sealer
) -> None:
    """Give a configuration of the city's offer the claims that the login brought, if the city gave it none."""
    if collectable.claims is None:
        return
    place = _claims_place(offer_id, collectable.configuration_id)
    await session.exec(
        update(OfferConfiguration)
        .where(
            col(OfferConfiguration.offer_id) == offer_id,
            col(OfferConfiguration.configuration_id) == collectable.configuration_id,
            col(OfferConfiguration.tenant_id) == sealer.tenant_id,
            col(OfferConfiguration.sealed_claims).is_(None),
            col(OfferConfiguration.erased_at).is_(None),
        )
        .values(sealed_claims=sealer.seal_json(collectable.claims, place=place))
        .execution_options(synchronize_session=False)
    )


async def issue_code(
    session: AsyncSession,
    request: AuthorizationRequest,
    *,
    offer_id: str,
    configuration_ids: tuple[str, ...],
    now: int,
    lifetime: int,
) -> str:
    """A code for a completed login, in the transaction of its completion (RFC 6749 §4.1.2). lifetime: seconds, ≤ 60."""
    code = new_handle()
    session.add(
        AuthorizationCode(
            digest=digest(code),
            tenant_id=request.tenant_id,
            offer_id=offer_id,
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            configuration_ids=list(configuration_ids),
            scope=granted_scope(request.scope, configuration_ids),
            detailed=request.detailed,
            dpop_jkt=request.dpop_jkt,
            instance_jkt=request.instance_jkt,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()
    return code


def granted_scope(scope: str | None, configuration_ids: tuple[str, ...]) -> str | None:
    """The part of a requested scope that was granted; the scope of a configuration is its id."""
    if scope is None:
        return None
    granted = " ".join(value for value in scope.split(" ") if value in configuration_ids)
    return granted or None


def _request_of(pushed: PushedRequest) -> AuthorizationRequest:
    return AuthorizationRequest(
        tenant_id=pushed.tenant_id,
        client_id=pushed.client_id,
        redirect_uri=pushed.redirect_uri,
        state=pushed.state,
        code_challenge=pushed.code_challenge,
        configuration_ids=tuple(pushed.configuration_ids),
        scope=pushed.scope,
        detailed=pushed.detailed,
        offer_id=pushed.offer_id,
        dpop_jkt=pushed.dpop_jkt,
        instance_jkt=pushed.instance_jkt,
    )


def _claims_place(offer_id: str, configuration_id: str) -> str:
    return f"offer_configurations.sealed_claims/{offer_id}/{configuration_id}"


def _subject_place(login_digest: bytes) -> str:
    return f"login_sessions.sealed_subject/{login_digest.hex()}"


def _under_way(login: OpenLogin, *, now: int) -> tuple[ColumnElement[bool], ...]:
    return (
        col(LoginSession.digest) == digest(login.browser.cookie),
        col(LoginSession.tenant_id) == login.request.tenant_id,
        col(LoginSession.sealed_subject).is_(None),
        col(LoginSession.completed_at).is_(None),
        col(LoginSession.expires_at) > now,
        col(LoginSession.failures) < _PASSWORD_TRIES,
    )


def _upstream_place(login: OpenLogin) -> str:
    return f"login_sessions.sealed_upstream/{digest(login.browser.cookie).hex()}"
