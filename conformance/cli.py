"""`stadtnachweis conformance …`: judge an issuer by its address."""

import argparse
import json
import sys
from pathlib import Path

import conformance.oidf.command as oidf
from conformance.check import HAIP, PROFILES
from conformance.report import as_json, line, summary
from conformance.run import Report, issuer_checks, run_issuer
from specs.protocols.oauth import InvalidAnswer

_GOOD, _FAILED, _USAGE = 0, 1, 2
_DESCRIPTION = """\
Judges an issuer by what it publishes and how it answers, over the network and nothing else. It collects no credential
and needs no account; each check names the clause of the standard that it comes from.

  stadtnachweis conformance run --issuer https://issuer.example/t/leipzig
  stadtnachweis conformance run --issuer http://127.0.0.1:8701/t/leipzig --allow-loopback-http --json report.json
  stadtnachweis conformance list
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `conformance`."""
    parser = subparsers.add_parser(
        "conformance",
        help="judge any issuer by its address",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    run = commands.add_parser("run", help="run the checks: status 0 if none failed, 1 if one did")
    run.add_argument("--issuer", required=True, metavar="URL", help="its credential issuer identifier")
    run.add_argument(
        "--profile", choices=PROFILES, default=HAIP, help="whose rules apply beside OpenID4VCI (default: haip-1.0)"
    )
    run.add_argument(
        "--allow-loopback-http", action="store_true", help="talk plain http to this machine, for demonstrations"
    )
    run.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    run.set_defaults(run=_run)
    listed = commands.add_parser("list", help="list the checks with their clauses")
    listed.set_defaults(run=_list)
    oidf.register(commands)


def _run(arguments: argparse.Namespace) -> int:
    try:
        report = run_issuer(
            arguments.issuer,
            profile=arguments.profile,
            allow_loopback_http=arguments.allow_loopback_http,
            tell=lambda result: print(line(result), flush=True),
        )
    except InvalidAnswer as error:
        print(f"stadtnachweis: {arguments.issuer} cannot be an issuer: {error}", file=sys.stderr)
        return _USAGE
    print(summary(report))
    return _written(report, arguments.json)


def _written(report: Report, file: Path | None) -> int:
    if file is not None:
        try:
            file.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            print(f"stadtnachweis: {error.strerror}: {error.filename}", file=sys.stderr)
            return _USAGE
    return _GOOD if report.is_good else _FAILED


def _list(_arguments: argparse.Namespace) -> int:
    for check in issuer_checks():
        print(f"{check.id}\t{check.clause}\t{check.title}\t{', '.join(sorted(check.profiles))}")
    return _GOOD
