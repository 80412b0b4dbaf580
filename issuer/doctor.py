"""`stadtnachweis doctor`: explain the installation that the environment describes, and what is wrong with it."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from issuer.departures import Finding, Level
from issuer.examination import examine
from issuer.public_address import examine_public_address
from issuer.service import build_service, system_clock
from issuer.settings import IssuerSettings, SettingsError, load_settings

_SIGNS = {Level.FINE: "✓", Level.WARNING: "!", Level.PENDING: "→", Level.PROBLEM: "✗"}
_DESCRIPTION = """\
Looks at the issuer's installation that the environment (ISSUER_…) describes and changes nothing.
✓ is fine; ! works, but departs from the preset or will not work for long; → is still to be done before it works;
✗ does not work or is not safe. Behind each sentence stand the clause that wants it and the setting that changes it.
With --public the running issuer is looked at by its own address, once all else is in order; nobody else is asked.
Exit status: 0 without → and ✗, 1 with one.
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="explain the running settings and what is wrong with them",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--public",
        action="store_true",
        help="also look from outside: public address, TLS, clock",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    findings = _found(public=arguments.public)
    is_fine = all(finding.level in (Level.FINE, Level.WARNING) for finding in findings)
    text = _as_json(findings, is_fine=is_fine) if arguments.json else "\n".join(map(_line, findings))
    sys.stdout.write(text + "\n")
    return 0 if is_fine else 1


def _found(*, public: bool) -> list[Finding]:
    try:
        settings = load_settings()
    except SettingsError as error:
        return [Finding(Level.PROBLEM, "settings", f"The settings cannot be used: {error}.")]
    findings = [
        Finding(Level.FINE, "settings", "The settings are readable."),
        *asyncio.run(examine(settings, now=system_clock())),
    ]
    if public and not any(finding.level is Level.PROBLEM for finding in findings):
        findings += asyncio.run(_seen_from_outside(settings))
    return findings


async def _seen_from_outside(settings: IssuerSettings) -> list[Finding]:
    service = build_service(settings)
    try:
        return await examine_public_address(service, now=system_clock())
    finally:
        service.outgoing.close()
        await service.store.close()


def _line(finding: Finding) -> str:
    setting = "" if finding.setting is None else f" [{finding.setting}]"
    clause = "" if finding.clause is None else f" ({finding.clause})"
    return f"{_SIGNS[finding.level]} {finding.about}: {finding.sentence}{clause}{setting}"


def _as_json(findings: Sequence[Finding], *, is_fine: bool) -> str:
    described = [
        {
            "level": finding.level,
            "about": finding.about,
            "sentence": finding.sentence,
            "clause": finding.clause,
            "setting": finding.setting,
        }
        for finding in findings
    ]
    return json.dumps({"fine": is_fine, "findings": described}, indent=2, ensure_ascii=False)
