"""`stadtnachweis issuer keys …`: see, prepare and change what a tenant signs with."""

import argparse
from collections.abc import Callable, Coroutine
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from issuer.keys.certification import TenantIdentity, TokenHome
from issuer.keys.rotation import (
    KeyState,
    Place,
    activate,
    install_certificate,
    prepare,
    request_certificate,
    states,
)
from issuer.keys.tenant_pki import KeysError, load_chain, load_module, tenant_folder
from issuer.service import system_clock
from issuer.settings import IssuerSettings
from issuer.store.engine import Store
from issuer.store.tables import Tenant
from issuer.tenants import issuer_url_of

Work = Callable[[argparse.Namespace, IssuerSettings, Store], Coroutine[None, None, None]]
_DESCRIPTION = """\
Keys change with overlap: prepare the next one, let those know who must (a trust list, a registrar), activate it.
What the present one signed stays good: its certificate travels in the credentials. Running workers notice by
themselves; nothing is restarted.

  stadtnachweis issuer keys rotate leipzig                     all signers at once, by the tenant's own roots
  stadtnachweis issuer keys request leipzig access > csr.pem   or by an authority outside, such as a registrar:
  stadtnachweis issuer keys install leipzig access --chain certificate.pem
  stadtnachweis issuer keys activate leipzig access
"""


def register_keys(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    command: Callable[[Work], Callable[[argparse.Namespace], int]],
) -> None:
    """Add `keys`. command: makes a command of a coroutine."""
    parser = commands.add_parser(
        "keys",
        help="see and change what a tenant signs with",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    keys = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listed = keys.add_parser("list", help="list the signers with their certificates")
    listed.add_argument("tenant")
    listed.set_defaults(run=command(_list))
    for name, work, text in (
        ("prepare", _prepare, "make the next key of a signer, certified by the tenant's own root"),
        ("rotate", _rotate, "prepare and activate; without names, every signer that there is"),
    ):
        added = keys.add_parser(name, help=text)
        added.add_argument("tenant")
        added.add_argument(
            "names", nargs="+" if name == "prepare" else "*", help="such as sd-jwt-signer.ES256 or access"
        )
        added.add_argument("--token", help="make keys in this token of the security module (ISSUER_PKCS11_LIBRARY)")
        added.set_defaults(run=command(work))
    requested = keys.add_parser("request", help="make the next key, and print a certificate request (PKCS#10)")
    requested.add_argument("tenant")
    requested.add_argument("name")
    requested.set_defaults(run=command(_request))
    installed = keys.add_parser("install", help="put an authority's certificate beside the key that was prepared")
    installed.add_argument("tenant")
    installed.add_argument("name")
    installed.add_argument("--chain", type=Path, required=True, help="PEM, leaf first, without the root")
    installed.set_defaults(run=command(_install))
    activated = keys.add_parser("activate", help="sign with the prepared key from now on")
    activated.add_argument("tenant")
    activated.add_argument("names", nargs="+")
    activated.set_defaults(run=command(_activate))


async def _list(arguments: argparse.Namespace, settings: IssuerSettings, _store: Store) -> None:
    for state in states(tenant_folder(settings.data_dir, arguments.tenant)):
        print(_line(state))


def _line(state: KeyState) -> str:
    where = "in a token" if state.in_token else ("no key" if state.place is Place.RETIRED else "in a file")
    if state.certificate is None:
        return f"{state.name}\t{state.place}\t{where}\twaits for its certificate"
    begin, end = state.certificate.not_valid_before_utc, state.certificate.not_valid_after_utc
    return f"{state.name}\t{state.place}\t{where}\t{begin:%Y-%m-%d} to {end:%Y-%m-%d}"


async def _prepare(arguments: argparse.Namespace, settings: IssuerSettings, store: Store) -> None:
    folder, identity = await _tenant(arguments.tenant, settings, store)
    for name in arguments.names:
        prepare(folder, name, identity, now=system_clock(), home=_home(arguments, settings))
        print(f"{name} is prepared; `stadtnachweis issuer keys activate {arguments.tenant} {name}` puts it to use")


async def _rotate(arguments: argparse.Namespace, settings: IssuerSettings, store: Store) -> None:
    folder, identity = await _tenant(arguments.tenant, settings, store)
    names = arguments.names or [state.name for state in states(folder) if state.place is Place.PRESENT]
    for name in names:
        prepare(folder, name, identity, now=system_clock(), home=_home(arguments, settings))
        activate(folder, name, now=system_clock(), module=load_module(settings))
        print(f"{name} has a new key")


async def _request(arguments: argparse.Namespace, settings: IssuerSettings, store: Store) -> None:
    folder, identity = await _tenant(arguments.tenant, settings, store)
    print(request_certificate(folder, arguments.name, identity).decode("ascii"), end="")


async def _install(arguments: argparse.Namespace, settings: IssuerSettings, _store: Store) -> None:
    install_certificate(tenant_folder(settings.data_dir, arguments.tenant), arguments.name, arguments.chain)
    print(f"The certificate is there; `stadtnachweis issuer keys activate {arguments.tenant} {arguments.name}` uses it")


async def _activate(arguments: argparse.Namespace, settings: IssuerSettings, _store: Store) -> None:
    folder, module = tenant_folder(settings.data_dir, arguments.tenant), load_module(settings)
    for name in arguments.names:
        activate(folder, name, now=system_clock(), module=module)
        print(f"{name} signs from now on")


def _home(arguments: argparse.Namespace, settings: IssuerSettings) -> TokenHome | None:
    if arguments.token is None:
        return None
    module = load_module(settings)
    if module is None:
        raise KeysError("--token needs ISSUER_PKCS11_LIBRARY")
    return TokenHome(module, arguments.token)


async def _tenant(tenant_id: str, settings: IssuerSettings, store: Store) -> tuple[Path, TenantIdentity]:
    """The folder of a tenant, and what its certificates say: the country is its root's."""
    async with store.reading() as session:
        row = await session.get(Tenant, tenant_id)
    if row is None:
        raise KeysError(f"there is no tenant {tenant_id}; `stadtnachweis issuer tenant list` shows all")
    folder = tenant_folder(settings.data_dir, tenant_id)
    root = load_chain(folder / "iaca.crt.pem")[0]
    return folder, TenantIdentity(tenant_id, row.name, _country(root), issuer_url_of(settings, tenant_id))


def _country(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)[0].value)
