"""What is said about a thing: what kind it is, facts, findings with their clause; rendered in German or English."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources

import yaml

from specs.refusal import Refusal
from specs.trust.anchors import TrustAnchor
from wallet_sim.terminal import plain

MAX_VALUE = 300  # characters of a value that are shown
_LAST_SECOND = 253402300799


@dataclass(frozen=True, slots=True)
class Judging:
    """By what a thing is judged. now: seconds since the epoch. anchors: whom the asker trusts; none: trust is open."""

    now: int
    anchors: tuple[TrustAnchor, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. code: which, also the key of its sentence. about: where. clause: what says so."""

    code: str
    about: str = ""
    clause: str = ""


@dataclass
class Explanation:
    """kind: key of its sentence. facts: in order. findings: empty if nothing is wrong. parts: what is inside."""

    kind: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    parts: list["Explanation"] = field(default_factory=list)

    def fact(self, name: str, value: object) -> None:
        """Note something, shortened, without anything that a terminal would obey."""
        text = plain(str(value))
        self.facts.append((name, text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"))

    def wrong(self, code: str, about: str = "", clause: str = "") -> None:
        """Note something wrong."""
        self.findings.append(Finding(code, plain(about)[:MAX_VALUE], clause))

    def refused(self, error: Refusal, clause: str = "") -> None:
        """Note why a check of ours does not let it pass."""
        self.wrong("refused", f"{error.reason.value}{f': {error.detail}' if error.detail else ''}", clause)

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong, here and inside."""
        return not self.findings and all(part.is_good for part in self.parts)

    @property
    def is_known(self) -> bool:
        """Whether it is anything that could be judged."""
        return self.kind != "unknown"

    @property
    def is_trusted(self) -> bool:
        """Whether something here leads to a trust anchor of the asker's."""
        return any(name == "trust" for name, _ in self.facts) or any(part.is_trusted for part in self.parts)

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "kind": self.kind,
            "facts": [{"name": name, "value": value} for name, value in self.facts],
            "findings": [{"code": each.code, "about": each.about, "clause": each.clause} for each in self.findings],
            "parts": [part.as_json() for part in self.parts],
        }

    def as_text(self, language: str, *, depth: int = 0) -> str:
        """For people."""
        known, indent = texts(language), "  " * depth
        lines = [f"{indent}{known['kinds'].get(self.kind, self.kind)}"]
        lines += [f"{indent}  {known['facts'].get(name, name)}: {value}" for name, value in self.facts]
        for each in self.findings:
            sentence = known["findings"][each.code].replace("{about}", each.about)
            clause = f" ({each.clause})" if each.clause else ""
            lines.append(f"{indent}  ✗ {sentence}{clause}")
        if self.is_good and self.is_known and depth == 0:
            sentence = known["findings"]["nothing_trusted" if self.is_trusted else "nothing"]
            lines.append(f"{indent}  ✓ {sentence}")
        lines += [part.as_text(language, depth=depth + 1) for part in self.parts]
        return "\n".join(lines)


def moment(seconds: object) -> str:
    """A time of the standards for people; what is no time, as it stands."""
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= _LAST_SECOND:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return str(seconds)


@lru_cache
def texts(language: str) -> Mapping[str, Mapping[str, str]]:
    """The catalogue of one language: de or en."""
    source = resources.files("wallet_sim.explain") / "texts" / f"{language}.yaml"
    found: dict[str, dict[str, str]] = yaml.safe_load(source.read_text(encoding="utf-8"))
    return found
