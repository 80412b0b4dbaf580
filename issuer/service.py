"""One running issuer process: everything that is made at start and handed to the routers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from issuer.catalog.loader import Catalog, load_catalog
from issuer.claims_source.pull import ClaimsPuller
from issuer.events.delivery import Courier
from issuer.http.outgoing import Outgoing
from issuer.login import LoginProvider
from issuer.login.openid import OpenIdProviders
from issuer.login.pid import PidLogins, build_pid_logins
from issuer.login.register import load_citizen_register
from issuer.secrets_at_rest import Secrets, load_secrets
from issuer.settings import IssuerSettings
from issuer.status.stock import StatusStock
from issuer.store.engine import Store
from issuer.tenant_file import check_tenant_files, load_tenant_files
from issuer.tenants import ActiveTenant, Tenants
from issuer.wallet_providers import WalletProviders, load_wallet_providers

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class IssuerService:
    """What routers work with. login: none where nobody can log in.

    clock: whole seconds since the epoch. milliseconds: the same time, for what seconds can't tell apart.
    """

    settings: IssuerSettings
    store: Store
    stock: StatusStock = field(repr=False)
    secrets: Secrets = field(repr=False)
    catalog: Catalog = field(repr=False)
    tenants: Tenants = field(repr=False)
    login: LoginProvider | None = field(repr=False)
    openid: OpenIdProviders = field(repr=False)
    pid: PidLogins = field(repr=False)
    providers: WalletProviders = field(repr=False)
    outgoing: Outgoing = field(repr=False)
    claims: ClaimsPuller = field(repr=False)
    courier: Courier = field(repr=False)
    clock: Clock = field(repr=False)
    milliseconds: Clock = field(repr=False)

    def can_log_in(self, tenant: ActiveTenant) -> bool:
        """Whether people can log in at a tenant, so that the authorization code flow is offered."""
        return self.login is not None or tenant.arranged.login.is_arranged


def system_clock() -> int:
    """Now, in whole seconds since the epoch."""
    return int(time.time())


def system_milliseconds() -> int:
    """Now, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def build_service(settings: IssuerSettings, *, clock: Clock = system_clock) -> IssuerService:
    """Read secrets and catalogue, open the database's engine.

    Raises:
        SecretsError, CatalogError, RegisterInvalid: a file is missing or not as it should be.
    """
    secrets = load_secrets(settings.data_dir / "secrets")
    store = Store(settings.effective_database_url)
    catalog = load_catalog(settings.catalog_dir, allow_test_types=settings.allow_test_types)
    files = load_tenant_files(settings.tenant_dir)
    check_tenant_files(files, catalog=catalog)
    outgoing = Outgoing(settings.allow_loopback_http)
    tenants = Tenants(settings=settings, store=store, secrets=secrets, files=files)
    return IssuerService(
        settings=settings,
        store=store,
        stock=StatusStock(store, list_size=settings.status_list_size),
        secrets=secrets,
        catalog=catalog,
        tenants=tenants,
        login=load_citizen_register(settings.test_register) if settings.demo_login else None,
        pid=build_pid_logins(settings, files, sealing_key=secrets.presentation_key, clock=clock),
        openid=OpenIdProviders(outgoing, skew=settings.clock_skew),
        providers=load_wallet_providers(settings, clock=clock),
        outgoing=outgoing,
        claims=ClaimsPuller(outgoing, settings.clock_skew),
        courier=Courier(
            store,
            tenants,
            outgoing,
            clock,
            max_attempts=settings.webhook_attempts,
            keep=settings.event_lifetime,
        ),
        clock=clock,
        milliseconds=system_milliseconds if clock is system_clock else lambda: clock() * 1000,
    )
