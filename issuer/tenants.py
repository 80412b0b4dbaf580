"""The tenants of a running issuer: who they are, what they sign with, what their data is sealed with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlmodel import col, select

from issuer.catalog.loader import Configuration
from issuer.keys.tenant_pki import TenantKeys, load_tenant_keys
from issuer.minting.mint import Mint
from issuer.presets import load_preset
from issuer.published import Published
from issuer.sealing import Sealer, open_data_key
from issuer.secrets_at_rest import Secrets
from issuer.settings import IssuerSettings
from issuer.status.publication import StatusPublisher
from issuer.store.engine import Store
from issuer.store.tables import Tenant
from issuer.tenant_file import NOTHING_ARRANGED, TenantFile
from specs.profiles import Profile

METADATA_MAX_AGE = 300  # seconds that anybody may keep what a tenant says about itself


@dataclass(frozen=True, slots=True)
class ActiveTenant:
    """A tenant with everything its work needs.

    issuer_url: its credential issuer and authorization server identifier. profile: the rules of its ecosystem.
    arranged: its registers and logins.
    """

    id: str
    name: str
    locale: str
    profile: Profile
    issuer_url: str
    keys: TenantKeys = field(repr=False)
    sealer: Sealer = field(repr=False)
    mint: Mint = field(repr=False)
    status: StatusPublisher = field(repr=False)
    published: Published = field(repr=False)
    arranged: TenantFile = field(default=NOTHING_ARRANGED, repr=False)

    def issues(self, configuration: Configuration) -> bool:
        """Whether its preset allows what a credential of this configuration is signed with."""
        return configuration.credential_type.alg in self.profile.credential_algs


class Tenants:
    """Loads tenants when they are first asked for; their keys and names change with a restart only."""

    def __init__(
        self,
        *,
        settings: IssuerSettings,
        store: Store,
        secrets: Secrets,
        files: Mapping[str, TenantFile] = MappingProxyType({}),
    ) -> None:
        self._files = files
        self._settings = settings
        self._store = store
        self._secrets = secrets
        self._active: dict[str, ActiveTenant] = {}

    async def find(self, tenant_id: str) -> ActiveTenant | None:
        """The tenant of this id, if there is one.

        Raises:
            KeysError, SealError: it is there, but its keys or its data key can't be used.
        """
        known = self._active.get(tenant_id)
        if known is not None:
            return known
        async with self._store.reading() as session:
            row = (await session.exec(select(Tenant).where(Tenant.id == tenant_id))).first()
        if row is None:
            return None
        self._active[tenant_id] = tenant = self._activate(row)
        return tenant

    async def ids(self) -> list[str]:
        """All tenants."""
        async with self._store.reading() as session:
            return list((await session.exec(select(Tenant.id).order_by(col(Tenant.id)))).all())

    def _activate(self, row: Tenant) -> ActiveTenant:
        keys = load_tenant_keys(self._settings.data_dir, row.id)
        issuer_url = issuer_url_of(self._settings, row.id)
        return ActiveTenant(
            id=row.id,
            name=row.name,
            locale=row.locale,
            profile=load_preset(row.preset),
            issuer_url=issuer_url,
            keys=keys,
            sealer=open_data_key(row.sealed_data_key, wrapping_key=self._secrets.wrapping_key, tenant_id=row.id),
            mint=Mint(keys, issuer_url=issuer_url),
            status=StatusPublisher(
                keys.status,
                tenant_id=row.id,
                issuer_url=issuer_url,
                ttl=self._settings.status_ttl,
                lifetime=self._settings.status_lifetime,
                jwk_header=row.preset == "oidf",
            ),
            published=Published(max_age=METADATA_MAX_AGE),
            arranged=self._files.get(row.id, NOTHING_ARRANGED),
        )


def issuer_url_of(settings: IssuerSettings, tenant_id: str) -> str:
    """The credential issuer identifier of a tenant: `https://HOST/t/{tenant}`."""
    return f"{settings.public_url}/t/{tenant_id}"
