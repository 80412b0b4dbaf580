"""The report as one page: what holds, what does not, by requirement; for people who don't read protocols, and who do.

Nothing is loaded from anywhere, and no script runs; details open by the browser's own means.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from typing import Any

import yaml

from conformance.oidf.verdicts import Verdict
from specs.encoding.strict_json import JsonObject, JsonValue

LANGUAGES = ("en", "de")
_ORDER = ("failed", "warned", "passed", "skipped", "not checked")
_STYLE = """
:root{color-scheme:light dark;--good:#116329;--bad:#a40e26;--warn:#7a4d00;--none:#56595e;--link:#0b57d0}
html{background:#fff;color:#1b1b1b}a{color:var(--link)}
@media (prefers-color-scheme:dark){
:root{--good:#7ee2a8;--bad:#ff9b94;--warn:#ffcf70;--none:#b4b8bd;--link:#8ab4f8}html{background:#121212;color:#eee}}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}
.wide{overflow-x:auto}table{border-collapse:collapse;table-layout:fixed;width:100%;min-width:40rem}td{overflow-wrap:anywhere}
th:nth-child(1){width:40%}th:nth-child(3){width:7rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #8884}
.passed{color:var(--good)}.failed{color:var(--bad);font-weight:600}.warned{color:var(--warn)}
.skipped,.not-checked{color:var(--none)}
details{margin:.4rem 0;border-left:3px solid #8886;padding-left:.8rem}summary{cursor:pointer}
pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #8886;padding:.5rem;font-size:.8rem}
.counts{display:flex;gap:1.5rem;flex-wrap:wrap;padding:0;list-style:none}.counts b{font-size:1.6rem;display:block}
"""


@cache
def _texts() -> Mapping[str, Mapping[str, Any]]:
    loaded: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
        (resources.files("conformance") / "report_texts.yaml").read_text(encoding="utf-8")
    )
    return loaded


def html_page(report: JsonObject, *, foundation: Sequence[Verdict] = (), language: str = "en") -> str:
    """The page of a report in its JSON form. foundation: what the Foundation's suite said of the same target."""
    return _Page(_texts()[language], language).of(report, foundation)


@dataclass(frozen=True, slots=True)
class _Page:
    """Puts the page together. say: its texts."""

    say: Mapping[str, Any]
    language: str

    def of(self, report: JsonObject, foundation: Sequence[Verdict]) -> str:
        """The whole page."""
        requirements, results = _objects(report.get("requirements")), _objects(report.get("results"))
        say, kind = self.say, self.say["kinds"].get(report["kind"], report["kind"])
        title = say["title"].format(kind=kind, target=report["target"])
        run = say["run"].format(target=report["target"], profile=report["profile"], at=report["at"])
        parts = [
            f"<!doctype html><html lang={self.language}><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width,initial-scale=1'>",
            "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            f"<main><h1>{escape(say['question'].format(kind=kind))}</h1><p>{escape(run)}</p>",
            self._answer(report, requirements),
            self._counts(requirements),
            f"<p>{escape(say['english'])}</p>" if say["english"] else "",
            self._table(requirements),
            f"<h2>{escape(say['checks'])}</h2><p>{escape(say['privacy'])}</p>",
            *(self._check(each) for each in results),
            self._foundation(foundation),
            "</main></html>",
        ]
        return "\n".join(parts) + "\n"

    def _answer(self, report: JsonObject, requirements: Sequence[JsonObject]) -> str:
        broken = sum(each["outcome"] == "failed" for each in requirements)
        failed = report.get("failed")
        if broken or failed:
            words = self.say["no"].format(broken=broken, failed=failed)
            return f"<p class=failed><strong>{escape(words)}</strong></p>"
        words = self.say["yes" if report.get("good") else "nothing"]
        return f"<p class={'passed' if report.get('good') else 'skipped'}><strong>{escape(words)}</strong></p>"

    def _counts(self, requirements: Sequence[JsonObject]) -> str:
        items = "".join(
            f"<li class={_class(outcome)}><b>{sum(each['outcome'] == outcome for each in requirements)}</b>"
            f"{escape(self.say[outcome])}"
            for outcome in _ORDER
        )
        return f"<h2>{escape(self.say['requirements'])}</h2><ul class=counts>{items}</ul>"

    def _table(self, requirements: Sequence[JsonObject]) -> str:
        rows = [self._row(each, outcome) for outcome in _ORDER for each in requirements if each["outcome"] == outcome]
        return self._wide("requirements", self._head("requirement", "from", "result", "checks"), "".join(rows))

    def _wide(self, name: str, head: str, rows: str) -> str:
        """A table that can be scrolled where the window is narrow."""
        region = f'role=region tabindex=0 aria-label="{escape(self.say[name])}"'
        return f"<div class=wide {region}><table><thead>{head}<tbody>{rows}</table></div>"

    def _head(self, *names: str) -> str:
        return f"<tr>{''.join(f'<th scope=col>{escape(self.say[name])}' for name in names)}"

    def _row(self, requirement: JsonObject, outcome: str) -> str:
        checks = requirement["checks"]
        names = [escape(str(each)) for each in checks] if isinstance(checks, list) else []
        links = ", ".join(f'<a href="#{name}">{name}</a>' for name in names)
        reason = f"<br><small>{escape(str(requirement['reason']))}</small>" if requirement.get("reason") else ""
        return (
            f"<tr><td lang=en>{escape(str(requirement['text']))}{reason}"
            f"<td lang=en>{escape(str(requirement['standard']))} {escape(str(requirement['clause']))}"
            f"<td class={_class(outcome)}>{escape(self.say[outcome])}<td>{links}"
        )

    def _check(self, result: JsonObject) -> str:
        outcome, say = str(result["outcome"]), self.say
        expected = say["expected"].format(text=result["expected"]) if result.get("expected") else ""
        came = say["came"].format(text=result["came"])
        traffic = "".join(self._exchange(each) for each in _objects(result.get("exchanges")))
        is_open = " open" if outcome == "failed" else ""
        return (
            f'<details id="{escape(str(result["id"]))}"{is_open}><summary>'
            f"<span class={_class(outcome)}>{escape(say[outcome])}</span> "
            f"<span lang=en>{escape(str(result['title']))}</span> "
            f"<small>({escape(str(result['id']))}, {escape(str(result['clause']))})</small></summary>"
            f"{f'<p>{escape(expected)}</p>' if expected else ''}<p>{escape(came)}</p>{traffic}</details>"
        )

    def _exchange(self, exchange: JsonObject) -> str:
        request, answer = _object(exchange.get("request")), _object(exchange.get("answer"))
        sent = f"{request.get('method')} {request.get('url')}\n{_lines(request.get('headers'))}\n{request.get('body')}"
        came = f"{answer.get('status')}\n{_lines(answer.get('headers'))}\n{answer.get('body')}"
        who = self.say["target_sent" if exchange.get("from") == "target" else "sent"]
        return (
            f"<p>{escape(who)}</p><pre>{escape(sent.strip())}</pre>"
            f"<p>{escape(self.say['answer'])}</p><pre>{escape(came.strip())}</pre>"
        )

    def _foundation(self, verdicts: Sequence[Verdict]) -> str:
        if not verdicts:
            return ""
        rows = "".join(
            f"<tr><td>{escape(each.module)} {escape(each.variant)}<td>{escape(each.run)}"
            f"<td class={'passed' if each.is_good else 'failed'}>{escape(each.result)}"
            f"<td lang=en>{escape('; '.join(each.findings))}"
            for each in verdicts
        )
        head = self._head("module", "of_run", "result", "findings")
        return f"<h2>{escape(self.say['foundation'])}</h2>{self._wide('foundation', head, rows)}"


def _class(outcome: str) -> str:
    return outcome.replace(" ", "-")


def _lines(headers: JsonValue) -> str:
    return "\n".join(f"{name}: {value}" for name, value in _object(headers).items())


def _object(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue) -> list[JsonObject]:
    values: Iterable[JsonValue] = value if isinstance(value, list) else ()
    return [each for each in values if isinstance(each, dict)]
