"""What a refusal means, in words: one sentence for the citizen, one for the caseworker, per language."""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from specs.refusal import ReasonCode

LANGUAGES = ("de", "de-simple", "en")
"""`de-simple`: German in short sentences for citizens; caseworkers read the same as in `de`."""


class Audience(StrEnum):
    """Who reads: the citizen learns what to do, the caseworker what was found."""

    CITIZEN = "citizen"
    CASEWORKER = "caseworker"


def sentence(reason: ReasonCode, *, language: str, audience: Audience = Audience.CITIZEN) -> str:
    """The sentence for a reason. language: one of `LANGUAGES`.

    Raises:
        KeyError: another language.
    """
    texts = _texts(language)
    group, caseworker = texts.reasons[reason]
    return caseworker if audience is Audience.CASEWORKER else texts.citizen[group]


@dataclass(frozen=True, slots=True)
class _Texts:
    citizen: dict[str, str]  # by group of reasons
    reasons: dict[ReasonCode, tuple[str, str]]  # group, sentence for the caseworker


@cache
def _texts(language: str) -> _Texts:
    if language not in LANGUAGES:
        raise KeyError(language)
    found = json.loads(files(__package__).joinpath(f"{language}.json").read_text(encoding="utf-8"))
    if "caseworker_language" in found:
        return _Texts(found["citizen"], _texts(found["caseworker_language"]).reasons)
    reasons = {ReasonCode(name): (entry["citizen"], entry["caseworker"]) for name, entry in found["reasons"].items()}
    return _Texts(found["citizen"], reasons)
