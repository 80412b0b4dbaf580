"""`stadtnachweis conformance oidf`: drive a running suite against running targets, and write the result down."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from conformance.oidf.driver import Step, drive
from conformance.oidf.plans import all_runs
from conformance.oidf.suite import Suite, SuiteFailed
from conformance.oidf.targets import IssuerDriver, TargetDriver, TargetFailed, VerifierDriver, WalletDriver
from conformance.oidf.verdicts import Verdict, load, not_allowed, save, write_table
from specs.encoding.strict_json import JsonObject

_GOOD, _FAILED, _USAGE = 0, 1, 2
_START_SECONDS = 60.0
_DRIVERS: Mapping[str, Callable[[JsonObject], TargetDriver]] = {
    "issuer": IssuerDriver,
    "verifier": VerifierDriver,
    "wallet": WalletDriver,
}
_DESCRIPTION = """\
Steps a running conformance suite of the OpenID Foundation through its plans, unattended:

  stadtnachweis issuer --profile oidf > issuer.json &
  stadtnachweis conformance oidf --suite https://localhost:8443 --target issuer.json

Exit status: 0 if each module passed (or is allowed not to), 1 if one failed, warned or was skipped, 2 if there was
nothing to run or the suite cannot be driven.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `oidf`."""
    oidf = commands.add_parser(
        "oidf",
        help="drive a running suite of the OpenID Foundation through its plans",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    oidf.add_argument("--suite", metavar="URL", help="where the suite runs, such as https://localhost:8443")
    oidf.add_argument("--token", help="its API token, if it wants one")
    oidf.add_argument(
        "--target", type=Path, action="append", default=[], metavar="FILE", help="what a target printed; repeatable"
    )
    oidf.add_argument("--run", action="append", default=[], dest="runs", metavar="ID", help="only this run; repeatable")
    oidf.add_argument("--module", action="append", default=[], metavar="NAME", help="only this module; repeatable")
    oidf.add_argument("--again", action="store_true", help="only modules that have not passed yet, by --results")
    oidf.add_argument(
        "--patience",
        type=float,
        default=300,
        metavar="SECONDS",
        help="for one module before it is stopped (default: 300)",
    )
    oidf.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    oidf.add_argument("--results", type=Path, default=Path("build/oidf.json"), metavar="FILE", help="verdicts as JSON")
    oidf.add_argument("--table", type=Path, metavar="FILE", help="document whose marked part shows the results")
    oidf.add_argument("--evidence", type=Path, metavar="FOLDER", help="keep the plans' logs there")
    oidf.add_argument(
        "--allow", action="append", default=[], metavar="NAME", help="MODULE or RUN/MODULE that may fail; repeatable"
    )
    oidf.add_argument("--list", action="store_true", help="list the runs and end")
    oidf.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    runs = [run for run in all_runs() if not arguments.runs or run.id in arguments.runs]
    if arguments.list:
        for run in runs:
            print(f"{run.id}\t{run.plan}\t{json.dumps(dict(run.variant))}")
        return _GOOD
    targets: dict[str, tuple[JsonObject, TargetDriver]] = {}
    for file in arguments.target:
        printed = _printed(file)
        if printed is None:
            print(f"stadtnachweis: {file} holds nothing that a target printed", file=sys.stderr)
            return _USAGE
        role, document = printed
        targets[role] = document, _DRIVERS[role](document)
    known = load(arguments.results).values() if arguments.again else ()
    done = frozenset(verdict.key for verdict in known if verdict.is_good)
    steps = [
        Step(run, *targets[run.role], frozenset(arguments.module), done, arguments.evidence, arguments.patience)
        for run in runs
        if run.role in targets
    ]
    if not steps or arguments.suite is None:
        print("stadtnachweis: name a suite, and a target for one of the runs that --list shows", file=sys.stderr)
        return _USAGE
    try:
        verdicts = asyncio.run(_driven(arguments, steps))
    except (SuiteFailed, TargetFailed) as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return _USAGE
    bad = not_allowed(verdicts, arguments.allow)
    print(f"{len(verdicts) - len(bad)} passed, {len(bad)} failed")
    return _FAILED if bad or not verdicts else _GOOD


def _printed(file: Path) -> tuple[str, JsonObject] | None:
    """Role and words of a target, as soon as it has said all: it may have been started a moment ago."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            document: JsonObject = json.loads(file.read_text(encoding="utf-8"))
            ours = document["stadtnachweis"]
            role = ours.get("role") if isinstance(ours, dict) else None
            return (role, document) if isinstance(role, str) and role in _DRIVERS else None
        except (OSError, ValueError, LookupError, TypeError):
            if time.monotonic() > until:
                return None
            time.sleep(0.2)


async def _driven(arguments: argparse.Namespace, steps: list[Step]) -> list[Verdict]:
    known = load(arguments.results)

    def tell(verdict: Verdict) -> None:
        known[verdict.key] = verdict
        save(arguments.results, known.values())
        print(f"{verdict.result:8} {verdict.run} {verdict.module} {verdict.variant}", flush=True)
        for finding in () if verdict.is_good else verdict.findings:
            print(f"         {finding}", flush=True)

    async with Suite(arguments.suite, token=arguments.token) as suite:
        verdicts = await drive(suite, steps, jobs=arguments.jobs, tell=tell)
    if arguments.table is not None:
        write_table(arguments.table, known)
    return verdicts
