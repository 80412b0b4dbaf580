"""`stadtnachweis issuer …`: prepare and run the service that mints credentials."""

import argparse
import asyncio
import json
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from uvicorn.supervisors import Multiprocess

from issuer.catalog.loader import load_catalog
from issuer.catalog.placed_yaml import CatalogError
from issuer.city_api.authentication import add_client
from issuer.cli_keys import register_keys
from issuer.http.head_limit import LimitedHead
from issuer.http.tls import TlsError, TlsFiles, context_factory, development_tls, server_context
from issuer.keys.certification import renew_crl
from issuer.keys.tenant_pki import KeysError
from issuer.login.register import RegisterInvalid
from issuer.presets import PRESETS, UnknownPreset
from issuer.restore import void_after_restore
from issuer.sealing import SealError
from issuer.secrets_at_rest import SecretsError, create_secrets, load_secrets
from issuer.service import system_clock
from issuer.settings import IssuerSettings, SettingsError, load_settings
from issuer.store.engine import Store
from issuer.store.migrate import is_current, migrate
from issuer.store.tables import ApiClient, ClientKind, Role, Tenant
from issuer.tenant_setup import TenantExists, add_tenant

_EXPECTED = (
    SettingsError,
    SecretsError,
    CatalogError,
    KeysError,
    TlsError,
    SealError,
    RegisterInvalid,
    UnknownPreset,
    TenantExists,
)
_DESCRIPTION = """\
The issuer mints credentials into wallets. Everything is set by environment variables ISSUER_…;
by default keys, secrets and an SQLite database stand in var/issuer.

First steps:
  export ISSUER_PUBLIC_URL=https://nachweis.example.org      where wallets will reach it; to try it on this machine
                                                             alone: export ISSUER_ALLOW_LOOPBACK_HTTP=true
  stadtnachweis issuer init                                  make secrets and database
  stadtnachweis issuer tenant add leipzig --name "Stadt Leipzig"
  stadtnachweis issuer api-key add leipzig --name sozialamt  show a key for the City API, once
  stadtnachweis issuer serve                                 run
"""

Run = Callable[[argparse.Namespace], int]


class CommandFailed(Exception):
    """A command can't do what it was asked; the message is a sentence for the operator."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `issuer`."""
    parser = subparsers.add_parser(
        "issuer",
        help="run the service that mints credentials, and prepare its keys and database",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--profile", choices=("oidf",), help="start a target for the OpenID Foundation's conformance suite instead"
    )
    parser.add_argument(
        "--port", dest="target_port", type=int, default=9443, help="port of that target (default: 9443)"
    )
    parser.add_argument(
        "--attester-root",
        dest="target_roots",
        type=Path,
        action="append",
        default=[],
        metavar="PEM",
        help="certificate of one more attester which that target shall believe; repeatable",
    )
    parser.set_defaults(run=_target)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    init = commands.add_parser("init", help="make the secrets and the database; what is there stays")
    init.set_defaults(run=_command(_init))
    steps = commands.add_parser("migrate", help="bring the database to this version's tables")
    steps.set_defaults(run=_command(_migrate))
    serve = commands.add_parser("serve", help="run the service until Ctrl-C")
    serve.add_argument("--host", help="address to listen on (default: ISSUER_HOST, 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on, 0 for a free one (default: ISSUER_PORT, 8701)")
    serve.add_argument("--workers", type=int, default=1, help="number of processes (default: 1)")
    serve.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="speak TLS with these certificates (PEM, leaf first)"
    )
    serve.add_argument("--tls-key", type=Path, metavar="FILE", help="the key of --tls-cert (PEM)")
    serve.add_argument(
        "--tls-dev", action="store_true", help="speak TLS with a certificate of a development CA that is made for it"
    )
    serve.set_defaults(run=_guarded(_serve))
    restored = commands.add_parser(
        "after-restore", help="after putting back a backup: end all codes and tokens, close the status lists"
    )
    restored.set_defaults(run=_command(_after_restore))
    described = commands.add_parser("openapi", help="print the City API as OpenAPI 3.1")
    described.set_defaults(run=_guarded(_openapi))
    checked = commands.add_parser("catalog", help="check the credential types and list them")
    checked.set_defaults(run=_guarded(_catalog))
    _register_tenant(commands)
    register_keys(commands, _command)
    _register_api_key(commands)


def _register_tenant(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    tenant = commands.add_parser("tenant", help="make and list the cities or departments that issue")
    tenants = tenant.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = tenants.add_parser("add", help="make a tenant with its keys and certificates")
    add.add_argument("id", help="part of its addresses: lower-case letters, digits, hyphens")
    add.add_argument("--name", required=True, help="what people read, such as 'Stadt Leipzig'")
    add.add_argument("--preset", default="haip-1.0", choices=PRESETS, help="rules of its ecosystem (default: haip-1.0)")
    add.add_argument("--country", default="DE", help="ISO 3166-1 alpha-2 in its certificates (default: DE)")
    add.add_argument("--locale", default="de", choices=("de", "en"), help="language of its pages (default: de)")
    add.add_argument("--token", help="make signers' keys in this token of the security module (ISSUER_PKCS11_LIBRARY)")
    add.set_defaults(run=_command(_tenant_add))
    listed = tenants.add_parser("list", help="list the tenants")
    listed.set_defaults(run=_command(_tenant_list))
    crl = tenants.add_parser("crl", help="sign the revocation list of its root anew, for 90 days")
    crl.add_argument("id")
    crl.set_defaults(run=_guarded(_tenant_crl))


def _register_api_key(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    api_key = commands.add_parser("api-key", help="make, list and revoke what application back ends sign in with")
    keys = api_key.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = keys.add_parser("add", help="make a key for the City API; it is shown once")
    add.add_argument("tenant")
    add.add_argument("--name", required=True, help="who uses it")
    add.add_argument("--role", default=Role.OPERATOR, choices=tuple(Role), help="viewer: read only (default: operator)")
    add.add_argument(
        "--client-credentials", action="store_true", help="make an OAuth client for POST /api/v1/token instead"
    )
    add.set_defaults(run=_command(_api_key_add))
    listed = keys.add_parser("list", help="list the keys of a tenant")
    listed.add_argument("tenant")
    listed.set_defaults(run=_command(_api_key_list))
    revoke = keys.add_parser("revoke", help="end a key at once")
    revoke.add_argument("id", help="the middle part of the key")
    revoke.set_defaults(run=_command(_api_key_revoke))


def _command(work: Callable[[argparse.Namespace, IssuerSettings, Store], Coroutine[None, None, None]]) -> Run:
    """A command that needs the settings and the database."""

    def run(arguments: argparse.Namespace, settings: IssuerSettings) -> int:
        async def with_store() -> None:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            store = Store(settings.effective_database_url)
            try:
                await work(arguments, settings, store)
            finally:
                await store.close()

        asyncio.run(with_store())
        return 0

    return _guarded(run)


def _guarded(work: Callable[[argparse.Namespace, IssuerSettings], int]) -> Run:
    """What an operator can put right becomes a sentence and status 1."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            return work(arguments, load_settings())
        except (*_EXPECTED, CommandFailed) as error:
            print(f"stadtnachweis: {error}", file=sys.stderr)
        except SQLAlchemyError as error:
            print(f"stadtnachweis: the database cannot be used: {_database_sentence(error)}", file=sys.stderr)
        except OSError as error:
            print(f"stadtnachweis: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1

    return run


def _database_sentence(error: SQLAlchemyError) -> str:
    text = str(getattr(error, "orig", None) or type(error).__name__)
    return "`stadtnachweis issuer init` makes it" if "no such table" in text else text.splitlines()[0]


def _target(arguments: argparse.Namespace) -> int:
    """Without a command: the conformance suite's target, whose settings are its own."""
    from issuer.oidf.target import run_target

    if arguments.profile is None:
        print("stadtnachweis: say what to do: stadtnachweis issuer --help lists it.", file=sys.stderr)
        return 2
    try:
        return run_target(port=arguments.target_port, roots=arguments.target_roots)
    except OSError as error:
        print(f"stadtnachweis: the target cannot start: {error.strerror or error}", file=sys.stderr)
        return 1


async def _init(_arguments: argparse.Namespace, settings: IssuerSettings, store: Store) -> None:
    create_secrets(settings.data_dir / "secrets")
    await migrate(store)
    print(f"Secrets are in {settings.data_dir / 'secrets'} (back them up), the database is ready.")
    print('Next: stadtnachweis issuer tenant add leipzig --name "Stadt Leipzig"')


async def _migrate(_arguments: argparse.Namespace, _settings: IssuerSettings, store: Store) -> None:
    await migrate(store)
    print("The database has this version's tables.")


async def _after_restore(_arguments: argparse.Namespace, _settings: IssuerSettings, store: Store) -> None:
    async with store.transaction() as session:
        await void_after_restore(session, now=system_clock())
    print("All codes and tokens are ended, open offers wait to be armed anew, status lists get no further entry.")
    print("Serve again five minutes after the old service stopped: nonces of before live as long.")


async def _tenant_add(arguments: argparse.Namespace, settings: IssuerSettings, store: Store) -> None:
    catalog = load_catalog(settings.catalog_dir, allow_test_types=settings.allow_test_types)
    await add_tenant(
        settings=settings,
        store=store,
        secrets=load_secrets(settings.data_dir / "secrets"),
        tenant_id=arguments.id,
        name=arguments.name,
        preset=arguments.preset,
        country=arguments.country,
        locale=arguments.locale,
        algorithms={kind.alg for kind in catalog.types.values()},
        now=system_clock(),
        token=arguments.token,
    )
    print(f"{arguments.name} issues at {settings.public_url}/t/{arguments.id}")
    print(f"Its keys and certificates are in {settings.data_dir / 'keys' / arguments.id}")
    print(f"Next: stadtnachweis issuer api-key add {arguments.id} --name …")


async def _tenant_list(_arguments: argparse.Namespace, _settings: IssuerSettings, store: Store) -> None:
    async with store.reading() as session:
        for tenant in await session.exec(select(Tenant).order_by(col(Tenant.id))):
            print(f"{tenant.id}\t{tenant.preset}\t{tenant.name}")


def _tenant_crl(arguments: argparse.Namespace, settings: IssuerSettings) -> int:
    renew_crl(settings.data_dir, arguments.id, now=system_clock())
    print("The revocation list is good for 90 days.")
    return 0


async def _api_key_add(arguments: argparse.Namespace, _settings: IssuerSettings, store: Store) -> None:
    kind = ClientKind.CLIENT_CREDENTIALS if arguments.client_credentials else ClientKind.API_KEY
    async with store.transaction() as session:
        if await session.get(Tenant, arguments.tenant) is None:
            raise CommandFailed(f"there is no tenant {arguments.tenant}; `stadtnachweis issuer tenant list` shows all")
        new = await add_client(
            session,
            tenant_id=arguments.tenant,
            name=arguments.name,
            kind=kind,
            role=Role(arguments.role),
            now=system_clock(),
        )
    if kind is ClientKind.API_KEY:
        print(new.api_key)
    else:
        print(f"client_id={new.client_id}\nclient_secret={new.secret}")
    print("Keep it now: it is not shown again.", file=sys.stderr)


async def _api_key_list(arguments: argparse.Namespace, _settings: IssuerSettings, store: Store) -> None:
    async with store.reading() as session:
        rows = await session.exec(
            select(ApiClient).where(ApiClient.tenant_id == arguments.tenant).order_by(col(ApiClient.created_at))
        )
        for row in rows:
            print(f"{row.id}\t{row.kind}\t{row.role}\t{'revoked' if row.revoked_at else 'active'}\t{row.name}")


async def _api_key_revoke(arguments: argparse.Namespace, _settings: IssuerSettings, store: Store) -> None:
    async with store.transaction() as session:
        client = await session.get(ApiClient, arguments.id)
        if client is None:
            raise CommandFailed(f"there is no key {arguments.id}; `stadtnachweis issuer api-key list` shows all")
        client.revoked_at = client.revoked_at or system_clock()
        session.add(client)
    print("The key is ended.")


def _openapi(_arguments: argparse.Namespace, _settings: IssuerSettings) -> int:
    from issuer.app import city_api_description

    print(json.dumps(city_api_description(), indent=2, ensure_ascii=False))
    return 0


def _catalog(_arguments: argparse.Namespace, settings: IssuerSettings) -> int:
    for configuration in load_catalog(
        settings.catalog_dir, allow_test_types=settings.allow_test_types
    ).configurations.values():
        print(f"{configuration.id}\t{configuration.identifier}\t{configuration.credential_type.display.de.name}")
    return 0


def _serve(arguments: argparse.Namespace, settings: IssuerSettings) -> int:
    host = arguments.host or settings.host
    port = settings.port if arguments.port is None else arguments.port
    _check_ready(settings)
    tls = _tls_files(arguments, settings)
    listener = _listen(host, port)
    config = uvicorn.Config(
        "issuer.app:app_from_environment",
        factory=True,
        workers=arguments.workers,
        log_level="warning",
        access_log=False,  # its lines hold addresses; ours don't
        server_header=False,
        proxy_headers=False,  # the application knows which proxies to believe
        ssl_context_factory=None if tls is None else context_factory(tls),
        h11_max_incomplete_event_size=settings.header_limit,
        http=LimitedHead,
        ws="none",
        timeout_graceful_shutdown=5,
    )
    print(
        f"The issuer listens on {host}:{listener.getsockname()[1]} for {settings.public_url} (Ctrl-C ends it)",
        flush=True,
    )
    server = uvicorn.Server(config)
    try:
        if arguments.workers > 1:
            Multiprocess(config, [listener]).run()
        else:
            server.run([listener])
    except KeyboardInterrupt:
        return 0
    return 0 if server.started or arguments.workers > 1 else 1


def _tls_files(arguments: argparse.Namespace, settings: IssuerSettings) -> TlsFiles | None:
    """Certificate and key of our own listener, tried out; None where a proxy or nobody speaks TLS."""
    certificate, key = arguments.tls_cert, arguments.tls_key
    if arguments.tls_dev:
        if certificate is not None or key is not None:
            raise CommandFailed("--tls-dev makes a certificate of its own; leave --tls-cert and --tls-key out")
    elif certificate is None and key is None:
        return None
    elif certificate is None or key is None:
        raise CommandFailed("--tls-cert and --tls-key belong together")
    parts = urlsplit(settings.public_url)
    if parts.scheme != "https":
        raise CommandFailed(f"with TLS the public address is https, not {settings.public_url}; set ISSUER_PUBLIC_URL")
    if arguments.tls_dev:
        tls = development_tls(settings.data_dir, host=parts.hostname or "localhost", now=system_clock())
        print(f"For development: clients trust {tls.certificate.with_name('ca.crt.pem')}", flush=True)
    else:
        tls = TlsFiles(certificate, key)
    server_context(tls)
    return tls


def _check_ready(settings: IssuerSettings) -> None:
    """Say what is missing before anything listens."""
    load_secrets(settings.data_dir / "secrets")
    load_catalog(settings.catalog_dir, allow_test_types=settings.allow_test_types)

    async def current() -> bool:
        store = Store(settings.effective_database_url)
        try:
            return await is_current(store)
        finally:
            await store.close()

    if not asyncio.run(current()):
        raise CommandFailed("the database lacks this version's tables; `stadtnachweis issuer migrate` makes them")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CommandFailed(
            f"port {port} on {host} cannot be used ({error.strerror}); "
            "end the program that has it, or choose another one with --port"
        ) from None
    listener.set_inheritable(True)
    return listener
