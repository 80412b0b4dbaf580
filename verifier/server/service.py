"""The running service: settings, database, sealing key, and a verifier for each tenant."""

import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from specs.encoding.placed_yaml import FileInvalid
from verifier.ask import Endpoints
from verifier.background import Background
from verifier.cache import CachingFetcher
from verifier.fetch import Fetcher, PolicedFetcher
from verifier.rules import NotAllowed
from verifier.server.clients import Clients
from verifier.server.idempotency import sweep
from verifier.server.tenant_file import Tenant, load_tenant
from verifier.service import Verifier
from verifier.settings import VerifierSettings
from verifier.stores.sql import SqlStore, metadata
from verifier.stores.trust_lists import FolderTrustListStore
from verifier.trust_lists import ListEvent, ListEventKind, TrustLists

if TYPE_CHECKING:
    from verifier.stores.postgresql import DirectConnections, PostgresStore

KEY_FILE = "sealing.key"
LISTS_FOLDER = "trust-lists"
_LOG = logging.getLogger("verifier")
_KEY_BYTES = 32
_LOCK = 0x5AD7_0002  # any number that nothing else uses


class NotPrepared(Exception):
    """The service's own files are missing or not as they were written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TenantVerifier:
    """A tenant's verifier, its store, the address of its pages, and the lists that say whom it believes."""

    verifier: Verifier
    store: "SqlStore | PostgresStore"
    pages: str
    lists: TrustLists


@dataclass(frozen=True, slots=True)
class VerifierService:
    """All that requests need."""

    settings: VerifierSettings
    engine: Engine
    clients: Clients
    sealing_key: bytes = field(repr=False)
    tenants: Mapping[str, TenantVerifier]
    background: Background
    direct: "DirectConnections | None" = None

    def close(self) -> None:
        """Close what is open to the database."""
        if self.direct is not None:
            self.direct.close()
        self.engine.dispose()

    def sweep(self, *, now: int) -> None:
        """Erase what has expired."""
        for tenant in self.tenants.values():
            tenant.verifier.purge()
        sweep(self.engine, now=now)


def prepare(settings: VerifierSettings) -> None:
    """Make the sealing key and the tables, where they are not there; several processes may try at once."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        made = path.with_name(f"{KEY_FILE}.{secrets.token_hex(4)}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES).hex().encode())
        try:
            os.link(made, path)  # whoever is first; nobody overwrites
        except FileExistsError:
            pass
        finally:
            made.unlink()
    engine = open_database(settings)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        metadata.create_all(connection)
    engine.dispose()


def build_service(settings: VerifierSettings) -> VerifierService:
    """The service of some settings; `prepare` must have been run.

    Raises:
        NotPrepared: no sealing key.
        FileInvalid: a tenant's files are not as they should be, or its preset does not let it ask so.
    """
    sealing_key = _sealing_key(settings.data_dir / KEY_FILE)
    engine = open_database(settings)
    folder = settings.effective_tenants_dir
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not folders:
        raise FileInvalid(f"{folder}: no tenant")
    policed = PolicedFetcher(allow_loopback_http=settings.allow_loopback_http)
    cache = CachingFetcher(policed)
    direct = _direct(engine)
    tenants: dict[str, TenantVerifier] = {}
    for path in folders:
        tenant, store = load_tenant(path, settings=settings), _store(engine, direct, tenant=path.name)
        tenants[path.name] = _verifier(tenant, settings, store, sealing_key, policed, cache)
    tasks = [cache.refresh, *(tenant.lists.refresh for tenant in tenants.values())]
    background = Background(tasks, on_error=lambda error: _LOG.error("in the background: %s", type(error).__name__))
    clients = Clients(engine, direct=direct)
    return VerifierService(settings, engine, clients, sealing_key, tenants, background, direct)


def _direct(engine: Engine) -> "DirectConnections | None":
    if engine.dialect.name != "postgresql":
        return None
    from verifier.stores.postgresql import DirectConnections  # needs the extra `postgres`

    return DirectConnections(engine)


def _store(engine: Engine, direct: "DirectConnections | None", *, tenant: str) -> "SqlStore | PostgresStore":
    if direct is None:
        return SqlStore(engine, tenant=tenant)
    from verifier.stores.postgresql import PostgresStore

    return PostgresStore(direct, tenant=tenant)


def open_database(settings: VerifierSettings) -> Engine:
    """The engine of the settings' database. Errors never show the values of a statement."""
    url = make_url(settings.effective_database_url)
    if url.get_backend_name() != "sqlite":
        return create_engine(url, hide_parameters=True, pool_pre_ping=True)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": 10})
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "secure_delete=ON", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def trust_lists(tenant: Tenant, settings: VerifierSettings, fetcher: Fetcher) -> TrustLists:
    """Whom a tenant believes: what its file says, and what the lists that it follows say, as far as they were fetched.

    Raises:
        NotPrepared: a file of the lists is not as it was written.
    """
    folder = settings.data_dir / LISTS_FOLDER / tenant.id
    try:
        return TrustLists(
            tenant.lists,
            store=FolderTrustListStore(folder),
            fetcher=fetcher,
            fixed=tenant.trust,
            on_event=_note_list,
        )
    except ValueError as error:
        raise NotPrepared(f"{folder}: a file is not as it was written; look at it before you delete it") from error


def _note_list(event: ListEvent) -> None:
    if event.kind in (ListEventKind.LOADED, ListEventKind.UNCHANGED):
        _LOG.info("trust list %s: %s, number %s", event.url, event.kind.value, event.sequence)
    else:
        _LOG.warning("trust list %s: %s %s", event.url, event.kind.value, event.reason or "")


def _verifier(
    tenant: Tenant,
    settings: VerifierSettings,
    store: "SqlStore | PostgresStore",
    sealing_key: bytes,
    policed: Fetcher,
    cache: CachingFetcher,
) -> TenantVerifier:
    pages = f"{settings.public_url}/t/{tenant.id}/present"
    lists = trust_lists(tenant, settings, policed)
    try:
        verifier = Verifier(
            tenant.relying_party,
            procedures=tenant.procedures,
            trust=lists,
            store=store,
            sealing_key=sealing_key,
            endpoints=Endpoints(f"{pages}/request", f"{pages}/response", f"{pages}/done"),
            profile=tenant.profile,
            fetcher=cache,
            scheme=tenant.wallet,
            allow_loopback_http=settings.allow_loopback_http,
        )
    except NotAllowed as error:
        raise FileInvalid(f"{tenant.id}: {error}") from error
    return TenantVerifier(verifier, store, pages, lists)


def _sealing_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise NotPrepared(f"{path} is missing or not a key: run “stadtnachweis verifier init”")
    return key
