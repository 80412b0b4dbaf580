"""`stadtnachweis conformance …`: judge an issuer, a verifier or a wallet by its address."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import conformance.oidf.command as oidf
from conformance.build import client_of, identity_of, issuer_target, verifier_target, wallet_target
from conformance.check import PROFILES, Check, Recorded, Result, chosen
from conformance.compare import NoReport, changes, read_run
from conformance.guide import Guide
from conformance.identity import SuiteIdentity
from conformance.oidf.export import plan_configurations
from conformance.oidf.results import NoResults, read_results
from conformance.oidf.verdicts import Verdict
from conformance.report import as_json, foundation_summary, line, not_covered, summary
from conformance.report_html import LANGUAGES, html_page
from conformance.run import Report, issuer_checks, verifier_checks, wallet_checks
from conformance.settings import Settings, SettingsWrong, read_settings
from conformance.under_pytest import run_under_pytest

_GOOD, _FAILED, _USAGE = 0, 1, 2
_DESCRIPTION = """\
Judges an issuer, a verifier or a wallet by how it answers, over the network and nothing else; each check names the
clause of the standard that it comes from. What a target's address alone does not tell (how to get an offer, whom to
trust) is said in a file of settings; what can't be tried without it is skipped, with the reason.

  stadtnachweis conformance run --issuer https://issuer.example/t/leipzig
  stadtnachweis conformance run --issuer http://127.0.0.1:8701/t/leipzig --allow-loopback-http --settings target.yaml \\
      --json report.json --html report.html --junit report.xml
  stadtnachweis conformance identity suite/            # whom the target must trust
  stadtnachweis conformance compare before.json after.json
  stadtnachweis conformance list
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `conformance`."""
    parser = subparsers.add_parser(
        "conformance",
        help="judge any issuer, verifier or wallet by its address",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _register_run(commands.add_parser("run", help="run the checks: status 0 if none failed, 1 if one did"))
    listed = commands.add_parser("list", help="list the checks with their clauses")
    listed.set_defaults(run=_list)
    identity = commands.add_parser("identity", help="make or show whom targets must trust: roots of the suite")
    identity.add_argument("folder", type=Path, metavar="FOLDER", help="where keys and certificates are kept")
    identity.set_defaults(run=_identity)
    compared = commands.add_parser("compare", help="what changed between two reports: status 1 if anything got worse")
    compared.add_argument("before", type=Path, metavar="A.json")
    compared.add_argument("after", type=Path, metavar="B.json")
    compared.set_defaults(run=_compare)
    exported = commands.add_parser("export", help="write configurations of the Foundation's suite for a target")
    exported.add_argument("--settings", type=Path, required=True, metavar="FILE", help="what the suite is told of it")
    exported.add_argument("folder", type=Path, metavar="FOLDER", help="where they go; they hold private test keys")
    exported.set_defaults(run=_export)
    oidf.register(commands)


def _register_run(run: argparse.ArgumentParser) -> None:
    target = run.add_mutually_exclusive_group()
    target.add_argument("--issuer", metavar="URL", help="its credential issuer identifier")
    target.add_argument("--verifier", metavar="URL", help="its address; --settings says how to get its requests")
    target.add_argument("--wallet", metavar="URL", help="its authorization endpoint; --settings says the rest")
    run.add_argument("--settings", type=Path, metavar="FILE", help="what the suite is told of the target, as YAML")
    run.add_argument("--profile", choices=PROFILES, help="whose rules apply beside the standards' (default: haip-1.0)")
    run.add_argument(
        "--allow-loopback-http",
        action="store_true",
        default=None,
        help="talk plain http to this machine, for demonstrations",
    )
    run.add_argument(
        "--only", action="append", default=[], metavar="ID", help="only this check, or part-* for those that begin so"
    )
    run.add_argument("--guide", action="store_true", help="ask a person on a page for what no program can do")
    run.add_argument("--guide-port", type=int, default=0, metavar="N", help="where the page is (default: a free port)")
    run.add_argument("--slow", action="store_true", help="also wait for codes and requests to expire")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    run.add_argument("--html", type=Path, metavar="FILE", help="write it as one page for people")
    run.add_argument("--language", choices=LANGUAGES, default="en", help="of that page (default: en)")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML")
    run.add_argument(
        "--oidf-results", type=Path, metavar="FILE", help="results of the Foundation's suite, shown in the report"
    )
    run.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    given = {
        name: getattr(arguments, name) for name in ("issuer", "verifier", "wallet", "profile", "allow_loopback_http")
    }
    try:
        settings = read_settings(arguments.settings, given)
        for file in (arguments.json, arguments.html, arguments.junit):
            if file is not None and not file.absolute().parent.is_dir():
                raise SettingsWrong(f"{file}: there is no such folder")
        verdicts = read_results(arguments.oidf_results) if arguments.oidf_results else ()
        report = _judged(settings, arguments)
    except (SettingsWrong, NoResults) as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return _USAGE
    except OSError as error:
        print(f"stadtnachweis: {error.strerror}: {error.filename}", file=sys.stderr)
        return _USAGE
    print(summary(report))
    print(not_covered(report))
    if verdicts:
        print(foundation_summary(verdicts))
    return _written(report, verdicts, arguments)


def _judged(settings: Settings, arguments: argparse.Namespace) -> Report:
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(client_of(settings))
        guide = None
        if arguments.guide:
            guide = stack.enter_context(Guide(port=arguments.guide_port))
            print(f"The guide is at {guide.url}", flush=True)
        if settings.issuer is not None:
            target = issuer_target(settings, client, ask=guide.ask if guide else None)
            return _tried("issuer", settings.issuer, target, issuer_checks(), settings, arguments)
        if settings.verifier is not None:
            with verifier_target(settings, client, ask=guide.ask if guide else None) as asking:
                return _tried("verifier", settings.verifier, asking, verifier_checks(), settings, arguments)
        if settings.wallet is not None:
            person = guide.show if guide else None
            with wallet_target(settings, client, person=person) as called:
                return _tried("wallet", settings.wallet, called, wallet_checks(), settings, arguments)
    raise SettingsWrong("name a target: --issuer, --verifier or --wallet")


def _tried(
    kind: str,
    url: str,
    target: Recorded,
    checks: Sequence[Check[Any]],
    settings: Settings,
    arguments: argparse.Namespace,
) -> Report:
    unknown = [name for name in arguments.only if not chosen(checks, [name])]
    if unknown:
        raise SettingsWrong(f"no check is called {', '.join(unknown)}")
    wanted = chosen(checks, arguments.only)
    return run_under_pytest(
        kind,
        url,
        target,
        wanted,
        profile=settings.profile,
        with_slow=arguments.slow,
        junit=arguments.junit,
        tell=_teller(),
    )


def _teller() -> Callable[[Result, int, int], None]:
    def tell(result: Result, done: int, total: int) -> None:
        print(f"[{done:>3}/{total}] {line(result)}", flush=True)

    return tell


def _written(report: Report, verdicts: Sequence[Verdict], arguments: argparse.Namespace) -> int:
    document = as_json(report, foundation=verdicts)
    try:
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if arguments.html is not None:
            arguments.html.write_text(
                html_page(document, foundation=verdicts, language=arguments.language), encoding="utf-8"
            )
    except OSError as error:
        print(f"stadtnachweis: {error.strerror}: {error.filename}", file=sys.stderr)
        return _USAGE
    return _GOOD if report.is_good else _FAILED


def _list(_arguments: argparse.Namespace) -> int:
    for kind, checks in all_checks().items():
        for check in checks:
            print(f"{check.id}\t{check.clause}\t{check.title}\t{', '.join(sorted(check.profiles))}\t{kind}")
    return _GOOD


def all_checks() -> dict[str, Sequence[Check[Any]]]:
    """All checks, by kind of target."""
    return {"issuer": issuer_checks(), "verifier": verifier_checks(), "wallet": wallet_checks()}


def _identity(arguments: argparse.Namespace) -> int:
    try:
        identity = SuiteIdentity.of(arguments.folder)
    except (OSError, ValueError) as error:
        print(f"stadtnachweis: {arguments.folder}: {error}", file=sys.stderr)
        return _USAGE
    print(f"client_id\t{identity.client_id}")
    for role in identity.roots:
        print(f"{role}\t{arguments.folder / f'{role}-root.pem'}")
    return _GOOD


def _export(arguments: argparse.Namespace) -> int:
    try:
        settings = read_settings(arguments.settings, {})
        if settings.identity is None:
            raise SettingsWrong("identity: name the folder of who the suite is")
        found = plan_configurations(settings, identity_of(settings))
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name, configuration in found.items():
            file = arguments.folder / name
            file.touch(mode=0o600)
            file.write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")
            print(file)
    except SettingsWrong as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return _USAGE
    except OSError as error:
        print(f"stadtnachweis: {error.strerror}: {error.filename}", file=sys.stderr)
        return _USAGE
    return _GOOD


def _compare(arguments: argparse.Namespace) -> int:
    try:
        before, after = read_run(arguments.before), read_run(arguments.after)
        if before.kind != after.kind:
            raise NoReport(f"{arguments.after}: of a {after.kind}, the other one of a {before.kind}")
    except NoReport as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return _USAGE
    for what, one, other in (("target", before.target, after.target), ("profile", before.profile, after.profile)):
        if one != other:
            print(f"another {what}: {one} → {other}")
    found = changes(before.outcomes, after.outcomes)
    for change in found:
        print(change.described)
    worse = sum(change.is_worse for change in found)
    print(f"{worse} worse, {len(found) - worse} better, new or untried")
    return _FAILED if worse else _GOOD
