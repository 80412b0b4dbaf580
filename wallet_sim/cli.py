"""`stadtnachweis wallet …`: a wallet on the command line."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path

from specs.protocols.oauth import InvalidAnswer, OAuthError
from specs.protocols.openid4vp import RequestError
from specs.refusal import Refusal
from specs.trust.x509 import AnchorKind, TrustAnchor, anchors_from_pem
from wallet_sim import cli_explain, cli_misbehaviours, cli_provider, cli_proxy, cli_serve
from wallet_sim.browser import FormBrowser, LoopbackBrowser
from wallet_sim.cli_choice import chosen_on_terminal
from wallet_sim.collect import REDIRECT_URI, Holder, OfferShown
from wallet_sim.conduct import HONEST, Conduct
from wallet_sim.device import ReaderShown
from wallet_sim.misbehaviour import Phase, UnknownMisbehaviour
from wallet_sim.pictures import PictureUnreadable, read_qr_code
from wallet_sim.present import Habits
from wallet_sim.presentation import claims_of, held
from wallet_sim.question import Chosen, Consent, QuestionShown, RegistrationState
from wallet_sim.store import StoredCredential, UnknownCredential
from wallet_sim.terminal import plain
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet

_DESCRIPTION = """\
A simulated wallet: collects credentials from an issuer and shows them to a verifier, as a phone would.
Its keys and credentials are in one file (--file) that only you can read; several wallets are several files.

  stadtnachweis wallet collect 'openid-credential-offer://?…'     take what an issuer offers
  stadtnachweis wallet list                                       what is in the wallet
  stadtnachweis wallet show 3f2a                                  one credential with its claims
  stadtnachweis wallet renew                                      collect anew what can be renewed
  stadtnachweis wallet present 'openid4vp://?…'                   answer a verifier's question
  stadtnachweis wallet meet                                       wait for a reader on the spot (ISO/IEC 18013-5)
  stadtnachweis wallet serve --settings wallet.yaml               pages for a phone; with --unattended for a test suite
  stadtnachweis wallet explain 'eyJ…'                             what a thing is, and what is wrong with it
  stadtnachweis wallet misbehaviours                              what --misbehave can do wrong

The link of an offer or a question is what its QR code says; put it in quotes. A picture of the code will do as well.
"""
_DEFAULT_FILE = Path("var/wallet.sqlite3")
_EXPECTED = (
    WalletFailure,
    UnknownCredential,
    InvalidAnswer,
    OAuthError,
    RequestError,
    Refusal,
    UnknownMisbehaviour,
    cli_misbehaviours.NotMet,
    cli_provider.NotGood,
    PictureUnreadable,
)
_SHORTEST_ID = 4


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `wallet`."""
    parser = subparsers.add_parser(
        "wallet",
        help="a simulated wallet: collect an offer, present, list, show",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli_serve.register_target(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument("--file", type=Path, default=_DEFAULT_FILE, help=f"the wallet's file (default: {_DEFAULT_FILE})")
    loopback = argparse.ArgumentParser(add_help=False)
    loopback.add_argument(
        "--allow-loopback-http", action="store_true", help="talk plain http to this machine, for demonstrations"
    )
    talking = argparse.ArgumentParser(add_help=False, parents=[loopback])
    talking.add_argument("--yes", action="store_true", help="agree without being asked")

    misbehaving = cli_misbehaviours.misbehave_option()

    collect = commands.add_parser(
        "collect", parents=[file, talking, misbehaving], help="take the credentials of an offer"
    )
    collect.add_argument("offer", help="the offer's link, or a file with a picture of its QR code")
    collect.add_argument("--tx-code", metavar="CODE", help="the transaction code; asked for if the offer needs one")
    collect.add_argument("--login-as", metavar="NAME", help="log in by itself; the password is asked for here")
    collect.add_argument("--copies", type=int, default=1, help="copies of each credential (default: 1)")
    collect.add_argument(
        "--issuer-anchors", type=Path, metavar="PEM", help="the only roots whose credentials are taken (default: any)"
    )
    collect.add_argument(
        "--metadata-anchors", type=Path, metavar="PEM", help="roots of issuers' access certificates: signed metadata"
    )
    collect.add_argument(
        "--verifier-anchors",
        type=Path,
        metavar="PEM",
        help="roots of access certificates: show what such an issuer asks for, in the place of a login",
    )
    collect.add_argument(
        "--dataset",
        type=int,
        action="append",
        default=[],
        metavar="NUMBER",
        help="where there are several of a credential, only this one of the issuer's list (may be repeated)",
    )
    collect.set_defaults(run=_guarded(_collect))

    renew = commands.add_parser("renew", parents=[file, loopback], help="collect anew what the issuer lets the wallet")
    renew.add_argument("ids", nargs="*", metavar="ID", help="ids, or how they begin (default: all that can be renewed)")
    renew.add_argument(
        "--issuer-anchors", type=Path, metavar="PEM", help="the only roots whose credentials are taken (default: any)"
    )
    renew.add_argument(
        "--metadata-anchors", type=Path, metavar="PEM", help="roots of issuers' access certificates: signed metadata"
    )
    renew.set_defaults(run=_guarded(_renew))

    present = commands.add_parser("present", parents=[file, talking, misbehaving], help="answer a verifier's question")
    present.add_argument("request", help="the question's link, or a file with a picture of its QR code")
    present.add_argument(
        "--verifier-anchors",
        type=Path,
        metavar="PEM",
        required=True,
        help="roots of the access certificates of those who may ask",
    )
    present.add_argument(
        "--registrar-anchors", type=Path, metavar="PEM", help="roots of registration certificates: what one may ask"
    )
    present.add_argument(
        "--transaction-type",
        action="append",
        default=[],
        metavar="TYPE",
        help="a kind of transaction data that you may be asked to agree to (may be repeated)",
    )
    present.set_defaults(run=_guarded(_present))

    meet = commands.add_parser(
        "meet", parents=[file, talking, misbehaving], help="show an mdoc to a reader on this machine"
    )
    meet.add_argument(
        "--reader-anchors", type=Path, metavar="PEM", help="roots of readers' certificates: only these may ask"
    )
    meet.set_defaults(run=_guarded(_meet))

    cli_misbehaviours.register(commands)
    cli_serve.register(commands)
    cli_explain.register(commands)
    cli_proxy.register(commands)
    listed = commands.add_parser("list", parents=[file], help="what is in the wallet")
    listed.set_defaults(run=_guarded(_list))
    shown = commands.add_parser("show", parents=[file], help="one credential with its claims")
    shown.add_argument("id", help="its id, or how it begins")
    shown.set_defaults(run=_guarded(_show))
    cli_provider.register(commands, file, _guarded)


def _guarded(work: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """What the holder can understand becomes one sentence and status 1."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            work(arguments)
        except _EXPECTED as error:
            _tell(f"stadtnachweis: {error}{_hint(arguments)}")
        except EOFError:
            print("stadtnachweis: nobody is there to be asked; --yes agrees beforehand", file=sys.stderr)
        except OSError as error:
            print(f"stadtnachweis: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        else:
            return 0
        return 1

    return run


def _hint(arguments: argparse.Namespace) -> str:
    """What to try instead, where the link tells it."""
    offer, request = str(getattr(arguments, "offer", "")), str(getattr(arguments, "request", ""))
    if offer.startswith(("openid4vp:", "haip-vp:")):
        return "; this is a verifier's question: `stadtnachweis wallet present` answers it"
    if request.startswith(("openid-credential-offer:", "haip-vci:")):
        return "; this is an issuer's offer: `stadtnachweis wallet collect` takes it"
    if "http%3A%2F%2F" in offer + request and not arguments.allow_loopback_http:
        return "; --allow-loopback-http lets plain http to this machine pass"
    return ""


def _link(given: str) -> str:
    """The link itself, or what the QR code in a picture says."""
    return given if "://" in given else read_qr_code(Path(given).read_bytes())


def _collect(arguments: argparse.Namespace) -> None:
    conduct = cli_misbehaviours.conduct_of(arguments)
    wallet = Wallet(
        arguments.file,
        issuer_anchors=_anchors(arguments.issuer_anchors),
        metadata_anchors=_anchors(arguments.metadata_anchors),
        verifier_anchors=_anchors(arguments.verifier_anchors),
        allow_loopback_http=arguments.allow_loopback_http,
        conduct=conduct,
    )

    def work() -> None:
        with LoopbackBrowser(show=_show_address) as own_browser:
            holder = _holder(arguments, own_browser)
            collected = wallet.collect(_link(arguments.offer), holder=holder, copies=arguments.copies)
        print("In the wallet now:")
        _print_list(collected)

    _done(work, conduct, Phase.ISSUANCE)


def _renew(arguments: argparse.Namespace) -> None:
    wallet = Wallet(
        arguments.file,
        issuer_anchors=_anchors(arguments.issuer_anchors),
        metadata_anchors=_anchors(arguments.metadata_anchors),
        allow_loopback_http=arguments.allow_loopback_http,
    )
    meant = [_meant(wallet, each).batch for each in arguments.ids]
    found = dict.fromkeys(each.batch for each in wallet.credentials() if wallet.store.renewal(each.batch) is not None)
    batches = dict.fromkeys(meant) if arguments.ids else found
    if not batches:
        print("No credential in this wallet can be renewed: collect it anew.")
    failures: list[Exception] = []
    for batch in batches:
        try:
            _print_list(wallet.renew(batch))
        except _EXPECTED as error:  # the others may be renewed all the same
            failures.append(error)
    if failures:
        raise WalletFailure("; ".join(map(str, failures)))


def _meant(wallet: Wallet, id_or_prefix: str) -> StoredCredential:
    if len(id_or_prefix) < _SHORTEST_ID:
        raise UnknownCredential(f"give at least the first {_SHORTEST_ID} characters of the id")
    return wallet.store.find(id_or_prefix)


def _done(work: Callable[[], None], conduct: Conduct, phase: Phase) -> None:
    """Work as it is, or, if the wallet misbehaves, with whatever comes of it and a word about the reaction."""
    if conduct is HONEST:
        work()
        return
    try:
        work()
    except _EXPECTED as error:
        _tell(f"stadtnachweis: {error}")
    cli_misbehaviours.tell_reaction(conduct, phase)


def _holder(arguments: argparse.Namespace, own_browser: LoopbackBrowser) -> Holder:
    def accept(offer: OfferShown) -> bool:
        who = f"{offer.name} ({offer.issuer})" if offer.name else offer.issuer
        _tell(f"{who} offers:")
        for name in offer.credentials:
            _tell(f"  {name}")
        return _agreed(arguments, "Take it?")

    def tx_code() -> str:
        return arguments.tx_code or getpass("Transaction code: ")

    def log_in(url: str) -> str:
        forms = FormBrowser(
            username=arguments.login_as,
            password=getpass(f"Password of {arguments.login_as}: "),
            allow_loopback_http=arguments.allow_loopback_http,
        )
        return forms(url)

    def choose(name: str, identifiers: Sequence[str | None]) -> Sequence[str | None]:
        if len(identifiers) < 2:
            return identifiers
        _tell(f"There are {len(identifiers)} of {name}:")
        wanted: list[str | None] = []
        for number, each in enumerate(identifiers, 1):
            _tell(f"  {number}: {each}")
            if number in arguments.dataset or (not arguments.dataset and _agreed(arguments, "Take it?")):
                wanted.append(each)
        return wanted

    by_itself = arguments.login_as is not None
    return Holder(
        accept=accept,
        tx_code=tx_code,
        authorize=log_in if by_itself else own_browser,
        redirect_uri=REDIRECT_URI if by_itself else own_browser.redirect_uri,
        show=_consent_of(arguments) if arguments.verifier_anchors is not None else None,
        choose=choose,
    )


def _consent_of(arguments: argparse.Namespace) -> Consent:
    """Tells who wants to know what and what for, and asks."""

    def consent(question: QuestionShown) -> bool | Chosen:
        _tell(f"{question.verifier} asks for:")
        for entry in question.shown:
            _tell(f"  {entry.credential}: {', '.join(entry.claims) or 'that you have it'}")
        registration = question.registration
        if registration.state is not RegistrationState.NONE:
            reason = f" ({registration.reason})" if registration.reason else ""
            purpose = registration.purpose.get("en") or next(iter(registration.purpose.values()), "not said")
            _tell(f"What for: {purpose}; registration: {registration.state}{reason}")
        for agreement in question.agreements:
            _tell(f"You would agree to {agreement.type}:")
            for path, value in agreement.members:
                _tell(f"  {path}: {value if isinstance(value, str) else json.dumps(value)}")
        if not arguments.yes and question.sets:
            chosen = chosen_on_terminal(question)
            return chosen if _agreed(arguments, "Show it?") else False
        return _agreed(arguments, "Show it?")

    return consent


def _show_address(url: str) -> None:
    print(f"Open this address in a browser on this machine and log in:\n  {url}", file=sys.stderr)


def _present(arguments: argparse.Namespace) -> None:
    conduct = cli_misbehaviours.conduct_of(arguments)
    wallet = Wallet(
        arguments.file,
        verifier_anchors=_anchors(arguments.verifier_anchors),
        registrar_anchors=_anchors(arguments.registrar_anchors),
        allow_loopback_http=arguments.allow_loopback_http,
        habits=Habits(tuple(arguments.transaction_type)),
        conduct=conduct,
    )

    def work() -> None:
        presented = wallet.present(_link(arguments.request), consent=_consent_of(arguments))
        print("The verifier took the answer.")
        if presented.redirect_uri is not None:
            print(plain(f"Go on in your browser: {presented.redirect_uri}"))

    _done(work, conduct, Phase.PRESENTATION)


def _meet(arguments: argparse.Namespace) -> None:
    def consent(asked: ReaderShown) -> bool:
        _tell(f"{asked.reader or 'A reader that does not say who it is'} asks for:")
        for document in asked.shown:
            _tell(f"  {document.credential}: {', '.join(document.elements)}")
            if document.retained:
                _tell(f"    and keeps: {', '.join(document.retained)}")
        return _agreed(arguments, "Show it?")

    conduct = cli_misbehaviours.conduct_of(arguments)
    wallet = Wallet(arguments.file, conduct=conduct)

    def work() -> None:
        wallet.meet(
            reader_anchors=_anchors(arguments.reader_anchors),
            engaged=lambda link: print(link, flush=True),
            consent=consent,
        )
        print("The reader has the answer.")

    _done(work, conduct, Phase.PROXIMITY)


def _tell(line: str) -> None:
    print(plain(line), file=sys.stderr)


def _agreed(arguments: argparse.Namespace, question: str) -> bool:
    if arguments.yes:
        return True
    print(question, "[y/N] ", end="", file=sys.stderr, flush=True)
    return input().strip().lower() in ("y", "yes", "j", "ja")


def _list(arguments: argparse.Namespace) -> None:
    credentials = Wallet(arguments.file).credentials()
    if not credentials:
        print("The wallet is empty: `stadtnachweis wallet collect` takes what an issuer offers.")
    _print_list(credentials)


def _print_list(credentials: Iterable[StoredCredential]) -> None:
    """One line for each credential, however many copies there are."""
    batches: dict[str, list[StoredCredential]] = {}
    for credential in credentials:
        batches.setdefault(credential.batch, []).append(credential)
    for first, *more in batches.values():
        copies = f", {len(more) + 1} copies" if more else ""
        print(f"{_line(first)}{copies}")


def _line(credential: StoredCredential) -> str:
    day = datetime.fromtimestamp(credential.collected_at, UTC).date()
    return plain(f"{credential.id}  {credential.format:<9}  collected {day}  {credential.name} ({credential.issuer})")


def _show(arguments: argparse.Namespace) -> None:
    credential = _meant(Wallet(arguments.file), arguments.id)
    print(_line(credential))
    print(plain(f"type: {credential.type}"))
    print(f"times shown: {credential.shown}")
    for line in json.dumps(claims_of(held(credential)), indent=2, ensure_ascii=False).split("\n"):
        print(plain(line))


def _anchors(path: Path | None) -> tuple[TrustAnchor, ...]:
    return () if path is None else anchors_from_pem(path.read_bytes(), kind=AnchorKind.CA, name=path.name)
