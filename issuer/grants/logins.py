"""One browser's way through login and consent, from the pushed request's address to its completion.

A pushed request may be viewed as often as its minute allows; each view opens a login of its own, and the first one
that is completed, by approval or refusal, spends the request (RFC 9126 §4, FAPI 2.0 §5.3.2.2 note 3).
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.grants.handles import new_handle
from issuer.grants.pushed_requests import AuthorizationRequest, request_of
from issuer.login import Person, person_from_json, person_to_json
from issuer.sealing import Sealer
from issuer.secrets_at_rest import digest
from issuer.store.tables import LoginSession, PushedRequest
from specs.encoding.strict_json import JsonObject

_PASSWORD_TRIES = 5


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
        browser=BrowserLogin(cookie), request_digest=pushed.digest, request=request_of(pushed), person=person
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
