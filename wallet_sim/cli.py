"""`stadtnachweis wallet …`: a wallet on the command line."""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path

from specs.credentials import mdoc
from specs.credentials.mdoc_values import json_value
from specs.credentials.sd_jwt_present import parse_issued, read_as_holder
from specs.credentials.sd_jwt_vc import TYP
from specs.encoding import base64url, strict_json
from specs.protocols.dcql import FORMAT_SD_JWT_VC
from specs.protocols.oauth import InvalidAnswer, OAuthError
from specs.protocols.openid4vp import RequestError
from specs.refusal import Refusal
from specs.trust.x509 import AnchorKind, TrustAnchor, anchors_from_pem
from wallet_sim.collect import Holder, OfferShown
from wallet_sim.present import QuestionShown
from wallet_sim.store import StoredCredential
from wallet_sim.transport import Transport, WalletFailure
from wallet_sim.wallet import Wallet

_DESCRIPTION = """\
A simulated wallet: collects credentials from an issuer and shows them to a verifier, as a phone would.
Its keys and credentials are in one file (--file); several wallets are several files.

  stadtnachweis wallet collect 'openid-credential-offer://?…'     take what an issuer offers
  stadtnachweis wallet list                                       what is in the wallet
  stadtnachweis wallet present 'openid4vp://?…'                   answer a verifier's question
"""
_EXPECTED = (WalletFailure, InvalidAnswer, OAuthError, RequestError, Refusal, LookupError, OSError)


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `wallet`."""
    parser = subparsers.add_parser(
        "wallet",
        help="a simulated wallet: collect, list, show and present credentials",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--file", type=Path, default=Path("var/wallet.db"), help="the wallet's file (default: var/wallet.db)"
    )
    parser.add_argument(
        "--allow-loopback-http", action="store_true", help="talk plain http to this machine, for demonstrations"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    collect = commands.add_parser("collect", help="take the credentials of an offer")
    collect.add_argument("offer", help="the offer's link: openid-credential-offer://… or haip-vci://…")
    collect.add_argument("--tx-code", help="the transaction code; asked for if the offer needs it")
    collect.add_argument("--copies", type=int, default=1, help="copies of each credential (default: 1)")
    collect.add_argument("--issuer-anchors", type=Path, help="PEM file of the only roots whose credentials are taken")
    collect.add_argument("--yes", action="store_true", help="agree without being asked")
    collect.set_defaults(run=_guarded(_collect))

    present = commands.add_parser("present", help="answer a verifier's question")
    present.add_argument("request", help="the question's link: openid4vp://… or haip-vp://…")
    present.add_argument(
        "--verifier-anchors", type=Path, required=True, help="PEM file of the roots whose questions are answered"
    )
    present.add_argument("--yes", action="store_true", help="agree without being asked")
    present.set_defaults(run=_guarded(_present))

    listed = commands.add_parser("list", help="what is in the wallet")
    listed.set_defaults(run=_guarded(_list))
    shown = commands.add_parser("show", help="one credential with its claims")
    shown.add_argument("id", help="its id, or how it begins")
    shown.set_defaults(run=_guarded(_show))
    anchor = commands.add_parser(
        "provider-anchor", help="print the root of this wallet's provider, for an issuer to trust"
    )
    anchor.set_defaults(run=_guarded(_provider_anchor))


def _guarded(work: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        try:
            work(arguments)
        except _EXPECTED as error:
            print(f"stadtnachweis: {error}", file=sys.stderr)
            return 1
        return 0

    return run


def _wallet(
    arguments: argparse.Namespace, *, issuer_anchors: Path | None = None, verifier_anchors: Path | None = None
) -> Wallet:
    return Wallet(
        arguments.file,
        issuer_anchors=_anchors(issuer_anchors),
        verifier_anchors=_anchors(verifier_anchors),
        transport=Transport(allow_loopback_http=arguments.allow_loopback_http),
    )


def _anchors(path: Path | None) -> tuple[TrustAnchor, ...]:
    return () if path is None else anchors_from_pem(path.read_bytes(), kind=AnchorKind.CA, name=path.name)


def _collect(arguments: argparse.Namespace) -> None:
    def accept(offer: OfferShown) -> bool:
        return _agreed(arguments, f"{offer.issuer} offers {', '.join(offer.credentials)}. Take it?")

    def tx_code() -> str:
        return arguments.tx_code or getpass("Transaction code: ")

    def authorize(url: str) -> str:
        print(f"Open this address in a browser and log in:\n  {url}", file=sys.stderr)
        return input("Address that the browser was sent to: ").strip()

    wallet = _wallet(arguments, issuer_anchors=arguments.issuer_anchors)
    holder = Holder(accept=accept, tx_code=tx_code, authorize=authorize)
    for credential in wallet.collect(arguments.offer, holder=holder, copies=arguments.copies):
        print(_line(credential))


def _present(arguments: argparse.Namespace) -> None:
    def consent(question: QuestionShown) -> bool:
        print(f"{question.verifier} asks for:", file=sys.stderr)
        for entry in question.shown:
            print(f"  {entry.credential}: {', '.join(entry.claims) or 'that you have it'}", file=sys.stderr)
        return _agreed(arguments, "Show it?")

    presented = _wallet(arguments, verifier_anchors=arguments.verifier_anchors).present(
        arguments.request, consent=consent
    )
    print("The verifier took the answer.")
    if presented.redirect_uri is not None:
        print(f"Go on at {presented.redirect_uri}")


def _agreed(arguments: argparse.Namespace, question: str) -> bool:
    if arguments.yes:
        return True
    print(question, "[y/N] ", end="", file=sys.stderr, flush=True)
    return input().strip().lower() in ("y", "yes", "j", "ja")


def _list(arguments: argparse.Namespace) -> None:
    credentials = _wallet(arguments).credentials()
    if not credentials:
        print("The wallet is empty.")
    for credential in credentials:
        print(_line(credential))


def _line(credential: StoredCredential) -> str:
    day = datetime.fromtimestamp(credential.collected_at, UTC).date()
    return f"{credential.id}  {credential.format:<10}  {day}  {credential.name} ({credential.issuer})"


def _show(arguments: argparse.Namespace) -> None:
    credential = _wallet(arguments).store.find(arguments.id)
    print(_line(credential))
    print(f"type: {credential.type}")
    print(strict_json.dumps(_claims(credential)).decode())


def _claims(credential: StoredCredential) -> object:
    if credential.format == FORMAT_SD_JWT_VC:
        return read_as_holder(parse_issued(credential.content), expected_typ=TYP).claims
    issuer_signed = mdoc.parse_issuer_signed(base64url.decode(credential.content))
    return {
        name_space: {name: json_value(value) for name, value in map(mdoc.parse_item, items)}
        for name_space, items in issuer_signed.name_spaces.items()
    }


def _provider_anchor(arguments: argparse.Namespace) -> None:
    sys.stdout.write(_wallet(arguments).provider.anchor_pem().decode("ascii"))
