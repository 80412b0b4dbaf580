"""The report as one page: what holds, what does not, by requirement; for people who don't read protocols, and who do.

Nothing is loaded from anywhere, and no script runs; details open by the browser's own means.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from conformance.oidf.verdicts import Verdict
from specs.encoding.strict_json import JsonObject, JsonValue

_WORDS = {
    "passed": "holds",
    "warned": "holds, with a remark",
    "failed": "does not hold",
    "skipped": "not tried",
    "not checked": "not checked",
}
_ORDER = ("failed", "warned", "passed", "skipped", "not checked")
_STYLE = """
:root{color-scheme:light dark;--good:#1a7f37;--bad:#b3261e;--warn:#8a5a00;--none:#5f6368}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}
table{border-collapse:collapse;table-layout:fixed;width:100%}td{overflow-wrap:anywhere}
th:nth-child(1){width:40%}th:nth-child(3){width:7rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #8884}
.passed{color:var(--good)}.failed{color:var(--bad);font-weight:600}.warned{color:var(--warn)}
.skipped,.not-checked{color:var(--none)}
details{margin:.4rem 0;border-left:3px solid #8886;padding-left:.8rem}summary{cursor:pointer}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.5rem;font-size:.8rem}
.counts{display:flex;gap:1.5rem;flex-wrap:wrap;padding:0;list-style:none}.counts b{font-size:1.6rem;display:block}
"""


def html_page(report: JsonObject, *, foundation: Sequence[Verdict] = ()) -> str:
    """The page of a report in its JSON form. foundation: what the Foundation's suite said of the same target."""
    requirements, results = _objects(report.get("requirements")), _objects(report.get("results"))
    title = f"{report['kind']} {report['target']}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Conformance: {escape(title)}</title><style>{_STYLE}</style>",
        f"<main><h1>Does this {escape(str(report['kind']))} keep to the standards?</h1>",
        f"<p>{escape(str(report['target']))}, by {escape(str(report['profile']))}, {escape(str(report['at']))}.</p>",
        _answer(report, requirements),
        _counts(requirements),
        _table(requirements),
        "<h2>Checks</h2><p>Personal data and secrets are left out of all traffic that is shown here.</p>",
        *(_check(each) for each in results),
        _foundation(foundation),
        "</main></html>",
    ]
    return "\n".join(parts) + "\n"


def _answer(report: JsonObject, requirements: Sequence[JsonObject]) -> str:
    broken = [each for each in requirements if each["outcome"] == "failed"]
    failed = report.get("failed")
    if not broken and not failed:
        words = "Yes, as far as it was checked." if report.get("good") else "Nothing could be checked."
        return f"<p class={'passed' if report.get('good') else 'skipped'}><strong>{words}</strong></p>"
    return f"<p class=failed><strong>No: {len(broken)} requirements don't hold ({failed} checks failed).</strong></p>"


def _counts(requirements: Sequence[JsonObject]) -> str:
    items = "".join(
        f"<li class={_class(outcome)}><b>{sum(each['outcome'] == outcome for each in requirements)}</b>"
        f"{_WORDS[outcome]}"
        for outcome in _ORDER
    )
    return f"<h2>Requirements</h2><ul class=counts>{items}</ul>"


def _table(requirements: Sequence[JsonObject]) -> str:
    rows = []
    for outcome in _ORDER:
        for each in requirements:
            if each["outcome"] == outcome:
                rows.append(_row(each, outcome))
    head = "<tr><th scope=col>Requirement<th scope=col>From<th scope=col>Result<th scope=col>Checks"
    return f"<table><thead>{head}<tbody>{''.join(rows)}</table>"


def _row(requirement: JsonObject, outcome: str) -> str:
    checks = requirement["checks"]
    names = [escape(str(each)) for each in checks] if isinstance(checks, list) else []
    links = ", ".join(f'<a href="#{name}">{name}</a>' for name in names)
    reason = f"<br><small>{escape(str(requirement['reason']))}</small>" if requirement.get("reason") else ""
    return (
        f"<tr><td>{escape(str(requirement['text']))}{reason}"
        f"<td>{escape(str(requirement['standard']))} {escape(str(requirement['clause']))}"
        f"<td class={_class(outcome)}>{_WORDS[outcome]}<td>{links}"
    )


def _check(result: JsonObject) -> str:
    outcome = str(result["outcome"])
    expected = f"<p>Expected: {escape(str(result['expected']))}</p>" if result.get("expected") else ""
    traffic = "".join(_exchange(each) for each in _objects(result.get("exchanges")))
    is_open = " open" if outcome == "failed" else ""
    return (
        f'<details id="{escape(str(result["id"]))}"{is_open}><summary>'
        f"<span class={_class(outcome)}>{_WORDS[outcome]}</span> {escape(str(result['title']))} "
        f"<small>({escape(str(result['id']))}, {escape(str(result['clause']))})</small></summary>"
        f"{expected}<p>Came: {escape(str(result['came']))}</p>{traffic}</details>"
    )


def _exchange(exchange: JsonObject) -> str:
    request, answer = _object(exchange.get("request")), _object(exchange.get("answer"))
    sent = f"{request.get('method')} {request.get('url')}\n{_lines(request.get('headers'))}\n{request.get('body')}"
    came = f"{answer.get('status')}\n{_lines(answer.get('headers'))}\n{answer.get('body')}"
    who = "The target sent" if exchange.get("from") == "target" else "Sent"
    return f"<p>{who}</p><pre>{escape(sent.strip())}</pre><p>Answer</p><pre>{escape(came.strip())}</pre>"


def _foundation(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    rows = "".join(
        f"<tr><td>{escape(each.module)} {escape(each.variant)}<td>{escape(each.run)}"
        f"<td class={'passed' if each.is_good else 'failed'}>{escape(each.result)}"
        f"<td>{escape('; '.join(each.findings))}"
        for each in verdicts
    )
    head = "<tr><th scope=col>Module<th scope=col>Run<th scope=col>Result<th scope=col>Findings"
    return f"<h2>The OpenID Foundation's suite</h2><table><thead>{head}<tbody>{rows}</table>"


def _class(outcome: str) -> str:
    return outcome.replace(" ", "-")


def _lines(headers: JsonValue) -> str:
    return "\n".join(f"{name}: {value}" for name, value in _object(headers).items())


def _object(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue) -> list[JsonObject]:
    values: Iterable[JsonValue] = value if isinstance(value, list) else ()
    return [each for each in values if isinstance(each, dict)]
