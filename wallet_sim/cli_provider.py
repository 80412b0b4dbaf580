"""`stadtnachweis wallet provider-anchor`, `provider-list`, `status`: whom issuers can trust, and what is still good."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from specs.trust.x509 import AnchorKind, TrustAnchor, anchors_from_pem
from wallet_sim.status import CredentialState, StatusReader
from wallet_sim.transport import Transport
from wallet_sim.wallet import Wallet

Guard = Callable[[Callable[[argparse.Namespace], None]], Callable[[argparse.Namespace], int]]


class NotGood(Exception):
    """A credential is revoked, suspended, ended, or nobody says."""


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", file: argparse.ArgumentParser, guarded: Guard
) -> None:
    """Add the commands. file: the parent with the option `--file`."""
    anchor = commands.add_parser(
        "provider-anchor",
        parents=[file],
        help="print the root of this wallet's provider (PEM), for an issuer to trust",
    )
    anchor.set_defaults(run=guarded(_anchor))
    listed = commands.add_parser(
        "provider-list", parents=[file], help="print a signed trust list with this wallet's provider (ETSI TS 119 602)"
    )
    listed.add_argument("--signer", action="store_true", help="print the certificate that signs it instead (PEM)")
    listed.set_defaults(run=guarded(_list))
    status = commands.add_parser("status", parents=[file], help="which credentials are still good: status 0 if all are")
    status.add_argument("--status-anchors", type=Path, metavar="PEM", help="who may sign status lists (default: any)")
    status.add_argument("--allow-loopback-http", action="store_true", help="talk plain http to this machine")
    status.set_defaults(run=guarded(_status))


def _anchor(arguments: argparse.Namespace) -> None:
    sys.stdout.write(Wallet(arguments.file).provider.anchor_pem().decode("ascii"))


def _list(arguments: argparse.Namespace) -> None:
    provider = Wallet(arguments.file).provider
    if arguments.signer:
        sys.stdout.write(provider.publisher_pem().decode("ascii"))
    else:
        print(provider.trust_list(now=int(time.time())))


def _status(arguments: argparse.Namespace) -> None:
    anchors: Sequence[TrustAnchor] = ()
    if arguments.status_anchors is not None:
        path: Path = arguments.status_anchors
        anchors = anchors_from_pem(path.read_bytes(), kind=AnchorKind.CA, name=path.name)
    reader = StatusReader(Transport(allow_loopback_http=arguments.allow_loopback_http), anchors)
    states = [(each, reader.state(each)) for each in Wallet(arguments.file).credentials()]
    for credential, state in states:
        print(f"{credential.id}  {state.value:<13}  {credential.name} ({credential.issuer})")
    if any(state is not CredentialState.GOOD for _, state in states):
        raise NotGood("not all credentials are good")
