"""How a run is told: lines for a terminal, and an object for machines."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from conformance.catalogue import Requirement, requirements_of
from conformance.check import Outcome, Result
from conformance.oidf.verdicts import Verdict
from conformance.run import Report
from specs.encoding.strict_json import JsonObject, JsonValue

SIGNS = {Outcome.PASSED: "✓", Outcome.WARNED: "!", Outcome.FAILED: "✗", Outcome.SKIPPED: "–"}
NOT_CHECKED = "not checked"
NOT_CHOSEN = "its checks were not chosen for this run"
_WIDTH = 30


def line(result: Result) -> str:
    """One check; a failed one with what was expected and what came."""
    first = f"{SIGNS[result.outcome]} {result.id:<{_WIDTH}} {result.title} ({result.clause})"
    if result.outcome in (Outcome.FAILED, Outcome.WARNED):
        return f"{first}\n    expected: {result.expected}\n    came:     {result.came}"
    return f"{first}\n    {result.came}" if result.outcome is Outcome.SKIPPED else first


def summary(report: Report) -> str:
    """The last line."""
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in Outcome)
    return f"{report.target} by {report.profile}: {counts} ({report.requests} requests, {report.seconds:.1f} s)"


def verdict(requirement: Requirement, results: Mapping[str, Result]) -> str:
    """What a run says about a requirement: the worst outcome of its checks; skipped if none of them was tried."""
    outcomes = {results[each].outcome for each in requirement.checks if each in results}
    for outcome in (Outcome.FAILED, Outcome.WARNED, Outcome.PASSED, Outcome.SKIPPED):
        if outcome in outcomes:
            return outcome.value
    return NOT_CHECKED


def why_not(requirement: Requirement, results: Mapping[str, Result]) -> str:
    """Why nothing can be said about a requirement; empty if something can."""
    said = verdict(requirement, results)
    if said == NOT_CHECKED:
        return requirement.uncovered or NOT_CHOSEN
    if said != Outcome.SKIPPED.value:
        return ""
    return "; ".join(dict.fromkeys(results[each].came for each in requirement.checks if each in results))


def not_covered(report: Report) -> str:
    """The requirements that this run says nothing about, each with the reason."""
    results = {result.id: result for result in report.results}
    lines: list[str] = []
    not_chosen = 0
    for requirement in requirements_of(report.kind):
        reason = why_not(requirement, results)
        if reason == NOT_CHOSEN:
            not_chosen += 1
        elif reason:
            lines.append(f"  {requirement.id:<14} {_named(requirement)}\n      {reason}")
    total = len(requirements_of(report.kind))
    covered = total - len(lines) - not_chosen
    if not_chosen:
        lines.append(f"  and {not_chosen} whose checks were not chosen for this run")
    return "\n".join([f"{covered} of {total} requirements were covered; not:", *lines])


def _named(requirement: Requirement) -> str:
    return f"{requirement.standard} {requirement.clause}: {requirement.text}"


def foundation_summary(verdicts: Sequence[Verdict]) -> str:
    """What the Foundation's suite said, in a line, and each module that is not good."""
    bad = [each for each in verdicts if not each.is_good]
    lines = [f"The Foundation's suite: {len(verdicts) - len(bad)} of {len(verdicts)} modules are good"]
    return "\n".join([*lines, *(f"  {each.result:<8} {each.run} {each.module} {each.variant}" for each in bad)])


def as_json(report: Report, *, foundation: Sequence[Verdict] = ()) -> JsonObject:
    """The whole report. foundation: what the Foundation's suite said of the same target."""
    by_id = {result.id: result for result in report.results}
    results: list[JsonValue] = [
        {
            "id": result.id,
            "clause": result.clause,
            "title": result.title,
            "outcome": result.outcome.value,
            "expected": result.expected,
            "came": result.came,
            "exchanges": [each.as_json() for each in result.exchanges],
        }
        for result in report.results
    ]
    requirements: list[JsonValue] = [
        {
            "id": each.id,
            "standard": each.standard,
            "clause": each.clause,
            "text": each.text,
            "outcome": verdict(each, by_id),
            "checks": list(each.checks),
            "reason": why_not(each, by_id),
        }
        for each in requirements_of(report.kind)
    ]
    return {
        "kind": report.kind,
        "target": report.target,
        "profile": report.profile,
        "at": datetime.now(UTC).replace(microsecond=0).isoformat(),
        "good": report.is_good,
        **{outcome.value: report.count(outcome) for outcome in Outcome},
        "requests": report.requests,
        "seconds": round(report.seconds, 3),
        "results": results,
        "requirements": requirements,
        "foundation": [
            {
                "run": each.run,
                "module": each.module,
                "variant": each.variant,
                "result": each.result,
                "findings": list(each.findings),
            }
            for each in foundation
        ],
    }
