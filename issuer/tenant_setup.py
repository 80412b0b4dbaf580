"""Makes a tenant: its keys and certificates as files, its data key in the database."""

from collections.abc import Collection

from sqlalchemy.exc import IntegrityError

from issuer.catalog.schema import SigningAlgorithm
from issuer.keys.certification import TenantIdentity, TokenHome, create_tenant_keys
from issuer.keys.tenant_pki import KeysError, load_module, load_tenant_keys, tenant_folder
from issuer.presets import UnknownPreset, load_preset
from issuer.sealing import new_data_key
from issuer.secrets_at_rest import Secrets
from issuer.settings import IssuerSettings
from issuer.store.engine import Store
from issuer.store.tables import Tenant
from issuer.tenants import issuer_url_of
from specs.profiles import OVERLAYS


class TenantExists(Exception):
    """There is a tenant of this id."""


async def add_tenant(
    *,
    settings: IssuerSettings,
    store: Store,
    secrets: Secrets,
    tenant_id: str,
    name: str,
    preset: str,
    country: str,
    locale: str,
    algorithms: Collection[SigningAlgorithm],
    now: int,
    token: str | None = None,
) -> None:
    """Make a tenant with fresh keys; keys that stand there already (of an interrupted try, or put there) are taken.

    token: label of the security module's token in which signers' keys are made; None: they are made in files.

    Raises:
        KeysError: the id can't be a tenant's, or keys that are there can't be used.
        UnknownPreset: there is no such preset.
        TenantExists: there is one of this id.
    """
    load_preset(preset)
    if preset in OVERLAYS and not settings.allow_test_types:
        raise UnknownPreset(f"the preset {preset} is for test systems, which say ISSUER_ALLOW_TEST_TYPES=true")
    module = load_module(settings)
    if token is not None and module is None:
        raise KeysError("keys in a token need ISSUER_PKCS11_LIBRARY")
    home = None if token is None or module is None else TokenHome(module, token)
    if not tenant_folder(settings.data_dir, tenant_id).exists():
        identity = TenantIdentity(
            tenant_id=tenant_id, name=name, country=country, issuer_url=issuer_url_of(settings, tenant_id)
        )
        create_tenant_keys(settings.data_dir, identity, algorithms=algorithms, now=now, home=home)
    load_tenant_keys(settings.data_dir, tenant_id, module=module)
    row = Tenant(
        id=tenant_id,
        name=name,
        preset=preset,
        locale=locale,
        sealed_data_key=new_data_key(wrapping_key=secrets.wrapping_key, tenant_id=tenant_id),
        created_at=now,
    )
    try:
        async with store.transaction() as session:
            session.add(row)
    except IntegrityError:
        raise TenantExists(f"there is a tenant {tenant_id} already") from None
