"""The tenants of a running issuer: who they are, what they sign with, what their data is sealed with."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlmodel import col, select

from issuer.catalog.loader import Configuration
from issuer.keys.tenant_pki import KeysError, TenantKeys, load_module, load_tenant_keys, tenant_folder
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
from specs.profiles import OVERLAYS, Profile, StatusListKeys

_LOG = logging.getLogger("issuer")
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
    """Loads tenants when they are first asked for, and again when their folder of keys changed."""

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
        self._active: dict[str, tuple[int, ActiveTenant]] = {}
        self._folders: dict[str, str] = {}

    async def find(self, tenant_id: str) -> ActiveTenant | None:
        """The tenant of this id, if there is one.

        Raises:
            KeysError, SealError: it is there, but its keys or its data key can't be used.
        """
        stamp = self._stamp(tenant_id)
        known = self._active.get(tenant_id)
        if known is not None and known[0] == stamp:
            return known[1]
        async with self._store.reading() as session:
            row = (await session.exec(select(Tenant).where(Tenant.id == tenant_id))).first()
        if row is None:
            return None
        if row.preset in OVERLAYS and not self._settings.allow_test_types:
            _LOG.error("tenant %s has the preset %s, which is for test systems: it is not served", row.id, row.preset)
            return None
        try:
            tenant = self._activate(row)
        except KeysError as error:
            if known is None:
                raise
            # halfway through a change, or a change gone wrong: what signed so far goes on, and the next request tries
            _LOG.warning("tenant %s keeps its keys: %s", tenant_id, error)
            return known[1]
        self._active[tenant_id] = stamp, tenant
        self._folders[tenant_id] = str(tenant_folder(self._settings.data_dir, tenant_id))
        return tenant

    def _stamp(self, tenant_id: str) -> int:
        """When the folder of a tenant's keys changed, in nanoseconds; 0 if there is none."""
        try:
            folder = self._folders.get(tenant_id) or str(tenant_folder(self._settings.data_dir, tenant_id))
            return os.stat(folder).st_mtime_ns  # noqa: PTH116 at each request
        except (OSError, KeysError):
            return 0

    async def ids(self) -> list[str]:
        """All tenants."""
        async with self._store.reading() as session:
            return list((await session.exec(select(Tenant.id).order_by(col(Tenant.id)))).all())

    def _activate(self, row: Tenant) -> ActiveTenant:
        profile = load_preset(row.preset)
        keys = load_tenant_keys(self._settings.data_dir, row.id, module=load_module(self._settings))
        issuer_url = issuer_url_of(self._settings, row.id)
        return ActiveTenant(
            id=row.id,
            name=row.name,
            locale=row.locale,
            profile=profile,
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
                jwk_header=profile.status_list_keys is StatusListKeys.X5C_AND_JWK,
            ),
            published=Published(max_age=METADATA_MAX_AGE),
            arranged=self._files.get(row.id, NOTHING_ARRANGED),
        )


def issuer_url_of(settings: IssuerSettings, tenant_id: str) -> str:
    """The credential issuer identifier of a tenant: `https://HOST/t/{tenant}`."""
    return f"{settings.public_url}/t/{tenant_id}"
