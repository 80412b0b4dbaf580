"""What the suite said: a result for each module of each run, kept as JSON and shown as a table."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from conformance.oidf.plans import all_runs

PASSED = frozenset({"PASSED", "REVIEW"})
_CLEAN = frozenset({"SUCCESS", "INFO", "REVIEW", "FINISHED"})
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One module of one run. findings: the suite's own words for what it held against us. day: ISO 8601."""

    run: str
    module: str
    variant: str
    result: str
    findings: tuple[str, ...]
    log: str
    suite: str
    day: str

    @property
    def is_good(self) -> bool:
        """Whether nothing stands against us; REVIEW is good, for its page has been seen."""
        return self.result in PASSED

    @property
    def key(self) -> str:
        """What a later try replaces."""
        return verdict_key(self.run, self.module, self.variant)


def verdict_key(run: str, module: str, variant: str) -> str:
    """What tells verdicts apart."""
    return f"{run}/{module}/{variant}"


def load(file: Path) -> dict[str, Verdict]:
    """The verdicts so far, by key; none if there is no file yet."""
    if not file.exists():
        return {}
    entries = json.loads(file.read_text(encoding="utf-8"))
    verdicts = (Verdict(**{**entry, "findings": tuple(entry["findings"])}) for entry in entries)
    return {verdict.key: verdict for verdict in verdicts}


def save(file: Path, verdicts: Iterable[Verdict]) -> None:
    """Keep all of them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(verdict) for verdict in verdicts], indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def not_allowed(verdicts: Iterable[Verdict], allowed: Sequence[str]) -> list[Verdict]:
    """What counts against us. allowed: `module` or `run/module`, each a departure that somebody has agreed to."""
    return [
        verdict
        for verdict in verdicts
        if not verdict.is_good and verdict.module not in allowed and f"{verdict.run}/{verdict.module}" not in allowed
    ]


def write_table(document: Path, verdicts: Mapping[str, Verdict]) -> None:
    """Put the results between the two marks of a document; the rest of it stays as it is."""
    text = document.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    document.write_text(f"{before}{_BEGIN}\n{table(verdicts.values())}{_END}{after}", encoding="utf-8")


def table(verdicts: Iterable[Verdict]) -> str:
    """A summary of the runs; then, for each plan, its modules against its runs, and what was held against us."""
    by_run: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_run.setdefault(verdict.run, []).append(verdict)
    lines = ["| run | modules | passed | warning | failed | skipped | suite | date |", f"|{'---|' * 8}"]
    lines += [_summary(run, group) for run, group in sorted(by_run.items())]
    plans: dict[str, list[str]] = {}
    for run in all_runs():
        if run.id in by_run:
            plans.setdefault(run.plan, []).append(run.id)
    for plan, names in plans.items():
        lines += ["", f"### {plan}", "", *_matrix(names, [each for name in names for each in by_run[name]])]
    return "\n".join(lines) + "\n"


def _summary(run: str, group: Sequence[Verdict]) -> str:
    results = [verdict.result for verdict in group]
    passed = sum(result in PASSED for result in results)
    failed = sum(result not in {*PASSED, "WARNING", "SKIPPED"} for result in results)
    counts = f"{len(group)} | {passed} | {results.count('WARNING')} | {failed} | {results.count('SKIPPED')}"
    return f"| {run} | {counts} | {group[-1].suite} | {max(verdict.day for verdict in group)} |"


def _matrix(runs: Sequence[str], verdicts: Sequence[Verdict]) -> list[str]:
    results: dict[tuple[str, str], dict[str, str]] = {}
    for verdict in verdicts:
        results.setdefault((verdict.module, verdict.variant), {})[verdict.run] = verdict.result
    lines = [f"| module | variant | {' | '.join(runs)} |", f"|{'---|' * (2 + len(runs))}"]
    for (module, variant), by_run in results.items():
        lines.append(f"| {module} | {variant} | {' | '.join(by_run.get(run, '') for run in runs)} |")
    held: dict[tuple[str, str], list[str]] = {}  # runs by module and what was held against them
    for verdict in verdicts:
        if not verdict.is_good:
            held.setdefault((verdict.module, "; ".join(verdict.findings)[:400]), []).append(verdict.run)
    remarks = [
        f"- {module}: {findings} ({', '.join(dict.fromkeys(each))})" for (module, findings), each in held.items()
    ]
    return [*lines, "", *remarks] if remarks else lines


def findings_of(log: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """What the log of a test holds against us: result, condition and message of each entry that isn't clean."""
    return tuple(
        f"{entry['result']} {entry.get('src')}: {str(entry.get('msg')).partition(chr(10))[0]}"
        for entry in log
        if isinstance(entry.get("result"), str) and entry["result"] not in _CLEAN
    )
