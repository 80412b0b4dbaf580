"""How a run is told: lines for a terminal, and an object for machines."""

from conformance.check import Outcome, Result
from conformance.run import Report
from specs.encoding.strict_json import JsonObject, JsonValue

SIGNS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.SKIPPED: "–"}
_WIDTH = 26


def line(result: Result) -> str:
    """One check; a failed one with what was expected and what came."""
    first = f"{SIGNS[result.outcome]} {result.id:<{_WIDTH}} {result.title} ({result.clause})"
    if result.outcome is Outcome.FAILED:
        return f"{first}\n    expected: {result.expected}\n    came:     {result.came}"
    return f"{first}\n    {result.came}" if result.outcome is Outcome.SKIPPED else first


def summary(report: Report) -> str:
    """The last line."""
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in Outcome)
    return f"{report.target} by {report.profile}: {counts} ({report.requests} requests, {report.seconds:.1f} s)"


def as_json(report: Report) -> JsonObject:
    """The whole report."""
    results: list[JsonValue] = [
        {
            "id": result.id,
            "clause": result.clause,
            "title": result.title,
            "outcome": result.outcome.value,
            "expected": result.expected,
            "came": result.came,
        }
        for result in report.results
    ]
    return {
        "kind": report.kind,
        "target": report.target,
        "profile": report.profile,
        "good": report.is_good,
        **{outcome.value: report.count(outcome) for outcome in Outcome},
        "requests": report.requests,
        "seconds": round(report.seconds, 3),
        "results": results,
    }
