"""The program `stadtnachweis`: finds the package behind a sub-command, lets it register itself, and runs what it set.

A package's module offers `register(subparsers)`, which adds the sub-command's parser and sets, with
`parser.set_defaults(run=…)`, the function from the parsed arguments to an exit status. Only the module of the
sub-command in use is imported.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from stadtnachweis import __version__


@dataclass(frozen=True, slots=True)
class SubCommand:
    """A sub-command before its package is loaded."""

    module: str
    extra: str
    summary: str


SUB_COMMANDS = {
    "issuer": SubCommand(
        "issuer.cli", "issuer", "run the service that mints credentials, and prepare its keys and database"
    ),
    "verifier": SubCommand(
        "verifier.cli", "all", "run the verifier service, judge a recorded answer, list the reasons of a refusal"
    ),
    "wallet": SubCommand("wallet_sim.cli", "wallet", "a simulated wallet: collect an offer, present, list, show"),
    "conformance": SubCommand("conformance.cli", "conformance", "judge any issuer, verifier or wallet by its address"),
    "doctor": SubCommand("issuer.doctor", "issuer", "explain the running settings and what is wrong with them"),
}

DESCRIPTION = """\
Stadtnachweis lets a city mint digital credentials into citizens' EUDI wallets and check what wallets present.

New here? In a checkout, `make demo` plays the whole story on this machine. Then look at
  stadtnachweis wallet --help     to be the citizen
  stadtnachweis issuer --help     to be the city that issues
  stadtnachweis verifier --help   to judge what a wallet showed
"""
OUR_PACKAGES = {"specs", "verifier", "issuer", "wallet_sim", "conformance"}


class Unavailable(Exception):
    """A sub-command cannot run here; the message says what to do about it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status: 0 done, 1 failed, 2 wrong usage or not installed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    wanted = next((each for each in given if not each.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="stadtnachweis", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"stadtnachweis {__version__}")
    subparsers = parser.add_subparsers(title="sub-commands", metavar="COMMAND", dest="command")
    try:
        for name, sub_command in SUB_COMMANDS.items():
            if name == wanted:
                _load(name, sub_command, subparsers)
            else:
                subparsers.add_parser(name, help=sub_command.summary)
        parsed = parser.parse_args(given)
        if parsed.command is None:
            parser.print_help()
            return 2
        return _run(parsed)
    except Unavailable as missing:
        print(f"stadtnachweis: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _load(
    name: str, sub_command: SubCommand, subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]"
) -> None:
    try:
        module = importlib.import_module(sub_command.module)
    except ModuleNotFoundError as error:
        raise _explained(error, name, sub_command) from None
    module.register(subparsers)
    if name not in subparsers.choices:
        raise Unavailable(f"{sub_command.module} registered no sub-command named “{name}”.")


def _run(parsed: argparse.Namespace) -> int:
    sub_command = SUB_COMMANDS[parsed.command]
    if not hasattr(parsed, "run"):
        raise Unavailable(f"say what to do: stadtnachweis {parsed.command} --help lists it.")
    try:
        status = parsed.run(parsed)
    except ModuleNotFoundError as error:
        raise _explained(error, parsed.command, sub_command) from None
    return int(status or 0)


def _explained(error: ModuleNotFoundError, name: str, sub_command: SubCommand) -> Exception:
    missing = error.name or ""
    if missing == sub_command.module:
        return Unavailable(f"this version has no sub-command “{name}” yet.")
    if missing.partition(".")[0] in OUR_PACKAGES:
        return error
    return Unavailable(
        f"“{name}” needs the extra [{sub_command.extra}], which is not installed (no module named {missing}): "
        f'pip install "stadtnachweis[{sub_command.extra}]"'
    )


if __name__ == "__main__":
    sys.exit(main())
