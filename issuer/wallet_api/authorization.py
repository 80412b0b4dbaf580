"""What a wallet may ask for in the authorization code flow, and what a person lets it have (OpenID4VCI §5)."""

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from issuer.catalog.claims import ClaimsRefused, check_claims
from issuer.catalog.loader import Configuration
from issuer.catalog.schema import Datasets
from issuer.claims_source import SourceRefused, SourceUntrustworthy
from issuer.claims_source.at_issue import ask_register
from issuer.claims_source.pull import CITY_TIME
from issuer.datasets import UNNAMED
from issuer.grants.authorization_code import issue_code
from issuer.grants.clients import Client
from issuer.grants.login_offers import (
    CollectableConfiguration,
    WalletOffer,
    fill_claims,
    name_datasets,
    record_wallet_offer,
    spend_offer,
)
from issuer.grants.logins import OpenLogin, complete
from issuer.grants.once import happen_first, proofs_shown
from issuer.grants.pre_authorized import configurations_of, offered_in
from issuer.grants.pushed_requests import AuthorizationRequest, open_by_issuer_state, push_request
from issuer.login import Person
from issuer.offer_claims import open_claims
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.client_proofs import ClientHeaders, Sender, identify
from issuer.wallet_api.rules import issued_by, never_issued
from issuer.wallet_api.wire import check_text
from specs.encoding import Malformed, base64url
from specs.encoding.strict_json import JsonObject
from specs.profiles import Deferred, SpentIssuerState
from specs.protocols.oauth import (
    ACCESS_DENIED,
    INVALID_AUTHORIZATION_DETAILS,
    INVALID_CLIENT,
    INVALID_REQUEST,
    INVALID_SCOPE,
    INVALID_TARGET,
    UNAUTHORIZED_CLIENT,
    OAuthError,
    PushedAnswer,
    authorization_answer_url,
    authorization_error_url,
    parse_pushed_request,
)
from specs.protocols.oauth import AuthorizationRequest as ParsedRequest
from specs.protocols.openid4vci import parse_authorization_details

_MAX_CHARACTERS = 2000


class CannotComplete(Exception):
    """The login was over or overtaken when it was completed; nothing of it happened."""


@dataclass(frozen=True, slots=True)
class Collectable:
    """A credential that the person in front of the browser can have.

    claims: none where a register will be asked. dataset: its name, where the person may have several.
    """

    configuration: Configuration
    claims: JsonObject | None = field(repr=False)
    dataset: str = UNNAMED


async def pushed_answer(
    service: IssuerService, tenant: ActiveTenant, *, body: bytes, headers: ClientHeaders
) -> PushedAnswer:
    """Answer a pushed authorization request; all that is wrong with it is said here (RFC 9126 §2).

    Raises:
        OAuthError: with the code of the defect.
    """
    checked = check_request(service, tenant, body=body, headers=headers, path="/par", now=service.clock())
    async with service.store.transaction() as session:
        _, request_uri = await store_request(service, tenant, session, checked)
    return PushedAnswer(request_uri, service.settings.request_uri_lifetime)


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """An authorization request by a wallet that proved who it is, before its offer is looked for. now: seconds."""

    parsed: ParsedRequest
    sender: Sender
    wanted: tuple[str, ...]
    scope: str | None
    detailed: bool
    now: int


def check_request(
    service: IssuerService, tenant: ActiveTenant, *, body: bytes, headers: ClientHeaders, path: str, now: int
) -> CheckedRequest:
    """Check the members of an authorization request and who sent it. path: of the endpoint, for its proofs.

    Raises:
        OAuthError: with the code of the defect.
    """
    request = parse_pushed_request(body)
    check_text("redirect_uri", request.redirect_uri, longest=_MAX_CHARACTERS)
    check_text("state", request.state, longest=_MAX_CHARACTERS)
    if not service.can_log_in(tenant):
        raise OAuthError(UNAUTHORIZED_CLIENT, "nobody can log in here")
    if request.resource is not None and request.resource != tenant.issuer_url:
        raise OAuthError(INVALID_TARGET, "resource is not this issuer")
    wanted, scope, detailed = _wanted(service, tenant, request)
    sender = identify(
        service,
        tenant,
        headers,
        path=path,
        client_id=request.client_id,
        assertion=request.client_assertion,
        now=now,
        dpop_required=False,
        expected_jkt=request.dpop_jkt,
    )
    _check_redirect_uri(tenant, sender.client, request)
    return CheckedRequest(request, sender, wanted, scope, detailed, now)


async def store_request(
    service: IssuerService, tenant: ActiveTenant, session: AsyncSession, checked: CheckedRequest
) -> tuple[AuthorizationRequest, str]:
    """Keep a request whose proofs are the first of their kind; it, and its request_uri.

    Raises:
        OAuthError: a proof was shown before, or there is no such offer.
    """
    request, wanted = checked.parsed, checked.wanted
    await happen_first(session, proofs_shown(tenant.id, checked.sender.shown))
    offer_id = None
    if request.issuer_state is not None:
        offer_id, wanted = await _within_offer(session, tenant, request.issuer_state, wanted, now=checked.now)
    pushed = AuthorizationRequest(
        tenant_id=tenant.id,
        client_id=request.client_id,
        redirect_uri=request.redirect_uri,
        state=request.state,
        code_challenge=request.code_challenge,
        configuration_ids=wanted,
        scope=checked.scope,
        detailed=checked.detailed,
        offer_id=offer_id,
        dpop_jkt=_bound_key(request, checked.sender),
        instance_jkt=checked.sender.client.instance_jkt,
    )
    lifetime = service.settings.request_uri_lifetime
    return pushed, await push_request(session, pushed, now=checked.now, lifetime=lifetime)


async def collectable_by(
    service: IssuerService, tenant: ActiveTenant, request: AuthorizationRequest, person: Person, *, now: int
) -> tuple[Collectable, ...]:
    """What this person can let the wallet have: the claims of the offer, the register's, else what the login knows."""
    found: list[Collectable] = []
    async with service.store.reading() as session:
        for configuration_id in request.configuration_ids:
            # it may be gone from the catalogue since it was asked for
            configuration = service.catalog.configurations.get(configuration_id)
            if configuration is None or never_issued(tenant, configuration.credential_type):
                continue
            known: Mapping[str, JsonObject] = {}
            if request.offer_id is not None:
                known = await _offered_claims(session, tenant, request.offer_id, configuration_id)
            if not known and _has_source(tenant, configuration):
                found.append(Collectable(configuration, None))
                continue
            known = known or _claims_of(person, configuration, now=now)
            found.extend(Collectable(configuration, claims, dataset) for dataset, claims in known.items())
    return tuple(found)


async def _offered_claims(
    session: AsyncSession, tenant: ActiveTenant, offer_id: str, configuration_id: str
) -> Mapping[str, JsonObject]:
    """The claims that the city put into an offer for one configuration, by dataset."""
    found: dict[str, JsonObject] = {}
    for each in await offered_in(session, tenant_id=tenant.id, offer_id=offer_id):
        if each.configuration_id == configuration_id:
            claims = await open_claims(
                session,
                sealer=tenant.sealer,
                offer_id=offer_id,
                configuration_id=configuration_id,
                dataset=each.dataset,
            )
            if claims is not None:
                found[each.dataset] = claims
    return found


async def approve(
    service: IssuerService, tenant: ActiveTenant, login: OpenLogin, person: Person, *, locale: str
) -> str:
    """The person agreed: where the browser goes, with a code (RFC 6749 §4.1.2).

    Raises:
        CannotComplete, SourceUnavailable: as `granted_code`.
    """
    code = await granted_code(service, tenant, login, person, locale=locale)
    if code is None:
        return await refuse(service, tenant, login, description="there is nothing to collect")
    request = login.request
    return authorization_answer_url(request.redirect_uri, code=code, iss=tenant.issuer_url, state=request.state)


async def granted_code(
    service: IssuerService, tenant: ActiveTenant, login: OpenLogin, person: Person, *, locale: str
) -> str | None:
    """Complete a login by a code; None if this person has nothing to collect, and the login goes on.

    Raises:
        CannotComplete: the login is over, another one was first, or the offer is not open or not this person's.
        SourceUnavailable: a register does not answer, where nothing may come later; the login can be completed again.
    """
    now, request = service.clock(), login.request
    collectable = await collectable_by(service, tenant, request, person, now=now)
    collectable = await _with_claims(service, tenant, collectable, person, now=now)
    if not collectable:
        return None
    pseudonym = service.secrets.pseudonym(person.reference, tenant_id=tenant.id)
    entries = tuple(
        CollectableConfiguration(
            each.configuration.id,
            each.configuration.credential_type.type,
            each.configuration.format.value,
            each.claims,
            each.dataset,
        )
        for each in collectable
    )
    async with service.store.transaction() as session:
        if not await complete(session, login, now=now):
            raise CannotComplete
        offer_id = request.offer_id
        if offer_id is None:
            offer_id = secrets.token_urlsafe(16)
            offer = WalletOffer(entries, locale, now + service.settings.offer_lifetime)
            subject = person.reference if any(_has_source(tenant, each.configuration) for each in collectable) else None
            await record_wallet_offer(
                session, offer, offer_id=offer_id, pseudonym=pseudonym, subject=subject, sealer=tenant.sealer, now=now
            )
        else:
            if not await spend_offer(session, tenant_id=tenant.id, offer_id=offer_id, pseudonym=pseudonym, now=now):
                raise CannotComplete
            await name_datasets(session, [e for e in entries if e.dataset], offer_id=offer_id, sealer=tenant.sealer)
            for entry in entries:
                await fill_claims(session, entry, offer_id=offer_id, sealer=tenant.sealer)
        return await issue_code(
            session,
            request,
            offer_id=offer_id,
            configuration_ids=tuple(dict.fromkeys(entry.configuration_id for entry in entries)),
            now=now,
            lifetime=service.settings.authorization_code_lifetime,
        )


async def _with_claims(
    service: IssuerService, tenant: ActiveTenant, collectable: tuple[Collectable, ...], person: Person, *, now: int
) -> tuple[Collectable, ...]:
    """The same with the claims that must be there before the login ends; what a register refuses is left out.

    That is every claim where nothing may come later. A type with several datasets always is asked about now: how many
    there are is said with the token.
    """
    complete: list[Collectable] = []
    pulled: dict[str, Mapping[str, JsonObject]] = {}
    for each in collectable:
        kind = each.configuration.credential_type
        may_wait = tenant.profile.deferred is not Deferred.NONE and kind.datasets is Datasets.ONE
        if each.claims is not None or may_wait:
            complete.append(each)
            continue
        if kind.type not in pulled:
            try:
                pulled[kind.type] = await ask_register(service, tenant, kind, subject=person.reference, now=now)
            except (SourceRefused, SourceUntrustworthy):
                pulled[kind.type] = {}
        complete.extend(Collectable(each.configuration, claims, name) for name, claims in pulled[kind.type].items())
    return tuple(complete)


def _has_source(tenant: ActiveTenant, configuration: Configuration) -> bool:
    return tenant.arranged.source_of(configuration.credential_type.type) is not None


async def refuse(
    service: IssuerService, tenant: ActiveTenant, login: OpenLogin, *, description: str = "the person declined"
) -> str:
    """The person declined: where the browser goes, with an error (RFC 6749 §4.1.2.1).

    Raises:
        CannotComplete: the login is over, or another one was first.
    """
    async with service.store.transaction() as session:
        if not await complete(session, login, now=service.clock()):
            raise CannotComplete
    return authorization_error_url(
        login.request.redirect_uri,
        error=OAuthError(ACCESS_DENIED, description),
        iss=tenant.issuer_url,
        state=login.request.state,
    )


def _wanted(
    service: IssuerService, tenant: ActiveTenant, request: ParsedRequest
) -> tuple[tuple[str, ...], str | None, bool]:
    """Configuration ids, the scope that is granted, and whether details were used (OpenID4VCI §5.1.1, §5.1.2)."""
    known = issued_by(tenant, service.catalog)
    details = parse_authorization_details(request.authorization_details, credential_issuer=tenant.issuer_url)
    detailed = tuple(dict.fromkeys(detail.credential_configuration_id for detail in details))
    if any(configuration_id not in known for configuration_id in detailed):
        raise OAuthError(INVALID_AUTHORIZATION_DETAILS, "a credential_configuration_id is not known")
    scopes = tuple(value for value in request.scope if value in known)
    wanted = tuple(dict.fromkeys((*detailed, *scopes)))
    if not wanted:
        raise OAuthError(INVALID_SCOPE, "scope names no credential of this issuer")
    return wanted, " ".join(scopes) or None, bool(detailed)


async def _within_offer(
    session: AsyncSession, tenant: ActiveTenant, issuer_state: str, wanted: tuple[str, ...], *, now: int
) -> tuple[str | None, tuple[str, ...]]:
    offer_id = await open_by_issuer_state(session, tenant_id=tenant.id, issuer_state=issuer_state, now=now)
    if offer_id is None:
        if tenant.profile.spent_issuer_state is SpentIssuerState.IGNORED:
            return None, wanted
        raise OAuthError(INVALID_REQUEST, "issuer_state belongs to no open offer")
    offered = set(configurations_of(await offered_in(session, tenant_id=tenant.id, offer_id=offer_id)))
    within = tuple(configuration_id for configuration_id in wanted if configuration_id in offered)
    if not within:
        raise OAuthError(INVALID_SCOPE, "scope names nothing of the offer")
    return offer_id, within


def _check_redirect_uri(tenant: ActiveTenant, client: Client, request: ParsedRequest) -> None:
    """A registered client goes to its own addresses alone; only who proved who it is may bring one (RFC 9126 §2.4)."""
    registered = tenant.arranged.clients.get(request.client_id)
    if registered is not None and not registered.may_go_to(request.redirect_uri):
        raise OAuthError(INVALID_REQUEST, "redirect_uri is not one that this client registered")
    if registered is None and not client.is_authenticated:
        raise OAuthError(INVALID_CLIENT, "this client is not registered", 401)


def _bound_key(request: ParsedRequest, sender: Sender) -> bytes | None:
    """The key that the code gets bound to, by header or `dpop_jkt` (RFC 9449 §10.1)."""
    if sender.dpop_jkt is not None or request.dpop_jkt is None:
        return sender.dpop_jkt
    try:
        return base64url.decode(request.dpop_jkt)
    except Malformed:
        raise OAuthError(INVALID_REQUEST, "dpop_jkt is no thumbprint") from None


def _claims_of(person: Person, configuration: Configuration, *, now: int) -> Mapping[str, JsonObject]:
    """What the login knows of a type, by dataset, as far as it fits the type."""
    kind = configuration.credential_type
    today = datetime.fromtimestamp(now, CITY_TIME).date()
    found: dict[str, JsonObject] = {}
    for dataset, known in person.known_of(kind.type).items():
        if (dataset == UNNAMED) is (kind.datasets is Datasets.ONE):
            with contextlib.suppress(ClaimsRefused):  # what a register has wrong can't be issued
                found[dataset] = check_claims(known, credential_type=kind, today=today, pointer="")
    return found
